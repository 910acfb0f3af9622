"""Holds an NTWU schedule against its input and the array, in time linear in its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.core.tags import reach
from spikex_sim.schedules.base import refuse
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule

FINE, SHAPE, WIDE, OUTSIDE, TWICE, ORDER, MISSING = range(7)
RULES = {
    SHAPE: "batches and columns do not follow each other; offsets start at 0, ascend and end with the last",
    WIDE: "a batch of {a} columns on an array of {b}; no batch is wider than the array, none is empty",
    OUTSIDE: "position {a}, window {b} lies outside the tile",
    TWICE: "position {a}, window {b} is issued twice; every NTWU is issued once",
    ORDER: "position {a}, window {b} comes after a later window; windows of a position ascend",
    MISSING: "position {a}, window {b} is owed and not issued",
}


def check(schedule: NtwuSchedule, arch: Accelerator, silence_is_free: bool) -> None:
    """Raise :class:`ScheduleError` for a schedule that is none.

    Every NTWU that is owed is issued exactly once, no other one twice; the windows of a position ascend; no
    batch is wider than the array, no row group higher; streamed taps cover the spikes of their columns. What
    is owed is a matter of the kind: active NTWUs, or all. As many weights must be added as the input asks
    for.
    """
    kind, rows, sizes = f"scheduler {arch.scheduler}", arch.array.rows, schedule.groups.sizes
    if min(sizes) < 1 or max(sizes) > rows or sum(sizes) != schedule.groups.out_channels:
        raise refuse(kind, {}, f"row groups of {sizes} channels on an array of {rows} rows")
    owed = schedule.active
    if schedule.owes_all or not silence_is_free:
        owed = np.ones_like(schedule.active)
    shape = schedule.geometry.positions, schedule.windows
    if owed.shape != shape or len(schedule.window) != len(schedule.position):
        raise refuse(kind, {}, RULES[SHAPE])
    rule, tile, batch, a, b = _check(
        schedule.tiles, schedule.tile_batches, schedule.batch_columns, schedule.position, schedule.window,
        owed, arch.array.cols,
    )  # fmt: skip
    if rule != FINE:
        raise refuse(kind, _place(tile, batch), RULES[rule].format(a=a, b=b))
    found = schedule.surveyed
    batch, tap = found.uncovered.tolist()
    if batch >= 0:
        tile = int(np.searchsorted(schedule.tile_batches, batch, side="right")) - 1
        raise refuse(kind, _place(tile, batch), f"tap {tap} has spikes and is not streamed")
    wanted, added = reach(schedule.geometry, schedule.spikes), int(found.spikes.sum())
    if added != wanted:
        raise refuse(kind, {}, f"{added} spikes of each row are added, but the input has {wanted} to add")


def _place(tile: int, batch: int) -> dict[str, int]:
    return {name: index for name, index in (("tile", tile), ("batch", batch)) if index >= 0}


@njit(cache=True)
def _check(
    tiles: NDArray[np.int64],
    tile_batches: NDArray[np.int64],
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    owed: NDArray[np.bool_],
    cols: int,
) -> tuple[int, int, int, int, int]:
    """First broken rule, and tile, batch and two numbers that tell of it."""
    positions, windows = owed.shape
    batches = len(batch_columns) - 1
    if len(tile_batches) != len(tiles) + 1 or tile_batches[0] != 0 or tile_batches[-1] != batches:
        return SHAPE, -1, -1, 0, 0
    if batch_columns[0] != 0 or batch_columns[-1] != len(position):
        return SHAPE, -1, -1, 0, 0
    last = np.full(positions, -1, np.int64)
    issued = np.zeros((positions, windows), np.bool_)
    for tile in range(len(tiles)):
        p0, p1, w0, w1 = tiles[tile]
        if not tile_batches[tile] <= tile_batches[tile + 1] <= batches:
            return SHAPE, tile, -1, 0, 0
        if p0 < 0 or p1 > positions or w0 < 0 or w1 > windows:
            return SHAPE, tile, -1, 0, 0
        for b in range(tile_batches[tile], tile_batches[tile + 1]):
            width = batch_columns[b + 1] - batch_columns[b]
            if width < 1 or width > cols:
                return WIDE, tile, b, width, cols
            if batch_columns[b + 1] > len(position):
                return SHAPE, tile, b, 0, 0
            for column in range(batch_columns[b], batch_columns[b + 1]):
                p, w = position[column], window[column]
                if not (p0 <= p < p1 and w0 <= w < w1):
                    return OUTSIDE, tile, b, p, w
                if issued[p, w]:
                    return TWICE, tile, b, p, w
                if w < last[p]:
                    return ORDER, tile, b, p, w
                issued[p, w] = True
                last[p] = w
    for p in range(positions):
        for w in range(windows):
            if owed[p, w] and not issued[p, w]:
                return MISSING, -1, -1, p, w
    return FINE, -1, -1, 0, 0
