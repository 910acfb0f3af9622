"""JSON files that searches and evaluations write, read back as a model of what they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel

from spikex_sim.core.errors import ResultsError
from spikex_sim.spec.validation import validated
from spikex_sim.trace.npyzip import open_regular

MOST_BYTES = 1 << 28

M = TypeVar("M", bound=BaseModel)


def json_of(file: Path, what: str, most_bytes: int = MOST_BYTES) -> Any:
    """What a file says that ought to be ``what``.

    Raises
    ------
    ResultsError
        If it cannot be read, or is no JSON.
    """
    with open_regular(file, most_bytes, ResultsError) as raw:
        text = raw.read(most_bytes)
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        told = "nested too deep" if isinstance(exc, RecursionError) else exc
        raise ResultsError(f"is not {what}: {told}", where=str(file)) from None


def load_document(model: type[M], path: str | Path, name: str, what: str) -> M:
    """Read back what a command wrote.

    Parameters
    ----------
    model : pydantic model
        Of the content.
    path : str or Path
        Its folder, or the file.
    name, what : str
        Of the file, and what it ought to be.

    Raises
    ------
    ResultsError
        If it is missing, damaged or of another layout; names the file and the key.
    """
    file = Path(path)
    file = file / name if file.is_dir() else file
    content = json_of(file, what)
    try:
        return validated(model, content, where=str(file), error=ResultsError)
    except RecursionError:
        raise ResultsError(f"is not {what}: nested too deep", where=str(file)) from None


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
