"""Rewrite the tables of docs/imc-studies.md, and draw its figures, from the rows in docs/imc-studies.

    python scripts/make_imc_studies_page.py [--check]

Rows are those that `spikex-sim imc-study` wrote, by the commands that the page has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pages import filled, keep_in_step, markdown_table

from spikex_sim.core.units import joules, with_prefix
from spikex_sim.plots.files import read_rows
from spikex_sim.plots.imc import IMC_FIGURES
from spikex_sim.plots.style import columns, file_bytes

PAGE = Path(__file__).resolve().parents[1] / "docs" / "imc-studies.md"
FOLDER = PAGE.with_suffix("")
NAMES = {"first": "time points", "channels_divided_by": "channels of conv1 /"}
"""Headings of settings that are no keys of a configuration."""
AREAS = {"area_mm2": "area", "area_lif_mm2": "LIF area"}
DRAWN_ONLY = ("imc-keys",)
"""Studies with too many settings for a table."""


def table(rows: list[dict[str, Any]]) -> str:
    """A study's settings and figures."""
    names = list(rows[0])
    keys = names[names.index("arch") + 1 : names.index("samples")]
    headings = [NAMES.get(key) or f"`{key.removeprefix('imc.')}`" for key in keys]
    known = rows[0]["accuracy"] is not None
    figures = ["right", "changed spikes"] if known else []
    cells = []
    for row in rows:
        right = (
            [f"{100 * row['accuracy']:.0f} %", f"{100 * row['changed_spikes'] / row['output_spikes']:.0f} %"]
            if known
            else []
        )
        costs = [joules(row["energy_pj"]), with_prefix(row["seconds"], "s")]
        areas = [f"{row[name]:.3g} mm²" for name in AREAS]
        settings = ["" if row[key] is None else str(row[key]) for key in keys]
        cells.append([*settings, *right, *costs, *areas])
    return markdown_table([*headings, *figures, "energy", "latency", *AREAS.values()], cells)


def tables() -> Iterator[tuple[str, str]]:
    """Tables of the page, by the name in their markers."""
    for file in sorted(FOLDER.glob("imc-*.csv")):
        if file.stem not in DRAWN_ONLY:
            yield file.stem, table([dict(row) for row in read_rows(file)])


def draw() -> None:
    """Draw every study."""
    for file in FOLDER.glob("imc-*.csv"):
        figure, _ = IMC_FIGURES[file.stem](read_rows(file), None, columns(2))
        file.with_suffix(".svg").write_bytes(file_bytes(figure, "svg"))


def rewritten(page: str) -> str:
    """Put the current tables between the page's markers."""
    return filled(page, "make_imc_studies_page", tables())


if __name__ == "__main__":
    if "--check" not in sys.argv:
        draw()
    keep_in_step(PAGE, rewritten, "make_imc_studies_page", __doc__)
