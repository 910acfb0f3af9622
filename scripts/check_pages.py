"""Check that pages read the same in the repository and on the site.

Run by ``make docs``, in its environment. Repositories show Markdown as CommonMark with tables, the site as
Python-Markdown. They disagree quietly: a list right below a paragraph, for one, is a list only in the former.
"""

from __future__ import annotations

import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

from markdown import markdown
from markdown_it import MarkdownIt
from mkdocs.config import load_config

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs" / "hooks"))
import linking  # noqa: E402

COUNTED = {"h1", "h2", "h3", "h4", "table", "tr", "ul", "ol", "li", "pre", "blockquote", "img", "hr"}


class Elements(HTMLParser):
    """Counts what a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Count an element."""
        if tag in COUNTED:
            self.found[tag] += 1


def elements(html: str) -> Counter[str]:
    """How often each element is in a page."""
    parser = Elements()
    parser.feed(html)
    return parser.found


def main() -> None:
    """Print what differs, and fail if anything does."""
    config = load_config(str(ROOT / "mkdocs.yml"))
    github = MarkdownIt("commonmark", {"html": True}).enable("table")
    docs = sorted((ROOT / "docs").rglob("*.md"))
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in docs}
    for source in linking.outside(ROOT, texts):
        if source.endswith(".md"):
            texts[source] = (ROOT / source).read_text("utf-8")
    extensions = [name for name in config.markdown_extensions if "mkdocs" not in name]
    wrong = []
    for source, text in texts.items():
        there = elements(github.render(text))
        here = elements(
            markdown(linking.whole_pipes(text), extensions=extensions, extension_configs=config.mdx_configs)
        )
        differing = [f"{tag} {there[tag]}, {here[tag]}" for tag in sorted(COUNTED) if there[tag] != here[tag]]
        if differing:
            wrong.append(f"{source}: in the repository and on the site differ: {'; '.join(differing)}")
    if wrong:
        raise SystemExit("\n".join(wrong))
    print(f"{len(texts)} pages are the same in the repository and on the site")


if __name__ == "__main__":
    main()
