"""Figure of the command dispatch: policies against what can be had, layer by layer."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from spikex_sim.core.errors import FigureError
from spikex_sim.plots.paper.common import by_text
from spikex_sim.plots.style import MARKERS, Given, Style, legend, panels, series_look, short
from spikex_sim.plots.table import Rows, cell, number


def dispatch_policies(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Cycles of integration and update, and the EDP, of each policy in every layer and in total.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``dispatch.csv``. Cycles are over the lower bound where it is known, else over those of the
        first policy, as the EDP is.
    ax : sequence of two Axes, optional
        For cycles and EDP.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : tuple of two Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or if there are no rows.
    """
    if not rows:
        raise FigureError("there are no rows", field="policy")
    series = by_text(rows, "policy")
    first = {cell(row, "layer"): row for row in next(iter(series.values()))}
    places = {layer: place for place, layer in enumerate(first)}
    bounded = all(cell(row, "bound_cycles") not in (None, "") for row in rows)
    over = f"over {short(next(iter(series)))} (×)"
    drawn = (
        ("slot_cycles", "bound_cycles" if bounded else "slot_cycles",
         "Cycles over the bound (×)" if bounded else f"Cycles {over}"),
        ("edp_js", "edp_js", f"EDP {over}"),
    )  # fmt: skip
    with panels(ax, style, height=2.2, count=2) as (figure, axes):
        handles: list[Any] = []
        for axis, (column, base, label) in zip(axes, drawn, strict=True):
            handles = []
            for index, some in enumerate(series.values()):
                beside = (index - (len(series) - 1) / 2) * 0.6 / len(series)
                known = [row for row in some if cell(row, "layer") in places]
                ratios = [
                    _ratio(
                        number(row, column),
                        number(row if bounded and base == "bound_cycles" else first[row["layer"]], base),
                    )
                    for row in known
                ]
                handles += axis.plot([places[row["layer"]] + beside for row in known], ratios, **_look(index))
            axis.axhline(1, color="black", lw=0.6)
            axis.set(ylabel=label)
            axis.set_xticks(
                range(len(first)), [short(str(layer)) for layer in first], rotation=30, ha="right"
            )
            axis.grid(axis="y")
        legend(figure, axes, ax is None, handles, [short(name) for name in series])
    return figure, tuple(axes)


def _look(index: int) -> dict[str, Any]:
    """Marker of a policy; hollow where markers are used a second time."""
    look = series_look(index) | {"linestyle": "none"}
    if index >= len(MARKERS):
        look |= {"markerfacecolor": "none", "markeredgecolor": look["color"], "markeredgewidth": 1.0}
    return look


def _ratio(value: float, base: float) -> float:
    """One where there is nothing to be over."""
    return value / base if base else 1.0
