"""Sections of an exploration of designs: its front, the hypervolume over time, the importance of each key."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikex_sim.core.text import counted
from spikex_sim.core.units import prefix_of, with_prefix
from spikex_sim.explore.designs.found import CSV_FILE, Exploration, Explored, Goal, load_exploration
from spikex_sim.plots.explored import UNITS, share_rows, volume_rows
from spikex_sim.report.chart import INK, MUTED, Chart, axis, grouped, is_far, points
from spikex_sim.report.escaping import chart_label, escaped
from spikex_sim.report.markup import charted, command_block, repeated
from spikex_sim.report.repeat_searches import SPACE, command_of_exploration, space_text
from spikex_sim.report.run import cards
from spikex_sim.report.section import Section
from spikex_sim.report.table import Column, column_of, facts, number_text, table

ORDER = Goal(name="order", unit="", maximise=False)
"""What a single objective is shown against."""


def sections(file: Path) -> Iterator[Section]:
    """Sections of ``explore.json``."""
    found = load_exploration(file)
    yield _summary(found)
    yield _points(found)
    yield _settings(found)
    again = repeated(*command_of_exploration(found)) + command_block(space_text(found), SPACE)
    yield Section("provenance", "Provenance", again + facts(found.versions.items()))


def _summary(found: Exploration) -> Section:
    feasible = sum(one.feasible for one in found.points)
    aims = ", ".join(f"{one.name} {'large' if one.maximise else 'small'}" for one in found.objectives)
    text = (
        f"<p>{counted(len(found.points), 'point')}, {feasible:,} feasible, "
        f"{len(found.front):,} on the front. "
        f"Objectives: {escaped(aims)}. Sampler: {escaped(found.search.get('sampler'))}.</p>"
    )
    told = [("Hypervolume", f"{100 * found.hypervolume.final:.1f} %", "of the box from best to reference")]
    for goal in found.objectives:
        best = found.hypervolume.best[goal.name]
        told.append((f"Best {goal.name}", _with_unit(best, goal.unit), "of all feasible points"))
    rows = [_row(one) for one in found.front]
    columns = [_column(found, name) for name in dict.fromkeys(key for row in rows for key in row)]
    keep = [one for one in columns if one.name not in ("feasible", "front", "reason", "hypervolume")]
    return Section("summary", "Summary", text + cards(told) + table(keep, rows, "Front", source=CSV_FILE))


def _with_unit(value: float, unit: str) -> str:
    factor, base = UNITS.get(unit, (1.0, ""))
    return with_prefix(factor * value, base) if base else f"{number_text(value)} {unit}"


def _row(one: Explored) -> dict[str, Any]:
    values = {
        key: "/".join(map(str, value)) if isinstance(value, list) else value
        for key, value in one.values.items()
    }
    said = {"feasible": one.feasible, "front": "front" if one.front else "", "reason": one.reason}
    return {"order": one.order, "arch": one.arch, **values, **one.figures, **said}


def _column(found: Exploration, name: str) -> Column:
    goal = next((one for one in found.objectives if one.name == name), None)
    if goal is None:
        return column_of(name)
    return Column(name, goal.unit, "objective, the larger the better" if goal.maximise else "objective")


def _points(found: Exploration) -> Section:
    rows = [_row(one) for one in found.points]
    names = dict.fromkeys(["order", "arch", "front", *found.keys, *(key for row in rows for key in row)])
    body = table(
        [_column(found, name) for name in names],
        rows,
        "Points, in the order in which they were tried",
        selectable=True,
        source=CSV_FILE,
    )
    pairs: Sequence[tuple[Goal, Goal]] = list(itertools.combinations(found.objectives, 2))
    charts = [_pair(found, x, y) for x, y in pairs or [(ORDER, found.objectives[0])]]
    return charted(
        "points",
        "Points",
        [*charts, _volume(found), *_importance(found)],
        before='<div class="linked"></div>',
        after=body,
        more={"link": True},
    )


def _pair(found: Exploration, x: Goal, y: Goal) -> Chart:
    """Two objectives of every point that was run, by machine; those that break a limit apart."""
    run = [(index, one) for index, one in enumerate(found.points) if _has(one, x) and _has(one, y)]
    x_side, y_side = (_Side(goal, [_value(one, goal) for _, one in run]) for goal in (x, y))
    series: dict[str, list[tuple[int, Explored]]] = {}
    for index, one in run:
        series.setdefault(one.arch if one.feasible else "breaks a limit", []).append((index, one))
    data = []
    for place, (name, some) in enumerate(
        sorted(series.items(), key=lambda item: item[0] == "breaks a limit")
    ):
        made = points(
            name,
            [x_side.place(one) for _, one in some],
            [y_side.place(one) for _, one in some],
            place,
            [_said(one) for _, one in some],
            rows=[index for index, _ in some],
            unit=(x_side.unit, y_side.unit),
        )
        if name == "breaks a limit":
            made["marker"] = {**made["marker"], "symbol": "x-thin", "line": {"color": MUTED, "width": 1.5}}
        data.append(made)
    front = sorted((x_side.place(one), y_side.place(one)) for one in found.front)
    joined = len(found.objectives) == len((x, y)) and not x.maximise and not y.maximise
    data.append(
        {
            "type": "scatter",
            "mode": "lines+markers" if joined else "markers",
            "name": "front",
            "hoverinfo": "skip",
            "x": [place for place, _ in front],
            "y": [place for _, place in front],
            "line": {"color": INK, "width": 1, "dash": "dash", "shape": "hv"},
            "marker": {"symbol": "circle-open", "size": 12, "color": INK},
        }
    )
    title = f"{y.name} against {x.name}"
    return Chart(title, data, {"xaxis": x_side.axis, "yaxis": y_side.axis}, linked=True, wide=True)


def _has(one: Explored, goal: Goal) -> bool:
    return goal is ORDER or goal.name in one.figures


def _value(one: Explored, goal: Goal) -> float:
    return one.order if goal is ORDER else one.figures[goal.name]


class _Side:
    """Axis of an objective, in a unit with the prefix that suits the largest value."""

    def __init__(self, goal: Goal, values: Sequence[float]) -> None:
        self._goal, self._per, self.unit = goal, 1.0, goal.unit
        if goal.unit in UNITS:
            factor, base = UNITS[goal.unit]
            divisor, self.unit = prefix_of(factor * max(values, default=0.0), base)
            self._per = divisor / factor
        more = ", more is better" if goal.maximise else ""
        name = chart_label(goal.name)
        self.axis = axis(f"{name}{more} ({self.unit})" if self.unit else f"{name}{more}", log=is_far(values))

    def place(self, one: Explored) -> float:
        """Position of a point."""
        return _value(one, self._goal) / self._per


def _said(one: Explored) -> str:
    values = ", ".join(f"{key} {value}" for key, value in one.values.items())
    return chart_label(f"{one.order}: {one.arch}, {values}" + (f"; {one.reason}" if one.reason else ""))


def _volume(found: Exploration) -> Chart:
    rows = volume_rows(found)
    trace = points(
        "hypervolume",
        [row["order"] for row in rows],
        [100 * row["hypervolume"] for row in rows],
        0,
        [""] * len(rows),
        line=True,
        size=4,
        unit=("points", "%"),
    )
    trace |= {"mode": "lines", "line": {**trace["line"], "shape": "hv"}}
    layout = {"xaxis": axis("Points (number tried)"), "yaxis": axis("Hypervolume (% of the box)")}
    return Chart("Hypervolume", [trace], layout, "of the box from the best values to the reference point")


def _importance(found: Exploration) -> list[Chart]:
    shares: dict[str, dict[str, float]] = {}
    for row in share_rows(found):
        shares.setdefault(str(row["objective"]), {})[str(row["key"])] = 100 * row["share"]
    if not shares:
        return []
    keys = list(dict.fromkeys(key for one in shares.values() for key in one))
    last = list(shares.values())[-1]
    keys.sort(key=lambda key: -last.get(key, 0.0))
    series = {goal: [one.get(key) for key in keys] for goal, one in shares.items()}
    return [grouped("Importance of the keys", keys, series, "Importance", "%", note=found.importances.method)]


def _settings(found: Exploration) -> Section:
    rows = [{"key": key, "value": _text(value)} for key, value in _leaves(found.search)]
    body = table([Column("key"), Column("value")], rows, "All that decides the outcome")
    return Section("configuration", "Configuration", body)


def _text(value: Any) -> Any:
    return value if isinstance(value, int | float | str) or value is None else json.dumps(value)


def _leaves(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
