"""Fronts, and the hypervolume that they dominate; less is better everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MARGIN = 0.1
"""Part of the range of an objective that the reference point is beyond the worst value."""


def front(losses: Floats) -> NDArray[np.bool_]:
    """Which points no other one beats: none is as good everywhere and better somewhere.

    Parameters
    ----------
    losses : float array ``[points, objectives]``

    Returns
    -------
    bool array ``[points]``
        Points that are equal in all objectives are all there, or none.
    """
    kept = np.zeros(len(losses), bool)
    best = np.empty((0, losses.shape[1]))
    # In this order a point is beaten by earlier ones alone, and then also by one on the front.
    for at in np.lexsort(losses.T[::-1]):
        one = losses[at]
        if not ((best <= one).all(axis=1) & (best < one).any(axis=1)).any():
            kept[at] = True
            best = np.vstack([best, one])
    return kept


def reference_of(losses: Floats) -> Floats:
    """Point that hypervolumes are measured from: a tenth of the range beyond the worst of each objective.

    Of an objective that is the same for all points, a tenth of its size; where that is 0, 1.
    """
    worst, best = losses.max(axis=0), losses.min(axis=0)
    span = np.where(worst > best, worst - best, np.abs(worst))
    return np.asarray(worst + MARGIN * np.where(span > 0, span, 1 / MARGIN), np.float64)


def hypervolume(losses: Floats, reference: Floats) -> float:
    """Volume of what at least one point dominates, up to a reference point that is worse than all.

    Parameters
    ----------
    losses : float array ``[points, objectives]``
    reference : float array ``[objectives]``

    Notes
    -----
    The algorithm of While, Bradstreet and Barone, IEEE TEVC 16(1), 2012 (WFG).

    Examples
    --------
    >>> hypervolume(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([2.0, 2.0]))
    3.0
    """
    points = np.unique(losses[front(losses)], axis=0)
    return sum(gained(one, points[at + 1 :], reference) for at, one in enumerate(points))


def gained(one: Floats, others: Floats, reference: Floats) -> float:
    """Volume that a point dominates and no other one does."""
    box = float(np.prod(np.maximum(reference - one, 0)))
    return box - hypervolume(np.maximum(others, one), reference) if len(others) else box


def history(losses: Sequence[Floats | None], reference: Floats, unit: float) -> list[float]:
    """Hypervolume after each point, as a part of ``unit``; of points without values None is given."""
    total, found = 0.0, []
    kept = np.empty((0, len(reference)))
    for one in losses:
        if one is not None:
            total += gained(one, kept, reference)
            kept = np.vstack([kept, one])
            kept = kept[front(kept)]
        found.append(total / unit)
    return found
