"""Plug-ins by entry point; the built-in ones come through the same door."""

from __future__ import annotations

import difflib
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import ConfigError

SEAMS = {"accelerators": "scheduler", "dispatch": "dispatch", "engines": "engine"}
"""Kinds of plug-ins and the option that names one; the entry-point group is ``spikex_sim.<kind>``."""


@lru_cache(maxsize=len(SEAMS))
def _found(seam: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"spikex_sim.{seam}"):
        if point.value != found.setdefault(point.name, point).value:
            raise ConfigError(
                f"two packages offer '{point.name}': {found[point.name].value} and {point.value}",
                field=SEAMS[seam],
            )
    return found


def plugin_names(seam: str) -> list[str]:
    """Names registered for a kind of plug-in."""
    return sorted(_found(seam))


def plugin(seam: str, name: str) -> Any:
    """Instantiate a plug-in.

    Raises
    ------
    ConfigError
        If no plug-in of that name is registered, or it cannot be imported.
    """
    points = _found(seam)
    if not isinstance(name, str) or name not in points:
        close = difflib.get_close_matches(str(name), points, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(
            f"no plug-in '{name}' among {', '.join(sorted(points)) or 'none'}{hint}", field=SEAMS[seam]
        )
    return _instance(seam, name)


@lru_cache(maxsize=64)
def _instance(seam: str, name: str) -> Any:
    try:
        return _found(seam)[name].load()()
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"plug-in '{name}' cannot be loaded: {exc}", field=SEAMS[seam]) from None


def source_files(seam: str, name: str) -> list[Path]:
    """Files of the package that a plug-in comes from; the single file if it is no package."""
    module = sys.modules[type(plugin(seam, name)).__module__]
    top = sys.modules[module.__name__.partition(".")[0]]
    if hasattr(top, "__path__"):
        return sorted(file for folder in top.__path__ for file in Path(folder).rglob("*.py"))
    return [Path(str(module.__file__))]
