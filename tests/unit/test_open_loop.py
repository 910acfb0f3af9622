"""Open-loop traces: generated for every layer at its rate, or made of recorded layers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import spikex_sim as sx
from command import files_under, is_mistake, spikex, succeed
from spikex_sim.sources.layer_activity import load_recorded_layers
from spikex_sim.sources.open_loop import generated_trace, recorded_trace
from spikex_sim.spec.networks import Network, load_network
from spikex_sim.trace.trace import content_sha256

CONV = "kind: conv, out_channels: 4, in_height: {0}, in_width: {0}"
POOL = "in_channels: 4, out_channels: 4, in_height: {0}, in_width: {0}"
NETWORK = f"""\
name: small
timesteps: 40
layers:
  - {{name: conv, {CONV.format(16)}, in_channels: 3, kernel: 3, padding: 1, rate: 1.0}}
  - {{name: max, kind: maxpool, {POOL.format(16)}, kernel: 2, stride: 2}}
  - {{name: a, {CONV.format(8)}, in_channels: 4, kernel: 3, padding: 1, rate: 0.2}}
  - {{name: b, {CONV.format(8)}, in_channels: 4, from: max, rate: 0.2}}
  - {{name: mean, kind: avgpool, {POOL.format(8)}, kernel: 8, stride: 8, from: [a, b], rate: 0.05}}
  - {{name: fc, kind: linear, in_channels: 4, out_channels: 30}}
  - {{name: last, kind: linear, in_channels: 30, out_channels: 5, rate: 0.3}}
"""
PLACES = (0, 2, 3, 4, 6)


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(NETWORK)
    return load_network("small.yaml")


class TestGenerated:
    def test_every_layer_has_spikes_of_its_rate(self, network: Network) -> None:
        trace = generated_trace(network, 200, 3)
        assert tuple(trace.inputs) == PLACES and not trace.weights
        for index in PLACES:
            rate, spikes = network.rates[network.layers[index].name], trace.spikes(index)[0]
            assert spikes.shape == (*network.layers[index].input_shape, 200)
            assert abs(spikes.mean() - rate) <= 5 * np.sqrt(rate * (1 - rate) / spikes.size)

    def test_one_rate_for_all(self, network: Network) -> None:
        trace = generated_trace(network, 200, 3, rate=0.5)
        assert all(abs(trace.spikes(index).mean() - 0.5) < 0.03 for index in PLACES)

    def test_layers_of_one_source_take_the_same_spikes_and_others_do_not(self, network: Network) -> None:
        trace = generated_trace(network, 40, 3)
        assert np.array_equal(trace.inputs[2], trace.inputs[3])
        agreement = (trace.spikes(4) == trace.spikes(2)).mean()
        assert agreement == pytest.approx(0.95 * 0.8 + 0.05 * 0.2, abs=0.02)

    def test_the_seed_decides(self, network: Network) -> None:
        first, again, other = (generated_trace(network, 40, seed, rate=0.3) for seed in (0, 0, 1))
        assert content_sha256(first) == content_sha256(again)
        for index in PLACES:
            for place in PLACES:
                if first.inputs[index].shape == other.inputs[place].shape:
                    assert not np.array_equal(first.inputs[index], other.inputs[place])

    def test_at_most_once(self, network: Network) -> None:
        once, all_spikes = (generated_trace(network, 40, 3, once=value) for value in (True, False))
        for index in PLACES:
            kept, given = once.spikes(index), all_spikes.spikes(index)
            assert kept.sum(axis=-1).max() == 1
            assert np.array_equal(kept.any(axis=-1), given.any(axis=-1))
            assert np.array_equal(kept.argmax(axis=-1), given.argmax(axis=-1))
        assert "every neuron at most once" in once.source

    @pytest.mark.parametrize("arch", ["spikex", "ptb"])
    def test_it_can_be_replayed(self, network: Network, arch: str) -> None:
        trace = generated_trace(network, 12, 3)
        layers = sx.simulate(trace, arch, tws=4).layers
        for index, layer in enumerate(layers):
            assert layer.output_spikes is None or layer.kind == "avgpool"
            if index in PLACES:
                assert layer.input_spikes == trace.spikes(index).sum()
            assert (layer.cycles > 0) == (layer.kind in ("conv", "linear"))
        assert layers[5].input_spikes == trace.spikes(4).sum()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"timesteps": 0}, "timesteps: must be 1 to"),
            ({"timesteps": 1 << 24}, "network small: timesteps: "),
            ({"seed": -1}, "seed: must not be negative"),
            ({"rate": 1.5}, "rate: must be 0 to 1"),
        ],
    )
    def test_mistakes(self, network: Network, options: dict[str, Any], words: str) -> None:
        with pytest.raises(sx.ConfigError, match=words):
            generated_trace(**{"network": network, "timesteps": 4, "seed": 0, **options})

    def test_a_layer_without_rate(self, network: Network) -> None:
        unknown = network.model_copy(update={"rates": {"conv": 1.0}})
        with pytest.raises(
            sx.ConfigError, match=r"network small: layers\.2\.rate: is missing: a has no firing"
        ):
            generated_trace(unknown, 4, 0)
        assert len(generated_trace(unknown, 4, 0, rate=0.1).inputs) == 5


def recorded_spikes(timesteps: int = 6, last: int = 6) -> list[NDArray[np.bool_]]:
    rng = np.random.default_rng(2)
    shapes = [(3, 16, 16), (4, 8, 8), (4, 8, 8), (4, 8, 8), (30,)]
    spikes = [rng.random((timesteps, *shape)) < 0.3 for shape in shapes]
    spikes[0][...] = True
    spikes[-1] = spikes[-1][:last]
    return spikes


def write_layers(spikes: list[NDArray[np.bool_]], path: str = "rec.npz") -> Path:
    names = [f"layer{index}" for index in range(len(spikes))]
    arrays = {f"{name}__bits": np.packbits(one) for name, one in zip(names, spikes, strict=True)}
    shapes = {f"{name}__shape": np.array(one.shape) for name, one in zip(names, spikes, strict=True)}
    np.savez(path, names=np.array(names), **arrays, **shapes)
    return Path(path)


class TestRecorded:
    def test_layers_are_matched_in_order(self, network: Network) -> None:
        spikes = recorded_spikes()
        made = recorded_trace(load_recorded_layers(write_layers(spikes)), network, "n")
        trace = made.trace
        assert (trace.name, trace.timesteps, tuple(trace.inputs), made.left_out) == ("n", 6, PLACES, ())
        assert trace.layers == network.layers and not trace.weights
        for index, given in zip(PLACES, spikes, strict=True):
            assert np.array_equal(trace.spikes(index)[0], np.moveaxis(given, 0, -1))

    def test_a_linear_layer_takes_a_map(self, network: Network) -> None:
        spikes = recorded_spikes()
        spikes[-1] = spikes[-1].reshape(6, 5, 3, 2)
        trace = recorded_trace(load_recorded_layers(write_layers(spikes)), network, "n").trace
        assert np.array_equal(trace.spikes(6)[0], spikes[-1].reshape(6, 30).T)

    def test_the_last_layers_may_be_left_out(self, network: Network) -> None:
        made = recorded_trace(load_recorded_layers(write_layers(recorded_spikes(last=1))), network, "n")
        assert [layer.name for layer in made.left_out] == ["layer4"]
        assert tuple(made.trace.inputs) == PLACES[:4] and made.trace.layers == network.layers[:6]
        assert sx.simulate(made.trace, tws=3).layers[-1].name == "fc"

    def test_mistakes(self, network: Network) -> None:
        spikes = recorded_spikes()
        short, wide = [one[:2] if index == 2 else one for index, one in enumerate(spikes)], [*spikes]
        wide[1] = np.zeros((6, 4, 8, 9), bool)
        for given, words in (
            (wide, "rec.npz: layer1: has 4x8x9 spikes at a time point, a of small takes 4x8x8"),
            (spikes[:-1], "rec.npz: holds 4 layers, small has 5 that take spikes"),
            ([*spikes, spikes[-1]], "rec.npz: holds 6 layers, small has 5"),
            (short, "rec.npz: layer2: is recorded for 2 time points, layer0 for 6; only the last"),
        ):
            with pytest.raises(sx.TraceError) as caught:
                recorded_trace(load_recorded_layers(write_layers(given)), network, "n")
            assert str(caught.value).startswith(words)


class TestCommands:
    def test_synth(self, network: Network, capsys: pytest.CaptureFixture[str]) -> None:
        line = ["trace", "synth", "--kind", "layers", "--network", "small.yaml"]
        shown = succeed(capsys, *line, "--seed", 4, "--out", "t.npz")
        trace = sx.load_trace("t.npz")
        assert content_sha256(trace) == content_sha256(generated_trace(network, 40, 4))
        rates = [f"{network.layers[i].name} {100 * trace.spikes(i).mean():.4g}" for i in PLACES]
        assert shown.lines == [
            f"input rates, %: {', '.join(rates)}",
            "wrote t.npz (T=40, spikes of 5 layers, no weights)",
        ]
        succeed(capsys, *line, "--timesteps", 9, "--rate", 0.4, "--at-most-once", "--out", "u.npz")
        again = generated_trace(network, 9, 0, rate=0.4, once=True)
        assert content_sha256(sx.load_trace("u.npz")) == content_sha256(again)

    def test_synth_without_network_and_of_one_layer(
        self, network: Network, capsys: pytest.CaptureFixture[str]
    ) -> None:
        succeed(capsys, "trace", "synth", "--kind", "layers", "--timesteps", 2, "--out", "t.npz")
        assert sx.load_trace("t.npz").name == "layers-vgg9-cifar10"
        succeed(capsys, "trace", "synth", "--kind", "layers", "--network", "small.yaml", "--layer", "last",
                "--out", "u.npz")  # fmt: skip
        assert [layer.name for layer in sx.load_trace("u.npz").layers] == ["last"]

    @pytest.mark.parametrize("kind", ["bernoulli", "bursty"])
    def test_inputs_at_most_once(
        self, network: Network, capsys: pytest.CaptureFixture[str], kind: str
    ) -> None:
        succeed(capsys, "trace", "synth", "--kind", kind, "--network", "small.yaml", "--rate", 0.3,
                "--at-most-once", "--out", "t.npz")  # fmt: skip
        trace = sx.load_trace("t.npz")
        assert trace.spikes(0).sum(axis=-1).max() == 1 and trace.weights
        assert f"{kind} spikes at rate 0.3, every neuron at most once, seed 0" in trace.source

    def test_convert(self, network: Network, capsys: pytest.CaptureFixture[str]) -> None:
        spikes = recorded_spikes(last=1)
        write_layers(spikes)
        shown = succeed(capsys, "trace", "convert", "rec.npz", "--network", "small.yaml", "--out", "t.npz")
        rates = ", ".join(
            f"{network.layers[index].name} {100 * one.mean():.4g}"
            for index, one in zip(PLACES, spikes[:-1], strict=False)
        )
        assert shown.lines == [
            "layer0: all ones, as where an analog image was recorded",
            "layer4: left out, recorded for 1 time point, the others for 6",
            f"input rates, %: {rates}",
            "wrote t.npz (T=6, spikes of 4 layers, no weights)",
        ]
        trace = sx.load_trace("t.npz")
        assert (trace.name, trace.source) == (
            "rec-small", "layers recorded in rec.npz, shapes of small; no weights"
        )  # fmt: skip
        shown = succeed(capsys, "run", "t.npz", "--tws", 3)
        assert "spikes from what" not in shown.out

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("convert rec.npz", ("--network: is needed", "rec.npz")),
            ("convert rec.npz --network nmnist", ("rec.npz: layer0: has 3x16x16", "nmnist")),
            ("convert rec.npz --network small.yaml --sample 0", ("--sample: is for events", "rec.npz")),
            ("convert rec.npz --network small.yaml --timesteps 6", ("--timesteps: is for events",)),
            ("convert rec.npz --network small.yaml --step-ms 1", ("--step-ms: is for events",)),
            ("convert rec.npz --network small.yaml --activity 0.05", ("--activity: is for events",)),
            ("convert rec.npz --network small.yaml --seed 0", ("--seed: is for events",)),
            ("convert rec.npz --like rec.npz", ("--like: is for events",)),
            ("synth --kind layers --network nmnist", ("network nmnist: layers.0.rate: is missing", "--rate")),
            ("synth --kind layers --activity 0.1", ("--activity: is for digit", "not for layers")),
            ("synth --kind layers --step-ms 1", ("--step-ms", "not for layers")),
            ("synth --kind layers --digit 1", ("--digit", "not for layers")),
            ("synth --kind layers --rate 2", ("rate: must be 0 to 1",)),
            ("synth --kind layers --network small.yaml --layer mean", ("layers.0: an avgpool needs",)),
            ("synth --kind digit --at-most-once", ("--at-most-once: is for bernoulli", "not for digit")),
        ],
    )
    def test_mistakes(
        self, network: Network, capsys: pytest.CaptureFixture[str], line: str, words: tuple[str, ...]
    ) -> None:
        write_layers(recorded_spikes())
        before = files_under(Path())
        is_mistake(spikex(capsys, "trace", *line.split(), "--out", "out.npz"), *words)
        assert files_under(Path()) == before

    def test_other_events_through_recorded_layers(
        self, network: Network, capsys: pytest.CaptureFixture[str]
    ) -> None:
        zero = np.zeros(1, np.uint8)
        np.savez("events.npz", x=zero, y=zero, p=zero, t=zero, offsets=np.array([0, 1]))
        layer = {"name": "f", "kind": "linear", "in_channels": 8, "out_channels": 8,
                 "neuron": {"threshold": 1, "leak_shift": 2}}  # fmt: skip
        pool = {"name": "p", "kind": "maxpool", "in_channels": 2, "out_channels": 2, "in_height": 2,
                "in_width": 2}  # fmt: skip
        inputs = {0: np.zeros((2, 2, 2, 4), bool), 2: np.zeros((8, 4), bool)}
        weights = [None, np.ones((8, 8), np.int8), np.ones((8, 8), np.int8)]
        sx.save_trace(sx.Trace.from_arrays([pool, layer, layer], inputs, weights=weights), "like.npz")
        is_mistake(
            spikex(capsys, "trace", "convert", "events.npz", "--like", "like.npz", "--out", "out.npz"),
            "like.npz: 2/input: holds recorded spikes of later layers",
        )


def test_recorded_layers_need_not_chain_and_are_compared_where_they_could() -> None:
    """Open loop: shapes of neighbours may differ; where they agree, what differs is counted."""
    neuron = {"threshold": 0, "leak_shift": 3}
    sizes = {"x": (4, 3), "y": (3, 5), "z": (4, 2)}
    layers = [
        {"name": name, "kind": "linear", "in_channels": n, "out_channels": m, "neuron": neuron}
        for name, (n, m) in sizes.items()
    ]
    weights = [np.ones((m, n), np.int8) for n, m in sizes.values()]
    rng = np.random.default_rng(0)
    inputs = {index: rng.random((n, 8)) < 0.5 for index, (n, _) in enumerate(sizes.values())}
    trace = sx.Trace.from_arrays(layers, inputs, weights=weights)
    results = sx.simulate(trace, tws=2).layers
    silent = ~inputs[0].any(axis=0)
    computed = np.broadcast_to(~silent, (3, 8))
    assert [layer.mismatched_spikes for layer in results] == [None, (computed != inputs[1]).sum(), None]
    del inputs[2]
    with pytest.raises(sx.TraceError, match=r"layer 2 wants 4 input channels, the trace has 5 \(outputs of"):
        sx.Trace.from_arrays(layers, inputs, weights=weights)


def test_neighbours_of_a_generated_trace_share_no_stream(network: Network) -> None:
    trace = generated_trace(network.model_copy(update={"sources": {}}), 40, 0, rate=0.5)
    same_shape = [trace.spikes(index) for index in (2, 3, 4)]
    for one, other in pairwise(same_shape):
        assert abs((one == other).mean() - 0.5) < 0.05
