"""Large networks in parts of their own, which are mapped side by side (Section 9).

A part that were a crossbar would make connectivity less one (KM1) of the hypergraph ``{k} with its targets``
exactly the global routes of eq. 11, and the packets of eq. 12 with spikes as weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from spikex_sim.mapped.graph import Integers, NeuronGraph

NEURONS_A_PART = 1_000
IMBALANCE = 0.03
"""Share by which a part may be larger than the mean."""


def partition(graph: NeuronGraph, parts: int, seed: int) -> Integers:
    """Part of each neuron, by Mt-KaHyPar's deterministic preset.

    Parameters
    ----------
    graph : NeuronGraph
        What is cut.
    parts : int
        How many.
    seed : int
        Of Mt-KaHyPar.

    Returns
    -------
    int64 array ``[n]``
    """
    import mtkahypar

    context = _threads().context_from_preset(mtkahypar.PresetType.DETERMINISTIC)
    context.set_partitioning_parameters(parts, IMBALANCE, mtkahypar.Objective.KM1)
    mtkahypar.set_seed(seed)
    nets, weights = _nets(graph)
    cut: Any = _threads().create_hypergraph(
        context, graph.neurons, len(nets), nets, [1] * graph.neurons, weights
    )
    return np.array(cut.partition(context).get_partition(), np.int64)


def pieces(graph: NeuronGraph, part: Integers) -> Iterator[tuple[Integers, NeuronGraph]]:
    """Neurons of each part, ascending, and the part as a network: sources outside of it are external."""
    for number in range(int(part.max()) + 1):
        neurons = np.flatnonzero(part == number)
        if not len(neurons):
            continue
        starts = graph.sources.starts
        sizes = starts[neurons + 1] - starts[neurons]
        target = np.repeat(np.arange(len(neurons)), sizes)
        at = starts[neurons][target] + np.arange(len(target)) - (np.cumsum(sizes) - sizes)[target]
        source = graph.sources.items[at]
        outside = np.setdiff1d(source, neurons)
        known = np.concatenate([neurons, outside])
        order = np.argsort(known, kind="stable")
        place = order[np.searchsorted(known[order], source)]
        key = np.sort(place * len(known) + target)
        yield neurons, NeuronGraph(graph.name, len(neurons), len(outside), key // len(known),
                                   key % len(known), graph.spikes[known], graph.profiled)  # fmt: skip


def _nets(graph: NeuronGraph) -> tuple[list[list[int]], list[int]]:
    """Nets of two neurons and more: a neuron and those that take it, or those that take an external axon."""
    starts, items = (one.tolist() for one in graph.targets)
    nets, weights = [], []
    for node, spikes in enumerate(graph.spikes.tolist()):
        net = set(items[starts[node] : starts[node + 1]])
        if node < graph.neurons:
            net.add(node)
        if len(net) > 1:
            nets.append(sorted(net))
            weights.append(max(1, spikes))
    return nets, weights


@cache
def _threads() -> Any:
    """Mt-KaHyPar's threads, which a process starts once; parts are the same with any number of them."""
    import mtkahypar

    return mtkahypar.initialize(len(os.sched_getaffinity(0)))
