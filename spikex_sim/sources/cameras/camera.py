"""An emulated event camera: pixels that report changes of log intensity, with their flaws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError

Scene = Callable[[float], NDArray[np.float32]]
"""Log intensity ``[H, W]`` at a time in milliseconds."""


@dataclass(frozen=True)
class EventCamera:
    """Pixel model of Lichtsteiner et al., IEEE JSSC 43(2), 2008, with noise.

    A pixel remembers the log intensity of its last event, ``M``. When the intensity it sees, ``L``, has
    risen to ``M + theta_on`` it sends an ON event and ``M`` grows by ``theta_on``; when it has fallen to
    ``M - theta_off`` it sends an OFF event and ``M`` shrinks by ``theta_off``. The photoreceptor is a
    first-order low pass: ``dL/dt = (scene - L) / lag``.

    Attributes
    ----------
    threshold : float
        Mean of both thresholds, in units of natural log intensity.
    mismatch : float
        Standard deviation of the thresholds over the pixels, relative to the mean.
    lag_ms : float
        Time constant of the photoreceptor in ms; 0 for none.
    background_hz : float
        Rate of spurious events of each pixel and polarity, in 1/s, a Poisson process.
    frame_ms : float
        Longest time between two looks at the scene, in ms.
    """

    threshold: float = 0.25
    mismatch: float = 0.15
    lag_ms: float = 2.0
    background_hz: float = 0.05
    frame_ms: float = 1.0

    def __post_init__(self) -> None:
        if not (self.threshold > 0 and self.frame_ms > 0):
            raise ConfigError("threshold and frame_ms must be positive", field="camera")
        if not (self.mismatch >= 0 and self.lag_ms >= 0 and self.background_hz >= 0):
            raise ConfigError("mismatch, lag_ms and background_hz must not be negative", field="camera")

    def watch(
        self, scene: Scene, timesteps: int, step_ms: float, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Look at a scene and bin its events into time steps, at most one spike each.

        Parameters
        ----------
        scene : callable
            Log intensity ``[H, W]`` at a time in ms.
        timesteps : int
            Time steps ``T``.
        step_ms : float
            Length of one step in ms.
        rng : numpy.random.Generator
            Source of the pixel mismatch and of the background noise.

        Returns
        -------
        bool array, ``[2, H, W, T]``
            Channel 0 is OFF, channel 1 is ON, as in N-MNIST and DVS-Gesture.
        """
        frames = max(1, int(np.ceil(step_ms / self.frame_ms)))
        frame_ms = step_ms / frames
        follow = 1.0 if self.lag_ms == 0 else 1.0 - float(np.exp(-frame_ms / self.lag_ms))
        seen = scene(0.0).astype(np.float64)
        on, off = (self._thresholds(seen.shape, rng) for _ in range(2))
        # Somewhere between its last two events: pixels do not start in step with each other.
        memory = seen + rng.uniform(-0.5, 0.5, seen.shape) * np.minimum(on, off)
        spikes = np.zeros((timesteps, 2, *seen.shape), np.bool_)
        for step in range(timesteps):
            for frame in range(1, frames + 1):
                seen += follow * (scene((step * frames + frame) * frame_ms) - seen)
                change = seen - memory
                rises = np.floor(np.maximum(change, 0.0) / on)
                falls = np.floor(np.maximum(-change, 0.0) / off)
                memory += rises * on - falls * off
                spikes[step, 0] |= falls > 0
                spikes[step, 1] |= rises > 0
            if self.background_hz:
                spurious = -np.expm1(-self.background_hz * step_ms / 1000)
                spikes[step] |= rng.random(spikes[step].shape, dtype=np.float32) < spurious
        return np.ascontiguousarray(np.moveaxis(spikes, 0, -1))

    def _thresholds(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        spread = 1.0 + self.mismatch * rng.standard_normal(shape)
        return self.threshold * np.clip(spread, 0.3, 3.0)
