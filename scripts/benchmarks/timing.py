"""Timing side by side: medians over repeats that take turns, and exponents of series."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

Work = Callable[[], object]


def seconds(work: Work) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(works: Sequence[Work], repeats: int, in_a_row: int = 3) -> list[float]:
    """Median seconds of each work; they take turns, so that what slows the machine down slows all of them.

    Parameters
    ----------
    works : sequence of callable
        What to time.
    repeats : int
        Turns of each.
    in_a_row : int
        Calls of one turn; the first is not timed, as it finds the caches filled by another work.
    """
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for work, times in zip(works, taken, strict=True):
            if in_a_row > 1:
                work()
            times += [seconds(work) for _ in range(max(1, in_a_row - 1))]
    return [statistics.median(times) for times in taken]


def exponent(sizes: Sequence[float], taken: Sequence[float]) -> float:
    """Slope of log(time) over log(size), by least squares: 1 is linear."""
    slope, _ = np.polyfit(np.log(sizes), np.log(taken), 1)
    return float(slope)
