"""Networks to be mapped: read from files of every kind, unrolled from layers, drawn by their properties."""

from __future__ import annotations

import json
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
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
from helpers import shared_data
from spikex_sim.core.errors import ConfigError, SpikexError, UnsupportedError
from spikex_sim.explore.mapping.generate import NETWORKS, Properties, draw, gini
from spikex_sim.explore.mapping.graph import NeuronGraph
from spikex_sim.explore.mapping.profile import choose_samples, profile_of, spikes_of
from spikex_sim.explore.mapping.reading import graph_text, load_graph, read_network, save_graph
from spikex_sim.explore.mapping.unroll import unrolled
from spikex_sim.spec.graph import Population
from spikex_sim.trace.graph import GraphTrace

LIF = {"threshold": 3, "leak_shift": 3}
Pairs = set[tuple[int, int]]


def edges(graph: NeuronGraph) -> Pairs:
    return set(zip(graph.source.tolist(), graph.target.tolist(), strict=True))


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str | bytes, name: str = "net.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# Our own files. -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", "ABCDE")
def test_identity_of_the_look_alikes(name: str) -> None:
    reference = json.loads(shared_data("mapping/reference.json").read_text())["networks"][name]
    graph = load_graph(shared_data(f"mapping/networks/{name}.json"))
    assert graph.sha256 == reference["sha256"]
    assert (graph.neurons, graph.edges, graph.fan_in.max()) == (
        reference["nodes"], reference["edges"], reference["max_fanin"],
    )  # fmt: skip
    assert int((graph.fan_in == 0).sum()) == reference["zero_fanin"]
    assert graph.profiled


@st.composite
def drawn_graphs(draw: st.DrawFn) -> NeuronGraph:
    neurons, external = draw(st.integers(1, 9)), draw(st.integers(0, 4))
    pair = st.tuples(st.integers(0, neurons + external - 1), st.integers(0, neurons - 1))
    nodes = neurons + external
    spikes = draw(st.none() | st.lists(st.integers(0, 1 << 36), min_size=nodes, max_size=nodes))
    return NeuronGraph.of("drawn", neurons, external, draw(st.lists(pair, max_size=30)), spikes)


@examples(60)
@given(drawn_graphs())
def test_a_file_of_ours_comes_back_with_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, graph: NeuronGraph
) -> None:
    path = tmp_path_factory.mktemp("saved") / "net.json"
    save_graph(graph, path)
    again = load_graph(path)
    assert (again.sha256, again.name, again.profiled) == (graph.sha256, graph.name, graph.profiled)
    assert again.spikes.tolist() == graph.spikes.tolist()
    assert path.read_text() == graph_text(graph) == graph_text(again)


@examples(60)
@given(drawn_graphs())
def test_inputs_keep_their_edges_whether_they_have_columns_or_not(graph: NeuronGraph) -> None:
    from spikex_sim.explore.mapping.reading import with_inputs

    mapped = with_inputs(graph, "mapped")
    assert (mapped.neurons, mapped.external, edges(mapped)) == (graph.nodes, 0, edges(graph))
    sourceless = [node for node in range(graph.nodes) if node not in set(graph.target.tolist())]
    if len(sourceless) == graph.nodes:
        with pytest.raises(ConfigError, match="none would occupy a column"):
            with_inputs(graph, "external")
        return
    outside = with_inputs(graph, "external")
    order = [node for node in range(graph.nodes) if node not in sourceless] + sourceless
    assert outside.external == len(sourceless)
    assert {(order[k], order[i]) for k, i in edges(outside)} == edges(graph)
    assert outside.spikes.tolist() == [graph.spikes[node] for node in order]
    assert (
        NeuronGraph.of("", outside.neurons, outside.external, sorted(edges(outside))).sha256 == outside.sha256
    )


OURS = {"format": "spikex-network", "version": 1, "name": "n", "neurons": 2, "external": 1, "edges": [[2, 0]]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "format: is 'other', not 'spikex-network'"),
        ({"version": 2}, "version: this release reads version 1, not 2"),
        ({"nuerons": 2}, "did you mean neurons?"),
        ({"neurons": 10**8}, "neurons: wants a whole number up to 16,777,216, not 100000000"),
        ({"neurons": 2.0}, "neurons: wants a whole number"),
        ({"neurons": True}, "neurons: wants a whole number"),
        ({"edges": [[0, 1], [3, 0]]}, "edges[1]: [3, 0] names node 3, but there are 3"),
        ({"edges": [[0, 1], [1, 2]]}, "edges[1]: [1, 2] names neuron 2, but there are 2"),
        ({"edges": [[0, 1, 2]]}, "edges[0]: wants [source, target], not [0, 1, 2]"),
        ({"edges": [[0, True]]}, "edges[0]: wants [source, target]"),
        ({"edges": [[0.0, 1]]}, "edges[0]: wants [source, target]"),
        ({"edges": {"a": 1}}, "edges: wants a list"),
        ({"spikes": [1, 2]}, "spikes: has 2 numbers for 3 nodes"),
        ({"spikes": [1, 2, -1]}, "spikes[2]: wants a whole number"),
        ({"spikes": [1, 2, 10**17]}, "spikes[2]: wants a whole number"),
        ({"name": "a\u001b[2J"}, "name: wants printable text"),
    ],
)
def test_wrong_files_of_ours(written: Callable[..., Path], change: dict[str, Any], message: str) -> None:
    path = written(json.dumps(OURS | change), "net.json")
    with pytest.raises(ConfigError) as caught:
        load_graph(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()


# TENNLab, edge lists, GraphML. --------------------------------------------------------------------------


def test_tennlab_ids_are_compacted_and_weights_found_by_the_properties(written: Callable[..., Path]) -> None:
    network = {
        "Properties": {"edge_properties": [{"name": "Delay", "index": 0}, {"name": "Weight", "index": 1}]},
        "Nodes": [{"id": 40}, {"id": 7}, {"id": 9}],
        "Edges": [{"from": 7, "to": 40, "values": [3, -1]}, {"from": 40, "to": 9, "values": [0, 0]},
                  {"from": 9, "to": 9, "values": [0, 5]}],
    }  # fmt: skip
    path = written(json.dumps(network), "eons.json")
    assert edges(load_graph(path)) == {(0, 2), (1, 1)}
    assert edges(load_graph(path, keep_zeros=True)) == {(0, 2), (2, 1), (1, 1)}
    for key, value, message in (
        ("Nodes", [{"id": 1}, {"id": 1}], "Nodes[1].id: 1 is the id of two nodes"),
        ("Nodes", [{"id": "1"}], "Nodes[0].id: wants a whole number"),
        ("Nodes", 5, "Nodes: wants a list"),
        ("Edges", [{"from": 7, "to": 8}], "Edges[0].to: names node 8, which is not there"),
        ("Edges", [{"from": 7}], "Edges[0].to: is missing"),
        ("Edges", [{"from": 7, "to": 9, "values": [1, "x"]}], "Edges[0].values[1]: wants a number"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_graph(written(json.dumps(network | {key: value}), "eons.json"))
        assert message in str(caught.value)


def test_edge_lists_of_all_separators_are_one_network(written: Callable[..., Path]) -> None:
    lines = ["source target weight", "b a 1", "c a -2.5e-3", "b d 0", "alone", "b a 3"]
    wanted = {(0, 1), (2, 1)}
    for mark in (" ", "\t", ",", ";"):
        for header in (0, 1):
            text = "# a comment\n\n" + "\r\n".join(line.replace(" ", mark) for line in lines[header:])
            graph = load_graph(written(text))
            assert (graph.neurons, edges(graph)) == (5, wanted)
    assert edges(load_graph(written("\n".join(lines)), keep_zeros=True)) == wanted | {(0, 3)}


def test_columns_of_an_edge_list_may_be_named(written: Callable[..., Path]) -> None:
    text = 'id,w,to,from\n0,0,"a, b",x\n1,2,x,"a, b" # loop\n'
    graph = load_graph(written("﻿" + text))
    assert (graph.neurons, edges(graph)) == (2, {(1, 0)})
    assert edges(load_graph(written("1 2\n2 2\n"))) == {(0, 1), (1, 1)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing\n", "holds no edge"),
        ("a b\nc d e f\n", "line 2: has 4 cells"),
        ("a b c d e\n", "line 1: has 5 columns"),
        ("1 2 3\n1 2 heavy\n", "line 2: the weight 'heavy' is no number"),
        ("1 2 heavy\n", "line 1: the weight 'heavy' is no number"),
        ("a b nan\nb c nan\n", "line 2: the weight 'nan' is no number"),
        ("1 2 1e999\n", "line 1: the weight '1e999' is no number"),
        ("1 2 1_0\n", "line 1: the weight '1_0' is no number"),
        ("1 2\nnan 2\n", "line 2: 'nan' stands for what is missing"),
        ("a,b\n,c\n", "line 2: has no source"),
        ("a,,1\n", "line 1: has a weight, but no target"),
        ('a,b\n"a,b\n', "line 2: is damaged"),
        ("a b\n\x1b[2J c\n", "line 2: holds characters that do not print"),
        (b"a b\n\xff c\n", "line 2: is no UTF-8 text"),
        ("a b\n" + "x" * 70_000, "line 2: has more than 65,536 bytes"),
        (b"\x7fELF\0\0", "is neither text nor a trace"),
        ("{" * 100_000, "JSON"),
        ('{"a":' * 100_000, "JSON is nested too deeply"),
        ("[1, 2]", "is JSON, but no object"),
        ('{"neurons": NaN}', "NaN is no number"),
        ('{"neurons": 1, "neurons": 2}', "the key 'neurons' comes twice"),
        ('{"neurons": ' + "9" * 5000 + "}", "does not fit 64 bits"),
        ('{"neurons": 1,\n"edges": [}', "line 2"),
        (b'{"a": "\xff"}', "is no UTF-8 text"),
    ],
)
def test_hostile_text(written: Callable[..., Path], text: str | bytes, message: str) -> None:
    path = written(text)
    with pytest.raises(ConfigError) as caught:
        load_graph(path)
    found = str(caught.value)
    assert found.startswith(f"{path}: ") and message in found
    assert found.isprintable()


@examples(150)
@given(st.text(max_size=60) | st.text(alphabet='ab01 ,;\t\n#"-.{}[]<>/', max_size=60))
def test_any_text_is_a_network_or_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "net.txt"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        assert load_graph(path).neurons
    except ConfigError as exc:
        assert str(exc).isprintable()


GRAPHML = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="urn:other">
 <key id="d0" for="edge" attr.name="weight" attr.type="double"><default>2</default></key>
 <key id="d1" for="edge" attr.name="delay" attr.type="int"/>
 <graph id="G" edgedefault="directed">
  <edge source="n5" target="n1"><data key="d0"> 0 </data></edge>
  <node id="n1"><data key="d9">x</data></node>
  <node id="n0"/><y:node id="n1"/>
  <edge source="n1" target="n0"><data key="d1">0</data></edge>
  <node id="n5"/>
  <edge source="n5" target="n0" directed="true"><data key="d0">-1.5</data></edge>
  <edge source="n5" target="n5"/>
 </graph>
</graphml>
"""
BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<graphml><graph edgedefault="directed"><node id="&b;"/></graph></graphml>
"""


def test_graphml(written: Callable[..., Path]) -> None:
    path = written(GRAPHML, "net.graphml")
    graph = load_graph(path)
    assert (graph.neurons, edges(graph)) == (3, {(0, 1), (2, 1), (2, 2)})
    assert edges(load_graph(path, keep_zeros=True)) == {(0, 1), (2, 1), (2, 2), (2, 0)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "line 2: has a document type"),
        (BOMB.replace("[", 'SYSTEM "file:///etc/passwd" ['), "line 2: has a document type"),
        (GRAPHML.replace('"directed"', '"undirected"'), "line 5: edgedefault is undirected"),
        (GRAPHML.replace(' edgedefault="directed"', ""), "line 5: edgedefault is missing"),
        (GRAPHML.replace('directed="true"', 'directed="false"'), "line 11: directed is false"),
        (GRAPHML.replace('<node id="n0"/>', '<node id="n1"/>'), "line 8: 'n1' is the id of two nodes"),
        (GRAPHML.replace('target="n0"', 'target="n7"'), "line 9: names the node 'n7', which is not there"),
        (GRAPHML.replace("-1.5", "NaN"), "line 11: the weight 'NaN' is no number"),
        (GRAPHML.replace("-1.5", "1" * 100), "line 11: the weight is no number"),
        (GRAPHML.replace("</graph>", "<hyperedge/></graph>"), "line 13: has a hyperedge"),
        (GRAPHML.replace("</graph>", "<graph/></graph>"), "line 13: has a second graph"),
        (GRAPHML.replace("</graphml>", ""), "line 15: is no XML: no element found"),
        ("<html></html>", "line 1: is XML of the kind 'html', not graphml"),
        ("<graphml/>", "has no graph"),
        ("<graphml>" * 100, "line 1: more than 32 elements in each other"),
        ('<?xml version="1.0" encoding="zlib"?><graphml>&#27;</graphml>', "is no XML"),
        ("<graphml " + "x" * (3 << 20), "line 1: a tag or text of more than 1,048,576 bytes"),
    ],
)
def test_hostile_graphml(written: Callable[..., Path], text: str, message: str) -> None:
    path = written(text, "net.graphml")
    tracemalloc.start()
    with pytest.raises(ConfigError) as caught:
        load_graph(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)
    assert str(caught.value).isprintable()
    assert peak < 20 << 20


def test_what_is_no_file(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    inside = tmp_path / "to-folder"
    inside.symlink_to(tmp_path)
    for path in (loop, inside, tmp_path, tmp_path / "missing", "a\0b"):
        with pytest.raises(SpikexError) as caught:
            load_graph(path)
        assert str(caught.value).isprintable()


def test_options_are_held_against_what_is_read(written: Callable[..., Path]) -> None:
    path = written("a b\n")
    with pytest.raises(ConfigError, match="--layers: chooses layers of a trace"):
        load_graph(path, layers=["conv"])
    with pytest.raises(ConfigError, match="--inputs: wants mapped or external"):
        load_graph(path, inputs="both")  # type: ignore[arg-type]
    graph = load_graph(path, inputs="external")
    assert (graph.neurons, graph.external, edges(graph)) == (1, 1, {(1, 0)})


# Drawn networks. ----------------------------------------------------------------------------------------


def check_properties(graph: NeuronGraph, wanted: Properties) -> None:
    fan_out = np.bincount(graph.source, minlength=graph.neurons)
    assert (graph.neurons, graph.edges, graph.fan_in.max()) == wanted[:3]
    assert abs(gini(graph.fan_in) - wanted.gini_in) <= 0.002
    assert abs(gini(fan_out) - wanted.gini_out) <= 0.002
    assert not (graph.source == graph.target).any()


@pytest.mark.parametrize("name", "ABCDE")
@pytest.mark.parametrize("seed", [1, 2, 77])
def test_drawn_look_alikes_have_the_properties_of_table_1(name: str, seed: int) -> None:
    graph = load_graph(f"gen:{name}:{seed}")
    check_properties(graph, NETWORKS[name])
    assert 0.25 < (graph.fan_in == 0).mean() < 0.6  # 35 to 55 % in the look-alikes' files
    assert load_graph(f"gen:{name}:{seed}").sha256 == graph.sha256 != load_graph(f"gen:{name}:99").sha256
    assert seed != 1 or load_graph(f"gen:{name}").sha256 == graph.sha256


@examples(40)
@given(st.integers(2, 120), st.data())
def test_properties_are_met_or_refused(nodes: int, data: st.DataObject) -> None:
    fanin = data.draw(st.integers(1, min(nodes - 1, 20)))
    count = data.draw(st.integers(fanin, nodes * fanin))
    shares = [data.draw(st.floats(0, 0.95)) for _ in range(2)]
    wanted = Properties(nodes, count, fanin, *shares)
    try:
        graph = draw(wanted, data.draw(st.integers(0, 9)))
    except ConfigError as exc:
        assert str(exc).isprintable()
        return
    check_properties(graph, wanted)


@pytest.mark.parametrize("nodes", [2, 3, 5, 9])
def test_a_full_network_is_found(nodes: int) -> None:
    check_properties(draw(Properties(nodes, nodes * (nodes - 1), nodes - 1, 0, 0), 1),
                     Properties(nodes, nodes * (nodes - 1), nodes - 1, 0, 0))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gen:F", "'F' is none of A, B, C, D, E"),
        ("gen:", "is none of A, B"),
        ("gen:A:x", "seed: wants a whole number"),
        ("gen:nodes=5", "edges: is missing"),
        ("gen:nodes=5,nodes=6", "nodes: comes twice"),
        ("gen:nods=5", "did you mean nodes?"),
        ("gen:nodes=1e3,edges=9,fanin=3,gini_in=.1,gini_out=.1", "nodes: wants a whole number"),
        ("gen:nodes=5,edges=100000000,fanin=3,gini_in=.1,gini_out=.1", "edges: wants a whole number"),
        ("gen:nodes=5,edges=9,fanin=3,gini_in=nan,gini_out=.1", "gini_in: wants a number"),
        ("gen:nodes=5,edges=19,fanin=3,gini_in=.1,gini_out=.1", "edges: 5 nodes with up to 3 inputs"),
        ("gen:nodes=50,edges=60,fanin=3,gini_in=.01,gini_out=.1", "gini_in: no degrees of Gini index 0.01"),
    ],
)
def test_wrong_descriptions(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_graph(text)
    assert message in str(caught.value)


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
    monkeypatch.setattr("spikex_sim.explore.mapping.unroll.MOST_EDGES", 6000)
    monkeypatch.setattr("spikex_sim.explore.mapping.unroll.MOST_HELD", 40000)
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


def layers_of_two() -> list[dict[str, Any]]:
    linear = {"name": "fc", "kind": "linear", "in_channels": 18, "out_channels": 3, "neuron": LIF}
    return [conv(out_channels=2, in_height=5, in_width=5), linear]


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
    chosen = choose_samples(4, 0.5, 2).profile
    assert profile_of(network, trace, share=0.5, seed=2).tolist() == sum(each[one] for one in chosen).tolist()


def test_profile_of_recorded_spikes_alone() -> None:
    rng = np.random.default_rng(4)
    spikes = {0: rng.random((1, 5, 5, 8)) < 0.5, 1: rng.random((18, 8)) < 0.5}
    trace = sx.Trace.from_arrays(layers_of_two(), spikes)
    network = unrolled(trace)
    found = profile_of(network, trace)
    assert found[:18].tolist() == spikes[1].sum(axis=-1).tolist()
    assert found[18:21].tolist() == [0, 0, 0]  # nobody takes what nobody knows
    assert found[21:].tolist() == spikes[0].sum(axis=-1).ravel().tolist()


def test_a_profile_of_another_network_is_refused() -> None:
    trace = chain(layers_of_two(), [np.ones((2, 1, 3, 3), np.int8), np.ones((3, 18), np.int8)])
    other = chain([conv(out_channels=2, in_height=6, in_width=6)], [np.ones((2, 1, 3, 3), np.int8)])
    with pytest.raises(SpikexError, match="is of another network"):
        profile_of(unrolled(trace), other)
    with pytest.raises(ConfigError, match="--profile: the network has no layers"):
        profile_of(read_network("gen:A"), trace)
