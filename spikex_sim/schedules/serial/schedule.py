"""Schedules of time-serial machines: spikes one after the other (docs/accelerators/spinalflow.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.schedules.base import APART, Handover, Layout
from spikex_sim.schedules.serial.check import check
from spikex_sim.schedules.serial.execute import execute
from spikex_sim.schedules.serial.laying import lay_out
from spikex_sim.schedules.steps import Program
from spikex_sim.schedules.synapses import Executed, Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.spec.arch import Accelerator


@dataclass(frozen=True, eq=False)
class SerialSchedule:
    """Positions one after the other, for every channel group alike.

    Attributes
    ----------
    task : Task
        What was asked for: one synapse, one window of all time points.
    groups : tuple of int
        Output channels of each group, in order.
    lanes : int
        PEs of the vector.
    taken, updates : int64 array ``[P]``
        How many spikes of its receptive field, sorted by time, each position takes, and at how many time
        points its neurons are updated.
    """

    task: Task
    groups: tuple[int, ...]
    lanes: int
    taken: NDArray[np.int64]
    updates: NDArray[np.int64]

    @property
    def geometry(self) -> Geometry:
        """Sizes of the only synapse."""
        return self.task.inputs.synapses[0].geometry

    @property
    def spikes(self) -> WindowedSpikes:
        """Its spikes."""
        return self.task.inputs.spikes[0]

    @property
    def tws(self) -> int:
        """Time points handled together: all of them."""
        return self.spikes.tws

    @property
    def mode(self) -> None:
        """There are no modes."""
        return

    @property
    def issued(self) -> NDArray[np.bool_]:
        """Positions that have work."""
        return self.taken + self.updates > 0

    def check(self, arch: Accelerator) -> None:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        check(self, arch)

    def lay_out(self, arch: Accelerator, handover: Handover = APART) -> Layout:  # noqa: ARG002
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        return lay_out(self, arch)

    def execute(self, synapses: Synapses) -> Executed:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        return execute(self, synapses)

    def places(self, program: Program) -> list[str]:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        pairs = zip(program.group.tolist(), program.tile.tolist(), strict=True)
        return [f"group {group} position {position}" for group, position in pairs]
