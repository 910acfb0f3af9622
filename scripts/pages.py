"""What the scripts share that keep a page of the documentation in step with the program."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


def keep_in_step(page: Path, rewritten: Callable[[str], str], script: str, about: str | None) -> None:
    """Rewrite a page, or with ``--check`` only say whether it is up to date."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    arguments = parser.parse_args()
    text = page.read_text("utf-8")
    wanted = rewritten(text)
    if wanted == text:
        print(f"{page.name} is up to date")
    elif arguments.check:
        raise SystemExit(f"{page.name} is out of date: python scripts/{script}.py")
    else:
        page.write_text(wanted, "utf-8")
        print(f"rewrote {page.name}")


def filled(page: str, script: str, sections: Iterable[tuple[str, str]]) -> str:
    """Put what is made between a page's markers, by the names in them."""
    for name, made in sections:
        start, end = f"<!-- {name}: made by scripts/{script}.py -->", f"<!-- end of {name} -->"
        before, rest = page.split(start)
        _, after = rest.split(end)
        page = f"{before}{start}\n{made}\n\n{end}{after}"
    return page


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
