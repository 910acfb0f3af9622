"""How many cycles the activities of each step take (Section 5, Durations)."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.steps import ACTIVITIES, ARRAY, PerStep, Program, Steps
from spikex_sim.spec.arch import Accelerator
from spikex_sim.timing.engine import Durations

INT64_MAX = int(np.iinfo(np.int64).max)
LONGEST_CYCLES = 1 << 62
"""More cycles than any layer may take; sums of fewer stay within int64."""


class Way(NamedTuple):
    """Between two levels: so many bits in so many cycles, and cycles until the first arrive."""

    bits: int
    per_cycles: int
    latency_cycles: int

    @property
    def most_bits(self) -> int:
        """Bits of a transfer whose cycles can be computed in int64; less than 1 where none can."""
        return (INT64_MAX - self.bits) // self.per_cycles

    def cycles(self, bits: PerStep) -> PerStep:
        """Cycles of transfers of any size, by Python's integers."""
        whole = -(-bits.astype(object) * self.per_cycles // self.bits)
        exact = np.where(bits > 0, whole + self.latency_cycles, 0)
        spent: PerStep = np.minimum(exact, LONGEST_CYCLES).astype(np.int64)
        return spent


@lru_cache(maxsize=64)
def table_of(ways: tuple[Way, ...]) -> NDArray[np.int64] | None:
    """Ways as kernels take them, ``[ways, 4]``, with the most bits of each; None where none can be had."""
    if any(way.most_bits < 1 for way in ways):
        return None
    table = np.array([(*way, way.most_bits) for way in ways])
    table.setflags(write=False)
    return table


def durations_of(program: Program, arch: Accelerator) -> Durations:
    """Cycles of the five activities of each step; one rounding up per activity and step.

    Raises
    ------
    ConfigError
        If the layer could last longer than int64 counts.
    """
    memory = arch.memory
    glb, lbuf = memory.glb, memory.lbuf
    rate = min(arch.dram_bits_per_cycle, Fraction(glb.dram_port_bits))
    edge = lbuf if lbuf.bytes else glb
    dram = Way(rate.numerator, rate.denominator, memory.dram.latency_cycles)
    port = Way(min(glb.array_port_bits, lbuf.port_bits), 1, glb.latency_cycles)
    array = Way(lbuf.port_bits if lbuf.bytes else glb.array_port_bits, 1, edge.latency_cycles)
    ways = (dram, port, port, dram, array, array)
    side_by_side = not lbuf.bytes and glb.separate is not None
    flat = np.empty((len(ACTIVITIES), len(program)), np.int64)
    longest = done = 0
    for steps, times in program.runs:
        end = done + times * len(steps)
        longest = max(longest, _fill(flat, done, end, steps, ways, side_by_side))
        done = end
    durations = Durations(*flat)
    if longest > LONGEST_CYCLES // (6 * max(1, len(program))):
        _check_range(durations, arch)
    return durations


def undisturbed(program: Program) -> Durations:
    """Cycles of each step where memory is taken to be as fast as the array."""
    array = program.array_cycles
    nothing = np.zeros(len(array), np.int64)
    return Durations(nothing, nothing, array, nothing, nothing, array=array)


def _fill(
    flat: NDArray[np.int64], start: int, end: int, steps: Steps, ways: tuple[Way, ...], side_by_side: bool
) -> int:
    """Write the durations of some steps as often as there is room for, and return the longest."""
    table = table_of(ways)
    if table is not None:
        longest = int(_durations(flat, start, end, steps.table, steps.spans, table, side_by_side))
        if longest >= 0:
            return longest
    moved = [steps.bits(activity) for activity in ACTIVITIES]
    if side_by_side:
        first, last = steps.spans[ACTIVITIES.index("read")]
        moved[ACTIVITIES.index("read")] = steps.table[first:last].max(axis=0, initial=0)
    fetch, load, store, writeback, read, write = (
        way.cycles(bits) for way, bits in zip(ways, moved, strict=True)
    )
    array = steps.table[ARRAY]
    found = np.array([fetch, load, np.maximum(array, np.maximum(read, write)), store, writeback, array])
    flat[:, start:end] = np.tile(found, (end - start) // max(1, len(steps)))
    return int(found.max(initial=0))


@kernel
def _durations(
    flat: NDArray[np.int64],
    start: int,
    end: int,
    table: NDArray[np.int64],
    spans: NDArray[np.int64],
    ways: NDArray[np.int64],
    side_by_side: bool,
) -> int:
    """Fill ``flat[:, start:end]``, fields of :class:`Durations`; the longest, -1 for too many bits.

    With ``side_by_side`` the array reads each tensor over a port of its own.
    """
    n = table.shape[1]
    spent = np.empty(len(spans), np.int64)
    longest = 0
    for k in range(n):
        for activity in range(len(spans)):
            bits = 0
            for row in range(spans[activity, 0], spans[activity, 1]):
                bits = max(bits, table[row, k]) if side_by_side and activity == 4 else bits + table[row, k]
            if bits > ways[activity, 3]:
                return -1
            cycles = 0
            if bits > 0:
                cycles = (bits * ways[activity, 1] + ways[activity, 0] - 1) // ways[activity, 0]
                cycles = min(cycles + ways[activity, 2], LONGEST_CYCLES)
            spent[activity] = cycles
        array = table[ARRAY, k]
        at = start + k
        flat[0, at], flat[1, at], flat[3, at], flat[4, at] = spent[0], spent[1], spent[2], spent[3]
        flat[2, at], flat[5, at] = max(array, spent[4], spent[5]), array
        for row in range(5):
            longest = max(longest, flat[row, at])
    for row in range(len(flat)):
        own = flat[row, start:end]
        for k in range(np.uintp(n), np.uintp(end - start)):
            own[k] = own[k - np.uintp(n)]
    return longest


def _check_range(durations: Durations, arch: Accelerator) -> None:
    """Raise :class:`ConfigError` if the layer could last longer than int64 counts, all in sequence."""
    total = sum(float(getattr(durations, field.name).sum(dtype=np.float64)) for field in fields(Durations))
    if total > LONGEST_CYCLES:
        raise ConfigError(
            f"a layer would last more than 2^62 cycles; memory.dram.bandwidth_gb_s "
            f"({arch.memory.dram.bandwidth_gb_s:g}) or a port is too slow",
            where=arch.name,
            field="memory",
        )
