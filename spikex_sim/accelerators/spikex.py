"""SpikeX: agile spatiotemporal dispatch of active NTWUs with weight tailoring (Section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.registry import check_given, plugin
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.spec.arch import knob

if TYPE_CHECKING:
    from spikex_sim.core.tags import WindowedSpikes
    from spikex_sim.schedules.ntwu.packing import DispatchPolicy
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
    from spikex_sim.spec.workload import Layer


class SpikeXOptions(NtwuOptions):
    """Configuration of SpikeX."""

    dispatch: str = knob("agile", "policy that packs active NTWUs into batches")
    leak_catchup_cycles: int = knob(1, "update cycles per skipped window", "cycles", ge=0, le=1 << 20)


class SpikeX(Scheduler):
    """Issues active NTWUs only, packed by the configured dispatch policy (paper, Sections III-B to III-D)."""

    options = SpikeXOptions

    def schedule(
        self,
        layer: Layer,
        spikes: WindowedSpikes,
        silence_is_free: bool,
        potential_bits: int,
        arch: SpikeXOptions,
    ) -> NtwuSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        from spikex_sim.core.geometry import geometry_of
        from spikex_sim.core.tags import receptive_activity
        from spikex_sim.schedules.base import RowGroups
        from spikex_sim.schedules.dispatch.agile import AgileDispatch
        from spikex_sim.schedules.ntwu.packing import Packing, Runs, TileView
        from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
        from spikex_sim.schedules.ntwu.tiles import choose_tiles

        geometry = geometry_of(layer)
        groups = RowGroups(arch.array.rows, layer.out_channels)
        active = receptive_activity(geometry, spikes)
        if not silence_is_free:
            active = np.ones_like(active)
        policy: DispatchPolicy = plugin("dispatch", arch.dispatch)
        mode = policy.mode(active, arch.array.cols)
        check_given(policy, "mode", mode, fits=mode in ("temporal", "spatial"), wanted="temporal or spatial")
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
            packing = policy.pack(tile, arch.array.cols, mode)
            fits = isinstance(packing, Packing) and all(isinstance(part, np.ndarray) for part in packing)
            check_given(policy, "pack", packing, fits=fits, wanted="a Packing of arrays")
            return packing

        in_runs = type(policy).pack is AgileDispatch.pack
        pack = Runs(active, arch.array.cols, by_window=mode != "temporal") if in_runs else pack_tile
        return NtwuSchedule.of(
            geometry, groups, spikes, shape, pack, mode=mode, active=active, stream=arch.stream, tailored=True
        )
