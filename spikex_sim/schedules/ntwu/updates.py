"""What the array does besides integrating: updates, and the potentials and currents that these take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.steps import PerStep

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule


@dataclass(frozen=True)
class BatchCounts:
    """Per batch, for one row: what the array does besides integrating."""

    update_cycles: PerStep
    catchups: PerStep
    potential_reads: PerStep
    potential_writes: PerStep
    words: PerStep
    word_tags: PerStep


def batch_counts(schedule: NtwuSchedule, arch: NtwuOptions) -> BatchCounts:
    """Update phase and potential traffic of every batch (Section 4)."""
    task = schedule.task
    words = np.zeros((task.positions, 1), np.int64) if task.words is None else task.words
    tags = np.zeros(task.positions, np.int64) if task.word_tags is None else task.word_tags
    counts = _batch_counts(
        schedule.batch_columns,
        schedule.position,
        schedule.window,
        max(1, task.states) * schedule.tws * arch.update_cycles,
        words,
        tags,
        arch.get("leak_catchup_cycles", default=1),
    )
    return BatchCounts(*counts)


@kernel
def _batch_counts(
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    update_cycles: int,
    words: NDArray[np.int64],
    word_tags: NDArray[np.int64],
    catchup_cycles: int,
) -> tuple[PerStep, PerStep, PerStep, PerStep, PerStep, PerStep]:
    batches, positions = len(batch_columns) - 1, len(words)
    update = np.zeros(batches, np.int64)
    catchups = np.zeros(batches, np.int64)
    reads = np.zeros(batches, np.int64)
    writes = np.zeros(batches, np.int64)
    taken = np.zeros(batches, np.int64)
    tags = np.zeros(batches, np.int64)
    last_batch = np.full(positions, -1, np.int64)
    last_window = np.zeros(positions, np.int64)
    spent = np.zeros(positions, np.int64)
    for b in range(batches):
        for column in range(batch_columns[b], batch_columns[b + 1]):
            p, w = position[column], window[column]
            before, skipped = last_batch[p], w - last_window[p] - 1
            owed = skipped if before >= 0 else 0
            if before != b:
                spent[p] = 0
            if before != b or skipped > 0:  # else the potential is still in the column beside
                writes[b] += 1
                reads[b] += before >= 0
            entering = words[p, min(w, words.shape[1] - 1)]
            spent[p] += update_cycles + entering + catchup_cycles * owed
            taken[b] += entering
            tags[b] += word_tags[p]
            update[b] = max(update[b], spent[p])
            catchups[b] += owed
            last_batch[p] = b
            last_window[p] = w
    return update, catchups, reads, writes, taken, tags
