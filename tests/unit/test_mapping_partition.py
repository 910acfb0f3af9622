"""Large networks in parts: cut alike every time, mapped side by side, verified as a whole."""

from __future__ import annotations

import numpy as np
import pytest

import spikex_sim as sx
from spikex_sim.explore.mapping import effort as efforts
from spikex_sim.explore.mapping import partition
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.verify import violations

pytest.importorskip("mtkahypar", reason="Mt-KaHyPar (extra map) is not installed")


def local(neurons: int, external: int = 0, reach: int = 12) -> NeuronGraph:
    """Neurons that take their neighbours, and some of them an axon from outside."""
    rng = np.random.default_rng(3)
    fan_in = np.minimum(rng.geometric(0.4, neurons), 15)
    target = np.repeat(np.arange(neurons), fan_in)
    source = (target + rng.integers(-reach, reach + 1, len(target))) % neurons
    edges = [np.stack([source, target], axis=1)]
    if external:
        taking = rng.integers(0, neurons, 3 * external)
        edges.append(np.stack([neurons + np.arange(3 * external) % external, taking], axis=1))
    return NeuronGraph.of("local", neurons, external, np.concatenate(edges))


def km1(graph: NeuronGraph, part: np.ndarray) -> int:
    """Connectivity less one of the nets: a neuron with those that take it."""
    nets: dict[int, set[int]] = {k: {k} for k in range(graph.neurons)}
    for k, i in zip(graph.source.tolist(), graph.target.tolist(), strict=True):
        nets.setdefault(k, set()).add(i)
    return sum(len({int(part[i]) for i in net}) - 1 for net in nets.values())


def test_parts_are_crossbars_of_as_many_routes_as_are_cut() -> None:
    graph = local(900)
    part = partition.partition(graph, 9, seed=1)
    wide = Pool.of("wide", {"types": [{"name": "one", "inputs": 900, "outputs": 900}]})
    mapping = Mapping.of(graph, wide, part)
    assert mapping is not None
    assert mapping.value("routes") == km1(graph, part)
    assert km1(graph, part) < km1(graph, np.arange(900) % 9) / 4, "neighbours stay together"
    assert np.bincount(part).max() <= 103


def test_the_same_seed_cuts_alike() -> None:
    graph = local(900, external=40)
    assert (partition.partition(graph, 9, seed=2) == partition.partition(graph, 9, seed=2)).all()


def test_pieces_have_every_synapse_once() -> None:
    graph = local(600, external=25)
    part = np.random.default_rng(0).integers(0, 5, 600)
    seen = 0
    for neurons, piece in partition.pieces(graph, part):
        assert (part[neurons] == part[neurons[0]]).all()
        assert piece.neurons == len(neurons)
        assert (np.sort(piece.fan_in) == np.sort(graph.fan_in[neurons])).all()
        assert (piece.fan_in == graph.fan_in[neurons]).all()
        outside = set(graph.source[np.isin(graph.target, neurons)].tolist()) - set(neurons.tolist())
        assert piece.external == len(outside)
        seen += piece.edges
    assert seen == graph.edges


def test_a_large_network_is_mapped_by_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efforts, "MANY_NEURONS", 1000)
    graph = local(2500, external=30)
    one, two = (sx.map_network(graph, "table2", objective="routes", steps=60_000, restarts=2, jobs=jobs)
                for jobs in (1, 2))  # fmt: skip
    assert one.stages[0].engine == "partition, anneal"
    assert (one.mapping.home == two.mapping.home).all()
    assert violations(one.saved, graph) == []
    whole = sx.map_network(graph, "table2", engine="anneal", steps=60_000, restarts=2)
    assert whole.stages[0].engine == "anneal"
    assert one.area < 1.1 * whole.area
    assert one.stages[0].history[0][-1] == one.stages[0].value
