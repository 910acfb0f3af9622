"""PTB: parallel time batching, the SpikeX paper's baseline (Section 7; Lee, Zhang, Li, HPCA 2022)."""

from __future__ import annotations

import numpy as np

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.tags import WindowedSpikes, receptive_activity
from spikex_sim.schedules.base import RowGroups
from spikex_sim.schedules.ntwu.packing import Runs
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.ntwu.tiles import choose_tiles
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer


class ParallelTimeBatching(Scheduler):
    """Columns are consecutive windows of one position, whatever their tags; nothing is tailored.

    With ``stsap`` taps whose windows do not overlap share an integration slot.
    """

    def schedule(
        self,
        layer: Layer,
        spikes: WindowedSpikes,
        silence_is_free: bool,
        potential_bits: int,
        arch: Accelerator,
    ) -> NtwuSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        geometry = geometry_of(layer)
        groups = RowGroups(arch.array.rows, layer.out_channels)
        active = receptive_activity(geometry, spikes)
        shape = choose_tiles(
            geometry, spikes.windows, spikes.tws, groups.sizes[0], potential_bits, arch, fill_columns=True
        )

        return NtwuSchedule.of(
            geometry,
            groups,
            spikes,
            shape,
            Runs(np.ones_like(active), arch.array.cols, by_window=False),
            mode=None,
            active=active if silence_is_free else np.ones_like(active),
            stream=arch.stream,
            tailored=False,
            packs_taps=arch.stsap,
            owes_all=True,
        )
