"""Open-loop traces without weights: for every layer of a network its own spikes, generated or recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.core.units import sides
from spikex_sim.sources.layer_activity import RecordedLayer, RecordedLayers
from spikex_sim.sources.synth import MAX_SPIKES, at_most_once, bernoulli, seed_of_stream
from spikex_sim.spec.networks import Network
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.plan import plan_stages
from spikex_sim.trace.trace import Trace


def generated_trace(
    network: Network, timesteps: int, seed: int, *, rate: float | None = None, once: bool = False
) -> Trace:
    """Generate the spikes that enter every layer, independent in space and time.

    Layers with the same sources, as the shortcut and the first convolution of a residual block, take
    the same spikes.

    Parameters
    ----------
    network : Network
        Layers and their firing rates.
    timesteps : int
        Time points ``T``.
    seed : int
        Not negative; every source has a stream of random numbers of its own.
    rate : float, optional
        Probability of a spike at a time point, for all layers instead of their own.
    once : bool
        Keep every neuron's first spike alone.

    Returns
    -------
    Trace
        Open-loop, without weights.

    Raises
    ------
    ConfigError
        If a layer has no rate, or too many spikes would be made.
    """
    places = network.open_loop_layers
    neurons = sum(prod(network.layers[index].input_shape) for index in places)
    if neurons * timesteps > MAX_SPIKES:
        raise ConfigError(
            f"{neurons} neurons for {timesteps} steps are more than {MAX_SPIKES} spikes",
            where=f"network {network.name}",
            field="timesteps",
        )
    predecessors = network.predecessors()
    inputs: dict[int, PackedSpikes] = {}
    for index in places:
        layer = network.layers[index]
        own = network.rates.get(layer.name) if rate is None else rate
        if own is None:
            raise ConfigError(
                f"is missing: {layer.name} has no firing rate; give it one, or say --rate",
                where=f"network {network.name}",
                field=f"layers.{index}.rate",
            )
        stream = predecessors.index(predecessors[index])
        spikes = bernoulli(layer.input_shape, timesteps, own, seed_of_stream(seed, stream))
        inputs[index] = np.packbits(at_most_once(spikes) if once else spikes, axis=-1)
    rates = "the layers' own rates" if rate is None else f"rate {rate:g}"
    return _trace(
        network.layers,
        inputs,
        timesteps,
        name=f"layers-{network.name}",
        source=f"bernoulli spikes for every layer at {rates}, seed {seed}"
        f"{', every neuron at most once' if once else ''}; no weights",
    )


@dataclass(frozen=True)
class RecordedTrace:
    """A trace made of recorded layers, and what became of them.

    Attributes
    ----------
    trace : Trace
        Open-loop, without weights.
    left_out : tuple of RecordedLayer
        Last layers, recorded for another number of time points than the others.
    """

    trace: Trace
    left_out: tuple[RecordedLayer, ...]


def recorded_trace(
    recorded: RecordedLayers, network: Network, name: str, *, once: bool = False
) -> RecordedTrace:
    """Match recorded layers, in order, to the layers of a network.

    Recorded are the layers that :attr:`~spikex_sim.spec.networks.Network.open_loop_layers` lists.

    Parameters
    ----------
    recorded : RecordedLayers
        All as many time points as the first one, but for the last layers.
    network : Network
        Of the recorded shapes; its own time points and rates have no meaning here.
    name : str
        Of the trace.
    once : bool
        Whether every neuron keeps its first spike alone.

    Raises
    ------
    TraceError
        If number, shapes or time points of the recorded layers do not fit.
    """
    timesteps = recorded.layers[0].timesteps
    places = network.open_loop_layers
    for layer, index in zip(recorded.layers, places, strict=False):
        wanted = network.layers[index]
        if not wanted.takes(layer.shape):
            raise TraceError(
                f"has {sides(layer.shape)} spikes at a time point, {wanted.name} of {network.name} takes "
                f"{sides(wanted.input_shape)}",
                where=recorded.source,
                field=shown(layer.name),
            )
    if len(recorded.layers) != len(places):
        raise TraceError(
            f"holds {len(recorded.layers)} layers, {network.name} has {len(places)} that take spikes",
            where=recorded.source,
        )
    kept = len(places)
    while recorded.layers[kept - 1].timesteps != timesteps:
        kept -= 1
    for layer in recorded.layers[:kept]:
        if layer.timesteps != timesteps:
            raise TraceError(
                f"is recorded for {layer.timesteps} time points, {shown(recorded.layers[0].name)} for "
                f"{timesteps}; only the last layers may differ",
                where=recorded.source,
                field=shown(layer.name),
            )
    end = places[kept] if kept < len(places) else len(network.layers)
    inputs = {
        index: layer.spikes.reshape(*network.layers[index].input_shape, -1)
        for layer, index in zip(recorded.layers[:kept], places, strict=False)
    }
    source = f"layers recorded in {Path(recorded.source).name}, shapes of {network.name}; no weights"
    if once:
        inputs = {
            index: np.packbits(at_most_once(np.unpackbits(packed, axis=-1, count=timesteps).astype(bool)), -1)
            for index, packed in inputs.items()
        }
        source = f"{source}; first spikes alone"
    trace = _trace(network.layers[:end], inputs, timesteps, name=name, source=source)
    return RecordedTrace(trace, recorded.layers[kept:])


def _trace(
    layers: tuple[Layer, ...], inputs: Mapping[int, PackedSpikes], timesteps: int, name: str, source: str
) -> Trace:
    """Make a trace of one sample that can be replayed as it is."""
    trace = Trace(
        name=name,
        timesteps=timesteps,
        layers=layers,
        inputs={index: spikes[None] for index, spikes in inputs.items()},
        source=source,
        where=name,
    )
    plan_stages(trace)
    return trace
