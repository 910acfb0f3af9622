"""Slices of a timeline, read back from what ``run --timeline`` wrote, line by line and within bounds."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn, TypeGuard

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ResultsError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.run.observers import MOST_LINES
from spikex_sim.trace.npyzip import open_regular

MAX_BYTES = 1 << 31
"""Largest file that is read; as many slices as a run writes take some 300 MB."""
LONGEST_LINE = 1 << 16
"""Characters of an event."""
MOST_TRACKS = 4096
LAST = 2**53 - 1
"""Last cycle, and most bits, that are exact in a browser."""
LINES_AT_A_TIME = 4096
_ENDS = "is not a timeline as run --timeline writes it; run it again"

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Track:
    """Slices of one track, in order, none over another.

    Attributes
    ----------
    name : str
        Of the track.
    start, end : int64 array
        First cycle of each slice, and the first one after it.
    kind : int64 array
        What happens: place in :attr:`Timeline.kinds`.
    label : int64 array
        Whose it is: place in :attr:`Timeline.labels`.
    bits : int64 array
        What is moved; -1 where nothing is said of it.
    """

    name: str
    start: Ints
    end: Ints
    kind: Ints
    label: Ints
    bits: Ints


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a run did when.

    Attributes
    ----------
    about : mapping
        ``otherData``: clock, cycles, machine, trace.
    tracks : tuple of Track
        From top to bottom; without those that have no slice.
    kinds : tuple of str
        Activities and stalls; ``layer`` for layers as a whole.
    layers : tuple of str
        Layers by name, each sample's own.
    labels : tuple of (int, str)
        Layer, as a place in ``layers``, and place in its schedule, such as ``group 0 tile 3 step 36``;
        empty for the layer as a whole.
    """

    about: dict[str, Any]
    tracks: tuple[Track, ...]
    kinds: tuple[str, ...]
    layers: tuple[str, ...]
    labels: tuple[tuple[int, str], ...]


def read_timeline(file: Path, progress: Progress = silent) -> Timeline:
    """Read a ``timeline.json``.

    Parameters
    ----------
    file : Path
        As ``run --timeline`` writes it: an event a line.
    progress : callable, optional
        Told how many bytes are read.

    Raises
    ------
    ResultsError
        If it cannot be read, is too large, or holds what no run writes; names the line.
    """
    reader = _Reader(str(file))
    with open_regular(file, MAX_BYTES, ResultsError) as raw:
        size = max(file.stat().st_size, 1)
        for first, events in _batches(raw, reader):
            for place, event in enumerate(events):
                reader.line = first + place
                reader.take(event)
            progress("timeline", min(raw.tell(), size), size)
    return reader.result()


def _batches(raw: IO[bytes], reader: _Reader) -> Iterator[tuple[int, list[Any]]]:
    """Events, some at a time, with the number of the first one's line."""
    head, opening = _line(raw, reader), _line(raw, reader)
    if not head.endswith(b",") or opening != b'"traceEvents":[':
        reader.refuse()
    about = reader.parsed(head[:-1] + b"}").get("otherData")
    if not isinstance(about, dict):
        reader.refuse()
    reader.about = about
    first, found = reader.line + 1, list[bytes]()
    while True:
        line = _line(raw, reader)
        ends = line == b"]}"
        if not ends:
            found.append(line)
        if found and (ends or len(found) == LINES_AT_A_TIME):
            last = found[-1].removesuffix(b",")
            yield first, reader.parsed(b'{"events":[' + b"".join(found[:-1]) + last + b"]}")["events"]
            first, found = reader.line + 1, []
        if ends:
            return


def _line(raw: IO[bytes], reader: _Reader) -> bytes:
    reader.line += 1
    line = raw.readline(LONGEST_LINE)
    if not line.endswith(b"\n"):
        reader.refuse(f"line {reader.line} is too long or cut off; {_ENDS}")
    return line.rstrip()


@dataclass
class _Columns:
    """Slices of a track as they are read."""

    name: str
    number: int
    start: array[int] = field(default_factory=lambda: array("q"))
    end: array[int] = field(default_factory=lambda: array("q"))
    kind: array[int] = field(default_factory=lambda: array("q"))
    label: array[int] = field(default_factory=lambda: array("q"))
    bits: array[int] = field(default_factory=lambda: array("q"))


class _Reader:
    """Takes events one by one."""

    def __init__(self, where: str) -> None:
        self.where, self.line = where, 0
        self.about: dict[str, Any] = {}
        self._tracks: dict[int, _Columns] = {}
        self._kinds: dict[str, int] = {}
        self._layers: dict[str, int] = {}
        self._labels: dict[tuple[int, str], int] = {}
        self._current = ""
        self._count = 0

    def refuse(self, why: str = "") -> NoReturn:
        raise ResultsError(why or f"line {self.line}: {_ENDS}", where=self.where)

    def parsed(self, text: bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(text.decode("utf-8"), parse_constant=self._no_number)
        except (ValueError, RecursionError):
            self.refuse(f"up to line {self.line}: {_ENDS}")
        return found

    def _no_number(self, text: str) -> NoReturn:
        raise ValueError(text)

    def take(self, event: Any) -> None:
        """Take an event: a slice, or the name of a track."""
        if not isinstance(event, dict):
            self.refuse()
        if event.get("ph") == "X":
            self._slice(event)
        elif event.get("ph") != "M":
            self.refuse()
        elif event.get("name") == "thread_name":
            self._track(event)

    def _track(self, event: dict[str, Any]) -> None:
        args = event.get("args")
        name = args.get("name") if isinstance(args, dict) else None
        number = event.get("tid")
        if not isinstance(name, str) or not _is_count(number) or number in self._tracks:
            self.refuse()
        if len(self._tracks) == MOST_TRACKS:
            self.refuse(f"more than {MOST_TRACKS:,} tracks")
        self._tracks[number] = _Columns(name, number)

    def _slice(self, event: dict[str, Any]) -> None:
        number, start, cycles = event.get("tid"), event.get("ts"), event.get("dur")
        kind, name, args = event.get("cat"), event.get("name"), event.get("args", {})
        if (
            not (_is_count(number) and number in self._tracks)
            or not (_is_count(start) and _is_count(cycles) and cycles > 0 and start + cycles <= LAST)
            or not (isinstance(kind, str) and isinstance(name, str) and isinstance(args, dict))
        ):
            self.refuse()
        bits = args.get("bits", -1)
        if not (bits == -1 or _is_count(bits)):
            self.refuse()
        self._count += 1
        if self._count > MOST_LINES:
            self.refuse(f"more than {MOST_LINES:,} slices; choose layers with --layers when running")
        track = self._tracks[number]
        track.start.append(start)
        track.end.append(start + cycles)
        track.kind.append(self._kinds.setdefault(kind, len(self._kinds)))
        track.label.append(self._label(track.name, kind, name))
        track.bits.append(bits)

    def _label(self, track: str, kind: str, name: str) -> int:
        """Number of what a slice's name says beside its kind."""
        if kind == "layer":
            self._current = title = name
            place = ""
        else:
            # A layer that works beside others has tracks of its own, named by layer and activity.
            title = self._current or track.removesuffix(f" {kind}")
            head = f"{kind} {title} "
            if not name.startswith(head):
                self.refuse()
            place = name.removeprefix(head)
        key = self._layers.setdefault(title, len(self._layers)), place
        return self._labels.setdefault(key, len(self._labels))

    def result(self) -> Timeline:
        if not self._count:
            self.refuse("no slice: nothing takes time")
        ordered = sorted(self._tracks.values(), key=lambda one: one.number)
        tracks = tuple(self._in_order(one) for one in ordered if one.start)
        return Timeline(self.about, tracks, tuple(self._kinds), tuple(self._layers), tuple(self._labels))

    def _in_order(self, columns: _Columns) -> Track:
        start = np.frombuffer(columns.start, np.int64)
        order = np.argsort(start, kind="stable")
        kept = (columns.start, columns.end, columns.kind, columns.label, columns.bits)
        track = Track(columns.name, *(np.frombuffer(one, np.int64)[order] for one in kept))
        if (track.start[1:] < track.end[:-1]).any():
            self.refuse(f"slices of track {columns.name!r:.60} lie over each other; {_ENDS}")
        return track


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= LAST
