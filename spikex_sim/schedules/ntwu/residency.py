"""What stays in which buffer for how long (Section 5, Residency)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import spmb_tags
from spikex_sim.schedules.base import Handover
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule


@dataclass(frozen=True)
class Blocks:
    """Which SP-MBs and filters the tiles of a schedule need, for one row group.

    Attributes
    ----------
    spmb : bool array ``[tiles, C]``
        SP-MBs that move to the GLB.
    filters : bool array ``[tiles, filters]``
        Filters that move: one for each weight array and channel.
    pairs : int64 array ``[tiles, synapses]``
        (pixel, window) pairs of one SP-MB.
    word_bits, tag_bits : int64 array ``[C]``
        What each pair takes, in bits.
    synapse : int64 array ``[C]``
        Synapse of each channel.
    filter_words : int64 array ``[filters]``
        Weights of each filter, of all rows.
    """

    spmb: NDArray[np.bool_]
    filters: NDArray[np.bool_]
    pairs: NDArray[np.int64]
    word_bits: NDArray[np.int64]
    tag_bits: NDArray[np.int64]
    synapse: NDArray[np.int64]
    filter_words: NDArray[np.int64]

    @cached_property
    def tile_ifmap_bits(self) -> NDArray[np.int64]:
        """Bits of spikes that each tile needs, in all its SP-MBs."""
        return self._bits(self.spmb, self.word_bits)

    @cached_property
    def tile_tag_bits(self) -> NDArray[np.int64]:
        """Bits of tags that each tile needs."""
        return self._bits(self.spmb, self.tag_bits)

    @cached_property
    def spmb_bits(self) -> NDArray[np.int64]:
        """Bits of the SP-MBs of each tile."""
        return self.tile_ifmap_bits + self.tile_tag_bits

    @cached_property
    def merged_bits(self) -> int:
        """Bits of the tiles if each needed all SP-MBs that any of them needs."""
        every = np.broadcast_to(self.spmb.any(axis=0), self.spmb.shape)
        return int(self._bits(every, self.word_bits + self.tag_bits).sum())

    @cached_property
    def tile_filter_words(self) -> NDArray[np.int64]:
        """Weights that each tile needs."""
        words: NDArray[np.int64]
        if self.pairs.shape[1] == 1 and self.filter_words[0] == self.filter_words[-1]:  # all are alike
            words = self.filters.sum(axis=1) * int(self.filter_words[0])
        else:
            words = self.filters @ self.filter_words
        return words

    @cached_property
    def filter_words_in_all(self) -> int:
        """Weights that any tile needs."""
        return int(self.filter_words[self.filters.any(axis=0)].sum())

    def _bits(self, spmb: NDArray[np.bool_], each: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.pairs.shape[1] == 1:  # all channels are alike
            alike: NDArray[np.int64] = spmb.sum(axis=1) * self.pairs[:, 0] * int(each[0])
            return alike
        bits: NDArray[np.int64] = (spmb * self.pairs[:, self.synapse]) @ each
        return bits


def blocks_of(schedule: NtwuSchedule) -> Blocks:
    """Find the SP-MBs and filters that move, of all rows; only active ones where the schedule is tailored."""
    inputs, tiles = schedule.task.inputs, schedule.tiles
    channels = inputs.channels
    spmb, pixels = spmb_tags(
        inputs.field, len(channels.own), len(inputs.synapses), inputs.tags, inputs.counts, tiles
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
        filters = np.zeros((len(tiles), int(channels.filters.max()) + 1), np.bool_)
        np.logical_or.at(filters.T, channels.filters, streams.T)
    return Blocks(
        spmb, filters, pixels * (tiles[:, 3] - tiles[:, 2])[:, None], channels.bits * schedule.tws,
        channels.tag_bits, channels.synapse, np.zeros(filters.shape[1], np.int64),
    )  # fmt: skip


def blocks_of_group(schedule: NtwuSchedule, blocks: Blocks, first_row: int, rows: int) -> Blocks:
    """What one row group needs of it: of channels that go to one row, those of its rows."""
    channels = schedule.task.inputs.channels
    words = np.zeros_like(blocks.filter_words)
    if not schedule.task.has_own:
        words[channels.filters] = channels.filter_taps * rows
        return replace(blocks, filter_words=words)
    mine = (channels.own < 0) | ((channels.own >= first_row) & (channels.own < first_row + rows))
    words[channels.filters] = channels.filter_taps * np.where(channels.own < 0, rows, mine)
    return replace(blocks, spmb=blocks.spmb & mine, filter_words=words)


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
    schedule: NtwuSchedule, groups: Sequence[Blocks], arch: Accelerator, handover: Handover
) -> Residency:
    """Choose the widest scope that fits, once per layer.

    Parameters
    ----------
    schedule : NtwuSchedule
        The layer's schedule.
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
    group_bits = bits * max(one.filter_words_in_all for one in groups)
    tile_bits = bits * max(int(one.tile_filter_words.max()) for one in groups)
    layer_bits = bits * sum(one.filter_words_in_all for one in groups)
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
    elif max(map(int, run_bits(schedule, groups))) <= glb.half_bits("ifmap"):
        glb_ifmap = once
    lbuf_filter: Literal["layer", "group", "step"] = "step"
    if glb_filter == "layer" and layer_bits <= lbuf.half_bits("filter"):
        lbuf_filter = "layer"
    elif glb_filter in ("layer", "group") and group_bits <= lbuf.half_bits("filter"):
        lbuf_filter = "group"
    return Residency(glb_filter, glb_ifmap, glb_ofmap, lbuf_filter)


def run_bits(schedule: NtwuSchedule, groups: Sequence[Blocks]) -> NDArray[np.int64]:
    """Bits of the SP-MBs that all row groups need in each run; one run where nothing comes back."""
    found = blocks_of(schedule) if schedule.task.has_own else groups[0]
    bits: NDArray[np.int64] = found.spmb_bits.reshape(schedule.runs, -1).sum(axis=1)
    return bits


def stored_bits(schedule: NtwuSchedule) -> int:
    """Bits of a layer's outputs as they are stored: spikes of what is issued, tags of all; or currents."""
    task, issued = schedule.task, len(schedule.position)
    if not task.states:
        return task.out_channels * issued * schedule.tws * task.widths.psum
    return task.out_channels * (issued * schedule.tws + task.positions * schedule.windows)
