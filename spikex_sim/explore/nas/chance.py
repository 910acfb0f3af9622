"""Networks at random, SNASNet's baseline (Section 4)."""

from __future__ import annotations

from collections.abc import Collection

from numpy.random import Generator

from spikex_sim.explore.nas.costs import Integers
from spikex_sim.explore.nas.infeasible import nothing_fits
from spikex_sim.explore.nas.judge import Judge
from spikex_sim.explore.nas.pairs import CellPair, Draws
from spikex_sim.explore.nas.paper import Searched
from spikex_sim.explore.nas.weights import generator_of

BATCH = 64
"""Networks that are drawn at a time, whatever the number of processes."""
_FRUITLESS = 20
"""Draws for each network that is wanted, before those that are left are listed."""


def at_random(judge: Judge, budget: int, *, name: str = "random") -> Searched:
    """Score networks drawn at random among those that keep what shapes decide, none twice.

    Parameters
    ----------
    judge : Judge
        Scores networks.
    budget : int
        Different networks to score, at most all that can be drawn.
    name : str
        What progress calls it.

    Raises
    ------
    UnsupportedError
        If nothing is feasible, naming the limit and the nearest miss.
    """
    pairs = judge.pairs
    rng = generator_of(judge.seed, "search", name)
    draws = Draws(pairs, rng)
    if not draws.any:
        raise nothing_fits(pairs, pairs.known)
    budget = min(budget, pairs.number(draws.different))
    judge.evaluator.total = budget
    while len(judge.judged) < budget:
        judge(fresh(judge, draws, rng, min(BATCH, budget - len(judge.judged)), draws.different), name)
    return best_of(judge, 0)


def fresh(
    judge: Judge, draws: Draws, rng: Generator, count: int, cells: Integers, taken: Collection[CellPair] = ()
) -> list[CellPair]:
    """Draw pairs that were not judged; those that are left where draws give no new ones.

    Parameters
    ----------
    judge : Judge
        Counts what is drawn in vain as saved.
    draws : Draws
        What is drawn from.
    rng : Generator
        Random numbers for those that are left.
    count : int
        How many; fewer are given only after vain draws.
    cells : int64 array
        First cells of the forms that those that are left have.
    taken : collection of tuple of int
        Pairs of first forms that are taken besides.
    """
    new = dict[CellPair, CellPair]()
    for _ in range(_FRUITLESS * count):
        pair = draws.draw()
        key = judge.pairs.different(pair)
        if key in judge.judged or key in new or key in taken:
            judge.saved += 1
        else:
            new[key] = pair
        if len(new) == count:
            break
    return list(new.values()) or judge.pairs.left({*judge.judged, *taken}, rng, count, cells)


def best_of(judge: Judge, skipped: int) -> Searched:
    """Network with the best score of those that are feasible, of equal ones the first.

    Raises
    ------
    UnsupportedError
        If none is, naming the limit and the nearest miss.
    """
    found = list(judge.judged.values())
    feasible = [one for one in found if one.feasible]
    if not feasible:
        pairs = [one.pair for one in found]
        raise nothing_fits(judge.pairs, judge.pairs.limits, pairs, list(zip(pairs, found, strict=True)))
    best = max(feasible, key=lambda one: one.score.value)
    return Searched(best, skipped, len(found) - len(feasible))
