"""Tables of text as HTML for notebooks: small, in the notebook's colours, and text stays text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from spikex_sim.core.sheet import Sheet, short
from spikex_sim.core.text import harmless

FIRST_ROWS, LAST_ROWS = 40, 5
"""Rows that are shown of a table with more: sums are at the end."""
MOST_COLUMNS = 24
LONGEST_CELL = 80
LONGEST_TEXT = 600
STYLE = """<style>
.spikex-sim{overflow-x:auto;max-width:100%;font-variant-numeric:tabular-nums}
.spikex-sim p,.spikex-sim details{margin:.2em 0}
.spikex-sim table{border-collapse:collapse;margin:.2em 0 .7em;font-size:90%;color:inherit}
.spikex-sim caption{text-align:left;font-weight:bold;padding:.1em 0;color:inherit}
.spikex-sim th,.spikex-sim td{padding:.1em .6em;border:0;text-align:right;white-space:nowrap;background:none}
.spikex-sim th{font-weight:normal}
.spikex-sim thead th{border-bottom:1px solid;opacity:.75}
.spikex-sim .name{text-align:left;white-space:normal}
.spikex-sim .note{opacity:.75;font-size:85%}
</style>"""


def html_of(
    title: str, sheets: Sequence[Sheet] = (), *, texts: Sequence[str] = (), folded: Sequence[Sheet] = ()
) -> str:
    """Write a result for a notebook.

    Parameters
    ----------
    title : str
        What it is, in a line.
    sheets : sequence of Sheet
        Tables that are seen at once.
    texts : sequence of str
        Lines below the title.
    folded : sequence of Sheet
        Tables that are seen when their title is clicked.

    Returns
    -------
    str
        Without scripts and links. Text is escaped and long text cut; of long tables the first and last rows
        are there, and of wide ones the first columns. Colours are inherited: they suit light and dark.
    """
    parts = [STYLE, '<div class="spikex-sim">', f"<p><b>{_text(title, LONGEST_TEXT)}</b></p>"]
    parts += [f"<p>{_text(text, LONGEST_TEXT)}</p>" for text in texts if text]
    parts += [_table(sheet) for sheet in sheets if sheet.rows]
    for sheet in folded:
        if sheet.rows:
            summary = _text(sheet.title, LONGEST_TEXT)
            parts.append(f"<details><summary>{summary}</summary>{_table(sheet, titled=False)}</details>")
    return "\n".join([*parts, "</div>"])


def _table(sheet: Sheet, *, titled: bool = True) -> str:
    columns = range(min(sheet.width, MOST_COLUMNS))
    cut = sheet.width > MOST_COLUMNS
    title = f"<caption>{_text(sheet.title, LONGEST_TEXT)}</caption>" if titled and sheet.title else ""
    head = "".join(_cell(sheet.headings[one], "th", named=one < sheet.labels) for one in columns)
    lines = [f"<table>{title}<thead><tr>{head}{'<th>…</th>' if cut else ''}</tr></thead><tbody>"]
    for row in _rows(sheet):
        if isinstance(row, int):
            lines.append(f'<tr><td class="name" colspan="{len(columns) + cut}">… {row:,} more rows</td></tr>')
            continue
        cells = "".join(
            _cell(row[one], "th" if one < sheet.labels else "td", named=one < sheet.labels) for one in columns
        )
        lines.append(f"<tr>{cells}{'<td>…</td>' if cut else ''}</tr>")
    lines.append("</tbody></table>")
    lines += [f'<p class="note">{_text(line, LONGEST_TEXT)}</p>' for line in sheet.caption.splitlines()]
    return "\n".join(lines)


def _rows(sheet: Sheet) -> Iterator[tuple[str, ...] | int]:
    """Rows that are shown, and in the place of others how many they are."""
    left_out = len(sheet.rows) - FIRST_ROWS - LAST_ROWS
    if left_out <= 1:
        yield from sheet.rows
        return
    yield from sheet.rows[:FIRST_ROWS]
    yield left_out
    yield from sheet.rows[-LAST_ROWS:]


def _cell(text: str, tag: str, *, named: bool) -> str:
    kind = ' class="name"' if named else ""
    return f"<{tag}{kind}>{_text(text, LONGEST_CELL)}</{tag}>"


def _text(text: str, longest: int) -> str:
    return escape(harmless(short(text, longest)))
