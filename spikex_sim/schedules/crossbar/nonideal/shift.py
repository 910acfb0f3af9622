"""Right shift of codes that clips few sums: ``imc.adc.range: auto`` (docs/imc.md, Section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry, places_of
from spikex_sim.core.jit import kernel
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.schedules.crossbar.mapping import Ints
from spikex_sim.schedules.crossbar.nonideal.gather import Pixels, Segments, chunks, gather
from spikex_sim.schedules.crossbar.nonideal.program import Programmed

MAX_SHIFT = 32
"""Larger than any that a sum can need."""


def shift_of(
    programmed: Programmed,
    geometry: Geometry,
    samples: Iterable[PackedSpikes],
    timesteps: int,
    *,
    once: Iterable[bool] | None = None,
) -> int:
    """Right shift ``s`` of a layer's codes.

    Parameters
    ----------
    programmed : Programmed
        The layer's arrays.
    geometry : Geometry
        Of the layer.
    samples : iterable of uint8 arrays ``[C, H, W, ceil(T / 8)]``
        Packed input of each calibration sample in software; not read where the configuration says the shift.
    timesteps : int
        ``T``.
    once : iterable of bool, optional
        Whether the arrays convert at the first time point alone, for each sample; by default for none.
    """
    adc = programmed.arch.imc.adc
    if adc.bits == "auto":
        return 0
    if adc.range != "auto":
        return adc.range
    needed = np.zeros(MAX_SHIFT + 1, np.int64)
    for spikes, direct in zip(samples, repeat(False) if once is None else once, strict=False):
        needed += needed_shifts(programmed, geometry, spikes, timesteps, once=direct)
    return smallest(needed, adc.clip)


def needed_shifts(
    programmed: Programmed, geometry: Geometry, spikes: PackedSpikes, timesteps: int, *, once: bool = False
) -> Ints:
    """How many of a sample's exact column sums need which shift not to be clipped, ``[MAX_SHIFT + 1]``.

    Those of several samples add up.
    """
    counts = np.zeros(MAX_SHIFT + 1, np.int64)
    array, places = programmed.array, places_of(geometry)
    for part, pixels in chunks(geometry, spikes, 1 if once else timesteps):
        points, largest = part.stop - part.start, int(array.largest)
        _count(geometry, places, pixels, array.segments, programmed.codes, points, largest, counts)
    return counts


def smallest(needed: Ints, clip: float) -> int:
    """Smallest shift at which at most a share ``clip`` of the sums is clipped."""
    total = int(needed.sum())
    allowed = int(total * Fraction(str(clip)))
    return int(np.argmax(total - np.cumsum(needed) <= allowed))


@kernel
def _count(
    geometry: Geometry,
    places: NDArray[np.int32],
    pixels: Pixels,
    segments: Segments,
    codes: NDArray[np.uint8],
    points: int,
    largest: int,
    counts: NDArray[np.int64],
) -> None:
    columns = codes.shape[1]
    current, power = np.empty((points, columns), np.int64), np.empty((points, 0), np.int64)
    active, offset = np.empty(points, np.int64), np.empty(points)
    nothing = np.zeros(len(codes))
    for p in range(len(places)):
        for unit in range(len(segments.first) - 1):
            if not gather(
                geometry, places[p], pixels, segments, unit, codes, nothing, current, power, active, offset
            ):
                continue
            for t in range(points):
                if active[t] == 0:
                    continue
                for c in range(columns):
                    shift = 0
                    while current[t, c] > largest << shift:
                        shift += 1
                    counts[shift] += 1
