"""Neurons of more inputs than any crossbar has, split into parts whose sums are added (Section 1, split)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.mapped.graph import Integers, Lists, NeuronGraph
from spikex_sim.mapped.unroll import Part, Unrolled
from spikex_sim.mapped.windows import places_of


@dataclass(frozen=True, eq=False)
class Split:
    """A network, and the same with its wide neurons in parts.

    Part 0 of a neuron keeps its number and its potential. Files number columns so that those of the network
    keep theirs: neurons, external axons, then further parts. The graph that is mapped has its columns first:
    neurons, further parts, then external axons.

    Attributes
    ----------
    network : Unrolled
        As it was read.
    graph : NeuronGraph
        With columns for all parts.
    neuron, part : int64 array ``[P]``
        Of every further part, ascending; parts are numbered from 1.
    """

    network: Unrolled
    graph: NeuronGraph
    neuron: Integers
    part: Integers

    @property
    def original(self) -> NeuronGraph:
        """The network without parts."""
        return self.network.graph

    @property
    def parts(self) -> int:
        """Further parts, and columns."""
        return len(self.neuron)

    @cached_property
    def sources(self) -> Lists:
        """Sources of every further part, as the original numbers them."""
        first, own = self.original.neurons, self.graph.sources
        items = own.items[own.starts[first] :]
        return Lists(own.starts[first:] - own.starts[first], self._originally(items))

    @cached_property
    def order(self) -> Integers:
        """Columns by layer, row, column, part and channel: neighbours share axons (Section 5).

        Of a network without layers: by neuron and part.
        """
        neurons = self.original.neurons
        keys = np.zeros((5, self.graph.neurons), np.int64)
        for layer, one in enumerate(self.network.parts):
            at = np.arange(one.first, min(one.nodes.stop, neurons))
            channel, row, column = np.unravel_index(at - one.first, one.shape)
            keys[:3, at], keys[4, at] = (np.full(len(at), layer), row, column), channel
        if not self.network.parts:
            keys[0, :neurons] = np.arange(neurons)
        keys[:, neurons:] = keys[:, self.neuron]
        keys[3, neurons:] = self.part
        order: Integers = np.lexsort(keys[::-1]).astype(np.int64)
        return order

    @property
    def described(self) -> list[dict[str, Any]]:
        """Further parts, as results have them."""
        columns = np.arange(self.original.neurons, self.graph.neurons)
        packets = self.graph.spikes[columns].tolist()
        numbers = zip(self.neuron.tolist(), self.part.tolist(), self.numbered(columns).tolist(), strict=True)
        return [
            {"neuron": neuron, "part": part, "column": column, "sources": self.sources.of(at).tolist(),
             "packets": packets[at]}
            for at, (neuron, part, column) in enumerate(numbers)
        ]  # fmt: skip

    def numbered(self, columns: Integers) -> Integers:
        """Columns of the graph as files number them."""
        return np.where(columns < self.original.neurons, columns, columns + self.original.external)

    def profiled(self, spikes: Integers, sums: Integers) -> Split:
        """The same with spikes of a profile.

        Parameters
        ----------
        spikes : int64 array ``[n + e]``
            Of the nodes of the network.
        sums : int64 array ``[P]``
            Time points at which each further part sends a sum: those at which one of its sources spikes.
        """
        graph = replace(self.original, spikes=spikes, profiled=True)
        neurons = graph.neurons
        every = np.concatenate([spikes[:neurons], sums, spikes[neurons:]])
        return replace(
            self,
            network=replace(self.network, graph=graph),
            graph=replace(self.graph, spikes=every, profiled=True) if self.parts else graph,
        )

    def _originally(self, nodes: Integers) -> Integers:
        return np.where(nodes < self.original.neurons, nodes, nodes - self.parts)


def unsplit(network: Unrolled) -> Split:
    """No part but the neurons themselves."""
    none = np.zeros(0, np.int64)
    return Split(network, network.graph, none, none)


def split(network: Unrolled | NeuronGraph, widest: int) -> Split:
    """Cut neurons of more inputs than a crossbar takes into parts.

    A neuron of ``f`` inputs becomes ``ceil(f / widest)`` parts, or as many more as it takes until each part
    fits: of the places of its window, whatever its weights, part ``r`` of ``p`` has those from
    ``floor(r * w / p)`` on, so that the parts of all channels are cut at the same places and share axons. A
    part without sources is none. Without layers, places are those in the list of sources.

    Parameters
    ----------
    network : Unrolled or NeuronGraph
        What is mapped.
    widest : int
        Inputs of the widest crossbar.

    Raises
    ------
    UnsupportedError
        If a neuron takes a union of more nodes than that: nothing is added there.
    """
    if isinstance(network, NeuronGraph):
        network = Unrolled(network, ())
    graph = network.graph
    wide = np.flatnonzero(graph.fan_in > widest)
    if not len(wide):
        return unsplit(network)
    starts, items = graph.sources
    sizes = graph.fan_in[wide]
    which = np.repeat(np.arange(len(wide)), sizes)
    edge = starts[wide][which] + np.arange(len(which)) - (np.cumsum(sizes) - sizes)[which]
    place, window = _places(network, wide, which, items[edge])
    part = _cut(network, wide, which, place, window, widest)
    # Parts that have a source, numbered anew.
    most = int(part.max()) + 1
    used = np.zeros((len(wide), most), np.bool_)
    used[which, part] = True
    number = (np.cumsum(used, axis=1) - 1)[which, part]
    more = used.sum(axis=1) - 1
    before = np.cumsum(more) - more
    neurons, parts = graph.neurons, int(more.sum())
    target = np.repeat(np.arange(neurons), graph.fan_in)
    column = neurons + before[which] + number - 1
    target[edge] = np.where(number > 0, column, target[edge])
    nodes = graph.nodes + parts
    key = np.sort(np.where(items < neurons, items, items + parts) * nodes + target)
    neuron = np.repeat(wide, more)
    spikes = np.concatenate([graph.spikes[:neurons], np.ones(parts, np.int64), graph.spikes[neurons:]])
    cut = NeuronGraph(graph.name, neurons + parts, graph.external, key // nodes, key % nodes, spikes,
                      graph.profiled, np.concatenate([np.arange(neurons), neuron]))  # fmt: skip
    return Split(network, cut, neuron, np.arange(parts) - np.repeat(before, more) + 1)


def _places(
    network: Unrolled, wide: Integers, which: Integers, source: Integers
) -> tuple[Integers, Integers]:
    """Place of every source in the window of its neuron, and places of the window of every neuron."""
    graph = network.graph
    sizes = np.bincount(which, minlength=len(wide))
    place, window = np.arange(len(which)) - (np.cumsum(sizes) - sizes)[which], sizes
    for one in network.parts:
        taken = network.takings.get(one.name)
        own = _within(one, wide)
        if taken is None or not own.any():
            continue
        edges = own[which]
        neuron = wide[which[edges]] - one.first
        place[edges], window[own] = places_of(taken, one.shape, neuron, source[edges], graph.nodes)
    return place, window


def _within(one: Part, nodes: Integers) -> NDArray[np.bool_]:
    return (nodes >= one.nodes.start) & (nodes < one.nodes.stop)


def _cut(
    network: Unrolled, wide: Integers, which: Integers, place: Integers, window: Integers, widest: int
) -> Integers:
    """Part of every source; neurons get more parts until no part has too many sources."""
    sizes = np.bincount(which, minlength=len(wide))
    parts = -(-sizes // widest)
    while True:
        stuck = np.flatnonzero(parts > window)
        if len(stuck):
            neuron = wide[stuck[0]]
            layer = next((f" of layer '{one.name}'" for one in network.parts if neuron in one.nodes), "")
            raise UnsupportedError(
                f"neuron {neuron}{layer} takes a union of more than {widest} inputs, which is no sum that "
                "could be added of parts; use a pool with more inputs",
                where=network.graph.name,
            )  # fmt: skip
        part: Integers = ((place + 1) * parts[which] - 1) // window[which]
        first = np.cumsum(parts) - parts
        held = np.bincount(first[which] + part, minlength=int(parts.sum()))
        large = np.maximum.reduceat(held, first) > widest
        if not large.any():
            return part
        parts = parts + large
