"""The table of a sweep that people read: its keys, its measures, and which points are the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import LONGEST_KEY, Sheet, count, percent, short, table
from spikex_sim.core.text import counted
from spikex_sim.costs.areas import said_of
from spikex_sim.explore.sweeps.table import is_measure

Row = Mapping[str, Any]
SWEEP_ROWS = 50
"""Rows of a sweep that are shown; of a longer one those of least EDP."""
RANKED = "mean_edp_js"
_OWN = ("trace", "arch", "error")


def sweep_html(rows: Sequence[Row]) -> str:
    """Write a sweep for a notebook; of a long one the best points."""
    done = [row for row in rows if not row["error"]]
    failed = [row for row in rows if row["error"]]
    told = (
        [f"{counted(len(failed), 'point')} not finished, the first: {failed[0]['error']}"] if failed else []
    )
    title = counted(len(rows), "point")
    if not done:
        return html_of(title, texts=told)
    keys = [column for column in rows[0] if column not in _OWN and not is_measure(column)]
    shown, order = done, ""
    if len(done) > SWEEP_ROWS:
        shown = sorted(done, key=lambda row: float(row[RANKED]))[:SWEEP_ROWS]
        order = f", by {RANKED}, ascending"
    return html_of(title, [sweep_table(done, keys, shown, order)], texts=told)


def mean_of(row: Row, quantity: str, form: Callable[[float], str]) -> str:
    """Mean of a figure over a point's samples, and its standard deviation if there are several."""
    sd = row[f"sd_{quantity}"]
    return form(row[f"mean_{quantity}"]) + ("" if sd is None else f" ± {form(sd)}")


def sweep_title(rows: Sequence[Row], keys: Sequence[str]) -> tuple[str, list[str]]:
    """Title of a table of points, which names the trace of all, and the columns that tell them apart."""
    if len({row["trace"] for row in rows}) > 1:
        return "Sweep", ["trace", "arch", *keys]
    return f"Sweep of {rows[0]['trace']}", ["arch", *keys]


SWEPT: Mapping[str, Callable[[Row], str]] = {
    "mm²": lambda row: "" if row["area_mm2"] is None else f"{row['area_mm2']:.4g}",
    "PE %": lambda row: f"{100 * row['utilization']:.1f}",
    "stall %": lambda row: percent(row["cycles"] - row["compute_cycles"], row["cycles"]),
}
"""Columns of a sweep besides its measures; one without any entry is left out."""
SWEPT_ON_CHIPS: Mapping[str, Callable[[Row], str]] = {
    "mm²": SWEPT["mm²"],
    "PE %": SWEPT["PE %"],
    "changed": lambda row: count(row["changed_spikes"]) if row.get("changed_spikes") else "",
    "correct %": lambda row: "" if row.get("accuracy") is None else f"{100 * row['accuracy']:.1f}",
}
"""Likewise where all machines are crossbars."""


def sweep_table(rows: Sequence[Row], keys: Sequence[str], shown: Sequence[Row], order: str = "") -> Sheet:
    """Make the table of a sweep.

    Parameters
    ----------
    rows : sequence of dict
        All points that were run; asterisks mark the smallest of each trace.
    keys : sequence of str
        What was swept.
    shown : sequence of dict
        Those that get a row, in order.
    order : str
        How they are sorted, to go after the title.
    """
    scale, unit = (1e6, "µJ") if max(row["mean_energy_pj"] for row in rows) >= 1e7 else (1e3, "nJ")
    title, names = sweep_title(rows, keys)
    measures: dict[str, Callable[[float], str]] = {
        "cycles": lambda value: f"{value:,.0f}",
        "energy_pj": lambda value: f"{value / scale:,.2f}",
        "energy_on_chip_pj": lambda value: f"{value / scale:,.3f}",
        "edp_js": lambda value: f"{value:.3g}",
    }
    headings = ["cycles", unit, "no DRAM", "EDP, Js"]
    same_area = len({row["area_mm2"] for row in rows}) == 1
    others = {**SWEPT, "mm²": lambda _: ""} if same_area else SWEPT
    if all(row.get("energy_crossbar_pj") is not None for row in rows):  # nothing is spent in DRAM
        del measures["energy_on_chip_pj"], headings[2]
        others = SWEPT_ON_CHIPS
    others = {name: cell for name, cell in others.items() if any(cell(row) for row in rows)}
    made = table(f"{title}{order}", *names, *headings, *others, left=len(names))
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        for name in measures:
            mean = row[f"mean_{name}"]
            best[row["trace"], name] = min(mean, best.get((row["trace"], name), mean))
    for row in shown:
        cells = [
            mean_of(row, name, form) + ("*" if row[f"mean_{name}"] == best[row["trace"], name] else " ")
            for name, form in measures.items()
        ]
        made.add_row(
            *(short(str(row[name]), LONGEST_KEY) for name in names),
            *cells,
            *(cell(row) for cell in others.values()),
        )
    made.caption = "* smallest of its column" + (" and trace" if "trace" in names else "")
    if any(row["samples"] > 1 for row in rows):
        made.caption = f"of several samples mean ± standard deviation; sweep.csv has totals\n{made.caption}"
    if len(shown) < len(rows):
        made.caption += f" of {len(rows)} points; here the first {len(shown)}, sweep.csv has all"
    made.caption = "\n".join([made.caption, *_areas(rows, same=same_area)])
    return made


def _areas(rows: Sequence[Row], *, same: bool) -> list[str]:
    """Lines below the table: the area that all points have, and what areas lack."""
    area = rows[0]["area_mm2"]
    lines = [f"area that is known: {area:.4g} mm² at every point"] if same and area is not None else []
    return [*lines, *filter(None, [said_of(rows)])]
