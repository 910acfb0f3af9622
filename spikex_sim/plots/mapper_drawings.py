"""Drawings of a mapping: its crossbars as boxes, filled as far as they are used, and their mesh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import Normalize, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from spikex_sim.core.errors import FigureError
from spikex_sim.plots.style import FILLS, Given, Style, is_wide, legend, note, panels, short
from spikex_sim.plots.table import Row, Rows, cell, number

MAX_BOXES = 400
"""Most crossbars that are drawn as boxes."""
MAX_TILES = 64 * 64
NUMBERED_SIDE = 12
"""Most tiles along a side of which each shows its crossbar's number."""
LEAST_LINK, MOST_LINK = 0.4, 3.2
"""Width of a link without packets and of the busiest, points."""
MAX_NAMED = 12
"""Most types that are named."""
FREE = "#F4F4F4"
SIDE_IN = 3.0
"""Height of the mesh at most, inches."""

DARKER = 0.55


def _darker(color: str) -> str:
    red, green, blue = to_rgb(color)
    return to_hex((DARKER * red, DARKER * green, DARKER * blue))


COLORS = (*FILLS, *(_darker(color) for color in FILLS))
"""Of types, in order; the first again where there are more."""


def boxes(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Crossbars to scale: a box is as high as it has inputs and as wide as it has outputs.

    Filled are the rows that axons and the columns that neurons use, from the upper left corner.

    Parameters
    ----------
    rows : sequence of dict
        A row a crossbar: ``type``, ``inputs``, ``outputs``, ``axons``, ``neurons``. Types are drawn in the
        order of their sizes, the largest first.
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
        If a column is missing or not a number, or if there are no rows.
    """
    if not rows:
        raise FigureError("there are no crossbars", field="type")
    sizes = [(number(row, "inputs"), number(row, "outputs")) for row in rows]
    order = sorted(
        range(len(rows)), key=lambda j: (-sizes[j][0], -sizes[j][1], str(cell(rows[j], "type")), j)
    )
    shown = [rows[j] for j in order[:MAX_BOXES]]
    for row in shown:
        for used, there in (("axons", "inputs"), ("neurons", "outputs")):
            if number(row, used) > number(row, there):
                raise FigureError(f"{row[used]} are more than {row[there]} {there}", field=used)
    kinds = list(dict.fromkeys(str(row["type"]) for row in shown))
    wide = is_wide(ax, style)
    placed, width, height = _shelves(shown, 3.2 if wide else 1.6)
    high = (4.6 if wide else 2.9) * height / width + 0.25
    with panels(ax, style, height=high) as (figure, axes):
        axis = axes[0]
        frames, filled, colors = [], [], []
        for row, (x, y) in zip(shown, placed, strict=True):
            frames.append(Rectangle((x, y), number(row, "outputs"), number(row, "inputs")))
            filled.append(Rectangle((x, y), number(row, "neurons"), number(row, "axons")))
            colors.append(_color(kinds.index(str(row["type"]))))
        axis.add_collection(PatchCollection(frames, facecolor=FREE, edgecolor="none"))
        axis.add_collection(PatchCollection(filled, facecolor=colors, edgecolor="none"))
        axis.add_collection(PatchCollection(frames, facecolor="none", edgecolor="black", lw=0.35))
        rim = 0.004 * width
        axis.set(xlim=(-rim, width + rim), ylim=(height + rim, -rim), aspect="equal", xticks=[], yticks=[])
        axis.set_xlabel("Crossbars, to scale (rows: inputs, columns: outputs)")
        for edge in axis.spines.values():
            edge.set_visible(False)
        handles = _patches(kinds)
        labels = [
            _used(kind, [row for row in rows if str(row["type"]) == kind]) for kind in kinds[:MAX_NAMED]
        ]
        free = Patch(facecolor=FREE, edgecolor="black", linewidth=0.35)
        legend(figure, axes, ax is None, [*handles, free], [*labels, "not used"])
        told = f"{len(rows):,} crossbars, the largest {MAX_BOXES} drawn" if len(rows) > MAX_BOXES else ""
        note(figure, axes, ax is None, told)
    return figure, axis


def _color(at: int) -> str:
    return COLORS[at % len(COLORS)]


def _patches(kinds: Sequence[str]) -> list[Patch]:
    """Name types in a legend."""
    return [Patch(facecolor=_color(at), edgecolor="black", linewidth=0.4)
            for at in range(min(len(kinds), MAX_NAMED))]  # fmt: skip


def _used(kind: str, rows: Rows) -> str:
    """``12 of 16x4, 81 %``: how many, and what part of their cells are rows and columns in use."""
    cells = sum(number(row, "inputs") * number(row, "outputs") for row in rows)
    used = sum(number(row, "axons") * number(row, "neurons") for row in rows)
    return f"{len(rows):,} of {short(kind)}, {100 * used / cells if cells else 0:.0f} %"


def _shelves(rows: Sequence[Row], ratio: float) -> tuple[list[tuple[float, float]], float, float]:
    """Upper left corners of boxes on shelves, and the size of the whole, ``ratio`` times as wide as high."""
    sizes = [(number(row, "outputs"), number(row, "inputs")) for row in rows]
    gap = 0.12 * float(np.median([min(one) for one in sizes])) + 0.5
    cells = sum((width + gap) * (height + gap) for width, height in sizes)
    room = max([(cells * ratio) ** 0.5, *(width for width, _ in sizes)])
    placed: list[tuple[float, float]] = []
    x = y = shelf = widest = 0.0
    for width, height in sizes:
        if x and x + width > room:
            x, y, shelf = 0.0, y + shelf + gap, 0.0
        placed.append((x, y))
        x += width + gap
        shelf, widest = max(shelf, height), max(widest, x - gap)
    return placed, widest, y + shelf


def mesh(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Crossbars on their tiles by type, and packets over every link; those from outside enter at the corner.

    Parameters
    ----------
    rows : sequence of dict
        A row a tile with a crossbar, ``what`` ``tile``, with ``x``, ``y``, ``crossbar``, ``type``; and a row
        a link, ``what`` ``link``, from ``x``, ``y`` to ``to_x``, ``to_y``, with ``packets`` of both
        directions; and one of ``entry`` where there are external axons.
    ax, style
        As :func:`boxes`, and so what is returned and raised.
    """
    tiles = [row for row in rows if cell(row, "what") == "tile"]
    links = [row for row in rows if row["what"] == "link"]
    enters = any(row["what"] == "entry" for row in rows)
    if not tiles:
        raise FigureError("there are no tiles", field="what")
    places = [(number(row, "x"), number(row, "y")) for row in tiles]
    cols = 1 + int(max([x for x, _ in places] + [number(row, "to_x") for row in links]))
    lines = 1 + int(max([y for _, y in places] + [number(row, "to_y") for row in links]))
    if cols * lines > MAX_TILES:
        raise FigureError(f"{lines}x{cols} tiles, more than the {MAX_TILES:,} that a figure holds", field="x")
    kinds = list(dict.fromkeys(sorted(str(cell(row, "type")) for row in tiles)))
    packets = [number(row, "packets") for row in links]
    scaled = Normalize(0, max(packets, default=1.0) or 1.0)
    width = 3.3 if is_wide(ax, style) else 2.6
    high = min(SIDE_IN, max(0.8, width * lines / cols))
    with panels(ax, style, height=high + 0.35) as (figure, axes):
        axis = axes[0]
        _links(axis, links, packets, scaled)
        numbered = max(cols, lines) <= NUMBERED_SIDE
        size = 0.5 if numbered else 0.42
        taken = [Rectangle((x - size / 2, y - size / 2), size, size) for x, y in places]
        colors = [_color(kinds.index(str(row["type"]))) for row in tiles]
        axis.add_collection(PatchCollection(taken, facecolor=colors, edgecolor="black", lw=0.35, zorder=3))
        if numbered:
            for row, (x, y), color in zip(tiles, places, colors, strict=True):
                dark = np.dot(to_rgb(color), (0.299, 0.587, 0.114)) < 0.5
                axis.text(x, y, f"{number(row, 'crossbar'):g}", size=5, ha="center", va="center_baseline",
                          color="white" if dark else "black", zorder=4)  # fmt: skip
        if enters:
            axis.annotate("", (-size / 2, -size / 2), (-9, 9), textcoords="offset points", zorder=5,
                          arrowprops={"arrowstyle": "-|>", "lw": 0.7, "color": "black"})  # fmt: skip
        axis.set(xlim=(-0.65, cols - 0.5), ylim=(lines - 0.5, -0.65), aspect="equal", xticks=[], yticks=[])
        told = "number: crossbar" if numbered else "tiles with a crossbar"
        axis.set_xlabel(f"Mesh of {lines}×{cols} ({told})")
        for edge in axis.spines.values():
            edge.set_visible(False)
        beside = axis.inset_axes((1.03, 0.0, 0.035, 1.0))
        bar = figure.colorbar(ScalarMappable(scaled, "cividis_r"), cax=beside)
        bar.set_label("Packets over a link (number)")
        handles = _patches(kinds)
        legend(figure, axes, ax is None, handles, [short(kind) for kind in kinds[:MAX_NAMED]])
        told = "both directions of a link together"
        note(figure, axes, ax is None, f"arrow: external axons enter; {told}" if enters else told)
    return figure, axis


def _links(axis: Axes, links: Rows, packets: Sequence[float], scaled: Normalize) -> None:
    ends = [[(number(row, "x"), number(row, "y")), (number(row, "to_x"), number(row, "to_y"))]
            for row in links]  # fmt: skip
    shares = [scaled(value) for value in packets]
    widths = [LEAST_LINK + (MOST_LINK - LEAST_LINK) * share for share in shares]
    lines = LineCollection(ends, linewidths=widths, cmap="cividis_r", norm=scaled, zorder=2)
    lines.set_array(np.array(packets, float))
    axis.add_collection(lines)
