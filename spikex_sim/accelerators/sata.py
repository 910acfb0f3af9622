"""SATA for inference: zero gating, LIF units in the PEs, tick-batching (docs/accelerators/sata.md).

Yin et al., IEEE TCAD 2022; Bhattacharjee et al., "Are SNNs truly energy-efficient?", Section III-A.
"""

from __future__ import annotations

from typing import Any

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.geometry import Geometry, geometry_of
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.schedules.dense.folds import Dataflow
from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer


class Sata(Scheduler):
    """Replays a layer every time point (os, ws), or takes all time points of a tap together (tick_batch)."""

    def window_size(self, tws: int, timesteps: int, arch: Accelerator) -> int:  # noqa: ARG002
        """All time points under tick-batch, else one."""
        return timesteps if arch.dataflow == "tick_batch" else 1

    def lif_units(self, arch: Accelerator) -> int:
        """One for so many output channels, which lie along the columns."""
        return arch.array.rows * -(-arch.array.cols // arch.lif_sharing)

    def schedule(
        self,
        layer: Layer,
        spikes: WindowedSpikes,
        silence_is_free: bool,
        potential_bits: int,  # noqa: ARG002
        arch: Accelerator,
    ) -> DenseSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        if arch.dataflow == "is":
            raise ConfigError(
                "input-stationary is a dataflow of the scheduler systolic; choose os, ws or tick_batch",
                where=arch.name,
                field="dataflow",
            )
        geometry = geometry_of(layer)
        batched, published = arch.dataflow == "tick_batch", arch.cycles_model == "published"
        dataflow: Dataflow = "ws" if arch.dataflow == "ws" else "os"
        keys: dict[str, Any] = {
            "points": spikes.timesteps if batched else 1,
            "zero_gating": arch.gates_zeros(by_nature=False),
            "keeps_filters": batched,
            "silence_is_free": silence_is_free,
            "lif_sharing": 1 if published else arch.lif_sharing,
            "walk_cycles": walk_cycles(geometry, layer.out_channels, arch) if batched and published else 0,
            "waits": not published,
        }
        return DenseSchedule.of(
            geometry,
            spikes,
            layer.out_channels,
            dataflow,
            (arch.array.rows, arch.array.cols),
            positions_per_pass=geometry.positions,
            times_per_pass=1,
            **keys,
        )


def walk_cycles(geometry: Geometry, out_channels: int, arch: Accelerator) -> int:
    """Cycles of SATA's published walk of the filters in weight-stationary order."""
    rows, cols = arch.array.rows, arch.array.cols
    folds = -(-geometry.taps // rows) * -(-out_channels // cols)
    return (folds - 1) * (geometry.positions + 2 * rows + cols - 2) + min(geometry.taps, rows) - 1
