"""Activity tags: spikes sorted by time window, and what is active at each granularity.

Time point, time window (TW), time block (TB), the whole horizon (TS) and spatiotemporal memory block
(SP-MB): the tag of a unit is the OR of the spikes in it (SpikeX paper, Section III-B, Fig. 2; III-D).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.errors import ConfigError
from spikex_sim.geometry import Geometry, corner
from spikex_sim.trace.model import PackedSpikes

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
    pointers : int64 array ``[N, N_TW + 1]``
        ``times[pointers[n, w]:pointers[n, w + 1]]`` are the spikes of input ``n`` in window ``w``; the
        tag of any run of windows is set iff the pointers at its ends differ.
    """

    timesteps: int
    tws: int
    windows: int
    times: NDArray[np.int32]
    pointers: NDArray[np.int64]

    def window_tags(self) -> NDArray[np.bool_]:
        """Tags per input neuron and time window, ``[N, N_TW]``."""
        return np.diff(self.pointers, axis=1) > 0

    def block_tags(self, windows_per_block: int) -> NDArray[np.bool_]:
        """Tags per input neuron and time block, ``[N, ceil(N_TW / windows_per_block)]``."""
        edges = np.append(np.arange(0, self.windows, windows_per_block), self.windows)
        return np.diff(self.pointers[:, edges], axis=1) > 0

    def stride_tags(self) -> NDArray[np.bool_]:
        """Tags per input neuron over the whole horizon, ``[N]``."""
        return self.pointers[:, -1] > self.pointers[:, 0]


def window_spikes(packed: PackedSpikes, timesteps: int, tws: int) -> WindowedSpikes:
    """Sort the spikes of one sample by input neuron and time window.

    Parameters
    ----------
    packed : uint8 array ``[..., ceil(T/8)]``
        Bit-packed spikes of one sample; leading axes are flattened into input neurons.
    timesteps, tws : int
        ``T`` and ``TWS``, time points.
    """
    flat = packed.reshape(-1, packed.shape[-1])
    windows = -(-timesteps // tws)
    if len(flat) * (windows + 1) * 8 > MAX_INDEX_BYTES:
        raise ConfigError(
            f"{tws} makes {windows} windows of {len(flat)} inputs, an index of more than "
            f"{MAX_INDEX_BYTES >> 30} GiB; choose larger windows or replay fewer time points",
            field="tws",
        )
    times, pointers = _index_spikes(flat, timesteps, tws, windows)
    return WindowedSpikes(timesteps, tws, windows, times, pointers)


@njit(cache=True)
def _index_spikes(
    packed: NDArray[np.uint8], timesteps: int, tws: int, windows: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    neurons, length = packed.shape
    total = 0
    for n in range(neurons):
        for byte in packed[n]:
            bits = byte
            while bits:
                bits &= bits - 1
                total += 1
    times = np.empty(total, np.int32)
    pointers = np.empty((neurons, windows + 1), np.int64)
    end = 0
    for n in range(neurons):
        window = 0
        pointers[n, 0] = end
        for index in range(length):
            byte = packed[n, index]
            if byte == 0:
                continue
            for bit in range(8):
                t = index * 8 + bit
                if (byte >> (7 - bit)) & 1 and t < timesteps:
                    while t >= (window + 1) * tws:
                        window += 1
                        pointers[n, window] = end
                    times[end] = t
                    end += 1
        for rest in range(window + 1, windows + 1):
            pointers[n, rest] = end
    return times, pointers


def receptive_activity(geometry: Geometry, spikes: WindowedSpikes) -> NDArray[np.bool_]:
    """Which NTWUs are active: per output position and window, ``[P, N_TW]``.

    The output channels at one position share their receptive field and hence this tag (Section 2).
    """
    by_channel = spikes.window_tags().reshape(geometry.channels, -1, spikes.windows)
    active: NDArray[np.bool_] = _dilate(geometry, np.logical_or.reduce(by_channel, axis=0))
    return active


@njit(cache=True)
def _dilate(geometry: Geometry, tags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    positions = geometry.out_height * geometry.out_width
    active = np.zeros((positions, tags.shape[1]), np.bool_)
    for p in range(positions):
        y0, x0 = corner(geometry, p)
        for y in range(max(y0, 0), min(y0 + geometry.kernel_h, geometry.in_height)):
            for x in range(max(x0, 0), min(x0 + geometry.kernel_w, geometry.in_width)):
                active[p] |= tags[y * geometry.in_width + x]
    return active


@njit(cache=True)
def spmb_tags(
    geometry: Geometry, pointers: NDArray[np.int64], tiles: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Tags of the SP-MBs of every tile, and the receptive-field pixels a tile has in each channel.

    Parameters
    ----------
    geometry : Geometry
        The convolution.
    pointers : int64 array ``[N, N_TW + 1]``
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
        for channel in range(geometry.channels):
            for pixel in members[:count]:
                row = pointers[channel * area + pixel]
                if row[tiles[tile, 3]] > row[tiles[tile, 2]]:
                    active[tile, channel] = True
                    break
    return active, pixels
