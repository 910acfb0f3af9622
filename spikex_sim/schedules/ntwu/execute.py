"""Executes an NTWU schedule: tiles, batches, columns and streamed taps in the order issued (Section 4).

What the array does not do does not happen: a tap that is not streamed adds nothing, a window that is not
issued emits nothing, and potentials are carried from column to column as these come. The row groups issue the
same, one after the other; here their output channels are the lanes of the innermost loops. Partial sums are
integers, or float32 with the taps added in ascending order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry, corner, widest_batch
from spikex_sim.core.neurons import by_channel, fire, rest
from spikex_sim.schedules.base import Synapses

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule


def execute(schedule: NtwuSchedule, synapses: Synapses) -> tuple[NDArray[np.uint8], int]:
    """Run what a schedule issues; see :meth:`spikex_sim.schedules.base.Schedule.execute`."""
    spikes = schedule.spikes
    fired, additions = _walk(
        schedule.geometry, spikes.timesteps, spikes.tws, spikes.times, spikes.starts, spikes.counts,
        schedule.tile_batches, schedule.batch_columns, schedule.position, schedule.window,
        schedule.surveyed.streamed, synapses.by_tap, synapses.biases, synapses.lif, synapses.silence_is_free,
        synapses.neuron.datapath == "float",
    )  # fmt: skip
    return fired, int(additions)


@njit(cache=True)
def _walk(
    geometry: Geometry,
    timesteps: int,
    tws: int,
    times: NDArray[np.int32],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
    tile_batches: NDArray[np.int64],
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    streamed: NDArray[np.uint8],
    weight: NDArray[Any],
    bias: NDArray[Any],
    lif: tuple[Any, Any, Any, bool],
    silence_is_free: bool,
    in_order: bool,
) -> tuple[NDArray[np.uint8], int]:
    """Output spikes ``[M, P, ceil(T/8)]``, and additions; ``in_order``: the taps of a sum ascend."""
    lanes, positions, windows = len(bias), geometry.out_height * geometry.out_width, counts.shape[1]
    first, channel_of, point_of = _by_pixel(geometry.channels, times, starts, counts, tws)
    corners = np.empty((positions, 2), np.int64)
    for p in range(positions):
        corners[p] = corner(geometry, p)
    widest = widest_batch(batch_columns)
    stride = widest * lanes
    sums, biases = np.zeros(tws * stride, bias.dtype), np.empty(stride, bias.dtype)
    for column in range(widest):
        biases[column * lanes : (column + 1) * lanes] = bias
    potential = np.zeros(positions * lanes, bias.dtype)
    last = np.full(positions, -1, np.int64)
    settled = np.ones(positions, np.bool_)  # more leaking would change nothing
    length = (timesteps + 7) // 8
    fired = np.zeros(length * positions * lanes, np.uint8)
    words, ends = np.empty((2, geometry.kernel_h * geometry.kernel_w), np.int64)
    additions = 0
    for tile in range(len(tile_batches) - 1):
        for b in range(tile_batches[tile], tile_batches[tile + 1]):
            column, stop = batch_columns[b], batch_columns[b + 1]
            while column < stop:
                p, w = position[column], window[column]
                run = added = 0  # columns of positions side by side fire together
                while True:
                    side = p + run
                    if not settled[side] and 0 <= last[side] < w - 1:
                        skipped = (w - last[side] - 1) * tws
                        settled[side] = rest(potential, side * lanes, lanes, lif[1], skipped)
                    last[side] = w
                    into = run * lanes
                    if in_order:
                        added += _integrate_in_order(
                            geometry, corners[side], w, windows, first, channel_of, point_of, streamed[b],
                            weight, sums, into, stride, lanes, words, ends,
                        )  # fmt: skip
                    else:
                        added += _integrate(
                            geometry, corners, side, w, windows, first, channel_of, point_of, streamed, b,
                            weight, sums, into, stride, lanes,
                        )  # fmt: skip
                    run += 1
                    column += 1
                    if column == stop or position[column] != p + run or window[column] != w:
                        break
                additions += added * lanes
                start = w * tws
                points = min(tws, timesteps - start)
                if added == 0 and silence_is_free:
                    for side in range(p, p + run):
                        if not settled[side]:
                            settled[side] = rest(potential, side * lanes, lanes, lif[1], points)
                    continue
                for side in range(p, p + run):
                    settled[side] = False
                fire(
                    potential, p * lanes, run * lanes, sums, 0, stride, biases, lif, start, points, fired,
                )  # fmt: skip
    return by_channel(fired.reshape(length, positions * lanes), lanes), additions


@njit(cache=True)
def _by_pixel(
    channels: int, times: NDArray[np.int32], starts: NDArray[np.int64], counts: NDArray[np.int64], tws: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Spikes of each (pixel, window): where its first one is, and channel and point in the window of each."""
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


@njit(cache=True, inline="always")
def _integrate(
    geometry: Geometry,
    corners: NDArray[np.int64],
    position: int,
    w: int,
    windows: int,
    first: NDArray[np.int64],
    channel_of: NDArray[np.int32],
    point_of: NDArray[np.int32],
    streamed: NDArray[np.uint8],
    batch: int,
    weight: NDArray[Any],
    sums: NDArray[Any],
    start: int,
    stride: int,
    lanes: int,
) -> int:
    """Add the weights of a column's spikes to the sums of their time points; how many spikes there were."""
    y0, x0 = corners[position, 0], corners[position, 1]
    added = 0
    for i in range(max(0, -y0), min(geometry.kernel_h, geometry.in_height - y0)):
        for j in range(max(0, -x0), min(geometry.kernel_w, geometry.in_width - x0)):
            word = ((y0 + i) * geometry.in_width + x0 + j) * windows + w
            tap = (i * geometry.kernel_w + j) * geometry.channels
            for event in range(first[word], first[word + 1]):
                synapse = tap + channel_of[event]
                if streamed[batch, synapse] == 0:
                    continue
                added += 1
                into, source = np.uintp(start + point_of[event] * stride), np.uintp(synapse * lanes)
                for lane in range(np.uintp(lanes)):  # unsigned: a sign would have to be looked at
                    sums[into + lane] += weight[source + lane]
    return added


@njit(cache=True)
def _integrate_in_order(
    geometry: Geometry,
    corner_of: NDArray[np.int64],
    w: int,
    windows: int,
    first: NDArray[np.int64],
    channel_of: NDArray[np.int32],
    point_of: NDArray[np.int32],
    streamed: NDArray[np.uint8],
    weight: NDArray[Any],
    sums: NDArray[Any],
    start: int,
    stride: int,
    lanes: int,
    words: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> int:
    """Do the same channel by channel, so that taps ascend; ``words``, ``ends``: scratch ``[E_h * E_w]``."""
    y0, x0 = corner_of
    words[:], ends[:] = 0, 0
    for tap in range(len(words)):
        y, x = y0 + tap // geometry.kernel_w, x0 + tap % geometry.kernel_w
        if 0 <= y < geometry.in_height and 0 <= x < geometry.in_width:
            word = (y * geometry.in_width + x) * windows + w
            words[tap], ends[tap] = first[word], first[word + 1]
    added = 0
    while True:
        channel = geometry.channels
        for tap in range(len(words)):
            if words[tap] < ends[tap]:
                channel = min(channel, channel_of[words[tap]])
        if channel == geometry.channels:
            return added
        for tap in range(len(words)):
            synapse = tap * geometry.channels + channel
            while words[tap] < ends[tap] and channel_of[words[tap]] == channel:
                if streamed[synapse] != 0:
                    added += 1
                    into, source = start + point_of[words[tap]] * stride, synapse * lanes
                    for lane in range(lanes):
                        sums[into + lane] += weight[source + lane]
                words[tap] += 1
