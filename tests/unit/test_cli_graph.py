"""Graphs on the command line: shown, drawn, and made of chains."""

from __future__ import annotations

from pathlib import Path

import pytest

import spikex_sim as sx
from command import succeed
from graph_files import everything
from spikex_sim.core.errors import FigureError
from spikex_sim.plots.graphs import graph, graph_rows
from spikex_sim.trace.chain import as_graph
from spikex_sim.trace.graph import GraphTrace
from trace_files import a_trace


def test_a_graph_is_shown_node_by_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = everything()
    sx.save_trace(graph, tmp_path / "g.npz")
    shown = succeed(capsys, "trace", "show", str(tmp_path / "g.npz"), "--tws", "3").lines
    assert all(len(line) <= 80 or line.startswith("sha256") for line in shown)
    for line in (
        "img: input 2x4x4, analog, 4 bits signed, scale 1, constant",
        "    <- stem by maxpool, 3x3, padding 1, shift 2, weights 4",
        "    <- pop by identity, delay 2, weights -3",
        "    <- pooled by conv, 1x1, groups 2, weights of synapse 1",
        "    <- pop, half by iand",
        "    <- pop · bothᵀ, 2 head(s), scale 0.25, int",
        "    <- half by linear, weights none",
    ):
        assert line in shown
    text = " ".join(" ".join(shown).split())
    assert "reset subtract, a step later" in text and "at TWS=3" in text
    thresholds, values = graph.neuron_arrays["pop", "threshold"], graph.values["stem"]
    assert f"V_th {thresholds.min()} to {thresholds.max()}" in text
    assert f"recorded int32 {values.min()} to {values.max()}" in text


def test_a_chain_becomes_a_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sx.save_trace(a_trace(), tmp_path / "chain.npz")
    out = tmp_path / "graph.h5"
    said = succeed(capsys, "trace", "convert", str(tmp_path / "chain.npz"), "--graph", "--out", str(out))
    assert said.lines[-1] == f"wrote {out}: 4 nodes, format version 2"
    found = sx.load_trace(out)
    assert isinstance(found, GraphTrace)
    assert found.meta() == as_graph(a_trace()).meta()


def test_depths_of_a_figure() -> None:
    assert {row["name"]: row["depth"] for row in graph_rows(everything())} == {
        "in": 0, "img": 0, "stem": 1, "pooled": 1, "mean": 2, "pop": 2, "half": 3, "both": 4, "att": 5,
        "out": 3, "last": 4,
    }  # fmt: skip


def test_a_figure_goes_from_top_to_bottom() -> None:
    rows = graph_rows(everything())
    _, ax = graph(rows)
    places = {text.get_text().split("\n")[0]: text.get_position()[1] for text in ax.texts}
    # pop takes itself after two time points, which stands beside its box.
    assert places == {row["name"]: row["depth"] for row in rows} | {"2": 2}
    # What passes other nodes, as from pop to both, goes by the side.
    assert max(max(line.get_xdata()) for line in ax.lines) > 1
    with pytest.raises(FigureError, match="no node to draw"):
        graph([])


def test_a_graph_is_drawn_with_its_spikes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sx.save_trace(everything(), tmp_path / "g.npz")
    succeed(capsys, "plot", str(tmp_path / "g.npz"), "--format", "svg", "--out", str(tmp_path / "o"))
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"graph.svg", "raster.svg"}
