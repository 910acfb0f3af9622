"""Second pass over a schedule: execute it. Weights are added where spike bits are set, neurons fire.

The batches run in dispatch order; the lanes of the innermost loop are the output channels, whose row
groups issue the same batches one after the other. Partial sums are int64, or float32 with the taps
added in ascending order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.dispatch import Schedule
from spikex_sim.geometry import Geometry, corner, widest_batch
from spikex_sim.kernels.lif import leaked, saturated
from spikex_sim.serial import SerialSchedule
from spikex_sim.spec.workload import Neuron
from spikex_sim.tags import WindowedSpikes


def execute(
    schedule: Schedule | SerialSchedule,
    spikes: WindowedSpikes,
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    neuron: Neuron,
    potential_bits: int,
) -> tuple[NDArray[np.uint8], int]:
    """Run every batch of a schedule and return what the neurons emit.

    Parameters
    ----------
    schedule : Schedule
        Batches in dispatch order.
    spikes : WindowedSpikes
        Input of the layer.
    weight : int8 or float32 array ``[M, ...]``
        ``[M, C, E_h, E_w]`` or ``[M, N]``.
    bias : int32 or float32 array ``[M]`` or None
        Added at every time point.
    neuron : Neuron
        Parameters and datapath.
    potential_bits : int
        Width at which potentials of the integer datapath saturate.

    Returns
    -------
    uint8 array ``[M, P, ceil(T/8)]``, int
        Output spikes packed along time, and the number of additions executed.
    """
    fired = np.zeros((schedule.geometry.positions, spikes.timesteps, len(weight)), np.uint8)
    arguments: tuple[Any, ...] = (
        schedule.geometry,
        spikes.times,
        spikes.pointers,
        spikes.tws,
        schedule.batch_columns,
        schedule.position,
        schedule.window,
        *neuron_arguments(weight, bias, neuron, potential_bits),
        fired,
    )
    adds = _execute(*arguments)
    return np.packbits(fired.transpose(2, 0, 1), axis=-1), int(adds)


def neuron_arguments(
    weight: NDArray[Any], bias: NDArray[Any] | None, neuron: Neuron, potential_bits: int
) -> tuple[Any, ...]:
    """What kernels take of a layer: weights by tap, bias, threshold, leak, saturation limit, soft reset."""
    number: Any = np.int64 if neuron.datapath == "int" else np.float32
    leak = neuron.leak_shift if neuron.datapath == "int" else neuron.leak
    return (
        weights_by_tap(weight, number),
        np.zeros(len(weight), number) if bias is None else bias.astype(number),
        number(neuron.threshold),
        number(leak),
        1 << (potential_bits - 1),
        neuron.reset == "subtract",
    )


def weights_by_tap(weight: NDArray[Any], number: Any) -> NDArray[Any]:
    """Weights ``[M, ...]`` as ``[K, M]`` of a kernel's number type."""
    by_tap: NDArray[Any] = np.ascontiguousarray(weight.reshape(len(weight), -1).T).astype(number)
    return by_tap


@njit(cache=True)
def _integrate(
    geometry: Geometry,
    times: NDArray[np.int32],
    pointers: NDArray[np.int64],
    tws: int,
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    weight: NDArray[Any],
    psum: NDArray[Any],
) -> int:
    """Stream the taps of one batch in ascending order into ``psum[column, time point, channel]``."""
    area = geometry.in_height * geometry.in_width
    lanes = weight.shape[1]
    adds = 0
    tap = -1
    for channel in range(geometry.channels):
        for i in range(geometry.kernel_h):
            for j in range(geometry.kernel_w):
                tap += 1
                for col in range(len(position)):
                    y, x = corner(geometry, position[col])
                    y += i
                    x += j
                    if not (0 <= y < geometry.in_height and 0 <= x < geometry.in_width):
                        continue
                    n = channel * area + y * geometry.in_width + x
                    for event in range(pointers[n, window[col]], pointers[n, window[col] + 1]):
                        t = times[event] - window[col] * tws
                        for m in range(lanes):
                            psum[col, t, m] += weight[tap, m]
                        adds += lanes
    return adds


@njit(cache=True)
def _execute(
    geometry: Geometry,
    times: NDArray[np.int32],
    pointers: NDArray[np.int64],
    tws: int,
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    weight: NDArray[Any],
    bias: NDArray[Any],
    threshold: Any,
    leak: Any,
    limit: int,
    soft: bool,
    fired: NDArray[np.uint8],
) -> int:
    positions, timesteps, lanes = fired.shape
    potential = np.zeros((positions, lanes), weight.dtype)
    done = np.full(positions, -1, np.int64)
    widest = widest_batch(batch_columns)
    psum = np.zeros((widest, tws, lanes), weight.dtype)
    adds = 0
    for b in range(len(batch_columns) - 1):
        start, stop = batch_columns[b], batch_columns[b + 1]
        psum[: stop - start] = 0
        adds += _integrate(
            geometry, times, pointers, tws, position[start:stop], window[start:stop], weight, psum
        )
        for col in range(stop - start):
            p, w = position[start + col], window[start + col]
            if done[p] >= 0:
                _rest(potential[p], leak, (w - done[p] - 1) * tws)
            done[p] = w
            for t in range(w * tws, min((w + 1) * tws, timesteps)):
                fire(potential[p], psum[col, t - w * tws], bias, threshold, leak, limit, soft, fired[p, t])
    return adds


@njit(cache=True)
def _rest(potential: NDArray[Any], leak: Any, timesteps: int) -> None:
    """Let potentials leak through skipped time points."""
    for m in range(len(potential)):
        for _ in range(timesteps):
            rest = leaked(potential[m], leak)
            if rest == potential[m]:
                break
            potential[m] = rest


@njit(cache=True)
def fire(
    potential: NDArray[Any],
    psum: NDArray[Any],
    bias: NDArray[Any],
    threshold: Any,
    leak: Any,
    limit: int,
    soft: bool,
    fired: NDArray[np.uint8],
) -> None:
    """Update the potentials of one position at one time point, and fire."""
    for m in range(len(potential)):
        v = saturated(leaked(potential[m], leak) + (psum[m] + bias[m]), limit)
        potential[m] = v
        if v > threshold:
            fired[m] = 1
            potential[m] = v - threshold if soft else potential.dtype.type(0)
