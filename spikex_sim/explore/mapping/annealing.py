"""Annealing of homes: neurons move between crossbars that share their axons (Section 4, anneal).

A run is one thread and one seed, and the same everywhere: its numbers are a generator of its own, and
logarithms and temperatures come from tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.explore.mapping.annealing_kernel import INFEASIBLE, POINTS, fill, run
from spikex_sim.explore.mapping.deadline import NEVER, Deadline
from spikex_sim.mapped.draws import ENTRIES, NEG_LOG, first_state
from spikex_sim.mapped.graph import Integers
from spikex_sim.mapped.mapping import EXTERNAL, Mapping
from spikex_sim.mapped.pool import Pool

NO_BUDGET = -1
AREA, ROUTES = 0, 1
"""What a run makes small: the area, or global routes weighted by spikes or by 1."""
UNCOUNTED = 1 << 40
"""Copies of a type that has no number of them."""
MOST_DENSE = 1 << 20
"""Most pairs of a crossbar and an axon whose uses are kept in full."""
CHUNK = 1 << 18
"""Steps between two looks at the clock."""


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
        Value of the goal along the run, evenly in steps; once it is cut, the last.
    steps : int
        Moves tried: all of the plan, unless a time limit cut the run.
    """

    home: Integers
    value: int
    history: Integers
    steps: int


class _Network(NamedTuple):
    """Sources and targets, and what a route of each node counts."""

    starts: Integers
    sources: Integers
    target_starts: Integers
    targets: Integers
    weight: Integers


class _Prices(NamedTuple):
    """Cost by axons and neurons, a neuron's too many included; and types by cost: inputs, outputs, cost."""

    costs: Integers
    fits: Integers


class _State(NamedTuple):
    """A run that is under way.

    Of crossbar ``j``: how many neurons use each axon, in full in ``dense[j]``, or, where that is much, in an
    open hash table ``hashed[j]`` of axons and uses; ``load[j]``: axons and neurons. Where copies are counted,
    ``kind[j]`` is its type and ``left`` has the copies left of each, and a last one of those that have none.
    ``home`` is that of each node, -1 of external axons. ``marks`` tell the sources of a neuron that is
    exchanged. ``numbers``: empty crossbars, area, routes, best value, step at which it was kept.
    """

    dense: NDArray[np.int16]
    hashed: NDArray[np.int32]
    home: Integers
    load: Integers
    cost: Integers
    kind: Integers
    left: Integers
    empty: Integers
    marks: Integers
    best: Integers
    history: Integers
    numbers: Integers
    draws: NDArray[np.uint64]


def anneal(
    start: Mapping, plan: Plan, weight: Integers, budget: int, seed: int, deadline: Deadline = NEVER
) -> Annealed:
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
    deadline : Deadline, optional
        When it is cut. A run that comes to its end is the same with any.
    """
    graph, counted = start.graph, start.pool.counted
    small = (graph.neurons + 1) * graph.nodes <= MOST_DENSE
    most = start.pool.most_inputs + int(graph.fan_in.max(initial=0)) + 1
    bits = 0 if small else max(3, int(2 * most - 1).bit_length())
    network = _Network(
        graph.sources.starts, graph.sources.items, graph.targets.starts, graph.targets.items, weight
    )
    prices = _prices(start.pool, most)
    by_routes = plan.goal == ROUTES
    state = _begin(network, prices, start, bits, by_routes, seed)
    given: tuple[Any, ...] = (
        *network, *prices, *state, counted, bits, by_routes, plan.axons, plan.temperatures, NEG_LOG, budget,
        plan.steps,
    )  # fmt: skip
    done = 0
    while done < plan.steps and not deadline.passed:
        last = plan.steps if deadline is NEVER else min(plan.steps, done + CHUNK)
        run(*(*given, done, last))
        done = last
    _, area, routes, best_value, _ = state.numbers.tolist()
    value = routes if by_routes else area
    improved = value < best_value and (budget < 0 or area <= budget)
    return Annealed(
        state.home[: graph.neurons] if improved else state.best, value if improved else best_value,
        _filled(state.history), done,
    )  # fmt: skip


def _filled(history: Integers) -> Integers:
    """History with the value before at every point that has none: of runs of few steps, or cut."""
    at = np.where(history < 0, 0, np.arange(len(history)))
    return history[np.maximum.accumulate(at)]


def _prices(pool: Pool, most: int) -> _Prices:
    """Prices of a pool; crossbars of up to so many axons and one neuron too many are infeasible."""
    costs = np.full((most + 1, pool.most_outputs + 2), INFEASIBLE, np.int64)
    costs[: pool.most_inputs + 1, :-1] = np.where(pool.cheapest < 0, INFEASIBLE, pool.costs[pool.cheapest])
    costs[:, 0] = 0
    types = [pool.types[t] for t in pool.order]
    return _Prices(costs, np.array([(one.inputs, one.outputs, one.cost) for one in types], np.int64))


def _begin(
    network: _Network, prices: _Prices, start: Mapping, bits: int, by_routes: bool, seed: int
) -> _State:
    """State before the first step."""
    pool = start.pool
    neurons, nodes, crossbars = len(start.home), len(network.weight), start.crossbars
    places = neurons + 1
    home = np.full(nodes, EXTERNAL, np.int64)
    home[:neurons] = start.home
    dense = np.zeros((places, 0 if bits else nodes), np.int16)
    hashed = np.zeros((places, 1 << bits if bits else 0, 2), np.int32)
    hashed[:, :, 0] = -1
    load = np.zeros((places, 2), np.int64)
    fill(network.starts, network.sources, home, dense, hashed, load, bits)
    place = np.argsort(pool.order)[start.kinds]
    cost, kind = np.zeros(places, np.int64), np.full(places, len(pool.types))
    cost[:crossbars] = prices.fits[place, 2]
    left = np.array(
        [UNCOUNTED if pool.types[t].count is None else pool.types[t].count for t in pool.order] + [0]
    )
    if pool.counted:
        kind[:crossbars] = place
        left -= np.bincount(place, minlength=len(left))
    empty = np.zeros(places, np.int64)
    empties = places - crossbars
    empty[:empties] = np.arange(places - 1, crossbars - 1, -1)
    node, crossbar = start.flows
    routes = int(network.weight[node[home[node] != crossbar]].sum())
    value = routes if by_routes else start.area
    history = np.full(POINTS + 1, -1)
    history[0] = value
    numbers = np.array([empties, start.area, routes, value, 0])
    marks, draws = np.full(nodes, -1), np.full(1, first_state(seed), np.uint64)
    return _State(
        dense, hashed, home, load, cost, kind, left, empty, marks, start.home.copy(), history, numbers, draws
    )
