"""Dense systolic arrays: output-, weight- and input-stationary (docs/accelerators/systolic.md).

Cycles as SCALE-Sim defines them (Samajdar et al., ISPASS 2020; SCALE-Sim 3.0.0).
"""

from __future__ import annotations

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer


class Systolic(Scheduler):
    """Issues every tap of every output at every time point, time point by time point."""

    runs_ann = True

    def window_size(self, tws: int, timesteps: int, arch: Accelerator) -> int:  # noqa: ARG002
        """One time point: there are no windows."""
        return 1

    def schedule(
        self,
        layer: Layer,
        spikes: WindowedSpikes,
        silence_is_free: bool,
        potential_bits: int,  # noqa: ARG002
        arch: Accelerator,
    ) -> DenseSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        if arch.dataflow == "tick_batch":
            raise ConfigError(
                "tick_batch is a dataflow of the scheduler sata; choose os, ws or is",
                where=arch.name,
                field="dataflow",
            )
        geometry = geometry_of(layer)
        cuts = arch.mapping
        whole = cuts.tile == "layer"
        return DenseSchedule.of(
            geometry,
            spikes,
            layer.out_channels,
            arch.dataflow,
            (arch.array.rows, arch.array.cols),
            positions_per_pass=geometry.positions if whole or cuts.positions == "auto" else cuts.positions,
            times_per_pass=spikes.timesteps if whole or cuts.windows == "auto" else cuts.windows,
            zero_gating=arch.gates_zeros(by_nature=False),
            silence_is_free=silence_is_free,
        )
