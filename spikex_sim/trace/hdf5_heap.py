"""Strings of variable length in HDF5, read past the library.

They lie in global heaps (HDF5 file format specification 3.0, Section III.E), in which the library goes round
in circles for ever if sizes are damaged. Here every step goes on, and nothing larger than a heap is read.
"""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import Any

MAX_HEAP_BYTES = 16 << 20
"""Largest global heap accepted; the library makes them of 4 KiB, and larger where a string needs it."""
_REFERENCE = struct.Struct("<IQI")
_HEAP = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")


def read_strings(path: Path, dataset: Any) -> list[bytes]:
    """Read all strings of a dataset, in C order.

    Parameters
    ----------
    path : Path
        File that the dataset is in.
    dataset : h5py.Dataset
        Strings of variable length, whose number was checked.

    Raises
    ------
    ValueError
        If it is stored in another way than the library does by itself, or damaged.
    """
    count = prod(dataset.shape)
    if not count:
        return []
    offset = dataset.id.get_offset()
    sizes = dataset.file.id.get_create_plist().get_sizes()
    if offset is None or sizes != (8, 8) or dataset.file.userblock_size:
        raise ValueError("strings are not stored in one piece, with addresses of 8 bytes")
    heaps: dict[int, dict[int, bytes]] = {}
    found = []
    with path.open("rb") as raw:
        raw.seek(offset)
        table = raw.read(_REFERENCE.size * count)
        if len(table) < _REFERENCE.size * count:
            raise ValueError("strings end early")
        for length, address, index in _REFERENCE.iter_unpack(table):
            if not length:
                found.append(b"")
                continue
            if address not in heaps:
                raw.seek(min(address, 1 << 62))
                signature, _, size = _HEAP.unpack(raw.read(_HEAP.size).ljust(_HEAP.size))
                if signature != b"GCOL" or size > MAX_HEAP_BYTES:
                    raise ValueError("a heap of strings is damaged")
                heaps[address] = _objects(raw.read(size - _HEAP.size) if size > _HEAP.size else b"")
            text = heaps[address].get(index, b"")[:length]
            if len(text) < length:
                raise ValueError("a string is not in its heap")
            found.append(text)
    return found


def _objects(heap: bytes) -> dict[int, bytes]:
    """Objects of a heap by index; index 0 is what is free at its end."""
    found: dict[int, bytes] = {}
    place = 0
    while place + _OBJECT.size <= len(heap):
        index, _, size = _OBJECT.unpack_from(heap, place)
        start = place + _OBJECT.size
        if index == 0 or start + size > len(heap):
            break
        found[index] = heap[start : start + size]
        place = start + -(-size // 8) * 8
    return found
