"""Solvers, bounds, reduction and baselines of the mapper, held against exhaustive search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from mapping_instances import instance, optima
from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.mapping.bounds import best_bound, column_bound, neighbourhood_bound
from spikex_sim.explore.mapping.mcc import components, mcc
from spikex_sim.explore.mapping.reduction import merged, narrowed, reduced
from spikex_sim.mapped.baselines import first_fit, greedy, single
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.mapped.verify import violations

DATA = Path(__file__).parents[3] / "shared" / "data" / "mapping"
data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there")
TABLE2 = Pool.named("table2")


def fits(graph: NeuronGraph, pool: Pool) -> bool:
    return int(graph.fan_in.max()) <= pool.most_inputs


def check(mapping: Mapping | None) -> Mapping:
    assert mapping is not None
    assert violations(SavedMapping.of(mapping, []), mapping.graph) == []
    return mapping


def effort() -> Any:
    pytest.importorskip("ortools")
    from spikex_sim.explore.mapping.solver import Effort

    return Effort(deterministic_time=20.0)


def stored(given: dict[str, Any]) -> NeuronGraph:
    return NeuronGraph.of(
        given["name"], given["neurons"], given["external"], given["edges"], given.get("spikes")
    )


def network(name: str) -> NeuronGraph:
    return stored(json.loads((DATA / "networks" / f"{name}.json").read_text()))


def reference(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "reference.json").read_text())["networks"][name]
    return found


@data
@pytest.mark.parametrize("at", range(6))
def test_the_optima_of_tiny_networks_are_proven(at: int) -> None:
    tries = effort()
    from spikex_sim.explore.mapping.cpsat import solve

    one = json.loads((DATA / "tiny.json").read_text())["instances"][at]
    graph, pool, wanted = stored(one["network"]), Pool.of("tiny", one["pool"]), one["optimum"]
    area = solve(graph, pool, "area", tries)
    assert (area.status, area.value) == ("optimal", wanted["area"])
    assert solve(graph, reduced(pool), "area", tries).value == wanted["area"]
    for objective in ("routes", "packets"):
        for budget, suffix in ((wanted["area"], "at_min_area"), (None, "any_area")):
            solved = solve(graph, pool, objective, tries, area.mapping, area_budget=budget)
            assert (solved.status, solved.value, solved.bound) == (
                "optimal",
                *[wanted[f"{objective}_{suffix}"]] * 2,
            )
            check(solved.mapping)


@pytest.mark.parametrize("seed", range(36))
def test_cp_sat_finds_what_trying_everything_finds(seed: int) -> None:
    tries = effort()
    from spikex_sim.explore.mapping.cpsat import solve

    graph, pool = instance(seed, counts=seed % 3 == 1, areas=seed % 3 == 2)
    wanted = optima(graph, pool)
    area = solve(graph, pool, "area", tries)
    if wanted is None:
        assert area.status == "infeasible" and area.mapping is None
        return
    assert (area.status, area.value) == ("optimal", wanted["area"])
    least = check(area.mapping)
    for objective in ("routes", "packets"):
        solved = solve(graph, pool, objective, tries, least, area_budget=wanted["area"])
        assert (solved.status, solved.value) == ("optimal", wanted[objective])
        assert check(solved.mapping).area <= wanted["area"]
        kept = solve(graph, pool, objective, tries, least, freeze="types")
        assert kept.status == "optimal" and kept.value is not None and kept.value >= wanted[objective]
        used = np.bincount(check(kept.mapping).kinds, minlength=len(pool.types))
        assert (used <= np.bincount(least.kinds, minlength=len(pool.types))).all()
    if wanted["area"]:
        below = solve(graph, pool, "area", tries, area_budget=wanted["area"] - 1)
        assert below.status == "infeasible"


@pytest.mark.parametrize("seed", range(12))
def test_neighbourhoods_only_improve_and_stay_within_the_budget(seed: int) -> None:
    effort()
    from spikex_sim.explore.mapping.lns import improve

    graph, pool = instance(100 + seed, most=12, counts=seed % 2 == 1)
    start = first_fit(graph, pool)
    if start is None:
        return
    for objective in ("area", "routes", "packets"):
        found = improve(start, objective, 3, seed=seed, area_budget=start.area)
        assert check(found.mapping).value(objective) == found.value == found.history[-1]
        assert list(found.history) == sorted(found.history, reverse=True)
        assert found.mapping.area <= start.area
        again = improve(start, objective, 3, seed=seed, area_budget=start.area)
        assert (again.mapping.home == found.mapping.home).all()


def test_copies_that_are_left_out_are_told() -> None:
    tries = effort()
    from spikex_sim.explore.mapping.cpsat import solve

    graph = NeuronGraph.of("chain", 12, 0, [(i, i + 1) for i in range(11)])
    known = check(single(graph, TABLE2))
    some = solve(graph, TABLE2, "routes", tries, known, complete=False, area_budget=known.area)
    assert some.bound_scope == "copies" and some.status == "found" and some.value == some.bound
    every = solve(graph, TABLE2, "routes", tries, known, area_budget=known.area)
    assert every.bound_scope == "pool" and every.status == "optimal"
    assert solve(graph, TABLE2, "routes", tries, known, area_budget=16).status == "infeasible"


def test_a_model_that_is_too_large_is_refused() -> None:
    tries = effort()
    from spikex_sim.explore.mapping.cpsat import solve

    graph = NeuronGraph.of("wide", 3000, 0, [])
    with pytest.raises(ConfigError, match=r"--engine: 3,000 neurons times .* use --engine anneal"):
        solve(graph, TABLE2, "area", tries)


@data
@pytest.mark.parametrize("name", "ABCDE")
def test_bounds_and_baselines_of_the_reference_networks(name: str) -> None:
    graph, wanted = network(name), reference(name)
    equal = Pool.named("16x16")
    assert column_bound(graph, TABLE2) == wanted["bound_column"]
    assert neighbourhood_bound(graph, TABLE2) == wanted["bound_neighbourhood"]
    assert best_bound(graph, equal).value == wanted["bound_homogeneous"]
    for pool, part in ((equal, "hom"), (TABLE2, "het")):
        assert check(first_fit(graph, pool)).area == wanted[part]["first_fit"]
        assert check(greedy(graph, pool)).area == wanted[part]["greedy"]
    one, two = (check(mcc(graph, TABLE2, steps=30_000, restarts=1).best) for _ in range(2))
    assert (one.home == two.home).all()


@st.composite
def workloads(draw: st.DrawFn) -> tuple[NeuronGraph, Pool]:
    return instance(
        draw(st.integers(0, 1 << 30)), counts=draw(st.booleans()), areas=draw(st.booleans()),
        most=draw(st.integers(2, 6)),
    )  # fmt: skip


@examples(60)
@given(workloads())
def test_bounds_are_never_above_the_least_area(workload: tuple[NeuronGraph, Pool]) -> None:
    graph, pool = workload
    wanted = optima(graph, pool)
    if wanted is not None:
        assert column_bound(graph, pool) <= wanted["area"]
        assert (neighbourhood_bound(graph, pool) or 0) <= wanted["area"]


@examples(20)
@given(st.integers(0, 1 << 30))
def test_the_reduced_pool_has_the_same_least_area(seed: int) -> None:
    graph, _ = instance(seed, most=5)
    pool = Pool.of("p", {"types": [{"inputs": a, "outputs": n} for a in (3, 6) for n in (2, 3, 4, 5)]})
    assert [one.name for one in reduced(pool).types] == ["3x2", "3x3", "6x2", "6x3"]
    whole, small = optima(graph, pool), optima(graph, reduced(pool))
    assert (whole is None) == (small is None)
    if whole is not None and small is not None:
        assert whole["area"] == small["area"]


def test_pools_that_are_not_reduced() -> None:
    assert [one.name for one in reduced(TABLE2).types] == ["4x4", "8x4", "16x4", "32x4"]
    for given_ in ({"types": [{"inputs": 4, "outputs": 4, "count": 3}, {"inputs": 4, "outputs": 8}]},
                   {"types": [{"inputs": 4, "outputs": 4}, {"inputs": 4, "outputs": 8}],
                    "overhead": {"crossbar": 1}}):  # fmt: skip
        pool = Pool.of("p", given_)
        assert reduced(pool) is pool


@examples(40)
@given(st.integers(0, 1 << 30), st.integers(2, 40))
def test_narrowing_keeps_the_area_and_merging_saves_routes(seed: int, most: int) -> None:
    graph, _ = instance(seed, most=most)
    if not fits(graph, TABLE2):
        return
    for start in (first_fit(graph, TABLE2), greedy(graph, TABLE2)):
        wide = check(start)
        narrow = check(narrowed(wide))
        assert narrow.area <= wide.area
        for weight in (None, graph.spikes):
            whole = check(merged(narrow, TABLE2, weight))
            assert whole.area <= narrow.area and whole.crossbars <= narrow.crossbars
            assert whole.value("packets") <= narrow.value("packets")
            assert whole.value("routes") <= narrow.value("routes")


@examples(60)
@given(workloads(), st.randoms(use_true_random=False))
def test_baselines_are_mappings(workload: tuple[NeuronGraph, Pool], drawn: Any) -> None:
    graph, pool = workload
    order = list(range(graph.neurons))
    drawn.shuffle(order)
    for found in (first_fit(graph, pool, np.array(order)), greedy(graph, pool), single(graph, pool)):
        if found is not None:
            check(found)
        else:
            assert pool.counted or not fits(graph, pool)


@pytest.mark.parametrize("seed", range(8))
def test_compilation_starts_from_two_mappings_and_gains(seed: int) -> None:
    graph, pool = instance(200 + seed, most=20)
    if len(pool.types) == 1 or not fits(graph, pool):
        return
    found = mcc(graph, pool, steps=20_000, restarts=1)
    alone, fitted, best = check(single(graph, pool)), check(first_fit(graph, pool)), check(found.best)
    assert check(found.from_first_fit).area <= fitted.area and check(found.from_single).area <= alone.area
    assert best.area == min(check(found.from_first_fit).area, check(found.from_single).area)


def test_compilation_into_equal_crossbars() -> None:
    effort()
    graph, _ = instance(7, most=20)
    pool = Pool.of("equal", {"types": [{"inputs": 12, "outputs": 4}]})
    one, two = mcc(graph, pool), mcc(graph, pool)
    assert (check(one.best).home == check(two.best).home).all()


def test_components_of_a_crossbar() -> None:
    # 0 and 1 share axon 4, 2 has 5 and 6, 3 none; all in one crossbar but 1.
    graph = NeuronGraph.of("four", 4, 3, [(4, 0), (4, 1), (5, 2), (6, 2)])
    together = check(Mapping.of(graph, TABLE2, [0, 0, 0, 0]))
    of, items, crossbar = components(together)
    assert of.tolist() == [0, 0, 1, 2] and crossbar.tolist() == [0, 0, 0]
    assert items.axons.tolist() == [1, 2, 0] and items.neurons.tolist() == [2, 1, 1]
    apart = check(Mapping.of(graph, TABLE2, [0, 1, 0, 0]))
    assert components(apart)[1].axons.tolist() == [1, 1, 2, 0]


def test_without_or_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from spikex_sim.explore.mapping.solver import cp_model

    for module in [name for name in sys.modules if name.startswith("ortools")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "ortools", None)
    with pytest.raises(
        ConfigError, match=r"--engine: CP-SAT needs OR-Tools \(ortools.* is missing\): .*\[map\]"
    ):
        cp_model()
