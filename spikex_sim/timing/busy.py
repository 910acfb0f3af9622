"""How long each resource is busy with a layer, at its own width: what bounds it if all else is free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.steps import ACTIVITIES, Program, Steps
from spikex_sim.spec.arch import Accelerator
from spikex_sim.timing.durations import Way, table_of

RESOURCES = ("array", "dram", "glb_dram", "glb_array", "lbuf_glb", "lbuf_array")
"""PE array, DRAM channel, and both sides of GLB and LBUF: each by what is on its other side."""
Busy = FrozenMap[str, int]
"""Cycles by resource."""
FETCH, LOAD, STORE, WRITEBACK, READ, WRITE = range(len(ACTIVITIES))


def idle() -> Busy:
    """Nothing is busy."""
    return FrozenMap(dict.fromkeys(RESOURCES, 0))


def busy_of(program: Program, arch: Accelerator, *, waits: bool = True) -> Busy:
    """Cycles that each resource needs by itself for what a layer moves, one rounding up a step.

    Two sides of one link are busy with the same bits; the narrower one takes longer, and the link as long.
    What is read and written at once counts once. Without an LBUF its sides have nothing to do.

    Parameters
    ----------
    program : Program
        Steps of the layer.
    arch : Accelerator
        Ports and bandwidths.
    waits : bool
        Whether the array waits for memory; else memory takes no time, and the array alone is busy.
    """
    found = dict.fromkeys(RESOURCES, 0) | {"array": program.compute_cycles}
    if not waits:
        return FrozenMap(found)
    memory = arch.memory
    glb, lbuf = memory.glb, memory.lbuf
    dram = arch.dram_bits_per_cycle
    links = {
        "dram": Way(dram.numerator, dram.denominator, memory.dram.latency_cycles),
        "glb_dram": Way(glb.dram_port_bits, 1, memory.dram.latency_cycles),
        "glb_array": Way(glb.array_port_bits, 1, glb.latency_cycles),
        "lbuf_glb": Way(lbuf.port_bits, 1, glb.latency_cycles),
        "lbuf_array": Way(lbuf.port_bits, 1, lbuf.latency_cycles),
    }
    if not lbuf.bytes:
        del links["lbuf_glb"], links["lbuf_array"]
    edge = "lbuf_array" if lbuf.bytes else "glb_array"
    side_by_side = not lbuf.bytes and glb.separate is not None
    for steps, times in program.runs:
        spent = _spent(steps, tuple(links.values()), list(links).index(edge), side_by_side)
        for name, cycles in zip(links, spent, strict=True):
            found[name] += cycles * times
    return FrozenMap(found)


def _spent(steps: Steps, ways: tuple[Way, ...], edge: int, side_by_side: bool) -> list[int]:
    """Cycles of every way: two to DRAM, then those between the buffers, of which one is at the array."""
    table = table_of(ways)
    if table is not None:
        spent: list[int] = _sums(steps.table, steps.spans, table, edge, side_by_side).tolist()
        if spent[0] >= 0:
            return spent
    moved = [steps.bits(activity) for activity in ACTIVITIES]
    if side_by_side:
        first, last = steps.spans[READ]
        moved[READ] = steps.table[first:last].max(axis=0, initial=0)
    found = []
    for index, way in enumerate(ways):
        if index == edge:
            found.append(int(np.maximum(way.cycles(moved[READ]), way.cycles(moved[WRITE])).sum()))
        else:
            pair = (FETCH, WRITEBACK) if index < 2 else (LOAD, STORE)
            found.append(sum(int(way.cycles(moved[activity]).sum()) for activity in pair))
    return found


@kernel
def _sums(
    table: NDArray[np.int64],
    spans: NDArray[np.int64],
    ways: NDArray[np.int64],
    edge: int,
    side_by_side: bool,
) -> NDArray[np.int64]:
    """Sums of :func:`_spent`, the first of them -1 for too many bits."""
    moved = np.empty(len(spans), np.int64)
    spent = np.zeros(len(ways), np.int64)
    for k in range(table.shape[1]):
        for activity in range(len(spans)):
            bits = 0
            for row in range(spans[activity, 0], spans[activity, 1]):
                bits = max(bits, table[row, k]) if side_by_side and activity == READ else bits + table[row, k]
            moved[activity] = bits
        for way in range(len(ways)):
            first, second = (FETCH, WRITEBACK) if way < 2 else (LOAD, STORE)
            if way == edge:
                first, second = READ, WRITE
            cycles = 0
            for activity in (first, second):
                bits, own = moved[activity], 0
                if bits > ways[way, 3]:
                    spent[0] = -1
                    return spent
                if bits > 0:
                    own = (bits * ways[way, 1] + ways[way, 0] - 1) // ways[way, 0] + ways[way, 2]
                cycles = max(cycles, own) if way == edge else cycles + own
            spent[way] += cycles
    return spent
