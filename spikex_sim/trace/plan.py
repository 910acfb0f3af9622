"""Stages of a replay: layers with average pooling folded in, and a check that every spike has a source."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import packed_length
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.fold import folded_layer, folded_weight
from spikex_sim.trace.trace import Trace


@dataclass(frozen=True)
class Stage:
    """A layer as it is executed.

    Attributes
    ----------
    layer : Layer
        With the average pooling before it folded in.
    weight, bias : array or None
        Of that layer.
    silence_is_free : bool
        Whether a neuron without input can never fire (Section 1, When silence is not free).
    """

    layer: Layer
    weight: NDArray[Any] | None
    bias: NDArray[Any] | None
    silence_is_free: bool

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.layer.name

    @property
    def is_sized(self) -> bool:
        """Whether a window size applies to it."""
        return not self.layer.is_pool

    @property
    def kind(self) -> str:
        """Kind of the layer."""
        return self.layer.kind

    @property
    def datapath(self) -> str | None:
        """Datapath of its neurons."""
        return None if self.layer.is_pool or self.layer.neuron is None else self.layer.neuron.datapath

    def gives(self, trace: Any, *, spiking: bool) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Type and shape of what it gives: packed spikes, or activations."""
        time = (packed_length(trace.timesteps),) if spiking else ()
        return np.dtype(np.uint8), (*self.layer.output_shape, *time)

    def largest_sum(self, trace: Any, weight_bits: int) -> int:  # noqa: ARG002
        """Magnitude that no sum of integer weights and bias exceeds, whatever the weights and spikes are."""
        if self.datapath != "int":
            return 0
        bias = 0 if self.bias is None else int(np.abs(self.bias.astype(np.int64)).max())
        return (prod(self.layer.weight_shape[1:]) << (weight_bits - 1)) + bias


def plan_stages(trace: Trace, *, fold: bool = True) -> list[Stage]:
    """Stages of a trace, in order.

    Parameters
    ----------
    trace : Trace
        Layers, and what is known of them.
    fold : bool
        Whether average pooling becomes part of the layer after it; an ANN averages activations instead.

    Raises
    ------
    TraceError
        If average pooling cannot be folded, or the spikes that enter a layer are neither recorded nor
        computable.
    """
    stages: list[Stage] = []
    known = True
    for index, layer in enumerate(trace.layers):
        recorded = index in trace.inputs
        if not recorded and not known and not layer.is_pool:
            raise TraceError(
                f"layer {index} ({layer.name}) has no recorded spikes, and there are no weights before it to "
                "compute them",
                where=trace.where,
                field=f"{index}/input",
            )
        stage = _stage(trace, index, fold)
        known = (recorded or known) if layer.is_pool else stage.weight is not None
        stages.append(stage)
    return stages


def _stage(trace: Trace, index: int, fold: bool) -> Stage:
    layer = trace.layers[index]
    weight, bias = trace.weights.get(index), trace.biases.get(index)
    if layer.kind == "avgpool":
        if index + 1 == len(trace.layers):
            raise TraceError(
                f"avgpool '{layer.name}' needs a layer after it to be folded into",
                where=trace.where,
                field=f"layers.{index}",
            )
        folded_layer(layer, trace.layers[index + 1], trace.where)
    before = trace.layers[index - 1] if index else None
    if before is not None and before.kind == "avgpool":
        if index in trace.inputs:
            raise TraceError(
                f"the average-pooled input of layer {index} is not spikes; record {index - 1}/input instead",
                where=trace.where,
                field=f"{index}/input",
            )
        if weight is not None and fold:
            weight = folded_weight(before, layer, weight, trace.where, f"{index}/weight")
        if fold:
            layer = folded_layer(before, layer, trace.where)
    biased = bias is not None and bool(bias.any())
    free = layer.neuron is None or (layer.neuron.silence_is_free and not biased)
    return Stage(layer, weight, bias, free)
