"""Cells of a layer in the crossbars of a mapping, and the sums of their columns, crossbar by crossbar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.events import Events
from spikex_sim.core.geometry import Geometry, places_of
from spikex_sim.core.memory import check_memory
from spikex_sim.mapped.graph import Integers
from spikex_sim.mapped.homes import Homes
from spikex_sim.mapped.sets import Sets
from spikex_sim.schedules.crossbar.mapped.kernels import Indices, integrate

BYTES_A_CELL = 60
"""Memory while cells are collected and sorted."""


@dataclass(frozen=True, eq=False)
class LayerCells:
    """Cells with a synapse of one layer, those of the same input next to each other, crossbar by crossbar.

    A row is driven by an input of the layer: by one spike of its node, or behind max-pooling by the OR of a
    window, which is as if the first node of the window drove it.

    Attributes
    ----------
    first : int64 array ``[inputs + 1]``
        First cell of each input, in the order (channel, row, column).
    column : int32 array ``[cells]``
        Column of each cell, among those of the layer.
    weight : int32 array ``[cells]``
        Where its weight stands in the weights by tap.
    neuron : int64 array ``[columns]``
        Neuron of each column of the layer, in the order (channel, row, column): those of the layer come
        first, further parts of split ones behind them.
    """

    first: Integers
    column: Indices
    weight: Indices
    neuron: Integers

    @classmethod
    def of(
        cls, homes: Homes, geometry: Geometry, behind: Sets, first_neuron: int,
        there: NDArray[np.bool_] | None, channels: int, where: str,
    ) -> LayerCells:  # fmt: skip
        """Look up where the synapses of a layer stand.

        Parameters
        ----------
        homes : Homes
            The mapping.
        geometry : Geometry
            Of the layer.
        behind : Sets
            Nodes behind each of its inputs.
        first_neuron : int
            The node of its first neuron.
        there : bool array ``[M, C, E_h, E_w]`` or None
            Which weights are synapses; None: all.
        channels : int
            Its output channels ``M``.
        where : str
            In messages.
        """
        inputs, element, neuron = channels * geometry.taps * geometry.positions, [], []
        check_memory(float(BYTES_A_CELL * inputs), f"the cells of layer {where}", where=where)
        weight, places = [], places_of(geometry)
        positions = np.arange(geometry.positions)
        for tap in range(geometry.filter_taps):
            p = positions[places[:, tap] >= 0]
            if there is None:
                m, c = (one.ravel() for one in np.indices((channels, geometry.channels)))
            else:
                m, c = np.nonzero(there.reshape(channels, geometry.channels, -1)[:, :, tap])
            element.append((c[:, None] * geometry.pixels + places[p, tap]).ravel())
            neuron.append((m[:, None] * geometry.positions + p).ravel())
            index = (tap * geometry.channels + c) * channels + m
            weight.append(np.repeat(index, len(p)))
        return cls._sorted(
            homes, np.concatenate(element), np.concatenate(neuron), np.concatenate(weight), behind,
            first_neuron, geometry, channels, where,
        )  # fmt: skip

    @classmethod
    def _sorted(
        cls, homes: Homes, element: Integers, neuron: Integers, weight: Integers, behind: Sets,
        first_neuron: int, geometry: Geometry, channels: int, where: str,
    ) -> LayerCells:  # fmt: skip
        graph = homes.graph
        inputs = geometry.channels * geometry.pixels
        if _overlap(behind):
            raise UnsupportedError(
                f"layer {where}: windows of max-pooling overlap, so that a row would need two weights; the "
                "machine of crossbars in rows of layers (spikesim) takes it",
                where=where,
            )
        first = _first_nodes(behind, inputs)
        known = first[element] >= 0  # a window in the padding has no node, and never a spike
        element, neuron, weight = element[known], neuron[known], weight[known]
        node = first[element]
        # Every cell is a synapse of the graph, or the mapping is of another network.
        edge = np.searchsorted(graph.source * graph.nodes + graph.target,
                               node * graph.nodes + neuron + first_neuron)  # fmt: skip
        column = homes.column[edge]
        order = np.lexsort((column, homes.home[column], element))
        own = channels * geometry.positions
        part = (homes.neuron[graph.neurons :] - first_neuron >= 0) & (
            homes.neuron[graph.neurons :] - first_neuron < own
        )
        place = np.full(len(homes.home), -1, np.int64)
        place[first_neuron : first_neuron + own] = np.arange(own)
        parts = graph.neurons + np.flatnonzero(part)
        place[parts] = own + np.arange(len(parts))
        return cls(
            np.concatenate([[0], np.cumsum(np.bincount(element, minlength=inputs))]).astype(np.int64),
            place[column[order]].astype(np.int32), weight[order].astype(np.int32),
            np.concatenate([np.arange(own), homes.neuron[parts] - first_neuron]),
        )  # fmt: skip

    def additions(self, spikes: Integers) -> int:
        """Weights added for so many spikes of each input."""
        return int((spikes * np.diff(self.first)).sum())

    def sums(
        self, events: Events, geometry: Geometry, timesteps: int, weight: NDArray[Any], channels: int
    ) -> tuple[NDArray[np.int32], int]:
        """Sums ``[T, P M]`` of the neurons, the parts of split ones together, and weights added."""
        found = np.zeros((timesteps, len(self.neuron)), np.int32)
        additions = integrate(events, geometry.pixels, timesteps, self.first, self.column, self.weight,
                               weight, found)  # fmt: skip
        own = channels * geometry.positions
        sums = found[:, :own].copy()
        np.add.at(sums.T, self.neuron[own:], found[:, own:].T)
        shape = (timesteps, channels, geometry.positions)
        return np.ascontiguousarray(sums.reshape(shape).transpose(0, 2, 1)).reshape(timesteps, -1), additions


def _overlap(behind: Sets) -> bool:
    """Whether a node is behind two elements."""
    return behind.items is not None and len(np.unique(behind.items)) < len(behind.items)


def _first_nodes(behind: Sets, inputs: int) -> Integers:
    """Lowest node behind each input; -1 of one without nodes."""
    if behind.starts is None or behind.items is None:
        return np.arange(inputs) + behind.first
    some = np.diff(behind.starts) > 0
    found = np.full(inputs, -1, np.int64)
    found[some] = behind.items[behind.starts[:-1][some]]
    return found
