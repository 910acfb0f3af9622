"""Networks on a crossbar chip: where their layers lie, and whose rows they wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry, geometry_of
from spikex_sim.schedules.crossbar.chip import Chip, ChipLayer
from spikex_sim.schedules.crossbar.mapping import LayerMapping, mesh_of
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.widths import psum_bits
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.plan import Stage


@dataclass(frozen=True, eq=False)
class MappedLayer:
    """A conv or linear layer of a network on a chip.

    Attributes
    ----------
    stage : int
        Its number among the stages.
    geometry : Geometry
        Sizes.
    mapping : LayerMapping
        Where its weights lie.
    sources : tuple of (int, int64 array ``[H_o]``)
        Layers, by their number on the chip, whose spikes it takes, and for each of its output rows the last
        row of theirs that it depends on.
    """

    stage: int
    geometry: Geometry
    mapping: LayerMapping
    sources: tuple[tuple[int, NDArray[np.int64]], ...]


@dataclass(frozen=True, eq=False)
class Network:
    """A network on a chip.

    Attributes
    ----------
    layers : tuple of MappedLayer
        Conv and linear layers, in order.
    hops : list of int64 array
        From each tile of each layer to the global node.
    timesteps : int
        Time points.
    """

    layers: tuple[MappedLayer, ...]
    hops: list[NDArray[np.int64]]
    timesteps: int

    @classmethod
    def of_chain(cls, stages: Sequence[Stage], timesteps: int, arch: CrossbarOptions) -> Network:
        """Map a chain; max-pooling, and what is folded, lies between layers."""
        found, pools, source, rows = list[MappedLayer](), list[Layer](), None, 0
        for number, stage in enumerate(stages):
            layer = stage.layer
            if layer.kind == "maxpool":
                pools.append(layer)
            if layer.is_pool:
                continue
            geometry = geometry_of(layer)
            mapping = LayerMapping.of(layer.name, geometry, layer.out_channels, arch)
            sources = () if source is None else ((source, rows_of(layer, pools, rows)),)
            source, pools, rows = len(found), [], layer.out_height
            found.append(MappedLayer(number, geometry, mapping, sources))
        mesh = mesh_of([one.mapping for one in found], arch)
        return cls(tuple(found), mesh.hops(), timesteps)

    def chip(self, arch: CrossbarOptions, direct: bool = False) -> Chip:
        """What area and leakage follow from; ``direct``: whether the first layer keeps its sums."""
        return Chip(
            tuple(
                ChipLayer(
                    one.mapping, one.geometry.channels * one.geometry.pixels, one.geometry.positions,
                    one.geometry.out_width, direct and number == 0, psum_bits(arch, one.mapping.blocks),
                )
                for number, one in enumerate(self.layers)
            ),
            self.timesteps,
        )  # fmt: skip


def rows_of(layer: Layer, pools: Sequence[Layer], source_rows: int) -> NDArray[np.int64]:
    """Last row of the source that each output row of a layer depends on, through pools."""
    if layer.kind == "linear":
        rows = np.array([(pools[-1].out_height if pools else source_rows) - 1])
    else:
        rows = np.arange(layer.out_height) * layer.stride[0] + layer.kernel[0] - 1 - layer.padding[0]
        rows = np.clip(rows, 0, layer.in_height - 1)
    for pool in reversed(pools):
        below = rows * pool.stride[0] + pool.kernel[0] - 1 - pool.padding[0]
        rows = np.clip(below, 0, pool.in_height - 1)
    return rows
