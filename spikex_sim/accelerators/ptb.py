"""PTB: parallel time batching, the SpikeX paper's baseline (Section 7; Lee, Zhang, Li, HPCA 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.spec.arch import knob

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
    from spikex_sim.schedules.task import Task


class PtbOptions(NtwuOptions):
    """Configuration of PTB."""

    skips_windows: ClassVar[bool] = False

    tailored: bool = knob(
        False,
        "only weights and SP-MBs of input channels with activity move; every window is issued all the same",
    )
    stsap: bool = knob(False, "taps whose windows do not overlap share a slot")


class ParallelTimeBatching(Scheduler):
    """Columns are consecutive windows of one position, whatever their tags; all channels move.

    With ``tailored`` only those with activity do. With ``stsap`` taps whose windows do not overlap share an
    integration slot.
    """

    options = PtbOptions

    def schedule(self, task: Task, arch: PtbOptions) -> NtwuSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        from spikex_sim.schedules.ntwu.packing import Runs
        from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
        from spikex_sim.schedules.ntwu.tiles import choose_tiles

        return NtwuSchedule.of(
            task,
            arch.array.rows,
            choose_tiles(task, arch, fill_columns=True),
            Runs(np.ones_like(task.active), arch.array.cols, by_window=False),
            mode=None,
            stream=arch.stream,
            tailored=arch.tailored,
            packs_taps=arch.stsap,
            owes_all=True,
        )
