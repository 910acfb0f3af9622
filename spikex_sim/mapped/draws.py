"""Numbers that annealers draw: a generator of their own (xorshift64), the same on every machine."""

from __future__ import annotations

from math import log

import numpy as np

from spikex_sim.core.jit import kernel

ENTRIES = 4096
"""Of the tables of logarithms and temperatures."""
NEG_LOG = np.array([round(-log((at + 0.5) / ENTRIES), 12) for at in range(ENTRIES)])


@kernel(nogil=True)
def first_state(seed: int) -> np.uint64:
    """State that a seed begins with."""
    state: np.uint64 = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x2545F4914F6CDD1D)
    return state


@kernel(nogil=True)
def next_state(state: np.uint64) -> np.uint64:
    """State after a draw; its bits are the number drawn."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state
