"""Figure of a trace: when some of a layer's inputs spike, and which of their windows have a set tag."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from spikex_sim.core.errors import FigureError
from spikex_sim.core.tags import window_spikes
from spikex_sim.plots.style import Given, Style, legend, panels
from spikex_sim.plots.table import Row, Rows, cell, number
from spikex_sim.trace.trace import Trace

SHOWN = 40
"""Inputs that are drawn unless told otherwise."""
MAX_EDGES = 80
"""Most windows whose edges are drawn."""


def spike_rows(
    trace: Trace, tws: int = 4, *, layer: int = 0, sample: int = 0, shown: int = SHOWN
) -> list[Row]:
    """Spikes and tags of some inputs of a layer.

    Parameters
    ----------
    trace : Trace
    tws : int
        Window size, time points.
    layer, sample : int
        Whose recorded input to take.
    shown : int
        Inputs at most; they are chosen at equal distances among those that spike at all.

    Returns
    -------
    list of dict
        A row an input: its index ``neuron``; ``times`` of its spikes and ``windows`` with a set tag, lists;
        ``timesteps``, ``tws``; how many inputs spike, ``spiking``, and there are, ``neurons``.

    Raises
    ------
    FigureError
        If the layer's input is not recorded, there is no such sample, or it has no spikes.
    """
    if layer not in trace.inputs or not 0 <= sample < trace.samples or tws < 1 or shown < 1:
        raise FigureError(
            f"layer {layer}, sample {sample}, windows of {tws}: nothing recorded", where=trace.where
        )
    windowed = window_spikes(trace.inputs[layer][sample], trace.timesteps, tws)
    spiking = np.flatnonzero(windowed.stride_tags())
    if not len(spiking):
        raise FigureError("no input spikes", where=trace.where)
    tags = windowed.window_tags()
    chosen = spiking[np.unique(np.linspace(0, len(spiking) - 1, shown).astype(int))]
    return [
        {
            "neuron": int(neuron),
            "times": windowed.times[windowed.starts[neuron] : windowed.starts[neuron + 1]].tolist(),
            "windows": np.flatnonzero(tags[neuron]).tolist(),
            "timesteps": trace.timesteps,
            "tws": tws,
            "spiking": len(spiking),
            "neurons": len(tags),
        }
        for neuron in chosen
    ]


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
        legend(figure, axes, ax is None, [marks, active], ["spike", f"window of {tws:g} with tag 1"])
    return figure, axis


def _box(left: float, right: float, y: float) -> list[tuple[float, float]]:
    return [(left, y - 0.45), (right, y - 0.45), (right, y + 0.45), (left, y + 0.45)]
