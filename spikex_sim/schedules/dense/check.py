"""Holds a dense schedule against its layer and the array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.schedules.base import int64_arrays, refuse
from spikex_sim.schedules.dense.folds import DATAFLOWS, cut_passes
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.dense.schedule import DenseSchedule

FINE, PASS, OUTSIDE, HIGH, ROWS, TAPS, LEFT, MISSING = range(8)
RULES = {
    PASS: "pass {a} is due; passes follow each other, each when the one before is complete",
    OUTSIDE: "row {a}, tap {b} lies outside the pass, or the fold is empty",
    HIGH: "a fold of {a} rows and {b} taps does not fit the array",
    ROWS: "row {a} comes out of turn; rows begin and complete once, in ascending order of time and position",
    TAPS: "row {a} takes tap {b} out of turn; every row takes every tap once, in ascending order",
    LEFT: "row {a} takes tap {b} after other rows; what stays in the PEs stays until its taps are complete",
    MISSING: "row {a} of {b} does not complete",
}


def check(schedule: DenseSchedule, arch: Accelerator) -> None:
    """Raise :class:`ScheduleError` unless every row, tap and time point comes exactly once and in order.

    Passes cut the layer regularly and follow each other. Rows of a pass, and so the time points of a
    position, begin and complete in ascending order, and so do the taps of a row. No fold is larger than the
    array; where outputs or inputs stay in the PEs, the folds of the same rows follow each other.
    """
    kind, rows, cols = f"scheduler {arch.scheduler}", arch.array.rows, arch.array.cols
    if (schedule.rows, schedule.cols) != (rows, cols):
        raise refuse(kind, {}, f"folds for {schedule.rows}x{schedule.cols} PEs on an array of {rows}x{cols}")
    if schedule.dataflow not in DATAFLOWS:
        raise refuse(kind, {}, f"no dataflow '{schedule.dataflow}' among {', '.join(DATAFLOWS)}")
    if schedule.lif_sharing < 1 or schedule.walk_cycles < 0:
        raise refuse(kind, {}, "lif_sharing is at least 1, walk_cycles at least 0")
    if schedule.points != schedule.task.tws or schedule.timesteps % schedule.points:
        rule = f"rows of {schedule.points} time points; {schedule.timesteps} come {schedule.task.tws} a row"
        raise refuse(kind, {}, rule)
    wrong = int64_arrays(passes=(schedule.passes, 2), folds=(schedule.folds, 2))
    if wrong:
        raise refuse(kind, {}, f"{wrong} is no int64 array of two dimensions")
    positions, times = schedule.task.positions, schedule.timesteps // schedule.points
    if not _is_cut(schedule.passes, positions, times):
        raise refuse(kind, {}, f"passes do not cut {positions} positions and {times} times into equal parts")
    run = schedule.task.run_windows
    if run is not None and (schedule.passes[0, 1] != positions or schedule.passes[0, 3] > run):
        raise refuse(kind, {}, f"a pass has all positions and at most the {run} time points of a run")
    if not schedule.taps and not len(schedule.folds):
        return
    if schedule.folds.shape[1] != 5:
        raise refuse(kind, {}, "folds are pass, first and last-plus-one row, first and last-plus-one tap")
    unlimited = np.iinfo(np.int64).max
    most_rows, most_taps = {"os": (rows, unlimited), "ws": (unlimited, rows), "is": (cols, rows)}[
        schedule.dataflow
    ]
    broken, index, fold, a, b = _check(
        schedule.rows_of_pass, schedule.folds, schedule.taps, most_rows, most_taps,
        schedule.dataflow != "ws",
    )  # fmt: skip
    if broken != FINE:
        places = {name: at for name, at in (("pass", index), ("fold", fold)) if at >= 0}
        raise refuse(kind, places, RULES[broken].format(a=a, b=b))


def _is_cut(passes: NDArray[np.int64], positions: int, times: int) -> bool:
    """Whether passes are sets of positions and, inside, blocks of time, all as large as the first."""
    if passes.shape[1] != 4 or len(passes) == 0:
        return False
    p0, p1, t0, t1 = passes[0].tolist()
    if p0 or t0 or not (1 <= p1 <= positions and 1 <= t1 <= times):
        return False
    return np.array_equal(passes, cut_passes(positions, times, p1, t1))


@kernel
def _check(
    rows_of_pass: NDArray[np.int64],
    folds: NDArray[np.int64],
    taps: int,
    most_rows: int,
    most_taps: int,
    stays: bool,
) -> tuple[int, int, int, int, int]:
    """First broken rule, and pass, fold and two numbers that tell of it."""
    next_tap = np.zeros(rows_of_pass.max(), np.int64)
    current = begun = complete = before = until = 0
    rows = rows_of_pass[0]
    for fold in range(len(folds)):
        index, r0, r1, k0, k1 = folds[fold]
        if complete == rows and current + 1 < len(rows_of_pass):
            current += 1
            begun = complete = 0
            rows = rows_of_pass[current]
            next_tap[:rows] = 0
        if index != current:
            return PASS, index, fold, current, 0
        if not (0 <= r0 < r1 <= rows and 0 <= k0 < k1 <= taps):
            return OUTSIDE, index, fold, r1 - 1, k1 - 1
        if r1 - r0 > most_rows or k1 - k0 > most_taps:
            return HIGH, index, fold, r1 - r0, k1 - k0
        for r in range(r0, r1):
            if next_tap[r] != k0:
                return TAPS, index, fold, r, k0
            next_tap[r] = k1
        if (k0 == 0 and r0 != begun) or (k1 == taps and r0 != complete):
            return ROWS, index, fold, r0, 0
        if stays and k0 > 0 and (r0 != before or r1 != until):
            return LEFT, index, fold, r0, k0
        begun = r1 if k0 == 0 else begun
        complete = r1 if k1 == taps else complete
        before, until = r0, r1
    if complete < rows:
        return MISSING, current, -1, complete, rows
    if current + 1 < len(rows_of_pass):
        return MISSING, current + 1, -1, 0, rows_of_pass[current + 1]
    return FINE, -1, -1, 0, 0
