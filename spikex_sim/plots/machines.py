"""Figures of several runs of the same spikes: bars relative to the first, energy and area by component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikex_sim.core.errors import FigureError
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.plots.bars import bar_heights, patches, stack
from spikex_sim.plots.layers import ADDED, CHIP_COMPONENTS, COMPONENTS, array_looks, known
from spikex_sim.plots.style import (
    CHIP_PARTS,
    FILLS,
    HATCHES,
    Given,
    Look,
    Style,
    legend,
    logarithmic,
    note,
    panels,
    short,
)
from spikex_sim.plots.table import Row, Rows, cell, is_chip, number, numbers, scale

COMPARED = {"seconds": "latency", "energy_pj": "energy", "energy_on_chip_pj": "no DRAM", "edp_js": "EDP"}
CHIP_AREAS = {
    f"area_{part}_mm2": look for part, look in zip(CHIP_PARTS, CHIP_COMPONENTS.values(), strict=True)
}
ARRAY_AREAS = {
    **{f"area_{part}_mm2": COMPONENTS[f"energy_{part}_pj"] for part in ("glb", "lbuf", "rf")},
    "area_pe_mm2": COMPONENTS["energy_alu_pj"]._replace(label="PEs"),
    **{
        f"area_{part}_mm2": ADDED[f"energy_{part}_pj"]
        for part in ("lif", "deskew", "handover", "window_table", "scanner")
    },
}
"""Parts of arrays, with the looks of their energies."""
APART = {"": "oo", "////": "//oo", "\\\\\\\\": "**", "....": "..oo", "xxxx": "xxoo"}
"""Hatches of arrays' parts beside those of crossbar machines, whose fillings are the same."""
ABSENT = "absent"
"""Column of what is missing in an area, in words."""
LOG_FROM = 30
LABEL_SIZE = 5.5
LETTER_IN = 0.68 * LABEL_SIZE / 72
"""Width of a digit of a label, and what keeps it off the next one."""
MAX_RUNS = len(HATCHES)


def energy_rows(layers: Rows) -> list[Row]:
    """Add energies of layers up: rows of ``layers.csv`` of several runs, each with its name in ``run``.

    Returns
    -------
    list of dict
        A row a run, in order: ``run``, and of every component ``energy_alu_pj`` and so on.
    """
    sums: dict[str, dict[str, float]] = {}
    for row in layers:
        run = sums.setdefault(str(cell(row, "run")), {})
        more = CHIP_COMPONENTS if is_chip(row) else [column for column in ADDED if row.get(column)]
        for column in (*COMPONENTS, *(one for one in more if row.get(one) is not None)):
            run[column] = run.get(column, 0.0) + number(row, column)
    return [{"run": name, **energies} for name, energies in sums.items()]


def energy_by_machine(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Stacked energy of several runs by component.

    Parameters
    ----------
    rows : sequence of dict
        What :func:`energy_rows` returns. Where all are of crossbar machines, the components are theirs; else
        those that all machines have.
    ax : Axes, optional
    style
        As :func:`comparison`, and so what is returned and raised.
    """
    if all(map(is_chip, rows)):
        return _stacked(*_parts(CHIP_COMPONENTS, rows), "Energy", "J", PJ_PER_J, ax, style)
    looks = array_looks(rows)
    nothing = {column: 0.0 for column in looks if column in ADDED}
    rows = [{**row, **nothing} if is_chip(row) else {**nothing, **row} for row in rows]
    return _stacked(rows, looks, "Energy", "J", PJ_PER_J, ax, style)


def area_by_machine(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Stacked area of several machines by component, as far as it is known; a note says what is missing.

    Parameters
    ----------
    rows : sequence of dict
        A row a run: its name in ``run``, areas in mm² in ``area_glb_mm2``, ``area_crossbar_mm2`` and so on,
        and in ``absent``, if there is such a column, what is missing in them.
    ax, style
        As :func:`energy_by_machine`, and so what is returned and raised.
    """
    missing = dict.fromkeys(
        f"{short(cell(row, 'run'))}: without {row[ABSENT]}" for row in rows if row.get(ABSENT)
    )
    return _stacked(*_parts(area_looks(rows), rows), "Known area", "mm²", 1.0, ax, style, "; ".join(missing))


def area_looks(rows: Rows) -> dict[str, Look]:
    """Looks of the areas in some rows: of chips, of arrays, of both side by side, and of further parts."""
    chips = [row.get("area_crossbar_mm2") is not None for row in rows]
    looks = CHIP_AREAS if all(chips) else ARRAY_AREAS
    if any(chips) and not all(chips):
        apart = {part: look._replace(hatch=APART[look.hatch]) for part, look in ARRAY_AREAS.items()}
        looks = CHIP_AREAS | apart
        looks["area_lif_mm2"] = looks.pop("area_lif_mm2")  # which both have
    columns = dict.fromkeys(column for row in rows for column in row if column.startswith("area_"))
    others = [column for column in columns if column not in looks]
    more = {
        column: Look(column.removeprefix("area_").removesuffix("_mm2"), "#CCCCCC", HATCHES[at % len(HATCHES)])
        for at, column in enumerate(others)
    }
    return {**looks, **more}


def _parts(looks: Mapping[str, Look], rows: Rows) -> tuple[Rows, dict[str, Look]]:
    """Rows of crossbar machines, and the parts that some have; 0 of those that a machine has not."""
    found = known(looks, rows)
    nothing = dict.fromkeys(found, 0.0)
    return [nothing | {key: value for key, value in row.items() if value is not None} for row in rows], found


def _stacked(
    rows: Rows,
    looks: Mapping[str, Look],
    what: str,
    unit: str,
    per: float,
    ax: Given,
    style: Style,
    said: str = "",
) -> tuple[Figure, Axes]:
    if not rows:
        raise FigureError("there are no runs", field="run")
    if not looks:
        raise FigureError(f"no run has a part of the {what.lower()}", field="run")
    parts = {part: numbers(rows, part) for part in looks}
    largest = max(map(sum, zip(*parts.values(), strict=True)))
    divisor, prefixed = scale([largest / per], unit) if unit == "J" else (1.0, unit)
    with panels(ax, style, height=bar_heights(len(rows)) + 0.55) as (figure, axes):
        names = [str(cell(row, "run")) for row in rows]
        stack(axes[0], names, parts, looks, divisor * per, f"{what} ({prefixed})")
        note(figure, axes, ax is None, said)
        legend(figure, axes, ax is None, patches(looks.values()), [look.label for look in looks.values()])
    return figure, axes[0]


def comparison(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Latency, energy with and without DRAM, and EDP of several runs, each over the first run's.

    Parameters
    ----------
    rows : sequence of dict
        A row a run: its name in ``run``, and ``seconds``, ``energy_pj``, ``energy_on_chip_pj`` and
        ``edp_js`` as in ``totals`` of ``results.json``.
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
        If there are no or too many runs, a column is missing, or the first run's is zero.
    """
    if not 1 <= len(rows) <= MAX_RUNS:
        raise FigureError(f"needs 1 to {MAX_RUNS} runs, not {len(rows)}", field="run")
    first = {column: number(rows[0], column) for column in COMPARED}
    for column, value in first.items():
        if not value:
            raise FigureError("is 0 in the first run; nothing can be compared with it", field=column)
    ratios = np.array([[number(row, column) / first[column] for column in COMPARED] for row in rows])
    far = ratios.min() > 0 and ratios.max() / ratios.min() >= LOG_FROM
    start = 1 if far else 0  # a logarithmic axis has no 0
    width = 0.84 / len(rows)
    places = np.arange(len(COMPARED))
    with panels(ax, style, height=2.1) as (figure, axes):
        axis = axes[0]
        handles: list[Any] = []
        texts = [[f"{height:.3g}" for height in heights] for heights in ratios]
        inches = axis.get_window_extent().width / figure.dpi
        room = inches * width / (1.1 * len(COMPARED))
        steep = max(len(text) for shown in texts for text in shown) * LETTER_IN > room
        for index, (heights, shown) in enumerate(zip(ratios, texts, strict=True)):
            at = places + (index - (len(rows) - 1) / 2) * width
            bars = axis.bar(at, heights - start, width, start, color=FILLS[index], hatch=HATCHES[index],
                            edgecolor="black", linewidth=0.4)  # fmt: skip
            handles.append(bars)
            axis.bar_label(
                bars,
                shown,
                padding=1.5,
                size=LABEL_SIZE,
                rotation=90 if steep else 0,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )  # over the line at 1
        low, high = ratios.min(), ratios.max()
        if far:
            space = (high / low) ** (0.3 if steep else 0.12)
            logarithmic(axis, "y", high / low)
            axis.set_ylim(low / space, high * space)
        else:
            axis.set_ylim(0, high * (1.25 if steep else 1.12))
        axis.axhline(1, color="black", lw=0.6, zorder=0)
        axis.set_xticks(places, list(COMPARED.values()))
        axis.tick_params(axis="x", length=0)
        from_one = ", bars from 1" if far else ""
        axis.set_ylabel(f"Relative to {short(cell(rows[0], 'run'))} (×{from_one})")
        legend(figure, axes, ax is None, handles, [short(cell(row, "run")) for row in rows])
    return figure, axis
