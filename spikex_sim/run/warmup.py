"""Compiles the kernels once, says so, and finds out whether that is still to be done."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache

from spikex_sim.core.jit import KERNELS, all_kept, keep_list

log = logging.getLogger("spikex_sim")


@lru_cache
def ensure_compiled(uses: tuple[str, ...], run_small: Callable[[str], None]) -> None:
    """Compile what uses need and is not cached; say so before, and how long it took after.

    Parameters
    ----------
    uses : tuple of str
        What the kernels are for, by name.
    run_small : callable
        Given a use, runs something small that goes through all of its kernels.
    """
    missing = [use for use in uses if not all_kept(use)] if KERNELS else []
    if not missing:
        return
    log.warning("compiling kernels (%s), once; this takes a minute or two ...", ", ".join(missing))
    start = time.perf_counter()
    place = None
    for use in missing:
        run_small(use)
        place = keep_list(use)
    seconds = time.perf_counter() - start
    log.warning("compiled kernels in %.1f s%s", seconds, f"; they are kept in {place}" if place else "")
