"""A function in the user's own Python, found and called; whatever goes wrong in it is one line."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import closest_path
from spikex_sim.trace.npyheader import shown


def call_function(target: str) -> Any:
    """Import ``FILE.py:FUNCTION`` or ``MODULE:FUNCTION``, call it without arguments and return what it gives.

    This runs code that the user names, with the user's rights.

    Raises
    ------
    ConfigError
        If there is no such thing, or it raises; the message names file, line and exception.
    """
    place, _, name = target.rpartition(":")
    if not place or not name.isidentifier():
        raise ConfigError("wants FILE.py:FUNCTION or MODULE:FUNCTION", where=shown(target, 200))
    function = getattr(_imported(place), name, None)
    if not callable(function):
        raise ConfigError(f"has no function {name}", where=place)
    return _called(function, place, f"{name}()")


def _imported(place: str) -> ModuleType:
    path = Path(place)
    if path.suffix != ".py":
        sys.path.insert(0, str(Path.cwd()))
        try:
            found = importlib.util.find_spec(place)
        except (ImportError, ValueError, AttributeError):
            found = None
        if found is None:
            raise ConfigError("no such module; a file ends in .py", where=shown(place, 200))
        module: ModuleType = _called(lambda: importlib.import_module(place), place, "import")
        return module
    if not path.is_file():
        raise ConfigError(f"no such file{closest_path(path)}", where=shown(place, 200))
    # A name of its own: a file may be called like a module that somebody else imports.
    name = f"_spikex_sim_user_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[name] = module
    loader = spec.loader
    _called(lambda: loader.exec_module(module), place, "import")
    return module


def _called(function: Callable[[], Any], place: str, what: str) -> Any:
    with one_line(place, what):
        return function()


@contextmanager
def one_line(place: str, what: str) -> Iterator[None]:
    """Turn an exception of the user's code into a :class:`ConfigError` of one line."""
    try:
        yield
    except (Exception, SystemExit) as exc:
        frames = traceback.extract_tb(exc.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).name == Path(place).name]
        line = own[-1].lineno if own else None
        if isinstance(exc, SyntaxError):
            line = exc.lineno
        where = place if line is None else f"{place}:{line}"
        text = shown(" ".join(str(exc).split()), 300)
        raise ConfigError(f"{type(exc).__name__}: {text}", where=where, field=what) from exc
