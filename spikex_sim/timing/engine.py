"""Memory engines: they turn the durations of a layer's steps into the times at which they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import Stalls
from spikex_sim.core.jit import kernel


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


def are_ends(given: object, durations: Durations) -> bool:
    """Whether something is the ends of all steps, as what follows relies on it."""
    steps = durations.compute.shape
    return isinstance(given, Ends) and all(
        isinstance(one, np.ndarray) and one.dtype == np.int64 and one.shape == steps
        for one in (given.fetch, given.load, given.compute, given.store, given.writeback)
    )


CAUSES = ("dram", "glb", "drain", "lbuf")
"""Why the array waits, in the order in which it does so within a step."""


def waits_of(durations: Durations, ends: Ends) -> NDArray[np.int64]:
    """Cycles that the array waited (Section 5, Stalls), ``[causes, steps + 1]`` in the order of CAUSES.

    A step waits for ``dram``, ``glb`` and ``drain`` one after the other, from the end of the step before;
    ``lbuf`` ends with the step. The last column is what is drained behind the last step.
    """
    return _waits_of(durations, ends, of_steps=True)


def attribute_stalls(durations: Durations, ends: Ends) -> Stalls:
    """Say why the array waited; with the array's cycles the stalls add up to the layer's."""
    sums = _waits_of(durations, ends, of_steps=False)[:, 0].tolist()
    return Stalls(**dict(zip(CAUSES, sums, strict=True)))


def _waits_of(durations: Durations, ends: Ends, *, of_steps: bool) -> NDArray[np.int64]:
    """Waits of every step, or their sums ``[causes, 1]``."""
    waits = np.zeros((len(CAUSES), len(ends.compute) + 1 if of_steps else 1), np.int64)
    _waits(
        ends.fetch, ends.load, ends.compute, ends.store, ends.writeback, durations.compute, durations.array,
        waits,
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
    waits: NDArray[np.int64],
) -> None:
    """Add to ``waits [causes, steps + 1]``, or to ``[causes, 1]`` for the sums alone."""
    n, each = len(compute), waits.shape[1] > 1
    free = 0
    for k in range(n):
        fetched = max(free, fetch[k])
        loaded = max(fetched, load[k])
        own = k if each else 0
        waits[0, own] += fetched - free
        waits[1, own] += loaded - fetched
        if k >= 2:
            waits[2, own] += max(loaded, store[k - 2]) - loaded
        waits[3, own] += busy[k] - array[k]
        free = compute[k]
    if n > 0:
        waits[2, n if each else 0] += writeback[n - 1] - compute[n - 1]
