"""Text of unknown origin on a page: in markup, in embedded data, in charts, whose labels are markup too."""

from __future__ import annotations

import html
import json
from typing import Any

from spikex_sim.core.text import harmless

LONGEST_NAME = 28
"""Characters of a name below a bar or in a legend; what points at it shows all of it."""
LONGEST_TEXT = 4000
"""Characters of a text that are shown at all."""
LONGEST_LABEL = 200
"""The same of a text in a chart."""
_DATA = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def escaped(value: object, longest: int = LONGEST_TEXT) -> str:
    """Text for markup or an attribute: what would be markup, or would turn text around, is shown as it is.

    Examples
    --------
    >>> escaped('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(harmless(_cut(str(value), longest)))


def chart_label(value: object) -> str:
    """Text for a chart: Plotly reads ``<b>`` and ``<a href=...>`` in labels, and entities.

    Examples
    --------
    >>> chart_label("<b>fc</b>")
    '&lt;b&gt;fc&lt;/b&gt;'
    """
    return html.escape(harmless(_cut(str(value), LONGEST_LABEL)), quote=False)


def short(value: object, longest: int = LONGEST_NAME) -> str:
    """Text without its middle if it is too long.

    Examples
    --------
    >>> short("abcdefgh", 5)
    'ab…gh'
    """
    name = str(value)
    if len(name) <= longest:
        return name
    tail = (longest - 1) // 2
    return f"{name[: longest - 1 - tail]}…{name[-tail:]}"


def data_text(content: Any) -> str:
    r"""JSON for a ``script`` element, which nothing inside can end.

    Examples
    --------
    >>> data_text({"name": "</script>"})
    '{"name":"\\u003c/script\\u003e"}'
    """
    return json.dumps(content, allow_nan=False, separators=(",", ":")).translate(_DATA)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
