"""Which figures a folder of results permits, and the rows that each is drawn from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from spikex_sim.core.errors import FigureError
from spikex_sim.core.hints import closest_path
from spikex_sim.costs.areas import on_chip
from spikex_sim.explore.designs.found import JSON_FILE as EXPLORE_JSON
from spikex_sim.explore.designs.found import load_exploration
from spikex_sim.explore.mapping.reading import load_graph
from spikex_sim.explore.nas.found import JSON_FILE, load_found
from spikex_sim.mapped.homes import Homes
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.plots import (
    crossbars,
    dispatch,
    explored,
    graphs,
    knobs,
    layers,
    machines,
    mapper_charts,
    mapper_drawings,
    mapper_rows,
    searched,
    spikes,
    studies,
    sweeps,
)
from spikex_sim.plots.files import read_evaluation, read_rows
from spikex_sim.plots.imc import IMC_FIGURES
from spikex_sim.plots.paper import PAPER_FIGURES
from spikex_sim.plots.style import Style, file_bytes
from spikex_sim.plots.table import Row, Rows, is_chip, trace_of
from spikex_sim.run.fields import ACCESSES_CSV, LAYERS_CSV, SWEEP_CSV
from spikex_sim.run.saved import FILE, SavedResults, load_results
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.store import SUFFIXES, load_trace
from spikex_sim.trace.trace import Trace

STUDIES: dict[str, tuple[str, Callable[..., tuple[Figure, Any]]]] = {
    "evaluate": ("evaluate.json", studies.evaluation),
    "ann": ("ann.csv", studies.against_ann),
    "dynamic": ("dynamic.csv", studies.dynamic),
    "search-tws": ("search.csv", studies.window_search),
    "dispatch": ("dispatch.csv", dispatch.dispatch_policies),
    "map-compare": ("compare.csv", mapper_charts.comparison),
    "map-front": ("pareto.csv", mapper_charts.front),
    "map-held-out": ("heldout.csv", mapper_charts.held_out),
    **{name: (f"{name}.csv", draw) for name, draw in (IMC_FIGURES | PAPER_FIGURES).items()},
}
"""File of every command's and paper's study, and what draws it."""
NAMES = (
    "energy-components", "energy-tensors", "stalls", "utilization", "roofline", "critical-path", "mapping",
    "area", "comparison", "energy-machines", "tws", "firing-rate", "array-size", *knobs.KNOBS, "pareto",
    "pareto-area", "raster", "graph", "map-steps", "map-types", "map-crossbars", "map-mesh", "nas-costs",
    "nas-cells", "explore-front", "explore-hypervolume", "explore-importance", *STUDIES,
)  # fmt: skip
"""Every figure, by the name of its file."""
AT_ONCE = "the layers of a crossbar machine work at once: critical-path shows what takes time"
NO_DRAM = "a crossbar machine keeps its weights and has no DRAM"
RELEASED = "imc.model is released, which knows neither a critical path nor places of tiles"
NO_NETWORK = "network.json, which map --out writes, is not beside mapping.json"
NOT_PLACED = "the crossbars are not placed: map --mesh auto"
NO_HISTORY = "no stage was annealed"
MAPPING_JSON = "mapping.json"
FEW_POINTS = "importances need at least 10 feasible points that are not all alike"
NO_AREA = "no part of the area is known"
SAME_AREA = "the points do not differ in area"
"""Why a folder does not permit a figure."""


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
    """Figures that a folder of a run, of runs, of a sweep or of studies, or a trace permits.

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
    ResultsError
        If results are.
    TraceError
        If a trace file cannot be read.
    ConfigError
        If a mapping is malformed, or does not hold.
    """
    if path.suffix.lower() in SUFFIXES:
        return list(_of_trace(load_trace(path), tws, str(path)))
    if not path.is_dir():
        raise FigureError(f"no such folder{closest_path(path, folders=True)}", where=str(path))
    found: list[Drawing] = []
    if (path / FILE).is_file():
        found += _of_run(path)
    if (path / SWEEP_CSV).is_file():
        found += _of_sweep(path / SWEEP_CSV)
    if (path / MAPPING_JSON).is_file():
        found += _of_mapping(path / MAPPING_JSON)
    if (path / JSON_FILE).is_file():
        found += _of_search(path / JSON_FILE)
    if (path / EXPLORE_JSON).is_file():
        found += _of_exploration(path / EXPLORE_JSON)
    found += _of_studies(path)
    children = run_folders(path)
    if children and not found:
        found += _of_runs(path, children)
    if not found:
        raise FigureError(
            f"holds no results: neither {FILE} nor {SWEEP_CSV}, nor folders with {FILE}, nor {MAPPING_JSON}, "
            f"{JSON_FILE}, {EXPLORE_JSON}, search.csv, fig9.csv or the like; commands write them with --out",
            where=str(path),
        )
    return found


def _of_trace(trace: Trace | GraphTrace, tws: int, place: str) -> Iterator[Drawing]:
    lacks = ""
    if isinstance(trace, GraphTrace):
        yield Drawing("graph", partial(graphs.graph_rows, trace), graphs.graph, place)
        lacks = "" if trace.spikes else "no spikes are recorded"
    yield Drawing("raster", lambda: spikes.spike_rows(trace, tws), spikes.raster, place, lacks)


def _of_run(path: Path) -> Iterator[Drawing]:
    rows, accesses = read_rows(path / LAYERS_CSV), read_rows(path / ACCESSES_CSV)
    results = load_results(path / FILE)
    config = results.content["config"]
    place = str(path / LAYERS_CSV)
    chip = is_chip(rows[0])
    at_once, no_dram = (AT_ONCE, NO_DRAM) if chip else ("", "")
    yield Drawing("energy-components", lambda: rows, layers.energy_by_component, place)
    yield Drawing("energy-tensors", lambda: accesses, layers.energy_by_tensor, str(path / ACCESSES_CSV))
    yield Drawing("stalls", lambda: rows, layers.stalls, place, at_once)
    yield Drawing("utilization", lambda: rows, layers.utilization, place)
    joined = str(path)
    yield Drawing(
        "roofline", lambda: layers.roofline_rows(rows, accesses, config), layers.roofline, joined, no_dram
    )
    if chip:
        yield from _of_chip(results, rows, path)
    areas = [_areas(results.arch_name, results)]
    yield Drawing("area", lambda: areas, machines.area_by_machine, str(path / FILE), _lacks_areas(areas))


def _of_chip(results: SavedResults, rows: Rows, path: Path) -> Iterator[Drawing]:
    known = any(row.get("imc_busy_cycles") for row in rows)
    released = "" if known else RELEASED
    kept = str(path / FILE)

    def placed() -> Rows:
        return crossbars.mapping_rows(results.content["layers"], results.content["config"])

    yield Drawing("critical-path", lambda: rows, crossbars.critical_path, str(path / LAYERS_CSV), released)
    yield Drawing("mapping", placed, crossbars.mapping, kept, released)


def _areas(name: str, results: SavedResults) -> Row:
    """Areas of a run by component, as in ``sweep.csv``, and what is missing on the chip."""
    found = results.totals["area_mm2_by"] or {}
    missing = ", ".join(on_chip(results.totals.get("area_absent") or {}))
    return {
        "run": name, machines.ABSENT: missing, **{f"area_{part}_mm2": area for part, area in found.items()}
    }  # fmt: skip


def _lacks_areas(areas: list[Row]) -> str:
    known = any(column.startswith("area_") for row in areas for column in row)
    return "" if known else NO_AREA


def _of_sweep(file: Path) -> Iterator[Drawing]:
    rows = read_rows(file)
    place = str(file)
    several = len({trace_of(row) for row in rows if not row.get("error")}) > 1
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
    for name, (key, _) in knobs.KNOBS.items():
        if len({str(row.get(key)) for row in rows if not row.get("error")}) > 1:
            yield Drawing(name, lambda: rows, partial(knobs.against, knob=name), place)
    yield Drawing("pareto", lambda: rows, sweeps.pareto, place)
    areas = {row.get("area_mm2") for row in rows if not row.get("error")}
    lacks = "the area of some points is not known" if None in areas else "" if len(areas) > 1 else SAME_AREA
    yield Drawing("pareto-area", lambda: rows, sweeps.pareto_of_area, place, lacks)


def _of_studies(path: Path) -> Iterator[Drawing]:
    for name, (file_name, draw) in STUDIES.items():
        file = path / file_name
        if file.is_file():
            read = read_rows if file.suffix == ".csv" else read_evaluation
            yield Drawing(name, partial(read, file), draw, str(file))


def _of_search(file: Path) -> Iterator[Drawing]:
    """Figures of a search for networks of two cells."""
    found = load_found(file)
    place = str(file)
    yield Drawing("nas-costs", lambda: searched.cost_rows(found), searched.against_costs, place)
    yield Drawing("nas-cells", lambda: searched.cell_rows(found), searched.cells, place)


def _of_exploration(file: Path) -> Iterator[Drawing]:
    """Figures of an exploration."""
    found = load_exploration(file)
    place = str(file)
    few = "" if any(found.importances.shares.values()) else FEW_POINTS
    yield Drawing("explore-front", lambda: explored.front_rows(found), explored.against_objectives, place)
    yield Drawing("explore-hypervolume", lambda: explored.volume_rows(found), explored.hypervolume, place)
    yield Drawing("explore-importance", lambda: explored.share_rows(found), explored.importance, place, few)


def _of_mapping(file: Path) -> Iterator[Drawing]:
    """Figures of one mapping; those of its crossbars need the network, beside it or one folder up."""
    saved = SavedMapping.load(file)
    place = str(file)
    steps = mapper_rows.step_rows(saved)
    yield Drawing("map-steps", lambda: steps, mapper_charts.steps, place, "" if steps else NO_HISTORY)
    yield Drawing("map-types", lambda: mapper_rows.type_rows(saved), mapper_charts.types, place)
    beside = (file.with_name("network.json"), file.parent.parent / "network.json")
    network = next((one for one in beside if one.is_file()), None)
    homes = cache(lambda: Homes.of(saved, load_graph(network or ""), place))
    lacks = NO_NETWORK if network is None else ""
    yield Drawing(
        "map-crossbars",
        lambda: mapper_rows.crossbar_rows(homes(), saved),
        mapper_drawings.boxes,
        place,
        lacks,
    )
    unplaced = "" if "hops" in saved.metrics else NOT_PLACED
    yield Drawing(
        "map-mesh", lambda: mapper_rows.mesh_rows(homes(), saved), mapper_drawings.mesh, place,
        lacks or unplaced,
    )  # fmt: skip


def _of_runs(path: Path, folders: list[Path]) -> Iterator[Drawing]:
    results = [load_results(folder / FILE) for folder in folders]
    names = names_of_runs(folders, results)
    hashes = {one.trace["sha256"] for one in results}
    lacks = "" if len(hashes) == 1 else "the runs are of different traces"
    totals = [
        {"run": name, **{column: one.totals[column] for column in machines.COMPARED}}
        for name, one in zip(names, results, strict=True)
    ]
    yield Drawing("comparison", lambda: totals, machines.comparison, str(path), lacks)
    tables = [read_rows(folder / LAYERS_CSV) for folder in folders]
    rows = [{**row, "run": name} for name, table in zip(names, tables, strict=True) for row in table]
    areas = [_areas(name, one) for name, one in zip(names, results, strict=True)]
    energies = partial(machines.energy_rows, rows)
    yield Drawing("energy-machines", energies, machines.energy_by_machine, str(path), lacks)
    some = lacks or _lacks_areas(areas)
    yield Drawing("area", lambda: areas, machines.area_by_machine, str(path), some)
    yield Drawing("utilization", lambda: rows, layers.utilization, str(path), lacks)


def run_folders(path: Path) -> list[Path]:
    """Folders of runs in a folder, in the order in which people count: ``tws-4`` before ``tws-16``."""
    return sorted((child for child in path.iterdir() if (child / FILE).is_file()), key=_natural)


def names_of_runs(folders: list[Path], results: list[SavedResults]) -> list[str]:
    """Name runs by accelerator, else by window size, else by folder: by what tells them apart."""
    archs = [one.arch_name for one in results]
    configs = [one.content["config"] for one in results]
    sizes = [f"TWS {config['tws']}" for config in configs if "tws" in config]
    for names in (archs, sizes):
        if len(set(names)) == len(folders):
            return names
    return [folder.name for folder in folders]


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which ``tws-4`` comes before ``tws-16``."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]
