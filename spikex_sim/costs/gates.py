"""Parts of an NTWU array that were synthesised: energies, areas, delays and numbers of flip-flops.

One file, ``gates.csv``, a row for each quantity, window size and width. Between rows a value is linear in
both, and says so; sizes outside of the rows are an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import product

from spikex_sim.core.errors import EnergyTableError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.costs.rows import GateRow, read_gates

FILE = "gates.csv"
SIZES = ("tws", "width_bits")
"""Columns that a value may depend on."""

Share = tuple[int | None, float]
"""Size of a row around the one that is asked for, and how much its value counts."""


@dataclass(frozen=True)
class Gate:
    """A quantity of a part.

    Attributes
    ----------
    value : float
        In the unit of its rows.
    node_nm : float or None
        Technology node, in nm; None of a number.
    provenance : str
        Row or rows that the value is from, and their source.
    """

    value: float
    node_nm: float | None
    provenance: str


@dataclass(frozen=True)
class Gates:
    """What parts of an array need, with sources.

    Attributes
    ----------
    name : str
        File that the rows are from.
    """

    name: str
    _rows: Mapping[tuple[str, str], Mapping[tuple[int | None, int | None], GateRow]] = field(repr=False)

    @staticmethod
    def load() -> Gates:
        """Read the rows of the package, once."""
        return _built(FILE, _text_of_package())

    @staticmethod
    def of(name: str, text: str) -> Gates:
        """Take rows from the text of a file.

        Raises
        ------
        EnergyTableError
            A row is malformed or there twice, or one is missing between others; names file, row and column.
        """
        return _built(name, text)

    def rows(self) -> tuple[GateRow, ...]:
        """All rows."""
        return tuple(row for sizes in self._rows.values() for row in sizes.values())

    @property
    def node_nm(self) -> float:
        """Technology node of the energies, in nm."""
        found = self.value("flip_flop", "clock").node_nm
        assert found is not None
        return found

    def depends(self, component: str, quantity: str) -> bool:
        """Whether a quantity depends on the window size."""
        return any(tws is not None for tws, _ in self._rows.get((component, quantity), ()))

    def value(self, component: str, quantity: str, *, tws: int = 1, width_bits: int = 1) -> Gate:
        """A quantity of a part, from its row or between the rows around it.

        Parameters
        ----------
        component, quantity : str
            Part, and what of it.
        tws, width_bits : int
            Window size and width; of no account where the rows do not depend on them.

        Raises
        ------
        EnergyTableError
            There is no such quantity, or a size is outside of its rows.
        """
        rows = self._rows.get((component, quantity))
        if rows is None:
            known = ", ".join(sorted(f"{part}.{what}" for part, what in self._rows))
            raise EnergyTableError(f"has no {component}.{quantity}; there are {known}", where=self.name)
        sized = [sorted({size for one in rows if (size := one[at]) is not None}) for at in range(len(SIZES))]
        asked = GateRow(
            component, quantity, tws if sized[0] else None, width_bits if sized[1] else None, None, 0.0,
            "", "", "",
        )  # fmt: skip
        around = [
            _around(asked, size, rows_of, self.name) for size, rows_of in zip(SIZES, sized, strict=True)
        ]
        found = [
            (rows[tws_of, width_of], share * part) for (tws_of, share), (width_of, part) in product(*around)
        ]
        first = found[0][0]
        if len(found) == 1:
            return Gate(first.value, first.node_nm, f"{first.label}: {first.source}; {first.derivation}")
        between = " and ".join(row.label for row, _ in found)
        return Gate(
            sum(row.value * share for row, share in found),
            first.node_nm,
            f"{asked.label} interpolated between {between}: {first.source}; {first.derivation}",
        )


def _around(asked: GateRow, size: str, known: Sequence[int], where: str) -> tuple[Share, ...]:
    """Sizes of rows on both sides of the one asked for; itself where there is a row of it."""
    if not known:
        return ((None, 1.0),)
    wanted: int = getattr(asked, size)
    if wanted in known:
        return ((wanted, 1.0),)
    low = [one for one in known if one < wanted][-1:]
    high = [one for one in known if one > wanted][:1]
    if not (low and high):
        (nearest,) = low or high
        raise EnergyTableError(
            f"has no {asked.label}: the {'largest' if low else 'smallest'} {size} of its rows is {nearest}; "
            "it is not extrapolated",
            where=where,
        )
    share = (wanted - low[0]) / (high[0] - low[0])
    return (low[0], 1.0 - share), (high[0], share)


@cache
def _text_of_package() -> str:
    return (files("spikex_sim.costs") / "tables" / FILE).read_text(encoding="utf-8")


@cache
def _built(name: str, text: str) -> Gates:
    rows: dict[tuple[str, str], dict[tuple[int | None, int | None], GateRow]] = {}
    for row in read_gates(name, text):
        sizes = rows.setdefault((row.component, row.quantity), {})
        if (row.tws, row.width_bits) in sizes:
            raise EnergyTableError(f"two rows for {row.label}", where=name)
        sizes[row.tws, row.width_bits] = row
    for found in rows.values():
        _check_grid(found.values(), name)
    return Gates(name, FrozenMap({key: FrozenMap(found) for key, found in rows.items()}))


def _check_grid(rows: Iterable[GateRow], where: str) -> None:
    """Raise :class:`EnergyTableError` unless there is a row for every window size and width, at one node."""
    found = list(rows)
    sizes = [{getattr(row, size) for row in found} for size in SIZES]
    full = len(found) == len(sizes[0]) * len(sizes[1])
    if not full or any(None in one and len(one) > 1 for one in sizes):
        raise EnergyTableError(
            f"{found[0].component}.{found[0].quantity} lacks rows: every TWS wants every width",
            where=where,
        )
    if len({(row.node_nm, row.unit) for row in found}) > 1:
        raise EnergyTableError(
            f"{found[0].component}.{found[0].quantity} has rows of several nodes or units", where=where
        )
