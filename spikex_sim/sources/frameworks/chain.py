"""A graph that is a chain of layers, as a trace of version 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.spec.graph import InputNode, PoolNode, Population
from spikex_sim.spec.validation import validated
from spikex_sim.spec.workload import Layer, Neuron
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.plan import plan_stages
from spikex_sim.trace.trace import Trace


def as_chain(graph: GraphTrace, *, nearest: bool = False) -> Trace | None:
    """Write a graph as a chain.

    Parameters
    ----------
    graph : GraphTrace
        Nodes one after the other, with recorded spikes of all or of the input alone.
    nearest : bool
        Take the nearest neuron of a chain where there is no exact one.

    Returns
    -------
    Trace or None
        None if it is none: it has branches, or layers and neurons that chains do not have.
    """
    nodes = [node for node in graph.nodes if not isinstance(node, InputNode)]
    layers: list[Layer] = []
    inputs, weights, biases = {}, {}, {}
    last = ""
    for index, node in enumerate(nodes):
        if (
            not isinstance(node, Population | PoolNode)
            or len(node.sources) != 1
            or graph.carries(node.name) != "spikes"
        ):
            return None
        (source,) = node.sources
        entered = isinstance(graph.node(source), InputNode)
        if not (entered if not index else source == last or entered) or graph.carries(source) != "spikes":
            return None
        made = _pool(graph, node) if isinstance(node, PoolNode) else _layer(graph, node, nearest)
        if made is None:
            return None
        layers.append(validated(Layer, made, where=graph.where, error=TraceError, prefix=node.name))
        if node.kind != "maxpool" or source != last or not index:
            spikes = None if graph.node(source).kind == "avgpool" else graph.spikes.get(source)
            if spikes is not None:
                inputs[index] = spikes.reshape(len(spikes), *layers[-1].input_shape, -1)
        if isinstance(node, Population):
            weight = graph.weights.get((node.name, 0))
            if weight is not None:
                weights[index] = weight
            if node.name in graph.biases:
                biases[index] = graph.biases[node.name]
        last = node.name
    if 0 not in inputs:
        return None
    made_trace = Trace(
        name=graph.name, timesteps=graph.timesteps, layers=tuple(layers), inputs=inputs, weights=weights,
        biases=biases, samples=graph.samples, batched=graph.batched, label=graph.label, source=graph.source,
        where=graph.where,
    )  # fmt: skip
    plan_stages(made_trace)
    return made_trace


def _pool(graph: GraphTrace, node: PoolNode) -> dict[str, Any] | None:
    channels, height, width = graph.shape(node.source)
    padding = node.padding
    if node.dilation != (1, 1) or padding[0] != padding[1] or padding[2] != padding[3]:
        return None
    return {
        "name": node.name, "kind": node.kind, "in_channels": channels, "out_channels": channels,
        "kernel": node.kernel, "stride": node.stride, "padding": (padding[0], padding[2]), "in_height": height,
        "in_width": width,
    }  # fmt: skip


def _layer(graph: GraphTrace, node: Population, nearest: bool) -> dict[str, Any] | None:
    (synapse,) = node.synapses[:1]
    padding = synapse.padding
    neuron = _neuron(graph, node, nearest)
    plain = synapse.groups == 1 and synapse.dilation == (1, 1) and not synapse.delay
    if len(node.synapses) > 1 or not plain or neuron is None or synapse.kind not in ("conv", "linear"):
        return None
    if padding[0] != padding[1] or padding[2] != padding[3]:
        return None
    channels, height, width = graph.shape(synapse.source)
    made = {"name": node.name, "kind": synapse.kind, "out_channels": node.channels, "neuron": neuron}
    if synapse.kind == "linear":
        return made | {"in_channels": channels * height * width}
    return made | {
        "in_channels": channels, "kernel": synapse.kernel, "stride": synapse.stride,
        "padding": (padding[0], padding[2]), "in_height": height, "in_width": width,
    }  # fmt: skip


def _neuron(graph: GraphTrace, node: Population, nearest: bool) -> Neuron | None:
    """Neuron of a chain: it resets at once, at spikes above the threshold; one float32 lower, at it."""
    neuron = node.neuron
    assert neuron is not None
    if neuron.current is not None or neuron.adaptation is not None or neuron.reset == "none":
        return None
    if neuron.threshold is None or any(name == node.name for name, _ in graph.neuron_arrays):
        return None
    leak = 1.0 if neuron.leak is None else neuron.leak
    late = neuron.reset_delay and not (neuron.reset == "subtract" and leak == 1)
    if (late or (neuron.fires == "at" and neuron.reset == "subtract")) and not nearest:
        return None
    threshold = np.float32(neuron.threshold)
    if neuron.fires == "at":
        threshold = np.nextafter(threshold, np.float32(-np.inf))
    return Neuron(threshold=float(threshold), leak=float(leak), reset=neuron.reset, datapath="float")
