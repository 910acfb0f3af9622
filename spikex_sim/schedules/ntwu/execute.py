"""Second pass over a schedule: execute it. Weights are added where spike bits are set, neurons fire.

The windows of a position are issued in ascending order, and positions do not meet, so that all run side by
side here, time point by time point, whatever batches they are issued in. The lanes of the innermost loops are
the output channels. Partial sums are integers, or float32 with the taps added in ascending order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry
from spikex_sim.core.neurons import leaked, saturated
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.schedules.dense.schedule import GemmSchedule
from spikex_sim.schedules.ntwu.schedule import Schedule
from spikex_sim.schedules.serial.schedule import SerialSchedule
from spikex_sim.spec.workload import Neuron

INT32_MAX = np.iinfo(np.int32).max


def execute(
    schedule: Schedule | SerialSchedule | GemmSchedule,
    spikes: WindowedSpikes,
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    neuron: Neuron,
    potential_bits: int,
) -> tuple[NDArray[np.uint8], int]:
    """Run what a schedule issues and return what the neurons emit.

    Parameters
    ----------
    schedule : Schedule, SerialSchedule or GemmSchedule
        Which NTWUs are issued; a dense array issues all.
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
    geometry = schedule.geometry
    issued = np.ones((spikes.windows, geometry.positions), np.bool_)
    if not isinstance(schedule, GemmSchedule):
        issued[:] = False
        issued[schedule.window, schedule.position] = True
    number = number_of(weight, bias, neuron, potential_bits)
    leak = neuron.leak_shift if neuron.datapath == "int" else neuron.leak
    biases = np.zeros(len(weight), number) if bias is None else bias.astype(number)
    arguments: tuple[Any, ...] = (
        geometry,
        spikes.timesteps,
        spikes.tws,
        spikes.times,
        spikes.starts,
        issued,
        weights_in_reach(weight, geometry),
        np.tile(biases, geometry.positions),
        number(neuron.threshold),
        number(leak),
        1 << (potential_bits - 1),
        neuron.reset == "subtract",
    )
    fired, adds = _execute(*arguments)
    return fired, int(adds)


def number_of(weight: NDArray[Any], bias: NDArray[Any] | None, neuron: Neuron, potential_bits: int) -> Any:
    """Type in which sums and potentials are exact: int32 where nothing can exceed it, else int64."""
    if neuron.datapath == "float":
        return np.float32
    largest = weight[0].size << 7
    largest += 0 if bias is None else max(-int(bias.min()), int(bias.max()), 0)
    largest += (1 << (potential_bits - 1)) + abs(int(neuron.threshold))
    return np.int32 if largest <= INT32_MAX else np.int64


def weights_in_reach(weight: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Weights ``[M, ...]`` as ``[C * E_h * E_w * M]``, in the order in which an input's spike meets them.

    In a row, an input reaches positions side by side, the first through the last tap of its phase, which is
    its column modulo the stride: taps are ordered by phase, and descend within it.
    """
    shape = (geometry.channels, geometry.kernel_h, geometry.kernel_w)
    stride = geometry.stride_w
    columns = sorted(range(geometry.kernel_w), key=lambda j: (j % stride, -j))
    by_tap = weight.reshape(len(weight), *shape)
    if len(columns) > 1:
        by_tap = by_tap[..., columns]
    return np.ascontiguousarray(by_tap.transpose(1, 2, 3, 0)).ravel()


@njit(cache=True)
def _sort_by_time(
    channels: int, times: NDArray[np.int32], spike_starts: NDArray[np.int64], timesteps: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Channel and pixel of spikes by time point, ascending: ``inputs[starts[t]:starts[t + 1]]``."""
    starts = np.zeros(timesteps + 1, np.int64)
    for event in range(len(times)):
        starts[times[event] + 1] += 1
    for t in range(timesteps):
        starts[t + 1] += starts[t]
    inputs = np.empty((len(times), 2), np.int32)
    free = starts.copy()
    area = (len(spike_starts) - 1) // channels
    for channel in range(channels):
        for pixel in range(area):
            n = channel * area + pixel
            for event in range(spike_starts[n], spike_starts[n + 1]):
                t = times[event]
                inputs[free[t], 0] = channel
                inputs[free[t], 1] = pixel
                free[t] += 1
    return starts, inputs


@njit(cache=True)
def _reach(geometry: Geometry) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where the spikes of each pixel go.

    Returns
    -------
    int32 array ``[H, E_h, 2]``
        Output row and filter row of each meeting of an input row with the filter, -1 where there are no more.
    int32 array ``[W, 3]``
        First output column that an input column reaches, how many, and the first filter column, in the order
        of :func:`weights_in_reach`.
    """
    rows = np.full((geometry.in_height, geometry.kernel_h + 1, 2), -1, np.int32)
    for y in range(geometry.in_height):
        met = 0
        for i in range(geometry.kernel_h):
            row, rest = divmod(y + geometry.pad_h - i, geometry.stride_h)
            if rest == 0 and 0 <= row < geometry.out_height:
                rows[y, met, 0], rows[y, met, 1] = row, i
                met += 1
    columns = np.zeros((geometry.in_width, 3), np.int32)
    for x in range(geometry.in_width):
        last, phase = divmod(x + geometry.pad_w, geometry.stride_w)
        before, reach = 0, 0
        for other in range(phase + 1):
            before += reach
            reach = max(0, (geometry.kernel_w - other + geometry.stride_w - 1) // geometry.stride_w)
        first = max(0, last - reach + 1)
        columns[x, 0] = first
        columns[x, 1] = max(0, min(last + 1, geometry.out_width) - first)
        columns[x, 2] = before + first - (last - reach + 1)
    return rows, columns


@njit(cache=True)
def _execute(
    geometry: Geometry,
    timesteps: int,
    tws: int,
    times: NDArray[np.int32],
    spike_starts: NDArray[np.int64],
    issued: NDArray[np.bool_],
    weight: NDArray[Any],
    bias: NDArray[Any],
    threshold: Any,
    leak: Any,
    limit: int,
    soft: bool,
) -> tuple[NDArray[np.uint8], int]:
    windows, positions = issued.shape
    lanes = len(bias) // positions
    starts, inputs = _sort_by_time(geometry.channels, times, spike_starts, timesteps)
    rows, columns = _reach(geometry)
    y_of = np.arange(len(rows) * len(columns)) // len(columns)
    potential = np.zeros(positions * lanes, bias.dtype)
    psum = np.zeros(positions * lanes, bias.dtype)
    done = np.full(positions, -1, np.int64)
    edges = np.empty(positions + 1, np.int64)
    fired = np.zeros(((timesteps + 7) // 8, positions * lanes), np.uint8)
    adds = 0
    for w in range(windows):
        runs = 0  # of positions that are issued, side by side
        for p in range(positions):
            if issued[w, p]:
                if 0 <= done[p] < w - 1:
                    _rest(potential[p * lanes : (p + 1) * lanes], leak, (w - done[p] - 1) * tws)
                done[p] = w
            if issued[w, p] != (p > 0 and issued[w, p - 1]):
                edges[runs] = p * lanes
                runs += 1
        edges[runs] = positions * lanes
        for t in range(w * tws, min((w + 1) * tws, timesteps)):
            for event in range(starts[t], starts[t + 1]):
                channel, y = inputs[event, 0], y_of[inputs[event, 1]]
                x = inputs[event, 1] - y * geometry.in_width
                values = np.uintp(columns[x, 1] * lanes)
                met = 0
                while rows[y, met, 0] >= 0:
                    position = rows[y, met, 0] * geometry.out_width + columns[x, 0]
                    tap = (channel * geometry.kernel_h + rows[y, met, 1]) * geometry.kernel_w + columns[x, 2]
                    first, added = np.uintp(position * lanes), np.uintp(tap * lanes)
                    for value in range(values):  # unsigned: a sign would have to be looked at
                        psum[first + value] += weight[added + value]
                    adds += columns[x, 1] * lanes
                    met += 1
            bit = np.uint8(128 >> (t % 8))
            for run in range(0, runs, 2):
                own = slice(edges[run], edges[run + 1])
                _fire(potential[own], psum[own], bias[own], threshold, leak, limit, soft, bit,
                      fired[t // 8, own])  # fmt: skip
    return _by_channel(fired, lanes), adds


@njit(cache=True)
def _by_channel(fired: NDArray[np.uint8], lanes: int) -> NDArray[np.uint8]:
    """Bytes of spikes ``[B, P * M]`` as ``[M, P, B]``."""
    length, positions = len(fired), fired.shape[1] // lanes
    by_channel = np.empty((lanes, positions, length), np.uint8)
    for p in range(positions):
        for m in range(lanes):
            for byte in range(length):
                by_channel[m, p, byte] = fired[byte, p * lanes + m]
    return by_channel


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
def _fire(
    potential: NDArray[Any],
    psum: NDArray[Any],
    bias: NDArray[Any],
    threshold: Any,
    leak: Any,
    limit: int,
    soft: bool,
    bit: np.uint8,
    fired: NDArray[np.uint8],
) -> None:
    """Update potentials at one time point, fire, and empty the sums."""
    nothing = potential.dtype.type(0)
    for m in range(len(potential)):
        v = saturated(leaked(potential[m], leak) + (psum[m] + bias[m]), limit)
        rest = v - threshold if soft else nothing
        fires = v > threshold
        potential[m] = rest if fires else v
        fired[m] |= bit if fires else np.uint8(0)
        psum[m] = nothing
