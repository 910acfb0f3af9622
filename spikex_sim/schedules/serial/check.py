"""Holds a time-serial schedule against its input and the array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikex_sim.schedules.base import int64_arrays, refuse
from spikex_sim.schedules.serial.fields import field_spikes
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.serial.schedule import SerialSchedule


def check(schedule: SerialSchedule, arch: Accelerator) -> None:
    """Raise :class:`ScheduleError` unless every position takes the spikes of its field, all of them.

    It updates its neurons at every time point that has one, or at all time points where silence is not free.
    No group has more channels than there are PEs.
    """
    kind, pes, spikes = f"scheduler {arch.scheduler}", arch.array.rows * arch.array.cols, schedule.spikes
    if sum(schedule.groups) != schedule.task.out_channels:
        rule = f"{schedule.task.out_channels} channels in groups of {list(schedule.groups)}"
        raise refuse(kind, {}, rule)
    for group, channels in enumerate(schedule.groups):
        if not 1 <= channels <= min(schedule.lanes, pes):
            rule = f"{channels} channels on {min(schedule.lanes, pes)} PEs"
            raise refuse(kind, {"group": group}, rule)
    wrong = int64_arrays(taken=(schedule.taken, 1), updates=(schedule.updates, 1))
    if wrong or not len(schedule.taken) == len(schedule.updates) == schedule.geometry.positions:
        raise refuse(kind, {}, f"{wrong or 'taken'} is no int64 array with one number for each position")
    if spikes.windows != 1:
        raise refuse(kind, {}, f"windows of {spikes.tws} time points; there is one of all time points")
    taken, points = field_spikes(schedule.geometry, spikes.times, spikes.starts, spikes.timesteps)
    updates = points if schedule.task.silence_is_free else np.full_like(points, spikes.timesteps)
    for what, own, asked in (("spikes taken", schedule.taken, taken), ("updates", schedule.updates, updates)):
        if not np.array_equal(own, asked):
            p = int(np.argmax(own != asked))
            rule = f"{own[p]} {what}, but its receptive field asks for {asked[p]}"
            raise refuse(kind, {"position": p}, rule)
