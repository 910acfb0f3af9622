"""What an exploration came to: its front, the hypervolume over time, the shares of the keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikex_sim.core.origin import origin
from spikex_sim.explore.designs.found import Exploration, Explored, Goal, Importances, Volume, plain_values
from spikex_sim.explore.designs.goals import Objective
from spikex_sim.explore.designs.importance import METHOD, importances
from spikex_sim.explore.designs.judging import Judged, named, on_front
from spikex_sim.explore.designs.space import Space
from spikex_sim.explore.designs.volume import history, reference_of
from spikex_sim.run.simulate import versions

MOST_REASON = 500
"""Longest reason that is kept of a point, in characters."""


def exploration_of(
    space: Space, search: dict[str, Any], objectives: Sequence[Objective], points: Sequence[Judged]
) -> Exploration:
    """Sum an exploration up.

    Parameters
    ----------
    space : Space
        What was chosen from.
    search : dict
        What decided the outcome.
    objectives : sequence of Objective
        What was to be small, or large.
    points : sequence of Judged
        At least one of them feasible, in the order in which they were asked for.
    """
    feasible = [one for one in points if one.verdict.feasible]
    losses = np.array([one.verdict.losses for one in feasible])
    reference, best = reference_of(losses), losses.min(axis=0)
    course = history(
        [np.array(one.verdict.losses) if one.verdict.feasible else None for one in points],
        reference, float(np.prod(reference - best)),
    )  # fmt: skip
    names = [one.measure.name for one in objectives]
    shares = importances(space, [one.genes for one in feasible], [one.verdict.losses for one in feasible])

    def told(values: Any) -> dict[str, float]:
        return {
            name: one.loss(float(value))
            for name, one, value in zip(names, objectives, values, strict=True)
        }  # fmt: skip

    return Exploration(
        search=search,
        objectives=tuple(
            Goal(name=one.measure.name, unit=one.measure.unit, maximise=one.maximise) for one in objectives
        ),
        points=tuple(
            _explored(at, one, on, volume)
            for at, (one, on, volume) in enumerate(zip(points, on_front(points), course, strict=True), 1)
        ),
        hypervolume=Volume(best=told(best), reference=told(reference), final=course[-1]),
        importances=Importances(
            method=METHOD,
            shares={names[int(at)] if at.isdecimal() else at: found for at, found in shares.items()},
        ),
        versions=versions() | origin(),
    )


def _explored(order: int, one: Judged, on: bool, volume: float) -> Explored:
    machine, values = named(one)
    return Explored(
        order=order, arch=machine, values=plain_values(values), figures=dict(one.figures),
        feasible=one.verdict.feasible, front=on, hypervolume=volume, reason=one.reason[:MOST_REASON],
    )  # fmt: skip
