"""Figure of the command dispatch: policies against what can be had, layer by layer."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from spikex_sim.plots.paper.common import by_text
from spikex_sim.plots.style import MARKERS, Given, Style, legend, panels, series_look, short
from spikex_sim.plots.table import Rows, number


def policies(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
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
    series = by_text(rows, "policy")
    first = next(iter(series.values()))
    bounded = all(row.get("bound_cycles") not in (None, "") for row in rows)
    base = [number(row, "bound_cycles" if bounded else "slot_cycles") for row in first]
    drawn = (
        (
            "slot_cycles",
            base,
            "Cycles over the bound (×)" if bounded else f"Cycles over {short(_name(first))} (×)",
        ),
        ("edp_js", [number(row, "edp_js") for row in first], f"EDP over {short(_name(first))} (×)"),
    )
    with panels(ax, style, height=2.2, count=2) as (figure, axes):
        handles: list[Any] = []
        for axis, (column, bases, label) in zip(axes, drawn, strict=True):
            handles = []
            for index, some in enumerate(series.values()):
                ratios = [
                    number(row, column) / one if one else 1.0 for row, one in zip(some, bases, strict=True)
                ]
                at = [
                    place + (index - (len(series) - 1) / 2) * 0.6 / len(series) for place in range(len(some))
                ]
                handles += axis.plot(at, ratios, **_look(index))
            axis.axhline(1, color="black", lw=0.6)
            axis.set(ylabel=label)
            axis.set_xticks(
                range(len(first)), [short(str(row["layer"])) for row in first], rotation=30, ha="right"
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


def _name(rows: Rows) -> str:
    return str(rows[0]["policy"])
