"""Neurons in parts: where they are cut, what files say of them, and how wrong ones are told."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import graphs as small
import spikex_sim as sx
from command import is_mistake, spikex, succeed
from examples import examples
from graph_strategies import graphs
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.data import default_trace_path
from spikex_sim.explore.mapping.reading import read_network, save_graph
from spikex_sim.mapped.baselines import next_fit
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.mesh import Placement, flows
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.mapped.split import Split, split
from spikex_sim.mapped.unroll import unrolled
from spikex_sim.mapped.verify import violations
from spikex_sim.trace.graph import GraphTrace
from unrolling import LIF, chain, conv, edges

Places = list[tuple[int, int]]
"""Place in the window of a neuron, and the node there."""


def parts_of(found: Split) -> dict[int, list[set[int]]]:
    """Sources of all parts of each neuron, as the network numbers them."""
    own = found.original.sources
    parts = {i: [set(own.of(i).tolist())] for i in range(found.original.neurons)}
    for at, i in enumerate(found.neuron.tolist()):
        further = set(found.sources.of(at).tolist())
        assert further and further <= parts[i][0] and len(further) < len(parts[i][0])
        assert found.part[at] == len(parts[i])
        parts[i][0] -= further
        parts[i].append(further)
    return parts


def cut(places: Places, window: int, widest: int) -> list[set[int]]:
    """Parts by the text alone: blocks of the window, more until each fits; those without sources are none."""
    first: dict[int, int] = {}
    for place, node in sorted(places):
        first.setdefault(node, place)
    parts = max(1, -(-len(first) // widest))
    while True:
        ends = [block * window // parts for block in range(parts + 1)]
        found = [{k for k, at in first.items() if ends[r] <= at < ends[r + 1]} for r in range(parts)]
        if all(len(part) <= widest for part in found):
            return [part for part in found if part] or [set()]
        parts += 1


def check_columns(found: Split, widest: int) -> None:
    """Columns, sources and numbers of a split graph, whatever the cut."""
    before, graph = found.original, found.graph
    assert (graph.neurons, graph.external) == (before.neurons + found.parts, before.external)
    assert graph.fan_in.max(initial=0) <= widest or not len(before.fan_in)
    back = [*range(before.neurons), *found.neuron.tolist()]
    outside = {before.neurons + found.parts + k: before.neurons + k for k in range(before.external)}
    ends = {(outside.get(k, k), back[i]) for k, i in edges(graph)}
    assert ends == edges(before) and graph.edges == before.edges
    again = NeuronGraph.of("", graph.neurons, graph.external, sorted(edges(graph)))
    assert again.sha256 == graph.sha256
    files = found.numbered(np.arange(graph.neurons)).tolist()
    assert files == [*range(before.neurons), *range(before.nodes, before.nodes + found.parts)]
    assert sorted(found.order.tolist()) == list(range(graph.neurons))
    if found.parts:
        assert graph.adds_to is not None and graph.adds_to.tolist() == back


# Where neurons are cut. ---------------------------------------------------------------------------------


def test_a_linear_layer_by_hand() -> None:
    """Windows of 10 places; at most 4 inputs."""
    weight = np.zeros((4, 10), np.int8)
    weight[0] = 1
    weight[1, [0, 6, 7, 8, 9]] = 1
    weight[2, 5:] = 1
    weight[3, 6:] = 1
    layer = {"name": "fc", "kind": "linear", "in_channels": 10, "out_channels": 4, "neuron": LIF}
    found = split(unrolled(chain([layer], [weight])), 4)
    parts = {i: [{k - 4 for k in part} for part in one] for i, one in parts_of(found).items()}
    # Of 10 inputs, three parts: places 0 to 2, 3 to 5, 6 to 9. Of 5, two: places 0 to 4, 5 to 9. In the third
    # neuron these leave all 5 in one: three parts, of which the first has none.
    assert parts == {0: [{0, 1, 2}, {3, 4, 5}, {6, 7, 8, 9}], 1: [{0}, {6, 7, 8, 9}], 2: [{5}, {6, 7, 8, 9}],
                     3: [{6, 7, 8, 9}]}  # fmt: skip
    assert found.neuron.tolist() == [0, 0, 1, 2] and found.part.tolist() == [1, 2, 1, 1]
    assert found.numbered(np.arange(8)).tolist() == [0, 1, 2, 3, 14, 15, 16, 17]
    check_columns(found, 4)
    assert split(unrolled(chain([layer], [weight])), 10).graph.sha256 == found.original.sha256


def test_a_plain_graph_is_cut_in_the_order_of_its_sources() -> None:
    graph = NeuronGraph.of("g", 2, 9, [(k, 1) for k in (0, 1, 3, 4, 7, 8, 10)], range(11))
    found = split(graph, 3)
    assert parts_of(found) == {0: [set()], 1: [{0, 1}, {3, 4}, {7, 8, 10}]}
    assert found.graph.spikes.tolist() == [0, 1, 1, 1, *range(2, 11)]
    assert found.order.tolist() == [0, 1, 2, 3]
    check_columns(found, 3)


@examples(40)
@given(st.data())
def test_convolutions_are_cut_at_places_of_their_windows(data: st.DataObject) -> None:
    draw = data.draw
    groups, inputs, outputs = (draw(st.integers(1, 2)) for _ in range(3))
    size, kernel, stride = draw(st.integers(2, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    padding, pooled = draw(st.integers(0, 2)), draw(st.booleans())
    assume(size + 2 * padding >= kernel)
    channels, filters, factor = groups * inputs, groups * outputs, 2 if pooled else 1
    side, inside = factor * size, filters * ((size + 2 * padding - kernel) // stride + 1) ** 2
    drawn = np.random.default_rng(draw(st.integers(0, 99)))
    shape = (filters, inputs, kernel, kernel)
    weight = drawn.integers(0, draw(st.integers(2, 9)), shape).astype(np.int8)
    pool = {"name": "max", "kind": "maxpool", "from": "in", "kernel": 2, "stride": 2}
    taken = small.conv(
        "max" if pooled else "in", kernel=kernel, stride=stride, padding=padding, groups=groups
    )
    nodes = [small.spiking_input(channels, side, side), *[pool] * pooled, small.population([taken], filters)]
    silence = np.zeros((channels, side, side, 3), bool)
    trace = small.packaged(small.network(nodes, 3, {"in/spikes": silence, "out/synapse-0/weight": weight}))
    read = unrolled(trace)
    widest = draw(st.integers(factor**2, 12))
    found = split(read, widest)
    check_columns(found, widest)
    parts = parts_of(found)
    out = (size + 2 * padding - kernel) // stride + 1
    for m, y, x in product(range(filters), range(out), range(out)):
        places: Places = []
        for c, a, b in product(range(inputs), range(kernel), range(kernel)):
            row, column = y * stride + a - padding, x * stride + b - padding
            if not (0 <= row < size and 0 <= column < size and weight[m, c, a, b]):
                continue
            channel = m // outputs * inputs + c
            places += [
                ((c * kernel + a) * kernel + b,
                 inside + (channel * side + factor * row + i) * side + factor * column + j)
                for i, j in product(range(factor), range(factor))
            ]  # fmt: skip
        assert parts[(m * out + y) * out + x] == cut(places, inputs * kernel**2, widest)


def test_channels_share_axons_however_they_are_pruned() -> None:
    """All channels at a place are cut alike, so that each block of the window is one list of axons."""
    rng = np.random.default_rng(5)
    weight = np.where(rng.random((6, 8, 3, 3)) < 0.2, 0, 3).astype(np.int8)
    layer = conv(in_channels=8, out_channels=6, padding=1, in_height=4, in_width=4)
    found = split(unrolled(chain([layer], [weight])), 48)
    parts = parts_of(found)
    for place in (5, 6, 9, 10):  # the whole window is in the map there
        blocks = [parts[16 * m + place] for m in range(6)]
        assert {len(one) for one in blocks} == {2}
        for a, b in product(blocks, blocks):
            assert not a[0] & b[1]
        assert all(len(set().union(*(one[r] for one in blocks))) <= 36 for r in (0, 1))


@examples(80)
@given(graphs(), st.integers(1, 12), st.booleans())
def test_any_layers_are_cut_or_refused(trace: GraphTrace, widest: int, keep_zeros: bool) -> None:
    try:
        network = unrolled(trace, keep_zeros=keep_zeros)
        found = split(network, widest)
    except UnsupportedError as exc:
        assert "multiplies spikes" in str(exc) or "takes a union of more than" in str(exc)
        return
    check_columns(found, widest)
    for i, parts in parts_of(found).items():
        assert len(parts) >= -(-int(network.graph.fan_in[i]) // widest) or not network.graph.fan_in[i]
        assert all(0 < len(part) <= widest for part in parts) or not network.graph.fan_in[i]


def test_sums_are_cut_and_unions_are_not() -> None:
    rng = np.random.default_rng(1)
    summed = small.network(
        [small.spiking_input(6), small.currents([{"from": "in", "kind": "linear"}], 2),
         small.population([{"from": "sum", "kind": "identity"}], 2)],
        3, {"in/spikes": rng.random((6, 1, 1, 3)) < 0.5, "sum/synapse-0/weight": np.ones((2, 6), np.int8)},
    )  # fmt: skip
    found = split(unrolled(small.packaged(summed)), 4)
    assert parts_of(found) == {0: [{2, 3, 4}, {5, 6, 7}], 1: [{2, 3, 4}, {5, 6, 7}]}
    spikes = {"in/spikes": np.ones((1, 3, 3, 3), bool)}
    pool = {"name": "max", "kind": "maxpool", "from": "in", "kernel": 3}
    behind_pool = small.network(
        [small.spiking_input(1, 3, 3), pool, small.population([small.conv("max", kernel=1)], 1)],
        3, spikes | {"out/synapse-0/weight": np.ones((1, 1, 1, 1), np.int8)},
    )  # fmt: skip
    largest_current = small.network(
        [small.spiking_input(1, 3, 3), small.currents([{"from": "in", "kind": "identity"}], 1),
         small.population([{"from": "sum", "kind": "maxpool", "kernel": 3}], 1)], 3, spikes,
    )  # fmt: skip
    for one in (behind_pool, largest_current):
        network = unrolled(small.packaged(one))
        assert split(network, 9).parts == 0
        with pytest.raises(UnsupportedError, match="neuron 0 of layer 'out' takes a union of more than 8"):
            split(network, 8)


def test_columns_in_the_order_of_their_places() -> None:
    """By layer, row, column, part and channel: two channels of 1x2, of two parts each, then a neuron."""
    layers = [
        conv(in_channels=2, out_channels=2, kernel=[1, 2], in_height=1, in_width=3),
        {"name": "fc", "kind": "linear", "in_channels": 4, "out_channels": 1, "neuron": LIF},
    ]
    found = split(unrolled(chain(layers)), 3)
    assert found.neuron.tolist() == [0, 1, 2, 3, 4]  # of channel 0 at x = 0, 1, of channel 1 at x = 0, 1; fc
    assert found.order.tolist() == [0, 2, 5, 7, 1, 3, 6, 8, 4, 9]


def test_the_network_of_n_mnist() -> None:
    network = read_network(default_trace_path())
    found = split(network, 256)
    assert (network.graph.neurons, network.graph.external, network.graph.edges) == (11658, 2312, 1402729)
    assert found.graph.neurons == 14042
    started = next_fit(found.graph, Pool.named("table2x8"), found.order)
    assert started is not None and started.area == 2_252_800
    by_index = next_fit(found.graph, Pool.named("table2x8"), np.arange(found.graph.neurons))
    assert by_index is not None and by_index.area > 10 * started.area
    assert violations(SavedMapping.of(started, [], None, found), network.graph) == []


def test_the_network_of_n_mnist_with_nine_weights_of_ten_pruned() -> None:
    trace = sx.load_trace(default_trace_path())
    assert isinstance(trace, sx.Trace)
    rng = np.random.default_rng(1)
    pruned = {at: np.where(rng.random(one.shape) < 0.9, 0, one).astype(one.dtype)
              for at, one in trace.weights.items()}  # fmt: skip
    network = unrolled(replace(trace, weights=pruned))
    positions = zip(pruned.values(), (16 * 16, 14 * 14, 6 * 6, 1), strict=True)  # no layer has padding
    assert network.graph.edges == sum(int(np.count_nonzero(one)) * outputs for one, outputs in positions)
    assert network.graph.neurons == 11658
    found = split(network, 32)
    check_columns(found, 32)
    least = int(np.maximum(1, -(-network.graph.fan_in // 32)).sum())
    assert least <= found.graph.neurons <= 1.01 * least
    started = next_fit(found.graph, Pool.named("table2"), found.order)
    assert started is not None
    assert violations(SavedMapping.of(started, [], None, found), network.graph) == []


# Sums on their way. -------------------------------------------------------------------------------------


def graph_of_parts() -> NeuronGraph:
    """Neuron 1 of 5 inputs, 0 of one, itself; external axons are nodes 3 to 6."""
    return NeuronGraph.of("parts", 3, 4, [(0, 1), (3, 1), (4, 1), (5, 1), (6, 1), (1, 1), (0, 0), (1, 2)],
                          [5, 7, 11, 1, 2, 3, 4])  # fmt: skip


def test_sums_count_apart_and_on_the_mesh() -> None:
    found = split(graph_of_parts(), 3)
    assert parts_of(found)[1] == [{0, 1, 3}, {4, 5, 6}]
    pool = Pool.of("pool", {"types": [{"inputs": 3, "outputs": 4}]})
    mapping = Mapping.of(found.graph, pool, [0, 1, 2, 0])  # columns: neurons 0, 1, 2, the part of neuron 1
    assert mapping is None  # neuron 0 and the part have 4 axons
    mapping = Mapping.of(found.graph, pool, [0, 1, 1, 2])
    assert mapping is not None
    wanted = {"routes_global": 1 + 1 + 3, "packets_global": 5 + 1 + 9, "psum_routes": 1, "psum_packets": 1}
    assert mapping.metrics.items() >= wanted.items()
    source, target, packets = flows(mapping)
    assert (2, 1, 1) in zip(source.tolist(), target.tolist(), packets.tolist(), strict=True)
    # Crossbars 0, 1, 2 in a row from tile (0, 0): 5 from 0 to 1, external 1 to 1 and 9 to 2, a sum from 2.
    placed = Placement(mapping, 1, 3, np.arange(3))
    assert placed.hops == 5 + 1 + 2 * 9 + 1 and placed.multicast_hops == placed.hops
    many = found.profiled(found.original.spikes, np.array([6]))
    again = Mapping.of(many.graph, pool, mapping.home)
    assert again is not None and again.metrics["psum_packets"] == 6
    assert again.metrics["packets_global"] == mapping.metrics["packets_global"]
    assert Placement(again, 1, 3, np.arange(3)).hops == placed.hops + 5
    together = Mapping.of(found.graph, Pool.named("table2"), [0, 1, 2, 1])
    assert together is not None and together.metrics["psum_routes"] == 0


# What files say. ----------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], list[str]]:
    graph = graph_of_parts()
    pool = Pool.of("pool", {"types": [{"inputs": 3, "outputs": 2}, {"inputs": 2, "outputs": 2}]})
    whole = sx.map_network(
        graph, pool, split=True, mesh="auto", steps=100, objective="routes", engine="anneal"
    )
    text = json.loads(whole.saved.text)
    assert text["splits"] == [
        {"neuron": 1, "part": 1, "column": 7, "sources": [4, 5, 6], "packets": 1}
    ]  # fmt: skip
    assert sorted(c for one in text["crossbars"] for c in one["neurons"]) == [0, 1, 2, 7]
    assert text["network"]["sha256"] == graph.sha256 and text["network"]["neurons"] == 3

    def check(spoil: Callable[[dict[str, Any]], None]) -> list[str]:
        spoiled = copy.deepcopy(text)
        spoil(spoiled)
        (tmp_path / "mapping.json").write_text(json.dumps(spoiled))
        return violations(SavedMapping.load(tmp_path / "mapping.json"), graph)

    return check


def part(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda given: given["splits"][0].update(changes)


def without_parts(given: dict[str, Any]) -> None:
    given["splits"] = []


def moved(given: dict[str, Any]) -> None:
    one = next(one for one in given["crossbars"] if 7 in one["neurons"])
    one["neurons"].remove(7)


def twice(given: dict[str, Any]) -> None:
    given["splits"].append({"neuron": 1, "part": 2, "column": 8, "sources": [6], "packets": 1})
    given["crossbars"][0]["neurons"].append(8)


def metric(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda given: given["metrics"].update({key: given["metrics"][key] + 1})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (part(neuron=9), "split 0 (neuron 9, part 1): there are 3 neurons"),
        (part(neuron=-1), "split 0 (neuron -1, part 1): there are 3 neurons"),
        (part(neuron=2), "split 0 (neuron 2, part 1): source 4 is none of the neuron, or another part's"),
        (part(part=2), "split 0 (neuron 1, part 2): comes after neuron -1, part 0"),
        (part(part=0), "split 0 (neuron 1, part 0): comes after"),
        (part(column=8), "split 0 (neuron 1, part 1): column 8, not 7"),
        (part(sources=[]), "split 0 (neuron 1, part 1): no source"),
        (part(sources=[4, 5, 5]), "split 0 (neuron 1, part 1): a source twice"),
        (part(sources=[2, 4, 5]), "split 0 (neuron 1, part 1): source 2 is none of the neuron"),
        (part(sources=[0, 1, 3, 4, 5, 6]), "neuron 1: all 6 sources are those of further parts"),
        (part(sources=[6]), "): 5 axons, 3 inputs"),
        (part(packets=3), "split 0 (neuron 1, part 1): 3 packets, by its sources 1 to 1"),
        (twice, "split 1 (neuron 1, part 2): source 6 is none of the neuron, or another part's"),
        (without_parts, "): neuron 7, of 3"),
        (moved, "column 7: in no crossbar"),
        (metric("psum_routes"), "metric psum_routes: "),
        (metric("psum_packets"), "metric psum_packets: "),
        (metric("hops"), "metric hops: "),
    ],
)
def test_corrupted_splits_are_told(
    saved: Callable[..., list[str]], spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    assert saved(lambda given: None) == []
    assert any(message in line for line in saved(spoil)), saved(spoil)


@pytest.mark.parametrize(
    ("splits", "field"),
    [
        (5, "splits: "),
        ([5], "splits[0]: "),
        ([{"neuron": 1, "part": 1, "column": True, "sources": [], "packets": 1}], "splits[0]: "),
        ([{"neuron": 1, "part": 1, "column": 7, "sources": 5, "packets": 1}], "splits[0].sources: "),
        ([{"neuron": 1, "part": 1, "column": 7, "sources": ["x"], "packets": 1}], "splits[0].sources: "),
    ],
)
def test_splits_of_no_form_are_refused(saved: Callable[..., list[str]], splits: Any, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        saved(lambda given: given.update(splits=splits))
    assert field in str(caught.value)


# The command line. --------------------------------------------------------------------------------------


def test_graphs_are_split_where_asked_and_layers_unless_told_not_to(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    save_graph(NeuronGraph.of("wide", 3, 80, [(3 + k, i) for i in (1, 2) for k in range(40 * i)]),
               tmp_path / "wide.json")  # fmt: skip
    layer = {"name": "fc", "kind": "linear", "in_channels": 300, "out_channels": 4, "neuron": LIF}
    sx.save_trace(chain([layer]), tmp_path / "t.npz")
    out = tmp_path / "o"
    for name, option, columns in (("wide.json", "--split", 3 + 1 + 2), ("t.npz", "--no-split", 4 + 4)):
        run = ("map", tmp_path / name, "--steps", 100, "--out", out)
        other = [] if option == "--split" else [option]
        message = is_mistake(spikex(capsys, *run, *other), "inputs, the widest crossbar of the pool takes ")
        assert message.endswith(" such neurons); use --split or a pool with more inputs")
        assert not out.exists()
        text = succeed(capsys, *run, *([option] if option == "--split" else [])).out
        assert f"split: {columns // 2} further parts of neurons" in text
        assert succeed(capsys, "map", "verify", out).out == "ok\n"
        assert succeed(capsys, "map", "verify", out, tmp_path / name).out == "ok\n"
        mapping = json.loads((out / "mapping.json").read_text())
        assert sum(len(one["neurons"]) for one in mapping["crossbars"]) == columns
        for file in out.iterdir():
            file.unlink()
        out.rmdir()


def test_a_network_with_parts_is_the_same_on_any_number_of_jobs() -> None:
    layer = conv(in_channels=4, out_channels=3, padding=1, in_height=4, in_width=4)
    network = unrolled(chain([layer]))
    found = [
        sx.map_network(
            network, "table2", objective="routes", engine="anneal", steps=2000, jobs=jobs, mesh="auto"
        )
        for jobs in (1, 2)
    ]
    assert found[0].split is not None and found[0].split.parts
    assert found[0].saved.crossbars == found[1].saved.crossbars
    assert sx.verify_mapping(found[0], network.graph) == []
