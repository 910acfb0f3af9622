"""Figures of the commands that ask one question each: evaluate, ann, dynamic, search-tws."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from spikex_sim.core.errors import FigureError
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.plots.bars import bar_heights, patches, stack
from spikex_sim.plots.naming import name_points
from spikex_sim.plots.style import (
    FILLS,
    HATCHES,
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
from spikex_sim.plots.sweeps import fit_values
from spikex_sim.plots.table import Rows, cell, number, numbers, scale

RATIOS = {
    "energy_ratio": "energy",
    "energy_on_chip_ratio": "no DRAM",
    "latency_ratio": "latency",
    "edp_ratio": "EDP",
}
MAX_SIZES = 24
"""Most layers whose window sizes are written out."""


def evaluation(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Energy and latency of a sample by layer, a bar a machine.

    Parameters
    ----------
    rows : sequence of dict
        A row a machine and layer: ``run`` and ``arch`` of the machine, ``accuracy`` (0 to 1) and ``samples``
        of all, ``layer``, ``energy_pj`` and ``seconds``; means over the samples.
    ax : sequence of two Axes, optional
        For energy and latency.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : tuple of two Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or if there are no rows or too many machines.
    """
    runs = {cell(row, "run"): str(cell(row, "arch")) for row in _some(rows)}
    if len(runs) > len(FILLS):
        raise FigureError(f"{len(runs)} machines, more than {len(FILLS)}, cannot be told apart", field="arch")
    layers = list(dict.fromkeys(str(cell(row, "layer")) for row in rows))
    looks = [Look(name, FILLS[index], HATCHES[index]) for index, name in enumerate(runs.values())]
    thick = 0.84 / len(runs)
    high = bar_heights(len(layers)) * max(1.0, 0.6 * len(runs)) + 0.5
    with panels(ax, style, height=high, count=2) as (figure, axes):
        for axis, column, what, unit, per in (
            (axes[0], "energy_pj", "Energy of a sample", "J", PJ_PER_J),
            (axes[1], "seconds", "Latency of a sample", "s", 1.0),
        ):
            divisor, prefixed = scale((value / per for value in numbers(rows, column)), unit)
            for index, (run, look) in enumerate(zip(runs, looks, strict=True)):
                mine = [row for row in rows if row["run"] == run]
                places = [layers.index(str(row["layer"])) + (index + 0.5) * thick - 0.42 for row in mine]
                axis.barh(places, np.divide(numbers(mine, column), per * divisor), thick, color=look.color,
                          hatch=look.hatch, edgecolor="black", linewidth=0.4)  # fmt: skip
            axis.set_yticks(range(len(layers)), [short(layer) for layer in layers])
            axis.tick_params(axis="y", length=0)
            axis.set(ylim=(len(layers) - 0.4, -0.6), xlabel=f"{what} ({prefixed})")
            axis.grid(axis="x")
        right = 100 * number(rows[0], "accuracy")
        note(figure, axes, ax is None, f"correct: {right:.4g} % of {number(rows[0], 'samples'):g} samples")
        legend(figure, axes, ax is None, patches(looks), [plain(look.label) for look in looks])
    return figure, (axes[0], axes[1])


def against_ann(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Cost of a spiking network over the ANN's, against the time points that it runs.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``ann.csv``; the ANN is the one without ``timesteps``.
    ax : Axes, optional
    style
        As :func:`evaluation`, and so what is returned and raised; one Axes.
    """
    snn = [row for row in _some(rows) if cell(row, "timesteps") is not None]
    if not snn:
        raise FigureError("there is no spiking network", field="timesteps")
    points = numbers(snn, "timesteps")
    if not min(points):
        raise FigureError("must be above 0", field="timesteps")
    with panels(ax, style, height=1.9) as (figure, axes):
        axis = axes[0]
        handles: list[Any] = []
        for index, column in enumerate(RATIOS):
            handles += axis.plot(points, numbers(snn, column), **series_look(index))
        handles.append(axis.axhline(1, color="black", lw=0.8, zorder=1))
        logarithmic(axis, "x", max(points) / min(points))
        axis.set_xlim(min(points) / 1.25, max(points) * 1.25)
        fit_values(axis, [1.0, *(value for column in RATIOS for value in numbers(snn, column))])
        axis.set(xlabel="Time (time points)", ylabel="SNN relative to the ANN (×)")
        axis.grid()
        legend(figure, axes, ax is None, handles, [*RATIOS.values(), "ANN"])
    return figure, axis


def dynamic(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Samples that are right, and energy of a sample, against the time points it runs until it is certain.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``dynamic.csv``; points are named by their thresholds.
    ax : sequence of two Axes, optional
        For accuracy and energy.
    style
        As :func:`evaluation`, and so what is returned and raised.
    """
    shown = sorted(_some(rows), key=lambda row: number(row, "mean_timesteps"))
    times = numbers(shown, "mean_timesteps")
    names = [f"{number(row, 'threshold'):g}" for row in shown]
    joules = [value / PJ_PER_J for value in numbers(shown, "energy_pj")]
    divisor, unit = scale(joules, "J")
    right = [100 * value for value in numbers(shown, "accuracy")]
    curves = (right, "Correct (%)"), ([value / divisor for value in joules], f"Energy of a sample ({unit})")
    with panels(ax, style, height=1.6, count=2) as (figure, axes):
        handles: list[Any] = []
        for axis, (values, label) in zip(axes, curves, strict=True):
            handles = axis.plot(times, values, clip_on=False, **series_look(0))
            axis.set(xlabel="Time until stopped, mean (time points)", ylabel=label)
            axis.set_xlim(0, 1.12 * max(times) or 1)
            axis.set_ylim(0, 1.15 * max(values) or 1)
            axis.grid()
        legend(figure, axes, ax is None, handles, ["stopped below the entropy beside the point"])
        for axis, (values, _) in zip(axes, curves, strict=True):
            name_points(figure, axis, names, list(zip(times, values, strict=True)))
    return figure, (axes[0], axes[1])


def window_search(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Energy-delay product that each search came to, and the window sizes that it chose.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``search.csv``: ``method``, ``tws`` (sizes of all layers, with spaces), ``edp_js``.
    ax : sequence of two Axes, optional
        For products and window sizes.
    style
        As :func:`evaluation`, and so what is returned and raised.
    """
    names = [str(cell(row, "method")) for row in _some(rows)]
    sizes = [[_size(one) for one in str(cell(row, "tws")).split()] for row in rows]
    if not sizes[0] or len(set(map(len, sizes))) > 1:
        raise FigureError("must have a window size for every layer", field="tws")
    edps = numbers(rows, "edp_js")
    divisor, unit = scale(edps, "Js")
    table = np.array(sizes, float)
    with panels(ax, style, height=bar_heights(len(names)) + 0.6, count=2) as (figure, axes):
        stack(axes[0], names, {"edp": edps}, {"edp": Look("EDP", FILLS[1], "")}, divisor, f"EDP ({unit})")
        axis = axes[1]
        axis.pcolormesh(np.log2(table), vmin=0, vmax=np.log2(table.max()) or 1, edgecolors="white", lw=0.4,
                        cmap="Blues", alpha=0.6)  # fmt: skip
        if table.shape[1] <= MAX_SIZES:
            for (y, x), size in np.ndenumerate(table):
                axis.text(x + 0.5, y + 0.5, f"{size:g}", ha="center", va="center", size=6)
        places = np.unique(np.linspace(0, table.shape[1] - 1, 12).astype(int))
        axis.set_xticks(places + 0.5, [str(place + 1) for place in places])
        axis.set_yticks(np.arange(len(names)) + 0.5, [short(name) for name in names])
        axis.set_ylim(len(names), 0)
        axis.tick_params(length=0)
        axis.set_xlabel("Window sizes by layer (time points)")
    return figure, (axes[0], axes[1])


def _some(rows: Rows) -> Rows:
    if not rows:
        raise FigureError("there are no rows")
    return rows


def _size(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise FigureError(f"must be window sizes, not {text!r:.40}", field="tws")
    return int(text)
