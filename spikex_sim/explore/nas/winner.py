"""The winner of a search as a network to train (Section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from spikex_sim.core.errors import ResultsError
from spikex_sim.explore.nas.cells import Cell
from spikex_sim.explore.nas.forms import Form, canonical
from spikex_sim.explore.nas.found import load_found
from spikex_sim.explore.nas.macro import Macro, dataset_of
from spikex_sim.explore.nas.nodes import graph_of
from spikex_sim.spec.graph_networks import GraphNetwork
from spikex_sim.spec.validation import validated

MOST_BITS = 8
"""Of a weight in the integer datapath."""
SEARCHED = ("space", "algorithm", "seed", "arch", "limits", "fitness")
"""What a card says of a search."""
Count = Annotated[int, Field(ge=1)]


class _Network(BaseModel):
    """What a search says of the network around its cells."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    dataset: str
    channels: Count
    timesteps: Count
    pool: Count
    width: Count
    tau: float


class _Search(BaseModel):
    """What training needs to know of a search."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    network: _Network
    bits: Count


@dataclass(frozen=True)
class WinningNetwork:
    """A winner that can be trained.

    Attributes
    ----------
    network : GraphNetwork
        Its nodes.
    bits : int
        Of a weight: those of the search, 8 at most.
    about : dict
        Where it comes from, for its card, as JSON holds it.
    """

    network: GraphNetwork
    bits: int
    about: dict[str, Any]


def winning_network(
    path: str | Path, name: str, *, width: int | None = None, pool: int | None = None
) -> WinningNetwork:
    """Read what a search found and write its winner as a graph.

    Parameters
    ----------
    path : str or Path
        Folder of a search, or its ``nas.json``.
    name : str
        Of the network.
    width : int, optional
        Neurons of the first linear layer; by default the search's.
    pool : int, optional
        Side of the average before it; by default the search's.

    Raises
    ------
    ResultsError
        If the file is missing, damaged or of another layout.
    ConfigError
        If the winner cannot be trained; names the cell.
    """
    found = load_found(path)
    known = validated(_Search, found.search, where=str(path), error=ResultsError, prefix="search")
    around = known.network
    macro = Macro(
        dataset_of(around.dataset), around.channels, around.timesteps, pool or around.pool,
        width or around.width, around.tau,
    )  # fmt: skip
    winner = found.winner
    a, b = (
        _form(cell, f"{path}: winner's cell {name}")
        for name, cell in zip("AB", found.cells_of(winner), strict=True)
    )
    about = {
        **{key: value for key, value in found.search.items() if key in SEARCHED},
        "bits": known.bits,
        "cell_a": winner.cell_a, "cell_b": winner.cell_b, "form_a": a.text, "form_b": b.text,
        "score": winner.model_dump(mode="json")["score"],
        "channels": macro.channels, "pool": macro.pool, "width": macro.width,
        "machines": {name: one.model_dump(mode="json") for name, one in winner.machines.items()},
    }  # fmt: skip
    network = graph_of(macro, a, b, name)
    return WinningNetwork(network, min(MOST_BITS, max(2, known.bits)), {"searched": about})


def _form(cell: Cell, where: str) -> Form:
    if not cell.is_forward:
        raise ResultsError("has backward edges, and forward ones alone are trained", where=where)
    return canonical(cell).form
