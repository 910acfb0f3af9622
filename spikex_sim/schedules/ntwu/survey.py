"""First pass over a schedule: what each batch streams, touches and adds, without weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry, corner, widest_batch
from spikex_sim.core.jit import kernel
from spikex_sim.core.tags import WindowedSpikes

STREAMS = ("tap", "channel", "all")
"""Values of the ``stream`` knob; kernels take the index."""
ALL = STREAMS.index("all")


@dataclass(frozen=True)
class Survey:
    """Counts per batch (``B``) and input channel (``C``), for one row of one row group.

    Attributes
    ----------
    streamed : uint8 array ``[B, E_h * E_w * C]``
        1 for the taps that each batch streams; the channels of a filter position lie side by side.
    taps : int32 array ``[B, C]``
        Streamed taps ``|S_b|`` by channel.
    hits : int32 array ``[B, C]``
        (column, tap) pairs whose input word has a set tag.
    words : int32 array ``[B, C]``
        Distinct (pixel, window) words that the columns touch and whose tag is set.
    touched : int64 array ``[B]``
        Distinct (pixel, window) pairs touched in each channel, tagged or not.
    spikes : int64 array ``[columns]``
        Set spike bits that each column sees: the adds of one row.
    uncovered : int64 array ``[2]``
        First batch and tap that has spikes and is not streamed; -1 where there is none.
    """

    streamed: NDArray[np.uint8]
    taps: NDArray[np.int32]
    hits: NDArray[np.int32]
    words: NDArray[np.int32]
    touched: NDArray[np.int64]
    spikes: NDArray[np.int64]
    uncovered: NDArray[np.int64]


def survey(
    geometry: Geometry,
    spikes: WindowedSpikes,
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    stream: str,
    streamed: NDArray[np.uint8] | None,
) -> Survey:
    """Count what the batches of a schedule stream and touch (Sections 4 and 5, SP-MB).

    Without ``streamed`` the sequencer streams what the tags of a batch ask for, in the way ``stream`` says.
    """
    size = geometry.filter_taps * geometry.channels
    given = streamed is not None
    if streamed is None:
        streamed = np.zeros((len(batch_columns) - 1, size), np.uint8)
    counts = _survey(
        geometry, spikes.tags, spikes.counts, batch_columns, position, window, STREAMS.index(stream),
        given, streamed,
    )  # fmt: skip
    return Survey(streamed, *counts)


@kernel
def slot_of(window: NDArray[np.int64], col: int) -> int:
    """First column of a batch that has the same window: what identifies the window within the batch."""
    for before in range(col):
        if window[before] == window[col]:
            return before
    return col


@kernel
def touch_pixels(
    geometry: Geometry,
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    stamp: NDArray[np.int64],
    mark: int,
    pixel: NDArray[np.int64],
    fresh: NDArray[np.bool_],
) -> int:
    """List the pixels that the columns of a batch touch.

    Parameters
    ----------
    position, window : int64 array ``[columns]``
        The batch.
    stamp : int64 array ``[H * W, columns]``, mark : int
        Scratch memory that remembers which pixel was touched in which window of batch ``mark``.
    pixel : int64 array ``[columns, E_h * E_w]``
        Output: pixel index inside the map, or -1.
    fresh : bool array ``[columns, E_h * E_w]``
        Output: whether the (pixel, window) pair was not touched before in this batch.

    Returns
    -------
    int
        Distinct (pixel, window) pairs touched.
    """
    touched = 0
    for col in range(len(position)):
        slot = slot_of(window, col)
        y0, x0 = corner(geometry, position[col])
        tap = 0
        for y in range(y0, y0 + geometry.kernel_h):
            for x in range(x0, x0 + geometry.kernel_w):
                pixel[col, tap] = -1
                fresh[col, tap] = False
                if 0 <= y < geometry.in_height and 0 <= x < geometry.in_width:
                    index = y * geometry.in_width + x
                    pixel[col, tap] = index
                    if stamp[index, slot] != mark:
                        stamp[index, slot] = mark
                        fresh[col, tap] = True
                        touched += 1
                tap += 1
    return touched


@kernel
def _survey(
    geometry: Geometry,
    tags: NDArray[np.uint8],
    counts: NDArray[np.int64],
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    stream: int,
    given: bool,
    streamed: NDArray[np.uint8],
) -> tuple[
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int64],
]:
    batches = len(batch_columns) - 1
    filter_taps = geometry.kernel_h * geometry.kernel_w
    widest = widest_batch(batch_columns)
    taps = np.zeros((batches, geometry.channels), np.int32)
    hits = np.zeros((batches, geometry.channels), np.int32)
    words = np.zeros((batches, geometry.channels), np.int32)
    touched = np.zeros(batches, np.int64)
    spikes = np.zeros(len(position), np.int64)
    uncovered = np.full(2, -1, np.int64)
    stamp = np.full((geometry.in_height * geometry.in_width, widest), -1, np.int64)
    pixel = np.empty((widest, filter_taps), np.int64)
    fresh = np.empty((widest, filter_taps), np.bool_)
    union = np.zeros(geometry.channels, np.uint8)
    flat_tags, flat_hits, flat_words, flat_taps = tags.ravel(), hits.ravel(), words.ravel(), taps.ravel()
    flat_streamed = streamed.ravel()
    channels, windows = np.uintp(geometry.channels), tags.shape[1]
    for b in range(batches):
        start, stop = batch_columns[b], batch_columns[b + 1]
        touched[b] = touch_pixels(geometry, position[start:stop], window[start:stop], stamp, b, pixel, fresh)
        own = np.uintp(b * geometry.channels)  # indices are unsigned: a sign would have to be looked at
        for tap in range(filter_taps):
            streams = False
            for col in range(stop - start):
                place, w = pixel[col, tap], window[start + col]
                if place < 0 or counts[place, w] == 0:
                    continue
                spikes[start + col] += counts[place, w]
                streams = True
                word = np.uintp((place * windows + w) * geometry.channels)
                for channel in range(channels):
                    tag = flat_tags[word + channel]
                    flat_hits[own + channel] += tag
                    union[channel] |= tag
                if fresh[col, tap]:
                    for channel in range(channels):
                        flat_words[own + channel] += flat_tags[word + channel]
            sent = np.uintp((b * filter_taps + tap) * geometry.channels)
            if streams and not given:
                for channel in range(channels):
                    flat_taps[own + channel] += union[channel]
                    flat_streamed[sent + channel] = union[channel]
                    union[channel] = 0
            elif given:
                for channel in range(channels):
                    flat_taps[own + channel] += flat_streamed[sent + channel]
                    if union[channel] > flat_streamed[sent + channel] and uncovered[0] < 0:
                        uncovered[0], uncovered[1] = b, channel * filter_taps + tap
                    union[channel] = 0
    if stream != 0 and not given:
        for b in range(batches):
            for channel in range(geometry.channels):
                if stream == ALL or taps[b, channel] > 0:
                    taps[b, channel] = filter_taps
                    streamed[b, channel :: geometry.channels] = 1
    return taps, hits, words, touched, spikes, uncovered
