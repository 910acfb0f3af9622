"""Reader of AEDAT 3.1, the format of DVS128 Gesture (Amir et al., CVPR 2017; iniVation's cAER)."""

from __future__ import annotations

import re
import struct
from collections import Counter
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.events import Events, Gathered, Recordings
from spikex_sim.sources.events.spans import from_clock
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

MAX_AEDAT31_BYTES = 2 << 30
"""Largest file accepted; those of DVS128 Gesture have about 40 MiB."""
MAX_HEADER_BYTES = 1 << 20
SENSORS = {
    "DVS128": (128, 128), "DAVIS128": (128, 128), "DAVIS208": (192, 208), "DAVIS240": (180, 240),
    "DAVIS346": (260, 346), "DAVIS640": (480, 640),
}  # fmt: skip
"""Rows and columns of the cameras that a header may name."""

_MAGIC = b"#!AER-DAT3.1"
_END = b"#!END-HEADER"
_PACKET = struct.Struct("<hhiiiiii")
_POLARITY = 1
_POLARITY_BYTES = 8
_TIME_OFFSET = 4
_TYPES = ("special", "polarity", "frame", "IMU6", "IMU9", "sample", "ear", "configuration")
_COLUMNS = np.dtype([("data", "<u4"), ("time", "<i4")])


def load_aedat31(path: str | Path) -> Recordings:
    """Read a recording in AEDAT 3.1.

    After an ASCII header come packets: 28 bytes of little-endian header, then events of one type and size.
    A polarity event is 4 bytes (bit 0 valid, bit 1 ON, bits 2 to 16 row, bits 17 to 31 column) and 31 bits
    of time in µs, to which the packet adds ``overflow << 31``. Invalid events and those of other types are
    counted and left out.

    Parameters
    ----------
    path : str or Path
        The file. With ``<name>_labels.csv`` beside it (:func:`spikex_sim.sources.events.spans.load_spans`)
        every row of that is a sample, else the whole recording is one, from its first event on.

    Returns
    -------
    Recordings
        With the sensor, where the header names a camera that is known.

    Raises
    ------
    TraceError
        If the file is truncated, packed or damaged, holds events of several cameras, or times fall.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_AEDAT31_BYTES) as handle:
        size = handle.seek(0, 2)
        handle.seek(0)
        sensor = _header(handle, where)
        events, tally = _packets(handle, size, where)
    return from_clock(path, events, sensor, where, tally)


def _header(handle: IO[bytes], where: str) -> tuple[int, int] | None:
    """Read past the header lines; the sensor, where they name one."""
    sensor = None
    if not handle.readline(MAX_HEADER_BYTES).startswith(_MAGIC):
        raise TraceError("is no AEDAT 3.1 file", where=where)
    while True:
        start = handle.tell()
        line = handle.readline(MAX_HEADER_BYTES)
        if start > MAX_HEADER_BYTES:
            raise TraceError(f"has a header of more than {MAX_HEADER_BYTES} bytes", where=where)
        if not line.startswith(b"#"):
            handle.seek(start)
            return sensor
        if line.startswith(_END):
            return sensor
        text = line.decode("latin-1").strip()
        if (packing := re.match(r"#Format:\s*(.*)", text)) and packing[1] != "RAW":
            raise TraceError(f"is {shown(packing[1], 40)}; only RAW is read", where=where, field="Format")
        if camera := re.match(r"#Source \d+:\s*([A-Za-z]+\d+)", text):
            sensor = SENSORS.get(camera[1].upper(), sensor)


def _packets(handle: IO[bytes], size: int, where: str) -> tuple[Events, Counter[str]]:
    """Polarity events of all packets, and how many others there are."""
    tally: Counter[str] = Counter()
    gathered = Gathered()
    source = None
    number = 0
    while (left := size - handle.tell()) > 0:
        number += 1
        field = f"packet {number}"
        head = handle.read(_PACKET.size)
        if len(head) < _PACKET.size:
            raise TraceError("truncated: its header is cut off", where=where, field=field)
        kind, camera, event_bytes, time_offset, overflow, _, count, _ = _PACKET.unpack(head)
        if kind < 0 or event_bytes < 1 or count < 0 or overflow < 0:
            raise TraceError("has a damaged header", where=where, field=field)
        body = event_bytes * count
        if body > left - _PACKET.size:
            raise TraceError(
                f"truncated: declares {count:,} events of {event_bytes} bytes, {left - _PACKET.size:,} bytes "
                "are left",
                where=where,
                field=field,
            )
        if kind != _POLARITY:
            tally[f"{_TYPES[kind]} events" if kind < len(_TYPES) else "other events"] += count
            handle.seek(body, 1)
            continue
        if (event_bytes, time_offset) != (_POLARITY_BYTES, _TIME_OFFSET):
            raise TraceError(
                f"has polarity events of {event_bytes} bytes with the time at {time_offset}, not of "
                f"{_POLARITY_BYTES} with the time at {_TIME_OFFSET}",
                where=where,
                field=field,
            )
        if source not in (None, camera):
            raise TraceError(
                f"has events of source {camera}, those before are of source {source}; one camera is read",
                where=where,
                field=field,
            )
        source = camera
        raw = np.frombuffer(handle.read(body), _COLUMNS)
        valid = (raw["data"] & 1).astype(np.bool_)
        tally["invalid events"] += count - int(np.count_nonzero(valid))
        gathered.add(_decoded(raw[valid], overflow, where, field))
    events = gathered.all()
    if events is None:
        raise TraceError("holds no polarity events", where=where)
    return events, tally


def _decoded(raw: NDArray[Any], overflow: int, where: str, field: str) -> Events:
    data, time = raw["data"], raw["time"]
    if len(time) and int(time.min()) < 0:
        raise TraceError(f"has the negative time {int(time.min())} µs", where=where, field=field)
    return Events(
        (data >> 17).astype(np.uint16),
        (data >> 2 & 0x7FFF).astype(np.uint16),
        (data >> 1 & 1).astype(np.uint8),
        time.astype(np.int64) + (overflow << 31),
    )
