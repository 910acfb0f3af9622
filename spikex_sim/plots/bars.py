"""Stacked bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from spikex_sim.core.errors import FigureError
from spikex_sim.plots.style import Look, short

LEAST_EDGED = 0.005
"""Part of the longest bar from which a part has an edge, which would hide a smaller one."""
MAX_BARS = 400
"""Most bars or rows below each other."""
MOST_UPRIGHT = 60
"""Most bars that stand side by side over two columns of a page."""
LEAST_UPRIGHT = 10
"""Bars whose room fewer take too, so that they do not become wide."""
MOST_LYING = 11
"""Characters of names that lie side by side in an inch."""


def patches(looks: Iterable[Look]) -> list[Patch]:
    """Name parts in a legend."""
    return [Patch(facecolor=look.color, hatch=look.hatch, edgecolor="black", linewidth=0.4) for look in looks]


def bar_heights(count: int) -> float:
    """Inches that horizontal bars need, less a bar as they become many.

    Raises
    ------
    FigureError
        If there are more than a figure can hold.
    """
    if count > MAX_BARS:
        raise FigureError(f"{count} bars or rows, more than the {MAX_BARS} that a figure holds")
    return count * float(np.interp(count, [20, 60], [0.17, 0.115]))


def stack(
    axis: Axes, names: Sequence[str], parts: Mapping[str, Any], looks: Mapping[str, Look], divisor: float,
    label: str = "", *, upright: bool = False,
) -> None:  # fmt: skip
    """Draw a bar a name, lying unless ``upright``, made of parts, which are divided by ``divisor``."""
    places = np.arange(len(names), dtype=float)
    ends = pile(axis.bar if upright else axis.barh, places, parts, looks, divisor)
    limits = 0, 1.03 * max(ends) or 1
    if upright:
        spare = max(0.0, (LEAST_UPRIGHT - len(names)) / 2) if len(names) > 1 else 0.2
        axis.set(xlim=(-0.6 - spare, len(names) - 0.4 + spare), ylim=limits, ylabel=label)
        name_below(axis, places, [short(name) for name in names])
    else:
        axis.set_yticks(places, [short(name) for name in names])
        axis.set(ylim=(len(names) - 0.4, -0.6), xlim=limits, xlabel=label)
        axis.tick_params(axis="y", length=0)
    axis.grid(axis="y" if upright else "x")


def pile(
    draw: Callable[..., Any], places: NDArray[np.float64], parts: Mapping[str, Any],
    looks: Mapping[str, Look], divisor: float, thick: float = 0.75,
) -> NDArray[np.float64]:  # fmt: skip
    """Draw parts one after the other by ``Axes.bar`` or ``barh``, and return where they end."""
    ends = np.zeros(len(places))
    longest = max(map(sum, zip(*(parts[part] for part in looks), strict=True))) / divisor
    for part, look in looks.items():
        lengths = np.asarray(parts[part], float) / divisor
        edges = [0.4 if length > LEAST_EDGED * longest else 0.0 for length in lengths]
        draw(places, lengths, thick, ends, color=look.color, hatch=look.hatch,
             edgecolor="black", linewidth=edges)  # fmt: skip
        ends += lengths
    return ends


def name_below(axis: Axes, places: Sequence[float] | NDArray[Any], names: Sequence[str]) -> None:
    """Name what stands side by side; names slant where they are too long to lie."""
    width = axis.get_window_extent().width / axis.figure.dpi
    steep = sum(map(len, names)) > MOST_LYING * width
    axis.set_xticks(places, names, rotation=35 if steep else 0, ha="right" if steep else "center",
                    rotation_mode="anchor")  # fmt: skip
    axis.tick_params(axis="x", length=0)
