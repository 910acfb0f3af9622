"""What tables of a run ask of results, whether computed or read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
