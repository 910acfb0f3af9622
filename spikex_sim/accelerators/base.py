"""What an accelerator is to the simulator: a scheduler, and nothing else."""

from __future__ import annotations

from typing import Protocol

from spikex_sim.dispatch import Schedule
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer
from spikex_sim.tags import WindowedSpikes


class Scheduler(Protocol):
    """Says what is issued when; cycles, accesses and energies are counted by what all accelerators share.

    A scheduler is registered as an entry point of the group ``spikex_sim.accelerators`` and must pass the
    conformance tests: every NTWU at most once, every active one issued, the windows of a position in
    ascending order, batches within the array.
    """

    def schedule(
        self,
        layer: Layer,
        spikes: WindowedSpikes,
        silence_is_free: bool,
        potential_bits: int,
        arch: Accelerator,
    ) -> Schedule:
        """Turn a layer and its input spikes into a schedule.

        Parameters
        ----------
        layer : Layer
            Conv or linear layer.
        spikes : WindowedSpikes
            Its input, sorted by time window.
        silence_is_free : bool
            Whether a silent window may be skipped without changing an output (Section 1).
        potential_bits : int
            Width of one potential.
        arch : Accelerator
            Array, buffers and knobs.
        """
