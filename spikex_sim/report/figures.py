"""Charts of a report that are figures for papers too, from the same rows: by the figure's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from spikex_sim.core.units import PJ_PER_J
from spikex_sim.plots.crossbars import BUSY, PATH
from spikex_sim.plots.layers import (
    ADDED,
    CHIP_COMPONENTS,
    STALLS,
    TENSOR_LOOKS,
    array_looks,
    known,
    tensor_energies,
)
from spikex_sim.plots.machines import ABSENT, COMPARED, area_looks
from spikex_sim.plots.style import Look
from spikex_sim.plots.table import TOTAL, Rows, cell, is_chip, number, numbers, scale, working
from spikex_sim.report import study_charts
from spikex_sim.report.chart import (
    INK,
    MUTED,
    Chart,
    Names,
    axis,
    fill,
    grouped,
    is_far,
    level,
    points,
    stacked,
)
from spikex_sim.report.escaping import chart_label


def energy_components(rows: Rows) -> list[Chart]:
    """Energy of every layer by component; rows of ``layers.csv``."""
    shown = working(rows)
    looks = known(CHIP_COMPONENTS, shown) if is_chip(shown[0]) else array_looks(shown)
    return [_energies("Energy by component", shown, looks)]


def _energies(title: str, rows: Rows, looks: Mapping[str, Look]) -> Chart:
    names = [cell(row, "name") for row in rows]
    return _in_joules(title, names, {column: numbers(rows, column) for column in looks}, looks)


def _in_joules(
    title: str,
    names: Sequence[object],
    parts: Mapping[str, Sequence[float]],
    looks: Mapping[str, Look],
    *,
    lying: bool = False,
) -> Chart:
    largest = max(map(sum, zip(*parts.values(), strict=True)))
    divisor, unit = scale([largest / PJ_PER_J], "J")
    scaled = {part: [value / (divisor * PJ_PER_J) for value in values] for part, values in parts.items()}
    return stacked(title, names, scaled, looks, "Energy", unit, lying=lying)


def energy_tensors(rows: Rows) -> list[Chart]:
    """Energy of the accesses of every layer by tensor; rows of ``accesses.csv``."""
    names, parts = tensor_energies(rows)
    looks = {tensor: look for tensor, look in TENSOR_LOOKS.items() if any(parts[tensor])}
    return [_in_joules("Access energy by tensor", names, parts, looks)]


def stalls(rows: Rows) -> list[Chart]:
    """Shares of every layer's cycles in which the array works or waits; rows of ``layers.csv``."""
    shown = working(rows)
    cycles = {column: numbers(shown, column) for column in STALLS}
    for values in cycles.values():
        values.append(sum(values))
    sums = [sum(values) for values in zip(*cycles.values(), strict=True)]
    shares = {
        column: [100 * value / total for value, total in zip(values, sums, strict=True)]
        for column, values in cycles.items()
    }
    names = [*(cell(row, "name") for row in shown), TOTAL]
    return [
        stacked(
            "Where cycles go",
            names,
            shares,
            STALLS,
            "Share of cycles",
            "%",
            most=100,
            note="array: it works; the others: it waits for them",
        )
    ]


def critical_path(rows: Rows) -> list[Chart]:
    """Shares of layers in the critical path, beside what their PEs compute; rows of ``layers.csv``."""
    shown = working(rows)
    total = sum(value for column in PATH for value in numbers(shown, column))
    places = Names.of(cell(row, "name") for row in shown)
    data = []
    for group, looks in (("path", PATH), ("busy", BUSY)):
        for column, look in looks.items():
            data.append(
                {
                    "type": "bar",
                    "name": look.label,
                    "x": places.shown,
                    "customdata": places.whole,
                    "y": [100 * value / total for value in numbers(shown, column)],
                    "marker": fill(look),
                    "offsetgroup": group,
                    "hovertemplate": f"%{{customdata}}<br>{look.label}: %{{y:.4~g}} %<extra></extra>",
                }
            )
    layout = {
        "barmode": "stack",
        "xaxis": axis("", names=places),
        "yaxis": axis("Cycles (% of the critical path)"),
    }
    return [
        Chart(
            "Critical path",
            data,
            layout,
            "layers work at once: beside its share of the critical path, what a layer's PEs compute",
        )
    ]


def utilization(rows: Rows) -> list[Chart]:
    """Shares of PEs in use and adding, by layer; rows of ``layers.csv``, of several runs with ``run``."""
    shown = working(rows)
    names = list(dict.fromkeys(str(cell(row, "name")) for row in shown))
    series: dict[str, dict[str, float]] = {}
    for row in shown:
        name = str(row["name"])
        if "run" in row:
            series.setdefault(str(row["run"]), {})[name] = 100 * number(row, "utilization")
            continue
        series.setdefault("in use", {})[name] = 100 * number(row, "utilization")
        if not is_chip(row):
            series.setdefault("adding", {})[name] = 100 * number(row, "add_utilization")
    values = {one: [found.get(name) for name in names] for one, found in series.items()}
    return [grouped("Use of the PEs", names, values, "PEs", "%")]


def roofline(rows: Rows) -> list[Chart]:
    """Additions per DRAM byte against additions per second, below what PEs and DRAM allow."""
    shown = [row for row in rows if all(number(row, c) for c in ("accumulations", "dram_bytes", "seconds"))]
    if not shown:
        return []
    peak, bandwidth = number(shown[0], "peak_per_s"), number(shown[0], "dram_bytes_per_s")
    x = [row["accumulations"] / row["dram_bytes"] for row in shown]
    y = [row["accumulations"] / row["seconds"] / 1e9 for row in shown]
    ridge = peak / bandwidth
    ends = [min(*x, ridge) / 2, ridge, max(*x, ridge) * 2]
    roof = {
        "type": "scatter",
        "mode": "lines",
        "name": f"roof ({bandwidth / 1e9:g} GB/s)",
        "x": ends,
        "y": [min(peak, bandwidth * end) / 1e9 for end in ends],
        "line": {"color": INK, "width": 2},
        "hovertemplate": "%{x:.4~g} /B, %{y:.4~g} ×10⁹/s<extra>roof</extra>",
    }
    data = [
        roof,
        *(
            points(
                str(row["name"]),
                [at],
                [per_s],
                index,
                [chart_label(row["name"])],
                size=11,
                unit=("/B", "×10⁹/s"),
            )
            for index, (row, at, per_s) in enumerate(zip(shown, x, y, strict=True))
        ),
    ]
    layout = {
        "xaxis": axis("Additions per DRAM byte (1/B)", log=True),
        "yaxis": axis("Additions (10⁹/s)", log=True),
    }
    return [
        Chart("Roofline", data, layout, "a layer below the slope is bound by DRAM, below the flat by the PEs")
    ]


def comparison(rows: Rows) -> list[Chart]:
    """Latency, energy with and without DRAM, and EDP of several runs, each over the first run's."""
    first = {column: number(rows[0], column) for column in COMPARED}
    if not all(first.values()):
        return []
    series = {str(row["run"]): [number(row, column) / first[column] for column in COMPARED] for row in rows}
    log = is_far(value for values in series.values() for value in values)
    label = f"Relative to {chart_label(rows[0]['run'])}"
    found = grouped("Against the first", list(COMPARED.values()), series, label, "×", log=log, base=1)
    return [replace(found, wide=True)]


def energy_machines(rows: Rows) -> list[Chart]:
    """Energy of several runs by component; what ``energy_rows`` returns."""
    looks = known(CHIP_COMPONENTS, rows) if all(map(is_chip, rows)) else array_looks(rows)
    parts = {column: [number({column: 0.0, **row}, column) for row in rows] for column in looks}
    if any(map(is_chip, rows)) and not all(map(is_chip, rows)):
        for column in looks.keys() & ADDED.keys():
            parts[column] = [
                0.0 if is_chip(row) else value for row, value in zip(rows, parts[column], strict=True)
            ]
    names = [row["run"] for row in rows]
    sums = [sum(values) or 1.0 for values in zip(*parts.values(), strict=True)]
    shares = {
        column: [100 * value / total for value, total in zip(values, sums, strict=True)]
        for column, values in parts.items()
    }
    return [
        _in_joules("Energy by component", names, parts, looks, lying=True),
        stacked("Shares of the energy", names, shares, looks, "Share", "%", lying=True, most=100),
    ]


def area(rows: Rows) -> list[Chart]:
    """Area of runs by component: a row a run, with ``area_glb_mm2`` and so on, and what is missing."""
    looks = known_areas(rows)
    if not looks:
        return []
    parts = {column: [float(row.get(column) or 0.0) for row in rows] for column in looks}
    missing = dict.fromkeys(f"{row['run']}: without {row[ABSENT]}" for row in rows if row.get(ABSENT))
    names = [row["run"] for row in rows]
    return [
        stacked(
            "Area by component", names, parts, looks, "Known area", "mm²", lying=True, note="; ".join(missing)
        )
    ]


def known_areas(rows: Rows) -> dict[str, Look]:
    """Looks of the parts whose area some row has: a component's area is coloured as its energy."""
    return known(area_looks(rows), rows)


def annealing(rows: Rows) -> list[Chart]:
    """Value of every stage of a mapping along its annealing runs, and its bound."""
    charts = []
    for stage in dict.fromkeys(str(cell(row, "stage")) for row in rows):
        some = [row for row in rows if str(row["stage"]) == stage]
        data = []
        for index, run in enumerate(dict.fromkeys(row["run"] for row in some)):
            mine = [row for row in some if row["run"] == run]
            name = f"run {run}"
            data.append(
                points(
                    name,
                    numbers(mine, "steps"),
                    numbers(mine, "value"),
                    index,
                    [name] * len(mine),
                    line=True,
                    size=4,
                    unit=("steps", stage),
                )
            )
        bound = some[0].get("bound")
        layout = {
            "xaxis": axis("Steps"),
            "yaxis": axis(chart_label(stage), log=is_far(numbers(some, "value"))),
            "shapes": [] if bound is None else [level(float(bound), MUTED, dash="dash")],
        }
        charts.append(
            Chart(f"Annealing: {stage}", data, layout, "" if bound is None else "dashed: the bound")
        )
    return charts


def crossbar_types(rows: Rows) -> list[Chart]:
    """Area and number of the crossbars of each type in use."""
    names = [cell(row, "type") for row in rows]
    return [
        grouped("Area by type of crossbar", names, {"area": numbers(rows, "area")}, "Area", "cells"),
        grouped("Crossbars by type", names, {"crossbars": numbers(rows, "crossbars")}, "Crossbars", ""),
    ]


CHARTS: dict[str, Callable[[Rows], list[Chart]]] = {
    "energy-components": energy_components,
    "energy-tensors": energy_tensors,
    "stalls": stalls,
    "utilization": utilization,
    "roofline": roofline,
    "critical-path": critical_path,
    "comparison": comparison,
    "energy-machines": energy_machines,
    "area": area,
    "map-steps": annealing,
    "map-types": crossbar_types,
    "evaluate": study_charts.evaluation,
    "ann": study_charts.against_ann,
    "dynamic": study_charts.dynamic,
    "search-tws": study_charts.window_search,
    "dispatch": study_charts.dispatch,
    "map-compare": study_charts.ways_to_map,
    "map-front": study_charts.mapping_front,
}
"""What makes charts of a figure's rows; other figures are shown as they are drawn for papers."""
