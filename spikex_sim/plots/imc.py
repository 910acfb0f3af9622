"""Figures of studies of crossbar machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from spikex_sim.core.errors import FigureError
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.plots.bars import patches, stack
from spikex_sim.plots.naming import name_points
from spikex_sim.plots.paper.common import by_text
from spikex_sim.plots.paper.tornado import Wording, drawn_tornado
from spikex_sim.plots.style import (
    FILLS,
    HATCHES,
    Given,
    Look,
    Style,
    legend,
    logarithmic,
    note,
    panels,
    series_look,
)
from spikex_sim.plots.sweeps import fit_values
from spikex_sim.plots.table import Row, Rows, cell, number, numbers, scale

COMPONENTS = ("crossbar", "adc", "digital", "buffers", "htree", "noc", "lif")
LOOKS = {
    name: Look(label, FILLS[index], HATCHES[index])
    for index, (name, label) in enumerate(
        zip(COMPONENTS, ("crossbars", "ADC", "adders", "buffers", "H-tree", "NoC", "LIF"), strict=True)
    )
}
RING: dict[str, Any] = {"marker": "o", "markersize": 7, "markerfacecolor": "none", "markeredgewidth": 0.5}
TORNADO = Wording(
    "as the preset has it",
    "keys that move them less",
    "Over the preset's (×)",
    Look("less", FILLS[0], HATCHES[0]),
    Look("more", FILLS[4], HATCHES[1]),
)
MOVED = {"energy": "energy_pj", "latency": "seconds", "area": "area_mm2", "changed spikes": "changed_spikes"}
"""What a tornado shows, and the column of each."""

Curve = tuple[str, str, Callable[[Row], float]]
"""Name, label of its axis, and value of a row."""


def precision(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Accuracy against energy and against area, a line a cell's bits; the front has names: bits of cell/ADC.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``imc-precision.csv``; what was refused is left out. Without classes the share of unchanged
        spikes stands for accuracy, and without weights area is drawn against energy.
    ax : sequence of Axes, optional
        Two, or one without weights.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : tuple of Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or if there are no rows.
    """
    shown = accepted(rows)
    energy, area = _energy(shown), _area()
    quality = _quality(shown)
    pairs = [(energy, area)] if quality is None else [(energy, quality), (area, quality)]
    series = by_text(shown, "imc.device.bits")
    front = _front(shown, [energy, area, *([] if quality is None else [quality])], worse_is_less=quality)
    with panels(ax, style, height=2.0, count=len(pairs)) as (figure, axes):
        handles: list[Any] = []
        for axis, (across, up) in zip(axes, pairs, strict=True):
            handles = [
                *(axis.plot(*_places(some, across, up), **series_look(index))[0]
                  for index, some in enumerate(series.values())),
                *axis.plot(*_places(front, across, up), color="black", ls="", **RING),
            ]  # fmt: skip
            axis.set(xlabel=across[1], ylabel=up[1])
            values = [across[2](row) for row in shown]
            if min(values) > 0:
                logarithmic(axis, "x", max(values) / min(values))
            axis.margins(0.12)
            axis.grid()
        labels = [f"{bits}-bit cells" for bits in series]
        legend(figure, axes, ax is None, handles, [*labels, "front (bits of cell/ADC)"])
        for axis, (across, up) in zip(axes, pairs, strict=True):
            names = [f"{row['imc.device.bits']}/{cell(row, 'imc.adc.bits')}" for row in front]
            every = list(zip(*_places(shown, across, up), strict=True))
            name_points(figure, axis, names, list(zip(*_places(front, across, up), strict=True)), every)
    return figure, tuple(axes)


def components(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Energy and area of every setting, by component; correct samples, where known, stand in its name.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``imc-umem.csv``, ``imc-sharing.csv`` or ``imc-encoding.csv``.
    ax, style
        As :func:`precision`, and so what is returned and raised; two Axes.
    """
    shown = accepted(rows)
    names = [_setting(row) for row in shown]
    with panels(ax, style, height=0.24 * len(shown) + 0.5, count=2) as (figure, axes):
        for axis, column, label, unit, per in (
            (axes[0], "energy_{}_pj", "Energy of a sample", "J", PJ_PER_J),
            (axes[1], "area_{}_mm2", "Area", "mm²", 1.0),
        ):
            parts = {
                name: [value / per for value in numbers(shown, column.format(name))] for name in COMPONENTS
            }
            sums = [sum(values) for values in zip(*parts.values(), strict=True)]
            divisor, prefixed = scale(sums, unit) if unit == "J" else (1.0, unit)
            stack(axis, names, parts, LOOKS, divisor, f"{label} ({prefixed})")
            axis.tick_params(axis="y", labelleft=axis is axes[0] or figure.get_figwidth() < 5)
        legend(figure, axes, ax is None, patches(LOOKS.values()), [look.label for look in LOOKS.values()])
        if any(map(_has_flags, shown)):
            note(figure, axes, ax is None, "* with flags of complemented columns; %: samples that are right")
    return figure, tuple(axes)


def r_on(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Accuracy and throughput against the lowest resistance, with and without adapted batch norms."""
    shown = accepted(rows)
    curves = [_quality(shown), ("TOPS", "Additions (10⁹/s)", lambda row: 1e3 * number(row, "tops"))]
    return _lines(shown, "imc.device.r_on_kohm", "R_on (kΩ)", curves, ax, style)


def size(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Accuracy, energy and area against rows and columns of a crossbar, with and without adaptation."""
    shown = accepted(rows)
    return _lines(
        shown,
        "imc.crossbar",
        "Crossbar (rows and columns)",
        [_quality(shown), _energy(shown), _area()],
        ax,
        style,
    )


def timesteps(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Accuracy and energy against the time points that are run."""
    shown = accepted(rows)
    return _lines(shown, "first", "Time (time points)", [_quality(shown), _energy(shown)], ax, style)


def keys(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """How far each key alone moves energy, latency, area and changed spikes, the furthest first.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``imc-keys.csv``, that of the preset first.
    ax, style
        As :func:`precision`, and so what is returned and raised; four Axes, three where no spike changes.
    """
    shown = accepted(rows)
    preset = shown[0]
    moved = {
        name: column
        for name, column in MOVED.items()
        if preset.get(column) and all(row.get(column) is not None for row in shown)
    }
    told = [
        {"parameter": str(cell(row, "key")), "value": _text(cell(row, "value")), "figure": name,
         "error": number(row, column) / number(preset, column), "chosen_error": 1.0}
        for row in shown[1:] for name, column in moved.items()
    ]  # fmt: skip
    return drawn_tornado(told, ax, style, TORNADO)


IMC_FIGURES: dict[str, Callable[..., tuple[Figure, Any]]] = {
    "imc-precision": precision,
    "imc-umem": components,
    "imc-sharing": components,
    "imc-encoding": components,
    "imc-r-on": r_on,
    "imc-size": size,
    "imc-timesteps": timesteps,
    "imc-keys": keys,
}
"""What draws the study of each name: ``draw(rows, ax, style)``."""


def accepted(rows: Rows) -> Rows:
    """Settings that were not refused."""
    found = [row for row in rows if not row.get("refused")]
    if not found:
        raise FigureError("there are no rows")
    return found


def _lines(
    rows: Rows, key: str, label: str, curves: Sequence[Curve | None], ax: Given, style: Style
) -> tuple[Figure, Any]:
    """Draw curves against a key, a panel each, with and without adaptation."""
    known = [curve for curve in curves if curve is not None]
    series = by_text(rows, "imc.adapt") if "imc.adapt" in rows[0] else {"none": list(rows)}
    names = {"none": "arrays as they are", "channel": "batch norms adapted"}
    labels = [names.get(name, name) for name in series]
    with panels(ax, style, height=1.6, count=len(known)) as (figure, axes):
        handles: list[Any] = []
        for axis, (name, what, value) in zip(axes, known, strict=True):
            handles = []
            for index, some in enumerate(series.values()):
                points = sorted((number(row, key), value(row)) for row in some)
                handles += axis.plot(*zip(*points, strict=True), clip_on=False, **series_look(index))
            values = [value(row) for row in rows]
            if name == "accuracy":
                points = sorted((number(row, key), 100 * number(row, "software_accuracy")) for row in rows)
                axis.plot(*zip(*points, strict=True), color="black", lw=0.8, ls=":", zorder=1)
                values += [point[1] for point in points]
            _by_doubling(axis, numbers(rows, key))
            fit_values(axis, values)
            axis.set(xlabel=label, ylabel=what)
            axis.grid()
        exact = [Line2D([], [], color="black", lw=0.8, ls=":")] if known[0][0] == "accuracy" else []
        legend(figure, axes, ax is None, [*handles, *exact], labels + ["exact sums"] * len(exact))
    return figure, tuple(axes)


def _by_doubling(axis: Axes, values: Iterable[float]) -> None:
    found = sorted(set(values))
    axis.set_xscale("log", base=2)
    axis.set_xticks(found, [f"{value:g}" for value in found])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlim(found[0] / 1.25, found[-1] * 1.25)


def _quality(rows: Rows) -> Curve | None:
    """What tells how right a setting is, as far as it is known of all."""
    if all(row.get("accuracy") is not None for row in rows):
        return "accuracy", "Correct (%)", lambda row: 100 * number(row, "accuracy")
    if all(row.get("changed_spikes") is not None and row.get("output_spikes") for row in rows):
        label = "Changed spikes (%)"
        return (
            "changed",
            label,
            lambda row: 100 * number(row, "changed_spikes") / number(row, "output_spikes"),
        )
    return None


def _energy(rows: Rows) -> Curve:
    divisor, unit = scale((value / PJ_PER_J for value in numbers(rows, "energy_pj")), "J")
    return "energy", f"Energy ({unit})", lambda row: number(row, "energy_pj") / PJ_PER_J / divisor


def _area() -> Curve:
    return "area", "Area (mm²)", lambda row: number(row, "area_mm2")


def _places(rows: Rows, across: Curve, up: Curve) -> tuple[list[float], list[float]]:
    return [across[2](row) for row in rows], [up[2](row) for row in rows]


def _front(rows: Rows, curves: Sequence[Curve], *, worse_is_less: Curve | None) -> list[Row]:
    """Rows that no other one beats or equals in everything; of accuracy more is better, of all else less."""
    gains = worse_is_less is not None and worse_is_less[0] == "accuracy"
    costs = [
        tuple(-value(row) if gains and name == "accuracy" else value(row) for name, _, value in curves)
        for row in rows
    ]
    return [
        row
        for row, mine in zip(rows, costs, strict=True)
        if not any(other != mine and all(a <= b for a, b in zip(other, mine, strict=True)) for other in costs)
    ]


def _text(value: Any) -> str:
    return str(value).removesuffix(".0")


def _setting(row: Row) -> str:
    """A setting in a few words."""
    if "imc.umem" in row:
        name = {"sram": "SRAM", "fefet": "FeFET"}.get(str(row["imc.umem"]), str(row["imc.umem"]))
    elif "imc.encoding" in row:
        name = str(row["imc.encoding"]) + ("*" if _has_flags(row) else "")
    else:
        narrow, shared = cell(row, "channels_divided_by"), cell(row, "lif_sharing")
        name = f"conv1 / {narrow}" if narrow != 1 else f"C#{shared}"
    return name if row.get("accuracy") is None else f"{name} {100 * number(row, 'accuracy'):.3g} %"


def _has_flags(row: Row) -> bool:
    return str(row.get("imc.complement")) == "True"
