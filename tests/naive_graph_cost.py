"""The slow oracle of graph networks, cost part: counts and compute cycles of every node. Follow `costs`.

Written from the text on networks (cited as "§n") and the hardware model (as "model §n"), independently of
the package and sharing no code with it. As if the buffers were unlimited: `mapping.tile: layer`. Its other
parts are `naive_graph_tags` (tags of currents) and `naive_graph_moves` (what crosses to DRAM).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any

import numpy as np

from naive_graph import Evaluated, is_float, matrices, neuron_number, summed
from naive_graph_tags import Issued, Place, entering, issued_of_layers, issued_of_slices
from naive_graph_trace import Map, Node, Synapse, Trace, synapses_of

Counts = dict[str, Any]
#: A tap that may be streamed: (synapse, channel, i, j).
Key = tuple[int, int, int, int]

COUNTED = ("batches", "ntwus", "streamed_taps", "accumulations", "multiplications", "lif_updates",
           "compute_cycles")  # fmt: skip
NOTHING = dict.fromkeys(COUNTED, 0) | {"mode": None}


@dataclass(frozen=True)
class Machine:
    """``spikex`` or ``ptb`` at a window size, and whether it computes what is constant once (§3).

    ``tags``: `currents.tags: issued` (§8).
    """

    name: str
    tws: int
    reuse: bool = True
    tags: bool = False
    rows: int = 8
    cols: int = 8


@dataclass
class Layer:
    """A layer of the hardware model: what its columns (position, window) stream and how long they update.

    ``additions`` and ``products`` are the set spike bits and the analog values of every active tap of a
    column; a tap in ``own`` concerns the one row given there, all others every row.
    """

    channels: range
    positions: int
    windows: int
    tws: int
    update: int  # cycles of a window, words of currents aside
    everything: bool  # every NTWU is active
    fires: bool  # there are neurons to update
    run: int | None = None  # windows that can be computed before outputs are needed again
    additions: dict[tuple[int, int], Counter[Key]] = field(default_factory=dict)
    products: dict[tuple[int, int], Counter[Key]] = field(default_factory=dict)
    own: dict[Key, int] = field(default_factory=dict)
    scaled: list[tuple[Synapse, bool]] = field(default_factory=list)  # of currents; whether once a window
    times: int = 1
    words: Counter[Place] = field(default_factory=Counter)  # of currents, that a neuron takes in a column
    tags: Counter[int] = field(
        default_factory=Counter
    )  # of these, that it looks at in a window at a position
    awake: set[Place] = field(default_factory=set)  # columns in which tags say that currents were issued
    leaves: str = "words"  # "spikes" with their tags, "words", or "tagged words"
    every_tap: set[Key] = field(default_factory=set)  # of a product

    def scalings(self, rows: range, p: int, w: int) -> int:
        """Addends of currents that a column multiplies by a weight other than 1 (§3)."""
        points, found = min(self.tws, self.times - w * self.tws), 0
        for synapse, once in self.scaled:
            if any(True for _ in synapse.window.inside(*divmod(p, synapse.out_size[1]))):
                found += sum(synapse.weight[m] != 1 for m in rows) * (1 if once else points)
        return found

    def taps(self, column: tuple[int, int]) -> set[Key]:
        return set(self.additions.get(column, ())) | set(self.products.get(column, ()))

    def is_active(self, column: tuple[int, int]) -> bool:
        return self.everything or bool(self.taps(column)) or column in self.awake


def has_bias(trace: Trace, node: Node) -> bool:
    """Whether there is a bias in any channel."""
    return bool(trace.arrays.get(f"{node['name']}/bias", np.zeros(1)).any())


def fires_in_silence(trace: Trace, node: Node) -> bool:
    """Whether a neuron without input can fire (§2)."""
    neuron = node["neuron"]
    thresholds = [neuron_number(trace, node, "threshold", m) for m in range(int(node["channels"]))]
    at = neuron.get("fires", "above") == "at"
    return not (
        neuron.get("reset", "zero") == "zero"
        and neuron.get("reset_delay", 0) == 0
        and all(threshold > 0 if at else threshold >= 0 for threshold in thresholds)
        and not has_bias(trace, node)
        and "current" not in neuron
        and "adaptation" not in neuron
    )


def parts_of(M: int, synapses: list[Synapse]) -> list[range]:
    """Output channels, cut where any synapse has a group boundary (§2)."""
    cuts = {0, M}
    for synapse in synapses:
        if not synapse.own:
            cuts |= set(range(0, M, M // synapse.groups))
    return [range(first, end) for first, end in pairwise(sorted(cuts))]


def fill(layer: Layer, synapses: list[tuple[int, Synapse]], T: int) -> None:
    """Note what every column streams of the taps inside the map."""
    for k, synapse in synapses:
        rows, cols = synapse.out_size
        for p in range(rows * cols):
            channels = layer.channels if synapse.own else layer.channels[:1]  # one stands for all
            for m in channels:
                for c, i, j, y, x, _ in synapse.taps(m, *divmod(p, cols)):
                    key = (k, c, i, j)
                    if synapse.own:
                        layer.own[key] = m
                    for w in range(layer.windows):
                        times = range(w * layer.tws, min(T, (w + 1) * layer.tws))
                        if synapse.carries == "analog":  # active at every time point
                            layer.products.setdefault((p, w), Counter())[key] = len(times)
                            continue
                        earlier = [t - synapse.delay for t in times]  # the input as shifted
                        bits = sum(bool(synapse.taken.at(t)[c, y, x]) for t in earlier)
                        if bits:
                            layer.additions.setdefault((p, w), Counter())[key] = bits


@dataclass
class Work:
    """Synapses of a node as the machines treat them (§2, §3), each with its number in the node."""

    every: list[Synapse]
    once: list[tuple[int, Synapse]]  # constant analog: one pass
    streamed: list[tuple[int, Synapse]]  # spikes, analog values of every time point
    currents: list[Synapse]
    parts: list[range]
    whole_pass: bool  # constant currents are a pass as a whole
    delay: int | None  # the smallest of the synapses from the node to itself

    @property
    def positions(self) -> int:
        rows, cols = self.every[0].out_size
        return rows * cols


def work_of(trace: Trace, node: Node, maps: dict[str, Map], reuse: bool) -> Work:
    """Sort the synapses of a population or of currents."""
    every = synapses_of(trace, node, maps)
    is_once = [s.carries == "analog" and s.taken.constant and reuse for s in every]
    streams = [s.carries != "currents" and not is_once[k] for k, s in enumerate(every)]
    return Work(
        every,
        once=[(k, s) for k, s in enumerate(every) if is_once[k]],
        streamed=[(k, s) for k, s in enumerate(every) if streams[k]],
        currents=[s for s in every if s.carries == "currents"],
        parts=parts_of(int(node["channels"]), every),
        whole_pass=reuse and node["kind"] == "currents" and all(s.taken.constant for s in every),
        delay=min((s.delay for s in every if s.source == node["name"]), default=None),
    )


def passes_of(work: Work) -> list[Layer]:
    """Layers that compute what is constant, a part each: T = 1, TWS = 1, all NTWUs active (§3 reuse)."""
    passes = []
    for part in work.parts if work.once or work.whole_pass else []:
        layer = Layer(part, work.positions, 1, 1, 1, everything=True, fires=False)
        entering(layer, work.currents if work.whole_pass else [], {}, 1, once=True)
        layer.scaled = [(synapse, True) for synapse in work.currents if work.whole_pass]
        fill(layer, work.once, 1)
        passes.append(layer)
    return passes


def main_layers(
    trace: Trace, node: Node, work: Work, machine: Machine, issued: Issued | None = None
) -> list[Layer]:
    """Layers of all time points, a part each; none where the pass is all."""
    if work.whole_pass:
        return []
    fires, T, tws = node["kind"] == "neurons", trace.timesteps, machine.tws
    if work.delay is not None and tws > work.delay:
        raise ValueError(f"{node['name']}: TWS {tws} > {work.delay}")
    states = 1 + ("current" in node["neuron"]) + ("adaptation" in node["neuron"]) if fires else 1
    once = [s.taken.constant and machine.reuse for s in work.currents]
    everything = (
        (fires_in_silence(trace, node) if fires else has_bias(trace, node) or not machine.tags)
        or any(synapse.carries == "analog" for _, synapse in work.streamed)
        or any(s.taken.values.any() for s in work.currents if s.source not in (issued or {}))
        or gives_anything(work, is_float(node))
    )
    layers = []
    for part in work.parts:
        layer = Layer(part, work.positions, -(-T // tws), tws, states * tws, everything, fires)
        layer.leaves = "spikes" if fires else "tagged words" if machine.tags else "words"
        layer.scaled, layer.times = list(zip(work.currents, once, strict=True)), T
        layer.run = work.delay // tws if work.delay is not None else None
        entering(layer, work.currents, issued or {}, T, once=machine.reuse)
        for column in product(range(layer.positions), range(layer.windows)):
            layer.words[column] += bool(work.once)  # a pass leaves one word per neuron
        fill(layer, work.streamed, T)
        layers.append(layer)
    return layers


def gives_anything(work: Work, floating: bool) -> bool:
    """Whether the pass of constant synapses leaves any word but 0."""
    chosen = [synapse for _, synapse in work.once]
    for part in work.parts if chosen else []:
        for m in part:
            for p in range(work.positions):
                taps = [synapse.taps(m, *divmod(p, chosen[0].out_size[1])) for synapse in chosen]
                if summed(chosen, taps, 0, 0, floating):
                    return True
    return False


def batches_of(
    layer: Layer, machine: Machine, windows: range, temporal: bool
) -> Iterator[list[tuple[int, int]]]:
    """Columns (position, window) of every batch of a tile, in the order of issue (model §3, §7 PTB)."""
    columns = [(p, w) for w in windows for p in range(layer.positions)]
    if machine.name == "spikex":
        columns = [column for column in columns if layer.is_active(column)]
    if machine.name == "spikex" and not temporal:
        for first in range(0, len(columns), machine.cols):
            yield columns[first : first + machine.cols]
        return
    for p in range(layer.positions):
        its_own = [column for column in columns if column[0] == p]
        for first in range(0, len(its_own), machine.cols):
            yield its_own[first : first + machine.cols]


def count(layer: Layer, machine: Machine) -> Counts:
    """Counts and compute cycles of one layer (model §3, §4)."""
    active = sum(layer.is_active((p, w)) for p in range(layer.positions) for w in range(layer.windows))
    total = dict(NOTHING) | {"ntwus": active * len(layer.channels)}
    temporal = active > machine.cols * layer.positions and layer.run is None  # recurrence is always spatial
    if machine.name == "spikex":
        total["mode"] = "temporal" if temporal else "spatial"
    run = layer.run or layer.windows
    last: dict[tuple[int, int], int] = {}  # silence is owed across runs, by row group and position
    for start in range(0, layer.windows, run):  # run > g > batch
        windows = range(start, min(start + run, layer.windows))
        for first in range(0, len(layer.channels), machine.rows):
            group = layer.channels[first : first + machine.rows]
            widest = 0
            for columns in batches_of(layer, machine, windows, temporal):
                widest = max(widest, len(columns))
                phases: Counter[int] = Counter()
                taps: set[Key] = set()
                for p, w in columns:
                    owed = w - last[first, p] - 1 if (first, p) in last else 0
                    last[first, p] = w
                    phases[p] += layer.update + layer.words[p, w] + owed
                    here = {tap for tap in layer.taps((p, w)) if layer.own.get(tap, group[0]) in group}
                    taps |= here
                    for tap in here:  # a tap of one row counts for one row
                        rho = 1 if tap in layer.own else len(group)
                        total["accumulations"] += rho * layer.additions.get((p, w), Counter())[tap]
                        total["multiplications"] += rho * layer.products.get((p, w), Counter())[tap]
                    total["multiplications"] += layer.scalings(group, p, w)
                total["batches"] += 1
                total["streamed_taps"] += len(taps)
                total["lif_updates"] += len(group) * len(columns) * layer.tws if layer.fires else 0
                total["compute_cycles"] += len(taps) * layer.tws + max(phases.values())
            if widest:
                total["compute_cycles"] += len(group) - 1 + widest - 1  # the end token crosses once per tile
    return total


def added(counts: list[Counts]) -> Counts:
    """Counts of several layers; their mode is ``mixed`` where it differs."""
    modes = {one["mode"] for one in counts}
    return {key: sum(one[key] for one in counts) for key in COUNTED} | {
        "mode": modes.pop() if len(modes) == 1 else "mixed"
    }


def streamed_of(node: Node, maps: dict[str, Map]) -> str:
    """Return which operand of a product is streamed (§4)."""
    a, b = maps[node["a"]], maps[node["b"]]
    if a.carries == b.carries == "spikes":
        return "b" if b.values.sum() < a.values.sum() else "a"
    return "a" if a.carries == "spikes" else "b"


def filter_bits(trace: Trace, maps: dict[str, Map], name: str) -> int:
    """Bits of a value of the operand that is not streamed (§4)."""
    given, source = maps[name], next(node for node in trace.nodes if node["name"] == name)
    if given.carries == "spikes":
        return 1
    if given.values.dtype.kind == "f":
        product = source["kind"] == "matmul" and source.get("scale", 1) == 1
        if not (product and all(maps[source[key]].carries == "spikes" for key in ("a", "b"))):
            return 32
    low, high = int(given.values.min()), int(given.values.max())
    if low >= 0:
        return max(1, high.bit_length())
    return max((~low).bit_length(), max(high, 0).bit_length()) + 1


def slices(trace: Trace, node: Node, maps: dict[str, Map], tags: bool = False) -> Iterator[Layer]:
    """Return a layer for each time point and head (§4): taps are rows of B, or columns of A."""
    heads, b_streamed = int(node.get("heads", 1)), streamed_of(node, maps) == "b"
    for t in range(trace.timesteps):
        A = matrices(maps[node["a"]].at(t), heads, node.get("transpose_a", False))
        B = matrices(maps[node["b"]].at(t), heads, node.get("transpose_b", False))
        for left, right in zip(A, B, strict=True):
            spikes = right.T if b_streamed else left  # [positions, taps]
            channels = len(left) if b_streamed else right.shape[1]
            P = len(spikes)
            layer = Layer(range(channels), P, 1, 1, 1, everything=not tags, fires=False)
            layer.leaves = "tagged words" if tags else "words"
            layer.every_tap = {(0, k, 0, 0) for k in range(spikes.shape[1])}
            for p, row in enumerate(spikes):
                layer.additions[p, 0] = Counter({(0, int(k), 0, 0): 1 for k in np.flatnonzero(row)})
            yield layer


def laid(
    trace: Trace, evaluated: Evaluated, machine: Machine
) -> Iterator[tuple[Node, list[Layer], list[Layer]]]:
    """Every node but inputs, in order: layers of its passes, and of all time points.

    Raises
    ------
    ValueError
        If windows are longer than the smallest delay of a recurrent synapse (§2 Recurrence).
    """
    maps, issued = evaluated.maps, Issued()
    for node in trace.nodes:
        name, passes, main = node["name"], list[Layer](), list[Layer]()
        if node["kind"] in ("neurons", "currents"):
            work = work_of(trace, node, maps, machine.reuse)
            passes, main = passes_of(work), main_layers(trace, node, work, machine, issued)
            if machine.tags and node["kind"] == "currents" and main:
                issued[name] = issued_of_layers(main, machine.name == "ptb", maps[name], trace.timesteps)
        elif node["kind"] == "matmul":
            main = list(slices(trace, node, maps, machine.tags))
            if machine.tags:
                rows = streamed_of(node, maps) == "a"
                every, heads = machine.name == "ptb", int(node.get("heads", 1))
                issued[name] = issued_of_slices(main, every, maps[name], heads, rows=rows)
        if node["kind"] != "input":
            yield node, passes, main


def costs(trace: Trace, evaluated: Evaluated, machine: Machine) -> dict[str, Counts]:
    """Counts of every node but inputs, in order, of one sample on ``spikex`` or ``ptb``; see `laid`."""
    found: dict[str, Counts] = {}
    for node, passes, main in laid(trace, evaluated, machine):
        name, maps = node["name"], evaluated.maps
        if not main and not passes:
            found[name] = dict(NOTHING)
            continue
        found[name] = added([count(layer, machine) for layer in passes + main])
        found[name]["mode"] = added([count(layer, machine) for layer in main or passes])["mode"]
        if node["kind"] == "matmul":
            stream = streamed_of(node, maps)
            other = node["a" if stream == "b" else "b"]
            found[name] |= {"stream": stream, "filter_bits": filter_bits(trace, maps, other)}
    return found


def dense_cycles(P: int, K: int, N: int, rows: int, cols: int) -> Counts:
    """Cycles of a dense product by dataflow; none where there is nothing to multiply (§3)."""
    if K == 0:
        return {"os": 0, "ws": 0, "is": 0}
    through = 2 * rows + cols - 2
    return {
        "os": -(-P // rows) * -(-N // cols) * (K + rows + cols - 2),
        "ws": -(-K // rows) * -(-N // cols) * (P + through),
        "is": -(-K // rows) * -(-P // cols) * (N + through),
    }


def dense_taps(synapses: list[tuple[int, Synapse]], part: range) -> int:
    """K of a part: the sum of the taps, own-channel ones for each channel (§2)."""
    total = 0
    for _, synapse in synapses:
        kernel = synapse.window.kernel[0] * synapse.window.kernel[1]
        total += kernel * (len(part) if synapse.own else synapse.weight.shape[1])
    return total


def dense_costs(
    trace: Trace, evaluated: Evaluated, reuse: bool = True, rows: int = 8, cols: int = 8
) -> dict[str, Counts]:
    """Compute cycles of every node but inputs on dense arrays, by dataflow."""
    found: dict[str, Counts] = {}
    for node in trace.nodes:
        T, maps = trace.timesteps, evaluated.maps
        products: list[tuple[int, int, int]] = []  # P, K, N
        if node["kind"] in ("neurons", "currents"):
            work = work_of(trace, node, maps, reuse)
            for part in work.parts:
                products.append((work.positions, dense_taps(work.once, part), len(part)))
                run = work.delay or T  # the rows end with the run
                for start in range(0, 0 if work.whole_pass else T, run):
                    P = work.positions * min(run, T - start)
                    products.append((P, dense_taps(work.streamed, part), len(part)))
        elif node["kind"] == "matmul":
            A = matrices(maps[node["a"]].at(0), int(node.get("heads", 1)), node.get("transpose_a", False))
            for layer in slices(trace, node, maps):
                K = A[0].shape[1]
                products.append((layer.positions, K, len(layer.channels)))
        elif node["kind"] == "input":
            continue
        else:
            found[node["name"]] = dict(NOTHING)
            continue
        each = [dense_cycles(*product, rows, cols) for product in products]
        found[node["name"]] = {flow: sum(one[flow] for one in each) for flow in ("os", "ws", "is")}
    return found
