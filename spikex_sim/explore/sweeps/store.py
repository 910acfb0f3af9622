"""The store of a sweep: one SQLite file, one transaction a point."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from spikex_sim.core.errors import OutputError

VERSION = 1
"""Version of the tables, ``user_version`` of the file."""
SCHEMA = (
    """CREATE TABLE points (
        key TEXT PRIMARY KEY,
        row TEXT NOT NULL,
        finished TEXT NOT NULL DEFAULT (datetime('now'))
    )""",
    """CREATE TABLE attempts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        error TEXT,
        ended TEXT NOT NULL DEFAULT (datetime('now'))
    )""",
    """CREATE TABLE planned (
        sweep TEXT NOT NULL,
        position INTEGER NOT NULL,
        key TEXT NOT NULL,
        labels TEXT NOT NULL,
        UNIQUE (sweep, position)
    )""",
)
"""Finished points; every run of a point that came to an end, in order, with its error if it failed; and the
points of every sweep, in grid order, by trace, accelerator and swept keys."""
BUSY_SECONDS = 60.0
"""How long to wait for another process that writes to the store."""
MAX_STORE_BYTES = 8 << 30
"""Largest file that is opened."""
MAX_TEXT_BYTES = 64 << 20
"""Longest text that is read from it."""

Row = dict[str, Any]
Labels = Mapping[str, Any]


class Planned(NamedTuple):
    """A point of some sweep in the store: its columns, what it came to, and why it has not."""

    key: str
    labels: Labels
    row: Row | None
    error: str


class SweepStore:
    """Finished points by content key; a point that is there need not be run again.

    Several processes may use one file at the same time. Methods may be called from any thread.

    Parameters
    ----------
    path : Path, optional
        SQLite file, created if missing; without one the store lives in memory.
    is_row : callable
        Whether something that was read is a row as it is kept here; what is not is damaged.

    Attributes
    ----------
    where : str
        The file, as messages name it.
    damaged : int
        Rows that were taken out because they were damaged.

    Raises
    ------
    OutputError
        If the file cannot be opened, is no such store, or cannot be written.

    Notes
    -----
    The file may be of anybody: it is held against the tables that this program makes before any is read, so
    that there are no views, triggers or further columns, and every row is checked when it is read.
    """

    def __init__(self, path: Path | None, is_row: Callable[[Any], bool]) -> None:
        self.where = str(path or "sweep")
        self._is_row = is_row
        self._lock = threading.Lock()
        self.damaged = 0
        try:
            if path is not None:
                self._check_file(path)
            self._database = sqlite3.connect(
                path or ":memory:", timeout=BUSY_SECONDS, check_same_thread=False
            )
            self._database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TEXT_BYTES)
            self._database.execute("PRAGMA trusted_schema=OFF")
            self._write_ahead()
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                if (self._version(), self._tables()) == (0, []):
                    _create(self._database)
                elif self._version() != VERSION or self._tables() != _own_tables():
                    raise sqlite3.DatabaseError(
                        "it is none of this version, or was changed; name another folder"
                    )
        except (sqlite3.Error, OSError) as exc:
            self._give_up(path)
            raise OutputError(f"cannot be used as a sweep store: {exc}", where=self.where) from None

    def _check_file(self, path: Path) -> None:
        for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
            with suppress(FileNotFoundError):
                found = file.stat()
                if not stat.S_ISREG(found.st_mode):
                    raise OSError(f"{file.name} is no regular file")
                if found.st_size > MAX_STORE_BYTES:
                    raise OSError(f"{file.name} is larger than {MAX_STORE_BYTES >> 30} GiB")

    def _version(self) -> int:
        return int(self._database.execute("PRAGMA user_version").fetchone()[0])

    def _tables(self) -> list[Any]:
        return _tables(self._database)

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

    def find(self, key: str) -> Row | None:
        """Row of a finished point; None if there is none.

        One that is damaged is taken out, so that the point can be stored again.
        """
        found = self._execute("SELECT row FROM points WHERE key = ?", key)
        if not found:
            return None
        row = _parsed(found[0][0])
        if self._is_row(row):
            whole: Row = row
            return whole
        self.discard(key)
        return None

    def discard(self, key: str) -> None:
        """Take out a row that is damaged."""
        self.damaged += 1
        self._execute("DELETE FROM points WHERE key = ?", key)

    def plan(self, points: Sequence[tuple[str, Labels]]) -> None:
        """Note the points of a sweep, key and own columns, in grid order; once, however often it is run."""
        texts = [(key, json.dumps(dict(labels))) for key, labels in points]
        sweep = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
        rows = ((sweep, position, key, labels) for position, (key, labels) in enumerate(texts))
        self._add_all("INSERT OR IGNORE INTO planned VALUES (?, ?, ?, ?)", rows)

    def count(self) -> int:
        """How many points :meth:`planned` gives."""
        return int(self._execute("SELECT count(*) FROM (SELECT DISTINCT key, labels FROM planned)")[0][0])

    def planned(self) -> list[Planned]:
        """Points of all sweeps, in the order in which they were planned; each with the same columns once."""
        asked: dict[tuple[str, str], Labels] = {}
        for _, _, key, text in self.plans():
            asked.setdefault((key, text), _parsed(text))
        errors = dict(self._execute("SELECT key, error FROM attempts ORDER BY id"))
        found = []
        for (key, _), labels in asked.items():
            row, error = self.find(key), errors.get(key)
            left = error if isinstance(error, str) and error else "not run yet"
            found.append(Planned(key, labels, row, "" if row is not None else left))
        return found

    def plans(self) -> list[tuple[str, int, str, str]]:
        """Sweep, position, key and columns of every planned point, checked."""
        found = self._execute("SELECT sweep, position, key, labels FROM planned ORDER BY rowid")
        for sweep, position, key, text in found:
            kinds = (type(sweep), type(position), type(key), type(text))
            if kinds != (str, int, str, str) or not _are_labels(_parsed(text)):
                raise OutputError(f"is damaged: {text!r:.60} names no point", where=self.where)
        return found

    def merge(self, other: SweepStore) -> None:
        """Take over what another store has."""
        self._add_all("INSERT OR IGNORE INTO planned VALUES (?, ?, ?, ?)", other.plans())
        for key in [key for (key,) in other._execute("SELECT key FROM points ORDER BY rowid")]:
            row = other.find(key)
            if row is not None and self.find(key) is None:
                self.add(key, row)
        for key, error in other._execute("SELECT key, error FROM attempts WHERE error NOT NULL ORDER BY id"):
            self.add_failure(str(key), str(error))

    def add(self, key: str, row: Row) -> None:
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

    def _add_all(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._lock:
            try:
                with self._database:
                    self._database.executemany(statement, rows)
            except sqlite3.Error as exc:
                raise self._unwritable(exc) from None

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
            where=self.where,
        )


def _create(database: sqlite3.Connection) -> None:
    for statement in (*SCHEMA, f"PRAGMA user_version = {VERSION}"):
        database.execute(statement)


def _tables(database: sqlite3.Connection) -> list[Any]:
    return database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()


def _own_tables() -> list[Any]:
    with closing(sqlite3.connect(":memory:")) as database:
        _create(database)
        return _tables(database)


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def _are_labels(found: Any) -> bool:
    if not isinstance(found, dict) or not all(map(_is_text, found)):
        return False
    return all(
        isinstance(value, int) or _is_text(value) or (isinstance(value, float) and math.isfinite(value))
        for value in found.values()
    )


def _is_text(value: Any) -> bool:
    """Whether something is text that a file can hold: no half of a character."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
