"""SATA for inference: zero gating, LIF units in the PEs, tick-batching (docs/accelerators/sata.md).

Yin et al., IEEE TCAD 2022; Bhattacharjee et al., "Are SNNs truly energy-efficient?", Section III-A.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.errors import UnsupportedError
from spikex_sim.schedules.dense.options import STATE, DenseOptions
from spikex_sim.spec.arch import knob

if TYPE_CHECKING:
    from spikex_sim.schedules.dense.folds import Dataflow
    from spikex_sim.schedules.dense.schedule import DenseSchedule
    from spikex_sim.schedules.task import Task

TIMING = (
    "memory.dram.bandwidth_gb_s",
    "memory.dram.latency_cycles",
    "memory.glb.dram_port_bits",
    "memory.glb.latency_cycles",
    "memory.lbuf.latency_cycles",
)
"""Keys that say how long the array waits for memory, and nothing else."""


class SataOptions(DenseOptions):
    """Configuration of SATA."""

    dataflow: Literal["os", "ws", "tick_batch"] = knob(
        "os",
        "what stays in the PEs: outputs or weights; tick_batch: outputs, with all time points inside",
    )
    lif_sharing: int = knob(1, "output channels that share a LIF unit, C#n", "channels", ge=1, le=4096)
    cycles_model: Literal["overlapped", "published"] = knob(
        "overlapped",
        "published: SATA's formula, memory never waits; overlapped: what the buffers permit",
    )

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """See :class:`spikex_sim.spec.arch.Accelerator`."""
        yield from super().without_effect()
        if self.dataflow == "tick_batch":
            for key in STATE:
                yield key, "dataflow is tick_batch: potentials stay in the PEs"
        if self.cycles_model == "published":
            for key in TIMING:
                yield key, "cycles_model is published: nothing waits for memory"
            if self.energy.table == "default":
                yield "lif_sharing", "cycles_model is published, and energy.table default has no LIF units"


class Sata(Scheduler):
    """Replays a layer every time point (os, ws), or takes all time points of a tap together (tick_batch)."""

    options = SataOptions

    def window_size(self, tws: int, timesteps: int, arch: SataOptions) -> int:  # noqa: ARG002
        """All time points under tick-batch, else one."""
        return timesteps if arch.dataflow == "tick_batch" else 1

    def lif_units(self, arch: SataOptions) -> int:
        """One for so many output channels, which lie along the columns."""
        return arch.array.rows * -(-arch.array.cols // arch.lif_sharing)

    def schedule(self, task: Task, arch: SataOptions) -> DenseSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`.

        Raises
        ------
        UnsupportedError
            For recurrence under tick-batch, which takes all time points of a tap together.
        """
        from spikex_sim.schedules.dense.schedule import DenseSchedule

        batched, published = arch.dataflow == "tick_batch", arch.cycles_model == "published"
        if batched and task.run_windows is not None:
            raise UnsupportedError(
                f"layer {task.name}: dataflow tick_batch takes all time points together and cannot do "
                "recurrence; choose os or ws",
                where=arch.name,
                field="dataflow",
            )
        dataflow: Dataflow = "ws" if arch.dataflow == "ws" else "os"
        keys: dict[str, Any] = {
            "points": task.inputs.timesteps if batched else 1,
            "zero_gating": arch.gates_zeros(by_nature=False),
            "keeps_filters": batched,
            "lif_sharing": 1 if published else arch.lif_sharing,
            "walk_cycles": walk_cycles(task, arch) if batched and published else 0,
            "waits": not published,
        }
        return DenseSchedule.of(
            task,
            dataflow,
            (arch.array.rows, arch.array.cols),
            positions_per_pass=task.positions,
            times_per_pass=1,
            **keys,
        )


def walk_cycles(task: Task, arch: SataOptions) -> int:
    """Cycles of SATA's published walk of the filters in weight-stationary order."""
    rows, cols, taps = arch.array.rows, arch.array.cols, task.inputs.taps
    if not taps:
        return 0
    folds = -(-taps // rows) * -(-task.out_channels // cols)
    return (folds - 1) * (task.positions + 2 * rows + cols - 2) + min(taps, rows) - 1
