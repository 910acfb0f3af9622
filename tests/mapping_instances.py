"""Small networks and pools that are drawn, and their optima by trying everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.pool import Pool

SIZES = [(2, 2), (3, 2), (4, 2), (6, 1), (4, 4), (5, 3), (2, 1), (6, 6), (4, 3)]


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    """All ways to split a list into sets."""
    if not items:
        yield []
        return
    for rest in partitions(items[1:]):
        yield [[items[0]], *rest]
        for at, one in enumerate(rest):
            yield [*rest[:at], [items[0], *one], *rest[at + 1 :]]


def optima(graph: NeuronGraph, pool: Pool) -> dict[str, int] | None:
    """Least area, and least routes and packets at that area, by trying everything; counts are kept."""
    edges = list(zip(graph.source.tolist(), graph.target.tolist(), strict=True))
    found = []
    for sets in partitions(list(range(graph.neurons))):
        axons = [{k for k, i in edges if i in one} for one in sets]
        area = cheapest([(len(a), len(one)) for a, one in zip(axons, sets, strict=True)], pool, ())
        if area is None:
            continue
        routes = [k for a, one in zip(axons, sets, strict=True) for k in a if k not in one]
        found.append((area, len(routes), sum(int(graph.spikes[k]) for k in routes)))
    if not found:
        return None
    area = min(found)[0]
    same = [one for one in found if one[0] == area]
    return {"area": area, "routes": min(one[1] for one in same), "packets": min(one[2] for one in same)}


def cheapest(needs: list[tuple[int, int]], pool: Pool, used: tuple[int, ...]) -> int | None:
    """Least cost of types for crossbars of some axons and neurons."""
    if not needs:
        return 0
    costs = []
    for at, one in enumerate(pool.types):
        if one.count is not None and used.count(at) >= one.count:
            continue
        if needs[0][0] <= one.inputs and needs[0][1] <= one.outputs:
            rest = cheapest(needs[1:], pool, (*used, at) if pool.counted else ())
            if rest is not None:
                costs.append(rest + one.cost)
    return min(costs, default=None)


def instance(
    seed: int, *, counts: bool = False, areas: bool = False, most: int = 6
) -> tuple[NeuronGraph, Pool]:
    """A network of a few neurons and a pool of three types."""
    drawn = np.random.default_rng(seed)
    neurons, external = int(drawn.integers(2, most + 1)), int(drawn.integers(0, 3))
    edges = [(k, i) for k in range(neurons + external) for i in range(neurons) if drawn.random() < 0.3]
    spikes = drawn.integers(0, 20, neurons + external).tolist()
    chosen = drawn.choice(len(SIZES), 3, replace=False).tolist()
    types: list[dict[str, Any]] = [{"inputs": SIZES[at][0], "outputs": SIZES[at][1]} for at in chosen]
    for one in types:
        if counts and drawn.random() < 0.7:
            one["count"] = int(drawn.integers(0, 4))
        if areas:
            one["area"] = int(drawn.integers(0, 30))
    return NeuronGraph.of("random", neurons, external, edges, spikes), Pool.of("random", {"types": types})
