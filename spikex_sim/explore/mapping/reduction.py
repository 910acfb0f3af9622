"""Pools with fewer types and the same least area; and back to wider types (Section 2, Reduction)."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import combinations, count

import numpy as np

from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import CrossbarType, Pool


def reduced(pool: Pool) -> Pool:
    """Types that suffice for the least area, of a pool without counts whose types cost ``A N``.

    A crossbar ``A x (N1 + N2 + ...)`` splits into ``A x N1``, ``A x N2``, ... of the same area in all, none
    of which needs more axons. So of the types of each ``A``, those remain whose outputs are no sum of
    others'. Any other pool is returned as it is.
    """
    if pool.counted or any(one.cost != one.inputs * one.outputs for one in pool.types):
        return pool
    kept: list[CrossbarType] = []
    for one in sorted(pool.types, key=lambda one: one.outputs):
        widths = [other.outputs for other in kept if other.inputs == one.inputs]
        if one.outputs not in _sums(widths, one.outputs):
            kept.append(one)
    return Pool(pool.name, tuple(one for one in pool.types if one in kept))


def narrowed(mapping: Mapping) -> Mapping:
    """The mapping in the reduced pool, of the same area: wide crossbars split, lowest neurons first."""
    pool = reduced(mapping.pool)
    home = np.empty(mapping.graph.neurons, np.int64)
    at = 0
    for j, kind in enumerate(mapping.kinds.tolist()):
        one, neurons = mapping.pool.types[kind], mapping.neurons.of(j)
        for width in _parts(one, [other for other in pool.types if other.inputs == one.inputs]):
            taken, neurons = neurons[:width], neurons[width:]
            home[taken] = at
            at += 1
    found = Mapping.of(mapping.graph, pool, home)
    assert found is not None  # each part has outputs enough, and no more axons than the whole
    return found


def _parts(one: CrossbarType, narrow: list[CrossbarType]) -> list[int]:
    """Widths of narrow types that add up to that of a wide one, the fewest."""
    if not narrow:
        return [one.outputs]
    parts: list[list[int] | None] = [[]]
    for width in range(1, one.outputs + 1):
        ways = [
            [*before, other.outputs]
            for other in narrow
            if other.outputs <= width and (before := parts[width - other.outputs]) is not None
        ]
        parts.append(min(ways, key=len, default=None))
    return parts[one.outputs] or [one.outputs]


def _sums(widths: list[int], most: int) -> set[int]:
    found = {0}
    for total in range(1, most + 1):
        if any(total - width in found for width in widths):
            found.add(total)
    return found


@dataclass
class _Crossbar:
    neurons: set[int]
    axons: set[int]
    cost: int


def merged(mapping: Mapping, pool: Pool, weight: Integers | None = None) -> Mapping:
    """Merge crossbars into wider ones of a pool, for no more area.

    First the pair that saves most routes, of these the first; again and again, until no two crossbars have
    a type that takes both and costs no more than they do.

    Parameters
    ----------
    mapping : Mapping
        Usually in the reduced pool.
    pool : Pool
        Without counts.
    weight : int64 array ``[n + e]``, optional
        What a route of each node counts; 1 each where it is left out.
    """
    graph = mapping.graph
    weights = [1] * graph.nodes if weight is None else weight.tolist()
    fits = pool.cheapest
    open_: dict[int, _Crossbar] = {
        j: _Crossbar(set(mapping.neurons.of(j).tolist()), set(mapping.axons.of(j).tolist()), cost)
        for j, cost in enumerate(mapping.pool.costs[mapping.kinds].tolist())
    }

    def merger(a: int, b: int) -> _Crossbar | None:
        one, other = open_[a], open_[b]
        neurons = len(one.neurons) + len(other.neurons)
        least = max(len(one.axons), len(other.axons))
        if neurons >= fits.shape[1] or least >= fits.shape[0] or _cost(pool, least, neurons) > (
            one.cost + other.cost
        ):  # fmt: skip
            return None
        axons = one.axons | other.axons
        cost = _cost(pool, len(axons), neurons)
        return _Crossbar(one.neurons | other.neurons, axons, cost) if cost <= one.cost + other.cost else None

    def routes(one: _Crossbar) -> int:
        return sum(weights[k] for k in one.axons if k not in one.neurons)

    def entry(a: int, b: int) -> tuple[int, int, int] | None:
        whole = merger(a, b)
        return None if whole is None else (routes(whole) - routes(open_[a]) - routes(open_[b]), a, b)

    numbers = count(mapping.crossbars)
    queue = [found for a, b in combinations(open_, 2) if (found := entry(a, b)) is not None]
    heapify(queue)
    while queue:
        _, a, b = heappop(queue)
        if a not in open_ or b not in open_:
            continue
        whole = merger(a, b)
        assert whole is not None
        del open_[a], open_[b]
        new, others = next(numbers), list(open_)
        open_[new] = whole
        for other in others:
            if (found := entry(other, new)) is not None:
                heappush(queue, found)
    return _of(graph, pool, open_)


def _cost(pool: Pool, axons: int, neurons: int) -> int:
    """Cost of the cheapest type that takes so much; huge where none does."""
    if axons >= pool.cheapest.shape[0] or (kind := int(pool.cheapest[axons, neurons])) < 0:
        return 1 << 62
    return pool.types[kind].cost


def _of(graph: NeuronGraph, pool: Pool, crossbars: dict[int, _Crossbar]) -> Mapping:
    home = np.empty(graph.neurons, np.int64)
    for j, one in crossbars.items():
        home[list(one.neurons)] = j
    found = Mapping.of(graph, pool, home)
    assert found is not None  # the pool has a type for each, as many as are wanted
    return found
