"""The store of a sweep: one SQLite file, one transaction a point."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any

from spikex_sim.errors import OutputError

SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
    key TEXT PRIMARY KEY,
    row TEXT NOT NULL,
    finished TEXT NOT NULL DEFAULT (datetime('now'))
)
"""


class SweepStore:
    """Finished points by content key; a point that is there need not be run again.

    Parameters
    ----------
    path : Path
        SQLite file, created if missing.

    Raises
    ------
    OutputError
        If the file cannot be opened, is no such store, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._database = sqlite3.connect(path)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(SCHEMA)
            self._database.execute("SELECT key, row, finished FROM points LIMIT 1")
        except sqlite3.Error as exc:
            raise OutputError(f"cannot be used as a sweep store: {exc}", where=str(path)) from None

    def __enter__(self) -> SweepStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def find(self, key: str, columns: set[str]) -> dict[str, Any] | None:
        """Row of a finished point; None if there is none with just these columns."""
        found = self._database.execute("SELECT row FROM points WHERE key = ?", (key,)).fetchone()
        try:
            row = None if found is None else json.loads(found[0])
        except (ValueError, TypeError):
            return None
        return row if isinstance(row, dict) and set(row) == columns else None

    def add(self, key: str, row: dict[str, Any]) -> None:
        """Keep a finished point."""
        try:
            with self._database:
                self._database.execute(
                    "INSERT OR REPLACE INTO points (key, row) VALUES (?, ?)", (key, json.dumps(row))
                )
        except sqlite3.Error as exc:
            raise OutputError(f"cannot be written: {exc}", where=str(self._path)) from None
