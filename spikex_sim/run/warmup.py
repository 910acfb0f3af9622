"""Compiles the kernels once, says so, and finds out whether that is still to be done."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from spikex_sim.core.jit import KERNELS, all_kept, keep_list

log = logging.getLogger("spikex_sim")


@lru_cache(maxsize=1)
def ensure_compiled(run_small: Callable[[], None]) -> None:
    """Compile what is not cached by running something small; say so before, and how long it took after.

    Parameters
    ----------
    run_small : callable
        Runs every kernel in every datapath.
    """
    if not KERNELS or all_kept():
        return
    log.warning("compiling kernels, once; this takes a minute or two ...")
    start = time.perf_counter()
    run_small()
    seconds = time.perf_counter() - start
    place = keep_list()
    log.warning("compiled kernels in %.1f s%s", seconds, f"; they are kept in {place}" if place else "")


def small_spikes() -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Spikes ``[1, 4, 4, 6]`` that make every kernel do something."""
    spikes = np.zeros((1, 4, 4, 6), dtype=bool)
    spikes[0, 1, 1, ::2] = spikes[0, 2, 3, 1] = True
    return spikes
