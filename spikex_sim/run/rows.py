"""What tables of a run ask of results, whether computed or read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spikex_sim.core.sheet import Sheet, short
from spikex_sim.run.results import LayerResult, RunResult, Totals
from spikex_sim.run.saved import Record, SavedResults

AnyResults = RunResult | SavedResults
AnyCosts = LayerResult | Totals | Record


def imc_of(costs: AnyCosts) -> Mapping[str, Any] | None:
    """What a crossbar machine says of itself; None of other machines."""
    found: Mapping[str, Any] | None = getattr(costs, "imc", None)
    return found


def total_name(samples: int) -> str:
    """What a row of sums is called."""
    return "total" if samples == 1 else f"total of {samples:,}"


def chip_layers(result: AnyResults) -> list[Any]:
    """Layers that crossbars run."""
    return [layer for layer in result.layers if imc_of(layer) is not None]


def chip_rows(made: Sheet, result: AnyResults, cells: Callable[[AnyCosts], list[str]]) -> Sheet:
    """Add a row for each of these layers, and one for the total."""
    for layer in chip_layers(result):
        made.add_row(short(layer.name), *cells(layer))
    made.add_row(total_name(len(result.samples)), *cells(result.totals))
    return made
