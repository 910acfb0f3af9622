"""The slow oracle of graph networks: every node at every time point. Follow `evaluate` at the end.

Written from the text on networks alone (cited as "§n"), independently of the package and sharing no code
with it. Its other parts are `naive_graph_trace` (files, synapses) and `naive_graph_cost`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from naive_graph_trace import FLOAT, Array, Map, Node, Synapse, Tap, Trace, Window, recorded, synapses_of


def addend_int(synapse: Synapse, taps: list[Tap], x: Array) -> int:
    """Sum of a synapse at one time point; one of analog values or currents is shifted right (§1)."""
    terms = [int(x[c, row, col]) * w for c, _, _, row, col, w in taps]
    if synapse.kind == "maxpool" and taps:  # a window of nothing but padding adds nothing
        return max(int(x[c, row, col]) for c, _, _, row, col, _ in taps) * taps[0][-1] >> synapse.shift
    return sum(terms) if synapse.carries == "spikes" else sum(terms) >> synapse.shift


def addend_float(synapse: Synapse, taps: list[Tap], x: Array) -> np.float32:
    """Sum of an analog or currents synapse, each operation rounded (§1): currents are multiplied last."""
    if synapse.carries == "analog":
        total = FLOAT(0)
        for c, _, _, row, col, w in taps:
            total = total + w * (FLOAT(synapse.taken.scale) * FLOAT(x[c, row, col]))
        return total
    values = [FLOAT(x[c, row, col]) for c, _, _, row, col, _ in taps]
    if synapse.kind == "maxpool" and taps:
        return FLOAT(max(values)) * FLOAT(taps[0][-1])
    total = FLOAT(0)
    for value in values:
        total = total + value
    return total * FLOAT(taps[0][-1]) if taps else total


def summed(
    synapses: list[Synapse], taps: list[list[Tap]], bias: Any, t: int, floating: bool,
    register_bits: int | None = None,
) -> Any:  # fmt: skip
    """``I[t]`` of one neuron (§1); what spikes add wraps around in a register of so many bits, if in any."""
    total = FLOAT(0) if floating else 0
    register = 0
    for synapse, its_taps in zip(synapses, taps, strict=True):
        x = synapse.taken.at(t - synapse.delay)
        if not floating and synapse.carries == "spikes":
            register += addend_int(synapse, its_taps, x)
        elif not floating:
            total += addend_int(synapse, its_taps, x)
        elif synapse.carries == "spikes":
            for c, _, _, row, col, w in its_taps:
                if x[c, row, col]:
                    total = total + FLOAT(w)
        else:
            total = total + addend_float(synapse, its_taps, x)
    if register_bits is not None:
        half = 2 ** (register_bits - 1)
        register = (register + half) % (2 * half) - half
    return total + (FLOAT(bias) if floating else register + int(bias))


@dataclass
class Neuron:
    """One neuron: its numbers, its states, and what happens at a time point (§1 Neurons)."""

    number: Callable[[str], Any]
    described: Node
    floating: bool
    potential_bits: int = 16

    def __post_init__(self) -> None:
        self.i = self.u = self.a = self.keep(0)
        self.spiked = False
        self.threshold = self.number("threshold")
        if self.floating:
            self.threshold = FLOAT(self.threshold)

    def keep(self, value: Any) -> Any:
        """What an assignment leaves of a value: float32, or saturated at `potential_bits`."""
        if self.floating:
            return FLOAT(value)
        return max(-(2 ** (self.potential_bits - 1)), min(2 ** (self.potential_bits - 1) - 1, value))

    def leaked(self, value: Any, of: str = "") -> Any:
        """Leak of a state, none where no number is given."""
        number = self.number(of + ("leak" if self.floating else "leak_shift"))
        if number is None:
            return value
        return FLOAT(number) * value if self.floating else value - (value >> int(number))

    def step(self, I: Any) -> bool:  # noqa: E741
        reset, late = self.described.get("reset", "zero"), self.described.get("reset_delay", 0) == 1
        if "current" in self.described:
            I = self.i = self.keep(self.leaked(self.i, "current.") + I)  # noqa: E741
        v = self.keep(self.leaked(self.u) + I)
        if late and self.spiked:
            if reset == "zero":
                v = self.keep(0)  # this step's input is lost
            elif reset == "subtract":
                v = self.keep(v - self.threshold)
        bar = self.threshold + self.a
        spike = bool(v >= bar if self.described.get("fires", "above") == "at" else v > bar)
        self.u = v
        if spike and not late:
            if reset == "zero":
                self.u = self.keep(0)
            elif reset == "subtract":
                self.u = self.keep(v - self.threshold)
        if "adaptation" in self.described:
            step = self.number("adaptation.step") if spike else 0
            self.a = self.keep(self.leaked(self.a, "adaptation.") + (FLOAT(step) if self.floating else step))
        self.spiked = spike
        return spike


def neuron_number(trace: Trace, node: Node, key: str, m: int) -> Any:
    """Return a number of a neuron, per channel or for all (§5); None where it is absent."""
    array = trace.arrays.get(f"{node['name']}/neuron/{key}")
    if array is not None:
        return array[m].item()
    number: Any = node["neuron"]
    for part in key.split("."):
        number = number.get(part) if number is not None else None
    return number


def is_float(node: Node) -> bool:
    return bool(node.get("neuron", node).get("datapath", "int") == "float")


def checked(values: Array, node: Node, sample: int, psum_bits: int) -> Array:
    """Values of currents and products must fit `psum_bits` (§1)."""
    if values.dtype.kind == "i" and values.size:
        limit = 2 ** (psum_bits - 1)
        if values.min() < -limit or values.max() >= limit:
            raise ValueError(f"{node['name']}, sample {sample}: a value beyond {psum_bits} bits")
    return values


def synaptic(
    trace: Trace, node: Node, maps: dict[str, Map], bits: int, register_bits: int | None = None
) -> Array:
    """Compute what a population or currents give; a node that takes itself sees what stands in `maps`."""
    M, T, name = int(node["channels"]), trace.timesteps, node["name"]
    floating, spiking = is_float(node), node["kind"] == "neurons"
    known = maps.get(name)
    # A node that takes itself takes what it has computed so far, unless outputs are recorded.
    needs_shape = [s for s in node["synapses"] if s["from"] != name]
    rows, cols = synapses_of(trace, node | {"synapses": needs_shape}, maps)[0].out_size
    out = np.zeros((M, rows, cols, T), np.bool_ if spiking else FLOAT if floating else np.int64)
    synapses = synapses_of(trace, node, maps if known else maps | {name: Map("spikes", out)})
    bias = trace.arrays.get(f"{name}/bias", np.zeros(M, np.int64))
    places = [(m, row, col) for m in range(M) for row in range(rows) for col in range(cols)]
    taps = {place: [synapse.taps(*place) for synapse in synapses] for place in places}
    if not spiking and all(synapse.taken.constant for synapse in synapses):
        for place in places:
            out[place][0] = summed(synapses, taps[place], bias[place[0]], 0, floating)
        return out[..., 0]
    neurons = {}
    if spiking:
        for place in places:
            numbers = lambda key, m=place[0]: neuron_number(trace, node, key, m)  # noqa: E731
            neurons[place] = Neuron(numbers, node["neuron"], floating, bits)
    for t in range(T):
        for place in places:
            register = register_bits if spiking else None
            total = summed(synapses, taps[place], bias[place[0]], t, floating, register)
            out[place][t] = neurons[place].step(total) if spiking else total
    return out


def pooled(node: Node, taken: Map) -> Array:
    """OR over windows."""
    C, height, width, T = taken.values.shape
    window = Window.of(node, (height, width))
    rows, cols = window.out_size
    out = np.zeros((C, rows, cols, T), np.bool_)
    for row in range(rows):
        for col in range(cols):
            for _, _, y, x in window.inside(row, col):
                out[:, row, col] |= taken.values[:, y, x]
    return out


def joined(node: Node, operands: list[Array]) -> Array:
    """Join spikes as the table of §1 says."""
    how = node["how"]
    if how == "slice":
        first, end = node["channels"]
        return operands[0][first:end]
    if how == "concat":
        return np.concatenate(operands, axis=0)
    C, height, width, T = (max(one.shape[k] for one in operands) for k in range(4))
    # Fewer channels serve consecutive ones each, a single position all.
    full = [np.broadcast_to(np.repeat(one, C // len(one), axis=0), (C, height, width, T)) for one in operands]
    if how == "iand":
        assert len(full) == 2
        return full[0] & ~full[1]
    out = full[0]
    for one in full[1:]:
        out = out | one if how == "or" else out & one
    return out


def matrices(values: Array, heads: int, transposed: bool) -> list[Array]:
    """Matrices of a map ``[C, H, W]``: a head each, of ``C / heads`` rows and ``H·W`` columns (§4)."""
    found = list(values.reshape(heads, len(values) // heads, -1))
    return [one.T for one in found] if transposed else found


def multiplied(node: Node, a: Map, b: Map, T: int) -> Array:
    """``Y = A·B`` per time point and head (§4)."""
    heads, floating = int(node.get("heads", 1)), is_float(node)
    assert "spikes" in (a.carries, b.carries)
    scale = node.get("scale", 1)
    shift = round(np.log2(scale))
    assert floating or 2.0**shift == scale, "a power of two in the integer datapath"
    steps = []
    for t in range(T):
        A = matrices(a.at(t), heads, node.get("transpose_a", False))
        B = matrices(b.at(t), heads, node.get("transpose_b", False))
        rows = []
        for left, right in zip(A, B, strict=True):
            for row in left:
                line = []
                for column in right.T:
                    total = FLOAT(0) if floating else 0
                    for p, q in zip(row, column, strict=True):
                        total = total + FLOAT(p) * FLOAT(q) if floating else total + int(p) * int(q)
                    if floating:
                        total = FLOAT(scale) * total
                    else:
                        total = total << shift if shift >= 0 else total >> -shift
                    line.append(total)
                rows.append(line)
        steps.append(rows)
    out = np.moveaxis(np.array(steps, FLOAT if floating else np.int64), 0, -1)  # [channels, positions, T]
    size = (out.shape[1], 1) if node.get("transpose_b", False) else b.values.shape[1:3]
    return out.reshape(len(out), *size, T)


@dataclass
class Evaluated:
    """What every node serves and, of those that compute, what they computed and where it differs."""

    maps: dict[str, Map]
    computed: dict[str, Map]
    mismatched: dict[str, int]


def evaluate(
    trace: Trace, sample: int = 0, *, potential_bits: int = 16, psum_bits: int = 24, wraps: bool = False
) -> Evaluated:
    """Compute every node of a sample, in order (§1); recorded arrays serve consumers (§5 Open loop).

    With `wraps`, what spikes add in neurons wraps around beyond `psum_bits`.
    """
    maps: dict[str, Map] = {}
    computed: dict[str, Map] = {}
    mismatched = {}
    for node in trace.nodes:
        name, kind, known = node["name"], node["kind"], recorded(trace, node, sample)
        if known is not None:
            maps[name] = known
        if kind == "input":
            continue
        if kind == "avgpool":
            maps[name] = Map("spikes", maps[node["from"]].values, pool=node)
            continue
        if kind in ("neurons", "currents"):
            values = synaptic(trace, node, maps, potential_bits, psum_bits if wraps else None)
        elif kind == "maxpool":
            values = pooled(node, maps[node["from"]])
        elif kind == "join":
            values = joined(node, [maps[one].values for one in node["from"]])
        else:
            values = multiplied(node, maps[node["a"]], maps[node["b"]], trace.timesteps)
        spiking = values.dtype == np.bool_
        computed[name] = Map("spikes" if spiking else "currents", checked(values, node, sample, psum_bits))
        if known is not None:
            mismatched[name] = int((known.values != values).sum())
        else:
            maps[name] = computed[name]
    return Evaluated(maps, computed, mismatched)


def digest(given: Map) -> str:
    """``output_sha256`` of a node (§5, `interface.md`)."""
    if given.carries == "spikes":
        data = np.packbits(given.values, axis=-1)
    else:
        data = given.values.astype("<f4" if given.values.dtype.kind == "f" else "<i4")
    return hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()
