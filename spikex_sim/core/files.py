"""Output files: each appears whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import os
import platform
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from itertools import islice
from pathlib import Path
from typing import IO, Any

from spikex_sim.core.errors import OutputError

LINES_AT_A_TIME = 4096
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def csv_text(rows: list[dict[str, Any]], *, safe: bool = False) -> str:
    """Format rows with the same keys as CSV.

    Parameters
    ----------
    rows : list of dict
        A row each.
    safe : bool
        Put an apostrophe before text that a spreadsheet would compute, as names of layers may be.
    """
    if safe:
        rows = [{_inert(key): _inert(value) for key, value in row.items()} for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


def as_named(cell: str) -> str:
    """Text of a cell without the apostrophe that ``safe`` put before it."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULAS) else cell


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Raise :class:`OutputError` unless a folder can be made and written; leave none that was not there."""
    path = Path(folder)
    missing = [one for one in (path, *path.parents) if not one.exists()]
    writable_folder(folder)
    for one in missing:
        with suppress(OSError):  # another run may have put something there since
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
    temporary = _hidden(target.parent)
    try:
        _sweep(target.parent)
        temporary.mkdir()
        yield temporary
        if target.exists():
            target.rmdir()
        temporary.rename(target)
    except OSError as exc:
        raise OutputError(f"cannot be written: {exc.strerror}", where=where) from None
    except OutputError as exc:
        raise OutputError(str(exc).replace(str(temporary), where)) from None  # of a file in it
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Write a file that takes its name, and the place of an older one, when it is whole and on the disk.

    Raises
    ------
    OutputError
        If it cannot be written; then nothing is left of it, and the older one is as it was.
    """
    target = Path(path)
    # In the same folder, because a rename is atomic only within a file system.
    temporary = _hidden(target.parent)
    try:
        _sweep(target.parent)
        if target.is_dir():
            raise OutputError("cannot be written: a folder of that name is in the way", where=str(path))
        with temporary.open("xb") as file:
            yield file
            onto_disk(file)
        temporary.replace(target)
    except OSError as exc:
        raise OutputError(f"cannot be written: {exc.strerror or exc}", where=str(path)) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _hidden(folder: Path) -> Path:
    """Name of a temporary that tells whose it is: this machine's, this process's."""
    return folder / f".spikex-{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def _sweep(folder: Path) -> None:
    """Remove what processes of this machine left in a folder when they were killed."""
    for left in folder.glob(f".spikex-{escape(platform.node())}-*.tmp"):
        machine, owner, _ = left.name.removesuffix(".tmp").rsplit("-", 2)
        if machine == f".spikex-{platform.node()}" and owner.isdecimal() and not _runs(int(owner)):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # somebody else's
    return True


def onto_disk(file: IO[bytes]) -> None:
    """Wait until what was written to a file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def write_files(
    folder: str | os.PathLike[str], contents: Mapping[str, str | bytes | Iterator[str]]
) -> list[Path]:
    """Write several files; each appears whole or not at all, and none before all are written."""
    path = writable_folder(folder)
    with ExitStack() as stack:
        for name, content in contents.items():
            file = stack.enter_context(new_file(path / name))
            parts = iter([content]) if isinstance(content, str) else content
            if isinstance(parts, bytes):
                file.write(parts)
            else:
                _write_parts(file, parts)
            onto_disk(file)
    return [path / name for name in contents]


def _write_parts(file: Any, parts: Iterator[str]) -> None:
    while text := "".join(islice(parts, LINES_AT_A_TIME)):
        file.write(text.encode())


def write_lines(path: str | os.PathLike[str], lines: Iterable[str]) -> Path:
    """Write a text as it comes, packed if the name ends in ``.gz``; the file appears whole or not at all.

    A packed one holds neither name nor time, so that equal texts are equal files.
    """
    target = Path(path)
    writable_folder(target.parent)
    waiting = iter(lines)
    with new_file(target) as raw, ExitStack() as stack:
        file: Any = raw
        if target.suffix == ".gz":
            file = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
        _write_parts(file, waiting)
    return target
