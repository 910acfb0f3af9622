"""Spikes by pixel, and what the active rows of a unit carry at the time points of an output position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry
from spikex_sim.core.jit import kernel
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.schedules.crossbar.mapping import Ints, LayerMapping

POINTS = 32
"""Time points that are worked on together, a multiple of 8."""


class Segments(NamedTuple):
    """Rows of units as runs of neighbouring channels under one kernel position.

    Attributes
    ----------
    first : int64 array ``[units + 1]``
        First segment of each unit.
    place, low, high : int64 arrays
        Kernel position, first channel and the channel behind the last.
    """

    first: Ints
    place: Ints
    low: Ints
    high: Ints


def segments_of(mapping: LayerMapping, unit: Ints) -> Segments:
    """Segments of units, given the unit of every tap."""
    order = np.argsort(unit, kind="stable")
    place, channel = np.divmod(order, mapping.channels)
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (np.diff(unit[order]) != 0) | (np.diff(place) != 0) | (np.diff(channel) != 1)
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(order)) - 1
    per_unit = np.bincount(unit[order[starts]])
    first = np.concatenate([[0], np.cumsum(per_unit)])
    return Segments(first, place[starts], channel[starts], channel[ends] + 1)


class Pixels(NamedTuple):
    """Spikes of some time points by pixel, channel and time.

    Attributes
    ----------
    starts : int64 array ``[H W C + 1]``
        First spike of each pixel and channel.
    channel, point : int32 arrays
        Channel of each spike, and its time point, counted from the first of these.
    """

    starts: NDArray[np.int64]
    channel: NDArray[np.int32]
    point: NDArray[np.int32]


def chunks(geometry: Geometry, spikes: PackedSpikes, points: int) -> Iterator[tuple[slice, Pixels]]:
    """Spikes ``[C, H, W, ceil(T / 8)]`` of the first ``points`` time points, some of these at a time."""
    packed = np.ascontiguousarray(spikes).reshape(geometry.channels, geometry.pixels, -1)
    packed.setflags(write=False)  # of all spikes, so that their kernel is compiled once
    for first in range(0, points, POINTS):
        last = min(points, first + POINTS)
        yield slice(first, last), pixels_of(packed, first, last - first)


@kernel
def pixels_of(packed: PackedSpikes, first: int, points: int) -> Pixels:
    """Spikes of ``points`` time points from ``first``, of packed ones ``[C, H W, bytes]``."""
    channels, pixels, _ = packed.shape
    starts = np.zeros(pixels * channels + 1, np.int64)
    for c in range(channels):
        for pixel in range(pixels):
            for byte in range(first // 8, (first + points + 7) // 8):
                bits = packed[c, pixel, byte]
                for bit in range(min(8, first + points - 8 * byte) if bits else 0):
                    starts[pixel * channels + c + 1] += (bits >> (7 - bit)) & 1
    for i in range(len(starts) - 1):
        starts[i + 1] += starts[i]
    channel, point = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    for c in range(channels):
        for pixel in range(pixels):
            at = starts[pixel * channels + c]
            for byte in range(first // 8, (first + points + 7) // 8):
                bits = packed[c, pixel, byte]
                for bit in range(min(8, first + points - 8 * byte) if bits else 0):
                    if (bits >> (7 - bit)) & 1:
                        channel[at] = c
                        point[at] = 8 * byte + bit - first
                        at += 1
    return Pixels(starts, channel, point)


@kernel
def gather(
    geometry: Geometry,
    places: NDArray[np.int32],
    pixels: Pixels,
    segments: Segments,
    unit: int,
    cells: NDArray[Any],
    off: NDArray[np.float64],
    current: NDArray[Any],
    power: NDArray[Any],
    active: NDArray[np.int64],
    offset: NDArray[np.float64],
) -> bool:
    """Add up what the active rows of a unit carry, and say whether there are any.

    Parameters
    ----------
    geometry, places : Geometry, int32 array ``[K]``
        Of the layer; pixels under the kernel positions of the output position.
    pixels, segments, unit : Pixels, Segments, int
        Spikes, and where the unit's rows are.
    cells, off : arrays ``[K C, columns]``, ``[K C]``
        What a cell adds to its column, what a row adds to all references.
    current, power : arrays ``[points, columns]``
        Sums, and sums of squares, for time points with active rows; the latter may have no columns.
    active, offset : arrays ``[points]``
        Active rows and sums of references.
    """
    columns, squared = cells.shape[1], power.shape[1]
    active[:] = 0
    found = False
    for segment in range(segments.first[unit], segments.first[unit + 1]):
        place = segments.place[segment]
        pixel = places[place]
        if pixel < 0:
            continue
        base = pixel * geometry.channels
        for e in range(
            pixels.starts[base + segments.low[segment]], pixels.starts[base + segments.high[segment]]
        ):
            t = pixels.point[e]
            tap = place * geometry.channels + pixels.channel[e]
            row, sums, squares = cells[tap], current[t], power[t]
            if active[t] == 0:
                found = True
                offset[t] = 0.0
                sums[:] = 0
                squares[:] = 0
            active[t] += 1
            offset[t] += off[tap]
            for c in range(columns):
                sums[c] += row[c]
            for c in range(squared):
                squares[c] += row[c] * row[c]
    return found
