"""What is timed: real recordings where they are at hand, the packaged traces, and layers of any size."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import spikex_sim as sx
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.run.replay import TimedLayer
from spikex_sim.run.simulate import simulate
from spikex_sim.sources.open_loop import generated_trace
from spikex_sim.spec.networks import load_network
from spikex_sim.trace.store import load_chain
from spikex_sim.trace.trace import Trace

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
"""Recordings that are not part of the project."""
RECORDINGS = {
    "N-MNIST": ("nmnist_small.npz", "nmnist", 5),
    "DVS-Gesture Large": ("dvsgesture_samples.npz", "dvs-gesture-large", 0),
    "VGG-9 layers": ("recorded-layers/prosperity_vgg9_cifar10.npz", "vgg9-cifar10", 0),
}
"""File, network preset and which recording of it."""


def file_of(name: str, folder: Path) -> Path:
    """Where a recording lies once it is a trace."""
    return folder / f"{RECORDINGS[name][1]}.npz"


@lru_cache
def recorded(name: str, folder: Path) -> Trace | None:
    """A recording as a trace; None where its file is not at hand."""
    file, network, sample = RECORDINGS[name]
    if not (DATA / file).exists():
        return None
    out = file_of(name, folder)
    which = ["--sample", str(sample)] if sample else []
    command = [sys.executable, "-m", "spikex_sim", "trace", "convert", str(DATA / file), *which]
    subprocess.run([*command, "--network", network, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    return load_chain(out)


def without_weights(trace: Trace, **options: Any) -> Trace:
    """The same spikes, recorded at every layer, without weights: what is left to simulate is costs."""
    inputs = {}

    def keep(timed: TimedLayer) -> None:
        spikes = timed.cost.inputs
        assert isinstance(spikes, WindowedSpikes)
        bits = np.zeros((len(spikes.starts) - 1, trace.timesteps), bool)
        bits[np.repeat(np.arange(len(bits)), spikes.per_input()), spikes.times] = True
        shape = trace.layers[timed.index].input_shape
        inputs[timed.index] = np.packbits(bits, axis=-1).reshape(1, *shape, -1)

    simulate(trace, observe=keep, **options)
    return replace(trace, inputs=inputs, weights={}, biases={})


def conv_layer(rate: float, timesteps: int, *, channels: int = 32, side: int = 16) -> Trace:
    """A convolution of so many channels on a square map, with Bernoulli spikes and weights."""
    rng = np.random.default_rng(0)
    layer = {
        "name": "conv", "kind": "conv", "in_channels": channels, "out_channels": channels, "kernel": 3,
        "stride": 1, "padding": 1, "in_height": side, "in_width": side,
        "neuron": {"threshold": 200, "leak_shift": 3},
    }  # fmt: skip
    spikes = rng.random((channels, side, side, timesteps)) < rate
    weight = rng.integers(-64, 64, (channels, channels, 3, 3)).astype(np.int8)
    return sx.Trace.from_arrays([layer], spikes, weights=[weight])


def generated(network: str, timesteps: int) -> Trace:
    """Spikes at the firing rates of a network preset, at every layer, without weights."""
    return generated_trace(load_network(network), timesteps, 0)


def synapses(network: str) -> float:
    """Weights that the neurons of a network take spikes through, shared ones as often as they are used."""
    layers = [layer for layer in load_network(network).layers if not layer.is_pool]
    return float(sum(layer.out_height * layer.out_width * prod(layer.weight_shape) for layer in layers))
