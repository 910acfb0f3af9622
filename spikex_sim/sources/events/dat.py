"""Reader of Prophesee's ``.dat`` (N-Cars, the automotive data sets of Gen1 and 1 Mpx)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.events import MAX_SIDE, Events, Recordings
from spikex_sim.sources.events.spans import from_clock
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

MAX_DAT_BYTES = 4 << 30
"""Largest file accepted."""
MAX_HEADER_BYTES = 1 << 16

_EVENT = np.dtype([("time", "<u4"), ("data", "<u4")])
_TYPES = (0, 12)
"""Types of events of pixels, 2D and CD: the same layout."""
_LAYOUTS = {1: (9, 8, 17), 2: (14, 14, 28)}
"""By version: bits of column and row, bit of the polarity."""


def load_dat(path: str | Path) -> Recordings:
    """Read a recording in DAT, version 1 or 2.

    After header lines behind ``%`` come two bytes, type and size of the events, and events of 8 bytes,
    little-endian: time in µs, then column, row and polarity (1 ON) from the lowest bit on.

    Parameters
    ----------
    path : str or Path
        The file. With ``<name>_labels.csv`` beside it every row of that is a sample, else the whole
        recording is one, from its first event on.

    Raises
    ------
    TraceError
        If the file ends within an event, holds other events than those of pixels, or times fall.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_DAT_BYTES) as handle:
        header = header_of(handle, where)
        kind = handle.read(2)
        data = handle.read()
    if len(kind) < 2 or kind[0] not in _TYPES or kind[1] != _EVENT.itemsize:
        raise TraceError(
            f"holds events of type {list(kind[:1])} and size {list(kind[1:])}; types {_TYPES[0]} and "
            f"{_TYPES[1]} of size {_EVENT.itemsize} are read",
            where=where,
        )
    if len(data) % _EVENT.itemsize:
        raise TraceError(
            f"has {len(data)} bytes of events, no multiple of {_EVENT.itemsize}: truncated", where=where
        )
    version = header.get("version", 2)
    if version not in _LAYOUTS:
        raise TraceError(f"is of version {version}; 1 and 2 are read", where=where)
    columns, rows, on = _LAYOUTS[version]
    raw = np.frombuffer(data, _EVENT)
    word = raw["data"]
    events = Events(
        (word & ((1 << columns) - 1)).astype(np.uint16),
        (word >> columns & ((1 << rows) - 1)).astype(np.uint16),
        (word >> on & (0xF if version > 1 else 1)).astype(np.uint8),
        raw["time"].astype(np.int64),
    )
    return from_clock(path, events, _sensor(header), where, {})


def header_of(handle: IO[bytes], where: str) -> dict[str, int]:
    """Read past the lines behind ``%``; whole numbers in them by their names in lower case."""
    found: dict[str, int] = {}
    while True:
        start = handle.tell()
        line = handle.readline(MAX_HEADER_BYTES)
        if start > MAX_HEADER_BYTES:
            raise TraceError(f"has a header of more than {MAX_HEADER_BYTES} bytes", where=where)
        if not line.startswith(b"%"):
            handle.seek(start)
            return found
        if number := re.match(rb"%\s*(\w+)\s+(\d{1,6})\s*$", line):
            found[number[1].decode().lower()] = int(number[2])


def _sensor(header: dict[str, int]) -> tuple[int, int] | None:
    rows, columns = header.get("height", 0), header.get("width", 0)
    return (rows, columns) if 0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE else None
