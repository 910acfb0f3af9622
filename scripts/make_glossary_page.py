"""Rewrite the tables of docs/glossary.md that list what results hold, from the program's own list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pages import keep_in_step

from spikex_sim.run.fields import (
    ACCESSES_CSV,
    FIELDS,
    LAYERS,
    LAYERS_CSV,
    RUN,
    SAMPLES,
    SPREAD_CSV,
    SWEEP_CSV,
    TOTALS,
    Field,
    fields_in,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "glossary.md"
START, END = "<!-- {}: made by scripts/make_glossary_page.py -->", "<!-- end of {} -->"
POINT = (
    ("`trace`", "", "name of the trace"),
    ("`arch`", "", "name of the accelerator"),
    ("grid keys", "as in [configuration](configuration.md)",
     "one column for each key of the grid, with its value"),
    ("`layer_tws`", "time points", "window size of each layer, separated by `/`"),
    ("`samples`", "", "number of samples, `trace.samples`"),
)  # fmt: skip
"""Columns of a point before those of its run."""
ORIGIN = (
    ("`engine`", "", "memory engine"),
    ("`trace_sha256`", "", "`trace.sha256`"),
    ("`commit`", "", "`versions.commit`"),
    ("`source_sha256`", "", "`versions.source_sha256`"),
    ("`error`", "",
     "why the point could not be run, and then the columns of results are empty; empty if it was"),
)  # fmt: skip
CHIPS = "energy_by_level_pj"
"""Field of crossbar machines whose columns are those of another one."""
Row = tuple[str, ...]


def tables() -> dict[str, str]:
    """Tables of the page, by the name in their markers."""
    everywhere = [one for one in FIELDS if {LAYERS, TOTALS} <= set(one.places)]
    totals = [one for one in fields_in(TOTALS) if LAYERS not in one.places]
    layers = [one for one in fields_in(LAYERS) if TOTALS not in one.places]
    samples = [one for one in fields_in(SAMPLES) if TOTALS not in one.places]
    whole = ("key", "unit", "meaning", "formula")
    flat = ("column", "unit", "in results.json, or meaning")
    return {
        RUN: _table(("key", "meaning"), [(key, text) for key, _, text, _ in _keys(fields_in(RUN))]),
        "everywhere": _table(whole, _keys(everywhere)),
        TOTALS: _table(whole, _keys(totals)),
        LAYERS: _table(whole[:3], [row[:3] for row in _keys(layers)]),
        SAMPLES: _table(whole[:3], [row[:3] for row in _keys(samples)]),
        LAYERS_CSV: _table(flat, _columns(LAYERS_CSV)),
        ACCESSES_CSV: _table(
            ("column", "unit", "meaning"), [row[:3] for row in _keys(fields_in(ACCESSES_CSV))]
        ),
        SWEEP_CSV: _table(
            ("column", "unit", "in `totals`, or meaning"), [*POINT, *_spread(), *_columns(SWEEP_CSV), *ORIGIN]
        ),
    }


def _spread() -> list[Row]:
    """Columns of means and standard deviations."""
    return [
        (column, unit, f"{path} of a run" if re.fullmatch("`[^` ]+`", path) else path)
        for column, unit, path in _columns(SPREAD_CSV)
    ]


def rewritten(page: str) -> str:
    """Put the current tables between the page's markers."""
    for name, text in tables().items():
        start, end = START.format(name), END.format(name)
        before, rest = page.split(start)
        _, after = rest.split(end)
        page = f"{before}{start}\n{text}\n{end}{after}"
    return page


def _table(headings: Row, rows: Sequence[Row]) -> str:
    lines = [re.sub(r" +", " ", f"| {' | '.join(line)} |") for line in (headings, *rows)]
    return "\n".join([lines[0], "|---" * len(headings) + "|", *lines[1:]])


def _keys(found: Sequence[Field] | Iterator[Field]) -> list[Row]:
    """Rows of keys: key, unit, meaning and formula; of a mapping one for each part."""
    rows: list[Row] = []
    for one in found:
        if not one.parts:
            rows.append((f"`{one.name}`", one.unit, one.meaning, one.formula))
        for key, told in (one.parts or {}).items():
            meaning, formula = (told, "") if isinstance(told, str) else told
            rows.append((f"`{one.name}.{key}`", one.unit, meaning, formula))
    return rows


def _columns(table: str) -> list[Row]:
    """Rows of columns: name, unit, and the key that it is; or its meaning, where only tables have it."""
    rows: dict[str, Row] = {}
    for one in fields_in(table):
        parts = one.parts or {}
        alone = not {RUN, LAYERS, TOTALS, SAMPLES} & set(one.places)
        keys = one.parts if one.parts is None else [*one.parts, *one.others]
        paths = [one.name] if keys is None else [f"{one.name}.{key}" for key in keys]
        for column, path in zip(one.columns(), paths, strict=True):
            other = one.others.get(path.rpartition(".")[2])
            known = "same" if column == path else f"`{path}`"
            if alone:
                known = str(parts.get(path.rpartition(".")[2], one.meaning))
            nothing = "empty" if one.optional else "0"
            text = f"{known}: {other}; else {nothing}" if other else known
            of_chips = rows.get(column, ("", "", ""))[2]
            if of_chips.startswith(f"`{CHIPS}."):
                rows[column] = (f"`{column}`", one.unit, f"{text}; of a crossbar machine {of_chips}")
            rows.setdefault(column, (f"`{column}`", one.unit, text))
    return list(rows.values())


if __name__ == "__main__":
    keep_in_step(PAGE, rewritten, "make_glossary_page", __doc__)
