"""Integration slots of batches whose non-overlapping taps are packed (StSAP, Section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import CHANNELS, FILTER_TAPS, FIRST, FIRST_PLACE, OWN, ROW, Field
from spikex_sim.core.geometry import widest_batch
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.ntwu.chunks import BATCH, FIRST_CHANNEL, FIRST_TAP, LAST_CHANNEL, LAST_TAP, Chunks

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule

FEW_COLUMNS = 8
"""Most columns of which every set can be looked up in a table."""


def count_slots(schedule: NtwuSchedule, chunks: Chunks, first_row: int, rows: int) -> NDArray[np.int64]:
    """Slots that the streamed taps of each chunk need when taps without a common column share one.

    Greedy first fit in tap order, as in the PTB paper's StSAP.

    Returns
    -------
    int64 array ``[chunks, 2]``
        Slots, and the sum of the rows that these have in use: one for a tap of an own channel.
    """
    inputs = schedule.task.inputs
    slots: NDArray[np.int64] = _count_slots(
        inputs.field, inputs.tags, inputs.counts, schedule.batch_columns, schedule.position,
        schedule.window, schedule.surveyed.streamed, chunks.table, first_row, rows,
    )  # fmt: skip
    return slots


@kernel
def _count_slots(
    field: Field,
    tags: NDArray[np.uint8],
    counts: NDArray[np.int64],
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    streamed: NDArray[np.uint8],
    table: NDArray[np.int64],
    first_row: int,
    rows: int,
) -> NDArray[np.int64]:
    slots, batch = np.zeros((len(table), 2), np.int64), table[:, BATCH]
    widest = widest_batch(batch_columns)
    words = (widest + 63) // 64  # columns are bits
    few = widest <= FEW_COLUMNS
    size = streamed.shape[1]
    apart = np.zeros(field.channels.shape[1], np.bool_)  # channels of other row groups
    for channel in range(len(apart)):
        own = field.channels[OWN, channel]
        apart[channel] = own >= 0 and not first_row <= own < first_row + rows
    mask, taken = np.zeros((words, 0 if few else size), np.uint64), np.zeros((words, size), np.uint64)
    few_mask, few_taken = np.zeros((1, size if few else 0), np.uint8), np.zeros(size, np.uint8)
    bit_of = np.uint64(1) << np.arange(64).astype(np.uint64)
    few_bits = bit_of[:8].astype(np.uint8)
    lowest, in_use = np.zeros(widest, np.int64), np.zeros(size, np.int64)
    start_of = np.zeros(1 << FEW_COLUMNS, np.int64)
    marked = -1
    for part in range(len(batch)):
        if batch[part] < 0:
            continue
        start, stop = batch_columns[batch[part]], batch_columns[batch[part] + 1]
        if batch[part] != marked:
            marked = batch[part]
            columns = position[start:stop], window[start:stop]
            if few:
                _mark(field, tags, counts, *columns, few_mask, few_bits)
            else:
                _mark(field, tags, counts, *columns, mask, bit_of)
        channels = table[part, FIRST_CHANNEL], table[part, LAST_CHANNEL]
        taps = table[part, FIRST_TAP], table[part, LAST_TAP]
        if few:
            start_of[: 1 << (stop - start)] = 0
            slots[part, 0], slots[part, 1] = _few_slots(
                few_mask[0], field, apart, channels, taps, streamed[batch[part]], start_of,
                few_taken, rows, in_use,
            )  # fmt: skip
        else:
            lowest[:] = 0
            slots[part, 0], slots[part, 1] = _many_slots(
                mask, field, apart, channels, taps, streamed[batch[part]], lowest, taken,
                rows, in_use,
            )  # fmt: skip
    return slots


@kernel
def _few_slots(
    mask: NDArray[np.uint8],
    field: Field,
    apart: NDArray[np.bool_],
    channels: tuple[int, int],
    taps: tuple[int, int],
    streamed: NDArray[np.uint8],
    start_of: NDArray[np.int64],
    taken: NDArray[np.uint8],
    rows: int,
    in_use: NDArray[np.int64],
) -> tuple[int, int]:
    """Slots of a part; ``start_of`` is, for each set of columns, the slot below which none is free in all."""
    used = 0
    for channel in range(channels[0], channels[1]):
        if apart[channel]:
            continue
        k0 = field.channels[FIRST_PLACE, channel]
        for k in range(k0 + taps[0], k0 + min(taps[1], field.channels[FILTER_TAPS, channel])):
            own = np.uintp(field.taps[k, FIRST] + channel - field.taps[k, ROW])
            if streamed[own] == 0:
                continue
            columns = mask[own]
            slot = start_of[columns]
            while slot < used and taken[slot] & columns != 0:
                slot += 1
            if slot == used:
                taken[used], in_use[used] = 0, 0
                used += 1
            taken[slot] |= columns
            in_use[slot] = min(rows, in_use[slot] + (1 if field.channels[OWN, channel] >= 0 else rows))
            start_of[columns] = slot
    return used, in_use[:used].sum()


@kernel
def _many_slots(
    mask: NDArray[np.uint64],
    field: Field,
    apart: NDArray[np.bool_],
    channels: tuple[int, int],
    taps: tuple[int, int],
    streamed: NDArray[np.uint8],
    lowest: NDArray[np.int64],
    taken: NDArray[np.uint64],
    rows: int,
    in_use: NDArray[np.int64],
) -> tuple[int, int]:
    """Slots of a part; ``lowest`` is the first slot in which a column is free, for each."""
    used = 0
    for channel in range(channels[0], channels[1]):
        if apart[channel]:
            continue
        k0 = field.channels[FIRST_PLACE, channel]
        for k in range(k0 + taps[0], k0 + min(taps[1], field.channels[FILTER_TAPS, channel])):
            own = field.taps[k, FIRST] + channel - field.taps[k, ROW]
            if streamed[own] == 0:
                continue
            slot = max(0, _first_open(mask, own, lowest))
            while slot < used and _overlap(taken, slot, mask, own):
                slot += 1
            if slot == used:
                taken[:, used], in_use[used] = 0, 0
                used += 1
            in_use[slot] = min(rows, in_use[slot] + (1 if field.channels[OWN, channel] >= 0 else rows))
            for word in range(len(mask)):
                taken[word, slot] |= mask[word, own]
            for col in range(len(lowest)):
                if _has(mask, own, col):
                    while lowest[col] < used and _has(taken, lowest[col], col):
                        lowest[col] += 1
    return used, in_use[:used].sum()


@kernel
def _mark(
    field: Field,
    tags: NDArray[np.uint8],
    counts: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    mask: NDArray[Any],
    bit_of: NDArray[Any],
) -> None:
    """Set the bits of columns whose tap has a tag: ``mask[word, tap]``, in the order of the streamed ones."""
    bits, windows = len(bit_of), counts.shape[1]
    for k in range(field.place.shape[1]):
        first, number = field.taps[k, FIRST], np.uintp(field.taps[k, CHANNELS])
        mask[:, first : first + field.taps[k, CHANNELS]] = 0
        for col in range(len(position)):
            pixel = field.place[position[col], k]
            if pixel < 0 or counts[pixel, window[col]] == 0:
                continue
            row = mask[col // bits]
            own, bit = np.uintp(first), bit_of[col % bits]
            tagged = np.uintp(field.start[pixel] * windows + window[col] * field.taps[k, CHANNELS])
            for channel in range(number):  # unsigned: a sign would have to be looked at
                row[own + channel] |= tags[tagged + channel] * bit


@kernel
def _first_open(mask: NDArray[np.uint64], own: int, lowest: NDArray[np.int64]) -> int:
    """First slot that may be free in all columns of a tap; -1 if it has none."""
    slot = -1
    for word in range(len(mask)):
        if mask[word, own] == 0:
            continue
        for col in range(64 * word, min(64 * word + 64, len(lowest))):
            if _has(mask, own, col):
                slot = max(slot, lowest[col])
    return slot


@kernel
def _has(bits: NDArray[np.uint64], own: int, col: int) -> bool:
    found: bool = bits[col // 64, own] >> np.uint64(col % 64) & np.uint64(1) != 0
    return found


@kernel
def _overlap(a: NDArray[np.uint64], slot: int, b: NDArray[np.uint64], own: int) -> bool:
    found = False
    for word in range(len(a)):
        found |= a[word, slot] & b[word, own] != 0
    return found
