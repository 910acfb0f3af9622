"""Energy, leakage and area: declared components times counts, as a pass of its own (Section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from spikex_sim.core.counts import LEVELS as MEMORIES
from spikex_sim.core.counts import Counter, Counts, name_of
from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.frozen import FrozenMap

USES = FrozenMap(
    {"filter": "weights", "ifmap": "spikes", "ofmap": "spikes", "tag": "spikes", "psum": "potentials"}
)
"""What each tensor is counted as in the breakdown by use."""
LEVELS = ("alu", *reversed(MEMORIES))
"""Components that machines with an array of PEs have."""
PJ_PER_MW_SECOND = 1e9
UNKNOWN, OFF_CHIP = "not known", "off chip"
"""Why a component without an area has none, where it does not say."""


@dataclass(frozen=True)
class Area:
    """Area of a machine as far as it is known.

    Attributes
    ----------
    mm2_by : mapping of str to float
        Area in mm² of the components whose area is known.
    absent : mapping of str to str
        Parts whose area is in none of these, and why.
    """

    mm2_by: Mapping[str, float] = field(default_factory=FrozenMap)
    absent: Mapping[str, str] = field(default_factory=FrozenMap)

    def __post_init__(self) -> None:
        for key in ("mm2_by", "absent"):
            object.__setattr__(self, key, FrozenMap(getattr(self, key)))


@dataclass(frozen=True)
class Component:
    """A part of a machine, and what it costs.

    Attributes
    ----------
    name : str
        Name in results.
    prices : mapping of (str, str, str) to float, or None
        pJ per count, by counter: (component, action, tensor). It may charge for what another one counts. None
        where it spends no dynamic energy, and has no entry in its breakdown.
    idle_pj : float
        pJ per cycle, whatever is done.
    leakage_mw, area_mm2 : float or None
        Leakage power in mW and area in mm²; None where they are not known.
    area_absent : str or None
        Why ``area_mm2`` is None; empty where nothing is missing, as the area is within that of another
        component or there is none. Without a reason it is :data:`UNKNOWN`, or :data:`OFF_CHIP`.
    off_chip : bool
        Whether its energy is left out of that of the chip.
    uses : mapping of str to float
        Uses that share what no tensor accounts for, and their weights; without any, a use of its own name.
    levels : mapping of str to str
        What of other machines, ``alu`` or a level of memory, an action belongs to, for tables that put
        machines side by side; empty where the component is one of these itself.
    provenance : mapping of str to str
        Rows behind the numbers.
    """

    name: str
    prices: Mapping[Counter, float] | None = None
    idle_pj: float = 0.0
    leakage_mw: float | None = None
    area_mm2: float | None = None
    area_absent: str | None = None
    off_chip: bool = False
    uses: Mapping[str, float] = field(default_factory=FrozenMap)
    levels: Mapping[str, str] = field(default_factory=FrozenMap)
    provenance: Mapping[str, str] = field(default_factory=FrozenMap)

    def __post_init__(self) -> None:
        if self.prices is not None:
            object.__setattr__(self, "prices", FrozenMap(self.prices))
        object.__setattr__(self, "uses", FrozenMap(self.uses or {self.name: 1}))
        object.__setattr__(self, "levels", FrozenMap(self.levels))
        object.__setattr__(self, "provenance", FrozenMap(self.provenance))

    def spent_pj(self, counts: Mapping[Counter, int], cycles: int) -> dict[str, float]:
        """Dynamic energy by tensor; under an empty name what no tensor accounts for."""
        found: dict[str, float] = {}
        for counter, pj in (self.prices or {}).items():
            tensor = counter[2]
            found[tensor] = found.get(tensor, 0.0) + counts.get(counter, 0) * pj
        if self.idle_pj:
            found[""] = found.get("", 0.0) + cycles * self.idle_pj
        return found


@dataclass(frozen=True)
class Energy:
    """Energy of a layer or a run, pJ.

    Attributes
    ----------
    components : mapping of str to float
        Per component that spends energy by what it does.
    uses : mapping of str to float
        ``alu``, ``weights``, ``spikes`` and ``potentials`` (partial sums and potentials), and what else a
        machine spends energy for.
    leakage : mapping of str to float
        Leakage over the run's time, per component where it is known; not part of the energy, which is
        dynamic.
    off_chip_pj : float
        What of the energy is spent outside of the chip.
    levels : mapping of str to float
        By what other machines have, :data:`LEVELS`; empty where the components are these.
    """

    components: Mapping[str, float]
    uses: Mapping[str, float]
    leakage: Mapping[str, float]
    off_chip_pj: float
    levels: Mapping[str, float] = field(default_factory=FrozenMap)

    def __post_init__(self) -> None:
        for key in ("components", "uses", "leakage", "levels"):
            object.__setattr__(self, key, FrozenMap(getattr(self, key)))

    @property
    def total_pj(self) -> float:
        """Dynamic energy, DRAM included."""
        return sum(self.components.values())

    @property
    def on_chip_pj(self) -> float:
        """Dynamic energy without DRAM."""
        return self.total_pj - self.off_chip_pj


@dataclass(frozen=True)
class EnergyModel:
    """What the components of one accelerator cost.

    Attributes
    ----------
    components : tuple of Component
        In the order of reports, from the inside out.
    clock_hz : float
        Clock frequency.
    table, where : str
        Energy table, and the accelerator it is for, as messages name them.
    """

    components: tuple[Component, ...]
    clock_hz: float
    table: str
    where: str

    @cached_property
    def charged(self) -> frozenset[Counter]:
        """Counters that some component has a price for."""
        return frozenset(counter for one in self.components for counter in one.prices or ())

    def price_pj(self, component: str, counter: Counter) -> float:
        """What a component charges for one count; 0 where it charges nothing."""
        prices = (one.prices or {} for one in self.components if one.name == component)
        return sum(found.get(counter, 0.0) for found in prices)

    @property
    def provenance(self) -> Mapping[str, str]:
        """Rows behind every number."""
        return FrozenMap({key: text for one in self.components for key, text in one.provenance.items()})

    @property
    def area_mm2_by(self) -> Mapping[str, float]:
        """Area in mm² of the components whose area is known."""
        return self.area.mm2_by

    @cached_property
    def area(self) -> Area:
        """Area by component, and what is missing in it."""
        known = {one.name: one.area_mm2 for one in self.components if one.area_mm2 is not None}
        absent = {one.name: _absence(one) for one in self.components if one.name not in known}
        return Area(known, {name: why for name, why in absent.items() if why})

    def energy(self, counts: Counts, cycles: int) -> Energy:
        """Multiply counts with prices.

        Parameters
        ----------
        counts : Counts
            Counts of a layer.
        cycles : int
            Duration, for what is always on and for the leakage.

        Raises
        ------
        UnsupportedError
            If something was counted that no component has a price for.
        """
        found = dict(counts.items())
        if not self.charged >= found.keys():
            counter = next(counter for counter in found if counter not in self.charged)
            raise UnsupportedError(
                f"{self.table} has no energy for {name_of(counter)}; choose a table that has, or, of "
                "float weights, replay int weights",
                where=self.where,
                field="energy.table",
            )
        charging = [component for component in self.components if component.prices is not None]
        spent = {component.name: component.spent_pj(found, cycles) for component in charging}
        seconds = cycles / self.clock_hz
        return Energy(
            components={name: sum(by_tensor.values(), 0.0) for name, by_tensor in spent.items()},
            uses=_by_use(charging, spent),
            leakage={
                component.name: component.leakage_mw * PJ_PER_MW_SECOND * seconds
                for component in self.components
                if component.leakage_mw is not None
            },
            off_chip_pj=sum((sum(spent[one.name].values()) for one in charging if one.off_chip), 0.0),
            levels=_by_level(charging, counts),
        )


def _absence(component: Component) -> str:
    if component.area_absent is not None:
        return component.area_absent
    return OFF_CHIP if component.off_chip else UNKNOWN


def _by_level(components: Sequence[Component], counts: Counts) -> dict[str, float]:
    """Energy by what other machines have; empty where no component says."""
    if not any(one.levels for one in components):
        return {}
    found = dict.fromkeys(LEVELS, 0.0)
    for component in components:
        for counter, pj in (component.prices or {}).items():
            found[component.levels[counter[1]]] += counts[counter] * pj
    return found


def _by_use(components: Sequence[Component], spent: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Energy by what it is spent for, added up from the outside in."""
    found = dict.fromkeys(("alu", *dict.fromkeys(USES.values())), 0.0)
    for component in reversed(components):
        for tensor, pj in spent[component.name].items():
            if tensor in USES:
                found[USES[tensor]] += pj
                continue
            whole = sum(component.uses.values())
            for use, weight in component.uses.items():
                found[use] = found.get(use, 0.0) + pj * weight / whole
    return found


def add_energies(energies: Sequence[Energy]) -> Energy:
    """Sum of several energies of one machine."""

    def total(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
        return {key: sum(part[key] for part in parts) for key in parts[0]}

    return Energy(
        total([one.components for one in energies]),
        total([one.uses for one in energies]),
        total([one.leakage for one in energies]),
        sum(one.off_chip_pj for one in energies),
        total([one.levels for one in energies]),
    )
