"""Tables of a report: columns with unit and meaning, numbers that can be read, rows that can be sorted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikex_sim.core.text import counted
from spikex_sim.report.escaping import escaped
from spikex_sim.run.fields import (
    ACCESSES_CSV,
    LAYERS_CSV,
    SAMPLES,
    SPREAD_CSV,
    SWEEP_CSV,
    TOTALS,
    Field,
    fields_in,
)

MAX_ROWS = 2000
"""Most rows that are shown."""
DIGITS = 4
LONG = 36
"""Characters of a text from which it may be broken anywhere."""
_LEAST, _MOST = 1e-3, 1e10
"""Between these, numbers are written without a power of ten."""
_LONGEST, _FARTHEST = 10**15, 10**300
"""Whole numbers from which they are written with one too."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNITS = {
    "pj": "pJ",
    "uj": "µJ",
    "js": "Js",
    "seconds": "s",
    "cycles": "cycles",
    "mm2": "mm²",
    "um2": "µm²",
    "bits": "bits",
    "mw": "mW",
    "percent": "%",
    "ms": "ms",
    "bytes": "B",
    "mhz": "MHz",
    "ratio": "×",
    "kohm": "kΩ",
}
"""Units by the end of a column's name."""
_PLACES = {
    LAYERS_CSV: (LAYERS_CSV,),
    ACCESSES_CSV: (ACCESSES_CSV,),
    SWEEP_CSV: (SWEEP_CSV, SPREAD_CSV),
    TOTALS: (TOTALS,),
    SAMPLES: (SAMPLES,),
}


@dataclass(frozen=True)
class Column:
    """A column: key of the rows and heading, unit, meaning, and whether it is shown from the start."""

    name: str
    unit: str = ""
    meaning: str = ""
    main: bool = True


def column_of(name: str, table: str = "", *, main: bool = True) -> Column:
    """Column of a table that the program writes, with the unit and the meaning that the glossary gives it."""
    unit = UNITS.get(name.rsplit("_", 1)[-1], "")
    for place in _PLACES.get(table, ()):
        for one in fields_in(place):
            if one.name == name or (one.column and one.has_column(name)):
                return Column(name, one.unit or unit, _meaning(one, name), main)
    return Column(name, unit, "", main)


def _meaning(one: Field, column: str) -> str:
    found: str | tuple[str, str] = one.meaning
    if one.parts is not None and "{}" in one.column:
        before, after = one.column.split("{}")
        part = column.removeprefix(before).removesuffix(after)
        found = {**one.parts, **one.others}.get(part, one.meaning)
    text = found if isinstance(found, str) else " = ".join(found)
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "").replace("**", "")


def number_text(value: float) -> str:
    """Number as people read it: whole ones in full, others with four digits.

    Examples
    --------
    >>> number_text(58830350), number_text(0.83941), number_text(9.6e-8), number_text(12345.678)
    ('58,830,350', '0.8394', '9.600×10⁻⁸', '12,346')
    """
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < _LONGEST else _with_power(value)
    if not math.isfinite(value):
        return "−∞" if value < 0 else "∞" if value > 0 else "–"
    if value == 0:
        return "0"
    if _LEAST <= abs(value) < _MOST:
        decimals = max(0, DIGITS - 1 - math.floor(math.log10(abs(value))))
        return f"{value:,.{decimals}f}"
    return _with_power(value)


def _with_power(value: float) -> str:
    value = min(max(value, -_FARTHEST), _FARTHEST)  # whole numbers from a file may be larger than floats are
    mantissa, power = f"{value:.{DIGITS - 1}e}".split("e")
    return f"{mantissa}×10{str(int(power)).translate(_RAISED)}"


def cell(value: Any) -> str:
    """A table's cell; its value in full beside the number that is shown, for sorting and copying."""
    if value is None or value == "":
        return "<td></td>"
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, int | float):
        shown, whole = number_text(value), repr(value)
        return f"<td>{shown}</td>" if shown == whole else f'<td data-v="{whole}">{shown}</td>'
    long = ' class="long"' if len(str(value)) > LONG else ""
    return f"<td{long}>{escaped(value)}</td>"


def table(
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    caption: str,
    *,
    selectable: bool = False,
    source: str = "",
) -> str:
    """Make a table that can be sorted by any column.

    Parameters
    ----------
    columns : sequence of Column
        In order; those in which no row has anything are left out.
    rows : sequence of dict
        In the order of the file; the first :data:`MAX_ROWS` are shown, and their number is said.
    caption : str
        What it is, plain text.
    selectable : bool
        Whether rows have a box each, for selection together with charts.
    source : str
        File that has all rows.
    """
    shown = rows[:MAX_ROWS]
    columns = [one for one in columns if any(row.get(one.name) not in (None, "") for row in shown)]
    numeric = {one.name for one in columns if _is_numeric(row.get(one.name) for row in shown)}
    extra = {one.name for one in columns if not one.main}
    head = "".join(_heading(one, numeric=one.name in numeric) for one in columns)
    box = '<th scope="col" class="pick"><span class="hidden">selected</span></th>' if selectable else ""
    body = []
    for index, row in enumerate(shown):
        pick = _box(index) if selectable else ""
        number = f' data-row="{index}"' if selectable else ""
        cells = "".join(
            _classed(cell(row.get(one.name)), one.name in numeric, one.name in extra) for one in columns
        )
        body.append(f"<tr{number}>{pick}{cells}</tr>")
    left = len(rows) - len(shown)
    more = f"; {counted(left, 'more')} in {escaped(source)}".replace("mores", "more") if left else ""
    tools = '<label><input type="checkbox" class="all-columns"> all columns</label>' if extra else ""
    if len(shown) > 12:
        tools = f'<label>filter <input type="search" class="filter" autocomplete="off"></label>{tools}'
    what = escaped(caption)
    return (
        f'<div class="tabled"><div class="tools">{tools}</div>'
        f'<div class="scroll" role="region" tabindex="0" aria-label="{what}">'
        f'<table class="sortable"><caption>{what}{more}</caption>'
        f"<thead><tr>{box}{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div></div>"
    )


def _is_numeric(values: Iterable[Any]) -> bool:
    found = [value for value in values if value not in (None, "")]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in found)


def _heading(one: Column, *, numeric: bool) -> str:
    unit = f' <span class="unit">{escaped(one.unit)}</span>' if one.unit else ""
    title = f' title="{escaped(one.meaning)}"' if one.meaning else ""
    classes = " ".join(word for word, there in (("n", numeric), ("extra", not one.main)) if there)
    kind = f' class="{classes}"' if classes else ""
    label = f'<span class="label">{escaped(one.name)}</span>'
    return f'<th scope="col"{kind}{title}><button type="button">{label}{unit}</button></th>'


def _box(index: int) -> str:
    return f'<td class="pick"><input type="checkbox" aria-label="select row {index + 1}"></td>'


def _classed(made: str, numeric: bool, extra: bool) -> str:
    classes = " ".join(word for word, there in (("n", numeric), ("extra", extra)) if there)
    if not classes:
        return made
    if made.startswith('<td class="'):
        return made.replace('<td class="', f'<td class="{classes} ', 1)
    return made.replace("<td", f'<td class="{classes}"', 1)


def facts(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and values below each other."""
    lines = (f"<div><dt>{escaped(name)}</dt><dd>{_plain(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="facts">{"".join(lines)}</dl>'


def _plain(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    return escaped("–" if value in (None, "") else value)
