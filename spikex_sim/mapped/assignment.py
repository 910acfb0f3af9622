"""Types for crossbars where copies are counted: the cheapest that suffice, all together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spikex_sim.mapped.graph import Integers

FAR = 1 << 60


def assigned(fits: NDArray[np.bool_], costs: Integers, counts: Integers, kinds: Integers) -> Integers | None:
    """Give crossbars other types until no type has more of them than copies, for the least cost in all.

    What is too many moves on along the cheapest chain of types: one crossbar takes the next type, another
    of that type the one after it, up to a type with copies left. From the cheapest types of all, shortest
    chains keep the cost the least at every length.

    Parameters
    ----------
    fits : bool array ``[types, crossbars]``
        Whether a type takes a crossbar.
    costs, counts : int64 array ``[types]``
        Of each type.
    kinds : int64 array ``[crossbars]``
        Cheapest type of each crossbar.

    Returns
    -------
    int64 array ``[crossbars]`` or None
        None if copies do not suffice.
    """
    if counts.sum() < len(kinds):
        return None
    kinds = kinds.copy()
    left = counts - np.bincount(kinds, minlength=len(costs))
    inside = np.zeros((len(costs), len(costs)), np.int64)  # crossbars of a type that another takes
    np.add.at(inside, kinds, fits.T.astype(np.int64))
    while (left < 0).any():
        chain = _chain(inside, costs, left)
        if chain is None:
            return None
        for before, after in pairwise(chain):
            crossbar = np.flatnonzero((kinds == before) & fits[after])[0]
            kinds[crossbar] = after
            inside[before] -= fits[:, crossbar]
            inside[after] += fits[:, crossbar]
        left[chain[0]] += 1
        left[chain[-1]] -= 1
    return kinds


def _chain(inside: Integers, costs: Integers, left: Integers) -> list[int] | None:
    """Cheapest chain of types, from one with too many crossbars to one with copies left; None without one."""
    step, exists = costs[None, :] - costs[:, None], inside > 0
    far = np.where(left < 0, 0, FAR)
    before = np.full(len(costs), -1)
    for _ in costs:
        ways = np.where(exists & (far[:, None] < FAR), far[:, None] + step, FAR)
        nearest = ways.argmin(axis=0)
        shorter = ways[nearest, np.arange(len(costs))]
        better = shorter < far
        if not better.any():
            break
        before[better] = nearest[better]
        far[better] = shorter[better]
    ends = np.flatnonzero((left > 0) & (far < FAR))
    if not len(ends):
        return None
    chain = [int(ends[far[ends].argmin()])]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return chain[::-1]
