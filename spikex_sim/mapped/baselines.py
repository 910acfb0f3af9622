"""Mappings to compare with: first-fit, and greedy merging (Section 5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.mapped.bitmaps import Bits, source_bits, union_size
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import CrossbarType, Pool

NEVER = 1 << 40


def first_fit(graph: NeuronGraph, pool: Pool, order: Integers | None = None) -> Mapping | None:
    """Put each neuron into the first open crossbar with a column and inputs left for the axons it adds.

    Crossbars are of a reference type until all neurons are placed: the only one of the pool, or its smallest
    square that takes the largest fan-in, or else the cheapest that does. Then each gets its cheapest type.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What is mapped, where to.
    order : int64 array ``[n]``, optional
        Neurons as they are placed; by default in ascending order.

    Returns
    -------
    Mapping or None
        None where a neuron fits no type, or copies do not suffice.
    """
    reference = reference_type(graph, pool)
    if reference is None:
        return None
    placed = np.arange(graph.neurons) if order is None else order
    sources = graph.sources
    home = _first_fit(sources.starts, sources.items, placed, graph.nodes, reference.inputs, reference.outputs)
    return Mapping.of(graph, pool, home)


def next_fit(graph: NeuronGraph, pool: Pool, order: Integers) -> Mapping | None:
    """Put each neuron into the crossbar of the one before, or into a new one where it has no room.

    Of the types that take the largest fan-in, tried one after the other, the one of the least area.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What is mapped, where to.
    order : int64 array ``[n]``
        Neurons as they are placed.

    Returns
    -------
    Mapping or None
        None where a neuron fits no type, or copies do not suffice.
    """
    widest, sources = int(graph.fan_in.max()), graph.sources
    found = [
        Mapping.of(
            graph, pool,
            _next_fit(sources.starts, sources.items, order, graph.nodes, one.inputs, one.outputs),
        )
        for one in pool.types
        if one.inputs >= widest
    ]  # fmt: skip
    return min((one for one in found if one is not None), key=lambda one: one.area, default=None)


def single(graph: NeuronGraph, pool: Pool) -> Mapping | None:
    """Each neuron in a crossbar of its own; None where one fits no type, or copies do not suffice."""
    return Mapping.of(graph, pool, np.arange(graph.neurons))


def greedy(graph: NeuronGraph, pool: Pool) -> Mapping | None:
    """Merge crossbars, at first one for each neuron, as long as that saves area.

    Always the pair that saves most, of these one that shares most axons, of these the lowest numbers; the
    union gets the next number. Copies are not looked at until the end.

    Returns
    -------
    Mapping or None
        None where a neuron fits no type, or copies do not suffice.
    """
    costs = np.where(pool.cheapest < 0, NEVER, pool.costs[pool.cheapest])
    if graph.fan_in.max() > pool.most_inputs:
        return None
    return Mapping.of(graph, pool, _greedy(source_bits(graph), costs))


def reference_type(graph: NeuronGraph, pool: Pool) -> CrossbarType | None:
    """Smallest square of a pool that takes the largest fan-in, or else the cheapest type that does.

    Returns
    -------
    CrossbarType or None
        None where no type takes it.
    """
    widest = int(graph.fan_in.max())
    fitting = [one for one in pool.types if one.inputs >= widest]
    return min(fitting, key=_preference, default=None)


def _preference(one: CrossbarType) -> tuple[bool, int, int]:
    return one.inputs != one.outputs, one.cost, one.inputs


@kernel(nogil=True)
def _first_fit(
    starts: Integers, sources: Integers, order: Integers, nodes: int, inputs: int, outputs: int
) -> Integers:
    count = len(order)
    home = np.zeros(count, np.int64)
    axons = np.zeros(count, np.int64)  # of each crossbar
    neurons = np.zeros(count, np.int64)
    shared = np.zeros(count, np.int64)
    open_ = np.zeros(count, np.int64)  # crossbars with a column left, in order
    opened = crossbars = 0
    last = np.full(nodes, -1)  # crossbars that have an axon, linked
    before, holder = np.empty(len(sources), np.int64), np.empty(len(sources), np.int64)
    held = 0
    for i in order:
        for e in range(starts[i], starts[i + 1]):
            link = last[sources[e]]
            while link >= 0:
                shared[holder[link]] += 1
                link = before[link]
        j, at = crossbars, opened
        for place in range(opened):
            more = starts[i + 1] - starts[i] - shared[open_[place]]
            if axons[open_[place]] + more <= inputs:
                j, at = open_[place], place
                break
        if at == opened:
            open_[opened] = j
            opened += 1
            crossbars += 1
        home[i] = j
        neurons[j] += 1
        for e in range(starts[i], starts[i + 1]):
            k = sources[e]
            has = False
            link = last[k]
            while link >= 0:
                shared[holder[link]] = 0
                has = has or holder[link] == j
                link = before[link]
            if not has:
                before[held], holder[held] = last[k], j
                last[k] = held
                held += 1
                axons[j] += 1
        if neurons[j] == outputs:
            opened -= 1
            for place in range(at, opened):
                open_[place] = open_[place + 1]
    return home


@kernel(nogil=True)
def _next_fit(
    starts: Integers, sources: Integers, order: Integers, nodes: int, inputs: int, outputs: int
) -> Integers:
    home = np.zeros(len(order), np.int64)
    holder = np.full(nodes, -1)  # the last crossbar that has an axon
    crossbar = axons = neurons = 0
    for i in order:
        added = 0
        for e in range(starts[i], starts[i + 1]):
            added += holder[sources[e]] != crossbar
        if neurons > 0 and (neurons == outputs or axons + added > inputs):
            crossbar += 1
            axons = neurons = 0
            added = starts[i + 1] - starts[i]
        for e in range(starts[i], starts[i + 1]):
            holder[sources[e]] = crossbar
        home[i] = crossbar
        axons += added
        neurons += 1
    return home


@kernel(nogil=True)
def _greedy(sets: Bits, costs: Integers) -> Integers:
    count, most = len(sets), 2 * len(sets)
    home = np.arange(count)
    rows = np.zeros((most, sets.shape[1]), np.uint64)
    rows[:count] = sets
    alive = np.arange(most) < count
    axons = np.zeros(most, np.int64)
    neurons = np.ones(most, np.int64)
    for a in range(count):
        axons[a] = union_size(rows[a], rows[a])
    best = np.full((most, 3), -1, np.int64)  # of pairs with a higher number: saving, shared axons, which
    for a in range(count):
        _partner(rows, costs, alive, axons, neurons, best, a, count)
    for new in range(count, most):
        a = -1
        for j in range(new):
            if alive[j] and best[j, 0] > 0 and (a < 0 or _before(best[j], best[a])):
                a = j
        if a < 0:
            break
        b = best[a, 2]
        rows[new] = rows[a] | rows[b]
        axons[new] = union_size(rows[new], rows[new])
        neurons[new] = neurons[a] + neurons[b]
        alive[a] = alive[b] = False
        alive[new] = True
        for i in range(count):
            if home[i] == a or home[i] == b:
                home[i] = new
        for j in range(new):
            if alive[j]:
                if best[j, 2] == a or best[j, 2] == b:
                    _partner(rows, costs, alive, axons, neurons, best, j, new + 1)
                else:
                    _offer(rows, costs, axons, neurons, best, j, new)
    return home


@kernel(nogil=True)
def _before(a: Integers, b: Integers) -> bool:
    """Whether a pair saves more, or as much and shares more."""
    answer: bool = a[0] > b[0] or (a[0] == b[0] and a[1] > b[1])
    return answer


@kernel(nogil=True)
def _partner(
    rows: Bits, costs: Integers, alive: NDArray[np.bool_], axons: Integers, neurons: Integers, best: Integers,
    a: int, end: int,
) -> None:  # fmt: skip
    """Find the best partner of a crossbar among those with a higher number."""
    best[a, :] = -1
    for b in range(a + 1, end):
        if alive[b]:
            _offer(rows, costs, axons, neurons, best, a, b)


@kernel(nogil=True)
def _offer(
    rows: Bits, costs: Integers, axons: Integers, neurons: Integers, best: Integers, a: int, b: int
) -> None:
    """Take a partner if it is better than the best so far."""
    size, least = neurons[a] + neurons[b], max(axons[a], axons[b])
    if least >= costs.shape[0] or size >= costs.shape[1]:
        return
    apart = costs[axons[a], neurons[a]] + costs[axons[b], neurons[b]]
    most = apart - costs[least, size]
    if most <= 0 or most < best[a, 0]:
        return
    union = union_size(rows[a], rows[b])
    if union >= costs.shape[0]:
        return
    saving, shared = apart - costs[union, size], axons[a] + axons[b] - union
    if saving <= 0 or saving < best[a, 0] or (saving == best[a, 0] and shared < best[a, 1]):
        return
    if saving > best[a, 0] or shared > best[a, 1] or b < best[a, 2]:
        best[a, 0], best[a, 1], best[a, 2] = saving, shared, b
