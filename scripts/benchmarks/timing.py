"""Timing side by side: medians over repeats that take turns, and exponents of series."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Timer = Callable[[], float]
"""Does something once and returns the seconds that it took."""


def timed(work: Callable[..., object], *arguments: Any, **options: Any) -> Timer:
    """Timer of a call in this process."""

    def timer() -> float:
        start = time.perf_counter()
        work(*arguments, **options)
        return time.perf_counter() - start

    return timer


def settled(timer: Timer, calls: int = 10) -> Timer:
    """Timer of something short that takes turns with something long: the median of some calls in a row.

    The first does not count, as the other has filled the caches.
    """

    def several() -> float:
        return statistics.median([timer() for _ in range(calls + 1)][1:])

    return several


def medians(timers: Sequence[Timer], repeats: int, in_a_row: int = 3) -> list[float]:
    """Median seconds of each; they take turns, so that what slows the machine down slows all of them.

    Parameters
    ----------
    timers : sequence of callable
        What to time; each runs once before anything counts.
    repeats : int
        Turns of each.
    in_a_row : int
        Calls of one turn; of several the first does not count, as another has filled the caches.
    """
    for timer in timers:
        timer()
    taken: list[list[float]] = [[] for _ in timers]
    for _ in range(repeats):
        for timer, times in zip(timers, taken, strict=True):
            found = [timer() for _ in range(in_a_row)]
            times.extend(found[1:] or found)
    return [statistics.median(times) for times in taken]


def exponent(sizes: Sequence[float], taken: Sequence[float]) -> float:
    """Slope of log(time) over log(size), by least squares: 1 is linear."""
    slope, _ = np.polyfit(np.log(sizes), np.log(taken), 1)
    return float(slope)
