"""Charts as data: what Plotly draws, in the colours and units of the figures for papers, without a theme.

Colours that depend on the theme are ``@ink``, ``@muted`` and ``@paper``; the page's script puts them in.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib import rcParams

from spikex_sim.plots.style import FILLS, HATCHES, Look, styled
from spikex_sim.report.escaping import chart_label, short

PATTERNS = {
    "": "", "////": "/", "\\\\\\\\": "\\", "....": ".", "xxxx": "x", "----": "-", "++++": "+",
    "oo": "|", "//oo": "+", "**": "-", "..oo": "x", "xxoo": ".",
}  # fmt: skip
"""Plotly's names of the hatches of figures; it has fewer: doubled ones take that of another filling."""
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")
"""Plotly's names of the markers of figures."""
DASHES = ("solid", "dash", "dot", "dashdot")
HEIGHT_PX = 360
MANY_BARS = 30
"""Bars from which a chart takes a line of its own."""
ROW_PX = 34
"""Height of a lying bar with the gap below it."""
LOG_FROM = 20
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""
INK, MUTED = "@ink", "@muted"
_APART = "\u200b"
"""Put before names on an axis: Plotly looks them up in an object, where ``constructor`` is something."""


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes
    ----------
    title : str
        Heading, plain text.
    data, layout : sequence of dict, dict
        Plotly's; every text from a file has gone through ``chart_label``.
    note : str
        Said below it, plain text.
    height : int
        CSS pixels.
    linked : bool
        Whether its points are rows of the section's table, numbered in ``customdata``, that can be selected.
    wide : bool
        Whether it takes a line of its own.
    """

    title: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    note: str = ""
    height: int = HEIGHT_PX
    linked: bool = False
    wide: bool = False

    @property
    def plain(self) -> dict[str, Any]:
        """For the page's script."""
        return {"data": list(self.data), "layout": dict(self.layout), "linked": self.linked}


@dataclass(frozen=True)
class Names:
    """Names on an axis, each once: short ones that are shown, and whole ones for what points at them."""

    shown: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, names: Iterable[object]) -> Names:
        """Shorten names, and number those that are equal then."""
        seen: Counter[str] = Counter()
        found = cls()
        for name in names:
            brief = short(name)
            seen[brief] += 1
            if seen[brief] > 1:
                brief = f"{brief} ({seen[brief]})"
            found.shown.append(f"{_APART}{chart_label(brief)}")
            found.whole.append(chart_label(name))
        return found


def axis(title: str, *, log: bool = False, names: Names | None = None, **more: Any) -> dict[str, Any]:
    """Axis with a title; of names, or of numbers from zero on where it is not logarithmic."""
    found: dict[str, Any] = {"automargin": True}
    if title:
        found["title"] = {"text": title}
    if names is not None:
        found |= {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": names.shown,
            "showgrid": False,
        }
    elif log:
        found |= {"type": "log"}
    else:
        found |= {"type": "linear", "rangemode": "tozero", "exponentformat": "none"}
    return found | more


def fill(look: Look) -> dict[str, Any]:
    """Marker of a bar's part."""
    return {
        "color": look.color,
        "line": {"color": INK, "width": 0.6},
        "pattern": {
            "shape": PATTERNS[look.hatch],
            "fgcolor": "#000000",
            "fgopacity": 0.55,
            "size": 6,
            "solidity": 0.22,
            "fillmode": "overlay",
        },
    }


def look_of(index: int, label: str) -> Look:
    """Filling of the bars of the ``index``-th series."""
    return Look(label, FILLS[index % len(FILLS)], HATCHES[(index + index // len(FILLS)) % len(HATCHES)])


def stacked(
    title: str,
    names: Sequence[object],
    parts: Mapping[str, Sequence[float]],
    looks: Mapping[str, Look],
    label: str,
    unit: str,
    *,
    lying: bool = False,
    note: str = "",
    most: float | None = None,
) -> Chart:
    """Bars made of parts, which are already in ``unit``."""
    places = Names.of(names)
    data = []
    for part, look in looks.items():
        values = [float(value) for value in parts[part]]
        along, across = ("x", "y") if lying else ("y", "x")
        data.append(
            {
                "type": "bar",
                "name": chart_label(look.label),
                across: places.shown,
                along: values,
                "customdata": places.whole,
                "marker": fill(look),
                "orientation": "h" if lying else "v",
                "hovertemplate": f"%{{customdata}}<br>{chart_label(look.label)}: %{{{along}:.4~g}} {unit}"
                "<extra></extra>",
            }
        )
    said = f"{label} ({unit})" if unit else label
    value_axis = axis(said) | ({} if most is None else {"range": [0, most]})
    name_axis = axis("", names=places) | ({"autorange": "reversed"} if lying else {})
    layout = {
        "barmode": "stack",
        "xaxis": value_axis if lying else name_axis,
        "yaxis": name_axis if lying else value_axis,
        "bargap": 0.3 if len(names) > 2 else 0.5,
    }
    height = max(180, 120 + ROW_PX * len(names)) if lying else HEIGHT_PX
    return Chart(title, data, layout, note, height)


def grouped(
    title: str,
    names: Sequence[object],
    series: Mapping[str, Sequence[float | None]],
    label: str,
    unit: str,
    *,
    log: bool = False,
    note: str = "",
    looks: Mapping[str, Look] | None = None,
    base: float | None = None,
) -> Chart:
    """Bars side by side, a colour a series."""
    places = Names.of(names)
    data = []
    for index, (name, values) in enumerate(series.items()):
        said = chart_label(name)
        data.append(
            {
                "type": "bar",
                "name": chart_label(short(name)),
                "x": places.shown,
                "y": list(values),
                "customdata": places.whole,
                "marker": fill((looks or {}).get(name) or look_of(index, name)),
                "hovertemplate": f"%{{customdata}}<br>{_inert(said)}: %{{y:.4~g}}{f' {unit}' if unit else ''}"
                "<extra></extra>",
            }
        )
    shapes = [] if base is None else [level(base, INK)]
    layout = {
        "barmode": "group",
        "xaxis": axis("", names=places),
        "bargap": 0.25,
        "shapes": shapes,
        "yaxis": axis(f"{label} ({unit})" if unit else label, log=log),
    }
    return Chart(title, data, layout, note, wide=len(names) * len(series) > MANY_BARS)


def _inert(text: str) -> str:
    """Text in a template, where ``%{`` would be replaced."""
    return text.replace("%{", "%&#123;")


def level(value: float, color: str, *, dash: str = "solid") -> dict[str, Any]:
    """Shape that marks a value of the vertical axis."""
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": value,
        "y1": value,
        "line": {"color": color, "width": 1.2, "dash": dash},
        "layer": "above",
    }


def upright_line(value: float, name: str) -> dict[str, Any]:
    """Shape that marks a value of the horizontal axis."""
    return {
        "type": "line",
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "x0": value,
        "x1": value,
        "line": {"color": "#D55E00", "width": 1.5, "dash": "dash"},
        "label": {"text": name, "textposition": "end", "font": {"color": MUTED}},
    }


def colors() -> list[str]:
    """Colours of series; black becomes the theme's ink."""
    with styled():
        found = rcParams["axes.prop_cycle"].by_key()["color"]
    return [INK if color.lstrip("#") == "000000" else f"#{color.lstrip('#')}" for color in found]


def points(
    name: str,
    x: Sequence[Any],
    y: Sequence[Any],
    index: int,
    hover: Sequence[str],
    *,
    rows: Sequence[int] | None = None,
    line: bool = False,
    size: int = 8,
    unit: tuple[str, str] = ("", ""),
) -> dict[str, Any]:
    """Points of the ``index``-th series; ``hover`` says what every one is, ``rows`` its row in the table."""
    palette = colors()
    color = palette[index % len(palette)]
    dash = DASHES[(index % len(SYMBOLS) + index // len(SYMBOLS)) % len(DASHES)]
    found: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers" if line else "markers",
        "name": chart_label(short(name, 48)),
        "x": list(x),
        "y": list(y),
        "text": list(hover),
        "marker": {
            "color": color,
            "symbol": SYMBOLS[index % len(SYMBOLS)],
            "size": size,
            "line": {"color": "@paper", "width": 0.8},
        },
        "hovertemplate": f"%{{text}}<br>%{{x:.4~g}} {unit[0]}, %{{y:.4~g}} {unit[1]}<extra></extra>",
    }
    if line:
        found["line"] = {"color": color, "width": 1.5, "dash": dash}
    if rows is not None:
        found["customdata"] = list(rows)
    return found


def is_far(values: Iterable[float]) -> bool:
    """Whether values are far enough apart for a logarithmic axis."""
    found = [value for value in values if math.isfinite(value)]
    return bool(found) and min(found) > 0 and max(found) / min(found) >= LOG_FROM
