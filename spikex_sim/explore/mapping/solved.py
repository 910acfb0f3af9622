"""Stages by CP-SAT: the whole model, large neighbourhoods, or proofs of what was annealed (Section 4)."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.explore.mapping.annealing import NO_BUDGET, anneal
from spikex_sim.explore.mapping.bounds import POOL_SCOPE, Bound
from spikex_sim.explore.mapping.cpsat import Solved, solve
from spikex_sim.explore.mapping.deadline import Deadline
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.feasible import area_plan, none_found, quick_mapping, squeezed
from spikex_sim.explore.mapping.lns import improve
from spikex_sim.explore.mapping.reduction import merged, narrowed, reduced
from spikex_sim.explore.mapping.solver import Effort as SolverEffort
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping, rank
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import Stage

PROOF_TIME = 5.0
"""Deterministic time of a proof, in units of some seconds each."""
HINT_STEPS = 1_000_000
"""Moves of the short run that makes the mapping which solvers begin with."""


def solve_area(
    graph: NeuronGraph, pool: Pool, effort: Effort, bound: Bound, deadline: Deadline,
    order: Integers | None = None,
) -> tuple[Mapping, Stage]:  # fmt: skip
    """Make the area small, in the reduced pool where there is one; then merge crossbars into wider ones.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What is mapped, where to.
    effort : Effort
        Engine, seed and deterministic time. What is no solver proves: for :data:`PROOF_TIME`.
    bound : Bound
        Of the area.
    deadline : Deadline
        When it is cut.
    order : int64 array ``[n]``, optional
        Neurons such that neighbours share axons.

    Raises
    ------
    UnsupportedError
        If no mapping exists, or none was found.
    ConfigError
        Without OR-Tools, or if the model were too large.
    """
    began = time.perf_counter()
    narrow = reduced(pool)
    known = _known(graph, pool, effort.seed, deadline, order)
    start = known if known is None or narrow is pool else narrowed(known)
    solved, history = _solved(graph, narrow, "area", effort, None, deadline, start)
    found = [one for one in (known, solved.mapping) if one is not None]
    if not found:
        if solved.status == "infeasible":
            raise UnsupportedError("no mapping exists in this pool (proven)", where=graph.name)
        raise none_found(graph, pool)
    mapping = min((one if one.pool is pool else merged(one, pool) for one in found), key=rank)
    stage = Stage(
        "area", _name(effort), effort.seed, mapping.area, bound=bound.value, bound_name=bound.name,
        bound_scope=bound.scope, history=history,
    )  # fmt: skip
    return mapping, _described(stage, solved, began)


def solve_within(
    mapping: Mapping, objective: str, effort: Effort, budget: int | None, deadline: Deadline
) -> tuple[Mapping, Stage]:
    """Make routes or packets few within a budget of area.

    Parameters
    ----------
    mapping : Mapping
        Where it begins, within the budget.
    objective : {"routes", "packets"}
        What is made small.
    effort : Effort
        Engine, seed and deterministic time.
    budget : int or None
        Largest area; None: any.
    deadline : Deadline
        When it is cut.
    """
    began = time.perf_counter()
    solved, history = _solved(mapping.graph, mapping.pool, objective, effort, budget, deadline, mapping)
    found = solved.mapping
    if found is None or (found.value(objective), found.area) > (mapping.value(objective), mapping.area):
        found = mapping
    stage = Stage(
        objective, _name(effort), effort.seed, found.value(objective), area_budget=budget, history=history
    )
    return found, _described(stage, solved, began)


def prove(mapping: Mapping, stage: Stage, effort: Effort, deadline: Deadline) -> tuple[Mapping, Stage]:
    """Let CP-SAT prove what a stage found, or find what is less."""
    if stage.status == "optimal":
        return mapping, stage
    if deadline.passed:
        return mapping, replace(stage, cut=True)
    began = time.perf_counter() - stage.seconds
    graph, pool, objective = mapping.graph, mapping.pool, stage.objective
    narrow = reduced(pool) if objective == "area" else pool
    known = mapping if narrow is pool else narrowed(mapping)
    solved, _ = _solved(graph, narrow, objective, effort, stage.area_budget, deadline, known)
    if solved.mapping is not None and solved.mapping.value(objective) < stage.value:
        mapping = solved.mapping if narrow is pool else merged(solved.mapping, pool)
    stage = replace(stage, engine=f"{stage.engine}, cpsat", value=mapping.value(objective))
    return mapping, _described(stage, solved, began)


def _solved(
    graph: NeuronGraph, pool: Pool, objective: str, effort: Effort, budget: int | None, deadline: Deadline,
    known: Mapping | None,
) -> tuple[Solved, tuple[tuple[int, ...], ...]]:  # fmt: skip
    """Solve, or improve what is known; and the values on the way."""
    spend = effort.solver_time if effort.solves else PROOF_TIME
    solver = SolverEffort(effort.seed, spend, deadline.seconds)
    if effort.engine != "lns" or known is None:
        return solve(graph, pool, objective, solver, known, area_budget=budget), ()
    found = improve(
        known, objective, seed=effort.seed, area_budget=budget, deterministic_time=spend, deadline=deadline
    )
    solved = Solved(
        "found", found.mapping, found.value, deterministic_time=found.deterministic_time, cut=found.cut
    )
    return solved, (found.history,)


def _known(
    graph: NeuronGraph, pool: Pool, seed: int, deadline: Deadline, order: Integers | None
) -> Mapping | None:
    """What a short run of annealing makes of the better baseline; None if copies suffice for none."""
    start = quick_mapping(graph, pool, order)
    if start is None:
        return squeezed(graph, pool, HINT_STEPS, seed * 1000, deadline)
    plan, ones = area_plan(pool, HINT_STEPS), np.ones(graph.nodes, np.int64)
    run = anneal(start, plan, ones, NO_BUDGET, seed * 1000, deadline)
    found = Mapping.of(graph, pool, run.home)
    return start if found is None or found.area > start.area else found


def _described(stage: Stage, solved: Solved, began: float) -> Stage:
    """The stage with the larger bound, which of two equal ones holds for the pool, and what was spent."""
    known = (-1, False) if stage.bound is None else (stage.bound, stage.bound_scope == POOL_SCOPE)
    # What was merged into wider crossbars may be less than a bound with few copies.
    if solved.bound is not None and known <= (solved.bound, solved.bound_scope == POOL_SCOPE) and (
        solved.bound <= stage.value
    ):  # fmt: skip
        stage = replace(stage, bound=solved.bound, bound_name="solver", bound_scope=solved.bound_scope)
    proven = stage.bound == stage.value and stage.bound_scope == POOL_SCOPE
    return replace(
        stage, status="optimal" if proven else "found", deterministic_time=solved.deterministic_time,
        seconds=time.perf_counter() - began, cut=stage.cut or solved.cut,
    )  # fmt: skip


def _name(effort: Effort) -> str:
    return effort.engine if effort.solves else "cpsat"
