"""Steps of annealing, compiled: moves and exchanges of neurons, and what each changes (Section 4, anneal).

Kernels that others call take arrays one by one, read them under no condition that they could be read without,
and are inlined where they take many: else Numba passes and counts them at every call, which takes longer than
all the rest.

Of crossbar ``j``, ``dense[j]`` has how many neurons use each axon, or, where that is much, ``hashed[j]``, an
open hash table of axons and uses, of ``2 ** bits`` places; without hash tables ``bits`` is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.mapped.draws import next_state
from spikex_sim.mapped.graph import Integers

POINTS = 256
"""Of the history of a run."""
INFEASIBLE = 1 << 40
"""Cost of a crossbar that no type takes."""
Table = NDArray[np.int16]
Hashed = NDArray[np.int32]


@kernel(nogil=True)
def _place(key: int, bits: int) -> int:
    place: int = ((key * 2654435769) & 0xFFFFFFFF) >> (32 - bits)
    return place


@kernel(nogil=True)
def _uses(dense: Table, hashed: Hashed, j: int, key: int, bits: int) -> int:
    """How many neurons of a crossbar use an axon."""
    if not bits:
        return int(dense[j, key])
    mask = (1 << bits) - 1
    at = _place(key, bits)
    while hashed[j, at, 0] >= 0:
        if hashed[j, at, 0] == key:
            return int(hashed[j, at, 1])
        at = (at + 1) & mask
    return 0


@kernel(nogil=True)
def _add(dense: Table, hashed: Hashed, j: int, key: int, bits: int) -> int:
    """Count one use more; 1 if it is the first."""
    if not bits:
        dense[j, key] += 1
        return int(dense[j, key] == 1)
    mask = (1 << bits) - 1
    at = _place(key, bits)
    while hashed[j, at, 0] >= 0:
        if hashed[j, at, 0] == key:
            hashed[j, at, 1] += 1
            return 0
        at = (at + 1) & mask
    hashed[j, at, 0], hashed[j, at, 1] = key, 1
    return 1


@kernel(nogil=True)
def _drop(dense: Table, hashed: Hashed, j: int, key: int, bits: int) -> int:
    """Count one use less; 1 if it was the last. What was pushed aside moves back."""
    if not bits:
        dense[j, key] -= 1
        return int(dense[j, key] == 0)
    mask = (1 << bits) - 1
    at = _place(key, bits)
    while hashed[j, at, 0] != key:
        at = (at + 1) & mask
    hashed[j, at, 1] -= 1
    if hashed[j, at, 1] > 0:
        return 0
    hole = at
    while True:
        at = (at + 1) & mask
        if hashed[j, at, 0] < 0:
            break
        wanted = _place(int(hashed[j, at, 0]), bits)
        if ((at - wanted) & mask) >= ((at - hole) & mask):
            hashed[j, hole, 0], hashed[j, hole, 1] = hashed[j, at, 0], hashed[j, at, 1]
            hole = at
    hashed[j, hole, 0] = -1
    return 1


@kernel(nogil=True)
def fill(
    starts: Integers, sources: Integers, home: Integers, dense: Table, hashed: Hashed,
    load: Integers, bits: int,
) -> None:  # fmt: skip
    """Count the uses of axons, and axons and neurons of each crossbar."""
    for i in range(len(starts) - 1):
        load[home[i], 1] += 1
        for at in range(starts[i], starts[i + 1]):
            load[home[i], 0] += _add(dense, hashed, home[i], sources[at], bits)


@kernel(nogil=True, inline="always")
def _move(
    starts: Integers, sources: Integers, home: Integers, dense: Table, hashed: Hashed,
    load: Integers, i: int, to: int, bits: int,
) -> None:  # fmt: skip
    """Move a neuron."""
    a = home[i]
    for at in range(starts[i], starts[i + 1]):
        load[a, 0] -= _drop(dense, hashed, a, sources[at], bits)
        load[to, 0] += _add(dense, hashed, to, sources[at], bits)
    load[a, 1] -= 1
    load[to, 1] += 1
    home[i] = to


@kernel(nogil=True, inline="always")
def _change(
    starts: Integers, sources: Integers, weight: Integers, home: Integers, dense: Table,
    hashed: Hashed, i: int, to: int, bits: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Axons that a move frees and needs, and by how much it changes the global routes."""
    a = home[i]
    freed = needed = change = 0
    own = False
    for at in range(starts[i], starts[i + 1]):
        k = sources[at]
        frees = _uses(dense, hashed, a, k, bits) == 1
        needs = _uses(dense, hashed, to, k, bits) == 0
        freed += frees
        needed += needs
        if k == i:
            own = True
        else:
            there = home[k]
            if frees and there != a:
                change -= weight[k]
            if needs and there != to:
                change += weight[k]
    at_a, at_to = _uses(dense, hashed, a, i, bits), _uses(dense, hashed, to, i, bits)
    change += weight[i] * (int(at_a > int(own)) - int(at_to > 0))
    return freed, needed, change


@kernel(nogil=True, inline="always")
def _change_back(
    starts: Integers, sources: Integers, weight: Integers, home: Integers, dense: Table,
    hashed: Hashed, marks: Integers, i: int, other: int, mark: int, bits: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Likewise of the neuron that comes in exchange, once ``i``, whose sources have the mark, is there."""
    a, b = home[i], home[other]
    freed = needed = change = 0
    own = False
    for at in range(starts[other], starts[other + 1]):
        k = sources[at]
        both = int(marks[k] == mark)
        frees = _uses(dense, hashed, b, k, bits) + both == 1
        needs = _uses(dense, hashed, a, k, bits) == both
        freed += frees
        needed += needs
        if k == other:
            own = True
        else:
            there = home[k]
            if k == i:
                there = b
            if frees and there != b:
                change -= weight[k]
            if needs and there != a:
                change += weight[k]
    both = int(marks[other] == mark)
    at_a, at_b = _uses(dense, hashed, a, other, bits), _uses(dense, hashed, b, other, bits)
    change += weight[other] * (int(at_b + both > int(own)) - int(at_a > both))
    return freed, needed, change


@kernel(nogil=True)
def _kind(fits: Integers, left: Integers, axons: int, neurons: int) -> int:
    """First type, by cost, that is large enough and has copies left; one behind the last: none."""
    at = 0
    while at < len(fits) and not (axons <= fits[at, 0] and neurons <= fits[at, 1] and left[at] > 0):
        at += 1
    return at


@kernel(nogil=True)
def run(
    starts: Integers, sources: Integers, target_starts: Integers, targets: Integers, weight: Integers,
    costs: Integers, fits: Integers, dense: Table, hashed: Hashed,
    home: Integers, load: Integers, cost: Integers, kind: Integers, left: Integers, empty: Integers,
    marks: Integers, best: Integers, history: Integers, numbers: Integers, draws: NDArray[np.uint64],
    counted: bool, bits: int, by_routes: bool, axon_weight: float, temperatures: NDArray[np.float64],
    neg_log: NDArray[np.float64], budget: int, steps: int, first: int, last: int,
) -> None:  # fmt: skip
    """Do the steps from ``first`` up to ``last``, of so many."""
    neurons, levels, types = len(best), len(temperatures), len(fits)
    empties, area, routes, best_value, kept_at = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    draw = draws[0]
    while first < last:  # steps of one temperature
        level = first * levels // steps
        temperature = temperatures[level]
        end = min(last, ((level + 1) * steps + levels - 1) // levels)
        for step in range(first, end):
            draw = next_state(draw)
            choice = draw
            i: Any = np.int64((choice >> np.uint64(33)) % np.uint64(neurons))
            how = np.int64(choice & np.uint64(31))
            draw = next_state(draw)
            drawn = np.int64(draw >> np.uint64(34))
            a = home[i]
            other: Any = np.int64(-1)
            fan_in = starts[i + 1] - starts[i]
            if how < 16 and fan_in > 0:  # one that shares an axon
                k = sources[starts[i] + drawn % fan_in]
                other = targets[target_starts[k] + (drawn >> 8) % (target_starts[k + 1] - target_starts[k])]
            elif how < 30:
                other = drawn % neurons
            to = empty[empties - 1] if other < 0 else home[other]
            if to == a or (other < 0 and load[a, 1] == 1):
                continue
            swaps = other >= 0 and np.int64(choice & np.uint64(32)) != 0
            if not swaps and load[to, 1] + 1 >= costs.shape[1]:
                continue
            freed, needed, change = _change(starts, sources, weight, home, dense, hashed, i, to, bits)
            axons_a, axons_to = load[a, 0] - freed, load[to, 0] + needed
            size_a, size_to = load[a, 1], load[to, 1]
            if swaps:
                for at in range(starts[i], starts[i + 1]):
                    marks[sources[at]] = step
                freed_back, needed_back, change_back = _change_back(
                    starts, sources, weight, home, dense, hashed, marks, i, other, step, bits
                )
                axons_a, axons_to = axons_a + needed_back, axons_to - freed_back
                freed, needed, change = freed + freed_back, needed + needed_back, change + change_back
            else:
                size_a, size_to = size_a - 1, size_to + 1
            cost_a, cost_to, kind_a, kind_to = costs[axons_a, size_a], costs[axons_to, size_to], types, types
            if counted:
                left[kind[a]] += 1
                left[kind[to]] += 1
                if size_a > 0:
                    kind_a = _kind(fits, left, axons_a, size_a)
                    cost_a = fits[kind_a, 2] if kind_a < types else INFEASIBLE
                left[kind_a] -= 1
                kind_to = _kind(fits, left, axons_to, size_to)
                cost_to = fits[kind_to, 2] if kind_to < types else INFEASIBLE
                left[kind_to] -= 1
            more = cost_a + cost_to - cost[a] - cost[to]
            rise = axon_weight * (needed - freed) + (change if by_routes else more)
            fine = cost_a < INFEASIBLE and cost_to < INFEASIBLE
            fine = fine and (budget < 0 or area + more <= budget or more < 0)
            if not fine or (rise > 0 and rise > temperature * neg_log[np.int64(draw & np.uint64(4095))]):
                if counted:
                    left[kind_a] += 1
                    left[kind_to] += 1
                    left[kind[a]] -= 1
                    left[kind[to]] -= 1
                continue
            _move(starts, sources, home, dense, hashed, load, i, to, bits)
            if swaps:
                _move(starts, sources, home, dense, hashed, load, other, a, bits)
            else:
                if other < 0:
                    empties -= 1
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
                for n in range(neurons):  # a slice would be copied first
                    best[n] = home[n]
        first = end
        point = first * POINTS // steps
        if first == (point * steps + POINTS - 1) // POINTS:
            history[point] = routes if by_routes else area
    numbers[0], numbers[1], numbers[2], numbers[3], numbers[4] = empties, area, routes, best_value, kept_at
    draws[0] = draw
