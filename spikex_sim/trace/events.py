"""Importer of event-camera recordings: many samples as flat arrays of events in one ``.npz``."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.errors import TraceError
from spikex_sim.trace.model import MAX_TIMESTEPS
from spikex_sim.trace.npyzip import NpyZip, human_bytes, open_regular, shown

MAX_RECORDING_BYTES = 8 << 30
"""Most bytes of arrays read from one file of recordings."""
MAX_FRAME_BYTES = 4 << 30
"""Most bytes of unpacked spikes made at once."""
MAX_SIDE = 1 << 14
"""Most rows or columns of a sensor."""

_EVENTS = ("x", "y", "p", "t")
_REQUIRED = (*_EVENTS, "offsets")


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one sample, one entry each, in the order of the file.

    Attributes
    ----------
    x, y : integer arrays
        Column and row, from 0.
    polarity : integer array
        0 for OFF, 1 for ON.
    t_us : integer array
        Time in µs, as stored: 0 is the start of the sample's recording, not its first event.
    label : int or None
        Class, where known.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    polarity: NDArray[Any]
    t_us: NDArray[Any]
    label: int | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Recordings:
    """Samples of one file.

    Attributes
    ----------
    x, y, polarity, t_us : integer arrays, ``[events]``
        As in :class:`Events`, all samples after each other; read-only.
    offsets : int64 array, ``[samples + 1]``
        Sample ``i`` is ``offsets[i]`` to ``offsets[i + 1]``, exclusive.
    labels : int64 array, ``[samples]``, or None
        Classes.
    sensor : tuple of int or None
        Rows and columns, where the file says so.
    source : str
        File they come from.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    polarity: NDArray[Any]
    t_us: NDArray[Any]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    sensor: tuple[int, int] | None
    source: str

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def sample(self, index: int) -> Events:
        """Events of one sample, without copying them."""
        if not 0 <= index < len(self):
            raise TraceError(
                f"there is no sample {index}; samples are 0 to {len(self) - 1}",
                where=self.source,
                field="sample",
            )
        part = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        label = None if self.labels is None else int(self.labels[index])
        return Events(self.x[part], self.y[part], self.polarity[part], self.t_us[part], label)


@dataclass(frozen=True, eq=False)
class BinnedEvents:
    """Spikes made from events, and what became of every event.

    Attributes
    ----------
    spikes : bool array, ``[2, H, W, T]``
        Channel 1 is ON.
    kept : int
        Events that are a spike: the spikes set.
    merged : int
        Events that fell on a spike already set (same pixel, polarity and step).
    out_of_range : int
        Events after the last time step.
    """

    spikes: NDArray[np.bool_]
    kept: int
    merged: int
    out_of_range: int


def load_recordings(path: str | Path) -> Recordings:
    """Read recordings.

    Parameters
    ----------
    path : str or Path
        ``.npz`` with integer arrays ``x``, ``y``, ``p`` (0 OFF, 1 ON) and ``t`` (µs), one entry per
        event, and ``offsets`` ``[samples + 1]``; optionally ``label`` ``[samples]`` and ``sensor``
        ``[columns, rows, polarities]``. Other keys are not read.

    Returns
    -------
    Recordings
        Checked: offsets rise from 0 to the number of events, coordinates lie on the sensor, times are
        not negative.

    Raises
    ------
    TraceError
        For anything wrong with the file, in one line that names it and the field.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_RECORDING_BYTES) as handle:
        archive = NpyZip(handle, where, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
        _check_declared(archive, where)
        arrays = {key: archive.read(key) for key in _REQUIRED}
        offsets = _offsets(arrays["offsets"], len(arrays["x"]), where)
        labels = None
        if "label" in archive.keys:
            labels = _vector(archive, "label", len(offsets) - 1, where).astype(np.int64)
        sensor = None
        if "sensor" in archive.keys:
            sensor = _sensor(_vector(archive, "sensor", 3, where), where)
    recordings = Recordings(
        arrays["x"], arrays["y"], arrays["p"], arrays["t"], offsets, labels, sensor, source=where
    )
    everything = Events(recordings.x, recordings.y, recordings.polarity, recordings.t_us)
    _check_events(everything, sensor or (MAX_SIDE, MAX_SIDE), where)
    return recordings


def bin_events(
    events: Events,
    timesteps: int,
    step_us: int,
    sensor: tuple[int, int],
    downscale: int = 1,
) -> BinnedEvents:
    """Turn events into binary spikes, and account for every event.

    An event at time ``t`` belongs to step ``t // step_us``. Times count from the sample's own 0, as
    stored: the silence before the first event is part of the recording and stays.

    Parameters
    ----------
    events : Events
        One sample; left as it is.
    timesteps : int
        Time steps ``T``.
    step_us : int
        Length of a step in µs.
    sensor : tuple of int
        Rows and columns ``(H, W)`` of the sensor.
    downscale : int
        Side of the pixel blocks that are merged with OR; divides ``H`` and ``W``.

    Returns
    -------
    BinnedEvents
        Spikes ``[2, H / downscale, W / downscale, T]``; ``kept + merged + out_of_range`` is the number
        of events.

    Raises
    ------
    TraceError
        If an event lies outside the sensor, or an argument makes no sense.
    """
    height, width = sensor
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise TraceError(f"must be 1 to {MAX_SIDE} rows and columns, not {height}x{width}", field="sensor")
    if not 1 <= timesteps <= MAX_TIMESTEPS:
        raise TraceError(f"must be 1 to {MAX_TIMESTEPS}, not {timesteps}", field="timesteps")
    if not 1 <= step_us < 1 << 62:
        raise TraceError(f"must be at least 1 µs, not {step_us}", field="step_us")
    if downscale < 1 or height % downscale or width % downscale:
        raise TraceError(f"{downscale} does not divide {height}x{width} pixels", field="downscale")
    shape = (2, height // downscale, width // downscale, timesteps)
    size = 2 * shape[1] * shape[2] * timesteps
    if size > MAX_FRAME_BYTES:
        raise TraceError(
            f"{list(shape)} spikes take {human_bytes(size)}, more than {human_bytes(MAX_FRAME_BYTES)}; "
            "take fewer or longer steps, or downscale",
            field="timesteps",
        )
    _check_events(events, sensor, "events")
    step = np.asarray(events.t_us).astype(np.int64) // step_us
    inside = step < timesteps
    spikes = np.zeros(shape, np.bool_)
    spikes[
        np.asarray(events.polarity)[inside].astype(np.intp),
        np.asarray(events.y)[inside].astype(np.intp) // downscale,
        np.asarray(events.x)[inside].astype(np.intp) // downscale,
        step[inside],
    ] = True
    in_range = int(np.count_nonzero(inside))
    kept = int(np.count_nonzero(spikes))
    binned = BinnedEvents(spikes, kept, in_range - kept, len(events) - in_range)
    assert binned.merged >= 0
    assert binned.kept + binned.merged + binned.out_of_range == len(events)
    return binned


def _check_declared(archive: NpyZip, where: str) -> None:
    missing = [key for key in _REQUIRED if key not in archive.keys]
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


def _check_events(events: Events, sensor: tuple[int, int], where: str) -> None:
    bounds = {"x": (events.x, sensor[1]), "y": (events.y, sensor[0]), "p": (events.polarity, 2)}
    for key, (values, bound) in {**bounds, "t": (events.t_us, 1 << 63)}.items():
        array = np.asarray(values)
        if array.dtype.kind not in "iu" or array.ndim != 1 or len(array) != len(events):
            raise TraceError(f"must be a list of {len(events)} integers", where=where, field=key)
        if not array.size:
            continue
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= bound:
            wrong = low if low < 0 else high
            raise TraceError(f"must be 0 to {bound - 1}, not {wrong}", where=where, field=key)
