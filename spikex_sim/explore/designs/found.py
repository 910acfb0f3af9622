"""What an exploration found, as it is written and read back (docs/explore.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from spikex_sim.core.counts import MOST
from spikex_sim.core.files import csv_text
from spikex_sim.core.frames import frame
from spikex_sim.explore.documents import load_document
from spikex_sim.explore.sweeps.table import SweepTable

JSON_FILE, CSV_FILE = "explore.json", "explore.csv"
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0, le=MOST)]
Text = Annotated[str, Field(max_length=1000)]
Scalar = bool | int | float | str
Value = Scalar | list[Scalar]


class Part(BaseModel):
    """Part of what is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Explored(Part):
    """A point.

    Attributes
    ----------
    order : int
        Place in which it was asked for, from 1.
    arch : str
        Machine.
    values : dict
        Keys that have an effect, and their values.
    figures : dict
        Objectives and limited figures by name; empty where it could not be run.
    feasible : bool
        Whether it was run and keeps all limits.
    front : bool
        Whether no feasible point beats it.
    hypervolume : float
        Of the front after it, as a part of the box.
    reason : str
        Why it is not feasible; empty if it is.
    """

    order: Annotated[Count, Field(ge=1)]
    arch: Text
    values: dict[str, Value]
    figures: dict[str, Finite]
    feasible: bool
    front: bool
    hypervolume: Annotated[Finite, Field(ge=0)]
    reason: Text = ""


class Goal(Part):
    """An objective: its name, unit, and whether more is better."""

    name: Text
    unit: Text
    maximise: bool


class Volume(Part):
    """Hypervolume of the front: a part of the box from the best values to the reference point.

    Attributes
    ----------
    best, reference : dict
        Of each objective the best value found, and that of the reference point.
    final : float
        Of the front, from 0 to 1.
    """

    best: dict[str, Finite]
    reference: dict[str, Finite]
    final: Annotated[Finite, Field(ge=0)]


class Importances(Part):
    """Shares of the keys, by objective and of the front; none of too few points."""

    method: Text
    shares: dict[str, dict[str, Annotated[Finite, Field(ge=0)]]]


class Exploration(Part):
    """An exploration and what it came to.

    Attributes
    ----------
    search : dict
        All that decides the outcome: space, machine, traces, limits, sampler, seed, budget.
    objectives : tuple of Goal
        What was to be small, or large.
    points : tuple of Explored
        In the order in which they were asked for.
    hypervolume : Volume
        Of the front.
    importances : Importances
        Of the keys.
    versions : dict
        Of the package and what it computes with.
    """

    format: Literal["spikex-explore"] = "spikex-explore"
    version: Literal[1] = 1
    search: dict[str, Any]
    objectives: Annotated[tuple[Goal, ...], Field(min_length=1)]
    hypervolume: Volume
    importances: Importances
    versions: dict[str, str]
    points: Annotated[tuple[Explored, ...], Field(min_length=1)]
    _table: SweepTable | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _fits_together(self) -> Exploration:
        names = {one.name for one in self.objectives}
        if not all(set(one) == names for one in (self.hypervolume.best, self.hypervolume.reference)):
            raise ValueError("hypervolume has other objectives")
        for one in self.points:
            if one.feasible and not names <= one.figures.keys():
                raise ValueError(f"points.{one.order} lacks an objective")
            if one.front and not one.feasible:
                raise ValueError(f"points.{one.order} is on the front and not feasible")
        if not isinstance(self.search.get("space"), dict):
            raise ValueError("search.space is missing or of another kind")
        if not any(one.front for one in self.points):
            raise ValueError("points has no front")
        return self

    def __repr__(self) -> str:
        feasible = sum(one.feasible for one in self.points)
        goals = ", ".join(f"max:{one.name}" if one.maximise else one.name for one in self.objectives)
        return (
            f"<Exploration: {len(self.points)} points, {feasible} feasible, {len(self.front)} on the front "
            f"of {goals}>"
        )

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        from spikex_sim.explore.designs.tables import exploration_html

        return exploration_html(self)

    @property
    def table(self) -> SweepTable | None:
        """Rows of ``sweep.csv``, a row a point and trace; None of one that was read back."""
        return self._table

    @cached_property
    def front(self) -> list[Explored]:
        """Points that no other beats in all objectives, by the first of them, best first."""
        goal = self.objectives[0]
        sign = -1 if goal.maximise else 1
        return sorted((one for one in self.points if one.front), key=lambda p: sign * p.figures[goal.name])

    @cached_property
    def keys(self) -> list[str]:
        """Keys of the space, but the machine."""
        return [key for key in self.search["space"] if key != "arch"]

    def rows(self) -> list[dict[str, Any]]:
        """Rows of ``explore.csv``: a point a row, in order."""
        figures = dict.fromkeys(name for one in self.points for name in one.figures)
        return [
            {
                "order": one.order,
                "arch": one.arch,
                **{key: _cell(one.values.get(key)) for key in self.keys},
                **{name: one.figures.get(name) for name in figures},
                "feasible": one.feasible, "front": one.front, "hypervolume": one.hypervolume,
                "reason": one.reason,
            }
            for one in self.points
        ]  # fmt: skip

    def to_frame(self) -> Any:
        """Make a ``pandas.DataFrame`` with the columns of ``explore.csv``.

        Raises
        ------
        UnsupportedError
            If pandas is not installed.
        """
        return frame(self.rows())

    def contents(self, *, safe_csv: bool = False) -> dict[str, str]:
        """``explore.json`` and ``explore.csv`` by name."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False)
        return {JSON_FILE: f"{text}\n", CSV_FILE: csv_text(self.rows(), safe=safe_csv)}


def load_exploration(path: str | Path) -> Exploration:
    """Read back ``explore.json``.

    Parameters
    ----------
    path : str or Path
        Folder of an exploration, or the file.

    Raises
    ------
    ResultsError
        If it is missing, damaged or of another layout; names the file and the key.
    """
    return load_document(Exploration, path, JSON_FILE, "what an exploration found")


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a point as JSON has them."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def _cell(value: Any) -> Any:
    return "/".join(map(str, value)) if isinstance(value, list) else value
