"""Tables of areas: by part, with what is missing in them and the rows they are from."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from spikex_sim.core.sheet import Sheet, table
from spikex_sim.costs.areas import told
from spikex_sim.costs.energy import EnergyModel
from spikex_sim.run.results import RunResult
from spikex_sim.run.tables import heading

KNOWN = "known"
"""What a row or column of sums is called: areas are those of the parts that are known."""


def area_table(result: RunResult) -> Sheet:
    """Areas of the parts of a machine, their sum, what is missing in it, and the rows they are from."""
    totals = result.totals
    made = table("Area", "part", "mm²")
    for name, area in totals.area_mm2_by.items():
        made.add_row(heading(name), f"{area:.4g}")
    if totals.area_mm2 is not None:
        made.add_row(KNOWN, f"{totals.area_mm2:.4g}")
    found = sources(result.energy_model, totals.area_mm2_by)
    if totals.imc is not None:  # components take from many rows, which have few sources
        found = list(dict.fromkeys(text.split("; ")[0].split(": ", 2)[-1] for text in found))
    made.caption = "\n".join([*missing(totals.area_absent), *found])
    return made


def missing(absent: Mapping[str, str]) -> list[str]:
    """A line that names what is in no area; none where nothing is missing."""
    return [f"without {told({heading(name): why for name, why in absent.items()})}"] if absent else []


def sources(model: EnergyModel, parts: Collection[str]) -> list[str]:
    """Rows that areas are from, part by part, and where an area has a source of its own that one."""
    return [
        f"{heading(one.name)}: {_source(text)}"
        for one in model.components
        for text in dict.fromkeys(one.provenance.values())
        if one.name in parts
    ]


def _source(text: str) -> str:
    first, *more = text.split("; ")
    return "; ".join([first, *(clause for clause in more if clause.startswith(("area: ", "x (")))])
