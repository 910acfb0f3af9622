"""An output folder that one process at a time writes its results into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spikex_sim.core.errors import OutputError
from spikex_sim.core.files import writable_folder


@contextmanager
def claimed(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Keep other processes that claim a folder out of it; made if need be, and removed again if still empty.

    Nothing marks the folder but a lock, which ends with the process however that ends.

    Raises
    ------
    OutputError
        If another process has claimed it, or it cannot be written.
    """
    path = Path(folder)
    missing = [one for one in (path, *path.parents) if not one.exists()]
    writable_folder(folder)
    try:
        lock = _lock(path)
        try:
            yield path
        finally:
            if lock is not None:
                os.close(lock)
    finally:
        for one in missing:
            with suppress(OSError):  # no longer empty
                one.rmdir()


def _lock(folder: Path) -> int | None:
    """Lock a folder until what is returned is closed; None where the system has no such locks."""
    try:
        import fcntl

        place = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(place)
        if not isinstance(exc, BlockingIOError):
            return None
        raise OutputError(
            "another process is writing its results there; wait for it or name another folder",
            where=str(folder),
        ) from None
    return place
