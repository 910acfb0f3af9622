"""Weights that networks are scored with: drawn from a seed, and quantised (Section 3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.nas.costs import MOST_BITS

LINEAR_DEVIATION = 0.01
_SLOPE = 2.0
"""``a`` of the Kaiming initialisation."""


def generator_of(seed: int, *names: str | int) -> np.random.Generator:
    """Random numbers of their own for a seed and a name, whatever else is drawn.

    Raises
    ------
    ConfigError
        If the seed is negative.
    """
    if seed < 0:
        raise ConfigError(f"must not be negative, not {seed}", field="seed")
    told = "\0".join(map(str, (seed, *names)))
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(told.encode()).digest())))


def drawn(shape: Sequence[int], seed: int, form: str, position: str) -> NDArray[np.float64]:
    """Weights of a layer before training, as SNASNet draws them.

    Parameters
    ----------
    shape : sequence of int
        ``[M, C, E, E]`` of a convolution: uniform up to ``sqrt(6 / (1 + a^2) / (C E^2))`` with ``a`` = 2
        (Kaiming). ``[M, K]`` of a linear layer: normal with mean 0 and standard deviation 0.01.
    seed : int
        Not negative.
    form : str
        What names the form of the cell that it is in; empty outside cells.
    position : str
        What names its place, as ``a1``.

    Raises
    ------
    ConfigError
        If the seed is negative.
    """
    rng = generator_of(seed, "weights", form, position)
    if len(shape) == 2:
        return rng.normal(0.0, LINEAR_DEVIATION, shape)
    bound = np.sqrt(6 / (1 + _SLOPE**2) / prod(shape[1:]))
    return rng.uniform(-bound, bound, shape)


def quantised(weights: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Round a tensor to fixed point, FxP(bits).

    With ``s`` the power of two at or above ``max |w|``, ``q = round(w / s * 2^(bits - 1))``, halves to even,
    cut off to ``bits`` bits with a sign, and ``w <- q s / 2^(bits - 1)``. A tensor of zeros stays.

    Raises
    ------
    ConfigError
        If there are no such bits.
    """
    if not 1 <= bits <= MOST_BITS:
        raise ConfigError(f"is {bits}; wants 1 to {MOST_BITS}", field="bits")
    most = float(np.abs(weights).max(initial=0.0))
    if most == 0:
        return weights.copy()
    mantissa, exponent = np.frexp(most)
    # frexp has mantissas from 0.5: of a power of two it is 0.5, and the power itself is s.
    scale = np.ldexp(1.0, int(exponent) - (mantissa == 0.5))
    half = 2.0 ** (bits - 1)
    found: NDArray[np.float64] = np.clip(np.rint(weights / scale * half), -half, half - 1) * scale / half
    return found
