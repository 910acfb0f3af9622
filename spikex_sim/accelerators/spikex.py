"""SpikeX: agile spatiotemporal dispatch of active NTWUs with weight tailoring (Section 3)."""

from __future__ import annotations

import numpy as np

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.registry import plugin
from spikex_sim.core.tags import WindowedSpikes, receptive_activity
from spikex_sim.schedules.base import RowGroups
from spikex_sim.schedules.dispatch.agile import AgileDispatch
from spikex_sim.schedules.ntwu.packing import DispatchPolicy, Packing, Runs, TileView
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.ntwu.tiles import choose_tiles
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer


class SpikeX(Scheduler):
    """Issues active NTWUs only, packed by the configured dispatch policy (paper, Sections III-B to III-D)."""

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
        if not silence_is_free:
            active = np.ones_like(active)
        policy: DispatchPolicy = plugin("dispatch", arch.dispatch)
        mode = policy.mode(active, arch.array.cols)
        shape = choose_tiles(
            geometry,
            spikes.windows,
            spikes.tws,
            groups.sizes[0],
            potential_bits,
            arch,
            fill_columns=mode == "temporal",
        )

        def pack_tile(p0: int, p1: int, w0: int, w1: int) -> Packing:
            tile = TileView(active[p0:p1, w0:w1], p0, w0, geometry, spikes)
            return policy.pack(tile, arch.array.cols, mode)

        in_runs = type(policy).pack is AgileDispatch.pack
        pack = Runs(active, arch.array.cols, by_window=mode != "temporal") if in_runs else pack_tile
        return NtwuSchedule.of(
            geometry, groups, spikes, shape, pack, mode=mode, active=active, stream=arch.stream, tailored=True
        )
