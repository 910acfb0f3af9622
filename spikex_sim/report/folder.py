"""What of a folder goes into a report: groups of sections, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from spikex_sim.core.errors import FigureError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.text import counted
from spikex_sim.explore.designs.found import JSON_FILE as EXPLORE_JSON
from spikex_sim.explore.nas.found import JSON_FILE
from spikex_sim.plots.folder import MAPPING_JSON, STUDIES, Drawing, drawings_of, names_of_runs, run_folders
from spikex_sim.plots.style import columns as column_style
from spikex_sim.report import explorations, machines, run, searches, studies, sweep
from spikex_sim.report.chart import Chart
from spikex_sim.report.figures import CHARTS
from spikex_sim.report.markup import charted, picture
from spikex_sim.report.network import network_section
from spikex_sim.report.section import Section
from spikex_sim.report.timeline import timeline_section
from spikex_sim.run.fields import SWEEP_CSV
from spikex_sim.run.saved import FILE, SavedResults, load_results

Made = TypeVar("Made", Chart, str)
ENERGY = ("energy-components", "energy-tensors")
TIME = ("stalls", "critical-path")
SWEPT = (
    "tws",
    "firing-rate",
    "array-size",
    "utilization",
    "pareto",
    "pareto-area",
    "crossbar-size",
    "adc-bits",
    "device-bits",
    "r-on",
    "timesteps",
)
"""Figures of a sweep, in whose place the report has charts of any key."""


@dataclass(frozen=True)
class Group:
    """Sections of one folder, or of one of several runs in it.

    Attributes
    ----------
    title : str
        What it is; plain text, escaped by the page.
    sections : tuple of Section
        In order.
    groups : tuple of Group
        Of the runs in a folder of several.
    left_out : tuple of str
        Figures that the folder does not permit, and why.
    """

    title: str
    sections: tuple[Section, ...]
    groups: tuple[Group, ...] = ()
    left_out: tuple[str, ...] = ()


class _Figures:
    """Figures that a folder permits: charts or pictures of them by name, and what cannot be drawn."""

    def __init__(self, drawings: Iterable[Drawing]) -> None:
        self._drawings = {one.name: one for one in drawings}
        self.left_out: list[str] = []

    def charts(self, *names: str) -> list[Chart]:
        """Charts of those of the figures that the folder permits."""
        return [
            chart for name in names for chart in self._made(name, lambda one: CHARTS[one.name](one.rows()))
        ]

    def pictures(self, *names: str) -> list[str]:
        """Figures as they are drawn for papers; without names, all that nothing else has taken."""
        return [made for name in names or tuple(self._drawings) for made in self._made(name, _picture)]

    def forget(self, *names: str) -> None:
        """Leave figures to others."""
        for name in names:
            self._drawings.pop(name, None)

    def _made(self, name: str, make: Callable[[Drawing], list[Made]]) -> list[Made]:
        one = self._drawings.pop(name, None)
        if one is None:
            return []
        try:
            if one.lacks:
                raise FigureError(one.lacks)
            return make(one)
        except FigureError as exc:
            self.left_out.append(f"{name}: {exc}")
            return []
        except (LookupError, TypeError, ValueError) as exc:  # of what nobody checked before
            raise FigureError(f"{name} cannot be drawn of it; the file is damaged", where=one.where) from exc


def _picture(one: Drawing) -> list[str]:
    return [picture(one.name, svg) for svg in one.files(("svg",), column_style(2)).values()]


def group_of(path: Path, progress: Progress = silent) -> Group:
    """What a folder of results has to show.

    Parameters
    ----------
    path : Path
        Folder of a run, of runs, of a sweep, of a search, a mapping or a study.
    progress : callable, optional
        Told what is read.

    Raises
    ------
    FigureError
        If it is none of these, or if a file in it is missing or malformed.
    ResultsError
        If results are, or are of another version.
    """
    if path.exists() and not path.is_dir():
        raise FigureError("is a file; name the folder of the results", where=str(path))
    figures = _Figures(drawings_of(path))
    kinds = list(_kinds(path, figures, progress))
    sections: list[Section] = [*kinds[0][1]] if kinds else []
    groups = [Group(title, tuple(found)) for title, found in kinds[1:]]
    titles = [title for title, _ in kinds[:1]]
    for name, (file_name, _) in STUDIES.items():
        if (path / file_name).is_file():
            titles.append(studies.TITLES.get(name, name))
            charts = figures.charts(name) if name in CHARTS else []
            sections += studies.sections(path / file_name, name, charts, figures.pictures(name))
    if not sections:
        groups = list(_runs(path, progress))
        titles.append(counted(len(groups), "run"))
        sections += _of_runs(path, figures)
    if left := figures.pictures():
        sections.append(Section("figures", "Other figures", "".join(left)))
    return Group(" and ".join(dict.fromkeys(titles)), tuple(sections), tuple(groups), tuple(figures.left_out))


def _kinds(path: Path, figures: _Figures, progress: Progress) -> Iterator[tuple[str, list[Section]]]:
    """Title and sections of everything in a folder that has a summary; what it is of comes first."""
    if (path / FILE).is_file():
        results = load_results(path / FILE)
        yield _run_title(results), list(_of_run(path, results, figures, progress))
    if (path / EXPLORE_JSON).is_file():
        figures.forget("explore-front", "explore-hypervolume", "explore-importance")
        yield "exploration of designs", list(explorations.sections(path / EXPLORE_JSON))
    if (path / SWEEP_CSV).is_file():
        figures.forget(*SWEPT)
        yield "sweep", list(sweep.sections(path))
    if (path / MAPPING_JSON).is_file():
        charts = figures.charts("map-types", "map-steps")
        pictures = figures.pictures("map-crossbars", "map-mesh")
        yield "mapping", list(searches.of_mapping(path / MAPPING_JSON, charts, pictures))
    if (path / JSON_FILE).is_file():
        figures.forget("nas-costs")
        pictures = figures.pictures("nas-cells")
        yield "architecture search", list(searches.of_architectures(path / JSON_FILE, pictures))


def _run_title(results: SavedResults) -> str:
    return f"{results.arch_name} on {results.trace['name']}"


def _of_run(path: Path, results: SavedResults, figures: _Figures, progress: Progress) -> Iterator[Section]:
    yield run.summary(results)
    yield run.energy(results, figures.charts(*ENERGY))
    if charts := figures.charts(*TIME):
        yield charted("time", "Time and stalls", charts)
    if charts := figures.charts("roofline"):
        yield charted("roofline", "Roofline", charts)
    if charts := figures.charts("utilization"):
        yield charted("utilization", "Utilisation", charts)
    figures.forget("area")
    if made := figures.pictures("mapping"):
        yield Section("mapping", "Mapping", "".join(made))
    yield from filter(None, (run.areas(results), timeline_section(path, progress), network_section(path)))
    yield from run.tables(path, results)
    yield run.configuration(results)
    yield run.provenance(results)


def _of_runs(path: Path, figures: _Figures) -> Iterator[Section]:
    folders = run_folders(path)
    results = [load_results(folder) for folder in folders]
    yield machines.summary(names_of_runs(folders, results), results)
    if charts := figures.charts("comparison", "energy-machines", "area"):
        yield charted("comparison", "Side by side", charts)
    if charts := figures.charts("utilization"):
        yield charted("utilization", "Utilisation", charts)


def _runs(path: Path, progress: Progress) -> Iterator[Group]:
    folders = run_folders(path)
    names = names_of_runs(folders, [load_results(folder) for folder in folders])
    for folder, name in zip(folders, names, strict=True):
        group = group_of(folder, progress)
        yield Group(
            f"{name}: {group.title}" if name not in group.title else group.title,
            group.sections,
            left_out=group.left_out,
        )
