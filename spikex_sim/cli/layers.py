"""Chosen fields of the layers of a run."""

from __future__ import annotations

from dataclasses import replace

from spikex_sim.cli import show
from spikex_sim.cli.choose import Choice, Columns
from spikex_sim.run.fields import LAYERS_CSV, fields_in
from spikex_sim.run.results import RunResult

CHOSEN = ("tws", "cycles", "energy_pj", "energy_on_chip_pj", "edp_js")
"""Fields where --fields does not say."""


def layer_columns() -> Columns:
    """Columns of layers.csv."""
    fields = list(fields_in(LAYERS_CSV))
    known = list(dict.fromkeys(column for one in fields for column in one.columns()))
    return Columns(LAYERS_CSV, known, lambda name: any(one.has_column(name) for one in fields))


def show_layers(result: RunResult, choice: Choice) -> None:
    """Print what was chosen of the layers of a run; pooling takes no cycles, and is not shown."""
    title = f"Layers of {result.trace['name']} on {result.arch.name}"
    rows = [row for row in result.layer_rows() if row["cycles"]]
    show.show_chosen(title, rows, ["name"], replace(choice, fields=choice.fields or CHOSEN))
