"""Check a built site as a browser would follow it: each link, anchor, picture and script is in the site.

    python scripts/check_site.py build/site

MkDocs checks links of Markdown; this also sees what hooks, docstrings and the theme make. What leads to
another host is only allowed as a link that a reader follows, never as something that a page loads.
"""

from __future__ import annotations

import argparse
import posixpath
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
NOT_LOADED = {"canonical", "alternate", "prev", "next", "edit"}
"""What ``<link rel>`` says of things that no browser fetches."""


@dataclass
class Document(HTMLParser):
    """Anchors and links of a page."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names and leads to."""
        found = {name: value for name, value in attrs if value is not None}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        attribute = LOADED.get(tag)
        if attribute in found and not NOT_LOADED & set(found.get("rel", "").split()):
            self.loaded.append(found[str(attribute)])


def read(path: Path) -> Document:
    """Parse a page."""
    document = Document()
    document.feed(path.read_text("utf-8"))
    return document


def faults(site: Path) -> list[str]:
    """What is wrong with a site, a line each; pages that are not meant to be read (404.html) are left out."""
    pages = {path.relative_to(site).as_posix(): read(path) for path in sorted(site.rglob("*.html"))}
    pages.pop("404.html", None)
    found = []
    for name, page in pages.items():
        for target in dict.fromkeys(page.loaded):
            if urlsplit(target).netloc:
                found.append(f"{name} loads {target} from another host")
        for target in dict.fromkeys([*page.links, *page.loaded]):
            wrong = _wrong(site, pages, name, target)
            if wrong:
                found.append(f"{name} leads to {target}: {wrong}")
    return found


def _wrong(site: Path, pages: dict[str, Document], name: str, target: str) -> str:
    """Why a link of a page leads nowhere; empty if it leads somewhere."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return ""
    place = (
        posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
        if parts.path
        else name
    )
    if place.startswith(".."):
        return "outside of the site"
    if (site / place).is_dir():
        place = posixpath.normpath(posixpath.join(place, "index.html"))
    if not (site / place).is_file():
        return "no such file"
    if parts.fragment and place in pages and unquote(parts.fragment) not in pages[place].anchors:
        return "no such anchor"
    return ""


def main() -> None:
    """Print what is wrong, and fail if anything is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("site", type=Path, help="folder with the site")
    site = parser.parse_args().site
    if not (site / "index.html").is_file():
        raise SystemExit(f"{site}: no site here; run make docs")
    found = faults(site)
    if found:
        raise SystemExit("\n".join(found))
    print(f"{site}: every link leads somewhere, nothing is loaded from elsewhere")


if __name__ == "__main__":
    main()
