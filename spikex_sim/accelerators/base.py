"""What an accelerator is to the simulator: a scheduler, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:  # compiled kernels; configurations do without
    from spikex_sim.core.tags import WindowedSpikes
    from spikex_sim.schedules.base import Schedule
    from spikex_sim.spec.workload import Layer


class Scheduler(Protocol):
    """Says what is issued when; cycles, accesses and energies are counted by what all accelerators share.

    A scheduler is registered as an entry point of the group ``spikex_sim.accelerators``. What it says is
    done, and checked: a schedule that leaves work out, repeats it, orders it wrongly or asks too much of the
    array is refused at every run.
    """

    options: type[Accelerator] = Accelerator
    """Class of its configurations: the keys that it reads, common ones and its own."""

    def window_size(self, tws: int, timesteps: int, arch: Any) -> int:  # noqa: ARG002
        """Time points that the accelerator handles together, where it does not follow the ``tws`` key.

        Parameters
        ----------
        tws : int
            Configured or tried window size; 1 of a machine without the key.
        timesteps : int
            Time points of the trace.
        arch : Accelerator
            Configuration, of the class ``options``.
        """
        return tws

    def schedule(
        self,
        layer: Layer,
        spikes: WindowedSpikes,
        silence_is_free: bool,
        potential_bits: int,
        arch: Any,
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
            Array, buffers and knobs, of the class ``options``.
        """
