"""What the SpikeX paper published, one row a figure."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
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
        ``percent``, ``ratio``, or what the choice was among.
    """

    id: str
    source: str
    quantity: str
    condition: str
    value: float
    unit: str

    @property
    def figure(self) -> str:
        """Figure whose study measures it: ``fig9``, ``fig10``, ``fig12`` or ``fig13``."""
        name = self.id.partition("-")[0]
        return name if name.startswith("fig") else "fig13"


@lru_cache(maxsize=1)
def published() -> tuple[Published, ...]:
    """All rows, in the paper's order."""
    text = (files("spikex_sim.papers.spikex") / "published.csv").read_text(encoding="utf-8")
    return tuple(
        Published(
            row["id"], row["source"], row["quantity"], row["condition"], float(row["published"]), row["unit"]
        )
        for row in csv.DictReader(text.splitlines())
    )
