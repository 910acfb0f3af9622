"""Counts what a time-serial machine sees: spikes and distinct time points of every receptive field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry, corner
from spikex_sim.core.jit import kernel


@kernel
def field_spikes(
    geometry: Geometry, times: NDArray[np.int32], starts: NDArray[np.int64], timesteps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Spikes, and time points with a spike, in the receptive field of each output position.

    Parameters
    ----------
    geometry : Geometry
        Sizes of the layer.
    times, starts
        See :class:`~spikex_sim.core.tags.WindowedSpikes`.
    timesteps : int
        Time points ``T``.

    Returns
    -------
    int64 array ``[P]``, int64 array ``[P]``
    """
    positions = geometry.out_height * geometry.out_width
    area = geometry.in_height * geometry.in_width
    spikes = np.zeros(positions, np.int64)
    points = np.zeros(positions, np.int64)
    seen = np.full(timesteps, -1, np.int64)
    for p in range(positions):
        y0, x0 = corner(geometry, p)
        for channel in range(geometry.channels):
            for place in range(geometry.kernel_h * geometry.kernel_w):
                y = y0 + place // geometry.kernel_w * geometry.dilation_h
                x = x0 + place % geometry.kernel_w * geometry.dilation_w
                if 0 <= y < geometry.in_height and 0 <= x < geometry.in_width:
                    n = channel * area + y * geometry.in_width + x
                    for event in range(starts[n], starts[n + 1]):
                        spikes[p] += 1
                        if seen[times[event]] != p:
                            seen[times[event]] = p
                            points[p] += 1
    return spikes, points


@kernel
def row_spikes(geometry: Geometry, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Spikes in the map rows that each row of output positions sees, ``[R_h]``."""
    area = geometry.in_height * geometry.in_width
    in_row = np.zeros(geometry.in_height, np.int64)
    for n in range(len(starts) - 1):
        in_row[(n % area) // geometry.in_width] += starts[n + 1] - starts[n]
    found = np.zeros(geometry.out_height, np.int64)
    for row in range(geometry.out_height):
        y0 = row * geometry.stride_h - geometry.pad_h
        for i in range(geometry.kernel_h):
            y = y0 + i * geometry.dilation_h
            if 0 <= y < geometry.in_height:
                found[row] += in_row[y]
    return found
