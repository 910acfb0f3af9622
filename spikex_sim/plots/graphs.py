"""Figure of a trace that is a graph: a box a node, top to bottom in the order in which they follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle

from spikex_sim.core.errors import FigureError
from spikex_sim.core.units import sides
from spikex_sim.plots.style import Given, Style, legend, panels, plain, short
from spikex_sim.plots.table import Row, Rows, cell, number
from spikex_sim.spec.graph import Population
from spikex_sim.trace.graph import GraphTrace

MAX_BOXES = 400
"""Most nodes that are drawn."""
ROW_IN, TEXT_PT = 0.34, 5.0
"""Height of a row of boxes, inches, and of letters, points."""
COLORS = {
    "input": "#F0E442",
    "neurons": "#9CCBE8",
    "currents": "#F5C794",
    "maxpool": "#DDDDDD",
    "avgpool": "#F0F0F0",
    "join": "#C9E4C5",
    "matmul": "#E3BFD9",
}
ARROW: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 4, "lw": 0.5, "color": "black"}
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00")
HALF_BOX, LANE = 0.3, 0.025


def graph_rows(trace: GraphTrace) -> list[Row]:
    """Nodes of a graph and what they take.

    Parameters
    ----------
    trace : GraphTrace

    Returns
    -------
    list of dict
        A row a node: ``name``, ``kind``, ``shape``; ``sources``, the names of the nodes it takes; ``depth``,
        nodes on the longest way to it from an input; ``delay`` of its shortest synapse to itself, 0 without.

    Raises
    ------
    FigureError
        If there are more than :data:`MAX_BOXES` nodes.
    """
    if len(trace.nodes) > MAX_BOXES:
        raise FigureError(f"{len(trace.nodes)} nodes, more than {MAX_BOXES}", where=trace.where)
    depths: dict[str, int] = {}
    rows: list[Row] = []
    for node in trace.nodes:
        others = [source for source in node.sources if source != node.name]
        depths[node.name] = max((depths[source] + 1 for source in others), default=0)
        synapses = node.synapses if isinstance(node, Population) else ()
        loops = [one.delay for one in synapses if one.source == node.name]
        rows.append(
            {
                "name": node.name,
                "kind": node.kind,
                "shape": list(trace.shape(node.name)),
                "sources": others,
                "depth": depths[node.name],
                "delay": min(loops, default=0),
            }
        )
    return rows


def graph(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Nodes as boxes; a line from each to those that take it, at the side where it passes others.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`graph_rows` returns.
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
        raise FigureError("no node to draw", field="name")
    depth = 1 + int(max(number(row, "depth") for row in rows))
    with panels(ax, style, height=0.8 + ROW_IN * depth) as (figure, axes):
        axis = axes[0]
        places = places_of(rows)
        lanes = lanes_of(rows, places)
        right = 1 + LANE * (2 + max(lanes.values(), default=-1))
        axis.set_xlim(0, right)
        axis.set_ylim(depth - 0.5, -0.5)
        _lines(axis, rows, places, lanes)
        inches = axis.get_position().width * figure.get_figwidth() / right
        for row in rows:
            _box(axis, row, places[str(cell(row, "name"))], inches)
        axis.set_xticks([])
        axis.set_yticks(range(0, depth, 1 + depth // 9))
        axis.set_ylabel("Depth (nodes)")
        for side in ("top", "right", "bottom"):
            axis.spines[side].set_visible(False)
        kinds = [kind for kind in COLORS if any(cell(row, "kind") == kind for row in rows)]
        handles = [Patch(facecolor=COLORS[kind], edgecolor="black", lw=0.4) for kind in kinds]
        legend(figure, axes, ax is None, handles, kinds)
    return figure, axis


def places_of(rows: Rows) -> dict[str, tuple[float, float, float]]:
    """Middle and half the width of every box, in widths of the drawing: side by side where equally deep."""
    beside: dict[int, list[str]] = {}
    for row in rows:
        beside.setdefault(int(number(row, "depth")), []).append(str(cell(row, "name")))
    return {
        name: ((index + 0.5) / len(names), float(depth), min(0.24, 0.46 / len(names)))
        for depth, names in beside.items()
        for index, name in enumerate(names)
    }


def far_sources(row: Row, places: Mapping[str, tuple[float, float, float]]) -> Iterator[str]:
    """Sources of a node that are more than one row above it: their lines pass others in a lane."""
    yield from (source for source in cell(row, "sources") if places[source][1] < number(row, "depth") - 1)


def lanes_of(rows: Rows, places: Mapping[str, tuple[float, float, float]]) -> dict[str, int]:
    """Lane beside the boxes for each node that others further down take, up to the last of them."""
    ends: dict[str, float] = {}
    for row in rows:
        for source in far_sources(row, places):
            ends[source] = max(ends.get(source, 0.0), number(row, "depth"))
    lanes: dict[str, int] = {}
    free_from: list[float] = []
    for source in sorted(ends, key=lambda name: places[name][1]):
        start = places[source][1]
        lane = next((at for at, end in enumerate(free_from) if end <= start), len(free_from))
        free_from[lane : lane + 1] = [ends[source]]
        lanes[source] = lane
    return lanes


def _lines(
    axis: Axes, rows: Rows, places: Mapping[str, tuple[float, float, float]], lanes: Mapping[str, int]
) -> None:
    for source, lane in lanes.items():
        takers = [row for row in rows if source in far_sources(row, places)]
        x, y, half = places[source]
        look: dict[str, Any] = {"color": LINES[lane % len(LINES)], "lw": 0.5, "zorder": 1}
        beside, shift = 1 + LANE * (lane + 0.7), 0.03 * (lane % 4)
        out = x + 0.6 * half
        leaves = y + HALF_BOX + 0.05 + shift
        last = max(number(row, "depth") for row in takers) - HALF_BOX - 0.15 + shift
        axis.plot([out, out, beside, beside], [y + HALF_BOX, leaves, leaves, last], **look)
        for row in takers:
            to_x, to_y, to_half = places[str(cell(row, "name"))]
            enters = to_x + to_half * (0.25 + 0.65 * (lane % 6) / 6)
            level = to_y - HALF_BOX - 0.15 + shift
            axis.plot([beside, enters, enters], [level, level, to_y - HALF_BOX], **look)
            axis.plot([enters], [to_y - HALF_BOX - 0.03], marker="v", markersize=1.5, **look)
    for row in rows:
        x, y, _ = places[str(cell(row, "name"))]
        for source in cell(row, "sources"):
            if places[source][1] == y - 1:
                start = (places[source][0], y - 1 + HALF_BOX)
                axis.add_patch(FancyArrowPatch(start, (x, y - HALF_BOX), shrinkA=0, shrinkB=0, **ARROW))


def _box(axis: Axes, row: Row, place: tuple[float, float, float], inches: float) -> None:
    x, y, half = place
    name, kind, delay = str(cell(row, "name")), str(cell(row, "kind")), int(number(row, "delay"))
    axis.add_patch(
        Rectangle((x - half, y - HALF_BOX), 2 * half, 2 * HALF_BOX, facecolor=COLORS.get(kind, "white"),
                  edgecolor="black", lw=0.4, zorder=2)
    )  # fmt: skip
    letters = max(4, int(2 * half * inches * 72 / (0.6 * TEXT_PT)))
    lines = [short(name, letters), short(sides(cell(row, "shape")), letters)]
    text = "\n".join(plain(line) for line in lines)
    axis.text(x, y, text, ha="center", va="center", fontsize=TEXT_PT, linespacing=1.05, zorder=3)
    if delay:
        left = (x - half, y - 0.15), (x - half, y + 0.15)
        axis.add_patch(FancyArrowPatch(left[1], left[0], connectionstyle="arc3,rad=-1.3", **ARROW))
        axis.text(x - half - 0.05, y, f"{delay}", fontsize=TEXT_PT, ha="right", va="center")
