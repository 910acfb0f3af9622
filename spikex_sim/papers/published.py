"""Numbers that papers published, one row a figure."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Published:
    """One published number.

    Attributes
    ----------
    id : str
        Name of the row.
    source, quantity, condition : str
        Figure or section of the paper, what the number is, and of what.
    value : float
        The number.
    unit : str
        Its unit.
    """

    id: str
    source: str
    quantity: str
    condition: str
    value: float
    unit: str


def rows_of(paper: str) -> list[dict[str, str]]:
    """Rows of the ``published.csv`` of a package of :mod:`spikex_sim.papers`, in order."""
    text = (files(f"spikex_sim.papers.{paper}") / "published.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def fields_of(row: dict[str, str]) -> tuple[str, str, str, str, float, str]:
    """What every :class:`Published` begins with."""
    return row["id"], row["source"], row["quantity"], row["condition"], float(row["published"]), row["unit"]
