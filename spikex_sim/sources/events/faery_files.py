"""Reader of Prophesee's ``.raw`` (EVT) and of Event Stream ``.es``, by the package faery."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any

from spikex_sim.core.errors import TraceError
from spikex_sim.core.origin import pip_install
from spikex_sim.sources.events.events import MAX_SIDE, Events, Gathered, Recordings
from spikex_sim.sources.events.spans import from_clock
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

MAX_FAERY_BYTES = 2 << 30
"""Largest file accepted."""
MAX_EVENTS = 1 << 28
"""Most events accepted: in EVT3 two bytes can stand for twelve."""
MAX_HEADER_BYTES = 1 << 16
KINDS = {"evt": "EVT (.raw)", "es": "Event Stream (.es)"}
"""Formats by faery's names for them."""

_UNKNOWN = (MAX_SIDE, MAX_SIDE)
"""Sensor of files that do not say how large it is."""
_WORD = {b"2": 4, b"2.1": 8, b"3": 2}
"""Bytes of a word of EVT by version."""


def load_by_faery(path: str | Path, kind: str) -> Recordings:
    """Read a recording in EVT 2, 2.1 or 3, or Event Stream.

    Parameters
    ----------
    path : str or Path
        The file. With ``<name>_labels.csv`` beside it every row of that is a sample, else the whole
        recording is one, from its first event on.
    kind : str
        A key of :data:`KINDS`.

    Raises
    ------
    TraceError
        If the package is missing, or finds something wrong with the file.
    """
    path = Path(path)
    where = shown(path, 400)
    try:
        from faery.file_decoder import Decoder
    except ImportError:
        raise TraceError(
            f"is {KINDS[kind]}, which the package faery reads: {pip_install('events')}; .npz, .npy, "
            "HDF5, CSV, AEDAT, .dat and .bin are read without it",
            where=where,
        ) from None
    with open_regular(path, MAX_FAERY_BYTES) as handle:
        if kind == "evt":
            _check_whole(handle, where)
    gathered, count = Gathered(), 0
    try:
        decoder = Decoder(path, dimensions_fallback=_UNKNOWN, file_type=kind, time_range_cache=None)
        columns, rows = decoder.dimensions()
        for packet in decoder:
            count += len(packet)
            if count > MAX_EVENTS:
                raise TraceError(f"holds more than {MAX_EVENTS:,} events; split it", where=where)
            gathered.add(_events(packet))
    except TraceError:
        raise
    except Exception as exc:
        said = shown(str(exc).replace(str(path), path.name))
        raise TraceError(f"is no {KINDS[kind]} that faery reads: {said}", where=where) from None
    events = gathered.all()
    if events is None or not count:
        raise TraceError("holds no events", where=where)
    sensor = None if (columns, rows) == _UNKNOWN else (int(rows), int(columns))
    return from_clock(path, events, sensor, where, {})


def _events(packet: Any) -> Events:
    return Events(packet["x"], packet["y"], packet["on"].astype("u1"), packet["t"].astype("i8"))


def _check_whole(handle: IO[bytes], where: str) -> None:
    """Raise where EVT ends within a word, which faery passes over."""
    start = handle.read(MAX_HEADER_BYTES)
    header = re.match(rb"(%.*\n)*", start)
    length = header.end() if header else 0
    version = re.search(rb"% (?:evt |format EVT)(\d(?:\.1)?)", start[:length])
    word = _WORD.get(version[1] if version else b"3", 1)
    left = handle.seek(0, 2) - length
    if left % word:
        raise TraceError(
            f"has {left} bytes after its header, no multiple of the {word} of a word: truncated", where=where
        )
