"""Parts of an array that issues NTWUs, from what was synthesised: areas, clock, hardware without cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spikex_sim.core.counts import (
    CAUGHT_UP,
    CLOCKED,
    DESKEWED,
    HANDED_OVER,
    LOOKED_UP,
    SCANNED,
    UPDATE,
    Counter,
    alu,
)
from spikex_sim.core.errors import EnergyTableError
from spikex_sim.costs.energy import Area, Component
from spikex_sim.costs.gates import Gate, Gates
from spikex_sim.costs.table import EnergyTable
from spikex_sim.schedules.ntwu.options import NtwuOptions

MM2_PER_UM2 = 1e-6
NS_PER_US = 1e3
UPDATED = alu(UPDATE, "int")
CLOCK_KEY, OVERHEADS_KEY = "clock_gating", "overheads"
NOT_CHARGED = "overheads is none"
"""Why what ``overheads: hardware`` adds has no area without it."""
SEARCHED = "depends on the window size, which a run searches"

Size = tuple[float | None, str]
"""Area in mm²; None where it is not known, and why."""
WITHIN_PES: Size = (None, "")
"""Of a clock: it is the PEs' flip-flops that it is charged for."""


def array_components(arch: NtwuOptions, lif_units: int, update_pj: float) -> tuple[Component, ...]:
    """Parts of the array beside those that all machines have.

    PEs and LIF units have an area, the others where a key asks for them; without, they are missing by name.
    Areas go with the square of the energy table's node. What was not synthesised for the configured sizes has
    no area; nor has what depends on a window size that is yet to be searched.

    Parameters
    ----------
    arch : NtwuOptions
        Configuration; of a list of window sizes the largest counts.
    lif_units : int
        LIF units of the array.
    update_pj : float
        What an update is charged by the energy table.

    Raises
    ------
    EnergyTableError
        If a key asks for energies that were not synthesised.
    """
    parts = _Parts(arch)
    parts.check_node()
    found = [parts.pes(), parts.lif(lif_units, update_pj)]
    if arch.clock_gating != "perfect":
        found.append(parts.clock())
    if arch.overheads == "hardware":
        return (*found, *parts.overheads())
    names = ("deskew", "handover", *(("window_table",) if arch.skips_windows else ()), "scanner")
    return (*found, *(Component(name, area_absent=NOT_CHARGED) for name in names))


def area_of_layers(area: Area, *, float_weights: bool, multiplied: bool) -> Area:
    """Area of an array behind a run: what was synthesised has int weights and does not multiply.

    Parameters
    ----------
    area : Area
        By the configuration.
    float_weights, multiplied : bool
        Whether a layer had float weights, and whether products of weights and numbers were made.
    """
    known, absent = dict(area.mm2_by), dict(area.absent)
    if float_weights:
        for name in ("pe", "lif"):
            known.pop(name, None)
            absent[name] = "none was synthesised for float weights"
    if multiplied:
        absent["multiplier"] = "PEs were synthesised without"
    return Area(known, absent)


def largest_window(arch: NtwuOptions) -> int | None:
    """Largest configured window size; None where it is searched."""
    if arch.tws == "auto":
        return None
    return arch.tws if isinstance(arch.tws, int) else max(arch.tws)


def late_catchups(arch: NtwuOptions) -> Iterator[str]:
    """Yield where the leaks of a skipped window take longer than their cycles, however a LIF unit is made.

    One that takes ``leak_shift`` from a register is slower than one that has it built in, as meant here.
    Delays are those of the library's node, scaled with the node.
    """
    tws, cycles = largest_window(arch), arch.get("leak_catchup_cycles", default=1)
    if tws is None or not 1 <= cycles < tws:
        return
    gates = Gates.load()
    node_nm = gates.node_nm
    try:
        delay = gates.value("lif", "delay_constant_shift", tws=tws, width_bits=arch.potential_bits)
    except EnergyTableError:
        return
    needed_ns, given_ns = (
        delay.value * node_nm / (delay.node_nm or node_nm),
        cycles * NS_PER_US / arch.clock_mhz,
    )
    if needed_ns > given_ns:
        yield (
            f"leak_catchup_cycles {cycles}: {tws} leaks in series take {needed_ns:.2f} ns at {node_nm:g} nm "
            f"at best, longer than {given_ns:.2f} ns; leak_catchup_cycles {tws} is what hardware takes"
        )


class _Parts:
    """Makes the components; remembers the rows that each of them is from."""

    def __init__(self, arch: NtwuOptions) -> None:
        self.arch, self.gates = arch, Gates.load()
        self.rows, self.cols = arch.array.rows, arch.array.cols
        self.tws = largest_window(arch)
        self.node_nm = EnergyTable.load(arch.energy.table).node_nm
        self.provenance: dict[str, str] = {}

    def check_node(self) -> None:
        """Refuse keys that have no energies at the node of the energy table."""
        node_nm = self.gates.node_nm
        if self.node_nm == node_nm:
            return
        for key, usual in ((CLOCK_KEY, "perfect"), (OVERHEADS_KEY, "none")):
            value = getattr(self.arch, key)
            if value != usual:
                raise EnergyTableError(
                    f"{value} has energies of {node_nm:g} nm alone, and energy.table "
                    f"{self.arch.energy.table} is of another node",
                    where=self.arch.name, field=key,
                )  # fmt: skip

    def pes(self) -> Component:
        area = self.area("pe", "area", self.arch.psum_bits, self.rows * self.cols)
        if self.arch.accumulators_per_pe > 1:
            area = None, "no PE with several accumulators was synthesised"
        elif self.arch.get("stsap", default=False):
            area = None, "no PE that packs taps (stsap) was synthesised"
        return self.made("pe", None, area)

    def lif(self, units: int, update_pj: float) -> Component:
        arch, width = self.arch, self.arch.potential_bits
        serial = not arch.skips_windows or arch.get("leak_catchup_cycles", default=1) == self.tws != 1
        area = self.area("lif", "area_serial" if serial else "area", width, units)
        if arch.overheads == "none":
            return self.made("lif", None, area)
        update = self.priced(OVERHEADS_KEY, "lif", "update_serial_low" if serial else "update_low", width)
        prices = {UPDATED: max(0.0, update - update_pj)}
        if arch.skips_windows:
            leaks, tws = (self.tws or 1, 1) if serial else (1, self.tws)
            prices[CAUGHT_UP] = leaks * self.priced(OVERHEADS_KEY, "lif", "catchup", width, tws)
        return self.made("lif", prices, area)

    def clock(self) -> Component:
        flip_flops = self.priced(CLOCK_KEY, "pe", "flip_flops", self.arch.psum_bits)
        pe_pj = flip_flops * self.priced(CLOCK_KEY, "flip_flop", "clock")
        if self.arch.clock_gating == "busy":
            return self.made("clock", {CLOCKED: pe_pj}, WITHIN_PES)
        return self.made("clock", {}, WITHIN_PES, idle_pj=self.rows * self.cols * pe_pj)

    def overheads(self) -> list[Component]:
        """What aligns sums, passes potentials on, knows last windows and looks for active tags."""
        arch, key = self.arch, OVERHEADS_KEY
        registers = self.rows * self.cols * (self.cols - 1) // 2 * arch.psum_bits
        area = self.area("deskew", "area", 1, registers)
        # What registers take is measured without the edge of the clock that they take it at.
        edge = self.priced(key, "flip_flop", "clock")
        found = [self.made("deskew", {DESKEWED: edge + self.priced(key, "deskew", "move")}, area)]
        area = self.area("handover", "area", self.cols, self.rows * arch.potential_bits)
        price = self.priced(key, "handover", "move", self.cols)
        found.append(self.made("handover", {HANDED_OVER: price}, area))
        if arch.skips_windows:
            area = self.area("table", "area", 1, 1)
            found.append(self.made("window_table", {LOOKED_UP: self.priced(key, "table", "access")}, area))
        # Tags come from the LBUF, as many at once as its port is wide.
        area = self.area("scanner", "area", 1, arch.memory.lbuf.port_bits)
        price = edge + self.priced(key, "scanner", "examine")
        found.append(self.made("scanner", {SCANNED: price}, area))
        return found

    def priced(
        self, key: str, component: str, quantity: str, width_bits: int = 1, tws: int | None = None
    ) -> float:
        """A quantity that a key asks for."""
        try:
            return self.known(component, quantity, width_bits, tws).value
        except EnergyTableError as exc:
            raise EnergyTableError(str(exc), where=self.arch.name, field=key) from None

    def area(self, component: str, quantity: str, width_bits: int, number: int) -> Size:
        """Area of so many parts at the node of the energy table."""
        if self.tws is None and self.gates.depends(component, quantity):
            return None, SEARCHED
        if self.node_nm is None:
            return None, f"energy table {self.arch.energy.table} has no node"
        try:
            found = self.known(component, quantity, width_bits)
        except EnergyTableError as exc:
            return None, str(exc)
        assert found.node_nm is not None
        if found.node_nm == self.node_nm:
            return MM2_PER_UM2 * number * found.value, ""
        scaled = f"; x ({self.node_nm:g}/{found.node_nm:g})^2, the node of the energy table"
        self.provenance[f"{component}.{quantity}"] += scaled
        return MM2_PER_UM2 * number * found.value * (self.node_nm / found.node_nm) ** 2, ""

    def known(self, component: str, quantity: str, width_bits: int, tws: int | None = None) -> Gate:
        found = self.gates.value(component, quantity, tws=tws or self.tws or 1, width_bits=width_bits)
        self.provenance[f"{component}.{quantity}"] = found.provenance
        return found

    def made(
        self, name: str, prices: Mapping[Counter, float] | None, area: Size, idle_pj: float = 0.0
    ) -> Component:
        """A component, with the rows that were looked up for it."""
        provenance, self.provenance = self.provenance, {}
        return Component(
            name, prices, idle_pj=idle_pj, area_mm2=area[0], area_absent=area[1], provenance=provenance
        )
