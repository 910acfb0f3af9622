"""SpinalFlow-style time-serial baseline (Narayanan et al., ISCA 2020; docs/accelerators/spinalflow.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.errors import UnsupportedError
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.serial.schedule import SerialSchedule
    from spikex_sim.schedules.task import Task


class SpinalFlow(Scheduler):
    """Broadcasts the sorted spikes of a receptive field, one a cycle, to PEs that own an output neuron."""

    def window_size(self, tws: int, timesteps: int, arch: Accelerator) -> int:  # noqa: ARG002
        """All time points."""
        return timesteps

    def schedule(self, task: Task, arch: Accelerator) -> SerialSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`.

        Raises
        ------
        UnsupportedError
            If an input spikes more than once, or for anything but one synapse of spikes and simple neurons.
        """
        from spikex_sim.schedules.serial.fields import field_spikes
        from spikex_sim.schedules.serial.schedule import SerialSchedule

        odd = task.beyond_chains
        if odd:
            raise UnsupportedError(f"layer {task.name}: this machine cannot do {odd}", where=arch.name)
        geometry, spikes = task.inputs.synapses[0].geometry, task.inputs.spikes[0]
        per_input = spikes.per_input()
        repeated = int((per_input > 1).sum())
        if repeated:
            raise UnsupportedError(
                f"layer {task.name}: {repeated:,} of {len(per_input):,} inputs spike more than once "
                f"({int(per_input.sum()):,} spikes in all); this machine takes one spike per neuron at most",
                where=arch.name,
            )
        counts, points = field_spikes(geometry, spikes.times, spikes.starts, spikes.timesteps)
        if not task.silence_is_free:
            points = np.full_like(points, spikes.timesteps)
        lanes = arch.array.rows * arch.array.cols
        width = lanes
        if arch.mapping.tile == "auto":
            width = arch.memory.glb.half_bits("filter") // (geometry.taps * task.widths.weight)
        width = min(lanes, max(1, width))
        full, rest = divmod(task.out_channels, width)
        return SerialSchedule(
            task=task,
            groups=(width,) * full + ((rest,) if rest else ()),
            lanes=lanes,
            taken=counts,
            updates=points,
        )
