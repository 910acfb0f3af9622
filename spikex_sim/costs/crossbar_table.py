"""Energy table of crossbar machines: one file, ``imc.csv``, a row for each part and action."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

from spikex_sim.core.errors import EnergyTableError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.costs.rows import CrossbarRow, read_crossbar
from spikex_sim.costs.table import read_texts, table_folder

CROSSBAR_TABLES = ("default", "imc65")
"""Names of the table that ships with the package."""
FILE = "imc.csv"


def is_of_crossbars(name: str) -> bool:
    """Whether a table's name, or what lies in its folder, says that it is one of crossbar machines alone."""
    return name == CROSSBAR_TABLES[1] or (Path(name).expanduser() / FILE).is_file()


@dataclass(frozen=True)
class CrossbarTable:
    """What parts of a crossbar machine cost, with sources.

    Attributes
    ----------
    name : str
        Name or folder that the table is from.
    """

    name: str
    _rows: Mapping[tuple[str, str], CrossbarRow] = field(repr=False)

    @staticmethod
    def load(name: str | os.PathLike[str] = "default") -> CrossbarTable:
        """Load a table.

        Parameters
        ----------
        name : str or path
            ``default`` or ``imc65`` for the table of the package, or a folder with ``imc.csv``.

        Raises
        ------
        EnergyTableError
            The folder or its file is missing, or a row is malformed; names file, row and column.
        """
        if name in CROSSBAR_TABLES:
            return _built(str(name), f"imc65/{FILE}", _text_of_package())
        folder = table_folder(name, (FILE,), CROSSBAR_TABLES)
        return _built(str(name), str(folder / FILE), read_texts(folder, (FILE,))[FILE])

    def row(self, component: str, action: str) -> CrossbarRow:
        """Row of a part.

        Raises
        ------
        EnergyTableError
            If the table has none.
        """
        row = self._rows.get((component, action))
        if row is None:
            raise EnergyTableError(
                f"has no row {component}.{action}; there are {', '.join(row.label for row in self.rows())}",
                where=self.name,
            )
        return row

    def energy_pj(self, component: str, action: str) -> float:
        """Energy of an action, pJ; :class:`EnergyTableError` if the table has none."""
        return self._number(self.row(component, action), "energy_pj")

    def area_um2(self, component: str, action: str) -> float:
        """Area of a part, µm²; :class:`EnergyTableError` if the table has none."""
        return self._number(self.row(component, action), "area_um2")

    def rows(self) -> tuple[CrossbarRow, ...]:
        """All rows, in the order of the file."""
        return tuple(self._rows.values())

    def _number(self, row: CrossbarRow, column: str) -> float:
        value: float | None = getattr(row, column)
        if value is None:
            raise EnergyTableError(f"row {row.label} is empty and is needed", where=self.name, field=column)
        return value


@cache
def _text_of_package() -> str:
    return (files("spikex_sim.costs") / "tables" / "imc65" / FILE).read_text(encoding="utf-8")


@lru_cache(maxsize=8)
def _built(name: str, file: str, text: str) -> CrossbarTable:
    rows: dict[tuple[str, str], CrossbarRow] = {}
    for row in read_crossbar(file, text):
        if (row.component, row.action) in rows:
            raise EnergyTableError(f"two rows for {row.label}", where=file)
        rows[row.component, row.action] = row
    return CrossbarTable(name, FrozenMap(rows))
