"""Reader of events as text: CSV with names, or columns in a stated order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.memory import check_memory
from spikex_sim.sources.events.columns import Reading, found_in, named, one_sample
from spikex_sim.sources.events.events import Recordings
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

MAX_TEXT_BYTES = 1 << 30
"""Largest file accepted."""
MAX_LINE_BYTES = 1 << 12
"""Longest first line."""
MAX_COMMENTS = 1 << 10
"""Most lines of comments before the first."""
BYTES_A_BYTE = 9
"""Memory for a byte of text: an event takes 8 of these at least, and was measured to take 64 of memory."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_TRUTH = ("true", "false")


def load_text(path: str | Path, reading: Reading) -> Recordings:
    """Read one sample from text: a line an event, separated by commas, semicolons, tabs or spaces.

    Parameters
    ----------
    path : str or Path
        The first line may name the columns, behind a ``#`` or ``%`` too; before it, lines behind one are
        passed over.
    reading : Reading
        Unit of times, and names of columns that have none.

    Raises
    ------
    TraceError
        For anything wrong with the file, in one line that names it and the row.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_TEXT_BYTES) as handle:
        names, cells, separator = _start(handle, where)
        if names is None:
            names = list(named(len(cells), reading, where))
        if len(names) != len(cells):
            raise TraceError(f"names {len(names)} columns and has {len(cells)}", where=where)
        check_memory(BYTES_A_BYTE * path.stat().st_size, "the events", where=where)
        record = [(f"{at}", _kind(cell)) for at, cell in enumerate(cells)]
        try:
            table = np.loadtxt(handle, np.dtype(record), delimiter=separator, encoding="utf-8", ndmin=1)
        except (ValueError, OverflowError) as exc:
            raise TraceError(f"truncated or damaged: {shown(exc, 160)}", where=where) from None
    columns = {name: _numbers(table[f"{at}"], name, where) for at, name in enumerate(names)}
    return one_sample(columns, reading, where)


def is_text(start: bytes) -> bool:
    """Whether a file starts like one of events as text: with names of columns, or a row of numbers."""
    for line in start.decode("utf-8-sig", "replace").split("\n"):
        cells, _ = _cells(line)
        if not line.strip() or (line[0] in "#%" and not _are_names(cells)):
            continue
        return _are_names(cells) or (len(cells) > 1 and _are_values(cells))
    return False


def _start(handle: IO[bytes], where: str) -> tuple[list[str] | None, list[str], str | None]:
    """Names of columns, cells of the first row and what separates them; the handle stays before that row."""
    names = None
    for _ in range(MAX_COMMENTS):
        at = handle.tell()
        line = handle.readline(MAX_LINE_BYTES)
        if not line:
            raise TraceError("holds no events", where=where)
        try:
            text = line.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            text = ""
        cells, separator = _cells(text)
        if _are_values(cells):
            handle.seek(at)
            return names, cells, separator
        if _are_names(cells):
            names = cells
        elif text and text[0] not in "#%":
            raise TraceError(f"starts with {shown(text, 40)!r}, no columns of events", where=where)
    raise TraceError(f"has more than {MAX_COMMENTS} lines before its events", where=where)


def _cells(line: str) -> tuple[list[str], str | None]:
    """Cells of a line, and what separates them; None for spaces."""
    separator = next((mark for mark in ",;\t" if mark in line), None)
    parts = line.lstrip("#% ").split(separator)
    return [part.strip().strip("\"'") for part in parts], separator


def _are_names(cells: list[str]) -> bool:
    return len(found_in(cells)) > 1


def _are_values(cells: list[str]) -> bool:
    return bool(cells) and all(_NUMBER.fullmatch(cell) or cell.lower() in _TRUTH for cell in cells)


def _kind(cell: str) -> str:
    """Type of the column that starts with a cell."""
    if cell.lower() in _TRUTH:
        return "U5"
    return "i8" if _INTEGER.fullmatch(cell) else "f8"


def _numbers(column: NDArray[Any], name: str, where: str) -> NDArray[Any]:
    """Bring a column of ``True`` and ``False`` to booleans; others stay."""
    if column.dtype.kind != "U":
        return column
    lower = np.char.lower(column)
    if not np.isin(lower, _TRUTH).all():
        raise TraceError("is neither True nor False in some rows", where=where, field=shown(name))
    truth: NDArray[Any] = lower == "true"
    return truth
