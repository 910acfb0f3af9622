"""Fronts of area against routes and packets: budgets, rows, and what is kept of a run that ends early."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command import is_mistake, spikex
from spikex_sim.core.errors import ConfigError, OutputError
from spikex_sim.explore.mapping import front
from spikex_sim.explore.mapping.budgets import Budget
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.search import Mapped, map_graph
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.mapped.verify import violations

TABLE2 = Pool.named("table2")


def drawn_graph(seed: int = 1) -> NeuronGraph:
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, 50, (120, 2)), axis=0)
    return NeuronGraph.of("drawn", 50, 0, pairs.tolist(), rng.integers(0, 90, 50))


def mapped(graph: NeuronGraph, budgets: str, objective: str = "routes", **keys: Any) -> Mapped:
    kept = keys.pop("kept", None)
    keys = {"steps": 20_000, "engine": "anneal"} | keys
    found = map_graph(graph, TABLE2, objective, Effort.of(**keys), pareto=budgets, kept=kept)
    for point in found.front:
        assert violations(SavedMapping.of(point.mapping, [point.stage]), graph) == []
        assert point.mapping.area <= point.budget
        assert point.stage.value == point.mapping.value(objective)
    assert found.mapping is found.front[0].mapping and found.stages[1] is found.front[0].stage
    return found


def rows(found: Mapped) -> list[dict[str, int]]:
    return [point.row for point in found.front]


@pytest.mark.parametrize("objective", ["routes", "packets"])
def test_larger_budgets_give_no_more(objective: str) -> None:
    found = mapped(drawn_graph(), "none,+0%,+30%,+10%,+10%", objective)
    given = rows(found)
    assert [list(one) for one in given] == [["area_budget", "area", "routes", "packets", "crossbars"]] * 4
    least = found.stages[0].value
    assert [one["area_budget"] for one in given[:3]] == [least, int(1.1 * least), int(1.3 * least)]
    values = [one[objective] for one in given]
    assert values == sorted(values, reverse=True) and values[-1] < values[0]
    assert given[-1]["area_budget"] > given[-2]["area_budget"]


def test_a_point_is_what_its_budget_alone_gives() -> None:
    graph = drawn_graph()
    found = mapped(graph, "+0%,+40%")
    effort = Effort("anneal", 20_000)
    alone = map_graph(graph, TABLE2, "routes", effort, area_budget="+40%")
    assert found.front[1].row["routes"] <= alone.metrics["routes_global"]
    assert map_graph(graph, TABLE2, "routes", effort).crossbars == found.crossbars


def test_auto_goes_from_the_least_area_until_nothing_falls() -> None:
    graph = drawn_graph(2)
    found = mapped(graph, "auto")
    given, free = rows(found), mapped(graph, "none")
    assert given[0]["area_budget"] == found.stages[0].value
    budgets, values = ([one[key] for one in given] for key in ("area_budget", "routes"))
    assert budgets == sorted(set(budgets)) and len(budgets) > 3
    assert values == sorted(values, reverse=True)
    assert values[-1] <= free.front[0].row["routes"]
    assert values[-2] > values[-1]


def test_the_same_on_one_and_two_jobs() -> None:
    one, two = (mapped(drawn_graph(3), "auto", jobs=jobs) for jobs in (1, 2))
    assert rows(one) == rows(two) and one.crossbars == two.crossbars


def test_counted_pools_and_proofs() -> None:
    pytest.importorskip("ortools", reason="OR-Tools is not installed (extra map)")
    graph = NeuronGraph.of("few", 6, 2, [(6, 0), (6, 1), (7, 2), (7, 3), (0, 4), (1, 4), (2, 5), (4, 5)])
    pool = Pool.of("p", {"types": [{"inputs": 4, "outputs": 2, "count": 6}, {"inputs": 8, "outputs": 6}]})
    found = map_graph(graph, pool, "routes", Effort.of("auto", steps=500), pareto="auto")
    assert {point.stage.status for point in found.front} == {"optimal"}
    assert found.front[-1].row["routes"] == 2 and found.front[-1].row["crossbars"] == 1
    for point in found.front:
        assert violations(SavedMapping.of(point.mapping, [point.stage]), graph) == []


# --- What is kept ----------------------------------------------------------------------------------------


class Counted:
    """Counts stages that are searched for, and ends the run before one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.budgets: list[int | None] = []
        self.last = 10**6
        real = front.least_within

        def least_within(starts: Any, objective: str, effort: Effort, budget: int | None, end: Any) -> Any:
            if len(self.budgets) == self.last:
                raise KeyboardInterrupt
            self.budgets.append(budget)
            return real(starts, objective, effort, budget, end)

        monkeypatch.setattr(front, "least_within", least_within)


def test_a_run_that_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, path = drawn_graph(), tmp_path / "kept.sqlite"
    whole = mapped(graph, "auto")
    counted = Counted(monkeypatch)
    counted.last = 4
    with pytest.raises(KeyboardInterrupt):
        mapped(graph, "auto", kept=path)
    done, counted.last, counted.budgets = list(counted.budgets), 10**6, []
    resumed = mapped(graph, "auto", kept=path)
    assert len(done) == 4 and not set(done) & set(counted.budgets) and counted.budgets
    assert rows(resumed) == rows(whole) and resumed.crossbars == whole.crossbars
    counted.budgets = []
    again = mapped(graph, "auto", kept=path)
    assert counted.budgets == [] and rows(again) == rows(whole)
    assert again.saved.stages == resumed.saved.stages  # their seconds are those of the run that found them
    mapped(graph, f"{rows(whole)[1]['area_budget']}", kept=path)
    assert counted.budgets == []


@pytest.mark.parametrize(
    "change",
    [{"seed": 2}, {"steps": 20_001}, {"restarts": 2}, {"objective": "packets"}, {"engine": "auto"}, "spikes",
     "edges"],
)  # fmt: skip
def test_other_choices_are_other_points(change: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, path = drawn_graph(), tmp_path / "kept.sqlite"
    counted = Counted(monkeypatch)
    mapped(graph, "none", "routes", kept=path)
    assert len(counted.budgets) == 1
    if change == "spikes":
        graph = NeuronGraph.of("drawn", 50, 0, list(zip(graph.source, graph.target, strict=True)), [3] * 50)
    elif change == "edges":
        graph = drawn_graph(2)
    keys = {"objective": "routes", "kept": path} | (change if isinstance(change, dict) else {})
    mapped(graph, "none", **keys)
    assert len(counted.budgets) == 2


def test_what_time_cuts_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, path = drawn_graph(), tmp_path / "kept.sqlite"
    counted = Counted(monkeypatch)
    cut = mapped(graph, "+0%,none", kept=path, time_limit=1e-9)
    assert all(one.cut for one in cut.every_stage)
    whole = mapped(graph, "+0%,none", kept=path)
    assert len(counted.budgets) == 4 and not any(one.cut for one in whole.every_stage)
    assert rows(whole) == rows(mapped(graph, "+0%,none"))


@pytest.mark.parametrize("damage", ["home", "kinds", "type", "none", "value", "objective", "json"])
def test_damaged_points_are_made_again(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, path = drawn_graph(), tmp_path / "kept.sqlite"
    whole = mapped(graph, "none", kept=path)
    with sqlite3.connect(path) as database:
        for key, text in database.execute("SELECT key, row FROM points").fetchall():
            row = json.loads(text)
            if damage == "home":
                row["mappings"][0]["home"][0] = 10**6
            elif damage == "kinds":
                row["mappings"][0]["kinds"] = [0] * len(row["mappings"][0]["kinds"])
            elif damage == "type":
                row["mappings"][0]["kinds"][0] = 10
            elif damage == "none":
                row["mappings"] = []
            elif damage == "value":
                row["stage"]["value"] -= 1
            elif damage == "objective":
                row["stage"]["colour"] = "red"
            spoiled = "{" if damage == "json" else json.dumps(row)
            database.execute("UPDATE points SET row = ? WHERE key = ?", (spoiled, key))
    database.close()
    counted = Counted(monkeypatch)
    assert rows(mapped(graph, "none", kept=path)) == rows(whole) and len(counted.budgets) == 1


# --- What cannot be --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budgets", "keys", "words"),
    [
        ("auto", {"objective": "area"}, "--pareto: is for the objectives routes and packets"),
        ("auto", {"area_budget": "none"}, "--pareto: has budgets of its own: leave --area-budget out"),
        ("auto", {"freeze": "types"}, "--freeze: keeps crossbars, which --pareto exchanges for others"),
        ("9000,1", {}, "--pareto 1 is below the proven bound"),
        ("9000,much", {}, "--pareto: wants a number of cells, +P% or none, not 'much'"),
        ("", {}, "--pareto: wants a number of cells"),
        (",".join(map(str, range(5000, 5300))), {}, "--pareto: has 300 budgets, 200 are most"),
    ],
)
def test_choices_are_checked_before_any_search(budgets: str, keys: dict[str, Any], words: str) -> None:
    choices = {"objective": "routes", "effort": Effort(steps=10**12), "pareto": budgets} | keys
    with pytest.raises(ConfigError) as caught:
        map_graph(drawn_graph(), TABLE2, **choices)
    assert str(caught.value).startswith(words)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    path.write_text("no database, but a text that is long enough to be looked at " * 20)
    with pytest.raises(OutputError, match="cannot be used as a sweep store"):
        mapped(drawn_graph(), "none", kept=path)


def test_budgets_are_cells_percent_or_none() -> None:
    for text, cells in (("1500", 1500), ("+10%", 1100), (" +0.5% ", 1005), ("none", None), ("1000", 1000)):
        assert Budget.of(text, "--area-budget").over(1000, "--area-budget") == cells
    for text in ("", "1e3", "+%", "10%", "+-1%", "+inf%", "-1", "None"):
        with pytest.raises(ConfigError, match=r"--area-budget: wants a number of cells, \+P% or none"):
            Budget.of(text, "--area-budget")


# --- The command line ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quiet_logger")
def test_the_command_line_prints_and_keeps_a_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    graph = drawn_graph()
    lines = [f"{k} {i}" for k, i in zip(graph.source.tolist(), graph.target.tolist(), strict=True)]
    Path("g.txt").write_text("\n".join(lines) + "\n")
    words = ["map", "g.txt", "--objective", "routes", "--steps", 5000, "--pareto"]
    shown = spikex(capsys, *words, "auto", "--out", "o")
    assert shown.code == 0, shown.err
    assert sorted(path.name for path in Path("o").iterdir()) == [
        "crossbars.csv", "mapping.json", "network.json", "pareto.csv", "pareto.sqlite",
    ]  # fmt: skip
    with Path("o/pareto.csv").open() as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["area_budget", "area", "routes", "packets", "crossbars"]
    printed = [line.replace(",", "").split() for line in shown.lines]
    assert all(list(row.values()) in printed for row in found)
    saved = json.loads(Path("o/mapping.json").read_text())
    assert saved["metrics"]["area"] == int(found[0]["area"])
    assert spikex(capsys, "map", "verify", "o").out == "ok\n"
    before = {path.name: path.read_bytes() for path in Path("o").iterdir() if path.suffix != ".sqlite"}
    again = spikex(capsys, *words, "auto", "--out", "o")  # nothing is searched for: even seconds are the same
    assert again.out == shown.out
    assert all(Path("o", name).read_bytes() == content for name, content in before.items())
    is_mistake(spikex(capsys, *words, "much", "--out", "new"), "--pareto: wants a number of cells")
    assert not Path("new").exists()
