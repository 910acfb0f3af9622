"""Figures of a search for networks of two cells: fitness against every cost, and the winner's cells."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.ticker import MaxNLocator

from spikex_sim.core.errors import FigureError
from spikex_sim.explore.nas.cells import NODES, Operation
from spikex_sim.explore.nas.constraints import UNITS
from spikex_sim.explore.nas.found import ArchitectureFound, CostsFound, Network
from spikex_sim.plots.style import Given, Style, legend, logarithmic, note, panels
from spikex_sim.plots.table import Row, Rows, cell, number

SHOWN = {
    "parameters": ("Parameters (weights)", 1.0),
    "area_mm2": ("Area (mm²)", 1.0),
    "latency_ms": ("Latency (ms)", 1.0),
    "energy_uj": ("Energy (µJ)", 1.0),
    "edp_js": ("EDP (nJs)", 1e9),
}
"""What the axis of a cost is called, and its unit there."""
ROLES: dict[str, dict[str, Any]] = {
    "winner": {"marker": "*", "ms": 9, "mfc": "#D55E00", "mec": "black", "mew": 0.5},
    "most convolutions that fit": {"marker": "D", "ms": 4.5, "mfc": "none", "mec": "black", "mew": 0.9},
    "random feasible": {"marker": "s", "ms": 4, "mfc": "none", "mec": "#CC79A7", "mew": 0.9},
}
"""Networks that stand out, and how."""
LIMIT: dict[str, Any] = {"color": "#D55E00", "lw": 0.9, "ls": (0, (5, 2))}
FRONT: dict[str, Any] = {"mec": "black", "mew": 0.6}
COLORS = "viridis"
FAR = 4
"""Ratio of costs from which their axis is logarithmic."""
MANY = 2000
"""Points that are no longer drawn one by one."""
TEXT_PT = 5.5
LOOKS = {
    Operation.SKIP: ("#777777", ":", 0.9),
    Operation.CONV1: ("#56B4E9", "-", 1.2),
    Operation.CONV3: ("#0072B2", "-", 1.6),
    Operation.CONV5: ("#CC79A7", "-", 1.6),
    Operation.CONV7: ("#E69F00", "-", 1.6),
    Operation.AVERAGE: ("#009E73", "--", 1.2),
}
"""Colour, line and its width of an edge."""
PLACES = ((0.0, 0.5), (1.0, 1.0), (1.0, 0.0), (2.0, 0.5))
"""Of the nodes of a cell; edges that would cross are bent."""
BENDS = {(0, 3): 0.0, (1, 2): 0.0, (0, 1): 0.12, (0, 2): -0.12, (1, 3): 0.12, (2, 3): -0.12}
RADIUS = 0.13


def cost_rows(found: ArchitectureFound) -> list[Row]:
    """Networks of a search and its baselines.

    Parameters
    ----------
    found : ArchitectureFound

    Returns
    -------
    list of dict
        A row a network: ``score``, its costs (None where not known) and ``limit_`` of each that has one,
        ``convolutions``, ``feasible``, ``front``, and ``role``: empty, or of :data:`ROLES`.
    """
    winner = found.winner.cell_a, found.winner.cell_b
    limits = {f"limit_{name}": value for name, value in found.search["limits"].items()}

    def row(one: Any, costs: CostsFound, role: str, *, feasible: bool, front: bool) -> Row:
        return {
            "score": one.score, **{name: getattr(costs, name) for name in UNITS}, **limits,
            "convolutions": one.convolutions_a + one.convolutions_b, "feasible": feasible, "front": front,
            "role": role,
        }  # fmt: skip

    def plain(one: Network) -> Row:
        role = "winner" if (one.cell_a, one.cell_b) == winner else ""
        return row(one, one.costs, role, feasible=one.feasible, front=one.front)

    rows = list(map(plain, found.networks))
    most = found.baselines.most_convolutions
    beside = [("random feasible", one) for one in found.baselines.random_feasible]
    if most is not None:
        beside.append(("most convolutions that fit", most))
    rows += [row(one, one.costs, role, feasible=True, front=False) for role, one in beside]
    if not any(one["role"] == "winner" for one in rows):  # it is there as other cells of the same forms
        rows.append(row(found.winner, found.winner.costs, "winner", feasible=found.winner.feasible,
                        front=found.winner.front))  # fmt: skip
    return rows


def against_costs(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Fitness of every network against each of its costs, with limits as lines.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`cost_rows` returns.
    ax : sequence of Axes, optional
        One a cost that is known.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    axes : tuple of Axes

    Raises
    ------
    FigureError
        If no score is finite, or a column is missing or is no number.
    """
    shown = [row for row in rows if math.isfinite(_score(row))]
    known = [name for name in UNITS if shown and all(cell(row, name) is not None for row in shown)]
    if not known:
        raise FigureError("no score is finite, or no cost known", field="score")
    # Of some machines the area is the same for all networks.
    known = [name for name in known if len({number(row, name) for row in shown}) > 1] or known
    most = max(number(row, "convolutions") for row in shown)
    with panels(ax, style, height=1.75, count=len(known)) as (figure, axes):
        scale = Normalize(0, max(most, 1))
        for axis, name in zip(axes, known, strict=True):
            drawn = _points(axis, shown, name, scale)
            axis.set(xlabel=SHOWN[name][0], ylabel="Fitness")
            axis.margins(0.08)
            axis.grid()
        if ax is None:
            bar = figure.colorbar(drawn, ax=axes, aspect=40, pad=0.02)
            bar.set_label("Convolutions in both cells")
            bar.ax.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
        handles, labels = _named(shown)
        legend(figure, axes, ax is None, handles, labels)
        left = len(rows) - len(shown)
        note(figure, axes, ax is None, f"left out, fitness −∞: {left}" if left else "")
    return figure, tuple(axes)


def _points(axis: Axes, rows: Rows, name: str, scale: Normalize) -> Any:
    """Draw networks, those that stand out on top, and a limit; returns what has colours."""
    unit = SHOWN[name][1]
    plain = [row for row in rows if not row["role"]]
    drawn = None
    for feasible, front in ((False, False), (True, False), (True, True)):
        some = [row for row in plain if (row["feasible"], row["front"]) == (feasible, front)]
        drawn = axis.scatter(
            [unit * number(row, name) for row in some], [_score(row) for row in some],
            c=[number(row, "convolutions") for row in some], cmap=COLORS, norm=scale, s=9,
            linewidths=0.7 if front else 0.0, edgecolors="black", alpha=1.0 if feasible else 0.25,
            rasterized=len(some) > MANY, zorder=2,
        )  # fmt: skip
    for role, look in ROLES.items():
        some = [row for row in rows if row["role"] == role]
        points = [unit * number(row, name) for row in some], [_score(row) for row in some]
        axis.plot(*points, ls="", zorder=5 if role == "winner" else 4, **look)
    values = [unit * number(row, name) for row in rows]
    if rows[0].get(f"limit_{name}") is not None:
        limit = unit * number(rows[0], f"limit_{name}")
        axis.axvline(limit, zorder=1, **LIMIT)
        values.append(limit)
    if 0 < FAR * min(values) < max(values):
        logarithmic(axis, "x", 10 * max(values) / min(values))
    return drawn


def _named(rows: Rows) -> tuple[list[Line2D], list[str]]:
    dot: dict[str, Any] = {"marker": "o", "ls": "", "ms": 3.5, "mfc": "#999999"}
    looks: dict[str, dict[str, Any]] = {
        **{role: {"ls": "", **look} for role, look in ROLES.items() if any(r["role"] == role for r in rows)},
        "front": dot | FRONT,
    }
    if any(not row["feasible"] for row in rows):
        looks["breaks a limit"] = dot | {"mec": "none", "alpha": 0.3}
    if any(key.startswith("limit_") for key in rows[0]):
        looks["limit"] = LIMIT
    return [Line2D([], [], **look) for look in looks.values()], list(looks)


def _score(row: Row) -> float:
    value = cell(row, "score")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FigureError(f"must be a number, not {str(value)!r:.40}", field="score")
    return float(value)


def cell_rows(found: ArchitectureFound) -> list[Row]:
    """Edges of the winner's cells.

    Parameters
    ----------
    found : ArchitectureFound

    Returns
    -------
    list of dict
        A row an edge: ``cell`` (``A`` or ``B``), ``written``, ``from``, ``to``, ``operation``, and ``live``:
        whether the input reaches it and it reaches the output.
    """
    winner, rows = found.winner, list[Row]()
    cells = zip("AB", (winner.cell_a, winner.cell_b), found.cells_of(winner), strict=True)
    for name, written, one in cells:
        fed, used = {0}, {NODES - 1}
        for _ in range(NODES):
            fed |= {j for i, j, _ in one.edges if i in fed}
            used |= {i for i, j, _ in one.edges if j in used}
        rows += [
            {"cell": name, "written": written, "from": i, "to": j, "operation": str(operation),
             "live": i in fed and j in used}
            for i, j, operation in one.edges
        ]  # fmt: skip
    return rows


def cells(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Cells as graphs, a panel each; a node is the sum of what enters it.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`cell_rows` returns.
    ax, style
        As :func:`against_costs`, and so what is returned and raised; two Axes.
    """
    names = list(dict.fromkeys(str(cell(row, "cell")) for row in rows))
    if len(names) != len("AB"):
        raise FigureError(f"needs the edges of two cells, not of {len(names)}", field="cell")
    with panels(ax, style, height=1.5, count=2) as (figure, axes):
        for axis, name in zip(axes, names, strict=True):
            edges = [row for row in rows if str(row["cell"]) == name]
            for row in edges:
                _edge(axis, row)
            for node, place in enumerate(PLACES):
                axis.add_patch(Circle(place, RADIUS, fc="white", ec="black", lw=0.8, zorder=3))
                told = {0: "in", NODES - 1: "out"}.get(node, str(node))
                axis.text(*place, told, ha="center", va="center", size=TEXT_PT + 1, zorder=4)
            axis.set(xlim=(-0.25, 2.25), ylim=(-0.25, 1.25), aspect="equal")
            axis.set_title(f"Cell {name}: {cell(edges[0], 'written')}", size=TEXT_PT + 2)
            axis.axis("off")
        there = {str(row["operation"]) for row in rows}
        known = {str(one): look for one, look in LOOKS.items() if str(one) in there}
        handles = [Line2D([], [], color=c, ls=ls, lw=lw) for c, ls, lw in known.values()]
        legend(figure, axes, ax is None, handles, list(known))
        dead = "" if all(row["live"] for row in rows) else "pale: nothing of it reaches the output"
        note(figure, axes, ax is None, dead)
    return figure, tuple(axes)


def _edge(axis: Axes, row: Row) -> None:
    color, line, width = LOOKS[Operation(str(cell(row, "operation")))]
    i, j = int(number(row, "from")), int(number(row, "to"))
    bend = BENDS[min(i, j), max(i, j)] if i < j else 0.3
    axis.add_patch(
        FancyArrowPatch(
            PLACES[i], PLACES[j], connectionstyle=f"arc3,rad={-bend}", arrowstyle="-|>", mutation_scale=7,
            shrinkA=9, shrinkB=9, color=color, ls=line, lw=width, alpha=1.0 if row["live"] else 0.3, zorder=2,
        )
    )  # fmt: skip
