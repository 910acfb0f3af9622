"""Figures of a run on a crossbar machine: the critical path, and where the layers lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from spikex_sim.core.errors import FigureError
from spikex_sim.plots.bars import bar_heights, patches, pile, stack
from spikex_sim.plots.style import (
    FILLS,
    LONGEST_NAME,
    Given,
    Look,
    Style,
    is_wide,
    legend,
    note,
    panels,
    short,
)
from spikex_sim.plots.table import TOTAL, Row, Rows, cell, number, numbers, working
from spikex_sim.schedules.crossbar.mapping import MAX_TILES, places_on_mesh, side_of

PATH = {
    "compute_cycles": Look("compute", "#DDDDDD", ""),
    "imc_noc_in_cycles": Look("NoC in", "#56B4E9", "////"),
    "imc_noc_out_cycles": Look("NoC out", "#0072B2", ""),
    "imc_lif_cycles": Look("LIF", "#D55E00", "xxxx"),
}
BUSY = {"imc_busy_cycles": Look("PEs busy", "#FFFFFF", "....")}
THICK = 0.38
LIGHTEST = 0.2
"""Share of a layer's colour that a tile without a cell in use has."""
MAX_SIDE_IN = 3.0
MAX_NUMBERED_SIDE = 24
"""Most nodes along a side of which each shows the number of its layer."""
MAX_NAMED = 60
"""Most layers that are named."""
FEW, SHORT_NAME = 12, 12
"""Most layers with names in full in one column of a page, and characters of the names of more."""
FREE, NODE = "#F4F4F4", "#000000"


def critical_path(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Shares of layers in the critical path beside what their PEs compute, and what each share is spent with.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``layers.csv`` of a crossbar machine.
    ax : sequence of two Axes, optional
        For cycles, and for what they are spent with.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : tuple of two Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or if no layer takes any cycles.
    """
    shown = working(rows)
    cycles = np.array([numbers(shown, column) for column in PATH])
    total = cycles.sum()
    busy = {column: numbers(shown, column) for column in BUSY}
    both = np.hstack([cycles, cycles.sum(axis=1, keepdims=True)])
    shares = dict(zip(PATH, 100 * both / both.sum(axis=0), strict=True))
    names = [str(cell(row, "name")) for row in shown]
    looks = PATH | BUSY
    with panels(ax, style, height=1.2 * bar_heights(len(names) + 1) + 0.55, count=2) as (figure, axes):
        places = np.arange(len(names), dtype=float)
        parts = dict(zip(PATH, 100 * cycles, strict=True))
        ends = pile(axes[0].barh, places - THICK / 2, parts, PATH, total, THICK)
        ends = np.maximum(ends, pile(axes[0].barh, places + THICK / 2, busy, BUSY, total / 100, THICK))
        axes[0].set_yticks(places, [short(name) for name in names])
        axes[0].set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.03 * max(ends)))
        axes[0].set_xlabel("Cycles (% of the critical path)")
        axes[0].tick_params(axis="y", length=0)
        axes[0].grid(axis="x")
        stack(axes[1], [*names, TOTAL], shares, PATH, 1.0, "Share of the layer's part of the path (%)")
        axes[1].set_xlim(0, 100)
        axes[1].axhline(len(names) - 0.5, color="black", lw=0.6)
        legend(figure, axes, ax is None, patches(looks.values()), [look.label for look in looks.values()])
    return figure, (axes[0], axes[1])


def mapping_rows(layers: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> list[Row]:
    """Take what a mapping needs from ``layers`` and ``config`` of ``results.json``.

    Returns
    -------
    list of dict
        A row a layer with weights: ``name``, ``tiles``, ``pes``, ``pes_per_tile``, ``cell_utilization``.

    Raises
    ------
    FigureError
        If they are not those of a crossbar machine.
    """
    imc = config.get("imc")
    if not isinstance(imc, Mapping):
        raise FigureError("no such key: not a crossbar machine", field="config.imc")
    if "crossbar_mapping" in config:
        raise FigureError("has single crossbars; the folder of their mapping has a figure of them",
                          field="config.scheduler")  # fmt: skip
    rows: list[Row] = []
    for index, layer in enumerate(layers):
        if "imc" not in layer:
            continue
        found = layer["mapping"]
        if not isinstance(found, Mapping):
            raise FigureError("is no mapping", field=f"layers.{index}.mapping")
        sizes = {key: cell(found, key) for key in ("tiles", "pes", "cell_utilization")}
        rows.append({"name": layer["name"], **sizes, "pes_per_tile": cell(imc, "pes_per_tile")})
    return rows


def mapping(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Tiles on the mesh around the global node, coloured by layer, the paler the fewer cells are in use.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`mapping_rows` returns.
    ax : Axes, optional
    style
        As :func:`critical_path`, and so what is returned and raised; one Axes.
    """
    used = [_use_of_tiles(row) for row in rows]
    tiles = sum(map(len, used))
    if not 1 <= tiles <= MAX_TILES:
        raise FigureError(f"must add up to 1 to {MAX_TILES:,}, not {tiles:,}", field="tiles")
    side, places = side_of(tiles), places_on_mesh(tiles)
    layer_of = np.repeat(np.arange(len(rows)), [len(one) for one in used])
    colors = np.array([to_rgb(FILLS[layer % len(FILLS)]) for layer in layer_of])
    weight = (LIGHTEST + (1 - LIGHTEST) * np.concatenate(used))[:, None]
    image = np.full((side, side, 3), to_rgb(FREE))
    image[tuple(places.T)] = 1 - weight * (1 - colors)
    image[side // 2, side // 2] = to_rgb(NODE)
    with panels(ax, style, height=min(MAX_SIDE_IN, 0.6 + 0.3 * side)) as (figure, axes):
        axis = axes[0]
        lines = 0.8 if side <= MAX_NUMBERED_SIDE else 0.0
        axis.pcolormesh(image, edgecolors="white" if lines else "none", lw=lines, rasterized=not lines)
        if lines:
            _number(axis, places, layer_of, image)
        elif len(rows) <= MAX_NAMED:
            middles = np.cumsum([len(one) for one in used]) - [-(-len(one) // 2) for one in used]
            _number(axis, places[middles], layer_of[middles], image)
        axis.text(side // 2 + 0.5, side // 2 + 0.5, "G", color="white", size=6, ha="center", va="center")
        axis.set(ylim=(side, 0), xlim=(0, side), aspect="equal", xticks=[], yticks=[])
        axis.set_xlabel(f"Mesh of {side}×{side} nodes (tiles)")
        for edge in axis.spines.values():
            edge.set_visible(False)
        handles = [Rectangle((0, 0), 1, 1, facecolor=NODE)]
        labels = ["G: global node"]
        longest = LONGEST_NAME if len(rows) <= FEW or is_wide(ax, style) else SHORT_NAME
        for layer, row in enumerate(rows[:MAX_NAMED]):
            handles.append(Rectangle((0, 0), 1, 1, facecolor=FILLS[layer % len(FILLS)]))
            used_percent = f"{100 * number(row, 'cell_utilization'):.0f} %"
            labels.append(f"{layer + 1}: {short(row['name'], longest)}, {used_percent}")
        legend(figure, axes, ax is None, handles, labels)
        told = "full colour: all cells of a tile are in use; %: of a layer's cells"
        if len(rows) > MAX_NAMED:
            told += f"; {len(rows)} layers, the first {MAX_NAMED} named"
        note(figure, axes, ax is None, told)
    return figure, axis


def _use_of_tiles(row: Row) -> NDArray[np.float64]:
    """Share of the cells in use of each tile of a layer, the same in all of its PEs."""
    tiles, pes, each = (number(row, key) for key in ("tiles", "pes", "pes_per_tile"))
    whole = all(isinstance(value, int) for value in (tiles, pes, each)) and tiles <= MAX_TILES
    if not (whole and each and (tiles - 1) * each < pes <= tiles * each):
        raise FigureError(f"{pes} PEs do not take {tiles} tiles of {each}", field="tiles")
    share = number(row, "cell_utilization")
    if share > 1:
        raise FigureError(f"must be 0 to 1, not {share}", field="cell_utilization")
    held = np.minimum(each, pes - each * np.arange(tiles))
    return np.asarray(share * held / each, np.float64)


def _number(axis: Axes, places: NDArray[np.int64], layer_of: NDArray[np.int64], image: NDArray[Any]) -> None:
    """Write the number of its layer into every tile, from 1, in black or white as its colour needs."""
    for (y, x), layer in zip(places.tolist(), layer_of.tolist(), strict=True):
        color = "black" if image[y, x] @ (0.299, 0.587, 0.114) > 0.5 else "white"
        axis.text(x + 0.5, y + 0.5, f"{layer + 1}", color=color, size=5, ha="center", va="center")
