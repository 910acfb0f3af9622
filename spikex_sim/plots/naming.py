"""Names beside points: none over another one or over a point, as far as there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import cos, pi, sin

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SIZE = 6.0
"""Of the text, points."""
MARKER = 7.0
"""Side of the square that a point's marker takes, points."""
DISTANCES = (7.5, 12.0, 17.0, 22.0, 29.0, 37.0)
"""From a point to its name, points: the nearest at which there is room; from the second on with a line."""
DIRECTIONS = 12

Box = tuple[float, float, float, float]


def name_points(
    figure: Figure, axis: Axes, names: Sequence[str], points: Sequence[tuple[float, float]],
    others: Sequence[tuple[float, float]] = (),
) -> None:  # fmt: skip
    """Write names beside points; call it when all else is drawn, since it looks where there is room.

    Parameters
    ----------
    figure, axis : Figure, Axes
        Where the points are.
    names : sequence of str
        A short one for each point.
    points, others : sequence of (float, float)
        What is named, and what is not but should stay visible; in data coordinates.
    """
    figure.draw_without_rendering()
    scale = 72 / figure.dpi
    places = axis.transData.transform(np.array([*points, *others], float)) * scale
    frame = np.array(axis.get_window_extent().extents) * scale
    taken = [_box(x, y, MARKER, MARKER) for x, y in places]
    for name, point, (x, y) in zip(names, points, places, strict=False):
        width = 0.65 * SIZE * len(name)

        def covers(offset: tuple[float, float], x: float = x, y: float = y, width: float = width) -> float:
            box = _box(x + offset[0], y + offset[1], width, SIZE)
            outside = not (
                frame[0] <= box[0] and box[2] <= frame[2] and frame[1] <= box[1] <= box[3] <= frame[3]
            )
            return 10.0 * outside + sum(_overlap(box, other) for other in taken)

        chosen = min(_offsets(width), key=covers)  # the first of equals
        taken.append(_box(x + chosen[0], y + chosen[1], width + SIZE, SIZE))  # two names are not one
        far = np.hypot(*chosen) > DISTANCES[0] + width
        line = {"arrowstyle": "-", "lw": 0.3, "shrinkA": 0, "shrinkB": 1} if far else None
        axis.annotate(name, point, chosen, textcoords="offset points", ha="center", va="center_baseline",
                      size=SIZE, arrowprops=line)  # fmt: skip


def along_steps(front: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Points on the steps between those of a front, which names should not cover."""
    for (x, y), (next_x, next_y) in pairwise(front):
        yield from ((float(at), y) for at in np.linspace(x, next_x, 20))
        yield from ((next_x, float(at)) for at in np.linspace(y, next_y, 20))


def _offsets(width: float) -> Iterator[tuple[float, float]]:
    """Places around a point, the nearest first, from the upper right on."""
    for distance in DISTANCES:
        for step in range(DIRECTIONS):
            angle = pi / 4 + 2 * pi * step / DIRECTIONS
            yield (distance + width / 2 - SIZE / 2) * cos(angle), distance * sin(angle)


def _box(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
