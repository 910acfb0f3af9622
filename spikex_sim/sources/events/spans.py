"""Labelled spans of a long recording, a CSV file beside it: each becomes a sample."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.events import MAX_SIDE, Events, Recordings, check_events, check_rising
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

MAX_CSV_BYTES = 1 << 20
"""Largest file of spans accepted; those of DVS128 Gesture have about 300 bytes."""
MAX_SPANS = 1 << 14
"""Most spans accepted in one recording."""
COLUMNS = ("class", "startTime_usec", "endTime_usec")


@dataclass(frozen=True)
class Span:
    """One labelled part of a recording, ``start_us`` inclusive to ``end_us`` exclusive, on its own clock."""

    label: int
    start_us: int
    end_us: int


def spans_beside(path: Path) -> Path | None:
    """File of spans that belongs to a recording: ``user01_led_labels.csv`` beside ``user01_led.aedat``."""
    beside = path.with_name(f"{path.stem}_labels.csv")
    return beside if beside.is_file() else None


def load_spans(path: str | Path) -> tuple[Span, ...]:
    """Read spans.

    Parameters
    ----------
    path : str or Path
        CSV as in DVS128 Gesture: ``class,startTime_usec,endTime_usec``; classes count from 1, labels
        from 0.

    Raises
    ------
    TraceError
        For anything wrong with the file, in one line that names it and the row.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_CSV_BYTES) as handle:
        data = handle.read(MAX_CSV_BYTES)
    try:
        rows = [row for row in csv.reader(data.decode("utf-8-sig").splitlines()) if row]
    except (UnicodeDecodeError, csv.Error) as exc:
        raise TraceError(f"is no CSV file: {shown(exc)}", where=where) from None
    if not rows or tuple(cell.strip() for cell in rows[0]) != COLUMNS:
        raise TraceError(f"must start with the line {','.join(COLUMNS)}", where=where)
    if not 1 < len(rows) <= MAX_SPANS + 1:
        raise TraceError(f"must have 1 to {MAX_SPANS} rows, not {len(rows) - 1}", where=where)
    return tuple(_span(row, number, where) for number, row in enumerate(rows[1:], 1))


def _span(row: list[str], number: int, where: str) -> Span:
    def fail(message: str) -> TraceError:
        return TraceError(message, where=where, field=f"row {number}")

    cells = [cell.strip() for cell in row]
    if len(cells) != len(COLUMNS) or not all(
        cell.isascii() and cell.isdigit() and len(cell) <= 18 for cell in cells
    ):
        raise fail(f"must be three whole numbers, {','.join(COLUMNS)}, not {shown(','.join(row), 60)}")
    label, start, end = (int(cell) for cell in cells)
    if label < 1:
        raise fail("class must be 1 or more")
    if end <= start:
        raise fail(f"ends at {end} µs, no later than it starts")
    return Span(label - 1, start, end)


def cut(
    events: Events,
    spans: tuple[Span, ...],
    sensor: tuple[int, int] | None,
    source: str,
    tally: Mapping[str, int],
) -> Recordings:
    """Cut a recording into its spans; times of each sample count from the start of its span.

    Spans may overlap, as one pair of DVS128 Gesture does; what lies in both is part of both samples.

    Parameters
    ----------
    events : Events
        In the order of their times.
    spans : tuple of Span
        In the order of the samples.
    sensor, source, tally
        Of the recording.

    Returns
    -------
    Recordings
        Its tally says how many events lie outside of all spans, and how many were taken more than once.
    """
    first = np.searchsorted(events.t_us, [span.start_us for span in spans])
    last = np.searchsorted(events.t_us, [span.end_us for span in spans])
    sizes = last - first
    depth = np.zeros(len(events) + 1, np.int64)
    np.add.at(depth, first, 1)
    np.add.at(depth, last, -1)
    covered = int(np.count_nonzero(np.cumsum(depth[:-1])))
    taken = int(sizes.sum())
    if taken > 2 * len(events):
        raise TraceError(
            "its labelled spans overlap so much that most events would be in three", where=source
        )
    index = np.concatenate([np.arange(low, high) for low, high in zip(first, last, strict=True)])
    starts = np.repeat(np.array([span.start_us for span in spans], np.int64), sizes)
    return Recordings(
        events.x[index],
        events.y[index],
        events.polarity[index],
        events.t_us[index] - starts,
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([span.label for span in spans], np.int64),
        sensor,
        source,
        tally={
            **tally,
            "outside of the labelled spans": len(events) - covered,
            "taken again where spans overlap": taken - covered,
        },
    ).read_only()


def from_clock(
    path: Path, events: Events, sensor: tuple[int, int] | None, source: str, tally: Mapping[str, int]
) -> Recordings:
    """Samples of a recording with the camera's own times: its labelled spans, or all from the first event.

    Events must lie on the sensor, and in the order of their times.

    Parameters
    ----------
    path : Path
        The recording, beside which the file of spans is looked for.
    events, sensor, source, tally
        Of the recording.
    """
    check_events(events, sensor or (MAX_SIDE, MAX_SIDE), source)
    check_rising(events.t_us, source)
    beside = spans_beside(path)
    if beside is not None:
        return cut(events, load_spans(beside), sensor, source, tally)
    start = events.t_us[:1].sum()
    whole = Events(events.x, events.y, events.polarity, events.t_us - start)
    return Recordings.of_one(whole, sensor, source, tally)
