"""Multi-bit activations: what takes the place of spikes where an ANN runs (docs/accelerators/systolic.md)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import Inputs, Synapse
from spikex_sim.core.geometry import Geometry
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.spec.workload import Layer


@dataclass(frozen=True, eq=False)
class Activations(Inputs):
    """Input of one layer and sample; an ANN runs once, so that there is one time point.

    Attributes
    ----------
    values : tuple of integer array ``[C, pixels]``
        Activations of every synapse.
    """

    values: tuple[NDArray[Any], ...] = ()

    @classmethod
    def of(cls, geometry: Geometry, values: NDArray[Any], bits: int) -> Activations:
        """Input of a layer with one synapse, whose activations have so many bits."""
        synapse = Synapse(geometry, bits=bits)
        return cls((synapse,), (), geometry.positions, 1, 1, (values.reshape(geometry.channels, -1),))

    @cached_property
    def by_pixel(self) -> NDArray[np.int64]:
        """All activations, the channels of a pixel side by side."""
        found = [one.T.astype(np.int64).ravel() for one in self.values]
        return np.concatenate([np.zeros(0, np.int64), *found])

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Activations of a pixel that are not zero, ``[pixels, 1]``."""
        found = [np.count_nonzero(one, axis=0) for one in self.values]
        return np.concatenate([np.zeros(0, np.int64), *found])[:, None].astype(np.int64)


def spike_counts(packed: PackedSpikes, bits: int) -> NDArray[np.uint8]:
    """Spikes of each input over all time points, at most ``2^bits - 1``.

    Parameters
    ----------
    packed : uint8 array ``[..., ceil(T/8)]``
        Bit-packed spikes.
    bits : int
        Width of an activation, at most 8.
    """
    counts = np.bitwise_count(packed).sum(axis=-1, dtype=np.int64)
    clipped: NDArray[np.uint8] = np.minimum(counts, (1 << bits) - 1).astype(np.uint8)
    return clipped


def rectified(sums: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """ReLU, and back to ``bits`` by the smallest right shift for which the largest sum fits.

    Parameters
    ----------
    sums : int64 or float32 array
        Weighted inputs of a layer, bias included.
    bits : int
        Width of an activation, at most 8.
    """
    largest, limit = float(sums.max(initial=0)), (1 << bits) - 1
    shift = 0
    while np.floor(largest / 2.0**shift) > limit:
        shift += 1
    activations: NDArray[np.uint8] = np.floor(np.maximum(sums, 0) / 2.0**shift).astype(np.uint8)
    return activations


def pooled(layer: Layer, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Largest or average activation of every pooling window, rounded down; the padding counts as 0.

    Parameters
    ----------
    layer : Layer
        A pooling layer.
    values : uint8 array ``[C, H, W]``
        Its input.
    """
    (pad_h, pad_w), (kernel_h, kernel_w), (stride_h, stride_w) = layer.padding, layer.kernel, layer.stride
    padded = np.pad(values.reshape(layer.input_shape), ((0, 0), (pad_h, pad_h), (pad_w, pad_w)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel_h, kernel_w), axis=(1, 2))
    windows = windows[:, ::stride_h, ::stride_w]
    if layer.kind == "maxpool":
        largest: NDArray[np.uint8] = windows.max(axis=(3, 4))
        return largest
    sums = windows.sum(axis=(3, 4), dtype=np.int64)
    average: NDArray[np.uint8] = (sums // (kernel_h * kernel_w)).astype(np.uint8)
    return average
