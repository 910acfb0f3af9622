"""Mapping by constraint programming (OR-Tools, CP-SAT): Sections 3 and 4."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, gcd

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.mapping.bounds import POOL_SCOPE, best_bound
from spikex_sim.explore.mapping.cpsat_model import Copies, Model, copies_of
from spikex_sim.explore.mapping.solver import Effort, cp_model, new_solver
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import Pool

COPIES_SCOPE = "copies"
"""Of a bound that holds only for mappings with no more copies of each type than the model has."""
MOST_PLACES = 4_000_000
"""Most pairs of a neuron and a crossbar in a model."""
MOST_COMPLETE = 40
"""Neurons up to which a model has all copies, so that its optimum is that of the pool."""


@dataclass(frozen=True, eq=False)
class Solved:
    """What the solver found.

    Attributes
    ----------
    status : {"optimal", "found", "infeasible", "unknown"}
        ``optimal``: no mapping in the pool has a smaller value; ``infeasible``: there is none, or none within
        the budget. Both are proven.
    mapping : Mapping or None
        Homes and types.
    value : int or None
        Of the objective.
    bound : int or None
        The value is at least that, where ``bound_scope`` says.
    bound_scope : {"pool", "copies"}
        See :data:`COPIES_SCOPE`.
    copies : tuple of int
        Of each type of the pool in the model.
    deterministic_time : float
        Spent.
    cut : bool
        Whether wall time ended it.
    """

    status: str
    mapping: Mapping | None = None
    value: int | None = None
    bound: int | None = None
    bound_scope: str = POOL_SCOPE
    copies: tuple[int, ...] = ()
    deterministic_time: float = 0.0
    cut: bool = False


def solve(
    graph: NeuronGraph, pool: Pool, objective: str, effort: Effort, known: Mapping | None = None,
    *, area_budget: int | None = None, freeze: str = "area", complete: bool | None = None,
) -> Solved:  # fmt: skip
    """Solve one stage.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What is mapped, where to. For ``area`` best a reduced pool: its optimum is the same.
    objective : {"area", "routes", "packets"}
        Eq. (8), (11) or (12).
    effort : Effort
        Seed and limits.
    known : Mapping, optional
        In the same pool; where the solver starts.
    area_budget : int, optional
        Largest area.
    freeze : {"area", "types"}
        ``types``: the crossbars of ``known`` are all that there are.
    complete : bool, optional
        Whether to model all copies that a mapping could use, or some more than the known one does. By
        default all of them up to :data:`MOST_COMPLETE` neurons, and where nothing is known.

    Raises
    ------
    ConfigError
        Without OR-Tools, or if the model were too large.
    """
    if freeze == "types":
        if known is None:
            raise ConfigError("wants a mapping whose types are kept", field="--freeze")
        kept = frozen(pool, known)
        known = Mapping(graph, kept, known.home, known.kinds)
        solved = solve(graph, kept, objective, effort, known, area_budget=area_budget, complete=True)
        if solved.mapping is None:
            return solved
        return replace(
            solved, mapping=Mapping(graph, pool, solved.mapping.home, solved.mapping.kinds), copies=()
        )
    most = _most_area(objective, area_budget, known)
    copies = copies_of(
        graph, pool, known, most,
        complete=graph.neurons <= MOST_COMPLETE if complete is None else complete,
    )  # fmt: skip
    if graph.fan_in.max(initial=0) > pool.most_inputs:
        return Solved("infeasible", copies=copies.each)
    least = best_bound(graph, pool).value
    if area_budget is not None and area_budget < least:
        return Solved("infeasible", copies=copies.each)
    places = graph.neurons * sum(copies.each)
    if places > MOST_PLACES:
        raise ConfigError(
            f"{graph.neurons:,} neurons times {sum(copies.each):,} crossbars are more pairs than the "
            f"{MOST_PLACES:,} that CP-SAT is given: use --engine anneal",
            field="--engine",
        )
    if known is not None and objective == "area" and known.area == least:
        return Solved("optimal", known, least, least, copies=copies.each)
    model = Model(cp_model(), graph, pool, copies.each)
    model.model.add(model.area >= least)  # redundant, and not found by the solver
    if area_budget is not None:
        model.model.add(model.area <= area_budget)
    weight = graph.spikes if objective == "packets" else np.ones(graph.nodes, np.int64)
    model.model.minimize(model.area if objective == "area" else model.routes(weight))
    if known is not None:
        model.hint(known)
    step = gcd(*(one.cost for one in pool.types)) if objective == "area" else 1
    return _run(model, objective, effort, copies, max(1, step))


def frozen(pool: Pool, mapping: Mapping) -> Pool:
    """The crossbars of a mapping, as a pool that has no others (``--freeze types``)."""
    used = np.bincount(mapping.kinds, minlength=len(pool.types)).tolist()
    return Pool(
        pool.name, tuple(replace(one, count=number) for one, number in zip(pool.types, used, strict=True))
    )


def _most_area(objective: str, budget: int | None, known: Mapping | None) -> int | None:
    """Largest area of mappings that could be an optimum."""
    areas = [] if budget is None else [budget]
    if objective == "area" and known is not None and (budget is None or known.area <= budget):
        areas.append(known.area)
    return min(areas, default=None)


def _run(model: Model, objective: str, effort: Effort, copies: Copies, step: int) -> Solved:
    cp, solver = cp_model(), new_solver(effort)
    status = solver.solve(model.model)
    spent = round(float(solver.deterministic_time), 6)
    scope = POOL_SCOPE if copies.complete else COPIES_SCOPE
    proven = status in (cp.OPTIMAL, cp.INFEASIBLE)
    cut = not proven and effort.seconds is not None and spent < effort.deterministic_time
    if status not in (cp.OPTIMAL, cp.FEASIBLE):
        told = "infeasible" if status == cp.INFEASIBLE and copies.complete else "unknown"
        return Solved(told, None, None, None, scope, copies.each, spent, cut)
    mapping = model.mapping(solver)
    value = mapping.value(objective)
    least = ceil(solver.best_objective_bound / step - 1e-6) * step
    bound = min(value, least)
    told = "optimal" if bound == value and copies.complete else "found"
    return Solved(told, mapping, value, bound, scope, copies.each, spent, cut)
