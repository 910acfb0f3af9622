"""Files of text of unknown origin: regular, not absurdly large, UTF-8."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import IO, Any

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.memory import check_memory
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

MAX_FILE_BYTES = 1 << 30
"""Largest file of a network."""
MAX_LINE_BYTES = 1 << 16
MOST_DIGITS = 18
"""Digits of a whole number; more do not fit 64 bits."""
BYTES_A_BYTE = 32
"""Memory for a byte of JSON: ``[],`` becomes a list of 56 bytes and a reference to it."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def place_of(path: Path) -> str:
    """File as messages name it."""
    return shown(path, 400)


def number_of(text: str) -> float | None:
    """Finite number that a text is; None if it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if isfinite(value) else None


def lines_of(handle: IO[bytes], where: str) -> Iterator[tuple[int, str]]:
    """Lines of a file by number, from 1, without their ends.

    Raises
    ------
    ConfigError
        At a line that is too long, no UTF-8, or holds what does not print.
    """
    number = 0
    while raw := handle.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise ConfigError(f"has more than {MAX_LINE_BYTES:,} bytes", where=where, field=f"line {number}")
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigError("is no UTF-8 text", where=where, field=f"line {number}") from None
        if not text.replace("\t", " ").isprintable():
            raise ConfigError("holds characters that do not print", where=where, field=f"line {number}")
        yield number, text


def read_json(path: Path, where: str) -> Any:
    """Read JSON: no doubled keys, no NaN, whole numbers of 64 bits, no deep nesting.

    Raises
    ------
    ConfigError
        Naming the line where the parser knows it.
    """
    with open_regular(path, MAX_FILE_BYTES, ConfigError) as handle:
        check_memory(BYTES_A_BYTE * path.stat().st_size, "the network", where=where)
        raw = handle.read(MAX_FILE_BYTES)
    try:
        return json.loads(
            raw.decode("utf-8-sig"),
            object_pairs_hook=_unique,
            parse_constant=_refused,
            parse_int=_whole,
            parse_float=_finite,
        )
    except RecursionError:
        raise ConfigError("JSON is nested too deeply", where=where) from None
    except UnicodeDecodeError:
        raise ConfigError("is no UTF-8 text", where=where) from None
    except ValueError as exc:
        raise ConfigError(f"is not valid JSON: {shown(exc)}", where=where) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {shown(key, 40)!r} comes twice")
            seen.add(key)
    return found


def _refused(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"{shown(text, 30)} does not fit 64 bits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{shown(text, 30)} is beyond floating point")
    return value
