"""What pages must not do is noticed; else tests of pages could not fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from browsing import Watched, until

PAGE = "<!doctype html><html lang=en><title>page</title><body>{}</body></html>"


def opened(pages: Watched, folder: Path, body: str) -> list[str]:
    """What is noticed of a page; taken out, because it is expected."""
    file = folder / "page.html"
    file.write_text(PAGE.format(body))
    page = pages.open(file)
    until(page, "window.done !== false")
    noticed = list(pages.problems)
    pages.problems.clear()
    return noticed


def test_a_quiet_page_is_fine(pages: Watched, tmp_path: Path) -> None:
    picture = "<img alt='' src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"
    body = f"<p>text</p><script>console.log('fine')</script>{picture}"
    assert opened(pages, tmp_path, body) == []


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("<script>console.error('broken')</script>", "console error: broken"),
        ("<script>console.warn('odd')</script>", "console warning: odd"),
        ("<script>throw new Error('thrown')</script>", "exception: thrown"),
        ("<script>window.done = false; Promise.reject(new Error('later')); "
         "setTimeout(() => { window.done = true; }, 50)</script>", "exception: later"),
        ("<script>alert(1)</script>", "dialog: 1"),
        ("<script>window.done = false; fetch('https://example.org/a').catch(() => 0)"
         ".then(() => { window.done = true; })</script>", "request: https://example.org/a"),
        ("<img src='other.png' alt=''>", "request: file:"),
        ("<script src='https://cdn.example.org/plotly.js'></script>", "request: https://cdn.example.org/plotly.js"),
        ("<link rel=stylesheet href='https://fonts.example.org/css'>", "request: https://fonts.example.org/css"),
    ],
)  # fmt: skip
def test_what_a_page_must_not_do_is_noticed(pages: Watched, tmp_path: Path, body: str, what: str) -> None:
    assert any(one.startswith(what) for one in opened(pages, tmp_path, body))
