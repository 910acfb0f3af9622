"""Steps: the unit of time-keeping, and how many cycles their transfers take (Section 5)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.spec.arch import Accelerator
from spikex_sim.timing.engine import Durations

PerStep = NDArray[np.int64]
"""One number for each step (or chunk, batch, tile)."""

INT64_MAX = int(np.iinfo(np.int64).max)
MAX_STEPS = 1 << 25
"""Most steps of one layer; about 200 bytes each."""
LONGEST_CYCLES = 1 << 62
"""More cycles than any layer may take; sums of fewer stay within int64."""


@dataclass(frozen=True)
class Steps:
    """Bits and cycles of every step of a layer, int64 arrays ``[steps]`` in program order.

    Attributes
    ----------
    group, tile, batch : int64 array
        Where the step belongs; ``batch`` is -1 where nothing is issued.
    fetch_bits, load_bits, store_bits, writeback_bits : int64 array
        DRAM to GLB, GLB to LBUF, LBUF to GLB, and GLB to DRAM.
    array_cycles : int64 array
        Integration, update and skew.
    lbuf_read_bits, lbuf_write_bits : int64 array
        Traffic on the array side of the LBUF, or of the GLB where there is no LBUF.
    """

    group: PerStep
    tile: PerStep
    batch: PerStep
    fetch_bits: PerStep
    load_bits: PerStep
    store_bits: PerStep
    writeback_bits: PerStep
    array_cycles: PerStep
    lbuf_read_bits: PerStep
    lbuf_write_bits: PerStep

    def __len__(self) -> int:
        return len(self.tile)


@dataclass(frozen=True)
class Program:
    """Steps of a layer in program order, with the groups that do the same written once.

    Attributes
    ----------
    runs : tuple of (Steps, int)
        Steps of one group, and how many groups in a row have these; ``group`` is that of the first.
    """

    runs: tuple[tuple[Steps, int], ...]

    def __len__(self) -> int:
        return sum(len(steps) * times for steps, times in self.runs)

    @cached_property
    def compute_cycles(self) -> int:
        """Cycles of the array without stalls."""
        return sum(int(steps.array_cycles.sum()) * times for steps, times in self.runs)

    def adding_to_first(self, **amounts: int) -> Program:
        """The same with so much more in fields of the first step."""
        (steps, times), *rest = self.runs
        changed = {}
        for name, amount in amounts.items():
            changed[name] = getattr(steps, name).copy()
            changed[name][0] += amount
        first = (replace(steps, **changed), 1)
        if times > 1:
            rest = [(replace(steps, group=steps.group + 1), times - 1), *rest]
        return Program((first, *rest))

    @cached_property
    def steps(self) -> Steps:
        """All of them, one after the other."""
        parts = {
            item.name: [np.tile(getattr(steps, item.name), times) for steps, times in self.runs]
            for item in fields(Steps)
        }
        for i, (steps, times) in enumerate(self.runs):
            parts["group"][i] = parts["group"][i] + np.repeat(np.arange(times), len(steps))
        return Steps(**{name: np.concatenate(arrays) for name, arrays in parts.items()})


@dataclass(frozen=True)
class Moves:
    """Bits of one tensor that every step moves, int64 arrays ``[steps]``; see :class:`Steps`.

    Attributes
    ----------
    fetch, load, store, writeback : int64 array
        DRAM to GLB, GLB to LBUF, LBUF to GLB, and GLB to DRAM.
    """

    fetch: PerStep
    load: PerStep
    store: PerStep
    writeback: PerStep

    @classmethod
    def of(cls, steps: Steps) -> Moves:
        """Moves of steps that move nothing but this tensor."""
        return cls(steps.fetch_bits, steps.load_bits, steps.store_bits, steps.writeback_bits)


def joined_moves(groups: list[dict[str, Moves]]) -> dict[str, Moves]:
    """Moves of several groups, one after the other, by tensor."""
    return {
        tensor: Moves(
            **{
                f.name: np.concatenate([getattr(group[tensor], f.name) for group in groups])
                for f in fields(Moves)
            }
        )
        for tensor in groups[0]
    }


def check_number(steps: int, what: str, arch: Accelerator) -> None:
    """Raise :class:`ConfigError` where a layer has more steps than fit the memory of a laptop."""
    if steps > MAX_STEPS:
        raise ConfigError(
            f"a layer of {what} with {steps:,} steps takes too much memory (limit {MAX_STEPS:,} steps); "
            "larger buffers, windows or arrays make fewer",
            where=arch.name,
            field="memory.lbuf.bytes",
        )


def durations_of(program: Program, arch: Accelerator) -> Durations:
    """Cycles of the five activities of each step; one rounding up per activity and step."""
    memory = arch.memory
    glb, lbuf = memory.glb, memory.lbuf
    rate = min(arch.dram_bits_per_cycle, Fraction(glb.dram_port_bits))
    edge = lbuf if lbuf.bytes else glb
    ways = (
        Way(rate.numerator, rate.denominator, memory.dram.latency_cycles),
        Way(min(glb.array_port_bits, lbuf.port_bits), 1, glb.latency_cycles),
        Way(lbuf.port_bits if lbuf.bytes else glb.array_port_bits, 1, edge.latency_cycles),
    )
    flat = np.empty((len(_ACTIVITIES), len(program)), np.int64)
    longest = done = 0
    for steps, times in program.runs:
        part = flat[:, done : done + times * len(steps)]
        longest = max(longest, _fill(part, steps, ways))
        done += part.shape[1]
    durations = Durations(*flat)
    if longest > LONGEST_CYCLES // (6 * max(1, len(program))):
        _check_range(durations, arch)
    return durations


_ACTIVITIES = [item.name for item in fields(Durations)]
_MOVED = ("fetch_bits", "load_bits", "array_cycles", "store_bits", "writeback_bits", "lbuf_read_bits",
          "lbuf_write_bits")  # fmt: skip


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


def _fill(flat: NDArray[np.int64], steps: Steps, ways: tuple[Way, Way, Way]) -> int:
    """Write the durations of some steps as often as there is room for, and return the longest."""
    if all(way.most_bits > 0 for way in ways):
        moved = [getattr(steps, name) for name in _MOVED]
        longest: int = _durations(flat, *moved, *((*way, way.most_bits) for way in ways))
        if longest >= 0:
            return longest
    dram, port, edge = ways
    array_side = np.maximum(edge.cycles(steps.lbuf_read_bits), edge.cycles(steps.lbuf_write_bits))
    found = np.array(
        [
            dram.cycles(steps.fetch_bits),
            port.cycles(steps.load_bits),
            np.maximum(steps.array_cycles, array_side),
            port.cycles(steps.store_bits),
            dram.cycles(steps.writeback_bits),
            steps.array_cycles,
        ]
    )
    flat[:] = np.tile(found, flat.shape[1] // max(1, len(steps)))
    return int(found.max(initial=0))


@njit(cache=True)
def _durations(
    flat: NDArray[np.int64],
    fetch: PerStep,
    load: PerStep,
    array: PerStep,
    store: PerStep,
    writeback: PerStep,
    read: PerStep,
    written: PerStep,
    dram: tuple[int, int, int, int],
    port: tuple[int, int, int, int],
    edge: tuple[int, int, int, int],
) -> int:
    """Fill ``flat [6, times * steps]``, fields of :class:`Durations`; the longest, -1 for too many bits."""
    n = len(fetch)
    longest = 0
    for k in range(n):
        f, l = _cycles(fetch[k], dram), _cycles(load[k], port)  # noqa: E741
        r, o = _cycles(read[k], edge), _cycles(written[k], edge)
        s, w = _cycles(store[k], port), _cycles(writeback[k], dram)
        if min(f, l, r, o, s, w) < 0:
            return -1
        c = max(array[k], r, o)
        flat[0, k], flat[1, k], flat[2, k] = f, l, c
        flat[3, k], flat[4, k], flat[5, k] = s, w, array[k]
        longest = max(longest, f, l, c, s, w)
    for row in range(len(flat)):
        own = flat[row]
        for k in range(np.uintp(n), np.uintp(flat.shape[1])):
            own[k] = own[k - np.uintp(n)]
    return longest


@njit(cache=True)
def _cycles(bits: int, way: tuple[int, int, int, int]) -> int:
    """Cycles of a transfer over a :class:`Way`; -1 for more bits than its most, which follow its fields."""
    if bits > way[3]:
        return -1
    if bits <= 0:
        return 0
    return min((bits * way[1] + way[0] - 1) // way[0] + way[2], LONGEST_CYCLES)


def undisturbed(program: Program) -> Durations:
    """Cycles of each step where memory is taken to be as fast as the array."""
    array = np.concatenate([np.tile(steps.array_cycles, times) for steps, times in program.runs])
    nothing = np.zeros(len(array), np.int64)
    return Durations(nothing, nothing, array, nothing, nothing, array=array)


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
