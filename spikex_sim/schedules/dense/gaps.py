"""Empty steps that keep the read of a potential or partial sum behind its write.

In the port order of Section 5 the load of step ``i + 3`` is the first one behind the store of step ``i``, and
the fetch of step ``i + 4`` the first one behind its write-back (docs/accelerators/systolic.md, Buffers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikex_sim.schedules.dense.folds import FoldChunks
from spikex_sim.schedules.steps import PerStep

if TYPE_CHECKING:
    from spikex_sim.schedules.dense.schedule import DenseSchedule

STEPS_TO_COME_BACK = {"glb": 3, "dram": 4}
"""How many steps later what was written to a level can be read again."""


def gaps_after(
    schedule: DenseSchedule,
    chunks: FoldChunks,
    *,
    potentials: str | None,
    psums: str | None,
    edge: str,
) -> PerStep:
    """Empty steps that must follow each chunk.

    Parameters
    ----------
    schedule, chunks
        The folds and their chunks.
    potentials, psums : str or None
        Level where they live.
    edge : {"lbuf", "glb"}
        Level that the array itself works from, where a write is there for the next step.
    """
    far = {level: steps for level, steps in STEPS_TO_COME_BACK.items() if level != edge}
    per_fold = np.bincount(chunks.fold)[chunks.fold]
    positions = schedule.positions_of_pass[chunks.pass_of]
    complete = chunks.k1 == schedule.taps
    psum_gap = np.maximum(0, far.get(psums or "", 0) - per_fold)
    at_once = np.full(len(chunks), schedule.cols if schedule.dataflow == "is" else schedule.rows)
    if schedule.dataflow == "ws":
        first_of_fold = np.maximum.accumulate(np.where(chunks.first, np.arange(len(chunks)), 0))
        at_once = (chunks.r1 - chunks.r0)[first_of_fold]
    away = np.maximum(1, positions // at_once)
    tap_folds = -(-schedule.taps // schedule.rows)
    steps_each = {"os": per_fold, "ws": np.ones_like(per_fold), "is": tap_folds * per_fold}[schedule.dataflow]
    missing = np.maximum(0, far.get(potentials or "", 0) - away * steps_each)
    at_end = complete if schedule.dataflow == "ws" else complete & chunks.last
    gaps: PerStep = np.where(at_end, -(-missing // away), 0)
    return gaps + np.where(chunks.last & ~complete, psum_gap, 0)
