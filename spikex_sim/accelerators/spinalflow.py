"""SpinalFlow-style time-serial baseline (Narayanan et al., ISCA 2020; docs/accelerators/spinalflow.md)."""

from __future__ import annotations

import numpy as np

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.schedules.base import widths_of
from spikex_sim.schedules.serial.fields import field_spikes
from spikex_sim.schedules.serial.schedule import SerialSchedule
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer


class SpinalFlow(Scheduler):
    """Broadcasts the sorted spikes of a receptive field, one a cycle, to PEs that own an output neuron."""

    def window_size(self, tws: int, timesteps: int, arch: Accelerator) -> int:  # noqa: ARG002
        """All time points."""
        return timesteps

    def schedule(
        self,
        layer: Layer,
        spikes: WindowedSpikes,
        silence_is_free: bool,
        potential_bits: int,  # noqa: ARG002
        arch: Accelerator,
    ) -> SerialSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`.

        Raises
        ------
        UnsupportedError
            If an input spikes more than once.
        """
        per_input = spikes.per_input()
        repeated = int((per_input > 1).sum())
        if repeated:
            raise UnsupportedError(
                f"layer {layer.name}: {repeated:,} of {len(per_input):,} inputs spike more than once "
                f"({int(per_input.sum()):,} spikes in all); this machine takes one spike per neuron at most",
                where=arch.name,
            )
        geometry = geometry_of(layer)
        counts, points = field_spikes(geometry, spikes.times, spikes.starts, spikes.timesteps)
        if not silence_is_free:
            points = np.full_like(points, spikes.timesteps)
        assert layer.neuron is not None
        weight_bits = widths_of(layer.neuron.datapath, arch).weight
        lanes = arch.array.rows * arch.array.cols
        width = lanes
        if arch.mapping.tile == "auto":
            width = arch.memory.glb.half_bits("filter") // (geometry.taps * weight_bits)
        width = min(lanes, max(1, width))
        full, rest = divmod(layer.out_channels, width)
        return SerialSchedule(
            geometry=geometry,
            spikes=spikes,
            groups=(width,) * full + ((rest,) if rest else ()),
            lanes=lanes,
            taken=counts,
            updates=points,
        )
