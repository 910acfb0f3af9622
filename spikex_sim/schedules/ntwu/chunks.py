"""Cuts batches into chunks that fit the LBUF; every chunk is a step (Section 5, Step)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry, corner, widest_batch
from spikex_sim.schedules.ntwu.survey import slot_of

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule

UNLIMITED = np.iinfo(np.int64).max

FIELDS = (
    "tile",
    "batch",
    "first_channel",
    "last_channel",
    "first_tap",
    "last_tap",
    "taps",
    "hits",
    "filter_taps",
    "words",
    "tags",
)
TILE, BATCH, TAPS, HITS, FILTER_TAPS, WORDS, TAGS = map(
    FIELDS.index, ("tile", "batch", "taps", "hits", "filter_taps", "words", "tags")
)


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
        - ``taps``, ``hits``: streamed taps, and (column, tap) pairs with a set tag;
        - ``filter_taps``: taps whose weights the chunk needs in the LBUF, for each row;
        - ``words``, ``tags``: input words with a set tag and tag bits that move to the LBUF.
    need_filter_bits, need_ifmap_bits : int
        Largest single tap that did not fit; 0 where all did.
    """

    table: NDArray[np.int64]
    need_filter_bits: int
    need_ifmap_bits: int

    def __len__(self) -> int:
        return len(self.table)

    def __getattr__(self, name: str) -> NDArray[np.int64]:
        if name not in FIELDS:
            raise AttributeError(name)
        column: NDArray[np.int64] = self.table[:, FIELDS.index(name)]
        return column


def cut_chunks(
    schedule: NtwuSchedule, tap_filter_bits: int, filter_capacity_bits: int, ifmap_capacity_bits: int
) -> Chunks:
    """Cut the batches of one row group into chunks.

    Parameters
    ----------
    schedule : NtwuSchedule
        The schedule.
    tap_filter_bits : int
        Bits of one tap's weights over the rows in use.
    filter_capacity_bits, ifmap_capacity_bits : int
        LBUF halves; :data:`UNLIMITED` where the tensor is resident or everything fits.
    """
    found = schedule.surveyed
    arguments = (
        schedule.geometry, schedule.spikes.tags, schedule.tile_batches, schedule.batch_columns,
        schedule.position, schedule.window, schedule.tws, found.streamed, schedule.tailored, found.taps,
        found.hits, found.words, found.touched, tap_filter_bits, filter_capacity_bits, ifmap_capacity_bits,
    )  # fmt: skip
    guess = 6 * schedule.batches + len(schedule.tiles)
    table = np.empty((guess, len(FIELDS)), np.int64)
    count, need_filter, need_ifmap = _cut(*arguments, table)
    if count > guess:
        table = np.empty((count, len(FIELDS)), np.int64)
        _cut(*arguments, table)
    return Chunks(table[:count], int(need_filter), int(need_ifmap))


@njit(cache=True)
def _emit(rows: NDArray[np.int64], count: int, values: tuple[int, ...]) -> int:
    if count < len(rows):
        for field in range(len(values)):
            rows[count, field] = values[field]
    return count + 1


@njit(cache=True)
def _cut(
    geometry: Geometry,
    tags: NDArray[np.uint8],
    tile_batches: NDArray[np.int64],
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    tws: int,
    streamed: NDArray[np.uint8],
    tailored: bool,
    taps: NDArray[np.int32],
    hits: NDArray[np.int32],
    words: NDArray[np.int32],
    touched: NDArray[np.int64],
    tap_filter_bits: int,
    filter_capacity: int,
    ifmap_capacity: int,
    rows: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Fill ``rows`` as far as they go, and count; also the largest tap that does not fit."""
    channels = geometry.channels
    filter_taps = geometry.kernel_h * geometry.kernel_w
    widest = widest_batch(batch_columns)
    runs = np.zeros(1, np.int64)
    stamp = np.zeros((geometry.in_height * geometry.in_width, widest), np.int64)
    count = need_filter = need_ifmap = 0
    for tile in range(len(tile_batches) - 1):
        if tile_batches[tile] == tile_batches[tile + 1]:
            count = _emit(rows, count, (tile, -1, 0, 0, 0, filter_taps, 0, 0, 0, 0, 0))
        for b in range(tile_batches[tile], tile_batches[tile + 1]):
            chunks_before = count
            first = last = chunk_taps = chunk_hits = chunk_filter = chunk_words = chunk_tags = 0
            filled = False
            for channel in range(channels):
                streams = taps[b, channel] > 0
                active = words[b, channel] > 0
                if not (streams or active or not tailored):
                    continue
                own_filter = filter_taps if streams or not tailored else 0
                own_words = words[b, channel]
                own_tags = touched[b] if active or not tailored else 0
                alone = (
                    own_filter * tap_filter_bits <= filter_capacity
                    and own_words * tws + own_tags <= ifmap_capacity
                )
                joins = (
                    alone
                    and filled
                    and (chunk_filter + own_filter) * tap_filter_bits <= filter_capacity
                    and (chunk_words + own_words) * tws + chunk_tags + own_tags <= ifmap_capacity
                )
                if filled and not joins:
                    count = _emit(
                        rows, count,
                        (tile, b, first, last, 0, filter_taps, chunk_taps, chunk_hits, chunk_filter,
                         chunk_words, chunk_tags),
                    )  # fmt: skip
                    filled = False
                if not alone:
                    count, filter_bits, ifmap_bits = _cut_channel(
                        geometry, tags, position[batch_columns[b] : batch_columns[b + 1]],
                        window[batch_columns[b] : batch_columns[b + 1]], tws, streamed[b],
                        own_filter > 0, own_tags > 0, tile, b, channel, tap_filter_bits, filter_capacity,
                        ifmap_capacity, stamp, runs, rows, count,
                    )  # fmt: skip
                    need_filter = max(need_filter, filter_bits)
                    need_ifmap = max(need_ifmap, ifmap_bits)
                    continue
                if not filled:
                    first = channel
                    chunk_taps = chunk_hits = chunk_filter = chunk_words = chunk_tags = 0
                    filled = True
                last = channel + 1
                chunk_taps += taps[b, channel]
                chunk_hits += hits[b, channel]
                chunk_filter += own_filter
                chunk_words += own_words
                chunk_tags += own_tags
            if filled:
                count = _emit(
                    rows, count,
                    (tile, b, first, last, 0, filter_taps, chunk_taps, chunk_hits, chunk_filter, chunk_words,
                     chunk_tags),
                )  # fmt: skip
            if count == chunks_before:
                count = _emit(rows, count, (tile, b, 0, 0, 0, filter_taps, 0, 0, 0, 0, 0))
    return count, need_filter, need_ifmap


@njit(cache=True)
def _cut_channel(
    geometry: Geometry,
    tags: NDArray[np.uint8],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    tws: int,
    streamed: NDArray[np.uint8],
    moves_filter: bool,
    moves_tags: bool,
    tile: int,
    batch: int,
    channel: int,
    tap_filter_bits: int,
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
    filter_taps = geometry.kernel_h * geometry.kernel_w
    columns = len(position)
    slot = np.empty(columns, np.int64)
    for col in range(columns):
        slot[col] = slot_of(window, col)
    own_filter = 1 if moves_filter else 0
    need_filter = need_ifmap = 0
    runs[0] += 1
    first = run_taps = run_hits = run_words = run_tags = 0
    tap = 0
    while tap < filter_taps:
        hit = new_words = new_tags = 0
        for col in range(columns):
            y, x = corner(geometry, position[col])
            y += tap // geometry.kernel_w
            x += tap % geometry.kernel_w
            if not (0 <= y < geometry.in_height and 0 <= x < geometry.in_width):
                continue
            pixel = y * geometry.in_width + x
            tagged = tags[pixel, window[col], channel] > 0
            if tagged:
                hit += 1
            if stamp[pixel, slot[col]] != runs[0]:
                stamp[pixel, slot[col]] = runs[0]
                new_tags += 1 if moves_tags else 0
                new_words += 1 if tagged else 0
        length = tap - first + 1
        fits = (
            length * own_filter * tap_filter_bits <= filter_capacity
            and (run_words + new_words) * tws + run_tags + new_tags <= ifmap_capacity
        )
        if not fits and length > 1:
            count = _emit(
                rows, count,
                (tile, batch, channel, channel + 1, first, tap, run_taps, run_hits,
                 own_filter * (tap - first), run_words, run_tags),
            )  # fmt: skip
            runs[0] += 1
            first = tap
            run_taps = run_hits = run_words = run_tags = 0
            continue
        if not fits:
            if own_filter * tap_filter_bits > filter_capacity:
                need_filter = max(need_filter, tap_filter_bits)
            if new_words * tws + new_tags > ifmap_capacity:
                need_ifmap = max(need_ifmap, new_words * tws + new_tags)
        run_taps += streamed[tap * geometry.channels + channel]
        run_hits += hit
        run_words += new_words
        run_tags += new_tags
        tap += 1
    count = _emit(
        rows, count,
        (tile, batch, channel, channel + 1, first, filter_taps, run_taps, run_hits,
         own_filter * (filter_taps - first), run_words, run_tags),
    )  # fmt: skip
    return count, need_filter, need_ifmap
