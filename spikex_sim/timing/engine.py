"""Memory engines: they turn the durations of a layer's steps into the times at which they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.core.counts import Stalls


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


Span = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Cycles at which something begins and ends, per step."""


def stall_spans(durations: Durations, ends: Ends) -> dict[str, Span]:
    """When the array waited, by cause (Section 5, Stalls); ``drain`` has one more, after the last step."""
    free, drained = _earlier(ends.compute, 1), _earlier(ends.store, 2)
    fetched = np.maximum(free, ends.fetch)
    loaded = np.maximum(fetched, ends.load)
    return {
        "dram": (free, fetched),
        "glb": (fetched, loaded),
        "lbuf": (ends.compute - (durations.compute - durations.array), ends.compute),
        "drain": (
            np.concatenate([loaded, ends.compute[-1:]]),
            np.concatenate([np.maximum(loaded, drained), ends.writeback[-1:]]),
        ),
    }


def _earlier(values: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """Values of so many steps before; 0 where there was none."""
    found = np.zeros_like(values)
    found[steps:] = values[:-steps]
    return found


def attribute_stalls(durations: Durations, ends: Ends) -> Stalls:
    """Say why the array waited (Section 5, Stalls); with the array's cycles they add up to the layer's.

    Sums of what :func:`stall_spans` lists.
    """
    return Stalls(
        *_stalls(
            ends.fetch,
            ends.load,
            ends.compute,
            ends.store,
            ends.writeback,
            durations.compute,
            durations.array,
        )
    )


@njit(cache=True)
def _stalls(
    fetch: NDArray[np.int64],
    load: NDArray[np.int64],
    compute: NDArray[np.int64],
    store: NDArray[np.int64],
    writeback: NDArray[np.int64],
    busy: NDArray[np.int64],
    array: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    dram = glb = lbuf = drain = free = 0
    for k in range(len(compute)):
        fetched = max(free, fetch[k])
        loaded = max(fetched, load[k])
        dram += fetched - free
        glb += loaded - fetched
        lbuf += busy[k] - array[k]
        if k >= 2:
            drain += max(loaded, store[k - 2]) - loaded
        free = compute[k]
    if len(compute) > 0:
        drain += writeback[-1] - compute[-1]
    return dram, glb, lbuf, drain
