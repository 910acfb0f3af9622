"""Reader of HDF5 files of events, of the layouts that are common."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.arrays import IS_TRACE
from spikex_sim.sources.events.columns import (
    COLUMNS,
    Reading,
    check_no_frames,
    check_table,
    found_in,
    of_table,
    one_sample,
)
from spikex_sim.sources.events.events import MAX_RECORDING_BYTES, Recordings
from spikex_sim.trace.hdf5 import Hdf5Arrays, open_hdf5
from spikex_sim.trace.npyheader import human_bytes, shown
from spikex_sim.trace.npyzip import open_regular

DEPTH = 4
"""Groups in each other that are searched."""
MAX_HDF5_BYTES = 16 << 30
"""Largest file accepted: it may hold frames too, which are not read."""


def load_hdf5(path: str | Path, reading: Reading) -> Recordings:
    """Read one sample from HDF5: a group with a dataset a column, or one dataset that is a table.

    Parameters
    ----------
    path : str or Path
        With datasets ``x``, ``y``, ``p``, ``t`` (or other :data:`~.columns.NAMES`) in one group, e.g.
        ``events``, or records with such fields, e.g. ``CD/events``, or, with names for its columns, one
        table ``[events, columns]``. Other datasets are not read, links not followed.
    reading : Reading
        Unit of times, and names of columns that have none.

    Raises
    ------
    TraceError
        For anything wrong with the file, or where several groups or tables would do.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_HDF5_BYTES):
        pass
    with open_hdf5(path, where, DEPTH, foreign=True) as file:
        if "meta" in file.keys:
            raise TraceError(IS_TRACE, where=where)
        groups: dict[str, dict[str, str]] = defaultdict(dict)
        for key in file.keys:
            group, _, name = key.rpartition("/")
            groups[group][name] = key
        columns = {group: named for group, named in groups.items() if len(found_in(named)) == len(COLUMNS)}
        tables = {} if columns else _tables(file, reading)
        if len(columns) + len(tables) != 1:
            _refuse(file, [*columns, *tables], where)
        if tables:
            (key,) = tables
            check_table(file.declared(key), f"{where}: {shown(key)}")
            _check_size(file, [key], where)
            return of_table(file.read(key), reading, where)
        (named,) = columns.values()
        keys = {column: named[name] for column, name in found_in(named).items()}
        _check_size(file, list(keys.values()), where)
        return one_sample({column: file.read(key) for column, key in keys.items()}, reading, where)


def is_hdf5_trace(path: Path) -> bool:
    """Whether an HDF5 file is a trace."""
    with open_hdf5(path, shown(path, 400), DEPTH, foreign=True) as file:
        return "meta" in file.keys


def _tables(file: Hdf5Arrays, reading: Reading) -> list[str]:
    """Datasets that are a table of events."""
    records, plain = [], []
    for key in file.keys:
        names, shape = file.layout(key)
        if len(found_in(names)) == len(COLUMNS):
            records.append(key)
        elif reading.columns is not None and len(shape) == 2:
            plain.append(key)
    return records or plain


def _refuse(file: Hdf5Arrays, several: list[str], where: str) -> None:
    if several:
        raise TraceError(
            f"holds events in several places, {shown(', '.join(several))}; write each into a file of its own",
            where=where,
        )
    if {"spikes/times", "spikes/units"} <= set(file.keys):
        raise TraceError(
            "holds times and units of spikes, as SHD does, no events of a camera; as spikes [N, T] they "
            "become a trace with sx.Trace.from_arrays (docs/traces.md)",
            where=where,
        )
    for key in file.keys:
        check_no_frames(file.layout(key)[1], f"{where}: {shown(key)}")
    have = shown(", ".join(file.keys)) or "nothing"
    raise TraceError(
        "holds no events: x, y, p and t in one group, or a table (without names: `trace convert --columns`); "
        f"there is {have}",
        where=where,
    )


def _check_size(file: Hdf5Arrays, keys: list[str], where: str) -> None:
    total = sum(file.declared(key).nbytes for key in keys)
    if total > MAX_RECORDING_BYTES:
        raise TraceError(
            f"its arrays take {human_bytes(total)}, more than {human_bytes(MAX_RECORDING_BYTES)}; "
            "split the file",
            where=where,
        )
