"""Schedules meet memory and kernels: one function to cost a schedule, one to execute it, for every kind.

A new kind of schedule registers its own pair with ``lay_out.register`` and ``execute.register``, and, if it
shall have access traces, with ``itemise.register``.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.schedules.dense.laying import gemm_moves, gemm_traffic
from spikex_sim.schedules.dense.schedule import GemmSchedule
from spikex_sim.schedules.ntwu.execute import execute as execute_issued
from spikex_sim.schedules.ntwu.group import Widths
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.residency import APART, Handover
from spikex_sim.schedules.ntwu.schedule import Schedule
from spikex_sim.schedules.ntwu.survey import survey
from spikex_sim.schedules.ntwu.traffic import Traffic, ntwu_moves, traffic_of
from spikex_sim.schedules.serial.laying import serial_moves, serial_traffic
from spikex_sim.schedules.serial.schedule import SerialSchedule
from spikex_sim.schedules.steps import Moves, durations_of, undisturbed
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Neuron
from spikex_sim.timing.engine import Durations

AnySchedule = Schedule | GemmSchedule | SerialSchedule
"""Kinds of schedules."""


@singledispatch
def lay_out(
    schedule: Any,
    inputs: Any,  # noqa: ARG001
    widths: Widths,  # noqa: ARG001
    arch: Accelerator,  # noqa: ARG001
    handover: Handover = APART,  # noqa: ARG001
) -> tuple[Traffic, Durations]:
    """Count what a schedule moves and computes, and the cycles of each of its steps.

    Parameters
    ----------
    schedule : Schedule, GemmSchedule or SerialSchedule
        What is issued when.
    inputs : WindowedSpikes or Activations
        Input of the layer.
    widths : Widths
        Bits per weight, partial sum and potential.
    arch : Accelerator
        Buffers, ports and array.
    handover : Handover
        What the layers around have in the GLB; schedules that cannot use it leave it aside.
    """
    raise TypeError(f"no costs are known for a {type(schedule).__name__}")


@singledispatch
def itemise(
    schedule: Any,
    inputs: Any,  # noqa: ARG001
    widths: Widths,  # noqa: ARG001
    arch: Accelerator,
    handover: Handover = APART,  # noqa: ARG001
) -> dict[str, Moves]:
    """Tell apart by tensor what each step that :func:`lay_out` finds moves; arguments as there.

    Raises
    ------
    UnsupportedError
        If nobody has said how for this kind of schedule.
    """
    raise UnsupportedError(
        f"steps of a {type(schedule).__name__} are not told apart by tensor; register a function with "
        "spikex_sim.schedules.issue.itemise",
        where=arch.name,
    )


@singledispatch
def execute(
    schedule: Any,
    spikes: Any,  # noqa: ARG001
    weight: NDArray[Any],  # noqa: ARG001
    bias: NDArray[Any] | None,  # noqa: ARG001
    neuron: Neuron,  # noqa: ARG001
    potential_bits: int,  # noqa: ARG001
) -> tuple[NDArray[np.uint8], int]:
    """Run a schedule: output spikes packed along time ``[M, P, ceil(T/8)]``, and the additions made."""
    raise TypeError(f"a {type(schedule).__name__} cannot be executed")


@lay_out.register
def _(
    schedule: Schedule, inputs: Any, widths: Widths, arch: NtwuOptions, handover: Handover = APART
) -> tuple[Traffic, Durations]:
    traffic = traffic_of(schedule, inputs, survey(schedule, inputs), widths, arch, handover)
    return traffic, durations_of(traffic.program, arch)


@lay_out.register
def _(
    schedule: GemmSchedule,
    inputs: Any,
    widths: Widths,
    arch: Accelerator,
    handover: Handover = APART,  # noqa: ARG001
) -> tuple[Traffic, Durations]:
    traffic = gemm_traffic(schedule, inputs, widths, arch)
    return traffic, durations_of(traffic.program, arch) if schedule.waits else undisturbed(traffic.program)


@lay_out.register
def _(
    schedule: SerialSchedule,
    inputs: Any,
    widths: Widths,
    arch: Accelerator,
    handover: Handover = APART,  # noqa: ARG001
) -> tuple[Traffic, Durations]:
    traffic = serial_traffic(schedule, inputs, widths, arch)
    return traffic, durations_of(traffic.program, arch)


@itemise.register
def _(
    schedule: Schedule, inputs: Any, widths: Widths, arch: NtwuOptions, handover: Handover = APART
) -> dict[str, Moves]:
    return ntwu_moves(schedule, inputs, survey(schedule, inputs), widths, arch, handover)


@itemise.register
def _(
    schedule: GemmSchedule,
    inputs: Any,  # noqa: ARG001
    widths: Widths,
    arch: Accelerator,
    handover: Handover = APART,  # noqa: ARG001
) -> dict[str, Moves]:
    return gemm_moves(schedule, widths, arch)


@itemise.register
def _(
    schedule: SerialSchedule,
    inputs: Any,
    widths: Widths,
    arch: Accelerator,
    handover: Handover = APART,  # noqa: ARG001
) -> dict[str, Moves]:
    return serial_moves(schedule, inputs, widths, arch)


for kind in (Schedule, SerialSchedule, GemmSchedule):
    execute.register(kind, execute_issued)
