"""Tables in a terminal, which never cut a number: what is too wide goes into a second table below."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from spikex_sim.core.sheet import LONGEST_LABEL, Sheet
from spikex_sim.core.text import harmless

GAP = 2


def put_text(console: Console, text: Text) -> None:
    """Print a text, wrapped between words; a word that is wider than the console stays whole."""
    for one in text.split("\n", allow_blank=True):
        longest = max(map(cell_len, one.plain.split()), default=0)
        for line in one.wrap(console, max(console.width, longest)):
            line.rstrip()
            console.print(line, soft_wrap=True)


def print_sheet(sheet: Sheet, console: Console) -> None:
    """Print, in as many tables as the console's width asks for.

    Names that leave no room for the widest column are columns like others, and rows have numbers. What
    is wider than the console is a text: it begins at the left.
    """
    if sheet.title:
        put_text(console, Text(harmless(sheet.title), style="bold"))
    rows, labels, left = [sheet.headings, *sheet.rows], sheet.labels, sheet.labels
    if _names_fill(sheet, console.width):
        rows = [("#", *sheet.headings), *((str(at), *row) for at, row in enumerate(sheet.rows, 1))]
        labels, left = 1, left + 1
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for part in _parts(sheet, rows[0], labels, widths, console.width):
        for row in rows:
            cells = [
                row[column] + pad if column < left or width > console.width else pad + row[column]
                for column in part
                for width in (widths[column],)
                for pad in (" " * (width - cell_len(row[column])),)
            ]
            console.print(Text((" " * GAP).join(cells).rstrip()), soft_wrap=True)
        if part[-1] == len(widths) - 1 and sheet.caption:
            put_text(console, Text(harmless(sheet.caption)))
        console.print()


def _names_fill(sheet: Sheet, room: int) -> bool:
    """Whether long names, or several, leave no room beside them for some column."""
    widths = [
        max(cell_len(row[column]) for row in [sheet.headings, *sheet.rows])
        for column in range(len(sheet.headings))
    ]
    names, others = widths[: sheet.labels], widths[sheet.labels :]
    taken = sum(names) + GAP * len(names) + max(others, default=0)
    return taken > room and sum(names) > LONGEST_LABEL


def _parts(
    sheet: Sheet, headings: tuple[str, ...], labels: int, widths: list[int], room: int
) -> list[list[int]]:
    """Columns of each table: the labels, and as many others as fit."""
    taken = sum(width + GAP for width in widths[:labels])
    parts, current, used = [], list(range(labels)), taken
    for group in _groups(sheet, headings, labels, widths, room - taken):
        needed = sum(widths[column] + GAP for column in group)
        if used + needed - GAP > room and len(current) > labels:
            parts.append(current)
            current, used = list(range(labels)), taken
        current += group
        used += needed
    return [*parts, current]


def _groups(
    sheet: Sheet, headings: tuple[str, ...], labels: int, widths: list[int], room: int
) -> list[list[int]]:
    """Columns that are moved to another table together, unless they do not fit side by side."""
    groups: list[list[int]] = []
    for column in range(labels, len(headings)):
        belongs = bool(groups) and bool(sheet.beside) and headings[column] == sheet.beside
        if belongs and sum(widths[one] + GAP for one in groups[-1]) + widths[column] <= room:
            groups[-1].append(column)
        else:
            groups.append([column])
    return groups
