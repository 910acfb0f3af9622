"""Digital sums: what converters make of the currents of columns (docs/imc.md, Section 4)."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.crossbar.mapping import Ints
from spikex_sim.schedules.crossbar.nonideal.gather import Pixels, Segments, gather
from spikex_sim.schedules.crossbar.nonideal.streams import fill_normals

_STEPS = float(1 << 20)


class Array(NamedTuple):
    """A programmed layer as kernels take it; conductances are in units of one code's.

    Attributes
    ----------
    cells : float64 array ``[K C, columns]``
        Effective conductances.
    off : float64 array ``[K C]``
        What each active row adds to the reference.
    scale, digital : int64 array ``[units, columns]``, int32 array ``[K C, M]``
        See :class:`spikex_sim.schedules.crossbar.nonideal.codes.Codes`.
    segments : Segments
        Rows of units.
    sigma : float
        Deviation of a cell's current at a read.
    largest : float
        Largest code of a converter.
    seed : uint64
        Of the noise.
    """

    cells: NDArray[np.float64]
    off: NDArray[np.float64]
    scale: Ints
    digital: NDArray[np.int32]
    segments: Segments
    sigma: float
    largest: float
    seed: np.uint64


@kernel
def add_sums(
    geometry: Geometry,
    places: NDArray[np.int32],
    pixels: Pixels,
    array: Array,
    shift: int,
    streams: NDArray[np.uint64],
    sums: NDArray[np.int64],
) -> None:
    """Add the sums of some time points.

    Parameters
    ----------
    geometry, places : Geometry, int32 array ``[P, K]``
        Of the layer, and its pixels.
    pixels : Pixels
        Spikes.
    array : Array
        The layer's arrays.
    shift : int
        Right shift of codes.
    streams : uint64 array ``[points]``
        Second word of each time point's key.
    sums : int64 array ``[points, P, M]``
        What is added to.
    """
    points, positions, _ = sums.shape
    units, columns = array.scale.shape
    current = np.empty((points, columns))
    power = np.empty((points, columns if array.sigma > 0 else 0))
    active, offset = np.empty(points, np.int64), np.empty(points)
    noise, radius, angle = np.zeros(columns), np.empty(columns + 2), np.empty(columns + 2)
    for p in range(positions):
        add_digital(geometry, places[p], pixels, array.digital, p, sums)
        for unit in range(units):
            if not gather(
                geometry, places[p], pixels, array.segments, unit, array.cells, array.off, current, power,
                active, offset,
            ):  # fmt: skip
                continue
            for t in range(points):
                if active[t] == 0:
                    continue
                if array.sigma > 0:
                    first = (p * units + unit) * columns
                    fill_normals(array.seed, streams[t], first, noise, radius, angle)
                    for c in range(columns):
                        current[t, c] += array.sigma * noise[c] * sqrt(power[t, c])
                convert(current[t], offset[t], shift, array.largest, array.scale[unit], sums[t, p])


@kernel
def add_digital(
    geometry: Geometry,
    places: NDArray[np.int32],
    pixels: Pixels,
    digital: NDArray[np.int32],
    p: int,
    sums: NDArray[np.int64],
) -> None:
    """Add what counting the spikes of a position gives."""
    lanes = digital.shape[1]
    for place in range(len(places)):
        if places[place] < 0:
            continue
        base = places[place] * geometry.channels
        for e in range(pixels.starts[base], pixels.starts[base + geometry.channels]):
            into = sums[pixels.point[e], p]
            row = digital[place * geometry.channels + pixels.channel[e]]
            for m in range(lanes):
                into[m] += row[m]


@kernel(error_model="numpy")
def convert(
    current: NDArray[np.float64],
    offset: float,
    shift: int,
    largest: float,
    scale: NDArray[np.int64],
    sums: NDArray[np.int64],
) -> None:
    """Convert the columns of a unit, and add them to the sums ``[M]``; the currents are used up."""
    columns = len(current)
    unit = np.float64(np.int64(1) << shift)
    inverse = 1.0 / unit
    for c in range(columns):
        value = np.floor((current[c] - offset) * _STEPS + 0.5) / _STEPS
        current[c] = min(max(np.floor(value * inverse + 0.5), 0.0), largest) * unit
    of_output = columns // len(sums)
    for m in range(len(sums)):
        for c in range(m * of_output, (m + 1) * of_output):
            sums[m] += np.int64(current[c]) * scale[c]
