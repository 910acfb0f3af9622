"""How much memory may be taken: what is needed is estimated before it is, and refused by its number."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from math import ceil, inf
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from spikex_sim.core.errors import ConfigError, TraceError

VARIABLE = "SPIKEX_MAX_MEMORY_GB"
"""Environment variable with the limit; ``--max-memory-gb`` sets it. A GB is 1e9 bytes."""
ALWAYS_BYTES = 256 << 20
"""What is never asked about, of all processes together."""
_MEMINFO = Path("/proc/meminfo")
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_CGROUP_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Of a controller, version 2's being "": limit, use, and the part of the use that the system takes back."""


class Share(NamedTuple):
    """What each of several processes may take.

    Attributes
    ----------
    processes : int
        How many there are.
    limit_bytes : float
        Of each.
    """

    processes: int = 1
    limit_bytes: float = inf


_own = [Share()]
"""Of this process; set when a worker begins."""


def share_of(processes: int) -> Share:
    """Equal part, for each of so many processes, of what may be taken now."""
    return Share(processes, limit_bytes()[0] / processes)


def keep_to(share: Share) -> None:
    """Take no more in this process than its share."""
    _own[:] = [share]


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
    [share] = _own
    if needed_bytes * share.processes <= ALWAYS_BYTES:
        return
    limit, free = limit_bytes()
    most = min(limit, share.limit_bytes)
    if needed_bytes > most:
        there, fewer = "are free" if free else f"{VARIABLE} allows", "fewer"
        if share.processes > 1:
            there, fewer = f"{there}, for each of {share.processes} processes", "fewer processes,"
        raise TraceError(
            f"{what} takes some {needed_bytes / 1e9:.3g} GB of memory, more than the {most / 1e9:.3g} GB "
            f"that {there}; {fewer} samples, time points or windows take less, "
            f"`spikex-sim --max-memory-gb {ceil(needed_bytes / 1e9 * share.processes)}` allows it",
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
        return min(_available(), _left_in_cgroups(), _left_of_process()), True
    try:
        limit = float(said)
    except ValueError:
        limit = -1.0
    if not 0 < limit < inf:
        raise ConfigError(f"{said!r:.40} is not a number of GB", where=VARIABLE)
    return limit * 1e9, False


def _available() -> float:
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        return float(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return inf


def _left_in_cgroups() -> float:
    """Least that is left in a control group of this process or in one above it, of either version."""
    try:
        lines = [line.split(":", 2) for line in _OWN_CGROUPS.read_text().splitlines()]
    except (OSError, ValueError):
        return inf
    left = [inf]
    for _, controllers, path in (line for line in lines if len(line) == 3):
        for controller in _CGROUP_FILES.keys() & controllers.split(","):
            group = PurePosixPath(path.lstrip("/"))
            # In a container its own group may lie at the top, whatever its path says.
            left += [_left_in(_CGROUPS / controller / one, controller) for one in (group, *group.parents)]
    return min(left)


def _left_in(group: Path, controller: str) -> float:
    limit, use, taken_back = _CGROUP_FILES[controller]
    try:
        most, used = (float((group / name).read_text()) for name in (limit, use))
    except (OSError, ValueError):  # "max", or no such group here
        return inf
    with suppress(OSError):
        if found := re.search(rf"^{taken_back} (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE):
            used -= float(found[1])
    return max(0.0, most - used)


def _left_of_process() -> float:
    """Address space that ``ulimit -v`` leaves."""
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most == resource.RLIM_INFINITY:
            return inf
        pages = float(Path("/proc/self/statm").read_text().split()[0])
        return max(0.0, most - pages * resource.getpagesize())
    except (ImportError, OSError, ValueError, IndexError):
        return inf
