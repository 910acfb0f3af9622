"""Lays out the steps of a row group, and sums what they move and compute (Section 5, Step)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.schedules.ntwu.chunks import BATCH, FILTER_TAPS, HITS, TAGS, TAPS, TILE, WORDS
from spikex_sim.schedules.steps import PerStep

SKEWS = ("none", "batch", "tile")
SCOPES = ("group", "tile", "step")


NO_SLOTS = np.zeros(0, np.int64)
"""Every streamed tap has an integration slot of its own."""


class Sums(NamedTuple):
    """Sums over a group."""

    steps: int
    taps: int
    hits: int
    words: int
    tags: int
    filter_taps: int
    column_taps: int
    column_slots: int
    column_updates: int
    catchups: int
    potential_reads: int
    potential_writes: int
    skipped: int
    array_cycles: int
    largest_store: int


@njit(cache=True)
def lay_group(
    table: NDArray[np.int64],
    slots: PerStep,
    cycles_per_slot: int,
    tiles: NDArray[np.int64],
    tile_batches: PerStep,
    batch_columns: PerStep,
    update_cycles: PerStep,
    owed: PerStep,
    potential_reads: PerStep,
    potential_writes: PerStep,
    tile_words: PerStep,
    tile_filters: PerStep,
    filters_in_all: int,
    filter_taps: int,
    rows: int,
    weight_bits: int,
    potential_bits: int,
    tws: int,
    skew: int,
    glb_filter: int,
    fetches_tiles: bool,
    lbuf_holds_group: bool,
    to_dram: bool,
    half: int,
    most_steps: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Steps of a group but for its number, and :class:`Sums`.

    Transfers belong to the first or last step of their scope.
    Of more than ``most_steps`` only the number is found.
    """
    chunks = len(table)
    tap_bits, potential = rows * weight_bits, rows * potential_bits
    sent = np.zeros(chunks, np.int64)
    steps = skipped = 0
    for i in range(chunks):
        tile, b = table[i, TILE], table[i, BATCH]
        if b >= 0 and (i == chunks - 1 or table[i + 1, BATCH] != b):
            sent[i] += rows * (batch_columns[b + 1] - batch_columns[b]) * (tws + 1)
        if i == chunks - 1 or table[i + 1, TILE] != tile:
            units = (tiles[tile, 1] - tiles[tile, 0]) * (tiles[tile, 3] - tiles[tile, 2])
            issued = batch_columns[tile_batches[tile + 1]] - batch_columns[tile_batches[tile]]
            sent[i] += rows * (units - issued)
            skipped += units - issued
        steps += max(1, (sent[i] - 1) // half + 1)
    laid = np.zeros((9, steps if steps <= most_steps else 0), np.int64)
    taps = hits = words = tags = needed = column_taps = column_slots = column_updates = 0
    catchups = reads = writes = cycles = largest = 0
    widest = step = 0
    for i in range(chunks if steps <= most_steps else 0):
        tile, b = table[i, TILE], table[i, BATCH]
        starts_tile = i == 0 or table[i - 1, TILE] != tile
        ends_tile = i == chunks - 1 or table[i + 1, TILE] != tile
        ends_batch = b >= 0 and (i == chunks - 1 or table[i + 1, BATCH] != b)
        own = batch_columns[b + 1] - batch_columns[b] if b >= 0 else 0
        widest = own if starts_tile else max(widest, own)
        filter_bits = table[i, FILTER_TAPS] * tap_bits
        group_bits = filters_in_all * filter_taps * tap_bits if i == 0 else 0
        used = slots[i] if len(slots) > 0 else table[i, TAPS]

        array = used * cycles_per_slot
        read = tap_bits * table[i, TAPS] + tws * table[i, HITS] + own * table[i, TAPS]
        written = 0
        if ends_batch:
            array += update_cycles[b]
            read += potential * potential_reads[b]
            written = rows * own * tws + potential * potential_writes[b]
            column_updates += own * update_cycles[b]
            catchups += owed[b]
            reads += potential_reads[b]
            writes += potential_writes[b]
        if skew == 1 and ends_batch and own > 0:
            array += rows + own - 2
        if skew == 2 and ends_tile and widest > 0:
            array += rows + widest - 2
        fetched = tile_words[tile] * (tws + 1) if starts_tile and fetches_tiles else 0
        if glb_filter == 0:
            fetched += group_bits
        elif glb_filter == 1:
            fetched += tile_filters[tile] * filter_taps * tap_bits if starts_tile else 0
        else:
            fetched += filter_bits
        loaded = group_bits if lbuf_holds_group else filter_bits
        loaded += table[i, WORDS] * tws + table[i, TAGS]

        taps += table[i, TAPS]
        hits += table[i, HITS]
        needed += table[i, FILTER_TAPS]
        words += table[i, WORDS]
        tags += table[i, TAGS]
        column_taps += own * table[i, TAPS]
        column_slots += own * used
        cycles += array
        laid[2, step], laid[3, step] = fetched, loaded
        laid[6, step], laid[7, step], laid[8, step] = array, read, written
        for piece in range(max(1, (sent[i] - 1) // half + 1)):
            out = min(half, sent[i] - piece * half)
            laid[0, step] = tile
            laid[1, step] = b if piece == 0 else -1
            laid[4, step] = out
            laid[5, step] = out if to_dram else 0
            largest = max(largest, out)
            step += 1
    sums = (
        steps, taps, hits, words, tags, needed, column_taps, column_slots, column_updates, catchups, reads,
        writes, skipped, cycles, largest,
    )  # fmt: skip
    return laid, np.array(sums)
