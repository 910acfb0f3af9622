"""Where the texts of a figure end up on its canvas."""

from __future__ import annotations

from itertools import combinations
from typing import Any
from unittest import mock

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from spikex_sim.plots.style import styled


def drawn_texts(figure: Figure) -> list[tuple[Text, Any]]:
    """Texts that are really drawn, and the boxes around them, in pixels."""
    found: dict[int, tuple[Text, Any]] = {}
    draw = Text.draw

    def record(self: Text, renderer: Any, *args: Any, **options: Any) -> None:
        if self.get_text() and self.get_visible():
            found[id(self)] = (self, Text.get_window_extent(self, renderer))
        draw(self, renderer, *args, **options)

    with mock.patch.object(Text, "draw", record), styled():
        FigureCanvasAgg(figure).draw()
    return list(found.values())


def misplaced(figure: Figure) -> list[str]:
    """Texts that reach over the canvas or over another text; a pixel is forgiven.

    The box of a slanting text says nothing about what it covers.
    """
    texts = drawn_texts(figure)
    width, height = figure.bbox.width, figure.bbox.height
    wrong = [
        f"{text.get_text()!r} is cut off"
        for text, box in texts
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    upright = [(text, box) for text, box in texts if text.get_rotation() % 90 == 0]
    for (one, box), (other, next_to) in combinations(upright, 2):
        across = min(box.x1, next_to.x1) - max(box.x0, next_to.x0)
        down = min(box.y1, next_to.y1) - max(box.y0, next_to.y0)
        if across > 1 and down > 1:
            wrong.append(f"{one.get_text()!r} and {other.get_text()!r} overlap")
    return wrong
