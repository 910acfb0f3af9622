"""How figures look, and how they become files: one style, two widths, the same bytes every time."""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import LogLocator, NullFormatter

from spikex_sim.core.errors import FigureError

STYLE_FILE = Path(__file__).with_name("spikex.mplstyle")
FORMATS = ("pdf", "png", "svg")
WIDTHS_IN = {1: 3.5, 2: 7.16}
"""Widths of a figure over one and over two columns of a page, inches (IEEE)."""
WIDE_IN = 5.0
"""From this width on, two panels stand side by side."""
LEGEND_ROW_IN = 0.135
"""Height of a line of a legend, inches."""
MAX_ABOVE = 2
"""Most lines of a legend above a panel that spans two columns of a page."""
MAX_ASIDE = 22
"""Most lines of a legend to the right of it that are one column."""
LONGEST_NAME = 18
"""Characters of a layer's or machine's name that are shown."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", ":", "-.")
MAX_SERIES = len(MARKERS) * len(LINES)
"""Most series that markers, colours and lines tell apart."""
HATCHES = ("", "////", "\\\\\\\\", "....", "xxxx", "----", "++++")
FILLS = ("#0072B2", "#56B4E9", "#F0E442", "#009E73", "#E69F00", "#D55E00", "#CC79A7")
"""Colours of bars, in an order in which neighbours differ in grey too."""
CHIP_PARTS = {
    "crossbar": "crossbars", "adc": "ADCs", "digital": "digital", "buffers": "buffers", "htree": "H-trees",
    "noc": "NoC", "lif": "LIF",
}  # fmt: skip
"""Components of a crossbar machine, and what they are called."""
FEW_DECADES = 1000
"""Ratio up to which a logarithmic axis has labels between powers of ten."""
NOTE_COLOR = "#555555"
NOTE_SIZE = 5.5
NOTE_ROW_IN = 0.12

Style = str | os.PathLike[str] | Mapping[str, Any] | None
"""Matplotlib style that is laid over the package's: a name, a file or settings."""
Given = Axes | Sequence[Axes] | None
"""Axes to draw into: one, or one a panel; None for a figure of its own."""


class Look(NamedTuple):
    """Filling of a bar's part."""

    label: str
    color: str
    hatch: str


def columns(count: int) -> dict[str, Any]:
    """Style of a figure over one or two columns of a page.

    Raises
    ------
    FigureError
        If ``count`` is neither 1 nor 2.
    """
    if count not in WIDTHS_IN:
        raise FigureError(f"are 1 or 2, not {count}", field="columns")
    return {"figure.figsize": (WIDTHS_IN[count], 2.2)}


@contextmanager
def styled(style: Style = None) -> Iterator[None]:
    """Draw in the package's style, whatever the user's own matplotlib settings are."""
    layers: list[Any] = [STYLE_FILE] if style is None else [STYLE_FILE, style]
    with matplotlib.style.context(layers, after_reset=True):
        yield


@contextmanager
def panels(
    ax: Given,
    style: Style,
    *,
    height: float,
    count: int = 1,
    ratios: Sequence[float] | None = None,
    across: int = 1,
    beside: bool = False,
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Open axes to draw into, in style.

    Parameters
    ----------
    ax : Axes, sequence of Axes or None
        What the caller gave.
    style : style or None
        Laid over the package's.
    height : float
        Height of a new figure, inches; of one panel where panels without ``ratios`` stand below each other.
    count : int
        Panels.
    ratios : sequence of float, optional
        Heights of panels below each other, or widths of panels ``beside`` each other; without, panels are
        equal, side by side where there is room.
    across : int
        Panels that belong together: they share a row, and where there is room a column of a row of groups.
    beside : bool
        Whether ``ratios`` are widths.
    """
    with styled(style):
        if ax is not None:
            given = [ax] if isinstance(ax, Axes) else list(ax)
            if len(given) != count:
                raise FigureError(f"this figure has {count} panels, {len(given)} given", field="ax")
            figure = given[0].get_figure(root=True)
            assert figure is not None
            yield figure, given
            return
        width = rcParams["figure.figsize"][0]
        aside = beside or (ratios is None and width >= WIDE_IN)
        groups = count // across
        shape = (across, groups) if aside else (groups, across)
        figure = Figure(figsize=(width, height * (1 if ratios else shape[0])))
        heights, widths = (None, ratios) if beside else (ratios, None)
        grid = figure.subplots(*shape, squeeze=False, height_ratios=heights, width_ratios=widths)
        yield figure, list((grid.T if aside else grid).flat)
        figure.draw_without_rendering()  # ticks are made when drawn first: they shall have this style


def is_wide(ax: Given, style: Style) -> bool:
    """Whether a figure of its own spans two columns of a page, and is laid out for these."""
    with styled(style):
        return ax is None and rcParams["figure.figsize"][0] >= WIDE_IN


def legend(
    figure: Figure, axes: Sequence[Axes], own: bool, handles: Sequence[Any], labels: Sequence[str]
) -> None:
    """Name what is drawn: above a figure of its own, which grows, else inside the first axes given.

    What would be high stands to the right of a panel that spans two columns of a page.
    """
    if not own:
        axes[0].legend(handles, labels)
        return
    letters = int(figure.get_figwidth() * 17)
    labels = [wrapped(label, letters - 7) for label in labels]
    for rows in range(1, len(labels) + 1):
        ncols = -(-len(labels) // rows)
        columns = [[label.split("\n") for label in column] for column in np.array_split(labels, ncols)]
        if sum(max(len(line) for label in column for line in label) + 7 for column in columns) <= letters:
            break
    high = max(sum(map(len, column)) for column in columns)
    if len(axes) == 1 and high > MAX_ABOVE and figure.get_figwidth() >= WIDE_IN:
        lines = sum(label.count("\n") + 1 for label in labels)
        ncols = 1 if lines <= MAX_ASIDE else 2
        figure.set_figheight(max(figure.get_figheight(), LEGEND_ROW_IN * (lines / ncols + 2)))
        figure.legend(handles, labels, loc="outside right upper", ncols=ncols)
        return
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW_IN * high)
    figure.legend(handles, labels, loc="outside upper center", ncols=ncols)


def note(figure: Figure, axes: Sequence[Axes], own: bool, text: str) -> None:
    """Say something in passing: below a figure of its own, which grows, else above the last axes given."""
    if not text:
        return
    look: dict[str, Any] = {"size": NOTE_SIZE, "color": NOTE_COLOR}
    if not own:
        axes[-1].text(1, 1.01, text, transform=axes[-1].transAxes, ha="right", va="bottom", **look)
        return
    lines = textwrap.wrap(text, int(figure.get_figwidth() * 22))
    figure.set_figheight(figure.get_figheight() + NOTE_ROW_IN * len(lines))
    figure.supxlabel("\n".join(lines), **look)


def leftmost(axis: Axes) -> bool:
    """Whether nothing is to the left of an axis that it could share its labels with."""
    place = axis.get_subplotspec()
    return place is None or place.is_first_col()


def series_look(index: int) -> dict[str, Any]:
    """Colour, marker and line of a series; no two share marker and line."""
    color = rcParams["axes.prop_cycle"].by_key()["color"]
    return {
        "color": color[index % len(color)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[(index % len(MARKERS) + index // len(MARKERS)) % len(LINES)],
        "markeredgecolor": "white",
        "markeredgewidth": 0.4,
    }


def plain(text: object) -> str:
    """Text as it stands: no formulas, no characters that the font lacks."""
    shown = "".join(letter if _has_glyph(letter) else "?" for letter in str(text))
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def short(text: object, longest: int = LONGEST_NAME) -> str:
    """Text without its middle if it is too long."""
    name = str(text)
    if len(name) > longest:
        tail = (longest - 1) // 2
        name = f"{name[: longest - 1 - tail]}…{name[-tail:]}"
    return plain(name)


def wrapped(text: str, longest: int) -> str:
    """Text in as many lines as it needs: unlike :func:`short`, all of it."""
    return "\n".join(textwrap.wrap(text, longest, break_on_hyphens=False)) or text


@cache
def _has_glyph(letter: str) -> bool:
    return get_font(findfont("DejaVu Sans")).get_char_index(ord(letter)) != 0


def decades(low: float, high: float) -> tuple[float, float]:
    """Powers of ten around two positive values: limits of a logarithmic axis that has labels for certain."""
    return float(10 ** np.floor(np.log10(low))), float(10 ** np.ceil(np.log10(high)))


def logarithmic(axis: Axes, side: str, ratio: float) -> None:
    """Make the axis ``x`` or ``y`` logarithmic, with labels in between where it spans ``ratio`` only."""
    axis.set(**{f"{side}scale": "log"})
    scale = axis.xaxis if side == "x" else axis.yaxis
    scale.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < FEW_DECADES else (1,)))
    scale.set_major_formatter("{x:g}")
    scale.set_minor_formatter(NullFormatter())


def file_bytes(figure: Figure, form: str) -> bytes:
    """Content of a figure's file, the same for the same figure: no date, no random names.

    Parameters
    ----------
    figure : Figure
        As one of the functions of this package returns it.
    form : {"pdf", "png", "svg"}
        Format.

    Raises
    ------
    FigureError
        If the format is another.
    """
    if form not in FORMATS:
        raise FigureError(f"must be one of {', '.join(FORMATS)}, not {form}", field="format")
    bare: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
    }
    out = io.BytesIO()
    with styled():
        figure.savefig(out, format=form, metadata=bare[form])
    return out.getvalue()
