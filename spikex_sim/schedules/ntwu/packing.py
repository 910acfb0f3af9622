"""Packing: how the NTWUs of a tile become batches of columns, and what a dispatch policy is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import Inputs
from spikex_sim.core.jit import kernel


@dataclass(frozen=True)
class TileShape:
    """How positions and windows are cut into tiles.

    Attributes
    ----------
    positions, windows : int
        Consecutive positions (row-major) and windows per tile; the last of each may be smaller.
    fits_all : bool
        One tile per row group as if the buffers were unlimited (``mapping.tile: layer``).
    by_run : bool
        Whether blocks of windows are the outer loop: each needs outputs of the one before.
    """

    positions: int
    windows: int
    fits_all: bool = False
    by_run: bool = False


class Knobs(NamedTuple):
    """Keys that dispatch policies read: those of ``spikex`` that begin with ``dispatch_``."""

    candidates: int = 16
    credit: float = 0.0
    batches: int = 4
    sort: str = "popcount"


class TileView(NamedTuple):
    """What a dispatch policy sees of a tile."""

    active: NDArray[np.bool_]
    """Active NTWUs ``[positions, windows]`` of the tile."""
    first_position: int
    first_window: int
    inputs: Inputs
    stream: str = "tap"
    """Which taps a batch streams: ``tap``, ``channel`` or ``all``."""
    knobs: Knobs = Knobs()


class DispatchSizes(NamedTuple):
    """What the hardware of a dispatch policy has to be sized for."""

    taps: int
    """Taps of one output position, with all channels."""
    positions: int
    """Of a tile."""
    windows: int
    """Of a tile."""
    cols: int
    knobs: Knobs = Knobs()


@dataclass(frozen=True)
class DispatchHardware:
    """What a policy's scheduler stores and compares; nothing where it issues NTWUs as their tags come.

    Attributes
    ----------
    candidates : int
        NTWUs in its window.
    tag_bits : int
        Tags of taps that it holds of each.
    comparators : int
        Candidates, or keys, that it compares at once.
    sort_depth, key_bits : int
        Entries that it sorts, and width of their keys.
    cycles_per_batch : int
        Cycles to choose the columns of a batch.
    compared_bits, stored_bits : int
        Bits of tags and keys compared, and written into its registers, for every batch.
    """

    candidates: int = 0
    tag_bits: int = 0
    comparators: int = 0
    sort_depth: int = 0
    key_bits: int = 0
    cycles_per_batch: int = 0
    compared_bits: int = 0
    stored_bits: int = 0

    @property
    def held_bits(self) -> int:
        """Bits of its window and of what it sorts."""
        return self.candidates * self.tag_bits + self.sort_depth * self.key_bits


NO_HARDWARE = DispatchHardware()


class Packing(NamedTuple):
    """A tile's NTWUs in issue order, as indices into the tile, and where each batch starts."""

    position: NDArray[np.int64]
    window: NDArray[np.int64]
    batch_starts: NDArray[np.int64]


class DispatchPolicy(Protocol):
    """Packs the active NTWUs of a tile into batches of at most ``cols`` columns."""

    def mode(self, active: NDArray[np.bool_], cols: int) -> str:
        """Decide once per layer, from its active NTWUs ``[P, N_TW]``: ``temporal`` or ``spatial``."""

    def pack(self, tile: TileView, cols: int, mode: str) -> Packing:
        """Order the tile's active NTWUs and cut them into batches; windows of a position ascend."""

    def hardware(self, sizes: DispatchSizes) -> DispatchHardware:
        """Declare what the scheduler stores and compares, and how long it takes."""


def pack_by_position(active: NDArray[np.bool_], cols: int) -> Packing:
    """For each position its active windows in ascending order, cut into runs of ``cols``."""
    position, window = np.nonzero(active)
    counts = active.sum(axis=1)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.arange(len(position)) - first
    return Packing(position, window, np.flatnonzero(rank % cols == 0))


def pack_across(active: NDArray[np.bool_], cols: int) -> Packing:
    """All active NTWUs sorted by position, then window, cut into runs of ``cols``."""
    position, window = np.nonzero(active)
    return Packing(position, window, np.arange(0, len(position), cols))


def pack_by_window(active: NDArray[np.bool_], cols: int) -> Packing:
    """All active NTWUs sorted by window, then position, cut into runs of ``cols``."""
    window, position = np.nonzero(active.T)
    return Packing(position, window, np.arange(0, len(position), cols))


@dataclass(frozen=True)
class Runs:
    """Packs the chosen NTWUs of tiles in runs of ``cols``, as :func:`pack_by_position` or by window.

    Attributes
    ----------
    chosen : bool array ``[P, N_TW]``
        NTWUs to issue.
    cols : int
        Columns of the array.
    by_window : bool
        By window, then position; else the windows of each position.
    across : bool
        Whether a run of windows goes on over the next position.
    """

    chosen: NDArray[np.bool_]
    cols: int
    by_window: bool
    across: bool = False

    def __call__(self, p0: int, p1: int, w0: int, w1: int) -> Packing:
        """Pack one tile."""
        by_position = pack_across if self.across else pack_by_position
        return (pack_by_window if self.by_window else by_position)(self.chosen[p0:p1, w0:w1], self.cols)

    def layer(self, tiles: NDArray[np.int64]) -> Issue:
        """Pack all tiles of a layer."""
        return Issue(*_pack_runs(self.chosen, tiles, self.cols, self.by_window, self.across))


class Issue(NamedTuple):
    """What a layer issues in which order; see :class:`Schedule`."""

    tile_batches: NDArray[np.int64]
    batch_columns: NDArray[np.int64]
    position: NDArray[np.int64]
    window: NDArray[np.int64]


def pack_tiles(pack: Callable[[int, int, int, int], Packing], tiles: NDArray[np.int64]) -> Issue:
    """Pack all tiles of a layer; :class:`Runs` at once."""
    return pack.layer(tiles) if isinstance(pack, Runs) else _tile_by_tile(tiles, pack)


def _tile_by_tile(tiles: NDArray[np.int64], pack: Callable[[int, int, int, int], Packing]) -> Issue:
    packings = [pack(*tile) for tile in tiles.tolist()]
    columns_before = np.cumsum([0] + [len(packing.position) for packing in packings])
    starts = [packing.batch_starts + columns_before[i] for i, packing in enumerate(packings)]
    placed = list(zip(packings, tiles, strict=True))
    return Issue(
        tile_batches=np.cumsum([0] + [len(packing.batch_starts) for packing in packings]),
        batch_columns=np.concatenate([*starts, columns_before[-1:]]).astype(np.int64),
        position=np.concatenate([packing.position + tile[0] for packing, tile in placed]),
        window=np.concatenate([packing.window + tile[2] for packing, tile in placed]),
    )


@kernel
def _pack_runs(
    chosen: NDArray[np.bool_], tiles: NDArray[np.int64], cols: int, by_window: bool, across: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    total = int(np.sum(chosen))
    position = np.empty(total, np.int64)
    window = np.empty(total, np.int64)
    starts = np.empty(total + 1, np.int64)
    tile_batches = np.zeros(len(tiles) + 1, np.int64)
    count = batches = 0
    for tile in range(len(tiles)):
        p0, p1, w0, w1 = tiles[tile]
        outer, inner = (w1 - w0, p1 - p0) if by_window else (p1 - p0, w1 - w0)
        run = 0
        for i in range(outer):
            if not (by_window or across):
                run = 0
            for j in range(inner):
                p, w = (p0 + j, w0 + i) if by_window else (p0 + i, w0 + j)
                if not chosen[p, w]:
                    continue
                if run % cols == 0:
                    starts[batches] = count
                    batches += 1
                position[count] = p
                window[count] = w
                count += 1
                run += 1
        tile_batches[tile + 1] = batches
    starts[batches] = count
    return tile_batches, starts[: batches + 1].copy(), position, window


def cut_tiles(positions: int, windows: int, shape: TileShape) -> NDArray[np.int64]:
    """Tiles ``[n, 4]`` in loop order: position sets outside, time blocks inside; by runs the other way."""
    sets, blocks = -(-positions // shape.positions), -(-windows // shape.windows)
    tiles = np.empty((sets, blocks, 4), np.int64)
    tiles[..., 0] = (np.arange(sets) * shape.positions)[:, None]
    tiles[..., 1] = np.minimum(tiles[..., 0] + shape.positions, positions)
    tiles[..., 2] = np.arange(blocks) * shape.windows
    tiles[..., 3] = np.minimum(tiles[..., 2] + shape.windows, windows)
    return np.ascontiguousarray(tiles.swapaxes(0, 1) if shape.by_run else tiles).reshape(-1, 4)
