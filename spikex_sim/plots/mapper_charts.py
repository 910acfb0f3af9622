"""Figures of mappings of networks onto crossbars: how they were found, what they are made of, what is traded.

Those that draw crossbars and their mesh are in :mod:`spikex_sim.plots.mapper_drawings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from spikex_sim.core.errors import FigureError
from spikex_sim.plots.bars import bar_heights
from spikex_sim.plots.naming import along_steps, name_points
from spikex_sim.plots.paper.common import by_text
from spikex_sim.plots.style import (
    FEW_DECADES,
    FILLS,
    HATCHES,
    Given,
    Style,
    legend,
    logarithmic,
    note,
    panels,
    series_look,
    short,
)
from spikex_sim.plots.table import Row, Rows, cell, number, numbers

STAGES = {
    "area": "Area (cells)",
    "routes": "Global routes (number)",
    "packets": "Global packets (number)",
}
"""What a stage makes small, and what its axis is called."""
MAX_TYPES = 40
"""Most types of crossbars that are drawn."""
MAX_WAYS = 40
"""Most rows of a comparison."""
FRONT = ("area", "routes", "packets", "crossbars")
"""Columns of a point of a front; budgets that give the same mapping are one."""
BUDGETS_NAMED = 24
"""Most points of a front that are named."""
FAR = 4
"""Ratio of values from which their axis is logarithmic."""
FAR_BARS = 30
"""The same of bars, which then begin at half of the least value."""
NUMBER_SIZE = 5.5
MANY_SAMPLES = 200
PROFILED: dict[str, Any] = {"marker": "D", "color": "black", "ms": 4, "mec": "white", "mew": 0.4}
"""Samples of a profile."""
BOUND: dict[str, Any] = {"color": FILLS[5], "lw": 0.9, "ls": (0, (6, 2))}
"""Line of what no mapping is below."""


def steps(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Value of every stage along its annealing runs, and the bound that no mapping is below.

    Parameters
    ----------
    rows : sequence of dict
        A row a point: ``stage`` (area, routes or packets), ``run``, ``steps``, ``value``, and ``bound``,
        empty where there is none.
    ax : sequence of Axes, optional
        One a stage.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : tuple of Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or if there are no rows.
    """
    if not rows:
        raise FigureError("no stage has a history", field="stage")
    series = by_text(rows, "stage")
    for stage in series:
        if stage not in STAGES:
            raise FigureError(f"must be one of {', '.join(STAGES)}, not {stage!r:.40}", field="stage")
    most = max(numbers(rows, "steps"))
    divisor, unit = (1e6, "Steps (10⁶)") if most >= 1e6 else (1e3, "Steps (10³)")
    bounded = any(cell(row, "bound") not in (None, "") for row in rows)
    with panels(ax, style, height=1.9, count=len(series)) as (figure, axes):
        for axis, (stage, some) in zip(axes, series.items(), strict=True):
            runs = by_text(some, "run")
            for index, points in enumerate(runs.values()):
                look = series_look(index) | {"marker": "", "lw": 0.8}
                axis.plot([value / divisor for value in numbers(points, "steps")], numbers(points, "value"),
                          **look)  # fmt: skip
            if some[0]["bound"] not in (None, ""):
                axis.axhline(number(some[0], "bound"), **BOUND)
            axis.set(xlabel=unit, ylabel=STAGES[stage], xlim=(0, most / divisor))
            values = numbers(some, "value")
            if 0 < FAR * min(values) < max(values):
                logarithmic(axis, "y", max(values) / min(values))
            else:
                axis.set_ylim(0, None)
            axis.grid()
        runs = max((by_text(some, "run") for some in series.values()), key=len)
        handles = [Line2D([], [], **(series_look(index) | {"marker": ""})) for index in range(len(runs))]
        labels = [f"run {plain}" for plain in runs] if len(runs) > 1 else ["annealing"]
        if bounded:
            handles.append(Line2D([], [], **BOUND))
            labels.append("bound")
        legend(figure, axes, ax is None, handles, labels)
    return figure, tuple(axes)


def types(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Area and number of the crossbars of each type in use, with its share.

    Parameters
    ----------
    rows : sequence of dict
        A row a type: ``type``, ``crossbars``, ``area`` (of all of them, cells).
    ax, style
        As :func:`steps`, and so what is returned and raised; two Axes.
    """
    if not 1 <= len(rows) <= MAX_TYPES:
        raise FigureError(f"needs 1 to {MAX_TYPES} types, not {len(rows)}", field="type")
    names = [short(cell(row, "type")) for row in rows]
    with panels(ax, style, height=bar_heights(len(rows)) + 0.45, count=2) as (figure, axes):
        for index, (axis, column, label) in enumerate(
            zip(axes, ("area", "crossbars"), ("Area (cells)", "Crossbars (number)"), strict=True)
        ):
            values = numbers(rows, column)
            total = sum(values) or 1
            bars = axis.barh(range(len(rows)), values, 0.75, color=FILLS[index], edgecolor="black", lw=0.4)
            texts = [f"{value:,.0f} ({100 * value / total:.0f} %)" for value in values]
            axis.bar_label(bars, texts, padding=2, size=NUMBER_SIZE)
            _lying(axis, names, 1.4 * max(values), label)
        axes[1].xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    return figure, tuple(axes)


def comparison(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Area and routes of every way to map, and how much less area than homogeneous MCC takes.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``compare.csv``.
    ax, style
        As :func:`steps`, and so what is returned and raised; two Axes.
    """
    if not 1 <= len(rows) <= MAX_WAYS:
        raise FigureError(f"needs 1 to {MAX_WAYS} rows, not {len(rows)}", field="method")
    kinds = by_text(rows, "kind")
    looks = {kind: (FILLS[2 * at % len(FILLS)], HATCHES[at % len(HATCHES)]) for at, kind in enumerate(kinds)}
    pools = {kind: f"{kind}: {short(cell(some[0], 'pool'))}" for kind, some in kinds.items()}
    names = [_way(row) for row in rows]
    with panels(ax, style, height=bar_heights(len(rows)) + 0.45, count=2) as (figure, axes):
        for axis, column, label in zip(axes, ("area", "routes"), STAGES.values(), strict=False):
            values = numbers(rows, column)
            low, high = min(values), max(values)
            far = 0 < FAR_BARS * low < high
            start = low / 2 if far else 0.0
            for at, (row, value) in enumerate(zip(rows, values, strict=True)):
                color, hatch = looks[str(row["kind"])]
                bars = axis.barh(at, value - start, 0.75, left=start, color=color, hatch=hatch,
                                 edgecolor="black", lw=0.4)  # fmt: skip
                axis.bar_label(bars, [_at_end(row, column, value)], padding=2, size=NUMBER_SIZE)
            room = 0.45 if column == "area" else 0.2
            if far:
                logarithmic(axis, "x", FEW_DECADES)  # labels at powers of ten alone
                _lying(axis, names, high * (high / start) ** room, label, start)
            else:
                _lying(axis, names, (1 + room) * high, label)
        handles = [Patch(facecolor=color, hatch=hatch, edgecolor="black", linewidth=0.4)
                   for color, hatch in looks.values()]  # fmt: skip
        legend(figure, axes, ax is None, handles, list(pools.values()))
        told = "%: against MCC in crossbars of one type" if _has_percent(rows) else ""
        note(figure, axes, ax is None, told)
    return figure, tuple(axes)


def _at_end(row: Row, column: str, value: float) -> str:
    if column == "area" and row.get("less_percent") not in (None, ""):
        less = float(row["less_percent"])
        sign = "" if abs(less) < 0.05 else "−" if less > 0 else "+"
        return f"{value:,.0f} ({sign}{abs(less):.1f} %)"
    return f"{value:,.0f}"


def _has_percent(rows: Rows) -> bool:
    return any(row.get("less_percent") not in (None, "") for row in rows)


def _way(row: Row) -> str:
    """A method as its bar is called."""
    method, start, objective = (str(row.get(key) or "") for key in ("method", "start", "objective"))
    return short(f"{method} {start or objective}".rstrip() if method else cell(row, "method"))


def front(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Routes and packets against area, one mapping a budget; points are named by their crossbars.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``pareto.csv``: ``area_budget``, ``area``, ``routes``, ``packets``, ``crossbars``.
    ax, style
        As :func:`steps`, and so what is returned and raised; two Axes, or one where packets equal routes.
    """
    if not rows:
        raise FigureError("there are no rows", field="area")
    different = {tuple(number(row, column) for column in FRONT): row for row in rows}
    shown = [different[point] for point in sorted(different)]
    what = {"routes": STAGES["routes"]}
    if numbers(shown, "packets") != numbers(shown, "routes"):
        what["packets"] = STAGES["packets"]
    with panels(ax, style, height=2.2, count=len(what)) as (figure, axes):
        area = numbers(shown, "area")
        for axis, (column, label) in zip(axes, what.items(), strict=True):
            values = numbers(shown, column)
            best = np.minimum.accumulate(values)
            axis.step(area, best, where="post", color="black", lw=0.7, ls="--", zorder=1)
            axis.plot(area, values, **series_look(0) | {"linestyle": "none"})
            axis.set(xlabel=STAGES["area"], ylabel=label)
            axis.margins(0.1)
            axis.grid()
        handles = [Line2D([], [], **series_look(0) | {"linestyle": "none"}),
                   Line2D([], [], color="black", lw=0.7, ls="--")]  # fmt: skip
        named = shown[:BUDGETS_NAMED]
        legend(figure, axes, ax is None, handles, ["mapping (its crossbars)", "least within the area"])
        for axis, column in zip(axes, what, strict=True):
            points = [(number(row, "area"), number(row, column)) for row in named]
            best = np.minimum.accumulate(numbers(shown, column))
            steps_of = along_steps(list(zip(numbers(shown, "area"), best.tolist(), strict=True)))
            names = [f"{number(row, 'crossbars'):g}" for row in named]
            name_points(figure, axis, names, points, [*steps_of])
    return figure, tuple(axes) if len(what) > 1 else axes[0]


def held_out(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Packets of samples that the mapping was not made for, their mean and deviation, and of its profile.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``heldout.csv``: ``sample``, ``packets``, and ``profile``, 1 for samples of the profile.
    ax, style
        As :func:`steps`, and so what is returned and raised; two Axes:
        sample by sample, and how many samples have so many packets.
    """
    if not rows:
        raise FigureError("there are no samples", field="sample")
    parts: list[list[Row]] = [[], []]
    for row in rows:
        parts[bool(row.get("profile"))].append(row)
    rest, profile = parts
    if not rest:
        raise FigureError("all samples are of the profile", field="profile")
    packets = np.array(numbers(rest, "packets"))
    mean, deviation = float(packets.mean()), float(packets.std(ddof=1)) if len(rest) > 1 else 0.0
    many = len(rows) > MANY_SAMPLES
    look: dict[str, Any] = {"ls": "", "mec": "none", "ms": 1.5 if many else 3, "rasterized": many}
    with panels(ax, style, height=1.9, count=2) as (figure, axes):
        left, right = axes
        for some, mark in ((rest, {"marker": "o", "color": FILLS[0]}), (profile, PROFILED)):
            left.plot(numbers(some, "sample"), numbers(some, "packets"), **{**look, **mark})
        left.set(xlabel="Sample (number)", ylabel="Packets (of a sample)")
        left.margins(0.03, 0.12)
        left.grid(axis="y")
        bins = max(3, min(30, round(len(rest) ** 0.5) + 2))
        right.hist(packets, bins, orientation="horizontal", color=FILLS[1], edgecolor="black", lw=0.4)
        right.set(xlabel="Samples held out (number)", ylabel="Packets (of a sample)")
        right.set_ylim(left.get_ylim())
        right.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        for axis in axes:
            axis.axhspan(mean - deviation, mean + deviation, color=FILLS[4], alpha=0.25, lw=0, zorder=0)
            axis.axhline(mean, color=FILLS[5], lw=0.9)
        handles = [Line2D([], [], color=FILLS[5], lw=0.9), Patch(color=FILLS[4], alpha=0.25, lw=0)]
        labels = [f"held out: mean {mean:,.0f}", f"± standard deviation {deviation:,.0f}"]
        if profile:
            handles.append(Line2D([], [], ls="", **PROFILED))
            labels.append("profile")
        legend(figure, axes, ax is None, handles, labels)
    return figure, (left, right)


def _lying(axis: Axes, names: Sequence[str], end: float, label: str, start: float = 0.0) -> None:
    """Name lying bars, and leave room for numbers at their ends."""
    axis.set_yticks(range(len(names)), names)
    axis.set(ylim=(len(names) - 0.4, -0.6), xlim=(start, end or 1), xlabel=label)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
