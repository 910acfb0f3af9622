"""Readers of ``.npz`` and ``.npy`` files of events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.columns import (
    COLUMNS,
    Reading,
    check_found,
    check_no_frames,
    check_table,
    events_of,
    found_in,
    of_table,
)
from spikex_sim.sources.events.events import (
    MAX_RECORDING_BYTES,
    MAX_SIDE,
    SPLITS,
    Recordings,
    check_events,
)
from spikex_sim.trace.npyheader import NpyError, human_bytes, read_header, shown
from spikex_sim.trace.npyzip import NpyZip, open_npz, open_regular

IS_TRACE = "is a trace, no recordings; --int8 alone converts one"


def load_npz(path: str | Path, reading: Reading) -> Recordings:
    """Read an ``.npz``: columns of events, or a single table of them, of one sample or of many.

    Parameters
    ----------
    path : str or Path
        With lists ``x``, ``y``, ``p`` and ``t`` (or other :data:`~.columns.NAMES`), one entry per event;
        optionally ``offsets`` ``[samples + 1]``, ``label`` and ``split`` (0 train, 1 test), ``[samples]``,
        and ``sensor`` ``[columns, rows, polarities]``. Other keys are not read.
    reading : Reading
        Unit of times, and names of columns that have none.
    """
    with open_npz(path, MAX_RECORDING_BYTES, foreign=True) as archive:
        where = archive.where
        if "meta" in archive.keys:
            raise TraceError(IS_TRACE, where=where)
        found = found_in(archive.keys)
        if not found and len(archive.keys) == 1:
            key = archive.keys[0]
            check_table(archive.declared(key), where)
            return of_table(archive.read(key), reading, where)
        for key in archive.keys if len(found) < len(COLUMNS) else ():
            check_no_frames(archive.declared(key).shape, f"{where}: {shown(key)}")
        check_found(found, archive.keys, where)
        _check_declared(archive, found, where)
        events = events_of({key: archive.read(found[key]) for key in COLUMNS}, reading, where)
        offsets = np.array([0, len(events)])
        if "offsets" in archive.keys:
            offsets = archive.read("offsets")
        offsets = _offsets(offsets, len(events), where)
        labels = None
        if "label" in archive.keys:
            labels = _vector(archive, "label", len(offsets) - 1, where).astype(np.int64)
        sensor = None
        if "sensor" in archive.keys:
            sensor = _sensor(_vector(archive, "sensor", 3, where), where)
        splits = _splits(archive, len(offsets) - 1)
    check_events(events, sensor or (MAX_SIDE, MAX_SIDE), where)
    return Recordings(
        events.x, events.y, events.polarity, events.t_us, offsets, labels, sensor, where, splits
    ).read_only()


def load_npy(path: str | Path, reading: Reading) -> Recordings:
    """Read an ``.npy`` of one sample: records with fields ``x``, ``y``, ``p`` and ``t``, or a plain table.

    Parameters
    ----------
    path : str or Path
        The file. Pickled objects are never loaded.
    reading : Reading
        Unit of times, and names of columns that have none.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_RECORDING_BYTES) as handle:
        try:
            header = read_header(handle, foreign=True)
        except NpyError as exc:
            raise TraceError(str(exc), where=where) from None
        except (EOFError, UnicodeDecodeError):
            raise TraceError("truncated or damaged: it has no whole header", where=where) from None
        size = handle.seek(0, 2) - header.offset
        if size != header.nbytes:
            raise TraceError(
                f"truncated or damaged: declares {header.dtype} {list(header.shape)}, "
                f"{human_bytes(header.nbytes)}, and holds {human_bytes(size)}",
                where=where,
            )
        check_table(header, where)
        data = header.room(where, "the array")
        handle.seek(header.offset)
        if handle.readinto(data.data) != header.nbytes:
            raise TraceError("truncated: became shorter while it was read", where=where)
    table = data.view(header.dtype).reshape(header.shape, order="F" if header.fortran else "C")
    return of_table(table, reading, where)


def _check_declared(archive: NpyZip, found: dict[str, str], where: str) -> None:
    more = [key for key in ("offsets", "label", "sensor") if key in archive.keys]
    total = 0
    for key in (*found.values(), *more):
        header = archive.declared(key)
        if header.dtype.kind not in ("iu" if key in more else "biuf") or len(header.shape) != 1:
            what = "integers" if key in more else "numbers"
            raise TraceError(
                f"must be a list of {what}, not {header.dtype} {list(header.shape)}", where=where, field=key
            )
        total += header.nbytes
    if total > MAX_RECORDING_BYTES:
        raise TraceError(
            f"its arrays take {human_bytes(total)}, more than {human_bytes(MAX_RECORDING_BYTES)}; "
            "split the file",
            where=where,
        )


def _vector(archive: NpyZip, key: str, length: int, where: str) -> NDArray[Any]:
    have = archive.declared(key).shape[0]
    if have != length:
        raise TraceError(f"has {have} entries, {length} are needed", where=where, field=key)
    return archive.read(key)


def _splits(archive: NpyZip, samples: int) -> NDArray[np.int64] | None:
    """Part of the data set that each sample belongs to; None where the key means something else."""
    if "split" not in archive.keys:
        return None
    header = archive.declared("split")
    if header.dtype.kind not in "iu" or header.shape != (samples,):
        return None
    splits = archive.read("split")
    if int(splits.min()) < 0 or int(splits.max()) >= len(SPLITS):
        return None
    return splits.astype(np.int64)


def _offsets(raw: NDArray[Any], events: int, where: str) -> NDArray[np.int64]:
    if len(raw) < 2:
        raise TraceError("holds no sample", where=where, field="offsets")
    # Checked before the conversion, which would wrap unsigned 64-bit values.
    if int(raw[0]) != 0 or np.any(raw[1:] < raw[:-1]):
        raise TraceError("must start at 0 and never fall", where=where, field="offsets")
    if int(raw[-1]) != events:
        raise TraceError(
            f"ends at {int(raw[-1])}, but there are {events} events", where=where, field="offsets"
        )
    return raw.astype(np.int64)


def _sensor(raw: NDArray[Any], where: str) -> tuple[int, int]:
    width, height, polarities = (int(value) for value in raw)
    if polarities != 2 or not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise TraceError(f"must be [columns, rows, 2], not {raw.tolist()}", where=where, field="sensor")
    return height, width
