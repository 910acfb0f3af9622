"""The table of a sweep: its columns, its Pareto front, its files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from spikex_sim.core.counts import MOST
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.files import csv_text, write_files
from spikex_sim.core.frames import frame
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.origin import origin, pip_install
from spikex_sim.run.fields import SPREAD_CSV, SWEEP_CSV, Field, cells_of, fields_in
from spikex_sim.run.results import RunResult

Row = Mapping[str, Any]
"""Column to value."""
COLUMNS = (
    "layer_tws",
    "samples",
    *dict.fromkeys(
        column
        for table in (SPREAD_CSV, SWEEP_CSV)
        for one in fields_in(table)
        for column in one.columns()
        if not one.of_some
    ),
    "engine",
    "trace_sha256",
    *("commit", "source_sha256"),
)
"""What a sweep keeps of every run; of some also the figures that only some have, and of machines with other
components those' energy, leakage and area."""


class SweepTable(tuple[FrozenMap[str, Any], ...]):
    """Rows of a sweep, a row a point, all with the same columns."""

    __slots__ = ()

    @classmethod
    def of(cls, rows: Sequence[Row]) -> SweepTable:
        """Give all rows the columns of all, ``error`` last."""
        columns = dict.fromkeys(column for one in rows for column in one if column != "error")
        return cls(FrozenMap({column: one.get(column) for column in (*columns, "error")}) for one in rows)

    def __repr__(self) -> str:
        failed = sum(bool(one["error"]) for one in self)
        columns = len(self[0]) if self else 0
        return f"<SweepTable: {len(self)} points, {failed} failed, {columns} columns>"

    def _repr_html_(self) -> str:
        from spikex_sim.explore.sweeps.sheet import sweep_html

        return sweep_html(self)

    def to_frame(self) -> Any:
        """Make a ``pandas.DataFrame`` with the columns of ``sweep.csv``.

        Raises
        ------
        UnsupportedError
            If pandas is not installed.
        """
        return frame(self)


def measures(result: RunResult) -> dict[str, Any]:
    """Take from a run what a sweep keeps of it."""
    return {
        "layer_tws": "/".join(str(layer.tws) for layer in result.layers if layer.tws),
        "samples": result.trace["samples"],
        **cells_of(result, SPREAD_CSV),
        **cells_of(result.totals, SWEEP_CSV),
        "engine": result.engine,
        "trace_sha256": result.trace["sha256"],
        **origin(),
    }


def is_measured(found: Any) -> bool:
    """Whether something is what :func:`measures` gives: all columns there, typed, finite, not negative."""
    if not isinstance(found, dict) or not set(COLUMNS) <= set(found):
        return False
    return all(_is_cell(column, value) for column, value in found.items())


def _is_cell(column: str, value: Any) -> bool:
    if column == "samples":
        return type(value) is int and 0 < value <= MOST
    for one in _fields():
        if one.has_column(column):
            return one.admits_cell(value) and (not isinstance(value, int | float) or 0 <= value <= MOST)
    return column in COLUMNS and isinstance(value, str)


def is_measure(column: str) -> bool:
    """Whether a column of a sweep is of its runs, rather than a key that was swept."""
    return column in COLUMNS or any(one.has_column(column) for one in _fields())


def numeric_columns() -> list[str]:
    """Columns of numbers that every sweep has."""
    return [column for column in COLUMNS if unit_of(column) is not None]


def unit_of(column: str) -> str | None:
    """Unit of a column of numbers, empty of counts and shares; None of no such column."""
    if column == "samples":
        return ""
    for one in _fields():
        if one.has_column(column):
            return one.unit.replace("fraction", "") if one.kind in ("count", "number") else None
    return None


@cache
def _fields() -> tuple[Field, ...]:
    return (*fields_in(SPREAD_CSV), *fields_in(SWEEP_CSV))


def row_of(labels: Mapping[str, Any], found: Mapping[str, Any] | None, error: str) -> dict[str, Any]:
    """Row of a point: its own columns, what was measured, and what went wrong, empty if nothing did."""
    return {**labels, **(found or dict.fromkeys(COLUMNS)), "error": error}


def table_of(points: Sequence[tuple[Mapping[str, Any], Mapping[str, Any] | None, str]]) -> SweepTable:
    """Table of the points of several sweeps: columns, measures and error of each; keys of all come first."""
    keys = dict.fromkeys(key for labels, _, _ in points for key in labels)
    return SweepTable.of([row_of({**keys, **labels}, found, error) for labels, found, error in points])


def labels_of(trace: str, arch: str, point: Mapping[str, Any]) -> dict[str, Any]:
    """A point's own columns: trace, accelerator, and the swept keys as plain values."""
    return {"trace": trace, "arch": arch, **{name: _plain(value) for name, value in point.items()}}


def pareto_front(
    rows: Sequence[Row], by: tuple[str, str] = ("seconds", "energy_pj"), *, each: str = "trace_sha256"
) -> list[Row]:
    """Rows of a sweep that no other row of the same trace beats in both of two measures.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`spikex_sim.sweep` returns; points that failed are passed over.
    by : tuple of str
        Two columns, of which less is better: latency in s and energy in pJ.
    each : str
        Column whose values have a front each; points of different traces do not compare.

    Returns
    -------
    list of dict
        Trace by trace, in ascending order of the first measure. Points that are equal in both are all there.

    Examples
    --------
    >>> rows = [{"trace_sha256": "a", "seconds": s, "energy_pj": e} for s, e in [(3, 1), (1, 5), (2, 6)]]
    >>> [row["seconds"] for row in pareto_front(rows)]
    [1, 3]
    """
    first, second = by
    front: list[Row] = []
    finished = [row for row in rows if not row.get("error")]
    for name in dict.fromkeys(row[each] for row in finished):
        least: tuple[Any, Any] | None = None
        for row in sorted(
            (row for row in finished if row[each] == name), key=lambda r: (r[first], r[second])
        ):
            here = (row[first], row[second])
            if least is None or here[1] < least[1] or here == least:
                front.append(row)
                least = here
    return front


def check_parquet() -> None:
    """Raise :class:`ConfigError` unless what writes Parquet is installed."""
    try:
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as exc:
        raise ConfigError(
            f"needs pandas and pyarrow ({exc.name} is missing): {pip_install('parquet')}",
            field="parquet",
        ) from None


def write_table(
    folder: str | Path, rows: Iterable[Row], *, parquet: bool, name: str = "sweep", safe_csv: bool = False
) -> list[Path]:
    """Write ``sweep.csv``, and ``sweep.parquet`` if wanted; each appears whole or not at all."""
    cells = [dict(one) for one in rows]
    contents: dict[str, str | bytes] = {f"{name}.csv": csv_text(cells, safe=safe_csv)}
    if parquet:
        contents[f"{name}.parquet"] = _parquet(cells)
    return write_files(folder, contents)


def _parquet(rows: Sequence[Row]) -> bytes:
    import pandas as pd

    columns = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        texts = {isinstance(value, str) for value in values if value is not None}
        if len(texts) > 1:  # a column of a Parquet file has one type
            values = [None if value is None else str(value) for value in values]
        columns[name] = values
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return "/".join(map(str, value))
    return value if isinstance(value, int | float | str) else json.dumps(value)
