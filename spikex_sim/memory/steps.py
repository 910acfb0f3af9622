"""Steps: the unit of time-keeping, and how many cycles their transfers take (Section 5)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.errors import ConfigError
from spikex_sim.memory.engine import Durations
from spikex_sim.spec.arch import Accelerator

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


def joined(groups: list[Steps]) -> Steps:
    """Steps of several groups, one after the other."""
    if len(groups) == 1:
        return groups[0]
    return Steps(**{f.name: np.concatenate([getattr(g, f.name) for g in groups]) for f in fields(Steps)})


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


def durations_of(steps: Steps, arch: Accelerator) -> Durations:
    """Cycles of the five activities of each step; one rounding up per activity and step."""
    memory = arch.memory
    dram_rate = min(arch.dram_bits_per_cycle, Fraction(memory.glb.dram_port_bits))
    port_rate = Fraction(min(memory.glb.array_port_bits, memory.lbuf.port_bits))
    edge_latency = memory.lbuf.latency_cycles if memory.lbuf.bytes else memory.glb.latency_cycles
    edge_rate = Fraction(memory.lbuf.port_bits if memory.lbuf.bytes else memory.glb.array_port_bits)

    longest = [0]

    def cycles(bits: PerStep, rate: Fraction, latency: int) -> PerStep:
        numerator, denominator = rate.numerator, rate.denominator
        most = (INT64_MAX - numerator) // denominator
        if most > 0:
            spent, longest_one = _cycles(bits, numerator, denominator, latency, most)
            longest.append(longest_one)
        if most <= 0 or longest_one < 0:  # Python's integers take over
            whole = -(-bits.astype(object) * denominator // numerator)
            exact = np.where(bits > 0, whole + latency, 0)
            spent = np.minimum(exact, LONGEST_CYCLES).astype(np.int64)
            longest.append(int(spent.max(initial=0)))
        found: PerStep = spent
        return found

    array_side = np.maximum(
        cycles(steps.lbuf_read_bits, edge_rate, edge_latency),
        cycles(steps.lbuf_write_bits, edge_rate, edge_latency),
    )
    durations = Durations(
        fetch=cycles(steps.fetch_bits, dram_rate, memory.dram.latency_cycles),
        load=cycles(steps.load_bits, port_rate, memory.glb.latency_cycles),
        compute=np.maximum(steps.array_cycles, array_side),
        store=cycles(steps.store_bits, port_rate, memory.glb.latency_cycles),
        writeback=cycles(steps.writeback_bits, dram_rate, memory.dram.latency_cycles),
        array=steps.array_cycles,
    )
    if max(*longest, int(steps.array_cycles.max(initial=0))) > LONGEST_CYCLES // (6 * max(1, len(steps))):
        _check_range(durations, arch)
    return durations


@njit(cache=True)
def _cycles(bits: PerStep, numerator: int, denominator: int, latency: int, most: int) -> tuple[PerStep, int]:
    """Cycles of transfers at ``numerator / denominator`` bits a cycle, and the longest; -1: too many bits."""
    spent = np.zeros(len(bits), np.int64)
    longest = 0
    for step in range(len(bits)):
        if bits[step] > most:
            return spent, -1
        if bits[step] > 0:
            whole = (bits[step] * denominator + numerator - 1) // numerator
            spent[step] = min(whole + latency, LONGEST_CYCLES)
            longest = max(longest, spent[step])
    return spent, longest


def undisturbed(steps: Steps) -> Durations:
    """Cycles of each step where memory is taken to be as fast as the array."""
    nothing = np.zeros(len(steps), np.int64)
    return Durations(nothing, nothing, steps.array_cycles, nothing, nothing, array=steps.array_cycles)


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
