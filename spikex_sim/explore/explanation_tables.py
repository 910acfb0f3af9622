"""Tables of an explanation: how busy everything is, and what came of the keys that were tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import Sheet, percent, short, table
from spikex_sim.run.advice import NAMES, bound_of, sentence, settings
from spikex_sim.run.results import RunResult
from spikex_sim.run.tables import sums
from spikex_sim.run.tally import Costs

if TYPE_CHECKING:
    from spikex_sim.explore.explanation import Explanation, Trial

CHANGED = {"cycles": "cycles", "energy_pj": "energy", "edp_js": "EDP"}
"""Figures that are compared, and what they are called."""


def explanation_html(found: Explanation) -> str:
    """Write an explanation for a notebook."""
    tried = table("Tried: change of", "keys", "why", *CHANGED.values(), left=2)
    for trial in found.trials:
        changes = changes_of(trial, found.result) if trial.result else ["refused", "", ""]
        tried.add_row(settings(trial.changes), trial.refused or trial.reason, *changes)
    totals = found.result.totals
    title = f"{found.result.trace['name']} on {found.result.arch.name}"
    texts = [*sums(totals)[:2], *map(sentence, found.again)]
    if totals.imc is not None:  # whose time is no layer's own
        return html_of(title, [tried], texts=texts)
    bound = NAMES[bound_of(totals)]
    return html_of(f"{title}, bound by {bound}", [tried, busy_table(found.result)], texts=texts)


def changes_of(trial: Trial, base: RunResult) -> list[str]:
    """Change of cycles, energy and EDP against the run without the trial's keys."""
    return [f"{100 * (trial.ratio(quantity, base) - 1):+.1f} %" for quantity in CHANGED]


def busy_table(result: RunResult) -> Sheet:
    """Cycles that each resource needs by itself, layer by layer."""
    made = table(
        "Busy: cycles that each needs by itself, % of the layer's", "layer", *NAMES.values(), "bound by"
    )
    for layer in result.layers:
        if layer.cycles:
            made.add_row(short(layer.name), *_busy_cells(layer))
    made.add_row("total", *_busy_cells(result.totals))
    return made


def _busy_cells(costs: Costs) -> list[str]:
    shares = [percent(costs.busy[name], costs.cycles) for name in NAMES]
    return [*shares, NAMES[bound_of(costs)]]
