"""What a layer, a sample or a run costs: sums of counts, cycles and energies, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from spikex_sim.core.counts import Accesses, Counts, Operations, Stalls, added, checked
from spikex_sim.core.errors import InternalError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.costs.energy import Energy, add_energies

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Costs:
    """What a layer, a sample or a run costs: sums, and the figures that follow from them.

    Attributes
    ----------
    cycles, compute_cycles : int
        Cycles with and without stalls.
    stalls, operations : Stalls, Operations
        Where the other cycles went, and what the array did.
    counts : Counts
        What is charged for, by component, action and tensor; :attr:`accesses` shows the memories'.
    energy : Energy
        By component, by use, and leakage.
    steps : int
        Units of time-keeping.
    pes : int
        PEs of the array.
    clock_hz : float
        Clock frequency.
    busy : mapping of str to int
        Cycles that each resource needs by itself, :data:`spikex_sim.timing.busy.RESOURCES`.
    estimate_pj : float or None
        Energy by the estimate that papers print, FLOPs x time points x (1 - sparsity) x E_AC (Bhattacharjee
        et al., "Are SNNs truly energy-efficient?", Table II); None where the input spikes are not known.

    Raises
    ------
    InternalError
        If cycles do not add up, or more PEs are in use than there are.
    """

    cycles: int
    compute_cycles: int
    stalls: Stalls
    operations: Operations
    counts: Counts
    energy: Energy
    steps: int
    pes: int
    clock_hz: float
    busy: Mapping[str, int]
    estimate_pj: float | None

    def __post_init__(self) -> None:
        for name in ("cycles", "compute_cycles", "steps"):
            checked(name, getattr(self, name))
        accounted = self.compute_cycles + self.stalls.total
        if accounted != self.cycles:
            raise InternalError(f"cycles is {self.cycles}, but compute_cycles and stalls are {accounted}")
        if self.operations.pe_cycles > self.cycles * self.pes:
            raise InternalError(
                f"utilization is above 1: pe_cycles is {self.operations.pe_cycles} of {self.pes} PEs "
                f"in {self.cycles} cycles"
            )

    @property
    def accesses(self) -> Accesses:
        """Bits read and written by level of memory and tensor."""
        return Accesses(self.counts)

    @property
    def ntwus(self) -> int:
        """Active NTWUs, one per neuron and window."""
        return self.operations.ntwus

    @property
    def batches(self) -> int:
        """Batches over all row groups."""
        return self.operations.batches

    @property
    def streamed_taps(self) -> int:
        """Sum of ``|S_b|`` over the batches of all row groups."""
        return self.operations.streamed_taps

    @property
    def accumulations(self) -> int:
        """Weights added."""
        return self.operations.accumulations

    @property
    def lif_updates(self) -> int:
        """Potential updates, padded time points included."""
        return self.operations.lif_updates

    @property
    def comparisons(self) -> int:
        """Comparisons with the threshold."""
        return self.operations.comparisons

    @property
    def multiplications(self) -> int:
        """Products of a weight and an activation."""
        return self.operations.multiplications

    @property
    def leak_catchups(self) -> int:
        """Skipped windows whose leak was caught up."""
        return self.operations.leak_catchups

    @property
    def dense_accumulations(self) -> int:
        """Every synapse and time point."""
        return self.operations.dense_accumulations

    @property
    def array_words(self) -> Mapping[str, int]:
        """Words that cross the edge of a dense array, by matrix."""
        done = self.operations
        words = (done.array_ifmap_words, done.array_filter_words, done.array_ofmap_words)
        return FrozenMap(dict(zip(("ifmap", "filter", "ofmap"), words, strict=True)))

    @property
    def energy_pj(self) -> float:
        """Dynamic energy, DRAM included."""
        return self.energy.total_pj

    @property
    def energy_on_chip_pj(self) -> float:
        """Dynamic energy without DRAM."""
        return self.energy.on_chip_pj

    @property
    def energy_pj_by(self) -> Mapping[str, float]:
        """Dynamic energy by component."""
        return self.energy.components

    @property
    def energy_by_use_pj(self) -> Mapping[str, float]:
        """Dynamic energy by what it is spent for."""
        return self.energy.uses

    @property
    def leakage_pj(self) -> Mapping[str, float]:
        """Leakage by component, in no other energy."""
        return self.energy.leakage

    @property
    def utilization(self) -> float:
        """PEs in use, on average over all cycles, as a fraction."""
        return self.operations.pe_cycles / (self.cycles * self.pes) if self.cycles else 0.0

    @property
    def add_utilization(self) -> float:
        """PEs that add a weight, on average over all cycles, as a fraction."""
        return self.operations.accumulations / (self.cycles * self.pes) if self.cycles else 0.0

    @property
    def seconds(self) -> float:
        """Latency."""
        return self.cycles / self.clock_hz

    @property
    def edp_js(self) -> float:
        """Energy-delay product, DRAM energy included."""
        return self.energy_pj / PJ_PER_J * self.seconds


def sum_of(parts: Sequence[Costs]) -> dict[str, Any]:
    """Add costs up, as arguments of :class:`Costs` and what derives from it."""
    return {
        "cycles": sum(part.cycles for part in parts),
        "compute_cycles": sum(part.compute_cycles for part in parts),
        "stalls": sum((part.stalls for part in parts), Stalls()),
        "operations": sum((part.operations for part in parts), Operations()),
        "counts": added(part.counts for part in parts),
        "energy": add_energies([part.energy for part in parts]),
        "steps": sum(part.steps for part in parts),
        "pes": parts[0].pes,
        "clock_hz": parts[0].clock_hz,
        "busy": FrozenMap({name: sum(part.busy[name] for part in parts) for name in parts[0].busy}),
        "estimate_pj": sum_if_known(part.estimate_pj for part in parts),
    }


def sum_if_known(values: Iterable[Number | None]) -> Number | None:
    """Add values up; None if one of them is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None
