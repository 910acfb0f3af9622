"""How long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many parts of the whole are done, and of how many."""


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""
