"""Stages by annealing: the least area, then few routes or packets within it (Sections 3 and 4, anneal)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import log2
from typing import TypeVar

import numpy as np

from spikex_sim.explore.mapping.annealing import NO_BUDGET, ROUTES, Annealed, Plan, anneal
from spikex_sim.explore.mapping.bounds import Bound
from spikex_sim.explore.mapping.deadline import Deadline
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.feasible import area_plan, quick_mapping, squeezed, start_of
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping, rank
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import Stage, history_of

ROUTE_TEMPERATURES = (1.0, 0.1)
PACKET_TEMPERATURES = (60.0, 1.5)
"""First and last, found on networks A, C and E."""
MEAN_SPIKES = 40
"""Of the nodes of these networks that spike, about; the temperatures double with it."""

T = TypeVar("T")


def anneal_area(
    graph: NeuronGraph, pool: Pool, effort: Effort, bound: Bound, deadline: Deadline,
    order: Integers | None = None,
) -> tuple[tuple[Mapping, ...], Stage] | None:  # fmt: skip
    """Make the area small, from as many seeds as there are restarts.

    Where time cuts the runs, what baselines make is taken if it is smaller.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What is mapped, where to.
    effort : Effort
        Steps, restarts, seed, jobs.
    bound : Bound
        Of the area.
    deadline : Deadline
        When it is cut.
    order : int64 array ``[n]``, optional
        See :func:`spikex_sim.explore.mapping.feasible.start_of`.

    Returns
    -------
    mappings and stage, or None
        All of the smallest area, that of the fewest routes first, of those the fewest crossbars. None if
        copies of the pool did not suffice.
    """
    began = time.perf_counter()
    start = start_of(graph, pool, order) or squeezed(graph, pool, effort.steps, effort.seed * 1000, deadline)
    if start is None:
        return None
    ones = np.ones(graph.nodes, np.int64)

    def run(number: int) -> Annealed:
        plan = area_plan(pool, effort.steps, number)
        return anneal(start, plan, ones, NO_BUDGET, effort.seed * 1000 + number, deadline)

    runs = together([partial(run, number) for number in range(effort.restarts)], effort.jobs)
    cut = any(one.steps < effort.steps for one in runs)
    found = [Mapping.of(graph, pool, one.home) for one in runs]
    if cut:
        found += [start, quick_mapping(graph, pool, order)]
    ranked = sorted((one for one in found if one is not None), key=rank) or [start]
    mapping = ranked[0]
    stage = Stage(
        "area", "anneal", effort.seed, mapping.area, steps=effort.steps, restarts=effort.restarts,
        status="optimal" if bound.value == mapping.area else "found", bound=bound.value,
        bound_name=bound.name, bound_scope=bound.scope, seconds=time.perf_counter() - began, cut=cut,
        history=tuple(history_of(one.history) for one in runs),
    )  # fmt: skip
    alike: dict[bytes, Mapping] = {}
    for one in ranked:
        if one.area == mapping.area:
            alike.setdefault(one.home.tobytes(), one)
    return tuple(alike.values()), stage


def anneal_within(
    starts: Sequence[Mapping], objective: str, effort: Effort, budget: int | None, deadline: Deadline
) -> tuple[Mapping, Stage]:
    """Make routes or packets few within a budget of area, in a run of its own from each of several mappings.

    The area leaves little room, so that what is found depends on where a run begins.

    Parameters
    ----------
    starts : sequence of Mapping
        Where runs begin, within the budget.
    objective : {"routes", "packets"}
        What is made small.
    effort : Effort
        Steps, seed, jobs.
    budget : int or None
        Largest area; None: any.
    deadline : Deadline
        When it is cut.
    """
    began = time.perf_counter()
    graph, pool = starts[0].graph, starts[0].pool
    weight = graph.spikes if objective == "packets" else np.ones(graph.nodes, np.int64)
    plan = Plan(ROUTES, effort.steps, *_temperatures(weight), 0.0)
    most = NO_BUDGET if budget is None else budget

    def run(number: int, start: Mapping) -> Annealed:
        return anneal(start, plan, weight, most, effort.seed * 1000 + number, deadline)

    runs = together([partial(run, number, start) for number, start in enumerate(starts)], effort.jobs)
    found = [one for run in runs if (one := Mapping.of(graph, pool, run.home)) is not None]
    within = [one for one in found if budget is None or one.area <= budget]
    mapping = min((*within, *starts), key=lambda one: (one.value(objective), one.area, one.crossbars))
    stage = Stage(
        objective, "anneal", effort.seed, mapping.value(objective), steps=effort.steps,
        restarts=len(starts), area_budget=budget, seconds=time.perf_counter() - began,
        cut=any(one.steps < effort.steps for one in runs),
        history=tuple(history_of(one.history) for one in runs),
    )  # fmt: skip
    return mapping, stage


def together(runs: Sequence[Callable[[], T]], jobs: int) -> list[T]:
    """Results in order; kernels and solvers let other threads run."""
    if jobs == 1:
        return [run() for run in runs]
    with ThreadPoolExecutor(jobs) as threads:
        return [one.result() for one in [threads.submit(run) for run in runs]]


def _temperatures(weight: Integers) -> tuple[float, float]:
    """First and last temperature for routes that count so much: those of packets, but where all count 1."""
    counting = weight[weight > 0]
    if not len(counting) or counting.max() == 1:
        return ROUTE_TEMPERATURES
    scale = 2.0 ** round(log2(counting.mean() / MEAN_SPIKES))
    first, last = PACKET_TEMPERATURES
    return scale * first, scale * last
