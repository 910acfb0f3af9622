"""Tables that a report is made of, checked: every column that this version writes is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import ResultsError
from spikex_sim.explore.documents import json_of
from spikex_sim.explore.evaluation import SCHEMA
from spikex_sim.plots.files import FIELDS, MAX_BYTES
from spikex_sim.plots.table import MOST, Rows


def check_columns(rows: Rows, table: str, where: str) -> None:
    """Raise :class:`ResultsError` unless a table has every column that all of its kind have."""
    for one in FIELDS[table]:
        if one.of_some:
            continue
        for column in one.columns():
            if column not in rows[0]:
                raise ResultsError(
                    "no such column; it is damaged or of another version: run it again",
                    where=where,
                    field=column,
                )


def read_evaluations(file: Path) -> dict[str, Any]:
    """Read an ``evaluate.json`` of this version as far as a report shows it.

    Raises
    ------
    ResultsError
        If it cannot be read, is of another version, or lacks something.
    """
    where = str(file)
    content = json_of(file, "what evaluate writes", MAX_BYTES)
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise ResultsError(
            f"must be {SCHEMA}, the layout of this version, not {schema!r:.40}; run it again",
            where=where,
            field="schema",
        )
    for path, kind in _WANTED.items():
        for found in _found(content, path.split("."), where, path):
            if not isinstance(found, kind) or isinstance(found, bool) or not _is_finite(found):
                raise ResultsError(
                    f"is not what evaluate writes: {str(found)!r:.40}", where=where, field=path
                )
    return dict(content)


_WANTED: dict[str, Any] = {
    "versions": dict,
    "network": dict,
    "network.name": str,
    "network.sha256": str | None,
    "data": dict,
    "data.source": str,
    "data.sha256": str | None,
    "data.samples": int,
    "runs": list,
    "runs.*": dict,
    "runs.*.arch": str,
    "runs.*.engine": str,
    "runs.*.accuracy": int | float,
    "runs.*.tws": list,
    "runs.*.mean": dict,
    "runs.*.layers": list,
    "runs.*.layers.*": dict,
    **{
        f"runs.*.mean.{key}": int | float
        for key in ("cycles", "seconds", "energy_pj", "energy_on_chip_pj", "edp_js")
    },
}
"""Kinds of what a report shows of an evaluation, ``*`` for every entry of a list, which has one."""


def _found(content: Any, path: list[str], where: str, whole: str) -> Iterator[Any]:
    if not path:
        yield content
        return
    key, *rest = path
    if key == "*":
        if not content:
            raise ResultsError("is an empty list", where=where, field=whole)
        for one in content:
            yield from _found(one, rest, where, whole)
        return
    if key not in content:
        raise ResultsError("missing", where=where, field=whole)
    yield from _found(content[key], rest, where, whole)


def _is_finite(value: Any) -> bool:
    return not isinstance(value, int | float) or 0 <= value <= MOST
