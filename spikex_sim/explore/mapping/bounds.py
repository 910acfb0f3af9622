"""Areas that no mapping goes below, without a solver (Section 4, Bounds)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.explore.mapping.reduction import reduced
from spikex_sim.mapped.bitmaps import Bits, source_bits, union_size
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.pool import CrossbarType, Pool

POOL_SCOPE = "pool"
"""Of a bound that holds for every mapping in the pool."""
MOST_WORK = 4_000_000_000
"""Most words of bits that are compared for the neighbourhood bound; beyond, there is none."""
SEARCHED = 4
"""Most neurons in a crossbar whose union of axons is searched; of more, it is bounded by distances."""
MOST_UNIONS = 200_000
"""Unions that are tried for one neuron; beyond, distances bound them."""
NONE = 1 << 30
SLACK = 1e-6


class Bound(NamedTuple):
    """What a value is at least.

    Attributes
    ----------
    value : int
        Area, cells.
    name : str
        ``column`` or ``neighbourhood``.
    scope : str
        Mappings that it holds for.
    """

    value: int
    name: str
    scope: str


def best_bound(graph: NeuronGraph, pool: Pool) -> Bound:
    """Bound the area from below: the larger of :func:`column_bound` and :func:`neighbourhood_bound`.

    Every neuron must fit into some type.
    """
    column, neighbourhood = column_bound(graph, pool), neighbourhood_bound(graph, pool)
    if neighbourhood is not None and neighbourhood > column:
        return Bound(neighbourhood, "neighbourhood", POOL_SCOPE)
    return Bound(column, "column", POOL_SCOPE)


def column_bound(graph: NeuronGraph, pool: Pool) -> int:
    """Every neuron takes a column of a crossbar with its fan-in: ``sum_i min{C / N : A >= f_i}``.

    Rounded up to a multiple of the greatest common divisor of all costs.
    """
    total = Fraction(0)
    for fan_in, neurons in enumerate(np.bincount(graph.fan_in).tolist()):
        if neurons:
            total += neurons * min(_column(one) for one in pool.types if one.inputs >= fan_in)
    return _rounded(total, pool.types)


def neighbourhood_bound(graph: NeuronGraph, pool: Pool) -> int | None:
    """Bound the area by the axons that neighbours must bring along.

    A crossbar with ``p`` neurons that have sources, one of them ``i``, has at least ``u_ip`` axons: the
    smallest union of ``S_i`` and ``p - 1`` others. Each of the ``p`` pays its part of the cost; the
    ``N - p`` columns left are for the ``Z`` neurons without sources, at a price ``lambda`` of at most the
    cheapest column:

        ``max_lambda lambda Z + sum_i min_{p, t : A_t >= u_ip} [C_t - lambda (N_t - p)] / p``

    of the reduced pool, where there is one; a relaxation of that of Section 4 to types of any cost.

    Returns
    -------
    int or None
        None where there are no sets to compare, or too many.
    """
    types = reduced(pool).types
    rows = source_bits(graph)[graph.fan_in > 0]
    without = graph.neurons - len(rows)
    if not len(rows) or len(rows) ** 2 * rows.shape[1] > MOST_WORK:
        return None
    widest, most = max(one.inputs for one in types), max(one.outputs for one in types)
    level = np.array([sum(one.inputs >= axons for one in types) for axons in range(widest + 1)], np.int64)
    unions = _least_unions(rows, level, min(most, len(rows)), SEARCHED, MOST_UNIONS)
    per_neuron, slope = _options(unions, types)
    low, high = 0.0, float(min(_column(one) for one in types))

    def at(price: float) -> tuple[float, float]:
        """Value and a slope of the bound at a price."""
        costs = per_neuron - price * slope[:, None]
        chosen = costs.argmin(axis=0)
        value = price * without + costs[chosen, np.arange(costs.shape[1])].sum()
        return float(value), float(without - slope[chosen].sum())

    (low_value, rise), (high_value, fall) = at(low), at(high)
    best = max(low_value, high_value)
    while rise > fall:  # concave: the lines that touch it at both ends meet above its largest value
        meet = (high_value - low_value + rise * low - fall * high) / (rise - fall)
        value, there = at(meet)
        best = max(best, value)
        if not low < meet < high or value >= low_value + rise * (meet - low) - SLACK:
            break
        if there > 0:
            low, low_value, rise = meet, value, there
        else:
            high, high_value, fall = meet, value, there
    return _rounded(best - SLACK, types)


def _options(
    unions: Integers, types: Sequence[CrossbarType]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a neuron pays, and columns it leaves free, for each number of neurons and each type."""
    pays, free = [], []
    for neurons in range(1, unions.shape[1] + 1):
        axons = unions[:, neurons - 1]
        for one in types:
            if neurons <= one.outputs and (axons <= one.inputs).any():
                pays.append(np.where(axons <= one.inputs, one.cost / neurons, np.inf))
                free.append((one.outputs - neurons) / neurons)
    return np.array(pays).reshape(len(free), len(unions)), np.array(free)


def _column(one: CrossbarType) -> Fraction:
    return Fraction(one.cost, one.outputs)


def _rounded(value: Fraction | float, types: Sequence[CrossbarType]) -> int:
    step = gcd(*(one.cost for one in types))
    return ceil(value / step) * step if step else 0


@kernel(nogil=True)
def _least_unions(rows: Bits, level: Integers, most: int, searched: int, most_unions: int) -> Integers:
    """``u_ip``, or a number below it for which ``level`` is as good, ``[neurons, p - 1]``."""
    count, words = rows.shape
    found = np.full((count, most), NONE, np.int64)
    apart = np.empty(count, np.int64)
    union = np.zeros((searched, words), np.uint64)
    at = np.zeros(searched, np.int64)
    for i in range(count):
        own = union_size(rows[i], rows[i])
        for j in range(count):
            apart[j] = union_size(rows[i], rows[j])
        apart[i] = -1
        order = np.argsort(apart, kind="mergesort")  # the first is its own
        found[i, 0] = own
        union[0] = rows[i]
        for p in range(2, most + 1):
            least = max(found[i, p - 2], apart[order[p - 1]])
            if p == 2 or p > searched:
                found[i, p - 1] = least
                continue
            best, tried, depth = np.int64(NONE), 0, 1
            at[1] = 1
            while depth > 0 and tried < most_unions:
                # The last of the sets is at least as far away as this one.
                if at[depth] >= count or apart[order[at[depth]]] >= best:
                    depth -= 1
                    at[depth] += 1
                    continue
                other = rows[order[at[depth]]]
                size = union_size(union[depth - 1], other)
                tried += 1
                if depth == p - 1:
                    best = min(best, size)
                    if best < len(level) and level[best] == level[least]:
                        break
                    at[depth] += 1
                elif size >= best:
                    at[depth] += 1
                else:
                    union[depth] = union[depth - 1] | other
                    at[depth + 1] = at[depth] + 1
                    depth += 1
            cut = tried >= most_unions or (best < len(level) and level[best] == level[least])
            found[i, p - 1] = least if cut else best
    return found
