"""The slow oracle, functional half: a plain dense forward pass of spiking layers.

Written from the text of the hardware model (cited as "§n"), independently of the package and sharing no
code with it. Clarity before speed. The other half is among the tests: `naive_cost`, on
`naive_problem` and `naive_time`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Layer = Mapping[str, Any]
Bools = NDArray[np.bool_]

#: One tap of a receptive field that lies inside the map: (i, j) in the filter, (y, x) in the ifmap.
FieldTap = tuple[int, int, int, int]


def pair(value: int | list[int] | tuple[int, int]) -> tuple[int, int]:
    """Return ``(vertical, horizontal)`` of a size given as one integer or as a pair."""
    if isinstance(value, (list, tuple)):
        return int(value[0]), int(value[1])
    return int(value), int(value)


def out_size(layer: Layer, height: int, width: int) -> tuple[int, int]:
    """Side lengths of the ofmap: ``floor((H + 2P - E) / U) + 1`` (§1)."""
    kernel, stride, padding = pair(layer["kernel"]), pair(layer["stride"]), pair(layer["padding"])
    rows = (height + 2 * padding[0] - kernel[0]) // stride[0] + 1
    cols = (width + 2 * padding[1] - kernel[1]) // stride[1] + 1
    if rows < 1 or cols < 1:
        raise ValueError(f"a {height} x {width} map is smaller than the {kernel[0]} x {kernel[1]} filter")
    return rows, cols


def receptive_fields(layer: Layer, height: int, width: int) -> list[list[FieldTap]]:
    """List, for every output position in row-major order, its taps inside the map, in ascending (i, j)."""
    kernel, stride, padding = pair(layer["kernel"]), pair(layer["stride"]), pair(layer["padding"])
    rows, cols = out_size(layer, height, width)
    fields = []
    for row in range(rows):
        for col in range(cols):
            field = []
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    y = row * stride[0] + i - padding[0]
                    x = col * stride[1] + j - padding[1]
                    if 0 <= y < height and 0 <= x < width:  # what lies outside is silence
                        field.append((i, j, y, x))
            fields.append(field)
    return fields


def leak_int(u: int, leak_shift: int) -> int:
    """``u - (u >> leak_shift)`` with arithmetic shift (§1)."""
    return u - (u >> leak_shift)  # Python's >> rounds towards minus infinity: an arithmetic shift


def neuron_int(currents: list[int], neuron: Layer, potential_bits: int) -> list[bool]:
    """Run one integer neuron over its input currents (weights and bias), one per time point (§1).

    What a register of ``potential_bits`` holds is clipped: ``v``, and the rest ``v - V_th`` after a soft
    reset. The current is not, before it is added.
    """
    threshold = neuron["threshold"]
    lowest, highest = -(2 ** (potential_bits - 1)), 2 ** (potential_bits - 1) - 1
    soft = neuron["reset"] == "subtract"
    if soft and threshold != int(threshold):
        raise ValueError("soft reset of an integer potential needs an integer threshold")
    u = 0
    fired = []
    for current in currents:
        v = max(lowest, min(highest, leak_int(u, int(neuron["leak_shift"])) + current))
        spike = bool(v > threshold)  # strictly
        fired.append(spike)
        if not spike:
            u = v
        elif soft:
            u = max(lowest, min(highest, v - int(threshold)))
        else:
            u = 0
    return fired


def neurons_float(currents: list[NDArray[np.float32]], neuron: Layer) -> list[Bools]:
    """Run float32 neurons, one per entry of every current, every operation rounded to float32 (§1)."""
    threshold, leak = np.float32(neuron["threshold"]), np.float32(neuron["leak"])
    u = np.zeros_like(currents[0], dtype=np.float32)
    fired = []
    for current in currents:
        leaked = leak * u  # one rounding
        v = leaked + current  # and another one: no fused multiply-add
        spike = v > threshold
        rest = v - threshold if neuron["reset"] == "subtract" else np.zeros_like(v)
        u = np.where(spike, rest, v)
        fired.append(spike)
    return fired


def wrapped(total: int, bits: int | None) -> int:
    """What a register of so many bits, in two's complement, holds of a sum; of None all of it."""
    if bits is None:
        return total
    half = 1 << (bits - 1)
    return (total + half) % (2 * half) - half


def _convolve_and_fire(
    layer: Layer,
    values: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    potential_bits: int,
    psum_bits: int | None = None,
) -> Bools:
    """Feed integer values ``[C, H, W, T]``, 0 and 1 for spikes, through weights ``[M, C, E, E]``."""
    C, height, width, T = values.shape
    M = weight.shape[0]
    if weight.shape != (M, C, *pair(layer["kernel"])):
        raise ValueError(f"weights {weight.shape} do not suit {C} channels and kernel {layer['kernel']}")
    rows, cols = out_size(layer, height, width)
    fields = receptive_fields(layer, height, width)
    floating = layer["neuron"]["datapath"] == "float"
    integer_weight = None if floating else weight.tolist()  # Python integers: nothing can overflow
    input_values = values.astype(object) if not floating else values
    out = np.zeros((M, len(fields), T), dtype=np.bool_)

    for p, field in enumerate(fields):
        # The non-zero taps of every time point, ascending in (input channel, i, j).
        taps = [
            [
                (c, i, j, int(input_values[c, y, x, t]))
                for c in range(C)
                for (i, j, y, x) in field
                if values[c, y, x, t]
            ]
            for t in range(T)
        ]
        if integer_weight is None:
            currents = []
            for t in range(T):
                current = np.zeros(M, dtype=np.float32)
                for c, i, j, _ in taps[t]:
                    current = current + weight[:, c, i, j].astype(np.float32)
                if bias is not None:
                    current = current + bias.astype(np.float32)
                currents.append(current)
            for t, spikes in enumerate(neurons_float(currents, layer["neuron"])):
                out[:, p, t] = spikes
        else:
            for m in range(M):
                offset = 0 if bias is None else int(bias[m])
                w = integer_weight[m]
                sums = [sum(w[c][i][j] * value for c, i, j, value in taps[t]) for t in range(T)]
                given = [wrapped(total, psum_bits) + offset for total in sums]
                out[m, p, :] = neuron_int(given, layer["neuron"], potential_bits)
    return out.reshape(M, rows, cols, T)


#: The convolution that a fully connected layer is: H = R = E = 1 (§1).
_POINT = {"kernel": 1, "stride": 1, "padding": 0}


def _linear(
    layer: Layer,
    values: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    potential_bits: int,
    psum_bits: int | None = None,
) -> Bools:
    """Feed values ``[N, T]`` or ``[C, H, W, T]`` (flattened in C order) through weights ``[M, N]``."""
    flat = values.reshape(-1, 1, 1, values.shape[-1])
    kernel = weight[:, :, None, None]
    out = _convolve_and_fire({**layer, **_POINT}, flat, kernel, bias, potential_bits, psum_bits)
    return out[:, 0, 0, :]


def forward(
    layer: Layer,
    spikes: Bools,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    potential_bits: int = 16,
    psum_bits: int | None = None,
) -> Bools:
    """Output spikes of one layer by a plain dense pass (§1).

    Parameters
    ----------
    layer
        Description of the layer, as in the trace file's ``meta``: kind ``conv``, ``linear`` or ``maxpool``.
    spikes
        Input spikes ``[C, H, W, T]``; a linear layer also takes ``[N, T]``.
    weight
        ``[M, C, E, E]``, or ``[M, N]`` for a linear layer; ignored for ``maxpool``.
    bias
        ``[M]``, added at every time point.
    potential_bits
        Width of the integer potential.
    psum_bits
        Width of the registers in which sums of weights wrap around; by default these are exact.

    Returns
    -------
    NDArray
        Output spikes ``[M, R_h, R_w, T]``, ``[M, T]`` for a linear layer.
    """
    values = spikes.astype(np.int64)
    if layer["kind"] == "maxpool":
        return maxpool(layer, spikes)
    if layer["kind"] == "linear":
        return _linear(layer, values, weight, bias, potential_bits, psum_bits)
    if layer["kind"] != "conv":
        raise ValueError(f"no forward pass for a layer of kind {layer['kind']}")
    return _convolve_and_fire(layer, values, weight, bias, potential_bits, psum_bits)


def maxpool(layer: Layer, spikes: Bools) -> Bools:
    """OR of the spikes over each pooling window; padding is silence (§1 Pooling)."""
    return pooled_sums(layer, spikes) > 0


def pooled_sums(layer: Layer, spikes: Bools) -> NDArray[np.int64]:
    """Count the spikes in each pooling window; padding is silence."""
    C, height, width, T = spikes.shape
    rows, cols = out_size(layer, height, width)
    out = np.zeros((C, rows * cols, T), dtype=np.int64)
    for p, field in enumerate(receptive_fields(layer, height, width)):
        for _, _, y, x in field:
            out[:, p, :] += spikes[:, y, x, :]
    return out.reshape(C, rows, cols, T)


def avgpool_then_conv(
    pool: Layer,
    layer: Layer,
    spikes: Bools,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    potential_bits: int = 16,
) -> Bools:
    """Sum the spikes of each pooling window and convolve the sums with the layer's own weights (§1 Pooling).

    The division by the window's size is the threshold's business. Integer datapath only. The layer's padding
    is zeros around the pooled map.
    """
    if layer["neuron"]["datapath"] != "int":
        raise ValueError("sums over pooling windows are defined for the integer datapath")
    return _convolve_and_fire(layer, pooled_sums(pool, spikes), weight, bias, potential_bits)


def avgpool_then_linear(
    pool: Layer,
    layer: Layer,
    spikes: Bools,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    potential_bits: int = 16,
) -> Bools:
    """Sum the spikes of each pooling window and feed the sums, flattened in C order, to a linear layer."""
    if layer["neuron"]["datapath"] != "int":
        raise ValueError("sums over pooling windows are defined for the integer datapath")
    return _linear(layer, pooled_sums(pool, spikes), weight, bias, potential_bits)
