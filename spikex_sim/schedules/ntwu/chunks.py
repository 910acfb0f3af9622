"""Cuts batches into chunks that fit the LBUF; every chunk is a step (Section 5, Step)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import (
    CHANNELS,
    FILTER_TAPS,
    FILTERS,
    FIRST,
    FIRST_PLACE,
    OF_SYNAPSE,
    OWN,
    ROW,
    TAG_WIDTH,
    WIDTH,
    Field,
)
from spikex_sim.core.geometry import widest_batch
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.ntwu.survey import HITS, STREAMED, WORDS, slot_of

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule

UNLIMITED = np.iinfo(np.int64).max
FEW_CHUNKS = 64
"""Room for those of layers of few batches, which linear layers cut into many."""

FIELDS = (
    "tile",
    "batch",
    "first_channel",
    "last_channel",
    "first_tap",
    "last_tap",
    "taps",
    "own_taps",
    "tag_taps",
    "hit_bits",
    "filter_words",
    "ifmap_bits",
    "tag_bits",
)
(
    TILE, BATCH, FIRST_CHANNEL, LAST_CHANNEL, FIRST_TAP, LAST_TAP, TAPS, OWN_TAPS, TAG_TAPS, HIT_BITS,
    FILTER_WORDS, IFMAP_BITS, TAG_BITS,
) = range(len(FIELDS))  # fmt: skip


@dataclass(frozen=True)
class Chunks:
    """Chunks of one row group in order.

    Attributes
    ----------
    table : int64 array ``[chunks, fields]``
        A row a chunk, a column for each of :data:`FIELDS`:

        - ``tile``, ``batch``: where the chunk belongs; ``batch`` is -1 for the one step of an empty tile;
        - ``first_channel``, ``last_channel``: input channels, last excluded; members are those that move or
          stream something;
        - ``first_tap``, ``last_tap``: filter positions, last excluded; less than the whole filter where a
          channel had to be cut;
        - ``taps``, ``own_taps``, ``tag_taps``: streamed taps, those of them that concern one row, and those
          whose words have tags;
        - ``hit_bits``: bits of the words with a set tag that (column, tap) pairs read;
        - ``filter_words``: weights that the chunk needs in the LBUF, of all rows;
        - ``ifmap_bits``, ``tag_bits``: input words with a set tag and tags that move to the LBUF.
    need_filter_words, need_ifmap_bits : int
        Largest single tap that did not fit; 0 where all did.
    """

    table: NDArray[np.int64]
    need_filter_words: int
    need_ifmap_bits: int

    def __len__(self) -> int:
        return len(self.table)

    def __getattr__(self, name: str) -> NDArray[np.int64]:
        if name not in FIELDS:
            raise AttributeError(name)
        column: NDArray[np.int64] = self.table[:, FIELDS.index(name)]
        return column


def cut_chunks(
    schedule: NtwuSchedule, first_row: int, rows: int, filter_capacity_words: int, ifmap_capacity_bits: int
) -> Chunks:
    """Cut the batches of one row group into chunks.

    Parameters
    ----------
    schedule : NtwuSchedule
        The schedule.
    first_row, rows : int
        First output channel of the group, and how many it has.
    filter_capacity_words, ifmap_capacity_bits : int
        LBUF halves; :data:`UNLIMITED` where the tensor is resident or everything fits.
    """
    found, inputs = schedule.surveyed, schedule.task.inputs
    arguments = (
        inputs.field, inputs.tags, inputs.counts.shape[1], schedule.tile_batches,
        schedule.batch_columns, schedule.position, schedule.window, schedule.tws, found.streamed,
        schedule.tailored, found.counts, found.touched, first_row, rows,
        filter_capacity_words, ifmap_capacity_bits,
    )  # fmt: skip
    guess = FEW_CHUNKS + 6 * schedule.batches + len(schedule.tiles)
    table = np.empty((guess, len(FIELDS)), np.int64)
    count, need_filter, need_ifmap = _cut(*arguments, table)
    if count > guess:
        table = np.empty((count, len(FIELDS)), np.int64)
        _cut(*arguments, table)
    return Chunks(table[:count], int(need_filter), int(need_ifmap))


@kernel
def _emit(rows: NDArray[np.int64], count: int, values: tuple[int, ...]) -> int:
    if count < len(rows):
        for field in range(len(values)):
            rows[count, field] = values[field]
    return count + 1


@kernel
def _cut(
    field: Field,
    tags: NDArray[np.uint8],
    windows: int,
    tile_batches: NDArray[np.int64],
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    tws: int,
    streamed: NDArray[np.uint8],
    tailored: bool,
    counts: NDArray[np.int32],
    touched: NDArray[np.int64],
    first_row: int,
    group_rows: int,
    filter_capacity: int,
    ifmap_capacity: int,
    rows: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Fill ``rows`` as far as they go, and count; also the largest tap that does not fit."""
    taps, hits, words = counts[STREAMED], counts[HITS], counts[WORDS]
    channel_of, channels = field.channels, field.channels.shape[1]
    all_taps = channel_of[FILTER_TAPS].max() if channels > 0 else 0
    widest = widest_batch(batch_columns)
    runs = np.zeros(1, np.int64)
    stamp = np.zeros((len(field.start), widest), np.int64)
    held = np.full(max(1, channels), -1, np.int64)  # chunk that holds a filter
    count = need_filter = need_ifmap = 0
    for tile in range(len(tile_batches) - 1):
        if tile_batches[tile] == tile_batches[tile + 1]:
            count = _emit(rows, count, (tile, -1, 0, 0, 0, all_taps, 0, 0, 0, 0, 0, 0, 0))
        for b in range(tile_batches[tile], tile_batches[tile + 1]):
            chunks_before = count
            first = last = chunk_taps = chunk_own = chunk_tagged = chunk_hits = 0
            chunk_filter = chunk_ifmap = chunk_tags = 0
            filled = False
            for channel in range(channels):
                streams = taps[b, channel] > 0
                active = words[b, channel] > 0
                if not (streams or active or not tailored):
                    continue
                own, lanes = channel_of[OWN, channel], group_rows
                if own >= 0:
                    if not first_row <= own < first_row + group_rows:
                        continue
                    lanes = 1
                bits, filter_taps = channel_of[WIDTH, channel] * tws, channel_of[FILTER_TAPS, channel]
                whole_filter = filter_taps * lanes if streams or not tailored else 0
                own_filter = 0 if filled and held[channel_of[FILTERS, channel]] == count else whole_filter
                own_ifmap = words[b, channel] * bits
                own_tags = 0
                if active or not tailored:
                    own_tags = touched[b, channel_of[OF_SYNAPSE, channel]] * channel_of[TAG_WIDTH, channel]
                alone = whole_filter <= filter_capacity and own_ifmap + own_tags <= ifmap_capacity
                joins = (
                    alone
                    and filled
                    and chunk_filter + own_filter <= filter_capacity
                    and chunk_ifmap + own_ifmap + chunk_tags + own_tags <= ifmap_capacity
                )
                if filled and not joins:
                    count = _emit(
                        rows, count,
                        (tile, b, first, last, 0, all_taps, chunk_taps, chunk_own, chunk_tagged, chunk_hits,
                         chunk_filter, chunk_ifmap, chunk_tags),
                    )  # fmt: skip
                    filled = False
                if not alone:
                    count, filter_words, ifmap_bits = _cut_channel(
                        field, tags, windows, position[batch_columns[b] : batch_columns[b + 1]],
                        window[batch_columns[b] : batch_columns[b + 1]], tws, streamed[b],
                        lanes if whole_filter > 0 else 0, own_tags > 0, tile, b, channel, filter_capacity,
                        ifmap_capacity, stamp, runs, rows, count,
                    )  # fmt: skip
                    need_filter = max(need_filter, filter_words)
                    need_ifmap = max(need_ifmap, ifmap_bits)
                    continue
                if not filled:
                    first = channel
                    chunk_taps = chunk_own = chunk_tagged = chunk_hits = 0
                    chunk_filter = chunk_ifmap = chunk_tags = 0
                    own_filter = whole_filter
                    filled = True
                last = channel + 1
                if whole_filter > 0:
                    held[channel_of[FILTERS, channel]] = count
                chunk_taps += taps[b, channel]
                chunk_own += taps[b, channel] if own >= 0 else 0
                chunk_tagged += taps[b, channel] * channel_of[TAG_WIDTH, channel]
                chunk_hits += hits[b, channel] * bits
                chunk_filter += own_filter
                chunk_ifmap += own_ifmap
                chunk_tags += own_tags
            if filled:
                count = _emit(
                    rows, count,
                    (tile, b, first, last, 0, all_taps, chunk_taps, chunk_own, chunk_tagged, chunk_hits,
                     chunk_filter, chunk_ifmap, chunk_tags),
                )  # fmt: skip
            if count == chunks_before:
                count = _emit(rows, count, (tile, b, 0, 0, 0, all_taps, 0, 0, 0, 0, 0, 0, 0))
    return count, need_filter, need_ifmap


@kernel
def _cut_channel(
    field: Field,
    tags: NDArray[np.uint8],
    windows: int,
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    tws: int,
    streamed: NDArray[np.uint8],
    filter_words: int,
    moves_tags: bool,
    tile: int,
    batch: int,
    channel: int,
    filter_capacity: int,
    ifmap_capacity: int,
    stamp: NDArray[np.int64],
    runs: NDArray[np.int64],
    rows: NDArray[np.int64],
    count: int,
) -> tuple[int, int, int]:
    """Cut a channel that does not fit alone into runs of taps that do.

    A word that several taps need is moved once in every run that touches it: ``stamp`` remembers the run
    that touched a (pixel, window) last, ``runs`` numbers them across calls.
    """
    channel_of = field.channels
    filter_taps, k0 = channel_of[FILTER_TAPS, channel], channel_of[FIRST_PLACE, channel]
    bits, tag_bits = channel_of[WIDTH, channel] * tws, channel_of[TAG_WIDTH, channel]
    is_own = 1 if channel_of[OWN, channel] >= 0 else 0
    columns = len(position)
    slot = np.empty(columns, np.int64)
    for col in range(columns):
        slot[col] = slot_of(window, col)
    need_filter = need_ifmap = 0
    runs[0] += 1
    first = run_taps = run_hits = run_ifmap = run_tags = 0
    tap = 0
    while tap < filter_taps:
        hit = new_ifmap = new_tags = 0
        k = k0 + tap
        inner = channel - field.taps[k, ROW]
        for col in range(columns):
            pixel = field.place[position[col], k]
            if pixel < 0:
                continue
            word = field.start[pixel] * windows + window[col] * field.taps[k, CHANNELS]
            tagged = tags[word + inner] > 0
            if tagged:
                hit += bits
            if stamp[pixel, slot[col]] != runs[0]:
                stamp[pixel, slot[col]] = runs[0]
                new_tags += tag_bits if moves_tags else 0
                new_ifmap += bits if tagged else 0
        length = tap - first + 1
        fits = (
            length * filter_words <= filter_capacity
            and run_ifmap + new_ifmap + run_tags + new_tags <= ifmap_capacity
        )
        if not fits and length > 1:
            count = _emit(
                rows, count,
                (tile, batch, channel, channel + 1, first, tap, run_taps, run_taps * is_own,
                 run_taps * tag_bits, run_hits, filter_words * (tap - first), run_ifmap, run_tags),
            )  # fmt: skip
            runs[0] += 1
            first = tap
            run_taps = run_hits = run_ifmap = run_tags = 0
            continue
        if not fits:
            if filter_words > filter_capacity:
                need_filter = max(need_filter, filter_words)
            if new_ifmap + new_tags > ifmap_capacity:
                need_ifmap = max(need_ifmap, new_ifmap + new_tags)
        run_taps += streamed[field.taps[k, FIRST] + inner]
        run_hits += hit
        run_ifmap += new_ifmap
        run_tags += new_tags
        tap += 1
    count = _emit(
        rows, count,
        (tile, batch, channel, channel + 1, first, filter_taps, run_taps, run_taps * is_own,
         run_taps * tag_bits, run_hits, filter_words * (filter_taps - first), run_ifmap, run_tags),
    )  # fmt: skip
    return count, need_filter, need_ifmap
