"""Recordings written, read and binned from the formats' descriptions alone, one event at a time.

Nothing here is imported from the package. Events are tuples ``(x, y, polarity, t_us)``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

Event = tuple[int, int, int, int]


def nmnist_bytes(events: Iterable[Event]) -> bytes:
    """N-MNIST: 40 bits an event; where 23 bits of time do not suffice, entries of row 240 add 8192 µs."""
    data, added = b"", 0
    for x, y, polarity, t in events:
        while t - added >= 1 << 23:
            # An entry's own time is of no account; what it adds counts from itself on.
            data += bytes([0, 240, 0, 0, 0])
            added += 8192
        data += bytes([x, y]) + (polarity << 23 | (t - added)).to_bytes(3, "big")
    return data


def polarity_packet(
    events: Sequence[Event],
    *,
    overflow: int = 0,
    source: int = 1,
    invalid: Sequence[int] = (),
    kind: int = 1,
    count: int | None = None,
    size: int = 8,
) -> bytes:
    """Packet of AEDAT 3.1; ``kind``, ``count``, ``size`` and ``invalid`` say what is odd about it."""
    number = len(events) if count is None else count
    body = b""
    for index, (x, y, polarity, t) in enumerate(events):
        valid = 0 if index in invalid else 1
        body += struct.pack("<Ii", x << 17 | y << 2 | polarity << 1 | valid, t & 0x7FFFFFFF)
    return struct.pack("<hhiiiiii", kind, source, size, 4, overflow, number, number, number) + body


def aedat31_bytes(*packets: bytes, header: str = "#Format: RAW\r\n#Source 1: DVS128\r\n") -> bytes:
    """File of AEDAT 3.1."""
    return f"#!AER-DAT3.1\r\n{header}#!END-HEADER\r\n".encode() + b"".join(packets)


def sized(body: bytes) -> bytes:
    """A buffer with its size before it."""
    return struct.pack("<I", len(body)) + body


def event_packet(events: Sequence[Event]) -> bytes:
    """FlatBuffer EventPacket: root offset, identifier, vtable of one field, table, vector of structs."""
    items = b"".join(struct.pack("<qhhB3x", t, x, y, polarity) for x, y, polarity, t in events)
    # 0 root offset, 4 identifier, 8 padding, 10 vtable (6 bytes), 16 table (8 bytes), 24 vector
    head = struct.pack("<I4s2xHHH", 16, b"EVTS", 6, 8, 4)
    return head + struct.pack("<iI", 6, 4) + struct.pack("<I", len(events)) + items


def io_header(description: str, compression: int = 0, table: int = -1) -> bytes:
    """FlatBuffer IOHeader with all three fields."""
    text = description.encode()
    # 8 vtable (10 bytes), 18 padding, 20 table: vtable distance, compression, position, text offset
    head = struct.pack("<I4sHHHHH2x", 20, b"IOHE", 10, 20, 4, 8, 16)
    body = struct.pack("<iiqI", 12, compression, table, 4)
    return head + body + struct.pack("<I", len(text)) + text + b"\0"


def description_of(width: int, height: int, *streams: str) -> str:
    """XML of the streams of an AEDAT 4 file, as iniVation's software writes it."""
    nodes = "".join(
        f'<node name="{number}" path="/mainloop/Recorder/outInfo/{number}/">'
        f'<attr key="compression" type="string">NONE</attr>'
        f'<attr key="typeIdentifier" type="string">{kind}</attr>'
        f'<node name="info"><attr key="sizeX" type="int">{width}</attr>'
        f'<attr key="sizeY" type="int">{height}</attr></node></node>'
        for number, kind in enumerate(streams)
    )
    return f'<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">{nodes}</node></dv>'


def aedat4_bytes(
    packets: Sequence[tuple[int, bytes]], description: str, compression: int = 0, rest: bytes | None = None
) -> bytes:
    """File of AEDAT 4.0: packets are stream and packed body; ``rest`` is the table at the end, if any."""
    body = b"".join(struct.pack("<ii", stream, len(data)) + data for stream, data in packets)
    start = 14 + len(sized(io_header(description)))
    table = -1 if rest is None else start + len(body)
    return b"#!AER-DAT4.0\r\n" + sized(io_header(description, compression, table)) + body + (rest or b"")


Binned = tuple[set[tuple[int, int, int, int]], int, int, int]


def binned(steps: Sequence[tuple[Event, int]], timesteps: int, downscale: int) -> Binned:
    """Set of (polarity, row, column, step), and how many events were kept, merged and out of range."""
    spikes: set[tuple[int, int, int, int]] = set()
    kept = merged = late = 0
    for (x, y, polarity, _), step in steps:
        place = (polarity, y // downscale, x // downscale, step)
        if step >= timesteps:
            late += 1
        elif place in spikes:
            merged += 1
        else:
            spikes.add(place)
            kept += 1
    return spikes, kept, merged, late


def by_duration(events: Sequence[Event], timesteps: int, step_us: int, downscale: int = 1) -> Binned:
    """Step ``t // step_us``."""
    return binned([(event, event[3] // step_us) for event in events], timesteps, downscale)


def by_count(events: Sequence[Event], timesteps: int, step_events: int, downscale: int = 1) -> Binned:
    """Every step takes the next so many events, in the order of time."""
    waiting = sorted(events, key=lambda event: event[3])
    steps = []
    step = 0
    while waiting:
        taken, waiting = waiting[:step_events], waiting[step_events:]
        steps += [(event, step) for event in taken]
        step += 1
    return binned(steps, timesteps, downscale)


def spread_us(events: Sequence[Event], timesteps: int) -> int:
    """Whole ms, at least one, nearest to an equal share of the recording."""
    if not events:
        return 1000
    share = (max(event[3] for event in events) + 1) / timesteps / 1000
    return 1000 * max(1, round(share))
