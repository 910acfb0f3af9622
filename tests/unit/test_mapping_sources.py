"""Networks to be mapped: read from files of every kind, and drawn by their properties."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from helpers import shared_data
from spikex_sim.core.errors import ConfigError, SpikexError
from spikex_sim.explore.mapping.generate import NETWORKS, Properties, draw, gini
from spikex_sim.explore.mapping.reading import graph_text, load_graph, save_graph
from spikex_sim.mapped.graph import NeuronGraph
from unrolling import edges


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
    from spikex_sim.mapped.graph import with_inputs

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
