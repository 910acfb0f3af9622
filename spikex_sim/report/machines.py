"""Sections of several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spikex_sim.report.escaping import escaped
from spikex_sim.report.section import Section
from spikex_sim.report.table import Column, column_of, table
from spikex_sim.run.fields import TOTALS
from spikex_sim.run.saved import SavedResults

COMPARED = ("energy_pj", "energy_on_chip_pj", "seconds", "edp_js", "area_mm2", "edap_js_mm2")
"""Totals that are also shown relative to the first run."""
SHOWN = ("cycles", "utilization", "power_mw", "tops_per_watt")


def summary(names: Sequence[str], results: Sequence[SavedResults]) -> Section:
    """Totals of the runs, and how they stand to the first's."""
    first = results[0].totals
    rows = []
    for name, one in zip(names, results, strict=True):
        row: dict[str, Any] = {"run": name, "machine": one.arch_name, "trace": one.trace["name"]}
        for key in (*COMPARED, *SHOWN):
            row[key] = one.totals.get(key)
            base = first.get(key)
            if key in COMPARED:
                row[f"{key} ×"] = None if row[key] is None or not base else row[key] / base
        rows.append(row)
    columns = [Column("run")]
    if any(row["machine"] != row["run"] for row in rows):
        columns.append(Column("machine"))
    if len({row["trace"] for row in rows}) > 1:
        columns.append(Column("trace"))
    for key in (*COMPARED, *SHOWN):
        columns.append(column_of(key, TOTALS))
        if key in COMPARED:
            columns.append(Column(f"{key} ×", "", f"over that of {names[0]}"))
    same = len({one.trace["sha256"] for one in results}) == 1
    said = (
        f"of the same trace, {results[0].trace['name']}"
        if same
        else "of different traces, which do not compare"
    )
    text = f"<p>{len(results)} runs {escaped(said)}. Ratios (×) are to <b>{escaped(names[0])}</b>.</p>"
    return Section("summary", "Summary", text + table(columns, rows, "Totals of the runs"))
