"""Layers of traces and NIR graphs unrolled into neurons to be mapped, and profiles of their spikes."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import nir_files
import spikex_sim as sx
from examples import examples
from graph_strategies import graphs
from spikex_sim.core.errors import ConfigError, SpikexError, UnsupportedError
from spikex_sim.explore.mapping.profile import choose_samples, profile_of, spikes_of
from spikex_sim.explore.mapping.reading import load_graph, read_network
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.unroll import unrolled
from spikex_sim.spec.graph import Population
from spikex_sim.trace.graph import GraphTrace
from unrolling import LIF, Pairs, chain, conv, edges, layers_of_two

# Layers. ------------------------------------------------------------------------------------------------


def brute(trace: GraphTrace, keep_zeros: bool = False) -> tuple[dict[str, int], Pairs]:
    """First node of each layer and edges, by the text alone: loops over positions, windows and weights."""
    taken = {one for node in trace.nodes for one in node.sources}
    mapped = [one.name for one in trace.nodes
              if one.kind == "neurons" or (one.kind == "currents" and one.name not in taken)]  # fmt: skip
    inputs = [one.name for one in trace.nodes if one.kind == "input"]
    first, number = {}, 0
    for name in (*mapped, *inputs):
        first[name] = number
        number += int(np.prod(trace.shape(name)))
    behind: dict[str, dict[tuple[int, ...], set[int]]] = {}
    found: Pairs = set()

    def elements(name: str) -> list[tuple[int, ...]]:
        return list(product(*map(range, trace.shape(name))))

    def own(name: str) -> dict[tuple[int, ...], set[int]]:
        return {at: {first[name] + number} for number, at in enumerate(elements(name))}

    def window(one: Any, y: int, x: int) -> list[tuple[int, int, int, int]]:
        """Place in the window and row and column of what is under it, for an output."""
        return [
            (i, j, y * one.stride[0] + i * one.dilation[0] - one.padding[0],
             x * one.stride[1] + j * one.dilation[1] - one.padding[2])
            for i, j in product(range(one.kernel[0]), range(one.kernel[1]))
        ]  # fmt: skip

    def pooled(name: str, at: tuple[int, ...]) -> dict[tuple[int, ...], int]:
        """Elements that an element of an average pool sums."""
        node = trace.node(name)
        _, height, width = trace.shape(node.source)
        return {(at[0], y, x): 1 for _, _, y, x in window(node, at[1], at[2])
                if 0 <= y < height and 0 <= x < width}  # fmt: skip

    def reached(node: Population, k: int, at: tuple[int, ...]) -> set[int]:
        """Nodes that a synapse leads from to an element."""
        synapse, weight = node.synapses[k], trace.weight(node.name, k)
        channels, height, width = trace.shape(synapse.source)
        sums: dict[tuple[int, ...], float] = defaultdict(float)
        places: list[tuple[tuple[int, ...], float]] = []
        if synapse.kind == "linear":
            places = [(one, 1.0 if weight is None else float(weight[(at[0], *one)]))
                      for one in elements(synapse.source)]  # fmt: skip
        else:
            size = channels // synapse.groups
            group = at[0] // (node.channels // synapse.groups)
            for i, j, y, x in window(synapse, at[1], at[2]):
                if not (0 <= y < height and 0 <= x < width):
                    continue
                if synapse.own:
                    places.append(((at[0], y, x), float(weight[at[0]])))  # type: ignore[index]
                    continue
                for c in range(size):
                    w = 1.0 if weight is None else float(weight[at[0], c, i, j])
                    places.append(((group * size + c, y, x), w))
        source = trace.node(synapse.source)
        if source.kind != "avgpool":
            hit = [one for one, w in places if w or keep_zeros]
            return set().union(*(behind[source.name][one] for one in hit))
        for one, w in places:
            for inner in pooled(source.name, one):
                sums[inner] += w
        return set().union(*(behind[source.source][one] for one, w in sums.items() if w or keep_zeros))

    for node in trace.nodes:
        name = node.name
        if node.kind in ("input", "neurons"):
            behind[name] = own(name)
        if isinstance(node, Population):
            sets = {at: set().union(*(reached(node, k, at) for k in range(len(node.synapses))))
                    for at in elements(name)}  # fmt: skip
            if name in mapped:
                behind[name] = own(name)
                found |= {(k, next(iter(behind[name][at]))) for at, one in sets.items() for k in one}
            else:
                behind[name] = sets
        elif node.kind == "maxpool":
            _, height, width = trace.shape(node.source)
            for at in elements(name):
                seen = [(y, x) for _, _, y, x in window(node, at[1], at[2])
                        if 0 <= y < height and 0 <= x < width]  # fmt: skip
                behind.setdefault(name, {})[at] = set().union(
                    *(behind[node.source][at[0], y, x] for y, x in seen)
                )
        elif node.kind == "join":
            behind[name] = {at: set() for at in elements(name)}
            before = 0
            for operand in node.operands:
                c, h, w = trace.shape(operand)
                for at in elements(name):
                    if node.how == "slice":
                        behind[name][at] |= behind[operand][at[0] + node.channels[0], at[1], at[2]]
                    elif node.how == "concat":
                        if before <= at[0] < before + c:
                            behind[name][at] |= behind[operand][at[0] - before, at[1], at[2]]
                    else:
                        channel = at[0] * c // trace.shape(name)[0]
                        place = (at[1], at[2]) if (h, w) != (1, 1) else (0, 0)
                        behind[name][at] |= behind[operand][(channel, *place)]
                before += c
    return first, found


@examples(120)
@given(graphs(), st.booleans())
def test_unrolled_graphs_equal_the_definition(trace: GraphTrace, keep_zeros: bool) -> None:
    try:
        network = unrolled(trace, keep_zeros=keep_zeros)
    except UnsupportedError:
        assert any(node.kind == "matmul" for node in trace.nodes)
        assume(False)
    first, wanted = brute(trace, keep_zeros)
    assert {part.name: part.first for part in network.parts} == first
    assert edges(network.graph) == wanted
    assert network.graph.nodes == sum(len(part.nodes) for part in network.parts)
    again = NeuronGraph.of("", network.graph.neurons, network.graph.external, sorted(wanted))
    assert again.sha256 == network.graph.sha256


def test_a_convolution_by_hand() -> None:
    """One channel of 3x3, filter 2x2, stride 1, padding 1 above and left and below and right, stride 2."""
    weight = np.array([[[[1, 0], [2, 3]]]], np.int8)
    layer = conv(kernel=2, stride=2, padding=1, in_height=3, in_width=3)
    graph = unrolled(chain([layer], [weight])).graph
    # Outputs 0 to 3 at (0,0) (0,1) (1,0) (1,1); inputs (row, column) are nodes 4 + 3 row + column.
    # (0,0) sees the corner (0,0) under the tap (1,1); (0,1): taps (1,0), (1,1) over (0,1), (0,2).
    # (1,0): taps (0,1), weight 0, over (1,0), and (1,1) over (2,0). (1,1): (1,1) under (0,0); (0,1) has no
    # weight over (1,2); (2,1) and (2,2) under (1,0) and (1,1).
    assert (graph.neurons, graph.external) == (4, 9)
    assert edges(graph) == {(4, 0), (5, 1), (6, 1), (10, 2), (8, 3), (11, 3), (12, 3)}
    kept = edges(unrolled(chain([layer], [weight]), keep_zeros=True).graph)
    assert kept == edges(graph) | {(7, 2), (9, 3)}
    assert edges(unrolled(chain([layer])).graph) == kept


def test_pools_are_no_neurons_and_a_linear_layer_takes_their_windows() -> None:
    layers = [
        conv(name="one", kernel=1, in_height=2, in_width=4),
        {"name": "max", "kind": "maxpool", "in_channels": 1, "out_channels": 1, "kernel": 2, "stride": 2,
         "in_height": 2, "in_width": 4},
        {"name": "fc", "kind": "linear", "in_channels": 2, "out_channels": 2, "neuron": LIF},
    ]  # fmt: skip
    weights = [np.ones((1, 1, 1, 1), np.int8), None, np.array([[5, 0], [0, -1]], np.int8)]
    for kind in ("maxpool", "avgpool"):
        layers[1]["kind"] = kind
        network = unrolled(chain(layers, weights))
        assert [(part.name, part.first, part.external) for part in network.parts] == [
            ("one", 0, False), ("fc", 8, False), ("input", 10, True),
        ]  # fmt: skip
        wanted = {(k, 8) for k in (0, 1, 4, 5)} | {(k, 9) for k in (2, 3, 6, 7)}
        assert edges(network.graph) == wanted | {(10 + one, one) for one in range(8)}
        chosen = unrolled(chain(layers, weights), layers=["fc"])
        assert (chosen.graph.neurons, chosen.graph.external) == (2, 8)
        assert edges(chosen.graph) == {(k + 2, i - 8) for k, i in wanted}
    with pytest.raises(ConfigError, match=r"'fcc' is none of one, fc; did you mean fc\?"):
        unrolled(chain(layers, weights), layers=["fcc"])


def test_layers_without_weights_are_unrolled_whatever_was_recorded() -> None:
    layers = [
        conv(name="one", in_height=6, in_width=6),
        {"name": "max", "kind": "maxpool", "in_channels": 1, "out_channels": 1, "kernel": 2, "stride": 2,
         "in_height": 4, "in_width": 4},
        conv(name="two", kernel=2, in_height=2, in_width=2),
        conv(name="three", in_channels=2, kernel=1),
    ]  # fmt: skip
    shapes = {0: (1, 6, 6, 9), 2: (1, 2, 2, 9), 3: (2, 1, 1, 9)}
    trace = sx.Trace.from_arrays(layers, {at: np.ones(shape, bool) for at, shape in shapes.items()})
    network = unrolled(trace)
    assert [(part.name, part.first) for part in network.parts] == [
        ("one", 0), ("two", 16), ("three", 17), ("input", 18), ("three.input", 54),
    ]  # fmt: skip
    taken = {
        (18 + 6 * (y + i) + x + j, 4 * y + x) for y, x, i, j in product(range(4), range(4), *[range(3)] * 2)
    }
    assert edges(network.graph) == taken | {(k, 16) for k in range(16)} | {(54, 17), (55, 17)}


def test_inputs_of_a_trace_get_columns_where_asked(tmp_path: Path) -> None:
    sx.save_trace(chain([conv(in_height=4, in_width=4)]), tmp_path / "t.npz")
    sx.save_trace(chain([conv(in_height=4, in_width=4)]), tmp_path / "t.h5")
    graph, mapped = (load_graph(tmp_path / "t.npz", inputs=one) for one in ("external", "mapped"))
    assert (graph.neurons, graph.external, mapped.neurons, mapped.external) == (4, 16, 20, 0)
    assert edges(graph) == edges(mapped)
    assert load_graph(tmp_path / "t.h5").sha256 == load_graph(tmp_path / "t.npz").sha256 == graph.sha256


def test_a_nir_graph_is_unrolled(tmp_path: Path) -> None:
    path = nir_files.write_graph(tmp_path / "net.nir", nir_files.chain())
    network = read_network(path)
    assert [part.shape for part in network.parts] == [(4, 6, 6), (5, 1, 1), (2, 6, 6)]
    weight = nir_files.chain()["fc"]["weight"]
    assert network.graph.fan_in[144:].tolist() == [4 * int(np.count_nonzero(row)) for row in weight]


def test_too_many_synapses_are_refused_by_their_number_before_they_are_made() -> None:
    layer = conv(in_channels=2, out_channels=256, kernel=5, padding=2, in_height=96, in_width=96)
    sides = sum(min(96, y + 3) - max(0, y - 2) for y in range(96))
    trace = chain([layer], T=1)
    tracemalloc.start()
    with pytest.raises(ConfigError) as caught:
        unrolled(trace)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"{2 * 256 * sides**2:,} synapses are more than 20,000,000; --layers" in str(caught.value)
    assert peak < 4 << 20
    many = conv(out_channels=1 << 20, kernel=1, in_height=64, in_width=64)
    with pytest.raises(ConfigError, match="4,294,971,392 neurons and inputs are more than"):
        unrolled(chain([many], T=1))


def test_overlapping_windows_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikex_sim.mapped.unroll.MOST_EDGES", 6000)
    monkeypatch.setattr("spikex_sim.mapped.unroll.MOST_HELD", 40000)
    pool = {"name": "max", "kind": "maxpool", "in_channels": 2, "out_channels": 2, "kernel": 3, "stride": 1,
            "padding": 1, "in_height": 9, "in_width": 9}  # fmt: skip
    layer = conv(in_channels=2, padding=1, in_height=9, in_width=9)
    each = 2 * sum(min(9, y + 3) - max(0, y - 2) for y in range(9)) ** 2
    assert each == 3042
    assert unrolled(chain([pool, layer])).graph.edges == each
    with pytest.raises(ConfigError, match="9,126 synapses are more than 6,000;"):
        unrolled(chain([pool, {**layer, "out_channels": 3}]))
    with pytest.raises(ConfigError, match="synapses, those by several windows or synapses counted each, are"):
        unrolled(chain([pool, {**layer, "out_channels": 9}]))


# Profiles. ----------------------------------------------------------------------------------------------


def test_samples_are_drawn_by_the_share() -> None:
    order = np.random.default_rng(5).permutation(300).tolist()
    assert choose_samples(300, 0.01, 5) == (tuple(order[:3]), tuple(order[3:]))
    assert len(choose_samples(100, 0.07).profile) == 7
    assert len(choose_samples(101, 0.01).profile) == 2
    assert choose_samples(1) == ((0,), (0,)) and choose_samples(1).is_same
    assert not choose_samples(2).is_same
    for share in (0, -1, 1.5, float("nan"), "x", True):
        with pytest.raises(ConfigError, match="--profile-share"):
            choose_samples(9, share)  # type: ignore[arg-type]


def test_profile_of_computed_spikes() -> None:
    rng = np.random.default_rng(3)
    weights = [rng.integers(-9, 10, (2, 1, 3, 3), np.int8), rng.integers(-9, 10, (3, 18), np.int8)]
    trace = chain(layers_of_two(), weights, lead=(4,))
    network = unrolled(trace)
    each = list(spikes_of(network, trace))
    for sample, spikes in enumerate(each):
        one = sx.Trace.from_arrays(layers_of_two(), trace.spikes(0)[sample], weights=weights)
        result = sx.simulate(one, tws=4)
        assert [spikes[part.nodes.start : part.nodes.stop].sum() for part in network.parts] == [
            result.layers[0].output_spikes, result.layers[1].output_spikes, result.layers[0].input_spikes,
        ]  # fmt: skip
        assert result.outputs is not None
        assert spikes[18:21].tolist() == np.bitwise_count(result.outputs[0]).sum(axis=-1).tolist()
        assert spikes[21:].tolist() == trace.spikes(0)[sample].sum(axis=-1).ravel().tolist()
    assert profile_of(network, trace, (3, 1)).spikes.tolist() == (each[3] + each[1]).tolist()


def test_profile_of_recorded_spikes_alone() -> None:
    rng = np.random.default_rng(4)
    spikes = {0: rng.random((1, 5, 5, 8)) < 0.5, 1: rng.random((18, 8)) < 0.5}
    trace = sx.Trace.from_arrays(layers_of_two(), spikes)
    network = unrolled(trace)
    found = profile_of(network, trace, [0]).spikes
    assert found[:18].tolist() == spikes[1].sum(axis=-1).tolist()
    assert found[18:21].tolist() == [0, 0, 0]  # nobody takes what nobody knows
    assert found[21:].tolist() == spikes[0].sum(axis=-1).ravel().tolist()


def test_a_profile_of_another_network_is_refused() -> None:
    trace = chain(layers_of_two(), [np.ones((2, 1, 3, 3), np.int8), np.ones((3, 18), np.int8)])
    other = chain([conv(out_channels=2, in_height=6, in_width=6)], [np.ones((2, 1, 3, 3), np.int8)])
    with pytest.raises(SpikexError, match="is of another network"):
        profile_of(unrolled(trace), other, [0])
    with pytest.raises(ConfigError, match="--profile: the network has no layers"):
        profile_of(read_network("gen:A"), trace, [0])
