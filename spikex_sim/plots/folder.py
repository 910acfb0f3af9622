"""Which figures a folder of results permits, and the rows that each is drawn from."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from spikex_sim.core.errors import FigureError
from spikex_sim.core.hints import closest_path
from spikex_sim.plots import layers, machines, spikes, sweeps
from spikex_sim.plots.paper import PAPER_FIGURES
from spikex_sim.plots.style import Style, file_bytes
from spikex_sim.plots.table import Rows, trace_of
from spikex_sim.trace.store import SUFFIXES, load_trace

RESULTS, LAYERS, ACCESSES, SWEEP = "results.json", "layers.csv", "accesses.csv", "sweep.csv"
NAMES = (
    "energy-components", "energy-tensors", "stalls", "utilization", "roofline", "comparison", "tws",
    "firing-rate", "array-size", "pareto", "raster", *PAPER_FIGURES,
)  # fmt: skip
"""Every figure, by the name of its file."""
TEXTS = frozenset({"name", "layer", "trace", "arch", "error"})
"""Columns that are text, whatever they look like."""
STUDY_TEXTS = frozenset(
    {"network", "variant", "configuration", "layer", "arch", "parameter", "value", "chosen", "figure", "data"}
)
"""The same of the paper's studies, in which errors are numbers."""


@dataclass(frozen=True)
class Drawing:
    """A figure that could be drawn.

    Attributes
    ----------
    name : str
        One of :data:`NAMES`.
    rows : callable
        Gives its rows.
    draw : callable
        Draws them: ``draw(rows, ax, style)``.
    where : str
        File that messages name.
    lacks : str
        Why the folder does not permit it, in one line; empty if it does.
    """

    name: str
    rows: Callable[[], Rows]
    draw: Callable[..., tuple[Figure, Any]]
    where: str
    lacks: str = ""

    def files(self, formats: tuple[str, ...], style: Style) -> dict[str, bytes]:
        """Contents of the figure's files by name; errors name the file that the rows are from."""
        try:
            figure, _ = self.draw(self.rows(), None, style)
            return {f"{self.name}.{form}": file_bytes(figure, form) for form in formats}
        except FigureError as exc:
            message = str(exc)
            raise FigureError(message, where="" if message.startswith(self.where) else self.where) from None


def drawings_of(path: Path, tws: int = 4) -> list[Drawing]:
    """Figures that a folder of a run, of runs, of a sweep or of the paper's studies, or a trace permits.

    Parameters
    ----------
    path : Path
        Folder or trace file.
    tws : int
        Window size of a trace's raster, time points.

    Raises
    ------
    FigureError
        If it is none of these, or if a file in it is missing or malformed.
    TraceError
        If a trace file cannot be read.
    """
    if path.suffix.lower() in SUFFIXES:
        trace = load_trace(path)
        return [Drawing("raster", lambda: spikes.spike_rows(trace, tws), spikes.raster, str(path))]
    if not path.is_dir():
        raise FigureError(f"no such folder{closest_path(path, folders=True)}", where=str(path))
    found: list[Drawing] = []
    if (path / RESULTS).is_file():
        found += _of_run(path)
    if (path / SWEEP).is_file():
        found += _of_sweep(path / SWEEP)
    found += _of_studies(path)
    children = [child for child in path.iterdir() if (child / RESULTS).is_file()]
    if children and not found:
        found += _of_runs(path, sorted(children, key=_natural))
    if not found:
        raise FigureError(
            f"holds no results: neither {RESULTS} nor {SWEEP}, nor folders with {RESULTS}, nor fig9.csv or "
            "the like; run, compare, sweep and reproduce write them with --out",
            where=str(path),
        )
    return found


def _of_run(path: Path) -> Iterator[Drawing]:
    rows, accesses = read_rows(path / LAYERS), read_rows(path / ACCESSES)
    config = entry(read_results(path / RESULTS), "config", path)
    place = str(path / LAYERS)
    yield Drawing("energy-components", lambda: rows, layers.energy_by_component, place)
    yield Drawing("energy-tensors", lambda: accesses, layers.energy_by_tensor, str(path / ACCESSES))
    yield Drawing("stalls", lambda: rows, layers.stalls, place)
    yield Drawing("utilization", lambda: rows, layers.utilization, place)
    joined = str(path)
    yield Drawing("roofline", lambda: layers.roofline_rows(rows, accesses, config), layers.roofline, joined)


def _of_sweep(file: Path) -> Iterator[Drawing]:
    rows = read_rows(file)
    place = str(file)
    several = len({trace_of(row) for row in rows}) > 1
    sizes = {row.get("tws") for row in rows if isinstance(row.get("tws"), int)}
    sized = any(key in rows[0] for key in sweeps.SIZES)
    no_tws = "" if sizes else "tws was not swept"
    one_tws = "one window size only" if len(sizes) == 1 else no_tws
    yield Drawing("tws", lambda: rows, sweeps.against_tws, place, one_tws)
    yield Drawing(
        "firing-rate", lambda: rows, sweeps.against_firing_rate, place, "" if several else "one trace only"
    )
    yield Drawing(
        "array-size", lambda: rows, sweeps.against_array_size, place,
        "" if sized else "neither array.rows nor array.cols was swept",
    )  # fmt: skip
    yield Drawing("utilization", lambda: rows, layers.utilization, place, no_tws)
    yield Drawing("pareto", lambda: rows, sweeps.pareto, place)


def _of_studies(path: Path) -> Iterator[Drawing]:
    for name, draw in PAPER_FIGURES.items():
        file = path / f"{name}.csv"
        if file.is_file():
            yield Drawing(name, partial(read_rows, file, STUDY_TEXTS), draw, str(file))


def _of_runs(path: Path, folders: list[Path]) -> Iterator[Drawing]:
    results = [read_results(folder / RESULTS) for folder in folders]
    names = _names(folders, results)
    hashes = {entry(one, "trace.sha256", folder) for one, folder in zip(results, folders, strict=True)}
    lacks = "" if len(hashes) == 1 else "the runs are of different traces"
    totals = [
        {"run": name, **{column: entry(one, f"totals.{column}", folder) for column in machines.COMPARED}}
        for name, one, folder in zip(names, results, folders, strict=True)
    ]
    yield Drawing("comparison", lambda: totals, machines.comparison, str(path), lacks)
    rows = [
        {**row, "run": name}
        for name, folder in zip(names, folders, strict=True)
        for row in read_rows(folder / LAYERS)
    ]
    yield Drawing("utilization", lambda: rows, layers.utilization, str(path), lacks)


def _names(folders: list[Path], results: list[dict[str, Any]]) -> list[str]:
    """Name runs by accelerator, else by window size, else by folder: by what tells them apart."""
    archs = [str(entry(one, "arch", folder)) for one, folder in zip(results, folders, strict=True)]
    configs = [entry(one, "config", folder) for one, folder in zip(results, folders, strict=True)]
    sizes = [f"TWS {config['tws']}" for config in configs if "tws" in config]
    for names in (archs, sizes):
        if len(set(names)) == len(folders):
            return names
    return [folder.name for folder in folders]


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which ``tws-4`` comes before ``tws-16``."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def read_rows(file: Path, texts: frozenset[str] = TEXTS) -> list[dict[str, Any]]:
    """Read a CSV file that a run or sweep wrote; numbers become numbers, empty cells None.

    Raises
    ------
    FigureError
        If it cannot be read, is not a table, or has no rows.
    """
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            table = list(csv.reader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise FigureError(f"cannot be read: {_reason(exc)}", where=str(file)) from None
    if len(table) < 2:
        raise FigureError("has no rows", where=str(file))
    header, *cells = table
    for index, line in enumerate(cells, 2):
        if len(line) != len(header):
            raise FigureError(
                f"line {index} has {len(line)} cells, the header {len(header)}", where=str(file)
            )
    return [
        {name: text if name in texts else _value(text) for name, text in zip(header, line, strict=True)}
        for line in cells
    ]


def _value(text: str) -> Any:
    if not text:
        return None
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if math.isfinite(value) else text
    return text


def read_results(file: Path) -> dict[str, Any]:
    """Read a ``results.json``; :class:`FigureError` if it is not one."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise FigureError(f"cannot be read: {_reason(exc)}", where=str(file)) from None
    if not isinstance(found, dict):
        raise FigureError("is not the results of a run", where=str(file))
    return found


def _reason(exc: Exception) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)


def entry(results: dict[str, Any], key: str, folder: Path) -> Any:
    """Value of a dotted key of a run's ``results.json``; :class:`FigureError` if it is not there."""
    found: Any = results
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            raise FigureError("no such key", where=str(folder / RESULTS), field=key)
        found = found[part]
    return found
