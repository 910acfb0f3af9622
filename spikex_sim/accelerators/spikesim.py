"""In-memory computing on crossbars: SpikeSim (docs/accelerators/spikesim.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.costs.crossbar import crossbar_components
from spikex_sim.costs.energy import Component
from spikex_sim.schedules.crossbar.options import CrossbarOptions

if TYPE_CHECKING:
    from spikex_sim.schedules.crossbar.schedule import CrossbarSchedule
    from spikex_sim.schedules.task import Task


class SpikeSim(Scheduler):
    """Reads a crossbar wherever one of its rows has a spike; weights stay where they are."""

    options = CrossbarOptions

    def window_size(self, tws: int, timesteps: int, arch: CrossbarOptions) -> int:  # noqa: ARG002
        """Time points come one by one."""
        return 1

    def components(self, arch: CrossbarOptions) -> tuple[Component, ...]:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        return crossbar_components(arch)

    def schedule(  # type: ignore[override]  # laid out with the whole chip, by a runner of its own
        self, task: Task, arch: CrossbarOptions
    ) -> CrossbarSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        from spikex_sim.schedules.crossbar.schedule import schedule_of

        return schedule_of(task, arch)
