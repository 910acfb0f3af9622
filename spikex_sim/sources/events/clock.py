"""Clocks of recordings: how they start and wrap, and what looks odd about events and their times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spikex_sim.core.text import counted
from spikex_sim.core.units import with_prefix
from spikex_sim.sources.events.binning import BinnedEvents, Binning
from spikex_sim.sources.events.events import Events

FEW = 10
"""Events up to which nothing is odd."""
MANY = 100
"""Events from which on both polarities are among them."""
LONG_US = 1_000_000
"""Length of a time point from which on it is long for an event camera."""
EMPTY = 0.9
"""Share of empty time points from which on it is odd."""


@dataclass(frozen=True)
class Clock:
    """How the times of a recording are taken.

    Attributes
    ----------
    bits : int or None
        A time that falls by more than half of ``2**bits`` µs has wrapped there.
    from_first : bool
        Whether times count from the first event.
    """

    bits: int | None = None
    from_first: bool = False

    def __call__(self, events: Events) -> Events:
        """Events with times so taken; the given ones stay."""
        if not len(events) or self == Clock():
            return events
        t_us = np.asarray(events.t_us).astype(np.int64)
        if self.bits is not None:
            t_us[1:] += np.cumsum(np.diff(t_us) < -(1 << self.bits - 1), dtype=np.int64) << self.bits
        if self.from_first:
            t_us -= t_us.min()
        return replace(events, t_us=t_us)


@dataclass(frozen=True)
class Times:
    """How the events of one recording, or of several after each other, lie in time.

    Attributes
    ----------
    events : int
        All of them.
    placed, steps, empty : int
        Events that lie in time points, time points, and those of them without an event.
    most : int
        Events of the fullest time point.
    span_us : int
        From the first to the last event.
    """

    events: int
    placed: int
    steps: int
    empty: int
    most: int
    span_us: int

    @classmethod
    def of(cls, events: Events, binned: BinnedEvents) -> Times:
        """Times of one recording."""
        first, last = _ends(events)
        per_step = binned.per_step
        empty = int(np.count_nonzero(per_step == 0))
        return cls(len(events), int(per_step.sum()), len(per_step), empty, int(per_step.max()), last - first)

    def __add__(self, other: Times) -> Times:
        return Times(
            self.events + other.events,
            self.placed + other.placed,
            self.steps + other.steps,
            self.empty + other.empty,
            max(self.most, other.most),
            self.span_us + other.span_us,
        )

    def __str__(self) -> str:
        seconds = self.span_us / 1e6
        rate = f", {self.events / seconds:,.0f} events/s" if self.span_us else ""
        empty = f"{100 * self.empty / self.steps:.4g} % of {self.steps:,} time points"
        return (
            f"span {_duration(self.span_us)}{rate}; {self.placed / self.steps:.4g} events a time point, "
            f"{self.most:,} at most; {empty} are empty"
        )


def oddity(events: Events, binned: BinnedEvents, binning: Binning) -> str | None:
    """Say what is odd about a recording, and which option mends it; None if nothing is.

    Parameters
    ----------
    events : Events
        In the order of the file.
    binned : BinnedEvents
        What they became.
    binning : Binning
        By which.
    """
    if not len(events):
        return "there are no events, so that nothing enters the network"
    if len(events) <= FEW:
        return None
    found = None if binning.step_events is not None else next(_oddities(events, binned, binning), None)
    if found is None and len(events) > MANY and (events.polarity == events.polarity[0]).all():
        return f"all {len(events):,} events are {'ON' if events.polarity[0] else 'OFF'}; cameras give both"
    return found


def _oddities(events: Events, binned: BinnedEvents, binning: Binning) -> Iterator[str]:
    """What is odd, the cause of the rest first."""
    first, last = _ends(events)
    steps, step_us = binning.timesteps, binning.duration_us(events)
    span = _duration(last - first)
    points = f"time points of {_duration(step_us)}"
    if wraps := _wraps(events, last - first):
        yield (
            f"times fall {counted(wraps, 'time')} by half of their span or more, as where a clock wraps: "
            f"--unwrap {last.bit_length()} undoes it"
        )
    if first // step_us > steps // 2:
        yield (
            f"the first event comes after {_duration(first)}, the others within {span}: "
            "--from-first counts times from it"
        )
    if steps > 1 and last // step_us == first // step_us:
        yield (
            f"all events lie within {span}, in one of {steps:,} {points}: --time-unit ms (or s) if times are "
            "not µs, or a shorter --step-ms"
        )
    if binned.out_of_range > len(events) // 2 or step_us >= LONG_US:
        late = 100 * binned.out_of_range / len(events)
        yield (
            f"events last {span}, in {steps:,} {points} ({late:.3g} % come later): --time-unit ns if times "
            "are not µs, or another --step-ms"
        )
    empty = int(np.count_nonzero(binned.per_step == 0))
    if empty >= EMPTY * steps:
        yield f"{empty:,} of {steps:,} time points are empty: --step-events N fills them evenly"


def _wraps(events: Events, span_us: int) -> int:
    """How often times fall, if that is seldom and always by half of what they span."""
    steps = np.diff(np.asarray(events.t_us).astype(np.int64))
    falls = steps[steps < 0]
    if len(falls) > len(events) // FEW or np.any(falls > -span_us // 2):
        return 0
    return len(falls)


def _duration(us: int) -> str:
    """Say how long a time is, beyond a thousand seconds in full."""
    return f"{us / 1e6:,.0f} s" if us >= 1e9 else with_prefix(us / 1e6, "s")


def _ends(events: Events) -> tuple[int, int]:
    if not len(events):
        return 0, 0
    return int(events.t_us.min()), int(events.t_us.max())
