"""Cuts the folds of a dense array into chunks that fit the buffers, and counts what each of them touches."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import ROW, Field, Taps, taps_of
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.steps import PerStep

if TYPE_CHECKING:
    from spikex_sim.schedules.dense.schedule import DenseSchedule

Dataflow = Literal["os", "ws", "is"]
DATAFLOWS: tuple[Dataflow, ...] = ("os", "ws", "is")
"""What stays in the PEs: outputs, weights or inputs; kernels take the index."""


@dataclass(frozen=True)
class FoldChunks:
    """Chunks of one channel group in order, int64 or bool arrays ``[chunks]``.

    Attributes
    ----------
    fold, pass_of : int64 array
        Where the chunk belongs.
    r0, r1, k0, k1 : int64 array
        Rows and taps, last excluded.
    first, last : bool array
        Whether it is its fold's first or last chunk.
    array_cycles : int64 array
        Cycles in which operands enter and shared LIF units update, with those before and after a fold.
    filter_words, ifmap_bits : int64 array
        Words of the filters and bits of the ifmap that enter the array.
    outputs : int64 array
        Sums that become complete: updates, and words of the ofmap.
    potential_reads : int64 array
        Those of them whose neuron has a potential already.
    psum_reads, psum_writes : int64 array
        Incomplete sums that enter and leave the array.
    loads_ifmap : bool array
        Whether the chunk's ifmap words come anew.
    frames : int64 array
        Time points of the pass whose first row is in the chunk.
    """

    fold: PerStep
    pass_of: PerStep
    r0: PerStep
    r1: PerStep
    k0: PerStep
    k1: PerStep
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    array_cycles: PerStep
    filter_words: PerStep
    ifmap_bits: PerStep
    outputs: PerStep
    potential_reads: PerStep
    psum_reads: PerStep
    psum_writes: PerStep
    loads_ifmap: NDArray[np.bool_]
    frames: PerStep

    def __len__(self) -> int:
        return len(self.fold)


def cut_folds(schedule: DenseSchedule, length: int, group_lanes: int) -> tuple[FoldChunks, PerStep]:
    """Cut every fold along what streams through the array.

    With the chunks come the words of ifmap, filter and ofmap (partial sums included) that cross its edge.

    Parameters
    ----------
    schedule : DenseSchedule
        The folds.
    length : int
        Most taps (os), rows (ws) or channels (is) of a chunk.
    group_lanes : int
        Output channels of the group.
    """
    table, words = _cut(
        schedule.folds,
        schedule.passes,
        taps_of(schedule.task.inputs.synapses).bits,
        DATAFLOWS.index(schedule.dataflow),
        length,
        group_lanes,
        schedule.points,
        schedule.keeps_filters,
        min(schedule.lif_sharing, group_lanes) - 1,
        schedule.preload_cycles,
        schedule.skew_cycles,
    )
    columns: list[Any] = list(table)
    for index in _FLAGS:
        columns[index] = columns[index] != 0
    return FoldChunks(*columns), words


REMEMBERED = 2039
"""Most sets of positions and taps whose inputs are remembered; a prime, so that they spread."""

_FLAGS = [[item.name for item in fields(FoldChunks)].index(name) for name in ("first", "last", "loads_ifmap")]


@kernel
def _cut(
    folds: NDArray[np.int64],
    passes: NDArray[np.int64],
    bits: NDArray[np.int64],
    dataflow: int,
    length: int,
    group_lanes: int,
    points: int,
    keeps_filters: bool,
    waits_per_update: int,
    preload_cycles: int,
    skew_cycles: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Fields of :class:`FoldChunks`, a row each; words of ifmap, filter and ofmap."""
    number, all_taps = 0, len(bits)
    before = np.zeros(all_taps + 1, np.int64)
    for k in range(all_taps):
        before[k + 1] = before[k] + bits[k] * points
    for fold in range(len(folds)):
        streamed = (folds[fold, 4] - folds[fold, 3], folds[fold, 2] - folds[fold, 1], group_lanes)[dataflow]
        number += -(-streamed // length)
    table, words = np.zeros((17, number), np.int64), np.zeros(3, np.int64)
    i = 0
    for fold in range(len(folds)):
        index, r0, r1, k0, k1 = folds[fold]
        streamed = (k1 - k0, r1 - r0, group_lanes)[dataflow]
        positions = passes[index, 1] - passes[index, 0]
        for start in range(0, streamed, length):
            size = min(length, streamed - start)
            first, last = start == 0, start + size == streamed
            lanes, a0, a1, b0, b1 = group_lanes, r0, r1, k0, k1
            if dataflow == 0:
                b0 = k0 + start
                b1 = b0 + size
            elif dataflow == 1:
                a0 = r0 + start
                a1 = a0 + size
            else:
                lanes = size
            rows, taps = a1 - a0, b1 - b0
            complete = b1 == all_taps
            table[0, i], table[1, i] = fold, index
            table[2, i], table[3, i], table[4, i], table[5, i] = a0, a1, b0, b1
            table[6, i], table[7, i] = first, last
            cycles = size * points + preload_cycles * first + skew_cycles * last
            if complete and dataflow < 2:
                cycles += (points if dataflow == 0 else rows) * waits_per_update
            table[8, i] = cycles
            if not (dataflow == 1 and not first) and not (keeps_filters and a0 > 0):
                table[9, i] = taps * lanes
                words[1] += taps * lanes
            loads = dataflow < 2 or first
            if loads:
                table[10, i] = rows * (before[b1] - before[b0])
                words[0] += rows * taps
            words[2] += rows * lanes if complete or dataflow > 0 else 0
            if complete:
                later = a0 if passes[index, 2] > 0 else min(max(positions, a0), a1)
                table[11, i] = rows * lanes
                table[12, i] = (a1 - later) * lanes
            if dataflow > 0:
                table[13, i] = rows * lanes if b0 > 0 else 0
                table[14, i] = 0 if complete else rows * lanes
            table[15, i] = loads
            table[16, i] = -(-a1 // positions) + (-a0 // positions)
            i += 1
    return table, words


@kernel
def cut_passes(positions: int, times: int, positions_per_pass: int, times_per_pass: int) -> NDArray[np.int64]:
    """Sets of positions outside, blocks of time inside; see :class:`DenseSchedule`."""
    blocks = -(-times // times_per_pass)
    passes = np.zeros((-(-positions // positions_per_pass) * blocks, 4), np.int64)
    for index in range(len(passes)):
        p0, t0 = index // blocks * positions_per_pass, index % blocks * times_per_pass
        passes[index, 0], passes[index, 1] = p0, min(p0 + positions_per_pass, positions)
        passes[index, 2], passes[index, 3] = t0, min(t0 + times_per_pass, times)
    return passes


@kernel
def distinct_bits(
    field: Field,
    taps: Taps,
    passes: NDArray[np.int64],
    pass_of: NDArray[np.int64],
    first_row: NDArray[np.int64],
    last_row: NDArray[np.int64],
    first_tap: NDArray[np.int64],
    last_tap: NDArray[np.int64],
    counted: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Bits of the input words that blocks of rows and taps see, each (input, time) inside the map once.

    What positions side by side see through some taps does not depend on time: it is looked for once, and
    remembered for the time points that follow.

    Parameters
    ----------
    field, taps
        Taps of the layer.
    passes : int64 array ``[passes, 4]``
        See :class:`~spikex_sim.schedules.dense.schedule.DenseSchedule`.
    pass_of, first_row, last_row, first_tap, last_tap : int64 array ``[blocks]``
        The blocks; rows and taps as ranges, last excluded.
    counted : bool array ``[blocks]``
        Blocks to look at; the others have 0.
    """
    pixels, base = len(field.start), np.empty(len(taps.place), np.int64)
    for k in range(len(base)):  # the pixels of a channel side by side, as filter positions see them
        base[k] = (field.taps[taps.place[k], ROW] + taps.channel[k]) * pixels
    seen = np.full(field.channels.shape[1] * pixels, -1, np.int64)
    found = np.zeros(len(pass_of), np.int64)
    mark, known = 0, np.zeros((REMEMBERED, 5), np.int64)
    for block in range(len(pass_of)):
        if not counted[block]:
            continue
        first_p = passes[pass_of[block], 0]
        size = passes[pass_of[block], 1] - first_p
        k0, k1 = first_tap[block], last_tap[block]
        row = first_row[block]
        while row < last_row[block]:
            p0 = first_p + row % size
            p1 = min(first_p + size, p0 + last_row[block] - row)
            row += p1 - p0
            own = known[(p0 * len(base) + k0) % REMEMBERED]
            if own[0] != p0 or own[1] != p1 or own[2] != k0 or own[3] != k1:
                mark += 1
                own[0], own[1], own[2], own[3] = p0, p1, k0, k1
                own[4] = _distinct(field.place, taps, base, p0, p1, k0, k1, seen, mark)
            found[block] += own[4]
    return found


@kernel
def _distinct(
    place: NDArray[np.int32],
    taps: Taps,
    base: NDArray[np.int64],
    p0: int,
    p1: int,
    k0: int,
    k1: int,
    seen: NDArray[np.int64],
    mark: int,
) -> int:
    """Bits of the words that positions ``p0`` to ``p1`` see at one time point; those seen are marked."""
    found = 0
    for p in range(p0, p1):
        for k in range(k0, k1):
            pixel = place[p, taps.place[k]]
            if pixel >= 0:
                n = base[k] + pixel
                if seen[n] != mark:
                    seen[n] = mark
                    found += taps.bits[k]
    return found
