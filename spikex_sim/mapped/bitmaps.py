"""Sets of axons as rows of bits, for kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.mapped.graph import NeuronGraph

WORD = 64
Bits = NDArray[np.uint64]


def source_bits(graph: NeuronGraph) -> Bits:
    """``S_i`` of every neuron, ``[n, words]``."""
    rows = np.zeros((graph.neurons, -(-graph.nodes // WORD)), np.uint64)
    bit = np.uint64(1) << (graph.source % WORD).astype(np.uint64)
    np.bitwise_or.at(rows, (graph.target, graph.source // WORD), bit)
    return rows


@kernel(nogil=True)
def ones(word: np.uint64) -> np.int64:
    """Bits set in a word."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel(nogil=True)
def union_size(a: Bits, b: Bits) -> np.int64:
    """Size of the union of two sets."""
    total = np.int64(0)
    for at in range(len(a)):
        total += ones(a[at] | b[at])
    return total
