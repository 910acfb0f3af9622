"""Figures of the layers of a run: energy, stalls, use of the array, roofline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spikex_sim.core.counts import TENSORS
from spikex_sim.core.errors import FigureError
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.plots.bars import MOST_UPRIGHT, bar_heights, name_below, patches, stack
from spikex_sim.plots.naming import name_points
from spikex_sim.plots.style import (
    CHIP_PARTS,
    FILLS,
    HATCHES,
    LONGEST_NAME,
    Given,
    Look,
    Style,
    is_wide,
    legend,
    logarithmic,
    note,
    panels,
    plain,
    series_look,
    short,
    wrapped,
)
from spikex_sim.plots.table import (
    TOTAL,
    Row,
    Rows,
    cell,
    finished,
    is_chip,
    number,
    numbers,
    scale,
    series_of,
    working,
)

COMPONENTS = {
    "energy_dram_pj": Look("DRAM", "#0072B2", ""),
    "energy_glb_pj": Look("GLB", "#56B4E9", "////"),
    "energy_lbuf_pj": Look("LBUF", "#F0E442", "\\\\\\\\"),
    "energy_rf_pj": Look("RF", "#009E73", "...."),
    "energy_alu_pj": Look("ALU", "#E69F00", ""),
}
ADDED = {
    "energy_clock_pj": Look("clock", "#D55E00", "xxxx"),
    "energy_lif_pj": Look("LIF", "#CC79A7", ""),
    "energy_deskew_pj": Look("deskew", "#CC79A7", "////"),
    "energy_handover_pj": Look("hand-over", "#CC79A7", "xxxx"),
    "energy_window_table_pj": Look("window table", "#999999", ""),
    "energy_scanner_pj": Look("scanner", "#999999", "////"),
    "energy_dispatch_pj": Look("dispatch", "#999999", "xxxx"),
}
"""What an array that issues NTWUs may have besides; drawn where it spends anything."""
CHIP_COMPONENTS = {
    f"energy_{name}_pj": Look(label, FILLS[index], HATCHES[index])
    for index, (name, label) in enumerate(CHIP_PARTS.items())
}
"""Of a crossbar machine."""
TENSOR_LOOKS = {
    "filter": Look("weights", "#0072B2", ""),
    "ifmap": Look("input spikes", "#56B4E9", "////"),
    "ofmap": Look("output spikes", "#F0E442", "\\\\\\\\"),
    "psum": Look("potentials", "#009E73", "...."),
    "tag": Look("tags", "#E69F00", ""),
}
STALLS = {
    "compute_cycles": Look("array", "#DDDDDD", ""),
    "stall_dram_cycles": Look("DRAM", "#0072B2", ""),
    "stall_glb_cycles": Look("GLB", "#56B4E9", "////"),
    "stall_lbuf_cycles": Look("LBUF", "#F0E442", "\\\\\\\\"),
    "stall_drain_cycles": Look("drain", "#D55E00", "xxxx"),
}
MAX_NAMED = 7
"""Most layers of a roofline that have a marker each; of more, the points are numbered."""
MAX_NUMBERED = 60
"""Most points that are numbered; more are not named."""
MAX_CELLS = {False: 12, True: 30}
"""Most columns of a heat map whose cells show their values, in one and over two columns of a page."""
UPRIGHT_IN = 1.9
"""Height of bars that stand side by side, inches."""


def known(looks: Mapping[str, Look], rows: Rows) -> dict[str, Look]:
    """Looks of the parts that some of the crossbar machines have."""
    there = {column for row in rows for column in looks if row.get(column) is not None}
    return {column: look for column, look in looks.items() if column in there}


def array_looks(rows: Rows) -> dict[str, Look]:
    """Components of arrays: those that all have, and what some of them spend energy for besides."""
    spent = {column for row in rows if not is_chip(row) for column in ADDED if row.get(column)}
    return COMPONENTS | {column: look for column, look in ADDED.items() if column in spent}


def energy_by_component(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Stacked energy of every layer by component, and below it of all together.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``layers.csv``; energies in pJ. Crossbar machines have components of their own.
    ax : sequence of two Axes, optional
        For the layers and for the total.
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
    names = [cell(row, "name") for row in shown]
    looks = known(CHIP_COMPONENTS, shown) if is_chip(shown[0]) else array_looks(shown)
    return _energies(names, {c: numbers(shown, c) for c in looks}, looks, "Energy", ax, style)


def energy_by_tensor(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Stacked energy of the accesses of every layer by tensor, all levels together, and of all layers.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``accesses.csv``; energies in pJ. Arithmetic is not among them.
    ax, style
        As :func:`energy_by_component`, and so what is returned and raised.
    """
    names, parts = tensor_energies(rows)
    return _energies(names, parts, TENSOR_LOOKS, "Access energy", ax, style)


def tensor_energies(rows: Rows) -> tuple[list[str], dict[str, list[float]]]:
    """Names of the layers that access anything, and their energies in pJ by tensor, all levels together.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``accesses.csv``.

    Raises
    ------
    FigureError
        If a column is missing or not a number, a tensor is unknown, or no layer accesses anything.
    """
    sums: dict[str, dict[str, float]] = {}
    for row in rows:
        name, tensor = str(cell(row, "layer")), str(cell(row, "tensor"))
        if tensor not in TENSOR_LOOKS:
            raise FigureError(f"must be one of {', '.join(TENSORS)}, not {tensor:.40}", field="tensor")
        layer = sums.setdefault(name, dict.fromkeys(TENSOR_LOOKS, 0.0))
        layer[tensor] += number(row, "read_pj") + number(row, "write_pj")
    sums = {name: layer for name, layer in sums.items() if any(layer.values())}
    if not sums:
        raise FigureError("no layer accesses anything", field="read_pj")
    return list(sums), {tensor: [layer[tensor] for layer in sums.values()] for tensor in TENSOR_LOOKS}


def _energies(
    names: Sequence[str], parts: Mapping[str, list[float]], looks: Mapping[str, Look], what: str, ax: Given,
    style: Style,
) -> tuple[Figure, tuple[Axes, Axes]]:  # fmt: skip
    """Draw parts in pJ as stacked bars, a bar a layer, and below them one of the sums."""
    totals = {part: [sum(values)] for part, values in parts.items()}
    bars = bar_heights(len(names))
    upright = is_wide(ax, style) and len(names) <= MOST_UPRIGHT
    height, ratios = (UPRIGHT_IN, [7.0, 1.0]) if upright else (bars + 1.15, [bars, 0.17])
    with panels(ax, style, height=height, count=2, ratios=ratios, beside=upright) as (figure, axes):
        for axis, labels, shown in ((axes[0], names, parts), (axes[1], [TOTAL], totals)):
            largest = max(map(sum, zip(*shown.values(), strict=True)))
            divisor, unit = scale([largest / PJ_PER_J], "J")
            stack(axis, labels, shown, looks, divisor * PJ_PER_J, f"{what} ({unit})", upright=upright)
        _name(figure, axes, ax is None, looks)
    return figure, (axes[0], axes[1])


def stalls(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Shares of every layer's cycles in which the array works or waits, and of all layers' together.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``layers.csv``.
    ax : Axes, optional
    style
        As :func:`energy_by_component`, and so what is returned and raised; one Axes.
    """
    shown = working(rows)
    cycles = np.array([numbers(shown, column) for column in STALLS])
    cycles = np.hstack([cycles, cycles.sum(axis=1, keepdims=True)])
    shares = dict(zip(STALLS, 100 * cycles / cycles.sum(axis=0), strict=True))
    names = [*(cell(row, "name") for row in shown), TOTAL]
    upright = is_wide(ax, style) and len(names) <= MOST_UPRIGHT
    height = UPRIGHT_IN if upright else bar_heights(len(names)) + 0.55
    with panels(ax, style, height=height) as (figure, axes):
        stack(axes[0], names, shares, STALLS, 1.0, "Share of cycles (%)", upright=upright)
        axes[0].set(**{"ylim" if upright else "xlim": (0, 100)})
        (axes[0].axvline if upright else axes[0].axhline)(len(names) - 1.5, color="black", lw=0.6)
        _name(figure, axes, ax is None, STALLS)
    return figure, axes[0]


def _name(figure: Figure, axes: Sequence[Axes], own: bool, looks: Mapping[str, Look]) -> None:
    legend(figure, axes, own, patches(looks.values()), [look.label for look in looks.values()])


def utilization(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Heat map of the share of cycles in which PEs are in use.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``layers.csv`` of one run; of several runs with a column ``run`` that tells them apart, which
        makes a map of layers and runs; or rows of a sweep with ``tws``, a map of machines and window sizes.
    ax : Axes, optional
    style
        As :func:`energy_by_component`, and so what is returned and raised; one Axes.
    """
    title = "PE use (%)"
    cells: dict[tuple[str, str], float] = {}
    if not rows:
        raise FigureError("there are no rows")
    if "run" in rows[0]:
        cells = {(str(cell(r, "name")), str(r["run"])): number(r, "utilization") for r in working(rows)}
    elif "name" in rows[0]:
        title = "PEs (%)"
        for row in working(rows):
            cells[str(row["name"]), "in use"] = number(row, "utilization")
            if not is_chip(row):  # whose PEs add many weights at once
                cells[str(row["name"]), "adding"] = number(row, "add_utilization")
    else:
        return _swept_utilization(rows, ax, style)
    return _heat_map(cells, title, "", ax, style)


def _swept_utilization(rows: Rows, ax: Given, style: Style) -> tuple[Figure, Axes]:
    shown = [row for row in finished(rows) if cell(row, "tws") != "auto"]
    cells = {
        (label, f"{number(row, 'tws'):g}"): number(row, "utilization")
        for label, series in series_of(shown, apart=("tws",)).items()
        for row in series
    }
    if not cells:
        raise FigureError("no point has a window size of its own", field="tws")
    return _heat_map(cells, "PE use (%)", "Time window size (time points)", ax, style, _in_full)


def _in_full(name: str) -> str:
    return wrapped(plain(name), LONGEST_NAME + 12)


def _heat_map(
    cells: Mapping[tuple[str, str], float], title: str, across_label: str, ax: Given, style: Style,
    name: Callable[[str], str] = lambda name: short(name, LONGEST_NAME + 6),
) -> tuple[Figure, Axes]:  # fmt: skip
    """Draw shares by two names; over two columns of a page, the more names stand below."""
    down = list(dict.fromkeys(name for name, _ in cells))
    across = list(dict.fromkeys(name for _, name in cells))
    if across_label:
        across.sort(key=float)
    shares = np.array([[100 * cells.get((one, other), np.nan) for other in across] for one in down])
    rows, columns = list(map(name, down)), list(map(short, across))
    down_label = ""
    wide = is_wide(ax, style)
    if wide and len(across) < len(down) <= MOST_UPRIGHT:
        shares, rows, columns = shares.T, columns, rows
        down_label, across_label = across_label, ""
    lines = max(label.count("\n") + 1 for label in rows)
    slant = 0.045 * max(map(len, columns)) if sum(map(len, columns)) > 30 else 0
    with panels(ax, style, height=lines * bar_heights(len(rows)) + 0.8 + slant) as (figure, axes):
        axis = axes[0]
        mesh = axis.pcolormesh(np.ma.masked_invalid(shares), vmin=0, vmax=100, edgecolors="white", lw=0.4)
        axis.set_facecolor("#DDDDDD")
        if len(columns) <= MAX_CELLS[wide]:
            for (y, x), share in np.ndenumerate(shares):
                if np.isfinite(share):
                    color = "white" if share < 55 else "black"
                    axis.text(x + 0.5, y + 0.5, f"{share:.0f}", ha="center", va="center", size=6, color=color)
        name_below(axis, np.arange(len(columns)) + 0.5, columns)
        axis.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axis.set_ylim(len(rows), 0)
        axis.tick_params(length=0)
        axis.set(xlabel=across_label, ylabel=down_label)
        bar = figure.colorbar(mesh, ax=axis, label=title, aspect=12, fraction=0.06, ticks=[0, 50, 100])
        bar.outline.set_linewidth(0.4)
    return figure, axis


def roofline_rows(layers: Rows, accesses: Rows, config: Mapping[str, Any]) -> list[Row]:
    """Join what a roofline needs: rows of ``layers.csv`` and ``accesses.csv``, and a run's ``config``.

    Returns
    -------
    list of dict
        A row a layer: ``name``, ``accumulations``, ``seconds``, ``dram_bytes`` moved, and what the machine
        could do, ``peak_per_s`` (an addition in every PE and cycle) and ``dram_bytes_per_s``.
    """
    moved: dict[str, float] = {}
    for row in accesses:
        if cell(row, "level") == "dram":
            bits = number(row, "read_bits") + number(row, "write_bits")
            name = str(cell(row, "layer"))
            moved[name] = moved.get(name, 0.0) + bits / 8
    peak = (
        _setting(config, "array.rows") * _setting(config, "array.cols") * _setting(config, "clock_mhz") * 1e6
    )
    bandwidth = _setting(config, "memory.dram.bandwidth_gb_s") * 1e9
    return [
        {
            "name": cell(row, "name"),
            "accumulations": number(row, "accumulations"),
            "seconds": number(row, "seconds"),
            "dram_bytes": moved.get(str(row["name"]), 0.0),
            "peak_per_s": peak,
            "dram_bytes_per_s": bandwidth,
        }
        for row in working(layers)
    ]


def _setting(config: Mapping[str, Any], key: str) -> float:
    found: Any = config
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise FigureError("no such key", field=f"config.{key}")
        found = found[part]
    return number({f"config.{key}": found}, f"config.{key}")


def roofline(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Additions per DRAM byte against additions per second, below what PEs and DRAM allow.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`roofline_rows` returns.
    ax : Axes, optional
    style
        As :func:`energy_by_component`, and so what is returned and raised; one Axes.
    """
    shown = [row for row in rows if all(number(row, c) for c in ("accumulations", "dram_bytes", "seconds"))]
    if not shown:
        raise FigureError("no layer both adds and moves bytes", field="accumulations")
    peak, bandwidth = number(shown[0], "peak_per_s"), number(shown[0], "dram_bytes_per_s")
    x = np.array([row["accumulations"] / row["dram_bytes"] for row in shown])
    y = np.array([row["accumulations"] / row["seconds"] for row in shown])
    ridge = peak / bandwidth
    left, right = min(*x, ridge) / 2, max(*x, ridge) * 2
    low, high = min(*y, peak) / 2e9, 1.5 * max(*y, peak) / 1e9
    ends = np.array([left, ridge, right])
    with panels(ax, style, height=2.1) as (figure, axes):
        axis = axes[0]
        roof = axis.plot(ends, np.minimum(peak, bandwidth * ends) / 1e9, color="black", lw=1, marker="")[0]
        handles, labels = [roof], [f"roof ({bandwidth / 1e9:g} GB/s)"]
        numbered = [str(index) for index in range(1, len(shown) + 1)] if len(shown) <= MAX_NUMBERED else []
        if len(shown) <= MAX_NAMED:
            for index, (row, at, per_s) in enumerate(zip(shown, x, y / 1e9, strict=True)):
                handles += axis.plot([at], [per_s], **series_look(index) | {"linestyle": ""})
                labels.append(short(row["name"]))
        else:
            axis.scatter(x, y / 1e9, s=9, c="#56B4E9", edgecolors="black", lw=0.3)
            for name, row in zip(numbered, shown, strict=False):
                handles.append(Line2D([], [], ls="", marker=""))
                labels.append(f"{name}: {short(row['name'])}")
        logarithmic(axis, "x", right / left)
        logarithmic(axis, "y", high / low)
        axis.set_xlim(left, right)
        axis.set_ylim(low, high)
        axis.set_xlabel("Additions per DRAM byte (1/B)")
        axis.set_ylabel("Additions (10⁹/s)")
        axis.grid()
        legend(figure, axes, ax is None, handles, labels)
        if MAX_NAMED < len(shown) <= MAX_NUMBERED:
            name_points(figure, axis, numbered, list(zip(x, y / 1e9, strict=True)))
        elif not numbered:
            note(figure, axes, ax is None, f"{len(shown)} layers, too many to be named")
    return figure, axis
