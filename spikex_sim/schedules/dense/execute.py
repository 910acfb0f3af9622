"""Executes a dense schedule: folds in the order issued, on spikes or on activations.

A fold adds the weights of its taps to the sums of its rows; a row whose taps have all arrived settles: its
neurons are updated and may fire. Consecutive folds of the same rows with the next taps, or of the next rows
with the same taps, are walked as one block. The channel groups issue the same, one after the other; here
their output channels are the lanes of the innermost loops. Sums add the taps of a fold in ascending order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.events import events_of
from spikex_sim.core.field import Field, Taps, taps_of
from spikex_sim.core.geometry import Geometry
from spikex_sim.core.jit import kernel
from spikex_sim.core.neurons import Lif, by_channel, fire
from spikex_sim.schedules.dense.activations import Activations
from spikex_sim.schedules.synapses import Executed, Synapses
from spikex_sim.schedules.walk import Walk

if TYPE_CHECKING:
    from spikex_sim.schedules.dense.schedule import DenseSchedule

MAX_SUMS_BYTES = 4 << 30
"""Most memory that sums which wait for further folds may take."""


def execute(schedule: DenseSchedule, synapses: Synapses) -> Executed:
    """Run every fold on spikes; see :meth:`spikex_sim.schedules.base.Schedule.execute`.

    Raises
    ------
    ConfigError
        If sums that wait for further folds take too much memory.
    """
    task, lanes = schedule.task, synapses.out_channels
    inputs, taps = task.inputs, schedule.taps
    blocks = _join(schedule.folds) if taps else _rows_alone(schedule.passes)
    whole = bool(((blocks[:, 3] == 0) & (blocks[:, 4] == taps)).all())
    waiting = task.positions if whole else int(schedule.rows_of_pass.max(initial=1)) * schedule.points
    if waiting * lanes * np.dtype(synapses.number).itemsize > MAX_SUMS_BYTES:
        raise ConfigError(
            f"partial sums of {waiting:,} rows and {lanes} channels take more than "
            f"{MAX_SUMS_BYTES >> 30} GiB; choose fewer positions or windows a tile",
            field="mapping",
        )
    if not (synapses.is_simple and len(inputs.synapses) == 1 and _is_close(inputs.synapses[0].geometry)):
        walk = Walk.of(inputs, synapses)
        made = walk.rows(events_of(inputs), schedule.passes, blocks, taps, 0 if whole else waiting)
        return walk.executed(made)
    geometry, spikes = inputs.synapses[0].geometry, inputs.spikes[0]
    weight = synapses.weights[0]
    fired, additions = _walk(
        geometry, spikes.timesteps, spikes.times, spikes.starts, schedule.passes, blocks, schedule.points,
        whole, waiting, _in_reach(weight, geometry), np.tile(synapses.biases, geometry.positions),
        synapses.lif,
    )  # fmt: skip
    return Executed(fired, int(additions), 0)


def _is_close(geometry: Geometry) -> bool:
    """Whether an input meets positions side by side through taps side by side."""
    return geometry.dilation_h == geometry.dilation_w == 1


def _rows_alone(passes: NDArray[np.int64]) -> NDArray[np.int64]:
    """All rows of every pass, without taps: neurons that take currents alone."""
    rows = (passes[:, 1] - passes[:, 0]) * (passes[:, 3] - passes[:, 2])
    nothing = np.zeros_like(rows)
    return np.stack([np.arange(len(rows)), nothing, rows, nothing, nothing], axis=1)


def multiply(schedule: DenseSchedule, synapses: Synapses) -> tuple[NDArray[Any], int]:
    """Run every fold on activations, where sums grow tap fold by tap fold.

    Returns
    -------
    int64 or float32 array ``[M, P]``, int
        Weighted sums without bias, and the number of multiplications of a non-zero activation.
    """
    inputs, lanes = schedule.task.inputs, synapses.out_channels
    assert isinstance(inputs, Activations)
    number: Any = np.int64 if synapses.datapath == "int" else np.float32
    sums = np.zeros((schedule.task.positions, lanes), number)
    weight, reached = np.zeros((0, lanes), number), list[int]()
    for synapse, own, array in zip(inputs.synapses, synapses.own, synapses.weights, strict=True):
        flat = array.reshape(lanes, -1)
        if own:
            taps = np.arange(synapse.geometry.taps)
            flat = np.zeros((lanes, len(taps)), array.dtype)
            flat[taps // synapse.geometry.filter_taps, taps] = array[taps // synapse.geometry.filter_taps]
        weight = np.concatenate([weight, flat.T.astype(number)])
        reached += [1 if own else lanes] * synapse.geometry.taps
    taps_ = taps_of(inputs.synapses)
    products = _multiply(
        inputs.field,
        taps_,
        inputs.by_pixel,
        schedule.passes,
        schedule.folds,
        weight,
        np.array(reached, np.int64),
        sums,
    )
    return sums.T, int(products)


def _in_reach(weight: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Weights as ``[C * E_h * E_w * M]``, in the order in which an input's spike meets them.

    In a row, an input reaches positions side by side, the first through the last tap of its phase, which is
    its column modulo the stride: taps are ordered by phase, and descend within it.
    """
    stride = geometry.stride_w
    columns = sorted(range(geometry.kernel_w), key=lambda j: (j % stride, -j))
    by_tap = weight.reshape(len(weight), geometry.channels, geometry.kernel_h, geometry.kernel_w)
    if len(columns) > 1:
        by_tap = by_tap[..., columns]
    return np.ascontiguousarray(by_tap.transpose(1, 2, 3, 0)).ravel()


@kernel
def _join(folds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Folds with what follows them in the same rows or the same taps; order and meaning stay."""
    blocks = folds.copy()
    for axis in (3, 1):  # taps first, then rows
        count = 0
        for fold in range(len(blocks)):
            if count > 0:
                before = blocks[count - 1]
                same = before[0] == blocks[fold, 0]
                for side in range(1, 5):
                    if side not in (axis, axis + 1):
                        same = same and before[side] == blocks[fold, side]
                if same and before[axis + 1] == blocks[fold, axis]:
                    before[axis + 1] = blocks[fold, axis + 1]
                    continue
            blocks[count] = blocks[fold]
            count += 1
        blocks = blocks[:count]
    return blocks


@kernel
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


@kernel
def _reach(geometry: Geometry) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where the spikes of each pixel go.

    Returns
    -------
    int32 array ``[H, E_h + 1, 2]``
        Output row and filter row of each meeting of an input row with the filter, -1 where there are no more.
    int32 array ``[W, 4]``
        First output column that an input column reaches, how many, the first filter column in the order of
        :func:`_in_reach`, and the filter column itself.
    """
    rows = np.full((geometry.in_height, geometry.kernel_h + 1, 2), -1, np.int32)
    for y in range(geometry.in_height):
        met = 0
        for i in range(geometry.kernel_h):
            row, rest = divmod(y + geometry.pad_h - i, geometry.stride_h)
            if rest == 0 and 0 <= row < geometry.out_height:
                rows[y, met, 0], rows[y, met, 1] = row, i
                met += 1
    columns = np.zeros((geometry.in_width, 4), np.int32)
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
        columns[x, 3] = x + geometry.pad_w - first * geometry.stride_w
    return rows, columns


@kernel
def _walk(
    geometry: Geometry,
    timesteps: int,
    times: NDArray[np.int32],
    spike_starts: NDArray[np.int64],
    passes: NDArray[np.int64],
    blocks: NDArray[np.int64],
    points: int,
    whole: bool,
    waiting: int,
    weight: NDArray[Any],
    bias: NDArray[Any],
    lif: Lif,
) -> tuple[NDArray[np.uint8], int]:
    """Output spikes ``[M, P, ceil(T/8)]``, and additions.

    ``waiting`` rows of sums are kept: where every block brings all taps (``whole``), one for each position.
    """
    positions = geometry.out_height * geometry.out_width
    lanes = len(bias) // positions
    starts, inputs = _sort_by_time(geometry.channels, times, spike_starts, timesteps)
    rows, columns = _reach(geometry)
    y_of = np.arange(len(rows) * len(columns)) // len(columns)
    potential, sums = np.zeros(positions * lanes, bias.dtype), np.zeros(waiting * lanes, bias.dtype)
    arrived = np.zeros(0 if whole else waiting, np.int64)
    fired = np.zeros(((timesteps + 7) // 8) * positions * lanes, np.uint8)
    all_taps = geometry.channels * geometry.kernel_h * geometry.kernel_w
    additions, current = 0, -1
    for block in range(len(blocks)):
        index, r0, r1, k0, k1 = blocks[block]
        if index != current and not whole:
            sums[:], arrived[:] = 0, 0
        current = index
        p0, p1, u0 = passes[index, 0], passes[index, 1], passes[index, 2]
        size = p1 - p0
        for unit in range(r0 // size, (r1 - 1) // size + 1):
            first, last = p0 + max(0, r0 - unit * size), p0 + min(size, r1 - unit * size)
            for point in range(points):
                t = (u0 + unit) * points + point
                base = (
                    0 if whole else (unit * points + point) * size - p0
                )  # sums lie from here on by position
                for event in range(starts[t], starts[t + 1]):
                    channel, y = inputs[event, 0], y_of[inputs[event, 1]]
                    column = columns[inputs[event, 1] - y * geometry.in_width]
                    additions += lanes * _spread(
                        geometry, rows[y], column, channel, first, last, k0, k1, all_taps, base, weight, sums,
                        lanes,
                    )  # fmt: skip
                if whole:
                    own = first * lanes
                    fire(potential, own, (last - first) * lanes, sums, own, 0, bias[own:], lif, t, 1, fired)
                    continue
                for p in range(first, last):
                    arrived[base + p] += k1 - k0
                    if arrived[base + p] == all_taps:
                        fire(potential, p * lanes, lanes, sums, (base + p) * lanes, 0, bias, lif, t, 1, fired)
    return by_channel(fired.reshape(-1, positions * lanes), lanes), additions


@kernel
def _spread(
    geometry: Geometry,
    rows: NDArray[np.int32],
    column: NDArray[np.int32],
    channel: int,
    first: int,
    last: int,
    k0: int,
    k1: int,
    all_taps: int,
    base: int,
    weight: NDArray[Any],
    sums: NDArray[Any],
    lanes: int,
) -> int:
    """Add the weights of one spike to the sums of the positions and taps of a block; how many it met."""
    met = found = 0
    while rows[met, 0] >= 0:
        left = rows[met, 0] * geometry.out_width + column[0]
        tap = (channel * geometry.kernel_h + rows[met, 1]) * geometry.kernel_w
        place = tap + column[2]
        if first <= left and left + column[1] <= last and k0 == 0 and k1 == all_taps:
            into, source = np.uintp((base + left) * lanes), np.uintp(place * lanes)
            for lane in range(np.uintp(column[1] * lanes)):  # unsigned: a sign would have to be looked at
                sums[into + lane] += weight[source + lane]
            found += column[1]
        else:
            for step in range(column[1]):
                own = tap + column[3] - step * geometry.stride_w
                if first <= left + step < last and k0 <= own < k1:
                    into, source = np.uintp((base + left + step) * lanes), np.uintp((place + step) * lanes)
                    for lane in range(np.uintp(lanes)):
                        sums[into + lane] += weight[source + lane]
                    found += 1
        met += 1
    return found


@kernel
def _multiply(
    field: Field,
    taps: Taps,
    values: NDArray[np.int64],
    passes: NDArray[np.int64],
    folds: NDArray[np.int64],
    weight: NDArray[Any],
    reached: NDArray[np.int64],
    sums: NDArray[Any],
) -> int:
    products = 0
    lanes = weight.shape[1]
    for f in range(len(folds)):
        first_p = passes[folds[f, 0], 0]
        for r in range(folds[f, 1], folds[f, 2]):
            for k in range(folds[f, 3], folds[f, 4]):
                pixel = field.place[first_p + r, taps.place[k]]
                if pixel < 0 or values[field.start[pixel] + taps.channel[k]] == 0:
                    continue
                value = sums.dtype.type(values[field.start[pixel] + taps.channel[k]])
                for m in range(lanes):
                    sums[first_p + r, m] += weight[k, m] * value
                products += reached[k]
    return products
