"""Tap sets: which taps each NTWU of a tile asks for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import CHANNELS, FIRST, ROW, Field
from spikex_sim.core.jit import kernel
from spikex_sim.core.memory import check_memory
from spikex_sim.schedules.ntwu.packing import TileView
from spikex_sim.schedules.ntwu.survey import ALL, STREAMS

SCRATCH = 5
"""Arrays of as many numbers as there are taps that policies and bounds make of them, at most."""


class TapSets(NamedTuple):
    """Taps that a batch of one NTWU alone would stream, NTWU by NTWU.

    Attributes
    ----------
    start : int64 array ``[n + 1]``
        Taps of NTWU ``i`` are ``taps[start[i]:start[i + 1]]``.
    taps : int32 array
        Numbers of taps, each once for an NTWU.
    """

    start: NDArray[np.int64]
    taps: NDArray[np.int32]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Taps of each NTWU."""
        return np.diff(self.start)


def tap_sets(tile: TileView, position: NDArray[np.int64], window: NDArray[np.int64]) -> TapSets:
    """Find the taps of some NTWUs of a tile, given by position and window in the tile."""
    inputs = tile.inputs
    arguments = (
        inputs.field, inputs.tags, inputs.counts, position + tile.first_position,
        window + tile.first_window, STREAMS.index(tile.stream),
    )  # fmt: skip
    start = np.zeros(len(position) + 1, np.int64)
    _fill(*arguments, start, np.empty(0, np.int32))
    check_memory(SCRATCH * 4 * int(start[-1]), "the taps of the NTWUs of a tile")
    taps = np.empty(int(start[-1]), np.int32)
    _fill(*arguments, start, taps)
    return TapSets(start, taps)


@kernel
def _fill(
    field: Field,
    tags: NDArray[np.uint8],
    counts: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    stream: int,
    start: NDArray[np.int64],
    taps: NDArray[np.int32],
) -> None:
    """Count taps into ``start``; where there is room, list them too."""
    windows, places = counts.shape[1], field.place.shape[1]
    asked = np.zeros(max(1, field.channels.shape[1]), np.int64)  # NTWU, from 1, that asked for a channel
    count, room = 0, len(taps)
    for i in range(len(position)):
        w = window[i]
        for k in range(places):
            pixel = field.place[position[i], k]
            if pixel < 0 or counts[pixel, w] == 0:
                continue
            word = field.start[pixel] * windows + w * field.taps[k, CHANNELS]
            for channel in range(field.taps[k, CHANNELS]):
                if tags[word + channel] > 0:
                    asked[field.taps[k, ROW] + channel] = i + 1
                    if stream == 0:
                        if count < room:
                            taps[count] = field.taps[k, FIRST] + channel
                        count += 1
        if stream != 0:
            for k in range(places):
                for channel in range(field.taps[k, CHANNELS]):
                    if stream == ALL or asked[field.taps[k, ROW] + channel] == i + 1:
                        if count < room:
                            taps[count] = field.taps[k, FIRST] + channel
                        count += 1
        start[i + 1] = count
