"""Ways to break a correct time-serial schedule; see :mod:`spoiled`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spikex_sim.schedules.serial.schedule import SerialSchedule
from spikex_sim.spec.arch import Accelerator
from spoiled import FAR, Spoil, changed, says

SERIAL: list[tuple[str, Spoil]] = []

NOT_ASKED_FOR = r"position \d+: -?\d+ {}, but its receptive field asks for \d+"


@says(SERIAL, NOT_ASKED_FOR.format("spikes taken"))
def with_spikes_elsewhere(
    schedule: SerialSchedule, _arch: Accelerator, rng: np.random.Generator
) -> SerialSchedule | None:
    """As many spikes in all, but not those of each position."""
    if len(schedule.taken) < 2:
        return None
    one, other = rng.choice(len(schedule.taken), 2, replace=False)
    taken = changed(schedule.taken, one, schedule.taken[one] + 1)
    taken[other] -= 1
    return replace(schedule, taken=taken)


@says(SERIAL, NOT_ASKED_FOR.format("(spikes taken|updates)"))
def with_other_numbers(
    schedule: SerialSchedule, _arch: Accelerator, rng: np.random.Generator
) -> SerialSchedule:
    name, by = str(rng.choice(["taken", "updates"])), int(rng.choice([-1, 1, *FAR]))
    own = getattr(schedule, name)
    at = rng.integers(len(own))
    return replace(schedule, **{name: changed(own, at, own[at] + by)})


@says(SERIAL, r"group \d+: \d+ channels on \d+ PEs")
def with_other_groups(
    schedule: SerialSchedule, arch: Accelerator, rng: np.random.Generator
) -> SerialSchedule:
    pes = arch.array.rows * arch.array.cols
    wrong: list[dict[str, Any]] = [  # as many channels in all
        {"groups": (pes + 1, schedule.task.out_channels - pes - 1), "lanes": pes + 1},
        {"groups": (0, *schedule.groups)},
        {"lanes": 0},
    ]
    return replace(schedule, **wrong[rng.integers(3)])


@says(SERIAL, "is no int64 array with one number for each position")
def with_other_positions(
    schedule: SerialSchedule, _arch: Accelerator, rng: np.random.Generator
) -> SerialSchedule:
    name = str(rng.choice(["taken", "updates"]))
    own = getattr(schedule, name)
    return replace(schedule, **{name: (own[1:], own.astype(np.int32), own[None])[rng.integers(3)]})


@says(SERIAL, r"windows of \d+ time points; there is one of all time points")
def with_two_windows(schedule: SerialSchedule, *_: Any) -> SerialSchedule:
    inputs = replace(schedule.task.inputs, spikes=(replace(schedule.spikes, windows=2),))
    return replace(schedule, task=replace(schedule.task, inputs=inputs))


@says(SERIAL, r"\d+ channels in groups of \[")
def with_other_channels(
    schedule: SerialSchedule, _arch: Accelerator, rng: np.random.Generator
) -> SerialSchedule:
    wrong = (schedule.groups[:-1], schedule.groups * 2, ())
    return replace(schedule, groups=wrong[rng.integers(3)])
