"""What to say where nothing keeps the limits (Section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.judge import Judged
from spikex_sim.explore.nas.pairs import CellPair, Pairs


def nothing_fits(
    pairs: Pairs,
    limits: Constraints,
    among: Sequence[CellPair] | None = None,
    scored: Sequence[tuple[CellPair, Judged]] = (),
    *,
    fixed: int | None = None,
) -> UnsupportedError:
    """Say which limits fail, and the nearest miss.

    Parameters
    ----------
    pairs : Pairs
        Cells, machine and limits.
    limits : Constraints
        Those that nothing keeps.
    among : sequence of tuple of int, optional
        Pairs that were looked at; by default all.
    scored : sequence
        Those of them that were scored, whose costs on a machine that replays spikes are known.
    fixed : int, optional
        Cell A that pass 0 took, the same in all of them.

    Returns
    -------
    UnsupportedError
        One line; where feasible pairs exist all the same, or may, it says so.
    """
    known = [
        (float(limits.worst(one.costs)), pair, one.costs)
        for pair, one in scored
        if not isinstance(one.costs, str)
    ]
    refused = [one.costs for _, one in scored if isinstance(one.costs, str)]
    if known:
        _, pair, costs = min(known, key=lambda each: each[0])
        misses = limits.misses(costs)
    elif refused:
        return UnsupportedError(f"no network runs there; the first: {refused[0]}", where=pairs.machine.name)
    else:
        shapes = pairs.machine.known(limits)
        pair = pairs.nearest(shapes, among)
        misses = shapes.misses(pairs.shape_costs(pair))
    a, b = pairs.names(pair)
    text = f"nearest is {a} {b}: {'; '.join(misses)}"
    if fixed is None and known and len(scored) < pairs.feasible:
        return UnsupportedError(
            f"{text}; others may: a larger --budget scores more of them",
            where=f"none of {len(scored):,} networks keeps the limits",
        )
    if fixed is None:
        return UnsupportedError(text, where="nothing keeps the limits")
    if pairs.feasible:
        text += f"; {_others(pairs)}"
    return UnsupportedError(text, where=f"nothing keeps the limits with cell A {a}, which pass 0 took")


def _others(pairs: Pairs) -> str:
    if pairs.machine.script is None:
        return "other pairs may: --algorithm joint searches both cells at once"
    return f"{pairs.feasible:,} other pairs do: --algorithm joint searches both cells at once"
