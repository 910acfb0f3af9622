"""What becomes of a point: its figures, whether it keeps the limits, and what to say where none does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.explore.designs.choosing import Verdict
from spikex_sim.explore.designs.goals import Limit, Objective
from spikex_sim.explore.designs.machines import Design
from spikex_sim.explore.designs.space import Genes
from spikex_sim.explore.designs.volume import front

MOST_NAMED = 8
"""Keys of a point that a message names."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A point and what became of it.

    Attributes
    ----------
    genes : dict
        What was chosen.
    design : Design
        What it makes.
    figures : dict of str to float
        Objectives and limited figures that are known.
    verdict : Verdict
        For the sampler.
    reason : str
        Why it is not feasible; empty if it is.
    lacks : str
        Column that a result of it does not have.
    """

    genes: Genes
    design: Design
    figures: Mapping[str, float]
    verdict: Verdict
    reason: str = ""
    lacks: str = ""


@dataclass(frozen=True)
class Judge:
    """Holds results against objectives and limits.

    Attributes
    ----------
    objectives : tuple of Objective
        Of which the mean over the traces counts.
    limits : tuple of Limit
        That every trace has to keep.
    """

    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...]

    def of(
        self, genes: Genes, design: Design, found: Sequence[tuple[Mapping[str, Any] | None, str]]
    ) -> Judged:
        """Judge a point.

        Parameters
        ----------
        genes, design : dict, Design
            The point.
        found : sequence of (dict or None, str)
            Row and error of each trace; empty where there is no configuration.
        """
        error = design.error or next((error for _, error in found if error), "")
        if error:
            return Judged(genes, design, {}, Verdict(), error)
        rows = [row for row, _ in found if row is not None]
        goals = [one.measure for one in self.objectives] + [one.measure for one in self.limits]
        for measure in goals:
            if not measure.values(rows):
                lacks = measure.column
                return Judged(genes, design, {}, Verdict(), f"its result has no {lacks}", lacks)
        means = {
            one.measure.name: float(np.mean(one.measure.values(rows))) for one in self.objectives
        }  # fmt: skip
        worst = [limit.worst(limit.measure.values(rows)) for limit in self.limits]
        names = [self._figure(limit, len(rows)) for limit in self.limits]
        verdict = Verdict(
            tuple(one.loss(means[one.measure.name]) for one in self.objectives),
            tuple(limit.excess(value) for limit, value in zip(self.limits, worst, strict=True)),
        )
        misses = [
            limit.miss(value)
            for limit, value in zip(self.limits, worst, strict=True)
            if limit.excess(value) > 0
        ]
        figures = means | dict(zip(names, worst, strict=True))
        return Judged(genes, design, figures, verdict, "; ".join(misses))

    def _figure(self, limit: Limit, traces: int) -> str:
        """What the value that a limit is held against is called."""
        if traces == 1:
            return limit.measure.name
        return f"{'least' if limit.least else 'most'}_{limit.measure.name}"


def on_front(points: Sequence[Judged]) -> list[bool]:
    """Which points are feasible and beaten by no feasible one."""
    feasible = [at for at, one in enumerate(points) if one.verdict.feasible]
    if not feasible:
        return [False] * len(points)
    kept = front(np.array([points[at].verdict.losses for at in feasible]))
    on = {at for at, is_on in zip(feasible, kept, strict=True) if is_on}
    return [at in on for at in range(len(points))]


def lacking(points: Sequence[Judged]) -> UnsupportedError | None:
    """Say that no result has a column that is asked for; None where one has, or nothing was run."""
    lacks = [one.lacks for one in points if one.lacks]
    if not lacks or any(one.verdict.losses for one in points):
        return None
    machines = dict.fromkeys(named(one)[0] for one in points if one.lacks)
    return UnsupportedError(f"no result has it; machines: {', '.join(machines)}", where=lacks[0])


def none_feasible(points: Sequence[Judged], limits: Sequence[Limit], size: int | None) -> UnsupportedError:
    """Say why no point is feasible: the first error, or the nearest miss."""
    ran = [one for one in points if one.verdict.losses]
    if not ran:
        return lacking(points) or UnsupportedError(
            f"the first, {_told(points[0])}: {points[0].reason}",
            where=f"none of {len(points):,} points can be run",
        )
    nearest = min(ran, key=lambda one: one.verdict.miss)
    others = "" if size is not None and len(points) >= size else "; a larger --budget tries more"
    figures = ", ".join(f"{name} {value:.4g}" for name, value in nearest.figures.items())
    return UnsupportedError(
        f"nearest is {_told(nearest)}: {nearest.reason} ({figures}){others}",
        where=f"none of {len(points):,} points keeps {' and '.join(map(str, limits))}",
    )


def named(one: Judged) -> tuple[str, dict[str, Any]]:
    """Machine of a point by name, and its other keys."""
    values = dict(one.design.values)
    machine = values.pop("arch", "")
    return (one.design.arch.name if one.design.arch is not None else str(machine)), values


def _told(one: Judged) -> str:
    machine, values = named(one)
    parts = [f"{key} {value}" for key, value in list(values.items())[:MOST_NAMED]]
    return ", ".join([*([machine] if machine else []), *parts])
