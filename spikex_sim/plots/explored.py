"""Figures of an exploration: its points and front, the hypervolume over time, the importance of each key."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spikex_sim.core.errors import FigureError
from spikex_sim.explore.designs.found import Exploration
from spikex_sim.plots.bars import patches
from spikex_sim.plots.style import (
    FILLS,
    HATCHES,
    MAX_SERIES,
    Given,
    Look,
    Style,
    legend,
    logarithmic,
    note,
    panels,
    plain,
    series_look,
    short,
)
from spikex_sim.plots.sweeps import LOG_FROM
from spikex_sim.plots.table import Row, Rows, cell, number, scale

FRONT: dict[str, Any] = {
    "marker": "o", "ms": 7, "mfc": "none", "mec": "black", "mew": 0.6, "color": "black", "lw": 0.7,
}  # fmt: skip
BROKEN: dict[str, Any] = {"marker": "x", "ms": 3, "color": "#999999", "ls": "", "mew": 0.6}
UNITS = {
    "pJ": (1e-12, "J"), "µJ": (1e-6, "J"), "mJ": (1e-3, "J"), "s": (1.0, "s"), "ms": (1e-3, "s"),
    "µs": (1e-6, "s"),
}  # fmt: skip
"""Units that get a metric prefix: their size, and the base."""
CROWD = 100
"""Points from which on they are small."""
MOST_KEYS = 20
"""Keys that have bars; more are left out, the least important first."""
LONGEST_KEY = 26


def front_rows(found: Exploration) -> list[Row]:
    """Points of an exploration, a row a point and objective.

    Parameters
    ----------
    found : Exploration

    Returns
    -------
    list of dict
        ``order`` and ``arch`` of the point, ``objective``, its ``unit`` and ``maximise``, ``value``,
        ``feasible``, ``front``; what could not be run is left out.
    """
    return [
        {
            "order": one.order, "arch": one.arch, "objective": goal.name, "unit": goal.unit,
            "maximise": goal.maximise, "value": one.figures[goal.name], "feasible": one.feasible,
            "front": one.front,
        }
        for one in found.points if one.figures for goal in found.objectives
    ]  # fmt: skip


def volume_rows(found: Exploration) -> list[Row]:
    """Hypervolume after each point, ``order`` and ``hypervolume``."""
    return [{"order": one.order, "hypervolume": one.hypervolume} for one in found.points]


def share_rows(found: Exploration) -> list[Row]:
    """Importances: ``objective``, ``key``, ``share``."""
    return [
        {"objective": goal, "key": key, "share": share}
        for goal, shares in found.importances.shares.items()
        for key, share in shares.items()
    ]


def against_objectives(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Every point by each two objectives, and the front; of one objective against the order of points.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`front_rows` returns.
    ax : Axes or sequence of Axes, optional
        One for each two objectives.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : Axes or tuple of Axes

    Raises
    ------
    FigureError
        If a column is missing or is no number, or there is nothing to draw.
    """
    points: dict[float, dict[str, Any]] = {}
    for row in rows:
        point = points.setdefault(number(row, "order"), {"order": number(row, "order")})
        point |= {name: cell(row, name) for name in ("arch", "feasible", "front")}
        point[str(cell(row, "objective"))] = number(row, "value")
    if not points:
        raise FigureError("no point was run", field="value")
    titles: dict[str, str] = {}
    for name, row in {str(row["objective"]): row for row in rows}.items():
        titles[name], divisor = _title(row, [point[name] for point in points.values() if name in point])
        for point in points.values():
            point[name] = number(point, name) / divisor
    pairs = list(itertools.combinations(titles, 2)) or [("order", next(iter(titles)))]
    titles["order"] = "Point (in order)"
    machines = list(dict.fromkeys(str(point["arch"]) for point in points.values()))
    if len(machines) > MAX_SERIES:
        raise FigureError(f"{len(machines)} machines, more than {MAX_SERIES}, cannot be told apart")
    with panels(ax, style, height=2.2, count=len(pairs)) as (figure, axes):
        for axis, (x, y) in zip(axes, pairs, strict=True):
            _points(axis, list(points.values()), machines, x, y)
            front = sorted((point[x], point[y]) for point in points.values() if point["front"])
            axis.plot([a for a, _ in front], [b for _, b in front], **FRONT | _joined(rows, pairs, x))
            axis.set(xlabel=titles[x], ylabel=titles[y])
            axis.margins(0.08)
            axis.grid()
        handles: list[Any] = [
            Line2D([], [], **series_look(at) | {"linestyle": ""}) for at, _ in enumerate(machines)
        ]
        labels = [plain(name) for name in machines]
        handles.append(
            Line2D([], [], ls="", **{key: FRONT[key] for key in ("marker", "ms", "mfc", "mec", "mew")})
        )
        labels.append("front")
        if not all(point["feasible"] for point in points.values()):
            handles.append(Line2D([], [], **BROKEN))
            labels.append("breaks a limit")
        legend(figure, axes, ax is None, handles, labels)
    return figure, axes[0] if len(axes) == 1 else tuple(axes)


def _title(row: Row, values: list[float]) -> tuple[str, float]:
    """What the axis of an objective is called, and what its values are divided by."""
    name, unit, divisor = str(cell(row, "objective")), str(cell(row, "unit")), 1.0
    words = name.removesuffix(f"_{unit.replace('²', '2').replace('µ', 'u').replace(' ', '_').lower()}")
    if unit in UNITS:
        factor, base = UNITS[unit]
        divisor, unit = scale((factor * value for value in values), base)
        divisor /= factor
    more = ", more is better" if cell(row, "maximise") else ""
    said = f"{words[:1].upper()}{words[1:].replace('_', ' ')}{more}"
    return plain(f"{said} ({unit})" if unit else said), divisor


def _joined(rows: Rows, pairs: list[tuple[str, str]], x: str) -> dict[str, Any]:
    """How points of a front are joined: of two objectives by steps, of others not at all."""
    if len(pairs) > 1 or x == "order":
        return {"ls": ""}
    more = any(row["maximise"] for row in rows if str(row["objective"]) == x)
    return {"ls": "--", "drawstyle": "steps-pre" if more else "steps-post"}


def _points(axis: Axes, points: list[dict[str, Any]], machines: list[str], x: str, y: str) -> None:
    crowd: dict[str, Any] = {"markersize": 2.5} if len(points) > CROWD else {}
    broken = [point for point in points if not point["feasible"]]
    axis.plot([point[x] for point in broken], [point[y] for point in broken], **BROKEN)
    for at, machine in enumerate(machines):
        own = [point for point in points if point["feasible"] and str(point["arch"]) == machine]
        look = series_look(at) | {"linestyle": ""} | crowd
        axis.plot([point[x] for point in own], [point[y] for point in own], **look)
    for side, name in (("x", x), ("y", y)):
        values = [point[name] for point in points]
        if name != "order" and min(values) > 0 and max(values) / min(values) >= LOG_FROM:
            logarithmic(axis, side, max(values) / min(values))


def hypervolume(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Hypervolume of the front after each point, as a share of the box from the best to the reference point.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`volume_rows` returns, or rows of ``explore.csv``.
    ax, style
        As :func:`against_objectives`, and so what is returned and raised; one Axes.
    """
    places = sorted((number(row, "order"), 100 * number(row, "hypervolume")) for row in rows)
    if not places:
        raise FigureError("no points", field="order")
    with panels(ax, style, height=1.8) as (figure, axes):
        axis = axes[0]
        look = {"color": series_look(0)["color"], "lw": 1.2}
        axis.step(*zip(*places, strict=True), where="post", **look)
        axis.set(xlabel="Points (number tried)", ylabel="Hypervolume (% of the box)", ylim=(0, 104))
        axis.grid()
    return figure, axes[0]


def importance(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """How much each key decides: a bar for each objective, and for the front.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`share_rows` returns.
    ax, style
        As :func:`against_objectives`, and so what is returned and raised; one Axes.
    """
    goals = list(dict.fromkeys(str(cell(row, "objective")) for row in rows))
    shares = {(str(cell(row, "key")), str(row["objective"])): 100 * number(row, "share") for row in rows}
    if not shares:
        raise FigureError("there are no importances", field="share")
    if len(goals) > len(FILLS):
        raise FigureError(f"{len(goals)} objectives, more than {len(FILLS)}, cannot be told apart")
    keys = sorted(dict.fromkeys(key for key, _ in shares), key=lambda key: shares.get((key, goals[-1]), 0.0))
    shown = keys[-MOST_KEYS:]
    looks = [Look(plain(goal), FILLS[at], HATCHES[at]) for at, goal in enumerate(goals)]
    high = 0.8 / len(goals)
    with panels(ax, style, height=0.5 + 0.11 * len(shown) * (1 + len(goals))) as (figure, axes):
        axis = axes[0]
        for at, (goal, look) in enumerate(zip(goals, looks, strict=True)):
            values = [shares.get((key, goal), 0.0) for key in shown]
            place = np.arange(len(shown)) + (len(goals) / 2 - at - 0.5) * high
            axis.barh(place, values, high, color=look.color, hatch=look.hatch, edgecolor="black", lw=0.4)
        axis.set_yticks(range(len(shown)), [short(key, LONGEST_KEY) for key in shown])
        axis.set(xlabel="Importance (%)", xlim=(0, 104))
        axis.grid(axis="x")
        legend(figure, axes, ax is None, patches(looks), [look.label for look in looks])
        left = len(keys) - len(shown)
        note(figure, axes, ax is None, f"left out, less important: {left} keys" if left else "")
    return figure, axes[0]
