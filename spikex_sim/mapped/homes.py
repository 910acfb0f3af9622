"""A saved mapping on its network: which crossbar and tile every column and synapse is in (Section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.mapped.graph import Integers, Lists, NeuronGraph
from spikex_sim.mapped.mesh import mesh_of
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.mapped.verify import violations


@dataclass(frozen=True, eq=False)
class Homes:
    """Columns, crossbars and tiles of a network.

    Attributes
    ----------
    graph : NeuronGraph
        The network.
    inputs, outputs : int64 array ``[crossbars]``
        Sizes of each crossbar.
    home, neuron : int64 array ``[columns]``
        Crossbar of each column, and the neuron that it is, or is a part of: those of the ``n`` neurons come
        first, further parts of split ones behind them.
    column : int64 array ``[edges]``
        Column that each synapse of the graph stands in.
    rows, cols : int
        Of the mesh.
    tile : int64 array ``[crossbars]``
        Tile of each crossbar, row by row.
    placed : bool
        Whether the mapping says so; otherwise they lie in their order.
    """

    graph: NeuronGraph
    inputs: Integers
    outputs: Integers
    home: Integers
    neuron: Integers
    column: Integers
    rows: int
    cols: int
    tile: Integers
    placed: bool

    @classmethod
    def of(cls, saved: SavedMapping, graph: NeuronGraph, where: str = "") -> Homes:
        """Look a mapping up, after it was held against its network.

        Raises
        ------
        ConfigError
            If it is of another network, or breaks a rule; the first line of ``map verify``.
        """
        found = violations(saved, graph, spikes=False)  # those of the run take the place of a profile's
        if found:
            more = f" (and {len(found) - 1} more; `map verify` tells them)" if len(found) > 1 else ""
            raise ConfigError(found[0] + more, where=where)
        types = {one["name"]: one for one in saved.pool["types"]}
        kinds = [types[one["type"]] for one in saved.crossbars]
        parts = len(saved.splits)
        neuron = np.concatenate([np.arange(graph.neurons), [one["neuron"] for one in saved.splits]])
        home = np.empty(graph.neurons + parts, np.int64)
        for j, one in enumerate(saved.crossbars):
            columns = np.array(one["neurons"], np.int64)
            home[np.where(columns < graph.neurons, columns, columns - graph.external)] = j
        tiles = [(one["x"], one["y"]) for one in saved.crossbars if "x" in one]
        placed = len(tiles) == len(kinds) and "mesh" in saved.metrics
        rows, cols = saved.metrics["mesh"] if placed else mesh_of(len(kinds))
        tile = np.array([y * cols + x for x, y in tiles]) if placed else np.arange(len(kinds))
        return cls(
            graph, _sizes(kinds, "inputs"), _sizes(kinds, "outputs"), home, neuron.astype(np.int64),
            _columns(saved.splits, graph), rows, cols, tile.astype(np.int64), placed,
        )  # fmt: skip

    @property
    def crossbars(self) -> int:
        """Crossbars in use."""
        return len(self.inputs)

    @property
    def parts(self) -> int:
        """Columns that are further parts of split neurons."""
        return len(self.home) - self.graph.neurons

    @cached_property
    def used(self) -> Integers:
        """Columns in use of each crossbar."""
        return np.bincount(self.home, minlength=self.crossbars)

    @cached_property
    def axons(self) -> Lists:
        """Axons of each crossbar, ascending."""
        nodes = self.graph.nodes
        key = np.sort(self.home[self.column] * nodes + self.graph.source)
        key = key[np.concatenate([[True], key[1:] != key[:-1]])] if len(key) else key
        sizes = np.bincount(key // nodes, minlength=self.crossbars)
        return Lists(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), key % nodes)

    @cached_property
    def sources_of_parts(self) -> Lists:
        """Nodes that each further part takes."""
        behind = self.column >= self.graph.neurons
        order = np.argsort(self.column[behind], kind="stable")
        sizes = np.bincount(self.column[behind] - self.graph.neurons, minlength=self.parts)
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return Lists(starts, self.graph.source[behind][order])


def _sizes(kinds: Sequence[dict[str, Any]], side: str) -> Integers:
    return np.array([one[side] for one in kinds], np.int64)


def _columns(splits: Sequence[dict[str, Any]], graph: NeuronGraph) -> Integers:
    """Column of each edge: that of its neuron, but where a further part takes it."""
    column = graph.target.copy()
    if splits:
        sizes = [len(one["sources"]) for one in splits]
        source = np.concatenate([one["sources"] for one in splits]).astype(np.int64)
        target = np.repeat([one["neuron"] for one in splits], sizes)
        place = np.searchsorted(graph.source * graph.nodes + graph.target, source * graph.nodes + target)
        column[place] = np.repeat(graph.neurons + np.arange(len(splits)), sizes)
    return column
