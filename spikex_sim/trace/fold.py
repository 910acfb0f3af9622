"""Average pooling folded into the layer that follows (Section 1, Pooling)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.spec.workload import Layer


def folded_layer(pool: Layer, layer: Layer, where: str) -> Layer:
    """Describe the layer that takes the unpooled spikes and gives what pooling and ``layer`` gave.

    Raises
    ------
    TraceError
        If no single filter does that: the padding of ``layer`` would see spikes that pooling hides.
    """
    if layer.is_pool:
        raise TraceError(
            f"avgpool '{pool.name}' is followed by another pooling layer, into which it cannot be folded",
            where=where,
            field="layers",
        )
    if layer.kind == "linear":
        if pool.in_channels * pool.in_height * pool.in_width > 1 << 20:
            raise TraceError(f"avgpool '{pool.name}' is too large to fold", where=where, field="layers")
        return layer.model_copy(update={"in_channels": pool.in_channels * pool.in_height * pool.in_width})
    for axis in (0, 1):
        kernel, stride, padding = pool.kernel[axis], pool.stride[axis], pool.padding[axis]
        size = (pool.in_height, pool.in_width)[axis]
        pooled = (pool.out_height, pool.out_width)[axis]
        hides_nothing = kernel <= stride and pooled * stride - padding >= size
        if layer.padding[axis] > 0 and not hides_nothing:
            raise TraceError(
                f"avgpool '{pool.name}' cannot be folded into '{layer.name}': with padding, its windows must "
                "not overlap and must cover the map; pad the pooling instead",
                where=where,
                field="layers",
            )
    return layer.model_copy(
        update={
            "in_height": pool.in_height,
            "in_width": pool.in_width,
            "kernel": tuple((layer.kernel[a] - 1) * pool.stride[a] + pool.kernel[a] for a in (0, 1)),
            "stride": tuple(layer.stride[a] * pool.stride[a] for a in (0, 1)),
            "padding": tuple(layer.padding[a] * pool.stride[a] + pool.padding[a] for a in (0, 1)),
        }
    )


def folded_weight(pool: Layer, layer: Layer, weight: NDArray[Any], where: str, field: str) -> NDArray[Any]:
    """Weights of :func:`folded_layer`: every tap's weight over its whole pooling window.

    Windows that overlap add up; the division of the average belongs into the threshold.

    Raises
    ------
    TraceError
        If a sum leaves int8.
    """
    kernel, stride = pool.kernel, pool.stride
    if layer.kind == "linear":
        pooled = weight.reshape(len(weight), pool.in_channels, pool.out_height, pool.out_width)
        sides = (pool.padding[0], pool.padding[0], pool.padding[1], pool.padding[1])
        spread = spread_over_map(pooled, kernel, stride, sides, (pool.in_height, pool.in_width))
        folded = spread.reshape(len(weight), -1)
    else:
        folded = spread_over_windows(weight, kernel, stride)
    return as_given(folded, weight, pool.name, where, field)


def as_given(folded: NDArray[Any], weight: NDArray[Any], pool: str, where: str, field: str) -> NDArray[Any]:
    """Folded weights in the type of those they are from; :class:`TraceError` if they leave int8."""
    if weight.dtype == np.int8 and len(folded) and (folded.min() < -128 or folded.max() > 127):
        raise TraceError(
            f"overlapping windows of avgpool '{pool}' add up to weights beyond int8; use the float datapath",
            where=where,
            field=field,
        )
    return folded.astype(weight.dtype)


def spread_over_windows(
    weight: NDArray[Any], kernel: tuple[int, int], stride: tuple[int, int]
) -> NDArray[Any]:
    """Every tap's weight ``[M, C, E_h, E_w]`` over its whole pooling window; int8 becomes int64."""
    wide = weight.astype(np.int64 if weight.dtype == np.int8 else weight.dtype)
    height, width = wide.shape[2:]
    folded = np.zeros(
        (*wide.shape[:2], (height - 1) * stride[0] + kernel[0], (width - 1) * stride[1] + kernel[1]),
        wide.dtype,
    )
    for i in range(height):
        for j in range(width):
            y, x = i * stride[0], j * stride[1]
            folded[:, :, y : y + kernel[0], x : x + kernel[1]] += wide[:, :, i : i + 1, j : j + 1]
    return folded


def spread_over_map(
    weight: NDArray[Any],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    sides: tuple[int, int, int, int],
    size: tuple[int, int],
) -> NDArray[Any]:
    """Like :func:`spread_over_windows` for weights of all that is pooled; what was padding is left out."""
    spread = spread_over_windows(weight, kernel, stride)
    top, bottom, left, right = sides
    height, width = size
    padded = np.zeros((*spread.shape[:2], top + height + bottom, left + width + right), spread.dtype)
    padded[:, :, : spread.shape[2], : spread.shape[3]] = spread
    return np.ascontiguousarray(padded[:, :, top : top + height, left : left + width])


def maxpool_packed(layer: Layer, packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """OR of the packed spikes over each pooling window.

    Parameters
    ----------
    layer : Layer
        Pooling layer; its padding is silence.
    packed : uint8 array ``[..., C, H, W, ceil(T/8)]``

    Returns
    -------
    uint8 array ``[..., C, R_h, R_w, ceil(T/8)]``
    """
    pad_h, pad_w = layer.padding
    edges = [(0, 0)] * (packed.ndim - 3) + [(pad_h, pad_h), (pad_w, pad_w), (0, 0)]
    padded = np.pad(packed, edges)
    pooled = np.zeros((*packed.shape[:-3], layer.out_height, layer.out_width, packed.shape[-1]), np.uint8)
    (stride_h, stride_w) = layer.stride
    for i in range(layer.kernel[0]):
        for j in range(layer.kernel[1]):
            rows = slice(i, i + (layer.out_height - 1) * stride_h + 1, stride_h)
            cols = slice(j, j + (layer.out_width - 1) * stride_w + 1, stride_w)
            pooled |= padded[..., rows, cols, :]
    return pooled
