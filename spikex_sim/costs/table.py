"""Energy tables: what one access or one operation costs, and where the number is from.

A table is a folder of three CSV files. ``sram.csv`` has one row per memory, as CACTI gives it; ``logic.csv``
has operations and registers; ``dram.csv`` has energies per bit. Sizes between two rows are interpolated and
say so; sizes outside of a table are an error.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from spikex_sim.core.errors import EnergyTableError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.costs.rows import OperationRow, SramRow, ordered, read_operations, read_sram

_FILES = ("sram.csv", "logic.csv", "dram.csv")
BUILT_IN = ("default", "sata")
"""Tables that ship with the package."""


def table_folder(name: str | os.PathLike[str], files: Sequence[str], built_in: Sequence[str]) -> Path:
    """Folder of a table that is not built in.

    Raises
    ------
    EnergyTableError
        If there is none, or it lacks a file.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise EnergyTableError(
            f"no energy table {str(name)!r}: say {' or '.join(built_in)}, or name a folder with "
            f"{', '.join(files)}"
        )
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise EnergyTableError(f"the energy table lacks {', '.join(missing)}", where=str(folder))
    return folder


def read_texts(folder: Path, files: Sequence[str]) -> dict[str, str]:
    """Texts of the files of a table.

    Raises
    ------
    EnergyTableError
        If one cannot be read.
    """
    try:
        return {file: (folder / file).read_text(encoding="utf-8-sig") for file in files}
    except (OSError, UnicodeDecodeError) as error:
        raise EnergyTableError(f"cannot be read: {error}", where=str(folder)) from None


@dataclass(frozen=True)
class SramEnergy:
    """What one memory costs.

    Attributes
    ----------
    read_pj, write_pj : float
        Energy of one access of the port's width, in pJ.
    leakage_mw : float
        Leakage of the whole memory, in mW.
    area_mm2 : float or None
        Area, in mm²; None where the table has 0, which is no area.
    provenance : str
        Row or rows that the numbers are from, and their source.
    """

    read_pj: float
    write_pj: float
    leakage_mw: float
    area_mm2: float | None
    provenance: str


@dataclass(frozen=True)
class OperationEnergy:
    """What one operation, register access or DRAM bit costs.

    Attributes
    ----------
    energy_pj : float
        Energy of one action, in pJ.
    provenance : str
        Row or rows that the number is from, and their source.
    """

    energy_pj: float
    provenance: str


@dataclass(frozen=True)
class EnergyTable:
    """Energies per access and per operation, with their sources.

    Attributes
    ----------
    name : str
        ``default``, or the folder that the table is from.
    """

    name: str
    _sram: Mapping[tuple[str, int], Sequence[SramRow]] = field(repr=False)
    _logic: Mapping[str, Sequence[OperationRow]] = field(repr=False)
    _dram: Mapping[str, OperationRow] = field(repr=False)

    @staticmethod
    def load(name: str | os.PathLike[str] = "default") -> EnergyTable:
        """Load a table; a table that was loaded before is not read again unless its files have changed.

        Parameters
        ----------
        name : str or path
            ``default`` or ``sata`` for a table of the package, or a folder with ``sram.csv``, ``logic.csv``
            and ``dram.csv``.

        Returns
        -------
        EnergyTable
            The table, checked.

        Raises
        ------
        EnergyTableError
            The folder or a file is missing, or a row is malformed; names file, row and column.
        """
        if name in BUILT_IN:
            return _load_built_in(str(name))
        folder = table_folder(name, _FILES, BUILT_IN)
        stamp = tuple((folder / file).stat().st_mtime_ns for file in _FILES)
        return _load_folder(str(folder.resolve()), str(name), stamp)

    def sram(self, capacity_bytes: int, width_bits: int, device: str = "hp") -> SramEnergy:
        """Energies of a memory, from its row or between the two rows around it.

        Between rows of the same width and device, every value is linear in log(capacity).

        Parameters
        ----------
        capacity_bytes : int
            Capacity, in bytes.
        width_bits : int
            Width of the port, in bits.
        device : str
            ITRS device: ``hp``, ``lop`` or ``lstp``.

        Returns
        -------
        SramEnergy
            Energies in pJ per access of ``width_bits``, leakage in mW, area in mm², and their provenance.

        Raises
        ------
        EnergyTableError
            The table has no such device or width, or the capacity is smaller or larger than all of its rows.
        """
        rows = self._sram.get((device, width_bits))
        if rows is None:
            raise self._no_such_width(capacity_bytes, width_bits, device)
        at = bisect_left(rows, capacity_bytes, key=lambda row: row.capacity_bytes)
        if at < len(rows) and rows[at].capacity_bytes == capacity_bytes:
            row = rows[at]
            return SramEnergy(
                row.read_pj,
                row.write_pj,
                row.leakage_mw,
                row.area_mm2 or None,
                f"{row.label}: {row.source}; {row.derivation}",
            )
        if at in (0, len(rows)):
            nearest = rows[0] if at == 0 else rows[-1]
            raise EnergyTableError(
                f"no energy for a memory of {capacity_bytes} B x {width_bits} bit ({device}): the "
                f"{'smallest' if at == 0 else 'largest'} row of this width is {nearest.label}; "
                "it is not extrapolated; set energy.table to a folder with a row of your own for it, of 0 pJ "
                "where cycles alone are wanted (docs/energy.md)",
                where=self.name,
            )
        low, high = rows[at - 1], rows[at]
        share = math.log(capacity_bytes / low.capacity_bytes) / math.log(
            high.capacity_bytes / low.capacity_bytes
        )
        return SramEnergy(
            _between(low.read_pj, high.read_pj, share),
            _between(low.write_pj, high.write_pj, share),
            _between(low.leakage_mw, high.leakage_mw, share),
            _between(low.area_mm2, high.area_mm2, share) if low.area_mm2 and high.area_mm2 else None,
            f"{capacity_bytes} B x {width_bits} bit interpolated in log(capacity) between {low.label} and "
            f"{high.label}: {low.source}; {low.derivation}",
        )

    def logic(self, component: str, width_bits: int) -> OperationEnergy:
        """Energy of one operation or register access, from its row or between the two rows around it.

        Parameters
        ----------
        component : str
            A component of ``logic.csv``, as ``accumulate``, ``comparator``, ``leak`` or ``register``.
        width_bits : int
            Width of the operands, in bits; between two rows the energy is linear in it.

        Returns
        -------
        OperationEnergy
            Energy in pJ, and its provenance.

        Raises
        ------
        EnergyTableError
            The table has no such component, or the width is outside of its rows.
        """
        rows = self._logic.get(component)
        if rows is None:
            raise EnergyTableError(
                f"no energy for component {component!r}; there are {', '.join(sorted(self._logic))}",
                where=self.name,
            )
        at = bisect_left(rows, width_bits, key=lambda row: row.width_bits)
        if at < len(rows) and rows[at].width_bits == width_bits:
            row = rows[at]
            return OperationEnergy(row.energy_pj, f"{row.label}: {row.source}; {row.derivation}")
        if at in (0, len(rows)):
            nearest = rows[0] if at == 0 else rows[-1]
            raise EnergyTableError(
                f"no energy for {component} of {width_bits} bit: the nearest row is {nearest.label}; "
                "it is not extrapolated",
                where=self.name,
            )
        low, high = rows[at - 1], rows[at]
        share = (width_bits - low.width_bits) / (high.width_bits - low.width_bits)
        return OperationEnergy(
            _between(low.energy_pj, high.energy_pj, share),
            f"{component} x {width_bits} bit interpolated in width between {low.label} and {high.label}: "
            f"{low.source}",
        )

    def has(self, component: str) -> bool:
        """Whether ``logic.csv`` has rows for a component."""
        return component in self._logic

    def only(self, component: str) -> OperationEnergy:
        """Energy of a component that has one row, whatever its width; see `logic`."""
        rows = self._logic.get(component, ())
        return self.logic(component, rows[0].width_bits if len(rows) == 1 else 0)

    def dram(self, kind: str = "LPDDR4") -> OperationEnergy:
        """Energy of moving one bit to or from a DRAM.

        Parameters
        ----------
        kind : str
            A component of ``dram.csv``, as ``LPDDR4``.

        Returns
        -------
        OperationEnergy
            Energy in pJ per bit, and its provenance.

        Raises
        ------
        EnergyTableError
            The table has no such DRAM.
        """
        row = self._dram.get(kind)
        if row is None:
            raise EnergyTableError(
                f"no energy for DRAM {kind!r}; there are {', '.join(self._dram)}", where=self.name
            )
        return OperationEnergy(row.energy_pj, f"{row.component}: {row.source}; {row.derivation}")

    def dram_pj_per_bit(self, kind: str = "LPDDR4") -> float:
        """Energy of moving one bit to or from a DRAM, in pJ; see `dram`."""
        return self.dram(kind).energy_pj

    @property
    def node_nm(self) -> float | None:
        """Technology node of the memories, in nm; None of a table without memories."""
        return next((row.node_nm for row in self.sram_rows()), None)

    def sram_rows(self) -> tuple[SramRow, ...]:
        """All memories, by device, width and capacity."""
        return tuple(row for rows in self._sram.values() for row in rows)

    def rows(self) -> tuple[SramRow | OperationRow, ...]:
        """All rows of the table, memories first."""
        logic = tuple(row for rows in self._logic.values() for row in rows)
        return self.sram_rows() + logic + tuple(self._dram.values())

    def _no_such_width(self, capacity_bytes: int, width_bits: int, device: str) -> EnergyTableError:
        wanted = f"no energy for a memory of {capacity_bytes} B x {width_bits} bit ({device})"
        widths = sorted(width for name, width in self._sram if name == device)
        if not widths:
            devices = sorted({name for name, _ in self._sram})
            return EnergyTableError(
                f"{wanted}: the devices are {', '.join(devices) or 'none'}", where=self.name
            )
        around = [width for width in widths if width < width_bits][-1:]
        around += [width for width in widths if width > width_bits][:1]
        nearest = [
            min(
                self._sram[device, width],
                key=lambda row: abs(math.log(row.capacity_bytes / max(capacity_bytes, 1))),
            )
            for width in around
        ]
        return EnergyTableError(
            f"{wanted}: widths are not interpolated; nearest: {' and '.join(row.label for row in nearest)}",
            where=self.name,
        )


@lru_cache(maxsize=len(BUILT_IN))
def _load_built_in(name: str) -> EnergyTable:
    from importlib.resources import files

    folder = files("spikex_sim.costs") / "tables"
    if name != "default":
        folder = folder / name
    return _build(name, {file: (folder / file).read_text(encoding="utf-8") for file in _FILES})


@lru_cache(maxsize=8)
def _load_folder(folder: str, name: str, stamp: tuple[int, ...]) -> EnergyTable:  # noqa: ARG001 (cache key)
    return _build(name, read_texts(Path(folder), _FILES))


def _build(name: str, texts: Mapping[str, str]) -> EnergyTable:
    prefix = "" if name == "default" else f"{name}/"
    sram_file, logic_file, dram_file = (prefix + file for file in _FILES)
    sram: dict[tuple[str, int], list[SramRow]] = {}
    conditions: set[tuple[float, float]] = set()
    for row in read_sram(sram_file, texts["sram.csv"]):
        sram.setdefault((row.device, row.width_bits), []).append(row)
        conditions.add((row.node_nm, row.temperature_k))
    if len(conditions) > 1:
        raise EnergyTableError(
            "all memories of a table have one node and one temperature; make a table for each",
            where=sram_file,
        )
    logic: dict[str, list[OperationRow]] = {}
    for operation in read_operations(logic_file, texts["logic.csv"]):
        logic.setdefault(operation.component, []).append(operation)
    dram: dict[str, OperationRow] = {}
    for operation in read_operations(dram_file, texts["dram.csv"]):
        if operation.width_bits != 1:
            raise EnergyTableError(
                f"DRAM energies are per bit, but {operation.label} has another width",
                where=dram_file,
                field="width_bits",
            )
        if operation.component in dram:
            raise EnergyTableError(f"two rows for {operation.component}", where=dram_file)
        dram[operation.component] = operation
    return EnergyTable(
        name,
        FrozenMap(
            {key: ordered(sram_file, sram[key], lambda row: row.capacity_bytes) for key in sorted(sram)}
        ),
        FrozenMap(
            {key: ordered(logic_file, rows, lambda row: row.width_bits) for key, rows in logic.items()}
        ),
        FrozenMap(dram),
    )


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
