"""Recordings of event cameras: which format a file has, and the reader of ``.npz`` files of many samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.aedat4 import load_aedat4
from spikex_sim.sources.events.aedat31 import load_aedat31
from spikex_sim.sources.events.events import (
    MAX_RECORDING_BYTES,
    MAX_SIDE,
    SPLITS,
    Events,
    Recordings,
    check_events,
)
from spikex_sim.sources.events.nmnist_bin import load_nmnist_bin
from spikex_sim.trace.npyheader import human_bytes, shown
from spikex_sim.trace.npyzip import NpyZip, open_npz, open_regular

SUFFIXES = (".npz", ".bin", ".aedat", ".aedat4")
"""Endings of the files that a folder of recordings is searched for."""

_EVENTS = ("x", "y", "p", "t")
_REQUIRED = (*_EVENTS, "offsets")
_MAGIC = b"#!AER-DAT"
_AEDAT = {b"3.1": "aedat31", b"4.0": "aedat4"}


def load_recordings(path: str | Path) -> Recordings:
    """Read recordings of an event camera, in any format that :func:`recording_format` tells apart.

    Parameters
    ----------
    path : str or Path
        ``.bin`` of N-MNIST and N-Caltech101, AEDAT 3.1 (DVS128 Gesture), AEDAT 4.0 (needs the extra
        ``aedat4`` where it is packed), or ``.npz`` with integer arrays ``x``, ``y``, ``p`` (0 OFF, 1 ON)
        and ``t`` (µs), one entry per event, and ``offsets`` ``[samples + 1]``; optionally ``label`` and
        ``split`` (0 train, 1 test), ``[samples]``, and ``sensor`` ``[columns, rows, polarities]``. Other
        keys are not read.

    Returns
    -------
    Recordings
        Checked: offsets rise from 0 to the number of events, coordinates lie on the sensor, times are
        not negative; in all formats but ``.npz`` they do not fall.

    Raises
    ------
    TraceError
        For anything wrong with the file, in one line that names it and the field.
    """
    readers = {"nmnist": load_nmnist_bin, "aedat31": load_aedat31, "aedat4": load_aedat4, "npz": _load_npz}
    return readers[recording_format(path)](path)


def recording_format(path: str | Path) -> str:
    """Tell a file's format: ``"nmnist"`` by its ending, ``"aedat31"``, ``"aedat4"`` or ``"npz"`` by content.

    Raises
    ------
    TraceError
        If it cannot be read, or is of a version of AEDAT that is not read.
    """
    path = Path(path)
    with open_regular(path, MAX_RECORDING_BYTES) as handle:
        start = handle.read(len(_MAGIC) + 3)
    if path.suffix.lower() == ".bin":
        return "nmnist"
    if not start.startswith(_MAGIC):
        return "npz"
    version = start[len(_MAGIC) :]
    if version not in _AEDAT:
        raise TraceError(
            f"is AEDAT {shown(version.decode('latin-1'))}; 3.1 and 4.0 are read", where=shown(path, 400)
        )
    return _AEDAT[version]


def _load_npz(path: str | Path) -> Recordings:
    with open_npz(path, MAX_RECORDING_BYTES) as archive:
        where = archive.where
        _check_declared(archive, where)
        arrays = {key: archive.read(key) for key in _REQUIRED}
        offsets = _offsets(arrays["offsets"], len(arrays["x"]), where)
        labels = None
        if "label" in archive.keys:
            labels = _vector(archive, "label", len(offsets) - 1, where).astype(np.int64)
        sensor = None
        if "sensor" in archive.keys:
            sensor = _sensor(_vector(archive, "sensor", 3, where), where)
        splits = _splits(archive, len(offsets) - 1)
    recordings = Recordings(
        arrays["x"], arrays["y"], arrays["p"], arrays["t"], offsets, labels, sensor, where, splits
    )
    everything = Events(recordings.x, recordings.y, recordings.polarity, recordings.t_us)
    check_events(everything, sensor or (MAX_SIDE, MAX_SIDE), where)
    return recordings


def _check_declared(archive: NpyZip, where: str) -> None:
    missing = [key for key in _REQUIRED if key not in archive.keys]
    if missing and "meta" in archive.keys:
        raise TraceError("is a trace, no recordings; --int8 alone converts one", where=where)
    if missing:
        raise TraceError("is missing: these are no recordings", where=where, field=missing[0])
    present = [key for key in (*_REQUIRED, "label", "sensor") if key in archive.keys]
    total = 0
    for key in present:
        header = archive.declared(key)
        if header.dtype.kind not in "iu" or len(header.shape) != 1:
            raise TraceError(
                f"must be a list of integers, not {header.dtype} {list(header.shape)}", where=where, field=key
            )
        total += header.nbytes
    if total > MAX_RECORDING_BYTES:
        raise TraceError(
            f"its arrays take {human_bytes(total)}, more than {human_bytes(MAX_RECORDING_BYTES)}; "
            "split the file",
            where=where,
        )
    count = archive.declared("x").shape[0]
    for key in _EVENTS:
        length = archive.declared(key).shape[0]
        if length != count:
            raise TraceError(f"has {length} events, x has {count}", where=where, field=key)


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
