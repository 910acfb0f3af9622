"""What stays in which buffer for how long (Section 5, Residency)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.tags import spmb_tags
from spikex_sim.schedules.base import Handover
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule


@dataclass(frozen=True)
class Blocks:
    """Which SP-MBs and filters a schedule's tiles need, for every row group alike.

    Attributes
    ----------
    spmb : bool array ``[tiles, C]``
        SP-MBs that move to the GLB.
    filters : bool array ``[tiles, C]``
        Channels whose filters move.
    words : int64 array ``[tiles]``
        (pixel, window) words of one SP-MB; each is ``TWS`` bits and one tag bit.
    """

    spmb: NDArray[np.bool_]
    filters: NDArray[np.bool_]
    words: NDArray[np.int64]

    @cached_property
    def tile_words(self) -> NDArray[np.int64]:
        """Words that each tile needs, in all its SP-MBs."""
        words: NDArray[np.int64] = self.spmb.sum(axis=1) * self.words
        return words

    @cached_property
    def words_in_all(self) -> int:
        """Words that the tiles need, one after the other."""
        return int(self.tile_words.sum())

    @cached_property
    def words_if_merged(self) -> int:
        """Words of the tiles if each needed all SP-MBs that any of them needs."""
        return int(np.count_nonzero(self.spmb.any(axis=0)) * self.words.sum())

    @cached_property
    def tile_filters(self) -> NDArray[np.int64]:
        """Channels whose filters each tile needs."""
        filters: NDArray[np.int64] = self.filters.sum(axis=1)
        return filters

    @cached_property
    def filters_in_all(self) -> int:
        """Channels whose filters any tile needs."""
        return int(np.count_nonzero(self.filters.any(axis=0)))


def blocks_of(schedule: NtwuSchedule) -> Blocks:
    """Find the SP-MBs and filters that move; only active ones where the schedule is tailored."""
    spikes = schedule.spikes
    active, pixels = spmb_tags(schedule.geometry, spikes.tags, spikes.counts, schedule.tiles)
    words = pixels * (schedule.tiles[:, 3] - schedule.tiles[:, 2])
    if not schedule.tailored:
        everything = np.ones_like(active)
        return Blocks(everything, everything, words)
    if schedule.streamed is not None:
        streams = np.zeros_like(active)
        tile_of = np.repeat(np.arange(len(schedule.tiles)), np.diff(schedule.tile_batches))
        np.logical_or.at(streams, tile_of, schedule.surveyed.taps > 0)
        return Blocks(active, streams, words)
    if schedule.stream == "all":
        issued = np.diff(schedule.tile_batches) > 0
        return Blocks(active, np.broadcast_to(issued[:, None], active.shape), words)
    return Blocks(active, active, words)


@dataclass(frozen=True)
class Residency:
    """Scope of each tensor at each level: how long a load is good for.

    Attributes
    ----------
    glb_filter : {"group", "tile", "step"}
        Loaded once per row group, per tile, or with each step.
    glb_ifmap : {"layer", "tile", "kept"}
        Loaded once per layer, or per tile of every row group, or not at all: the layer before left it there.
    glb_ofmap : {"sent", "kept"}
        Written to DRAM, or left for the next layer.
    lbuf_filter : {"group", "step"}
        Loaded once per row group, or with each step.
    """

    glb_filter: Literal["group", "tile", "step"]
    glb_ifmap: Literal["layer", "tile", "kept"]
    glb_ofmap: Literal["sent", "kept"]
    lbuf_filter: Literal["group", "step"]


def choose_residency(
    schedule: NtwuSchedule, blocks: Blocks, channel_filter_bits: int, arch: Accelerator, handover: Handover
) -> Residency:
    """Choose the widest scope that fits, once per layer.

    Parameters
    ----------
    schedule, blocks
        The layer's schedule and what its tiles need.
    channel_filter_bits : int
        Bits of one input channel's filter for a full row group, ``E_h * E_w * min(rows, M) * weight bits``.
    arch : Accelerator
        Buffers and partitions.
    handover : Handover
        What the layers around have in the GLB.
    """
    glb, lbuf = arch.memory.glb, arch.memory.lbuf
    fits = schedule.shape.fits_all or stored_bits(schedule) <= glb.half_bits("ofmap")
    glb_ofmap: Literal["sent", "kept"] = "kept" if handover.output_wanted and fits else "sent"
    if schedule.shape.fits_all:
        return Residency("group", "kept" if handover.input_kept else "layer", glb_ofmap, "group")
    glb_filter_half = glb.half_bits("filter")
    group_bits = blocks.filters_in_all * channel_filter_bits
    tile_bits = int(blocks.tile_filters.max()) * channel_filter_bits
    spmb_bits = blocks.words_in_all * (schedule.tws + 1)
    glb_filter: Literal["group", "tile", "step"] = "step"
    if group_bits <= glb_filter_half:
        glb_filter = "group"
    elif tile_bits <= glb_filter_half:
        glb_filter = "tile"
    glb_ifmap: Literal["layer", "tile", "kept"] = "tile"
    if handover.input_kept:
        glb_ifmap = "kept"
    elif spmb_bits <= glb.half_bits("ifmap"):
        glb_ifmap = "layer"
    in_lbuf = glb_filter == "group" and group_bits <= lbuf.half_bits("filter")
    return Residency(
        glb_filter=glb_filter,
        glb_ifmap=glb_ifmap,
        glb_ofmap=glb_ofmap,
        lbuf_filter="group" if in_lbuf else "step",
    )


def stored_bits(schedule: NtwuSchedule) -> int:
    """Bits of a layer's outputs as they are stored: spikes of what is issued, tags of all."""
    issued, units = len(schedule.position), schedule.geometry.positions * schedule.windows
    return schedule.groups.out_channels * (issued * schedule.tws + units)
