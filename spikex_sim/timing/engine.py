"""Memory engines: they turn the durations of a layer's steps into the times at which they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import Stalls
from spikex_sim.core.jit import kernel
from spikex_sim.core.registry import check_given
from spikex_sim.timing.crossbar import ChipTimes


@dataclass(frozen=True)
class Durations:
    """Cycles that the five activities of each step take, int64 arrays ``[steps]`` (Section 5, Durations).

    Attributes
    ----------
    fetch, load, compute, store, writeback : int64 array
        ``f`` DRAM to GLB, ``l`` GLB to LBUF, ``c`` the array or the LBUF's array side, ``s`` LBUF to GLB,
        ``w`` GLB to DRAM.
    array : int64 array
        The PE array's own share of ``compute``; the rest is the ``lbuf`` stall.
    """

    fetch: NDArray[np.int64]
    load: NDArray[np.int64]
    compute: NDArray[np.int64]
    store: NDArray[np.int64]
    writeback: NDArray[np.int64]
    array: NDArray[np.int64]

    def part(self, first: int, last: int) -> Durations:
        """Durations of some steps in a row."""
        return Durations(*(getattr(self, item.name)[first:last] for item in fields(self)))


@dataclass(frozen=True)
class Ends:
    """Cycle in which each activity of each step ends, int64 arrays ``[steps]``."""

    fetch: NDArray[np.int64]
    load: NDArray[np.int64]
    compute: NDArray[np.int64]
    store: NDArray[np.int64]
    writeback: NDArray[np.int64]

    @property
    def cycles(self) -> int:
        """Cycle in which the layer ends."""
        return int(self.writeback[-1]) if len(self.writeback) else 0


class MemoryEngine(Protocol):
    """Computes when each activity of each step ends, from their durations alone."""

    def run(self, durations: Durations) -> Ends:
        """Time a layer; deterministic, exact to the cycle."""

    def run_chip(self, times: ChipTimes) -> NDArray[np.int64]:
        """Time all layers of a crossbar chip: ends of all activities ``[4, units]``."""


def are_ends(given: object, durations: Durations) -> bool:
    """Whether something is the ends of all steps, as what follows relies on it."""
    steps = durations.compute.shape
    return isinstance(given, Ends) and all(
        isinstance(one, np.ndarray) and one.dtype == np.int64 and one.shape == steps
        for one in (given.fetch, given.load, given.compute, given.store, given.writeback)
    )


def ends_of(engine: MemoryEngine, durations: Durations, resumes: Sequence[int] = ()) -> Ends:
    """Time a layer whose steps from each of ``resumes`` on start when all before have ended."""
    if not resumes:
        return _run(engine, durations)
    parts, start = [], 0
    for first, last in pairwise((0, *resumes, len(durations.array))):
        found = _run(engine, durations.part(first, last))
        parts.append([getattr(found, item.name) + start for item in fields(Ends)])
        start += found.cycles
    return Ends(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _run(engine: MemoryEngine, durations: Durations) -> Ends:
    ends = engine.run(durations)
    check_given(engine, "run", ends, fits=are_ends(ends, durations), wanted="the ends of all steps")
    return ends


CAUSES = ("recurrence", "dram", "glb", "drain", "lbuf")
"""Why the array waits, in the order in which it does so between runs and within a step."""


def waits_of(durations: Durations, ends: Ends, resumes: Sequence[int] = ()) -> NDArray[np.int64]:
    """Cycles that the array waited (Section 5, Stalls), ``[causes, steps + 1]`` in the order of CAUSES.

    A step waits for ``dram``, ``glb`` and ``drain`` one after the other, from the end of the step before;
    ``lbuf`` ends with the step. The first step of a further run waits for ``recurrence`` before that. The
    last column is what is drained behind the last step.
    """
    return _waits_of(durations, ends, resumes, of_steps=True)


def attribute_stalls(durations: Durations, ends: Ends, resumes: Sequence[int] = ()) -> Stalls:
    """Say why the array waited; with the array's cycles the stalls add up to the layer's."""
    sums = _waits_of(durations, ends, resumes, of_steps=False)[:, 0].tolist()
    return Stalls(**dict(zip(CAUSES, sums, strict=True)))


def _waits_of(
    durations: Durations, ends: Ends, resumes: Sequence[int], *, of_steps: bool
) -> NDArray[np.int64]:
    """Waits of every step, or their sums ``[causes, 1]``."""
    waits = np.zeros((len(CAUSES), len(ends.compute) + 1 if of_steps else 1), np.int64)
    _waits(
        ends.fetch, ends.load, ends.compute, ends.store, ends.writeback, durations.compute, durations.array,
        np.array([*resumes, -1], np.int64), waits,
    )  # fmt: skip
    return waits


@kernel
def _waits(
    fetch: NDArray[np.int64],
    load: NDArray[np.int64],
    compute: NDArray[np.int64],
    store: NDArray[np.int64],
    writeback: NDArray[np.int64],
    busy: NDArray[np.int64],
    array: NDArray[np.int64],
    resumes: NDArray[np.int64],
    waits: NDArray[np.int64],
) -> None:
    """Add to ``waits [causes, steps + 1]``, or to ``[causes, 1]`` for the sums alone."""
    n, each = len(compute), waits.shape[1] > 1
    free = start = run = 0
    for k in range(n):
        if k == resumes[run]:
            waits[0, k if each else 0] += writeback[k - 1] - free
            free, start = writeback[k - 1], k
            run += 1
        fetched = max(free, fetch[k])
        loaded = max(fetched, load[k])
        own = k if each else 0
        waits[1, own] += fetched - free
        waits[2, own] += loaded - fetched
        if k >= start + 2:
            waits[3, own] += max(loaded, store[k - 2]) - loaded
        waits[4, own] += busy[k] - array[k]
        free = compute[k]
    if n > 0:
        waits[3, n if each else 0] += writeback[n - 1] - compute[n - 1]
