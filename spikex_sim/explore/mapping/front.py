"""Fronts of area against routes or packets: a stage for each of several budgets (Section 3, pareto)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from math import ceil, gcd
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.origin import origin
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.mapping.annealed import together
from spikex_sim.explore.mapping.budgets import Budget
from spikex_sim.explore.mapping.deadline import Deadline
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.feasible import fits
from spikex_sim.explore.mapping.stages import least_within
from spikex_sim.explore.sweeps.store import SweepStore
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import PACKAGE_OF, Stage

AUTO = "auto"
LADDER = (2, 5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 600, 800)
"""Percent over the least area that ``auto`` tries, up to the area that is taken without a budget."""
MOST_BUDGETS = 200
COLUMNS = ("area_budget", "area", "routes", "packets", "crossbars")

Found = tuple[tuple[Mapping, ...], Stage]
"""Mappings that a stage found, and how."""


@dataclass(frozen=True, eq=False)
class Point:
    """What was found within a budget.

    Attributes
    ----------
    budget : int
        Largest area, cells; where any was allowed, the area that was taken.
    mapping : Mapping
        The best within it.
    stage : Stage
        How it was found.
    """

    budget: int
    mapping: Mapping
    stage: Stage

    @property
    def row(self) -> dict[str, int]:
        """As ``pareto.csv`` has it."""
        value = self.mapping.value
        return dict(zip(
            COLUMNS, (self.budget, self.mapping.area, value("routes"), value("packets"),
                      self.mapping.crossbars), strict=True,
        ))  # fmt: skip


class Kept:
    """Finished stages of a network, by everything that they depend on; what a time limit cut is not kept.

    Parameters
    ----------
    path : Path, optional
        SQLite file; without one they are forgotten in the end.
    graph, pool, effort, order
        What is mapped, and how.

    Raises
    ------
    OutputError
        If the file cannot be used.
    """

    def __init__(
        self, path: Path | None, graph: NeuronGraph, pool: Pool, effort: Effort, order: Integers | None
    ) -> None:
        self._store = SweepStore(path, _is_row)
        self._graph, self._pool = graph, pool
        arrays = hashlib.sha256(graph.spikes.tobytes())
        if order is not None:
            arrays.update(order.tobytes())
        self._asked = [
            graph.sha256, arrays.hexdigest(), pool.described, effort.engine, effort.steps, effort.restarts,
            effort.seed, effort.solver_time, *_installed(), origin()["source_sha256"],
        ]  # fmt: skip

    def __enter__(self) -> Kept:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.__exit__(kind, error, trace)

    def found(self, objective: str, budget: int | None, make: Callable[[], Found]) -> Found:
        """What is kept of a stage, if it holds; else make it, and keep it."""
        asked = json.dumps([*self._asked, objective, budget])
        key = hashlib.sha256(asked.encode()).hexdigest()
        row = self._store.find(key)
        there = None if row is None else self._restored(row, objective, budget)
        if there is not None:
            return there
        if row is not None:
            self._store.discard(key)
        mappings, stage = make()
        if not stage.cut:
            several = [{"home": one.home.tolist(), "kinds": one.kinds.tolist()} for one in mappings]
            self._store.add(key, {"mappings": several, "stage": stage.described})
        return mappings, stage

    def _restored(self, row: dict[str, Any], objective: str, budget: int | None) -> Found | None:
        try:
            mappings, stage = tuple(map(self._mapping, row["mappings"])), Stage.of(row["stage"])
        except (TypeError, ValueError, LookupError, OverflowError):
            return None
        holds = bool(mappings) and stage.objective == objective and all(
            fits(one) and one.value(objective) == stage.value and (budget is None or one.area <= budget)
            for one in mappings
        )  # fmt: skip
        return (mappings, stage) if holds else None

    def _mapping(self, given: dict[str, Any]) -> Mapping:
        home, kinds = np.array(given["home"], np.int64), np.array(given["kinds"], np.int64)
        there = np.unique(home)
        as_many = home.shape == (self._graph.neurons,) and kinds.shape == there.shape
        if not as_many or (there != np.arange(len(there))).any() or kinds.min() < 0:
            raise ValueError("homes are not those of as many crossbars, each with a type")
        self._pool.costs[kinds]  # an IndexError where there is no such type
        return Mapping(self._graph, self._pool, home, kinds)


def budgets_of(text: str, bound: int) -> list[Budget] | None:
    """Budgets of ``--pareto``: None for ``auto``.

    Raises
    ------
    ConfigError
        If one is none, or below the bound.
    """
    if text.strip() == AUTO:
        return None
    given = [Budget.of(one, "--pareto") for one in text.split(",")]
    if len(given) > MOST_BUDGETS:
        raise ConfigError(f"has {len(given)} budgets, {MOST_BUDGETS} are most", field="--pareto")
    for one in given:
        one.check(bound, "--pareto")
    return given


def ladder(least: int, costs: Sequence[int]) -> list[int]:
    """Budgets that ``auto`` tries over a least area, in cells; ``costs`` are those of the types."""
    step = max(1, gcd(*costs))
    return [least + least * percent // 100 // step * step for percent in LADDER]


def front(
    starts: Sequence[Mapping], objective: str, effort: Effort, budgets: Sequence[Budget] | None, kept: Kept,
    deadline: Deadline, progress: Progress = silent,
) -> list[Point]:  # fmt: skip
    """Make routes or packets few within several budgets, each from the same mappings.

    What a smaller budget gave is taken where a larger one gave no less.

    Parameters
    ----------
    starts : sequence of Mapping
        Of the least area.
    objective : {"routes", "packets"}
        What is made small.
    effort : Effort
        Of each budget; jobs are budgets at a time.
    budgets : sequence of Budget or None
        None: from the least area on in steps of :data:`LADDER`, up to the budget from which on the objective
        falls no more.
    kept : Kept
        Finished ones.
    deadline : Deadline
        When all are to be done.
    progress : callable, optional
        Told about each.

    Returns
    -------
    list of Point
        By budget, ascending.
    """
    least = starts[0].area
    alone = replace(effort, jobs=1)

    def found(cells: Sequence[int | None], left: int, total: int) -> list[tuple[Mapping, Stage]]:
        def one(at: int, budget: int | None) -> tuple[Mapping, Stage]:
            def make() -> Found:
                mapping, stage = least_within(starts, objective, alone, budget, share)
                return (mapping,), stage

            share = deadline.share(ceil((left - at) / effort.jobs))
            mappings, stage = kept.found(objective, budget, make)
            progress(objective, 1 + total - left + at, 1 + total)
            return mappings[0], stage

        return together([partial(one, at, budget) for at, budget in enumerate(cells)], effort.jobs)

    if budgets is not None:
        cells = sorted(
            {one.over(least, "--pareto") for one in budgets}, key=lambda one: (one is None, one or 0)
        )
        return _points(cells, found(cells, len(cells), len(cells)))
    total = 2 + len(LADDER)
    ends = found([least, None], total, total)
    widest = ends[1][0].area
    middle = ladder(least, [one.cost for one in starts[0].pool.types])
    cells = [one for one in dict.fromkeys(middle) if least < one < widest]
    rungs = found(cells, len(cells), total)
    points = _points([least, *cells, None], [ends[0], *rungs, ends[1]])
    lowest = points[-1].mapping.value(objective)
    return points[: 1 + next(at for at, one in enumerate(points) if one.mapping.value(objective) == lowest)]


def _points(budgets: Sequence[int | None], found: Sequence[tuple[Mapping, Stage]]) -> list[Point]:
    points: list[Point] = []
    for budget, (mapping, stage) in zip(budgets, found, strict=True):
        best = Point(mapping.area if budget is None else budget, mapping, stage)
        before = points[-1] if points else best
        if before.stage.value <= stage.value:
            best = Point(max(best.budget, before.budget), before.mapping, before.stage)
        points.append(best)
    return points


def _installed() -> list[str]:
    """Versions of what some engines use where it is there."""
    found = []
    for package in dict.fromkeys(PACKAGE_OF.values()):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("mappings"), list)
        and all(isinstance(one, dict) for one in row["mappings"])
        and isinstance(row.get("stage"), dict)
    )
