"""Which rows and fields of a table are printed, and in which order: --sort, --top and --fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import typer

from spikex_sim.cli.options import split_names
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import closest
from spikex_sim.run.fields import ALIASES

Row = Mapping[str, Any]
Sort = Annotated[
    str | None,
    typer.Option("--sort", help="Print rows by this field, ascending; -FIELD: descending.", metavar="FIELD"),
]
Top = Annotated[int | None, typer.Option("--top", min=1, help="Print the first N rows only.", metavar="N")]
Fields = Annotated[
    str | None, typer.Option("--fields", help="Print these columns of the CSV instead.", metavar="F1,F2,...")
]


class Columns(NamedTuple):
    """Columns of a file before it is made: those known, and whether a machine may have another one."""

    file: str
    known: Sequence[str]
    also: Callable[[str], bool] = lambda _: False

    def meant(self, name: str) -> str:
        """Column that a name stands for, as ``edap`` for ``edap_js_mm2``; else the name."""
        column = ALIASES.get(name, name)
        return column if name not in self.known and column in self.known else name


@dataclass(frozen=True)
class Choice:
    """What is printed of the rows of a table.

    Attributes
    ----------
    sort : str
        Field to sort by; empty for the order as it is.
    descending : bool
        Whether from the largest on.
    top : int or None
        How many rows; all where it is None.
    fields : tuple of str
        Columns, in this order; the table's usual ones where there are none.
    """

    sort: str = ""
    descending: bool = False
    top: int | None = None
    fields: tuple[str, ...] = ()

    @classmethod
    def of(cls, sort: str | None, top: int | None, fields: str | None, columns: Columns) -> Choice:
        """Make a choice of the options as given.

        Raises
        ------
        ConfigError
            If a field is no column.
        """
        given = [] if fields is None else split_names(fields, "--fields")
        names = tuple(dict.fromkeys(columns.meant(name) for name in given))
        by = columns.meant((sort or "").removeprefix("-"))
        if sort is not None and not by:
            raise ConfigError("names nothing", where="--sort")
        made = cls(by, (sort or "").startswith("-"), top, names)
        made._check(columns)
        return made

    def _check(self, columns: Columns) -> None:
        for option, names in (("--fields", self.fields), ("--sort", (self.sort,) if self.sort else ())):
            for name in names:
                if name not in columns.known and not columns.also(name):
                    meant = closest(name, columns.known) or f", which has {', '.join(columns.known)}"
                    raise ConfigError(f"{name!r:.60} is no column of {columns.file}{meant}", where=option)

    def __bool__(self) -> bool:
        return self != Choice()

    @property
    def order(self) -> str:
        """How rows are sorted, to go after the title of their table."""
        return self.sort and f", by {self.sort}, {'descending' if self.descending else 'ascending'}"

    def of_rows(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Rows that are printed, in order; those that lack the field to sort by come last.

        Raises
        ------
        ConfigError
            If a field that a machine may have is one that none has.
        """
        self._check(Columns("this table", list(dict.fromkeys(name for row in rows for name in row))))
        if self.sort:
            there = [row for row in rows if row.get(self.sort) is not None]
            lacking = [row for row in rows if row.get(self.sort) is None]
            there.sort(key=lambda row: _rank(row[self.sort]), reverse=self.descending)
            rows = [*there, *lacking]
        return rows[: self.top]


def _rank(value: Any) -> tuple[bool, Any]:
    """Order of values of one column: numbers, then texts."""
    return isinstance(value, str), value
