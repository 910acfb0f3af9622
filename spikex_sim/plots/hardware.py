"""The fast hardware model: what was simulated, and the lines fitted to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from spikex_sim.core.errors import FigureError
from spikex_sim.core.units import prefix_of
from spikex_sim.explore.fitted.curves import QUANTITIES, LayerFit
from spikex_sim.plots.style import (
    MARKERS,
    MAX_SERIES,
    Given,
    Style,
    decades,
    leftmost,
    legend,
    panels,
    series_look,
    short,
)
from spikex_sim.plots.table import Rows, cell, number

LABELS = {"edp_js": ("EDP", "Js"), "energy_pj": ("Energy", "J"), "cycles": ("Cycles", "")}
POINT: dict[str, Any] = {"linestyle": "", "markersize": 2.2, "markeredgewidth": 0, "alpha": 0.4}


def hardware_model(
    fits: Sequence[LayerFit], ax: Given = None, style: Style = None, quantity: str = "edp_js"
) -> tuple[Figure, Any]:
    """Cost per active window against the density of active windows, a panel a layer, a line a window size.

    Parameters
    ----------
    fits : sequence of LayerFit
        Of a :class:`~spikex_sim.explore.fitted.HardwareModel`. Dots are simulated samples, lines the fit.
    ax : sequence of Axes, optional
        One for each layer.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.
    quantity : {"edp_js", "energy_pj", "cycles"}
        What is drawn.

    Returns
    -------
    fig : Figure
    ax : tuple of Axes

    Raises
    ------
    FigureError
        If there are no fits, or more window sizes than lines that can be told apart.
    """
    if quantity not in QUANTITIES:
        raise FigureError(f"must be one of {', '.join(QUANTITIES)}, not {quantity!r:.40}", field="quantity")
    if not fits:
        raise FigureError("there are no fits")
    layers = list(dict.fromkeys(fit.layer for fit in fits))
    sizes = sorted({fit.tws for fit in fits})
    if len(sizes) > MAX_SERIES:
        raise FigureError(f"{len(sizes)} lines, more than {MAX_SERIES}, cannot be told apart", field="tws")
    factor = 1e-12 if quantity == "energy_pj" else 1.0
    name, unit = LABELS[quantity]
    values = [factor * value for fit in fits for value in fit.per_window(quantity) if value > 0]
    divisor, shown = prefix_of(max(values), unit) if unit else (1.0, "")
    factor /= divisor
    with panels(ax, style, height=1.45, count=len(layers)) as (figure, axes):
        handles: dict[int, Any] = {}
        for axis, layer in zip(axes, layers, strict=True):
            for fit in (fit for fit in fits if fit.layer == layer):
                look = series_look(sizes.index(fit.tws))
                knots = 100 * np.array(fit.densities)
                axis.plot(
                    [100 * point.density for point in fit.points],
                    [
                        factor * getattr(point, quantity) / (point.density * fit.windows)
                        for point in fit.points
                    ],
                    marker=".", color=look["color"], zorder=1, **POINT,
                )  # fmt: skip
                line = np.geomspace(knots[0], knots[-1], 200)
                heights = factor * np.interp(line, knots, fit.per_window(quantity))
                (handle,) = axis.plot(line, heights, color=look["color"], linestyle=look["linestyle"])
                handles.setdefault(fit.tws, handle)
            axis.set_xscale("log")
            axis.set_yscale("log")
            heights_drawn = [
                value for drawn in axis.lines for value in np.asarray(drawn.get_ydata()) if value > 0
            ]
            axis.set_ylim(*decades(min(heights_drawn), max(heights_drawn)))
            axis.set_title(short(layer), loc="left")
            axis.set_xlabel("Windows with a spike (%)")
            if leftmost(axis):
                axis.set_ylabel(f"{name} per window{f' ({shown})' if shown else ''}")
            axis.grid()
        legend(figure, axes, ax is None, [handles[tws] for tws in sizes], [f"TWS {tws}" for tws in sizes])
    return figure, tuple(axes)


def held_out(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Predicted over simulated cost against the density of active windows, a colour a network.

    Parameters
    ----------
    rows : sequence of dict
        ``network``, ``density`` (0 to 1), and ``predicted_`` and ``simulated_`` of ``edp_js``,
        ``energy_pj`` and ``cycles``: a layer of a sample at a window size each.
    ax : sequence of three Axes, optional
        For EDP, energy and cycles.
    style
        As :func:`hardware_model`, and so what is returned and raised.
    """
    if not rows:
        raise FigureError("there are no rows")
    networks = list(dict.fromkeys(str(cell(row, "network")) for row in rows))
    if len(networks) > len(MARKERS):
        raise FigureError(f"{len(networks)} networks, more than {len(MARKERS)}", field="network")
    with panels(ax, style, height=1.6, count=len(QUANTITIES)) as (figure, axes):
        for axis, quantity in zip(axes, QUANTITIES, strict=True):
            for index, network in enumerate(networks):
                mine = [row for row in rows if str(row["network"]) == network]
                ratios = [
                    number(row, f"predicted_{quantity}") / number(row, f"simulated_{quantity}")
                    for row in mine
                ]
                look = series_look(index) | {"linestyle": "", "markersize": 2.4, "markeredgewidth": 0.2}
                axis.plot([100 * number(row, "density") for row in mine], ratios, **look)
            axis.axhline(1, color="black", lw=0.6, zorder=0)
            axis.set_xscale("log")
            axis.set_yscale("log", base=2)
            axis.yaxis.set_major_formatter("{x:g}")
            axis.set_title(LABELS[quantity][0], loc="left")
            axis.set_xlabel("Windows with a spike (%)")
            if leftmost(axis):
                axis.set_ylabel("Predicted / simulated (×)")
            axis.grid()
        legend(figure, axes, ax is None, axes[0].lines[: len(networks)], networks)
    return figure, tuple(axes)
