"""Compiles the kernels once, says so, and finds out whether that is still to be done."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim import geometry, tags
from spikex_sim.kernels import passes, slots, survey
from spikex_sim.memory import chunks, fast

log = logging.getLogger("spikex_sim")

KERNELS = (
    tags._index_spikes,
    tags._dilate,
    tags.spmb_tags,
    geometry.set_pixels,
    survey._survey,
    passes._execute,
    slots._count_slots,
    chunks._cut,
    fast._recurrence,
)
"""Compiled functions that Python calls; those they call are cached with them."""


def is_cached(kernel: Any) -> bool:
    """Whether a compiled version of a kernel, newer than its source, lies in Numba's cache."""
    if not hasattr(kernel, "stats"):
        return True
    source = Path(kernel.py_func.__code__.co_filename)
    pattern = f"*{kernel.py_func.__name__}-*.nbi"
    folder = Path(kernel.stats.cache_path)
    newest = max((index.stat().st_mtime for index in folder.glob(pattern)), default=0.0)
    return newest >= source.stat().st_mtime


@lru_cache(maxsize=1)
def ensure_compiled(run_small: Callable[[], None]) -> None:
    """Compile what is not cached by running something small; say so before, and how long it took after.

    Parameters
    ----------
    run_small : callable
        Runs every kernel in every datapath.
    """
    if os.environ.get("NUMBA_DISABLE_JIT") == "1" or all(is_cached(kernel) for kernel in KERNELS):
        return
    log.warning("compiling kernels, once; this takes some ten seconds ...")
    start = time.perf_counter()
    run_small()
    folder = KERNELS[0].stats.cache_path if hasattr(KERNELS[0], "stats") else "nowhere"
    log.warning("compiled kernels in %.1f s; they are kept in %s", time.perf_counter() - start, folder)


def small_spikes() -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Spikes ``[1, 4, 4, 6]`` that make every kernel do something."""
    spikes = np.zeros((1, 4, 4, 6), dtype=bool)
    spikes[0, 1, 1, ::2] = spikes[0, 2, 3, 1] = True
    return spikes
