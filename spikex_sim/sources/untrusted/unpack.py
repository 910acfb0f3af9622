"""Unpacking LZ4 and Zstandard frames that nobody vouches for, a bounded piece at a time."""

from __future__ import annotations

import io
from collections.abc import Callable

from spikex_sim.core.errors import TraceError
from spikex_sim.core.origin import pip_install
from spikex_sim.trace.npyheader import human_bytes

RATIO = 255
"""Most that a packed byte may stand for: what LZ4 can reach; events pack about 3 to 1."""
SLACK_BYTES = 1 << 16
"""Added to that bound, so that tiny packets need no exact arithmetic."""
MAX_PACKET_BYTES = 64 << 20
"""Largest unpacked packet accepted; a camera's software sends one of some KiB every 10 ms."""
MAX_WINDOW_BYTES = 1 << 27
"""Largest Zstandard window accepted, the default limit of its own program."""

_PIECE_BYTES = 1 << 18


def unpacked(data: bytes, method: str, where: str, field: str) -> bytearray:
    """Unpack one frame.

    Parameters
    ----------
    data : bytes
        The frame and nothing else.
    method : str
        ``"LZ4"`` or ``"ZSTD"``.
    where, field : str
        File and part of it named in messages.

    Raises
    ------
    TraceError
        If the package is missing, the frame is damaged, truncated or larger than any packet of events.
    """
    limit = min(MAX_PACKET_BYTES, RATIO * len(data) + SLACK_BYTES)
    try:
        unpack = {"LZ4": _lz4, "ZSTD": _zstd}[method]()
    except ImportError:
        raise TraceError(
            f"is packed with {method}, which needs another package: {pip_install('aedat4')}",
            where=where,
        ) from None
    found = unpack(data, limit)
    if found is None:
        raise TraceError(f"is damaged or truncated: no whole {method} frame", where=where, field=field)
    if len(found) > limit:
        raise TraceError(
            f"unpacks to more than {human_bytes(limit)}, which no packet of events of "
            f"{human_bytes(len(data))} does",
            where=where,
            field=field,
        )
    return found


def _lz4() -> Callable[[bytes, int], bytearray | None]:
    from lz4 import frame

    def unpack(data: bytes, limit: int) -> bytearray | None:
        context = frame.LZ4FrameDecompressor()
        found = bytearray()
        piece = data
        try:
            while not context.eof and len(found) <= limit:
                made = context.decompress(piece, max_length=_PIECE_BYTES)
                if not made and not context.eof:
                    return None
                found += made
                piece = b""
        except (RuntimeError, EOFError, ValueError):
            return None
        return found

    return unpack


def _zstd() -> Callable[[bytes, int], bytearray | None]:
    import zstandard

    def unpack(data: bytes, limit: int) -> bytearray | None:
        found = bytearray()
        try:
            reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).stream_reader(
                io.BytesIO(data)
            )
            while len(found) <= limit and (made := reader.read(_PIECE_BYTES)):
                found += made
        except (zstandard.ZstdError, MemoryError):
            return None
        return found

    return unpack
