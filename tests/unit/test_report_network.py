"""Networks of reports: every node a box with its share of the costs, every source a line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import spikex_sim as sx
from graph_files import everything
from spikex_sim.core.errors import ResultsError
from spikex_sim.plots.graphs import MAX_BOXES
from spikex_sim.report.network import KINDS, network_section
from timelines import HOSTILE, small_trace


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, sx.RunResult]:
    folder = tmp_path_factory.mktemp("graph")
    result = sx.simulate(everything(), "spikex", tws=2)
    result.save(folder)
    return folder, result


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, sx.RunResult]:
    folder = tmp_path_factory.mktemp("chain")
    result = sx.simulate(small_trace())
    result.save(folder)
    return folder, result


def drawing(folder: Path) -> ElementTree.Element:
    section = network_section(folder)
    assert section is not None and section.script == "network"
    found = re.search(r"<svg.*</svg>", section.html)
    assert found is not None
    return ElementTree.fromstring(found[0])


def boxes(folder: Path) -> list[ElementTree.Element]:
    return [one for one in drawing(folder) if one.get("class") == "network-box"]


def titles_of_lines(folder: Path) -> list[str]:
    return [one[0].text or "" for one in drawing(folder) if one.get("class") == "network-line"]


def test_results_say_how_the_nodes_of_a_graph_are_connected(graph: tuple[Path, sx.RunResult]) -> None:
    trace = everything()
    said = json.loads((graph[0] / "results.json").read_text())["trace"]["nodes"]
    assert [one["name"] for one in said] == [node.name for node in trace.nodes]
    for one, node in zip(said, trace.nodes, strict=True):
        assert [said[place]["name"] for place in one["sources"]] == list(dict.fromkeys(node.sources))
        assert (one["kind"], one["shape"]) == (node.kind, list(trace.shape(node.name)))
    assert {one["carries"] for one in said} == {"spikes", "analog", "currents"}


def test_results_say_it_of_a_chain(chain: tuple[Path, sx.RunResult]) -> None:
    assert json.loads((chain[0] / "results.json").read_text())["trace"]["nodes"] == [
        {"name": "input", "kind": "input", "carries": "spikes", "shape": [2, 6, 6], "sources": []},
        {"name": HOSTILE, "kind": "conv", "carries": "spikes", "shape": [9, 6, 6], "sources": [0]},
        {"name": "last", "kind": "linear", "carries": "spikes", "shape": [5], "sources": [1]},
    ]


@pytest.mark.parametrize("which", ["graph", "chain"])
def test_boxes_have_the_costs_of_their_layers(which: str, request: pytest.FixtureRequest) -> None:
    folder, result = request.getfixturevalue(which)
    layers = {layer.name: layer for layer in result.layers}
    found = boxes(folder)
    assert len(found) == len(result.trace["nodes"])
    for key in ("energy_pj", "cycles"):
        whole = getattr(result.totals, key)
        for node, box in zip(result.trace["nodes"], found, strict=True):
            expected = getattr(layers[node["name"]], key) / whole if node["name"] in layers else 0
            assert float(box.get(f"data-{key.replace('_', '-')}", "-1")) == pytest.approx(expected, abs=1e-6)
    for node, box in zip(result.trace["nodes"], found, strict=True):
        about = box.get("aria-label") or ""
        assert box.get("tabindex") == "0" and box[0].text == about
        assert about.startswith(f"{node['name']}, {node['kind']}, gives ")
        layer = layers.get(node["name"])
        assert layer is None or f"{layer.cycles:,} cycles" in about


def test_every_source_is_a_line(graph: tuple[Path, sx.RunResult]) -> None:
    folder, result = graph
    nodes = result.trace["nodes"]
    expected = [
        f"{nodes[source]['name']} to {node['name']}"
        for place, node in enumerate(nodes)
        for source in node["sources"]
        if source != place
    ]
    found = titles_of_lines(folder)
    assert sorted(one.split(":")[0] for one in found if " to " in one) == sorted(expected)
    assert found.count("takes its own outputs") == 1
    assert "pooled to pop: 2x4x4 spikes, 288 bit" in found and "stem to pop: 4x4x4 currents" in found


def test_no_box_lies_over_another(graph: tuple[Path, sx.RunResult]) -> None:
    found = [
        tuple(float(one[1].get(key, "nan")) for key in ("x", "y", "width", "height"))
        for one in boxes(graph[0])
    ]
    wide = float(drawing(graph[0]).get("width", "nan"))
    for index, (x, y, width, height) in enumerate(found):
        assert x >= 0 and x + width <= wide
        for other_x, other_y, other_width, other_height in found[:index]:
            apart = x >= other_x + other_width or other_x >= x + width
            assert apart or y >= other_y + other_height or other_y >= y + height


def test_an_ann_carries_activations(tmp_path: Path) -> None:
    sx.simulate(small_trace(), "ann").save(tmp_path)
    assert all("activations" in one and "bit" not in one for one in titles_of_lines(tmp_path))


def test_markup_in_names_is_text(chain: tuple[Path, sx.RunResult]) -> None:
    section = network_section(chain[0])
    assert section is not None and HOSTILE not in section.html
    assert (boxes(chain[0])[1].get("aria-label") or "").startswith(HOSTILE)


def test_every_kind_has_a_colour(graph: tuple[Path, sx.RunResult]) -> None:
    assert {node["kind"] for node in graph[1].trace["nodes"]} <= set(KINDS)


def test_without_results_or_with_those_of_earlier_versions_there_is_no_section(
    chain: tuple[Path, sx.RunResult], tmp_path: Path
) -> None:
    assert network_section(tmp_path) is None
    content = json.loads((chain[0] / "results.json").read_text())
    del content["trace"]["nodes"]
    (tmp_path / "results.json").write_text(json.dumps(content))
    assert network_section(tmp_path) is None


def test_more_nodes_than_can_be_drawn_are_counted(chain: tuple[Path, sx.RunResult], tmp_path: Path) -> None:
    content = json.loads((chain[0] / "results.json").read_text())
    node = {"name": "n", "kind": "conv", "carries": "spikes", "shape": [1], "sources": []}
    content["trace"]["nodes"] = [node] * (MAX_BOXES + 1)
    (tmp_path / "results.json").write_text(json.dumps(content))
    section = network_section(tmp_path)
    assert section is not None and "401 nodes, more than the 400" in section.html and not section.script


@pytest.mark.parametrize(
    "nodes",
    [
        3, [], "abc", {}, [3], [None], [{}], [["name"]],
        *({"name": "n", "kind": "conv", "carries": "spikes", "shape": [1], "sources": []} | bad for bad in (
            {"name": 3}, {"kind": None}, {"carries": 1}, {"shape": []}, {"shape": [1, 1, 1, 1]},
            {"shape": [-1]},
            {"shape": [1.5]}, {"shape": "12"}, {"shape": [True]}, {"sources": [1]}, {"sources": [-1]},
            {"sources": "0"}, {"sources": None}, {"sources": [0] * 65}, {"sources": {"0": 0}},
        )),
    ],
)  # fmt: skip
def test_what_no_run_writes_is_refused(chain: tuple[Path, sx.RunResult], tmp_path: Path, nodes: Any) -> None:
    content = json.loads((chain[0] / "results.json").read_text())
    content["trace"]["nodes"] = [nodes] if isinstance(nodes, dict) and nodes else nodes
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(
        ResultsError, match=r"results.json: trace.nodes.*: is not what a run writes"
    ) as refused:
        network_section(tmp_path)
    assert "\n" not in str(refused.value)
