"""Schedules of crossbar machines: all output positions of a time point, wherever something is read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.events import Events, events_of
from spikex_sim.core.geometry import Geometry, Receivers, receivers_of
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.schedules.base import refuse
from spikex_sim.schedules.crossbar.execute import fire, integrated
from spikex_sim.schedules.crossbar.laying import CrossbarLayout, lay_out
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.plan import LayerPlan
from spikex_sim.schedules.synapses import Executed, Synapses
from spikex_sim.schedules.task import Task

KIND = "crossbar schedule"


@dataclass(frozen=True, eq=False)
class CrossbarSchedule:
    """A layer on its crossbars.

    Attributes
    ----------
    task : Task
        What was asked for: one synapse of spikes, windows of one time point.
    mapping : LayerMapping
        Where its weights lie.
    points : int
        Time points at which crossbars are read: all, or the first alone of an input that stays the same.
    """

    task: Task
    mapping: LayerMapping
    points: int

    @property
    def geometry(self) -> Geometry:
        """Sizes of the only synapse."""
        return self.task.inputs.synapses[0].geometry

    @property
    def spikes(self) -> WindowedSpikes:
        """Its spikes."""
        return self.task.inputs.spikes[0]

    @property
    def direct(self) -> bool:
        """Whether sums are computed once and kept."""
        return self.points < self.spikes.timesteps

    @property
    def mode(self) -> None:
        """There are no modes."""
        return

    @cached_property
    def events(self) -> Events:
        """Spikes by pixel and time point."""
        return events_of(self.task.inputs)

    @cached_property
    def receivers(self) -> Receivers:
        """Output positions that see each pixel."""
        return Receivers(*receivers_of(self.geometry))

    def check(self, arch: CrossbarOptions) -> None:
        """See :class:`spikex_sim.schedules.base.Schedule`.

        Raises
        ------
        ScheduleError
            If a tap has no row, a crossbar or PE holds more than it has, or sums are kept of an input that
            changes.
        """
        mapping, geometry = self.mapping, self.geometry
        if len(mapping.block_of) != geometry.taps or mapping.out_channels != self.task.out_channels:
            raise refuse(KIND, {}, f"maps another layer than {self.task.name}")
        outside = (mapping.block_of < 0) | (mapping.block_of >= mapping.blocks)
        if outside.any():
            raise refuse(KIND, {"tap": int(outside.argmax())}, "is in no block")
        full = mapping.rows > arch.imc.crossbar
        if full.any():
            raise refuse(KIND, {"block": int(full.argmax())}, f"has more than {arch.imc.crossbar} rows")
        if (np.diff(mapping.row_of_block) < 0).any() or mapping.row_of_block[0] != 0:
            raise refuse(KIND, {}, "PE rows do not ascend from 0")
        held = np.bincount(mapping.row_of_block)
        if (held > arch.imc.crossbars_per_pe).any() or (held == 0).any():
            rule = f"must hold 1 to {arch.imc.crossbars_per_pe} blocks"
            wrong = int(((held > arch.imc.crossbars_per_pe) | (held == 0)).argmax())
            raise refuse(KIND, {"PE row": wrong}, rule)
        if self.points != self.spikes.timesteps and not (self.points == 1 and is_constant(self.spikes)):
            raise refuse(
                KIND, {"time point": self.points}, "is left out, but the input is not the same there"
            )

    def lay_out(self, arch: CrossbarOptions, plan: LayerPlan) -> CrossbarLayout:
        """Count what is done, and how long the rows of the output take.

        Parameters
        ----------
        arch : CrossbarOptions
            The machine.
        plan : LayerPlan
            Of the layer's mapping, in its place on the chip.
        """
        return lay_out(self, arch, plan)

    def execute(self, synapses: Synapses) -> Executed:
        """Add the weights of all rows that are read, and fire; sums are exact."""
        sums, additions = self.integrate(synapses)
        return Executed(self.fire(sums, synapses), additions, 0)

    def integrate(self, synapses: Synapses) -> tuple[NDArray[np.int32], int]:
        """Exact sums ``[points, P M]`` of what is read, and weights added."""
        return integrated(self, synapses)

    def fire(self, sums: NDArray[Any], synapses: Synapses) -> NDArray[np.uint8]:
        """Packed spikes ``[M, P, ceil(T/8)]`` of neurons that take sums ``[points, P M]``."""
        return fire(self.spikes.timesteps, self.task.positions, sums, synapses)


def is_constant(spikes: WindowedSpikes) -> bool:
    """Whether every input spikes at all time points or at none, some do, and there are several points."""
    each = spikes.per_input()
    some = each[each > 0]
    return spikes.timesteps > 1 and len(some) > 0 and bool((some == spikes.timesteps).all())


def schedule_of(task: Task, arch: CrossbarOptions) -> CrossbarSchedule:
    """Schedule a layer.

    Raises
    ------
    UnsupportedError
        If a crossbar machine cannot do it, naming what.
    ConfigError
        If ``imc.direct`` is true and the input of the first layer changes.
    """
    odd = task.beyond_chains
    if odd:
        raise UnsupportedError(f"layer {task.name}: this machine cannot do {odd}", where=arch.name)
    geometry, spikes = task.inputs.synapses[0].geometry, task.inputs.spikes[0]
    mapping = LayerMapping.of(task.name, geometry, task.out_channels, arch)
    once = task.is_first and arch.imc.direct is not False and is_constant(spikes)
    if task.is_first and arch.imc.direct is True and not once:
        raise UnsupportedError(
            f"is true, but what enters layer {task.name} is not the same at several time points",
            where=arch.name, field="imc.direct",
        )  # fmt: skip
    return CrossbarSchedule(task, mapping, 1 if once else spikes.timesteps)
