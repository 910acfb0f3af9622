"""Cuts the folds of a dense array into chunks that fit the buffers, and counts what each of them touches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikex_sim.gemm import GemmSchedule
from spikex_sim.geometry import Geometry
from spikex_sim.memory.steps import PerStep


@dataclass(frozen=True)
class Chunks:
    """Chunks of one channel group in order, int64 or bool arrays ``[chunks]``.

    Attributes
    ----------
    fold, pass_of : int64 array
        Where the chunk belongs.
    r0, r1, k0, k1 : int64 array
        Rows and taps, last excluded.
    first, last : bool array
        Whether it is its fold's first or last chunk.
    stream_cycles, update_cycles : int64 array
        Cycles in which operands enter, and those of shared LIF units.
    filter_words, ifmap_words : int64 array
        Words that enter the array.
    outputs : int64 array
        Sums that become complete: updates, and words of the ofmap.
    potential_reads : int64 array
        Those of them whose neuron has a potential already.
    psum_reads, psum_writes : int64 array
        Incomplete sums that enter and leave the array.
    loads_ifmap : bool array
        Whether the chunk's ifmap words come anew.
    frames : int64 array
        Time points of the pass whose first row is in the chunk.
    channels : int64 array
        Input channels of its taps.
    """

    fold: PerStep
    pass_of: PerStep
    r0: PerStep
    r1: PerStep
    k0: PerStep
    k1: PerStep
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    stream_cycles: PerStep
    update_cycles: PerStep
    filter_words: PerStep
    ifmap_words: PerStep
    outputs: PerStep
    potential_reads: PerStep
    psum_reads: PerStep
    psum_writes: PerStep
    loads_ifmap: NDArray[np.bool_]
    frames: PerStep
    channels: PerStep

    def __len__(self) -> int:
        return len(self.fold)


def cut_folds(schedule: GemmSchedule, length: int, group_lanes: int) -> Chunks:
    """Cut every fold along what streams through the array.

    Parameters
    ----------
    schedule : GemmSchedule
        The folds.
    length : int
        Most taps (os), rows (ws) or channels (is) of a chunk.
    group_lanes : int
        Output channels of the group.
    """
    dataflow, geometry = schedule.dataflow, schedule.geometry
    pass_of, r0, r1, k0, k1 = schedule.folds.T
    streamed = {"os": k1 - k0, "ws": r1 - r0, "is": np.full(len(r0), group_lanes)}[dataflow]
    pieces = -(-streamed // length)
    fold = np.repeat(np.arange(len(pieces)), pieces)
    piece = np.arange(len(fold)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = piece * length
    size = np.minimum(length, streamed[fold] - start)
    pass_of, r0, r1, k0, k1 = (values[fold] for values in (pass_of, r0, r1, k0, k1))
    lanes = np.full(len(fold), group_lanes)
    if dataflow == "os":
        k0 = k0 + start
        k1 = k0 + size
    elif dataflow == "ws":
        r0 = r0 + start
        r1 = r0 + size
    else:
        lanes = size
    first, last = piece == 0, piece == pieces[fold] - 1
    rows, taps = r1 - r0, k1 - k0
    complete = k1 == geometry.taps
    leaves_sums = dataflow != "os"
    positions = schedule.positions_of_pass[pass_of]
    later = np.where(schedule.passes[pass_of, 2] > 0, r0, np.clip(positions, r0, r1))
    filter_words = taps * lanes
    if dataflow == "ws":
        filter_words = np.where(first, filter_words, 0)
    elif schedule.keeps_filters:
        filter_words = np.where(r0 == 0, filter_words, 0)
    update = {"os": complete * schedule.points, "ws": complete * rows, "is": 0 * rows}[dataflow]
    filter_taps = geometry.filter_taps
    return Chunks(
        fold=fold,
        pass_of=pass_of,
        r0=r0,
        r1=r1,
        k0=k0,
        k1=k1,
        first=first,
        last=last,
        stream_cycles=size * schedule.points,
        update_cycles=update * (min(schedule.lif_sharing, group_lanes) - 1),
        filter_words=filter_words,
        ifmap_words=np.where(first, rows * taps, 0) if dataflow == "is" else rows * taps,
        outputs=complete * rows * lanes,
        potential_reads=complete * (r1 - later) * lanes,
        psum_reads=(k0 > 0) * leaves_sums * rows * lanes,
        psum_writes=~complete * leaves_sums * rows * lanes,
        loads_ifmap=first if dataflow == "is" else np.ones(len(fold), bool),
        frames=-(-r1 // positions) + (-r0 // positions),
        channels=(k1 - 1) // filter_taps - k0 // filter_taps + 1,
    )


def tap_uses(geometry: Geometry) -> NDArray[np.int64]:
    """How many (output position, tap) pairs see each pixel of the map, ``[H * W]``."""

    def along(size: int, kernel: int, stride: int, pad: int, outputs: int) -> NDArray[np.int64]:
        at = (np.arange(outputs)[:, None] * stride - pad + np.arange(kernel)[None, :]).ravel()
        return np.bincount(at[(at >= 0) & (at < size)], minlength=size)

    rows = along(
        geometry.in_height, geometry.kernel_h, geometry.stride_h, geometry.pad_h, geometry.out_height
    )
    cols = along(geometry.in_width, geometry.kernel_w, geometry.stride_w, geometry.pad_w, geometry.out_width)
    return np.outer(rows, cols).ravel()
