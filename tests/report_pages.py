"""Reports as tests read them: elements, embedded data, and what a browser would run."""

from __future__ import annotations

import html
import json
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

Attributes = dict[str, str | None]


@dataclass
class Page(HTMLParser):
    """A report, read by a parser of its own.

    Attributes
    ----------
    elements : list of (str, dict)
        Tag and attributes of every element.
    scripts : list of str
        Texts of the scripts that run.
    data : dict
        What is embedded, by the identifier of its section.
    text : str
        All text outside scripts and styles.
    """

    elements: list[tuple[str, Attributes]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._section = self._kind = ""

    @classmethod
    def of(cls, file: Path) -> Page:
        """Read a file."""
        page = cls()
        page.feed(file.read_text("utf-8"))
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        known = dict(attrs)
        self.elements.append((tag, known))
        if tag == "section":
            self._section = str(known["id"])
        if tag in ("script", "style"):
            self._kind = "data" if known.get("type") == "application/json" else tag

    def handle_endtag(self, tag: str) -> None:
        """Leave scripts and styles."""
        if tag in ("script", "style"):
            self._kind = ""

    def handle_data(self, data: str) -> None:
        """Take texts where they belong."""
        if self._kind == "data":
            self.data[self._section] = json.loads(data)
        elif self._kind == "script":
            self.scripts.append(data)
        elif not self._kind:
            self.text += data

    @property
    def tags(self) -> Counter[str]:
        """Number of elements by their tag."""
        return Counter(tag for tag, _ in self.elements)

    @property
    def ids(self) -> list[str]:
        """Identifiers, in order."""
        return [str(known["id"]) for _, known in self.elements if "id" in known]

    def traces(self, section: str, chart: int = 0) -> dict[str, Any]:
        """Series of a chart by their name."""
        return {html.unescape(one["name"]): one for one in self.data[section]["charts"][chart]["data"]}


def names_of(series: Any) -> list[str]:
    """Names below the bars of a series, as a reader sees them."""
    return [html.unescape(name).removeprefix("\u200b") for name in series["x"]]
