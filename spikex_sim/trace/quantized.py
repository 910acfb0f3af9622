"""A float32 network on the integer datapath: int8 weights, thresholds and biases in weight steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.spec.workload import Layer, Neuron
from spikex_sim.trace.fold import folded_weight
from spikex_sim.trace.trace import Trace

LARGEST_WEIGHT = 127
LARGEST_THRESHOLD = 8191
"""Weight steps of a threshold at most: a quarter of what a potential of 16 bits holds."""
LARGEST_BIAS = 1 << 30
NO_LEAK = 31
"""Shift by which nothing leaks; potentials below 0 rise by one weight step a time point."""
CLOSE = 1e-6
"""Relative distance at which a threshold is taken to be a whole number of steps."""


@dataclass(frozen=True)
class QuantizedLayer:
    """How a layer went over to the integer datapath.

    Attributes
    ----------
    index, name : int, str
        Of the layer.
    step : float
        What one weight step is: float weights are whole multiples of it, but for rounding.
    threshold : int
        Firing threshold in weight steps.
    threshold_before : float
        What it was.
    leak, leak_before : float
        Factor by which potentials leak, ``1 - 2 ** -leak_shift``, and what it was.
    """

    index: int
    name: str
    step: float
    threshold: int
    threshold_before: float
    leak: float
    leak_before: float


def quantized(trace: Trace) -> tuple[Trace, tuple[QuantizedLayer, ...]]:
    """Put every float layer of a trace on the integer datapath; recorded spikes stay.

    A layer's weight step is its largest weight / 127, or 1 where weights are whole and within that; larger
    where the threshold would exceed :data:`LARGEST_THRESHOLD` steps. Weights and biases are rounded,
    thresholds rounded down, since a neuron fires strictly above. A leak becomes the nearest
    ``1 - 2 ** -leak_shift``.

    Raises
    ------
    TraceError
        If there is no float layer, or one has no weights.
    """
    found = tuple(_layers(trace))
    if not found:
        raise TraceError("has no float layer: it is on the integer datapath already", where=trace.where)
    layers, weights, biases = list(trace.layers), dict(trace.weights), dict(trace.biases)
    for one, neuron in found:
        layers[one.index] = layers[one.index].model_copy(update={"neuron": neuron})
        weights[one.index] = np.rint(weights[one.index].astype(np.float64) / one.step).astype(np.int8)
        if one.index in biases:
            steps = np.rint(biases[one.index].astype(np.float64) / one.step)
            biases[one.index] = np.clip(steps, -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)
    made = replace(
        trace, layers=tuple(layers), weights=weights, biases=biases, file_sha256="",
        name=f"{trace.name[:195]}-int8", source=f"{trace.source[:1900]}; float layers quantized to int8",
    )  # fmt: skip
    return made, tuple(one for one, _ in found)


def _layers(trace: Trace) -> Iterator[tuple[QuantizedLayer, Neuron]]:
    for index, layer in enumerate(trace.layers):
        neuron = layer.neuron
        if layer.is_pool or neuron is None or neuron.datapath == "int":
            continue
        if index not in trace.weights:
            raise TraceError(
                f"layer {layer.name} has no weights to quantize", where=trace.where, field=f"{index}/weight"
            )
        assert neuron.leak is not None
        step = _step(trace, index, layer, neuron)
        shift = _shift(neuron.leak)
        threshold = _whole(neuron.threshold / step)
        yield (
            QuantizedLayer(
                index, layer.name, step, threshold, float(neuron.threshold), _factor(shift), neuron.leak
            ),
            Neuron(threshold=threshold, leak_shift=shift, reset=neuron.reset, datapath="int"),
        )


def _step(trace: Trace, index: int, layer: Layer, neuron: Neuron) -> float:
    """One weight step, such that weights, with the average pooling before them folded in, fit int8."""
    weight = trace.weights[index].astype(np.float64)
    largest, steps = float(np.abs(weight).max()), float(LARGEST_WEIGHT)
    before = trace.layers[index - 1] if index else None
    if before is not None and before.kind == "avgpool":
        folded = _folded(trace, before, layer, weight, index)
        overlap = int(_folded(trace, before, layer, np.ones_like(weight), index).max())
        largest = float(np.abs(folded).max())
        steps -= overlap / 2 if overlap > 1 else 0  # as much may rounding add to a sum
    least = abs(float(neuron.threshold)) / LARGEST_THRESHOLD
    bias = trace.biases.get(index)
    sums_are_whole = not (weight % 1).any() and (bias is None or not (bias % 1).any())
    if largest <= steps and sums_are_whole and neuron.leak in (0.0, 1.0) and least <= 1:
        return 1.0
    return max(largest / steps, least, float(np.finfo(np.float32).tiny))


def _folded(trace: Trace, pool: Layer, layer: Layer, weight: NDArray[Any], index: int) -> NDArray[Any]:
    return folded_weight(pool, layer, weight, trace.where, f"{index}/weight")


def _whole(steps: float) -> int:
    """Round down, but for what is a whole number within the accuracy of float32."""
    nearest = round(steps)
    return nearest if abs(steps - nearest) <= CLOSE * abs(steps) else floor(steps)


def _factor(shift: int) -> float:
    return 1.0 if shift == NO_LEAK else 1 - 2.0**-shift


def _shift(leak: float) -> int:
    """Shift whose factor is the nearest, of equally near ones the smaller."""
    return min(range(NO_LEAK + 1), key=lambda shift: abs(_factor(shift) - leak))
