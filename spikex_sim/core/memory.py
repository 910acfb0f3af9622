"""How much memory may be taken: what is needed is estimated before it is, and refused by its number."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

from spikex_sim.core.errors import ConfigError, TraceError

VARIABLE = "SPIKEX_MAX_MEMORY_GB"
"""Environment variable with the limit; ``--max-memory-gb`` sets it. A GB is 1e9 bytes."""
ALWAYS_BYTES = 256 << 20
"""What is never asked about."""
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def check_memory(needed_bytes: float, what: str, *, where: str = "", field: str = "") -> None:
    """Raise :class:`TraceError` before memory is taken that is not there.

    Parameters
    ----------
    needed_bytes : float
        An estimate, rather too large.
    what : str
        What takes it.
    where, field : str, optional
        File or object, and field, of the message.
    """
    if needed_bytes <= ALWAYS_BYTES:
        return
    limit, free = limit_bytes()
    if needed_bytes > limit:
        there = "are free" if free else f"{VARIABLE} allows"
        needed, most = needed_bytes / 1e9, limit / 1e9
        raise TraceError(
            f"{what} takes some {needed:.3g} GB of memory, more than the {most:.3g} GB that {there}; fewer "
            f"time points or windows take less, `spikex-sim --max-memory-gb {ceil(needed)}` allows it",
            where=where,
            field=field,
        )


def limit_bytes() -> tuple[float, bool]:
    """Memory that may be taken, and whether that is what is free rather than what somebody said.

    Raises
    ------
    ConfigError
        If the variable holds no number.
    """
    said = os.environ.get(VARIABLE, "")
    if not said:
        return min(_available(), _left_in_cgroup(), _left_of_process()), True
    try:
        limit = float(said)
    except ValueError:
        limit = -1.0
    if not 0 < limit < float("inf"):
        raise ConfigError(f"{said!r:.40} is not a number of GB", where=VARIABLE)
    return limit * 1e9, False


def _available() -> float:
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        return float(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return float("inf")


def _left_in_cgroup() -> float:
    try:
        most, used = (float((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # "max"
        return float("inf")
    return max(0.0, most - used)


def _left_of_process() -> float:
    """Address space that ``ulimit -v`` leaves."""
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most == resource.RLIM_INFINITY:
            return float("inf")
        pages = float(Path("/proc/self/statm").read_text().split()[0])
        return max(0.0, most - pages * resource.getpagesize())
    except (ImportError, OSError, ValueError, IndexError):
        return float("inf")
