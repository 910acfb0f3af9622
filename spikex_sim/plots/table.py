"""Columns of rows as numbers, and what of them goes into a figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from spikex_sim.core.errors import FigureError
from spikex_sim.core.units import prefix_of
from spikex_sim.explore.sweeps.table import is_measure
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import describe_keys

Row = Mapping[str, Any]
"""Column to value."""
Rows = Sequence[Row]
TOTAL = "total"
LEAST, MOST = 1e-60, 1e60
"""Between these, products and ratios of what is drawn are finite."""
LABELS = ("trace", "arch", "error")
"""Columns of a sweep that say which point it is, and why it failed."""


def cell(row: Row, column: str) -> Any:
    """Value of a column; :class:`FigureError` if there is no such column."""
    if column not in row:
        raise FigureError("no such column", field=column)
    return row[column]


def number(row: Row, column: str) -> float:
    """Value of a column as a number; :class:`FigureError` if it is not one, or cannot be drawn."""
    value = cell(row, column)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not (value == 0 or LEAST <= value <= MOST)
    ):
        shown = "a larger one" if isinstance(value, int) and value > MOST else f"{str(value)!r:.40}"
        raise FigureError(f"must be a number of 0 or more, {LEAST:g} to {MOST:g}, not {shown}", field=column)
    return value


def numbers(rows: Rows, column: str) -> list[float]:
    """A column as numbers."""
    return [number(row, column) for row in rows]


def working(rows: Rows) -> Rows:
    """Layers that take time; pooling takes none."""
    found = [row for row in rows if number(row, "cycles")]
    if not found:
        raise FigureError("no layer takes any cycles", field="cycles")
    return found


def finished(rows: Rows) -> Rows:
    """Points of a sweep that were run."""
    found = [row for row in rows if not row.get("error")]
    if not found:
        raise FigureError("no point is finished")
    return found


def is_chip(row: Row) -> bool:
    """Whether a row of ``layers.csv`` or ``sweep.csv`` is of a crossbar machine."""
    return row.get("energy_crossbar_pj") is not None


def trace_of(row: Row) -> str:
    """What tells a trace from another one: its hash, in rows without one its name."""
    return str(row.get("trace_sha256") or cell(row, "trace"))


def grid_keys(rows: Rows) -> list[str]:
    """Keys that a sweep varied, as far as they differ among these rows."""
    keys = [key for key in rows[0] if key not in LABELS and not is_measure(key)]
    return [key for key in keys if len({str(row.get(key)) for row in rows}) > 1]


def series_of(rows: Rows, apart: Iterable[str]) -> dict[str, list[Row]]:
    """Sort rows into series by accelerator, trace and every swept key but those ``apart``.

    Names only say what differs: ``spikex, cols 16``. Traces of the same name have their hashes' beginning.
    """
    keys = [key for key in ("arch", "trace", *grid_keys(rows)) if key not in apart]
    hashes: dict[str, set[str]] = {}
    for row in rows:
        hashes.setdefault(str(cell(row, "trace")), set()).add(trace_of(row))

    def value(row: Row, key: str) -> str:
        shown = str(cell(row, key))
        return f"{shown} {trace_of(row)[:6]}" if key == "trace" and len(hashes[shown]) > 1 else shown

    varied = brief([key for key in keys if len({value(row, key) for row in rows}) > 1])
    found: dict[str, list[Row]] = {}
    for row in rows:
        name = ", ".join(f"{label} {value(row, key)}".strip() for key, label in varied.items())
        found.setdefault(name or str(cell(row, "arch")), []).append(row)
    return found


@cache
def _configuration_keys(kind: type[Accelerator]) -> tuple[str, ...]:
    return tuple(key for key, _, _ in describe_keys(kind()))


def brief(keys: Sequence[str]) -> dict[str, str]:
    """Shortest ends of dotted keys that no other key of a configuration has; none for what names itself."""
    found = {}
    of_chip = any(key.startswith("imc.") for key in keys)
    known = {*keys, *_configuration_keys(CrossbarOptions if of_chip else Accelerator)}
    for key in keys:
        parts = key.split(".")
        ends = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [other for other in known if other != key]
        own = [end for end in ends if not any(f".{other}".endswith(f".{end}") for other in others)]
        found[key] = "" if key in ("arch", "trace") else own[0]
    return found


def scale(values: Iterable[float], unit: str) -> tuple[float, str]:
    """Divisor and unit with metric prefix that make the largest value readable."""
    return prefix_of(max(values, default=0.0), unit)
