"""Synapses as they are executed are those of the slow oracle: the same taps, weights and sizes."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings

from graph_strategies import graphs
from naive_graph_trace import Map, Synapse, Window, synapses_of
from naive_graph_trace import Trace as NaiveTrace
from spikex_sim.spec.graph import InputNode, Population
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_fold import folded


def empty_maps(graph: GraphTrace) -> dict[str, Map]:
    """What the oracle has to know of what nodes give: shapes, whether they are constant, what is pooled."""
    maps: dict[str, Map] = {}
    for node in graph.meta()["nodes"]:
        name = node["name"]
        time = () if graph.constant(name) else (graph.timesteps,)
        pooled = node["kind"] == "avgpool"
        shape = graph.shape(node["from"] if pooled else name)
        values = np.zeros((*shape, *time), np.int8)
        maps[name] = Map(graph.carries(name), values, pool=node if pooled else None)
    return maps


def taps_of(synapse: Synapse) -> list[set[tuple[int, ...]]]:
    """Taps with a weight of every neuron, by where they are."""
    rows, cols = synapse.out_size
    return [
        {(c, y, x, w) for c, _, _, y, x, w in synapse.taps(m, row, col) if w}
        for m in range(len(synapse.weight))
        for row in range(rows)
        for col in range(cols)
    ]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs())
def test_taps(graph: GraphTrace) -> None:
    maps, naive = empty_maps(graph), NaiveTrace(graph.meta(), graph.arrays())
    described = {node["name"]: node for node in graph.meta()["nodes"]}
    for node in graph.nodes:
        if isinstance(node, InputNode):
            assert graph.constant(node.name) == (node.values is not None and node.values.constant)
        if not isinstance(node, Population):
            continue
        for k, wanted in enumerate(synapses_of(naive, described[node.name], maps)):
            synapse, weight = folded(graph, node.name, k)
            assert weight is not None
            size = graph.shape(synapse.source)[1:]
            window = Window(
                (size[0], size[1]), synapse.kernel, synapse.stride, synapse.padding, synapse.dilation
            )
            found = Synapse(
                synapse.kind, synapse.source, wanted.taken, window, window.out_size, weight, synapse.groups,
                synapse.delay, synapse.shift,
            )  # fmt: skip
            assert found.out_size == wanted.out_size == graph.shape(node.name)[1:]
            assert (found.kind, found.groups, found.delay, found.shift) == (
                wanted.kind, wanted.groups, wanted.delay, wanted.shift,
            )  # fmt: skip
            assert taps_of(found) == taps_of(wanted)
