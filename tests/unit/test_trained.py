"""Files of trained weights: what goes in comes out, and nothing wrong comes in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from spikex_sim.core.errors import TraceError
from spikex_sim.sources.trained import TrainedNetwork, load_trained, save_trained, shipped_names
from spikex_sim.spec.workload import Layer, Neuron


def a_network(**changes: Any) -> TrainedNetwork:
    rng = np.random.default_rng(0)
    neuron = Neuron(threshold=20, leak_shift=3)
    layers = (
        Layer(name="conv", kind="conv", in_channels=2, out_channels=3, kernel=3, in_height=6, in_width=6,
              neuron=neuron),
        Layer(name="pool", kind="maxpool", in_channels=3, out_channels=3, kernel=2, stride=2, in_height=4,
              in_width=4),
        Layer(name="fc", kind="linear", in_channels=12, out_channels=4, neuron=neuron),
    )  # fmt: skip
    values: dict[str, Any] = {
        "name": "small-ht",
        "network": "small",
        "variant": "ht",
        "timesteps": 12,
        "layers": layers,
        "weights": {
            index: rng.integers(-40, 60, layers[index].weight_shape).astype(np.int8) for index in (0, 2)
        },
        "biases": {2: np.array([0, 1, -2, 3], np.int32)},
        "tws": (4, 2),
        "card": {"seed": 3, "densities": {"conv": 0.25}},
    }
    return TrainedNetwork(**(values | changes))


def test_round_trip(tmp_path: Path) -> None:
    one = a_network()
    save_trained(one, tmp_path / "w.npz")
    two = load_trained(tmp_path / "w.npz")
    assert (two.name, two.network, two.variant, two.timesteps) == ("small-ht", "small", "ht", 12)
    assert (two.layers, two.tws, two.card) == (one.layers, (4, 2), one.card)
    for index in (0, 2):
        assert two.weights[index].dtype == np.int8
        np.testing.assert_array_equal(two.weights[index], one.weights[index])
    np.testing.assert_array_equal(two.biases[2], [0, 1, -2, 3])
    assert two.neuron_layers == (0, 2)
    save_trained(two, tmp_path / "v.npz")
    assert (tmp_path / "v.npz").read_bytes() == (tmp_path / "w.npz").read_bytes()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["v.npz", "w.npz"]


def test_its_trace_replays() -> None:
    one = a_network()
    spikes = np.random.default_rng(1).random((2, 6, 6, 12)) < 0.4
    trace = one.trace(spikes, name="x", label=1)
    assert (trace.name, trace.label, trace.samples) == ("x", 1, 1)
    found = sx.simulate(trace, tws=one.tws)
    assert found.layers[0].output_spikes
    both = sx.simulate(one.trace(np.stack([spikes, spikes]), label=(1, 2)), tws=one.tws)
    assert both.layers[0].output_spikes == 2 * found.layers[0].output_spikes


def test_names() -> None:
    with pytest.raises(TraceError, match="nothing-here: is no trained network"):
        load_trained("nothing-here")
    for name in shipped_names():
        assert load_trained(name).name == name


def _layers_with(**changes: Any) -> tuple[Layer, ...]:
    layers = a_network().layers
    return (layers[0].model_copy(update=changes), *layers[1:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": {}}, "0/weight: is missing"),
        ({"weights": {0: np.zeros((3, 2, 3, 3), np.float32)}}, "0/weight: must be int8"),
        ({"weights": {0: np.zeros((3, 2, 3, 2), np.int8)}}, r"0/weight: shape \[3, 2, 3, 2\]"),
        ({"biases": {1: np.zeros(3, np.int32)}}, "1/bias: a pooling layer has no bias"),
        ({"tws": (4,)}, "meta.tws: lists 1 window sizes for 2"),
        ({"tws": (4, 13)}, "meta.tws: must be 1 to 12"),
        ({"layers": _layers_with(out_channels=5)}, "layer 1 wants 3 input channels"),
        (
            {"layers": _layers_with(neuron=Neuron(threshold=1.0, leak=0.5, datapath="float"))},
            "meta.layers.0.neuron.datapath: trained networks have integer neurons",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        a_network(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "spikex-trace"}, "meta.format: is 'spikex-trace', not 'spikex-weights'"),
        ({"version": 2}, "meta.version: this release reads version 1"),
        ({"version": True}, "meta.version: this release reads version 1"),
        ({"variant": "best"}, "meta.variant"),
        ({"timesteps": 0}, "meta.timesteps"),
        ({"name": "a\nb"}, "meta.name: must be printable"),
        ({"tws": [4, 0]}, "meta.tws"),
        ({"extra": 1}, "meta.extra: unknown key"),
        ({"card": []}, "meta.card"),
        ({"layers": []}, "meta.layers"),
    ],
)
def test_a_wrong_meta_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    arrays = _arrays(tmp_path)
    meta = json.loads(str(arrays.pop("meta"))) | changes
    with pytest.raises(TraceError, match=message):
        _reread(tmp_path, {"meta": np.array(json.dumps(meta)), **arrays})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"0/weights": np.zeros(3)}, "0/weights: unknown key"),
        ({"0/input": np.zeros(3)}, "0/input: unknown key"),
        ({"7/weight": np.zeros(3, np.int8)}, "7/weight: there is no layer 7"),
        ({"0/weight": np.zeros((3, 2, 3, 3), np.int16)}, "0/weight: must be int8"),
        ({"2/bias": np.array([{}], object)}, "2/bias: holds pickled"),
        ({"meta": None}, "meta: is missing"),
        ({"2/weight": None}, "2/weight: is missing"),
    ],
)
def test_wrong_arrays_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    arrays = {key: value for key, value in (_arrays(tmp_path) | changes).items() if value is not None}
    with pytest.raises(TraceError, match=message):
        _reread(tmp_path, arrays)


def test_any_cut_of_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    save_trained(a_network(), tmp_path / "w.npz")
    whole = (tmp_path / "w.npz").read_bytes()
    for length in range(0, len(whole), 37):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(TraceError) as caught:
            load_trained(tmp_path / "cut.npz")
        assert "\n" not in str(caught.value) and "cut.npz" in str(caught.value)


def test_nothing_is_written_that_cannot_be_read(tmp_path: Path) -> None:
    for card in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises(TraceError, match="card"):
            save_trained(replace(a_network(), card=card), tmp_path / "w.npz")
    with pytest.raises(TraceError, match="variant"):
        save_trained(replace(a_network(), variant="other"), tmp_path / "w.npz")
    with pytest.raises(TraceError, match="npz"):
        save_trained(a_network(), tmp_path / "w.h5")
    assert not list(tmp_path.iterdir())


def _arrays(tmp_path: Path) -> dict[str, Any]:
    save_trained(a_network(), tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as archive:
        return dict(archive)


def _reread(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "x.npz", allow_pickle=True, **arrays)
    load_trained(tmp_path / "x.npz")
