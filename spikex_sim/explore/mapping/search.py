"""Maps a network in stages: the least area, then the fewest routes or packets within it (Section 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.files import csv_text
from spikex_sim.core.hints import one_of
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.mapping.bounds import Bound, best_bound
from spikex_sim.explore.mapping.budgets import Budget
from spikex_sim.explore.mapping.cpsat import frozen
from spikex_sim.explore.mapping.deadline import Deadline
from spikex_sim.explore.mapping.effort import RESTARTS, STEPS, Effort
from spikex_sim.explore.mapping.feasible import check_pool
from spikex_sim.explore.mapping.front import Kept, Point, budgets_of, front
from spikex_sim.explore.mapping.heldout import HeldOut
from spikex_sim.explore.mapping.solver import cp_model
from spikex_sim.explore.mapping.stages import least_area, least_within
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.mesh import Placement, mesh_of, place
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import SavedMapping, Stage
from spikex_sim.mapped.split import Split

__all__ = ["OBJECTIVES", "RESTARTS", "STEPS", "Effort", "Mapped", "check_pool", "map_graph"]

OBJECTIVES = ("area", "routes", "packets")
FREEZES = ("area", "types")


@dataclass(frozen=True)
class Mapped:
    """A network on its crossbars.

    Attributes
    ----------
    mapping : Mapping
        Where each neuron is.
    stages : tuple of Stage
        How it was found.
    placement : Placement or None
        Where the crossbars are.
    split : Split or None
        Which columns are parts of neurons.
    heldout : HeldOut or None
        Packets on the samples of a profile and on others.
    front : tuple of Point
        Of several budgets of area; the mapping is that of the first.
    """

    mapping: Mapping
    stages: tuple[Stage, ...]
    placement: Placement | None = None
    split: Split | None = None
    heldout: HeldOut | None = None
    front: tuple[Point, ...] = ()

    def _repr_html_(self) -> str:
        from spikex_sim.explore.mapping.tables import mapping_html

        return mapping_html(self)

    @property
    def network(self) -> NeuronGraph:
        """The network without parts."""
        return self.mapping.graph if self.split is None else self.split.original

    @property
    def every_stage(self) -> tuple[Stage, ...]:
        """Its stages, and those of other budgets."""
        return (*self.stages, *(point.stage for point in self.front[1:]))

    @property
    def area(self) -> int:
        """Sum of the crossbars' costs, cells."""
        return self.mapping.area

    @property
    def metrics(self) -> dict[str, Any]:
        """See :attr:`Mapping.metrics` and :attr:`Placement.metrics`."""
        return self.saved.metrics

    @property
    def crossbars(self) -> list[dict[str, Any]]:
        """Type and neurons of each crossbar."""
        return self.saved.crossbars

    @cached_property
    def saved(self) -> SavedMapping:
        """As its file has it."""
        counted = None if self.heldout is None else self.heldout.metrics
        return SavedMapping.of(self.mapping, self.stages, self.placement, self.split, counted)

    def save(self, folder: str | Path) -> list[Path]:
        """Write ``mapping.json``, ``crossbars.csv`` and ``network.json``.

        Of a profile also ``heldout.csv``, of a front ``pareto.csv``.
        """
        from spikex_sim.explore.mapping.documents import graph_text

        more = {} if self.heldout is None else {"heldout.csv": csv_text(self.heldout.rows)}
        if self.front:
            more["pareto.csv"] = csv_text([point.row for point in self.front])
        return self.saved.save(folder, {"network.json": graph_text(self.network), **more})


def map_graph(
    graph: NeuronGraph,
    pool: Pool,
    objective: str = "area",
    effort: Effort | None = None,
    *,
    freeze: str = "area",
    area_budget: str | None = None,
    pareto: str | None = None,
    kept: Path | None = None,
    mesh: str | None = None,
    order: Integers | None = None,
    progress: Progress = silent,
) -> Mapped:
    """Map a network.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What, and where to.
    objective : {"area", "routes", "packets"}
        What is made small, after the area.
    effort : Effort, optional
        Engine, steps, seeds, jobs, limits.
    freeze : {"area", "types"}
        Whether later stages keep the area, or the very crossbars of the area stage.
    area_budget : str, optional
        Largest area of later stages: a number of cells, ``+P%`` over the least one found, or ``none``.
    pareto : str, optional
        ``auto``, or several such areas with commas: the objective within each (see :func:`.front.front`).
    kept : Path, optional
        SQLite file of finished stages of a front; those that are in it are not run again.
    mesh : str, optional
        ``auto`` or ROWSxCOLS: where to place the crossbars.
    order : int64 array ``[n]``, optional
        Neurons such that neighbours share axons: the search may start from what next-fit makes of them.
    progress : callable, optional
        Told about the stages.

    Raises
    ------
    ConfigError, UnsupportedError
        If the pool cannot take the network, or a choice is none; one line.
    OutputError
        If ``kept`` cannot be used.
    """
    _check_choices(objective, freeze, area_budget, pareto)
    effort = effort or Effort()
    if effort.solves:
        cp_model()  # says what is missing before anything is done
    budget = None if area_budget is None else Budget.of(area_budget, "--area-budget")
    check_pool(graph, pool)
    bound = best_bound(graph, pool)
    if budget is not None:
        budget.check(bound.value, "--area-budget")
    deadline = Deadline.after(effort.time_limit)
    if pareto is not None:
        found = _front(graph, pool, objective, effort, pareto, bound, deadline, kept, order, progress)
    else:
        found = _staged(graph, pool, objective, effort, freeze, budget, bound, deadline, order, progress)
    if mesh is not None:
        rows, cols = mesh_of(found.mapping.crossbars, mesh)
        found = replace(found, placement=place(found.mapping, rows, cols, seed=effort.seed))
    progress("done", 1, 1)
    return found


def _check_choices(objective: str, freeze: str, area_budget: str | None, pareto: str | None) -> None:
    if objective not in OBJECTIVES:
        raise ConfigError(one_of(objective, OBJECTIVES), field="--objective")
    if freeze not in FREEZES:
        raise ConfigError(one_of(freeze, FREEZES), field="--freeze")
    for given, field in ((area_budget, "--area-budget"), (pareto, "--pareto")):
        if objective == "area" and given is not None:
            raise ConfigError("is for the objectives routes and packets", field=field)
    if pareto is not None and area_budget is not None:
        raise ConfigError("has budgets of its own: leave --area-budget out", field="--pareto")
    if pareto is not None and freeze == "types":
        raise ConfigError("keeps crossbars, which --pareto exchanges for others", field="--freeze")


def _staged(
    graph: NeuronGraph, pool: Pool, objective: str, effort: Effort, freeze: str, budget: Budget | None,
    bound: Bound, deadline: Deadline, order: Integers | None, progress: Progress,
) -> Mapped:  # fmt: skip
    last = objective != "area"
    progress("area", 0, 1 + last)
    starts, stage = least_area(graph, pool, effort, bound, deadline.share(1 + last), order)
    if not last:
        return Mapped(starts[0], (stage,))
    progress(objective, 1, 2)
    cells = stage.value if budget is None else budget.over(stage.value, "--area-budget")
    if freeze == "types":
        starts = (replace(starts[0], pool=frozen(pool, starts[0])),)
    mapping, within = least_within(starts, objective, effort, cells, deadline)
    return Mapped(mapping, (stage, replace(within, freeze=freeze)))


def _front(
    graph: NeuronGraph, pool: Pool, objective: str, effort: Effort, pareto: str, bound: Bound,
    deadline: Deadline, path: Path | None, order: Integers | None, progress: Progress,
) -> Mapped:  # fmt: skip
    budgets = budgets_of(pareto, bound.value)
    progress("area", 0, 1)
    with Kept(path, graph, pool, effort, order) as kept:
        starts, stage = kept.found(
            "area", None, lambda: least_area(graph, pool, effort, bound, deadline.share(2), order)
        )
        points = front(starts, objective, effort, budgets, kept, deadline, progress)
    return Mapped(points[0].mapping, (stage, points[0].stage), front=tuple(points))
