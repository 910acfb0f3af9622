"""Spikes from a seed: random ones of a given rate, and those of an emulated event camera.

Every generator returns booleans with time last and gives the same spikes for the same arguments.
"""

from __future__ import annotations

from math import isfinite, prod

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.sources.cameras.camera import EventCamera
from spikex_sim.sources.cameras.digits import DigitScene, digit_of_class
from spikex_sim.sources.cameras.gestures import GESTURES, Figure, gesture_scene
from spikex_sim.spec.workload import MAX_SIZE
from spikex_sim.trace.trace import MAX_TIMESTEPS

MAX_SPIKES = 1 << 32
"""Most neurons times time steps generated at once: 4 GiB of booleans."""

NMNIST_CAMERA = EventCamera(threshold=0.25, mismatch=0.35, lag_ms=5.0, background_hz=0.15)
"""Tuned to 1,100 N-MNIST recordings: 30 steps of 10 ms, mean rate 0.039, 66 % of the inputs silent."""
GESTURE_CAMERA = EventCamera(threshold=0.16, mismatch=0.3, lag_ms=3.0, background_hz=0.05)
"""Tuned to 10 DVS-Gesture recordings: mean rate 0.0159 in steps of 10 ms, 0.0022 in steps of 1 ms."""


def bernoulli(shape: tuple[int, ...], timesteps: int, rate: float, seed: int) -> NDArray[np.bool_]:
    """Spikes independent in space and time.

    Parameters
    ----------
    shape : tuple of int
        ``(C, H, W)``, or ``(N,)`` for a linear layer.
    timesteps : int
        Time steps ``T``.
    rate : float
        Probability of a spike in one step, 0 to 1.
    seed : int
        Not negative.

    Returns
    -------
    bool array, ``[*shape, T]``
    """
    check_size(shape, timesteps)
    _check_share(rate, "rate")
    spikes = np.empty((*shape, timesteps), np.bool_)
    rng = generator(seed)
    for channel in spikes:
        channel[...] = rng.random(channel.shape) < rate
    return spikes


def bursty(
    shape: tuple[int, ...],
    timesteps: int,
    rate: float,
    seed: int,
    burst_length: float = 5.0,
    burst_rate: float = 0.8,
) -> NDArray[np.bool_]:
    """Spikes that come in bursts: each neuron is on or off, a two-state Markov chain in time.

    Off neurons are silent, on neurons fire with probability ``burst_rate`` in a step. A neuron goes off
    with probability ``b = 1 / burst_length`` and on with ``a = b s / (1 - s)``, where ``s = rate /
    burst_rate``; the stationary share of on neurons is then ``a / (a + b) = s`` and the mean rate
    ``s burst_rate = rate``. The chain starts in its stationary state. (Gilbert, Bell Syst. Tech. J.
    39(5), 1960, for the model.)

    Parameters
    ----------
    shape, timesteps, seed
        See :func:`bernoulli`.
    rate : float
        Mean probability of a spike in one step, 0 to ``burst_rate``.
    burst_length : float
        Mean time that a neuron stays on, in steps; at least 1.
    burst_rate : float
        Probability of a spike in one step while on, above 0 to 1.

    Returns
    -------
    bool array, ``[*shape, T]``
    """
    check_size(shape, timesteps)
    _check_share(rate, "rate")
    _check_share(burst_rate, "burst_rate")
    if not (isfinite(burst_length) and burst_length >= 1):
        raise ConfigError(f"must be at least 1 step, not {burst_length}", field="burst_length")
    if burst_rate == 0 or rate > burst_rate:
        raise ConfigError(f"must be at least the rate, {rate}, and above 0", field="burst_rate")
    on_share = rate / burst_rate
    stop = 1.0 / burst_length
    start = 1.0 if on_share == 1 else stop * on_share / (1 - on_share)
    if on_share == 1:
        stop = 0.0
    if start > 1:
        raise ConfigError(
            f"{burst_length} steps are too short for rate {rate}: neurons would have to be off for less than "
            f"one step; take at least {on_share / (1 - on_share):.4g}",
            field="burst_length",
        )
    rng = generator(seed)
    spikes = np.empty((timesteps, *shape), np.bool_)
    on = rng.random(shape) < on_share
    for step in spikes:
        step[...] = on & (rng.random(shape) < burst_rate)
        on = rng.random(shape) < np.where(on, 1 - stop, start)
    return np.ascontiguousarray(np.moveaxis(spikes, 0, -1))


def at_most_once(spikes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep every neuron's first spike alone, as with time-to-first-spike codes.

    Parameters
    ----------
    spikes : bool array, ``[..., T]``
        Left as they are.

    Returns
    -------
    bool array, ``[..., T]``
    """
    kept = np.zeros_like(spikes)
    first = spikes.argmax(axis=-1, keepdims=True)
    np.put_along_axis(kept, first, spikes.any(axis=-1, keepdims=True), axis=-1)
    return kept


def digit_camera(
    digit: int | NDArray[np.generic],
    index: int = 0,
    *,
    timesteps: int = 30,
    step_ms: float = 10.0,
    seed: int = 0,
    camera: EventCamera = NMNIST_CAMERA,
    height_px: float = 19.0,
    contrast: float = 1.75,
    sharpness: float = 1.4,
) -> NDArray[np.bool_]:
    """Spikes of an event camera that makes N-MNIST's three saccades over a handwritten digit.

    Parameters
    ----------
    digit : int or array
        Class 0 to 9, or an image ``[rows, columns]`` with ink from 0 to 16.
    index : int
        Which of the shipped images of that class (modulo their number, about 180).
    timesteps : int
        Time steps ``T``. The saccades take 300 ms; afterwards there is noise alone.
    step_ms : float
        Length of a step in ms.
    seed : int
        Of the camera's flaws and noise.
    camera : EventCamera
        Pixel model.
    height_px, contrast, sharpness : float
        See :class:`~spikex_sim.sources.cameras.digits.DigitScene`.

    Returns
    -------
    bool array, ``[2, 34, 34, T]``
        Channel 1 is ON.
    """
    check_size((2, 34, 34), timesteps)
    _check_step(step_ms)
    image = digit_of_class(int(digit), index) if isinstance(digit, int | np.integer) else np.asarray(digit)
    if image.ndim != 2 or not 1 <= min(image.shape) <= max(image.shape) <= 256:
        raise ConfigError(
            f"an image has 1 to 256 rows and columns, not shape {list(image.shape)}", field="digit"
        )
    scene = DigitScene(image, height_px, contrast, sharpness)
    return camera.watch(scene, timesteps, step_ms, generator(seed))


def gesture_camera(
    gesture: int | str = 0,
    *,
    timesteps: int = 300,
    step_ms: float = 10.0,
    seed: int = 0,
    camera: EventCamera = GESTURE_CAMERA,
) -> NDArray[np.bool_]:
    """Spikes of an event camera in front of a person who makes one of DVS-Gesture's gestures.

    Parameters
    ----------
    gesture : int or str
        Class 0 to 9 or its name in :data:`~spikex_sim.sources.cameras.gestures.GESTURES`.
    timesteps : int
        Time steps ``T``.
    step_ms : float
        Length of a step in ms.
    seed : int
        Of the person, the tempo and the camera's flaws and noise.
    camera : EventCamera
        Pixel model.

    Returns
    -------
    bool array, ``[2, 128, 128, T]``
        Channel 1 is ON.
    """
    check_size((2, 128, 128), timesteps)
    _check_step(step_ms)
    name = gesture if isinstance(gesture, str) else dict(enumerate(GESTURES)).get(int(gesture), "")
    if name not in GESTURES:
        raise ConfigError(f"must be 0 to 9 or one of {', '.join(GESTURES)}, not {gesture}", field="gesture")
    rng = generator(seed)
    return camera.watch(gesture_scene(name, Figure.drawn(rng)), timesteps, step_ms, rng)


def pool_or(spikes: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """Merge blocks of ``factor`` x ``factor`` pixels: one spikes where any of its pixels does.

    Parameters
    ----------
    spikes : bool array, ``[C, H, W, T]``
        ``factor`` divides ``H`` and ``W``.
    factor : int
        Side of a block.

    Returns
    -------
    bool array, ``[C, H / factor, W / factor, T]``
    """
    if spikes.ndim != 4:
        raise ConfigError(f"wants spikes [C, H, W, T], not {spikes.ndim} axes", field="spikes")
    channels, height, width, timesteps = spikes.shape
    if factor < 1 or height % factor or width % factor:
        raise ConfigError(f"{factor} does not divide {height}x{width} pixels", field="factor")
    blocks = spikes.reshape(channels, height // factor, factor, width // factor, factor, timesteps)
    pooled: NDArray[np.bool_] = np.logical_or.reduce(blocks, axis=(2, 4))
    return pooled


def seed_of_stream(seed: int, stream: int) -> int:
    """Seed of one of several independent streams of random numbers that have a seed in common."""
    _check_seed(seed)
    return int(np.random.SeedSequence((seed, stream)).generate_state(1, np.uint64)[0])


def generator(seed: int) -> np.random.Generator:
    """PCG64 from a seed; named, because numpy's default generator may change."""
    _check_seed(seed)
    return np.random.Generator(np.random.PCG64(seed))


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise ConfigError(f"must not be negative, not {seed}", field="seed")


def check_size(shape: tuple[int, ...], timesteps: int) -> None:
    """Raise :class:`ConfigError` unless spikes of so many neurons and time points can be made at once."""
    if len(shape) not in (1, 3) or not all(1 <= length <= MAX_SIZE for length in shape):
        raise ConfigError(f"must be (C, H, W) or (N,), each at least 1, not {shape}", field="shape")
    if not 1 <= timesteps <= MAX_TIMESTEPS:
        raise ConfigError(f"must be 1 to {MAX_TIMESTEPS}, not {timesteps}", field="timesteps")
    if prod(shape) * timesteps > MAX_SPIKES:
        raise ConfigError(
            f"{prod(shape)} neurons for {timesteps} steps are more than {MAX_SPIKES} spikes", field="shape"
        )


def _check_share(value: float, field: str) -> None:
    if not 0 <= value <= 1:
        raise ConfigError(f"must be 0 to 1, not {value}", field=field)


def _check_step(step_ms: float) -> None:
    if not 0 < step_ms <= 1000:
        raise ConfigError(f"must be above 0 to 1000 ms, not {step_ms}", field="step_ms")
