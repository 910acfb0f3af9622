"""Figures 9 and 10 of the SpikeX paper: random spikes of different rates (Section VI-A)."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spikex_sim.core.errors import FigureError
from spikex_sim.plots.paper.common import awaited, by_text, needed, only, published_value, rate_axis
from spikex_sim.plots.style import (
    MAX_SERIES,
    NOTE_COLOR,
    NOTE_SIZE,
    Given,
    Style,
    legend,
    note,
    panels,
    series_look,
)
from spikex_sim.plots.sweeps import fit_values
from spikex_sim.plots.table import Rows, number, numbers

FIG9_ENDS = (0.005, 0.0001)
"""Firing rates from and to which Section VI-A gives what is saved."""
FIG10_ENDS = {"low": 0.0001, "high": 0.05}
"""Firing rates at which Section VI-A gives the ratio."""
MACHINES = {"spikex": "SpikeX, with agile dispatch", "ptb": "PTB, without"}
OPEN: dict[str, Any] = {"markerfacecolor": "white", "linestyle": "", "markeredgewidth": 0.8}


def paper_fig9(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Energy and latency against the firing rate, a line for each window size (Fig. 9).

    Each panel is relative to its largest value. Where the rates reach from 0.5 % to 0.01 %, open markers
    show what the published reduction would leave of the measured value at 0.5 %.

    Parameters
    ----------
    rows : sequence of dict
        ``rate`` (0 to 1), ``tws``, ``seconds``, ``energy_pj``.
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
        If a column is missing or not a number, or two rows are of the same case.
    """
    only(needed(rows), "rate", "tws")
    sizes = sorted(set(numbers(rows, "tws")))
    if len(sizes) > MAX_SERIES:
        raise FigureError(f"{len(sizes)} lines, more than {MAX_SERIES}, cannot be told apart", field="tws")
    with panels(ax, style, height=1.6, count=2) as (figure, axes):
        handles: list[Any] = []
        for axis, column, name in ((axes[0], "energy_pj", "energy"), (axes[1], "seconds", "latency")):
            largest = max(numbers(rows, column)) or 1.0
            rate_axis(axis, (100 * rate for rate in numbers(rows, "rate")))
            handles, drawn, marked = [], [], 0
            for index, size in enumerate(sizes):
                found = {row["rate"]: number(row, column) / largest for row in rows if row["tws"] == size}
                points = [(100 * rate, found[rate]) for rate in sorted(found)]
                drawn += [value for _, value in points]
                look = series_look(index)
                handles += axis.plot(*zip(*points, strict=True), clip_on=False, **look)
                saved = published_value(f"fig9-{name}-{size:g}")
                if saved is not None and set(FIG9_ENDS) <= set(found):
                    left = found[FIG9_ENDS[0]] * (1 - saved / 100)
                    drawn.append(left)
                    look |= OPEN | {"markeredgecolor": look["color"]}
                    beside = 1.18 + 0.08 * marked  # so that they do not cover each other
                    axis.plot([100 * FIG9_ENDS[1] / beside], [left], **look)
                    marked += 1
            axis.set_ylabel(f"{name.capitalize()}, of the largest (×)")
            axis.grid()
            fit_values(axis, drawn)
            axis.yaxis.set_major_formatter("{x:g}")
        labels = [f"TWS {size:g}" for size in sizes]
        if marked:
            handles.append(Line2D([], [], color=NOTE_COLOR, marker="o", **OPEN))
            labels.append("published reduction")
        legend(figure, axes, ax is None, handles, labels)
    return figure, (axes[0], axes[1])


def paper_fig10(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Latency against the firing rate with and without agile dispatch, relative to the largest (Fig. 10).

    Above the lowest and the highest rate stands the ratio of the two, and the published one if there is one.

    Parameters
    ----------
    rows : sequence of dict
        ``rate`` (0 to 1), ``arch`` (whose name begins with ``spikex`` or ``ptb``), ``seconds``.
    ax : Axes, optional
    style
        As :func:`paper_fig9`, and so what is returned and raised; one Axes.
    """
    only(needed(rows), "rate", "arch")
    latencies: dict[str, dict[float, float]] = {}
    largest = max(numbers(rows, "seconds")) or 1.0
    for arch, members in by_text(rows, "arch").items():
        machine = next((name for name in MACHINES if arch.startswith(name)), None)
        if machine is None or machine in latencies:
            raise FigureError(f"must be one SpikeX and one PTB, not also {arch!r:.40}", field="arch")
        latencies[machine] = {number(row, "rate"): row["seconds"] / largest for row in members}
    with panels(ax, style, height=1.9) as (figure, axes):
        axis = axes[0]
        rate_axis(axis, (100 * rate for rate in numbers(rows, "rate")))
        handles: list[Any] = []
        for index, found in enumerate(latencies.values()):
            points = [(100 * rate, found[rate]) for rate in sorted(found)]
            handles += axis.plot(*zip(*points, strict=True), clip_on=False, **series_look(index))
        axis.set_ylabel("Latency, of the largest (×)")
        axis.grid()
        fit_values(axis, [value for found in latencies.values() for value in found.values()])
        axis.yaxis.set_major_formatter("{x:g}")
        if len(latencies) == len(MACHINES):
            _ratios(axis, latencies["spikex"], latencies["ptb"])
        labels = [MACHINES[machine] for machine in latencies]
        legend(figure, axes, ax is None, handles, labels)
        note(figure, axes, ax is None, awaited(MACHINES.values(), labels))
    return figure, axis


def _ratios(axis: Axes, fast: dict[float, float], slow: dict[float, float]) -> None:
    """Write above the lowest and the highest rate how many times longer one takes than the other."""
    rates = sorted(rate for rate in fast if rate in slow and fast[rate])
    ends = {"low": rates[0], "high": rates[-1]} if rates else {}
    for end, rate in ends.items():
        text = f"{slow[rate] / fast[rate]:.3g}×"
        value = published_value(f"fig10-{end}")
        if value is not None and rate == FIG10_ENDS[end]:
            text += f" (published {value:g}×)"
        if end == "low" or len(rates) > 1:
            axis.set_title(text, loc="left" if end == "low" else "right", size=NOTE_SIZE + 0.5)
            axis.plot([100 * rate] * 2, [fast[rate], slow[rate]], color=NOTE_COLOR, lw=0.6, ls=":", zorder=1)
