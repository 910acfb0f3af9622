"""Spikes packed along time, eight to a byte."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PackedSpikes = NDArray[np.uint8]
"""Spikes packed along time with ``np.packbits``: ``[samples, *shape, ceil(T/8)]``."""


def packed_length(timesteps: int) -> int:
    """Bytes that ``timesteps`` bits take when packed."""
    return -(-timesteps // 8)


def count_spikes(packed: PackedSpikes) -> int:
    """Set bits of packed spikes."""
    flat = packed.reshape(-1)
    words = flat.view(np.uint64) if flat.flags.c_contiguous and len(flat) % 8 == 0 else flat
    return int(np.bitwise_count(words).sum(dtype=np.int64))
