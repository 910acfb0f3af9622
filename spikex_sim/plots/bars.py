"""Stacked bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from spikex_sim.plots.style import Look, short

LEAST_EDGED = 0.005
"""Part of the longest bar from which a part has an edge, which would hide a smaller one."""


def patches(looks: Iterable[Look]) -> list[Patch]:
    """Name parts in a legend."""
    return [Patch(facecolor=look.color, hatch=look.hatch, edgecolor="black", linewidth=0.4) for look in looks]


def bar_heights(count: int) -> float:
    """Inches that horizontal bars need, less a bar as they become many."""
    return count * float(np.interp(count, [20, 60], [0.17, 0.115]))


def stack(
    axis: Axes, names: Sequence[str], parts: Mapping[str, Any], looks: Mapping[str, Look], divisor: float
) -> None:
    """Draw a horizontal bar a name, made of parts, which are divided by ``divisor``."""
    left = np.zeros(len(names))
    places = np.arange(len(names))
    longest = max(map(sum, zip(*(parts[part] for part in looks), strict=True))) / divisor
    for part, look in looks.items():
        widths = np.asarray(parts[part], float) / divisor
        edges = [0.4 if width > LEAST_EDGED * longest else 0.0 for width in widths]
        axis.barh(places, widths, 0.75, left, color=look.color, hatch=look.hatch,
                  edgecolor="black", linewidth=edges)  # fmt: skip
        left += widths
    axis.set_yticks(places, [short(name) for name in names])
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(0, 1.03 * max(left) or 1)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
