"""What was probably meant, for messages about a name that is not there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

LONGEST = 200
"""Characters of a name that are looked at."""
MOST_FILES = 10_000
"""Files of a folder that are looked at."""


def meant(names: Sequence[str]) -> str:
    """``"; did you mean X?"`` with the first of some names; empty without any."""
    return f"; did you mean {names[0]}?" if names else ""


def closest(name: object, known: Iterable[str]) -> str:
    """``"; did you mean X?"`` with the nearest of the known names; empty where none is near.

    Examples
    --------
    >>> closest("stals", ["stalls", "roofline"])
    '; did you mean stalls?'
    """
    return meant(get_close_matches(str(name)[:LONGEST], list(known), 1))


def closest_path(path: str | Path, names: Iterable[str] = (), *, folders: bool = False) -> str:
    """Like :func:`closest`, of further names and of what lies beside a path.

    Parameters
    ----------
    path : str or Path
        What is not there.
    names : iterable of str
        What could be meant besides.
    folders : bool
        Whether folders are meant rather than files.
    """
    wanted = Path(path)
    try:
        items = [one for one in islice(wanted.parent.iterdir(), MOST_FILES) if one.is_dir() == folders]
    except (OSError, ValueError):
        items = []
    there = {item.name: str(item) for item in items if item.name.isprintable()}
    near = get_close_matches(wanted.name[:LONGEST], list(there), 1)
    return closest(path, names) or meant([there[name] for name in near])


def one_of(name: object, known: Iterable[str]) -> str:
    """Say that a name is none of the known ones, and which of them is near."""
    names = list(known)
    return f"{str(name)!r:.40} is none of {', '.join(names)}{closest(name, names)}"
