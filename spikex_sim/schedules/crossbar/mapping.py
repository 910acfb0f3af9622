"""Where a layer's weights lie: rows in blocks, blocks in PEs, PEs in tiles, tiles on the mesh (Section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.geometry import Geometry
from spikex_sim.schedules.crossbar.options import CrossbarOptions

MAX_TILES = 1 << 16
"""Most tiles of a chip."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerMapping:
    """Crossbars of one layer.

    Taps are numbered ``k C + c``: kernel positions ``k`` row-major, channels ``c`` within.

    Attributes
    ----------
    channels, places : int
        Input channels ``C`` and kernel positions ``K``.
    out_channels : int
        Output channels ``M``.
    block_of : int64 array ``[K C]``
        Block of each tap; a block's rows are its taps in ascending order.
    row_of_block : int64 array ``[n_b]``
        PE row ``q`` of each block.
    crossbar : int
        Rows and columns ``X`` of a crossbar.
    crossbars_per_pe, pes_per_tile : int
        Of a PE, of a tile.
    columns_per_weight : int
        Columns ``D S`` of a weight.
    """

    channels: int
    places: int
    out_channels: int
    block_of: Ints
    row_of_block: Ints
    crossbar: int
    crossbars_per_pe: int
    pes_per_tile: int
    columns_per_weight: int

    @classmethod
    def of(cls, name: str, geometry: Geometry, out_channels: int, arch: CrossbarOptions) -> LayerMapping:
        """Map a layer; the same object for equal layers and configurations.

        Raises
        ------
        ConfigError
            If a crossbar does not hold the columns of one weight, or tiles are too many.
        """
        imc = arch.imc
        size = imc.crossbar
        columns = arch.columns_per_weight
        if columns > size:
            raise ConfigError(
                f"a weight of layer {name} takes {columns} columns, a crossbar has {size}; the smallest that "
                f"works is {columns}",
                where=arch.name, field="imc.crossbar",
            )  # fmt: skip
        made = _mapped(
            geometry.channels, geometry.filter_taps, out_channels, imc.mapping, size, imc.crossbars_per_pe,
            imc.pes_per_tile, columns,
        )  # fmt: skip
        if made.tiles > MAX_TILES:
            raise ConfigError(
                f"layer {name} takes {made.tiles:,} tiles; at most {MAX_TILES:,} are simulated",
                where=arch.name, field="imc.crossbar",
            )  # fmt: skip
        return made

    @property
    def blocks(self) -> int:
        """Blocks ``n_b``: crossbars of a column group."""
        return len(self.row_of_block)

    @cached_property
    def rows(self) -> Ints:
        """Rows in use ``R_b`` of each block."""
        return np.bincount(self.block_of, minlength=self.blocks)

    @property
    def pe_rows(self) -> int:
        """PE rows ``Q``."""
        return int(self.row_of_block[-1]) + 1

    @property
    def width(self) -> int:
        """Output channels ``W`` of a crossbar."""
        return self.crossbar // self.columns_per_weight

    @property
    def column_groups(self) -> int:
        """Column groups ``n_g``."""
        return -(-self.out_channels // self.width)

    @cached_property
    def group_sizes(self) -> Ints:
        """Output channels ``m_g`` of each column group."""
        sizes = np.full(self.column_groups, self.width, np.int64)
        sizes[-1] = self.out_channels - self.width * (self.column_groups - 1)
        return sizes

    @property
    def pes(self) -> int:
        """PEs ``n_pe``; PE ``g Q + q`` is that of column group ``g`` and PE row ``q``."""
        return self.pe_rows * self.column_groups

    @property
    def tiles(self) -> int:
        """Tiles of the layer."""
        return -(-self.pes // self.pes_per_tile)

    @property
    def cell_utilization(self) -> float:
        """Share of the cells that hold a part of a weight."""
        used = int(self.rows.sum()) * self.out_channels * self.columns_per_weight
        return used / (self.pes * self.crossbars_per_pe * self.crossbar**2)

    @cached_property
    def parts(self) -> Ints:
        """What tiles hold of column groups, ``[parts, 4]``: tile, group, PE rows from and up to."""
        found = []
        for group in range(self.column_groups):
            first = 0
            while first < self.pe_rows:
                number = group * self.pe_rows + first
                tile = number // self.pes_per_tile
                last = min(self.pe_rows, (tile + 1) * self.pes_per_tile - group * self.pe_rows)
                found.append((tile, group, first, last))
                first = last
        return np.array(found, np.int64)

    def channels_of_rows(self) -> NDArray[np.bool_]:
        """Input channels that each PE row has rows for, ``[Q, C]``."""
        has = np.zeros((self.pe_rows, self.channels), np.bool_)
        channel = np.arange(len(self.block_of)) % self.channels
        has[self.row_of_block[self.block_of], channel] = True
        return has

    def rows_of_tiles(self, hops: Ints) -> tuple[list[NDArray[np.bool_]], Ints, Ints]:
        """PE rows that tiles hold: each set of them ``[Q]``, tiles that hold it, and their hops together."""
        tile = np.arange(self.tiles)
        start = tile * self.pes_per_tile
        length = np.minimum(self.pes_per_tile, self.pes - start)
        spans = np.stack([start % self.pe_rows, np.minimum(length, self.pe_rows)], axis=1)
        kinds, kind = np.unique(spans, axis=0, return_inverse=True)
        number, far = np.zeros(len(kinds), np.int64), np.zeros(len(kinds), np.int64)
        np.add.at(number, kind.reshape(-1), 1)
        np.add.at(far, kind.reshape(-1), hops)
        held = [np.isin(np.arange(self.pe_rows), (first + np.arange(n)) % self.pe_rows) for first, n in kinds]
        return held, number, far


def side_of(tiles: int) -> int:
    """Nodes ``d`` along a side of the mesh of so many tiles and the global node."""
    return isqrt(tiles) + 1


def places_on_mesh(tiles: int) -> Ints:
    """Row and column of every tile ``[tiles, 2]``: row-major, around the global node in the middle."""
    side = side_of(tiles)
    nodes = np.arange(side * side)
    nodes = nodes[nodes != (side // 2) * (side + 1)][:tiles]
    return np.stack(np.divmod(nodes, side), axis=1)


@lru_cache(maxsize=128)
def _mapped(
    channels: int, places: int, out_channels: int, order: str, size: int, per_pe: int, pes_per_tile: int,
    columns: int,
) -> LayerMapping:  # fmt: skip
    tap = np.arange(channels * places, dtype=np.int64)
    if order == "kernel":
        place, channel = np.divmod(tap, channels)
        block_of = channel // size * places + place
        block = np.arange(-(-channels // size) * places, dtype=np.int64)
        group, place = np.divmod(block, places)
        if places >= per_pe:
            row_of_block = group * -(-places // per_pe) + place // per_pe
        else:
            row_of_block = group // (per_pe // places)
    else:
        block_of = tap // size
        row_of_block = np.arange(int(block_of[-1]) + 1, dtype=np.int64) // per_pe
    return LayerMapping(
        channels, places, out_channels, block_of, row_of_block, size, per_pe, pes_per_tile, columns
    )


@dataclass(frozen=True, eq=False)
class Mesh:
    """Tiles of all layers around the global node.

    Attributes
    ----------
    layers : tuple of LayerMapping
        In order.
    """

    layers: tuple[LayerMapping, ...]

    @property
    def tiles(self) -> int:
        """Tiles of the chip."""
        return sum(one.tiles for one in self.layers)

    @property
    def side(self) -> int:
        """Nodes ``d`` along a side."""
        return side_of(self.tiles)

    @property
    def node(self) -> tuple[int, int]:
        """Row and column of the global node."""
        return self.side // 2, self.side // 2

    @cached_property
    def places(self) -> Ints:
        """Row and column of every tile ``[tiles, 2]``, in layer order."""
        return places_on_mesh(self.tiles)

    def hops(self) -> list[Ints]:
        """Hops of every tile to the global node, by layer."""
        distance = np.abs(self.places - np.array(self.node)).sum(axis=1)
        ends = np.cumsum([one.tiles for one in self.layers])
        return np.split(distance, ends[:-1])


def mesh_of(layers: Sequence[LayerMapping], arch: CrossbarOptions) -> Mesh:
    """Place the tiles of a network.

    Raises
    ------
    ConfigError
        If they are too many.
    """
    mesh = Mesh(tuple(layers))
    if mesh.tiles > MAX_TILES:
        raise ConfigError(
            f"the network takes {mesh.tiles:,} tiles; at most {MAX_TILES:,} are simulated",
            where=arch.name, field="imc.crossbar",
        )  # fmt: skip
    return mesh
