"""Output files: each appears whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from spikex_sim.errors import OutputError


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Format rows with the same keys as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def check_writable(folder: str | os.PathLike[str]) -> Path:
    """Create an output folder if need be and raise :class:`OutputError` unless it can be written."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch(exist_ok=True)
        probe.unlink()
    except OSError as exc:
        raise OutputError(f"cannot be written: {exc.strerror}", where=str(folder)) from None
    return path


def write_files(folder: str | os.PathLike[str], contents: dict[str, str]) -> list[Path]:
    """Write several text files; each appears whole or not at all, and none before all are written."""
    path = check_writable(folder)
    for name in contents:
        if (path / name).is_dir():
            raise OutputError(
                "cannot be written: a folder of that name is in the way", where=str(path / name)
            )
    temporary = {name: path / f".{name}.{os.getpid()}.tmp" for name in contents}
    try:
        for name, text in contents.items():
            temporary[name].write_text(text, encoding="utf-8")
        for name in contents:
            temporary[name].replace(path / name)
    except OSError as exc:
        raise OutputError(f"cannot be written: {exc.strerror}", where=str(folder)) from None
    finally:
        for leftover in temporary.values():
            leftover.unlink(missing_ok=True)
    return [path / name for name in contents]
