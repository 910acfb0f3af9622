"""Reading zips of plain ``.npy`` arrays that nobody vouches for, and writing them deterministically.

Nothing is unpickled and nothing is allocated before three sizes agree: the shape in the ``.npy`` header,
the size in the zip directory, and what so many compressed bytes can possibly hold.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import SpikexError, TraceError
from spikex_sim.core.files import new_file
from spikex_sim.core.hints import closest_path
from spikex_sim.trace.npyheader import NpyError, NpyHeader, human_bytes, read_exactly, read_header, shown

MAX_DIRECTORY_BYTES = 16 << 20
"""Largest zip directory accepted; 100 000 members fit, no trace or recording has as many."""
MAX_LZMA_WINDOW_BYTES = 64 << 20
"""Largest LZMA dictionary accepted, the one of ``xz -9``; a decoder allocates it at once."""
RATIO = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032, zipfile.ZIP_LZMA: 8192}
"""Bytes that one compressed byte can stand for: deflate codes 258 in 2 bits; LZMA about 7 100 measured."""
SLACK_BYTES = 65536
"""Added to every such bound, so that tiny members need no exact arithmetic."""
PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods of what this package writes itself."""

_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate", zipfile.ZIP_LZMA: "lzma"}
_CHUNK_BYTES = {zipfile.ZIP_STORED: 1 << 20, zipfile.ZIP_DEFLATED: 1 << 16, zipfile.ZIP_LZMA: 1 << 12}
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, NotImplementedError, RuntimeError,
    ValueError, OverflowError, LookupError,
)  # fmt: skip


@contextmanager
def open_regular(
    path: Path, max_bytes: int, error: type[SpikexError] = TraceError
) -> Iterator[io.BufferedReader]:
    """Open a regular file for reading; whatever the system refuses becomes an ``error``.

    Parameters
    ----------
    path : Path
        File to read.
    max_bytes : int
        Refuse larger files.
    error : type, optional
        What is raised.
    """
    where = shown(path, 400)
    try:
        # Asked before opening, because opening a pipe waits for a writer.
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            raise error("is a folder, give a file in it", where=where)
        if not stat.S_ISREG(info.st_mode):
            raise error("is not a regular file", where=where)
        if info.st_size > max_bytes:
            raise error(
                f"has {human_bytes(info.st_size)}, more than the {human_bytes(max_bytes)} that are read",
                where=where,
            )
        with path.open("rb") as handle:
            yield handle
    except FileNotFoundError:
        raise error(f"no such file{closest_path(path)}", where=where) from None
    except OSError as exc:
        raise error(f"cannot be read: {exc.strerror or exc}", where=where) from None
    except ValueError as exc:
        raise error(f"cannot be read: {exc}", where=where) from None


@contextmanager
def open_npz(
    path: str | Path, max_bytes: int, methods: tuple[int, ...] | None = None, foreign: bool = False
) -> Iterator[NpyZip]:
    """Open an ``.npz`` for reading; see :func:`open_regular` and :class:`NpyZip`."""
    path = Path(path)
    with open_regular(path, max_bytes) as handle:
        yield NpyZip(handle, shown(path, 400), methods, foreign)


class NpyZip:
    """Arrays of a zip of ``.npy`` files, by key (the member's name without ``.npy``).

    Parameters
    ----------
    handle : binary file
        Open, seekable; stays open.
    where : str
        File named in messages.
    methods : tuple of int, optional
        Compression methods accepted; all that are known if left out.
    foreign : bool
        Whether the file is of another program: records of plain numbers are read too.
    """

    def __init__(
        self,
        handle: io.BufferedReader | io.BytesIO,
        where: str,
        methods: tuple[int, ...] | None = None,
        foreign: bool = False,
    ) -> None:
        self.where = where
        self._foreign = foreign
        self._handle = handle
        self._methods = methods or tuple(_METHODS)
        self._file_bytes = handle.seek(0, io.SEEK_END)
        handle.seek(0)
        start = handle.read(8)
        if not start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            raise TraceError(_what_it_is(start), where=where)
        self._zip = _open_directory(handle, self._file_bytes, where)
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            if info.filename.endswith("/") and info.file_size == 0:
                continue
            key = info.filename.removesuffix(".npy")
            if key == info.filename:
                raise TraceError("unknown member, not a .npy array", where=where, field=shown(info.filename))
            if key in self._members:
                raise TraceError("is in the file twice", where=where, field=shown(key))
            self._members[key] = info
        self._headers: dict[str, NpyHeader] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys in file order."""
        return tuple(self._members)

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole file."""
        self._handle.seek(0)
        return hashlib.file_digest(self._handle, "sha256").hexdigest()

    def declared(self, key: str) -> NpyHeader:
        """Header of an array, after checking that the member can hold what it declares."""
        if key not in self._members:
            raise self._error("is missing", key)
        if key not in self._headers:
            info = self._members[key]
            self._check_member(key, info)
            try:
                with self._guard(key), self._zip.open(info) as member:
                    header = read_header(member, self._foreign)
            except NpyError as exc:
                raise self._error(str(exc), key) from None
            size = header.offset + header.nbytes
            if size != info.file_size:
                raise self._error(
                    f"declares {header.dtype} {list(header.shape)}, {human_bytes(header.nbytes)}, but the "
                    f"zip member holds {human_bytes(max(info.file_size - header.offset, 0))}",
                    key,
                )
            self._headers[key] = header
        return self._headers[key]

    def read(self, key: str) -> NDArray[Any]:
        """Read one array, a bounded piece at a time; it comes back read-only."""
        header, info = self.declared(key), self._members[key]
        data = header.room(self.where, key)
        target = data.data
        chunk = _CHUNK_BYTES[info.compress_type]
        with self._guard(key), self._zip.open(info) as member:
            read_exactly(member, header.offset)
            filled = 0
            while filled < header.nbytes:
                piece = member.read(min(chunk, header.nbytes - filled))
                if not piece:
                    raise EOFError("ends early")
                target[filled : filled + len(piece)] = piece
                filled += len(piece)
            member.read(1)  # at the end zipfile compares the checksum
        data.setflags(write=False)
        if header.dtype.kind == "U" and data.size:
            # Python fails with more than an error where numpy hands it what is no character.
            code_points = data.view(f"{header.dtype.str[0]}u4")
            if code_points.max() > sys.maxunicode:
                raise self._error("holds what is no text", key)
        return data.view(header.dtype).reshape(header.shape, order="F" if header.fortran else "C")

    def text(self, key: str, max_chars: int) -> str:
        """Read a 0-d string array."""
        header = self.declared(key)
        if header.shape != () or header.dtype.kind not in "US":
            raise self._error(f"must be a 0-d string array, not {header.dtype} {list(header.shape)}", key)
        if header.nbytes > max_chars * (4 if header.dtype.kind == "U" else 1):
            raise self._error(f"longer than {max_chars} characters", key)
        with self._guard(key):
            value = self.read(key)[()]
            return value.decode("utf-8") if isinstance(value, bytes) else str(value)

    def _check_member(self, key: str, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & 0x41:
            raise self._error("is encrypted", key)
        if info.compress_type not in self._methods:
            wanted = " or ".join(_METHODS[method] for method in self._methods)
            raise self._error(f"uses zip method {info.compress_type}; write it with {wanted}", key)
        if info.header_offset + info.compress_size > self._file_bytes:
            raise self._error("truncated: its data lies outside the file", key)
        if info.file_size > info.compress_size * RATIO[info.compress_type] + SLACK_BYTES:
            raise self._error(
                f"declares {human_bytes(info.file_size)} in {human_bytes(info.compress_size)} of compressed "
                "data, which is impossible",
                key,
            )
        if info.compress_type == zipfile.ZIP_LZMA:
            with self._guard(key):
                window = self._lzma_window(info)
            if window > MAX_LZMA_WINDOW_BYTES:
                raise self._error(f"asks for an LZMA window of {human_bytes(window)}", key)

    def _lzma_window(self, info: zipfile.ZipInfo) -> int:
        """Read the dictionary bytes that an LZMA member declares (PKWARE APPNOTE 5.8.8)."""
        self._handle.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", self._handle.read(4))
        self._handle.seek(name + extra, io.SEEK_CUR)
        window: int = struct.unpack("<2xHBL", self._handle.read(9))[2]
        return window

    @contextmanager
    def _guard(self, key: str) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as exc:
            raise self._error(f"truncated or damaged: {shown(exc) or type(exc).__name__}", key) from None

    def _error(self, message: str, key: str) -> TraceError:
        return TraceError(message, where=self.where, field=shown(key))


def save_npz(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an ``.npz``, whole or not at all; see :func:`write_npyzip` and :func:`new_file`."""
    with new_file(path) as file:
        write_npyzip(file, arrays)


def write_npyzip(handle: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as a zip whose bytes depend on nothing but the arrays (and zlib's version).

    Parameters
    ----------
    handle : binary file
        Open for writing, seekable.
    arrays : mapping of str to array
        In the order in which they are written.
    """
    with zipfile.ZipFile(handle, "w") as archive:
        for key, array in arrays.items():
            info = zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # else it tells the operating system
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=array.nbytes >= 1 << 31) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


class _CappedReads:
    """Passes reads on but none larger than the zip directory may be: zipfile reads it in one go."""

    def __init__(self, handle: IO[bytes], file_bytes: int, where: str) -> None:
        self._handle = handle
        self._file_bytes = file_bytes
        self._where = where
        self.seek = handle.seek
        self.tell = handle.tell
        self.seekable = handle.seekable
        self.close = lambda: None

    def read(self, size: int = -1) -> bytes:
        left = self._file_bytes - self._handle.tell()
        count = left if size < 0 else min(size, left)
        if count > MAX_DIRECTORY_BYTES:
            raise TraceError("has a zip directory too large for a trace", where=self._where)
        return self._handle.read(max(count, 0))


def _open_directory(handle: IO[bytes], file_bytes: int, where: str) -> zipfile.ZipFile:
    try:
        capped: Any = _CappedReads(handle, file_bytes, where)
        return zipfile.ZipFile(capped)
    except _DAMAGED as exc:
        raise TraceError(f"truncated or damaged zip: {shown(exc)}", where=where) from None


def _what_it_is(start: bytes) -> str:
    """Say what a file that should be a zip is instead, from its first bytes."""
    if not start:
        return "is empty"
    known = {
        b"\x93NUMPY": "is a single .npy array, not an .npz of arrays",
        b"\x89HDF\r\n\x1a\n": "is an HDF5 file; name it .h5",
        b"\x80": "looks like a Python pickle, which is never loaded; save an .npz",
        b"\x1f\x8b": "is gzip-compressed; unpack it first",
    }
    for magic, message in known.items():
        if start.startswith(magic):
            return message
    return "is not an .npz (a zip of .npy arrays)"
