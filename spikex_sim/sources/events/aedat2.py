"""Reader of AEDAT 2.0, the format of jAER (CIFAR10-DVS, recordings of DVS128 and DAVIS cameras)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.aedat31 import MAX_HEADER_BYTES, SENSORS
from spikex_sim.sources.events.events import Events, Recordings
from spikex_sim.sources.events.spans import from_clock
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

MAX_AEDAT2_BYTES = 2 << 30
"""Largest file accepted; those of CIFAR10-DVS have about 2 MiB."""

_LINE = re.compile(rb"#[^\x00-\x08\x0e-\x1f]*\n")
"""Line of a header: an event may begin like one, with zeros after it."""
_EVENT = np.dtype([("address", ">u4"), ("time", ">i4")])


@dataclass(frozen=True)
class Layout:
    """Where an address has its parts: first bit and number of bits of column and row, bit of the polarity.

    Attributes
    ----------
    column, row : tuple of int
        Shift and bits. jAER counts columns from the right of the chip and rows from below.
    polarity : int
        Bit.
    on : int
        Value of that bit in an ON event.
    other : int
        Bits of which one is set in all that is no event of a pixel: samples of frames, special events.
    """

    column: tuple[int, int]
    row: tuple[int, int]
    polarity: int
    on: int
    other: int


DVS = Layout((1, 7), (8, 7), 0, 0, 1 << 15)
DAVIS = Layout((12, 10), (22, 9), 11, 1, 1 << 31 | 1 << 10)


def load_aedat2(path: str | Path) -> Recordings:
    """Read a recording in AEDAT 2.0.

    After an ASCII header come events of 8 bytes, big-endian: address and time in µs. What an address means
    depends on the camera, which the header names (``AEChip``); without a name it is DVS128. Rows and columns
    are turned so that the picture is upright, as in AEDAT 3.1.

    Parameters
    ----------
    path : str or Path
        The file. With ``<name>_labels.csv`` beside it every row of that is a sample, else the whole
        recording is one, from its first event on.

    Raises
    ------
    TraceError
        If the file ends within an event, is of an unknown camera, or times fall.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_AEDAT2_BYTES) as handle:
        camera = _camera(handle, where)
        data = handle.read()
    sensor = SENSORS.get(camera)
    if sensor is None:
        known = ", ".join(SENSORS)
        raise TraceError(
            f"is of the camera {shown(camera, 40)}; {known} are read", where=where, field="AEChip"
        )
    if len(data) % _EVENT.itemsize:
        raise TraceError(
            f"has {len(data)} bytes after its header, no multiple of the {_EVENT.itemsize} of an event",
            where=where,
        )
    raw = np.frombuffer(data, _EVENT)
    events, other = _decoded(raw, DVS if camera.startswith("DVS") else DAVIS, sensor)
    if not len(events):
        raise TraceError("holds no events of pixels", where=where)
    if int(events.t_us.min()) < 0:
        raise TraceError(f"has the negative time {int(events.t_us.min())} µs", where=where, field="t")
    return from_clock(path, events, sensor, where, Counter({"other events": other}))


def _camera(handle: IO[bytes], where: str) -> str:
    """Read past the header lines; the camera that they name, e.g. ``DAVIS240``."""
    camera = "DVS128"
    while True:
        start = handle.tell()
        line = handle.readline(MAX_HEADER_BYTES)
        if start > MAX_HEADER_BYTES:
            raise TraceError(f"has a header of more than {MAX_HEADER_BYTES} bytes", where=where)
        if not _LINE.fullmatch(line):
            handle.seek(start)
            return camera
        text = line.decode("latin-1").strip()
        if named := re.match(r"#\s*AEChip:\s*(?:\S*\.)?(\w+)", text):
            short = re.match(r"[A-Za-z]+\d+", named[1])
            camera = (short[0] if short else named[1]).upper()


def _decoded(raw: NDArray[Any], layout: Layout, sensor: tuple[int, int]) -> tuple[Events, int]:
    """Events of pixels, and how many others there are."""
    addresses = raw["address"].astype(np.uint32)
    of_pixels = (addresses & layout.other) == 0
    kept = addresses[of_pixels]

    def part(place: tuple[int, int]) -> Any:
        return (kept >> place[0] & ((1 << place[1]) - 1)).astype(np.int32)

    return Events(
        sensor[1] - 1 - part(layout.column),
        sensor[0] - 1 - part(layout.row),
        ((kept >> layout.polarity & 1) == layout.on).astype(np.uint8),
        raw["time"][of_pixels].astype(np.int64),
    ), len(raw) - len(kept)
