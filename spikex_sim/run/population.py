"""What a machine is asked for by one population, or by one sum of currents, of a graph.

Its output channels are cut where any synapse has a group boundary; each part is a layer of its own. What is
constant is computed once, in a pass of one time point, unless it is to be recomputed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.core.field import Inputs
from spikex_sim.core.field import Synapse as Lying
from spikex_sim.core.geometry import Geometry
from spikex_sim.core.spikes import count_spikes
from spikex_sim.core.tags import WindowedSpikes, window_spikes
from spikex_sim.run.currents import entering, has_tags
from spikex_sim.run.flow import largest_addend
from spikex_sim.run.replay import bytes_of_inputs, check_weights
from spikex_sim.run.signals import Signal, addend_of, delayed, later, positions_of
from spikex_sim.schedules.psums import wrapping_bits
from spikex_sim.schedules.synapses import Addend, Neurons, Synapses
from spikex_sim.schedules.task import Task, widths_of
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.graph import InputNode, Population, Synapse
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_fold import folded


@dataclass(frozen=True, eq=False)
class Branch:
    """A synapse as it is executed, and what comes through it.

    Attributes
    ----------
    synapse : Synapse
        Average pooling folded in; ``linear`` is a convolution of one position with as many channels.
    weight : array or None
        See :meth:`spikex_sim.trace.graph.GraphTrace.weight`.
    holder : int
        Synapse of the node whose weights these are.
    signal : Signal
        Of its source.
    scale, bits : float, int
        Of analog values, and their width.
    """

    synapse: Synapse
    weight: NDArray[Any] | None
    holder: int
    signal: Signal
    scale: float = 1.0
    bits: int = 1

    @property
    def is_sum(self) -> bool:
        """Whether it takes currents, which the array does not stream."""
        return self.signal.carries == "currents"

    def flat(self) -> Branch:
        """Take a map of which every value is a channel, as linear layers do."""
        signal, weight = self.signal, self.weight
        array = signal.array.reshape(-1, 1, 1, *signal.array.shape[3:])
        synapse = self.synapse.model_copy(
            update={"kernel": (1, 1), "padding": (0, 0, 0, 0), "stride": (1, 1)}
        )
        flat = None if weight is None else weight.reshape(len(weight), -1, 1, 1)
        return replace(self, synapse=synapse, weight=flat, signal=replace(signal, array=array))

    def channels_for(self, part: range, out_channels: int) -> slice:
        """Channels of the source that some output channels of one group take."""
        if self.synapse.own:
            return slice(part.start, part.stop)
        each = self.signal.shape[0] // self.synapse.groups
        group = part.start * self.synapse.groups // out_channels
        return slice(group * each, (group + 1) * each)


@dataclass(frozen=True, eq=False)
class Asked:
    """A task and what executing it takes; ``synapses`` is None without weights (costs only)."""

    task: Task
    synapses: Synapses | None


@dataclass(frozen=True, eq=False)
class Work:
    """A population or sum with everything that enters it.

    Attributes
    ----------
    trace : GraphTrace
        The network.
    node : Population
        The node.
    branches : tuple of Branch
        In the order of its synapses.
    arch : Accelerator
        The machine.
    tws : int
        Time points that it handles together.
    """

    trace: GraphTrace
    node: Population
    branches: tuple[Branch, ...]
    arch: Accelerator
    tws: int

    def __post_init__(self) -> None:
        for (name, _), weight in self.trace.weights.items():
            if name == self.node.name and weight.dtype == np.int8:
                check_weights(f"node {name}", weight, self.arch)

    @classmethod
    def of(
        cls, trace: GraphTrace, node: Population, signals: Mapping[str, Signal], arch: Accelerator, tws: int
    ) -> Work:
        """Collect what enters a node.

        Raises
        ------
        ConfigError, UnsupportedError
            If windows are longer than the smallest delay with which its outputs come back.
        """
        branches = []
        for k in range(len(node.synapses)):
            synapse, weight = folded(trace, node.name, k)
            taken = trace.node(node.synapses[k].source)
            branch = Branch(synapse, weight, node.holder(k), signals[synapse.source])
            if isinstance(taken, InputNode) and taken.values is not None:
                branch = replace(branch, scale=taken.values.scale, bits=taken.values.bits)
            branches.append(branch.flat() if node.synapses[k].kind == "linear" else branch)
        work = cls(trace, node, tuple(branches), arch, tws)
        if work.delay is not None and tws > work.delay and arch.get("tws", default=None) is None:
            raise UnsupportedError(
                f"node {node.name}: its outputs come back after {work.delay} time points, and this machine "
                f"takes {tws} together",
                where=arch.name,
            )
        if work.delay is not None and tws > work.delay:
            raise ConfigError(
                f"{tws} is above the delay with which the outputs of '{node.name}' come back; the largest "
                f"that works is {work.delay}",
                where=arch.name,
                field="tws",
            )
        return work

    @cached_property
    def delay(self) -> int | None:
        """Smallest delay of the synapses from the node to itself."""
        return min((one.delay for one in self.node.synapses if one.source == self.node.name), default=None)

    @property
    def reuses(self) -> bool:
        """Whether what is constant is computed once."""
        return self.arch.get("direct_encoding", default="reuse") == "reuse"

    @property
    def is_once(self) -> bool:
        """Whether the node is constant as a whole, and computed in a pass."""
        return self.reuses and self.trace.constant(self.node.name)

    @property
    def floating(self) -> bool:
        """Whether it computes in float32."""
        return self.node.datapath == "float"

    @property
    def positions(self) -> int:
        """Output positions."""
        _, height, width = self.trace.shape(self.node.name)
        return height * width

    @property
    def known(self) -> bool:
        """Whether all weights are there, so that outputs can be computed."""
        return all(one.weight is not None for one in self.branches)

    @cached_property
    def parts(self) -> list[range]:
        """Output channels of each layer."""
        cuts, channels = {0, self.node.channels}, self.node.channels
        for one in self.branches:
            cuts |= set(range(0, channels, channels // one.synapse.groups))
        return [range(first, last) for first, last in pairwise(sorted(cuts))]

    @cached_property
    def neurons(self) -> Neurons | None:
        """Neurons of all channels."""
        neuron, name = self.node.neuron, self.node.name
        if neuron is None:
            return None
        leak = "leak" if self.floating else "leak_shift"

        def number(key: str) -> Any:
            array = self.trace.neuron_array(name, key)
            alike = array is not None and bool((array == array[0]).all())
            return array[0].item() if alike and array is not None else array

        current, adaptation = neuron.current is not None, neuron.adaptation is not None
        return Neurons(
            neuron.datapath,
            number("threshold"),
            number(leak),
            at=neuron.fires == "at",
            reset=neuron.reset,
            late=neuron.reset_delay == 1,
            has_current=current,
            current_leak=number(f"current.{leak}") if current else None,
            adaptation_step=number("adaptation.step") if adaptation else None,
            adaptation_leak=number(f"adaptation.{leak}") if adaptation else None,
        )

    @cached_property
    def psum_bits(self) -> int | None:
        """Width at which sums of weights wrap around that neurons take; None where they are exact."""
        largest = sum(
            largest_addend(one.synapse, one.weight, one.signal.shape[0], self.arch.weight_bits)
            for one in self.branches
            if one.signal.carries == "spikes"
        )
        return wrapping_bits(largest, self.node.datapath, self.arch)

    @cached_property
    def tagged(self) -> bool:
        """Whether it gives currents with tags."""
        return self.node.kind == "currents" and has_tags(self.arch)

    @cached_property
    def silence_is_free(self) -> bool:
        """Whether it gives nothing without input, and has no input beside spikes and currents with tags."""
        if self.node.kind == "currents" and not (self.tagged and self._bias_is_zero):
            return False
        if self.node.kind == "neurons" and not self.trace.silence_is_free(self.node.name):
            return False
        sums = [one for one in self.branches if one.is_sum and one.signal.issued is None]
        return not any(bool(one.signal.array.any()) for one in sums)

    @property
    def _bias_is_zero(self) -> bool:
        bias = self.trace.biases.get(self.node.name)
        return bias is None or not bias.any()

    def working_bytes(self) -> float:
        """Memory that the node takes at most while it is scheduled and executed, steps aside."""
        timesteps, channels = self.trace.timesteps, self.node.channels
        needed = 0.0
        for one in self.branches:
            inputs = prod(one.signal.shape)
            if one.is_sum:
                needed += 16.0 * inputs * (1 if one.signal.constant else timesteps)
                continue
            analog = one.signal.carries == "analog"
            spikes = inputs * timesteps if analog else count_spikes(one.signal.array)
            places = prod(one.synapse.kernel)
            taps = places * (1 if one.synapse.own else one.signal.shape[0])
            windows = -(-timesteps // self.tws)
            needed += bytes_of_inputs(self.positions, windows, inputs, spikes, taps, places, self.arch)
        each = 8.0 * timesteps if self.neurons is None else 26.0 + 2 * ((timesteps + 7) // 8)
        return needed + self.positions * channels * each

    def passes(self) -> Iterator[Asked]:
        """Tasks that compute what is constant, a part each: one time point, all NTWUs issued."""
        once = [one for one in self.branches if self._once(one)]
        for part in self.parts if once or self.is_once else ():
            sums = [one for one in self.branches if one.is_sum] if self.is_once else []
            words = entering(sums, part, self.positions, 1, 1, once=True).words if sums else None
            inputs = self._inputs(once, part, 1, 1)
            task = Task(
                self._name(part, "constant"), inputs, len(part), widths_of(self.node.datapath, self.arch),
                silence_is_free=False, datapath=self.node.datapath, states=0, words=words,
                scaled=self._scaled(sums, part),
            )  # fmt: skip
            bias = self._bias(part) if self.is_once else None
            yield Asked(task, self._synapses(once, sums, part, {}, None, bias))

    def layers(self, constants: list[list[NDArray[Any]]]) -> Iterator[Asked]:
        """Tasks of all time points, a part each.

        Parameters
        ----------
        constants : list of list of array
            What the pass of each part gave, ``[P, M]`` for each of its synapses or one for all.
        """
        if self.is_once:
            return
        streamed = [one for one in self.branches if not one.is_sum and not self._once(one)]
        sums = [one for one in self.branches if one.is_sum]
        passed = any(self._once(one) for one in self.branches)
        free = self.silence_is_free
        if any(one.signal.carries == "analog" for one in streamed):
            free = False
        if passed and (not self.known or any(array.any() for part in constants for array in part)):
            free = False
        timesteps = self.trace.timesteps
        for number, part in enumerate(self.parts):
            taken = entering(sums, part, self.positions, timesteps, self.tws, once=self.reuses)
            task = Task(
                self._name(part), self._inputs(streamed, part, timesteps, self.tws), len(part),
                widths_of(self.node.datapath, self.arch), silence_is_free=free,
                datapath=self.node.datapath, states=0 if self.neurons is None else self.neurons.states,
                words=taken.words + passed if sums or passed else None, word_tags=taken.tags,
                awake=taken.awake, tagged=self.tagged, scaled=self._scaled(sums, part),
                run_windows=None if self.delay is None else self.delay // self.tws,
            )  # fmt: skip
            known = constants[number] if passed else []
            neuron = None if self.neurons is None else _of_channels(self.neurons, part)
            yield Asked(
                task, self._synapses(streamed, sums, part, self._given(known), neuron, self._bias(part))
            )

    def constants_of(self, asked: Asked) -> Iterator[Synapses]:
        """What to execute a pass with, so that each of its results goes into the sum in its place.

        A node that is constant as a whole is executed as it is, and in the integer datapath all synapses go
        together. In the float one each synapse has an addend of its own, and a pass is executed once for
        each, with the weights of the others at zero.
        """
        assert asked.synapses is not None
        weights = asked.synapses.weights
        if self.is_once or not self.floating or len(weights) == 1:
            yield asked.synapses
            return
        for own in range(len(weights)):
            alone = tuple(one if k == own else np.zeros_like(one) for k, one in enumerate(weights))
            yield replace(asked.synapses, weights=alone)

    def _once(self, one: Branch) -> bool:
        return self.reuses and one.signal.carries == "analog" and one.signal.constant

    def _name(self, part: range, what: str = "") -> str:
        more = [what] if what else []
        if len(self.parts) > 1:
            more.append(f"channels {part.start}-{part.stop - 1}")
        return f"{self.node.name} ({', '.join(more)})" if more else self.node.name

    def _scaled(self, sums: list[Branch], part: range) -> NDArray[np.int64] | None:
        """Addends of currents that are multiplied, ``[2, P]``: at a time point, constants in a window."""
        found = np.zeros((2, self.positions), np.int64)
        for one in sums:
            once = one.signal.constant and self.reuses
            weight = None if one.weight is None else one.weight[part.start : part.stop]
            channels = len(part) if weight is None else int(np.count_nonzero(weight != 1))
            found[int(once)] += channels * (positions_of(one.synapse, one.signal.shape) > 0)
        return found if found.any() else None

    def _bias(self, part: range) -> NDArray[Any] | None:
        bias = self.trace.biases.get(self.node.name)
        return None if bias is None else bias[part.start : part.stop]

    def _given(self, known: list[NDArray[Any]]) -> dict[int, NDArray[Any]]:
        """What passes gave, by the branch in whose place it is added."""
        places = [k for k, one in enumerate(self.branches) if self._once(one)]
        return dict(zip(places, known, strict=False))

    def _inputs(self, branches: list[Branch], part: range, timesteps: int, tws: int) -> Inputs:
        lying, spikes = [], []
        for one in branches:
            taken = one.channels_for(part, self.node.channels)
            channels = taken.stop - taken.start
            geometry = self._geometry(one, channels)
            if one.signal.carries == "analog":
                lying.append(Lying(geometry, one.holder, one.synapse.own, one.bits, tagged=False))
                spikes.append(everything(channels, geometry.pixels, timesteps, tws))
                continue
            packed = delayed(one.signal.at(taken), one.synapse.delay, timesteps)
            lying.append(Lying(geometry, one.holder, one.synapse.own))
            spikes.append(window_spikes(packed, timesteps, tws))
        return Inputs(tuple(lying), tuple(spikes), self.positions, timesteps, tws)

    def _geometry(self, one: Branch, channels: int) -> Geometry:
        synapse, (_, height, width) = one.synapse, one.signal.shape
        top, _, left, _ = synapse.padding
        return Geometry(
            channels, height, width, *synapse.kernel, *synapse.stride, top, left,
            *self.trace.shape(self.node.name)[1:], *synapse.dilation,
        )  # fmt: skip

    def _synapses(
        self, streamed: list[Branch], sums: list[Branch], part: range, given: Mapping[int, NDArray[Any]],
        neuron: Neurons | None, bias: NDArray[Any] | None,
    ) -> Synapses | None:  # fmt: skip
        if not self.known:
            return None
        weights, own, addends = list[NDArray[Any]](), list[bool](), list[Addend]()
        for number, one in enumerate(self.branches):
            assert one.weight is not None
            weight = one.weight[part.start : part.stop]
            if one in streamed:
                if one.signal.carries == "analog":
                    taken = one.signal.at(one.channels_for(part, self.node.channels))
                    taken = later(taken, one.synapse.delay)
                    pixels = np.moveaxis(taken, 0, 2).reshape(-1, *taken.shape[3:])
                    shift, scale = one.synapse.shift, one.scale
                    addends.append(Addend(len(weights), pixels, streamed=True, scale=scale, shift=shift))
                weights.append(weight)
                own.append(one.synapse.own)
            elif one in sums:
                signal = Signal(
                    one.signal.carries, one.signal.at(slice(part.start, part.stop)), one.signal.constant
                )
                values = addend_of(one.synapse, weight, signal, floating=self.floating)
                addends.append(Addend(len(weights), values if len(values) > 1 else values[0]))
            elif number in given:
                addends.append(Addend(len(weights), given[number]))
        return Synapses(
            tuple(weights), bias, neuron, self.node.datapath, self.arch.potential_bits, len(part), tuple(own),
            tuple(addends), None if neuron is None else self.psum_bits,
        )  # fmt: skip


def _of_channels(neurons: Neurons, part: range) -> Neurons:
    changed: dict[str, Any] = {
        key: value[part.start : part.stop]
        for key, value in vars(neurons).items()
        if isinstance(value, np.ndarray)
    }
    return replace(neurons, **changed)


@lru_cache(maxsize=32)
def everything(channels: int, pixels: int, timesteps: int, tws: int) -> WindowedSpikes:
    """Input that is active everywhere at every time point, as analog values are; without lists of events."""
    windows = -(-timesteps // tws)
    points = np.minimum(tws, timesteps - np.arange(windows) * tws)
    return WindowedSpikes(
        timesteps, tws, windows, np.zeros(0, np.int32), np.zeros(channels * pixels + 1, np.int64),
        np.ones((pixels, windows, channels), np.uint8),
        np.broadcast_to(channels * points, (pixels, windows)).astype(np.int64),
    )  # fmt: skip
