"""Figure of a trace: when some of a layer's inputs spike, and which of their windows have a set tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spikex_sim.core.errors import FigureError
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.plots.style import Given, Style, legend, note, panels
from spikex_sim.plots.table import Row, Rows, cell, number
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.trace import Trace

SHOWN = 40
"""Inputs that are drawn unless told otherwise."""
MAX_MARKS = 25_000
"""Most spikes, and most windows, that are drawn, about."""
MAX_EDGES = 80
"""Most windows whose edges are drawn."""


def spike_rows(
    trace: Trace | GraphTrace,
    tws: int = 4,
    *,
    layer: int | str | None = None,
    sample: int = 0,
    shown: int = SHOWN,
) -> list[Row]:
    """Spikes and tags of some inputs of a layer.

    Parameters
    ----------
    trace : Trace or GraphTrace
    tws : int
        Window size, time points.
    layer : int or str, optional
        Layer whose recorded input, or node whose recorded spikes to take; default: the first of them.
    sample : int
        Which sample's.
    shown : int
        Inputs at most; they are chosen at equal distances among those that spike at all.

    Returns
    -------
    list of dict
        A row an input: its index ``neuron``; ``times`` of its spikes and ``windows`` with a set tag, lists;
        ``timesteps``, ``tws``; how many inputs spike, ``spiking``, and there are, ``neurons``. Where there
        are more than some 25,000 of them, only every ``every_spike``-th spike and ``every_window``-th window
        of an input is there.

    Raises
    ------
    FigureError
        If the layer's input is not recorded, there is no such sample, or it has no spikes.
    """
    recorded: Mapping[Any, PackedSpikes] = trace.inputs if isinstance(trace, Trace) else trace.spikes
    layer = next(iter(recorded), None) if layer is None else layer
    if layer not in recorded or not 0 <= sample < trace.samples or tws < 1 or shown < 1:
        raise FigureError(
            f"layer {layer}, sample {sample}, windows of {tws}: nothing recorded", where=trace.where
        )
    packed = recorded[layer][sample]
    inputs = packed.reshape(-1, packed.shape[-1])
    spiking = np.flatnonzero(inputs.any(axis=1))
    if not len(spiking):
        raise FigureError("no input spikes", where=trace.where)
    chosen = spiking[np.unique(np.linspace(0, len(spiking) - 1, shown).astype(int))]

    def of(neuron: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        times = np.flatnonzero(np.unpackbits(inputs[neuron], count=trace.timesteps))
        windows = times // tws
        return times, windows[np.diff(windows, prepend=-1) > 0]

    # Twice, an input at a time: all spikes of a long trace together take gigabytes.
    counts = np.array([[len(found) for found in of(neuron)] for neuron in chosen])
    every_spike, every_window = (-(-int(count) // MAX_MARKS) for count in counts.sum(axis=0))
    rows: list[Row] = []
    for neuron in chosen:
        times, windows = of(neuron)
        rows.append(
            {
                "neuron": int(neuron),
                "times": times[::every_spike].tolist(),
                "windows": windows[::every_window].tolist(),
                "timesteps": trace.timesteps,
                "tws": tws,
                "spiking": len(spiking),
                "neurons": len(inputs),
                "every_spike": every_spike,
                "every_window": every_window,
            }
        )
    return rows


def raster(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Time points against inputs: a mark a spike, a shade a window with a set tag.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`spike_rows` returns.
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
        If there are no rows or a column is missing.
    """
    if not rows:
        raise FigureError("no input to draw", field="neuron")
    timesteps, tws = number(rows[0], "timesteps"), number(rows[0], "tws")
    spikes = [(time + 0.5, y) for y, row in enumerate(rows) for time in cell(row, "times")]
    boxes = [
        _box(window * tws, min(timesteps, (window + 1) * tws), y)
        for y, row in enumerate(rows)
        for window in cell(row, "windows")
    ]
    with panels(ax, style, height=2.2) as (figure, axes):
        axis = axes[0]
        active = axis.add_collection(PolyCollection(boxes, facecolors="#9CCBE8", edgecolors="none"))
        active.set_label("window with tag 1")
        size = min(5.0, 110 / len(rows))
        x, y = zip(*spikes, strict=True) if spikes else ((), ())
        marks = axis.plot(x, y, "|", color="black", markersize=size, markeredgewidth=0.6)[0]
        if timesteps / tws <= MAX_EDGES:
            for edge in np.arange(0, timesteps + 1, tws):
                axis.axvline(edge, color="#BBBBBB", lw=0.3, zorder=0.5)
        axis.set_xlim(0, timesteps)
        axis.set_ylim(len(rows) - 0.3, -0.7)
        places = np.unique(np.linspace(0, len(rows) - 1, 6).astype(int))
        axis.set_yticks(places, [str(cell(rows[place], "neuron")) for place in places])
        axis.set_xlabel("Time (time points)")
        axis.set_ylabel("Input neuron (index)")
        note(figure, axes, ax is None, _left_out(rows[0]))
        legend(figure, axes, ax is None, [marks, active], ["spike", f"window of {tws:g} with tag 1"])
    return figure, axis


def _left_out(row: Row) -> str:
    parts = [(row.get(f"every_{what}", 1), what) for what in ("spike", "window")]
    shown = [f"one {what} of {every:,}" for every, what in parts if every > 1]
    return f"Too many to be told apart; of an input is drawn {' and '.join(shown)}" if shown else ""


def _box(left: float, right: float, y: float) -> list[tuple[float, float]]:
    return [(left, y - 0.45), (right, y - 0.45), (right, y + 0.45), (left, y + 0.45)]
