"""Small networks, and what comes out of them by the slow oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import naive
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.trace import Trace
from strategies import make_weights

NEURONS: dict[str, dict[str, Any]] = {
    "int": {"threshold": 60, "leak_shift": 3, "reset": "zero", "datapath": "int"},
    "float": {"threshold": 6.5, "leak": 0.75, "reset": "zero", "datapath": "float"},
}


def conv(
    name: str, channels: tuple[int, int], side: int, neuron: dict[str, Any], **keys: Any
) -> dict[str, Any]:
    """Describe a convolution of a square map."""
    sizes = {"kernel": 3, "stride": 1, "padding": 0} | keys
    return {"name": name, "kind": "conv", "in_channels": channels[0], "out_channels": channels[1],
            "in_height": side, "in_width": side, "neuron": neuron} | sizes  # fmt: skip


def pool(kind: str, channels: int, side: int, **keys: Any) -> dict[str, Any]:
    """Describe a pooling layer on a square map."""
    sizes = {"kernel": 2, "stride": 2, "padding": 0} | keys
    return {"name": kind, "kind": kind, "in_channels": channels, "out_channels": channels, "in_height": side,
            "in_width": side} | sizes  # fmt: skip


def linear(name: str, channels: tuple[int, int], neuron: dict[str, Any]) -> dict[str, Any]:
    """Describe a linear layer."""
    return {"name": name, "kind": "linear", "in_channels": channels[0], "out_channels": channels[1],
            "neuron": neuron}  # fmt: skip


def small_network(datapath: str) -> list[dict[str, Any]]:
    """Describe a network of two convolutions, a max-pooling between them and a linear layer."""
    neuron = NEURONS[datapath]
    return [
        conv("conv1", (2, 5), 6, neuron, padding=1),
        pool("maxpool", 5, 6),
        conv("conv2", (5, 9), 3, neuron, kernel=2),
        linear("fc", (36, 4), neuron),
    ]


def described(layers: list[dict[str, Any]]) -> list[Layer]:
    """Validate layer descriptions."""
    return [Layer.model_validate(layer) for layer in layers]


def random_weights(layers: list[dict[str, Any]], seed: int) -> list[NDArray[Any] | None]:
    """Weights of every layer that has any."""
    return [
        None if layer.is_pool else make_weights(layer, seed + index)
        for index, layer in enumerate(described(layers))
    ]


def full(layer: dict[str, Any]) -> dict[str, Any]:
    """Return a description with everything that the oracle asks for."""
    return {"kernel": 1, "stride": 1, "padding": 0} | layer


def forward(
    layers: list[dict[str, Any]],
    spikes: NDArray[np.bool_],
    weights: list[NDArray[Any] | None],
    potential_bits: int = 16,
) -> list[NDArray[np.bool_]]:
    """Output spikes of every layer, each fed by the one before; average pooling is not among them."""
    outputs = []
    for layer, spec, weight in zip(layers, described(layers), weights, strict=True):
        entering = spikes.reshape(*spec.input_shape, spikes.shape[-1])
        spikes = naive.forward(full(layer), entering, weight, None, potential_bits)
        outputs.append(spikes)
    return outputs


def trace_of(
    layers: list[dict[str, Any]],
    spikes: Any,
    weights: list[NDArray[Any] | None] | tuple[()] = (),
    **keys: Any,
) -> Trace:
    """Make a trace."""
    return Trace.from_arrays(layers, spikes, weights=weights, **keys)
