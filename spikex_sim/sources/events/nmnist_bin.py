"""Reader of the ``.bin`` files of N-MNIST and N-Caltech101 (Orchard et al., Front. Neurosci. 9:437, 2015)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.events import MAX_SIDE, Events, Recordings, check_events, check_rising
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

MAX_BIN_BYTES = 256 << 20
"""Largest file accepted; the largest of N-Caltech101 has about 3 MiB."""
EVENT_BYTES = 5
OVERFLOW_ROW = 240
"""Row of the entries that stand for no event: the ATIS has rows 0 to 239."""
OVERFLOW_US = 1 << 13
"""Time that such an entry adds to its own and all later times."""


def load_nmnist_bin(path: str | Path) -> Recordings:
    """Read one sample of N-MNIST or N-Caltech101.

    An event is 40 bits, big-endian: 8 bits column, 8 bits row, 1 bit polarity (1 ON), 23 bits time in µs.
    An entry of row 240 says that the clock overflowed: it adds 8192 µs to what follows, and is no event.

    Parameters
    ----------
    path : str or Path
        The file. Where the folder it lies in is named by a number, this is the label
        (``Train/5/00001.bin``).

    Returns
    -------
    Recordings
        One sample. The file does not say how large the sensor is (N-MNIST: 34×34).

    Raises
    ------
    TraceError
        If the file is empty or ends within an event, or times fall.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_BIN_BYTES) as handle:
        data = handle.read(os.fstat(handle.fileno()).st_size)
    if not data:
        raise TraceError("is empty", where=where)
    if len(data) % EVENT_BYTES:
        raise TraceError(
            f"has {len(data)} bytes, no multiple of the {EVENT_BYTES} of an event: truncated, or no "
            "recording of N-MNIST",
            where=where,
        )
    raw = np.frombuffer(data, np.uint8).reshape(-1, EVENT_BYTES)
    column, row, high, middle, low = (raw[:, index] for index in range(EVENT_BYTES))
    t_us = (high & 0x7F).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
    overflow = row == OVERFLOW_ROW
    t_us += OVERFLOW_US * np.cumsum(overflow, dtype=np.int64)
    kept = ~overflow
    label = folder_number(path.absolute().parent.name)
    events = Events(column[kept], row[kept], high[kept] >> 7, t_us[kept], label)
    check_events(events, (MAX_SIDE, MAX_SIDE), where)
    check_rising(events.t_us, where)
    tally = {"overflows of the clock": int(np.count_nonzero(overflow))}
    return Recordings.of_one(events, None, where, tally)


def folder_number(name: str) -> int | None:
    """Class that the name of a folder stands for, where it is a number."""
    return int(name) if name.isascii() and name.isdigit() and len(name) <= 9 else None
