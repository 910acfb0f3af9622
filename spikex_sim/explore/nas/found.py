"""What a search found: its winner, networks and counts, as they are written and read back (Section 4)."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from spikex_sim.core.counts import MOST
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.files import csv_text, write_files
from spikex_sim.explore.documents import load_document
from spikex_sim.explore.nas.cells import Cell, space_of
from spikex_sim.explore.nas.constraints import UNITS
from spikex_sim.explore.nas.costs import Costs as Numbers

JSON_FILE, CSV_FILE, STORE_FILE = "nas.json", "nas.csv", "nas.sqlite"
_MINUS = "-inf"
_LARGEST = sys.float_info.max


def _as_float(given: Any) -> Any:
    return -math.inf if given == _MINUS else given


def _known(value: float) -> float:
    if math.isnan(value) or value == math.inf:
        raise ValueError("must be a number, or -inf")
    return value


def _as_text(value: float) -> float | str:
    return _MINUS if value == -math.inf else value


Fitness = Annotated[
    float, BeforeValidator(_as_float), Field(strict=True), AfterValidator(_known),
    PlainSerializer(_as_text, when_used="json"),
]  # fmt: skip
"""A score; minus infinity is written as a text, as JSON has none."""
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0, le=MOST)]
Text = Annotated[str, Field(max_length=1000)]


class Part(BaseModel):
    """Part of what is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CostsFound(Part):
    """Costs of a network on a machine; ``refused`` says why it cannot run there."""

    parameters: Count | None = None
    area_mm2: Positive | None = None
    latency_ms: Positive | None = None
    energy_uj: Positive | None = None
    edp_js: Positive | None = None
    refused: Text = ""

    @classmethod
    def of(cls, costs: Numbers | str) -> CostsFound:
        """Write costs down; of a cost that is not known None."""
        if isinstance(costs, str):
            return cls(refused=costs)
        found = {name: getattr(costs, name) for name in UNITS}
        return cls(**{name: None if math.isnan(value) else value for name, value in found.items()})


class Pair(Part):
    """Two cells, as the space writes them, and their live convolutions."""

    cell_a: Text
    cell_b: Text
    convolutions_a: Count
    convolutions_b: Count


class Network(Pair):
    """A network that was scored: costs on the machine of the limits, and whether the front has it."""

    score: Fitness
    negative: bool
    constant: Count
    costs: CostsFound
    feasible: bool
    front: bool


class Spread(Part):
    """Scores of a network over seeds, by seed; their mean and standard deviation, None of infinite ones."""

    scores: dict[str, Fitness]
    mean: Finite | None
    sd: Positive | None


class Rank(Part):
    """Place of a score among all networks scored that have as many convolutions."""

    convolutions: Count
    rank: Annotated[Count, Field(ge=1)]
    of: Annotated[Count, Field(ge=1)]


class Winner(Network):
    """The network that a search returns."""

    form_a: Text
    form_b: Text
    misses: tuple[Text, ...]
    machines: dict[str, CostsFound]
    spread: Spread
    rank: Rank


class Baseline(Pair):
    """A network that a winner is held against."""

    score: Fitness
    costs: CostsFound


class Baselines(Part):
    """What needs no search: the most convolutions that fit, and networks at random of those that fit."""

    most_convolutions: Baseline | None
    most_convolutions_spread: Spread | None
    random_feasible: tuple[Baseline, ...]


class Counts(Part):
    """Networks and pairs of a search.

    Attributes
    ----------
    scored : int
        Networks.
    skipped : int
        Pairs that limits exclude by their shapes.
    broken : int
        Pairs that were scored and then found to break a limit.
    saved : int
        Pairs that were not scored, since others of the same forms were.
    """

    scored: Count
    skipped: Count
    broken: Count
    saved: Count


class ArchitectureFound(Part):
    """A search and what it came to.

    Attributes
    ----------
    search : dict
        All that decides the outcome: space, algorithm, limits, machine, what scores depend on.
    winner : Winner
        What the algorithm returns.
    networks : tuple of Network
        All that were scored, in order.
    baselines : Baselines
        To hold the winner against.
    counts : Counts
        Of networks and pairs.
    seconds : float
        That the call took, without what was scored before.
    versions : dict
        Of the package and what it computes with.
    """

    format: Literal["spikex-nas"] = "spikex-nas"
    version: Literal[1] = 1
    search: dict[str, Any]
    winner: Winner
    baselines: Baselines
    counts: Counts
    seconds: Positive
    versions: dict[str, str]
    networks: tuple[Network, ...] = Field(min_length=1)

    def _repr_html_(self) -> str:
        from spikex_sim.explore.nas.found_tables import found_html

        return found_html(self)

    @model_validator(mode="after")
    def _cells_are_cells(self) -> ArchitectureFound:
        known = {"space": str, "limits": dict, "minimise": list}
        for name, kind in known.items():
            if not isinstance(self.search.get(name), kind):
                raise ValueError(f"search.{name} is missing or of another kind")
        limits = self.search["limits"]
        if not limits.keys() <= UNITS.keys():
            raise ValueError("search.limits names another cost than there are")
        if not all(type(limit) in (int, float) and 0 < limit <= _LARGEST for limit in limits.values()):
            raise ValueError("search.limits has what is no number above 0")
        if not self.search["minimise"] or not set(map(str, self.search["minimise"])) <= set(UNITS):
            raise ValueError("search.minimise names another cost than there are")
        try:
            for one in (self.winner, *self.networks):
                self.cells_of(one)
        except ConfigError as exc:
            raise ValueError(str(exc)) from None
        return self

    def cells_of(self, pair: Pair) -> tuple[Cell, Cell]:
        """Cells of a network."""
        space = space_of(self.search["space"])
        return space.parse(pair.cell_a, "cell_a"), space.parse(pair.cell_b, "cell_b")

    @property
    def front(self) -> list[Network]:
        """Networks that no other beats in fitness and all costs that are minimised, best fitness first."""
        return sorted((one for one in self.networks if one.front), key=lambda one: -one.score)

    def rows(self) -> list[dict[str, Any]]:
        """Rows of ``nas.csv``: a network a row, in the order in which they were scored."""
        return [
            {
                "cell_a": one.cell_a, "cell_b": one.cell_b, "convolutions_a": one.convolutions_a,
                "convolutions_b": one.convolutions_b, "score": one.score, "negative": one.negative,
                "constant": one.constant, **one.costs.model_dump(), "feasible": one.feasible,
                "front": one.front,
            }
            for one in self.networks
        ]  # fmt: skip

    def save(self, folder: str | Path) -> list[Path]:
        """Write ``nas.json`` and ``nas.csv``; both appear whole or not at all."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False)
        return write_files(folder, {JSON_FILE: f"{text}\n", CSV_FILE: csv_text(self.rows())})


def load_found(path: str | Path) -> ArchitectureFound:
    """Read back ``nas.json``.

    Parameters
    ----------
    path : str or Path
        Folder of a search, or the file.

    Raises
    ------
    ResultsError
        If it is missing, damaged or of another layout; names the file and the key.
    """
    return load_document(ArchitectureFound, path, JSON_FILE, "what a search found")
