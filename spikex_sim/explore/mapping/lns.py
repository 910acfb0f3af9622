"""Large neighbourhoods: some crossbars are emptied, and CP-SAT places their neurons anew (Section 4, lns)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikex_sim.explore.mapping.cpsat import solve
from spikex_sim.explore.mapping.deadline import NEVER, Deadline
from spikex_sim.explore.mapping.solver import Effort
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import Pool

CROSSBARS = 6
"""Emptied at a time."""
LEAST_TIME = 0.01
"""Deterministic time that a round counts for: solvers answer some at once."""


@dataclass(frozen=True, eq=False)
class Improved:
    """What a search found.

    Attributes
    ----------
    mapping : Mapping
        The best, no worse than where it began.
    value : int
        Of the objective.
    history : tuple of int
        Value at the start and after each round.
    deterministic_time : float
        Spent.
    cut : bool
        Whether wall time ended it.
    """

    mapping: Mapping
    value: int
    history: tuple[int, ...]
    deterministic_time: float
    cut: bool


def improve(
    mapping: Mapping, objective: str, rounds: int | None = None, *, seed: int = 1,
    area_budget: int | None = None, round_time: float = 0.5, deterministic_time: float | None = None,
    deadline: Deadline = NEVER,
) -> Improved:  # fmt: skip
    """Improve a mapping round by round.

    A round empties a crossbar, drawn, and :data:`CROSSBARS` - 1 more that share most axons with those it has;
    the neurons are placed by CP-SAT as a network of their own. That is exact: sources elsewhere are external
    axons to it, routes to other crossbars stay as they are, and it may use the area that the emptied
    crossbars had and what is left of the budget.

    Parameters
    ----------
    mapping : Mapping
        Where to begin, within the budget; for ``area`` best in a reduced pool.
    objective : {"area", "routes", "packets"}
        What is made small.
    rounds : int, optional
        Neighbourhoods tried.
    seed : int
        Of what is drawn, and of the solver.
    area_budget : int, optional
        Largest area.
    round_time : float
        Deterministic time of a round.
    deterministic_time : float, optional
        Of all rounds, the last of which it may cut; a round takes :data:`LEAST_TIME` at least.
    deadline : Deadline
        When no round begins any more; the result may then differ from run to run.

    Raises
    ------
    ConfigError
        Without OR-Tools.
    """
    drawn = np.random.default_rng(seed)
    history = [mapping.value(objective)]
    spent = charged = 0.0
    cut = False
    while rounds is None or len(history) <= rounds:
        left = round_time if deterministic_time is None else min(round_time, deterministic_time - charged)
        if left <= 0:
            break
        if deadline.passed:
            cut = True
            break
        chosen = _neighbours(mapping, drawn)
        effort = Effort(seed + len(history) - 1, left, deadline.seconds)
        mapping, time = _replaced(mapping, objective, chosen, area_budget, effort)
        spent += time
        charged += max(time, LEAST_TIME)
        history.append(mapping.value(objective))
    return Improved(mapping, history[-1], tuple(history), round(spent, 6), cut)


def _neighbours(mapping: Mapping, drawn: np.random.Generator) -> list[int]:
    """Crossbars that share axons, or take what others of them send; ties are drawn."""
    chosen = [int(drawn.integers(mapping.crossbars))]
    node, crossbar = mapping.flows
    while len(chosen) < min(CROSSBARS, mapping.crossbars):
        inside = np.isin(crossbar, chosen)
        axons = np.zeros(mapping.graph.nodes, bool)
        axons[node[inside]] = True
        axons[: mapping.graph.neurons] |= np.isin(mapping.home, chosen)
        shared = np.bincount(crossbar[axons[node]], minlength=mapping.crossbars) + drawn.random(
            mapping.crossbars
        )
        shared[chosen] = -1
        chosen.append(int(shared.argmax()))
    return chosen


def _replaced(
    mapping: Mapping, objective: str, chosen: list[int], area_budget: int | None, effort: Effort
) -> tuple[Mapping, float]:
    """The better of a mapping and what a round makes of it, and the deterministic time spent."""
    graph, pool = mapping.graph, mapping.pool
    neurons = np.flatnonzero(np.isin(mapping.home, chosen))
    part = _part(graph, neurons)
    area = int(pool.costs[mapping.kinds[chosen]].sum())
    known = _numbered(part, _left(mapping, chosen), mapping.home[neurons], mapping.kinds)
    budget = None if area_budget is None else area_budget - (mapping.area - area)
    solved = solve(part, known.pool, objective, effort, known, area_budget=budget, complete=False)
    if solved.mapping is None or solved.value is None or solved.value > known.value(objective):
        return mapping, solved.deterministic_time
    home = mapping.home.copy()
    home[neurons] = mapping.crossbars + solved.mapping.home
    kinds = np.concatenate([mapping.kinds, solved.mapping.kinds])
    return _numbered(graph, pool, home, kinds), solved.deterministic_time


def _part(graph: NeuronGraph, neurons: Integers) -> NeuronGraph:
    """The network of some neurons: all other sources are external axons."""
    inside = np.isin(graph.target, neurons)
    source, target = graph.source[inside], graph.target[inside]
    outside = np.setdiff1d(source, neurons)
    nodes = np.concatenate([neurons, outside])
    number = np.full(graph.nodes, -1)
    number[nodes] = np.arange(len(nodes))
    edges = np.stack([number[source], number[target]], 1)
    return NeuronGraph.of(graph.name, len(neurons), len(outside), edges, graph.spikes[nodes].tolist())


def _left(mapping: Mapping, chosen: list[int]) -> Pool:
    """The pool without the crossbars that stay."""
    pool = mapping.pool
    staying = np.delete(mapping.kinds, chosen)
    used = np.bincount(staying, minlength=len(pool.types)).tolist()
    return Pool(
        pool.name,
        tuple(
            one if one.count is None else replace(one, count=one.count - number)
            for one, number in zip(pool.types, used, strict=True)
        ),
    )


def _numbered(graph: NeuronGraph, pool: Pool, home: Integers, kinds: Integers) -> Mapping:
    """Mapping of crossbars in the order of their first neurons; those without neurons are left out."""
    _, first, number = np.unique(home, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return Mapping(graph, pool, rank[number.reshape(-1)].astype(np.int64), kinds[home[np.sort(first)]])
