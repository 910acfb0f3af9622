"""Fixtures of tests that open pages in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from browsing import Watched, running


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, started once; tests are left out where it or Playwright is missing."""
    with running() as started:
        yield started


@pytest.fixture
def pages(browser: Any) -> Iterator[Watched]:
    """Open pages with ``pages.open(file)``; the test fails if one did what a report must not."""
    watched = Watched(browser)
    yield watched
    watched.close()
    assert watched.problems == []
