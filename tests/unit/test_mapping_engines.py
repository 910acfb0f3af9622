"""Engines of the mapper: what they find, what they prove, when they are cut, and what they refuse."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spikex_sim as sx
from command import is_mistake, spikex
from examples import examples
from helpers import shared_data
from mapping_instances import cheapest, instance, optima
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.explore.mapping import annealing
from spikex_sim.explore.mapping.annealed import anneal_area, anneal_within
from spikex_sim.explore.mapping.annealing import AREA, NO_BUDGET, ROUTES, Plan, anneal
from spikex_sim.explore.mapping.bounds import best_bound
from spikex_sim.explore.mapping.deadline import NEVER, Deadline
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.feasible import squeezed
from spikex_sim.explore.mapping.reduction import reduced
from spikex_sim.explore.mapping.search import Mapped, map_graph
from spikex_sim.mapped.baselines import first_fit, greedy, single
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.mapping import cheapest_types
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.verify import violations

TABLE2 = Pool.named("table2")
NAMES = {"area": "area", "routes": "routes_global", "packets": "packets_global"}


def drawn_graph(seed: int, neurons: int = 60, edges: int = 150, external: int = 5) -> NeuronGraph:
    """A graph of at most 8 sources a neuron, with spikes."""
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, [neurons + external, neurons], (edges, 2)), axis=0)
    kept = [pair for at, pair in enumerate(pairs.tolist()) if (pairs[:at, 1] == pair[1]).sum() < 8]
    return NeuronGraph.of(f"drawn {seed}", neurons, external, kept, rng.integers(0, 90, neurons + external))


def run(graph: NeuronGraph, pool: Pool = TABLE2, objective: str = "area", **keys: Any) -> Mapped:
    """Map, hold the result against its definitions, and its value against its metrics."""
    choices = {key: keys.pop(key) for key in ("freeze", "area_budget") if key in keys}
    keys = {"steps": 20_000} | keys if keys.get("engine", "auto") in ("auto", "anneal") else keys
    found = map_graph(graph, pool, objective, Effort.of(**keys), **choices)
    assert violations(found.saved, graph) == []
    assert found.stages[-1].value == found.metrics[NAMES[objective]]
    return found


def text_of(found: Mapped) -> str:
    """The file, without the seconds that stages took."""
    saved = found.saved
    return replace(saved, stages=[{**one, "seconds": 0} for one in saved.stages]).text


def needs_solver() -> None:
    pytest.importorskip("ortools", reason="OR-Tools is not installed (extra map)")


# --- Optima ----------------------------------------------------------------------------------------------


@st.composite
def workloads(draw: st.DrawFn) -> tuple[NeuronGraph, Pool]:
    return instance(
        draw(st.integers(0, 1 << 30)), counts=draw(st.booleans()), areas=draw(st.booleans()),
        most=draw(st.integers(2, 6)),
    )  # fmt: skip


@examples(40)
@given(workload=workloads(), engine=st.sampled_from(["auto", "cpsat"]))
def test_small_optima_are_found_and_proven(workload: tuple[NeuronGraph, Pool], engine: str) -> None:
    needs_solver()
    graph, pool = workload
    keys: dict[str, Any] = {"steps": 300, "restarts": 1} if engine == "auto" else {"solver_time": 20.0}
    wanted = optima(graph, pool)
    if wanted is None:
        with pytest.raises(UnsupportedError) as caught:
            run(graph, pool, engine=engine, **keys)
        sizes = ("inputs, the widest crossbar", "outputs in all")
        proven = "no mapping exists in this pool (proven)"
        assert proven in str(caught.value) or any(one in str(caught.value) for one in sizes)
        return
    for objective in NAMES:
        found = run(graph, pool, objective, engine=engine, **keys)
        assert [one.value for one in found.stages] == [wanted[one.objective] for one in found.stages]
        assert {(one.status, one.bound_scope, one.gap) for one in found.stages} == {("optimal", "pool", 0.0)}
        assert found.area == wanted["area"]


@examples(15)
@given(seed=st.integers(0, 1 << 30))
def test_the_reduction_keeps_the_optimum_of_the_whole_pool(seed: int) -> None:
    needs_solver()
    from spikex_sim.explore.mapping.cpsat import solve
    from spikex_sim.explore.mapping.solver import Effort as SolverEffort

    graph, _ = instance(seed, most=8)
    pool = Pool.of("p", {"types": [{"inputs": a, "outputs": n} for a in (3, 5, 8, 16) for n in (2, 4, 6)]})
    assert len(reduced(pool).types) == 4 < len(pool.types)
    whole = solve(graph, pool, "area", SolverEffort(1, 20.0))
    assert whole.status == "optimal"
    for keys in ({"engine": "cpsat", "solver_time": 20.0}, {"engine": "auto", "steps": 50, "restarts": 1}):
        found = run(graph, pool, **keys)
        assert (found.area, found.stages[0].status) == (whole.value, "optimal")
    assert run(graph, pool, engine="lns", solver_time=0.5).area >= found.area


def test_wide_crossbars_come_back_after_the_reduction() -> None:
    needs_solver()
    # Eight neurons that all take the same four axons: two 4x4, or one 4x8 of the same area and fewer routes.
    graph = NeuronGraph.of("same", 8, 4, [(8 + k, i) for k in range(4) for i in range(8)])
    pool = Pool.of("p", {"types": [{"inputs": 4, "outputs": 4}, {"inputs": 4, "outputs": 8}]})
    found = run(graph, pool, engine="cpsat", solver_time=1.0)
    assert found.metrics["by_type"] == {"4x8": 1} and found.metrics["routes_global"] == 4


@examples(150)
@given(seed=st.integers(0, 1 << 30))
def test_copies_are_given_to_crossbars_for_the_least_cost(seed: int) -> None:
    _, pool = instance(seed, counts=True, areas=seed % 2 == 1)
    drawn = np.random.default_rng(seed)
    needs = drawn.integers(0, [pool.most_inputs + 1, pool.most_outputs], (int(drawn.integers(1, 7)), 2))
    axons, sizes = needs[:, 0], needs[:, 1] + 1
    wanted = cheapest(list(zip(axons.tolist(), sizes.tolist(), strict=True)), pool, ())
    kinds = cheapest_types(pool, axons, sizes)
    assert (kinds is None) == (wanted is None)
    if kinds is None:
        return
    types = [pool.types[kind] for kind in kinds.tolist()]
    assert sum(one.cost for one in types) == wanted
    assert all(one.inputs >= a and one.outputs >= n for one, a, n in zip(types, axons, sizes, strict=True))
    assert all(one.count is None or types.count(one) <= one.count for one in pool.types)


# --- Engines of networks that are too large for a proof ---------------------------------------------------


@pytest.mark.parametrize("engine", ["cpsat", "lns"])
@pytest.mark.parametrize("objective", NAMES)
def test_solvers_are_deterministic_and_say_what_they_spent(engine: str, objective: str) -> None:
    needs_solver()
    graph = drawn_graph(1)
    one, two = (run(graph, TABLE2, objective, engine=engine, solver_time=0.3) for _ in range(2))
    assert text_of(one) == text_of(two)
    for stage in one.saved.stages:
        assert (stage["engine"], stage["steps"], stage["cut"]) == (engine, None, False)
        assert stage["deterministic_time"] > 0
        assert stage["bound"] is None or stage["bound_scope"] in ("pool", "copies")
    assert one.saved.versions["ortools"]
    assert one.area <= min(greedy(graph, TABLE2).area, first_fit(graph, TABLE2).area)  # type: ignore[union-attr]


def test_more_time_makes_large_neighbourhoods_better() -> None:
    needs_solver()
    graph = drawn_graph(3, 80, 220)
    values = [
        run(graph, TABLE2, "routes", engine="lns", solver_time=time).stages[-1].value for time in (0.02, 1.5)
    ]
    assert values[1] < values[0]


def test_the_same_bytes_whatever_else_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = drawn_graph(2)
    texts = {text_of(run(graph, TABLE2, "packets", engine="anneal", jobs=jobs)) for jobs in (1, 2)}
    for module in [name for name in sys.modules if name.startswith("ortools")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "ortools", None)  # type: ignore[arg-type]
    texts.add(text_of(run(graph, TABLE2, "packets", engine="anneal")))
    assert len(texts) == 1 and '"ortools"' not in texts.pop()


@pytest.mark.parametrize("engine", ["cpsat", "lns"])
def test_solvers_say_that_or_tools_are_missing(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("ortools")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "ortools", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"--engine: CP-SAT needs OR-Tools .*pip install.*\[map\]"):
        run(drawn_graph(1), engine=engine)


@pytest.mark.parametrize("goal", [AREA, ROUTES])
@pytest.mark.parametrize("counted", [False, True])
def test_tables_of_axons_are_the_same_in_full_and_hashed(
    goal: int, counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = drawn_graph(4)
    types = [{"inputs": a, "outputs": n, "count": c} for a, n, c in ((8, 4, 40), (16, 8, None), (32, 16, 2))]
    pool = Pool.of("counted", {"types": types}) if counted else TABLE2
    start = single(graph, pool) or first_fit(graph, pool)
    assert start is not None
    found = []
    for most in (annealing.MOST_DENSE, 0):
        monkeypatch.setattr(annealing, "MOST_DENSE", most)
        found.append(anneal(start, Plan(goal, 20_000, 16.0, 0.7, 0.3), graph.spikes, NO_BUDGET, 1))
    assert (found[0].home == found[1].home).all() and (found[0].history == found[1].history).all()
    assert found[0].value < found[0].history[0]


def test_history_has_a_value_everywhere() -> None:
    graph = drawn_graph(4)
    start = single(graph, TABLE2)
    assert start is not None
    for steps in (1, 100, 257, 5000):
        history = anneal(start, Plan(AREA, steps, 16.0, 0.7, 0.3), graph.spikes, NO_BUDGET, 1).history
        assert len(history) == annealing.POINTS + 1 and (history > 0).all()


@pytest.mark.parametrize("objective", ["routes", "packets"])
def test_later_stages_go_on_from_every_mapping_of_the_least_area(objective: str) -> None:
    graph = drawn_graph(30)
    effort = Effort("anneal", 20_000, restarts=8)
    bound = best_bound(graph, TABLE2)
    found = anneal_area(graph, TABLE2, effort, bound, NEVER)
    assert found is not None
    starts, area = found
    assert len(starts) > 1 and {one.area for one in starts} == {area.value}
    assert len({one.home.tobytes() for one in starts}) == len(starts)
    assert [one.value("routes") for one in starts] == sorted(one.value("routes") for one in starts)
    first = anneal_within(starts[:1], objective, effort, area.value, NEVER)[1]
    whole = map_graph(graph, TABLE2, objective, effort).stages[1]
    assert whole.value < first.value and whole.history[0] == first.history[0]
    assert whole.restarts == len(starts)
    assert [one[0] for one in whole.history] == [one.value(objective) for one in starts]
    kept = map_graph(graph, TABLE2, objective, effort, freeze="types")
    assert (
        kept.stages[1].restarts == 1 and kept.metrics["by_type"].keys() <= starts[0].metrics["by_type"].keys()
    )


def test_packets_of_a_network_without_a_profile_are_its_routes() -> None:
    graph = replace(drawn_graph(5), spikes=np.ones(65, np.int64))
    routes, packets = (run(graph, TABLE2, objective) for objective in ("routes", "packets"))
    assert routes.saved.crossbars == packets.saved.crossbars


def test_packets_are_few_however_many_spikes_there_are() -> None:
    graph = drawn_graph(6)
    many = replace(graph, spikes=graph.spikes * 1024)
    few, scaled = (run(one, TABLE2, "packets").saved for one in (graph, many))
    assert few.crossbars == scaled.crossbars  # the schedule is scaled by the same power of two


# --- Time limits -----------------------------------------------------------------------------------------


def test_a_limit_that_is_not_reached_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = drawn_graph(7)
    monkeypatch.setattr(annealing, "CHUNK", 999)  # so that runs are of many pieces
    without, within = (run(graph, TABLE2, "routes", time_limit=limit) for limit in (None, 3600.0))
    assert text_of(without) == text_of(within)
    assert not any(one.cut for one in within.stages)


@pytest.mark.parametrize("engine", ["anneal", "auto", "cpsat", "lns"])
def test_a_limit_cuts_every_engine(engine: str) -> None:
    if engine in ("cpsat", "lns"):
        needs_solver()
    graph = drawn_graph(8)
    keys: dict[str, Any] = {"steps": 10**12} if engine in ("anneal", "auto") else {"solver_time": 1e6}
    found = run(graph, TABLE2, "routes", engine=engine, time_limit=1.0, **keys)
    assert all(one.cut for one in found.stages)
    baseline = greedy(graph, TABLE2)
    assert baseline is not None and found.area <= baseline.area
    assert sum(one.seconds for one in found.stages) < 60


def test_a_run_that_is_cut_is_the_beginning_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = drawn_graph(9)
    monkeypatch.setattr(annealing, "CHUNK", 4096)
    start = single(graph, TABLE2)
    assert start is not None

    class Soon(Deadline):
        """Over after it was asked three times."""

        asked = 0

        @property
        def passed(self) -> bool:
            type(self).asked += 1
            return self.asked > 3

    plan = Plan(AREA, 40_000, 16.0, 0.7, 0.3)
    whole, part = (anneal(start, plan, graph.spikes, NO_BUDGET, 1, limit) for limit in (NEVER, Soon(1.0)))
    assert (whole.steps, part.steps) == (40_000, 3 * 4096)
    done = 3 * 4096 * annealing.POINTS // 40_000
    assert (whole.history[: done + 1] == part.history[: done + 1]).all()
    assert len(set(part.history[done:].tolist())) == 1  # it stays where it was


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), True])
def test_limits_are_checked(limit: float) -> None:
    with pytest.raises(ConfigError, match="--time-limit: wants a number of seconds above 0"):
        Effort(time_limit=limit)


def test_shares_of_a_limit() -> None:
    limit = Deadline.after(100.0)
    half = limit.share(2)
    assert 45 < (half.seconds or 0) <= 50 and half.at < limit.at and not half.passed
    assert NEVER.share(5) is NEVER and NEVER.seconds is None and not NEVER.passed


# --- Choices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"engine": "cpsat", "steps": 5}, "--steps: is for the engines auto and anneal, not for cpsat"),
        ({"engine": "lns", "restarts": 5}, "--restarts: is for the engines auto and anneal, not for lns"),
        ({"solver_time": 1.0}, "--solver-time: is for the engines cpsat and lns, not for auto"),
        ({"engine": "anneal", "solver_time": 1.0}, "--solver-time: is for the engines cpsat and lns"),
        ({"engine": "cpsat", "solver_time": 0.0}, "--solver-time: wants a number above 0"),
        ({"engine": "lns", "solver_time": float("nan")}, "--solver-time: wants a number above 0"),
        ({"engine": "best", "steps": 5}, "--engine: 'best' is none of auto, anneal, cpsat, lns"),
    ],
)
def test_choices_without_effect_are_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Effort.of(**keys)
    assert words in str(caught.value)


def test_a_budget_below_the_bound_is_refused_before_any_search() -> None:
    graph = drawn_graph(1)
    for budget, words in (
        ("1", r"^--area-budget 1 is below the proven bound \d+$"),
        ("-5", "wants a number of cells"), ("+-5%", "wants a number"), ("+nan%", "wants a number"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            run(graph, TABLE2, "routes", steps=10**12, area_budget=budget)
    found = run(graph, TABLE2, "routes")
    with pytest.raises(ConfigError, match=f"is below the least area found, {found.area}"):
        run(graph, TABLE2, "routes", area_budget=str(found.area - 1))


@pytest.mark.parametrize("name", ["E"])
def test_the_bound_of_a_reference_network_refuses_a_budget(name: str) -> None:
    graph = sx.load_network(shared_data(f"mapping/networks/{name}.json"))
    with pytest.raises(ConfigError, match=r"^--area-budget 900 is below the proven bound 944$"):
        sx.map_network(graph, objective="routes", area_budget="900")


# --- What cannot be --------------------------------------------------------------------------------------


def test_how_many_crossbars_are_missing_is_told() -> None:
    graph = drawn_graph(10, 90, 260)
    uncounted = Pool.of("p", {"types": [{"inputs": 16, "outputs": 16}]})
    merged = greedy(graph, uncounted)
    assert merged is not None
    for short in (2, merged.crossbars - 6):
        pool = Pool("p", (replace(uncounted.types[0], count=merged.crossbars - short),))
        with pytest.raises(
            UnsupportedError, match=f"^drawn 10: none found; greedy needs {short} more 16x16$"
        ):
            run(graph, pool, engine="anneal", steps=500)


def test_a_pool_with_too_few_copies_for_baselines_may_do() -> None:
    graph = drawn_graph(11, 90, 260)
    one = Pool.of("p", {"types": [{"inputs": 16, "outputs": 16}]})
    merged = greedy(graph, one)
    assert merged is not None
    pool = Pool("p", (replace(one.types[0], count=merged.crossbars - 1),))
    assert first_fit(graph, pool) is None and greedy(graph, pool) is None
    found = squeezed(graph, pool, 300_000, 1000)
    assert found is not None and found.crossbars < merged.crossbars
    assert run(graph, pool, steps=300_000).area <= found.area


def test_what_no_crossbar_takes_is_proven_or_told() -> None:
    # Three neurons of four axons each, all different: two 8x8 hold at most two of them each by inputs.
    graph = NeuronGraph.of("three", 3, 12, [(3 + 4 * i + k, i) for i in range(3) for k in range(4)])
    pool = Pool.of("p", {"types": [{"inputs": 4, "outputs": 8, "count": 2}]})
    with pytest.raises(UnsupportedError, match=r"^three: none found; greedy needs 1 more 4x8$"):
        run(graph, pool, engine="anneal")
    needs_solver()
    for engine in ("auto", "cpsat", "lns"):
        with pytest.raises(UnsupportedError, match=r"^three: no mapping exists in this pool \(proven\)$"):
            run(graph, pool, engine=engine)


# --- The command line ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quiet_logger")
def test_the_command_line_says_what_cut_it_and_what_a_bound_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    graph = drawn_graph(12, 48, 110)
    document = {
        "format": "spikex-network", "version": 1, "name": "n", "neurons": 48, "external": 5,
        "edges": np.stack([graph.source, graph.target], 1).tolist(), "spikes": graph.spikes.tolist(),
    }  # fmt: skip
    Path("n.json").write_text(json.dumps(document))
    cut = spikex(capsys, "map", "n.json", "--objective", "routes", "--time-limit", 1e-9)
    assert cut.code == 0 and "cut by --time-limit: what is found depends on the machine" in cut.out
    assert "cut by" not in spikex(capsys, "map", "n.json", "--steps", 100, "--time-limit", 1e5).out
    for limit in ("0", "-3", "nan"):
        is_mistake(spikex(capsys, "map", "n.json", "--time-limit", limit), "--time-limit: wants a number")
    is_mistake(spikex(capsys, "map", "n.json", "--solver-time", 1), "--solver-time: is for the engines cpsat")
    needs_solver()
    is_mistake(
        spikex(capsys, "map", "n.json", "--engine", "lns", "--steps", 9), "--steps: is for the engines"
    )
    solved = spikex(
        capsys,
        "map",
        "n.json",
        "--engine",
        "cpsat",
        "--solver-time",
        0.5,
        "--objective",
        "routes",
        "--out",
        "o",
    )
    assert solved.code == 0, solved.err
    stages = json.loads(Path("o/mapping.json").read_text())["stages"]
    assert [one["engine"] for one in stages] == ["cpsat", "cpsat"]
    assert all(one["deterministic_time"] > 0 for one in stages)
    few = any(one["bound_scope"] == "copies" for one in stages)
    assert few == ("bound of mappings with no more crossbars of each type" in solved.out)
