"""What the glossary explains, for tooltips and links on every page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from linking import slug

ABBREVIATIONS = "Abbreviations"
ROLE = ":"
"""Before a name to which a docstring leads, such as ``:func:`simulate` ``."""
LEFT_ALONE = re.compile(r"(<(a|pre|h[1-6]|summary)\b.*?</\2>)", re.DOTALL)
CODE = re.compile(r"<code>([^<]+)</code>")


@dataclass(frozen=True)
class Term:
    """A name with its explanation, and where that stands."""

    page: str
    anchor: str
    meaning: str


def abbreviations(glossary: str) -> dict[str, str]:
    """Abbreviations of the glossary with what they stand for, as plain text."""
    found = re.search(rf"^## {ABBREVIATIONS}\n(.*?)(?=^## |\Z)", glossary, re.MULTILINE | re.DOTALL)
    return {} if found is None else {cells[0]: _plain(cells[1]) for _, cells in _rows(found[1])}


def as_markdown(known: Mapping[str, str], text: str) -> str:
    """Definitions of the abbreviations that occur in a page, as Python-Markdown reads them."""
    used = {name: told for name, told in known.items() if re.search(rf"\b{re.escape(name)}\b", text)}
    return "".join(f"\n*[{name}]: {told}" for name, told in used.items())


def names(page: str, text: str) -> dict[str, Term]:
    """Names in backticks in the first column of a page's tables: those with a dot or underscore.

    Shorter ones, such as ``mode``, are ordinary words elsewhere. Where several tables explain a name, the
    first counts.
    """
    found: dict[str, Term] = {}
    for headings, cells in _rows(text):
        meaning = next((at for at, one in enumerate(headings) if "meaning" in one), len(cells) - 1)
        for name in re.findall(r"`([\w.\[\]]+)`", cells[0]):
            if re.search(r"[._]", name) and meaning < len(cells):
                found.setdefault(name, Term(page, slug(name), _plain(cells[meaning])))
    return found


def without_roles(content: str) -> str:
    """HTML of docstrings with ``:name`` in code for each ``:func:`~module.name` `` of them."""
    role = r":(?:func|class|meth|attr|data|mod|exc):<code>~?(?:[\w.]*\.)?(\w+)</code>"
    return re.sub(role, rf"<code>{ROLE}\1</code>", content)


def with_anchors(content: str, known: Mapping[str, Term], page: str) -> str:
    """HTML of a page of terms, each row of which can be led to."""
    waiting = {name: term.anchor for name, term in known.items() if term.page == page}

    def row(cell: re.Match[str]) -> str:
        inside = [name for name in dict.fromkeys(CODE.findall(cell[2])) if html.unescape(name) in waiting]
        anchors = "".join(f'<a id="{waiting.pop(html.unescape(name))}"></a>' for name in inside)
        return f"{cell[1]}{anchors}{cell[2]}"

    return re.sub(r"(<tr>\s*<td[^>]*>)(.*?</td>)", row, content, flags=re.DOTALL)


def with_links(content: str, known: Mapping[str, Term], page: str, up: str) -> str:
    """HTML of a page in which names in code lead to their explanation.

    Parameters
    ----------
    content:
        The page's HTML.
    known:
        Terms by name; names that end in ``*`` stand for all that begin so.
    page:
        Address of the page, whose own terms are left as they are.
    up:
        What leads from the page to the root of the site.
    """

    def linked(code: re.Match[str]) -> str:
        term = _term(html.unescape(code[1]), known)
        plain = f"<code>{code[1].removeprefix(ROLE)}</code>"
        if term is None or (term.page == page and not code[1].startswith(ROLE)):
            return plain
        told = f' title="{html.escape(term.meaning)}"' if term.meaning else ""
        return f'<a class="term" href="{up}{term.page}#{term.anchor}"{told}>{plain}</a>'

    parts = LEFT_ALONE.split(content)
    plain = [part for index, part in enumerate(parts) if index % 3 != 2]
    return "".join(part if index % 2 else CODE.sub(linked, part) for index, part in enumerate(plain))


def _term(code: str, known: Mapping[str, Term]) -> Term | None:
    """What a piece of code names: itself, a call's function, or a command with its options."""
    if code in known:
        return known[code]
    call = re.match(r"((?:sx|spikex_sim)\.[\w.]+)\(", code)
    if call and call[1] in known:
        return known[call[1]]
    words = code.split()
    for length in range(min(3, len(words)), 1, -1):
        if words[0] == "spikex-sim" and " ".join(words[:length]) in known:
            return known[" ".join(words[:length])]
    return None


def _rows(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Headings and cells of the rows of all tables."""
    lines = text.splitlines()
    headings: list[str] = []
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith("|") or line.startswith(("|---", "| ---")):
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if below.startswith(("|---", "| ---")):
            headings = cells
        else:
            yield headings, cells


def _plain(text: str) -> str:
    """Text of a cell without links and markup."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[`*]", "", text).strip()
