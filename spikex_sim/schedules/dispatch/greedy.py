"""Policies that put NTWUs together whose taps overlap: greedily, and with a look ahead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.schedules.dispatch.agile import AgileDispatch
from spikex_sim.schedules.dispatch.sets import TapSets, tap_sets
from spikex_sim.schedules.ntwu.packing import (
    NO_HARDWARE,
    DispatchHardware,
    DispatchSizes,
    Knobs,
    Packing,
    TileView,
)

TAGS_A_CYCLE = 64
"""Tags of a candidate that its comparator takes in a cycle: the width of an LBUF port."""
IN_ORDER = -1.0
"""In place of a credit: candidates as they come."""
WAYS = (IN_ORDER, 0.0, 0.5)
"""Ways to fill batches that are tried ahead."""


class OverlapDispatch(AgileDispatch):
    """Adds to a batch the NTWU, of a window of candidates, that adds least to what the batch streams.

    Candidates are the next active NTWUs in the order of SpikeX's mode, of each position the earliest; the
    oldest starts a batch. What one adds is counted in slots of ``TWS`` cycles: taps that no column of the
    batch streams so far, and windows by which the update phase gets longer; ``dispatch_credit`` times its own
    taps are taken off, so that large sets that fit well come before small ones that do not. Ties go to the
    oldest.
    """

    def ways(self, knobs: Knobs) -> tuple[float, ...]:
        """Credits to try for every batch."""
        return (knobs.credit,)

    def batches(self, knobs: Knobs) -> int:  # noqa: ARG002
        """Batches over which ways are compared."""
        return 1

    def pack(self, tile: TileView, cols: int, mode: str) -> Packing:
        """See :class:`~spikex_sim.schedules.ntwu.packing.DispatchPolicy`."""
        if mode == "temporal":
            position, window = np.nonzero(tile.active)
        else:
            window, position = np.nonzero(tile.active.T)
        if len(tile.active) == 1:  # of a position the earliest window comes first
            return Packing(position, window, np.arange(0, len(position), cols))
        knobs = tile.knobs
        order, starts = _pack(
            tap_sets(tile, position, window), position, len(tile.active), tile.inputs.taps, cols,
            knobs.candidates, np.array(self.ways(knobs)), self.batches(knobs),
        )  # fmt: skip
        return Packing(position[order], window[order], starts)

    def hardware(self, sizes: DispatchSizes) -> DispatchHardware:
        """A window of candidates with a comparator each, which takes :data:`TAGS_A_CYCLE` tags a cycle.

        Every column but the first of a batch is one pass over all tags and a cycle to find the least.
        """
        if sizes.positions == 1:
            return NO_HARDWARE
        ways, batches = len(self.ways(sizes.knobs)), self.batches(sizes.knobs)
        passes = (sizes.cols - 1) * (1 if ways == 1 else ways * batches + 1)
        ntwus = sizes.positions * sizes.windows
        candidates = min(sizes.knobs.candidates, ntwus)
        return DispatchHardware(
            candidates=min(candidates + (batches - 1) * sizes.cols, ntwus),
            tag_bits=sizes.taps,
            comparators=candidates,
            cycles_per_batch=passes * (-(-sizes.taps // TAGS_A_CYCLE) + 1),
            compared_bits=passes * candidates * sizes.taps,
            stored_bits=sizes.cols * sizes.taps,
        )


class LookaheadDispatch(OverlapDispatch):
    """Fills every batch in the way that streams least over the next ``dispatch_batches`` batches.

    Ways are: as the NTWUs come, as :class:`OverlapDispatch`, and the same with half of their own taps as
    credit. Each is carried on for so many batches; the batch of the best is issued, then all is done anew.
    """

    def ways(self, knobs: Knobs) -> tuple[float, ...]:  # noqa: ARG002
        """Three."""
        return WAYS

    def batches(self, knobs: Knobs) -> int:
        """As configured."""
        return knobs.batches


@kernel
def _pack(
    sets: TapSets,
    position: NDArray[np.int64],
    positions: int,
    taps: int,
    cols: int,
    most: int,
    ways: NDArray[np.float64],
    ahead: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order NTWUs that are given in the order in which they become candidates; first of each batch."""
    total = len(position)
    order, starts = np.empty(total, np.int64), np.empty(total + 1, np.int64)
    waiting, tried = np.empty(most, np.int64), np.empty(most, np.int64)
    chosen = np.empty(cols, np.int64)
    streamed, seen = np.zeros(max(1, taps), np.int64), np.zeros(positions, np.int64)
    updated, updates = np.zeros(positions, np.int64), np.zeros(positions, np.int64)
    scratch = (streamed, seen, updated, updates)
    marks = np.zeros(2, np.int64)  # numbers of the batch and of the choice, over all that is tried
    done = batches = count = following = 0
    while done < total:
        best, least = 0, -1
        for way in range(len(ways) if len(ways) > 1 else 0):
            tried[:count] = waiting[:count]
            left, after, cost = count, following, 0
            for _ in range(ahead):
                size, left, after, added = _fill(
                    sets, position, tried, left, after, ways[way], scratch, marks, chosen
                )
                cost += added
            if least < 0 or cost < least:
                best, least = way, cost
        size, count, following, _ = _fill(
            sets, position, waiting, count, following, ways[best], scratch, marks, chosen
        )
        starts[batches] = done
        order[done : done + size] = chosen[:size]
        batches += 1
        done += size
    return order, starts[:batches].copy()


@kernel
def _fill(
    sets: TapSets,
    position: NDArray[np.int64],
    waiting: NDArray[np.int64],
    count: int,
    following: int,
    credit: float,
    scratch: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    marks: NDArray[np.int64],
    chosen: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Fill a batch from what waits, to which what follows is added wherever there is room.

    Its columns, what waits then and follows, and the slots that it takes.
    """
    streamed, seen, updated, updates = scratch
    marks[0] += 1
    batch = marks[0]
    size = longest = added = 0
    while size < len(chosen):
        while count < len(waiting) and following < len(position):
            waiting[count] = following
            count += 1
            following += 1
        if count == 0:
            break
        place = 0
        if size > 0 and credit >= 0:
            marks[1] += 1
            least = np.inf
            for candidate in range(count):
                i = waiting[candidate]
                if seen[position[i]] == marks[1]:
                    continue  # an earlier window of its position waits
                seen[position[i]] = marks[1]
                windows = 1 + (updates[position[i]] if updated[position[i]] == batch else 0)
                adds = max(0, windows - longest) - credit * (sets.start[i + 1] - sets.start[i])
                for at in range(sets.start[i], sets.start[i + 1]):
                    adds += streamed[sets.taps[at]] != batch
                if adds < least:
                    least, place = adds, candidate
        i = waiting[place]
        for at in range(sets.start[i], sets.start[i + 1]):
            if streamed[sets.taps[at]] != batch:
                streamed[sets.taps[at]] = batch
                added += 1
        if updated[position[i]] != batch:
            updated[position[i]], updates[position[i]] = batch, 0
        updates[position[i]] += 1
        longest = max(longest, updates[position[i]])
        chosen[size] = i
        size += 1
        count -= 1
        for later in range(place, count):
            waiting[later] = waiting[later + 1]
    return size, count, following, added + longest
