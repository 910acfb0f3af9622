"""SpikeX: agile spatiotemporal dispatch of active NTWUs with weight tailoring (Section 3)."""

from __future__ import annotations

import numpy as np

from spikex_sim.dispatch import DispatchPolicy, RowGroups, Schedule, TileView, cut_tiles, issue
from spikex_sim.geometry import geometry_of
from spikex_sim.memory.mapping import choose_tiles
from spikex_sim.registry import plugin
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer
from spikex_sim.tags import WindowedSpikes, receptive_activity


class SpikeX:
    """Issues active NTWUs only, packed by the configured dispatch policy (paper, Sections III-B to III-D)."""

    def schedule(
        self,
        layer: Layer,
        spikes: WindowedSpikes,
        silence_is_free: bool,
        potential_bits: int,
        arch: Accelerator,
    ) -> Schedule:
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
        tiles = cut_tiles(geometry.positions, spikes.windows, shape)
        packings = [
            policy.pack(TileView(active[p0:p1, w0:w1], p0, w0, geometry, spikes), arch.array.cols, mode)
            for p0, p1, w0, w1 in tiles.tolist()
        ]
        return Schedule(
            geometry=geometry,
            groups=groups,
            tws=spikes.tws,
            windows=spikes.windows,
            mode=mode,
            shape=shape,
            tiles=tiles,
            active=active,
            stream=arch.stream,
            tailored=True,
            **issue(tiles, packings),
        )
