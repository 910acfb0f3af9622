"""What is wanted of a point: objectives, limits, and the columns of a sweep that they are read from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.hints import closest
from spikex_sim.explore.sweeps.table import numeric_columns, unit_of

ALIASES: Mapping[str, tuple[str, float, str]] = FrozenMap(
    {
        "latency_ms": ("seconds", 1e3, "ms"),
        "latency_us": ("seconds", 1e6, "µs"),
        "energy_uj": ("energy_pj", 1e-6, "µJ"),
        "energy_mj": ("energy_pj", 1e-9, "mJ"),
        "edp": ("edp_js", 1.0, "Js"),
        "edap": ("edap_js_mm2", 1.0, "Js mm²"),
    }
)
"""Further names of columns, what a value there is multiplied with, and the unit it then has."""
MOST_OBJECTIVES = 4
_LIMIT = re.compile(r"\s*([A-Za-z0-9_]+)\s*(<=|>=)\s*(\S+)\s*")


@dataclass(frozen=True)
class Measure:
    """A figure of a point: a numeric column of ``sweep.csv``, or another name of one.

    Attributes
    ----------
    name : str
        As it was asked for.
    column : str
        In ``sweep.csv``.
    factor : float
        From there to here.
    unit : str
        Of the figure; empty of counts and shares.
    """

    name: str
    column: str
    factor: float
    unit: str

    @classmethod
    def of(cls, name: str, where: str) -> Measure:
        """Find a figure.

        Raises
        ------
        ConfigError
            If no column of numbers has the name, with the nearest that has.
        """
        if name in ALIASES:
            return cls(name, *ALIASES[name])
        columns = numeric_columns()
        if name not in columns and unit_of(name) is None:
            near = closest(name, (*ALIASES, *columns)) or f"; there are {', '.join((*ALIASES, *columns))}"
            raise ConfigError(f"no result has {name!r:.60} as a number{near}", where=where)
        return cls(name, name, 1.0, unit_of(name) or "")

    def values(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """Values of several runs; empty where one of them lacks it."""
        found = [row.get(self.column) for row in rows]
        return [] if None in found else [self.factor * float(value) for value in found if value is not None]


@dataclass(frozen=True)
class Objective:
    """What is to be small, or large.

    Attributes
    ----------
    measure : Measure
        Mean over the traces.
    maximise : bool
        Whether more is better.
    """

    measure: Measure
    maximise: bool = False

    @classmethod
    def of(cls, text: str) -> Objective:
        """Read ``NAME``, ``min:NAME`` or ``max:NAME``."""
        way, colon, name = text.strip().rpartition(":")
        if colon and way not in ("min", "max"):
            raise ConfigError(f"wants NAME, min:NAME or max:NAME, not {text!r:.60}", where="--objective")
        return cls(Measure.of(name, "--objective"), way == "max")

    @property
    def name(self) -> str:
        """Name, with ``max:`` where more is better."""
        return f"max:{self.measure.name}" if self.maximise else self.measure.name

    def loss(self, value: float) -> float:
        """What is to be small."""
        return -value if self.maximise else value


@dataclass(frozen=True)
class Limit:
    """What a point must keep on every trace.

    Attributes
    ----------
    measure : Measure
        The largest of the traces, or the smallest where it must not be below.
    least : bool
        Whether the limit is a lower one.
    value : float
        The limit itself.
    """

    measure: Measure
    least: bool
    value: float

    @classmethod
    def of(cls, text: str) -> Limit:
        """Read ``NAME<=VALUE`` or ``NAME>=VALUE``."""
        found = _LIMIT.fullmatch(text)
        try:
            value = float(found[3]) if found else math.nan
        except ValueError:
            value = math.nan
        if not found or not math.isfinite(value):
            raise ConfigError(f"wants NAME<=VALUE or NAME>=VALUE, not {text!r:.60}", where="--constraint")
        return cls(Measure.of(found[1], "--constraint"), found[2] == ">=", value)

    def __str__(self) -> str:
        return f"{self.measure.name}{'>=' if self.least else '<='}{self.value:.12g}"

    def worst(self, values: Sequence[float]) -> float:
        """Of several traces, the value that the limit is held against."""
        return min(values) if self.least else max(values)

    def excess(self, value: float) -> float:
        """How far a value is off, as a part of the limit; 0 or less where the limit is kept."""
        off = self.value - value if self.least else value - self.value
        return off / abs(self.value) if self.value else off

    def miss(self, value: float) -> str:
        """Say that a value does not keep the limit."""
        return f"{self.measure.name} {value:.4g}, not {'>=' if self.least else '<='} {self.value:.12g}"


def objectives_of(names: Iterable[str]) -> tuple[Objective, ...]:
    """Read objectives.

    Raises
    ------
    ConfigError
        If there is none, one twice, or more than a front can be shown of.
    """
    found = tuple(map(Objective.of, names))
    if not 1 <= len(found) <= MOST_OBJECTIVES:
        raise ConfigError(f"wants 1 to {MOST_OBJECTIVES} objectives, not {len(found)}", where="--objective")
    columns = [one.measure.column for one in found]
    for one in found:
        if columns.count(one.measure.column) > 1:
            raise ConfigError(f"{one.measure.column} is named twice", where="--objective")
    return found


def limits_of(texts: Iterable[str]) -> tuple[Limit, ...]:
    """Read limits.

    Raises
    ------
    ConfigError
        If one is given twice, or two leave nothing between them.
    """
    found = tuple(map(Limit.of, texts))
    for at, one in enumerate(found):
        for other in found[:at]:
            if other.measure.column != one.measure.column:
                continue
            if other.least == one.least:
                raise ConfigError(f"{other} and {one} are of the same side", where="--constraint")
            least, most = sorted((one, other), key=lambda limit: not limit.least)
            if least.value / least.measure.factor > most.value / most.measure.factor:
                raise ConfigError(f"nothing can keep both {least} and {most}", where="--constraint")
    return found
