"""Dispatch policies and bounds from their texts alone: slow, and nothing of the package is imported.

A tile is a list of NTWUs ``(position, window, taps)`` in the order in which they become candidates; a batch
is a list of them. What a batch costs is counted in slots of ``TWS`` cycles: the taps that it streams and the
most windows that a position has in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product

Ntwu = tuple[int, int, frozenset[int]]
Batch = list[Ntwu]


def slots(batch: Sequence[Ntwu]) -> int:
    """Slots of TWS cycles that a batch takes."""
    taps = frozenset[int]().union(*(taps for _, _, taps in batch))
    return len(taps) + max(Counter(p for p, _, _ in batch).values(), default=0)


def fill(waiting: list[Ntwu], rest: list[Ntwu], cols: int, most: int, credit: float | None) -> Batch:
    """Take a batch from what waits, where there is room for so many; without a credit in order."""
    batch: Batch = []
    while (waiting or rest) and len(batch) < cols:
        while rest and len(waiting) < most:
            waiting.append(rest.pop(0))
        eligible = [one for n, one in enumerate(waiting) if one[0] not in {p for p, _, _ in waiting[:n]}]
        if not batch or credit is None:
            chosen = waiting[0]
        else:
            # An update phase that does not get longer adds nothing.
            adds = [slots([*batch, one]) - slots(batch) - credit * len(one[2]) for one in eligible]
            chosen = eligible[adds.index(min(adds))]
        waiting.remove(chosen)
        batch.append(chosen)
    return batch


def ahead(
    waiting: Sequence[Ntwu], rest: Sequence[Ntwu], cols: int, most: int, credit: float | None, batches: int
) -> int:
    """Slots of the next batches if all are filled in one way."""
    waiting, rest, spent = list(waiting), list(rest), 0
    for _ in range(batches):
        spent += slots(fill(waiting, rest, cols, most, credit))
    return spent


def packed(
    tile: Sequence[Ntwu], cols: int, most: int, ways: Sequence[float | None], batches: int = 1
) -> list[Batch]:
    """Batches of the greedy policies: with one way, or the best of several over the next batches."""
    waiting: list[Ntwu] = []
    rest, issued = list(tile), list[Batch]()
    while waiting or rest:
        costs = [ahead(waiting, rest, cols, most, way, batches) for way in ways]
        issued.append(fill(waiting, rest, cols, most, ways[costs.index(min(costs))]))
    return issued


def every(tile: Sequence[Ntwu], cols: int) -> Iterator[list[Batch]]:
    """All ways to put a tile into batches, windows of a position in order."""
    for numbers in product(range(len(tile)), repeat=len(tile)):
        used = sorted(set(numbers))
        if used != list(range(len(used))) or max(Counter(numbers).values(), default=0) > cols:
            continue
        last: dict[int, tuple[int, int]] = {}
        for (p, w, _), batch in sorted(zip(tile, numbers, strict=True), key=lambda one: one[0][:2]):
            if p in last and last[p][1] > batch:
                break
            last[p] = (w, batch)
        else:
            yield [
                [one for one, batch in zip(tile, numbers, strict=True) if batch == number] for number in used
            ]
