"""Networks on a crossbar chip: where their layers lie, and whose rows they wait for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.geometry import Geometry, geometry_of
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.schedules.crossbar.chip import Chip, ChipLayer
from spikex_sim.schedules.crossbar.mapping import LayerMapping, mesh_of
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.plan import LayerPlan
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.graph import InputNode, JoinNode, Node, PoolNode, Population, Synapse
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_fold import folded
from spikex_sim.trace.plan import Stage


class PoolRows(NamedTuple):
    """Rows of a max-pooling: sides of its windows and maps along the height."""

    kernel: int
    stride: int
    padding: int
    in_height: int
    out_height: int


class Path(NamedTuple):
    """Where spikes of a layer come from.

    Attributes
    ----------
    source : int
        Number of the layer that fires them.
    pools : tuple of PoolRows
        Max-pooling on the way, in its order.
    """

    source: int
    pools: tuple[PoolRows, ...]


@dataclass(frozen=True, eq=False)
class Wired:
    """A layer that is to lie on a chip.

    Attributes
    ----------
    name : str
        In messages.
    stage : int
        Its number among the stages.
    geometry : Geometry
        Sizes, average pooling folded in.
    out_channels : int
        Output channels.
    is_linear : bool
        Whether it takes whole maps.
    paths : tuple of Path
        Where its spikes come from, but from the network's inputs.
    """

    name: str
    stage: int
    geometry: Geometry
    out_channels: int
    is_linear: bool
    paths: tuple[Path, ...]

    def rows(self, path: Path, source_rows: int) -> NDArray[np.int64]:
        """Last row of a source that each output row depends on, through pools (Section 3, ``y_s``)."""
        geometry = self.geometry
        if self.is_linear:
            rows = np.array([(path.pools[-1].out_height if path.pools else source_rows) - 1])
        else:
            rows = np.clip(geometry.last_rows, 0, geometry.in_height - 1)
        for pool in reversed(path.pools):
            rows = np.clip(rows * pool.stride + pool.kernel - 1 - pool.padding, 0, pool.in_height - 1)
        return rows


def wired_chain(stages: Sequence[Stage]) -> list[Wired]:
    """Conv and linear layers of a chain."""
    found, pools = list[Wired](), list[PoolRows]()
    for number, stage in enumerate(stages):
        layer = stage.layer
        if layer.kind == "maxpool":
            kernel, stride, padding = (one[0] for one in (layer.kernel, layer.stride, layer.padding))
            pools.append(PoolRows(kernel, stride, padding, layer.in_height, layer.out_height))
        if layer.is_pool:
            continue
        paths = (Path(len(found) - 1, tuple(pools)),) if found else ()
        linear = layer.kind == "linear"
        found.append(Wired(layer.name, number, geometry_of(layer), layer.out_channels, linear, paths))
        pools = []
    return found


def wired_graph(trace: GraphTrace, arch: Accelerator, beside: Collection[str] = ()) -> list[Wired]:
    """Populations of a graph, without those beside the chip.

    Raises
    ------
    UnsupportedError
        If the machine cannot do a node, naming it and what.
    """
    found, number_of = list[Wired](), dict[str, int]()
    nodes = [one for one in trace.nodes if not isinstance(one, InputNode)]
    for stage, node in enumerate(nodes):
        if isinstance(node, PoolNode | JoinNode) or node.name in beside:
            continue
        odd = _what_else(trace, node)
        if odd:
            raise UnsupportedError(f"node {node.name}: this machine cannot do {odd}", where=arch.name)
        assert isinstance(node, Population)
        linear = node.synapses[0].kind == "linear"
        synapse, _ = folded(trace, node.name, 0)
        paths = tuple(_paths(trace, synapse.source, (), number_of))
        number_of[node.name] = len(found)
        found.append(Wired(node.name, stage, _geometry(trace, node, synapse), node.channels, linear, paths))
    return found


def _what_else(trace: GraphTrace, node: Node) -> str:
    """What a node asks for besides one conv or linear synapse of spikes into neurons; empty if nothing."""
    if not isinstance(node, Population):
        return "products"
    first = node.synapses[0] if node.synapses else None
    carried = {trace.carries(one.source) for one in node.synapses}
    asked = {
        "currents as outputs": node.kind == "currents",
        "several synapses": len(node.synapses) > 1,
        "layers without synapses": first is None,
        "synapses of own channels": first is not None and first.own,
        "groups": first is not None and first.groups > 1,
        "delays": any(one.delay for one in node.synapses),
        "analog inputs": "analog" in carried,
        "currents as inputs": "currents" in carried,
    }
    return ", ".join(name for name, is_so in asked.items() if is_so)


def _geometry(trace: GraphTrace, node: Population, synapse: Synapse) -> Geometry:
    channels, height, width = trace.shape(synapse.source)
    if node.synapses[0].kind == "linear":
        return Geometry(channels * height * width, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1)
    top, _, left, _ = synapse.padding
    return Geometry(
        channels, height, width, *synapse.kernel, *synapse.stride, top, left,
        *trace.shape(node.name)[1:], *synapse.dilation,
    )  # fmt: skip


def _paths(
    trace: GraphTrace, name: str, pools: tuple[PoolRows, ...], number_of: dict[str, int]
) -> Iterator[Path]:
    """Populations whose spikes reach a node, through joins and pools."""
    node = trace.node(name)
    if name in number_of:
        yield Path(number_of[name], pools)
    elif isinstance(node, PoolNode):
        height, out_height = trace.shape(node.source)[1], trace.shape(name)[1]
        rows = PoolRows(node.kernel[0], node.stride[0], node.padding[0], height, out_height)
        yield from _paths(trace, node.source, (rows, *pools), number_of)
    elif isinstance(node, JoinNode):
        for source in node.operands:
            yield from _paths(trace, source, pools, number_of)


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

    def shaped(self, packed: PackedSpikes) -> PackedSpikes:
        """Its spikes as ``[C, H, W, ceil(T/8)]``."""
        geometry = self.geometry
        return packed.reshape(geometry.channels, geometry.in_height, geometry.in_width, -1)


@dataclass(frozen=True, eq=False)
class Network:
    """A network on a chip.

    Attributes
    ----------
    layers : tuple of MappedLayer
        Conv and linear layers, in order.
    plans : tuple of LayerPlan
        Of each layer what its costs follow from beside its spikes.
    timesteps : int
        Time points.
    """

    layers: tuple[MappedLayer, ...]
    plans: tuple[LayerPlan, ...]
    timesteps: int

    @classmethod
    def of(cls, wired: Sequence[Wired], timesteps: int, arch: CrossbarOptions) -> Network:
        """Map layers in the order in which they are given.

        Raises
        ------
        ConfigError
            If crossbars do not hold one, or tiles are too many.
        """
        mappings = [LayerMapping.of(one.name, one.geometry, one.out_channels, arch) for one in wired]
        heights = [one.geometry.out_height for one in wired]
        layers = tuple(
            MappedLayer(
                one.stage, one.geometry, mapping,
                tuple((path.source, one.rows(path, heights[path.source])) for path in one.paths),
            )
            for one, mapping in zip(wired, mappings, strict=True)
        )  # fmt: skip
        hops = mesh_of(mappings, arch).hops()
        plans = (LayerPlan.of(mapping, arch, far) for mapping, far in zip(mappings, hops, strict=True))
        return cls(layers, tuple(plans), timesteps)

    def chip(self, direct: bool = False) -> Chip:
        """What area and leakage follow from; ``direct``: whether the first layer keeps its sums."""
        return Chip(
            tuple(
                ChipLayer(
                    one.mapping, one.geometry.channels * one.geometry.pixels, one.geometry.positions,
                    one.geometry.out_width, direct and number == 0, plan.psum_bits,
                )
                for number, (one, plan) in enumerate(zip(self.layers, self.plans, strict=True))
            ),
            self.timesteps,
        )  # fmt: skip
