"""Minimum crossbar compilation of SpikeHard, which packs connected components (Section 5, mcc)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikex_sim.core.jit import kernel
from spikex_sim.explore.mapping.packing import Items, pack_annealed, pack_equal
from spikex_sim.explore.mapping.solver import Effort
from spikex_sim.mapped.baselines import first_fit, single
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import Pool

MOST_ROUNDS = 50
EQUAL_CHAINS = 8
"""Tries in a pool of one type: optimal packings are many, and what follows differs."""


class Compiled(NamedTuple):
    """What compilation comes to from both starts, and the better of them, the first where they are equal.

    Attributes
    ----------
    best, from_first_fit, from_single : Mapping or None
        None where the start, or the result, needs more copies than the pool has.
    """

    best: Mapping | None
    from_first_fit: Mapping | None
    from_single: Mapping | None


def mcc(
    graph: NeuronGraph, pool: Pool, *, order: Integers | None = None, steps: int = 30_000_000,
    restarts: int = 3, seed: int = 1, packing_time: float = 0.5,
) -> Compiled:  # fmt: skip
    """Compile from the mapping of first-fit, and from each neuron in a crossbar of its own.

    A round cuts the crossbars of a mapping into connected components of neurons and axons, and packs these
    whole, with their axons and outputs added, as if none were shared. Axons that components of a crossbar
    do share count once from the next round on. Rounds end with the first that gains no area.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What is mapped, where to. A pool of one type is packed by CP-SAT, any other by annealing.
    order : int64 array ``[n]``, optional
        Neurons as first-fit takes them.
    steps, restarts, seed : int
        Of annealing, in each round.
    packing_time : float
        Deterministic time of CP-SAT, in each round.

    Raises
    ------
    ConfigError
        If CP-SAT is needed and OR-Tools is not installed.
    """
    both = [
        None
        if start is None
        else compiled(start, steps=steps, restarts=restarts, seed=seed, packing_time=packing_time)
        for start in (first_fit(graph, pool, order), single(graph, pool))
    ]
    best = min((one for one in both if one is not None), key=lambda one: one.area, default=None)
    return Compiled(best, *both)


def compiled(
    start: Mapping, *, steps: int = 30_000_000, restarts: int = 3, seed: int = 1, packing_time: float = 0.5
) -> Mapping:
    """Compile from one start; see :func:`mcc` for the parameters and what is raised."""
    chains = []
    pool = start.pool
    equal = len(pool.types) == 1
    for chain in range(EQUAL_CHAINS if equal else 1):
        mapping, mixed = start, np.random.default_rng((seed, chain))
        for _ in range(MOST_ROUNDS):
            of, items, crossbar = components(mapping)
            packed = [_packed_equal(items, pool, Effort(seed + chain, packing_time), mixed)] if equal else []
            if not packed or packed[0] is None:
                seeds = range(seed, seed + restarts)
                packed = [pack_annealed(items, pool, crossbar, steps, one) for one in seeds]
            mappings = [Mapping.of(start.graph, pool, home[of]) for home in packed if home is not None]
            following = min((one for one in mappings if one is not None), key=_rank, default=None)
            if following is None or following.area >= mapping.area:
                break
            mapping = following
        chains.append(mapping)
    return min(chains, key=_rank)


def _rank(mapping: Mapping) -> tuple[int, int]:
    """Area, and then axons: fewer leave more room to the next round."""
    return mapping.area, len(mapping.axons.items)


def _packed_equal(items: Items, pool: Pool, effort: Effort, mixed: np.random.Generator) -> Integers | None:
    """Pack into crossbars of the only type; which of the items of one size go together is drawn."""
    order = mixed.permutation(len(items.axons))
    packed = pack_equal(Items(items.axons[order], items.neurons[order]), pool.types[0], effort)
    if packed is None:
        return None
    home = np.empty_like(packed)
    home[order] = packed
    return home


def components(mapping: Mapping) -> tuple[Integers, Items, Integers]:
    """Connected components of each crossbar: of each neuron, their sizes, and their crossbars.

    A neuron without sources is one with 0 axons.
    """
    graph = mapping.graph
    key = mapping.home[graph.target] * graph.nodes + graph.source
    axons, axon = np.unique(key, return_inverse=True)
    root = _connected(graph.target, axon.reshape(-1), graph.neurons, len(axons))
    _, of = np.unique(root[: graph.neurons], return_inverse=True)
    of = of.reshape(-1)
    count = int(of.max()) + 1
    crossbar = np.empty(count, np.int64)
    crossbar[of] = mapping.home
    component_of_root = np.full(len(root), -1)
    component_of_root[root[: graph.neurons]] = of
    sizes = np.bincount(component_of_root[root[graph.neurons :]], minlength=count)
    return of, Items(sizes.astype(np.int64), np.bincount(of).astype(np.int64)), crossbar


@kernel(nogil=True)
def _connected(neuron: Integers, axon: Integers, neurons: int, axons: int) -> Integers:
    """Lowest member of the component of each neuron and, behind them, of each axon."""
    root = np.arange(neurons + axons)
    for e in range(len(neuron)):
        a, b = neuron[e], neurons + axon[e]
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        root[max(a, b)] = min(a, b)
    for at in range(len(root)):
        root[at] = root[root[at]]
    return root
