"""Mappings: what they cost, how they are found, and how a wrong one is told from a right one."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from helpers import shared_data
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.explore.mapping.annealing import AREA, NO_BUDGET, ROUTES, Plan, anneal
from spikex_sim.explore.mapping.search import Effort, Mapped, map_graph
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.mesh import Placement, flows, in_order, swapped
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.mapped.verify import violations


def random_graph(seed: int, neurons: int = 30, external: int = 5, edges: int = 60) -> NeuronGraph:
    """A graph with self-loops, silent nodes and neurons without sources; at most 8 sources a neuron."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, [neurons + external, neurons], (edges, 2))
    kept, fan_in = [], np.zeros(neurons, int)
    for k, i in np.unique(pairs, axis=0).tolist():
        if fan_in[i] < 8:
            fan_in[i] += 1
            kept.append((k, i))
    return NeuronGraph.of(f"random {seed}", neurons, external, kept, rng.integers(0, 9, neurons + external))


def counted_pool(*sizes: tuple[int, int, int | None]) -> Pool:
    return Pool.of("counted", {"types": [{"inputs": a, "outputs": n, "count": c} for a, n, c in sizes]})


def plain_routes(graph: NeuronGraph, home: list[int], weight: list[int]) -> int:
    """Global routes from the definition: sources and crossbars, apart from a source's own crossbar."""
    routes = {(k, home[i]) for k, i in zip(graph.source.tolist(), graph.target.tolist(), strict=True)}
    return sum(weight[k] for k, j in routes if not (k < graph.neurons and home[k] == j))


@examples(40)
@given(seed=st.integers(0, 10**6), crossbars=st.integers(1, 12))
def test_metrics_are_what_the_definitions_say(seed: int, crossbars: int) -> None:
    graph = random_graph(seed)
    home = np.random.default_rng(seed).integers(0, crossbars, graph.neurons)
    pool = counted_pool((64, 64, None), (16, 8, None))
    mapping = Mapping.of(graph, pool, home)
    assert mapping is not None
    assert mapping.value("routes") == plain_routes(graph, home.tolist(), [1] * graph.nodes)
    assert mapping.value("packets") == plain_routes(graph, home.tolist(), graph.spikes.tolist())
    assert violations(SavedMapping.of(mapping, []), graph) == []
    assert mapping.metrics["routes_total"] == sum(map(len, map(mapping.axons.of, range(mapping.crossbars))))


@examples(30)
@given(seed=st.integers(0, 10**6), goal=st.sampled_from([AREA, ROUTES]), counted=st.booleans())
def test_an_annealer_counts_as_it_goes(seed: int, goal: int, counted: bool) -> None:
    graph = random_graph(seed)
    pool = counted_pool((8, 4, 40), (16, 8, None), (32, 16, 2)) if counted else Pool.named("table2")
    start = Mapping.of(graph, pool, np.arange(graph.neurons))
    assert start is not None
    budget = NO_BUDGET if goal == AREA else start.area
    plan = Plan(goal, 3000, 16.0, 0.7, 0.3)
    found = anneal(start, plan, graph.spikes, budget, seed)
    mapping = Mapping.of(graph, pool, found.home)
    assert mapping is not None
    assert found.value == (mapping.area if goal == AREA else mapping.value("packets"))
    assert found.value <= (start.area if goal == AREA else start.value("packets"))
    assert budget == NO_BUDGET or mapping.area <= budget
    assert found.history[0] >= found.value


def mapped(graph: NeuronGraph, objective: str = "routes", **keys: Any) -> Mapped:
    engine = keys.pop("engine", "anneal")
    effort = Effort(
        engine, steps=keys.pop("steps", 20_000), jobs=keys.pop("jobs", 1), seed=keys.pop("seed", 1)
    )
    return map_graph(graph, keys.pop("pool", Pool.named("table2")), objective, effort, **keys)


def test_the_same_bytes_on_one_and_two_jobs() -> None:
    graph = random_graph(1)
    texts = []
    for jobs in (1, 2, 1):
        saved = mapped(graph, jobs=jobs).saved
        stages = [{**one, "seconds": 0} for one in saved.stages]
        texts.append(replace(saved, stages=stages).text)
    assert len(set(texts)) == 1
    assert mapped(graph, seed=2).saved.crossbars != mapped(graph, seed=1).saved.crossbars


def test_stages_keep_the_area() -> None:
    graph = random_graph(2, neurons=60, edges=150)
    area, routes, packets = (mapped(graph, one) for one in ("area", "routes", "packets"))
    assert routes.area <= area.area and packets.area <= area.area
    assert routes.metrics["routes_global"] <= area.metrics["routes_global"]
    assert packets.metrics["packets_global"] <= area.metrics["packets_global"]
    frozen = mapped(graph, "routes", freeze="types")
    assert frozen.metrics["by_type"].items() <= area.metrics["by_type"].items() or frozen.area <= area.area
    wider = mapped(graph, "routes", area_budget="none")
    assert wider.metrics["routes_global"] <= routes.metrics["routes_global"]
    over = mapped(graph, "routes", area_budget="+50%")
    assert over.area <= 1.5 * area.area and over.stages[1].area_budget == int(1.5 * area.area)


def test_one_crossbar_for_all_has_no_packet() -> None:
    graph = random_graph(3, external=0)
    found = mapped(graph, "packets", pool=counted_pool((64, 64, 1)))
    assert found.metrics["crossbars"] == 1 and found.metrics["packets_global"] == 0


def test_few_neurons_are_proven() -> None:
    pytest.importorskip("ortools", reason="OR-Tools is not installed (extra map): nothing was proven")
    tiny = shared_data("mapping/tiny.json")
    for one in json.loads(tiny.read_text())["instances"]:
        given = one["network"]
        graph = NeuronGraph.of(
            given["name"], given["neurons"], given["external"], given["edges"], given["spikes"]
        )
        pool, optimum = Pool.of("tiny", one["pool"]), one["optimum"]
        for key, objective, budget in (
            ("area", "area", None), ("routes_at_min_area", "routes", None),
            ("packets_at_min_area", "packets", None), ("routes_any_area", "routes", "none"),
            ("packets_any_area", "packets", "none"),
        ):  # fmt: skip
            found = mapped(graph, objective, pool=pool, area_budget=budget, steps=1000, engine="auto")
            assert (found.stages[-1].value, found.stages[-1].status) == (optimum[key], "optimal"), key
            assert violations(found.saved, graph) == []


# --- Corrupted mappings ----------------------------------------------------------------------------------

Corruption = Callable[[dict[str, Any]], None]


def twice(given: dict[str, Any]) -> None:
    given["crossbars"][1]["neurons"].append(given["crossbars"][0]["neurons"][0])


def nowhere(given: dict[str, Any]) -> None:
    del given["crossbars"][0]["neurons"][0]


def beyond(given: dict[str, Any]) -> None:
    given["crossbars"][0]["neurons"].append(10**6)


def emptied(given: dict[str, Any]) -> None:
    given["crossbars"][1]["neurons"] += given["crossbars"][0]["neurons"]
    given["crossbars"][0]["neurons"] = []


def unknown(given: dict[str, Any]) -> None:
    given["crossbars"][0]["type"] = "7x7"


def together(given: dict[str, Any]) -> None:
    given["crossbars"][0]["neurons"] += given["crossbars"].pop()["neurons"]


def too_many(given: dict[str, Any]) -> None:
    for one in given["pool"]["types"]:
        one["count"] = 0


def cheaper(given: dict[str, Any]) -> None:
    given["metrics"]["area"] -= 1


def fewer(given: dict[str, Any]) -> None:
    given["metrics"]["packets_global"] -= 1


def bounded(given: dict[str, Any]) -> None:
    given["stages"][0]["bound"] = given["stages"][0]["value"] + 1


def over_budget(given: dict[str, Any]) -> None:
    given["stages"][1]["area_budget"] = 1


def sideless(given: dict[str, Any]) -> None:
    given["metrics"]["mesh"] = ["8", 8]


def of_words(given: dict[str, Any]) -> None:
    given["stages"][0]["value"] = "few"


def another(given: dict[str, Any]) -> None:
    given["network"]["sha256"] = "0" * 64


CORRUPTIONS: dict[Corruption, str] = {
    twice: "in crossbars 0 and 1",
    nowhere: "in no crossbar",
    beyond: "neuron 1000000, of 30",
    emptied: "no neuron",
    unknown: "no type of the pool",
    together: "neurons, ",
    too_many: "in use, 0 in the pool",
    cheaper: "metric area",
    fewer: "metric packets_global",
    bounded: "below its bound",
    over_budget: "above the budget 1",
    sideless: "is not two whole numbers",
    of_words: "value, bound and area_budget are not numbers",
    another: "of another one",
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
def test_a_corrupted_mapping_is_refused(corrupt: Corruption, tmp_path: Path) -> None:
    graph = random_graph(4)
    pool = counted_pool((8, 4, None), (16, 4, None))
    given = json.loads(mapped(graph, pool=pool).saved.text)
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(given))
    assert violations(SavedMapping.load(path), graph) == []
    spoiled = copy.deepcopy(given)
    corrupt(spoiled)
    path.write_text(json.dumps(spoiled))
    assert any(CORRUPTIONS[corrupt] in line for line in violations(SavedMapping.load(path), graph))


# --- What cannot be --------------------------------------------------------------------------------------


def test_sizes_are_refused_before_any_engine() -> None:
    graph = NeuronGraph.of("wide", 3, 40, [(3 + k, i) for i in (1, 2) for k in range(40)])
    with pytest.raises(UnsupportedError, match=r"neuron 1 has 40 inputs.* takes 32 \(2 such neurons\)"):
        mapped(graph)
    with pytest.raises(UnsupportedError, match="30 neurons, the pool has 16 outputs in all"):
        mapped(random_graph(1), pool=counted_pool((16, 8, 2)))


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ([{"inputs": 0, "outputs": 4}], "types\\[0\\].inputs"),
        ([{"inputs": 4, "outputs": 4, "count": -1}], "types\\[0\\].count"),
        ([{"inputs": 4, "outputs": 4, "colour": 1}], "colour"),
        ([{"inputs": 4, "outputs": 4}, {"inputs": 4, "outputs": 4}], "twice"),
        ([], "types"),
    ],
)
def test_pools_are_checked(types: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Pool.of("pool", {"types": types}, "pool.json")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"area_budget": "1"}, "--area-budget 1 is below the proven bound"),
        ({"area_budget": "much"}, "wants a number of cells"),
        ({"freeze": "all"}, "--freeze"),
        ({"steps": 0}, "--steps"),
    ],
)
def test_choices_are_checked(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        mapped(random_graph(1), **keys)
    assert str(caught.value).isprintable()


# --- Places on a mesh -----------------------------------------------------------------------------------


def test_placement_makes_hops_few_and_counts_them() -> None:
    graph = random_graph(5, neurons=60, edges=150)
    found = mapped(graph, mesh="auto", steps=5000)
    assert found.placement is not None and violations(found.saved, graph) == []
    start = in_order(found.mapping, found.placement.rows, found.placement.cols)
    assert found.placement.hops < start.hops
    assert found.placement.multicast_hops <= found.placement.hops
    along, down = found.placement.loads
    assert along.sum() + down.sum() == found.placement.hops


def test_few_crossbars_are_placed_best() -> None:
    graph = random_graph(6, neurons=20, external=2, edges=40)
    found = mapped(graph, pool=counted_pool((16, 5, None)), mesh="2x3", steps=5000)
    assert found.placement is not None and found.mapping.crossbars <= 6
    tiles = permutations(range(6), found.mapping.crossbars)
    least = min(Placement(found.mapping, 2, 3, np.array(one)).hops for one in tiles)
    assert found.placement.hops == least


def test_moving_a_neuron_changes_hops_as_the_flows_say() -> None:
    graph = NeuronGraph.of("line", 4, 1, [(4, 0), (0, 1), (1, 2), (2, 3)], [5, 7, 11, 13, 3])
    pool = counted_pool((4, 4, None))
    places = [
        Placement(mapping, 1, 3, np.arange(3))
        for home in ([0, 1, 2, 2], [0, 2, 1, 1])
        if (mapping := Mapping.of(graph, pool, home)) is not None
    ]
    assert [one.hops for one in places] == [5 * 1 + 7 * 1, 5 * 1 + 7 * 1]  # numbered by first neurons
    together = Mapping.of(graph, pool, [0, 0, 1, 2])
    assert together is not None
    assert Placement(together, 1, 3, np.arange(3)).hops == 7 * 1 + 11 * 1
    assert Placement(together, 1, 3, np.array([1, 0, 2])).hops == 3 * 1 + 7 * 1 + 11 * 2


@pytest.mark.parametrize(
    ("mesh", "words"), [("1x1", "fewer than"), ("axb", "auto or ROWSxCOLS"), ("0x9", "1 to")]
)
def test_meshes_are_checked(mesh: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        mapped(random_graph(1), mesh=mesh, steps=100)


@pytest.mark.parametrize("seed", range(3))
def test_swaps_counted_by_line_are_those_counted_by_neighbour(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikex_sim.mapped.mesh.STEPS_PER_CROSSBAR", 500)
    graph = random_graph(seed, neurons=60, edges=240)
    mapping = Mapping.of(graph, counted_pool((64, 64, None)), np.arange(60) % 23)
    assert mapping is not None
    assert len(flows(mapping)[2]) > 23 * 5
    start = in_order(mapping, 4, 7)
    tiles = swapped(start, seed, by_line=True)
    assert tiles.tolist() == swapped(start, seed, by_line=False).tolist()
    assert replace(start, tile=tiles).hops < start.hops
