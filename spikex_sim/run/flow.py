"""The nodes of a graph that are run, and what they give of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import packed_length
from spikex_sim.run.signals import Signal
from spikex_sim.spec.graph import InputNode, MatmulNode, Node, Population, Synapse
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_fold import folded


@dataclass(frozen=True)
class GraphStage:
    """A node that is run: all but inputs."""

    node: Node

    @property
    def name(self) -> str:
        """Name of the node."""
        return self.node.name

    @property
    def is_sized(self) -> bool:
        """Whether a window size applies to it."""
        return isinstance(self.node, Population)

    @property
    def kind(self) -> str:
        """Kind in results: of neurons with one conv or linear synapse what that is, as in a chain."""
        node = self.node
        if node.kind == "neurons" and isinstance(node, Population) and len(node.synapses) == 1:
            only = node.synapses[0].kind
            return only if only in ("conv", "linear") else node.kind
        return node.kind

    @property
    def datapath(self) -> str | None:
        """Datapath; None of what costs nothing."""
        return self.node.datapath if isinstance(self.node, Population | MatmulNode) else None

    def gives(self, trace: GraphTrace, *, spiking: bool) -> tuple[np.dtype[Any], tuple[int, ...]]:  # noqa: ARG002
        """Type and shape of what it gives: packed spikes, or currents."""
        name = self.node.name
        if trace.carries(name) == "spikes":
            return np.dtype(np.uint8), (*trace.shape(name), packed_length(trace.timesteps))
        kind = np.dtype(np.float32 if self.datapath == "float" else np.int32)
        return kind, (*trace.shape(name), *(() if trace.constant(name) else (trace.timesteps,)))

    def largest_sum(self, trace: GraphTrace, weight_bits: int) -> int:
        """Magnitude that no sum of integer weights for spikes, and bias, exceeds in neurons.

        Currents are held against their width where they leave.
        """
        node = self.node
        if self.datapath != "int" or not isinstance(node, Population) or node.kind != "neurons":
            return 0
        bias = trace.biases.get(self.name)
        largest = 0 if bias is None else int(np.abs(bias.astype(np.int64)).max())
        for k in range(len(node.synapses)):
            synapse, weight = folded(trace, self.name, k)
            if trace.carries(synapse.source) == "spikes":
                largest += largest_addend(synapse, weight, trace.shape(synapse.source)[0], weight_bits)
        return largest


def largest_addend(synapse: Synapse, weight: NDArray[Any] | None, channels: int, weight_bits: int) -> int:
    """Magnitude that what a synapse from so many channels adds for spikes does not exceed.

    Weights that are arrays fit ``weight_bits``; one that is a number may be larger.
    """
    taps = prod(synapse.kernel) * (1 if synapse.own else channels // synapse.groups)
    if weight is None or weight.dtype == np.int8:
        return taps << (weight_bits - 1)
    return taps * int(np.abs(weight).max())


def graph_stages(trace: GraphTrace) -> list[GraphStage]:
    """Nodes of a graph that are run, in order."""
    return [GraphStage(node) for node in trace.nodes if not isinstance(node, InputNode)]


@dataclass(eq=False)
class GraphFlow:
    """What the nodes of a graph give, of one sample.

    Attributes
    ----------
    stages : sequence of GraphStage
        Nodes that are run, in order.
    trace : GraphTrace
        The network.
    sample, number : int
        Of the sample in its trace and in the run.
    signals : dict of str to Signal
        What each node serves to others: recorded arrays, else what it computed.
    kept : str
        Node whose outputs are still in the GLB.
    computed : array or None
        What the last node computed.
    """

    stages: Sequence[GraphStage]
    trace: GraphTrace
    sample: int
    number: int = 0
    signals: dict[str, Signal] = field(default_factory=dict)
    kept: str = ""
    computed: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        for node in self.trace.nodes:
            found = self.recorded(node.name)
            if found is not None:
                self.signals.setdefault(node.name, found)

    def check_sources(self, node: Node) -> None:
        """Raise :class:`TraceError` if another node that one takes is neither recorded nor computed."""
        for source in node.sources:
            if source != node.name and source not in self.signals:
                message = f"'{node.name}' takes it, but it is neither recorded nor computed"
                raise TraceError(message, where=self.trace.where, field=source)

    def recorded(self, name: str) -> Signal | None:
        """What the trace has of a node."""
        trace = self.trace
        if name in trace.spikes:
            return Signal("spikes", trace.spikes[name][self.sample])
        if name in trace.values:
            return Signal(trace.carries(name), trace.values[name][self.sample], trace.constant(name))
        return None
