"""Graphs with weights, inputs and thresholds from a seed: activity of a realistic amount in every node.

The networks are not trained. Thresholds are set from how weights and inputs are distributed, without running
anything, such that about :data:`RATE` of the neurons fire at a time point.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.sources.synth import bernoulli, check_size, generator, seed_of_stream
from spikex_sim.spec.graph import InputNode, MatmulNode, Node, PoolNode, Population, Synapse, node_of
from spikex_sim.spec.graph_networks import GraphNetwork
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_arrays import weight_key
from spikex_sim.trace.wiring import Wiring, wired

RATE = 0.15
"""Firing rate that thresholds are set for."""
WEIGHT_SIGMA = 24.0
"""Standard deviation of the int8 weights."""
INPUT_RATE = 0.02
"""Of spike inputs."""
ABOVE = 0.9
"""Standard deviations of a resting potential by which a threshold lies above its mean."""


def synthetic_graph(
    network: GraphNetwork, timesteps: int, seed: int, *, rate: float | None = None
) -> GraphTrace:
    """Make a trace of a preset.

    Parameters
    ----------
    network : GraphNetwork
        Nodes, without thresholds.
    timesteps : int
        Time points ``T``.
    seed : int
        Of weights and inputs.
    rate : float, optional
        Probability of a spike of an input at a time point; default :data:`INPUT_RATE`.

    Returns
    -------
    GraphTrace
        Closed loop, in the integer datapath.
    """
    where = f"network {network.name}"
    drafts = [node_of(one, where=where, error=TraceError, field=f"nodes.{index}")
              for index, one in enumerate(network.nodes)]  # fmt: skip
    wiring = wired(drafts, timesteps, where)
    if rate is not None and not any(isinstance(one, InputNode) and one.values is None for one in drafts):
        raise ConfigError("has no effect: the network sees an image, not spikes", where=where, field="rate")
    arrays: dict[str, NDArray[Any]] = {}
    for stream, node in enumerate(drafts):
        own = seed_of_stream(seed, stream)
        if isinstance(node, InputNode):
            check_size(node.shape, timesteps)
            if node.values is None:
                spikes = bernoulli(node.shape, timesteps, INPUT_RATE if rate is None else rate, own)
                arrays[f"{node.name}/spikes"] = np.packbits(spikes, axis=-1)
            else:
                arrays[f"{node.name}/values"] = _image(node.shape, own) + _middle(node)
        elif isinstance(node, Population):
            for k, synapse in enumerate(node.synapses):
                if synapse.weight_of is None and not synapse.own:
                    shape = wiring.weight_shape(node.name, k)
                    drawn = generator(seed_of_stream(own, k)).normal(0, WEIGHT_SIGMA, shape)
                    arrays[weight_key(node.name, k)] = np.clip(np.rint(drawn), -127, 127).astype(np.int8)
    thresholds = _thresholds(wiring, INPUT_RATE if rate is None else rate)
    nodes = [
        one | {"neuron": one["neuron"] | {"threshold": thresholds[one["name"]]}} if "neuron" in one else one
        for one in network.nodes
    ]
    meta = {"name": network.name, "timesteps": timesteps, "nodes": nodes,
            "source": f"preset {network.name}, not trained, seed {seed}"}  # fmt: skip
    return GraphTrace.from_arrays(meta, arrays, where=where)


def _middle(image: InputNode) -> int:
    """Mean of the numbers of an image."""
    return 0 if image.values is None or image.values.signed else 128


def _image(shape: tuple[int, ...], seed: int) -> NDArray[np.int32]:
    """Draw an image of soft blobs, of 8 bits."""
    channels, height, width = shape
    coarse = generator(seed).normal(size=(channels, -(-height // 4) + 1, -(-width // 4) + 1))
    rows, columns = np.arange(height) / 4, np.arange(width) / 4
    image: NDArray[np.float64] = np.zeros(shape)
    for down in (0, 1):
        for right in (0, 1):
            near = coarse[:, rows.astype(int) + down][:, :, columns.astype(int) + right]
            weight = np.abs(1 - down - rows % 1)[:, None] * np.abs(1 - right - columns % 1)
            image += near * weight
    found: NDArray[np.int32] = np.clip(np.rint(64 * image / image.std()), -128, 127).astype(np.int32)
    return found


def _thresholds(wiring: Wiring, input_rate: float) -> dict[str, int]:
    """Thresholds of all populations, from the mean and variance of what reaches them at a time point."""
    moments: dict[str, tuple[float, float]] = {}
    found = {}
    for name, node in wiring.nodes.items():
        mean, variance = _moments(wiring, node, moments, input_rate)
        if isinstance(node, Population) and node.neuron is not None:
            for leaking in (node.neuron, node.neuron.current):
                if leaking is not None and leaking.leak_shift is not None:
                    kept = 1 - 2.0**-leaking.leak_shift
                    mean, variance = mean / (1 - kept), variance / (1 - kept**2)
            found[name] = max(1, round(mean + ABOVE * sqrt(variance)))
            mean, variance = RATE, RATE * (1 - RATE)
        moments[name] = mean, variance
    return found


def _moments(
    wiring: Wiring, node: Node, known: dict[str, tuple[float, float]], input_rate: float
) -> tuple[float, float]:
    if isinstance(node, InputNode):
        return (
            (_middle(node), 64.0**2)
            if node.values is not None
            else (input_rate, input_rate * (1 - input_rate))
        )
    if isinstance(node, MatmulNode):
        return _product(wiring, node, known)
    if isinstance(node, PoolNode):
        mean, variance = known[node.source]
        return (1 - (1 - mean) ** prod(node.kernel), variance) if node.kind == "maxpool" else (mean, variance)
    assert isinstance(node, Population)
    mean = variance = 0.0
    for k, synapse in enumerate(node.synapses):
        first, second = known.get(synapse.source, (RATE, RATE * (1 - RATE)))
        scale = 2.0**-synapse.shift
        if synapse.own:
            mean, variance = mean + first * scale, variance + second * scale**2
            continue
        taken = wiring.nodes[synapse.source]
        taps = wiring.weight_shape(node.name, k)[1] * (
            1 if synapse.kind == "linear" else _inside(wiring, synapse)
        )
        taps *= prod(taken.kernel) if isinstance(taken, PoolNode) and taken.kind == "avgpool" else 1
        variance += taps * WEIGHT_SIGMA**2 * (second + first**2) * scale**2
    return mean, variance


def _inside(wiring: Wiring, synapse: Synapse) -> float:
    """Taps of a channel that lie inside the map, on average: at the edges others see padding."""
    shape = wiring.ports[synapse.source].shape
    share = 1.0
    for axis, outputs in enumerate(synapse.out_size(*shape[1:])):
        starts = np.arange(outputs) * synapse.stride[axis] - synapse.padding[2 * axis]
        places = starts[:, None] + np.arange(synapse.kernel[axis]) * synapse.dilation[axis]
        share *= float(((places >= 0) & (places < shape[1 + axis])).sum(axis=1).mean())
    return share


def _product(wiring: Wiring, node: MatmulNode, known: dict[str, tuple[float, float]]) -> tuple[float, float]:
    """Of independent factors, as many as are summed."""
    (a, a_var), (b, b_var) = known[node.a], known[node.b]
    channels, height, width = wiring.ports[node.a].shape
    inner = channels // node.heads if node.transpose_a else height * width
    mean, variance = a * b, a_var * b_var + a_var * b**2 + b_var * a**2
    return inner * mean * node.scale, inner * variance * node.scale**2
