"""Gives recorded or generated input spikes a network to run through: seeded weights, calibrated thresholds.

The networks are not trained. What they are for is activity of a realistic amount in every layer, from
which costs follow; replay recorded traces where the network's own activity matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.core.tags import window_spikes
from spikex_sim.schedules.ntwu.packing import Runs, TileShape
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.networks import NETWORK_INPUT, Network
from spikex_sim.spec.workload import Layer, Neuron
from spikex_sim.trace.fold import folded_layer, folded_weight, maxpool_packed
from spikex_sim.trace.trace import Trace

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
    progress: Progress = silent,
) -> Trace:
    """Make a trace with weights from input spikes and a network preset.

    Weights are drawn from a rounded normal distribution (PCG64 from ``seed``), thresholds are the smallest
    at which a layer's mean firing rate on these spikes does not exceed ``rate``. The trace is closed-loop,
    but for the layers that take other spikes than those of the layer before them: a trace is a plain list
    of layers, so what enters these is recorded.

    Parameters
    ----------
    spikes : bool array ``[C, H, W, T]``
        Input of the first layer.
    network : Network
        Layers of the int datapath, pooling, and how they are connected.
    seed : int
        Seed of the weights.
    name, source, label
        Of the trace.
    rate : float
        Target firing rate per neuron and time point.

    Raises
    ------
    ConfigError
        If the spikes do not have the shape that the network's first layer takes, or a layer has no int
        neurons.
    TraceError
        If average pooling cannot be folded into the layer after it.
    """
    where = f"network {network.name}"
    first = network.layers[0]
    if spikes.shape[:-1] != first.input_shape:
        raise ConfigError(
            f"takes spikes of shape {list(first.input_shape)}, these are {list(spikes.shape[:-1])}",
            where=where,
        )
    rng = np.random.default_rng(seed)
    timesteps = spikes.shape[-1]
    outputs: dict[int, PackedSpikes] = {NETWORK_INPUT: np.packbits(spikes, axis=-1)}
    layers: list[Layer] = []
    inputs: dict[int, PackedSpikes] = {0: outputs[NETWORK_INPUT][None]}
    weights: dict[int, NDArray[np.int8]] = {}
    for index, (layer, sources) in enumerate(zip(network.layers, network.predecessors(), strict=True)):
        progress(f"calibrating {layer.name}", index, len(network.layers))
        packed = np.bitwise_or.reduce([outputs[source] for source in sources])
        if sources != (index - 1,):
            inputs[index] = packed.reshape(1, *layer.input_shape, -1)
        if layer.is_pool:
            layers.append(layer)
            packed = packed.reshape(*layer.input_shape, -1)
            outputs[index] = maxpool_packed(layer, packed) if layer.kind == "maxpool" else packed
            continue
        if layer.neuron is None or layer.neuron.datapath != "int":
            raise ConfigError(f"layer {layer.name}: only int layers get weights", where=where)
        drawn = rng.normal(0.0, WEIGHT_SIGMA, layer.weight_shape)
        weights[index] = np.clip(np.rint(drawn), -127, 127).astype(np.int8)
        executed, weight = layer, weights[index]
        if index and network.layers[index - 1].kind == "avgpool":
            pool = network.layers[index - 1]
            executed = folded_layer(pool, layer, where)
            weight = folded_weight(pool, layer, weight, where, f"layers.{index}")
        packed = packed.reshape(*executed.input_shape, -1)
        neuron, outputs[index] = _calibrate(executed, layer.neuron, packed, weight, timesteps, rate)
        layers.append(layer.model_copy(update={"neuron": neuron}))
    return Trace(
        name=name,
        timesteps=timesteps,
        layers=tuple(layers),
        inputs=inputs,
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
) -> tuple[Neuron, PackedSpikes]:
    """Neuron with the smallest threshold whose firing rate does not exceed ``rate``, and what it emits."""
    arch = Accelerator()
    task = Task.of(
        layer.name, geometry_of(layer), window_spikes(packed, timesteps, 1), layer.out_channels, arch,
        datapath=neuron.datapath, silence_is_free=True,
    )  # fmt: skip
    schedule = NtwuSchedule.of(
        task,
        1,
        TileShape(task.positions, timesteps, fits_all=True),
        Runs(task.active, CALIBRATION_COLUMNS, by_window=True),
        mode="spatial",
        stream="tap",
        tailored=True,
    )
    allowed = rate * layer.out_channels * task.positions * timesteps
    low, high = -1, (1 << (arch.potential_bits - 1)) - 1
    best: PackedSpikes | None = None
    while high - low > 1:
        middle = (low + high) // 2
        candidate = neuron.model_copy(update={"threshold": middle})
        fired = schedule.execute(Synapses.of(weight, None, candidate, arch)).outputs
        if int(np.bitwise_count(fired).sum(dtype=np.int64)) <= allowed:
            high, best = middle, fired
        else:
            low = middle
    chosen = neuron.model_copy(update={"threshold": high})
    if best is None:
        best = schedule.execute(Synapses.of(weight, None, chosen, arch)).outputs
    return chosen, best.reshape(*layer.output_shape, -1)
