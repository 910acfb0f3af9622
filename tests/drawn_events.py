"""Events that tests draw, and what readers make of their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from naive_events import (
    Event,
)
from spikex_sim.core.errors import SpikexError
from spikex_sim.sources.events.columns import Reading
from spikex_sim.sources.events.events import Events, Recordings
from spikex_sim.sources.events.formats import load_recordings


def drawn(count: int = 400, side: int = 34, start: int = 0) -> list[Event]:
    """Events in the order of their times, some at the same one, some after long silence."""
    rng = np.random.default_rng(0)
    times = start + np.cumsum(rng.choice([0, 1, 5, 300, 9000], count))
    columns = (rng.integers(0, side, count), rng.integers(0, side, count), rng.integers(0, 2, count), times)
    return [(int(x), int(y), int(p), int(t)) for x, y, p, t in zip(*columns, strict=True)]


EVENTS = drawn()
COLUMNS = dict(zip("xypt", (np.array(column) for column in zip(*EVENTS, strict=True)), strict=True))


def listed(events: Events) -> list[Event]:
    columns = (events.x, events.y, events.polarity, events.t_us)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def from_first(events: list[Event]) -> list[Event]:
    return [(x, y, p, t - events[0][3]) for x, y, p, t in events]


def read(path: Path, data: bytes, **reading: Any) -> Recordings:
    path.write_bytes(data)
    return load_recordings(path, Reading(**reading))


def refused(path: Path, *words: str, **reading: Any) -> None:
    with pytest.raises(SpikexError) as caught:
        load_recordings(path, Reading(**reading))
    message = str(caught.value)
    assert message.isprintable() and "is not an .npz" not in message
    for word in words:
        assert word in message, message


def records(**kinds: str) -> np.ndarray[Any, Any]:
    table = np.zeros(len(EVENTS), list(kinds.items()))
    for name in kinds:
        table[name] = COLUMNS.get(name[0], 7)
    return table
