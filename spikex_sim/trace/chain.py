"""A chain of layers as a graph, and a graph that is one as a chain."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.spec.graph import InputNode, PoolNode, Population
from spikex_sim.spec.validation import validated
from spikex_sim.spec.workload import Layer, Neuron
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_arrays import weight_key
from spikex_sim.trace.plan import plan_stages
from spikex_sim.trace.trace import Trace


def as_graph(trace: Trace) -> GraphTrace:
    """Describe a chain as a graph that gives the same results.

    Layers become nodes of the same names; ``/`` in a name becomes ``.``, and names that come twice are
    numbered. Spikes recorded at a layer's input are the outputs of the node before it, or, where they are of
    another shape, an input of their own.

    Raises
    ------
    TraceError
        If there is average pooling that cannot be folded, or that nothing follows.
    """
    taken: set[str] = set()
    names = [_unused(layer.name, taken) for layer in trace.layers]
    nodes: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    before: str = ""
    gives: tuple[int, ...] = ()
    for index, (name, layer) in enumerate(zip(names, trace.layers, strict=True)):
        recorded = trace.inputs.get(index)
        if recorded is not None:
            if not index or not layer.takes(gives):
                before, gives = _unused("input" if not index else f"{name}.input", taken), layer.input_shape
                nodes.append({"name": before, "kind": "input", "shape": list(gives)})
            arrays[f"{before}/spikes"] = _map_of(recorded, gives, trace.batched)
        nodes.append(_described(name, layer, before))
        if index in trace.weights:
            arrays[weight_key(name, 0)] = trace.weights[index]
        if index in trace.biases:
            arrays[f"{name}/bias"] = trace.biases[index]
        before, gives = name, layer.output_shape
    meta = {"name": trace.name, "timesteps": trace.timesteps, "source": trace.source, "nodes": nodes}
    samples = {"samples": trace.samples} if trace.batched else {}
    return GraphTrace.from_arrays(meta | samples, arrays, label=trace.label, where=trace.where)


def _unused(name: str, taken: set[str]) -> str:
    """Name that no node has yet, as near as it can be, and from now on taken."""
    wanted = name.replace("/", ".")
    number, found = 1, wanted
    while found in taken:
        number += 1
        found = f"{wanted[:190]}.{number}"
    taken.add(found)
    return found


def _map_of(packed: PackedSpikes, shape: tuple[int, ...], batched: bool) -> PackedSpikes:
    """Spikes that entered a layer, as the node before it gives them."""
    spikes = packed.reshape(len(packed), *shape, packed.shape[-1])
    return spikes if batched else spikes[0]


def _described(name: str, layer: Layer, source: str) -> dict[str, Any]:
    window = {"kernel": layer.kernel, "stride": layer.stride, "padding": layer.padding}
    if layer.neuron is None:
        return {"name": name, "kind": layer.kind, "from": source} | window
    synapse = {"from": source, "kind": layer.kind} | ({} if layer.kind == "linear" else window)
    return {
        "name": name,
        "kind": "neurons",
        "channels": layer.out_channels,
        "synapses": [synapse],
        "neuron": layer.neuron.model_dump(exclude_none=True),
    }


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
        "kernel": node.kernel, "stride": node.stride, "padding": (padding[0], padding[2]),
        "in_height": height, "in_width": width,
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
