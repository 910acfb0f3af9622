"""The points of a sweep: a product of axes, each of one key or of several that advance together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.spec.load import parse_yaml

MAX_POINTS = 100_000
"""Most points of one sweep, over all its traces and accelerators."""
Axis = Mapping[str, Sequence[Any]]
"""Keys to their values."""


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


def points(grid: Axis, zipped: Sequence[Axis] = (), where: str = "grid") -> list[dict[str, Any]]:
    """All combinations of the values of several axes; the last axis varies fastest.

    Parameters
    ----------
    grid : mapping of str to sequence
        Keys and their values, each key an axis.
    zipped : sequence of mappings
        Further axes; the keys of one advance together.
    where : str
        File or object named in messages.

    Raises
    ------
    ConfigError
        If an axis is empty, repeats a value or a key, if keys that advance together have different numbers
        of values, or if there are too many points.
    """
    if not isinstance(grid, Mapping) or not all(isinstance(axis, Mapping) for axis in zipped):
        raise ConfigError("must map keys to lists of values", where=where)
    axes = [*({key: values} for key, values in grid.items()), *zipped]
    seen: set[str] = set()
    for axis in axes:
        _check_axis(axis, where)
        for key in axis:
            if key in seen:
                raise ConfigError("is on two axes", where=where, field=key)
            seen.add(key)
    lengths = [len(next(iter(axis.values()))) for axis in axes]
    check_count(math.prod(lengths), where)
    steps = [
        [dict(zip(axis, values, strict=True)) for values in zip(*axis.values(), strict=True)] for axis in axes
    ]
    return [{k: v for step in chosen for k, v in step.items()} for chosen in itertools.product(*steps)]


def check_count(count: int, where: str) -> None:
    """Raise :class:`ConfigError` if a sweep has more points than :data:`MAX_POINTS`."""
    if count > MAX_POINTS:
        raise ConfigError(f"has {count} points, more than {MAX_POINTS}", where=where)


def _check_axis(axis: Axis, where: str) -> None:
    if not axis:
        raise ConfigError("names no key to advance", where=where)
    first = next(iter(axis))
    for key, values in axis.items():
        if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
            raise ConfigError("must be a list of values", where=where, field=str(key))
        if len(values) == 0:
            raise ConfigError("has no values", where=where, field=key)
        if len(values) != len(axis[first]):
            raise ConfigError(
                f"has {len(values)} values, {first} has {len(axis[first])}; they advance together",
                where=where,
                field=key,
            )
    if len({repr(step) for step in zip(*axis.values(), strict=True)}) != len(axis[first]):
        raise ConfigError("names a value twice", where=where, field=" and ".join(axis))
