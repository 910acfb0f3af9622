"""Rows of an energy table, and reading them from CSV with errors that name file, row and column."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from spikex_sim.core.errors import EnergyTableError

SRAM_COLUMNS = (
    "component",
    "device",
    "node_nm",
    "capacity_bytes",
    "width_bits",
    "temperature_k",
    "read_pj",
    "write_pj",
    "leakage_mw",
    "access_ns",
    "area_mm2",
    "unit",
    "source",
    "derivation",
)
OPERATION_COLUMNS = (
    "component",
    "action",
    "width_bits",
    "node_nm",
    "energy_pj",
    "unit",
    "source",
    "derivation",
)
CROSSBAR_COLUMNS = (
    *("component", "action", "energy_pj", "area_um2", "leakage_mw", "unit", "source", "derivation"),
)
GATE_COLUMNS = (
    *("component", "quantity", "tws", "width_bits", "node_nm", "value", "unit", "source", "derivation"),
)

_Row = TypeVar("_Row")
_Sized = TypeVar("_Sized", "SramRow", "OperationRow")


@dataclass(frozen=True)
class SramRow:
    """One memory of a table.

    Attributes
    ----------
    component : str
        ``sram``.
    device : str
        ITRS device of cells and periphery: ``hp``, ``lop`` or ``lstp``.
    node_nm : float
        Technology node, in nm.
    capacity_bytes, width_bits : int
        Capacity, in bytes, and width of its port, in bits.
    temperature_k : float
        Temperature of the leakage, in K.
    read_pj, write_pj : float
        Energy of one access of ``width_bits``, in pJ.
    leakage_mw : float
        Leakage of the whole memory, in mW.
    access_ns, area_mm2 : float
        Access time, in ns, and area, in mm²; 0 where they are not known.
    unit, source, derivation : str
        Unit of the energies, where they are from and how they were made.
    """

    component: str
    device: str
    node_nm: float
    capacity_bytes: int
    width_bits: int
    temperature_k: float
    read_pj: float
    write_pj: float
    leakage_mw: float
    access_ns: float
    area_mm2: float
    unit: str
    source: str
    derivation: str

    @property
    def label(self) -> str:
        """Name of the memory in messages, as in ``2048 B x 64 bit (hp, 32 nm)``."""
        return f"{self.capacity_bytes} B x {self.width_bits} bit ({self.device}, {self.node_nm:g} nm)"


@dataclass(frozen=True)
class OperationRow:
    """One operation, register access or DRAM access of a table.

    Attributes
    ----------
    component, action : str
        What it is and what it does.
    width_bits : int
        Width of the operands, in bits; 1 for energies per bit.
    node_nm : float or None
        Technology node of ``energy_pj``, in nm; None where the energy is not one of a logic process.
    energy_pj : float
        Energy of one action, in pJ.
    unit, source, derivation : str
        Unit of the energy, where it is from and how it was made.
    """

    component: str
    action: str
    width_bits: int
    node_nm: float | None
    energy_pj: float
    unit: str
    source: str
    derivation: str

    @property
    def label(self) -> str:
        """Name of the operation in messages, as in ``comparator x 16 bit``."""
        return f"{self.component} x {self.width_bits} bit"


@dataclass(frozen=True)
class CrossbarRow:
    """One part of a crossbar machine and what it does.

    Attributes
    ----------
    component, action : str
        What it is and what it does.
    energy_pj, area_um2, leakage_mw : float or None
        Energy of one action, in pJ, area of what ``unit`` names, in µm², and leakage, in mW; None where a row
        has none.
    unit, source, derivation : str
        Units of the numbers, where they are from and how they were made.
    """

    component: str
    action: str
    energy_pj: float | None
    area_um2: float | None
    leakage_mw: float | None
    unit: str
    source: str
    derivation: str

    @property
    def label(self) -> str:
        """Name of the row in messages, as in ``cell.read``."""
        return f"{self.component}.{self.action}"


@dataclass(frozen=True)
class GateRow:
    """One quantity of a part that was synthesised.

    Attributes
    ----------
    component, quantity : str
        Part, and what of it: an area, an energy, a delay or a number.
    tws, width_bits : int or None
        Window size, time points, and width that the part was made for; None where it does not depend on them.
    node_nm : float or None
        Technology node of ``value``, in nm; None of a number.
    value : float
        In ``unit``.
    unit, source, derivation : str
        Unit of the value, where it is from and how it was made.
    """

    component: str
    quantity: str
    tws: int | None
    width_bits: int | None
    node_nm: float | None
    value: float
    unit: str
    source: str
    derivation: str

    @property
    def label(self) -> str:
        """Name of the row in messages, as in ``pe.area (TWS 4, 24 bit)``."""
        sizes = ((self.tws, "TWS {}"), (self.width_bits, "{} bit"))
        told = ", ".join(form.format(size) for size, form in sizes if size is not None)
        return f"{self.component}.{self.quantity}" + (f" ({told})" if told else "")


def read_sram(file: str, text: str) -> list[SramRow]:
    """Read memories.

    Parameters
    ----------
    file : str
        Name of the file, for messages.
    text : str
        Its content: CSV with the columns `SRAM_COLUMNS` in any order.

    Returns
    -------
    list of SramRow
        In the order of the file.

    Raises
    ------
    EnergyTableError
        A column is unknown or missing, or a cell is empty, no number or negative. Areas may be left out.
    """
    return list(_read_rows(file, text, SRAM_COLUMNS, _sram_row, optional=("area_mm2",)))


def read_operations(file: str, text: str) -> list[OperationRow]:
    """Read operations, register or DRAM accesses; as `read_sram`, with `OPERATION_COLUMNS`."""
    return list(_read_rows(file, text, OPERATION_COLUMNS, _operation_row))


def read_crossbar(file: str, text: str) -> list[CrossbarRow]:
    """Read parts of a crossbar machine; as `read_sram`, with `CROSSBAR_COLUMNS`; numbers may be empty."""
    return list(_read_rows(file, text, CROSSBAR_COLUMNS, _crossbar_row))


def read_gates(file: str, text: str) -> list[GateRow]:
    """Read parts that were synthesised; as `read_sram`, with `GATE_COLUMNS`; sizes and node may be empty."""
    return list(_read_rows(file, text, GATE_COLUMNS, _gate_row))


def ordered(file: str, rows: Iterable[_Sized], size: Callable[[_Sized], int]) -> tuple[_Sized, ...]:
    """Sort the rows of a component by size.

    Parameters
    ----------
    file : str
        Name of the file, for messages.
    rows : iterable of SramRow or OperationRow
        Rows of one component.
    size : callable
        The size of a row.

    Returns
    -------
    tuple
        The rows in ascending order.

    Raises
    ------
    EnergyTableError
        Two rows have the same size, so that the choice between them would be arbitrary.
    """
    in_order = tuple(sorted(rows, key=size))
    for low, high in pairwise(in_order):
        if size(low) == size(high):
            raise EnergyTableError(f"two rows for {low.label}", where=file)
    return in_order


def _read_rows(
    file: str,
    text: str,
    columns: tuple[str, ...],
    make: Callable[[_Cells], _Row],
    optional: tuple[str, ...] = (),
) -> Iterable[_Row]:
    """Check the header, then make a row of each line."""
    lines = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(lines, [])]
    unknown = [name for name in header if name not in columns]
    if unknown:
        raise EnergyTableError(
            f"unknown column {unknown[0]!r}; the columns are {', '.join(columns)}", where=f"{file}: row 1"
        )
    for name in columns:
        if header.count(name) != 1 and not (name in optional and name not in header):
            raise EnergyTableError(
                "the column is missing" if name not in header else "the column is there twice",
                where=f"{file}: row 1",
                field=name,
            )
    for line in lines:
        if not line:
            continue
        where = f"{file}: row {lines.line_num}"
        if len(line) != len(header):
            raise EnergyTableError(f"has {len(line)} cells, but there are {len(header)} columns", where=where)
        yield make(_Cells(where, dict(zip(header, line, strict=True))))


@dataclass(frozen=True)
class _Cells:
    """The cells of one line, read with errors that name file, row and column."""

    where: str
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        value = self.cells[column].strip()
        if not value:
            raise EnergyTableError("is empty", where=self.where, field=column)
        return value

    def number(self, column: str) -> float:
        text = self.text(column)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise EnergyTableError(f"is not a number: {text!r}", where=self.where, field=column)
        if value < 0:
            raise EnergyTableError(f"is negative: {text}", where=self.where, field=column)
        return value

    def known(self, column: str) -> float | None:
        return self.number(column) if self.cells.get(column, "").strip() else None

    def positive(self, column: str) -> float:
        value = self.number(column)
        if value == 0:
            raise EnergyTableError("is zero", where=self.where, field=column)
        return value

    def whole(self, column: str) -> int:
        value = self.positive(column)
        if value != int(value):
            raise EnergyTableError(f"is not a whole number: {value}", where=self.where, field=column)
        return int(value)

    def size(self, column: str) -> int | None:
        return self.whole(column) if self.cells[column].strip() else None

    def node(self) -> float | None:
        return self.positive("node_nm") if self.cells["node_nm"].strip() else None

    def unit(self) -> str:
        unit = self.text("unit")
        if unit.split()[0] != "pJ":
            raise EnergyTableError(f"energies are in pJ, not in {unit!r}", where=self.where, field="unit")
        return unit


def _sram_row(cells: _Cells) -> SramRow:
    return SramRow(
        component=cells.text("component"),
        device=cells.text("device"),
        node_nm=cells.positive("node_nm"),
        capacity_bytes=cells.whole("capacity_bytes"),
        width_bits=cells.whole("width_bits"),
        temperature_k=cells.positive("temperature_k"),
        read_pj=cells.number("read_pj"),
        write_pj=cells.number("write_pj"),
        leakage_mw=cells.number("leakage_mw"),
        access_ns=cells.number("access_ns"),
        area_mm2=cells.known("area_mm2") or 0.0,
        unit=cells.unit(),
        source=cells.text("source"),
        derivation=cells.text("derivation"),
    )


def _operation_row(cells: _Cells) -> OperationRow:
    return OperationRow(
        component=cells.text("component"),
        action=cells.text("action"),
        width_bits=cells.whole("width_bits"),
        # Energies that were never those of a logic process, as a DRAM's, have no node.
        node_nm=cells.node(),
        energy_pj=cells.number("energy_pj"),
        unit=cells.unit(),
        source=cells.text("source"),
        derivation=cells.text("derivation"),
    )


def _crossbar_row(cells: _Cells) -> CrossbarRow:
    energy_pj = cells.known("energy_pj")
    return CrossbarRow(
        component=cells.text("component"),
        action=cells.text("action"),
        energy_pj=energy_pj,
        area_um2=cells.known("area_um2"),
        leakage_mw=cells.known("leakage_mw"),
        unit=cells.text("unit") if energy_pj is None else cells.unit(),
        source=cells.text("source"),
        derivation=cells.text("derivation"),
    )


def _gate_row(cells: _Cells) -> GateRow:
    return GateRow(
        component=cells.text("component"),
        quantity=cells.text("quantity"),
        tws=cells.size("tws"),
        width_bits=cells.size("width_bits"),
        node_nm=cells.node(),
        value=cells.number("value"),
        unit=cells.text("unit"),
        source=cells.text("source"),
        derivation=cells.text("derivation"),
    )
