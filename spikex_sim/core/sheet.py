"""Tables of text: cells as a reader sees them, whatever shows them, a terminal or a notebook."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spikex_sim.core.text import harmless

LONGEST_LABEL = 14
LONGEST_KEY = 40


def short(name: str, longest: int = LONGEST_LABEL) -> str:
    """Cut a name so that it leaves room for numbers."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def percent(part: float, whole: float) -> str:
    """Share as a percentage, empty where there is no whole."""
    return f"{100 * part / whole:.1f}" if whole else ""


def count(number: int) -> str:
    """Write a count in full up to a million, in millions beyond."""
    return f"{number:,}" if number < 1_000_000 else f"{number / 1e6:,.2f} M"


def cell(value: Any) -> str:
    """Write any value of a CSV for a reader: whole numbers in full, others with four digits."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass
class Sheet:
    """A table whose first ``labels`` columns name the row and whose others are right-aligned.

    Attributes
    ----------
    title, caption : str
        Above and below.
    headings : tuple of str
        Of all columns.
    labels : int
        How many columns are repeated where the table has to be cut.
    beside : str
        Heading of columns that are not cut off from the column before them.
    """

    title: str
    headings: tuple[str, ...]
    labels: int = 1
    caption: str = ""
    beside: str = ""
    rows: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.headings)

    def add_row(self, *cells: str) -> None:
        """Add a row, one text a column."""
        self.rows.append(tuple(map(harmless, cells)))


def table(title: str, *headings: str, left: int = 1) -> Sheet:
    """Make an empty table; all but the first ``left`` columns are numbers."""
    return Sheet(title, headings, left)
