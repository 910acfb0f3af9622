"""Figure 5 of the SpikeX paper: how densely spikes and packed windows fill the layers' inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spikex_sim.core.errors import FigureError
from spikex_sim.core.hints import one_of
from spikex_sim.plots.paper.common import by_text, needed, network_name, only, texts
from spikex_sim.plots.style import MARKERS, Given, Style, leftmost, legend, note, panels, series_look, short
from spikex_sim.plots.sweeps import fit_values
from spikex_sim.plots.table import Row, Rows, number, numbers

VARIANTS = {"base": "without HT", "ht": "with HT"}
BESIDE = 0.19
"""Distance of a variant's marks from the middle of its layer."""
QUIET: dict[str, Any] = {
    "marker": "_",
    "linestyle": "",
    "color": "black",
    "markersize": 7,
    "markeredgewidth": 1.2,
}


def paper_fig5(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Density of spikes, and of windows with a spike, in what enters each layer, a panel a network (Fig. 5).

    Parameters
    ----------
    rows : sequence of dict
        ``network``, ``variant`` (base or ht), ``layer``, ``tws`` (1: single time points), ``density`` (0 to
        1), ``neurons_below_10_percent`` (per cent of the neurons that spike at less than 10 % of the time
        points; empty where it is not known).
    ax : sequence of Axes, optional
        One for each network.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : tuple of Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or there are more window sizes than markers.
    """
    only(needed(rows), "network", "variant", "layer", "tws")
    present = texts(rows, "variant")
    for name in present:
        if name not in VARIANTS:
            raise FigureError(one_of(name, VARIANTS), field="variant")
    sizes = sorted(set(numbers(rows, "tws")))
    if len(sizes) > len(MARKERS):
        raise FigureError(f"{len(sizes)} window sizes, more than {len(MARKERS)}", field="tws")
    percents = [100 * density for density in numbers(rows, "density")]
    percents += [quiet for row in rows if (quiet := _quiet(row)) is not None]
    networks = by_text(rows, "network")
    with panels(ax, style, height=1.45, count=len(networks)) as (figure, axes):
        for axis, (network, members) in zip(axes, networks.items(), strict=True):
            _panel(axis, members, sizes, [name for name in VARIANTS if name in present])
            axis.set_title(network_name(network), loc="left")
            axis.set_ylabel("Share (%)" if leftmost(axis) else "")
            axis.grid(axis="y")
            fit_values(axis, percents)
            axis.yaxis.set_major_formatter("{x:g}")
        _name(figure, axes, ax is None, sizes, present, any(_quiet(row) is not None for row in rows))
        note(figure, axes, ax is None, _lacking(networks))
    return figure, tuple(axes)


def _panel(axis: Axes, rows: Rows, sizes: list[float], variants: list[str]) -> None:
    layers = texts(rows, "layer")
    for variant in variants:
        members = [row for row in rows if row["variant"] == variant]
        if not members:
            continue
        beside = BESIDE * (2 * variants.index(variant) - 1) if len(variants) > 1 else 0.0
        spans: dict[float, list[float]] = {}
        for index, size in enumerate(sizes):
            found = [row for row in members if row["tws"] == size]
            x = [layers.index(str(row["layer"])) + beside for row in found]
            y = [100 * number(row, "density") for row in found]
            axis.plot(x, y, clip_on=False, **_look(index, variant))
            for place, percent in zip(x, y, strict=True):
                spans.setdefault(place, []).append(percent)
            quiet = [(place, _quiet(row)) for place, row in zip(x, found, strict=True)]
            for place, share in quiet:
                if share is not None:
                    axis.plot([place], [share], clip_on=False, **QUIET)
        for place, span in spans.items():
            axis.plot([place] * 2, [min(span), max(span)], color="#BBBBBB", lw=0.6, zorder=1)
    labels = [short(layer) for layer in layers]
    steep = sum(map(len, labels)) + 2 * len(labels) > 44
    turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if steep else {}
    axis.set_xticks(range(len(layers)), labels, **turned)
    axis.tick_params(axis="x", length=0)
    axis.set_xlim(-0.6, len(layers) - 0.4)


def _look(index: int, variant: str) -> dict[str, Any]:
    """Marker of a window size, filled without training for hardware and open with it."""
    look = series_look(index) | {"linestyle": "", "markersize": 3.6, "markeredgewidth": 0.8}
    return look | {
        "markeredgecolor": look["color"],
        "markerfacecolor": look["color"] if variant == "base" else "white",
    }


def _quiet(row: Row) -> float | None:
    """Share in per cent of the neurons that hardly spike; None if it is not in the row."""
    value = row.get("neurons_below_10_percent")
    if value is None or value == "":
        return None
    try:
        return number({"neurons_below_10_percent": float(value)}, "neurons_below_10_percent")
    except ValueError:
        return number(row, "neurons_below_10_percent")


def _name(
    figure: Figure, axes: list[Axes], own: bool, sizes: list[float], variants: Iterable[str], quiet: bool
) -> None:
    handles = [Line2D([], [], **_look(index, "base")) for index in range(len(sizes))]
    labels = ["spikes" if size == 1 else f"windows of {size:g}" for size in sizes]
    for variant, label in VARIANTS.items():
        if variant in variants:
            handles.append(
                Line2D([], [], **_look(0, variant) | {"color": "black", "markeredgecolor": "black"})
            )
            handles[-1].set_markerfacecolor("black" if variant == "base" else "white")
            labels.append(label)
    if quiet:
        handles.append(Line2D([], [], **QUIET))
        labels.append("neurons firing < 10 %")
    legend(figure, axes, own, handles, labels)


def _lacking(networks: Mapping[str, Rows]) -> str:
    """Say which variants there are no rows of, and of which networks if not of all."""
    notes = []
    for variant, label in VARIANTS.items():
        names = [
            network_name(name) for name, rows in networks.items() if variant not in texts(rows, "variant")
        ]
        if names:
            notes.append(label + (f" ({', '.join(names)})" if len(names) < len(networks) else ""))
    return f"no rows yet: {', '.join(notes)}" if notes else ""
