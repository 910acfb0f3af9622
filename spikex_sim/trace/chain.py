"""A chain of layers as a graph."""

from __future__ import annotations

from typing import Any

from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_arrays import weight_key
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
