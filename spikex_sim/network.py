"""Gives recorded or generated input spikes a network to run through: seeded weights, calibrated thresholds.

The networks are not trained. What they are for is activity of a realistic amount in every layer, from
which costs follow; replay recorded traces where the network's own activity matters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spikex_sim.dispatch import RowGroups, Schedule, TileShape, pack_by_window
from spikex_sim.errors import ConfigError
from spikex_sim.geometry import geometry_of
from spikex_sim.kernels.passes import execute
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.networks import Network
from spikex_sim.spec.workload import Layer, Neuron
from spikex_sim.tags import receptive_activity, window_spikes
from spikex_sim.trace.fold import maxpool_packed
from spikex_sim.trace.model import PackedSpikes, Trace, check_chain

TARGET_RATE = 0.05
"""Firing rate that thresholds are calibrated to: of the order of the paper's Fig. 5 after training."""
WEIGHT_SIGMA = 24.0
"""Standard deviation of the generated int8 weights, in weight steps."""
CALIBRATION_COLUMNS = 64
"""Batch width while calibrating; any gives the same spikes."""


def attach_network(
    spikes: NDArray[np.bool_],
    network: Network,
    *,
    seed: int,
    name: str,
    source: str,
    label: int | None = None,
    rate: float = TARGET_RATE,
    progress: Callable[[str, int, int], None] | None = None,
) -> Trace:
    """Make a closed-loop trace from input spikes and a network preset.

    Weights are drawn from a rounded normal distribution (PCG64 from ``seed``), thresholds are the smallest
    at which a layer's mean firing rate on these spikes does not exceed ``rate``.

    Parameters
    ----------
    spikes : bool array ``[C, H, W, T]``
        Input of the first layer.
    network : Network
        Layers; conv, linear and maxpool.
    seed : int
        Seed of the weights.
    name, source, label
        Of the trace.
    rate : float
        Target firing rate per neuron and time point.

    Raises
    ------
    ConfigError
        If the spikes do not have the shape that the network's first layer takes.
    """
    first = network.layers[0]
    if spikes.shape[:-1] != first.input_shape:
        raise ConfigError(
            f"takes spikes of shape {list(first.input_shape)}, these are {list(spikes.shape[:-1])}",
            where=f"network {network.name}",
        )
    check_chain(network.layers, f"network {network.name}")
    rng = np.random.default_rng(seed)
    packed = np.packbits(spikes, axis=-1)
    timesteps = spikes.shape[-1]
    layers: list[Layer] = []
    weights: dict[int, NDArray[np.int8]] = {}
    for index, layer in enumerate(network.layers):
        if progress:
            progress(f"calibrating {layer.name}", index, len(network.layers))
        packed = packed.reshape(*layer.input_shape, -1)
        if layer.kind == "maxpool":
            layers.append(layer)
            packed = maxpool_packed(layer, packed)
            continue
        if layer.neuron is None or layer.neuron.datapath != "int":
            raise ConfigError(
                f"layer {layer.name}: only int conv, linear and maxpool layers get weights",
                where=f"network {network.name}",
            )
        drawn = rng.normal(0.0, WEIGHT_SIGMA, layer.weight_shape)
        weights[index] = np.clip(np.rint(drawn), -127, 127).astype(np.int8)
        calibrated, packed = _calibrate(layer, layer.neuron, packed, weights[index], timesteps, rate)
        layers.append(calibrated)
    return Trace(
        name=name,
        timesteps=timesteps,
        layers=tuple(layers),
        inputs={0: np.packbits(spikes, axis=-1)[None]},
        weights=weights,
        label=label,
        source=f"{source}; {network.name} with weights drawn from seed {seed} and thresholds set for a rate "
        f"of at most {rate:g}: not a trained network",
        where=name,
    )


def _calibrate(
    layer: Layer,
    neuron: Neuron,
    packed: PackedSpikes,
    weight: NDArray[np.int8],
    timesteps: int,
    rate: float,
) -> tuple[Layer, PackedSpikes]:
    """Smallest threshold whose firing rate does not exceed ``rate``, by bisection."""
    spikes = window_spikes(packed, timesteps, 1)
    geometry = geometry_of(layer)
    active = receptive_activity(geometry, spikes)
    schedule = Schedule.of(
        geometry,
        RowGroups(1, layer.out_channels),
        spikes,
        TileShape(geometry.positions, spikes.windows, fits_all=True),
        lambda *_tile: pack_by_window(active, CALIBRATION_COLUMNS),
        mode="spatial",
        active=active,
        stream="tap",
        tailored=True,
    )
    allowed = rate * layer.out_channels * geometry.positions * timesteps
    potential_bits = Accelerator().potential_bits
    low, high = -1, (1 << (potential_bits - 1)) - 1
    best: PackedSpikes | None = None
    while high - low > 1:
        middle = (low + high) // 2
        candidate = neuron.model_copy(update={"threshold": middle})
        fired, _ = execute(schedule, spikes, weight, None, candidate, potential_bits)
        if int(np.bitwise_count(fired).sum(dtype=np.int64)) <= allowed:
            high, best = middle, fired
        else:
            low = middle
    chosen = neuron.model_copy(update={"threshold": high})
    if best is None:
        best, _ = execute(schedule, spikes, weight, None, chosen, potential_bits)
    return layer.model_copy(update={"neuron": chosen}), best.reshape(*layer.output_shape, -1)
