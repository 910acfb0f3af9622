"""What a ``.npy`` declares about itself, of a file that nobody vouches for."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from math import prod
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.memory import check_memory
from spikex_sim.core.text import harmless

MAX_HEADER_BYTES = 4096
"""Longest ``.npy`` header accepted; numpy writes 118 bytes for a plain array."""
MAX_AXES = 32
"""Most axes of an array that every numpy version can hold."""
MAX_FIELDS = 64
"""Most fields of a record."""

_PLAIN = r"[<>|=]?(b1|[iu][1248]|f[248]|%s)"
_PLAIN_DTYPE = re.compile(_PLAIN % r"[US][1-9][0-9]{0,8}")
_PLAIN_FIELD = re.compile(_PLAIN % r"V[1-9][0-9]{0,3}")


class NpyError(Exception):
    """A header cannot be read; what is wrong with it, without file and field."""


def shown(text: object, limit: int = 120) -> str:
    """Text of unknown origin as it may stand in a one-line message: printable and short."""
    line = harmless(str(text).replace("\n", "\\n"))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def human_bytes(count: int) -> str:
    """Size in the largest binary unit that keeps the number at least 1, e.g. ``1.5 GiB``."""
    value, unit = float(min(count, 1 << 100)), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"


@dataclass(frozen=True)
class Declared:
    """Type and shape that a file declares for an array, checked before the array is read."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the data, exact whatever the size."""
        return prod(self.shape) * self.dtype.itemsize

    def room(self, where: str, key: str) -> NDArray[np.uint8]:
        """Memory for the data; :class:`TraceError` if there is not so much."""
        check_memory(self.nbytes, "the array", where=where, field=shown(key))
        try:
            return np.empty(self.nbytes, np.uint8)
        except MemoryError:
            message = f"{human_bytes(self.nbytes)} do not fit in memory"
            raise TraceError(message, where=where, field=shown(key)) from None


@dataclass(frozen=True)
class NpyHeader(Declared):
    """What a ``.npy`` member declares about itself.

    Attributes
    ----------
    fortran : bool
        Whether the first axis varies fastest.
    offset : int
        Bytes before the data.
    """

    fortran: bool
    offset: int


def read_header(file: IO[bytes], foreign: bool = False) -> NpyHeader:
    """Read what stands before the data.

    Parameters
    ----------
    file : binary file
        At the start of the array.
    foreign : bool
        Whether it is of another program: records of plain numbers are read too.

    Raises
    ------
    NpyError
        If it is no header of a plain array.
    EOFError, UnicodeDecodeError
        If the file ends early, or holds no text.
    """
    prefix = read_exactly(file, 8)
    if prefix[:6] != b"\x93NUMPY":
        raise NpyError("is not a .npy array")
    if prefix[6:] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise NpyError(f"has .npy version {prefix[6]}.{prefix[7]}; 1.0 to 3.0 are known")
    width = 2 if prefix[6] == 1 else 4
    length = int.from_bytes(read_exactly(file, width), "little")
    if length > MAX_HEADER_BYTES:
        raise NpyError(f"has a .npy header of {length} bytes; {MAX_HEADER_BYTES} are enough")
    text = read_exactly(file, length).decode("utf-8" if prefix[6] == 3 else "latin-1")
    header = _literal(text.strip())
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise NpyError("has a damaged .npy header")
    shape, fortran = header["shape"], header["fortran_order"]
    if not _is_shape(shape) or not isinstance(fortran, bool):
        raise NpyError("has a damaged .npy header")
    descr = header["descr"]
    dtype = _record_dtype(descr) if foreign and isinstance(descr, list) else _plain_dtype(descr)
    return NpyHeader(dtype, shape, fortran, 8 + width + length)


def _literal(text: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd literals, for a terminal that did not ask
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise NpyError("has a damaged .npy header") from None


def _plain_dtype(descr: object) -> np.dtype[Any]:
    if isinstance(descr, str) and "O" in descr:
        raise NpyError("holds pickled Python objects, which are never loaded; save plain arrays")
    if not isinstance(descr, str) or not _PLAIN_DTYPE.fullmatch(descr):
        raise NpyError(f"has the type {shown(descr, 40)}; plain numbers and text are read")
    return np.dtype(descr)


def _record_dtype(fields: list[object]) -> np.dtype[Any]:
    """Type of records of plain numbers; what fills gaps between them has the type ``V`` and no name."""
    plain = len(fields) <= MAX_FIELDS and all(
        isinstance(field, tuple)
        and len(field) == 2
        and all(isinstance(part, str) for part in field)
        and _PLAIN_FIELD.fullmatch(field[1])
        for field in fields
    )
    if not plain:
        raise NpyError(f"has records of the type {shown(fields, 60)}; fields of plain numbers are read")
    try:
        return np.dtype(fields)
    except (TypeError, ValueError) as exc:
        raise NpyError(f"has a damaged .npy header: {shown(exc, 60)}") from None


def _is_shape(shape: object) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= MAX_AXES
        and all(type(length) is int and 0 <= length < 1 << 62 for length in shape)
    )


def read_exactly(member: IO[bytes], count: int) -> bytes:
    """Read so many bytes; :class:`EOFError` where there are fewer."""
    data = bytearray()
    while len(data) < count:
        piece = member.read(count - len(data))
        if not piece:
            raise EOFError("ends early")
        data += piece
    return bytes(data)
