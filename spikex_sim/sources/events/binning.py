"""From events to binary spikes: by duration, by count, or spread over the time points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.events import MAX_SIDE, Events, check_events
from spikex_sim.trace.npyheader import human_bytes
from spikex_sim.trace.trace import MAX_TIMESTEPS

MAX_FRAME_BYTES = 4 << 30
"""Most bytes of unpacked spikes made at once."""


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
    per_step : int64 array, ``[T]``
        Events of each time step.
    cropped : int
        Events that were left out before, and are none of these.
    """

    spikes: NDArray[np.bool_]
    kept: int
    merged: int
    out_of_range: int
    per_step: NDArray[np.int64]
    cropped: int = 0


@dataclass(frozen=True)
class Binning:
    """How the events of a sample become time steps.

    Attributes
    ----------
    timesteps : int
        Time steps ``T``.
    step_us : int or None
        Length of a step in µs.
    step_events : int or None
        Events of a step, if steps hold equally many. With neither, every sample is spread over the time
        steps, in whole ms.
    """

    timesteps: int
    step_us: int | None = None
    step_events: int | None = None

    def __call__(self, events: Events, sensor: tuple[int, int], downscale: int = 1) -> BinnedEvents:
        """Turn the events of one sample into binary spikes, and account for every event.

        In steps of equal length, an event at time ``t`` belongs to step ``t // step_us``. Times count from
        the sample's own 0, as stored: the silence before the first event is part of the recording and stays.
        In steps of equally many events, event ``i`` belongs to step ``i // step_events``, in the order of
        their times, and of the file where times are equal; the last step may hold fewer. Events count before
        pixels are merged.

        Parameters
        ----------
        events : Events
            One sample; left as it is.
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
            If an event lies outside the sensor, or a number makes no sense.
        """
        shape = _shape(self.timesteps, sensor, downscale)
        check_events(events, sensor, events.where)
        step = self._steps(events)
        inside = step < self.timesteps
        spikes = np.zeros(shape, np.bool_)
        spikes[
            np.asarray(events.polarity)[inside].astype(np.intp),
            np.asarray(events.y)[inside].astype(np.intp) // downscale,
            np.asarray(events.x)[inside].astype(np.intp) // downscale,
            step[inside],
        ] = True
        in_range = int(np.count_nonzero(inside))
        kept = int(np.count_nonzero(spikes))
        per_step = np.bincount(step[inside], minlength=self.timesteps)
        return BinnedEvents(spikes, kept, in_range - kept, len(events) - in_range, per_step)

    def _steps(self, events: Events) -> NDArray[np.int64]:
        """Step of every event."""
        if self.step_events is None:
            step_us = self.duration_us(events)
            if not 1 <= step_us < 1 << 62:
                raise TraceError(f"must be at least 1 µs, not {step_us}", field="step_us")
            return np.asarray(events.t_us).astype(np.int64) // step_us
        if not 1 <= self.step_events < 1 << 62:
            raise TraceError(f"must be at least 1 event, not {self.step_events}", field="step_events")
        step = np.empty(len(events), np.int64)
        step[np.argsort(events.t_us, kind="stable")] = np.arange(len(events)) // self.step_events
        return step

    def lasting(self, events: Events) -> Binning:
        """Binning by which parts of one sample get the time steps of the whole."""
        return self if self.step_events is not None else replace(self, step_us=self.duration_us(events))

    def duration_us(self, events: Events) -> int:
        """Length of a step of one sample in µs, where steps are equally long."""
        if self.step_us is not None:
            return self.step_us
        length_us = int(events.t_us.max()) + 1 if len(events) else self.timesteps
        return max(1, round(length_us / self.timesteps / 1000)) * 1000

    def step(self, events: Events) -> str:
        """Say in words how much a step of one sample holds, e.g. ``10 ms`` or ``500 events``."""
        if self.step_events is not None:
            return f"{self.step_events:,} events"
        return f"{self.duration_us(events) / 1000:g} ms"


def _shape(timesteps: int, sensor: tuple[int, int], downscale: int) -> tuple[int, int, int, int]:
    """Shape of the spikes, refused before anything of it is allocated."""
    height, width = sensor
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise TraceError(f"must be 1 to {MAX_SIDE} rows and columns, not {height}x{width}", field="sensor")
    if not 1 <= timesteps <= MAX_TIMESTEPS:
        raise TraceError(f"must be 1 to {MAX_TIMESTEPS}, not {timesteps}", field="timesteps")
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
    return shape
