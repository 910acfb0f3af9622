"""Tables of plain text that never cut a number: what is too wide goes into a second table below."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from spikex_sim.core.text import harmless

GAP = 2
LONGEST_LABEL = 14
LONGEST_KEY = 40


def short(name: str, longest: int = LONGEST_LABEL) -> str:
    """Cut a name so that it leaves room for numbers."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def put_text(console: Console, text: Text) -> None:
    """Print a text, wrapped between words; a word that is wider than the console stays whole."""
    for one in text.split("\n", allow_blank=True):
        longest = max(map(cell_len, one.plain.split()), default=0)
        for line in one.wrap(console, max(console.width, longest)):
            line.rstrip()
            console.print(line, soft_wrap=True)


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

    def print_to(self, console: Console) -> None:
        """Print, in as many tables as the console's width asks for.

        Names that leave no room for the widest column are columns like others, and rows have numbers. What
        is wider than the console is a text: it begins at the left.
        """
        if self.title:
            put_text(console, Text(harmless(self.title), style="bold"))
        rows, labels, left = [self.headings, *self.rows], self.labels, self.labels
        if self._names_fill(console.width):
            rows = [("#", *self.headings), *((str(at), *row) for at, row in enumerate(self.rows, 1))]
            labels, left = 1, left + 1
        widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for part in self._parts(rows[0], labels, widths, console.width):
            for row in rows:
                cells = [
                    row[column] + pad if column < left or width > console.width else pad + row[column]
                    for column in part
                    for width in (widths[column],)
                    for pad in (" " * (width - cell_len(row[column])),)
                ]
                console.print(Text((" " * GAP).join(cells).rstrip()), soft_wrap=True)
            if part[-1] == len(widths) - 1 and self.caption:
                put_text(console, Text(harmless(self.caption)))
            console.print()

    def _names_fill(self, room: int) -> bool:
        """Whether long names, or several, leave no room beside them for some column."""
        widths = [
            max(cell_len(row[column]) for row in [self.headings, *self.rows])
            for column in range(len(self.headings))
        ]
        names, others = widths[: self.labels], widths[self.labels :]
        taken = sum(names) + GAP * len(names) + max(others, default=0)
        return taken > room and sum(names) > LONGEST_LABEL

    def _parts(self, headings: tuple[str, ...], labels: int, widths: list[int], room: int) -> list[list[int]]:
        """Columns of each table: the labels, and as many others as fit."""
        taken = sum(width + GAP for width in widths[:labels])
        parts, current, used = [], list(range(labels)), taken
        for group in self._groups(headings, labels, widths, room - taken):
            needed = sum(widths[column] + GAP for column in group)
            if used + needed - GAP > room and len(current) > labels:
                parts.append(current)
                current, used = list(range(labels)), taken
            current += group
            used += needed
        return [*parts, current]

    def _groups(
        self, headings: tuple[str, ...], labels: int, widths: list[int], room: int
    ) -> list[list[int]]:
        """Columns that are moved to another table together, unless they do not fit side by side."""
        groups: list[list[int]] = []
        for column in range(labels, len(headings)):
            belongs = bool(groups) and bool(self.beside) and headings[column] == self.beside
            if belongs and sum(widths[one] + GAP for one in groups[-1]) + widths[column] <= room:
                groups[-1].append(column)
            else:
                groups.append([column])
        return groups
