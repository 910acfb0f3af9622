"""What a trace holds, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.spec.workload import Kind
from spikex_sim.trace.trace import Trace


@dataclass(frozen=True)
class InputActivity:
    """How busy the inputs of a layer are, over all samples.

    Attributes
    ----------
    spikes : int
        Spikes in all.
    rate : float
        Share of (input, time point) with a spike.
    silent_share : float
        Share of (sample, input) that never spike.
    active_window_share : float
        Share of (input, time window) with a spike; the last window may be cut short by the horizon.
    """

    spikes: int
    rate: float
    silent_share: float
    active_window_share: float


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a trace.

    Attributes
    ----------
    name, kind
        Of the layer.
    input_shape, output_shape, weight_shape : tuple of int
        Without samples and time; no weights for pooling.
    parameters : int
        Weights, and biases where the trace has them; what the layer calls for, present or not.
    activity : InputActivity or None
        Of the recorded input; None where the layer takes what its predecessor gives.
    has_weights, has_bias : bool
        Whether the trace holds them.
    nbytes : int
        Bytes of packed spikes, weights and biases in memory.
    """

    name: str
    kind: Kind
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    parameters: int
    activity: InputActivity | None
    has_weights: bool
    has_bias: bool
    nbytes: int


@dataclass(frozen=True)
class TraceSummary:
    """A whole trace.

    Attributes
    ----------
    name, source, sha256, timesteps, samples, label
        Of the trace.
    tws : int
        Time window size of every ``active_window_share``, in time points.
    layers : tuple of LayerSummary
        In order.
    parameters, nbytes : int
        Sums over the layers.
    """

    name: str
    source: str
    sha256: str
    timesteps: int
    samples: int
    label: int | tuple[int, ...] | None
    tws: int
    layers: tuple[LayerSummary, ...]
    parameters: int
    nbytes: int


def summarise(trace: Trace, tws: int = 8) -> TraceSummary:
    """Count what a trace holds.

    Parameters
    ----------
    trace : Trace
        What to look at.
    tws : int
        Time window size in time points.
    """
    if tws < 1:
        raise ConfigError(f"must be at least 1, not {tws}", field="tws")
    layers = tuple(_layer(trace, index, tws) for index in range(len(trace.layers)))
    return TraceSummary(
        name=trace.name,
        source=trace.source,
        sha256=trace.sha256,
        timesteps=trace.timesteps,
        samples=trace.samples,
        label=trace.label,
        tws=tws,
        layers=layers,
        parameters=sum(layer.parameters for layer in layers),
        nbytes=sum(layer.nbytes for layer in layers),
    )


def input_activity(packed: PackedSpikes, timesteps: int, tws: int) -> InputActivity:
    """Measure packed spikes.

    Parameters
    ----------
    packed : uint8 array, ``[S, *shape, ceil(T/8)]``
        Spikes of all samples.
    timesteps : int
        Time points ``T``.
    tws : int
        Time window size in time points.
    """
    window_starts = np.arange(0, timesteps, tws)
    spikes = silent = active = 0
    # Row by row of the first axes, because unpacked spikes take eight times the memory.
    rows = packed.reshape(-1, *packed.shape[2:]) if packed.ndim > 2 else packed
    for row in rows:
        bits: NDArray[np.uint8] = np.unpackbits(row, axis=-1, count=timesteps)
        windows = np.maximum.reduceat(bits, window_starts, axis=-1)
        spikes += int(np.count_nonzero(bits))
        active += int(np.count_nonzero(windows))
        silent += int(np.count_nonzero(~windows.any(axis=-1)))
    inputs = prod(packed.shape[:-1])
    return InputActivity(
        spikes=spikes,
        rate=spikes / (inputs * timesteps),
        silent_share=silent / inputs,
        active_window_share=active / (inputs * len(window_starts)),
    )


def _layer(trace: Trace, index: int, tws: int) -> LayerSummary:
    layer = trace.layers[index]
    held = [arrays[index] for arrays in (trace.inputs, trace.weights, trace.biases) if index in arrays]
    has_bias = index in trace.biases
    packed = trace.inputs.get(index)
    return LayerSummary(
        name=layer.name,
        kind=layer.kind,
        input_shape=layer.input_shape,
        output_shape=layer.output_shape,
        weight_shape=() if layer.is_pool else layer.weight_shape,
        parameters=0 if layer.is_pool else prod(layer.weight_shape) + layer.out_channels * has_bias,
        activity=None if packed is None else input_activity(packed, trace.timesteps, tws),
        has_weights=index in trace.weights,
        has_bias=has_bias,
        nbytes=sum(array.nbytes for array in held),
    )
