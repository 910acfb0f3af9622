"""Layers recorded from trained networks: what the importer makes of them is what numpy reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import spikex_sim as sx
from command import succeed
from helpers import shared_data
from spikex_sim.spec.load import preset_names
from spikex_sim.spec.networks import load_network

FILES = {"vgg9-cifar10": "vgg9_cifar10", "lenet5-mnist": "lenet5_mnist"}


@pytest.fixture(params=FILES)
def network(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def recorded(network: str) -> tuple[Path, dict[str, NDArray[np.bool_]]]:
    """File of a network's recorded layers, and its spikes with time last."""
    path = shared_data("recorded-layers") / f"prosperity_{FILES[network]}.npz"
    with np.load(path) as arrays:
        spikes = {}
        for name in arrays["names"]:
            shape = arrays[f"{name}__shape"]
            bits = np.unpackbits(arrays[f"{name}__bits"], count=int(np.prod(shape)))
            spikes[str(name)] = np.moveaxis(bits.reshape(shape).astype(bool), 0, -1)
    return path, spikes


def test_spikes_shapes_and_rates(network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, spikes = recorded(network)
    shown = succeed(capsys, "trace", "convert", path, "--network", network, "--out", tmp_path / "t.npz")
    trace = sx.load_trace(tmp_path / "t.npz")
    last, _ = spikes.popitem()
    assert shown.lines[:2] == [
        "conv2d_0: all ones, as where an analog image was recorded",
        f"{last}: left out, recorded for 1 time point, the others for {trace.timesteps}",
    ]
    assert len(trace.inputs) == len(spikes)
    for (index, _), wanted in zip(trace.inputs.items(), spikes.values(), strict=True):
        assert trace.layers[index].input_shape == wanted.shape[:-1]
        assert np.array_equal(trace.spikes(index)[0], wanted)
        assert f"{trace.layers[index].name} {100 * wanted.mean():.4g}" in shown.out


def test_rates_of_the_presets_are_measured_on_them(network: str) -> None:
    _, spikes = recorded(network)
    rates = load_network(network).rates
    assert list(rates.values()) == [round(float(one.mean()), 4) for one in spikes.values()]


def test_it_can_be_replayed(network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, spikes = recorded(network)
    succeed(capsys, "trace", "convert", path, "--network", network, "--out", tmp_path / "t.npz")
    layers = [layer for layer in sx.simulate(tmp_path / "t.npz", tws=4).layers if layer.cycles]
    assert [layer.input_spikes for layer in layers] == [one.sum() for one in list(spikes.values())[:-1]]


MACHINES = sorted(
    {*preset_names()}
    - {"spinalflow", "spikesim-released", "crossbar"}  # convolutions alone; neuron by neuron, all recorded
)


@pytest.mark.parametrize("arch", MACHINES)
def test_every_machine_replays_it(
    network: str, arch: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, spikes = recorded(network)
    succeed(capsys, "trace", "convert", path, "--network", network, "--out", tmp_path / "t.npz")
    result = sx.simulate(tmp_path / "t.npz", arch)
    assert result.totals.cycles >= result.totals.compute_cycles > 0
    layers = [layer for layer in result.layers if layer.cycles]
    assert len(layers) == len(spikes) - 1


def test_first_spikes_run_on_the_time_serial_machine(
    network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, spikes = recorded(network)
    out = ["--out", tmp_path / "t.npz"]
    succeed(capsys, "trace", "convert", path, "--network", network, *out)
    with pytest.raises(sx.UnsupportedError, match="spike more than once"):
        sx.simulate(tmp_path / "t.npz", "spinalflow")
    succeed(capsys, "trace", "convert", path, "--network", network, "--at-most-once", *out)
    layers = [layer for layer in sx.simulate(tmp_path / "t.npz", "spinalflow").layers if layer.cycles]
    firing = [int(one.any(axis=-1).sum()) for one in list(spikes.values())[:-1]]
    assert [layer.input_spikes for layer in layers] == firing
