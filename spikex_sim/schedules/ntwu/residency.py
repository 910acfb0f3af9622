"""What stays in which buffer for how long (Section 5, Residency)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import FILTER_TAPS, FILTERS, OF_SYNAPSE, OWN, TAG_WIDTH, WIDTH, spmb_tags
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.base import Handover
from spikex_sim.schedules.ntwu.survey import STREAMED
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule

SPIKES, TAGS, MERGED, WHOLE = range(4)
"""What a row of :func:`_spmb_bits` says of every tile."""


@dataclass(frozen=True)
class SpMbs:
    """SP-MBs that the tiles of a schedule need in the GLB, for all row groups together.

    Attributes
    ----------
    run_bits : list of (int, int)
        Bits of spikes and of tags in each run.
    merged_bits : int
        Bits of the tiles if each needed all SP-MBs that any of them needs.
    largest_bits : int
        Bits of the largest tile with all its channels.
    """

    run_bits: list[tuple[int, int]]
    merged_bits: int
    largest_bits: int


@dataclass(frozen=True)
class Blocks:
    """What the tiles of a schedule need for one row group, or for each of several that are alike.

    Attributes
    ----------
    first, rows, times : int
        First output channel of the (first) group, how many it has, and how many such groups follow.
    spmb_bits : int64 array ``[>= 2, tiles]``
        Bits of :data:`SPIKES` and :data:`TAGS` that each tile needs.
    tile_words : int64 array ``[tiles]``
        Weights that each tile needs.
    words_in_all : int
        Weights that any tile needs.
    """

    first: int
    rows: int
    times: int
    spmb_bits: NDArray[np.int64]
    tile_words: NDArray[np.int64]
    words_in_all: int


def blocks_of(schedule: NtwuSchedule) -> tuple[SpMbs, list[Blocks]]:
    """Find the SP-MBs and filters that move; only active ones where the schedule is tailored.

    Returns
    -------
    SpMbs, list of Blocks
        What all row groups need together, and what each of them needs; those in a row that are alike once.
    """
    task, tiles, sizes = schedule.task, schedule.tiles, schedule.groups.sizes
    inputs, table = task.inputs, task.inputs.field.channels
    spmb, pixels = spmb_tags(inputs.field, len(inputs.synapses), inputs.tags, inputs.counts, tiles)
    streams = spmb
    if not schedule.tailored:
        spmb = streams = np.ones_like(spmb)
    elif schedule.streamed is not None:
        streams = np.zeros_like(spmb)
        tile_of = np.repeat(np.arange(len(tiles)), np.diff(schedule.tile_batches))
        np.logical_or.at(streams, tile_of, schedule.surveyed.counts[STREAMED] > 0)
    elif schedule.stream == "all":
        streams = np.repeat(np.diff(schedule.tile_batches) > 0, spmb.shape[1]).reshape(spmb.shape)
    bits = _spmb_bits(spmb, pixels, tiles, table, task.tws, 0, task.out_channels)
    by_run = bits.reshape(len(bits), schedule.runs, -1).sum(axis=2).tolist()
    run_bits = list(zip(by_run[SPIKES], by_run[TAGS], strict=True))
    every = SpMbs(run_bits, sum(by_run[MERGED]), max(bits[WHOLE].tolist()))
    parts = [(rows, sizes.count(rows)) for rows in dict.fromkeys(sizes)]
    if task.has_own:
        parts = [(rows, 1) for rows in sizes]
    found, first = list[Blocks](), 0
    for rows, times in parts:
        if task.has_own:
            bits = _spmb_bits(spmb, pixels, tiles, table, task.tws, first, rows)
        words = _words(streams, table, first, rows)
        found.append(Blocks(first, rows, times, bits, words[:-1], int(words[-1])))
        first += rows * times
    return every, found


@kernel
def _spmb_bits(
    spmb: NDArray[np.bool_],
    pixels: NDArray[np.int64],
    tiles: NDArray[np.int64],
    channel_of: NDArray[np.int64],
    tws: int,
    first_row: int,
    rows: int,
) -> NDArray[np.int64]:
    """Bits of the SP-MBs of each tile that some rows need, ``[4, tiles]``; ``pixels [tiles, synapses]``."""
    count, channels = spmb.shape
    merged = np.zeros(channels, np.bool_)
    for tile in range(count):
        merged |= spmb[tile]
    bits = np.zeros((4, count), np.int64)
    for tile in range(count):
        windows = tiles[tile, 3] - tiles[tile, 2]
        spikes = tags = together = whole = 0
        for channel in range(channels):
            own = channel_of[OWN, channel]
            mine = own < 0 or first_row <= own < first_row + rows
            pairs = pixels[tile, channel_of[OF_SYNAPSE, channel]] * windows * mine
            word, tag = pairs * channel_of[WIDTH, channel] * tws, pairs * channel_of[TAG_WIDTH, channel]
            spikes += spmb[tile, channel] * word
            tags += spmb[tile, channel] * tag
            together += merged[channel] * (word + tag)
            whole += word + tag
        bits[SPIKES, tile], bits[TAGS, tile], bits[MERGED, tile], bits[WHOLE, tile] = (
            spikes, tags, together, whole,
        )  # fmt: skip
    return bits


@kernel
def _words(
    streams: NDArray[np.bool_], channel_of: NDArray[np.int64], first_row: int, rows: int
) -> NDArray[np.int64]:
    """Weights that some rows need in each tile, and in any, ``[tiles + 1]``; shared filters count once."""
    tiles, channels = streams.shape
    filters = channel_of[FILTERS].max() + 1 if channels > 0 else 0
    each, moves = np.zeros(filters, np.int64), np.zeros((tiles + 1, filters), np.bool_)
    words = np.zeros(tiles + 1, np.int64)
    for channel in range(channels):
        own, number = channel_of[OWN, channel], channel_of[FILTERS, channel]
        if own < 0:
            each[number] = channel_of[FILTER_TAPS, channel] * rows
        elif first_row <= own < first_row + rows:
            each[number] = channel_of[FILTER_TAPS, channel]
        for tile in range(tiles):
            moves[tile, number] |= streams[tile, channel]
            moves[tiles, number] |= streams[tile, channel]
    for tile in range(tiles + 1):
        total = 0
        for number in range(filters):
            total += moves[tile, number] * each[number]
        words[tile] = total
    return words


@dataclass(frozen=True)
class Residency:
    """Scope of each tensor at each level: how long a load is good for.

    Attributes
    ----------
    glb_filter : {"layer", "group", "tile", "step"}
        Loaded once, once per row group (and run), per tile, or with each step.
    glb_ifmap : {"layer", "run", "tile", "kept"}
        Loaded once per layer or run, or per tile of every row group, or not at all: the layer before left it
        there.
    glb_ofmap : {"sent", "kept"}
        Written to DRAM, or left for the next layer.
    lbuf_filter : {"layer", "group", "step"}
        Loaded once, once per row group (and run), or with each step.
    """

    glb_filter: Literal["layer", "group", "tile", "step"]
    glb_ifmap: Literal["layer", "run", "tile", "kept"]
    glb_ofmap: Literal["sent", "kept"]
    lbuf_filter: Literal["layer", "group", "step"]


def choose_residency(
    schedule: NtwuSchedule, spmbs: SpMbs, groups: Sequence[Blocks], arch: Accelerator, handover: Handover
) -> Residency:
    """Choose the widest scope that fits, once per layer.

    Parameters
    ----------
    schedule : NtwuSchedule
        The layer's schedule.
    spmbs : SpMbs
        SP-MBs that the tiles of all row groups need.
    groups : sequence of Blocks
        What the tiles of each row group need.
    arch : Accelerator
        Buffers and partitions.
    handover : Handover
        What the layers around have in the GLB.
    """
    glb, lbuf, by_run = arch.memory.glb, arch.memory.lbuf, schedule.shape.by_run
    fits = schedule.shape.fits_all or stored_bits(schedule) <= glb.half_bits("ofmap")
    glb_ofmap: Literal["sent", "kept"] = "kept" if handover.output_wanted and fits else "sent"
    once: Literal["layer", "run"] = "run" if by_run else "layer"
    all_filters: Literal["layer", "group"] = "layer" if by_run else "group"
    if schedule.shape.fits_all:
        ifmap = "kept" if handover.input_kept else once
        return Residency(all_filters, ifmap, glb_ofmap, all_filters)
    bits = schedule.task.widths.weight
    group_bits = bits * max(one.words_in_all for one in groups)
    layer_bits = bits * sum(one.words_in_all * one.times for one in groups)
    glb_filter: Literal["layer", "group", "tile", "step"] = "step"
    if by_run and layer_bits <= glb.half_bits("filter"):
        glb_filter = "layer"
    elif group_bits <= glb.half_bits("filter"):
        glb_filter = "group"
    elif bits * max(int(one.tile_words.max()) for one in groups) <= glb.half_bits("filter"):
        glb_filter = "tile"
    glb_ifmap: Literal["layer", "run", "tile", "kept"] = "tile"
    if handover.input_kept:
        glb_ifmap = "kept"
    elif max(map(sum, spmbs.run_bits)) <= glb.half_bits("ifmap"):
        glb_ifmap = once
    lbuf_filter: Literal["layer", "group", "step"] = "step"
    if glb_filter == "layer" and layer_bits <= lbuf.half_bits("filter"):
        lbuf_filter = "layer"
    elif glb_filter in ("layer", "group") and group_bits <= lbuf.half_bits("filter"):
        lbuf_filter = "group"
    return Residency(glb_filter, glb_ifmap, glb_ofmap, lbuf_filter)


def stored_bits(schedule: NtwuSchedule) -> int:
    """Bits of a layer's spikes as they are stored: those of what is issued, and all tags."""
    task, issued = schedule.task, len(schedule.position)
    return task.out_channels * (issued * schedule.tws + task.positions * schedule.windows)
