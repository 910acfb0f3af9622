"""Spikes of a layer sorted by pixel and time window, and adding their weights up."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import CHANNELS, FIRST, Field, Inputs
from spikex_sim.core.jit import kernel


class Events(NamedTuple):
    """Spikes by (pixel, window), those of a word in ascending order of channel and time.

    Attributes
    ----------
    first : int64 array ``[pixels * N_TW + 1]``
        First spike of each word.
    channel, point : int32 array
        Channel in its synapse, and time point in its window, of each spike.
    """

    first: NDArray[np.int64]
    channel: NDArray[np.int32]
    point: NDArray[np.int32]


def events_of(inputs: Inputs) -> Events:
    """Sort the spikes of all synapses; analog ones have none."""
    parts = [
        _by_pixel(
            synapse.geometry.channels, spikes.times, spikes.starts,
            spikes.counts if synapse.tagged else np.zeros_like(spikes.counts), spikes.tws,
        )
        for synapse, spikes in zip(inputs.synapses, inputs.spikes, strict=True)
    ]  # fmt: skip
    if len(parts) == 1:
        return Events(*parts[0])
    first, before = [np.zeros(1, np.int64)], 0
    for one in parts:
        first.append(one[0][1:] + before)
        before += int(one[0][-1])
    nothing = np.zeros(0, np.int32)
    channel, point = (np.concatenate([nothing, *(one[at] for one in parts)]) for at in (1, 2))
    return Events(np.concatenate(first), channel, point)


@kernel
def _by_pixel(
    channels: int, times: NDArray[np.int32], starts: NDArray[np.int64], counts: NDArray[np.int64], tws: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    pixels, windows = counts.shape
    first = np.zeros(pixels * windows + 1, np.int64)
    for pixel in range(pixels):
        for w in range(windows):
            word = pixel * windows + w
            first[word + 1] = first[word] + counts[pixel, w]
    free = first.copy()
    channel_of, point_of = np.empty(len(times), np.int32), np.empty(len(times), np.int32)
    window_of = np.arange(windows * tws) // tws
    for channel in range(channels):
        for pixel in range(pixels):
            n = channel * pixels + pixel
            for event in range(starts[n], starts[n + 1]):
                w = window_of[times[event]]
                place = free[pixel * windows + w]
                free[pixel * windows + w] = place + 1
                channel_of[place], point_of[place] = channel, times[event] - w * tws
    return first, channel_of, point_of


@kernel(inline="always")
def integrate(
    field: Field,
    first_place: int,
    last_place: int,
    position: int,
    w: int,
    windows: int,
    events: Events,
    streamed: NDArray[np.uint8],
    batch: int,
    weight: NDArray[Any],
    offset: int,
    sums: NDArray[Any],
    start: int,
    stride: int,
    lanes: int,
) -> int:
    """Add the weights of the spikes that a position sees in a window to the sums of their time points.

    Those of some filter positions; the weights of tap ``n`` of all begin at ``n * lanes + offset``. Only what
    is streamed is added. Sums of a time point lie ``stride`` behind those of the one before.

    Returns
    -------
    int
        How many spikes there were.
    """
    added = 0
    for k in range(first_place, last_place):
        pixel = field.place[position, k]
        if pixel < 0:
            continue
        word, tap = pixel * windows + w, field.taps[k, FIRST]
        for event in range(events.first[word], events.first[word + 1]):
            synapse = tap + events.channel[event]
            if streamed[batch, synapse] == 0:
                continue
            added += 1
            into, source = np.uintp(start + events.point[event] * stride), np.uintp(synapse * lanes + offset)
            for lane in range(np.uintp(lanes)):  # unsigned: a sign would have to be looked at
                sums[into + lane] += weight[source + lane]
    return added


@kernel
def integrate_in_order(
    field: Field,
    first_place: int,
    last_place: int,
    position: int,
    w: int,
    windows: int,
    events: Events,
    streamed: NDArray[np.uint8],
    weight: NDArray[Any],
    weight_at: NDArray[np.int64],
    own: bool,
    sums: NDArray[Any],
    start: int,
    stride: int,
    lanes: int,
    words: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> int:
    """Do the same for the filter positions of one synapse, channel by channel, so that its taps ascend.

    ``weight_at``: where the weights of each filter position begin; ``own``: whether a channel has one weight,
    for the lane of its number. ``words``, ``ends``: scratch, one element for each filter position.
    """
    for k in range(first_place, last_place):
        words[k], ends[k] = 0, 0
        pixel = field.place[position, k]
        if pixel >= 0:
            words[k], ends[k] = events.first[pixel * windows + w], events.first[pixel * windows + w + 1]
    added = 0
    none = field.taps[first_place, CHANNELS] if first_place < last_place else 0
    while True:
        channel = none
        for k in range(first_place, last_place):
            if words[k] < ends[k]:
                channel = min(channel, events.channel[words[k]])
        if channel == none:
            return added
        for k in range(first_place, last_place):
            while words[k] < ends[k] and events.channel[words[k]] == channel:
                if streamed[field.taps[k, FIRST] + channel] != 0:
                    into = start + events.point[words[k]] * stride
                    if own:
                        added += 1
                        sums[into + channel] += weight[weight_at[k] + channel]
                    else:
                        added += lanes
                        source = weight_at[k] + channel * lanes
                        for lane in range(lanes):
                            sums[into + lane] += weight[source + lane]
                words[k] += 1
