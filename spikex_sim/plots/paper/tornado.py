"""Figure of a setting's parameters: how far each moves the distance from what was published."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from spikex_sim.core.errors import FigureError
from spikex_sim.plots.bars import patches
from spikex_sim.plots.paper.common import by_text, needed, only, texts
from spikex_sim.plots.style import (
    FILLS,
    HATCHES,
    NOTE_SIZE,
    WIDE_IN,
    Given,
    Look,
    Style,
    leftmost,
    legend,
    note,
    panels,
    plain,
    short,
)
from spikex_sim.plots.table import Rows, cell, number

SHOWN = {False: 10, True: 24}
"""Most parameters, those that move the error most: where panels stand below each other, and side by side."""
NAME_LETTERS = 26
"""Letters of a line of a parameter's name."""
ROW_IN = 0.22
VALUE_LETTERS = (20, 12, 8)
"""Letters of a value that are shown: the most that leave the bars their share of the axis."""
LEAST_SHARE = 0.3
GAP_POINTS = 2.0

Ends = tuple[Annotation | None, Annotation | None]
"""Texts at the left and the right end of a bar."""


@dataclass(frozen=True)
class Wording:
    """What a tornado says of its bars.

    Attributes
    ----------
    chosen, left_out : str
        Name of the line, and what parameters that are not drawn do less.
    axis : str
        Label of the axis.
    better, worse : Look
        Bars towards smaller and larger values.
    """

    chosen: str
    left_out: str
    axis: str
    better: Look
    worse: Look


ERRORS = Wording(
    "chosen setting",
    "parameters that move the errors less",
    "Error (mean |ln ratio|)",
    Look("less error", FILLS[0], HATCHES[0]),
    Look("more error", FILLS[4], HATCHES[1]),
)


@dataclass(frozen=True)
class Span:
    """Errors of a figure over a parameter's range.

    Attributes
    ----------
    low, high, chosen : float
        Least and largest error, and that at the chosen value.
    at_low, at_high : str
        Values that give the least and the largest.
    """

    low: float
    high: float
    chosen: float
    at_low: str
    at_high: str


def tornado(rows: Rows, ax: Given = None, style: Style = None) -> tuple[Figure, Any]:
    """Range of each figure's error when one parameter takes the values of its range, most moving first.

    Values at the ends of the bars are those of the parameter; the line is the chosen setting.

    Parameters
    ----------
    rows : sequence of dict
        ``parameter``, ``value`` and ``chosen`` (text), ``figure``, ``error`` (mean of
        ``|ln(measured / published)|``), ``chosen_error``.
    ax : sequence of Axes, optional
        One for each figure.
    style : str, path or dict, optional
        Matplotlib style laid over the package's.

    Returns
    -------
    fig : Figure
    ax : tuple of Axes

    Raises
    ------
    FigureError
        If a column is missing or not a number, or a parameter has no rows of one of the figures.
    """
    return drawn_tornado(rows, ax, style, ERRORS)


def drawn_tornado(rows: Rows, ax: Given, style: Style, words: Wording) -> tuple[Figure, Any]:
    """Draw a tornado of whatever moves with parameters: rows as of :func:`tornado`, in other words."""
    only(needed(rows), "parameter", "value", "figure")
    spans = {
        name: {parameter: _span(some) for parameter, some in by_text(members, "parameter").items()}
        for name, members in sorted(by_text(rows, "figure").items(), key=lambda item: (len(item[0]), item[0]))
    }
    swings: dict[str, float] = {}
    for parameter in texts(rows, "parameter"):
        for name, found in spans.items():
            if parameter not in found:
                raise FigureError(f"{parameter:.60} has no rows of {name:.20}", field="figure")
            swings[parameter] = swings.get(parameter, 0.0) + found[parameter].high - found[parameter].low
    ranked = sorted(swings, key=lambda parameter: -swings[parameter])
    count = len(spans)
    with panels(ax, style, height=1.0, count=count) as (figure, axes):
        wide = figure.get_figwidth() >= WIDE_IN
        shown, left_out = ranked[: SHOWN[wide]], ranked[SHOWN[wide] :]
        if ax is None:
            figure.set_figheight((ROW_IN * len(shown) + 0.5) * (1 if wide else count))
        ends = []
        for axis, (name, found) in zip(axes, spans.items(), strict=True):
            ends.append(_bars(axis, [found[parameter] for parameter in shown], words))
            axis.set_yticks(
                range(len(shown)), [_wrapped(parameter) for parameter in shown], linespacing=1.0, size=5.8
            )
            axis.tick_params(axis="y", length=0, labelleft=leftmost(axis))
            axis.set_ylim(len(shown) - 0.4, -0.6)
            axis.set_xlabel(words.axis)
            axis.set_title(f"{name.replace('fig', 'Fig. ')}", loc="left")
            axis.grid(axis="x")
        handles: list[Any] = [Line2D([], [], color="black", lw=1.0)]
        labels = [words.chosen, words.better.label, words.worse.label]
        legend(figure, axes, ax is None, [*handles, *patches((words.better, words.worse))], labels)
        if left_out:
            note(figure, axes, ax is None, f"left out: {len(left_out)} {words.left_out}")
        figure.draw_without_rendering()  # only then panels have the width that texts must fit into
        for axis, texts_of, found in zip(axes, ends, spans.values(), strict=True):
            _make_room(axis, texts_of, [found[parameter] for parameter in shown])
    return figure, tuple(axes)


def _span(rows: Rows) -> Span:
    ordered = sorted(rows, key=lambda row: number(row, "error"))
    low, high = number(ordered[0], "error"), number(ordered[-1], "error")
    chosen = number(rows[0], "chosen_error")
    text = {
        error: "/".join(str(cell(row, "value")) for row in rows if row["error"] == error)
        for error in (low, high)
    }
    return Span(min(low, chosen), max(high, chosen), chosen, text[low], text[high])


def _wrapped(parameter: str) -> str:
    lines = textwrap.wrap(" ".join(parameter.split()), NAME_LETTERS) or [""]
    return "\n".join(plain(line) for line in lines[:2]) + ("…" if len(lines) > 2 else "")


def _bars(axis: Axes, spans: Sequence[Span], words: Wording) -> list[Ends]:
    """Draw bars; returns the texts at their ends."""
    found: list[Ends] = []
    for y, span in enumerate(spans):
        for start, end, look in (
            (span.low, span.chosen, words.better),
            (span.chosen, span.high, words.worse),
        ):
            if end > start:
                axis.barh(
                    y,
                    end - start,
                    0.62,
                    start,
                    color=look.color,
                    hatch=look.hatch,
                    edgecolor="black",
                    linewidth=0.4,
                )
        axis.plot([span.chosen] * 2, [y - 0.5, y + 0.5], color="black", lw=1.0, solid_capstyle="butt")
        if span.low == span.high:
            found.append((None, _beside(axis, "any", span.high, y, 1)))
        else:
            found.append(
                (_beside(axis, span.at_low, span.low, y, -1), _beside(axis, span.at_high, span.high, y, 1))
            )
    return found


def _beside(axis: Axes, text: str, x: float, y: int, side: int) -> Annotation:
    made = axis.annotate(
        short(text), (x, y), (side * GAP_POINTS, 0), textcoords="offset points",
        ha="left" if side > 0 else "right", va="center_baseline", size=NOTE_SIZE - 0.3,
    )  # fmt: skip
    made.set_in_layout(False)  # room is made for it inside the axes
    return made


def _make_room(axis: Axes, texts_of: Sequence[Ends], spans: Sequence[Span]) -> None:
    """Choose limits in which the texts at the ends of bars lie inside the axes; shorten them if need be."""
    figure = axis.get_figure(root=True)
    assert figure is not None
    gap = 3 * GAP_POINTS / 72 * figure.dpi

    def space(text: Annotation | None) -> float:
        return gap if text is None else text.get_window_extent().width + gap

    wide = axis.get_window_extent().width
    low, high = min(span.low for span in spans), max(span.high for span in spans)
    for letters in VALUE_LETTERS:
        for (left, right), span in zip(texts_of, spans, strict=True):
            if left is not None and right is not None:
                left.set_text(short(span.at_low, letters))
                right.set_text(short(span.at_high, letters))
        spaces = [(space(left), space(right)) for left, right in texts_of]
        scale, limits = _fitting(wide, spans, spaces)
        if (high - low) * scale >= LEAST_SHARE * wide:
            break
    axis.set_xlim(*limits)
    axis.set_xticks([tick for tick in axis.get_xticks() if max(0, limits[0]) <= tick <= limits[1]])


def _fitting(
    wide: float, spans: Sequence[Span], spaces: Sequence[tuple[float, float]]
) -> tuple[float, tuple[float, float]]:
    """Pixels of a unit, and limits of an axis, in which bars fit with the spaces at their ends."""

    def limits(scale: float) -> tuple[float, float]:
        return (
            min(span.low - left / scale for span, (left, _) in zip(spans, spaces, strict=True)),
            max(span.high + right / scale for span, (_, right) in zip(spans, spaces, strict=True)),
        )

    least = 1e-9
    most = wide / (max(span.high for span in spans) - min(span.low for span in spans) or 1.0)
    for _ in range(60):
        scale = (least + most) / 2
        left, right = limits(scale)
        least, most = (scale, most) if (right - left) * scale <= wide else (least, scale)
    return least, limits(least)
