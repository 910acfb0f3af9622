"""First pass over a schedule: what each batch streams, touches and adds, without weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import CHANNELS, FILTER_TAPS, FIRST, FIRST_PLACE, ROW, SYNAPSE, Field, Inputs
from spikex_sim.core.geometry import widest_batch
from spikex_sim.core.jit import kernel

STREAMS = ("tap", "channel", "all")
"""Values of the ``stream`` knob; kernels take the index."""
ALL = STREAMS.index("all")
STREAMED, HITS, WORDS = range(3)
"""What :attr:`Survey.counts` counts."""


@dataclass(frozen=True)
class Survey:
    """Counts per batch (``B``) and input channel (``C``), for one row of one row group.

    Attributes
    ----------
    streamed : uint8 array ``[B, taps]``
        1 for the taps that each batch streams, synapse by synapse; the channels of a filter position lie
        side by side.
    counts : int32 array ``[3, B, C]``
        :data:`STREAMED` taps, ``|S_b|``, by channel; :data:`HITS`, (column, tap) pairs whose input word has a
        set tag; :data:`WORDS`, distinct (pixel, window) words that the columns touch and whose tag is set.
    touched : int64 array ``[B, synapses]``
        Distinct (pixel, window) pairs touched in each channel of a synapse, tagged or not.
    spikes : int64 array ``[columns, synapses]``
        Set spike bits that each column sees: the adds of one row.
    uncovered : int64 array ``[2]``
        First batch and tap that has spikes and is not streamed; -1 where there is none.
    """

    streamed: NDArray[np.uint8]
    counts: NDArray[np.int32]
    touched: NDArray[np.int64]
    spikes: NDArray[np.int64]
    uncovered: NDArray[np.int64]

    @property
    def seen(self) -> list[int]:
        """Spikes that all columns see, of each synapse."""
        total: list[int] = self.spikes.sum(axis=0).tolist()
        return total


def survey(
    inputs: Inputs,
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    stream: str,
    streamed: NDArray[np.uint8] | None,
) -> Survey:
    """Count what the batches of a schedule stream and touch (Sections 4 and 5, SP-MB).

    Without ``streamed`` the sequencer streams what the tags of a batch ask for, in the way ``stream`` says.
    """
    given = streamed is not None
    if streamed is None:
        streamed = np.zeros((len(batch_columns) - 1, inputs.taps), np.uint8)
    counts = _survey(
        inputs.field, len(inputs.synapses),
        inputs.tags, inputs.counts, batch_columns, position, window, STREAMS.index(stream), given, streamed,
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
    field: Field,
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    stamp: NDArray[np.int64],
    mark: int,
    fresh: NDArray[np.bool_],
    touched: NDArray[np.int64],
) -> None:
    """Find which (pixel, window) pairs the columns of a batch touch, and which of them first.

    Parameters
    ----------
    position, window : int64 array ``[columns]``
        The batch.
    stamp : int64 array ``[pixels, columns]``, mark : int
        Scratch memory that remembers which pixel was touched in which window of batch ``mark``.
    fresh : bool array ``[columns, K]``
        Output: whether the pair was not touched before in this batch.
    touched : int64 array ``[synapses]``
        Output: distinct pairs touched are added.
    """
    for col in range(len(position)):
        slot = slot_of(window, col)
        for k in range(fresh.shape[1]):
            fresh[col, k] = False
            pixel = field.place[position[col], k]
            if pixel >= 0 and stamp[pixel, slot] != mark:
                stamp[pixel, slot] = mark
                fresh[col, k] = True
                touched[field.taps[k, SYNAPSE]] += 1


@kernel
def _survey(
    field: Field,
    synapses: int,
    tags: NDArray[np.uint8],
    counts: NDArray[np.int64],
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    stream: int,
    given: bool,
    streamed: NDArray[np.uint8],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    channel_of, channels = field.channels, field.channels.shape[1]
    batches = len(batch_columns) - 1
    places = field.place.shape[1]
    widest = widest_batch(batch_columns)
    counted = np.zeros((3, batches, channels), np.int32)
    touched = np.zeros((batches, synapses), np.int64)
    spikes = np.zeros((len(position), synapses), np.int64)
    uncovered = np.full(2, -1, np.int64)
    stamp = np.full((len(field.start), widest), -1, np.int64)
    fresh = np.empty((widest, places), np.bool_)
    union = np.zeros(max(1, channels), np.uint8)
    taps = counted[STREAMED]
    flat_taps, flat_hits, flat_words = taps.ravel(), counted[HITS].ravel(), counted[WORDS].ravel()
    flat_streamed = streamed.ravel()
    windows, all_taps = counts.shape[1], streamed.shape[1]
    for b in range(batches):
        start, stop = batch_columns[b], batch_columns[b + 1]
        touch_pixels(field, position[start:stop], window[start:stop], stamp, b, fresh, touched[b])
        for k in range(places):
            streams = False
            number = np.uintp(
                field.taps[k, CHANNELS]
            )  # indices are unsigned: a sign would have to be looked at
            own = np.uintp(b * channels + field.taps[k, ROW])
            for col in range(stop - start):
                pixel, w = field.place[position[start + col], k], window[start + col]
                if pixel < 0 or counts[pixel, w] == 0:
                    continue
                spikes[start + col, field.taps[k, SYNAPSE]] += counts[pixel, w]
                streams = True
                word = np.uintp(field.start[pixel] * windows + w * field.taps[k, CHANNELS])
                for channel in range(number):
                    tag = tags[word + channel]
                    flat_hits[own + channel] += tag
                    union[channel] |= tag
                if fresh[col, k]:
                    for channel in range(number):
                        flat_words[own + channel] += tags[word + channel]
            sent = np.uintp(b * all_taps + field.taps[k, FIRST])
            if streams and not given:
                for channel in range(number):
                    flat_taps[own + channel] += union[channel]
                    flat_streamed[sent + channel] = union[channel]
                    union[channel] = 0
            elif given:
                for channel in range(number):
                    flat_taps[own + channel] += flat_streamed[sent + channel]
                    if union[channel] > flat_streamed[sent + channel] and uncovered[0] < 0:
                        k0 = channel_of[FIRST_PLACE, field.taps[k, ROW]]
                        tap = channel * channel_of[FILTER_TAPS, field.taps[k, ROW]] + k - k0
                        uncovered[0], uncovered[1] = b, field.taps[k0, FIRST] + tap
                    union[channel] = 0
    if stream != 0 and not given:
        for b in range(batches):
            for channel in range(channels):
                if stream == ALL or taps[b, channel] > 0:
                    taps[b, channel] = channel_of[FILTER_TAPS, channel]
                    for k in range(
                        channel_of[FIRST_PLACE, channel],
                        channel_of[FIRST_PLACE, channel] + channel_of[FILTER_TAPS, channel],
                    ):
                        streamed[b, field.taps[k, FIRST] + channel - field.taps[k, ROW]] = 1
    return counted, touched, spikes, uncovered
