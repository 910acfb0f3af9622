"""Activity tags: spikes sorted by time window, and what is active at each granularity.

Time point, time window (TW), time block (TB), the whole horizon (TS) and spatiotemporal memory block
(SP-MB): the tag of a unit is the OR of the spikes in it (SpikeX paper, Section III-B, Fig. 2; III-D).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.jit import kernel
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
    flat.setflags(write=False)  # spikes of a file and of a layer before are one type to the kernel
    most = count_spikes(flat)
    return WindowedSpikes(timesteps, tws, windows, *_index_spikes(flat, most, timesteps, tws, windows))


LEADING = np.array([8, *(8 - byte.bit_length() for byte in range(1, 256))], np.int64)
"""Zero bits before the first set bit of a byte."""


@kernel
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
