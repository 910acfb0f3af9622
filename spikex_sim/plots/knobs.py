"""Figures of a sweep over keys of crossbar machines, or over time points: costs of a sample, and accuracy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from spikex_sim.core.errors import FigureError
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.plots.style import MAX_SERIES, Given, Style, legend, note, panels, plain, series_look
from spikex_sim.plots.sweeps import fit_values
from spikex_sim.plots.table import Row, Rows, cell, finished, number, numbers, scale, series_of

LOG_FROM = 8
"""Ratio of the largest to the smallest value of a key from which its axis is logarithmic."""
MAX_TICKS = 10
"""Most values that an axis names one by one."""
KNOBS = {
    "crossbar-size": ("imc.crossbar", "Crossbar (rows = columns)"),
    "adc-bits": ("imc.adc.bits", "ADC resolution (bits)"),
    "device-bits": ("imc.device.bits", "Cell (bits)"),
    "r-on": ("imc.device.r_on_kohm", "Lowest resistance R_on (kΩ)"),
    "timesteps": ("timesteps", "Time (time points)"),
}
"""Column of every figure, and what the axis says."""


class Measure(NamedTuple):
    """What a panel shows: column, label, unit that takes a prefix or stays, and how many of it make one."""

    column: str
    label: str
    unit: str
    per: float


ENERGY = Measure("mean_energy_pj", "Energy", "J", PJ_PER_J)
LATENCY = Measure("mean_seconds", "Latency", "s", 1.0)
PRODUCT = Measure("mean_edp_js", "EDP", "Js", 1.0)
AREA = Measure("area_mm2", "Area", "mm²", 1.0)
ACCURACY = Measure("accuracy", "Correct", "%", 0.01)
SOFTWARE = "software_accuracy"
"""Column of what exact sums predict."""
EXACT: dict[str, Any] = {"color": "black", "lw": 0.8, "ls": (0, (4, 2)), "zorder": 1}


def against(rows: Rows, ax: Given = None, style: Style = None, *, knob: str) -> tuple[Figure, Any]:
    """Energy, latency, area and accuracy against one key, a line for each machine and other swept values.

    Parameters
    ----------
    rows : sequence of dict
        Rows of a sweep; points that failed are left out. Energy, latency and EDP are means of a
        sample; where area or accuracy is not known of all, EDP is in its place.
    ax : sequence of Axes, optional
        Four, or where neither area nor accuracy is known two, for energy and latency.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.
    knob : str
        One of :data:`KNOBS`.

    Returns
    -------
    fig : Figure
    ax : tuple of Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or there are too many lines.
    """
    if knob not in KNOBS:
        raise FigureError(f"must be one of {', '.join(KNOBS)}, not {knob!r:.40}", field="knob")
    key, label = KNOBS[knob]
    shown = finished(rows)
    place, finish = _axis_of(shown, key)
    series = series_of(shown, apart=(key, "trace") if key == "timesteps" else (key,))
    if len(series) > MAX_SERIES:
        raise FigureError(f"{len(series)} lines, more than {MAX_SERIES}, cannot be told apart", field=key)
    drawn = _measures(shown)
    with panels(ax, style, height=1.5, count=len(drawn), across=len(drawn) // 2) as (figure, axes):
        handles: list[Any] = []
        for axis, one in zip(axes, drawn, strict=True):
            handles = _lines(axis, one, series, place)
            axis.set_xlabel(label)
            axis.grid()
            finish(axis)
        labels = [plain(name) for name in series]
        if drawn[-1] is ACCURACY and (exact := _software(shown, place)):
            handles += axes[-1].plot(*zip(*exact, strict=True), **EXACT)
            labels.append("exact sums")
        if any(number(row, "samples") > 1 for row in shown):
            note(figure, axes, ax is None, "energy, latency and EDP are means of a sample")
        legend(figure, axes, ax is None, handles, labels)
    return figure, tuple(axes)


against_crossbar_size = partial(against, knob="crossbar-size")
against_adc_bits = partial(against, knob="adc-bits")
against_device_bits = partial(against, knob="device-bits")
against_r_on = partial(against, knob="r-on")
against_timesteps = partial(against, knob="timesteps")


def _measures(rows: Rows) -> list[Measure]:
    known = [one for one in (AREA, ACCURACY) if all(row.get(one.column) is not None for row in rows)]
    if not known:
        return [ENERGY, LATENCY]
    return [ENERGY, LATENCY, *(known if len(known) == 2 else sorted([PRODUCT, *known], key=_last))]


def _last(one: Measure) -> bool:
    return one is ACCURACY


def _lines(
    axis: Axes, one: Measure, series: dict[str, list[Row]], place: Callable[[Row], float]
) -> list[Any]:
    rows = [row for members in series.values() for row in members]
    values = [value / one.per for value in numbers(rows, one.column)]
    divisor, unit = scale(values, one.unit) if one.unit in ("J", "s", "Js") else (1.0, one.unit)
    handles: list[Any] = []
    for index, members in enumerate(series.values()):
        points = sorted((place(row), number(row, one.column) / one.per / divisor) for row in members)
        handles += axis.plot(*zip(*points, strict=True), clip_on=one is not ACCURACY, **series_look(index))
    axis.set_ylabel(f"{one.label} ({unit})")
    if one is ACCURACY:
        axis.set_ylim(0, 100)
    else:
        fit_values(axis, (value / divisor for value in values))
    return handles


def _software(rows: Rows, place: Callable[[Row], float]) -> list[tuple[float, float]]:
    """What exact sums get right, if that depends on what the axis shows alone."""
    if any(row.get(SOFTWARE) is None for row in rows):
        return []
    found = sorted({(place(row), 100 * number(row, SOFTWARE)) for row in rows})
    return found if len(dict(found)) == len(found) else []


def _axis_of(rows: Rows, key: str) -> tuple[Callable[[Row], float], Callable[[Axes], None]]:
    """Where rows stand along an axis, and what finishes the axis; ``auto`` comes after numbers."""
    values = {str(cell(row, key)): row[key] for row in rows}
    if all(isinstance(value, int | float) for value in values.values()):
        return _numeric_axis(rows, key)
    names = sorted(values, key=lambda name: (isinstance(values[name], str), values[name]))

    def finish(axis: Axes) -> None:
        axis.set_xticks(range(len(names)), [plain(name) for name in names])
        axis.set_xlim(-0.4, len(names) - 0.6)

    return lambda row: float(names.index(str(row[key]))), finish


def _numeric_axis(rows: Rows, key: str) -> tuple[Callable[[Row], float], Callable[[Axes], None]]:
    values = sorted(set(numbers(rows, key)))
    far = values[0] > 0 and values[-1] / values[0] >= LOG_FROM

    def finish(axis: Axes) -> None:
        if far:
            axis.set_xscale("log")
            axis.set_xlim(values[0] / 1.25, values[-1] * 1.25)
            axis.xaxis.set_minor_formatter(NullFormatter())
        if len(values) <= MAX_TICKS:
            axis.set_xticks(values, [f"{value:g}" for value in values])
            axis.xaxis.set_minor_locator(NullLocator())

    return lambda row: number(row, key), finish
