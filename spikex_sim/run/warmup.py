"""Compiles the kernels once, says so, and finds out whether that is still to be done."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim.core import geometry, neurons, tags
from spikex_sim.core.errors import OutputError
from spikex_sim.schedules.dense import check as dense_check
from spikex_sim.schedules.dense import execute as dense_execute
from spikex_sim.schedules.dense import folds
from spikex_sim.schedules.dense import schedule as dense_schedule
from spikex_sim.schedules.ntwu import check, chunks, execute, laying, packing, slots, survey
from spikex_sim.timing import durations, engine, fast

log = logging.getLogger("spikex_sim")

KERNELS = (
    tags._index_spikes,
    tags._dilate,
    tags.spmb_tags,
    tags.seen,
    geometry.set_pixels,
    packing._pack_runs,
    survey._survey,
    check._check,
    check._activity,
    execute._walk,
    slots._count_slots,
    laying._batch_counts,
    laying._lay,
    chunks._cut,
    durations._durations,
    fast._recurrence,
    engine._waits,
    folds.cut_passes,
    dense_schedule._cut_folds,
    dense_check._check,
    dense_execute._walk,
    folds._cut,
)
"""Compiled functions that Python calls; those they call are cached with them."""


def _is_cached(kernel: Any, newest_source: float) -> bool:
    """Whether compiled code of a kernel, newer than every kernel's source, lies in Numba's cache.

    Numba compares with the kernel's own file alone; what it calls from another one would stay as it was.
    """
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    fresh = False
    for index in Path(kernel.stats.cache_path).glob(f"*.{kernel.py_func.__name__}-*.{python}*.nbi"):
        with contextlib.suppress(FileNotFoundError):  # another process may be doing the same
            if index.stat().st_mtime >= newest_source:
                fresh = True
            else:
                index.unlink()
    return fresh


@lru_cache(maxsize=1)
def ensure_compiled(run_small: Callable[[], None]) -> None:
    """Compile what is not cached by running something small; say so before, and how long it took after.

    Parameters
    ----------
    run_small : callable
        Runs every kernel in every datapath.
    """
    if not all(hasattr(kernel, "stats") for kernel in KERNELS):  # NUMBA_DISABLE_JIT=1
        return
    modules = (
        neurons, tags, geometry, packing, survey, check, execute, slots, laying, chunks, durations, fast,
        engine, dense_schedule, dense_check, dense_execute, folds,
    )  # fmt: skip
    newest = max(Path(str(module.__file__)).stat().st_mtime for module in modules)
    cached = [_is_cached(kernel, newest) for kernel in KERNELS]
    if all(cached):
        return
    log.warning("compiling kernels, once; this takes some twenty seconds ...")
    start = time.perf_counter()
    try:
        run_small()
    except OSError as exc:
        message = f"cannot be written: {exc.strerror}; NUMBA_CACHE_DIR names another folder for kernels"
        raise OutputError(message, where=str(KERNELS[0].stats.cache_path)) from None
    seconds = time.perf_counter() - start
    log.warning("compiled kernels in %.1f s; they are kept in %s", seconds, KERNELS[0].stats.cache_path)


def small_spikes() -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Spikes ``[1, 4, 4, 6]`` that make every kernel do something."""
    spikes = np.zeros((1, 4, 4, 6), dtype=bool)
    spikes[0, 1, 1, ::2] = spikes[0, 2, 3, 1] = True
    return spikes
