"""Charts of the studies of one question each, from the rows of their figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spikex_sim.core.units import PJ_PER_J
from spikex_sim.plots.mapper_charts import FRONT, STAGES
from spikex_sim.plots.paper.common import by_text
from spikex_sim.plots.studies import RATIOS
from spikex_sim.plots.table import Row, Rows, cell, number, numbers, scale
from spikex_sim.report.chart import INK, Chart, axis, grouped, is_far, level, points
from spikex_sim.report.escaping import chart_label

FAR_TIMES = 8
"""Ratio of time points from which their axis is logarithmic."""


def evaluation(rows: Rows) -> list[Chart]:
    """Energy and latency of a sample by layer, a bar a machine; rows of ``read_evaluation``."""
    layers = list(dict.fromkeys(str(cell(row, "layer")) for row in rows))
    runs = {cell(row, "run"): str(cell(row, "arch")) for row in rows}
    charts = []
    for column, title, base, per in (
        ("energy_pj", "Energy of a sample", "J", PJ_PER_J),
        ("seconds", "Latency of a sample", "s", 1.0),
    ):
        divisor, unit = scale((value / per for value in numbers(rows, column)), base)
        series = {}
        for run, arch in runs.items():
            mine = {
                str(row["layer"]): number(row, column) / per / divisor for row in rows if row["run"] == run
            }
            name = arch if list(runs.values()).count(arch) == 1 else f"{arch} ({run + 1})"
            series[name] = [mine.get(layer) for layer in layers]
        charts.append(grouped(title, layers, series, title.split()[0], unit))
    return charts


def against_ann(rows: Rows) -> list[Chart]:
    """Cost of a spiking network over the ANN's, against the time points that it runs; rows of ``ann.csv``."""
    snn = [row for row in rows if cell(row, "timesteps") is not None]
    if not snn:
        return []
    times = numbers(snn, "timesteps")
    data = [
        points(
            name, times, numbers(snn, column), index, [name] * len(snn), line=True, unit=("time points", "×")
        )
        for index, (column, name) in enumerate(RATIOS.items())
    ]
    values = [value for column in RATIOS for value in numbers(snn, column)]
    layout = {
        "xaxis": axis("Time (time points)", log=min(times) > 0 and max(times) / min(times) >= FAR_TIMES),
        "yaxis": axis("SNN relative to the ANN (×)", log=is_far([1.0, *values])),
        "shapes": [level(1, INK)],
    }
    return [Chart("Spiking network over the ANN", data, layout, "the line at 1: the ANN")]


def dynamic(rows: Rows) -> list[Chart]:
    """Samples that are right, and energy of a sample, against the time points until it is certain."""
    shown = sorted(rows, key=lambda row: number(row, "mean_timesteps"))
    times = numbers(shown, "mean_timesteps")
    names = [chart_label(f"stopped below an entropy of {number(row, 'threshold'):g}") for row in shown]
    divisor, unit = scale((value / PJ_PER_J for value in numbers(shown, "energy_pj")), "J")
    curves: Sequence[tuple[str, list[float], str]] = (
        ("Correct", [100 * value for value in numbers(shown, "accuracy")], "%"),
        ("Energy of a sample", [value / PJ_PER_J / divisor for value in numbers(shown, "energy_pj")], unit),
    )
    return [
        Chart(
            title,
            [points(title, times, values, 0, names, line=True, unit=("time points", of))],
            {"xaxis": axis("Time until stopped, mean (time points)"), "yaxis": axis(f"{title} ({of})")},
        )
        for title, values, of in curves
    ]


def window_search(rows: Rows) -> list[Chart]:
    """Energy-delay product that each search of window sizes came to; rows of ``search.csv``."""
    divisor, unit = scale(numbers(rows, "edp_js"), "Js")
    values = [value / divisor for value in numbers(rows, "edp_js")]
    return [grouped("EDP by search", [cell(row, "method") for row in rows], {"EDP": values}, "EDP", unit)]


def dispatch(rows: Rows) -> list[Chart]:
    """Cycles and EDP of each policy in every layer and in total; rows of ``dispatch.csv``."""
    series = by_text(rows, "policy")
    first = {str(cell(row, "layer")): row for row in next(iter(series.values()))}
    bounded = all(cell(row, "bound_cycles") is not None for row in rows)
    over = f"over {chart_label(next(iter(series)))}"
    charts = []
    for title, column, base in (
        ("Cycles of integration and update", "slot_cycles", "bound_cycles" if bounded else "slot_cycles"),
        ("EDP", "edp_js", "edp_js"),
    ):
        of_bound = base == "bound_cycles"
        values = {
            name: [
                _over(some, layer, column, row if not of_bound else None, base)
                for layer, row in first.items()
            ]
            for name, some in series.items()
        }
        label = f"{title.split(' of')[0]} {'over the bound' if of_bound else over}"
        charts.append(grouped(title, list(first), values, label, "×", base=1))
    return charts


def _over(rows: Rows, layer: str, column: str, first: Row | None, base: str) -> float | None:
    """Value in a layer over the first policy's, or over the row's own bound."""
    row = next((one for one in rows if str(one["layer"]) == layer), None)
    if row is None:
        return None
    below = number(row if first is None else first, base)
    return number(row, column) / below if below else 1.0


def ways_to_map(rows: Rows) -> list[Chart]:
    """Area and routes of every way to map; rows of ``compare.csv``."""
    names = [" ".join(str(row.get(key) or "") for key in ("kind", "method", "start")).strip() for row in rows]
    charts = []
    for column in ("area", "routes"):
        what, unit = STAGES[column].removesuffix(")").split(" (")
        values = numbers(rows, column)
        charts.append(grouped(what, names, {what: values}, what, unit, log=is_far(values)))
    return charts


def mapping_front(rows: Rows) -> list[Chart]:
    """Routes and packets against area, one mapping a budget; rows of ``pareto.csv``."""
    different = {tuple(number(row, column) for column in FRONT): row for row in rows}
    shown = [different[point] for point in sorted(different)]
    charts = []
    for column in ("routes", "packets"):
        if column == "packets" and numbers(shown, "packets") == numbers(shown, "routes"):
            continue
        best: list[float] = []
        for value in numbers(shown, column):
            best.append(min([value, *best[-1:]]))
        said = [chart_label(f"{row['crossbars']} crossbars") for row in shown]
        area = numbers(shown, "area")
        least: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "name": "least within the area",
            "x": area,
            "y": best,
            "line": {"color": INK, "width": 1, "dash": "dash", "shape": "hv"},
            "hoverinfo": "skip",
        }
        data = [least, points("mapping", area, numbers(shown, column), 0, said, unit=("cells", column))]
        layout = {
            "xaxis": axis(STAGES["area"], rangemode="normal"),
            "yaxis": axis(STAGES[column], rangemode="normal"),
        }
        charts.append(Chart(f"{column.capitalize()} against area", data, layout))
    return charts
