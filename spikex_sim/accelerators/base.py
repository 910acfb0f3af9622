"""What an accelerator is to the simulator: a scheduler, and the parts that it costs."""

from __future__ import annotations

from functools import lru_cache
from numbers import Integral
from typing import TYPE_CHECKING, Any, Protocol

from spikex_sim.core.counts import UPDATE, alu
from spikex_sim.core.registry import check_given, plugin
from spikex_sim.costs.array import array_components
from spikex_sim.costs.components import unsynthesised, usual_components
from spikex_sim.costs.crossbar_table import CROSSBAR_TABLES
from spikex_sim.costs.energy import Component, EnergyModel
from spikex_sim.costs.table import BUILT_IN
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:  # compiled kernels; configurations do without
    from spikex_sim.schedules.base import Schedule
    from spikex_sim.schedules.task import Task


class Scheduler(Protocol):
    """Says what is issued when; cycles, accesses and energies are counted by what all accelerators share.

    It may declare its parts (:meth:`components`); by default an array of PEs, each with a LIF unit, and the
    configured memories.

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

    def lif_units(self, arch: Any) -> int:
        """LIF units of the array; one in every PE."""
        return int(arch.array.rows * arch.array.cols)

    def components(self, arch: Any) -> tuple[Component, ...]:
        """Declare the parts that cost energy, leakage and area, and their prices.

        Parameters
        ----------
        arch : Accelerator
            Configuration.

        Raises
        ------
        EnergyTableError
            If the energy table, or what was synthesised, lacks one of them.
        """
        units = self.lif_units(arch)
        fits = isinstance(units, Integral) and units >= 0
        check_given(self, "lif_units", units, fits=fits, wanted="a number of LIF units")
        found = usual_components(arch, units)
        if not isinstance(arch, NtwuOptions):
            return (*found, *unsynthesised(arch, units))
        update_pj = (found[0].prices or {})[alu(UPDATE, "int")]
        return (*found, *array_components(arch, units, update_pj))

    def schedule(self, task: Task, arch: Any) -> Schedule:
        """Turn a task into a schedule.

        Parameters
        ----------
        task : Task
            A layer, or a part of one, and its input spikes sorted by time window.
        arch : Accelerator
            Array, buffers and knobs, of the class ``options``.

        Raises
        ------
        UnsupportedError
            If the machine cannot do it, naming what.
        """


def energy_model(arch: Accelerator) -> EnergyModel:
    """Price what the accelerator's scheduler declares; the same object for equal configurations.

    Raises
    ------
    EnergyTableError
        If a memory size, width, device or DRAM kind is not in the energy table.
    ConfigError
        If there is no such scheduler.
    """
    # The files of other tables may change while the program runs.
    return _kept(arch) if arch.energy.table in (*BUILT_IN, *CROSSBAR_TABLES) else _made(arch)


def _made(arch: Accelerator) -> EnergyModel:
    scheduler = plugin("accelerators", arch.scheduler)
    found = scheduler.components(arch)
    fits = isinstance(found, tuple) and all(isinstance(one, Component) for one in found)
    check_given(scheduler, "components", found, fits=fits, wanted="a tuple of Component")
    return EnergyModel(found, float(arch.clock_hz), arch.energy.table, arch.name)


_kept = lru_cache(maxsize=64)(_made)
