"""Figures 11 and 12 of the SpikeX paper: energy by time window size, component and use (Section VI-B)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikex_sim.plots.bars import bar_heights, patches, stack
from spikex_sim.plots.layers import COMPONENTS
from spikex_sim.plots.paper.common import needed, network_name, only, published_value
from spikex_sim.plots.style import Given, Look, Style, leftmost, legend, panels
from spikex_sim.plots.table import Rows, number, numbers

USES = {
    "energy_weights_pj": Look("weights", "#D55E00", "----"),
    "energy_spikes_pj": Look("spikes", "#DDDDDD", ""),
    "energy_potentials_pj": Look("potentials", "#CC79A7", "++++"),
    "energy_alu_pj": COMPONENTS["energy_alu_pj"],
}
PUBLISHED_USES = {"energy_weights_pj": "weight", "energy_spikes_pj": "spike"}
"""What published shares by use are called; the ALU has the rest (Fig. 12b: 38 %)."""
COMPONENTS_TWS = 4
"""Window size of the published shares by component."""
PUBLISHED, ALL = "published", "all"
LEAST_LABELLED = 7
"""Share in per cent from which a part has its number in it."""


def paper_fig11(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Energy by component and latency against the window size, each relative to its largest (Fig. 11).

    Parameters
    ----------
    rows : sequence of dict
        ``tws``, ``seconds``, and ``energy_alu_pj``, ``_rf_``, ``_lbuf_``, ``_glb_``, ``_dram_``.
    ax : Axes, optional
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or two rows are of the same window size.
    """
    only(needed(rows), "tws")
    shown = sorted(rows, key=lambda row: number(row, "tws"))
    places = np.arange(len(shown))
    parts = {part: np.array(numbers(shown, part)) for part in reversed(COMPONENTS)}
    total = np.sum(list(parts.values()), axis=0)
    seconds = np.array(numbers(shown, "seconds"))
    with panels(ax, style, height=1.9) as (figure, axes):
        axis = axes[0]
        bottom = np.zeros(len(shown))
        for part, values in parts.items():
            look, heights = COMPONENTS[part], values / (max(total) or 1)
            edges = [0.4 if height else 0.0 for height in heights]
            axis.bar(places, heights, 0.6, bottom, color=look.color, hatch=look.hatch, edgecolor="black",
                     linewidth=edges)  # fmt: skip
            bottom += heights
        line = axis.plot(places, seconds / (max(seconds) or 1), "o--", color="black", clip_on=False,
                         markeredgecolor="white")  # fmt: skip
        axis.set_xticks(places, [f"{row['tws']:g}" for row in shown])
        axis.tick_params(axis="x", length=0)
        axis.set_xlim(-0.6, len(shown) - 0.4)
        axis.set_ylim(0, 1.04)
        axis.set_xlabel("Time window size (time points)")
        axis.set_ylabel("Of the largest (×)")
        axis.grid(axis="y")
        looks = [COMPONENTS[part] for part in parts]
        labels = [*(look.label for look in looks), "latency"]
        legend(figure, axes, ax is None, [*patches(looks), *line], labels)
    return figure, axis


def paper_fig12(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Shares of the energy of fully connected layers by component and by use, and those published (Fig. 12).

    Parameters
    ----------
    rows : sequence of dict
        ``network``, ``layer``, ``tws``, the components as in Fig. 11, ``energy_weights_pj``,
        ``energy_spikes_pj`` and ``energy_potentials_pj``. Rows of a window size are added up in a bar more.
    ax : sequence of Axes, optional
        A panel by component, for the smallest window size; one by use for each window size.
    style
        As :func:`paper_fig11`, and so what is raised.

    Returns
    -------
    fig : Figure
    ax : tuple of Axes
    """
    only(needed(rows), "network", "layer", "tws")
    sizes = sorted(set(numbers(rows, "tws")))
    drawn = [(sizes[0], dict(reversed(COMPONENTS.items())), "component")]
    drawn += [(size, USES, "use") for size in sizes]
    cases = list(dict.fromkeys((str(row["network"]), str(row["layer"])) for row in rows))
    names = [PUBLISHED, *(_case_name(*case) for case in cases), *([ALL] if len(cases) > 1 else [])]
    if not any(any(_published(size, looks).values()) for size, looks, _ in drawn):
        names.remove(PUBLISHED)
    with panels(ax, style, height=bar_heights(len(names)) + 0.6, count=len(drawn)) as (figure, axes):
        for axis, (size, looks, by) in zip(axes, drawn, strict=True):
            found = {(str(row["network"]), str(row["layer"])): row for row in rows if row["tws"] == size}
            bars = {PUBLISHED: _published(size, looks), ALL: _shares(list(found.values()), looks)}
            for case in cases:
                bars[_case_name(*case)] = _shares([found[case]] if case in found else [], looks)
            parts = {part: [bars[name][part] for name in names] for part in looks}
            stack(axis, names, parts, looks, 1.0)
            _write(axis, list(parts.values()))
            axis.set_xlim(0, 100)
            axis.set_xlabel("Share of energy (%)")
            axis.set_title(f"TWS {size:g}, by {by}", loc="left")
            axis.tick_params(labelleft=leftmost(axis))
        named = list({look.label: look for _, looks, _ in drawn for look in looks.values()}.values())
        legend(figure, axes, ax is None, patches(named), [look.label for look in named])
    return figure, tuple(axes)


def _case_name(network: str, layer: str) -> str:
    return f"{network_name(network).replace('DVS-Gesture', 'DVSG')} {layer}"


def _published(size: float, looks: Mapping[str, Look]) -> dict[str, float]:
    """Published shares in per cent; zeros where there are none."""
    if looks is not USES:
        names = {part: part.removeprefix("energy_").removesuffix("_pj") for part in looks}
        at = size == COMPONENTS_TWS
        return {part: (published_value(f"fig12-{name}") or 0.0) * at for part, name in names.items()}
    found = dict.fromkeys(looks, 0.0)
    for part, name in PUBLISHED_USES.items():
        found[part] = published_value(f"fig12-{name}-{size:g}") or 0.0
    if any(found.values()):
        found["energy_alu_pj"] = 100 - sum(found.values())
    return found


def _shares(rows: Rows, looks: Mapping[str, Look]) -> dict[str, float]:
    """Shares in per cent of the rows' sum; zeros if that is zero."""
    sums = {part: sum(numbers(rows, part)) for part in looks}
    total = sum(sums.values())
    return {part: 100 * value / total if total else 0.0 for part, value in sums.items()}


def _write(axis: Axes, parts: list[list[float]]) -> None:
    """Write shares into parts that are large enough."""
    for y, shares in enumerate(zip(*parts, strict=True)):
        ends = np.cumsum(shares)
        for share, end in zip(shares, ends, strict=True):
            if share >= LEAST_LABELLED:
                box = {"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none"}
                axis.text(
                    end - share / 2, y, f"{share:.0f}", ha="center", va="center_baseline", size=5.5, bbox=box
                )
