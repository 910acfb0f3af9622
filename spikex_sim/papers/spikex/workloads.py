"""Spikes for the paper's studies: Bernoulli spikes for a layer, camera recordings for a network.

The paper's traces and trained networks are not published. The recordings are those of an emulated event
camera, the networks have seeded weights; nothing has to be downloaded.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from spikex_sim.data import default_trace_path
from spikex_sim.explore.seeded_network import attach_network
from spikex_sim.sources.cameras.gestures import SENSOR
from spikex_sim.sources.samples import emulated
from spikex_sim.sources.synth import bernoulli
from spikex_sim.spec.networks import load_network
from spikex_sim.trace.store import load_chain
from spikex_sim.trace.trace import Trace

NETWORKS = ("dvs-gesture-medium", "dvs-gesture-large", "nmnist")
"""Networks of Table II."""
GESTURE = 3
"""Gesture that is seen: the arms."""


@lru_cache(maxsize=64)
def bernoulli_layer(network: str, layer: str, rate: float, samples: int) -> Trace:
    """Random spikes into one layer of a network, costs only.

    Parameters
    ----------
    network, layer : str
        Network preset and name of the layer.
    rate : float
        Spikes per neuron and time point.
    samples : int
        Independent draws, seeds 0 to ``samples - 1``.
    """
    preset = load_network(network)
    chosen = next(one for one in preset.layers if one.name == layer)
    spikes = np.stack(
        [bernoulli(chosen.input_shape, preset.timesteps, rate, seed) for seed in range(samples)]
    )
    return Trace.from_arrays([chosen], spikes, name=f"{network}-{layer}-rate-{rate:g}")


@lru_cache(maxsize=4)
def camera_network(network: str) -> Trace:
    """What an emulated event camera saw, and a network of Table II with seeded weights."""
    if network == "nmnist":
        return load_chain(default_trace_path())
    preset = load_network(network)
    shape = preset.layers[0].input_shape
    return attach_network(
        emulated("gestures", shape, GESTURE, timesteps=preset.timesteps, seed=0),
        preset,
        seed=0,
        name=f"{network}-arms",
        source=f"{SENSOR}x{SENSOR} event camera over moving arms, OR-pooled to {shape[1]}x{shape[2]}",
    )
