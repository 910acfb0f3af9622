"""The area stage of a large network: parts are annealed side by side, and their areas add up (Section 9)."""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from spikex_sim.explore.mapping.annealed import together
from spikex_sim.explore.mapping.annealing import NO_BUDGET, Annealed, anneal
from spikex_sim.explore.mapping.bounds import Bound
from spikex_sim.explore.mapping.deadline import Deadline
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.feasible import area_plan, start_of
from spikex_sim.explore.mapping.partition import NEURONS_A_PART, partition, pieces
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import Stage, history_of


def area_of_parts(
    graph: NeuronGraph, pool: Pool, effort: Effort, bound: Bound, deadline: Deadline,
    order: Integers | None = None,
) -> tuple[Mapping, Stage]:  # fmt: skip
    """Make the area small, part by part: of each the best of as many runs as there are restarts.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What is mapped, where to; the pool has as many of each type as are wanted.
    effort : Effort
        Steps of each restart, which parts share by their neurons; restarts, seed, jobs.
    bound : Bound
        Of the area.
    deadline : Deadline
        When it is cut.
    order : int64 array ``[n]``, optional
        See :func:`spikex_sim.explore.mapping.feasible.start_of`.
    """
    began = time.perf_counter()
    place = np.argsort(order) if order is not None else None
    parts = list(pieces(graph, partition(graph, -(-graph.neurons // NEURONS_A_PART), effort.seed)))

    def run(neurons: Integers, piece: NeuronGraph) -> tuple[Annealed, bool, Integers]:
        own = None if place is None else np.argsort(place[neurons])
        start = start_of(piece, pool, own)
        assert start is not None  # its neurons fit, one by one, and copies are not counted
        plan = area_plan(pool, max(1, effort.steps * len(neurons) // graph.neurons))
        ones = np.ones(piece.nodes, np.int64)
        runs = [
            anneal(start, plan, ones, NO_BUDGET, effort.seed * 1000 + number, deadline)
            for number in range(effort.restarts)
        ]
        cut = any(one.steps < plan.steps for one in runs)
        return min(runs, key=lambda one: one.value), cut, neurons

    found = together([partial(run, *one) for one in parts], effort.jobs)
    home, before = np.empty(graph.neurons, np.int64), 0
    for best, _, neurons in found:
        home[neurons] = best.home + before
        before += int(best.home.max()) + 1
    mapping = Mapping.of(graph, pool, home)
    assert mapping is not None  # each part is one
    histories = [one.history for one, _, _ in found]
    alike = len({len(one) for one in histories}) == 1
    stage = Stage(
        "area", "partition, anneal", effort.seed, mapping.area, steps=effort.steps,
        restarts=effort.restarts, status="optimal" if bound.value == mapping.area else "found",
        bound=bound.value, bound_name=bound.name, bound_scope=bound.scope,
        seconds=time.perf_counter() - began, cut=any(cut for _, cut, _ in found),
        history=(history_of(np.sum(histories, axis=0)),) if alike else (),
    )  # fmt: skip
    return mapping, stage
