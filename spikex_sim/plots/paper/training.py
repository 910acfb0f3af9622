"""Figures 7 and 8 of the SpikeX paper: training for the hardware, and the search of window sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from spikex_sim.core.errors import FigureError
from spikex_sim.plots.bars import patches
from spikex_sim.plots.paper.common import by_text, needed, network_name, only, texts
from spikex_sim.plots.style import (
    FILLS,
    HATCHES,
    NOTE_SIZE,
    Given,
    Look,
    Style,
    leftmost,
    legend,
    panels,
    series_look,
    short,
)
from spikex_sim.plots.sweeps import fit_values
from spikex_sim.plots.table import Row, Rows, number, numbers

DENSITIES = {"spike_density": "spikes", "window_density": "windows with a spike"}
MAX_SIZES = 2 * len(FILLS)
STRIP = 0.82
"""Height of a layer's strip in Fig. 8, of the distance between layers."""


def paper_fig7(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Accuracy, and density of spikes and of windows, against the weight of the hardware loss (Fig. 7).

    Parameters
    ----------
    rows : sequence of dict
        ``network``, ``beta`` (0: without hardware loss), ``accuracy``, ``spike_density``,
        ``window_density`` (0 to 1).
    ax : sequence of Axes, optional
        Two for each network: accuracy and densities.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : tuple of Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or two rows are of the same case.
    """
    only(needed(rows), "network", "beta")
    networks = by_text(rows, "network")
    with panels(ax, style, height=1.45, count=2 * len(networks), across=2) as (figure, axes):
        looks = {name: series_look(index) for index, name in enumerate(("accuracy", *DENSITIES))}
        free = iter(axes)
        handles: dict[str, Any] = {}
        for network, members in networks.items():
            shown = sorted(members, key=lambda row: number(row, "beta"))
            for columns in (("accuracy",), tuple(DENSITIES)):
                axis = next(free)
                places = _beta_axis(axis, numbers(shown, "beta"))
                drawn: list[float] = []
                for column in columns:
                    percents = [100 * value for value in numbers(shown, column)]
                    (handles[column],) = axis.plot(places, percents, clip_on=False, **looks[column])
                    drawn += percents
                fit_values(axis, drawn)
                axis.yaxis.set_major_formatter("{x:g}")
                axis.grid(axis="y")
                if columns == ("accuracy",):
                    axis.set_title(network_name(network), loc="left")
                if leftmost(axis) or columns != ("accuracy",):
                    axis.set_ylabel("Accuracy (%)" if columns == ("accuracy",) else "Density (%)")
        names = {"accuracy": "accuracy", **DENSITIES}
        legend(figure, axes, ax is None, [handles[name] for name in names], list(names.values()))
    return figure, tuple(axes)


def paper_fig8(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Course of an architecture search: how probable each window size is in every layer (after Fig. 8).

    A layer is a strip; the height of a colour in it is the probability of a window size. On the right
    stands the most probable size at the end.

    Parameters
    ----------
    rows : sequence of dict
        ``network``, ``layer``, ``epoch``, ``tws``, ``probability`` (0 to 1).
    ax : sequence of Axes, optional
        One for each network.
    style
        As :func:`paper_fig7`, and so what is returned and raised; also if there are
        more window sizes than colours.
    """
    only(needed(rows), "network", "layer", "epoch", "tws")
    sizes = sorted(set(numbers(rows, "tws")))
    if len(sizes) > MAX_SIZES:
        raise FigureError(f"{len(sizes)} window sizes, more than {MAX_SIZES}, cannot be told apart",
                          field="tws")  # fmt: skip
    looks = [
        Look(f"TWS {size:g}", FILLS[at % len(FILLS)], HATCHES[(at + at // len(FILLS)) % len(HATCHES)])
        for at, size in enumerate(sizes)
    ]
    networks = by_text(rows, "network")
    most = max(len(texts(members, "layer")) for members in networks.values())
    with panels(ax, style, height=0.24 * most + 0.75, count=len(networks)) as (figure, axes):
        for axis, (network, members) in zip(axes, networks.items(), strict=True):
            layers = by_text(members, "layer")
            for place, found in enumerate(layers.values()):
                _strip(axis, place, found, sizes, looks)
            axis.set_yticks(np.arange(len(layers)) + STRIP / 2, [short(layer) for layer in layers])
            axis.set_ylim(len(layers) - 1 + STRIP + 0.05, -0.05)
            axis.tick_params(axis="y", length=0)
            axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
            axis.set_xlabel("Time of the search (epochs)")
            axis.set_title(network_name(network), loc="left")
        legend(figure, axes, ax is None, patches(looks), [look.label for look in looks])
    return figure, tuple(axes)


def _beta_axis(axis: Axes, betas: list[float]) -> list[float]:
    """Places of weights on a logarithmic axis; that of 0 is a step left of the least."""
    positive = [beta for beta in betas if beta > 0]
    zero = min(positive, default=1.0) / (10 ** max(0.35, np.log10(max(positive) / min(positive)) / 8)
                                         if positive else 1.0)  # fmt: skip
    places = [beta or zero for beta in betas]
    axis.set_xscale("log")
    left, right = min(places), max(places)
    margin = (right / left) ** 0.06 if right > left else 2.0
    axis.set_xlim(left / margin, right * margin)
    powers = 10.0 ** np.arange(np.ceil(np.log10(min(positive, default=1.0)) - 1e-9),
                               np.floor(np.log10(max(positive, default=1.0)) + 1e-9) + 1)  # fmt: skip
    powers = powers[:: max(1, -(-len(powers) // 4))]
    ticks = powers.tolist() if len(powers) else positive[:1]
    if 0.0 in betas:
        ticks = [zero, *(tick for tick in ticks if tick > zero * (right / left) ** 0.12)]
    axis.set_xticks(ticks, ["0" if 0.0 in betas and tick == zero else f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("Hardware loss β (1)")
    return places


def _strip(axis: Axes, place: int, rows: list[Row], sizes: list[float], looks: list[Look]) -> None:
    """Stack the probabilities of one layer in its strip, and write what they end at."""
    epochs = sorted(set(numbers(rows, "epoch")))
    found = {(row["epoch"], row["tws"]): number(row, "probability") for row in rows}
    heights = np.array([[found.get((epoch, size), 0.0) for epoch in epochs] for size in sizes])
    totals = np.where(heights.sum(axis=0) > 0, heights.sum(axis=0), 1.0)
    ends = place + STRIP * (1 - np.cumsum(heights / totals, axis=0))
    edges = epochs if len(epochs) > 1 else [epochs[0], epochs[0] + 1]
    below = np.full(len(epochs), place + STRIP)
    for end, look in zip(ends, looks, strict=True):
        pair = (below, end) if len(epochs) > 1 else (np.repeat(below, 2), np.repeat(end, 2))
        axis.fill_between(edges, *pair, facecolor=look.color, hatch=look.hatch, edgecolor="black",
                          linewidth=0.3)  # fmt: skip
        below = end
    axis.set_xlim(min(edges[0], axis.get_xlim()[0]) if place else edges[0], edges[-1])
    best = sizes[int(np.argmax(heights[:, -1]))]
    right = axis.get_yaxis_transform()
    axis.text(1.01, place + STRIP / 2, f"{best:g}", transform=right, va="center_baseline", size=NOTE_SIZE)
