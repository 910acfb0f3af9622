"""Output files: each appears whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from spikex_sim.core.errors import OutputError


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Format rows with the same keys as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Raise :class:`OutputError` unless a folder can be made and written; leave none that was not there."""
    path = Path(folder)
    missing = [one for one in (path, *path.parents) if not one.exists()]
    writable_folder(folder)
    for one in missing:
        one.rmdir()


def writable_folder(folder: str | os.PathLike[str]) -> Path:
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


@contextmanager
def new_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Fill a folder that appears whole or not at all: a hidden one beside it, renamed when all is well.

    Raises
    ------
    OutputError
        If there is something of that name already, other than an empty folder, or it cannot be written.
    """
    target = Path(folder).absolute()
    where = str(folder)
    try:
        if target.exists() and not target.is_dir():
            raise OutputError("is a file; name a folder", where=where)
        if target.exists() and any(target.iterdir()):
            raise OutputError("is not empty; name another folder", where=where)
    except OSError as exc:
        raise OutputError(f"cannot be written: {exc.strerror}", where=where) from None
    writable_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        if target.exists():
            target.rmdir()
        temporary.rename(target)
    except OSError as exc:
        raise OutputError(f"cannot be written: {exc.strerror}", where=where) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_files(folder: str | os.PathLike[str], contents: Mapping[str, str | bytes]) -> list[Path]:
    """Write several files; each appears whole or not at all, and none before all are written."""
    path = writable_folder(folder)
    for name in contents:
        if (path / name).is_dir():
            raise OutputError(
                "cannot be written: a folder of that name is in the way", where=str(path / name)
            )
    temporary = {name: path / f".{name}.{os.getpid()}.tmp" for name in contents}
    try:
        for name, content in contents.items():
            if isinstance(content, bytes):
                temporary[name].write_bytes(content)
            else:
                temporary[name].write_text(content, encoding="utf-8")
        for name in contents:
            temporary[name].replace(path / name)
    except OSError as exc:
        raise OutputError(f"cannot be written: {exc.strerror}", where=str(folder)) from None
    finally:
        for leftover in temporary.values():
            leftover.unlink(missing_ok=True)
    return [path / name for name in contents]


def write_lines(path: str | os.PathLike[str], lines: Iterable[str]) -> Path:
    """Write a text as it comes, packed if the name ends in ``.gz``; the file appears whole or not at all."""
    target = Path(path)
    writable_folder(target.parent)
    if target.is_dir():
        raise OutputError("cannot be written: a folder of that name is in the way", where=str(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with _text_file(temporary, packed=target.suffix == ".gz") as file:
            file.writelines(lines)
        temporary.replace(target)
    except OSError as exc:
        raise OutputError(f"cannot be written: {exc.strerror}", where=str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)
    return target


@contextmanager
def _text_file(path: Path, *, packed: bool) -> Iterator[TextIO]:
    """Open a file for writing; a packed one holds neither name nor time, so that equal texts are equal."""
    if not packed:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        return
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped,
        io.TextIOWrapper(zipped, encoding="utf-8", newline="\n") as file,
    ):
        yield file
