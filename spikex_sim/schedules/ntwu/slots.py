"""Integration slots of batches whose non-overlapping taps are packed (StSAP, Section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry, corner, widest_batch
from spikex_sim.schedules.ntwu.chunks import Chunks

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule

FEW_COLUMNS = 8
"""Most columns of which every set can be looked up in a table."""


def count_slots(schedule: NtwuSchedule, chunks: Chunks) -> NDArray[np.int64]:
    """Slots that the streamed taps of each chunk need when taps without a common column share one.

    Greedy first fit in tap order, as in the PTB paper's StSAP.
    """
    spikes = schedule.spikes
    slots: NDArray[np.int64] = _count_slots(
        schedule.geometry, spikes.tags, spikes.counts, schedule.batch_columns, schedule.position,
        schedule.window, schedule.surveyed.streamed, chunks.batch, chunks.first_channel, chunks.last_channel,
        chunks.first_tap, chunks.last_tap,
    )  # fmt: skip
    return slots


@njit(cache=True)
def _count_slots(
    geometry: Geometry,
    tags: NDArray[np.uint8],
    counts: NDArray[np.int64],
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    streamed: NDArray[np.uint8],
    batch: NDArray[np.int64],
    first_channel: NDArray[np.int64],
    last_channel: NDArray[np.int64],
    first_tap: NDArray[np.int64],
    last_tap: NDArray[np.int64],
) -> NDArray[np.int64]:
    slots = np.zeros(len(batch), np.int64)
    filter_taps = geometry.kernel_h * geometry.kernel_w
    widest = widest_batch(batch_columns)
    words = (widest + 63) // 64  # columns are bits
    few = widest <= FEW_COLUMNS
    size = geometry.channels * filter_taps
    mask, taken = np.zeros((words, 0 if few else size), np.uint64), np.zeros((words, size), np.uint64)
    few_mask, few_taken = np.zeros((1, size if few else 0), np.uint8), np.zeros(size, np.uint8)
    bit_of = np.uint64(1) << np.arange(64).astype(np.uint64)
    few_bits = bit_of[:8].astype(np.uint8)
    lowest = np.zeros(widest, np.int64)
    start_of = np.zeros(1 << FEW_COLUMNS, np.int64)
    marked = -1
    for part in range(len(batch)):
        if batch[part] < 0:
            continue
        start, stop = batch_columns[batch[part]], batch_columns[batch[part] + 1]
        if batch[part] != marked:
            marked = batch[part]
            own = position[start:stop], window[start:stop]
            if few:
                _mark(geometry, tags, counts, *own, few_mask, few_bits)
            else:
                _mark(geometry, tags, counts, *own, mask, bit_of)
        channels = first_channel[part], last_channel[part]
        taps = first_tap[part], last_tap[part]
        if few:
            start_of[: 1 << (stop - start)] = 0
            slots[part] = _few_slots(
                few_mask[0], geometry.channels, channels, taps, streamed[batch[part]], start_of, few_taken
            )
        else:
            lowest[:] = 0
            slots[part] = _many_slots(
                mask, geometry.channels, channels, taps, streamed[batch[part]], lowest, taken
            )
    return slots


@njit(cache=True)
def _few_slots(
    mask: NDArray[np.uint8],
    width: int,
    channels: tuple[int, int],
    taps: tuple[int, int],
    streamed: NDArray[np.uint8],
    start_of: NDArray[np.int64],
    taken: NDArray[np.uint8],
) -> int:
    """Slots of a part; ``start_of`` is, for each set of columns, the slot below which none is free in all."""
    used = 0
    for channel in range(channels[0], channels[1]):
        for tap in range(taps[0], taps[1]):
            own = np.uintp(tap * width + channel)
            if streamed[own] == 0:
                continue
            columns = mask[own]
            slot = start_of[columns]
            while slot < used and taken[slot] & columns != 0:
                slot += 1
            if slot == used:
                taken[used] = 0
                used += 1
            taken[slot] |= columns
            start_of[columns] = slot
    return used


@njit(cache=True)
def _many_slots(
    mask: NDArray[np.uint64],
    width: int,
    channels: tuple[int, int],
    taps: tuple[int, int],
    streamed: NDArray[np.uint8],
    lowest: NDArray[np.int64],
    taken: NDArray[np.uint64],
) -> int:
    """Slots of a part; ``lowest`` is the first slot in which a column is free, for each."""
    used = 0
    for channel in range(channels[0], channels[1]):
        for tap in range(taps[0], taps[1]):
            own = tap * width + channel
            if streamed[own] == 0:
                continue
            slot = max(0, _first_open(mask, own, lowest))
            while slot < used and _overlap(taken, slot, mask, own):
                slot += 1
            if slot == used:
                taken[:, used] = 0
                used += 1
            for word in range(len(mask)):
                taken[word, slot] |= mask[word, own]
            for col in range(len(lowest)):
                if _has(mask, own, col):
                    while lowest[col] < used and _has(taken, lowest[col], col):
                        lowest[col] += 1
    return used


@njit(cache=True)
def _mark(
    geometry: Geometry,
    tags: NDArray[np.uint8],
    counts: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    mask: NDArray[Any],
    bit_of: NDArray[Any],
) -> None:
    """Set the bits of columns whose tap has a tag: ``mask[word, tap * C + channel]``."""
    bits = len(bit_of)
    windows, width = counts.shape[1], geometry.channels
    flat = tags.ravel()
    number = np.uintp(width)
    for tap in range(geometry.kernel_h * geometry.kernel_w):
        first = tap * width
        mask[:, first : first + width] = 0
        for col in range(len(position)):
            y, x = corner(geometry, position[col])
            y += tap // geometry.kernel_w
            x += tap % geometry.kernel_w
            if not (0 <= y < geometry.in_height and 0 <= x < geometry.in_width):
                continue
            pixel = y * geometry.in_width + x
            if counts[pixel, window[col]] == 0:
                continue
            row = mask[col // bits]
            own, bit = np.uintp(first), bit_of[col % bits]
            tagged = np.uintp((pixel * windows + window[col]) * width)
            for channel in range(number):  # unsigned: a sign would have to be looked at
                row[own + channel] |= flat[tagged + channel] * bit


@njit(cache=True)
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


@njit(cache=True)
def _has(bits: NDArray[np.uint64], own: int, col: int) -> bool:
    found: bool = bits[col // 64, own] >> np.uint64(col % 64) & np.uint64(1) != 0
    return found


@njit(cache=True)
def _overlap(a: NDArray[np.uint64], slot: int, b: NDArray[np.uint64], own: int) -> bool:
    found = False
    for word in range(len(a)):
        found |= a[word, slot] & b[word, own] != 0
    return found
