"""Packing of items that share no axons: by CP-SAT into equal crossbars, by annealing into those of a pool."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.explore.mapping.annealing_kernel import INFEASIBLE
from spikex_sim.explore.mapping.solver import Effort, cp_model, new_solver
from spikex_sim.mapped.draws import ENTRIES, NEG_LOG, first_state, next_state
from spikex_sim.mapped.graph import Integers
from spikex_sim.mapped.pool import CrossbarType, Pool

FIRST, LAST = 16.0, 0.7
"""Temperatures, as of the annealing of neurons."""
MOST_BINS = 200_000
"""Most pairs of a kind of items and a crossbar that CP-SAT is given."""


class Items(NamedTuple):
    """Sizes of what is packed whole: axons and neurons of each item, ``[items]``."""

    axons: Integers
    neurons: Integers


def pack_equal(items: Items, one: CrossbarType, effort: Effort) -> Integers | None:
    """Pack into the fewest crossbars of one type, or as few as are found; None where the model is too large.

    Returns
    -------
    int64 array ``[items]`` or None
        Crossbar of each item.
    """
    kinds, of = np.unique(np.stack([items.axons, items.neurons], 1), axis=0, return_inverse=True)
    numbers = np.bincount(of.reshape(-1)).tolist()
    start = _first_fit_decreasing(items, one)
    bins = int(start.max()) + 1
    least = max(-(-int(items.axons.sum()) // one.inputs), -(-int(items.neurons.sum()) // one.outputs))
    if bins == least:
        return start
    if len(kinds) * bins > MOST_BINS:
        return None
    cp = cp_model()
    model = cp.CpModel()
    y = [model.new_bool_var("") for _ in range(bins)]
    z = [[model.new_int_var(0, number, "") for _ in range(bins)] for number in numbers]
    axons, neurons = kinds[:, 0].tolist(), kinds[:, 1].tolist()
    for row, number in zip(z, numbers, strict=True):
        model.add(sum(row) == number)
    loads = [sum(a * row[b] for a, row in zip(axons, z, strict=True)) for b in range(bins)]
    for b in range(bins):
        model.add(loads[b] <= one.inputs * y[b])
        model.add(sum(n * row[b] for n, row in zip(neurons, z, strict=True)) <= one.outputs * y[b])
    for b in range(1, bins):
        model.add_implication(y[b], y[b - 1])
    model.add(sum(y) >= least)
    model.minimize(sum(y))
    for kind, row in enumerate(z):
        inside = np.bincount(start[of.reshape(-1) == kind], minlength=bins).tolist()
        for variable, number in zip(row, inside, strict=True):
            model.add_hint(variable, number)
    solver = new_solver(effort)
    if solver.solve(model) not in (cp.OPTIMAL, cp.FEASIBLE):
        return start
    home = np.empty(len(items.axons), np.int64)
    for kind, row in enumerate(z):
        home[of.reshape(-1) == kind] = np.repeat(np.arange(bins), [solver.value(number) for number in row])
    return home


def pack_annealed(items: Items, pool: Pool, home: Integers, steps: int, seed: int) -> Integers:
    """Pack into crossbars of the cheapest types, from a packing that fits."""
    costs = np.where(pool.cheapest < 0, INFEASIBLE, pool.costs[pool.cheapest])
    ratio = LAST / FIRST
    temperatures = np.array([round(FIRST * ratio ** (at / (ENTRIES - 1)), 9) for at in range(ENTRIES)])
    return _pack(items.axons, items.neurons, home, costs, steps, temperatures, NEG_LOG, seed)


def _first_fit_decreasing(items: Items, one: CrossbarType) -> Integers:
    home = np.empty(len(items.axons), np.int64)
    loads: list[tuple[int, int]] = []
    for item in np.lexsort((-items.neurons, -items.axons)).tolist():
        a, n = int(items.axons[item]), int(items.neurons[item])
        fitting = (
            b for b, (axons, neurons) in enumerate(loads)
            if axons + a <= one.inputs and neurons + n <= one.outputs
        )  # fmt: skip
        b = next(fitting, len(loads))
        if b == len(loads):
            loads.append((0, 0))
        loads[b] = loads[b][0] + a, loads[b][1] + n
        home[item] = b
    return home


@kernel(nogil=True)
def _pack(  # noqa: PLR0912, PLR0915  # one loop, without calls
    axons: Integers, neurons: Integers, given: Integers, costs: Integers, steps: int,
    temperatures: NDArray[np.float64], neg_log: NDArray[np.float64], seed: int,
) -> Integers:  # fmt: skip
    count, places = len(given), len(given) + 1
    home, best = given.copy(), given.copy()
    load, size, items = np.zeros(places, np.int64), np.zeros(places, np.int64), np.zeros(places, np.int64)
    for at, j in enumerate(given):
        load[j] += axons[at]
        size[j] += neurons[at]
        items[j] += 1
    area = np.int64(0)
    empty = np.empty(places, np.int64)
    empties = 0
    for j in range(places - 1, -1, -1):
        if items[j] == 0:
            empty[empties] = j
            empties += 1
        else:
            area += costs[load[j], size[j]]
    least = area
    state = first_state(seed)
    for step in range(steps):
        state = next_state(state)
        choice = state
        state = next_state(state)
        i = np.int64((choice >> np.uint64(33)) % np.uint64(count))
        a = home[i]
        other = np.int64((state >> np.uint64(34)) % np.uint64(count))
        alone = choice & np.uint64(31) == 0
        swaps = not alone and choice & np.uint64(32) != 0
        to = empty[empties - 1] if alone else home[other]
        if to == a or (alone and items[a] == 1):
            continue
        axons_back = axons[other] if swaps else 0
        neurons_back = neurons[other] if swaps else 0
        load_a, load_to = load[a] - axons[i] + axons_back, load[to] + axons[i] - axons_back
        size_a, size_to = size[a] - neurons[i] + neurons_back, size[to] + neurons[i] - neurons_back
        if max(load_a, load_to) >= costs.shape[0] or max(size_a, size_to) >= costs.shape[1]:
            continue
        was = costs[load[a], size[a]] + (costs[load[to], size[to]] if size[to] > 0 else 0)
        rise = costs[load_to, size_to] + (costs[load_a, size_a] if size_a > 0 else 0) - was
        temperature = temperatures[step * len(temperatures) // steps]
        if rise > 0 and rise > temperature * neg_log[np.int64(state & np.uint64(4095))]:
            continue
        load[a], load[to], size[a], size[to] = load_a, load_to, size_a, size_to
        home[i] = to
        if swaps:
            home[other] = a
        else:
            if items[to] == 0:
                empties -= 1
            items[a] -= 1
            items[to] += 1
            if items[a] == 0:
                empty[empties] = a
                empties += 1
        area += rise
        if area < least:
            least = area
            best[:] = home
    return best
