"""A sample on its way through a network on a chip: what enters each layer, and where its spikes go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.spikes import PackedSpikes, count_spikes, packed_length
from spikex_sim.core.tags import window_spikes
from spikex_sim.run.flow import GraphFlow, graph_stages
from spikex_sim.run.graph import GraphRunner
from spikex_sim.run.host import on_host
from spikex_sim.run.population import Asked
from spikex_sim.run.replay import Flow, LayerRunner
from spikex_sim.run.results import LayerResult
from spikex_sim.run.signals import Signal
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.graph import InputNode, JoinNode, PoolNode, Population
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.plan import Stage


class Entered(NamedTuple):
    """What enters a layer.

    Attributes
    ----------
    task : Task
        What the machine is asked for.
    packed : uint8 array ``[C, ..., ceil(T/8)]``
        Its spikes.
    """

    task: Task
    packed: PackedSpikes


class Passage(Protocol):
    """One sample on its way; stages are asked for in order."""

    @property
    def computed(self) -> NDArray[Any] | None:
        """What the last stage gave."""

    def enter(self, index: int, *, first: bool) -> Entered:
        """What enters a stage with weights; ``first``: whether it is the first of them."""

    def skip(self, index: int) -> LayerResult:
        """Pass pooling, a join, or what the host computes, which cost nothing."""

    def leave(self, index: int, fired: PackedSpikes | None) -> PackedSpikes | None:
        """Hand the spikes ``[M, P, ceil(T/8)]`` of a stage on; as the stage's shape has them."""

    def told(self, index: int, out: PackedSpikes | None) -> dict[str, Any]:
        """What results say of a stage beside its costs, and of what left it."""


class ChainPassage:
    """Through a chain.

    Parameters
    ----------
    runner : LayerRunner
        Of the machine.
    flow : Flow
        The sample.
    closed : bool
        Whether layers take what those before them gave, whatever was recorded.
    """

    def __init__(self, runner: LayerRunner, flow: Flow, *, closed: bool) -> None:
        self.runner, self.flow, self.closed = runner, flow, closed
        self.entered: PackedSpikes | None = None

    @property
    def computed(self) -> NDArray[Any] | None:
        """See :class:`Passage`."""
        return self.flow.computed

    def _entering(self, index: int) -> PackedSpikes | None:
        flow = self.flow
        entered = flow.enter(index)
        if self.closed and flow.computed is not None:
            entered = flow.computed.reshape(*flow.stages[index].layer.input_shape, -1)
        return entered

    def enter(self, index: int, *, first: bool) -> Entered:
        """See :class:`Passage`."""
        stage, timesteps = self.flow.stages[index], self.flow.trace.timesteps
        layer = stage.layer
        self.entered = self._entering(index)
        assert self.entered is not None and layer.neuron is not None
        task = Task.of(
            layer.name, geometry_of(layer), window_spikes(self.entered, timesteps, 1), layer.out_channels,
            self.runner.arch, datapath=layer.neuron.datapath, silence_is_free=stage.silence_is_free,
            is_first=first,
        )  # fmt: skip
        return Entered(task, self.entered)

    def skip(self, index: int) -> LayerResult:
        """See :class:`Passage`."""
        return self.runner.pool(self.flow, index, self._entering(index))

    def leave(self, index: int, fired: PackedSpikes | None) -> PackedSpikes | None:
        """See :class:`Passage`."""
        shape = self.flow.stages[index].layer.output_shape
        self.flow.computed = None if fired is None else fired.reshape(*shape, -1)
        return self.flow.computed

    def told(self, index: int, out: PackedSpikes | None) -> dict[str, Any]:  # noqa: ARG002
        """See :class:`Passage`."""
        layer = self.flow.stages[index].layer
        spikes = None if self.entered is None else count_spikes(self.entered)
        found = self.runner.told(self.flow, layer, spikes)
        return {"name": layer.name, "kind": layer.kind, **found}


class GraphPassage:
    """Through a graph.

    Parameters
    ----------
    runner : GraphRunner
        Of the machine.
    flow : GraphFlow
        The sample.
    closed : bool
        See :class:`ChainPassage`.
    """

    def __init__(self, runner: GraphRunner, flow: GraphFlow, *, closed: bool) -> None:
        self.runner, self.flow = runner, flow
        self.asked: Asked | None = None
        self.packed: PackedSpikes | None = None
        if closed:
            inputs = {one.name for one in flow.trace.nodes if isinstance(one, InputNode)}
            flow.signals = {name: one for name, one in flow.signals.items() if name in inputs}

    @property
    def computed(self) -> NDArray[Any] | None:
        """See :class:`Passage`."""
        return self.flow.computed

    def enter(self, index: int, *, first: bool) -> Entered:
        """See :class:`Passage`."""
        node = self.flow.stages[index].node
        assert isinstance(node, Population)
        work = self.runner.work(node, self.flow, 1)
        [self.asked] = work.layers([])
        self.packed = work.branches[0].signal.array
        return Entered(replace(self.asked.task, is_first=first), self.packed)

    def skip(self, index: int) -> LayerResult:
        """See :class:`Passage`."""
        node = self.flow.stages[index].node
        assert isinstance(node, PoolNode | JoinNode | Population)
        if isinstance(node, Population):
            result, self.flow.computed = on_host(self.runner, node, self.flow)
        else:
            result, self.flow.computed = self.runner.without_array(node, self.flow, 1)
        return result

    def leave(self, index: int, fired: PackedSpikes | None) -> PackedSpikes | None:
        """See :class:`Passage`."""
        name = self.flow.stages[index].node.name
        out = None if fired is None else fired.reshape(*self.flow.trace.shape(name), -1)
        if out is not None:
            self.flow.signals.setdefault(name, Signal("spikes", out))
        self.flow.computed = out
        return out

    def told(self, index: int, out: PackedSpikes | None) -> dict[str, Any]:
        """See :class:`Passage`."""
        assert self.packed is not None
        given = None if out is None else Signal("spikes", out)
        return self.runner.told(self.flow.stages[index].node, self.flow, count_spikes(self.packed), given)


def synapses_of_chain(stages: Sequence[Stage], arch: Accelerator) -> list[tuple[str, Synapses | None]]:
    """Names of layers with weights and neurons of a chain, in order; None where weights are not known."""
    return [
        (
            f"layer {stage.name}",
            None
            if stage.weight is None or stage.layer.neuron is None
            else Synapses.of(stage.weight, stage.bias, stage.layer.neuron, arch),
        )
        for stage in stages
        if not stage.layer.is_pool
    ]


def synapses_of_graph(
    trace: GraphTrace, runner: GraphRunner, beside: Collection[str] = ()
) -> list[tuple[str, Synapses | None]]:
    """The same of a graph's populations, without those beside the chip."""
    found, flow = list[tuple[str, Synapses | None]](), GraphFlow(graph_stages(trace), trace, 0)
    for stage in flow.stages:
        node = stage.node
        if isinstance(node, Population) and node.name not in beside:
            [asked] = runner.work(node, flow, 1).layers([])
            found.append((f"node {node.name}", asked.synapses))
        silent = np.zeros((*trace.shape(node.name), packed_length(trace.timesteps)), np.uint8)
        flow.signals.setdefault(node.name, Signal("spikes", silent))
    return found
