"""Trained graphs: files, traces of images, and what is refused."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command import is_mistake, spikex, succeed
from naive_graph import evaluate
from naive_graph_trace import Trace as NaiveTrace
from spikex_sim.core.errors import TraceError
from spikex_sim.sources.images import load_images
from spikex_sim.sources.trained_graphs import (
    TrainedGraph,
    load_trained_graph,
    save_trained_graph,
    shipped_graph_names,
)
from spikex_sim.trace.graph import GraphTrace, nodes_of
from spikex_sim.trace.store import load_trace

NODES: list[dict[str, Any]] = [
    {"name": "image", "kind": "input", "shape": [1, 6, 6], "values": {"bits": 8, "constant": True}},
    {"name": "lif", "kind": "neurons", "channels": 2, "neuron": {"leak_shift": 1},
     "synapses": [{"from": "image", "kind": "conv", "kernel": 3, "shift": 2},
                  {"from": "image", "kind": "conv", "kernel": 3, "shift": 3, "weight_of": 0}]},
    {"name": "out", "kind": "currents", "channels": 3, "synapses": [{"from": "lif", "kind": "linear"}]},
]  # fmt: skip


def a_graph(nodes: list[dict[str, Any]] = NODES, **arrays: Any) -> TrainedGraph:
    rng = np.random.default_rng(0)
    given = {
        "lif/synapse-0/weight": rng.integers(-40, 60, (2, 1, 3, 3)).astype(np.int8),
        "lif/bias": np.array([3, -4], np.int32),
        "lif/neuron/threshold": np.array([900, 700], np.int32),
        "out/synapse-0/weight": rng.integers(-40, 60, (3, 32)).astype(np.int8),
    } | {key.replace("__", "/"): array for key, array in arrays.items()}
    kept = {key: array for key, array in given.items() if array is not None}
    return TrainedGraph("small", "net", 5, nodes_of(nodes, "small"), kept, {"seed": 3})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_trained_graph(a_graph(), "w.npz")
    pixels = np.random.default_rng(2).integers(0, 256, (9, 6, 6)).astype(np.uint8)
    labels = np.arange(9) % 3
    np.savez("images.npz", train_images=pixels, train_labels=labels, test_images=pixels[:4] // 2,
             test_labels=labels[:4] + 1)  # fmt: skip


def test_round_trip(tmp_path: Path) -> None:
    one = a_graph()
    save_trained_graph(one, tmp_path / "w.npz")
    two = load_trained_graph(tmp_path / "w.npz")
    assert (two.name, two.network, two.timesteps, two.nodes, two.card) == (
        "small", "net", 5, one.nodes, {"seed": 3}
    )  # fmt: skip
    assert two.arrays.keys() == one.arrays.keys() and len(two.file_sha256) == 64
    for key, array in one.arrays.items():
        np.testing.assert_array_equal(two.arrays[key], array)
        assert two.arrays[key].dtype == array.dtype
    save_trained_graph(two, tmp_path / "v.npz")
    assert (tmp_path / "v.npz").read_bytes() == (tmp_path / "w.npz").read_bytes()


def test_its_traces_are_of_one_image_or_several() -> None:
    one = a_graph()
    values = np.random.default_rng(1).integers(-128, 128, (2, 1, 6, 6))
    both = one.trace(values, label=(1, 2))
    assert (both.samples, both.label, both.name) == (2, (1, 2), "small")
    for sample in range(2):
        alone = one.trace(values[sample], name="x", source="here")
        assert (alone.name, alone.source, alone.timesteps) == ("x", "here; small, trained", 5)
        found = [
            evaluate(NaiveTrace(trace.meta(), trace.arrays()), which).computed["out"].values
            for trace, which in ((alone, 0), (both, sample))
        ]
        np.testing.assert_array_equal(*found)
        assert found[0].any()


def test_names() -> None:
    with pytest.raises(TraceError, match="nothing-here: is no trained graph"):
        load_trained_graph("nothing-here")
    for name in shipped_graph_names():
        assert load_trained_graph(name).name == name


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"out__synapse-0__weight": None}, "out/synapse-0/weight: is missing"),
        ({"lif__neuron__threshold": None}, "lif/neuron/threshold: is missing"),
        ({"lif__bias": np.zeros(3, np.int32)}, "lif/bias: shape"),
        (
            {"lif__synapse-0__weight": np.zeros((2, 1, 3, 3), np.float32)},
            "synapse-0/weight: must be int8",
        ),
        ({"lif__synapse-1__weight": np.zeros((2, 1, 3, 3), np.int8)}, "has its weights by weight_of already"),
        ({"lif__spikes": np.zeros((2, 4, 4, 1), np.uint8)}, "lif/spikes: is no part of a trained network"),
    ],
)
def test_what_does_not_belong_together_is_refused(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        a_graph(**arrays)


@pytest.mark.parametrize(
    ("place", "changes", "message"),
    [
        (0, {"values": None}, "take one input, of constant values"),
        (0, {"values": {"bits": 8}}, "take one input, of constant values"),
        (2, {"datapath": "float"}, "nodes.out: trained networks are of the integer datapath"),
    ],
)
def test_nodes_that_are_not_trained_are_refused(place: int, changes: dict[str, Any], message: str) -> None:
    nodes = [dict(node) for node in NODES]
    nodes[place] |= changes
    if place == 0:
        nodes[1]["synapses"] = [{key: value for key, value in one.items() if key != "shift"}
                                for one in nodes[1]["synapses"]]  # fmt: skip
    with pytest.raises(TraceError, match=message):
        a_graph(nodes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "spikex-trace"}, "meta.format: is 'spikex-trace', not 'spikex-weights'"),
        ({"version": 1}, "meta.version: this release reads version 2"),
        ({"timesteps": 0}, "meta.timesteps"),
        ({"name": "a\nb"}, "meta.name: must be printable"),
        ({"extra": 1}, "meta.extra: unknown key"),
        ({"nodes": []}, "meta.nodes"),
        ({"nodes": [{"kind": "input"}]}, r"meta.nodes.0.name: missing"),
    ],
)
def test_a_wrong_meta_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_trained_graph(a_graph(), tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as archive:
        arrays = dict(archive)
    meta = json.loads(str(arrays.pop("meta"))) | changes
    np.savez(tmp_path / "x.npz", meta=np.array(json.dumps(meta)), **arrays)
    with pytest.raises(TraceError, match=message):
        load_trained_graph(tmp_path / "x.npz")


def test_any_cut_of_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    save_trained_graph(a_graph(), tmp_path / "w.npz")
    whole = (tmp_path / "w.npz").read_bytes()
    for length in range(0, len(whole), 61):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(TraceError) as caught:
            load_trained_graph(tmp_path / "cut.npz")
        assert "\n" not in str(caught.value) and "cut.npz" in str(caught.value)


def test_images_become_traces(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    trained = load_trained_graph("w.npz")
    images = load_images(Path("images.npz"), trained.input)[0]
    line = "trace convert images.npz --weights w.npz"
    shown = succeed(capsys, *shlex.split(f"{line} --sample 2 --out t.npz"))
    assert shown.lines[-1] == "wrote t.npz (T=5, class 3)"
    trace = load_trace("t.npz")
    assert isinstance(trace, GraphTrace) and trace.label == 3 and trace.name == "images-test-2"
    assert trace.source == "images.npz, test image 2; small, trained"
    np.testing.assert_array_equal(trace.values["image"][0], images["test"].pixels[2].astype(int) - 128)
    succeed(capsys, *shlex.split(f"{line} --split train --samples 1,4-6 --limit 3 --out some"))
    found = [load_trace(path) for path in sorted(Path("some").iterdir())]
    assert [one.label for one in found] == [1, 1, 2]
    assert [path.name for path in sorted(Path("some").iterdir())][1] == "train-000004.npz"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--out t.npz", "--weights: is missing: images enter a trained graph"),
        ("--weights w.npz --sample 4 --out t.npz", "has no sample 4; samples are 0 to 3"),
        ("--weights w.npz --split all --out t.npz", "--split: must be one of train, test for images"),
        ("--weights w.npz --samples all --out t.npz", "t.npz: is the name of a trace"),
        ("--weights w.npz --timesteps 3 --out t.npz", "--timesteps: is for recordings"),
        ("--weights nmnist-base --out t.npz", "nmnist-base: is no trained graph"),
    ],
)
def test_what_images_do_not_take_is_refused(
    here: None, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    found = spikex(capsys, *shlex.split(f"trace convert images.npz {line}"))
    is_mistake(found, message)
    assert not Path("t.npz").exists()
