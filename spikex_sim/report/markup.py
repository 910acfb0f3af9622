"""Pieces of markup that sections are made of."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from spikex_sim.core.units import prefix_of
from spikex_sim.plots.style import Look
from spikex_sim.report.chart import Chart
from spikex_sim.report.escaping import escaped
from spikex_sim.report.section import Section
from spikex_sim.report.table import number_text

SCRIPT = "charts"


def charted(
    name: str,
    title: str,
    charts: Sequence[Chart],
    *,
    before: str = "",
    after: str = "",
    more: Mapping[str, object] | None = None,
) -> Section:
    """Section of charts, with markup around them; ``more`` goes to the script besides."""
    figures = "".join(_figure(index, chart) for index, chart in enumerate(charts))
    body = f'{before}<div class="charts">{figures}</div>{after}' if charts else before + after
    data = {"charts": [chart.plain for chart in charts], **(more or {})} if charts or more else {}
    return Section(name, title, body, data, SCRIPT if data else "")


def _figure(index: int, chart: Chart) -> str:
    note = f"<p>{escaped(chart.note)}</p>" if chart.note else ""
    said = escaped(chart.title)
    kind = "chart wide" if chart.wide else "chart"
    return (
        f'<figure class="{kind}" data-chart="{index}"><figcaption>{said}</figcaption>'
        f'<div class="plot" style="height:{chart.height}px" role="group" tabindex="0" '
        f'aria-label="{said}: chart; + and − zoom, arrows move, 0 shows all"></div>{note}'
        f'<details class="values"><summary>Values</summary></details></figure>'
    )


PICTURES = {
    "map-crossbars": "What the crossbars hold",
    "map-mesh": "Crossbars on the mesh",
    "nas-cells": "Cells of the winner",
    "mapping": "Where the layers lie",
}
"""What figures are called on a page; others by their name."""


def picture(name: str, svg: bytes, note: str = "") -> str:
    """Figure as it is drawn for papers."""
    title = PICTURES.get(name, name)
    source = base64.b64encode(svg).decode("ascii")
    told = f"<p>{escaped(note)}</p>" if note else ""
    return (
        f'<figure class="picture"><figcaption>{escaped(title)}</figcaption>'
        f'<img alt="{escaped(title)}" src="data:image/svg+xml;base64,{source}">{told}</figure>'
    )


def details(title: str, body: str, *, opened: bool = False) -> str:
    """Part that opens."""
    return f"<details{' open' if opened else ''}><summary>{escaped(title)}</summary>{body}</details>"


def command_block(text: str, remark: str = "") -> str:
    """Text to copy."""
    told = f"<p>{escaped(remark)}</p>" if remark else ""
    whole = escaped(text, len(text))
    return (
        f'<div class="copied"><button type="button" class="copy">copy</button>'
        f'<pre tabindex="0">{whole}</pre>{told}</div>'
    )


def repeated(command: str, remark: str) -> str:
    """Part that says how to repeat what is shown, or why that is not known."""
    body = command_block(command, remark) if command else f"<p>{escaped(remark)}</p>"
    return f"<h3>To repeat it</h3>{body}"


def shares(caption: str, parts: Mapping[str, float], looks: Mapping[str, Look], per: float, unit: str) -> str:
    """Table of parts of a sum with a bar each, the largest first."""
    total = sum(parts.values())
    lines = []
    for part, value in sorted(parts.items(), key=lambda one: -one[1]):
        if not value:
            continue
        share = 100 * value / total
        look = looks.get(part)
        label = look.label if look else part
        color = look.color if look else "#999999"
        shown = _with_unit(value / per, unit)
        width = f"width:{max(share, 0.3):.1f}%;background:{color}"
        lines.append(
            f'<tr><th scope="row">{escaped(label)}</th><td class="n">{shown}</td>'
            f'<td class="n">{share:.1f} %</td><td class="share"><span style="{width}"></span></td></tr>'
        )
    lines.append(
        f'<tr><th scope="row">total</th><td class="n">{_with_unit(total / per, unit)}</td>'
        f'<td class="n"></td><td></td></tr>'
    )
    return (
        f'<table class="shares"><caption>{escaped(caption)}</caption><tbody>{"".join(lines)}</tbody></table>'
    )


def _with_unit(value: float, unit: str) -> str:
    if unit == "mm²":
        return f"{number_text(float(value))} mm²"
    divisor, prefixed = prefix_of(value, unit)
    return f"{number_text(float(value / divisor))} {prefixed}"
