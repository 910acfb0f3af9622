"""Pairs nodes at random so that each has the degrees it should have."""

from __future__ import annotations

import heapq

import numpy as np

from spikex_sim.mapped.graph import Integers

MOST_TRIES = 200
"""Exchanges that are tried for an edge that cannot stay, before edges are laid one node after the other."""
EXCHANGES = 10
"""Exchanges for each edge that was laid so."""


def wired_at_random(out: Integers, into: Integers, rng: np.random.Generator) -> Integers | None:
    """Draw edges without self-loops, each at most once.

    Parameters
    ----------
    out, into : int64 array ``[nodes]``
        Edges that leave and enter each node, of the same sum.
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    int64 array ``[edges, 2]`` or None
        Source and target; None if there is no such network.
    """
    source = np.repeat(np.arange(len(out)), out)
    target = rng.permutation(np.repeat(np.arange(len(into)), into))
    edges = _Edges(source.tolist(), target.tolist())
    waiting = edges.unfit()
    while waiting:
        for _ in range(MOST_TRIES):
            if edges.exchange(waiting[-1], int(rng.integers(len(source)))):
                break
        else:
            return _laid(out, into, rng)
        waiting = [one for one in waiting if not edges.fits(one)]
    return edges.pairs()


class _Edges:
    """Edges whose targets are exchanged."""

    def __init__(self, source: list[int], target: list[int]) -> None:
        self.source, self.target = source, target
        self.times: dict[tuple[int, int], int] = {}
        for pair in zip(source, target, strict=True):
            self.times[pair] = self.times.get(pair, 0) + 1

    def fits(self, edge: int) -> bool:
        """Whether an edge leads to another node, and is there once."""
        pair = self.source[edge], self.target[edge]
        return pair[0] != pair[1] and self.times[pair] == 1

    def unfit(self) -> list[int]:
        """Edges that cannot stay: self-loops, and all but the first of several."""
        seen: set[tuple[int, int]] = set()
        found = []
        for edge, pair in enumerate(zip(self.source, self.target, strict=True)):
            if pair[0] == pair[1] or pair in seen:
                found.append(edge)
            seen.add(pair)
        return found

    def exchange(self, one: int, other: int) -> bool:
        """Exchange two edges' targets if both then fit."""
        new = (self.source[one], self.target[other]), (self.source[other], self.target[one])
        if any(k == i or pair in self.times for pair in new for k, i in (pair,)) or new[0] == new[1]:
            return False
        for edge in (one, other):
            pair = self.source[edge], self.target[edge]
            self.times[pair] -= 1
            if not self.times[pair]:
                del self.times[pair]
        self.target[one], self.target[other] = self.target[other], self.target[one]
        for pair in new:
            self.times[pair] = 1
        return True

    def pairs(self) -> Integers:
        """All edges."""
        return np.array([self.source, self.target], np.int64).T


def _laid(out: Integers, into: Integers, rng: np.random.Generator) -> Integers | None:
    """Lay edges where chance does not find them: every node's to those that still lack most (Kleitman, Wang).

    Of several that lack as many, those with the most edges of their own to lay come first: what makes the
    procedure find a network whenever there is one.
    """
    left = into.tolist()
    ahead = sorted(range(len(out)), key=lambda one: (-int(out[one]), one))
    open_ = [(-left[i], -int(out[i]), i) for i in range(len(out)) if left[i]]
    heapq.heapify(open_)
    source, target = list[int](), list[int]()
    for k in ahead:
        taken, aside = list[tuple[int, int, int]](), list[tuple[int, int, int]]()
        while len(taken) < out[k] and open_:
            one = heapq.heappop(open_)
            (aside if one[2] == k else taken).append(one)
        if len(taken) < out[k]:
            return None
        for lacking, own, i in taken:
            source.append(k)
            target.append(i)
            if lacking < -1:
                heapq.heappush(open_, (lacking + 1, own, i))
        for one in aside:
            heapq.heappush(open_, one)
        # What has laid its edges comes after what has not.
        open_ = [(lack, 0 if i == k else own, i) for lack, own, i in open_]
        heapq.heapify(open_)
    edges = _Edges(source, target)
    for _ in range(EXCHANGES * len(source)):
        one, other = rng.integers(len(source), size=2).tolist()
        edges.exchange(one, other)
    return edges.pairs()
