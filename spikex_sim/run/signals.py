"""What nodes of a graph give, and what joins, pools and products make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.spec.graph import JoinNode, MatmulNode, PoolNode, Shape, Synapse
from spikex_sim.spec.graph_parts import Windowed


@dataclass(frozen=True, eq=False)
class Signal:
    """What a node gives.

    Attributes
    ----------
    carries : {"spikes", "analog", "currents"}
        What it is.
    array : array
        Packed spikes ``[C, H, W, ceil(T/8)]``; integers or float32 ``[C, H, W, T]``, constant ones
        ``[C, H, W]``.
    constant : bool
        Whether it is the same at all time points.
    issued : packed bits ``[C, H, W, ceil(T/8)]`` or None
        Of currents with tags, the time points of windows in which they were issued.
    """

    carries: str
    array: NDArray[Any]
    constant: bool = False
    issued: PackedSpikes | None = None

    @property
    def shape(self) -> Shape:
        """``(C, H, W)``."""
        channels, height, width = self.array.shape[:3]
        return channels, height, width

    def at(self, channels: slice) -> NDArray[Any]:
        """Values of some channels."""
        return self.array[channels]


def delayed(packed: PackedSpikes, delay: int, timesteps: int) -> PackedSpikes:
    """Spikes so many time points later; nothing before the start."""
    if not delay:
        return packed
    return np.packbits(later(np.unpackbits(packed, axis=-1, count=timesteps), delay), axis=-1)


def later(values: NDArray[Any], delay: int) -> NDArray[Any]:
    """Values ``[..., T]`` so many time points later; 0 before the start."""
    if not delay:
        return values
    found = np.zeros_like(values)
    found[..., delay:] = values[..., :-delay]
    return found


def taps_inside(windowed: Windowed, shape: Shape) -> tuple[tuple[int, int], list[tuple[slice, ...]]]:
    """Size of what a window gives, and for each of its taps where outputs and inputs lie that meet there."""
    rows, columns = windowed.out_size(*shape[1:])
    found = []
    for i in range(windowed.kernel[0]):
        for j in range(windowed.kernel[1]):
            spans = []
            for axis, (tap, size, out) in enumerate(((i, shape[1], rows), (j, shape[2], columns))):
                start = tap * windowed.dilation[axis] - windowed.padding[2 * axis]
                stride = windowed.stride[axis]
                first = max(0, -(start // stride))
                last = min(out, (size - 1 - start) // stride + 1)
                spans.append((first, max(first, last), start + first * stride, stride))
            outputs = tuple(slice(first, last) for first, last, _, _ in spans)
            inputs = tuple(
                slice(at, at + max(0, last - first - 1) * stride + (last > first), stride)
                for first, last, at, stride in spans
            )
            found.append((*outputs, *inputs))
    return (rows, columns), found


def pooled(node: PoolNode, packed: PackedSpikes) -> PackedSpikes:
    """OR of packed spikes over windows; the padding is silence."""
    shape = (packed.shape[0], packed.shape[1], packed.shape[2])
    size, taps = taps_inside(node, shape)
    out = np.zeros((shape[0], *size, packed.shape[3]), np.uint8)
    for rows, columns, y, x in taps:
        out[:, rows, columns] |= packed[:, y, x]
    return out


def joined(node: JoinNode, operands: Sequence[PackedSpikes]) -> PackedSpikes:
    """Join packed spikes element by element or along channels."""
    if node.how == "slice":
        assert node.channels is not None
        return np.ascontiguousarray(operands[0][slice(*node.channels)])
    if node.how == "concat":
        return np.concatenate(operands, axis=0)
    shape = tuple(max(one.shape[axis] for one in operands) for axis in range(4))
    full = [np.broadcast_to(np.repeat(one, shape[0] // len(one), axis=0), shape) for one in operands]
    out = full[0].copy()
    for other in full[1:]:
        if node.how == "or":
            out |= other
        elif node.how == "and":
            out &= other
        else:
            out &= ~other
    return out


def positions_of(synapse: Synapse, shape: Shape) -> NDArray[np.int64]:
    """Taps inside the map of every output position of a synapse with own channels, ``[P]``."""
    size, taps = taps_inside(synapse, shape)
    found = np.zeros(size, np.int64)
    for rows, columns, _, _ in taps:
        found[rows, columns] += 1
    return found.reshape(-1)


def addend_of(synapse: Synapse, weight: NDArray[Any], signal: Signal, *, floating: bool) -> NDArray[Any]:
    """What a synapse adds that takes currents: their sum or largest over its window, times the weight.

    Returns
    -------
    int64 or float32 array ``[points, P, C]``
        ``points`` is 1 for constants, else ``T``; shifted right in the integer datapath.
    """
    number = np.float32 if floating else np.int64
    values = signal.array.astype(number)
    values = values[..., None] if signal.constant else values
    values = later(values, synapse.delay)
    size, taps = taps_inside(synapse, signal.shape)
    lowest: Any = -np.inf if floating else np.iinfo(np.int64).min
    largest = synapse.kind == "maxpool"
    out = np.full((len(values), *size, values.shape[-1]), lowest if largest else 0, number)
    for rows, columns, y, x in taps:
        if largest:
            out[:, rows, columns] = np.maximum(out[:, rows, columns], values[:, y, x])
        else:
            out[:, rows, columns] += values[:, y, x]
    if largest:
        out[out == lowest] = 0
    out *= weight.astype(number)[:, None, None, None]
    if synapse.shift:
        out >>= synapse.shift
    return np.ascontiguousarray(out.transpose(3, 1, 2, 0)).reshape(values.shape[-1], -1, len(values))


def matrices(array: NDArray[Any], node: MatmulNode, *, turned: bool) -> NDArray[Any]:
    """Matrices ``[heads, rows, columns, T]`` of a map over time ``[C, H, W, T]``."""
    channels, height, width, points = array.shape
    found = array.reshape(node.heads, channels // node.heads, height * width, points)
    return found.swapaxes(1, 2) if turned else found


def unpacked(packed: PackedSpikes, timesteps: int) -> NDArray[np.uint8]:
    """Spikes as 0 and 1 ``[C, H, W, T]``."""
    return np.unpackbits(packed, axis=-1, count=timesteps)
