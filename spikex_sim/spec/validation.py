"""Turns pydantic's list of mistakes into the one line that a user can act on."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from spikex_sim.core.errors import SpikexError

MAX_SHOWN = 60
"""Longest value that a message repeats."""
ModelT = TypeVar("ModelT", bound=BaseModel)


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
    path = ".".join(str(part) for part in ((prefix,) if prefix else ()) + first["loc"])
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
    if len(mistakes) > 1:
        message += f" (and {len(mistakes) - 1} more mistakes)"
    return error(message, where=where, field=path)
