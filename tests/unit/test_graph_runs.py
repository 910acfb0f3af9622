"""Graphs on the command line: run, compared, swept; and what no machine can run, said in one line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import is_mistake, spikex, succeed
from graphs import conv, currents, drawn_spikes, drawn_weights, network, packaged, population, spiking_input
from naive_graph_trace import Trace
from spikex_sim.core.errors import ConfigError

T = 10


def recurrent() -> Trace:
    """A sum over two inputs and a population that takes it and, two time points later, itself."""
    rng = np.random.default_rng(1)
    back = {"from": "out", "kind": "identity", "weight": -3, "delay": 2}
    nodes = [
        spiking_input(3, 4, 4),
        currents([conv(kernel=3, padding=1)], 9),
        population([{"from": "sum", "kind": "identity"}, back], 9),
    ]
    arrays = {
        "in/spikes": drawn_spikes(rng, 2, 3, 4, 4, T),
        "sum/synapse-0/weight": drawn_weights(rng, 9, 3, 3, 3),
    }
    return network(nodes, T, arrays, samples=2)


def rows_of(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(name).read_text().splitlines()))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    sx.save_trace(packaged(recurrent()), "g.npz")
    return "g.npz"


def test_a_run_of_a_graph(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, "run", file, "--tws", "2", "--out", "out", "--timeline", "--accesses", "a.csv")
    written = json.loads(Path("out/results.json").read_text())
    wanted = sx.simulate(packaged(recurrent()), tws=2)
    assert [layer["name"] for layer in written["layers"]] == ["sum", "out"]
    assert [layer["cycles"] for layer in written["layers"]] == [layer.cycles for layer in wanted.layers]
    moved = sum(int(row["bits"]) for row in rows_of("a.csv"))
    assert moved == sum(sum(one.values()) for one in written["totals"]["accesses"]["dram"].values())
    assert json.loads(Path("out/timeline.json").read_text())["traceEvents"]


def test_float_graphs_are_told_no_command_that_refuses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = np.ones((2, 3, 1, 1), np.float32)
    nodes = [spiking_input(3, 1, 1), population([conv(kernel=1)], 2, {"threshold": 1.0, "datapath": "float"})]
    spikes = drawn_spikes(np.random.default_rng(2), 3, 1, 1, T)
    floats = network(nodes, T, {"in/spikes": spikes, "out/synapse-0/weight": weights})
    sx.save_trace(packaged(floats), "f.npz")
    for command in (["run", "f.npz"], ["compare", "f.npz", "--tws", "2"]):
        shown = succeed(capsys, *command).out
        assert "float32: every weight takes 32 bits" in shown
        assert "--int8" not in shown
    assert is_mistake(spikex(capsys, "trace", "convert", "f.npz", "--int8", "--out", "i.npz"), "is a graph")


def test_graphs_are_compared_and_swept(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = succeed(capsys, "compare", file, "--arch", "spikex,ptb", "--tws", "2").out
    assert "spikex" in shown
    assert "ptb" in shown
    succeed(capsys, "sweep", file, "--grid", "tws=1,2", "--grid", "stream=tap,all", "--out", "points")
    rows = rows_of("points/sweep.csv")
    assert len(rows) == 4
    assert all(int(row["cycles"]) > 0 for row in rows)


@pytest.mark.parametrize("arch", ["spikex", "ptb"])
def test_windows_longer_than_what_comes_back(
    arch: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = spikex(capsys, "run", file, "--arch", arch, "--tws", "3")
    is_mistake(said, "tws", "'out'", "the largest that works is 2")


def test_machines_that_take_all_time_points_refuse_recurrence(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ("dataflow=tick_batch", "energy.table=default", "memory.dram.kind=LPDDR4")
    said = spikex(capsys, "run", file, "--arch", "sata", *(part for key in keys for part in ("--set", key)))
    is_mistake(said, "node out", "its outputs come back after 2 time points")


def test_currents_that_do_not_fit_are_refused_by_node_sample_and_time() -> None:
    spikes = np.zeros((2, 1, 1, 1, T), np.bool_)
    spikes[1, 0, 0, 0, 6] = True  # nothing before the seventh time point of the second sample
    synapse: dict[str, Any] = {"from": "in", "kind": "identity", "weight": 1 << 15}
    nodes = [spiking_input(1, 1, 1), currents([synapse], 1)]
    trace = packaged(network(nodes, T, {"in/spikes": spikes}, samples=2))
    assert sx.simulate(trace, tws=2, overrides={"psum_bits": 17}).layers
    with pytest.raises(ConfigError, match=r"psum_bits.*'sum' in sample 1: 32768 at time point 6"):
        sx.simulate(trace, tws=2, overrides={"psum_bits": 16})


def test_weights_that_do_not_fit_their_words_are_refused() -> None:
    weights = np.full((1, 1, 1, 1), -8, np.int8)
    arrays = {"in/spikes": np.ones((1, 1, 1, T), np.bool_), "sum/synapse-0/weight": weights}
    nodes = [spiking_input(1, 1, 1), currents([conv(kernel=[1, 1])], 1)]
    trace = packaged(network(nodes, T, arrays))
    assert sx.simulate(trace, tws=2, overrides={"weight_bits": 4}).layers
    with pytest.raises(ConfigError, match=r"weight_bits.*node sum do not fit 3 bits"):
        sx.simulate(trace, tws=2, overrides={"weight_bits": 3})
