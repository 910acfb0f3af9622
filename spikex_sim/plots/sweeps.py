"""Figures of the points of a sweep: latency and energy against what was swept, and against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator

from spikex_sim.core.errors import FigureError
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.costs.areas import said_of
from spikex_sim.explore.sweeps.table import pareto_front
from spikex_sim.plots.naming import along_steps, name_points
from spikex_sim.plots.style import (
    MAX_SERIES,
    Given,
    Style,
    decades,
    legend,
    logarithmic,
    note,
    panels,
    plain,
    series_look,
)
from spikex_sim.plots.table import (
    Row,
    Rows,
    brief,
    cell,
    finished,
    grid_keys,
    number,
    numbers,
    scale,
    series_of,
    trace_of,
)

LOG_FROM = 20
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""
SIZES = ("array.rows", "array.cols")
LETTERS = "abcdefgh"
"""Names of the points of a front, if there are not more."""
CROWD = 100
"""Points from which on they are small."""
COSTS = {
    "seconds": ("Latency", "s", 1.0), "energy_pj": ("Energy", "J", PJ_PER_J),
    "energy_on_chip_pj": ("Energy without DRAM", "J", PJ_PER_J), "edp_js": ("EDP", "Js", 1.0),
    "area_mm2": ("Known area", "mm²", 1.0),
}  # fmt: skip
"""What a front may be of: name, unit, and how many of the column make one."""
_TRACE = "which trace"
_RING: dict[str, Any] = {"marker": "o", "markersize": 7, "markerfacecolor": "none", "markeredgewidth": 0.5}


def against_tws(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Latency and energy against the time window size, a line for each machine and other swept values.

    Parameters
    ----------
    rows : sequence of dict
        Rows of a sweep over ``tws``; failed points and ``auto`` are left out.
    ax : sequence of two Axes, optional
        For latency and energy.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : tuple of two Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or if nothing is left to draw.
    """
    shown = [row for row in finished(rows) if cell(row, "tws") not in ("auto", None)]
    if not shown:
        raise FigureError("no point has a window size of its own", field="tws")
    series = series_of(shown, apart=("tws",))
    sizes = sorted(set(numbers(shown, "tws")))
    if not sizes[0]:
        raise FigureError("must be above 0", field="tws")

    def finish(axis: Axes) -> None:
        axis.set_xscale("log", base=2)
        axis.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)

    label = "Time window size (time points)"
    return _both(series, lambda row: number(row, "tws"), label, finish, ax, style)


def against_firing_rate(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Latency and energy against the spikes that a synapse carries at a time point, on average.

    This is the firing rate of the inputs, each weighted by its fan-out; synapses from padding never spike.

    Parameters
    ----------
    rows : sequence of dict
        Rows of a sweep over traces. A trace's rate is ``tops / tops_dense``, the least of any machine, as
        some add zeros too.
    ax, style
        As :func:`against_tws`, and so what is returned and raised.
    """
    shown = finished(rows)
    rates: dict[Any, float] = {}
    for row in shown:
        dense = number(row, "tops_dense")
        rate = 100 * number(row, "tops") / dense if dense else 0.0
        trace = trace_of(row)
        rates[trace] = min(rate, rates.get(trace, rate))
    series = series_of(shown, apart=("trace",))

    def finish(axis: Axes) -> None:
        axis.set_xlim(0, 1.08 * max(rates.values()) or 1)

    return _both(
        series, lambda row: rates[trace_of(row)], "Spikes per synapse and time point (%)", finish, ax, style
    )


def against_array_size(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Latency and energy against the size of the array, a line for each machine and other swept values.

    Parameters
    ----------
    rows : sequence of dict
        Rows of a sweep over ``array.rows``, ``array.cols`` or both.
    ax, style
        As :func:`against_tws`, and so what is returned and raised.
    """
    shown = finished(rows)
    keys = [key for key in SIZES if key in shown[0]]
    if not keys:
        raise FigureError("no such column, nor array.cols", field="array.rows")
    sizes = sorted(
        {tuple(number(row, key) for key in keys) for row in shown}, key=lambda size: (np.prod(size), size)
    )
    place = {size: float(index) for index, size in enumerate(sizes)}
    one = "Array rows" if keys == ["array.rows"] else "Array columns"
    names = ["×".join(f"{side:g}" for side in size) for size in sizes]
    steep = sum(map(len, names)) > 24

    def finish(axis: Axes) -> None:
        axis.set_xticks(range(len(sizes)), names, rotation=45 if steep else 0)
        axis.set_xlim(-0.4, len(sizes) - 0.6)

    return _both(
        series_of(shown, apart=SIZES),
        lambda row: place[tuple(row[key] for key in keys)],
        "Array (rows×columns)" if len(keys) == 2 else one,
        finish,
        ax,
        style,
    )


def _both(
    series: dict[str, list[Row]], x: Callable[[Row], float], label: str, finish: Callable[[Axes], None],
    ax: Given, style: Style,
) -> tuple[Figure, tuple[Axes, Axes]]:  # fmt: skip
    """Draw latency and energy against ``x`` of a row, a line a series."""
    _check_count(series)
    rows = [row for members in series.values() for row in members]
    with panels(ax, style, height=1.6, count=2) as (figure, axes):
        handles: list[Any] = []
        for axis, column, unit, per in (
            (axes[0], "seconds", "s", 1.0),
            (axes[1], "energy_pj", "J", PJ_PER_J),
        ):
            divisor, prefixed = scale((value / per for value in numbers(rows, column)), unit)
            drawn = []
            for index, members in enumerate(series.values()):
                points = sorted((x(row), number(row, column) / per / divisor) for row in members)
                drawn += axis.plot(*zip(*points, strict=True), **series_look(index))
            handles = drawn
            axis.set_xlabel(label)
            axis.set_ylabel(f"{'Latency' if unit == 's' else 'Energy'} ({prefixed})")
            axis.grid()
            finish(axis)
            fit_values(axis, (value / per / divisor for value in numbers(rows, column)))
        legend(figure, axes, ax is None, handles, [plain(name) for name in series])
    return figure, (axes[0], axes[1])


def fit_values(axis: Axes, values: Iterable[float]) -> None:
    """Let the vertical axis begin at zero, or make it logarithmic where values are far apart."""
    found = list(values)
    low, high = min(found), max(found)
    if low > 0 and high / low >= LOG_FROM:
        axis.set_yscale("log")
        axis.set_ylim(*decades(low, high))
        axis.yaxis.set_minor_formatter(NullFormatter())
    else:
        axis.set_ylim(0, 1.08 * high or 1)


def _check_count(series: dict[str, list[Row]]) -> None:
    if len(series) > MAX_SERIES:
        raise FigureError(
            f"{len(series)} lines, more than {MAX_SERIES}, cannot be told apart; give fewer rows"
        )


def pareto(
    rows: Rows, ax: Given = None, style: Style = None, *, by: tuple[str, str] = ("seconds", "energy_pj")
) -> tuple[Figure, Any]:
    """Two measures of every point, and of each trace the front that no point beats in both.

    Parameters
    ----------
    rows : sequence of dict
        Rows of a sweep.
    ax : Axes, optional
    by : tuple of str
        Two of ``seconds``, ``energy_pj``, ``energy_on_chip_pj``, ``edp_js`` and ``area_mm2``, along and up.
    style
        As :func:`against_tws`, and so what is returned and raised; one Axes. Points of
        the front, if few, are named by their swept values.
    """
    for column in by:
        if column not in COSTS:
            raise FigureError(f"must be of {', '.join(COSTS)}, not {column!r:.40}", field="by")
    shown = finished(rows)
    keys = brief(grid_keys(shown))
    series = _kinds_of_points(shown, keys)
    sides = [_side(shown, column) for column in by]
    fronts: dict[Any, list[Row]] = {}
    for row in pareto_front([{**row, _TRACE: trace_of(row)} for row in shown], by, each=_TRACE):
        fronts.setdefault(row[_TRACE], []).append(row)
    telling = ({"arch": ""} if len({row["arch"] for row in shown}) > 1 else {}) | keys
    named = next(iter(fronts.values())) if keys and len(fronts) == 1 else []
    named = named if len(named) <= len(LETTERS) else []
    with panels(ax, style, height=2.2) as (figure, axes):
        axis = axes[0]
        handles: list[Any] = []
        labels = [plain(name) for name in series]
        crowd: dict[str, Any] = {"markersize": 2.5} if len(shown) > CROWD else {}
        for index, members in enumerate(series.values()):
            look = series_look(index) | {"linestyle": ""} | crowd
            handles += axis.plot(*_places(members, sides), **look)
        for index, front in enumerate(fronts.values()):
            line = axis.step(*_places(front, sides), where="post", color="black", lw=0.7, ls="--", **_RING)
            if index == 0:
                handles += line
                labels.append("front")
        for letter, point in zip(LETTERS, named, strict=False):
            handles.append(Line2D([], [], ls=""))
            said = ", ".join(f"{name} {point[key]}".strip() for key, name in telling.items())
            labels.append(plain(f"{letter}: {said}"))
        axis.set_xlabel(sides[0].label)
        axis.set_ylabel(sides[1].label)
        axis.margins(0.1)
        note(figure, axes, ax is None, said_of(shown) if "area_mm2" in by else "")
        for side, values in zip("xy", _places(shown, sides), strict=True):
            _spread(axis, side, values)
        axis.grid()
        legend(figure, axes, ax is None, handles, labels)
        if named:
            points = list(zip(*_places(named, sides), strict=True))
            others = [*zip(*_places(shown, sides), strict=True), *along_steps(points)]
            name_points(figure, axis, LETTERS[: len(named)], points, others)
    return figure, axis


pareto_of_area = partial(pareto, by=("area_mm2", "edp_js"))


def _kinds_of_points(rows: Rows, swept: Iterable[str]) -> dict[str, list[Row]]:
    """Points by accelerator and trace; by less where there are more of these than can be told apart."""
    for apart in (swept, (*swept, "trace")):
        series = series_of(rows, apart)
        if len(series) <= MAX_SERIES:
            return series
    return {"points": list(rows)}


def _spread(axis: Axes, side: str, values: Iterable[float]) -> None:
    """Make an axis logarithmic where points would crowd at its one end."""
    found = list(values)
    low, high = min(found), max(found)
    if low > 0 and high / low >= LOG_FROM:
        logarithmic(axis, side, high / low)


class _Side(NamedTuple):
    """An axis: its column, how many of it make a unit, and what it says."""

    column: str
    per: float
    label: str


def _side(rows: Rows, column: str) -> _Side:
    name, unit, per = COSTS[column]
    found = numbers(rows, column)
    divisor, prefixed = (1.0, unit) if unit == "mm²" else scale((value / per for value in found), unit)
    return _Side(column, divisor * per, f"{name} ({prefixed})")


def _places(rows: Rows, sides: Iterable[_Side]) -> tuple[Any, ...]:
    return tuple(np.divide(numbers(rows, one.column), one.per) for one in sides)
