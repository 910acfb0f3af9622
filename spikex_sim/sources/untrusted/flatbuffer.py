"""Reader of FlatBuffers that nobody vouches for: every offset is held against the buffer before it is used.

https://flatbuffers.dev/internals: a buffer starts with the offset of its root table; a table starts with
the distance back to its vtable, which has the place of every field in the table, or 0.
"""

from __future__ import annotations

import struct

from spikex_sim.core.errors import TraceError


class Table:
    """One table of a buffer.

    Parameters
    ----------
    data : bytes or memoryview
        The buffer, without size prefix.
    where, field : str
        File and part of it named in messages.
    """

    def __init__(self, data: bytes | memoryview, where: str, field: str) -> None:
        self._data = memoryview(data)
        self._where = where
        self._name = field
        self._at = self._read("<I", 0)
        self._vtable = self._at - self._read("<i", self._at)
        self._fields = (self._read("<H", self._vtable) - 4) // 2

    def integer(self, index: int, form: str, default: int) -> int:
        """Field of a scalar type, given as a ``struct`` format; the default where it is left out."""
        at = self._place(index)
        return default if at is None else self._read(form, at)

    def vector(self, index: int, item_bytes: int) -> memoryview:
        """Bytes of a field that is a list of scalars or structs; none where it is left out."""
        at = self._place(index)
        if at is None:
            return self._data[:0]
        start = at + self._read("<I", at)
        count = self._read("<I", start)
        left = len(self._data) - start - 4
        if count * item_bytes > left:
            raise TraceError(
                f"declares {count:,} items of {item_bytes} bytes, {left:,} bytes are left",
                where=self._where,
                field=self._name,
            )
        return self._data[start + 4 : start + 4 + count * item_bytes]

    def text(self, index: int) -> str:
        """Field that is a text; empty where it is left out."""
        try:
            return str(self.vector(index, 1), "utf-8")
        except UnicodeDecodeError:
            raise TraceError("holds a text that is no Unicode", where=self._where, field=self._name) from None

    def _place(self, index: int) -> int | None:
        if index >= self._fields:
            return None
        offset = self._read("<H", self._vtable + 4 + 2 * index)
        return self._at + offset if offset else None

    def _read(self, form: str, at: int) -> int:
        if not 0 <= at <= len(self._data) - struct.calcsize(form):
            raise TraceError("damaged: points outside of itself", where=self._where, field=self._name)
        value: int = struct.unpack_from(form, self._data, at)[0]
        return value
