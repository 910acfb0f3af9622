"""`--int8`: float layers on the integer datapath, and what is said of their spikes."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from itertools import pairwise
from math import floor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spikex_sim as sx
from command import REPOSITORY, is_mistake, spikex, succeed
from examples import examples
from spikex_sim.trace.quantized import quantized

SIZES = (12, 9, 5)


def described(leak: float = 0.875, threshold: float = 0.4, reset: str = "zero") -> list[dict[str, Any]]:
    neuron = {"threshold": threshold, "leak": leak, "reset": reset, "datapath": "float"}
    return [
        {"name": f"fc{at}", "kind": "linear", "in_channels": before, "out_channels": after, "neuron": neuron}
        for at, (before, after) in enumerate(pairwise(SIZES), start=1)
    ]


def drawn(seed: int = 0, samples: int = 3, timesteps: int = 20, **neuron: Any) -> sx.Trace:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0.05, 0.3, (after, before)).astype(np.float32) for before, after in pairwise(SIZES)]
    spikes = rng.random((samples, SIZES[0], timesteps)) < 0.3
    labels = tuple(rng.integers(0, SIZES[-1], samples).tolist())
    biases = [rng.normal(0, 0.05, size).astype(np.float32) for size in SIZES[1:]]
    return sx.Trace.from_arrays(
        described(**neuron), spikes, weights=weights, biases=biases, label=labels, name="net"
    )


def plain(trace: sx.Trace) -> list[Any]:
    """Output spikes ``[S, N, T]`` of linear layers, time point by time point, in either datapath."""
    outputs, spikes = [], trace.spikes(0)
    for index, layer in enumerate(trace.layers):
        neuron = layer.neuron
        assert neuron is not None
        kind = np.float32 if neuron.datapath == "float" else np.int64
        weight, bias = trace.weights[index].astype(kind), trace.biases[index].astype(kind)
        u = np.zeros((len(spikes), len(weight)), kind)
        fired = np.zeros((*u.shape, trace.timesteps), bool)
        for t in range(trace.timesteps):
            current = np.zeros_like(u)
            for tap in range(weight.shape[1]):  # in the order of the taps: float sums depend on it
                current += np.where(spikes[:, tap, t, None], weight[:, tap], kind(0))
            left = u - (u >> neuron.leak_shift) if neuron.datapath == "int" else kind(neuron.leak) * u
            v = left + (current + bias)
            if neuron.datapath == "int":
                v = np.clip(v, -(1 << 15), (1 << 15) - 1)
            fired[..., t] = v > kind(neuron.threshold)
            u = np.where(fired[..., t], kind(0) if neuron.reset == "zero" else v - kind(neuron.threshold), v)
        outputs.append(fired)
        spikes = fired
    return outputs


class TestNumbers:
    def test_steps_thresholds_and_biases_by_hand(self) -> None:
        trace = sx.Trace.from_arrays(
            [described(leak=0.9, threshold=0.75)[1] | {"in_channels": 2, "out_channels": 2}],
            np.ones((2, 6), bool),
            weights=[np.array([[0.5, -0.25], [0.1, 0.0]], np.float32)],
            biases=[np.array([0.02, -0.02], np.float32)],
        )
        made, (layer,) = quantized(trace)
        assert layer.step == 0.5 / 127
        assert made.weights[0].tolist() == [[127, -64], [25, 0]]
        assert made.biases[0].tolist() == [5, -5]
        assert layer.threshold == floor(0.75 * 254) == 190
        assert (layer.leak, layer.leak_before) == (0.875, 0.9)
        neuron = made.layers[0].neuron
        assert neuron is not None
        assert (neuron.datapath, neuron.threshold, neuron.leak_shift) == ("int", 190, 3)

    @pytest.mark.parametrize(
        ("leak", "shift"), [(0.0, 0), (0.3, 1), (0.5, 1), (0.8, 2), (0.9, 3), (0.95, 4), (1.0, 31)]
    )
    def test_leaks_become_the_nearest(self, leak: float, shift: int) -> None:
        made, _ = quantized(drawn(leak=leak))
        assert [layer.neuron and layer.neuron.leak_shift for layer in made.layers] == [shift, shift]

    def test_a_high_threshold_makes_wider_steps(self) -> None:
        made, layers = quantized(drawn(threshold=1000.0))
        assert all(layer.threshold == 8191 for layer in layers)
        assert max(int(np.abs(weight).max()) for weight in made.weights.values()) < 127

    def test_sums_of_overlapping_pooling_fit(self) -> None:
        neuron = described()[0]["neuron"]
        layers = [
            {"name": "pool", "kind": "avgpool", "in_channels": 1, "out_channels": 1, "kernel": 3, "stride": 1,
             "in_height": 6, "in_width": 6},
            {"name": "conv", "kind": "conv", "in_channels": 1, "out_channels": 4, "kernel": 3, "in_height": 4,
             "in_width": 4, "neuron": neuron},
        ]  # fmt: skip
        rng = np.random.default_rng(5)
        weight = rng.random((4, 1, 3, 3)).astype(np.float32)
        trace = sx.Trace.from_arrays(layers, rng.random((1, 6, 6, 9)) < 0.3, weights=[None, weight])
        found = sx.quantize(trace)
        assert sx.simulate(found.trace).layers[1].output_spikes == found.drift[0].spikes
        folded = np.zeros((4, 5, 5))
        for y, x in np.ndindex(3, 3):  # nine windows of three pixels by three, one pixel apart
            folded[:, y : y + 3, x : x + 3] += weight[:, 0, y, x, None, None]
        assert found.drift[0].layer.step == pytest.approx(folded.max() / (127 - 9 / 2))

    @examples(60)
    @given(st.integers(0, 999), st.floats(-0.5, 2), st.sampled_from([0.0, 0.5, 0.9, 1.0]), st.booleans())
    def test_nothing_is_further_off_than_half_a_step(
        self, seed: int, threshold: float, leak: float, soft: bool
    ) -> None:
        trace = drawn(seed, threshold=threshold, leak=leak, reset="subtract" if soft else "zero")
        made, layers = quantized(trace)
        for one in layers:
            wide = trace.weights[one.index].astype(np.float64)
            assert np.abs(made.weights[one.index] * one.step - wide).max() <= one.step * (0.5 + 1e-6)
            assert 0 <= one.threshold_before / one.step - one.threshold < 1 + 1e-3
        assert [layer.neuron and layer.neuron.reset for layer in made.layers] == [
            layer.neuron and layer.neuron.reset for layer in trace.layers
        ]


class TestDrift:
    @examples(15)
    @given(st.integers(0, 999), st.sampled_from([0.0, 0.5, 0.9]), st.booleans())
    def test_is_what_plain_replays_find(self, seed: int, leak: float, soft: bool) -> None:
        trace = drawn(seed, leak=leak, reset="subtract" if soft else "zero")
        found = sx.quantize(trace)
        before, after = plain(trace), plain(found.trace)
        for one, was, now in zip(found.drift, before, after, strict=True):
            assert (one.spikes_before, one.spikes) == (was.sum(), now.sum())
            assert one.differing == (was ^ now).sum()
            assert one.share == pytest.approx((was ^ now).sum() / max(1, (was | now).sum()))
        counts = [outputs[-1].sum(axis=-1).argmax(axis=-1).tolist() for outputs in (before, after)]
        assert [list(found.predicted_before), list(found.predicted)] == counts
        assert found.labels == trace.label

    def test_whole_weights_that_do_not_outlast_a_time_point_are_exact(self) -> None:
        rng = np.random.default_rng(3)
        layer = described(leak=0.0, threshold=17.0)[0]
        weight = rng.integers(-127, 128, (9, 12)).astype(np.float32)
        trace = sx.Trace.from_arrays([layer], rng.random((12, 40)) < 0.3, weights=[weight])
        found = sx.quantize(trace)
        assert found.drift[0].layer.step == 1 and found.drift[0].differing == 0
        float_run, int_run = sx.simulate(trace), sx.simulate(found.trace)
        assert float_run.layers[0].output_sha256 == int_run.layers[0].output_sha256
        assert int_run.totals.energy_pj < float_run.totals.energy_pj

    @pytest.mark.parametrize(("leak", "bias"), [(0.5, 0.0), (1.0, 0.4), (0.5, 0.4)])
    def test_whole_weights_do_not_round_what_is_not_whole(self, leak: float, bias: float) -> None:
        rng = np.random.default_rng(3)
        weight = rng.choice([-1, 1, 1], (9, 12)).astype(np.float32)
        biases = [np.full(9, bias, np.float32)]
        layers = described(leak=leak, threshold=1.45)[:1]
        trace = sx.Trace.from_arrays(layers, rng.random((12, 40)) < 0.2, weights=[weight], biases=biases)
        found = sx.quantize(trace).drift[0]
        assert found.layer.step < 0.01 and found.share < 0.1  # a step of 1: a third and more

    def test_recorded_inputs_that_are_computed_anyway_are_left_out(self) -> None:
        trace = drawn()
        recorded = {0: trace.spikes(0), 1: plain(trace)[0]}
        arrays = {"weights": trace.weights, "biases": trace.biases}
        found = sx.quantize(sx.Trace.from_arrays(trace.layers, recorded, **arrays))
        assert set(found.trace.inputs) == {0} and found.kept == ()
        assert [one.differing for one in found.drift] == [one.differing for one in sx.quantize(trace).drift]
        other = recorded | {1: np.random.default_rng(9).random(recorded[1].shape) < 0.5}
        found = sx.quantize(sx.Trace.from_arrays(trace.layers, other, **arrays))
        assert set(found.trace.inputs) == {0, 1} and found.kept == ("fc2",)


class TestRefusals:
    def test_nothing_to_do(self) -> None:
        made, _ = quantized(drawn())
        with pytest.raises(sx.TraceError, match="on the integer datapath already"):
            sx.quantize(made)

    def test_no_weights(self) -> None:
        with pytest.raises(sx.TraceError, match="layer fc1 has no weights to quantize"):
            sx.quantize(sx.Trace.from_arrays(described()[:1], np.ones((12, 4), bool)))


def test_long_names_and_sources_can_be_saved(tmp_path: Path) -> None:
    made, _ = quantized(replace(drawn(), name="n" * 200, source="s" * 2000, file_sha256=""))
    sx.save_trace(made, tmp_path / "t.npz")
    assert sx.load_trace(tmp_path / "t.npz").name.endswith("n-int8")


class TestCommands:
    @pytest.fixture
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        sx.save_trace(drawn(), "net.npz")
        return tmp_path

    def test_convert(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "trace", "convert", "net.npz", "--int8", "--out", "net8.npz")
        found = sx.quantize("net.npz")
        assert sx.load_trace("net8.npz").weights[0].tolist() == found.trace.weights[0].tolist()
        for one in found.drift:
            layer = one.layer
            wanted = [layer.name, f"{layer.step:.4g}", str(layer.threshold), "0.4", "0.875", "0.875"]
            assert any(line.split()[:6] == wanted for line in shown.lines)
            assert f"{one.differing:,}" in shown.out
        right = [
            sum(one == label for one, label in zip(predicted, found.labels, strict=True))
            for predicted in (found.predicted, found.predicted_before)
        ]
        assert f"accuracy {right[0]} of 3, was {right[1]}; " in shown.out
        assert succeed(capsys, "run", "net8.npz").lines[0].endswith("int8")

    @pytest.mark.parametrize("option", ["--sample 1", "--network nmnist", "--at-most-once", "--seed 3"])
    def test_options_of_recordings_are_refused(
        self, here: Path, capsys: pytest.CaptureFixture[str], option: str
    ) -> None:
        words = ["trace", "convert", "net.npz", "--int8", "--out", "o.npz", *option.split()]
        is_mistake(spikex(capsys, *words), option.split(maxsplit=1)[0], "--int8 takes a trace as it is")
        assert not Path("o.npz").exists()

    def test_record(
        self, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("net.py").write_text("def build():\n    return None, None\n")
        monkeypatch.setattr("spikex_sim.sources.frameworks.record.record", lambda **_: drawn())
        shown = succeed(capsys, "trace", "record", "net.py:build", "--int8", "--out", "r8.npz")
        assert "int8 in place of float32" in shown.out
        assert sx.load_trace("r8.npz").weights[0].dtype == np.int8
        succeed(capsys, "trace", "record", "net.py:build", "--out", "r.npz")
        assert sx.load_trace("r.npz").weights[0].dtype == np.float32


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vgg_like", REPOSITORY / "docs" / "vgg_like.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestScript:
    def test_prints_what_the_page_shows(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vgg = script()
        monkeypatch.setattr(vgg, "find_spec", lambda _: None)
        vgg.main()
        assert capsys.readouterr().out in (REPOSITORY / "docs" / "explain.md").read_text("utf-8")

    def test_each_thing_that_is_said_helps(self) -> None:
        trace = script().arrays()
        recorded = sx.simulate(trace).totals.energy_pj
        shares = {"memory.glb.partition.filter": 0.67, "memory.glb.partition.ifmap": 0.23}
        for changes in ({"memory.glb.bytes": 61440}, shares):
            assert sx.simulate(trace, overrides=changes).totals.energy_pj < recorded / 5
        assert sx.simulate(sx.quantize(trace).trace).totals.energy_pj < recorded / 10

    def test_pytorch_records_the_same(self) -> None:
        pytest.importorskip("torch")
        vgg = script()
        recorded, made = sx.record(**vgg.build()), vgg.arrays()
        assert [(one.name, one.kind, one.neuron) for one in recorded.layers if not one.is_pool] == [
            (one.name, one.kind, one.neuron) for one in made.layers if not one.is_pool
        ]
        assert all(np.array_equal(recorded.weights[at], made.weights[at]) for at in made.weights)
        assert np.array_equal(recorded.inputs[0], made.inputs[0])
