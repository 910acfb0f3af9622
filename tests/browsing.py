"""A browser that notices whatever a page should not do: errors, dialogs, and requests of any kind."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

REQUIRED = "SPIKEX_REQUIRE_BROWSER"
"""Set to 1, what is missing fails tests rather than leaving them out."""
HARMLESS = ("log", "info", "debug")
FLAGS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def missing(what: str) -> None:
    """Leave a test out because something is not there, or fail it where browsers are required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{what}, and {REQUIRED}=1 wants these tests to run")
    pytest.skip(f"{what}: no page was opened")


def chromium() -> str:
    """Path of Chromium: ``$CHROMIUM``, or Debian's."""
    found = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    if found is None:
        missing("chromium not found (apt-get install chromium, or name one in $CHROMIUM)")
    return str(found)


@contextmanager
def running() -> Iterator[Any]:
    """A Chromium without a window, and without anything of earlier ones."""
    executable = chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright not found (pip install playwright)")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        surroundings = {**os.environ, "HOME": home}
        started = playwright.chromium.launch(executable_path=executable, args=FLAGS, env=surroundings)
        yield started
        started.close()


class Watched:
    """Opens files in a browser and keeps what they did wrong.

    Parameters
    ----------
    browser : playwright Browser
        Running.

    Attributes
    ----------
    problems : list of str
        Warnings and errors on the console, exceptions nobody caught, dialogs, and requests for anything other
        than the file that was opened. Whoever expects one takes it out.
    """

    def __init__(self, browser: Any) -> None:
        self.problems: list[str] = []
        self._browser = browser
        self._contexts: list[Any] = []

    def open(self, file: Path, *, width: int = 1400, height: int = 900, **options: Any) -> Any:
        """Open a file in a window of its own.

        Parameters
        ----------
        file : Path
            Page.
        width, height : int
            Of the window, CSS pixels.
        **options
            Of Playwright's ``new_context``, as ``color_scheme="dark"``, ``device_scale_factor=2``.

        Returns
        -------
        playwright Page
            Loaded.
        """
        context = self._browser.new_context(viewport={"width": width, "height": height}, **options)
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        address = file.resolve().as_uri()
        self._watch(page, address)
        context.route("**/*", lambda route: self._let_through(route, address))
        page.goto(address)
        return page

    def _let_through(self, route: Any, address: str) -> None:
        if route.request.url.split("#")[0] == address:
            route.continue_()
        else:
            self.problems.append(f"request: {route.request.url:.200}")
            route.abort()

    def _watch(self, page: Any, address: str) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("dialog", self._dialog)
        page.on("popup", lambda other: self.problems.append(f"popup: {other.url:.200}"))
        page.on("crash", lambda _: self.problems.append("crash"))

    def _console(self, message: Any) -> None:
        if message.type not in HARMLESS:
            self.problems.append(f"console {message.type}: {message.text}")

    def _dialog(self, dialog: Any) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def close(self) -> None:
        """Close all windows."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()


def until(page: Any, condition: str, seconds: float = 20) -> None:
    """Wait until an expression is true; Playwright's own way needs what a page's policy forbids."""
    last = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < last, f"never {condition}"
        page.wait_for_timeout(20)
