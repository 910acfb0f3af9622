"""A mapping: which neuron stands in which crossbar, and what follows from it (Section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spikex_sim.mapped.assignment import assigned
from spikex_sim.mapped.graph import Integers, Lists, NeuronGraph
from spikex_sim.mapped.pool import Pool

EXTERNAL = -1
"""Home of an external axon."""


@dataclass(frozen=True, eq=False)
class Mapping:
    """Homes of the neurons of a graph, in crossbars of a pool.

    Attributes
    ----------
    graph : NeuronGraph
        What is mapped.
    pool : Pool
        Where to.
    home : int64 array ``[n]``
        Crossbar of each neuron; those in use are numbered from 0 without gaps.
    kinds : int64 array ``[crossbars]``
        Type of each crossbar, as the pool numbers them.
    """

    graph: NeuronGraph
    pool: Pool
    home: Integers
    kinds: Integers

    @classmethod
    def of(cls, graph: NeuronGraph, pool: Pool, home: Sequence[int] | Integers) -> Mapping | None:
        """Give each crossbar its cheapest type; None where one fits none, or copies do not suffice.

        Crossbars are numbered anew in the order of their first neurons, so that equal mappings are equal.
        """
        given = np.asarray(home, np.int64)
        _, first, number = np.unique(given, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        renumbered = rank[number.reshape(-1)]
        sizes = np.bincount(renumbered)
        axons = np.diff(axons_of(graph, renumbered, len(sizes)).starts)
        kinds = cheapest_types(pool, axons, sizes)
        return None if kinds is None else cls(graph, pool, renumbered, kinds)

    @property
    def crossbars(self) -> int:
        """Crossbars in use."""
        return len(self.kinds)

    @cached_property
    def neurons(self) -> Lists:
        """Neurons of each crossbar, ascending."""
        order = np.argsort(self.home, kind="stable")
        sizes = np.bincount(self.home, minlength=self.crossbars)
        return Lists(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), order.astype(np.int64))

    @cached_property
    def axons(self) -> Lists:
        """Axons of each crossbar: the union of its neurons' sources, ascending."""
        return axons_of(self.graph, self.home, self.crossbars)

    @cached_property
    def area(self) -> int:
        """Sum of the crossbars' costs, cells (eq. 8)."""
        return int(self.pool.costs[self.kinds].sum())

    @cached_property
    def flows(self) -> tuple[Integers, Integers]:
        """Source node and crossbar of every route ``s_kj``."""
        crossbar = np.repeat(np.arange(self.crossbars), np.diff(self.axons.starts))
        return self.axons.items, crossbar

    @cached_property
    def sums(self) -> tuple[Integers, Integers, Integers]:
        """Sums that parts of split neurons send to other crossbars: from where, to where, how many each."""
        adds_to = self.graph.adds_to
        if adds_to is None:
            return (np.zeros(0, np.int64),) * 3
        part = np.flatnonzero(self.home != self.home[adds_to])
        return self.home[part], self.home[adds_to[part]], self.graph.spikes[part]

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Area, routes, packets and occupancy (Section 7).

        ``routes_total`` = ``global`` + ``local``; ``global`` includes the routes of external axons, and a
        neuron that takes its own output has a local one. Of a network with split neurons, ``psum_routes`` and
        ``psum_packets`` are of the sums of their parts, which the others do not count.
        """
        graph, (node, crossbar) = self.graph, self.flows
        homes = np.concatenate([self.home, np.full(graph.external, EXTERNAL)])
        local = homes[node] == crossbar
        external = node >= graph.neurons
        weight = graph.spikes[node]
        types = [self.pool.types[kind] for kind in self.kinds.tolist()]
        by_type = {one.name: 0 for one in self.pool.types}
        for one in types:
            by_type[one.name] += 1
        inputs, outputs = sum(one.inputs for one in types), sum(one.outputs for one in types)
        cells = sum(one.inputs * one.outputs for one in types)
        return {
            "area": self.area,
            "crossbars": self.crossbars,
            "by_type": {name: number for name, number in by_type.items() if number},
            "routes_total": len(node),
            "routes_global": int((~local).sum()),
            "routes_local": int(local.sum()),
            "routes_external": int(external.sum()),
            "packets_global": int(weight[~local].sum()),
            "packets_local": int(weight[local].sum()),
            "packets_external": int(weight[external].sum()),
            "occupancy_cells": graph.edges / cells,
            "occupancy_inputs": len(node) / inputs,
            "occupancy_outputs": graph.neurons / outputs,
            **self._of_sums,
        }

    @property
    def _of_sums(self) -> dict[str, int]:
        if self.graph.adds_to is None:
            return {}
        packets = self.sums[2]
        return {"psum_routes": len(packets), "psum_packets": int(packets.sum())}

    def value(self, objective: str) -> int:
        """What an objective makes small: ``area``, ``routes`` (eqs. 10, 11) or ``packets`` (eq. 12)."""
        key = {"area": "area", "routes": "routes_global", "packets": "packets_global"}[objective]
        found: int = self.metrics[key]
        return found


def rank(mapping: Mapping) -> tuple[int, int, int]:
    """What mappings of the area stage are chosen by: area, of equal ones routes, of these crossbars."""
    return mapping.area, mapping.value("routes"), mapping.crossbars


def axons_of(graph: NeuronGraph, home: Integers, crossbars: int) -> Lists:
    """Axons of each crossbar, ascending."""
    key = np.unique(home[graph.target] * graph.nodes + graph.source)
    sizes = np.bincount(key // graph.nodes, minlength=crossbars) if len(key) else np.zeros(crossbars, int)
    return Lists(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), key % graph.nodes)


def cheapest_types(pool: Pool, axons: Integers, sizes: Integers) -> Integers | None:
    """Types of crossbars, the cheapest in all that take them, of the copies that there are; or None."""
    if (axons > pool.most_inputs).any() or (sizes > pool.most_outputs).any():
        return None
    kinds: Integers = pool.cheapest[axons, sizes]
    if (kinds < 0).any():
        return None
    if not pool.counted:
        return kinds
    fits = np.array([(axons <= one.inputs) & (sizes <= one.outputs) for one in pool.types])
    counts = np.array([len(kinds) if one.count is None else min(one.count, len(kinds)) for one in pool.types])
    return assigned(fits, pool.costs, counts, kinds)
