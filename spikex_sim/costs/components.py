"""Components of a machine with an array of PEs and memories, from its configuration and its energy table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from spikex_sim.core.counts import (
    ADD,
    COMPARE,
    LEVELS,
    MULTIPLY,
    READ,
    TAGS_COMPARED,
    TAGS_STORED,
    TENSORS,
    UPDATE,
    WRITE,
    Counter,
    alu,
)
from spikex_sim.core.errors import ConfigError, EnergyTableError
from spikex_sim.costs.energy import Component
from spikex_sim.costs.table import EnergyTable, SramEnergy
from spikex_sim.spec.arch import Accelerator

COMPONENTS = ("alu", *reversed(LEVELS))
"""What such a machine declares at least: ALU, RF, LBUF, GLB, DRAM."""
SCRATCHPAD_PORT_BITS = 8
"""Port of a register file that is a scratchpad: one weight."""
SCRATCHPAD_BYTES = {"spikes": 9, "weights": 9, "potentials": 8}
"""Scratchpads whose power a table has, together; it is split by capacity (SATA, Section III-A)."""

IN_PE = ""
"""Of what has no area of its own: registers and adders are within that of the PEs and LIF units."""

PerBit = tuple[float, float]
"""pJ of a bit read and of a bit written."""


def usual_components(arch: Accelerator, lif_units: int) -> tuple[Component, ...]:
    """Components of a machine with an array of PEs and the configured memories.

    Parameters
    ----------
    arch : Accelerator
        Configuration.
    lif_units : int
        LIF units of the array, which spend power all the time where the table has it.

    Returns
    -------
    tuple of Component
        :data:`COMPONENTS`, in order from the inside out, and the PEs where the table has their leakage.

    Raises
    ------
    EnergyTableError
        If a memory size, width, device or DRAM kind is not in the table.
    """
    table = EnergyTable.load(arch.energy.table)
    dram, glb, lbuf, rf = (made(_Rows(table, arch)) for made in (_dram, _glb, _lbuf, _rf))
    parts = (_alu(_Rows(table, arch), lif_units), rf, lbuf, glb, dram)
    return (*parts, _pe(_Rows(table, arch))) if table.has("pe_leakage") else parts


def unsynthesised(arch: Accelerator, lif_units: int) -> tuple[Component, ...]:
    """PEs and LIF units whose area nobody knows, as parts that are missing by name."""
    why = f"not synthesised for scheduler {arch.scheduler}"
    found = [Component("pe", area_absent=why)]
    if lif_units and arch.input_bits == 1:  # an ANN has none
        found.append(Component("lif", area_absent=why))
    return tuple(found)


def dispatcher(arch: Accelerator) -> Component:
    """What compares NTWUs to put them together.

    A bit compared is read from a register and added by one of the full adders of a tree that counts ones; a
    bit stored is written into a register.

    Raises
    ------
    EnergyTableError
        If the table lacks registers or adders.
    """
    rows = _Rows(EnergyTable.load(arch.energy.table), arch)
    register = rows.of_width("register", 1, "dispatch register")
    full_adder = rows.only("tag_adder")
    return Component(
        "dispatch", {TAGS_COMPARED: register + full_adder, TAGS_STORED: register},
        area_absent="no dispatcher that compares was synthesised", provenance=rows.provenance,
    )  # fmt: skip


class _Rows:
    """Looks rows up and remembers where they are from."""

    def __init__(self, table: EnergyTable, arch: Accelerator) -> None:
        self.table, self.arch = table, arch
        self.provenance: dict[str, str] = {}

    @property
    def pes(self) -> int:
        return self.arch.array.rows * self.arch.array.cols

    @property
    def no_area(self) -> str:
        return f"energy table {self.table.name} has no area of it"

    def only(self, component: str) -> float:
        found = self.table.only(component)
        self.provenance[component] = found.provenance
        return found.energy_pj

    def of_width(self, component: str, width_bits: int, name: str = "") -> float:
        found = self.table.logic(component, width_bits)
        self.provenance[name or component] = found.provenance
        return found.energy_pj

    def sram(self, level: str, name: str, capacity_bytes: int, width_bits: int) -> SramEnergy:
        try:
            found = self.table.sram(capacity_bytes, width_bits, self.arch.energy.device)
        except EnergyTableError as exc:
            raise EnergyTableError(str(exc), where=self.arch.name, field=f"memory.{level}") from None
        self.provenance[name] = found.provenance
        return found


def _prices(level: str, per_bit: Mapping[str, PerBit]) -> dict[Counter, float]:
    """Prices of a memory's bits by tensor."""
    return {
        (level, action, tensor): pj
        for tensor in TENSORS
        for action, pj in zip((READ, WRITE), per_bit[tensor], strict=True)
    }


def _per_bit(memory: SramEnergy, width_bits: int) -> PerBit:
    return memory.read_pj / width_bits, memory.write_pj / width_bits


def _dram(rows: _Rows) -> Component:
    dram = rows.arch.memory.dram
    try:
        found = rows.table.dram(dram.kind)
    except EnergyTableError as exc:
        raise ConfigError(str(exc), where=rows.arch.name, field="memory.dram.kind") from None
    share = {"stream": 1.0, "resident": 0.0, "amortised": 1.0 / dram.samples}[dram.weights]
    per_bit = dict.fromkeys(TENSORS, (found.energy_pj, found.energy_pj))
    per_bit["filter"] = (share * found.energy_pj, share * found.energy_pj)
    return Component(
        "dram", _prices("dram", per_bit), off_chip=True, provenance={"dram": found.provenance}
    )  # fmt: skip


def _glb(rows: _Rows) -> Component:
    glb = rows.arch.memory.glb
    width = glb.array_port_bits
    if glb.separate is None:
        memories = [rows.sram("glb", "glb", glb.bytes, width)]
        holder = dict.fromkeys(TENSORS, memories[0])
    else:
        parts = {
            name: rows.sram("glb", f"glb {name}", getattr(glb.separate, name), width)
            for name in ("ifmap", "filter", "ofmap")
        }
        memories = list(parts.values())
        holder = {**parts, "psum": parts["ofmap"], "tag": parts["ifmap"]}
    return Component(
        "glb",
        _prices("glb", {tensor: _per_bit(memory, width) for tensor, memory in holder.items()}),
        leakage_mw=sum(memory.leakage_mw for memory in memories),
        area_mm2=_total_area(memories),
        area_absent=rows.no_area,
        provenance=rows.provenance,
    )


def _total_area(memories: list[SramEnergy]) -> float | None:
    areas = [memory.area_mm2 for memory in memories]
    known = [area for area in areas if area is not None]
    return sum(known) if len(known) == len(areas) else None


def _lbuf(rows: _Rows) -> Component:
    lbuf = rows.arch.memory.lbuf
    if not lbuf.bytes:
        return Component("lbuf", {}, leakage_mw=0.0, area_absent="")
    asked: int | str = rows.arch.get("memory.lbuf.access_bits", default="port")
    width = asked if isinstance(asked, int) else lbuf.port_bits
    memory = rows.sram("lbuf", "lbuf", lbuf.bytes, width)
    per_bit = dict.fromkeys(TENSORS, _per_bit(memory, width))
    return Component(
        "lbuf", _prices("lbuf", per_bit), leakage_mw=memory.leakage_mw, area_mm2=memory.area_mm2,
        area_absent=rows.no_area, provenance=rows.provenance,
    )  # fmt: skip


def _rf(rows: _Rows) -> Component:
    capacity_bytes = rows.arch.memory.rf.bytes
    if rows.table.has("scratchpad"):
        return _powered_scratchpads(rows)
    if not capacity_bytes:
        bit = rows.of_width("register", 1, "rf")
        return Component(
            "rf", _prices("rf", dict.fromkeys(TENSORS, (bit, bit))), area_absent=IN_PE,
            provenance=rows.provenance,
        )  # fmt: skip
    memory = rows.sram("rf", "rf", capacity_bytes, SCRATCHPAD_PORT_BITS)
    per_bit = dict.fromkeys(TENSORS, _per_bit(memory, SCRATCHPAD_PORT_BITS))
    return Component(
        "rf",
        _prices("rf", per_bit),
        leakage_mw=memory.leakage_mw * rows.pes,
        area_mm2=None if memory.area_mm2 is None else memory.area_mm2 * rows.pes,
        area_absent=rows.no_area,
        provenance=rows.provenance,
    )


def _powered_scratchpads(rows: _Rows) -> Component:
    """Scratchpads whose power the table has: charged by the addition and by the cycle, not by the bit."""
    if rows.arch.memory.rf.bytes:
        raise EnergyTableError(
            "must be 0 with this energy table, which has the energies of a PE's scratchpads",
            where=rows.arch.name, field="memory.rf.bytes",
        )  # fmt: skip
    rows.provenance["rf"] = rows.table.only("scratchpad").provenance
    idle = rows.pes * rows.only("scratchpad_idle")
    prices = _prices("rf", dict.fromkeys(TENSORS, (0.0, 0.0)))
    prices[alu(ADD, "int")] = rows.only("scratchpad")
    return Component(
        "rf", prices, idle_pj=idle, area_absent=rows.no_area, uses=SCRATCHPAD_BYTES,
        provenance=rows.provenance,
    )  # fmt: skip


def _alu(rows: _Rows, lif_units: int) -> Component:
    add = rows.only("accumulate")
    multiplies = rows.arch.input_bits > 1 or rows.table.has("int_multiply")
    multiply = rows.only("int_multiply") if multiplies else None
    if rows.table.has("lif"):
        compare, update = 0.0, rows.only("lif")
    else:
        compare = rows.of_width("comparator", 16)
        update = compare + rows.of_width("leak", 16)
    prices = _operations("int", add, update, multiply, compare)
    if rows.table.has("float_add"):
        add, compare = rows.of_width("float_add", 32), rows.of_width("comparator", 32, "float_comparator")
        multiply = rows.of_width("float_multiply", 32, "float_leak")
        prices |= _operations("float", add, compare + multiply, multiply, compare)
    idle = 0.0
    if rows.table.has("scratchpad"):
        idle = rows.pes * rows.only("accumulate_idle") + lif_units * rows.only("lif_idle")
    return Component("alu", prices, idle_pj=idle, area_absent=IN_PE, provenance=rows.provenance)


def _operations(
    datapath: Literal["int", "float"], add: float, update: float, multiply: float | None, compare: float
) -> dict[Counter, float]:
    by_action = {ADD: add, UPDATE: update, MULTIPLY: multiply, COMPARE: compare}
    return {alu(action, datapath): pj for action, pj in by_action.items() if pj is not None}


def _pe(rows: _Rows) -> Component:
    return Component(
        "pe", leakage_mw=rows.pes * rows.only("pe_leakage"), provenance=rows.provenance
    )  # fmt: skip
