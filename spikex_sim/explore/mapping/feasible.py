"""Whether a pool can take a network, and mappings that searches begin with (Sections 4 and 7)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.explore.mapping.annealing import AREA, NO_BUDGET, Plan, anneal
from spikex_sim.explore.mapping.deadline import NEVER, Deadline
from spikex_sim.mapped.baselines import first_fit, greedy, next_fit, single
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import CrossbarType, Pool

TEMPERATURES = (16.0, 0.7)
"""First and last of the area stage, found on networks A, C and E."""
AXON_WEIGHTS = {True: (3.0, 8.0, 5.0), False: (0.3, 2.5, 1.2)}
"""What an axon counts beside the area, of one run after the other: in pools of one type, where areas are
plateaus, and in others. No weight is best for all networks; found on networks A to E."""
MOST_GREEDY = 4096
"""Neurons up to which greedy merging is tried: its time grows with their square."""
DEAREST = 1 << 39
"""Most that a crossbar beyond the pool's copies costs."""


def check_pool(graph: NeuronGraph, pool: Pool) -> None:
    """Refuse a pool that cannot take a network for its sizes alone.

    Raises
    ------
    UnsupportedError
        Naming the first neuron, or what there is too little of.
    """
    wide = np.flatnonzero(graph.fan_in > pool.most_inputs)
    if len(wide):
        others = f" ({len(wide)} such neurons)" if len(wide) > 1 else ""
        raise UnsupportedError(
            f"neuron {wide[0]} has {graph.fan_in[wide[0]]} inputs, the widest crossbar of the pool takes "
            f"{pool.most_inputs}{others}; use --split or a pool with more inputs",
            where=graph.name,
        )
    if all(one.count is not None for one in pool.types):
        outputs = sum(one.outputs * (one.count or 0) for one in pool.types)
        if graph.neurons > outputs:
            raise UnsupportedError(
                f"{graph.neurons} neurons, the pool has {outputs} outputs in all", where=graph.name
            )


def fits(mapping: Mapping) -> bool:
    """Whether every crossbar takes its axons and neurons, and copies suffice."""
    types = [mapping.pool.types[kind] for kind in mapping.kinds.tolist()]
    axons, neurons = np.diff(mapping.axons.starts).tolist(), np.diff(mapping.neurons.starts).tolist()
    used = np.bincount(mapping.kinds, minlength=len(mapping.pool.types)).tolist()
    return all(
        a <= one.inputs and n <= one.outputs for one, a, n in zip(types, axons, neurons, strict=True)
    ) and (all(one.count is None or u <= one.count for one, u in zip(mapping.pool.types, used, strict=True)))


def start_of(graph: NeuronGraph, pool: Pool, order: Integers | None = None) -> Mapping | None:
    """Where annealing begins: a crossbar for each neuron, or next-fit in an order where that is less.

    Where copies suffice for neither: as first-fit has it, or greedy merging. None if that does not fit, too.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What is mapped, where to.
    order : int64 array ``[n]``, optional
        Neurons such that neighbours share axons.
    """
    starts = [single(graph, pool), None if order is None else next_fit(graph, pool, order)]
    found = min((one for one in starts if one is not None), key=lambda one: one.area, default=None)
    return found or first_fit(graph, pool, order) or _greedy(graph, pool)


def quick_mapping(graph: NeuronGraph, pool: Pool, order: Integers | None = None) -> Mapping | None:
    """The smaller of what first-fit, next-fit and greedy merging make; None if none fits."""
    tried = [first_fit(graph, pool, order), None if order is None else next_fit(graph, pool, order),
             _greedy(graph, pool)]  # fmt: skip
    return min((one for one in tried if one is not None), key=lambda one: one.area, default=None)


def area_plan(pool: Pool, steps: int, number: int = 0) -> Plan:
    """Schedule of a run of the area stage."""
    weights = AXON_WEIGHTS[len(pool.types) == 1]
    return Plan(AREA, steps, *TEMPERATURES, weights[number % len(weights)])


def squeezed(
    graph: NeuronGraph, pool: Pool, steps: int, seed: int, deadline: Deadline = NEVER
) -> Mapping | None:
    """Anneal into a pool of too few copies: crossbars beyond them are there at first, and dear.

    Returns
    -------
    Mapping or None
        None if some are left.
    """
    more = _with_more(pool, graph.neurons)
    start = single(graph, more)
    assert start is not None  # every neuron fits into some type
    run = anneal(start, area_plan(pool, steps), np.ones(graph.nodes, np.int64), NO_BUDGET, seed, deadline)
    return Mapping.of(graph, pool, run.home)


def none_found(graph: NeuronGraph, pool: Pool) -> UnsupportedError:
    """Error of a pool whose copies did not suffice: how many more greedy merging needs.

    Of more than :data:`MOST_GREEDY` neurons: how many first-fit needs.
    """
    uncounted = Pool(pool.name, tuple(replace(one, count=None) for one in pool.types))
    merged, name = _greedy(graph, uncounted), "greedy"
    if merged is None:
        merged, name = first_fit(graph, uncounted), "first-fit"
    assert merged is not None
    mapping = Mapping.of(graph, _with_more(pool, graph.neurons), merged.home)
    assert mapping is not None
    used = np.bincount(mapping.kinds, minlength=2 * len(pool.types))[len(pool.types) :].tolist()
    missing = [f"{number} more {one.name}" for number, one in zip(used, pool.types, strict=True) if number]
    needs = f"; {name} needs {' and '.join(missing)}" if missing else ""
    return UnsupportedError(f"none found{needs}", where=graph.name)


def _greedy(graph: NeuronGraph, pool: Pool) -> Mapping | None:
    return greedy(graph, pool) if graph.neurons <= MOST_GREEDY else None


def _with_more(pool: Pool, neurons: int) -> Pool:
    """The pool, and behind it the same types without counts, each dearer than any mapping into the pool."""
    dear = min(DEAREST, 1 + neurons * max(one.cost for one in pool.types))
    more = [CrossbarType(one.name, one.inputs, one.outputs, None, one.cost + dear) for one in pool.types]
    return Pool(pool.name, (*pool.types, *more))
