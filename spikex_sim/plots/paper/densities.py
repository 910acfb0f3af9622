"""Ratios of Figure 13 against the density of trained networks, and how dense those that come along are."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spikex_sim.core.errors import FigureError
from spikex_sim.papers.spikex.densities import COSTS, at_density, ratios
from spikex_sim.plots.paper.common import by_text, needed, network_name, only, texts
from spikex_sim.plots.style import NOTE_COLOR, Given, Style, legend, panels, plain, series_look
from spikex_sim.plots.table import Rows, cell, number

NAMES = {
    "ht-energy": "PTB+HT, energy", "ht-latency": "PTB+HT, latency", "has-latency": "PTB+HT+HAS, latency",
    "all-energy": "SpikeX+HT+HAS, energy", "all-latency": "SpikeX+HT+HAS, latency",
}  # fmt: skip
LINES = {"HT": ":", "base": "--"}
"""Lines of the densities of networks that come along."""


def paper_densities(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """PTB over each configuration of Fig. 13, against the density after training.

    A panel is a network, with PTB as it is read there.

    Before training the network has the density fitted to the published ratios. These are the open markers, at
    the density that was fitted after training; vertical lines are networks that come along.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``densities.csv``.
    ax : sequence of Axes, optional
        One a network and reading.
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
    networks = by_text(needed(rows), "network")
    only(rows, "network", "ptb_moves", "kind", "density")
    readings = texts([row for row in rows if cell(row, "kind") != "shipped"], "ptb_moves")
    if not readings:
        raise FigureError("there are no rows of drawn spikes", field="kind")
    several = len(networks) * len(readings)
    with panels(ax, style, height=1.7, count=several, across=len(readings)) as (figure, axes):
        handles: list[Any] = []
        cases = [(network, reading) for network in networks for reading in readings]
        for axis, (network, reading) in zip(axes, cases, strict=True):
            handles = _drawn(axis, networks[network], reading)
            axis.set_title(f"{network_name(network)}\nPTB moves {plain(reading)}", size=6)
        handles.append(
            Line2D([], [], color=NOTE_COLOR, marker="o", markerfacecolor="none", markersize=6, ls="none")
        )
        handles += [Line2D([], [], color=NOTE_COLOR, lw=0.8, ls=line) for line in LINES.values()]
        labels = [*NAMES.values(), "published", *(f"comes along: {variant}" for variant in LINES)]
        legend(figure, axes, ax is None, handles, labels)
    return figure, tuple(axes)


def _drawn(axis: Axes, rows: Rows, reading: str) -> list[Any]:
    """Draw a network, with PTB as one reading has it."""
    mine = [row for row in rows if cell(row, "ptb_moves") == reading]
    drawn = [row for row in mine if cell(row, "kind") == "drawn"]
    fitted = next((row for row in mine if cell(row, "kind") == "fitted"), None)
    if fitted is None or not drawn:
        raise FigureError("has neither drawn nor fitted densities", field="kind")
    at = [number(row, "density") for row in drawn]
    costs = [{name: number(row, name) for name in COSTS} for row in drawn]
    base = at_density(drawn, number(fitted, "base_density"))
    found = [ratios(base, after) for after in costs]
    handles: list[Any] = []
    for index, name in enumerate(NAMES):
        look = series_look(index)
        handles += axis.plot([100 * one for one in at], [one[name] for one in found], **look)
        value = number(fitted, f"{name.replace('-', '_')}_published")
        look |= {"linestyle": "none", "markerfacecolor": "none", "markeredgecolor": look["color"],
                 "markeredgewidth": 1.0, "markersize": 6}  # fmt: skip
        axis.plot([100 * number(fitted, "density")], [value], **look)
    for row in rows:
        if cell(row, "kind") == "shipped":
            line = LINES.get(str(row["variant"]), ":")
            axis.axvline(100 * number(row, "density"), color=NOTE_COLOR, lw=0.8, ls=line)
    axis.set(xscale="log", yscale="log", xlabel="Density after training (%)", ylabel="PTB over it (×)")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.grid()
    return handles
