"""Reader of AEDAT 4.0, the format of iniVation's DV (https://docs.inivation.com, File formats)."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.events import MAX_SIDE, Events, Gathered, Recordings
from spikex_sim.sources.events.spans import from_clock
from spikex_sim.sources.untrusted.flatbuffer import Table
from spikex_sim.sources.untrusted.unpack import unpacked
from spikex_sim.trace.npyheader import human_bytes, shown
from spikex_sim.trace.npyzip import open_regular

MAX_AEDAT4_BYTES = 2 << 30
"""Largest file accepted."""
MAX_UNPACKED_BYTES = 4 << 30
"""Most bytes of events accepted, 16 each."""
MAX_HEADER_BYTES = 1 << 20

_MAGIC = b"#!AER-DAT4.0\r\n"
_METHODS = ("none", "LZ4", "LZ4", "ZSTD", "ZSTD")
_NAMES = {"FRME": "frames", "IMUS": "motion", "TRIG": "triggers"}
_EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("on", "u1"), ("pad", "V3")])
_PACKET = struct.Struct("<ii")


def load_aedat4(path: str | Path) -> Recordings:
    """Read a recording in AEDAT 4.0.

    After the line ``#!AER-DAT4.0`` come a FlatBuffer ``IOHeader`` (compression, place of the table at the
    end, description of the streams in XML) and packets: stream, size, and a FlatBuffer, as it is or as an
    LZ4 or Zstandard frame. Events are 16 bytes: int64 time in µs, int16 column, int16 row, ON or OFF.
    Packets of other streams are counted and left out.

    Parameters
    ----------
    path : str or Path
        The file. With ``<name>_labels.csv`` beside it (:func:`spikex_sim.sources.events.spans.load_spans`)
        every row of that is a sample, else the whole recording is one, from its first event on.

    Returns
    -------
    Recordings
        With the sensor of the stream of events.

    Raises
    ------
    TraceError
        If the file is truncated or damaged, has no or several streams of events, is packed and the package
        for it is missing, or times fall.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_AEDAT4_BYTES) as handle:
        size = handle.seek(0, 2)
        handle.seek(0)
        method, end, description = _header(handle, size, where)
        streams = _Streams(description, where)
        stream, sensor = streams.events()
        events, tally = _packets(handle, end, method, stream, streams, where)
    return from_clock(path, events, sensor, where, tally)


def _header(handle: IO[bytes], size: int, where: str) -> tuple[str, int, str]:
    """Compression, end of the packets, description of the streams."""
    if handle.read(len(_MAGIC)) != _MAGIC:
        raise TraceError("is no AEDAT 4.0 file", where=where)
    length = int.from_bytes(handle.read(4), "little")
    if not 0 < length <= min(MAX_HEADER_BYTES, size - handle.tell()):
        raise TraceError(
            f"declares {human_bytes(length)}, of {human_bytes(size)} in the file", where=where, field="header"
        )
    header = Table(handle.read(length), where, "header")
    packing, end = header.integer(0, "<i", 0), header.integer(1, "<q", -1)
    if packing not in range(len(_METHODS)):
        raise TraceError(f"has the unknown compression {packing}", where=where, field="header")
    if end == -1:
        end = size
    if not handle.tell() <= end <= size:
        raise TraceError(f"truncated: its packets end at byte {end} of {size}", where=where, field="header")
    return _METHODS[packing], end, header.text(2)


class _Streams:
    """Streams of a file as its XML describes them: type and size by number."""

    def __init__(self, description: str, where: str) -> None:
        self._where = where
        self._path: list[str] = []
        self._key: str | None = None
        self._found: dict[tuple[int, str], str] = {}
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.buffer_text = True
        try:
            parser.Parse(description, True)
        except (expat.ExpatError, ValueError) as exc:
            raise self._error(f"is no XML: {shown(exc)}") from None

    def kind(self, stream: int) -> str:
        """Four letters of the type of a stream, e.g. ``EVTS``."""
        return self._found.get((stream, "typeIdentifier"), "")

    def events(self) -> tuple[int, tuple[int, int]]:
        """Number of the stream of events, and rows and columns of its sensor."""
        streams = [number for number, key in self._found if key == "typeIdentifier"]
        events = [number for number in streams if self.kind(number) == "EVTS"]
        if len(events) != 1:
            raise self._error(f"has {len(events)} streams of events; files with one are read")
        sides = [self._found.get((events[0], key), "") for key in ("sizeY", "sizeX")]
        if not all(
            side.isascii() and side.isdigit() and len(side) < 9 and 1 <= int(side) <= MAX_SIDE
            for side in sides
        ):
            raise self._error(
                f"sizeX and sizeY must be 1 to {MAX_SIDE}, not {shown(sides[1], 20)!r} and "
                f"{shown(sides[0], 20)!r}"
            )
        return events[0], (int(sides[0]), int(sides[1]))

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(attributes.get("name", "") if tag == "node" else "")
        self._key = attributes.get("key") if tag == "attr" else None

    def _end(self, _tag: str) -> None:
        self._path.pop()
        self._key = None

    def _text(self, text: str) -> None:
        # dv / outInfo / NUMBER / [info /] attr
        wanted = {4: ("typeIdentifier",), 5: ("sizeX", "sizeY")}.get(len(self._path), ())
        if not wanted or self._path[1] != "outInfo":
            return
        number = self._path[2]
        if self._key in wanted and number.isascii() and number.isdigit() and len(number) < 9:
            self._found[int(number), self._key] = text.strip()

    def _doctype(self, *_: object) -> None:
        raise self._error("has a document type, which is never read")

    def _error(self, message: str) -> TraceError:
        return TraceError(message, where=self._where, field="streams")


def _packets(
    handle: IO[bytes], end: int, method: str, stream: int, streams: _Streams, where: str
) -> tuple[Events, Counter[str]]:
    tally: Counter[str] = Counter()
    gathered = Gathered()
    number, total = 0, 0
    while (left := end - handle.tell()) > 0:
        number += 1
        field = f"packet {number}"
        head = handle.read(min(_PACKET.size, left))
        if len(head) < _PACKET.size:
            raise TraceError("truncated: its header is cut off", where=where, field=field)
        here, size = _PACKET.unpack(head)
        if not 0 <= size <= left - _PACKET.size:
            raise TraceError(
                f"truncated: declares {size:,} bytes, {left - _PACKET.size:,} are left",
                where=where,
                field=field,
            )
        if here != stream:
            tally[f"packets of {_NAMES.get(streams.kind(here), 'other streams')}"] += 1
            handle.seek(size, 1)
            continue
        packed = handle.read(size)
        body = packed if method == "none" else unpacked(packed, method, where, field)
        events = _events(body, where, field)
        total += events.nbytes
        if total > MAX_UNPACKED_BYTES:
            raise TraceError(
                f"holds more than {human_bytes(MAX_UNPACKED_BYTES)} of events; split it", where=where
            )
        gathered.add(Events(events["x"], events["y"], events["on"], events["t"]))
    joined = gathered.all()
    if joined is None:
        raise TraceError("holds no events", where=where)
    return joined, tally


def _events(body: bytes | bytearray, where: str, field: str) -> NDArray[Any]:
    """Events of a packet, which is a FlatBuffer with its size before it."""
    length = int.from_bytes(body[:4], "little")
    if length > len(body) - 4:
        raise TraceError(
            f"truncated: declares {length:,} bytes, {max(len(body) - 4, 0):,} are there",
            where=where,
            field=field,
        )
    packet = Table(memoryview(body)[4 : 4 + length], where, field)
    return np.frombuffer(packet.vector(0, _EVENT.itemsize), _EVENT)
