"""Executes a time-serial schedule: position after position, the spikes of its field in order of time.

The channel groups issue the same, one after the other; here their output channels are the lanes of the
innermost loops. Spikes of one time point are added in ascending order of their taps. Neurons other than
simple ones are walked position by position, with all time points of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.events import events_of
from spikex_sim.core.geometry import Geometry, corner
from spikex_sim.core.jit import kernel
from spikex_sim.core.neurons import Lif, by_channel, fire, rest
from spikex_sim.schedules.synapses import Executed, Synapses
from spikex_sim.schedules.walk import Walk

if TYPE_CHECKING:
    from spikex_sim.schedules.serial.schedule import SerialSchedule


def execute(schedule: SerialSchedule, synapses: Synapses) -> Executed:
    """Run what a schedule issues; see :meth:`spikex_sim.schedules.base.Schedule.execute`."""
    if not synapses.is_simple:
        inputs, position = schedule.task.inputs, np.flatnonzero(schedule.issued)
        walk, window = Walk.of(inputs, synapses), np.zeros_like(position)
        every_tap = np.ones((1, inputs.taps), np.uint8)
        made = walk.columns(events_of(inputs), np.array([0, len(position)]), position, window, every_tap)
        return walk.executed(made)
    spikes = schedule.spikes
    fired, additions = _walk(
        schedule.geometry, spikes.timesteps, spikes.times, spikes.starts, schedule.taken, schedule.updates,
        synapses.by_tap, synapses.biases, synapses.lif, synapses.silence_is_free,
    )  # fmt: skip
    return Executed(fired, int(additions), 0)


@kernel
def _walk(
    geometry: Geometry,
    timesteps: int,
    times: NDArray[np.int32],
    starts: NDArray[np.int64],
    taken: NDArray[np.int64],
    updates: NDArray[np.int64],
    weight: NDArray[Any],
    bias: NDArray[Any],
    lif: Lif,
    silence_is_free: bool,
) -> tuple[NDArray[np.uint8], int]:
    """Output spikes ``[M, P, ceil(T/8)]``, and additions."""
    lanes, positions = len(bias), geometry.out_height * geometry.out_width
    filter_taps, area = geometry.kernel_h * geometry.kernel_w, geometry.in_height * geometry.in_width
    potential, sums = np.zeros(positions * lanes, bias.dtype), np.zeros(lanes, bias.dtype)
    fired = np.zeros(((timesteps + 7) // 8) * positions * lanes, np.uint8)
    starts_at = np.zeros(timesteps + 1, np.int64)
    in_order = np.empty(len(times) + 1, np.int64)
    additions = 0
    for p in range(positions):
        if taken[p] == 0 and updates[p] == 0:
            continue
        y0, x0 = corner(geometry, p)
        for sorts in (False, True):  # count the spikes of each time point, then put them there
            if sorts:
                for t in range(timesteps):
                    starts_at[t + 1] += starts_at[t]
            else:
                starts_at[:] = 0
            for tap in range(geometry.channels * filter_taps):
                channel, place = tap // filter_taps, tap % filter_taps
                y = y0 + place // geometry.kernel_w * geometry.dilation_h
                x = x0 + place % geometry.kernel_w * geometry.dilation_w
                if not (0 <= y < geometry.in_height and 0 <= x < geometry.in_width):
                    continue
                n = channel * area + y * geometry.in_width + x
                for event in range(starts[n], starts[n + 1]):
                    if sorts:
                        in_order[starts_at[times[event]]] = place * geometry.channels + channel
                        starts_at[times[event]] += 1
                    else:
                        starts_at[times[event] + 1] += 1
        left, updated, last, begin = taken[p], 0, -1, 0
        for t in range(timesteps):
            end = starts_at[t]  # moved there while its spikes were put in
            added = min(left, end - begin)
            for event in range(begin, begin + added):
                source = in_order[event] * lanes
                for lane in range(lanes):
                    sums[lane] += weight[source + lane]
            additions += added * lanes
            left -= added
            begin = end
            if (added == 0 and silence_is_free) or updated == updates[p]:
                continue
            if last >= 0:
                rest(potential, p * lanes, lanes, lif.leak, t - last - 1)
            updated += 1
            last = t
            fire(potential, p * lanes, lanes, sums, 0, 0, bias, lif, t, 1, fired)
    return by_channel(fired.reshape(-1, positions * lanes), lanes), additions
