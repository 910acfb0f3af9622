"""What is said of a search: winner, spread over seeds, rank, baselines, front (Section 4)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.found import (
    Baseline,
    Baselines,
    CostsFound,
    Network,
    Pair,
    Rank,
    Spread,
    Winner,
)
from spikex_sim.explore.nas.judge import Evaluator, Judge, Judged, judged
from spikex_sim.explore.nas.machine import Machine
from spikex_sim.explore.nas.pairs import CellPair, Draws, Pairs
from spikex_sim.explore.nas.weights import generator_of

SEEDS = 3
"""Seeds that a winner is scored with: the search's, and the next ones."""
RANDOM = 5
"""Networks of the random baseline."""
_DRAWS = 20
"""Draws for each of them."""


def networks_of(judge: Judge, minimise: Sequence[str]) -> tuple[Network, ...]:
    """All networks of a search, in order."""
    found = list(judge.judged.values())
    front = front_of([one for one in found if one.feasible], minimise)
    return tuple(_network(judge.pairs, one, front=one.pair in front) for one in found)


def front_of(found: Sequence[Judged], minimise: Sequence[str]) -> set[CellPair]:
    """Pairs that no other one beats: at least as good in fitness and all costs, better in one."""
    points = [(-one.score.value, *(float(getattr(one.costs, name)) for name in minimise)) for one in found]
    kept = list[tuple[float, ...]]()
    front = set[CellPair]()
    # Whatever beats a point comes before it in this order.
    for point, one in sorted(zip(points, found, strict=True), key=lambda each: each[0]):
        if not any(other != point and _no_worse(other, point) for other in kept):
            kept.append(point)
            front.add(one.pair)
    return front


def _no_worse(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(one, other, strict=True))


def winner_of(
    judge: Judge, best: Judged, machines: Sequence[Machine], refused: Mapping[str, str], *, front: bool
) -> Winner:
    """All that is said of a winner.

    Parameters
    ----------
    judge : Judge
        Of the search.
    best : Judged
        What it returns.
    machines : sequence of Machine
        The evaluator's, all of which cost it.
    refused : mapping of str to str
        Machines that cannot be asked, and why.
    front : bool
        Whether the front has it.
    """
    pairs, evaluator = judge.pairs, judge.evaluator
    a, b = (pairs.forms[cell] for cell in best.pair)
    [found] = evaluator.run([(a, b)], judge.seed, range(len(machines)), "costs on other machines")
    costs = {one.name: CostsFound.of(each) for one, each in zip(machines, found.costs, strict=True)} | {
        name: CostsFound(refused=reason) for name, reason in refused.items()
    }
    number = pairs.convolutions(best.pair)
    alike = [one.score.value for one in judge.judged.values() if pairs.convolutions(one.pair) == number]
    rank = 1 + sum(value > best.score.value for value in alike)
    return Winner(
        **_network(pairs, best, front=front).model_dump(),
        form_a=a.text, form_b=b.text,
        misses=() if isinstance(best.costs, str) else tuple(pairs.limits.misses(best.costs)),
        machines=costs,
        spread=_spread(evaluator, pairs, best.pair, judge.seed, "scores of other seeds"),
        rank=Rank(convolutions=number, rank=rank, of=len(alike)),
    )  # fmt: skip


def baselines_of(judge: Judge) -> Baselines:
    """Networks that need no search, scored alike."""
    pairs, evaluator, seed = judge.pairs, judge.evaluator, judge.seed
    what = "most convolutions that fit"
    most = next(_feasible(evaluator, pairs, _by_convolutions(pairs), seed, what), None)
    spread = None if most is None else _spread(evaluator, pairs, most.pair, seed, what)
    drawn = list[Judged]()
    draws = Draws(pairs, generator_of(seed, "search", "random feasible"))
    if draws.any:
        chosen = dict[CellPair, None]()
        for _ in range(_DRAWS * RANDOM):
            chosen.setdefault(pairs.different(draws.draw()))
        for one in _feasible(evaluator, pairs, list(chosen), seed, "random feasible"):
            drawn.append(one)
            if len(drawn) == RANDOM:
                break
    return Baselines(
        most_convolutions=None if most is None else _baseline(pairs, most),
        most_convolutions_spread=spread,
        random_feasible=tuple(_baseline(pairs, one) for one in drawn),
    )


def _feasible(
    evaluator: Evaluator, pairs: Pairs, candidates: Sequence[CellPair], seed: int, what: str
) -> Iterator[Judged]:
    """Those of some pairs that keep all limits, scored one by one."""
    for pair in candidates:
        a, b = (pairs.forms[cell] for cell in pair)
        one = judged(pair, evaluator.run([(a, b)], seed, (0,), what)[0], pairs.limits)
        if one.feasible:
            yield one


def _by_convolutions(pairs: Pairs) -> list[CellPair]:
    """First pair of each two kinds that keeps what shapes decide, most convolutions, then weights, first."""
    first = [int(cell) for cell in _first_of_kinds(pairs)]
    found = [(a, b) for a in first for b in ([a] if pairs.same else first) if pairs.keeps((a, b))]
    return sorted(
        found, key=lambda pair: (-pairs.convolutions(pair), -pairs.shape_costs(pair).parameters, pair)
    )


def _first_of_kinds(pairs: Pairs) -> list[int]:
    kinds = pairs.table.kinds.tolist()
    return [kinds.index(kind) for kind in range(len(pairs.table.convolutions))]


def _spread(evaluator: Evaluator, pairs: Pairs, pair: CellPair, seed: int, what: str) -> Spread:
    network = [(pairs.forms[pair[0]], pairs.forms[pair[1]])]
    scores = {
        str(one): evaluator.run(network, one, (), what)[0].score.value for one in range(seed, seed + SEEDS)
    }
    values = list(scores.values())
    known = all(map(math.isfinite, values))
    return Spread(
        scores=scores,
        mean=statistics.fmean(values) if known else None,
        sd=statistics.stdev(values) if known else None,
    )


def _pair(pairs: Pairs, pair: CellPair) -> dict[str, Any]:
    a, b = pairs.names(pair)
    number = pairs.table.convolutions[pairs.table.kinds[list(pair)]].tolist()
    return Pair(cell_a=a, cell_b=b, convolutions_a=number[0], convolutions_b=number[1]).model_dump()


def _network(pairs: Pairs, one: Judged, *, front: bool) -> Network:
    return Network(
        **_pair(pairs, one.pair), score=one.score.value, negative=one.score.negative,
        constant=one.score.constant, costs=CostsFound.of(one.costs), feasible=one.feasible, front=front,
    )  # fmt: skip


def _baseline(pairs: Pairs, one: Judged) -> Baseline:
    return Baseline(**_pair(pairs, one.pair), score=one.score.value, costs=CostsFound.of(one.costs))


def limits_of(limits: Constraints) -> dict[str, float]:
    """Limits as they are written."""
    return {name: float(limit) for name, limit in limits.limits.items()}
