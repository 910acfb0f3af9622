"""Crossbars that hold the neurons of a mapping, on a mesh (docs/accelerators/crossbar.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.errors import UnsupportedError
from spikex_sim.costs.crossbar_mapped import mapped_components
from spikex_sim.costs.energy import Component
from spikex_sim.schedules.crossbar.mapped.options import MappedOptions

if TYPE_CHECKING:
    from spikex_sim.schedules.base import Schedule
    from spikex_sim.schedules.task import Task


class Crossbar(Scheduler):
    """Reads a crossbar at a time point where one of its axons has a spike, wherever its neurons belong."""

    options = MappedOptions

    def window_size(self, tws: int, timesteps: int, arch: MappedOptions) -> int:  # noqa: ARG002
        """Time points come one by one."""
        return 1

    def components(self, arch: MappedOptions) -> tuple[Component, ...]:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        return mapped_components(arch)

    def schedule(self, task: Task, arch: MappedOptions) -> Schedule:
        """Refuse: neurons are mapped with their whole network, by :mod:`spikex_sim.run.mapped`."""
        raise UnsupportedError(
            f"layer {task.name}: crossbars hold neurons of a whole network, a layer alone has no schedule",
            where=arch.name,
        )
