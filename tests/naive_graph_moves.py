"""The slow oracle of graph networks: bits that cross to DRAM and back on ``spikex`` and ``ptb``.

Written from the text on networks (cited as "§n") and the hardware model (as "model §n") alone, sharing no
code with the package. One tile for each run, in which everything fits: weights aside, what moves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from naive_graph import Evaluated, is_float
from naive_graph_cost import Layer, Machine, Work, laid, work_of
from naive_graph_trace import Map, Node, Trace

#: Bits by tensor and direction, as seen from DRAM.
Moved = Counter[tuple[str, str]]

PSUM_BITS = 24
BITWISE = ("or", "and", "iand")


def moved(trace: Trace, evaluated: Evaluated, machine: Machine, *, joins_read: bool) -> dict[str, Moved]:
    """Bits of every node but inputs, in order; filters are left out."""
    found = {}
    for node, passes, main in laid(trace, evaluated, machine):
        total = Moved()
        found[node["name"]] = total
        if node["kind"] == "join":
            if joins_read and node["how"] in BITWISE:
                for name in node["from"]:
                    total += stored(evaluated.maps[name], machine.tws)
            found[node["name"]] = total
            continue
        work = None
        if node["kind"] in ("neurons", "currents"):
            work = work_of(trace, node, evaluated.maps, machine.reuse)
        width = 32 if is_float(node) else PSUM_BITS
        for layer in passes + main:
            total += outputs(layer, machine, width)
            if work is None:
                total += product_blocks(layer, machine)
            else:
                total += blocks(trace, node, layer, work, machine, is_pass=layer in passes)
    return found


def stored(spikes: Map, tws: int) -> Moved:
    """Spikes as they are stored: a word for each window with a spike, and all tags (model §5)."""
    T, total = spikes.values.shape[-1], Moved()
    for neuron in spikes.values.reshape(-1, T):
        for start in range(0, T, tws):
            total["ifmap", "read"] += tws * bool(neuron[start : start + tws].any())
            total["tag", "read"] += 1
    return total


def dense_reads(
    trace: Trace, evaluated: Evaluated, name: str, joins_read: bool
) -> dict[tuple[str, str], int]:
    """Bits that a join reads on a dense array, where nothing has tags: all of its operands."""
    node = next(node for node in trace.nodes if node["name"] == name)
    if not joins_read or node["how"] not in BITWISE:
        return {}
    return {("ifmap", "read"): sum(evaluated.maps[one].values.size for one in node["from"])}


def outputs(layer: Layer, machine: Machine, width: int) -> Moved:
    """What leaves, and the currents that enter a neuron for its update (§3)."""
    total, rows = Moved(), len(layer.channels)
    for p in range(layer.positions):
        for w in range(layer.windows):
            if layer.leaves != "words":
                total["tag", "write"] += rows
            if machine.name == "ptb" or layer.is_active((p, w)):
                total["psum", "read"] += rows * layer.words[p, w] * width
                total["tag", "read"] += rows * layer.tags[p]
                if layer.leaves == "spikes":
                    total["ofmap", "write"] += rows * layer.tws
                else:
                    total["psum", "write"] += rows * layer.tws * width
    return total


def runs(layer: Layer) -> Iterator[range]:
    size = layer.run or layer.windows
    for start in range(0, layer.windows, size):
        yield range(start, min(start + size, layer.windows))


def blocks(trace: Trace, node: Node, layer: Layer, work: Work, machine: Machine, *, is_pass: bool) -> Moved:
    """SP-MBs: of each synapse, channel and run, all pixels and windows, where active (model §5)."""
    total = Moved()
    for k, synapse in work.once if is_pass else work.streamed:
        bits = 1
        if synapse.carries == "analog":
            bits = value_bits(trace, synapse.source)
        rows, cols = synapse.out_size
        places = [divmod(p, cols) for p in range(rows * cols)]
        pixels = {(y, x) for place in places for _, _, y, x in synapse.window.inside(*place)}
        channels = {(c,) for m in layer.channels for c in synapse.channels_for(m)}
        flat = node["synapses"][k]["kind"] == "linear"  # every value of the map is a channel
        if flat:
            channels = {(*one, *pixel) for one in channels for pixel in pixels}
        active = set()
        for (_, w), taps in [*layer.additions.items(), *layer.products.items()]:
            active |= {((c, i, j) if flat else (c,), w) for tap_of, c, i, j in taps if tap_of == k}
        for channel in channels:
            for windows in runs(layer):
                if machine.name == "ptb" or any((channel, w) in active for w in windows):
                    units = (1 if flat else len(pixels)) * len(windows)
                    total["ifmap", "read"] += units * layer.tws * bits
                    total["tag", "read"] += units * (synapse.carries == "spikes")
    return total


def product_blocks(layer: Layer, machine: Machine) -> Moved:
    """SP-MBs of a product: a position has one value of each tap."""
    total = Moved()
    for tap in layer.every_tap:
        if machine.name == "ptb" or any(
            tap in layer.additions.get((p, 0), ()) for p in range(layer.positions)
        ):
            total["ifmap", "read"] += layer.positions
            total["tag", "read"] += layer.positions
    return total


def value_bits(trace: Trace, name: str) -> int:
    node: Node = next(node for node in trace.nodes if node["name"] == name)
    return int(node["values"].get("bits", 8))
