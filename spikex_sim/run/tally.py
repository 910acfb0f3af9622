"""What a layer, a sample or a run costs: sums of counts, cycles and energies, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from spikex_sim.core.counts import Accesses, Counts, Operations, Stalls, added, checked
from spikex_sim.core.errors import InternalError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.costs.energy import Energy, add_energies

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class ChipFigures:
    """What a crossbar machine does for a layer or a network, and when (docs/imc.md).

    Attributes
    ----------
    counts : mapping of str to int or None
        Counts under the names of Section 2; None of ``model: released``, which counts nothing.
    stalls : mapping of str to int
        Cycles on the critical path that spikes in, sums out and updates take.
    start, end : int or None
        Cycle in which its first activity begins and its last one ends; None where samples differ.
    busy : int
        Cycles that its PEs compute, whatever other layers do.
    """

    counts: Mapping[str, int] | None
    stalls: Mapping[str, int]
    start: int | None
    end: int | None
    busy: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", None if self.counts is None else FrozenMap(self.counts))
        object.__setattr__(self, "stalls", FrozenMap(self.stalls))

    @classmethod
    def of_layers(cls, parts: Sequence[ChipFigures]) -> ChipFigures | None:
        """Add layers of one network up; None of no layers."""
        if not parts:
            return None
        starts = [part.start for part in parts if part.start is not None]
        ends = [part.end for part in parts if part.end is not None]
        known = len(starts) == len(ends) == len(parts)
        return cls._sum(parts, min(starts) if known else None, max(ends) if known else None)

    @classmethod
    def of_samples(cls, parts: Sequence[ChipFigures]) -> ChipFigures | None:
        """Add samples of one layer up; None of no samples."""
        if not parts:
            return None
        starts, ends = {part.start for part in parts}, {part.end for part in parts}
        return cls._sum(parts, *(one.pop() if len(one) == 1 else None for one in (starts, ends)))

    @classmethod
    def _sum(cls, parts: Sequence[ChipFigures], start: int | None, end: int | None) -> ChipFigures:
        counts = _sums_of([part.counts for part in parts if part.counts is not None]) or None
        stalls = _sums_of([part.stalls for part in parts])
        return cls(counts, stalls, start, end, sum(part.busy for part in parts))


def _sums_of(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Sums by name, of parts with equal names."""
    return {name: sum(part[name] for part in parts) for name in parts[0]} if parts else {}


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
    span_cycles : int or None
        Of layers that work at once, on a crossbar chip: cycles that their PEs are there for; else None.
    chip : ChipFigures or None
        Of a crossbar machine: what it did, and when.
    changed_spikes : int or None
        Of a crossbar machine: output spikes that differ from those of exact sums.

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
    span_cycles: int | None = field(default=None, kw_only=True)
    chip: ChipFigures | None = field(default=None, kw_only=True)
    changed_spikes: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("cycles", "compute_cycles", "steps"):
            checked(name, getattr(self, name))
        accounted = self.compute_cycles + self.stalls.total
        if accounted != self.cycles:
            raise InternalError(f"cycles is {self.cycles}, but compute_cycles and stalls are {accounted}")
        if self.operations.pe_cycles > self._pe_cycles:
            raise InternalError(
                f"utilization is above 1: pe_cycles is {self.operations.pe_cycles} of {self.pes} PEs "
                f"in {self._pe_cycles // max(self.pes, 1)} cycles"
            )

    @property
    def _pe_cycles(self) -> int:
        """Cycles times PEs."""
        return self.pes * (self.cycles if self.span_cycles is None else self.span_cycles)

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
    def energy_by_level_pj(self) -> Mapping[str, float] | None:
        """Dynamic energy of a crossbar machine by what other machines have; None of these."""
        return self.energy.levels or None

    @property
    def energy_by_use_pj(self) -> Mapping[str, float]:
        """Dynamic energy by what it is spent for."""
        return self.energy.uses

    @property
    def leakage_pj(self) -> Mapping[str, float]:
        """Leakage by component, in no other energy."""
        return self.energy.leakage

    @property
    def imc(self) -> Mapping[str, Any] | None:
        """Figures of a crossbar machine as in ``results.json``; None of other machines."""
        if self.chip is None:
            return None
        energy = {"energy_pj": self.energy.components}
        found = {name: getattr(self.chip, name) for name in self.chip.__dataclass_fields__}
        return FrozenMap({"counts": found.pop("counts"), **energy, **found})

    @property
    def utilization(self) -> float:
        """PEs in use, on average over all cycles, as a fraction."""
        return self.operations.pe_cycles / self._pe_cycles if self._pe_cycles else 0.0

    @property
    def add_utilization(self) -> float | None:
        """PEs that add a weight, on average over all cycles, as a fraction; None on crossbars.

        A PE of crossbars adds many weights at once.
        """
        if self.chip is not None:
            return None
        return self.operations.accumulations / self._pe_cycles if self._pe_cycles else 0.0

    @property
    def seconds(self) -> float:
        """Latency."""
        return self.cycles / self.clock_hz

    @property
    def edp_js(self) -> float:
        """Energy-delay product, DRAM energy included."""
        return self.energy_pj / PJ_PER_J * self.seconds


def sum_of(parts: Sequence[Costs]) -> dict[str, Any]:
    """Add costs of layers up, as arguments of :class:`Costs` and what derives from it."""
    spans = list({part.span_cycles: None for part in parts})
    chips = [part for part in parts if part.chip is not None]
    return {
        "cycles": sum(part.cycles for part in parts),
        "compute_cycles": sum(part.compute_cycles for part in parts),
        "stalls": sum((part.stalls for part in parts), Stalls()),
        "operations": sum((part.operations for part in parts), Operations()),
        "counts": added(part.counts for part in parts),
        "energy": add_energies([part.energy for part in parts]),
        "steps": sum(part.steps for part in parts),
        "pes": parts[0].pes if spans == [None] else sum(part.pes for part in parts),
        "clock_hz": parts[0].clock_hz,
        "busy": FrozenMap({name: sum(part.busy[name] for part in parts) for name in parts[0].busy}),
        "estimate_pj": sum_if_known(part.estimate_pj for part in parts),
        "span_cycles": max((one for one in spans if one is not None), default=None),
        "chip": ChipFigures.of_layers([part.chip for part in chips if part.chip is not None]),
        "changed_spikes": sum_if_known(part.changed_spikes for part in chips) if chips else None,
    }


def sum_if_known(values: Iterable[Number | None]) -> Number | None:
    """Add values up; None if one of them is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None
