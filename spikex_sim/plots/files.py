"""Tables that commands wrote, read back: columns are of their kind and finite, or the file is damaged."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import FigureError
from spikex_sim.core.files import as_named
from spikex_sim.run.fields import ACCESSES_CSV, LAYERS_CSV, SPREAD_CSV, SWEEP_CSV, fields_in
from spikex_sim.trace.npyzip import open_regular

MAX_BYTES = 1 << 28
"""Largest table that is read."""
LONGEST_CELL = 64
"""Characters of a number."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_DAMAGED = "the file is damaged: run it again"


FIELDS = {
    LAYERS_CSV: tuple(fields_in(LAYERS_CSV)),
    ACCESSES_CSV: tuple(fields_in(ACCESSES_CSV)),
    SWEEP_CSV: (*fields_in(SPREAD_CSV), *fields_in(SWEEP_CSV)),
}
"""What a run and a sweep write into their tables."""
SWEEP_TEXTS = ("trace", "arch", "error", "layer_tws", "engine", "trace_sha256", "commit", "source_sha256")
"""Other columns of a sweep, and of no other kind."""
STUDY = dict.fromkeys(
    (
        "network",
        "variant",
        "configuration",
        "layer",
        "arch",
        "parameter",
        "value",
        "chosen",
        "figure",
        "data",
        "method",
        "trace",
        "engine",
        "trace_sha256",
        "commit",
        "source_sha256",
    ),
    "text",
)
"""Kind of columns of all other tables, in which errors are numbers."""


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Read a CSV file that a command wrote; numbers become numbers, empty cells None.

    Apostrophes of ``--safe-csv`` are no part of the names.

    Raises
    ------
    FigureError
        If it cannot be read, is not a table, has no rows, or holds what no command writes there.
    """
    where = str(file)
    try:
        table = list(csv.reader(io.StringIO(_text(file), newline="")))
    except csv.Error as exc:
        raise FigureError(f"cannot be read: {exc}", where=where) from None
    if len(table) < 2:
        raise FigureError("has no rows", where=where)
    header, *lines = [[as_named(cell) for cell in line] for line in table]
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise FigureError(f"there are two columns of this name; {_DAMAGED}", where=where, field=twice)
    kinds = {name: _kind(file.name, name) for name in header}
    rows = []
    for index, cells in enumerate(lines, 2):
        if len(cells) != len(header):
            raise FigureError(f"line {index} has {len(cells)} cells, the header {len(header)}", where=where)
        rows.append({name: _value(cell, kinds[name]) for name, cell in zip(header, cells, strict=True)})
        for name, value in rows[-1].items():
            if value is _WRONG:
                shown = cells[header.index(name)]
                raise FigureError(
                    f"line {index} has {shown!r:.40}, no {kinds[name]} of 0 or more; {_DAMAGED}",
                    where=where,
                    field=name,
                )
    return rows


def _kind(table: str, column: str) -> str:
    """Kind of a column: ``text``, ``count`` or ``number``; ``any`` is a number if it looks like it."""
    if table not in FIELDS:
        return STUDY.get(column, "any")
    if table == SWEEP_CSV and column in SWEEP_TEXTS:
        return "text"
    return next((one.kind for one in FIELDS[table] if one.has_column(column)), "any")


def read_evaluation(file: Path) -> list[dict[str, Any]]:
    """Read an ``evaluate.json``, a row a machine and layer.

    Raises
    ------
    FigureError
        If it cannot be read, or is not one.
    """
    try:
        content = json.loads(_text(file))
        samples = content["data"]["samples"]
        return [
            {"run": run, "arch": one["arch"], "accuracy": one["accuracy"], "samples": samples, **layer}
            for run, one in enumerate(content["runs"])
            for layer in one["layers"]
        ]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise FigureError(f"is not what evaluate writes; {_DAMAGED}", where=str(file)) from None


def _text(file: Path) -> str:
    try:
        with open_regular(file, MAX_BYTES, FigureError) as raw:
            return raw.read(MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise FigureError(f"cannot be read: {exc}", where=str(file)) from None


_WRONG = object()


def _value(cell: str, kind: str) -> Any:
    if not cell:
        return None
    if kind == "text":
        return cell
    number = _number(cell)
    if kind == "any":
        return cell if number is None else number
    if number is None or number < 0 or (kind == "count" and not isinstance(number, int)):
        return _WRONG
    return number


def _number(cell: str) -> int | float | None:
    """Value of a decimal number; None if it is none, or not finite."""
    if len(cell) > LONGEST_CELL or not _NUMBER.fullmatch(cell):
        return None
    value = float(cell)
    if not math.isfinite(value):
        return None
    return int(cell) if cell.removeprefix("-").isdecimal() else value
