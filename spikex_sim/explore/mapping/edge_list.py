"""Networks as lists of edges in text (Section 1)."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.memory import check_memory
from spikex_sim.explore.mapping.documents import check_edges, pairs_of
from spikex_sim.explore.mapping.text_file import MAX_FILE_BYTES, lines_of, number_of, place_of
from spikex_sim.mapped.graph import MOST_NODES, NeuronGraph
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

SOURCES = ("source", "from", "src", "pre")
TARGETS = ("target", "to", "dst", "post")
WEIGHTS = ("weight", "w")
MOST_COLUMNS = 256
BYTES_A_BYTE = 48
"""Memory for a byte of text: a label of 4 characters takes 56 bytes, its place in a table some 130."""
_COMMENT = re.compile(r"(^|\s)#.*$")
_MISSING = ("nan", "null", "none")


class _Columns(NamedTuple):
    """Which columns are what; of the weight None where there is none."""

    source: int
    target: int
    weight: int | None


def load_edge_list(path: Path, *, keep_zeros: bool) -> NeuronGraph:
    """Read ``source target [weight]``, a line each, separated by commas, semicolons, tabs or spaces.

    Parameters
    ----------
    path : Path
        What follows ``#``, at the start of a line or after a space, is passed over. The first line may name
        its columns. Labels are numbered as they appear; one alone is a node without edges.
    keep_zeros : bool
        Keep edges of weight 0.

    Raises
    ------
    ConfigError
        Naming the line.
    """
    where = place_of(path)
    numbers: dict[str, int] = {}
    ends = array("q")
    columns: _Columns | None = None
    with open_regular(path, MAX_FILE_BYTES, ConfigError) as handle:
        check_memory(BYTES_A_BYTE * path.stat().st_size, "the network", where=where)
        for line, cells in _rows(lines_of(handle, where), where):
            if columns is None:
                columns, is_header = _columns(cells, where, line)
                if is_header:
                    continue
            labels, kept = _edge(cells, columns, where, line)
            for label in labels:
                numbers.setdefault(label, len(numbers))
            if len(numbers) > MOST_NODES:
                raise ConfigError(f"more than {MOST_NODES:,} labels", where=where, field=f"line {line}")
            if len(labels) == 2 and (kept or keep_zeros):
                ends.extend((numbers[labels[0]], numbers[labels[1]]))
                check_edges(len(ends) // 2, where, f"line {line}")
    if not numbers:
        raise ConfigError("holds no edge: no line with a source and a target", where=where)
    return NeuronGraph.of(shown(path.stem), len(numbers), 0, pairs_of(ends), where=where)


def _rows(lines: Iterator[tuple[int, str]], where: str) -> Iterator[tuple[int, list[str]]]:
    """Cells of each line that has some."""
    mark: str | None = ""
    for number, line in lines:
        text = _COMMENT.sub("", line) if "#" in line else line
        if not text.strip():
            continue
        if mark == "":
            mark = next((one for one in ",;\t" if one in text), None)
        cells = text.split()
        if mark is not None:
            try:
                cells = next(csv.reader([text], delimiter=mark, strict=True))
            except csv.Error as exc:
                raise ConfigError(f"is damaged: {exc}", where=where, field=f"line {number}") from None
        yield number, [cell.strip() for cell in cells]


def _columns(cells: Sequence[str], where: str, line: int) -> tuple[_Columns, bool]:
    """Columns by the first line, and whether it is a header: known names, or a weight that is text."""
    names = [cell.lower() for cell in cells]

    def place(known: Sequence[str]) -> int | None:
        return next((at for at, name in enumerate(names) if name in known), None)

    source, target = place(SOURCES), place(TARGETS)
    if source is not None and target is not None:
        return _Columns(source, target, place(WEIGHTS)), True
    if len(cells) > 3:
        raise ConfigError(f"has {len(cells)} columns, none called source and target; wants source, target "
                          "and at most a weight", where=where, field=f"line {line}")  # fmt: skip
    is_header = len(cells) == 3 and cells[2] != "" and number_of(cells[2]) is None
    # "1 2 heavy" is a mistake, not names of columns.
    is_header = is_header and not any(number_of(cell) is not None for cell in cells[:2])
    return _Columns(0, 1, 2), is_header


def _edge(cells: Sequence[str], columns: _Columns, where: str, line: int) -> tuple[list[str], bool]:
    """Labels of a line, one or two, and whether the weight is other than 0."""

    def wrong(message: str) -> ConfigError:
        return ConfigError(message, where=where, field=f"line {line}")

    if len(cells) > MOST_COLUMNS or (columns == (0, 1, 2) and len(cells) > 3):
        raise wrong(f"has {len(cells)} cells; wants source, target and at most a weight")
    given = dict(enumerate(cells))
    labels = [given.get(columns.source, ""), given.get(columns.target, "")]
    weight = None if columns.weight is None else given.get(columns.weight, "")
    if not labels[0]:
        raise wrong("has no source")
    for label in labels:
        if label.lower() in _MISSING:
            raise wrong(f"{label!r:.10} stands for what is missing, and names no node")
    if not labels[1]:
        if weight:
            raise wrong("has a weight, but no target")
        return labels[:1], False
    value: float | None = 1.0
    if weight:
        with suppress(OverflowError):
            value = number_of(weight)
        if value is None:
            raise wrong(f"the weight {shown(weight, 40)!r} is no number")
    return labels, value != 0
