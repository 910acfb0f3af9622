"""What stays in which buffer for how long (Section 5, Residency)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import FILTER_TAPS, FILTERS, OF_SYNAPSE, OWN, TAG_WIDTH, WIDTH, spmb_tags
from spikex_sim.schedules.base import Handover
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule


@dataclass(frozen=True)
class SpMbs:
    """SP-MBs that the tiles of a schedule need in the GLB.

    Attributes
    ----------
    needed : bool array ``[tiles, C]``
        Which.
    pairs : int64 array ``[tiles, synapses]``
        (pixel, window) pairs of one of them.
    word_bits, tag_bits : int64 array ``[C]`` or int
        What each pair takes, in bits; a number where there is one synapse.
    synapse : int64 array ``[C]`` or None
        Synapse of each channel, where there are several or none.
    runs : int
        Runs that the tiles belong to, in equal parts.
    """

    needed: NDArray[np.bool_]
    pairs: NDArray[np.int64]
    word_bits: NDArray[np.int64] | int
    tag_bits: NDArray[np.int64] | int
    synapse: NDArray[np.int64] | None
    runs: int

    @cached_property
    def ifmap_bits(self) -> NDArray[np.int64]:
        """Bits of spikes that each tile needs."""
        return self._bits(self.needed, self.word_bits)

    @cached_property
    def tags(self) -> NDArray[np.int64]:
        """Bits of tags that each tile needs."""
        return self._bits(self.needed, self.tag_bits)

    @cached_property
    def run_bits(self) -> list[tuple[int, int]]:
        """Bits of spikes and of tags in each run."""
        if self.runs == 1:
            return [(int(self.ifmap_bits.sum()), int(self.tags.sum()))]
        parts = (bits.reshape(self.runs, -1).sum(axis=1).tolist() for bits in (self.ifmap_bits, self.tags))
        return list(zip(*parts, strict=True))

    @property
    def merged_bits(self) -> int:
        """Bits of the tiles if each needed all SP-MBs that any of them needs."""
        needed = self.needed.any(axis=0)
        if self.synapse is None:
            return int(np.count_nonzero(needed) * self.pairs.sum() * (self.word_bits + self.tag_bits))
        return int(
            self._bits(np.broadcast_to(needed, self.needed.shape), self.word_bits + self.tag_bits).sum()
        )

    @property
    def largest_bits(self) -> int:
        """Bits of the largest tile with all its channels."""
        if self.synapse is None:
            return int(self.pairs.max() * self.needed.shape[1] * (self.word_bits + self.tag_bits))
        each = np.zeros(self.pairs.shape[1], np.int64)
        np.add.at(each, self.synapse, self.word_bits + self.tag_bits)
        return int((self.pairs @ each).max(initial=0))

    def of(self, mine: NDArray[np.bool_]) -> SpMbs:
        """Those of some channels."""
        return replace(self, needed=self.needed & mine)

    @cached_property
    def _blocks(self) -> NDArray[np.int64]:
        blocks: NDArray[np.int64] = self.needed.sum(axis=1) * self.pairs[:, 0]
        return blocks

    def _bits(self, needed: NDArray[np.bool_], each: NDArray[np.int64] | int) -> NDArray[np.int64]:
        bits: NDArray[np.int64]
        bits = self._blocks * each if self.synapse is None else (needed * self.pairs[:, self.synapse]) @ each
        return bits


@dataclass(frozen=True)
class Blocks:
    """What the tiles of a schedule need for one row group, or for each of several that are alike.

    Attributes
    ----------
    first, rows, times : int
        First output channel of the (first) group, how many it has, and how many such groups follow.
    spmbs : SpMbs
        SP-MBs.
    filters : bool array ``[tiles, filters]``
        Filters that move: one for each weight array and channel.
    each : int64 array ``[filters]`` or int
        Weights of each filter, of all rows.
    """

    first: int
    rows: int
    times: int
    spmbs: SpMbs
    filters: NDArray[np.bool_]
    each: NDArray[np.int64] | int

    @cached_property
    def tile_words(self) -> NDArray[np.int64]:
        """Weights that each tile needs."""
        if isinstance(self.each, int):
            alike: NDArray[np.int64] = self.filters.sum(axis=1) * self.each
            return alike
        words: NDArray[np.int64] = self.filters @ self.each
        return words

    @cached_property
    def words_in_all(self) -> int:
        """Weights that any tile needs."""
        needed = self.filters.any(axis=0)
        if isinstance(self.each, int):
            return int(np.count_nonzero(needed)) * self.each
        return int(self.each[needed].sum())


def blocks_of(schedule: NtwuSchedule) -> tuple[SpMbs, list[Blocks]]:
    """Find the SP-MBs and filters that move; only active ones where the schedule is tailored.

    Returns
    -------
    SpMbs, list of Blocks
        What all row groups need together, and what each of them needs; those in a row that are alike once.
    """
    inputs, tiles = schedule.task.inputs, schedule.tiles
    channels = inputs.channels
    spmb, pixels = spmb_tags(
        inputs.field, len(channels), len(inputs.synapses), inputs.tags, inputs.counts, tiles
    )
    streams = spmb
    if not schedule.tailored:
        spmb = streams = np.ones_like(spmb)
    elif schedule.streamed is not None:
        streams = np.zeros_like(spmb)
        tile_of = np.repeat(np.arange(len(tiles)), np.diff(schedule.tile_batches))
        np.logical_or.at(streams, tile_of, schedule.surveyed.taps > 0)
    elif schedule.stream == "all":
        streams = np.broadcast_to((np.diff(schedule.tile_batches) > 0)[:, None], spmb.shape)
    filters = streams
    if len(inputs.synapses) > 1:
        filters = np.zeros((len(tiles), int(channels[:, FILTERS].max()) + 1), np.bool_)
        np.logical_or.at(filters.T, channels[:, FILTERS], streams.T)
    windows = (tiles[:, 3] - tiles[:, 2])[:, None]
    if len(inputs.synapses) == 1 and not schedule.task.has_own:
        only = inputs.synapses[0]
        every = SpMbs(spmb, pixels * windows, only.bits * schedule.tws, int(only.tagged), None, schedule.runs)
    else:
        every = SpMbs(
            spmb, pixels * windows, channels[:, WIDTH] * schedule.tws, channels[:, TAG_WIDTH],
            channels[:, OF_SYNAPSE], schedule.runs,
        )  # fmt: skip
    sizes = schedule.groups.sizes
    found = list[Blocks]()
    if not schedule.task.has_own:
        first = 0
        for rows in dict.fromkeys(sizes):
            words: NDArray[np.int64] | int = channels[:, FILTER_TAPS][0] * rows if len(channels) else 0
            if len(inputs.synapses) > 1:
                words = np.zeros(filters.shape[1], np.int64)
                words[channels[:, FILTERS]] = channels[:, FILTER_TAPS] * rows
            else:
                words = int(words)
            times = sizes.count(rows)
            found.append(Blocks(first, rows, times, every, filters, words))
            first += rows * times
        return every, found
    for number, rows in enumerate(sizes):
        first = number * schedule.groups.rows
        mine = (channels[:, OWN] < 0) | ((channels[:, OWN] >= first) & (channels[:, OWN] < first + rows))
        words = np.zeros(filters.shape[1], np.int64)
        words[channels[:, FILTERS]] = channels[:, FILTER_TAPS] * np.where(channels[:, OWN] < 0, rows, mine)
        found.append(Blocks(first, rows, 1, every.of(mine), filters, words))
    return every, found


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
    tile_bits = bits * max(int(one.tile_words.max()) for one in groups)
    layer_bits = bits * sum(one.words_in_all * one.times for one in groups)
    glb_filter: Literal["layer", "group", "tile", "step"] = "step"
    if by_run and layer_bits <= glb.half_bits("filter"):
        glb_filter = "layer"
    elif group_bits <= glb.half_bits("filter"):
        glb_filter = "group"
    elif tile_bits <= glb.half_bits("filter"):
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
