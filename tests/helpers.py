"""What several test files share."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_data(name: str) -> Path:
    """Path of a file of real recordings beside the repository; skips the test where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there: this test compares with real recordings kept outside the project")
    return path


@dataclass
class Member:
    """One member of a hand-made zip; whatever is not None is what the directory claims, true or not."""

    name: str
    data: bytes
    method: int = 8
    flags: int = 0
    claimed_size: int | None = None
    claimed_packed: int | None = None
    packed: bytes | None = None
    crc: int | None = None


def zip_bytes(*members: Member) -> bytes:
    """A zip built byte by byte (PKWARE APPNOTE 4.3), so that it can lie."""
    body, directory = b"", b""
    for member in members:
        packed = member.packed
        if packed is None:
            packer = zlib.compressobj(6, zlib.DEFLATED, -15)
            packed = packer.compress(member.data) + packer.flush() if member.method == 8 else member.data
        size = len(member.data) if member.claimed_size is None else member.claimed_size
        packed_size = len(packed) if member.claimed_packed is None else member.claimed_packed
        crc = zlib.crc32(member.data) if member.crc is None else member.crc
        name = member.name.encode()
        wide = max(size, packed_size) >= 0xFFFFFFFF
        extra = struct.pack("<HHQQ", 1, 16, size, packed_size) if wide else b""
        sizes = (0xFFFFFFFF, 0xFFFFFFFF) if wide else (packed_size, size)
        common = struct.pack(
            "<HHHHHLLLHH", 45, member.flags, member.method, 0, 33, crc, *sizes, len(name), len(extra)
        )
        directory += b"PK\x01\x02" + struct.pack("<H", 45) + common
        directory += struct.pack("<HHHLL", 0, 0, 0, 0, len(body)) + name + extra
        body += b"PK\x03\x04" + common + name + extra + packed
    end = struct.pack("<HHHHLLH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end


def npy_bytes(
    descr: str, shape: object, data: bytes = b"", *, version: int = 1, text: str | None = None
) -> bytes:
    """A ``.npy`` file built byte by byte."""
    header = text if text is not None else repr({"descr": descr, "fortran_order": False, "shape": shape})
    encoded = header.encode() + b"\n"
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<L", len(encoded))
        + encoded
        + data
    )
