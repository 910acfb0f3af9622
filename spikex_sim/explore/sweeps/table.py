"""The table of a sweep: its columns, its Pareto front, its files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikex_sim.core.counts import Stalls
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.files import csv_text, write_files
from spikex_sim.costs.energy import COMPONENTS
from spikex_sim.run.results import RunResult

Row = dict[str, Any]
"""Column to value."""


def measures(result: RunResult) -> Row:
    """Take from a run what a sweep keeps of it."""
    return {name: value(result) for name, value in MEASURES.items()}


def row_of(labels: Mapping[str, Any], found: Mapping[str, Any] | None, error: str) -> Row:
    """Row of a point: its own columns, what was measured, and what went wrong, empty if nothing did."""
    return {**labels, **(found or dict.fromkeys(MEASURES)), "error": error}


def labels_of(trace: str, arch: str, point: Mapping[str, Any]) -> Row:
    """A point's own columns: trace, accelerator, and the swept keys as plain values."""
    return {"trace": trace, "arch": arch, **{name: _plain(value) for name, value in point.items()}}


def pareto_front(
    rows: Sequence[Row], by: tuple[str, str] = ("seconds", "energy_pj"), *, each: str = "trace_sha256"
) -> list[Row]:
    """Rows of a sweep that no other row of the same trace beats in both of two measures.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`spikex_sim.sweep` returns; points that failed are passed over.
    by : tuple of str
        Two columns, of which less is better: latency in s and energy in pJ.
    each : str
        Column whose values have a front each; points of different traces do not compare.

    Returns
    -------
    list of dict
        Trace by trace, in ascending order of the first measure. Points that are equal in both are all there.

    Examples
    --------
    >>> rows = [{"trace_sha256": "a", "seconds": s, "energy_pj": e} for s, e in [(3, 1), (1, 5), (2, 6)]]
    >>> [row["seconds"] for row in pareto_front(rows)]
    [1, 3]
    """
    first, second = by
    front: list[Row] = []
    finished = [row for row in rows if not row.get("error")]
    for name in dict.fromkeys(row[each] for row in finished):
        least: tuple[Any, Any] | None = None
        for row in sorted(
            (row for row in finished if row[each] == name), key=lambda r: (r[first], r[second])
        ):
            here = (row[first], row[second])
            if least is None or here[1] < least[1] or here == least:
                front.append(row)
                least = here
    return front


def check_parquet() -> None:
    """Raise :class:`ConfigError` unless what writes Parquet is installed."""
    try:
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as exc:
        raise ConfigError(
            f"needs pandas and pyarrow ({exc.name} is missing): pip install 'spikex_sim[parquet]'",
            field="parquet",
        ) from None


def write_table(folder: str | Path, rows: list[Row], *, parquet: bool) -> list[Path]:
    """Write ``sweep.csv``, and ``sweep.parquet`` if wanted; each appears whole or not at all."""
    contents: dict[str, str | bytes] = {"sweep.csv": csv_text(rows)}
    if parquet:
        contents["sweep.parquet"] = _parquet(rows)
    return write_files(folder, contents)


def _parquet(rows: list[Row]) -> bytes:
    import pandas as pd

    columns = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        texts = {isinstance(value, str) for value in values if value is not None}
        if len(texts) > 1:  # a column of a Parquet file has one type
            values = [None if value is None else str(value) for value in values]
        columns[name] = values
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return "/".join(map(str, value))
    return value if isinstance(value, int | float | str) else json.dumps(value)


def _total(name: str) -> Callable[[RunResult], Any]:
    return lambda run: getattr(run.totals, name)


def _stall(cause: str) -> Callable[[RunResult], int]:
    return lambda run: run.totals.stalls[cause]


def _energy(part: str) -> Callable[[RunResult], float]:
    return lambda run: run.totals.energy.components[part]


def _leakage(part: str) -> Callable[[RunResult], float]:
    return lambda run: run.totals.energy.leakage.get(part, 0.0)


MEASURES: dict[str, Callable[[RunResult], Any]] = {
    "layer_tws": lambda run: "/".join(str(layer.tws) for layer in run.layers if layer.tws),
    "cycles": lambda run: run.totals.cycles,
    "compute_cycles": lambda run: run.totals.compute_cycles,
    **{f"stall_{cause}_cycles": _stall(cause) for cause in Stalls()},
    **{
        name: _total(name)
        for name in (
            "seconds",
            "energy_pj",
            "energy_on_chip_pj",
            "edp_js",
            "power_mw",
            "tops",
            "tops_dense",
            "tops_per_watt",
            "utilization",
            "add_utilization",
            "ntwus",
            "batches",
            "streamed_taps",
            "accumulations",
            "lif_updates",
            "output_spikes",
            "estimate_pj",
        )
    },
    **{f"energy_{part}_pj": _energy(part) for part in COMPONENTS},
    **{f"leakage_{part}_pj": _leakage(part) for part in ("glb", "lbuf", "rf", "pe")},
    "engine": lambda run: run.engine,
    "trace_sha256": lambda run: run.trace["sha256"],
}
"""Columns of a sweep after the point's own, in order."""
