"""What the array does besides integrating: updates, and the potentials and currents that these take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.schedules.ntwu.options import NtwuOptions

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule


UPDATE_CYCLES, CATCHUPS, POTENTIAL_READS, POTENTIAL_WRITES, WORDS, WORD_TAGS, HANDOVERS = range(7)
"""What a row of :func:`batch_counts` says of every batch."""


def batch_counts(schedule: NtwuSchedule, arch: NtwuOptions) -> NDArray[np.int64]:
    """Update phase and potential traffic of every batch, for one row (Section 4).

    Returns
    -------
    int64 array ``[7, batches]``
        :data:`UPDATE_CYCLES`, :data:`CATCHUPS` of leaks, words of potentials read and written
        (:data:`POTENTIAL_READS`, :data:`POTENTIAL_WRITES`) and :data:`WORDS` of currents that enter, with the
        tags that are looked at for them (:data:`WORD_TAGS`); potentials that come from a column of the same
        batch or of the one before it (:data:`HANDOVERS`).
    """
    task = schedule.task
    words = np.zeros((task.positions, 1), np.int64) if task.words is None else task.words
    tags = np.zeros(task.positions, np.int64) if task.word_tags is None else task.word_tags
    counts: NDArray[np.int64] = _batch_counts(
        schedule.batch_columns,
        schedule.position,
        schedule.window,
        max(1, task.states) * schedule.tws * arch.update_cycles,
        words,
        tags,
        arch.get("leak_catchup_cycles", default=1),
    )
    return counts


@kernel
def _batch_counts(
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    update_cycles: int,
    words: NDArray[np.int64],
    word_tags: NDArray[np.int64],
    catchup_cycles: int,
) -> NDArray[np.int64]:
    batches, positions = len(batch_columns) - 1, len(words)
    counts = np.zeros((7, batches), np.int64)
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
                counts[POTENTIAL_WRITES, b] += 1
                counts[POTENTIAL_READS, b] += before >= 0
            counts[HANDOVERS, b] += before >= 0 and before >= b - 1
            entering = words[p, min(w, words.shape[1] - 1)]
            spent[p] += update_cycles + entering + catchup_cycles * owed
            counts[WORDS, b] += entering
            counts[WORD_TAGS, b] += word_tags[p]
            counts[UPDATE_CYCLES, b] = max(counts[UPDATE_CYCLES, b], spent[p])
            counts[CATCHUPS, b] += owed
            last_batch[p] = b
            last_window[p] = w
    return counts
