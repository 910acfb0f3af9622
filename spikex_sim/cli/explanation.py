"""Tables and sentences of ``run --explain``."""

from __future__ import annotations

from spikex_sim.cli import show
from spikex_sim.core.sheet import Sheet, percent, short
from spikex_sim.explore.explanation import Explanation, Trial
from spikex_sim.run.advice import NAMES, bound_of, sentence, settings
from spikex_sim.run.results import RunResult
from spikex_sim.run.tally import Costs


def show_explanation(found: Explanation) -> None:
    """Print how busy everything is, what is loaded again and again, and what was tried."""
    show.say("")
    if found.result.totals.imc is None:  # else the table of time says it
        show.put(_busy_table(found.result))
    for one in found.again:
        if one.held.level == "lbuf":
            show.note(sentence(one))
    tried = "Tried: change of cycles, energy, EDP" if found.trials else "No key is known to help"
    show.note(f"\n{tried}", "bold")
    for trial in found.trials:
        show.note(_trial_line(trial, found.result), "")


def _busy_table(result: RunResult) -> Sheet:
    made = show.table(
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


def _trial_line(trial: Trial, base: RunResult) -> str:
    if trial.result is None:
        return f"{settings(trial.changes)}: refused, {trial.refused} ({trial.reason})"
    changed = ", ".join(
        f"{100 * (trial.ratio(quantity, base) - 1):+.1f} %" for quantity in ("cycles", "energy_pj", "edp_js")
    )
    return f"{settings(trial.changes)}: {changed} ({trial.reason})"
