"""Plug-ins by entry point; the built-in ones come through the same door."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Collection
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from traceback import FrameSummary
from types import FrameType
from typing import Any

from spikex_sim.core.errors import ConfigError, PluginError
from spikex_sim.core.faults import one_line
from spikex_sim.core.hints import closest

SEAMS = {"accelerators": "scheduler", "dispatch": "dispatch", "engines": "engine"}
"""Kinds of plug-ins and the option that names one; the entry-point group is ``spikex_sim.<kind>``."""
METHODS = {
    "accelerators": ("window_size", "lif_units", "components", "schedule"),
    "dispatch": ("mode", "pack"),
    "engines": ("run",),
}
"""What each kind of plug-in is called for."""


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


def places(seam: str) -> dict[str, str]:
    """Names registered for a kind of plug-in, each with module and class; none is imported."""
    return {name: _found(seam)[name].value for name in plugin_names(seam)}


def built_in_names(seam: str) -> list[str]:
    """Names of a kind of plug-in that come with this package."""
    own = _package(__name__)
    return [name for name in plugin_names(seam) if _package(_found(seam)[name].module) == own]


def plugin(seam: str, name: str) -> Any:
    """Instantiate a plug-in.

    Raises
    ------
    ConfigError
        If no plug-in of that name is registered, it cannot be imported, or it lacks a method.
    """
    points = _found(seam)
    if not isinstance(name, str) or name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise ConfigError(f"no plug-in '{name}' among {known}{closest(name, points)}", field=SEAMS[seam])
    return _instance(seam, name)


@lru_cache(maxsize=64)
def _instance(seam: str, name: str) -> Any:
    point = _found(seam)[name]
    try:
        made = point.load()()
    except Exception as exc:
        told = one_line(exc, [place for _, place in _places(exc, {_package(point.module)})])
        raise ConfigError(f"plug-in '{name}' cannot be loaded: {told}", field=SEAMS[seam]) from exc
    lacking = [method for method in METHODS[seam] if not callable(getattr(made, method, None))]
    if lacking:
        raise ConfigError(f"plug-in '{name}' has no method {lacking[0]}", field=SEAMS[seam])
    return made


def check_given(plug_in: object, method: str, given: object, *, fits: bool, wanted: str) -> None:
    """Raise :class:`PluginError`, which names plug-in and method, unless what a plug-in gave fits."""
    if not fits:
        plain = given is None or isinstance(given, str | bool | int | float)
        shown = f"{given!r:.60}" if plain else f"a {type(given).__name__}"
        raise PluginError(f"plug-in {_title(plug_in)} failed: {method}() gave {shown}, not {wanted}")


def _title(plug_in: object) -> str:
    place = f"{type(plug_in).__module__}:{type(plug_in).__qualname__}"
    titles = (f"{SEAMS[seam]} '{name}'" for seam in SEAMS for name, at in places(seam).items() if at == place)
    return next(titles, place)


def fault_of_plugin(exc: BaseException) -> str:
    """Line that names the plug-in in whose code an exception arose, and the place; empty if in none's."""
    others = [
        (f"{SEAMS[seam]} '{name}'", point)
        for seam in SEAMS
        for name, point in _found(seam).items()
        if name not in built_in_names(seam)
    ]
    passed = _places(exc, {_package(point.module) for _, point in others})
    if not passed:
        return ""
    frame, place = passed[-1]
    theirs = [one for one in others if _package(one[1].module) == _package(_module_of(frame))]
    classes = {type(frame.f_locals.get("self")) for frame, _ in passed}
    values = {f"{one.__module__}:{one.__qualname__}" for one in classes}
    names = [title for title, point in theirs if point.value in values] or [title for title, _ in theirs]
    return f"plug-in {', '.join(names)} failed: {one_line(exc, [place])}"


def _places(exc: BaseException, packages: Collection[str]) -> list[tuple[FrameType, FrameSummary]]:
    """Where an exception passed through the code of some packages, the innermost last."""
    frames = [frame for frame, _ in traceback.walk_tb(exc.__traceback__)]
    places = zip(frames, traceback.extract_tb(exc.__traceback__), strict=True)
    return [(frame, place) for frame, place in places if _package(_module_of(frame)) in packages]


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _package(module: str) -> str:
    return module.partition(".")[0]


def source_files(seam: str, name: str) -> list[Path]:
    """Files of the package that a plug-in comes from; the single file if it is no package."""
    module = sys.modules[type(plugin(seam, name)).__module__]
    top = sys.modules[_package(module.__name__)]
    if hasattr(top, "__path__"):
        return sorted(file for folder in top.__path__ for file in Path(folder).rglob("*.py"))
    return [Path(str(module.__file__))]
