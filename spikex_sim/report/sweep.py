"""Sections of a sweep: its front, every key against the costs, a table; points are selected together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikex_sim.core.text import counted
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.explore.sweeps.table import is_measure, pareto_front
from spikex_sim.plots.files import read_rows
from spikex_sim.plots.table import (
    LABELS,
    Row,
    Rows,
    brief,
    finished,
    number,
    numbers,
    scale,
    series_of,
    trace_of,
)
from spikex_sim.report.chart import INK, Chart, Names, axis, is_far, points
from spikex_sim.report.escaping import chart_label, escaped
from spikex_sim.report.markup import charted, repeated
from spikex_sim.report.reading import check_columns
from spikex_sim.report.repeat import command_of_sweep
from spikex_sim.report.section import Section
from spikex_sim.report.table import Column, column_of, facts, table
from spikex_sim.run.fields import SWEEP_CSV

MAIN = (
    "seconds",
    "energy_pj",
    "energy_on_chip_pj",
    "edp_js",
    "area_mm2",
    "edap_js_mm2",
    "utilization",
    "power_mw",
    "tops_per_watt",
    "accuracy",
    "error",
)
"""Measures that the table shows from the start."""
BEST = {
    "seconds": "least latency",
    "energy_pj": "least energy",
    "edp_js": "least EDP",
    "area_mm2": "least area",
    "edap_js_mm2": "least EDAP",
}
MAX_KEYS = 6
"""Most swept keys with charts of their own."""
MAX_SERIES = 12
"""Most series that are coloured apart."""
MAX_POINTS = 5000
"""Most points of a chart, beside those of the front."""
CROWD = 100
"""Points from which on they are small."""
LOG_KEY_FROM = 8
"""Ratio of values of a key from which its axis is logarithmic."""
MAX_TICKS = 12
"""Most values of a key that are named below its axis."""
COSTS = (("seconds", "Latency", "s", 1.0), ("energy_pj", "Energy", "J", PJ_PER_J))
_DIGITS = ".6g"
"""Of values among which readers choose."""


def sections(folder: Path) -> Iterator[Section]:
    """Sections of ``sweep.csv``."""
    rows = read_rows(folder / SWEEP_CSV)
    check_columns(rows, SWEEP_CSV, str(folder / SWEEP_CSV))
    keys = swept_keys(rows)
    done = finished(rows)
    yield _summary(rows, done, keys)
    yield _points(rows, done, keys)
    yield _provenance(rows, keys)


def swept_keys(rows: Rows) -> list[str]:
    """Columns of a table that are keys of the configuration."""
    return [key for key in rows[0] if key not in LABELS and not is_measure(key)]


def _summary(rows: Rows, done: Rows, keys: Sequence[str]) -> Section:
    failed = len(rows) - len(done)
    traces = {trace_of(row) for row in rows}
    text = f"<p>{counted(len(rows), 'point')}" + (f", {failed} failed" if failed else "")
    text += (
        f"; {counted(len(traces), 'trace')}; swept: {escaped(', '.join(keys) or 'nothing but machines')}.</p>"
    )
    best = []
    for column, what in BEST.items():
        known = [row for row in done if row.get(column) is not None]
        if known and len(traces) == 1 and len({row[column] for row in known}) > 1:
            best.append({**min(known, key=lambda row: row[column]), "best": what})
    columns = [
        Column("best"),
        *(Column(key) for key in ("arch", *keys)),
        *(column_of(key, SWEEP_CSV) for key in BEST),
    ]
    values = facts(
        (key, ", ".join(dict.fromkeys(str(row.get(key)) for row in rows))) for key in ("trace", "arch", *keys)
    )
    found = table(columns, best, "Best points") if best else ""
    return Section("summary", "Summary", text + found + values)


def _points(rows: Rows, done: Rows, keys: Sequence[str]) -> Section:
    place = {id(row): index for index, row in enumerate(rows)}
    varied = [key for key in keys if len({str(row.get(key)) for row in done}) > 1]
    front = _front(done)
    drawn = _thinned(done, front)
    view = _View(drawn, varied, place)
    charts = [view.front(front), *(chart for key in varied[:MAX_KEYS] for chart in view.against(key))]
    main = {"arch", *keys, *MAIN} | ({"trace"} if len({trace_of(row) for row in rows}) > 1 else set())
    on_front = {id(row) for row in front}
    shown = [{**row, "front": "front" if id(row) in on_front else ""} for row in rows]
    names = [*(key for key in ("trace", "arch") if key in rows[0]), *keys, "front", *MAIN]
    names += [name for name in rows[0] if name not in names]
    columns = [
        Column("front", "", "no point of the same trace has both less latency and less energy")
        if name == "front"
        else column_of(name, SWEEP_CSV, main=name in main)
        for name in names
        if name == "front" or name in rows[0]
    ]
    body = table(columns, shown, "Points of the sweep", selectable=True, source=SWEEP_CSV)
    note = "" if len(drawn) == len(done) else f"<p>Of {len(done):,} points {len(drawn):,} are drawn.</p>"
    return charted(
        "points",
        "Points",
        charts,
        before=f'{note}<div class="linked"></div>',
        after=body,
        more={"link": True, "free": _free(drawn, varied, place)},
    )


def _front(rows: Rows) -> list[Row]:
    each = "trace_sha256" if "trace_sha256" in rows[0] else "trace"
    return pareto_front(rows, each=each)


def _thinned(rows: Rows, front: Rows) -> Rows:
    """Points that are drawn: of very many, those of the front and others evenly."""
    if len(rows) <= MAX_POINTS:
        return rows
    kept = {id(row) for row in rows[:: -(-len(rows) // MAX_POINTS)]} | {id(row) for row in front}
    return [row for row in rows if id(row) in kept]


@dataclass(frozen=True)
class _Along:
    """Where rows stand along an axis of the values of a key."""

    key: str
    spots: Mapping[str, Any]
    order: Sequence[Any]
    axis: Mapping[str, Any]

    @classmethod
    def of(cls, rows: Rows, key: str) -> _Along:
        """Numbers stand where they are, other values side by side, numbers among them first."""
        values = {str(row.get(key)): row.get(key) for row in rows}
        numeric: dict[str, float] = {
            text: value for text, value in values.items() if isinstance(value, int | float)
        }
        ascending = sorted(numeric, key=lambda text: numeric[text])
        if len(numeric) == len(values):
            order = [numeric[text] for text in ascending]
            return cls(key, numeric, order, _number_axis(key, order))
        texts = [*ascending, *(text for text in values if text not in numeric)]
        names = Names.of("–" if values[text] is None else text for text in texts)
        spots = dict(zip(texts, names.shown, strict=True))
        return cls(key, spots, names.shown, axis(chart_label(key), names=names))

    def place(self, row: Row) -> Any:
        """Position of a row."""
        return self.spots[str(row.get(self.key))]


def _number_axis(key: str, order: Sequence[float]) -> dict[str, Any]:
    log = order[0] > 0 and order[-1] / order[0] >= LOG_KEY_FROM
    found = axis(chart_label(key), log=log) | {"rangemode": "normal"}
    if len(order) > MAX_TICKS:
        return found
    texts = [f"{value:,}" if isinstance(value, int) else f"{value:g}" for value in order]
    return found | {"tickmode": "array", "tickvals": list(order), "ticktext": texts}


class _View:
    """Charts of the same points, coloured alike."""

    def __init__(self, rows: Rows, keys: Sequence[str], place: Mapping[int, int]) -> None:
        self._rows, self._place = rows, place
        told = brief(["arch", *keys]) if len({row["arch"] for row in rows}) > 1 else brief(keys)
        self._said = {
            id(row): chart_label(", ".join(f"{name} {row.get(key)}".strip() for key, name in told.items()))
            for row in rows
        }
        for apart in (keys, (*keys, "trace")):
            self._series = series_of(rows, apart)
            if len(self._series) <= MAX_SERIES:
                break
        else:
            self._series = {"points": list(rows)}
        self._size = 8 if len(rows) <= CROWD else 6

    def front(self, front: Rows) -> Chart:
        """Latency against energy, with the front."""
        (x_per, x_unit), (y_per, y_unit) = (self._scaled(column, unit, per) for column, _, unit, per in COSTS)
        data = self._traces(lambda row: number(row, "seconds") / x_per, "energy_pj", y_per, (x_unit, y_unit))
        lines: dict[str, list[Row]] = {}
        for row in front:
            lines.setdefault(trace_of(row), []).append(row)
        for index, some in enumerate(lines.values()):
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": "front",
                    "showlegend": index == 0,
                    "x": [number(row, "seconds") / x_per for row in some],
                    "y": [number(row, "energy_pj") / y_per for row in some],
                    "hoverinfo": "skip",
                    "line": {"color": INK, "width": 1, "dash": "dash", "shape": "hv"},
                    "marker": {"symbol": "circle-open", "size": 12, "color": INK},
                }
            )
        layout = {
            "xaxis": self._axis("Latency", x_unit, [number(row, "seconds") / x_per for row in self._rows]),
            "yaxis": self._axis("Energy", y_unit, [number(row, "energy_pj") / y_per for row in self._rows]),
        }
        return Chart(
            "Latency and energy",
            data,
            layout,
            "front: no point has both less latency and less energy",
            440,
            linked=True,
            wide=True,
        )

    def against(self, key: str) -> list[Chart]:
        """Latency and energy against a swept key."""
        along = _Along.of(self._rows, key)
        charts = []
        for column, title, base, per in COSTS:
            divisor, unit = self._scaled(column, base, per)
            data = self._traces(along.place, column, divisor, ("", unit))
            data.append(self._least(along, column, divisor))
            values = [number(row, column) / divisor for row in self._rows]
            layout = {"xaxis": along.axis, "yaxis": self._axis(title, unit, values)}
            charts.append(Chart(f"{title} against {key}", data, layout, linked=True))
        return charts

    def _least(self, along: _Along, column: str, divisor: float) -> dict[str, Any]:
        """Line through the least value at every value of a key."""
        least: dict[Any, float] = {}
        for row in self._rows:
            at, value = along.place(row), number(row, column) / divisor
            least[at] = min(value, least.get(at, value))
        look = {"color": INK, "width": 1, "dash": "dot"}
        return {
            "type": "scatter", "mode": "lines", "name": "least", "x": list(along.order),
            "y": [least[at] for at in along.order], "line": look, "hoverinfo": "skip",
        }  # fmt: skip

    def _traces(
        self, x: Callable[[Row], Any], column: str, divisor: float, units: tuple[str, str]
    ) -> list[dict[str, Any]]:
        return [
            points(
                name,
                [x(row) for row in some],
                [number(row, column) / divisor for row in some],
                index,
                [self._said[id(row)] for row in some],
                rows=[self._place[id(row)] for row in some],
                size=self._size,
                unit=units,
            )
            for index, (name, some) in enumerate(self._series.items())
        ]

    def _scaled(self, column: str, unit: str, per: float) -> tuple[float, str]:
        divisor, prefixed = scale((value / per for value in numbers(self._rows, column)), unit)
        return divisor * per, prefixed

    def _axis(self, title: str, unit: str, values: Sequence[float]) -> dict[str, Any]:
        return axis(f"{title} ({unit})", log=is_far(values))


def _free(rows: Rows, keys: Sequence[str], place: Mapping[int, int]) -> dict[str, Any]:
    """Columns among which the reader chooses two for a chart: keys, and measures that differ."""
    columns: dict[str, Any] = {}
    for name in (*(key for key in ("arch", "trace") if key in rows[0]), *keys, *MAIN, *rows[0]):
        if name in columns or name == "error" or name.startswith(("mean_", "sd_")):
            continue
        values = [row.get(name) for row in rows]
        if len({str(value) for value in values}) < 2:
            continue
        if all(isinstance(value, int | float) for value in values if value is not None):
            short = [None if value is None else float(format(value, _DIGITS)) for value in values]
            columns[name] = {"unit": column_of(name, SWEEP_CSV).unit, "values": short}
        elif name in ("arch", "trace", *keys):
            columns[name] = {"unit": "", "values": [chart_label(value) for value in values]}
    if len(columns) < 2:
        return {}
    return {"columns": columns, "rows": [place[id(row)] for row in rows]}


def _provenance(rows: Rows, keys: Sequence[str]) -> Section:
    command, remark = command_of_sweep(rows, keys)
    told = facts(
        (name, ", ".join(dict.fromkeys(str(row[name]) for row in rows if row.get(name))) or "–")
        for name in ("trace", "trace_sha256", "engine", "commit", "source_sha256")
        if name in rows[0]
    )
    return Section("provenance", "Provenance", repeated(command, remark) + told)
