"""How well tiles can be dispatched at all: lower bounds for every policy, and optima of small tiles.

A policy puts the active NTWUs of a tile into batches of at most ``cols`` columns, windows of a position in
order. A batch streams the union of its NTWUs' taps; every tap takes ``ceil(TWS / accumulators)`` cycles, and
the update phase lasts as long as that of the position with the most to do (Section 4 of the model). What
drains the array, and what a scheduler needs to choose, is left out: neither depends on who shares a batch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.origin import pip_install
from spikex_sim.schedules.dispatch.sets import TapSets

MOST_PAIRED = 192
"""Largest tile for which the assignment relaxation is solved: it takes the square of its NTWUs."""
SMALL = 24
"""Largest tile whose optimum is searched."""
MOST_SECONDS = 5.0
"""Of deterministic time that a search may take; what it has not proven then counts as unknown."""


class Lower(NamedTuple):
    """Streamed taps and cycles that no policy goes below."""

    taps: int
    cycles: int


@dataclass(frozen=True, eq=False)
class TileWork:
    """A tile as bounds see it.

    Attributes
    ----------
    sets : TapSets
        Taps of its active NTWUs.
    position : int64 array ``[n]``
        Of each NTWU; those of a position stand in the order of their windows.
    update : int64 array ``[n]``
        Cycles of its update phase, catch-up of skipped windows included.
    cols : int
        Columns of the array.
    tap_cycles : int
        Cycles of a streamed tap.
    """

    sets: TapSets
    position: NDArray[np.int64]
    update: NDArray[np.int64]
    cols: int
    tap_cycles: int

    def __len__(self) -> int:
        return len(self.position)


def lower_bound(tile: TileWork) -> Lower:
    """Bound streamed taps and cycles of a tile from below, whatever the policy.

    Taps: the largest of three. Batches of the ``cols`` largest sets, the next ``cols`` largest and so on,
    each at least its largest set; every tap at least once for every ``cols`` NTWUs that ask for it; and the
    assignment relaxation (:func:`paired_bound`) of tiles of up to :data:`MOST_PAIRED` NTWUs.

    Cycles: those of so many taps, and of update phases: one for each of the ``ceil(n / cols)`` batches that
    there are at least, all windows of the busiest position, and all update cycles over the columns.
    """
    count = len(tile)
    if not count:
        return Lower(0, 0)
    sizes = np.sort(tile.sets.sizes)[::-1]
    asked = np.bincount(tile.sets.taps)
    taps = max(int(sizes[:: tile.cols].sum()), int((-(-asked // tile.cols)).sum()))
    if count <= MOST_PAIRED and tile.cols > 1:
        taps = max(taps, paired_bound(tile.sets, tile.cols))
    phases = np.sort(tile.update)
    update = max(
        int(phases[: -(-count // tile.cols)].sum()),
        int(np.bincount(tile.position, tile.update).max()),
        -(-int(tile.update.sum()) // tile.cols),
    )
    return Lower(taps, taps * tile.tap_cycles + update)


def paired_bound(sets: TapSets, cols: int) -> int:
    """Bound streamed taps by the assignment relaxation.

    Let every NTWU of a batch of ``m >= 2`` have the next one of the batch as its successor, the last the
    first. The batch streams at least the union of each such pair, hence their mean, and ``m <= cols``: over
    all batches, at least one ``cols``-th of the unions of NTWUs with their successors. One that is alone in
    its batch streams its own taps. The assignment of successors with the least sum is below that of any
    policy.
    """
    count = len(sets.sizes)
    taps = int(sets.taps.max(initial=-1)) + 1
    member = np.zeros((count, max(1, taps)), np.float32)
    member[np.repeat(np.arange(count), sets.sizes), sets.taps] = 1
    sizes = sets.sizes
    unions = sizes[:, None] + sizes - (member @ member.T).astype(np.int64)
    np.fill_diagonal(unions, sizes * cols)
    return -(-least_assignment(unions) // cols)


def least_assignment(costs: NDArray[np.int64]) -> int:
    """Least sum of an entry of each row in a column of its own."""
    solver = _ortools("graph.python.linear_sum_assignment").SimpleLinearSumAssignment()
    rows, columns = (index.ravel() for index in np.indices(costs.shape))
    solver.add_arcs_with_cost(rows, columns, costs.ravel())
    solver.solve()
    return int(solver.optimal_cost())


def optimum(tile: TileWork, what: str, known: int) -> int | None:
    """Least streamed taps, or cycles, of any policy, by constraint programming (OR-Tools, CP-SAT).

    Parameters
    ----------
    tile : TileWork
        At most :data:`SMALL` NTWUs.
    what : {"taps", "cycles"}
        What is made small.
    known : int
        What some policy comes to, which is the optimum where the lower bound equals it.

    Returns
    -------
    int or None
        None if it is not proven within :data:`MOST_SECONDS`.
    """
    least = getattr(lower_bound(tile), what)
    if known == least:
        return known
    cp_model = _ortools("sat.python.cp_model")
    model, count = cp_model.CpModel(), len(tile)
    # Two batches in a row that fit one together cost no less apart: an optimum has no such pair.
    batches = range(2 * (count // (tile.cols + 1)) + 1)
    inside = [[model.new_bool_var("") for _ in batches] for _ in range(count)]
    number = [sum(b * inside[i][b] for b in batches) for i in range(count)]
    for i in range(count):
        model.add_exactly_one(inside[i])
    for b in batches:
        model.add(sum(inside[i][b] for i in range(count)) <= tile.cols)
    for p in np.unique(tile.position):
        own = np.flatnonzero(tile.position == p).tolist()
        for before, after in pairwise(own):
            model.add(number[before] <= number[after])
    tap_cycles = 1 if what == "taps" else tile.tap_cycles
    spent = []
    for owners, taps in _alike(tile.sets).items():
        for b in batches:
            streams = model.new_bool_var("")
            for i in owners:
                model.add_implication(inside[i][b], streams)
            spent.append(tap_cycles * taps * streams)
    if what == "cycles":
        most = int(tile.update.sum())
        for b in batches:
            phase = model.new_int_var(0, most, "")
            for p in np.unique(tile.position):
                own = np.flatnonzero(tile.position == p).tolist()
                model.add(sum(int(tile.update[i]) * inside[i][b] for i in own) <= phase)
            spent.append(phase)
    model.add(sum(spent) >= least)
    model.add(sum(spent) <= known)
    model.minimize(sum(spent))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = MOST_SECONDS
    return round(solver.objective_value) if solver.solve(model) == cp_model.OPTIMAL else None


def _alike(sets: TapSets) -> Counter[tuple[int, ...]]:
    """Which NTWUs ask for a tap, and for how many taps just these do."""
    owners: dict[int, list[int]] = {}
    of = np.repeat(np.arange(len(sets.sizes)), sets.sizes)
    for i, tap in zip(of.tolist(), sets.taps.tolist(), strict=True):
        owners.setdefault(tap, []).append(i)
    return Counter(map(tuple, owners.values()))


def _ortools(module: str) -> Any:
    """Import a part of OR-Tools.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        return import_module(f"ortools.{module}")
    except ImportError as exc:
        message = f"needs OR-Tools ({exc.name or 'ortools'} is missing): {pip_install('map')}"
        raise ConfigError(message, field="bound") from None
