"""Events of an event camera as flat arrays: what every reader of recordings gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.units import sides

MAX_RECORDING_BYTES = 8 << 30
"""Most bytes of arrays read from one file of recordings."""
MAX_SIDE = 1 << 14
"""Most rows or columns of a sensor."""
SPLITS = ("train", "test")
"""Parts of a data set, by their numbers in :attr:`Recordings.splits`."""


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
    where : str
        File and sample, for messages.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    polarity: NDArray[Any]
    t_us: NDArray[Any]
    label: int | None = None
    where: str = "events"

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
    splits : int64 array, ``[samples]``, or None
        Index into :data:`SPLITS`, where the file says so.
    tally : mapping of str to int
        What the file holds beside the events of these samples, and how many of each.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    polarity: NDArray[Any]
    t_us: NDArray[Any]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    sensor: tuple[int, int] | None
    source: str
    splits: NDArray[np.int64] | None = None
    tally: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of_one(
        cls,
        events: Events,
        sensor: tuple[int, int] | None,
        source: str,
        tally: Mapping[str, int] | None = None,
    ) -> Recordings:
        """Make the recordings of a file that holds a single sample."""
        offsets = np.array([0, len(events)], np.int64)
        labels = None if events.label is None else np.array([events.label], np.int64)
        columns = (events.x, events.y, events.polarity, events.t_us)
        return cls(*columns, offsets, labels, sensor, source, tally=tally or {}).read_only()

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
        where = self.source if len(self) == 1 else f"{self.source}: sample {index}"
        return Events(self.x[part], self.y[part], self.polarity[part], self.t_us[part], label, where)

    def read_only(self) -> Recordings:
        """Protect the arrays of events against being written; the same object."""
        for array in (self.x, self.y, self.polarity, self.t_us):
            array.setflags(write=False)
        return self


class Gathered:
    """Events of many packets, joined now and then: a list of tiny arrays would take far more memory.

    Parameters
    ----------
    joined : int
        Packets after which those at hand are joined.
    """

    def __init__(self, joined: int = 4096) -> None:
        self._joined = joined
        self._blocks: list[Events] = []
        self._waiting: list[Events] = []

    def add(self, events: Events) -> None:
        """Append the events of one packet."""
        self._waiting.append(events)
        if len(self._waiting) == self._joined:
            self._blocks.append(_concatenated(self._waiting))
            self._waiting = []

    def all(self) -> Events | None:
        """All events in the order in which they were added; None without a packet."""
        blocks = [*self._blocks, *self._waiting]
        return _concatenated(blocks) if blocks else None


def _concatenated(parts: list[Events]) -> Events:
    return Events(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.polarity for part in parts]),
        np.concatenate([part.t_us for part in parts]),
    )


def check_events(events: Events, sensor: tuple[int, int], where: str, advice: str = "") -> None:
    """Raise :class:`TraceError` unless events are lists of one length that lie on the sensor after time 0.

    Parameters
    ----------
    events : Events
        In any order.
    sensor : tuple of int
        Rows and columns.
    where : str
        File named in messages.
    advice : str
        What to do about an event that is not on the sensor, for messages.
    """
    bounds = {"x": (events.x, sensor[1]), "y": (events.y, sensor[0]), "p": (events.polarity, 2)}
    for key, (values, bound) in {**bounds, "t": (events.t_us, 1 << 63)}.items():
        array = np.asarray(values)
        if array.dtype.kind not in "iu" or array.ndim != 1 or len(array) != len(events):
            raise TraceError(f"must be a list of {len(events)} integers", where=where, field=key)
        if not array.size:
            continue
        if int(array.min()) < 0 or int(array.max()) >= bound:
            at = int(np.argmax((array < 0) | (array >= bound)))
            message = f"must be 0 to {bound - 1}, not {int(array[at])}: event {at}"
            if key in ("x", "y"):
                message += f" is at x {int(events.x[at])}, y {int(events.y[at])}, off the sensor of "
                message += f"{sides(sensor)} (rows x columns){advice and '; '}{advice}"
            raise TraceError(message, where=where, field=key)


def check_rising(t_us: NDArray[Any], where: str) -> None:
    """Raise :class:`TraceError` where times fall: the file is damaged, or its clock was set back."""
    falls = np.flatnonzero(t_us[1:] < t_us[:-1])
    if falls.size:
        at = int(falls[0])
        raise TraceError(
            f"falls from {int(t_us[at])} to {int(t_us[at + 1])} at event {at + 1}; events must be in the "
            "order of their times",
            where=where,
            field="t",
        )
