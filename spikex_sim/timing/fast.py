"""The fast memory engine: time as a max-plus recurrence, in Numba (Section 5, Time)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.timing.crossbar import ChipTimes, ends_of_chip
from spikex_sim.timing.engine import Durations, Ends


class FastEngine:
    """Evaluates the recurrence of Section 5 step by step."""

    def run(self, durations: Durations) -> Ends:
        """See :class:`spikex_sim.timing.engine.MemoryEngine`."""
        return Ends(
            *_recurrence(
                durations.fetch, durations.load, durations.compute, durations.store, durations.writeback
            )
        )

    def run_chip(self, times: ChipTimes) -> NDArray[np.int64]:
        """See :class:`spikex_sim.timing.engine.MemoryEngine`."""
        found: NDArray[np.int64] = ends_of_chip(
            times.durations,
            times.first,
            times.rows,
            times.sources,
            times.needs,
            times.timesteps,
            times.by_row,
        )
        return found


@kernel
def _recurrence(
    f: NDArray[np.int64],
    l: NDArray[np.int64],  # noqa: E741
    c: NDArray[np.int64],
    s: NDArray[np.int64],
    w: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    n = len(f)
    before = 4  # an index below 0 is time 0
    F = np.zeros(n + before, np.int64)
    L = np.zeros(n + before, np.int64)
    C = np.zeros(n + before, np.int64)
    S = np.zeros(n + before, np.int64)
    W = np.zeros(n + before, np.int64)
    for i in range(-3, n):
        k = i + before
        if i >= 0:
            C[k] = max(L[k], C[k - 1], S[k - 2]) + c[i]
        ahead = i + 2
        if 0 <= ahead < n:
            a = ahead + before
            L[a] = max(F[a], L[a - 1], C[a - 2], S[a - 3]) + l[ahead]
        if i >= 0:
            S[k] = max(C[k], S[k - 1], L[min(ahead, n - 1) + before], W[k - 2]) + s[i]
        ahead = i + 3
        if 0 <= ahead < n:
            a = ahead + before
            F[a] = max(F[a - 1], L[a - 2], W[a - 4]) + f[ahead]
        if i >= 0:
            W[k] = max(S[k], W[k - 1], F[min(ahead, n - 1) + before]) + w[i]
    return F[before:], L[before:], C[before:], S[before:], W[before:]
