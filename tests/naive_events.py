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


def aedat2_bytes(events: Sequence[Event], chip: str = "", other: Sequence[int] = ()) -> bytes:
    """File of AEDAT 2.0 of a DVS128 or, as the chip's name says, a DAVIS346; ``other`` are more addresses.

    jAER counts columns from the right of the chip and rows from below, and DVS128 has 0 for ON.
    """
    header = f"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n{f'# AEChip: {chip}' if chip else '#'}\r\n"
    body = b""
    for x, y, polarity, t in events:
        if "davis" in chip.lower():
            address = (259 - y) << 22 | (345 - x) << 12 | polarity << 11
        else:
            address = (127 - y) << 8 | (127 - x) << 1 | (1 - polarity)
        body += struct.pack(">Ii", address, t)
    return header.encode() + body + b"".join(struct.pack(">Ii", one, events[-1][3]) for one in other)


def dat_bytes(
    events: Sequence[Event], header: str = "% Version 2\n% Height 240\n% Width 304\n", kind: int = 12
) -> bytes:
    """File of Prophesee's DAT, version 2 if the header does not say 1."""
    shifts = (9, 17) if "Version 1" in header else (14, 28)
    words = (
        struct.pack("<II", t, x | y << shifts[0] | polarity << shifts[1]) for x, y, polarity, t in events
    )
    return header.encode() + bytes([kind, 8]) + b"".join(words)


def evt2_bytes(events: Sequence[Event], header: str = "% evt 2.0\n% geometry 640x480\n% end\n") -> bytes:
    """File of Prophesee's EVT 2: 32-bit words, the upper 28 bits of the time in one of their own."""
    data, high = header.encode(), None
    for x, y, polarity, t in events:
        if t >> 6 != high:
            high = t >> 6
            data += struct.pack("<I", 8 << 28 | high)
        data += struct.pack("<I", polarity << 28 | (t & 63) << 22 | x << 11 | y)
    return data


def evt3_bytes(events: Sequence[Event], header: str = "% evt 3.0\n% geometry 640x480\n% end\n") -> bytes:
    """File of Prophesee's EVT 3: 16-bit words for upper and lower 12 bits of the time, row, column.

    As cameras do, every value of the upper bits is written, and they wrap after 16.8 s.
    """
    data, high = header.encode(), -1
    for x, y, polarity, t in events:
        for now in range(high + 1, (t >> 12) + 1):
            data += struct.pack("<H", 8 << 12 | now & 0xFFF)
        high = t >> 12
        data += struct.pack("<3H", 6 << 12 | t & 0xFFF, y, 2 << 12 | polarity << 11 | x)
    return data


def es_bytes(events: Sequence[Event], width: int, height: int) -> bytes:
    """File of Event Stream 2.0 with events of a DVS: times as differences, rows from below."""
    data, before = b"Event Stream" + bytes([2, 0, 0, 1]) + struct.pack("<HH", width, height), 0
    for x, y, polarity, t in events:
        wait, before = t - before, t
        while wait >= 0b1111111:
            data += b"\xff"
            wait -= 0b1111111
        data += bytes([wait << 1 | polarity]) + struct.pack("<HH", x, height - 1 - y)
    return data
