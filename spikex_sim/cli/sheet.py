"""Tables of plain text that never cut a number: what is too wide goes into a second table below."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spikex_sim.core.text import harmless

GAP = 2
LONGEST_LABEL = 14
LONGEST_KEY = 40


def short(name: str, longest: int = LONGEST_LABEL) -> str:
    """Cut a name so that it leaves room for numbers."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


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

    def add_row(self, *cells: str) -> None:
        """Add a row, one text a column."""
        self.rows.append(tuple(map(harmless, cells)))

    def print_to(self, console: Console) -> None:
        """Print, in as many tables as the console's width asks for."""
        widths = [
            max(cell_len(row[column]) for row in [self.headings, *self.rows])
            for column in range(len(self.headings))
        ]
        if self.title:
            console.print(Text(harmless(self.title), style="bold"))
        for part in self._parts(widths, console.width):
            made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
            for column in part:
                left = column < self.labels
                made.add_column(
                    Text(self.headings[column]), justify="left" if left else "right", no_wrap=True
                )
            for row in self.rows:
                made.add_row(*(Text(row[column]) for column in part))
            needed = sum(widths[column] + GAP for column in part)
            console.print(made, width=needed, crop=False, soft_wrap=True)
            if part[-1] == len(widths) - 1 and self.caption:
                console.print(Text(harmless(self.caption)))
            console.print()

    def _parts(self, widths: list[int], room: int) -> list[list[int]]:
        """Columns of each table: the labels, and as many others as fit."""
        labels = list(range(self.labels))
        taken = sum(widths[column] + GAP for column in labels)
        parts, current, used = [], list(labels), taken
        for group in self._groups(widths, room - taken):
            needed = sum(widths[column] + GAP for column in group)
            if used + needed - GAP > room and len(current) > len(labels):
                parts.append(current)
                current, used = list(labels), taken
            current += group
            used += needed
        return [*parts, current]

    def _groups(self, widths: list[int], room: int) -> list[list[int]]:
        """Columns that are moved to another table together, unless they do not fit side by side."""
        groups: list[list[int]] = []
        for column in range(self.labels, len(self.headings)):
            belongs = bool(groups) and bool(self.beside) and self.headings[column] == self.beside
            if belongs and sum(widths[one] + GAP for one in groups[-1]) + widths[column] <= room:
                groups[-1].append(column)
            else:
                groups.append([column])
        return groups
