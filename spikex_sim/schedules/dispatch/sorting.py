"""Policy that sorts the NTWUs of a window, so that like comes to lie beside like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikex_sim.schedules.dispatch.agile import AgileDispatch
from spikex_sim.schedules.dispatch.greedy import TAGS_A_CYCLE
from spikex_sim.schedules.dispatch.sets import TapSets, tap_sets
from spikex_sim.schedules.ntwu.packing import (
    NO_HARDWARE,
    DispatchHardware,
    DispatchSizes,
    Packing,
    TileView,
)

HASH_BITS = 32
MULTIPLIER = 2654435761
"""2**32 over the golden ratio: spreads the numbers of taps (Knuth, multiplicative hashing)."""


class SortedDispatch(AgileDispatch):
    """Sorts the active NTWUs of each window by a key of their taps, and cuts them into runs.

    Windows stay in order, so that a neuron's ascend. ``dispatch_sort`` is the key: ``popcount``, how many
    taps; ``hash``, the least of their hashes, which sets that overlap are likely to share (MinHash, Broder
    1997).
    """

    def mode(self, active: NDArray[np.bool_], cols: int) -> str:  # noqa: ARG002
        """Return ``spatial``."""
        return "spatial"

    def pack(self, tile: TileView, cols: int, mode: str) -> Packing:  # noqa: ARG002
        """See :class:`~spikex_sim.schedules.ntwu.packing.DispatchPolicy`."""
        window, position = np.nonzero(tile.active.T)
        sets = tap_sets(tile, position, window)
        key = sets.sizes if tile.knobs.sort == "popcount" else least_hash(sets)
        order = np.lexsort((position, key, window))
        return Packing(position[order], window[order], np.arange(0, len(order), cols))

    def hardware(self, sizes: DispatchSizes) -> DispatchHardware:
        """A sorter as deep as a window has positions; keys are made of :data:`TAGS_A_CYCLE` tags a cycle."""
        if sizes.positions == 1:
            return NO_HARDWARE
        bits = sizes.taps.bit_length() if sizes.knobs.sort == "popcount" else HASH_BITS
        return DispatchHardware(
            comparators=sizes.positions,
            sort_depth=sizes.positions,
            key_bits=bits,
            cycles_per_batch=sizes.cols * -(-sizes.taps // TAGS_A_CYCLE),
            compared_bits=sizes.cols * (sizes.taps + sizes.positions * bits),
            stored_bits=sizes.cols * bits,
        )


def least_hash(sets: TapSets) -> NDArray[np.int64]:
    """Least hash of each set's taps; that of an empty set is above all."""
    if not len(sets.sizes):
        return sets.sizes
    hashes = np.append((sets.taps.astype(np.int64) + 1) * MULTIPLIER % (1 << HASH_BITS), 1 << HASH_BITS)
    found: NDArray[np.int64] = np.minimum.reduceat(hashes, sets.start[:-1])
    found[sets.sizes == 0] = 1 << HASH_BITS
    return found
