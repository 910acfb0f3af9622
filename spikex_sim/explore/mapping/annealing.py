"""Annealing of homes: neurons move between crossbars that share their axons (Section 4, anneal).

A run is one thread and one seed, and the same everywhere: its numbers are a generator of its own, and
logarithms and temperatures come from tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.explore.mapping.draws import first_state, next_state
from spikex_sim.explore.mapping.graph import Integers
from spikex_sim.explore.mapping.mapping import Mapping

ENTRIES = 4096
"""Of the tables of logarithms and temperatures."""
POINTS = 256
"""Of the history of a run."""
NEG_LOG = np.array([round(-log((at + 0.5) / ENTRIES), 12) for at in range(ENTRIES)])
NO_BUDGET = -1
AREA, ROUTES = 0, 1
"""What a run makes small: the area, or global routes weighted by spikes or by 1."""
INFEASIBLE = 1 << 40


@dataclass(frozen=True)
class Plan:
    """How a run anneals.

    Attributes
    ----------
    goal : int
        :data:`AREA` or :data:`ROUTES`.
    steps : int
        Moves tried.
    first, last : float
        Temperatures, in units of the goal; geometric in between.
    axons : float
        What an axon counts beside the goal.
    """

    goal: int
    steps: int
    first: float
    last: float
    axons: float

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """Table of temperatures, in the order of the run."""
        ratio = self.last / self.first
        return np.array([round(self.first * ratio ** (at / (ENTRIES - 1)), 9) for at in range(ENTRIES)])


class Annealed(NamedTuple):
    """What a run found.

    Attributes
    ----------
    home : int64 array ``[n]``
        Crossbar of each neuron.
    value : int
        Of the goal.
    history : int64 array ``[POINTS + 1]``
        Value of the goal along the run, evenly in steps.
    """

    home: Integers
    value: int
    history: Integers


class _Tables(NamedTuple):
    """Axons of each crossbar and how many of its neurons use them, as open hash tables."""

    keys: NDArray[np.int32]
    uses: NDArray[np.int32]


def anneal(start: Mapping, plan: Plan, weight: Integers, budget: int, seed: int) -> Annealed:
    """Run once.

    Parameters
    ----------
    start : Mapping
        Where the run begins.
    plan : Plan
        Goal and schedule.
    weight : int64 array ``[n + e]``
        What a route of each node counts, if these are the goal.
    budget : int
        Largest area, or :data:`NO_BUDGET`.
    seed : int
        Of the run.
    """
    graph, pool = start.graph, start.pool
    sources = graph.sources
    widest = int(graph.fan_in.max(initial=0))
    bits = max(3, int(2 * (pool.most_inputs + widest + 1) - 1).bit_length())
    costs = np.where(pool.cheapest < 0, INFEASIBLE, pool.costs[pool.cheapest])
    left = np.array([-1 if one.count is None else one.count for one in pool.types], np.int64)
    fits = np.array(
        [(pool.types[t].inputs, pool.types[t].outputs, pool.types[t].cost, t) for t in pool.order], np.int64
    )
    place = np.empty(len(pool.order), np.int64)
    place[pool.order] = np.arange(len(pool.order))
    found = _anneal(
        sources.starts, sources.items, graph.targets.starts, graph.targets.items, weight, start.home,
        place[start.kinds],
        costs, fits, left, pool.counted, bits, plan.goal, plan.steps, plan.axons,
        plan.temperatures, NEG_LOG, budget, seed,
    )  # fmt: skip
    return Annealed(*found)


@kernel(nogil=True)
def _place(key: int, bits: int) -> int:
    place: int = ((key * 2654435769) & 0xFFFFFFFF) >> (32 - bits)
    return place


@kernel(nogil=True)
def _find(keys: NDArray[np.int32], key: int, bits: int) -> int:
    """Where a key is, or -1."""
    mask = (1 << bits) - 1
    at = _place(key, bits)
    while keys[at] >= 0:
        if keys[at] == key:
            return at
        at = (at + 1) & mask
    return -1


@kernel(nogil=True)
def _add(keys: NDArray[np.int32], uses: NDArray[np.int32], key: int, bits: int) -> int:
    """Count one use more; 1 if it is the first."""
    mask = (1 << bits) - 1
    at = _place(key, bits)
    while keys[at] >= 0:
        if keys[at] == key:
            uses[at] += 1
            return 0
        at = (at + 1) & mask
    keys[at], uses[at] = key, 1
    return 1


@kernel(nogil=True)
def _drop(keys: NDArray[np.int32], uses: NDArray[np.int32], key: int, bits: int) -> int:
    """Count one use less; 1 if it was the last. What was pushed aside moves back."""
    mask = (1 << bits) - 1
    at = _find(keys, key, bits)
    uses[at] -= 1
    if uses[at] > 0:
        return 0
    hole = at
    while True:
        at = (at + 1) & mask
        if keys[at] < 0:
            break
        wanted = _place(keys[at], bits)
        if ((at - wanted) & mask) >= ((at - hole) & mask):
            keys[hole], uses[hole] = keys[at], uses[at]
            hole = at
    keys[hole] = -1
    return 1


@kernel(nogil=True)
def _move(
    tables: _Tables, starts: Integers, sources: Integers, home: Integers, load: Integers, i: int, to: int,
    bits: int,
) -> None:  # fmt: skip
    """Move a neuron; ``load[j]``: axons and neurons of a crossbar."""
    a = home[i]
    for at in range(starts[i], starts[i + 1]):
        load[a, 0] -= _drop(tables.keys[a], tables.uses[a], sources[at], bits)
        load[to, 0] += _add(tables.keys[to], tables.uses[to], sources[at], bits)
    load[a, 1] -= 1
    load[to, 1] += 1
    home[i] = to


@kernel(nogil=True)
def _change(
    tables: _Tables, starts: Integers, sources: Integers, home: Integers, weight: Integers, i: int, to: int,
    bits: int, routes: bool,
) -> tuple[int, int, int]:  # fmt: skip
    """Axons that a move frees and needs, and by how much it changes the global routes."""
    a, neurons = home[i], len(home)
    freed = needed = change = 0
    own = False
    for at in range(starts[i], starts[i + 1]):
        k = sources[at]
        frees = tables.uses[a, _find(tables.keys[a], k, bits)] == 1
        needs = _find(tables.keys[to], k, bits) < 0
        freed += frees
        needed += needs
        if k == i:
            own = True
            if routes:
                change += weight[i] * (int(needs) - int(frees))
        elif routes:
            if frees and not (k < neurons and home[k] == a):
                change -= weight[k]
            if needs and not (k < neurons and home[k] == to):
                change += weight[k]
    if routes:
        was_local = _find(tables.keys[a], i, bits) >= 0
        is_local = own or _find(tables.keys[to], i, bits) >= 0
        change += weight[i] * (int(was_local) - int(is_local))
    return freed, needed, change


@kernel(nogil=True)
def _kind(fits: Integers, left: Integers, axons: int, neurons: int) -> int:
    """First type, by cost, that is large enough and has copies left; -1: none."""
    for at in range(len(fits)):
        if axons <= fits[at, 0] and neurons <= fits[at, 1] and left[fits[at, 3]] != 0:
            return at
    return -1


@kernel(nogil=True)
def _take(left: Integers, copies: Integers, fits: Integers, at: int, number: int) -> None:
    """Take copies of a type, or give them back, where they are counted."""
    if at >= 0 and copies[fits[at, 3]] >= 0:
        left[fits[at, 3]] -= number


@kernel(nogil=True)
def _anneal(
    starts: Integers, sources: Integers, target_starts: Integers, targets: Integers, weight: Integers,
    given: Integers, given_kinds: Integers, costs: Integers, fits: Integers, copies: Integers, counted: bool,
    bits: int, goal: int, steps: int, axon_weight: float, temperatures: NDArray[np.float64],
    neg_log: NDArray[np.float64], budget: int, seed: int,
) -> tuple[Integers, int, Integers]:  # fmt: skip
    neurons, places = len(given), len(given) + 1
    home = given.copy()
    tables = _Tables(np.full((places, 1 << bits), -1, np.int32), np.zeros((places, 1 << bits), np.int32))
    load = np.zeros((places, 2), np.int64)
    for neuron in range(neurons):
        j = home[neuron]
        load[j, 1] += 1
        for at in range(starts[neuron], starts[neuron + 1]):
            load[j, 0] += _add(tables.keys[j], tables.uses[j], sources[at], bits)
    cost = np.zeros(places, np.int64)
    kind = np.full(places, -1, np.int64)  # where copies are counted
    left = copies.copy()
    area = 0
    for j in range(len(given_kinds)):
        cost[j] = fits[given_kinds[j], 2]
        area += cost[j]
        if counted:
            kind[j] = given_kinds[j]
            _take(left, copies, fits, kind[j], 1)
    empty = np.empty(places, np.int64)
    empties = 0
    for j in range(places - 1, -1, -1):
        if load[j, 1] == 0:
            empty[empties] = j
            empties += 1
    routes = _routes(tables, home, weight)
    by_routes = goal == ROUTES
    best, best_value = home.copy(), routes if by_routes else area
    history = np.zeros(POINTS + 1, np.int64)
    history[0] = best_value
    kept_at = 0
    state = first_state(seed)
    for step in range(steps):
        temperature = temperatures[step * len(temperatures) // steps]
        state = next_state(state)
        choice = state
        i: Any = np.int64((choice >> np.uint64(33)) % np.uint64(neurons))
        how = np.int64(choice & np.uint64(31))
        state = next_state(state)
        drawn = np.int64(state >> np.uint64(34))
        chance = neg_log[np.int64(state & np.uint64(4095))]
        a = home[i]
        other: Any = -1
        if how < 16 and starts[i + 1] > starts[i]:  # one that shares an axon
            k = sources[starts[i] + drawn % (starts[i + 1] - starts[i])]
            first, number = target_starts[k], target_starts[k + 1] - target_starts[k]
            other = targets[first + (drawn >> 8) % number]
        elif how < 30:
            other = drawn % neurons
        to = empty[empties - 1] if other < 0 else home[other]
        if to == a or (other < 0 and load[a, 1] == 1):
            continue
        swaps = other >= 0 and np.int64(choice & np.uint64(32)) != 0
        freed, needed, change = _change(tables, starts, sources, home, weight, i, to, bits, by_routes)
        if not swaps:
            axons_a, axons_to = load[a, 0] - freed, load[to, 0] + needed
            size_a, size_to = load[a, 1] - 1, load[to, 1] + 1
        else:
            _move(tables, starts, sources, home, load, i, to, bits)
            freed_back, needed_back, change_back = _change(
                tables, starts, sources, home, weight, other, a, bits, by_routes
            )
            axons_a, axons_to = load[a, 0] + needed_back, load[to, 0] - freed_back
            size_a, size_to = load[a, 1] + 1, load[to, 1] - 1
            freed, needed, change = freed + freed_back, needed + needed_back, change + change_back
        for j in (a, to):
            _take(left, copies, fits, kind[j], -1)
        cost_a, kind_a = 0, -1
        if size_a > 0:
            cost_a, kind_a = _cost(costs, fits, left, counted, axons_a, size_a)
            _take(left, copies, fits, kind_a, 1)
        cost_to, kind_to = _cost(costs, fits, left, counted, axons_to, size_to)
        _take(left, copies, fits, kind_to, 1)
        more = cost_a + cost_to - cost[a] - cost[to]
        rise = axon_weight * (needed - freed) + (change if by_routes else more)
        fine = cost_a < INFEASIBLE and cost_to < INFEASIBLE
        fine = fine and (budget < 0 or area + more <= budget or more < 0)
        if not fine or (rise > 0 and rise > temperature * chance):
            if swaps:
                _move(tables, starts, sources, home, load, i, a, bits)
            for at in (kind_a, kind_to):
                _take(left, copies, fits, at, -1)
            for j in (a, to):
                _take(left, copies, fits, kind[j], 1)
        else:
            if swaps:
                _move(tables, starts, sources, home, load, other, a, bits)
            else:
                if other < 0:
                    empties -= 1
                _move(tables, starts, sources, home, load, i, to, bits)
                if load[a, 1] == 0:
                    empty[empties] = a
                    empties += 1
            cost[a], cost[to] = cost_a, cost_to
            kind[a], kind[to] = kind_a, kind_to
            area += more
            routes += change
            value = routes if by_routes else area
            within = budget < 0 or area <= budget
            if value < best_value and within and step - kept_at >= neurons >> 3:
                best_value, kept_at = value, step
                best[:] = home
        if (step + 1) * POINTS % steps < POINTS:
            history[(step + 1) * POINTS // steps] = routes if by_routes else area
    value = routes if by_routes else area
    if value < best_value and (budget < 0 or area <= budget):
        best_value = value
        best[:] = home
    return best, best_value, history


@kernel(nogil=True)
def _cost(
    costs: Integers, fits: Integers, left: Integers, counted: bool, axons: int, neurons: int
) -> tuple[int, int]:
    """Cost of a crossbar and, where copies are counted, its type; infeasible where none takes it."""
    if axons >= costs.shape[0] or neurons >= costs.shape[1]:
        return INFEASIBLE, -1
    if not counted:
        return costs[axons, neurons], -1
    at = _kind(fits, left, axons, neurons)
    return (INFEASIBLE, -1) if at < 0 else (fits[at, 2], at)


@kernel(nogil=True)
def _routes(tables: _Tables, home: Integers, weight: Integers) -> int:
    """Global routes, weighted."""
    total = 0
    for j in range(len(tables.keys)):
        for k in tables.keys[j]:
            if k >= 0 and not (k < len(home) and home[k] == j):
                total += weight[k]
    return total
