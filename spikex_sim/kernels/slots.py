"""Integration slots of batches whose non-overlapping taps are packed (StSAP, Section 7)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.dispatch import STREAM_CODES, Schedule
from spikex_sim.geometry import Geometry, corner, widest_batch
from spikex_sim.kernels.survey import ALL, CHANNEL
from spikex_sim.tags import WindowedSpikes


class Ranges(Protocol):
    """Parts of batches: channels and taps, last excluded; ``batch`` is -1 for a part without any."""

    @property
    def batch(self) -> NDArray[np.int64]:
        """Batch that the part belongs to."""

    @property
    def first_channel(self) -> NDArray[np.int64]:
        """First input channel."""

    @property
    def last_channel(self) -> NDArray[np.int64]:
        """Last input channel, plus one."""

    @property
    def first_tap(self) -> NDArray[np.int64]:
        """First filter position."""

    @property
    def last_tap(self) -> NDArray[np.int64]:
        """Last filter position, plus one."""


def count_slots(schedule: Schedule, spikes: WindowedSpikes, ranges: Ranges) -> NDArray[np.int64]:
    """Slots that the streamed taps of each part need when taps without a common column share one.

    Greedy first fit in tap order, as in the PTB paper's StSAP.
    """
    return _count_slots(
        schedule.geometry,
        spikes.tags,
        schedule.batch_columns,
        schedule.position,
        schedule.window,
        STREAM_CODES[schedule.stream],
        ranges.batch,
        ranges.first_channel,
        ranges.last_channel,
        ranges.first_tap,
        ranges.last_tap,
    )


@njit(cache=True)
def _count_slots(
    geometry: Geometry,
    tags: NDArray[np.uint8],
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    stream: int,
    batch: NDArray[np.int64],
    first_channel: NDArray[np.int64],
    last_channel: NDArray[np.int64],
    first_tap: NDArray[np.int64],
    last_tap: NDArray[np.int64],
) -> NDArray[np.int64]:
    slots = np.zeros(len(batch), np.int64)
    filter_taps = geometry.kernel_h * geometry.kernel_w
    widest = widest_batch(batch_columns)
    taken = np.zeros((geometry.channels * filter_taps, widest), np.bool_)
    mask = np.zeros((filter_taps, widest), np.bool_)
    for part in range(len(batch)):
        if batch[part] < 0:
            continue
        start, stop = batch_columns[batch[part]], batch_columns[batch[part] + 1]
        used = 0
        for channel in range(first_channel[part], last_channel[part]):
            active = False
            mask[:] = False
            for tap in range(filter_taps):
                for col in range(stop - start):
                    y, x = corner(geometry, position[start + col])
                    y += tap // geometry.kernel_w
                    x += tap % geometry.kernel_w
                    if not (0 <= y < geometry.in_height and 0 <= x < geometry.in_width):
                        continue
                    if tags[y * geometry.in_width + x, window[start + col], channel] > 0:
                        mask[tap, col] = True
                        active = True
            for tap in range(first_tap[part], last_tap[part]):
                if not (mask[tap].any() or stream == ALL or (stream == CHANNEL and active)):
                    continue
                slot = 0
                while slot < used and (taken[slot] & mask[tap]).any():
                    slot += 1
                if slot == used:
                    taken[used] = False
                    used += 1
                taken[slot] |= mask[tap]
        slots[part] = used
    return slots
