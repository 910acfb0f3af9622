"""No command writes over what it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import OutputError

OUTPUTS = ("out", "accesses", "figure", "save_data")
"""Parameters of commands that name what is written."""


def keep_inputs(command: Any) -> None:
    """Let every command below this one refuse an output that is one of its inputs, before it begins."""
    for one in getattr(command, "commands", {}).values():
        keep_inputs(one)
    if command.callback is not None:
        command.callback = _checked(command.callback)


def _checked(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def checked(**given: Any) -> Any:
        outputs = {name: Path(given[name]) for name in OUTPUTS if isinstance(given.get(name), str | Path)}
        taken = {path: name for name, value in given.items() if name not in outputs for path in _paths(value)}
        for name, output in outputs.items():
            if not output.is_file():
                continue
            for path in taken:
                inside = path.is_dir() and path.resolve() in output.resolve().parents
                if inside or (path.is_file() and path.samefile(output)):
                    option = f"--{name.replace('_', '-')}"
                    raise OutputError(
                        "is read by this command; name another file", where=f"{option} {output}"
                    )
        return call(**given)

    return checked


def _paths(value: Any) -> Iterator[Path]:
    """Files and folders that an argument names, alone or in lists."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from _paths(one)
    elif isinstance(value, str | Path):
        whole = str(value)
        for text in {whole, whole.rpartition(":")[0], *whole.split(",")}:
            if text and _exists(Path(text)):
                yield Path(text)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False
