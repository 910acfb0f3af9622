"""Batch norms adapted to what arrays give: an affine on each channel's sum (docs/imc.md, Section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """Exact sums over positions, time points and samples; those of several samples add up in any order.

    Attributes
    ----------
    count : int
        How many sums ``y`` of each channel.
    totals, squares : tuple of int
        Sums of ``y`` and ``y^2`` of each channel.
    """

    count: int
    totals: tuple[int, ...]
    squares: tuple[int, ...]

    @classmethod
    def of(cls, sums: NDArray[np.int64], *, once: bool = False) -> Moments:
        """Moments of sums ``[T, P, M]``; ``once``: the same at all time points, and count once."""
        found = sums[:1] if once else sums
        count = found.shape[0] * found.shape[1]
        largest = max(-int(found.min(initial=0)), int(found.max(initial=0)))
        exact = found if count * largest**2 < 1 << 63 else found.astype(object)
        return cls(
            count, tuple(exact.sum(axis=(0, 1)).tolist()), tuple((exact * exact).sum(axis=(0, 1)).tolist())
        )

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.count + other.count,
            tuple(map(int.__add__, self.totals, other.totals)),
            tuple(map(int.__add__, self.squares, other.squares)),
        )

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean of each channel."""
        return np.array([total / self.count for total in self.totals])

    @property
    def deviations(self) -> NDArray[np.float64]:
        """Standard deviation of each channel; the radicand is an exact integer before it is rounded once."""
        return np.array([
            sqrt(self.count * square - total * total) / self.count
            for total, square in zip(self.totals, self.squares, strict=True)
        ])  # fmt: skip


@dataclass(frozen=True, eq=False)
class Affine:
    """What makes sums of arrays look like those of software.

    Attributes
    ----------
    hardware_means, factors, software_means : float64 arrays ``[M]``
        Of each channel.
    """

    hardware_means: NDArray[np.float64]
    factors: NDArray[np.float64]
    software_means: NDArray[np.float64]

    @classmethod
    def of(cls, software: Moments, hardware: Moments) -> Affine:
        """Adaptation from moments of the calibration samples."""
        spread = hardware.deviations
        constant = spread == 0
        factors = np.where(constant, 1.0, software.deviations / np.where(constant, 1.0, spread))
        return cls(hardware.means, factors, software.means)

    def __call__(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Adapt sums ``[T, P, M]``."""
        found = sums - self.hardware_means
        found *= self.factors
        found += self.software_means
        found += 0.5
        return np.floor(found, out=found).astype(np.int64)
