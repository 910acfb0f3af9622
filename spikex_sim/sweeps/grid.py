"""The points of a sweep: a product of axes, in grid order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikex_sim.errors import ConfigError
from spikex_sim.spec.load import parse_yaml

MAX_POINTS = 1_000_000


def parse_axis(text: str) -> tuple[str, list[Any]]:
    """Parse ``KEY=V1,V2,...`` into a key and its values.

    Raises
    ------
    ConfigError
        If there is no key, no value, or a value twice.
    """
    where = f"--grid {text}"
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values.strip():
        raise ConfigError("wants KEY=V1,V2", where=where)
    parsed = parse_yaml(f"[{values}]", where)
    if not isinstance(parsed, list) or any(value is None for value in parsed):
        raise ConfigError("wants KEY=V1,V2", where=where)
    return key.strip(), parsed


def points(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations of a grid's values; the last axis varies fastest.

    Raises
    ------
    ConfigError
        If an axis is empty, repeats a value, or the grid is unreasonably large.
    """
    if not isinstance(grid, Mapping):
        raise ConfigError("must map keys to lists of values", where="grid")
    count = 1
    for key, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray | range):
            raise ConfigError("must be a list of values", where="grid", field=str(key))
        if len(values) == 0:
            raise ConfigError("has no values", where="grid", field=key)
        if len({repr(value) for value in values}) != len(values):
            raise ConfigError("names a value twice", where="grid", field=key)
        count *= len(values)
    if count > MAX_POINTS:
        raise ConfigError(f"has {count} points, more than {MAX_POINTS}", where="grid")
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
