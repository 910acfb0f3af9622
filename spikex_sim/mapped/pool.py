"""Pools of crossbars: which types there are, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of
from spikex_sim.spec.load import parse_yaml

MOST_LINES = 1 << 14
"""Most inputs or outputs of a crossbar."""
MOST_TYPES = 256
MOST_BYTES = 1 << 20
TABLE2 = ((4, 4), (8, 4), (16, 4), (32, 4), (8, 8), (16, 8), (32, 8), (16, 16), (32, 16), (32, 32))
"""Inputs and outputs of the paper's Table II, in its order."""


@dataclass(frozen=True)
class CrossbarType:
    """A type of crossbar.

    Attributes
    ----------
    name : str
        As results name it.
    inputs, outputs : int
        Axons ``A`` and neurons ``N`` that it takes.
    count : int or None
        Copies; None: as many as are wanted.
    cost : int
        Area ``C`` in cells, overheads included.
    """

    name: str
    inputs: int
    outputs: int
    count: int | None
    cost: int


@dataclass(frozen=True)
class Pool:
    """Types of crossbars to choose from.

    Attributes
    ----------
    name : str
        Name or file.
    types : tuple of CrossbarType
        In order.
    """

    name: str
    types: tuple[CrossbarType, ...]

    @classmethod
    def named(cls, name: str) -> Pool:
        """Get a pool that comes along: ``table2``, ``16x16`` or ``table2x8``.

        Raises
        ------
        ConfigError
            If there is none of that name.
        """
        sizes = {"table2": TABLE2, "16x16": ((16, 16),), "table2x8": tuple((8 * a, 8 * n) for a, n in TABLE2)}
        if name not in sizes:
            raise ConfigError(one_of(name, sizes), field="--pool")
        return cls(name, tuple(CrossbarType(f"{a}x{n}", a, n, None, a * n) for a, n in sizes[name]))

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any], where: str = "") -> Pool:
        """Check a pool that was read.

        Parameters
        ----------
        name : str
            As results name it.
        given : mapping
            ``types``: list of ``name``, ``inputs``, ``outputs``, ``count`` (or null), ``area`` (or null);
            ``overhead``: cells for each ``crossbar``, ``input`` and ``output``, by default 0.

        Raises
        ------
        ConfigError
            Naming the field.
        """
        if not isinstance(given, Mapping):
            raise ConfigError("is no mapping with types", where=where)
        known = {"format", "version", "types", "overhead", "name"}
        for key in given:
            if key not in known:
                raise ConfigError(one_of(key, sorted(known)), where=where)
        if given.get("format", "spikex-pool") != "spikex-pool" or given.get("version", 1) != 1:
            raise ConfigError("is no spikex-pool of version 1", where=where, field="format")
        overhead = given.get("overhead", {})
        if not isinstance(overhead, Mapping) or not set(overhead) <= {"crossbar", "input", "output"}:
            raise ConfigError("wants crossbar, input and output", where=where, field="overhead")
        over = {part: _number(overhead, part, where, "overhead", 0, default=0) for part in
                ("crossbar", "input", "output")}  # fmt: skip
        listed = given.get("types")
        if not isinstance(listed, Sequence) or isinstance(listed, str) or not 1 <= len(listed) <= MOST_TYPES:
            raise ConfigError(f"wants a list of 1 to {MOST_TYPES} types", where=where, field="types")
        types = tuple(_type(one, f"types[{at}]", where, over) for at, one in enumerate(listed))
        names = [one.name for one in types]
        for one in names:
            if names.count(one) > 1:
                raise ConfigError(f"has the type '{one}' twice", where=where, field="types")
        return cls(name, types)

    @property
    def counted(self) -> bool:
        """Whether some type has a number of copies."""
        return any(one.count is not None for one in self.types)

    @cached_property
    def most_inputs(self) -> int:
        """Inputs of the widest type."""
        return max(one.inputs for one in self.types)

    @cached_property
    def most_outputs(self) -> int:
        """Outputs of the tallest type."""
        return max(one.outputs for one in self.types)

    @cached_property
    def order(self) -> list[int]:
        """Types by cost, inputs, place: the first that is large enough is taken."""
        return sorted(range(len(self.types)), key=lambda t: (self.types[t].cost, self.types[t].inputs, t))

    @cached_property
    def cheapest(self) -> NDArray[np.int64]:
        """Type that takes so many axons and neurons, ``[most inputs + 1, most outputs + 1]``; -1: none."""
        found = np.full((self.most_inputs + 1, self.most_outputs + 1), -1, np.int64)
        for at in reversed(self.order):
            one = self.types[at]
            found[: one.inputs + 1, : one.outputs + 1] = at
        return found

    @cached_property
    def costs(self) -> NDArray[np.int64]:
        """Cost of each type."""
        return np.array([one.cost for one in self.types], np.int64)

    @property
    def described(self) -> dict[str, Any]:
        """As results have it."""
        return {
            "format": "spikex-pool",
            "version": 1,
            "name": self.name,
            "types": [
                {
                    "name": one.name,
                    "inputs": one.inputs,
                    "outputs": one.outputs,
                    "count": one.count,
                    "area": one.cost,
                }
                for one in self.types
            ],
        }


def load_pool(name: str) -> Pool:
    """Get a pool by name, or read one from a JSON or YAML file.

    Raises
    ------
    ConfigError
        If there is none, naming file and field.
    """
    if not name.endswith((".json", ".yaml", ".yml")):
        return Pool.named(name)
    path = Path(name)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"has more than {MOST_BYTES:,} B", where=name)
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", where=name) from None
    except ValueError:
        raise ConfigError("is no UTF-8 text", where=name) from None
    return Pool.of(path.name, parse_yaml(text, name), name)


def _type(given: Any, field: str, where: str, over: Mapping[str, int]) -> CrossbarType:
    if not isinstance(given, Mapping):
        raise ConfigError("wants name, inputs, outputs, count and area", where=where, field=field)
    known = ("name", "inputs", "outputs", "count", "area")
    for key in given:
        if key not in known:
            raise ConfigError(one_of(key, known), where=where, field=field)
    inputs = _number(given, "inputs", where, field, 1, MOST_LINES)
    outputs = _number(given, "outputs", where, field, 1, MOST_LINES)
    count = given.get("count")
    if count is not None:
        count = _number(given, "count", where, field, 0)
    area = given.get("area")
    cost = (
        _number(given, "area", where, field, 0)
        if area is not None
        else inputs * outputs + over["crossbar"] + over["input"] * inputs + over["output"] * outputs
    )
    name = given.get("name", f"{inputs}x{outputs}")
    if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= 100:
        raise ConfigError("wants printable text", where=where, field=f"{field}.name")
    return CrossbarType(name, inputs, outputs, count, cost)


def _number(
    given: Mapping[str, Any], key: str, where: str, field: str, least: int, most: int = 1 << 40,
    *, default: int | None = None,
) -> int:  # fmt: skip
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(
            f"wants a whole number from {least:,} to {most:,}, not {value!r:.40}",
            where=where, field=f"{field}.{key}",
        )  # fmt: skip
    return value
