"""What an exploration chooses from: keys, their values, and when a key is there at all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.frozen import FrozenMap

ARCH = "arch"
"""Key whose values are machines: presets and files."""
DIGITS = 6
"""Significant digits of a value of a range without steps."""
NEAR = 16
"""Steps that a neighbour takes such a range to be divided into."""
MOST_CASES = 10_000
"""Most combinations of values that conditions look at."""

Gene = int | float
"""Number of one of a key's values; of a range without steps the value itself."""
Genes = dict[str, Gene]
"""A choice for every key, also for those that are not there with it."""
Values = dict[str, Any]
"""Keys that are there, and their values."""


@dataclass(frozen=True)
class Key:
    """A configuration key, or ``arch``, and what it may be.

    Attributes
    ----------
    name : str
        Dotted key.
    values : tuple
        Its values; none of a range without steps.
    low, high : float
        Ends of such a range.
    log : bool
        Whether it is drawn from evenly by ratio.
    ordered : bool
        Whether values beside each other are alike: numbers by size.
    when : mapping of str to tuple
        Keys, and those of their values with one of which this key is there.
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    ordered: bool = False
    when: FrozenMap[str, tuple[Any, ...]] = field(default_factory=FrozenMap)

    def value(self, gene: Gene) -> Any:
        """Value that a gene stands for."""
        if self.values:
            return self.values[int(gene)]
        return min(max(float(f"{gene:.{DIGITS}g}"), self.low), self.high)

    def draw(self, rng: np.random.Generator) -> Gene:
        """Draw a gene."""
        if self.values:
            return int(rng.integers(len(self.values)))
        return self._at(float(rng.random()))

    def near(self, gene: Gene, reach: int = 1) -> Iterator[Gene]:
        """Genes so many steps away; of values without order all others."""
        if not self.values:
            here = self._part(gene)
            yield from (self._at(min(max(here + step / NEAR, 0.0), 1.0)) for step in (-reach, reach))
        elif self.ordered:
            yield from (at for at in (int(gene) - reach, int(gene) + reach) if 0 <= at < len(self.values))
        else:
            yield from (at for at in range(len(self.values)) if at != gene)

    def _at(self, part: float) -> float:
        if self.log:
            here = math.exp(math.log(self.low) + part * (math.log(self.high) - math.log(self.low)))
        else:
            here = self.low + part * (self.high - self.low)
        return min(max(here, self.low), self.high)

    def _part(self, gene: Gene) -> float:
        if self.log:
            return math.log(gene / self.low) / math.log(self.high / self.low)
        return (gene - self.low) / (self.high - self.low)

    def plain(self) -> dict[str, Any]:
        """What it may be, as ``explore.json`` has it."""
        found: dict[str, Any] = {"values": list(self.values)} if self.values else {
            "low": self.low, "high": self.high, "log": self.log,
        }  # fmt: skip
        return found | ({"when": {name: list(of) for name, of in self.when.items()}} if self.when else {})


@dataclass(frozen=True)
class Space:
    """Keys to choose from, those that conditions name before those that have the conditions.

    Attributes
    ----------
    keys : tuple of Key
        At least one.
    fixed : mapping of str to Any
        Configuration keys that are the same for all points.
    folder : Path
        What names of machine files are relative to.
    where : str
        File or object that messages name.
    """

    keys: tuple[Key, ...]
    fixed: FrozenMap[str, Any] = field(default_factory=FrozenMap)
    folder: Path = Path()
    where: str = "space"

    @cached_property
    def parents(self) -> frozenset[str]:
        """Keys that conditions name."""
        return frozenset(name for key in self.keys for name in key.when)

    @cached_property
    def named(self) -> Mapping[str, Key]:
        """Keys by name."""
        return FrozenMap({key.name: key for key in self.keys})

    @cached_property
    def size(self) -> int | None:
        """How many points there are; None without end."""
        return self._size(0, {})

    def _size(self, at: int, values: Values) -> int | None:
        if at == len(self.keys):
            return 1
        key = self.keys[at]
        if not is_there(key, values):
            return self._size(at + 1, values)
        if key.name in self.parents:
            parts = [self._size(at + 1, {**values, key.name: value}) for value in key.values]
            return None if None in parts else sum(part or 0 for part in parts)
        rest = self._size(at + 1, values)
        return None if rest is None or not key.values else len(key.values) * rest

    def cases(self) -> Iterator[Values]:
        """Combinations of the values of keys that conditions name, as far as these keys are there."""
        yield from self._cases([key for key in self.keys if key.name in self.parents], {})

    def _cases(self, keys: list[Key], values: Values) -> Iterator[Values]:
        if not keys:
            yield values
        elif is_there(keys[0], values):
            for value in keys[0].values:
                yield from self._cases(keys[1:], {**values, keys[0].name: value})
        else:
            yield from self._cases(keys[1:], values)

    def values(self, genes: Genes) -> Values:
        """Keys that are there with a choice, and their values."""
        found: Values = {}
        for key in self.keys:
            if is_there(key, found):
                found[key.name] = key.value(genes[key.name])
        return found

    def draw(self, rng: np.random.Generator) -> Genes:
        """Draw a choice, each key by itself."""
        return {key.name: key.draw(rng) for key in self.keys}

    def all(self) -> Iterator[Genes]:
        """Every choice, the last key varying fastest; with a key that is not there as its first value."""
        yield from self._all(0, {}, {})

    def _all(self, at: int, genes: Genes, values: Values) -> Iterator[Genes]:
        if at == len(self.keys):
            yield genes
            return
        key = self.keys[at]
        for gene in range(len(key.values)) if is_there(key, values) else (0,):
            yield from self._all(
                at + 1,
                {**genes, key.name: gene},
                {**values, key.name: key.values[gene]} if is_there(key, values) else values,
            )

    def near(self, genes: Genes, reach: int = 1) -> Iterator[Genes]:
        """Choices that differ by so many steps of one key that is there."""
        there = self.values(genes)
        for key in self.keys:
            if key.name in there:
                yield from ({**genes, key.name: gene} for gene in key.near(genes[key.name], reach))

    def plain(self) -> dict[str, Any]:
        """Keys and what they may be, as ``explore.json`` has them."""
        return {key.name: key.plain() for key in self.keys}


def is_there(key: Key, values: Values) -> bool:
    """Whether a key is there with the values of those before it."""
    return all(
        name in values and any(same(values[name], one) for one in wanted) for name, wanted in key.when.items()
    )


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def identity(values: Mapping[str, Any]) -> str:
    """Text that tells a point from others."""
    return json.dumps(dict(values), sort_keys=True)


def check_cases(space: Space) -> None:
    """Raise :class:`ConfigError` where conditions look at too much, or never hold."""
    cases = math.prod(len(space.named[name].values) for name in space.parents)
    if cases > MOST_CASES:
        raise ConfigError(
            f"conditions name keys of {cases:,} combinations, more than {MOST_CASES:,}", where=space.where
        )
    for key in space.keys:
        if key.when:
            holds = {is_there(key, values) for values in space.cases()}
            if holds != {True, False}:
                never = "never holds" if True not in holds else "always holds, so that it has no effect"
                raise ConfigError(never, where=space.where, field=f"keys.{key.name}.when")
