"""Fitness of spikes: how well a mini-batch's samples can be told apart (Section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of

Kernel = Literal["released", "normalised"]
Constant = Literal["count", "skip"]
KERNELS: tuple[Kernel, ...] = ("released", "normalised")
CONSTANTS: tuple[Constant, ...] = ("count", "skip")
_LEAST = 1e-3
"""Added to the expected distance."""
_HALF = 0.5


@dataclass(frozen=True, eq=False)
class Codes:
    """Spikes of a population at a time point, by what pairs of samples have in common.

    Attributes
    ----------
    together : float64 array ``[S, S]``
        Neurons that fire in both samples; on the diagonal those that fire in one.
    neurons : int
        ``N``.
    """

    together: NDArray[np.float64]
    neurons: int

    @classmethod
    def of(cls, spikes: NDArray[np.generic]) -> Codes:
        """Compare samples.

        Parameters
        ----------
        spikes : array ``[S, N]``
            0 or 1.
        """
        fired = spikes.astype(np.float64)
        return cls(fired @ fired.T, spikes.shape[1])

    @property
    def fired(self) -> NDArray[np.float64]:
        """Neurons that fire, by sample."""
        return np.diagonal(self.together)

    @property
    def distances(self) -> NDArray[np.float64]:
        """``H``: neurons that fire in one of two samples."""
        return self.fired[:, None] + self.fired - 2 * self.together

    @property
    def expected(self) -> NDArray[np.float64]:
        """``E``: what ``H`` is on average where codes are independent; on the diagonal, too."""
        rates = self.fired / self.neurons
        return self.neurons * (rates[:, None] * (1 - rates) + (1 - rates[:, None]) * rates)

    @property
    def is_constant(self) -> bool:
        """Whether all neurons are silent, or all fire, in all samples."""
        return bool(np.all(self.fired == 0) or np.all(self.fired == self.neurons))


@dataclass(frozen=True)
class Fitness:
    """What a mini-batch comes to.

    Attributes
    ----------
    value : float
        ``F``.
    negative : bool
        Whether the determinant is negative.
    constant : int
        Populations and time points that are constant.
    """

    value: float
    negative: bool
    constant: int


def fitness(codes: Sequence[Codes], kernel: Kernel = "released", constant: Constant = "count") -> Fitness:
    """Return ``log |det K|``, ``K`` the mean over populations and time points.

    Parameters
    ----------
    codes : sequence of Codes
        Of all LIF populations at all time points, of the same samples.
    kernel : {"released", "normalised"}
        ``N - 0.5 H / (E + 0.001)`` of each pair of samples, or 1 instead of ``N``.
    constant : {"count", "skip"}
        Whether populations count whose neurons are all silent or all fire, in which all pairs get ``N``.

    Returns
    -------
    Fitness
        ``-inf`` where two samples fire alike in every population that there is, or none is left.

    Raises
    ------
    ConfigError
        If there is no such kernel or rule.
    """
    if kernel not in KERNELS:
        raise ConfigError(one_of(kernel, KERNELS), field="kernel")
    if constant not in CONSTANTS:
        raise ConfigError(one_of(constant, CONSTANTS), field="constant")
    number = sum(one.is_constant for one in codes)
    chosen = [one for one in codes if constant == "count" or not one.is_constant]
    differ = np.any([one.distances > 0 for one in chosen], axis=0) if chosen else np.zeros((0, 0), np.bool_)
    if not chosen or not np.all(differ | np.eye(len(differ), dtype=np.bool_)):
        return Fitness(-np.inf, False, number)
    total = sum(
        (one.neurons if kernel == "released" else 1) - _HALF * one.distances / (one.expected + _LEAST)
        for one in chosen
    )
    sign, value = np.linalg.slogdet(total / len(chosen))
    return Fitness(float(value), bool(sign < 0), number)
