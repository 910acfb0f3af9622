"""Good graphs in memory, from which files and bad ones are made."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphs import conv, currents, drawn_spikes, drawn_weights, population, spiking_input
from spikex_sim.trace.graph import GraphTrace

T = 9
IMAGE = {"name": "img", "kind": "input", "shape": [2, 4, 4], "values": {"bits": 4, "constant": True}}
Nodes = list[dict[str, Any]]


def made(nodes: Nodes, arrays: dict[str, Any] | None = None, **meta: Any) -> GraphTrace:
    """Make a graph, with random spikes and values where inputs lack them."""
    rng = np.random.default_rng(0)
    given = dict(arrays or {})
    for node in nodes:
        if node.get("kind") == "input" and not any(key.startswith(f"{node['name']}/") for key in given):
            shape = tuple(node["shape"])
            if "values" in node:
                time = () if node["values"].get("constant") else (T,)
                given[f"{node['name']}/values"] = rng.integers(-8, 8, (*shape, *time), np.int32)
            else:
                given[f"{node['name']}/spikes"] = np.packbits(drawn_spikes(rng, *shape, T), axis=-1)
    return GraphTrace.from_arrays({"name": "g", "timesteps": T, "nodes": nodes} | meta, given)


def everything() -> GraphTrace:
    """One node of every kind, and every kind of array."""
    rng = np.random.default_rng(1)
    neuron = {"reset": "subtract", "reset_delay": 1, "current": {}, "adaptation": {"step": 3}, "fires": "at"}
    nodes = [
        spiking_input(2, 6, 6),
        IMAGE,
        currents([conv("img", kernel=[3, 2], padding=[1, 1, 0, 1])], 4, "stem"),
        {"name": "pooled", "kind": "maxpool", "from": "in", "kernel": 2, "stride": 2, "padding": 1},
        {"name": "mean", "kind": "avgpool", "from": "pooled", "kernel": 2, "stride": 2},
        population(
            [
                {"from": "stem", "kind": "maxpool", "kernel": 3, "padding": 1, "shift": 2},
                conv("pooled", groups=2),
                {"from": "pop", "kind": "identity", "delay": 2, "weight": -3},
                conv("pooled", weight_of=1, groups=2),
            ],
            4,
            neuron,
            name="pop",
        ),
        {"name": "half", "kind": "join", "how": "slice", "from": ["pop"], "channels": [0, 2]},
        {"name": "both", "kind": "join", "how": "iand", "from": ["pop", "half"]},
        {
            "name": "att",
            "kind": "matmul",
            "a": "pop",
            "b": "both",
            "transpose_b": True,
            "heads": 2,
            "scale": 0.25,
        },
        currents([{"from": "mean", "kind": "linear"}], 3, "out", datapath="float"),
        population([{"from": "half", "kind": "linear"}], 4, name="last"),
    ]
    arrays = {
        "stem/synapse-0/weight": drawn_weights(rng, 4, 2, 3, 2),
        "stem/bias": rng.integers(-9, 9, 4, np.int32),
        "pop/synapse-0/weight": drawn_weights(rng, 4),
        "pop/synapse-1/weight": drawn_weights(rng, 4, 1, 1, 1),
        "pop/neuron/threshold": rng.integers(5, 9, 4, np.int32),
        "pop/neuron/current.leak_shift": rng.integers(0, 9, 4, np.int32),
        "out/synapse-0/weight": rng.random((3, 8), np.float32),
        "pop/spikes": np.packbits(drawn_spikes(rng, 4, 4, 4, T), axis=-1),
        "stem/values": rng.integers(-9, 9, (4, 4, 4), np.int32),
    }
    return made(nodes, arrays)
