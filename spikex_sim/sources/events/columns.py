"""Events as named columns, of formats that leave names, units and polarities to who writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.events import MAX_SIDE, Events, Recordings, check_events
from spikex_sim.trace.npyheader import Declared, shown

COLUMNS = ("x", "y", "p", "t")
NAMES = {
    "x": ("x", "xs", "x_pos"),
    "y": ("y", "ys", "y_pos"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on"),
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
}
"""What the columns are called, in any case."""
UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
"""Microseconds in a unit of time."""
MAX_TIME = 1 << 53
"""Times up to which double precision tells µs apart: 285 years."""


@dataclass(frozen=True)
class Reading:
    """What is to be known of files that do not say it.

    Attributes
    ----------
    time_unit : str
        A key of :data:`UNITS`.
    columns : tuple of str or None
        Names of the columns, in order, of files without names.
    """

    time_unit: str = "us"
    columns: tuple[str, ...] | None = None


NOTHING_SAID = Reading()
"""What holds where nobody says anything: times are µs, and columns have names."""


def found_in(names: Iterable[str]) -> dict[str, str]:
    """Which of some names are columns of events, by column; the first where there are several of one."""
    found: dict[str, str] = {}
    for name in names:
        for column, known in NAMES.items():
            if name.lower() in known:
                found.setdefault(column, name)
    return found


def check_found(found: Mapping[str, str], names: Iterable[str], where: str) -> None:
    """Raise :class:`TraceError` unless all columns of events are among those that a file has."""
    for column in COLUMNS:
        if column not in found:
            have = shown(", ".join(names)) or "nothing"
            raise TraceError(
                f"is missing: events have x, y, p and t; there is {have}", where=where, field=column
            )


def named(count: int, reading: Reading, where: str) -> tuple[str, ...]:
    """Names of the columns of a table that has none."""
    names = reading.columns
    if names is None:
        raise TraceError(
            f"has {count} columns without names; `trace convert --columns t,x,y,p` says which is which",
            where=where,
        )
    if len(names) != count:
        raise TraceError(
            f"{shown(','.join(names), 60)} are {len(names)} columns, {where} has {count}", field="--columns"
        )
    return names


def check_table(declared: Declared, where: str) -> None:
    """Raise :class:`TraceError` unless an array is a table of events, by its type and shape alone."""
    check_no_frames(declared.shape, where)
    if declared.dtype.names is not None and len(declared.shape) == 1:
        return
    if declared.dtype.kind not in "iuf" or len(declared.shape) != 2:
        raise TraceError(
            f"holds {shown(declared.dtype, 60)} {list(declared.shape)}, no events: records with x, y, p and "
            "t, or numbers [events, columns] with `trace convert --columns`, are read",
            where=where,
        )


def check_no_frames(shape: tuple[int, ...], where: str) -> None:
    """Raise :class:`TraceError` if an array has more axes than a table."""
    if len(shape) >= 3:
        raise TraceError(
            f"holds an array {list(shape)}, frames and no events; as spikes [C, H, W, T] they become a trace "
            "with sx.Trace.from_arrays (docs/traces.md)",
            where=where,
        )


def of_table(table: NDArray[Any], reading: Reading, where: str) -> Recordings:
    """Sample that a table of :func:`check_table` holds."""
    names = table.dtype.names
    if names is not None:
        return one_sample({name: table[name] for name in names}, reading, where)
    names = named(table.shape[1], reading, where)
    return one_sample({name: table[:, index] for index, name in enumerate(names)}, reading, where)


def one_sample(columns: Mapping[str, NDArray[Any]], reading: Reading, where: str) -> Recordings:
    """Recordings of a file that holds one sample, in columns of any names, and says nothing of the sensor."""
    found = found_in(columns)
    check_found(found, columns, where)
    arrays = {key: np.ascontiguousarray(columns[name]) for key, name in found.items()}
    events = events_of(arrays, reading, where)
    check_events(events, (MAX_SIDE, MAX_SIDE), where)
    return Recordings.of_one(events, None, where)


def events_of(columns: Mapping[str, NDArray[Any]], reading: Reading, where: str) -> Events:
    """Bring columns to integers, polarities to 0 and 1, and times to µs.

    Parameters
    ----------
    columns : mapping of str to array
        By :data:`COLUMNS`: integers, floats or booleans.
    reading : Reading
        Unit of the times.
    where : str
        File named in messages.

    Raises
    ------
    TraceError
        For what is no whole number, or a time that is out of range.
    """
    count = len(columns["x"])
    for key in COLUMNS:
        array = columns[key]
        if array.dtype.kind not in "biuf" or array.ndim != 1:
            raise TraceError(
                f"must be a list of numbers, not {array.dtype} {list(array.shape)}", where=where, field=key
            )
        if len(array) != count:
            raise TraceError(f"has {len(array)} events, x has {count}", where=where, field=key)
    polarity = _whole(columns["p"], where, "p")
    if count and int(polarity.min()) == -1 and not np.any(polarity == 0):
        polarity = (polarity > 0).astype(np.uint8)
    return Events(
        _whole(columns["x"], where, "x"),
        _whole(columns["y"], where, "y"),
        polarity,
        _microseconds(columns["t"], reading.time_unit, where),
    )


def _whole(array: NDArray[Any], where: str, key: str, advice: str = "") -> NDArray[Any]:
    """Integers of an array that holds nothing else."""
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    if array.dtype.kind != "f":
        return array
    odd = ~(np.abs(array) < MAX_TIME)  # NaN too
    if np.any(odd):
        raise TraceError(f"is {array[odd][0]:g}, out of range", where=where, field=key)
    whole = array.astype(np.int64)
    if np.any(odd := whole != array):
        value = array[odd][0]
        raise TraceError(
            f"holds fractions, such as {value:g}{advice and '; '}{advice}", where=where, field=key
        )
    return whole


def _microseconds(times: NDArray[Any], unit: str, where: str) -> NDArray[Any]:
    if unit == "us":
        return _whole(times, where, "t", "times are µs unless `trace convert --time-unit s` says otherwise")
    if times.dtype.kind in "iu" and unit == "ns":
        return times // 1000
    scaled = times * UNITS[unit]
    rounded: NDArray[Any] = np.rint(scaled, out=scaled) if unit != "ns" else np.floor(scaled, out=scaled)
    return _whole(rounded, where, "t")
