"""What a register-level array sees of a node of a graph: taps, words of currents, neurons.

From ``networks.md`` and ``model.md`` alone, and of the integer datapath. Nothing here counts: see
`register_graph` for the arrays of SpikeX and PTB, `register_graph_dense` for dense ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from naive_graph import matrices, neuron_number
from naive_graph_trace import Map, Node, Synapse, Trace, Window, synapses_of

Array = NDArray[Any]


class States(NamedTuple):
    """Potential, synaptic current and adaptation of a neuron, and whether it has just spiked."""

    u: int = 0
    i: int = 0
    a: int = 0
    spiked: bool = False


@dataclass(frozen=True)
class Neuron:
    """The neuron of a channel (Section 1); what it does not have is None."""

    threshold: int
    leak_shift: int | None
    described: Node
    current_shift: int | None
    adaptation_shift: int | None
    step: int | None
    bits: int

    @classmethod
    def of(cls, number: Callable[[str], Any], described: Node, bits: int) -> Neuron:
        keys = ("current.leak_shift", "adaptation.leak_shift", "adaptation.step")
        return cls(number("threshold"), number("leak_shift"), described, *map(number, keys), bits)

    @property
    def states(self) -> int:
        """Words of state that move."""
        return 1 + ("current" in self.described) + ("adaptation" in self.described)

    @property
    def at_rest_for_ever(self) -> bool:
        """Whether it cannot fire without input: Section 1, When silence is not free, but for the bias."""
        reset, late = self.described.get("reset", "zero"), self.described.get("reset_delay", 0)
        lowest = 1 if self.described.get("fires", "above") == "at" else 0
        return reset == "zero" and not late and self.threshold >= lowest and self.states == 1

    def leak(self, states: States) -> States:
        """One time point without input; of a neuron that has a potential alone."""
        return states._replace(u=leaked(states.u, self.leak_shift))

    def update(self, states: States, current: int) -> tuple[bool, States]:
        """Return whether the neuron spikes at a time point, and what it leaves."""
        u, i, a, spiked = states
        reset, late = self.described.get("reset", "zero"), bool(self.described.get("reset_delay", 0))
        if "current" in self.described:
            current = i = self._kept(leaked(i, self.current_shift) + current)
        v = self._kept(leaked(u, self.leak_shift) + current)
        after_reset = {"zero": lambda v: 0, "subtract": lambda v: self._kept(v - self.threshold)}
        reset_of = after_reset.get(reset, lambda v: v)
        if late and spiked:
            v = reset_of(v)
        above = v - self.threshold - a
        fires = above >= 0 if self.described.get("fires", "above") == "at" else above > 0
        if "adaptation" in self.described:
            assert self.step is not None
            a = self._kept(leaked(a, self.adaptation_shift) + (self.step if fires else 0))
        return fires, States(reset_of(v) if fires and not late else v, i, a, fires)

    def _kept(self, value: int) -> int:
        return max(-(1 << (self.bits - 1)), min((1 << (self.bits - 1)) - 1, value))


def leaked(value: int, shift: int | None) -> int:
    return value if shift is None else value - (value >> shift)


class Tap(NamedTuple):
    """A filter position of a synapse, and the channels that have a weight there."""

    synapse: int
    channel: int
    i: int
    j: int
    rows: range


class CurrentWord(NamedTuple):
    """A word of currents for one neuron: of a synapse (-1: of the pass), for one time point or all (-1)."""

    synapse: int
    point: int
    value: int


@dataclass
class Layer:
    """What stands on the array at a time: a node, its pass, or a slice of a product.

    ``outputs`` ``[M, P, T]``; ``passed`` ``[M, P]`` are sums of a pass before. ``run`` is the number of time
    points after which outputs come back, None if they do not; the outputs of a slice that is ``turned`` are
    the transpose of the product.
    """

    synapses: list[Synapse]
    outputs: Array
    size: tuple[int, int]
    tws: int
    neurons: list[Neuron] | None = None
    bias: Sequence[int] = ()
    passed: Array | None = None
    name: str = ""
    input_bits: dict[str, int] = field(default_factory=dict)
    weight_bits: int = 8
    run: int | None = None
    reuse: bool = True
    cuts: Sequence[Synapse] = ()
    turned: bool = False
    finished: int = 0
    zero: ClassVar[int] = 0

    @property
    def channels(self) -> int:
        return len(self.outputs)

    @property
    def positions(self) -> int:
        return int(self.outputs.shape[1])

    @property
    def times(self) -> int:
        return int(self.outputs.shape[2])

    @property
    def windows(self) -> int:
        return -(-self.times // self.tws)

    @property
    def states(self) -> int:
        return self.neurons[0].states if self.neurons else 0

    @property
    def parts(self) -> list[range]:
        """Output channels between boundaries of groups of any synapse."""
        starts = {0, self.channels}
        for synapse in (*self.synapses, *self.cuts):
            starts |= {m for m in range(1, self.channels) if synapse.group_of(m) != synapse.group_of(m - 1)}
        edges = sorted(starts)
        return [range(a, b) for a, b in pairwise(edges)]

    @property
    def runs(self) -> list[range]:
        """Windows that need no output of each other (docs/networks.md, What a machine sees)."""
        size = self.windows if self.run is None else self.run // self.tws
        return [range(w, min(w + size, self.windows)) for w in range(0, self.windows, size)]

    @property
    def silence_is_free(self) -> bool:
        return (
            self.neurons is not None
            and all(neuron.at_rest_for_ever for neuron in self.neurons)
            and not any(self.bias)
        )

    @property
    def currents(self) -> list[Synapse]:
        return [synapse for synapse in self.synapses if synapse.carries == "currents"]

    @property
    def always_active(self) -> bool:
        """Whether every window is issued: tagged or not, there may be something to do (Sections 2 and 3)."""
        found = [one.taken.values for one in self.currents] + ([] if self.passed is None else [self.passed])
        analog = any(synapse.carries == "analog" for synapse in self.synapses)
        return not self.silence_is_free or analog or any(values.any() for values in found)

    def is_analog(self, tap: Tap) -> bool:
        return self.synapses[tap.synapse].carries == "analog"

    def bits(self, tap: Tap) -> int:
        """Width of an input word at a time point."""
        return self.input_bits[self.synapses[tap.synapse].source] if self.is_analog(tap) else 1

    def taps(self, part: range) -> list[Tap]:
        """Taps of a part in ascending (synapse, channel, i, j), those of own channels too."""
        found = []
        for s, synapse in enumerate(self.synapses):
            if synapse.carries == "currents":
                continue
            channels = part if synapse.own else synapse.channels_for(part[0])
            height, width = synapse.window.kernel
            found += [
                Tap(s, c, i, j, range(c, c + 1) if synapse.own else part)
                for c in channels
                for i in range(height)
                for j in range(width)
            ]
        return found

    def weight(self, m: int, tap: Tap) -> int:
        synapse = self.synapses[tap.synapse]
        if synapse.own:
            return int(synapse.weight[m])
        first = synapse.channels_for(m)[0]
        return int(synapse.weight[m, tap.channel - first, tap.i, tap.j])

    @cached_property
    def _pixels(self) -> list[list[dict[tuple[int, int], tuple[int, int]]]]:
        """Pixels inside the map, by synapse, position and (i, j)."""
        places = [divmod(p, self.size[1]) for p in range(self.positions)]
        return [
            [{(i, j): (y, x) for i, j, y, x in synapse.window.inside(*place)} for place in places]
            for synapse in self.synapses
        ]

    def inside(self, tap: Tap, p: int) -> bool:
        """Whether a tap lies in the map."""
        return (tap.i, tap.j) in self._pixels[tap.synapse][p]

    def value(self, tap: Tap, p: int, t: int) -> int:
        """What a tap sees at a time point; 0 beyond the map and the time."""
        pixel = self._pixels[tap.synapse][p].get((tap.i, tap.j))
        synapse = self.synapses[tap.synapse]
        if pixel is None or t >= self.times:
            return 0
        if self.run is not None and synapse.source == self.name and t - synapse.delay >= self.finished:
            raise RuntimeError("an output is needed before it has been computed")
        return int(synapse.taken.at(t - synapse.delay)[tap.channel, *pixel])

    def word(self, tap: Tap, p: int, w: int) -> list[int | None] | None:
        """Return the word of a window; None if it is silent, or of analog values beyond the map.

        Padded time points have no analog values.
        """
        times = range(w * self.tws, (w + 1) * self.tws)
        if self.is_analog(tap):
            values = [self.value(tap, p, t) if t < self.times else None for t in times]
            return values if self.inside(tap, p) else None
        spikes = [self.value(tap, p, t) for t in times]
        return [*spikes] if any(spikes) else None

    def current_words(self, m: int, p: int, w: int) -> list[CurrentWord]:
        """Words of currents that a neuron takes at the start of its update (Section 3)."""
        found = []
        for s, synapse in enumerate(self.synapses):
            if synapse.carries != "currents":
                continue
            for y, x in self._pixels[s][p].values():
                if synapse.taken.constant and self.reuse:
                    found.append(CurrentWord(s, -1, int(synapse.taken.values[m, y, x])))
                    continue
                for j in range(self.tws):
                    t = w * self.tws + j
                    value = synapse.taken.at(t - synapse.delay)[m, y, x] if t < self.times else 0
                    found.append(CurrentWord(s, j, int(value)))
        if self.passed is not None:
            found.append(CurrentWord(-1, -1, int(self.passed[m, p])))
        return found

    def collected(self, word: CurrentWord, before: int | None) -> int:
        """Take a word of currents into the sum of its synapse: add it, or keep the larger one."""
        if before is None:
            return word.value
        pooled = word.synapse >= 0 and self.synapses[word.synapse].kind == "maxpool"
        return max(before, word.value) if pooled else before + word.value

    def scaled(self, m: int, sums: dict[int, int], w: int, point: int) -> int:
        """Addends of currents that are multiplied at a time point: of constants at a window's first."""
        found = 0
        for s in sums:
            if s < 0 or self.synapses[s].carries != "currents" or self.synapses[s].weight[m] == 1:
                continue
            synapse = self.synapses[s]
            once = synapse.taken.constant and self.reuse
            found += point == 0 if once else w * self.tws + point < self.times
        return found

    def total(self, m: int, sums: dict[int, int]) -> int:
        """Add the addends of the synapses, each scaled and shifted, and the bias."""
        found = self.bias[m] if len(self.bias) else 0
        for s, its in sums.items():
            if s < 0:
                found += its
                continue
            synapse = self.synapses[s]
            found += its * (int(synapse.weight[m]) if synapse.carries == "currents" else 1) >> synapse.shift
        return found


def layers_of(
    trace: Trace, node: Node, maps: dict[str, Map], tws: int, *, reuse: bool = True, potential_bits: int = 16
) -> tuple[Layer | None, Layer | None]:
    """Return the pass of a population or of currents, and its layer over time; None where it has none.

    A node that takes itself takes what the array computes, unless its outputs are recorded.
    """
    name, channels, spiking = node["name"], int(node["channels"]), node["kind"] == "neurons"
    others = [one for one in node["synapses"] if one["from"] != name]
    size = synapses_of(trace, node | {"synapses": others}, maps)[0].out_size
    outputs = np.zeros((channels, *size, trace.timesteps), np.bool_ if spiking else np.int64)
    closed = f"{name}/spikes" not in trace.arrays
    known = {**maps, name: Map("spikes", outputs)} if closed else maps
    synapses = synapses_of(trace, node, known)
    bias = [int(b) for b in trace.arrays.get(f"{name}/bias", np.zeros(channels, np.int64))]
    described = {one["name"]: one for one in trace.nodes if one["kind"] == "input"}
    bits = {key: int(one["values"].get("bits", 8)) for key, one in described.items() if "values" in one}
    positions = size[0] * size[1]

    def once(its: list[Synapse], bias: Sequence[int]) -> Layer:
        sums = np.zeros((channels, positions, 1), np.int64)
        return Layer(its, sums, size, 1, bias=bias, input_bits=bits, cuts=synapses)

    constant = [one for one in synapses if one.taken.constant] if reuse else []
    if len(constant) == len(synapses) and not spiking:
        return once(synapses, bias), None
    fixed = [one for one in constant if one.carries == "analog"]
    delays = [one.delay for one in synapses if one.source == name]
    neurons = None
    if spiking:
        neurons = [
            Neuron.of(lambda key, m=m: neuron_number(trace, node, key, m), node["neuron"], potential_bits)
            for m in range(channels)
        ]
    layer = Layer(
        [one for one in synapses if not any(one is other for other in fixed)],
        outputs.reshape(channels, positions, trace.timesteps),
        size,
        tws,
        neurons,
        bias,
        name=name,
        input_bits=bits,
        run=min(delays, default=None),
        reuse=reuse,
        cuts=synapses,
    )
    return once(fixed, ()) if fixed else None, layer


def slices_of(node: Node, a: Map, b: Map, times: int) -> list[Layer]:
    """Return the slices of a product, each a layer of currents with one time point (Section 4)."""
    turned_a, turned_b = node.get("transpose_a", False), node.get("transpose_b", False)
    spikes = [int(one.values.sum()) if one.carries == "spikes" else None for one in (a, b)]
    streams_a = spikes[1] is None or (spikes[0] is not None and spikes[0] <= spikes[1])
    bits = filter_bits(b.values if streams_a else a.values)
    found = []
    for t in range(times):
        heads = [
            matrices(one.at(t), node.get("heads", 1), turn) for one, turn in ((a, turned_a), (b, turned_b))
        ]
        for A, B in zip(*heads, strict=True):
            streamed, filters = (A.T, B.T) if streams_a else (B, A)  # [inner, positions], [channels, inner]
            inner, positions = streamed.shape
            taken = Map("spikes", streamed.reshape(inner, 1, positions, 1))
            window, size = Window((1, positions)), (1, positions)
            weight = filters.astype(np.int64).reshape(len(filters), inner, 1, 1)
            synapse = Synapse("conv", "", taken, window, size, weight, 1, 0, 0)
            outputs = np.zeros((len(filters), positions, 1), np.int64)
            found.append(Layer([synapse], outputs, size, 1, weight_bits=bits, turned=streams_a))
    return found


def filter_bits(values: Array) -> int:
    """Bits that hold all values: unsigned if none is negative, else two's complement (Section 4)."""
    lowest, highest = (int(values.min()), int(values.max())) if values.size else (0, 0)
    bits = 1
    while not (
        (lowest >= 0 and highest < 1 << bits)
        or (lowest < 0 and -(1 << bits - 1) <= lowest and highest < 1 << bits - 1)
    ):
        bits += 1
    return bits
