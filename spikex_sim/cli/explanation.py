"""Tables and sentences of ``run --explain``."""

from __future__ import annotations

from spikex_sim.cli import show
from spikex_sim.explore.explanation import Explanation, Trial
from spikex_sim.explore.explanation_tables import busy_table, changes_of
from spikex_sim.run.advice import sentence, settings
from spikex_sim.run.results import RunResult


def show_explanation(found: Explanation) -> None:
    """Print how busy everything is, what is loaded again and again, and what was tried."""
    show.say("")
    if found.result.totals.imc is None:  # else the table of time says it
        show.put(busy_table(found.result))
    for one in found.again:
        if one.held.level == "lbuf":
            show.note(sentence(one))
    tried = "Tried: change of cycles, energy, EDP" if found.trials else "No key is known to help"
    show.note(f"\n{tried}", "bold")
    for trial in found.trials:
        show.note(_trial_line(trial, found.result), "")


def _trial_line(trial: Trial, base: RunResult) -> str:
    if trial.result is None:
        return f"{settings(trial.changes)}: refused, {trial.refused} ({trial.reason})"
    return f"{settings(trial.changes)}: {', '.join(changes_of(trial, base))} ({trial.reason})"
