"""A network as a mapper sees it: neurons, external axons, and who takes input from whom."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikex_sim.core.errors import ConfigError

MOST_EDGES = 20_000_000
"""Most synapses that are mapped."""
MOST_NODES = 1 << 24

Integers = NDArray[np.int64]
Inputs = Literal["mapped", "external"]
"""Whether nodes without sources have columns."""


class Lists(NamedTuple):
    """Lists of nodes behind one another: that of node ``a`` is ``items[starts[a]:starts[a + 1]]``."""

    starts: Integers
    items: Integers

    def of(self, node: int) -> Integers:
        """One of the lists."""
        return self.items[self.starts[node] : self.starts[node + 1]]


@dataclass(frozen=True, eq=False)
class NeuronGraph:
    """Neurons ``0 ... n - 1`` and external axons ``n ... n + e - 1``, which occupy no column.

    Attributes
    ----------
    name : str
        In results.
    neurons, external : int
        ``n`` and ``e``.
    source, target : int64 array
        Edges: ``target`` takes input from ``source``. Each once, in the order (source, target); a neuron may
        take its own.
    spikes : int64 array ``[n + e]``
        Spikes of each node in a profile; 1 each where there is none.
    profiled : bool
        Whether the spikes are of a profile.
    adds_to : int64 array ``[n]`` or None
        Of a network with neurons that are split, the neuron whose potential each column adds to, which for
        most is itself. Others are parts that send sums: nobody takes input from them, and their spikes are
        the time points at which they send one (Section 1, split).
    """

    name: str
    neurons: int
    external: int
    source: Integers
    target: Integers
    spikes: Integers
    profiled: bool = False
    adds_to: Integers | None = None

    @classmethod
    def of(
        cls,
        name: str,
        neurons: int,
        external: int,
        edges: ArrayLike,
        spikes: Sequence[int] | None = None,
        *,
        where: str = "",
    ) -> NeuronGraph:
        """Check and order what was read; parallel edges become one.

        Raises
        ------
        ConfigError
            For sizes, ends of edges or spikes that cannot be, naming ``where`` and the field.
        """
        given = np.asarray(edges)
        pairs = given.astype(np.int64).reshape(-1, 2) if given.size else np.zeros((0, 2), np.int64)
        nodes = neurons + external
        if neurons < 1 or external < 0 or nodes > MOST_NODES:
            message = f"{neurons} neurons and {external} external axons are not 1 to {MOST_NODES:,} nodes"
            raise ConfigError(message, where=where, field="neurons")
        for end, most in ((0, nodes), (1, neurons)):
            wrong = np.flatnonzero((pairs[:, end] < 0) | (pairs[:, end] >= most))
            if len(wrong):
                at = int(wrong[0])
                kind = "node" if end == 0 else "neuron"
                raise ConfigError(
                    f"{pairs[at].tolist()} names {kind} {pairs[at, end]}, but there are {most}",
                    where=where, field=f"edges[{at}]",
                )  # fmt: skip
        weights = np.ones(nodes, np.int64)
        if spikes is not None:
            if len(spikes) != nodes:
                message = f"has {len(spikes)} numbers for {nodes} nodes"
                raise ConfigError(message, where=where, field="spikes")
            weights = np.asarray(spikes, np.int64)
            if weights.min(initial=0) < 0:
                raise ConfigError("has a negative number", where=where, field="spikes")
        key = np.sort(pairs[:, 0] * nodes + pairs[:, 1])  # np.unique hashes, which takes far longer
        key = key[np.concatenate([[True], key[1:] != key[:-1]])] if len(key) else key
        return cls(name, neurons, external, key // nodes, key % nodes, weights, spikes is not None)

    @property
    def nodes(self) -> int:
        """Neurons and external axons."""
        return self.neurons + self.external

    @property
    def edges(self) -> int:
        """Synapses."""
        return len(self.source)

    @cached_property
    def sources(self) -> Lists:
        """``S_i`` of every neuron, ascending."""
        order = np.lexsort((self.source, self.target))
        return Lists(_starts(self.target, self.neurons), self.source[order])

    @cached_property
    def targets(self) -> Lists:
        """Neurons that take input from each node, ascending."""
        return Lists(_starts(self.source, self.nodes), self.target)

    @cached_property
    def fan_in(self) -> Integers:
        """``f_i`` of every neuron."""
        return np.diff(self.sources.starts)

    @cached_property
    def sha256(self) -> str:
        """Identity: of the sizes and of the edges in order; neither name nor spikes count."""
        digest = hashlib.sha256(f"neurons {self.neurons}\nexternal {self.external}\n".encode())
        step = 1 << 16
        for at in range(0, self.edges, step):
            pairs = zip(
                self.source[at : at + step].tolist(), self.target[at : at + step].tolist(), strict=True
            )
            digest.update("".join(f"{k} {i}\n" for k, i in pairs).encode())
        return digest.hexdigest()


def with_inputs(graph: NeuronGraph, inputs: Inputs | None) -> NeuronGraph:
    """Give nodes without sources columns, or none; nodes without columns come last, else the order stays.

    Raises
    ------
    ConfigError
        If no node would have a column.
    """
    if inputs is None or (inputs == "mapped" and not graph.external):
        return graph
    nodes = graph.nodes
    if inputs == "mapped":
        return NeuronGraph(graph.name, nodes, 0, graph.source, graph.target, graph.spikes, graph.profiled)
    outside = np.ones(nodes, np.bool_)
    outside[graph.target] = False
    neurons = nodes - int(outside.sum())
    if not neurons:
        raise ConfigError("no node takes input from another, so that none would occupy a column",
                          where=graph.name, field="--inputs")  # fmt: skip
    order = np.argsort(outside, kind="stable")
    place = np.empty(nodes, np.int64)
    place[order] = np.arange(nodes)
    pairs = np.stack([place[graph.source], place[graph.target]], axis=1)
    source, target = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].T
    return NeuronGraph(graph.name, neurons, nodes - neurons, np.ascontiguousarray(source),
                       np.ascontiguousarray(target), graph.spikes[order], graph.profiled)  # fmt: skip


def _starts(node: Integers, nodes: int) -> Integers:
    return np.concatenate([[0], np.cumsum(np.bincount(node, minlength=nodes))]).astype(np.int64)
