"""Networks that are given to input spikes: published sizes, seeded weights, minimal thresholds."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import naive
import spikex_sim as sx
from spikex_sim.explore.seeded_network import attach_network
from spikex_sim.sources.synth import bernoulli
from spikex_sim.spec.networks import Network, load_network, network_names
from spikex_sim.trace.summary import parameter_count
from spikex_sim.trace.trace import content_sha256

# Table II of the SpikeX paper: sides of ifmap H, ofmap R and filter E; input and output channels C and M.
TABLE_2 = {
    "nmnist": [(34, 16, 3, 2, 12), (16, 14, 3, 12, 32), (14, 6, 3, 32, 64), (1, 1, 1, 2304, 10)],
    "dvs-gesture-medium": [
        (64, 32, 5, 2, 8), (32, 8, 5, 8, 16), (8, 8, 5, 16, 16), (8, 10, 5, 16, 16), (1, 1, 1, 1600, 512),
        (1, 1, 1, 512, 11),
    ],
    "dvs-gesture-large": [
        (32, 16, 3, 2, 32), (16, 8, 3, 32, 64), (8, 4, 3, 64, 128), (1, 1, 1, 2048, 256), (1, 1, 1, 256, 11),
    ],
}  # fmt: skip
TIMESTEPS = {"nmnist": 30, "dvs-gesture-medium": 300, "dvs-gesture-large": 300}

# Convolutions as (channels, side of the map), pooling as M, then linear layers; after each network its input.
VGG9 = "64 64 M 128 128 M 256 256 M | 1024 1024"
VGG16 = "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M |"
VGGS = {
    "vgg9-cifar10": (f"{VGG9} 10", 32),
    "vgg9-tinyimagenet": (f"{VGG9} 200", 64),
    "vgg16-cifar10": (f"{VGG16} 10", 32),
    "vgg16-tinyimagenet": (f"{VGG16} 200", 64),
}
RESNETS = {"resnet18-cifar10": (32, 10), "resnet18-tinyimagenet": (64, 200)}
LENET = {"conv1": (1, 32, 32), "pool1": (6, 32, 32), "conv2": (6, 16, 16), "pool2": (16, 12, 12),
         "fc1": (576,), "fc2": (120,), "fc3": (84,)}  # fmt: skip

SMALL: dict[str, Any] = {
    "name": "small",
    "timesteps": 20,
    "layers": [
        {"name": "c", "kind": "conv", "in_channels": 2, "out_channels": 5, "kernel": (3, 3),
         "padding": (1, 1), "in_height": 6, "in_width": 6},
        {"name": "p", "kind": "maxpool", "in_channels": 5, "out_channels": 5, "kernel": (2, 2),
         "stride": (2, 2), "in_height": 6, "in_width": 6},
        {"name": "f", "kind": "linear", "in_channels": 45, "out_channels": 8},
    ],
}  # fmt: skip
SPIKES = np.random.default_rng(4).random((2, 6, 6, 20)) < 0.2


def attached(**options: Any) -> sx.Trace:
    network = Network.model_validate(SMALL)
    return attach_network(
        **{"spikes": SPIKES, "network": network, "seed": 3, "name": "n", "source": "s", **options}
    )


def by_naive(trace: sx.Trace, index: int, threshold: int, spikes: Any) -> Any:
    """Outputs of a layer with another threshold, by the plain dense pass."""
    layer = trace.meta()["layers"][index]
    if layer["kind"] == "maxpool":
        return naive.forward(layer, spikes, np.zeros(0))
    changed = {**layer, "neuron": {**layer["neuron"], "threshold": threshold}}
    return naive.forward(changed, spikes, trace.weights[index])


def threshold_of(trace: sx.Trace, index: int) -> int:
    neuron = trace.layers[index].neuron
    return -1 if neuron is None else int(neuron.threshold)


class TestPresets:
    def test_names(self) -> None:
        assert network_names() == sorted([*TABLE_2, *VGGS, *RESNETS, "lenet5-mnist"])

    @pytest.mark.parametrize("name", TABLE_2)
    def test_sizes_of_the_paper(self, name: str) -> None:
        network = load_network(name)
        assert network.timesteps == TIMESTEPS[name]
        found = []
        for layer in network.layers:
            assert layer.in_height == layer.in_width and layer.out_height == layer.out_width
            assert layer.kernel[0] == layer.kernel[1]
            sizes = (layer.in_height, layer.out_height, layer.kernel[0])
            found.append((*sizes, layer.in_channels, layer.out_channels))
        assert found == TABLE_2[name]

    @pytest.mark.parametrize("name", TABLE_2)
    def test_layers_chain(self, name: str) -> None:
        network = load_network(name)
        first = network.layers[0]
        spikes = np.zeros((*first.input_shape, 2), bool)
        trace = attach_network(spikes, network, seed=0, name=name, source="")
        assert trace.layers[-1].out_channels == TABLE_2[name][-1][-1]
        weights = sum(m * c * e * e for _, _, e, c, m in TABLE_2[name])
        assert parameter_count(trace) == weights

    @pytest.mark.parametrize("name", VGGS)
    def test_vggs(self, name: str) -> None:
        network = load_network(name)
        (convolutions, linear), side = (part.split() for part in VGGS[name][0].split("|")), VGGS[name][1]
        layers, shape = iter(network.layers), (3, side, side)
        for size in convolutions:
            layer = next(layers)
            assert layer.input_shape == shape
            kind, kernel, stride, padding = ("maxpool", 2, 2, 0) if size == "M" else ("conv", 3, 1, 1)
            assert (layer.kind, layer.kernel, layer.stride, layer.padding) == (
                kind, (kernel, kernel), (stride, stride), (padding, padding)
            )  # fmt: skip
            shape = (shape[0] if size == "M" else int(size), shape[1] // stride, shape[2] // stride)
            assert layer.output_shape == shape
        found = [(layer.kind, layer.in_channels, layer.out_channels) for layer in layers]
        sizes = [int(np.prod(shape)), *map(int, linear)]
        assert found == [("linear", *pair) for pair in pairwise(sizes)]
        assert network.timesteps == 4 and not network.sources

    @pytest.mark.parametrize("name", RESNETS)
    def test_resnets(self, name: str) -> None:
        network = load_network(name)
        side, classes = RESNETS[name]
        by_name = {layer.name: layer for layer in network.layers}
        assert by_name["conv1"].input_shape == (3, side, side)
        assert by_name["conv1"].output_shape == (64, side, side)
        for block in range(1, 9):
            channels = 64 << (block - 1) // 2
            shape = (channels, side >> (block - 1) // 2, side >> (block - 1) // 2)
            halves = block in (3, 5, 7)
            first, second = by_name[f"block{block}a"], by_name[f"block{block}b"]
            assert (first.kernel, first.stride) == ((3, 3), (2, 2) if halves else (1, 1))
            assert (second.kernel, second.stride) == ((3, 3), (1, 1))
            assert first.output_shape == second.output_shape == shape
            assert (f"block{block}s" in by_name) == halves
            if halves:
                shortcut = by_name[f"block{block}s"]
                assert (shortcut.kernel, shortcut.stride, shortcut.output_shape) == ((1, 1), (2, 2), shape)
                assert shortcut.input_shape == first.input_shape
                assert network.sources[shortcut.name] == network.sources[first.name]
        pool = by_name["avgpool"]
        assert (pool.kind, pool.output_shape) == ("avgpool", (512, 1, 1))
        assert by_name["fc"].weight_shape == (classes, 512)
        assert (network.timesteps, len(network.layers)) == (4, 1 + 16 + 3 + 2)

    @pytest.mark.parametrize("name", RESNETS)
    def test_a_block_gives_its_own_spikes_or_those_of_its_shortcut(self, name: str) -> None:
        network = load_network(name)
        gives: dict[str, set[str]] = {"block0": {"conv1"}}
        for block in range(1, 9):
            before, shortcut = gives[f"block{block - 1}"], f"block{block}s"
            taken = network.sources.get(f"block{block}a", ("conv1",))
            assert set(taken) == before
            around = {shortcut} if shortcut in network.sources else before
            gives[f"block{block}"] = {f"block{block}b"} | around
        assert set(network.sources["avgpool"]) == gives["block8"]

    def test_lenet(self) -> None:
        network = load_network("lenet5-mnist")
        assert {layer.name: layer.input_shape for layer in network.layers} == LENET
        assert network.layers[-1].out_channels == 10 and network.timesteps == 32

    @pytest.mark.parametrize("name", [*VGGS, *RESNETS, "lenet5-mnist"])
    def test_every_layer_has_a_rate_and_the_analog_image_is_dense(self, name: str) -> None:
        network = load_network(name)
        names = [network.layers[index].name for index in network.open_loop_layers]
        assert list(network.rates) == names
        first, *others = network.rates.values()
        assert first == 1.0
        assert all(0.05 < rate < 0.5 for rate in others)
        assert name in ("vgg9-cifar10", "lenet5-mnist") or set(others) == {0.1}

    def test_a_file_of_ones_own(self, tmp_path: Path) -> None:
        layer = "{name: a, kind: linear, in_channels: 3, out_channels: 2}"
        text = f"name: mine\ntimesteps: 7\nlayers: [{layer}]\n"
        (tmp_path / "n.yaml").write_text(text)
        mine = load_network(tmp_path / "n.yaml")
        assert (mine.name, mine.timesteps, mine.layers[0].out_channels) == ("mine", 7, 2)
        (tmp_path / "n.yaml").write_text(text.replace("}", ", depth: 3}"))
        with pytest.raises(sx.ConfigError, match=r"n\.yaml: layers\.0\.depth: unknown key$"):
            load_network(tmp_path / "n.yaml")
        (tmp_path / "n.yaml").write_text(text.replace("}", ", depth: 3, width: 4}"))
        with pytest.raises(sx.ConfigError, match=r"depth: unknown key \(and 1 more mistake\)$"):
            load_network(tmp_path / "n.yaml")


class TestCalibration:
    @pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
    def test_thresholds_are_the_smallest_that_keep_the_rate(self, rate: float) -> None:
        trace = attached(rate=rate)
        spikes = SPIKES
        for index, layer in enumerate(trace.layers):
            threshold = threshold_of(trace, index)
            fired = by_naive(trace, index, threshold, spikes)
            if not layer.is_pool:
                assert fired.mean() <= rate
                assert threshold == 0 or by_naive(trace, index, threshold - 1, spikes).mean() > rate
                assert threshold > 0 or rate == 0.3
            spikes = fired

    def test_the_rate_is_what_a_replay_shows(self) -> None:
        network = load_network("nmnist")
        spikes = bernoulli((2, 34, 34), 30, 0.04, seed=1)
        trace = attach_network(spikes, network, seed=0, name="n", source="s", rate=0.05)
        for layer, spec in zip(sx.simulate(trace).layers, trace.layers, strict=True):
            assert layer.output_spikes is not None
            rate = layer.output_spikes / (np.prod(spec.output_shape) * 30)
            assert 0.045 < rate <= 0.05 or spec.name == "fc"

    @pytest.mark.parametrize(("rate", "wanted"), [(0.0, 0.0), (1.0, None)])
    def test_extreme_rates(self, rate: float, wanted: float | None) -> None:
        trace = attached(rate=rate)
        fired = by_naive(trace, 0, threshold_of(trace, 0), SPIKES)
        if wanted is None:
            assert threshold_of(trace, 0) == 0 and fired.any()  # negative ones would fire from silence
        else:
            assert fired.sum() == 0
            assert by_naive(trace, 0, threshold_of(trace, 0) - 1, SPIKES).sum() > 0

    def test_silent_input(self) -> None:
        trace = attached(spikes=np.zeros_like(SPIKES))
        assert [threshold_of(trace, index) for index in (0, 2)] == [0, 0]


class TestWeights:
    def test_reproducible_and_from_the_seed(self) -> None:
        assert content_sha256(attached()) == content_sha256(attached())
        other = attached(seed=4)
        assert not np.array_equal(other.weights[0], attached().weights[0])

    def test_what_they_look_like(self) -> None:
        network = load_network("dvs-gesture-large")
        trace = attach_network(np.zeros((2, 32, 32, 2), bool), network, seed=0, name="n", source="")
        drawn = np.concatenate([weight.ravel() for weight in trace.weights.values()])
        assert {weight.dtype for weight in trace.weights.values()} == {np.dtype(np.int8)}
        assert abs(drawn.mean()) < 0.1 and abs(drawn.std() - 24) < 0.2
        assert drawn.min() >= -127

    def test_the_first_layers_weights_do_not_depend_on_the_spikes(self) -> None:
        other = attached(spikes=~SPIKES)
        for index in (0, 2):
            assert np.array_equal(other.weights[index], attached().weights[index])

    def test_the_input_and_its_origin_are_kept(self) -> None:
        trace = attached(label=6)
        assert np.array_equal(trace.spikes(0)[0], SPIKES)
        assert (trace.name, trace.label, set(trace.inputs)) == ("n", 6, {0})
        assert trace.source.startswith("s; small") and "not a trained network" in trace.source
        assert "seed 3" in trace.source


class TestRefusals:
    def test_spikes_of_another_shape(self) -> None:
        with pytest.raises(sx.ConfigError, match=r"network small: takes spikes of shape \[2, 6, 6\]"):
            attached(spikes=SPIKES[:, :5])

    def test_layers_of_the_float_datapath(self) -> None:
        layers = [dict(layer) for layer in SMALL["layers"]]
        layers[0]["neuron"] = {"threshold": 1.0, "leak": 0.5, "datapath": "float"}
        with pytest.raises(sx.ConfigError, match=r"network small: layer c: only int"):
            attached(network=Network.model_validate({**SMALL, "layers": layers}))

    def test_average_pooling_that_cannot_be_folded(self) -> None:
        layers = [dict(layer) for layer in SMALL["layers"]]
        layers[1] |= {"kind": "avgpool", "kernel": 3, "stride": 1, "padding": 1}
        layers[2] = {"name": "d", "kind": "conv", "in_channels": 5, "out_channels": 2, "kernel": 3,
                     "padding": 1, "in_height": 6, "in_width": 6}  # fmt: skip
        with pytest.raises(sx.TraceError, match="network small: layers: avgpool 'p' cannot be folded"):
            attached(network=Network.model_validate({**SMALL, "layers": layers}))

    def test_a_copy_whose_layers_do_not_chain(self) -> None:
        small = Network.model_validate(SMALL)
        part = small.model_copy(update={"layers": (small.layers[0], small.layers[2])})
        with pytest.raises(
            sx.ConfigError, match=r"network small: layers\.1: takes spikes of shape 45, but is"
        ):
            attached(network=part)
