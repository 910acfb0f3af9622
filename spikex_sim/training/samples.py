"""Labelled samples of spikes in batches, and how training samples vary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

GRID = 5
"""Points along each side of the grid that bends a map."""


@dataclass(frozen=True)
class Augmentation:
    """How training samples vary; every sample draws its own.

    Attributes
    ----------
    shift_px : float
        Largest shift along each axis, in pixels of the network's input.
    rotate_deg : float
        Largest rotation around the middle of the map.
    scale : float
        Largest relative change of size, and of the aspect ratio.
    bend_px : float
        Standard deviation of the shifts of a 5x5 grid of points laid over the map, between which shifts are
        bilinear: handwriting bends (Simard et al., ICDAR 2003).
    drop : float
        Largest share of events that is lost.
    time_shift_steps : int
        Largest shift in time.
    """

    shift_px: float = 0.0
    rotate_deg: float = 0.0
    scale: float = 0.0
    bend_px: float = 0.0
    drop: float = 0.0
    time_shift_steps: int = 0


class SpikeData(Protocol):
    """Labelled samples that can be had in batches."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of every sample."""

    def batch(self, samples: NDArray[np.intp], rng: np.random.Generator | None) -> NDArray[np.float32]:
        """Spikes ``[T, len(samples), C, H, W]``, varied with ``rng`` where one is given."""


@dataclass(frozen=True, eq=False)
class SpikeEvents:
    """Samples as lists of spikes, a spike one entry: what can be turned and shifted before it is binned.

    Attributes
    ----------
    x, y, polarity, step : integer arrays, ``[spikes]``
        Column and row of the network's input, 0 OFF or 1 ON, and time point.
    offsets : int64 array, ``[samples + 1]``
        Sample ``i`` is ``offsets[i]`` to ``offsets[i + 1]``, exclusive.
    labels : int64 array, ``[samples]``
        Classes.
    timesteps : int
        Time points ``T``.
    height, width : int
        Of the map.
    augmentation : Augmentation
        How training batches vary.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    polarity: NDArray[Any]
    step: NDArray[Any]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    timesteps: int
    height: int
    width: int
    augmentation: Augmentation = Augmentation()

    def batch(self, samples: NDArray[np.intp], rng: np.random.Generator | None) -> NDArray[np.float32]:
        """Spikes ``[T, len(samples), 2, H, W]``, varied with ``rng`` where one is given."""
        parts = [np.arange(self.offsets[one], self.offsets[one + 1]) for one in samples]
        which = np.repeat(np.arange(len(samples)), [len(part) for part in parts])
        rows = np.concatenate(parts)
        x, y, step = (array[rows] for array in (self.x, self.y, self.step))
        polarity = self.polarity[rows].astype(np.int64)
        step = step.astype(np.int64)
        x, y = x.astype(np.int64), y.astype(np.int64)
        if rng is not None:
            x, y, step, kept = self._varied(x, y, step, which, len(samples), rng)
            x, y, step, polarity, which = (array[kept] for array in (x, y, step, polarity, which))
        shape = (self.timesteps, len(samples), 2, self.height, self.width)
        spikes = np.zeros(shape, np.float32)
        flat = (((step * len(samples) + which) * 2 + polarity) * self.height + y) * self.width + x
        spikes.reshape(-1)[flat] = 1.0
        return spikes

    def _varied(
        self,
        x: NDArray[np.int64],
        y: NDArray[np.int64],
        step: NDArray[np.int64],
        which: NDArray[np.intp],
        samples: int,
        rng: np.random.Generator,
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
        how = self.augmentation
        angle = np.deg2rad(how.rotate_deg) * rng.uniform(-1, 1, samples)
        size = 1 + how.scale * rng.uniform(-1, 1, (2, samples))
        shift = how.shift_px * rng.uniform(-1, 1, (2, samples))
        sine, cosine = (np.asarray(part, np.float32)[which] for part in (np.sin(angle), np.cos(angle)))
        size, shift = size.astype(np.float32), shift.astype(np.float32)
        # A spike lies anywhere in its pixel: so no rows stay empty where the map is stretched.
        inside = rng.random((2, len(x)), np.float32) - np.float32(0.5)
        middle = (self.width - 1) / 2, (self.height - 1) / 2
        from_x = x.astype(np.float32) + inside[0] - np.float32(middle[0])
        from_y = y.astype(np.float32) + inside[1] - np.float32(middle[1])
        to_x = (cosine * from_x - sine * from_y) * size[0][which] + shift[0][which]
        to_y = (sine * from_x + cosine * from_y) * size[1][which] + shift[1][which]
        if how.bend_px:
            grid = rng.normal(0, how.bend_px, (2, samples, GRID, GRID)).astype(np.float32)
            moves = _bent(grid, which, from_x / self.width + 0.5, from_y / self.height + 0.5)
            to_x, to_y = to_x + moves[0], to_y + moves[1]
        x = np.rint(to_x + np.float32(middle[0])).astype(np.int64)
        y = np.rint(to_y + np.float32(middle[1])).astype(np.int64)
        most = how.time_shift_steps
        step = step + rng.integers(-most, most + 1, samples)[which]
        lost = how.drop * rng.random(samples)
        kept = rng.random(len(x), np.float32) >= lost.astype(np.float32)[which]
        kept &= (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        kept &= (step >= 0) & (step < self.timesteps)
        return x, y, step, kept


@dataclass(frozen=True, eq=False)
class PackedSpikeData:
    """Samples as spikes packed along time: a bit a spike, for long recordings.

    Attributes
    ----------
    packed : uint8 array, ``[samples, C, H, W, ceil(T/8)]``
        As in trace files.
    labels : int64 array, ``[samples]``
        Classes.
    timesteps : int
        Time points ``T``.
    augmentation : Augmentation
        Shifts in space and time, by whole pixels and steps, and lost spikes; nothing else.
    """

    packed: NDArray[np.uint8]
    labels: NDArray[np.int64]
    timesteps: int
    augmentation: Augmentation = Augmentation()

    def batch(self, samples: NDArray[np.intp], rng: np.random.Generator | None) -> NDArray[np.float32]:
        """Spikes ``[T, len(samples), C, H, W]``, varied with ``rng`` where one is given."""
        shape = (self.timesteps, len(samples), *self.packed.shape[1:-1])
        spikes = np.empty(shape, np.float32)
        for place, sample in enumerate(samples):
            bits = np.unpackbits(self.packed[sample], axis=-1, count=self.timesteps)
            if rng is not None:
                bits = self._varied(bits, rng)
            spikes[:, place] = np.moveaxis(bits, -1, 0)
        return spikes

    def _varied(self, bits: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        how = self.augmentation
        most = round(how.shift_px)
        for axis, reach in ((1, most), (2, most), (3, how.time_shift_steps)):
            bits = _shifted(bits, int(rng.integers(-reach, reach + 1)), axis)
        if how.drop:
            bits = bits & (rng.random(bits.shape, np.float32) >= how.drop * rng.random())
        return bits


@dataclass(frozen=True, eq=False)
class Chosen:
    """Some samples of a source, by their numbers, in order."""

    source: SpikeData
    numbers: NDArray[np.intp]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of every sample."""
        return self.source.labels[self.numbers]

    def batch(self, samples: NDArray[np.intp], rng: np.random.Generator | None) -> NDArray[np.float32]:
        """Spikes ``[T, len(samples), C, H, W]``, varied with ``rng`` where one is given."""
        return self.source.batch(self.numbers[samples], rng)


def batches(count: int, size: int, rng: np.random.Generator | None) -> Iterator[NDArray[np.intp]]:
    """Numbers of the samples of each batch, shuffled with ``rng`` where one is given."""
    order = np.arange(count) if rng is None else rng.permutation(count)
    for start in range(0, count, size):
        yield order[start : start + size].astype(np.intp)


def tensor_batch(
    data: SpikeData, samples: NDArray[np.intp], rng: np.random.Generator | None, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes ``[T, samples, C, H, W]`` and classes, on a device."""
    spikes = torch.from_numpy(data.batch(samples, rng)).to(device)
    return spikes, torch.from_numpy(data.labels[samples]).to(device)


def _bent(
    grid: NDArray[np.float32], which: NDArray[np.intp], x: NDArray[Any], y: NDArray[Any]
) -> NDArray[np.float32]:
    """Interpolate ``grid [2, samples, GRID, GRID]`` bilinearly at places from 0 to 1, ``[2, places]``."""
    at = [np.clip(place * (GRID - 1), 0, GRID - 1) for place in (y, x)]
    low = [np.minimum(place.astype(np.intp), GRID - 2) for place in at]
    row, column = (place - first for place, first in zip(at, low, strict=True))
    found = np.zeros((2, len(x)), np.float32)
    for down in (0, 1):
        for right in (0, 1):
            weight = (row if down else 1 - row) * (column if right else 1 - column)
            found += weight * grid[:, which, low[0] + down, low[1] + right]
    return found


def _shifted(bits: NDArray[np.uint8], by: int, axis: int) -> NDArray[np.uint8]:
    if not by:
        return bits
    moved = np.zeros_like(bits)
    to: list[slice] = [slice(None)] * bits.ndim
    source = list(to)
    to[axis] = slice(by, None) if by > 0 else slice(None, by)
    source[axis] = slice(None, -by) if by > 0 else slice(-by, None)
    moved[tuple(to)] = bits[tuple(source)]
    return moved
