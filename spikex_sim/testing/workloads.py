"""Layers with input spikes and weights: what plug-ins are tried on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.spec.workload import Layer


@dataclass(frozen=True)
class Workload:
    """A layer as in the trace file, its input spikes ``[C, H, W, T]`` or ``[N, T]``, its weights and bias."""

    layer: dict[str, Any]
    spikes: NDArray[np.bool_]
    weight: NDArray[Any]
    bias: NDArray[Any] | None = None

    @property
    def spec(self) -> Layer:
        """The layer, validated."""
        return Layer.model_validate(self.layer)

    @property
    def timesteps(self) -> int:
        """Time points ``T``."""
        return int(self.spikes.shape[-1])

    @property
    def biased(self) -> bool:
        """Whether the bias has a non-zero entry."""
        return self.bias is not None and bool(np.any(self.bias))


ACTIVITIES = (
    "silent",
    "ones",
    "one spike",
    "sparse",
    "medium",
    "dense",
    "bursty",
    "late",
    "gaps",
    "ends",
    "ends",
)


def make_spikes(shape: tuple[int, ...], activity: str, seed: int) -> NDArray[np.bool_]:
    """Spikes ``[*shape]``, time last, of a kind of :data:`ACTIVITIES`."""
    rng = np.random.default_rng(seed)
    if activity in ("silent", "ones"):
        return np.full(shape, activity == "ones")
    if activity == "one spike":
        spikes = np.zeros(shape, bool)
        spikes.flat[rng.integers(spikes.size)] = True
        return spikes
    rate = {
        "sparse": 0.01,
        "medium": 0.08,
        "dense": 0.5,
        "bursty": 0.7,
        "late": 0.3,
        "gaps": 0.3,
        "ends": 0.4,
    }[activity]
    spikes = rng.random(shape) < rate
    if activity == "bursty":  # a neuron is silent but for a stretch of time; most never fire
        start = rng.integers(0, shape[-1], (*shape[:-1], 1))
        time = np.arange(shape[-1])
        spikes &= (time >= start) & (time < start + 1 + shape[-1] // 5)
        spikes &= rng.random((*shape[:-1], 1)) < 0.25
    if activity == "gaps":  # everything is silent most of the time
        spikes &= rng.random(shape[-1]) < 0.2
    if activity in ("late", "ends"):  # only at the end of the horizon, or at both ends
        spikes[..., 2 if activity == "ends" else 0 : shape[-1] - 2] = False
    return spikes


def make_weights(layer: Layer, seed: int) -> NDArray[Any]:
    """Weights of a layer in its datapath's type; an odd seed makes floats of very different magnitude."""
    rng = np.random.default_rng(seed)
    assert layer.neuron is not None
    if layer.neuron.datapath == "float":
        if seed % 2:  # what is left of such sums depends on the order of the additions
            return rng.choice(np.array([-(2**25), 2**25, -1, 1, 3, 7], np.float32), layer.weight_shape)
        return rng.normal(0, 8, layer.weight_shape).astype(np.float32)
    return rng.integers(-128, 128, layer.weight_shape).astype(np.int8)
