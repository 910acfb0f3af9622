"""Algorithm 1 of the NeuroNAS paper, with two corrections (Section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.infeasible import nothing_fits
from spikex_sim.explore.nas.judge import Judge, Judged
from spikex_sim.explore.nas.pairs import CellPair


@dataclass(frozen=True)
class Searched:
    """What an algorithm found.

    Attributes
    ----------
    best : Judged
        The network it returns.
    skipped : int
        Pairs that limits excluded before they were scored.
    broken : int
        Pairs that were scored, and then found to break a limit.
    """

    best: Judged
    skipped: int
    broken: int


def paper(judge: Judge, *, carry_score: bool) -> Searched:
    """Search cell A with B = A under the limit of parameters, then B under all limits.

    Cells are taken in lexicographic order, c01 slowest; of equal scores the first is kept.

    Parameters
    ----------
    judge : Judge
        Scores networks.
    carry_score : bool
        Whether pass 1 begins with the best score of pass 0, as printed. What is returned then may break
        limits. Otherwise every pass begins from minus infinity.

    Raises
    ------
    UnsupportedError
        If nothing is feasible, naming the limit and the nearest miss.
    """
    pairs = judge.pairs
    cells = range(len(pairs.cells))
    few = Constraints(pairs.limits.parameters)
    every = [(cell, cell) for cell in cells]
    small = [pair for pair in every if bool(few.kept(pairs.shape_costs(pair)))]
    if not small:
        raise nothing_fits(pairs, few, every)
    forms = len({pairs.different(pair) for pair in small})
    judge.evaluator.total = forms
    at_first = judge(small, "pass 0")
    best = max(at_first, key=lambda one: one.score.value)
    a = small[at_first.index(best)][0]
    row = [(a, b) for b in cells]
    kept = [pair for pair in row if pairs.keeps(pair)]
    judge.evaluator.total = forms + len({pairs.different(pair) for pair in kept})
    second = judge(kept, "pass 1")
    feasible = [(pair, one) for pair, one in zip(kept, second, strict=True) if one.feasible]
    skipped = len(every) - len(small) + len(row) - len(kept)
    broken = len(kept) - len(feasible)
    if not feasible and not carry_score:
        raise nothing_fits(pairs, pairs.limits, row, list(zip(kept, second, strict=True)), fixed=a)
    return Searched(_better(best, feasible) if carry_score else _best(feasible), skipped, broken)


def _best(found: Sequence[tuple[CellPair, Judged]]) -> Judged:
    """Network with the best score, of equal ones the first, as the pair that it was asked for as."""
    pair, one = max(found, key=lambda each: each[1].score.value)
    return Judged(pair, one.score, one.costs, one.feasible)


def _better(best: Judged, found: Sequence[tuple[CellPair, Judged]]) -> Judged:
    """The best network found if it has a better score than another, else that."""
    one = _best(found) if found else best
    return one if one.score.value > best.score.value else best
