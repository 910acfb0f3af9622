"""Activity tags: spikes sorted by time window, and what is active at each granularity.

Time point, time window (TW), time block (TB), the whole horizon (TS) and spatiotemporal memory block
(SP-MB): the tag of a unit is the OR of the spikes in it (SpikeX paper, Section III-B, Fig. 2; III-D).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.geometry import Geometry, corner
from spikex_sim.core.spikes import PackedSpikes, count_spikes

MAX_INDEX_BYTES = 8 << 30
"""Largest index of spikes by input and window that is built."""


@dataclass(frozen=True)
class WindowedSpikes:
    """Input spikes of one layer and sample, indexed by input neuron and time window.

    Attributes
    ----------
    timesteps, tws, windows : int
        ``T``, ``TWS`` and ``N_TW = ceil(T / TWS)``; the last window is padded with silence.
    times : int32 array
        Time points of all spikes, sorted by input neuron, then time.
    starts : int64 array ``[N + 1]``
        ``times[starts[n]:starts[n + 1]]`` are the spikes of input ``n``: ``channel * pixels + pixel``.
    tags : uint8 array ``[pixels, N_TW, C]``
        1 where an input spikes in a window; the channels of a pixel lie side by side.
    counts : int64 array ``[pixels, N_TW]``
        Spikes of all channels of a pixel in a window.
    """

    timesteps: int
    tws: int
    windows: int
    times: NDArray[np.int32]
    starts: NDArray[np.int64]
    tags: NDArray[np.uint8]
    counts: NDArray[np.int64]

    def per_input(self) -> NDArray[np.int64]:
        """Spikes per input neuron, ``[N]``."""
        return np.diff(self.starts)

    def per_window(self) -> NDArray[np.int64]:
        """Spikes per input neuron and time window, ``[N, N_TW]``."""
        inputs = np.repeat(np.arange(len(self.starts) - 1), self.per_input())
        found = np.bincount(inputs * self.windows + self.times // self.tws, minlength=self.tags.size)
        return found.reshape(-1, self.windows)

    def window_tags(self) -> NDArray[np.bool_]:
        """Tags per input neuron and time window, ``[N, N_TW]``."""
        return self.tags.transpose(2, 0, 1).reshape(-1, self.windows) > 0

    def block_tags(self, windows_per_block: int) -> NDArray[np.bool_]:
        """Tags per input neuron and time block, ``[N, ceil(N_TW / windows_per_block)]``."""
        return np.logical_or.reduceat(
            self.window_tags(), np.arange(0, self.windows, windows_per_block), axis=1
        )

    def stride_tags(self) -> NDArray[np.bool_]:
        """Tags per input neuron over the whole horizon, ``[N]``."""
        return self.per_input() > 0


def window_spikes(packed: PackedSpikes, timesteps: int, tws: int) -> WindowedSpikes:
    """Sort the spikes of one sample by input neuron and time window.

    Parameters
    ----------
    packed : uint8 array ``[C, ..., ceil(T/8)]``
        Bit-packed spikes of one sample, channels first; axes between are the pixels of a map.
    timesteps, tws : int
        ``T`` and ``TWS``, time points.
    """
    channels, pixels = len(packed), prod(packed.shape[1:-1])
    windows = -(-timesteps // tws)
    if pixels * windows * (channels + 8) > MAX_INDEX_BYTES:
        raise ConfigError(
            f"{tws} makes {windows} windows of {channels * pixels} inputs, an index of more than "
            f"{MAX_INDEX_BYTES >> 30} GiB; choose larger windows or replay fewer time points",
            field="tws",
        )
    flat = np.ascontiguousarray(packed.reshape(channels, pixels, -1))
    most = count_spikes(flat)
    return WindowedSpikes(timesteps, tws, windows, *_index_spikes(flat, most, timesteps, tws, windows))


LEADING = np.array([8, *(8 - byte.bit_length() for byte in range(1, 256))], np.int64)
"""Zero bits before the first set bit of a byte."""


@njit(cache=True)
def _index_spikes(
    packed: NDArray[np.uint8], most: int, timesteps: int, tws: int, windows: int
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    channels, pixels, length = packed.shape
    times = np.empty(most, np.int32)
    starts = np.zeros(channels * pixels + 1, np.int64)
    tags = np.zeros((pixels, windows, channels), np.uint8)
    counts = np.zeros((pixels, windows), np.int64)
    window_of = np.arange(length * 8) // tws
    end = 0
    for channel in range(channels):
        for pixel in range(pixels):
            for index in range(length):
                byte = packed[channel, pixel, index]
                while byte != 0:
                    bit = LEADING[byte]
                    byte = byte & np.uint8(127 >> bit)
                    t = index * 8 + bit
                    if t < timesteps:
                        times[end] = t
                        end += 1
                        tags[pixel, window_of[t], channel] = 1
                        counts[pixel, window_of[t]] += 1
            starts[channel * pixels + pixel + 1] = end
    return times[:end], starts, tags, counts


def receptive_activity(geometry: Geometry, spikes: WindowedSpikes) -> NDArray[np.bool_]:
    """Which NTWUs are active: per output position and window, ``[P, N_TW]``.

    The output channels at one position share their receptive field and hence this tag (Section 2).
    """
    active: NDArray[np.bool_] = _dilate(geometry, spikes.counts)
    return active


@njit(cache=True)
def _dilate(geometry: Geometry, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    positions = geometry.out_height * geometry.out_width
    active = np.zeros((positions, counts.shape[1]), np.bool_)
    for p in range(positions):
        y0, x0 = corner(geometry, p)
        for y in range(max(y0, 0), min(y0 + geometry.kernel_h, geometry.in_height)):
            for x in range(max(x0, 0), min(x0 + geometry.kernel_w, geometry.in_width)):
                row = counts[y * geometry.in_width + x]
                own = active[p]
                for w in range(len(own)):
                    own[w] |= row[w] > 0
    return active


def reach(geometry: Geometry, spikes: WindowedSpikes) -> int:
    """Additions that the input asks for in each output channel: every spike for each output that sees it."""
    return int(seen(geometry, spikes.counts))


@njit(cache=True)
def seen(geometry: Geometry, counts: NDArray[np.int64]) -> int:
    """Sum over all output positions of what lies in their field; ``counts``: ``[H * W, windows]``."""
    rows, columns = np.zeros(geometry.in_height, np.int64), np.zeros(geometry.in_width, np.int64)
    for out in range(geometry.out_height):
        top = out * geometry.stride_h - geometry.pad_h
        rows[max(0, top) : max(0, top + geometry.kernel_h)] += 1
    for out in range(geometry.out_width):
        left = out * geometry.stride_w - geometry.pad_w
        columns[max(0, left) : max(0, left + geometry.kernel_w)] += 1
    total = 0
    for y in range(geometry.in_height):
        for x in range(geometry.in_width):
            met = rows[y] * columns[x]
            for count in counts[y * geometry.in_width + x]:
                total += count * met
    return total


@njit(cache=True)
def spmb_tags(
    geometry: Geometry, tags: NDArray[np.uint8], counts: NDArray[np.int64], tiles: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Tags of the SP-MBs of every tile, and the receptive-field pixels a tile has in each channel.

    Parameters
    ----------
    geometry : Geometry
        The convolution.
    tags, counts
        See :class:`WindowedSpikes`.
    tiles : int64 array ``[tiles, 4]``
        First and last-plus-one position, first and last-plus-one window.

    Returns
    -------
    bool array ``[tiles, C]``, int64 array ``[tiles]``
        Pixels are a union, not a bounding box, and lie inside the map.
    """
    area = geometry.in_height * geometry.in_width
    active = np.zeros((tiles.shape[0], geometry.channels), np.bool_)
    pixels = np.zeros(tiles.shape[0], np.int64)
    seen = np.full(area, -1, np.int64)
    members = np.empty(area, np.int64)
    for tile in range(tiles.shape[0]):
        count = 0
        for p in range(tiles[tile, 0], tiles[tile, 1]):
            y0, x0 = corner(geometry, p)
            for y in range(max(y0, 0), min(y0 + geometry.kernel_h, geometry.in_height)):
                for x in range(max(x0, 0), min(x0 + geometry.kernel_w, geometry.in_width)):
                    pixel = y * geometry.in_width + x
                    if seen[pixel] != tile:
                        seen[pixel] = tile
                        members[count] = pixel
                        count += 1
        pixels[tile] = count
        own = active[tile]
        for pixel in members[:count]:
            for w in range(tiles[tile, 2], tiles[tile, 3]):
                if counts[pixel, w] > 0:
                    row = tags[pixel, w]
                    for channel in range(len(row)):
                        own[channel] |= row[channel] > 0
    return active, pixels
