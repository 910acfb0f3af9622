"""SpikeX: agile spatiotemporal dispatch of active NTWUs with weight tailoring (Section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.registry import check_given, plugin
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.spec.arch import knob

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.packing import DispatchPolicy
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
    from spikex_sim.schedules.task import Task


class SpikeXOptions(NtwuOptions):
    """Configuration of SpikeX."""

    dispatch: str = knob("agile", "policy that packs active NTWUs into batches")
    leak_catchup_cycles: int = knob(1, "update cycles per skipped window", "cycles", ge=0, le=1 << 20)


class SpikeX(Scheduler):
    """Issues active NTWUs only, packed by the configured dispatch policy (paper, Sections III-B to III-D)."""

    options = SpikeXOptions

    def schedule(self, task: Task, arch: SpikeXOptions) -> NtwuSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        from spikex_sim.schedules.dispatch.agile import AgileDispatch
        from spikex_sim.schedules.ntwu.packing import Packing, Runs, TileView
        from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
        from spikex_sim.schedules.ntwu.tiles import choose_tiles

        active, cols = task.active, arch.array.cols
        policy: DispatchPolicy = plugin("dispatch", arch.dispatch)
        mode = "spatial"
        if task.run_windows is None:
            mode = policy.mode(active, cols)
            check_given(
                policy, "mode", mode, fits=mode in ("temporal", "spatial"), wanted="temporal or spatial"
            )

        def pack_tile(p0: int, p1: int, w0: int, w1: int) -> Packing:
            packing = policy.pack(TileView(active[p0:p1, w0:w1], p0, w0, task.inputs), cols, mode)
            fits = isinstance(packing, Packing) and all(isinstance(part, np.ndarray) for part in packing)
            check_given(policy, "pack", packing, fits=fits, wanted="a Packing of arrays")
            return packing

        in_runs = type(policy).pack is AgileDispatch.pack
        return NtwuSchedule.of(
            task,
            arch.array.rows,
            choose_tiles(task, arch, fill_columns=mode == "temporal"),
            Runs(active, cols, by_window=mode != "temporal") if in_runs else pack_tile,
            mode=mode,
            stream=arch.stream,
            tailored=True,
        )
