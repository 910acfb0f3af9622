"""Figure 13 of the SpikeX paper: whole networks with and without its techniques (Section VI-C)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spikex_sim.core.errors import FigureError
from spikex_sim.core.hints import one_of
from spikex_sim.plots.bars import bar_heights, patches, stack
from spikex_sim.plots.paper.common import (
    SUFFIXES,
    awaited,
    by_text,
    needed,
    network_name,
    only,
    published_value,
    texts,
)
from spikex_sim.plots.style import (
    FILLS,
    HATCHES,
    NOTE_COLOR,
    NOTE_SIZE,
    Given,
    Look,
    Style,
    leftmost,
    legend,
    note,
    panels,
    short,
)
from spikex_sim.plots.table import Rows, number, numbers

BASELINE = "PTB"
CONFIGURATIONS = {"PTB": "", "PTB+HT": "ht", "PTB+HT+HAS": "has", "SpikeX": "", "SpikeX+HT+HAS": "all"}
"""What is compared, and how its published ratios are called."""
PANELS = {"energy_pj": "energy", "seconds": "latency"}
ROOM = 1.36
"""Length of an axis over that of the longest bar, for the numbers on the right."""


def paper_fig13(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Energy and latency of each network over those of PTB, stacked by layer (Fig. 13).

    Numbers on the right are the bars' lengths; diamonds are published totals. A configuration without rows
    is left out, and named below the figure.

    Parameters
    ----------
    rows : sequence of dict
        ``network``, ``configuration`` (PTB, PTB+HT, PTB+HT+HAS, SpikeX or SpikeX+HT+HAS), ``layer``,
        ``seconds``, ``energy_pj``.
    ax : sequence of Axes, optional
        Two for each network: energy and latency.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : tuple of Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, a network has no PTB, or a configuration not all its layers.
    """
    only(needed(rows), "network", "configuration", "layer")
    present = texts(rows, "configuration")
    for name in present:
        if name not in CONFIGURATIONS:
            raise FigureError(one_of(name, CONFIGURATIONS), field="configuration")
    names = [name for name in CONFIGURATIONS if name in present]
    layers = texts(rows, "layer")
    looks = {
        layer: Look(
            short(layer), FILLS[index % len(FILLS)], HATCHES[(index + index // len(FILLS)) % len(HATCHES)]
        )
        for index, layer in enumerate(layers)
    }
    networks = by_text(rows, "network")
    count = len(PANELS) * len(networks)
    height = bar_heights(len(names)) + 0.55
    with panels(ax, style, height=height, count=count, across=len(PANELS)) as (figure, axes):
        free = iter(axes)
        for network, members in networks.items():
            found = by_text(members, "configuration")
            _check(network_name(network), found)
            for column, measure in PANELS.items():
                axis = next(free)
                base = sum(numbers(found[BASELINE], column)) or 1.0
                parts = {
                    layer: [
                        sum(number(r, column) for r in found.get(name, ()) if str(r["layer"]) == layer)
                        for name in names
                    ]
                    for layer in layers
                }
                stack(axis, names, parts, looks, base)
                _ends(axis, names, found, parts, base, measure, SUFFIXES.get(network, ""))
                axis.set_xlabel(f"{measure.capitalize()} / {BASELINE} (×)")
                axis.tick_params(labelleft=leftmost(axis))
                if column == "energy_pj":
                    axis.set_title(network_name(network), loc="left")
        handles: list[Any] = [*patches(looks.values())]
        labels = [look.label for look in looks.values()]
        if any(line.get_marker() == PUBLISHED["marker"] for axis in axes for line in axis.lines):
            handles.append(Line2D([], [], **PUBLISHED))
            labels.append("published")
        legend(figure, axes, ax is None, handles, labels)
        note(figure, axes, ax is None, awaited(CONFIGURATIONS, names))
    return figure, tuple(axes)


PUBLISHED: dict[str, Any] = {
    "marker": "D", "color": "white", "markeredgecolor": "black", "markeredgewidth": 0.7, "markersize": 3.2,
    "linestyle": "",
}  # fmt: skip


def _check(network: str, found: dict[str, Any]) -> None:
    if BASELINE not in found:
        raise FigureError(f"{network} has no rows of {BASELINE} to compare with", field="configuration")
    wanted = set(texts(found[BASELINE], "layer"))
    for name, members in found.items():
        if set(texts(members, "layer")) != wanted:
            raise FigureError(f"{network}: {name} has not the layers of {BASELINE}", field="layer")


def _ends(
    axis: Axes, names: list[str], found: dict[str, Any], parts: dict[str, list[float]], base: float,
    measure: str, suffix: str,
) -> None:  # fmt: skip
    """Write beside every bar what part of the baseline it is, and mark what was published."""
    totals = np.sum(list(parts.values()), axis=0) / base
    look: dict[str, Any] = {"va": "center_baseline", "size": NOTE_SIZE}
    column = axis.get_yaxis_transform()
    axis.axvline(1, color="black", lw=0.6, zorder=0)
    for y, (name, total) in enumerate(zip(names, totals, strict=True)):
        if name not in found:
            axis.text(0.02, y, "no rows yet", color=NOTE_COLOR, transform=column, **look)
            continue
        ratio = published_value(f"fig13-{CONFIGURATIONS[name]}-{measure}-{suffix}")
        if ratio:
            axis.plot([1 / ratio], [y], zorder=3, **PUBLISHED)
        text = f"1/{1 / total:.3g}" if 0 < total < 0.995 else f"{total:.3g}"
        axis.text(1, y, text, ha="right", transform=column, **look)
    axis.set_xlim(0, ROOM * max(*totals, 1.0))
    axis.locator_params(axis="x", nbins=4)
