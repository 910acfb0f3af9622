"""What a layer's crossbars, adders and packets do, counted spike by spike (Section 2)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.events import Events
from spikex_sim.core.geometry import Geometry, Receivers
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.crossbar.mapping import LayerMapping

WORD_BITS = 32
"""Channels of a word of spikes, and bits of a flit."""
Ints = NDArray[np.int64]


class Parts(NamedTuple):
    """Column groups in tiles, those of the same PE rows together; int64 arrays ``[parts]``.

    Attributes
    ----------
    first, last : int64 array
        PE rows from and up to.
    channels : int64 array
        Output channels of all of them.
    flits, flit_hops : int64 array
        Flits that send their sums out once, and hops of these.
    """

    first: Ints
    last: Ints
    channels: Ints
    flits: Ints
    flit_hops: Ints


class Packets(NamedTuple):
    """Destinations of input spikes, those that take the same channels together.

    Attributes
    ----------
    words : uint32 array ``[kinds, ceil(C/32)]``
        Channels that a destination has rows for, a bit each.
    number, hops : int64 array ``[kinds]``
        Destinations of the kind, and their hops together.
    """

    words: NDArray[np.uint32]
    number: Ints
    hops: Ints


class Sums(NamedTuple):
    """Sums over positions and time points, and traffic of each row of a map.

    Attributes
    ----------
    totals : int64 array
        In the order of :data:`TOTALS`.
    active : int64 array ``[T, H_o]``
        Positions of an output row with a read.
    flits_out : int64 array ``[T, H_o]``
        Flits of sums.
    flits_in : int64 array ``[T, H]``
        Flits of spikes of each row of the input map.
    """

    totals: Ints
    active: Ints
    flits_out: Ints
    flits_in: Ints


TOTALS = (
    *("reads", "activations", "rows_read", "pe_reads", "tile_channels", "tile_adds", "flits_out"),
    *("flit_hops_out", "flits_in", "flit_hops_in", "words_in", "words_down", "positions"),
)
"""``Σ r``, ``Σ a``, ``Σ r R_b``, ``Σ ρ``, ``Σ m_g ρ_τg``; tile additions, flits, words, active positions."""
READS, ACTIVATIONS, ROWS_READ, PE_READS, TILE_CHANNELS, TILE_ADDS, FLITS_OUT = range(7)
HOPS_OUT, FLITS_IN, HOPS_IN, WORDS_IN, WORDS_DOWN, POSITIONS = range(7, 13)


def parts_of(mapping: LayerMapping, sum_bits: int, hops: Ints) -> Parts:
    """Column groups in tiles whose sums have so many bits; ``hops`` of each tile."""
    tile, group, first, last = mapping.parts.T
    channels = mapping.group_sizes[group]
    flits = 1 + -(-channels * sum_bits // WORD_BITS)
    spans, kind = np.unique(np.stack([first, last], axis=1), axis=0, return_inverse=True)
    sums = [_sum_by(kind, len(spans), values) for values in (channels, flits, flits * hops[tile])]
    return Parts(np.ascontiguousarray(spans[:, 0]), np.ascontiguousarray(spans[:, 1]), *sums)


def _sum_by(kind: Ints, kinds: int, values: Ints) -> Ints:
    found = np.zeros(kinds, np.int64)
    np.add.at(found, kind.reshape(-1), values)
    return found


def packets_to(channels: NDArray[np.bool_], number: Ints, hops: Ints) -> Packets:
    """Destinations that take ``channels [n, C]``, so many of each, and their hops together."""
    packed = np.zeros((len(channels), -(-channels.shape[1] // WORD_BITS) * WORD_BITS), np.bool_)
    packed[:, : channels.shape[1]] = channels
    words = np.packbits(packed, axis=1, bitorder="little").view(np.uint32)
    kinds, kind = np.unique(words, axis=0, return_inverse=True)
    return Packets(np.ascontiguousarray(kinds), *(_sum_by(kind, len(kinds), one) for one in (number, hops)))


def first_needed(geometry: Geometry, receivers: Receivers) -> Ints:
    """Of each row of the map the output row first to need it ``[H]``, ``H_o`` where none does."""
    first = np.searchsorted(geometry.last_rows, np.arange(geometry.in_height), side="left")
    seen = np.diff(receivers.first).reshape(geometry.in_height, geometry.in_width).any(axis=1)
    return np.where(seen, np.minimum(first, geometry.out_height - 1), geometry.out_height)


@kernel
def count(
    geometry: Geometry,
    receivers: Receivers,
    timesteps: int,
    events: Events,
    points: int,
    always: bool,
    block_of: Ints,
    row_of_block: Ints,
    rows: Ints,
    parts: Parts,
    tiles: Packets,
    pes: Packets,
) -> Sums:
    """Count what happens at the first ``points`` time points; nothing happens later.

    Parameters
    ----------
    events : Events
        Spikes by (pixel, time point).
    always : bool
        Whether crossbars are read and pixels are sent without a spike, too.
    rows : int64 array ``[n_b]``
        Rows in use of each block.
    tiles, pes : Packets
        Where spikes go to on the mesh, and on the H-trees.
    """
    totals = np.zeros(13, np.int64)
    active = np.zeros((timesteps, geometry.out_height), np.int64)
    flits_out = np.zeros((timesteps, geometry.out_height), np.int64)
    flits_in = np.zeros((timesteps, geometry.in_height), np.int64)
    positions, blocks = geometry.out_height * geometry.out_width, len(rows)
    rows_of_pes = row_of_block[-1] + 1
    counts = np.zeros((positions, blocks), np.int32)
    touched = np.zeros(positions, np.bool_)
    before = np.zeros(rows_of_pes + 1, np.int64)
    words = np.zeros(tiles.words.shape[1], np.uint32)
    for t in range(points):
        for pixel in range(geometry.in_height * geometry.in_width):
            word = pixel * timesteps + t
            first, last = events.first[word], events.first[word + 1]
            receiver, end = receivers.first[pixel], receivers.first[pixel + 1]
            if receiver == end or (first == last and not always):
                continue
            words[:] = np.uint32(0xFFFFFFFF) if always else np.uint32(0)
            for event in range(first, last):
                channel = events.channel[event]
                words[channel >> 5] |= np.uint32(1) << np.uint32(channel & 31)
            for kind in range(len(tiles.number)):
                body = 0
                for w in range(len(words)):
                    body += (words[w] & tiles.words[kind, w]) != 0
                if body > 0:
                    totals[WORDS_IN] += tiles.number[kind] * body
                    totals[HOPS_IN] += tiles.hops[kind] * (body + 1)
                    flits_in[t, pixel // geometry.in_width] += tiles.number[kind] * (body + 1)
            for kind in range(len(pes.number)):
                body = 0
                for w in range(len(words)):
                    body += (words[w] & pes.words[kind, w]) != 0
                totals[WORDS_DOWN] += pes.number[kind] * body
            for r in range(receiver, end):
                p, tap = receivers.position[r], receivers.place[r] * geometry.channels
                touched[p] = touched[p] or last > first
                for event in range(first, last):
                    counts[p, block_of[tap + events.channel[event]]] += 1
        for p in range(positions):
            if not touched[p] and not always:
                continue
            touched[p] = False
            y = p // geometry.out_width
            for q in range(rows_of_pes):
                before[q + 1] = 0
            for b in range(blocks):
                if counts[p, b] > 0 or always:
                    totals[READS] += 1
                    totals[ROWS_READ] += rows[b]
                    before[row_of_block[b] + 1] = 1
                totals[ACTIVATIONS] += counts[p, b]
                counts[p, b] = 0
            for q in range(rows_of_pes):
                before[q + 1] += before[q]
            totals[PE_READS] += before[rows_of_pes]
            totals[POSITIONS] += 1
            active[t, y] += 1
            for part in range(len(parts.first)):
                read = before[parts.last[part]] - before[parts.first[part]]
                if read > 0:
                    totals[TILE_CHANNELS] += parts.channels[part]
                    totals[TILE_ADDS] += parts.channels[part] * (read - 1)
                    totals[HOPS_OUT] += parts.flit_hops[part]
                    flits_out[t, y] += parts.flits[part]
    totals[FLITS_OUT], totals[FLITS_IN] = flits_out.sum(), flits_in.sum()
    return Sums(totals, active, flits_out, flits_in)
