"""Stages of a mapping, by the engine that is asked for (Sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence

from spikex_sim.explore.mapping.annealed import anneal_area, anneal_within
from spikex_sim.explore.mapping.bounds import Bound
from spikex_sim.explore.mapping.deadline import Deadline
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.feasible import none_found
from spikex_sim.explore.mapping.parted import area_of_parts
from spikex_sim.explore.mapping.solved import prove, solve_area, solve_within
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import Stage


def least_area(
    graph: NeuronGraph, pool: Pool, effort: Effort, bound: Bound, deadline: Deadline,
    order: Integers | None = None,
) -> tuple[tuple[Mapping, ...], Stage]:  # fmt: skip
    """Make the area small (8).

    Returns
    -------
    mappings and stage
        Of the least area found, the best first.

    Raises
    ------
    UnsupportedError
        If no mapping was found; saying so if none exists.
    """
    if effort.solves or effort.divides(graph, pool):
        search = solve_area if effort.solves else area_of_parts
        mapping, stage = search(graph, pool, effort, bound, deadline, order)
        return (mapping,), stage
    found = anneal_area(graph, pool, effort, bound, deadline, order)
    if found is None and not effort.proves(graph):
        raise none_found(graph, pool)
    if found is None:
        mapping, stage = solve_area(graph, pool, effort, bound, deadline, order)
        return (mapping,), stage
    if not effort.proves(graph):
        return found
    mappings, stage = found
    mapping, stage = prove(mappings[0], stage, effort, deadline)
    return mappings if mapping is mappings[0] else (mapping,), stage


def least_within(
    starts: Sequence[Mapping], objective: str, effort: Effort, budget: int | None, deadline: Deadline
) -> tuple[Mapping, Stage]:
    """Make routes (11) or packets (12) few within a budget of area, None: any; from mappings within it."""
    if effort.solves:
        return solve_within(starts[0], objective, effort, budget, deadline)
    found = anneal_within(starts, objective, effort, budget, deadline)
    return prove(*found, effort, deadline) if effort.proves(found[0].graph) else found
