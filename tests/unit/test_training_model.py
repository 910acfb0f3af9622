"""A network in training spikes as the simulator does, in every layer."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import spikex_sim as sx  # noqa: E402
from spikex_sim.core.errors import ConfigError  # noqa: E402
from spikex_sim.sources.trained import load_trained, save_trained, shipped_names  # noqa: E402
from spikex_sim.spec.networks import Network, load_network  # noqa: E402
from spikex_sim.spec.workload import Layer, Neuron  # noqa: E402
from spikex_sim.training.losses import predictions  # noqa: E402
from spikex_sim.training.measure import measure  # noqa: E402
from spikex_sim.training.module import WEIGHT_STEPS, Activity, SpikingNetwork, rounded  # noqa: E402


def hashes(network: SpikingNetwork, activity: Activity, sample: int, samples: int) -> list[str]:
    """``output_sha256`` of every conv and linear layer of one sample, in the trace's layout."""
    found = []
    layers = [layer for layer in network.layers if not layer.is_pool]
    for layer, spikes in zip(layers, activity.fired, strict=True):
        T = spikes.shape[0]
        flat = spikes.reshape(T, samples, -1)[:, sample]
        if layer.kind == "conv":
            channels, height, width = layer.output_shape
            flat = flat.reshape(T, height, width, channels).permute(3, 1, 2, 0)
        else:
            flat = flat.T
        bits = np.packbits(flat.detach().numpy().astype(bool), axis=-1)
        found.append(hashlib.sha256(np.ascontiguousarray(bits).tobytes()).hexdigest())
    return found


def simulated(network: SpikingNetwork, spikes: np.ndarray[Any, Any]) -> list[str]:
    trained = network.trained("net", "net", "base", spikes.shape[-1], None, {})
    result = sx.simulate(trained.trace(spikes), tws=min(4, spikes.shape[-1]))
    return [layer.output_sha256 for layer in result.layers if layer.cycles]


@st.composite
def networks(draw: st.DrawFn) -> Network:
    side = draw(st.integers(4, 9))
    channels = draw(st.integers(1, 3))
    layers: list[Layer] = []
    for number in range(draw(st.integers(0, 2))):
        kernel, stride = draw(st.integers(1, min(3, side))), draw(st.integers(1, 2))
        layer = Layer(
            name=f"conv{number}", kind="conv", in_channels=channels, out_channels=draw(st.integers(1, 5)),
            kernel=kernel, stride=stride, padding=draw(st.integers(0, 1)), in_height=side, in_width=side,
            neuron=Neuron(threshold=0, leak_shift=draw(st.integers(0, 8))),
        )  # fmt: skip
        layers.append(layer)
        side, channels = layer.out_height, layer.out_channels
        if side > 2 and draw(st.booleans()):
            pool = Layer(
                name=f"pool{number}", kind="maxpool", in_channels=channels, out_channels=channels, kernel=2,
                stride=draw(st.integers(1, 2)), padding=draw(st.integers(0, 1)), in_height=side,
                in_width=side,
            )  # fmt: skip
            layers.append(pool)
            side = pool.out_height
    if not layers or draw(st.booleans()):
        inputs = channels * side * side
        neuron = Neuron(threshold=0, leak_shift=3)
        outputs = draw(st.integers(1, 6))
        layers.append(
            Layer(name="fc", kind="linear", in_channels=inputs, out_channels=outputs, neuron=neuron)
        )
    return Network(name="drawn", timesteps=9, layers=tuple(layers))


@settings(max_examples=40)
@given(network=networks(), T=st.integers(1, 13), samples=st.integers(1, 2), seed=st.integers(0, 99))
def test_all_layers_spike_as_in_the_simulator(network: Network, T: int, samples: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spikes = rng.random((samples, *network.layers[0].input_shape, T)) < 0.3
    batch = torch.from_numpy(np.moveaxis(spikes, -1, 0).astype(np.float32))
    spiking = SpikingNetwork.drawn(network, batch, seed, rate=0.3)
    activity = spiking(batch)
    for sample in range(samples):
        assert hashes(spiking, activity, sample, samples) == simulated(spiking, spikes[sample])


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_networks_spike_as_in_the_simulator(name: str) -> None:
    trained = load_trained(name)
    T = min(trained.timesteps, 40)
    spikes = np.random.default_rng(1).random((*trained.layers[0].input_shape, T)) < 0.05
    batch = torch.from_numpy(np.moveaxis(spikes, -1, 0)[:, None].astype(np.float32))
    spiking = SpikingNetwork.of(trained)
    activity = spiking(batch)
    assert hashes(spiking, activity, 0, 1) == simulated(spiking, spikes)
    for layer in trained.layers:
        assert layer.neuron is not None and layer.neuron.silence_is_free


def test_weights_are_those_written_and_read(tmp_path: Path) -> None:
    network = load_network("nmnist")
    batch = torch.from_numpy((np.random.default_rng(0).random((6, 1, 2, 34, 34)) < 0.05).astype(np.float32))
    one = SpikingNetwork.drawn(network, batch, 5)
    save_trained(one.trained("n", "nmnist", "base", 6, None, {}), tmp_path / "w.npz")
    two = SpikingNetwork.of(load_trained(tmp_path / "w.npz"))
    for index, weight in one.integers().items():
        np.testing.assert_array_equal(two.integers()[index], weight)
        assert weight.std() == pytest.approx(28, rel=0.15) and weight.dtype == np.int8
    assert two.layers == one.layers
    assert torch.equal(one(batch).output, two(batch).output)


def test_rounding_passes_the_gradient_on_and_saturates() -> None:
    stored = torch.tensor([0.51 / WEIGHT_STEPS, -3.4 / WEIGHT_STEPS, 99.0, -99.0], requires_grad=True)
    whole = rounded(stored)
    assert whole.tolist() == [1.0, -3.0, 127.0, -127.0]
    whole.sum().backward()
    assert stored.grad is not None and stored.grad.tolist() == [WEIGHT_STEPS] * 4


def test_thresholds_give_the_rate_asked_for() -> None:
    network = load_network("nmnist")
    spikes = (np.random.default_rng(0).random((20, 4, 2, 34, 34)) < 0.1).astype(np.float32)
    spiking = SpikingNetwork.drawn(network, torch.from_numpy(spikes), 0, rate=0.06)
    activity = spiking(torch.from_numpy(spikes))
    for fired in activity.fired[1:]:
        assert 0.03 < float(fired.detach().mean()) <= 0.06


def test_ties_go_to_the_lowest_class() -> None:
    counts = torch.tensor([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0], [0.0, 1.0, 2.0]])
    assert predictions(counts).tolist() == [1, 0, 2]


def _chain(**neuron: Any) -> list[Layer]:
    return [Layer(name="fc", kind="linear", in_channels=4, out_channels=2, neuron=Neuron(**neuron))]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (_chain(threshold=1.0, leak=0.5, datapath="float"), "training is for the integer datapath"),
        (_chain(threshold=-1, leak_shift=2), "a threshold of at least 0"),
        (_chain(threshold=1, leak_shift=2, reset="subtract"), "hard reset"),
        ([Layer(name="p", kind="avgpool", in_channels=1, out_channels=1, kernel=2, in_height=4, in_width=4)],
         "average pooling is not trained"),
        ([Layer(name="wide", kind="linear", in_channels=140_000, out_channels=2,
                neuron=Neuron(threshold=1, leak_shift=2))], "more inputs a neuron than float32 adds exactly"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(layers: list[Layer], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SpikingNetwork(layers)


def test_only_chains_are_trained(tmp_path: Path) -> None:
    fc = "kind: linear, in_channels: 4, out_channels: 4"
    (tmp_path / "net.yaml").write_text(
        f"name: net\ntimesteps: 3\nlayers:\n  - {{name: a, {fc}}}\n  - {{name: b, {fc}}}\n"
        f"  - {{name: c, {fc}, from: [a, b]}}\n"
    )
    with pytest.raises(ConfigError, match="layer c takes other spikes"):
        SpikingNetwork.drawn(load_network(tmp_path / "net.yaml"), torch.zeros(3, 1, 4), 0)


def test_measure_is_the_same_whatever_the_batch() -> None:
    from spikex_sim.training.samples import PackedSpikeData

    rng = np.random.default_rng(0)
    packed = np.packbits(rng.random((5, 2, 34, 34, 12)) < 0.06, axis=-1)
    data = PackedSpikeData(packed, np.array([0, 1, 2, 3, 4]), 12)
    batch = torch.from_numpy(data.batch(np.arange(5), None))
    spiking = SpikingNetwork.drawn(load_network("nmnist"), batch, 0)
    whole, parts = (measure(spiking, data, (4, 3, 2, 1), batch=size) for size in (5, 2))
    assert whole.accuracy == pytest.approx(parts.accuracy) and whole.loss == pytest.approx(parts.loss)
    assert whole.rates == pytest.approx(parts.rates) and whole.densities == pytest.approx(parts.densities)
    spikes = np.unpackbits(packed, axis=-1, count=12)
    assert whole.rates[0] == pytest.approx(spikes.mean())
    active = spikes.reshape(5, 2, 34, 34, 3, 4).any(-1).mean()
    assert whole.densities[0] == pytest.approx(active)
