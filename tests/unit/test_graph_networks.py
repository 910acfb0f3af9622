"""Presets that are graphs: their structure, and spikes that reach the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikex_sim as sx
from command import is_mistake, last, spikex, succeed
from naive_graph import evaluate
from naive_graph_trace import Trace as NaiveTrace
from spikex_sim.sources.graph_synth import synthetic_graph
from spikex_sim.spec.graph_networks import graph_names, graph_network
from spikex_sim.trace.graph import GraphTrace, content_sha256


def test_structures() -> None:
    graphs = {name: synthetic_graph(graph_network(name), 4, 0) for name in graph_names()}
    kinds = {name: [node.kind for node in graph.nodes] for name, graph in graphs.items()}
    sew = graphs["sew-resnet18"]
    # Every stage of two blocks ends in two or three addends, and so does what is averaged.
    assert sew.node("block2a").sources == ("stem", "block1b")
    assert sew.node("block3a").sources == sew.node("block3s").sources == ("stem", "block1b", "block2b")
    assert len(sew.node("fc").sources) == 3 and sew.shape("block8b") == (512, 4, 4)
    assert kinds["ms-resnet18"].count("currents") == 1 + 8 + 1
    assert graphs["ms-resnet18"].shape("block8") == (512, 4, 4)
    former = graphs["spikformer-4-384"]
    assert kinds["spikformer-4-384"].count("matmul") == 8
    assert former.shape("block1.vk") == (384, 32, 1) and former.shape("block4.vkq") == (384, 8, 8)
    assert len(former.node("head").sources) == 2 + 2 * 4
    recurrent = graphs["recurrent-shd"]
    assert recurrent.shape("hidden") == (128, 1, 1) and "hidden" in recurrent.node("hidden").sources
    for name in ("vgg9-direct", "vgg16-direct", "lenet5-direct"):
        assert graphs[name].constant("image") and kinds[name][-1] == "currents"
    assert sum(kind == "neurons" for kind in kinds["vgg16-direct"]) == 13


@pytest.mark.parametrize(
    ("name", "width", "T", "until"),
    [("sew-resnet18", 3, 3, ""), ("ms-resnet18", 3, 2, ""), ("recurrent-shd", 8, 40, ""),
     ("spikformer-4-384", 32, 2, "block1.projection"), ("lenet5-direct", None, 3, "")],
)  # fmt: skip
def test_spikes_reach_the_end(name: str, width: int | None, T: int, until: str) -> None:
    graph = synthetic_graph(graph_network(name, width), T, 1)
    nodes = graph.meta()["nodes"]
    if until:  # the slow oracle takes minutes for all of it
        nodes = nodes[: 1 + [node["name"] for node in nodes].index(until)]
        names = {node["name"] for node in nodes}
        arrays = {key: array for key, array in graph.arrays().items() if key.partition("/")[0] in names}
        graph = GraphTrace.from_arrays(graph.meta() | {"nodes": nodes}, arrays)
    computed = evaluate(NaiveTrace(graph.meta(), graph.arrays())).computed
    rates = {key: one.values.mean() for key, one in computed.items() if graph.node(key).kind == "neurons"}
    assert 0 < min(rates.values()) <= max(rates.values()) < 0.6, rates
    last = list(computed.values())[-1].values
    assert np.unique(last).size > 1


def test_equal_seeds_give_equal_graphs() -> None:
    network = graph_network("recurrent-shd", 5)
    one, same, other = (content_sha256(synthetic_graph(network, 9, seed)) for seed in (3, 3, 4))
    assert one == same != other


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r.npz"
    given = ("trace", "synth", "--kind", "graph", "--network", "recurrent-shd", "--rate", "0.5")
    said = succeed(capsys, *given, "--timesteps", "20", "--out", str(out))
    assert said.lines[-1] == f"wrote {out} (T=20, 3 nodes, {700 * 128 + 128 * 128 + 128 * 20:,} parameters)"
    found = sx.load_trace(out)
    assert isinstance(found, GraphTrace)
    assert 0.4 < np.unpackbits(found.spikes["cochlea"], axis=-1, count=20).mean() < 0.6
    for option, value, word in (
        ("--width", "0", "width"),
        ("--network", "sew-resnet", "did you mean sew-resnet18?"),
        ("--layer", "stem", "not for graph"),
    ):
        is_mistake(spikex(capsys, *last(*given, option, value, "--out", str(out))), word)
    image = ("trace", "synth", "--kind", "graph", "--network", "lenet5-direct", "--out", str(out))
    is_mistake(spikex(capsys, *image, "--rate", "0.5"), "rate: has no effect: the network sees an image")
    is_mistake(spikex(capsys, *image, "--width", "4"), "lenet5-direct has one width only")
