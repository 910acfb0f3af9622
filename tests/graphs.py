"""Small graph networks as traces of format 2, in memory, for the slow oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from naive_graph import evaluate
from naive_graph_trace import Trace
from spikex_sim.trace.graph import GraphTrace

Array = NDArray[Any]
Spikes = NDArray[np.bool_]
LIF = {"threshold": 20, "leak_shift": 2}


def network(nodes: list[dict[str, Any]], T: int, arrays: dict[str, Any], **meta: Any) -> Trace:
    """Make a trace; boolean arrays are spikes and are packed."""
    packed = {
        key: np.packbits(array, axis=-1) if np.asarray(array).dtype == np.bool_ else np.asarray(array)
        for key, array in arrays.items()
    }
    described = {"format": "spikex-trace", "version": 2, "name": "drawn", "timesteps": T, "nodes": nodes}
    return Trace(described | meta, packed)


def spiking_input(*shape: int, name: str = "in") -> dict[str, Any]:
    return {"name": name, "kind": "input", "shape": list(shape)}


def population(
    synapses: list[dict[str, Any]], M: int, neuron: dict[str, Any] = LIF, **keys: Any
) -> dict[str, Any]:
    return {"name": "out", "kind": "neurons", "channels": M, "synapses": synapses, "neuron": neuron} | keys


def currents(synapses: list[dict[str, Any]], M: int, name: str = "sum", **keys: Any) -> dict[str, Any]:
    return {"name": name, "kind": "currents", "channels": M, "synapses": synapses} | keys


def conv(source: str = "in", **keys: Any) -> dict[str, Any]:
    return {"from": source, "kind": "conv"} | keys


def drawn_spikes(rng: np.random.Generator, *shape: int, rate: float = 0.3) -> Spikes:
    return rng.random(shape) < rate


def drawn_weights(rng: np.random.Generator, *shape: int) -> Array:
    return rng.integers(-15, 20, shape).astype(np.int8)


def spikes_of(trace: Trace, node: str = "out") -> Spikes:
    return evaluate(trace).computed[node].values


def packaged(trace: Trace) -> GraphTrace:
    """Take a trace as the package does."""
    return GraphTrace.from_arrays(trace.meta, trace.arrays)
