"""The site's navigation, from the tables of docs/index.md: a section a heading, an entry a row."""

from __future__ import annotations

import posixpath
import re
from typing import Any

from linking import place_of, source_of

LINK = re.compile(r"\[([^\]]+)\]\(([^)\s#]+\.(?:md|ipynb))(?:#[^)]*)?\)")
QUESTIONS = "Questions"
"""Heading whose table leads to answers, not to pages."""


def navigation(index: str, notebooks: list[str]) -> list[Any]:
    """Return the navigation in MkDocs' form.

    The first cell of a row is the entry. Where it is a folder's index, pages of the folder that the row
    leads to are below it.

    Parameters
    ----------
    index:
        Text of docs/index.md.
    notebooks:
        Names of notebooks, which have to be in a row each.
    """
    sections: list[Any] = [{"Home": "index.md"}]
    for title, text in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", index, re.MULTILINE | re.DOTALL):
        if title == QUESTIONS:
            continue
        entries = [entry for line in text.splitlines() if (entry := _entry(line))]
        sections.append({title: entries})
    missing = [name for name in notebooks if f"({name})" not in index]
    if missing:
        raise ValueError(f"docs/index.md leads to no {', '.join(missing)}")
    return sections


def _entry(line: str) -> Any:
    cells = line.strip("| ").split(" | ", 1)
    first = LINK.search(cells[0]) if line.startswith("| ") else None
    if first is None:
        return None
    title, page = first[1], _place(first[2])
    title = title[0].upper() + title[1:]
    folder, name = posixpath.split(page)
    if name != "index.md":
        return {title: page}
    others = [place for _, link in LINK.findall(cells[1]) if (place := _place(link)).startswith(f"{folder}/")]
    return {title: [page, *dict.fromkeys(others)] if others else page}


def _place(link: str) -> str:
    return place_of(source_of("docs/index.md", link))


def pages_of(contents: list[Any]) -> list[str]:
    """All pages of a navigation, in order."""
    found: list[str] = []
    for entry in contents:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            found += pages_of(value) if isinstance(value, list) else [value]
    return found
