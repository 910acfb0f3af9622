"""Holds a dense schedule against its layer and the array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.schedules.base import refuse
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.dense.schedule import DenseSchedule

FINE, OUTSIDE, HIGH, TAPS, TIME, MISSING = range(6)
RULES = {
    OUTSIDE: "row {a}, tap {b} lies outside the pass",
    HIGH: "a fold of {a} rows and {b} taps does not fit the array",
    TAPS: "row {a} takes tap {b} out of turn; every row takes every tap once, in ascending order",
    TIME: "position {a} completes time {b} out of turn; every time point comes once, in ascending order",
    MISSING: "position {a} does not complete time {b}",
}


def check(schedule: DenseSchedule, arch: Accelerator) -> None:
    """Raise :class:`ScheduleError` unless every row, tap and time point comes exactly once and in order.

    Taps of a row ascend, and so do the time points of a position; no fold is larger than the array.
    """
    kind, rows, cols = f"scheduler {arch.scheduler}", arch.array.rows, arch.array.cols
    if (schedule.rows, schedule.cols) != (rows, cols):
        raise refuse(kind, {}, f"folds for {schedule.rows}x{schedule.cols} PEs on an array of {rows}x{cols}")
    unlimited = np.iinfo(np.int64).max
    most_rows, most_taps = {"os": (rows, unlimited), "ws": (unlimited, rows), "is": (cols, rows)}[
        schedule.dataflow
    ]
    rule, index, fold, a, b = _check(
        schedule.passes, schedule.folds, schedule.geometry.positions, schedule.geometry.taps,
        schedule.timesteps // schedule.points, most_rows, most_taps,
    )  # fmt: skip
    if rule != FINE:
        places = {name: at for name, at in (("pass", index), ("fold", fold)) if at >= 0}
        raise refuse(kind, places, RULES[rule].format(a=a, b=b))


@njit(cache=True)
def _check(
    passes: NDArray[np.int64],
    folds: NDArray[np.int64],
    positions: int,
    taps: int,
    times: int,
    most_rows: int,
    most_taps: int,
) -> tuple[int, int, int, int, int]:
    """First broken rule, and pass, fold and two numbers that tell of it."""
    first_row = np.zeros(len(passes) + 1, np.int64)
    for index in range(len(passes)):
        p0, p1, t0, t1 = passes[index]
        if not (0 <= p0 < p1 <= positions and 0 <= t0 < t1 <= times):
            return OUTSIDE, index, -1, p1, t1
        first_row[index + 1] = first_row[index] + (p1 - p0) * (t1 - t0)
    if first_row[-1] > positions * times:
        return TIME, -1, -1, 0, 0
    next_tap, next_time = np.zeros(first_row[-1], np.int64), np.zeros(positions, np.int64)
    for fold in range(len(folds)):
        index, r0, r1, k0, k1 = folds[fold]
        if not 0 <= index < len(passes):
            return OUTSIDE, index, fold, r0, k0
        rows = first_row[index + 1] - first_row[index]
        if not (0 <= r0 < r1 <= rows and 0 <= k0 < k1 <= taps):
            return OUTSIDE, index, fold, r1, k1
        if r1 - r0 > most_rows or k1 - k0 > most_taps:
            return HIGH, index, fold, r1 - r0, k1 - k0
        p0, size = passes[index, 0], passes[index, 1] - passes[index, 0]
        for r in range(r0, r1):
            if next_tap[first_row[index] + r] != k0:
                return TAPS, index, fold, r, k0
            next_tap[first_row[index] + r] = k1
            if k1 == taps:
                p, t = p0 + r % size, passes[index, 2] + r // size
                if next_time[p] != t:
                    return TIME, index, fold, p, t
                next_time[p] = t + 1
    for p in range(positions):
        if next_time[p] != times:
            return MISSING, -1, -1, p, next_time[p]
    return FINE, -1, -1, 0, 0
