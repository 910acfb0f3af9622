"""Random spikes that cluster in space and time, at an exact share of active windows.

Spikes of cameras and of trained networks are not independent: most neurons are silent, the others fire
together, next to each other and in a row. A Gaussian random field over neurons and time has such
correlations by design; a neuron spikes where the field exceeds a threshold (a dichotomised Gaussian: Macke
et al., Neural Computation 21(2), 2009). The threshold alone sets the density, so that one field gives
spikes of every density, nested in each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.sources.synth import check_size, generator


@dataclass(frozen=True)
class Clustering:
    """Where the variance of a random field lies; what is left of 1 is independent noise.

    Attributes
    ----------
    neuron, channel, place : float
        Shares that a neuron keeps for the whole time: of its own, in common with its channel, and in common
        with its neighbourhood in all channels.
    moving : float
        Share that is smooth in space and time, in common to all channels.
    burst : float
        Share of a neuron's own that is smooth in time.
    radius_px : float
        Standard deviation of the smoothing in space.
    length_steps : float
        Standard deviation of the smoothing in time.
    """

    neuron: float = 0.0
    channel: float = 0.0
    place: float = 0.0
    moving: float = 0.0
    burst: float = 0.0
    radius_px: float = 2.0
    length_steps: float = 2.0

    def __post_init__(self) -> None:
        shares = (self.neuron, self.channel, self.place, self.moving, self.burst)
        if min(shares) < 0 or sum(shares) > 1 + 1e-9:
            raise ConfigError("shares must be 0 or more and not above 1 together", field="clustering")
        if min(self.radius_px, self.length_steps) <= 0:
            raise ConfigError("radius and length must be above 0", field="clustering")


INDEPENDENT = Clustering()
"""Spikes independent of each other, as :func:`~spikex_sim.sources.synth.bernoulli` makes them."""


def random_field(
    shape: tuple[int, ...], timesteps: int, clustering: Clustering, seed: int
) -> NDArray[np.float32]:
    """Gaussian random field over neurons and time, of mean 0 and variance 1.

    Parameters
    ----------
    shape : tuple of int
        ``(C, H, W)``, or ``(N,)`` of a linear layer, whose neurons have neither channels nor neighbours.
    timesteps : int
        Time points ``T``.
    clustering : Clustering
        Correlations.
    seed : int
        Not negative.

    Returns
    -------
    float32 array, ``[*shape, T]``
    """
    check_size(shape, timesteps)
    rng = generator(seed)
    channels, height, width = shape if len(shape) == 3 else (*shape, 1, 1)
    whole = (channels, height, width, timesteps)
    spread = (0.0, clustering.radius_px, clustering.radius_px, clustering.length_steps)
    is_map = height * width > 1
    parts = (
        (clustering.neuron, (channels, height, width, 1), (0.0, 0.0, 0.0, 0.0)),
        (clustering.channel, (channels, 1, 1, 1) if is_map else (channels, height, width, 1), (0.0,) * 4),
        (clustering.place, (1, height, width, 1) if is_map else (channels, 1, 1, 1), (*spread[:3], 0.0)),
        (clustering.moving, (1, height, width, timesteps) if is_map else whole, spread),
        (clustering.burst, whole, (0.0, 0.0, 0.0, clustering.length_steps)),
        (max(0.0, 1 - sum(_shares(clustering))), whole, (0.0, 0.0, 0.0, 0.0)),
    )
    field = np.zeros(whole, np.float32)
    for share, size, widths in parts:
        if share > 0:
            field += np.float32(share**0.5) * _smooth(rng.standard_normal(size, np.float32), widths)
    return field.reshape(*shape, timesteps)


def spikes_of_density(field: NDArray[np.float32], tws: int, density: float) -> NDArray[np.bool_]:
    """Spikes where a field is high, so that a given share of the (neuron, window) pairs holds one.

    Parameters
    ----------
    field : float32 array ``[*shape, T]``
        As of :func:`random_field`.
    tws : int
        Window size, time points; the last window may be shorter.
    density : float
        Share of active pairs, 0 to 1; met as exactly as a whole number of pairs allows.

    Returns
    -------
    bool array ``[*shape, T]``
    """
    spikes: NDArray[np.bool_] = field >= threshold_of(window_maxima(field, tws), density)
    return spikes


def window_maxima(field: NDArray[np.float32], tws: int) -> NDArray[np.float32]:
    """Largest value of a field in every window ``[*shape, ceil(T / tws)]``."""
    whole = field.shape[-1] // tws * tws
    maxima = [field[..., :whole].reshape(*field.shape[:-1], -1, tws).max(axis=-1)] if whole else []
    if whole < field.shape[-1]:
        maxima.append(field[..., whole:].max(axis=-1, keepdims=True))
    found: NDArray[np.float32] = np.concatenate(maxima, axis=-1)
    return found


def threshold_of(maxima: NDArray[np.float32], density: float) -> float:
    """Value that a given share of the windows reaches; above all of them if that rounds to none."""
    if not 0 <= density <= 1:
        raise ConfigError(f"must be 0 to 1, not {density}", field="density")
    active = round(density * maxima.size)
    if active == 0:
        return float("inf")
    return float(np.partition(maxima.ravel(), maxima.size - active)[maxima.size - active])


def window_pairs(shape: tuple[int, ...], timesteps: int, tws: int) -> int:
    """Number of (neuron, window) pairs of one sample."""
    return prod(shape) * -(-timesteps // tws)


def _shares(clustering: Clustering) -> tuple[float, ...]:
    return (
        clustering.neuron, clustering.channel, clustering.place, clustering.moving, clustering.burst
    )  # fmt: skip


def _smooth(noise: NDArray[np.float32], widths: tuple[float, ...]) -> NDArray[np.float32]:
    """Smooth noise along its axes with Gaussians of these standard deviations; variance 1 is kept.

    Axes are rings, so that borders are like all else.
    """
    for axis, width in enumerate(widths):
        length = noise.shape[axis]
        if width == 0 or length == 1:
            continue
        steps = np.minimum(np.arange(length), length - np.arange(length))
        kernel = np.exp(-0.5 * (steps / width) ** 2)
        kernel /= np.sqrt((kernel**2).sum())
        response = np.fft.rfft(kernel).reshape(-1, *(1,) * (noise.ndim - axis - 1))
        filtered = np.fft.irfft(np.fft.rfft(noise, axis=axis) * response, length, axis=axis)
        noise = filtered.astype(np.float32)
    return noise
