"""Small networks of layers, and the edges of graphs of neurons, for tests of mapping."""

from __future__ import annotations

from typing import Any

import numpy as np

import spikex_sim as sx
from spikex_sim.mapped.graph import NeuronGraph

LIF = {"threshold": 3, "leak_shift": 3}
Pairs = set[tuple[int, int]]


def edges(graph: NeuronGraph) -> Pairs:
    return set(zip(graph.source.tolist(), graph.target.tolist(), strict=True))


def chain(
    layers: list[dict[str, Any]], weights: list[Any] | None = None, T: int = 8, **keys: Any
) -> sx.Trace:
    shape = [layers[0]["in_channels"]]
    shape += (
        [layers[0].get("in_height", 1), layers[0].get("in_width", 1)] if layers[0]["kind"] != "linear" else []
    )
    spikes = np.random.default_rng(1).random((*keys.pop("lead", ()), *shape, T)) < 0.4
    return sx.Trace.from_arrays(layers, spikes, weights=weights, **keys)


def conv(**keys: Any) -> dict[str, Any]:
    usual = {"name": "conv", "kind": "conv", "in_channels": 1, "out_channels": 1, "kernel": 3, "neuron": LIF}
    return {**usual, **keys}


def layers_of_two() -> list[dict[str, Any]]:
    linear = {"name": "fc", "kind": "linear", "in_channels": 18, "out_channels": 3, "neuron": LIF}
    return [conv(out_channels=2, in_height=5, in_width=5), linear]
