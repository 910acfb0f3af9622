"""The slow oracle, ANN half: a layer run once on activations, by plain loops.

Written from "As an ANN accelerator" of ``docs/accelerators/systolic.md``, independently of the package and
sharing no code with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from naive import Bools, FieldTap, Layer, out_size, receptive_fields

LARGEST = 255


def activations(spikes: Bools) -> NDArray[np.uint8]:
    """Count the spikes of every input ``[..., T]``, at most 255."""
    return np.minimum(spikes.sum(axis=-1, dtype=np.int64), LARGEST).astype(np.uint8)


def forward(
    layer: Layer,
    values: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    timesteps: int = 1,
) -> NDArray[np.uint8]:
    """Output activations of one layer.

    Parameters
    ----------
    layer
        Description of the layer, as in the trace file's ``meta``: kind ``conv``, ``linear`` or ``maxpool``.
    values
        Input activations ``[C, H, W]``; a linear layer also takes ``[N]``.
    weight
        ``[M, C, E, E]``, or ``[M, N]`` for a linear layer; ignored for ``maxpool``.
    bias
        ``[M]``, added once per time point of the spikes that the activations stand for.
    timesteps
        How many time points these are.

    Returns
    -------
    NDArray
        Output activations ``[M, R_h, R_w]``, ``[M]`` for a linear layer.
    """
    if layer["kind"] == "maxpool":
        return maxpool(layer, values)
    if layer["kind"] == "linear":
        point = {**layer, "kind": "conv", "kernel": 1, "stride": 1, "padding": 0}
        return forward(point, values.reshape(-1, 1, 1), weight[:, :, None, None], bias, timesteps)[:, 0, 0]
    rows, cols = out_size(layer, *values.shape[1:])
    fields = receptive_fields(layer, *values.shape[1:])
    total = total_int if layer["neuron"]["datapath"] == "int" else total_float
    biases = [None] * len(weight) if bias is None else list(bias)
    sums = [
        [total(values, kernel, field, own_bias, timesteps) for field in fields]
        for kernel, own_bias in zip(weight, biases, strict=True)
    ]
    return np.array(rescaled(sums), np.uint8).reshape(len(weight), rows, cols)


def total_int(
    values: NDArray[Any], kernel: NDArray[Any], field: list[FieldTap], bias: Any, timesteps: int
) -> int:
    """Multiply and add under one output position, in Python's integers."""
    total = 0 if bias is None else timesteps * int(bias)
    for c in range(len(values)):
        for i, j, y, x in field:
            total += int(kernel[c, i, j]) * int(values[c, y, x])
    return total


def total_float(
    values: NDArray[Any], kernel: NDArray[Any], field: list[FieldTap], bias: Any, timesteps: int
) -> float:
    """Multiply and add in ascending order of taps, the bias last, every operation rounded to float32."""
    total = np.float32(0)
    for c in range(len(values)):
        for i, j, y, x in field:
            total = total + np.float32(kernel[c, i, j]) * np.float32(values[c, y, x])
    return float(total if bias is None else total + np.float32(timesteps) * np.float32(bias))


def rescaled(sums: list[list[Any]]) -> list[list[int]]:
    """Shift by the smallest number of places for which the layer's largest sum fits eight bits."""
    largest = max([0, *(v for own in sums for v in own)])
    shift = 0
    while largest // 2**shift > LARGEST:
        shift += 1
    return [[min(LARGEST, int(max(v, 0) // 2**shift)) for v in own] for own in sums]


def maxpool(layer: Layer, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Largest activation of each pooling window; padding is zero."""
    rows, cols = out_size(layer, *values.shape[1:])
    fields = receptive_fields(layer, *values.shape[1:])
    pooled = [
        [max((int(own[y, x]) for _, _, y, x in field), default=0) for field in fields] for own in values
    ]
    return np.array(pooled, np.uint8).reshape(len(values), rows, cols)
