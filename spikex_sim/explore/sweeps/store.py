"""The store of a sweep: one SQLite file, one transaction a point."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from spikex_sim.core.errors import OutputError

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS points (
        key TEXT PRIMARY KEY,
        row TEXT NOT NULL,
        finished TEXT NOT NULL DEFAULT (datetime('now'))
    )""",
    """CREATE TABLE IF NOT EXISTS attempts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        error TEXT,
        ended TEXT NOT NULL DEFAULT (datetime('now'))
    )""",
)
"""Finished points; and every run of a point that came to an end, in order, with its error if it failed."""
BUSY_SECONDS = 60.0
"""How long to wait for another process that writes to the store."""


class SweepStore:
    """Finished points by content key; a point that is there need not be run again.

    Several processes may use one file at the same time. Methods may be called from any thread.

    Parameters
    ----------
    path : Path, optional
        SQLite file, created if missing; without one the store lives in memory.

    Raises
    ------
    OutputError
        If the file cannot be opened, is no such store, or cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._where = str(path or "sweep")
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(
                path or ":memory:", timeout=BUSY_SECONDS, check_same_thread=False
            )
            self._write_ahead()
            with self._database:
                for table in SCHEMA:
                    self._database.execute(table)
            self._database.execute("SELECT key, row, finished FROM points LIMIT 1")
            self._database.execute("SELECT id, key, error, ended FROM attempts LIMIT 1")
        except sqlite3.Error as exc:
            self._give_up(path)
            raise OutputError(f"cannot be used as a sweep store: {exc}", where=self._where) from None

    def __enter__(self) -> SweepStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._database.close()

    def has(self, key: str) -> bool:
        """Whether a point is finished, as far as can be said without waiting."""
        try:
            return bool(self._execute("SELECT 1 FROM points WHERE key = ?", key))
        except OutputError:
            return False

    def find(self, key: str, columns: set[str]) -> dict[str, Any] | None:
        """Row of a finished point; None if there is none with all these columns.

        A row without some is damaged and is taken out, so that the point can be stored again.
        """
        found = self._execute("SELECT row FROM points WHERE key = ?", key)
        if not found:
            return None
        try:
            row = json.loads(found[0][0])
        except (ValueError, TypeError):
            row = None
        if isinstance(row, dict) and columns <= set(row):
            return row
        self._execute("DELETE FROM points WHERE key = ?", key)
        return None

    def add(self, key: str, row: dict[str, Any]) -> None:
        """Keep a finished point; of two that finish it, the first is kept."""
        text = json.dumps(row)
        with self._lock:
            try:
                with self._database:
                    self._database.execute(
                        "INSERT OR IGNORE INTO points (key, row) VALUES (?, ?)", (key, text)
                    )
                    self._database.execute("INSERT INTO attempts (key) VALUES (?)", (key,))
            except sqlite3.Error as exc:
                raise self._unwritable(exc) from None

    def add_failure(self, key: str, error: str) -> None:
        """Note that a point was tried and failed; it will be tried again."""
        self._execute("INSERT INTO attempts (key, error) VALUES (?, ?)", key, error)

    def _execute(self, statement: str, *values: str) -> list[Any]:
        with self._lock:
            try:
                with self._database:
                    return self._database.execute(statement, values).fetchall()
            except sqlite3.Error as exc:
                raise self._unwritable(exc) from None

    def _write_ahead(self) -> None:
        """Switch to a write-ahead log: readers do not wait, and a commit is on the disk or was never made.

        SQLite does not wait for another process that is doing the same.
        """
        last = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._database.execute("PRAGMA journal_mode=WAL")
                self._database.execute("PRAGMA synchronous=FULL")
            except sqlite3.OperationalError as exc:
                if "locked" not in str(exc) or time.monotonic() > last:
                    raise
                time.sleep(0.05)
            else:
                return

    def _give_up(self, path: Path | None) -> None:
        """Close a store that cannot be used; an empty file is not left behind."""
        with suppress(AttributeError, OSError):
            self._database.close()
            if path is not None and not path.stat().st_size:
                path.unlink()

    def _unwritable(self, exc: sqlite3.Error) -> OutputError:
        return OutputError(
            f"cannot be used: {exc}; points that are in it are kept, run the same command again",
            where=self._where,
        )
