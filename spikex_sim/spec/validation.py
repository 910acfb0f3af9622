"""Turns pydantic's list of mistakes into the one line that a user can act on."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from spikex_sim.core.errors import SpikexError
from spikex_sim.core.text import counted

MAX_SHOWN = 60
"""Longest value that a message repeats."""
ModelT = TypeVar("ModelT", bound=BaseModel)
_Place = tuple[int | str, ...]
_ALTERNATIVE = re.compile(r"int|float|str|bool|(literal|tuple|list|dict|function-\w+|constrained-\w+)\b.*")
"""What pydantic puts into a place for each type that would do."""


def validated(
    model: type[ModelT], data: Any, *, where: str, error: type[SpikexError], prefix: str = ""
) -> ModelT:
    """Build ``model`` from ``data`` or raise ``error`` naming the first wrong field and how many more.

    Parameters
    ----------
    model : type
        Pydantic model to build.
    data : Any
        Untrusted mapping.
    where : str
        File or object named in the message.
    error : type
        Exception class to raise.
    prefix : str, optional
        Dotted path of ``data`` inside ``where``.
    """
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        raise _one_line(exc, where, error, prefix) from None


def _one_line(exc: ValidationError, where: str, error: type[SpikexError], prefix: str) -> SpikexError:
    mistakes = exc.errors(include_url=False)
    first = mistakes[0]
    keys = [part for part in first["loc"] if not _is_alternative(part)]
    path = ".".join(str(part) for part in ((prefix,) if prefix else ()) + tuple(keys))
    if first["type"] == "extra_forbidden":
        message = "unknown key"
    elif first["type"] == "missing":
        message = "missing"
    elif first["type"] == "model_type":
        message = "must be a mapping of keys to values"
    else:
        message = first["msg"].removeprefix("Value error, ")
        given = first.get("input")
        if isinstance(given, str | float | bool) or (isinstance(given, int) and abs(given) < 1 << 64):
            value = repr(given)
            message += f", not {value}" if len(value) < MAX_SHOWN else ""
    others = _places([one["loc"] for one in mistakes]) - 1
    if others:
        message += f" (and {counted(others, 'more mistake')})"
    return error(message, where=where, field=path)


def _is_alternative(part: int | str) -> bool:
    return isinstance(part, str) and _ALTERNATIVE.fullmatch(part) is not None


def _places(given: list[_Place]) -> int:
    """Count what is wrong: each place once, whatever would do there, and none for what is wrong inside it."""
    places = set()
    for place in given:
        end = next((index for index, part in enumerate(place) if _is_alternative(part)), len(place))
        places.add(place[:end])
    return sum(
        not any(len(other) > len(one) and other[: len(one)] == one for other in places) for one in places
    )
