"""Six labelled samples of a small network, and what leaves its layers by the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np

import naive
import spikex_sim as sx
from spikex_sim.sources.samples import LabelledSamples
from spikex_sim.sources.trained import TrainedNetwork

T = 13
NEURON = {"threshold": 9, "leak_shift": 3, "reset": "zero", "datapath": "int"}
FLOAT = {"threshold": 2.5, "leak": 0.8, "reset": "zero", "datapath": "float"}
CLASSES = 4


def layers(neuron: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 5, "kernel": 3, "stride": 2,
         "padding": 1, "in_height": 6, "in_width": 5, "neuron": neuron},
        {"name": "pool", "kind": "maxpool", "in_channels": 5, "out_channels": 5, "kernel": 2, "stride": 1,
         "padding": 0, "in_height": 3, "in_width": 3},
        {"name": "fc", "kind": "linear", "in_channels": 20, "out_channels": CLASSES, "neuron": neuron},
    ]  # fmt: skip


RNG = np.random.default_rng(11)
SPIKES = RNG.random((6, 2, 6, 5, T)) < 0.3
LABELS = (0, 1, 2, 3, 0, 1)
WEIGHTS = [RNG.integers(-9, 12, (5, 2, 3, 3)).astype(np.int8), None,
           RNG.integers(-7, 9, (CLASSES, 20)).astype(np.int8)]  # fmt: skip
FLOAT_WEIGHTS = [None if weight is None else (weight / 4).astype(np.float32) for weight in WEIGHTS]


def a_trace(spikes: Any = SPIKES, label: Any = LABELS, neuron: Any = NEURON, **changes: Any) -> sx.Trace:
    weights = WEIGHTS if neuron is NEURON else FLOAT_WEIGHTS
    return sx.Trace.from_arrays(
        layers(neuron), spikes, **{"weights": weights, "label": label, "name": "s", **changes}
    )


def outputs_of(spikes: Any, neuron: Any = NEURON) -> list[Any]:
    """What leaves every layer, by the oracle."""
    weights = WEIGHTS if neuron is NEURON else FLOAT_WEIGHTS
    left = []
    for layer, weight in zip(layers(neuron), weights, strict=True):
        spikes = naive.forward(layer, spikes, np.zeros(0) if weight is None else weight)
        left.append(spikes)
    return left


def network(variant: Any = "ht", tws: tuple[int, ...] | None = None) -> TrainedNetwork:
    """The traces' network as trained weights."""
    weights = {index: weight for index, weight in enumerate(WEIGHTS) if weight is not None}
    return TrainedNetwork(f"s-{variant}", "s", variant, T, a_trace().layers, weights, tws=tws)


def samples(count: int = len(LABELS)) -> LabelledSamples:
    """So many of the labelled samples, over and over."""
    which = [number % len(LABELS) for number in range(count)]
    return LabelledSamples(tuple(LABELS[one] for one in which), lambda n: SPIKES[which[n]], "six")
