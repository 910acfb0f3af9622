"""Ways to map side by side: each holds, the table says what they came to, and a killed one goes on."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import is_mistake, spikex, succeed
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.explore.mapping import compare as module
from spikex_sim.explore.mapping.compare import (
    HETEROGENEOUS,
    HOMOGENEOUS,
    Comparison,
    compare,
    homogeneous,
    mappings,
    ways_of,
)
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.prepare import prepared
from spikex_sim.mapped.baselines import first_fit
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.homes import Homes
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.mapped.unroll import Part, Unrolled
from spikex_sim.mapped.verify import violations
from spikex_sim.plots.mapper_rows import mesh_rows

SMALL = "gen:nodes=40,edges=110,fanin=11,gini_in=.5,gini_out=.5"
GRAPH = replace(sx.load_network(SMALL), spikes=np.arange(40) % 7, profiled=True)
TABLE2 = Pool.named("table2")
QUICK = Effort("anneal", 2000, 2, 1, 1)
COUNTED = Pool.of("chip", {"types": [
    {"inputs": 16, "outputs": 4, "count": 12}, {"inputs": 16, "outputs": 16, "count": 3},
]})  # fmt: skip
COSTLY = Pool.of("costly", {"types": [{"inputs": 12, "outputs": 3}, {"inputs": 24, "outputs": 6}],
                            "overhead": {"crossbar": 9, "input": 1, "output": 2}})  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(GRAPH, TABLE2, objective="packets", effort=QUICK, mesh="auto")


def by_name(found: Comparison, kind: str = HETEROGENEOUS) -> dict[str, Any]:
    return {
        f"{row['method']} {row['start'] or row['objective']}".rstrip(): row
        for row in found.rows if row["kind"] == kind
    }  # fmt: skip


# --- what is compared ------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [TABLE2, COUNTED, COSTLY, Pool.named("16x16")], ids=lambda pool: pool.name)
def test_every_mapping_holds(pool: Pool) -> None:
    made = compare(GRAPH, pool, objective="packets", effort=QUICK, mesh="auto")
    there = dict(mappings(made))
    assert len(there) == (7 if pool.name == "16x16" else 14) - len(made.notes)
    for folder, saved in there.items():
        assert violations(saved, GRAPH) == [], folder


def test_rows_are_of_the_mappings(found: Comparison) -> None:
    saved = dict(mappings(found))
    assert len(found.rows) == len(saved) == 14
    for row, (folder, one) in zip(found.rows, saved.items(), strict=True):
        assert folder.startswith(row["kind"]) and row["method"] in folder
        metrics = one.metrics
        assert (row["area"], row["crossbars"]) == (metrics["area"], len(one.crossbars))
        assert (row["routes"], row["packets"]) == (metrics["routes_global"], metrics["packets_global"])
        assert row["hops"] == metrics["hops"] > 0
        kinds = [crossbar["type"] for crossbar in one.crossbars]
        counted = dict(part.split(":") for part in row["types"].split())
        assert counted == {kind: str(kinds.count(kind)) for kind in set(kinds)}
        assert row["seconds"] >= 0
    assert found.rows[0]["pool"] == "16x16" and found.rows[-1]["pool"] == "table2"


def test_ways_stand_in_the_order_of_the_table() -> None:
    names = ["first-fit", "greedy", "mcc first-fit", "mcc single", "anneal area"]
    assert [way.name for way in ways_of(GRAPH, TABLE2, "area")] == names * 2
    assert [way.name for way in ways_of(GRAPH, TABLE2, "routes")] == [*names, "anneal routes"] * 2
    ways = ways_of(GRAPH, Pool.named("16x16"), "packets")
    assert [way.name for way in ways] == [*names, "anneal routes", "anneal packets"]
    assert {way.kind for way in ways} == {HOMOGENEOUS}
    assert len({way.folder for way in ways_of(GRAPH, TABLE2, "packets")}) == 14


def test_methods_can_be_chosen(found: Comparison) -> None:
    made = compare(GRAPH, TABLE2, methods=("anneal", "greedy"), effort=QUICK)
    assert [row["method"] for row in made.rows] == ["greedy", "anneal"] * 2
    assert [row["area"] for row in made.rows if row["kind"] == HETEROGENEOUS] == [
        by_name(found)[name]["area"] for name in ("greedy", "anneal area")
    ]
    with pytest.raises(sx.ConfigError, match="--methods"):
        compare(GRAPH, TABLE2, methods=("annealing",), effort=QUICK)
    with pytest.raises(sx.ConfigError, match="--objective: has no effect without the method anneal"):
        compare(GRAPH, TABLE2, methods=("greedy",), objective="routes", effort=QUICK)


def test_percent_is_against_the_better_homogeneous_mcc(found: Comparison) -> None:
    usual = by_name(found, HOMOGENEOUS)
    least = min(usual["mcc first-fit"]["area"], usual["mcc single"]["area"])
    for row in found.rows:
        assert row["less_percent"] == pytest.approx(100 - 100 * row["area"] / least, abs=0.005)
    for kind in (HOMOGENEOUS, HETEROGENEOUS):
        starts = [by_name(found, kind)[f"mcc {start}"] for start in ("first-fit", "single")]
        marked = [row for row in found.rows if row["kind"] == kind and row["better"]]
        assert marked == [min(starts, key=lambda row: row["area"])]  # the first of equals


def test_annealing_saves_what_it_is_asked_to(found: Comparison) -> None:
    for kind in (HOMOGENEOUS, HETEROGENEOUS):
        rows = by_name(found, kind)
        area, routes, packets = (rows[f"anneal {stage}"] for stage in ("area", "routes", "packets"))
        assert area["area"] >= routes["area"] and area["area"] >= packets["area"]
        assert area["routes"] > routes["routes"] and area["packets"] > packets["packets"]
        assert area["area"] >= area["bound"] > 0


@pytest.mark.parametrize(("fanin", "side"), [(8, "8x8"), (9, "16x16"), (16, "16x16"), (17, "32x32")])
def test_homogeneous_pool_is_the_smallest_square_that_takes_all(fanin: int, side: str) -> None:
    graph = NeuronGraph.of("fan", fanin + 1, 0, [[k, fanin] for k in range(fanin)])
    [one] = homogeneous(graph, TABLE2).types
    assert one.name == side and one.count is None


def test_homogeneous_pool_of_a_pool_without_squares_or_with_counts() -> None:
    assert homogeneous(GRAPH, COSTLY).types == (COSTLY.types[0],)
    [one] = homogeneous(GRAPH, COUNTED).types
    assert (one.name, one.count, one.cost) == ("16x16", None, 256)
    with pytest.raises(UnsupportedError, match="the widest crossbar of the pool takes 4"):
        homogeneous(GRAPH, Pool.of("low", {"types": [{"inputs": 4, "outputs": 4}]}))


def test_a_pool_of_one_counted_type_is_another_one_than_without_count() -> None:
    pool = Pool.of("one", {"types": [{"inputs": 16, "outputs": 16, "count": 40}]})
    assert {way.kind for way in ways_of(GRAPH, pool, "area")} == {HOMOGENEOUS, HETEROGENEOUS}


def test_what_is_missing_is_said_and_the_rest_is_there() -> None:
    pool = Pool.of("short", {"types": [{"inputs": 16, "outputs": 16, "count": 7}]})
    made = compare(GRAPH, pool, effort=QUICK)
    assert {row["pool"] for row in made.rows} == {"16x16", "short"}
    there = {row["method"] for row in made.rows if row["pool"] == "short"}
    lines = {line.split(" in short: ")[0]: line for line in made.notes}
    assert "mcc single" in lines and "copies" in lines["mcc single"]
    assert not there & {name for name in lines if name in ("first-fit", "greedy", "anneal area")}


def test_without_or_tools_homogeneous_mcc_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise ConfigError("CP-SAT needs OR-Tools (ortools is missing): pip", field="--engine")

    for place in ("packing", "solver"):
        monkeypatch.setattr(f"spikex_sim.explore.mapping.{place}.cp_model", missing)
    graph = sx.load_network("gen:A")
    made = compare(graph, TABLE2, effort=Effort("anneal", 1000, 1))
    said = re.compile(r"mcc (first-fit|single) in 16x16: CP-SAT needs OR-Tools \(.*")
    assert made.notes and all(said.fullmatch(note) for note in made.notes)
    left = {row["start"] for row in made.rows if row["kind"] == HETEROGENEOUS and row["method"] == "mcc"}
    assert left == {"first-fit", "single"}
    if len(made.notes) == 2:
        assert all(row["less_percent"] == "" for row in made.rows)


def test_a_mesh_that_is_too_small_leaves_the_mapping_unplaced() -> None:
    made = compare(GRAPH, TABLE2, effort=QUICK, mesh="3x3")
    hops = {row["crossbars"]: row["hops"] for row in made.rows}
    assert all((hop == "") == (number > 9) for number, hop in hops.items()) and "" in hops.values()
    assert any("3x3 tiles are fewer than" in note for note in made.notes)
    with pytest.raises(ConfigError, match="--mesh"):
        compare(GRAPH, TABLE2, effort=QUICK, mesh="3by3")
    with pytest.raises(ConfigError, match="--objective"):
        compare(GRAPH, TABLE2, effort=QUICK, objective="hops")


# --- order of first-fit ----------------------------------------------------------------------------


def test_first_fit_by_position_shares_the_inputs_of_a_window() -> None:
    # A row of 16 pixels, windows of 3, 8 channels: two positions of all channels fill 16 columns, 4 axons;
    # in the order of numbers a crossbar has a channel at nearly all positions, and all 16 axons.
    edges = [[128 + x + tap, m * 16 + x] for m in range(8) for x in range(16) for tap in (-1, 0, 1)
             if 0 <= x + tap < 16]  # fmt: skip
    graph = NeuronGraph.of("conv", 128, 16, edges)
    pool = Pool.of("two", {"types": [{"inputs": 4, "outputs": 16}, {"inputs": 16, "outputs": 16}]})
    plain = first_fit(graph, pool)
    assert plain is not None and plain.area >= 7 * 256
    layers = (Part("conv", 0, (8, 1, 16), False), Part("in", 128, (1, 1, 16), True))
    made = compare(prepared(Unrolled(graph, layers), pool), pool, effort=QUICK)
    assert by_name(made)["first-fit"]["area"] == 8 * 64
    assert by_name(made)["first-fit"]["routes"] == 2 * 3 + 6 * 4


# --- the same again --------------------------------------------------------------------------------


def without_seconds(found: Comparison) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in found.rows]


def test_jobs_change_nothing(found: Comparison) -> None:
    other = compare(GRAPH, TABLE2, objective="packets", effort=replace(QUICK, jobs=3), mesh="auto")
    assert without_seconds(other) == without_seconds(found)
    for (folder, one), (again, same) in zip(mappings(found), mappings(other), strict=True):
        assert folder == again and one.crossbars == same.crossbars


class StoppedError(Exception):
    pass


def test_a_stopped_comparison_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[str] = []
    usual = module._Run._found

    def one_by_one(run: Any, way: Any) -> Any:
        if run.graph is GRAPH:
            if len(went) == 5:
                raise StoppedError
            went.append(way.name)
        return usual(run, way)

    monkeypatch.setattr(module._Run, "_found", one_by_one)
    kept = tmp_path / "kept.sqlite"
    with pytest.raises(StoppedError):
        compare(GRAPH, TABLE2, effort=QUICK, kept=kept)
    before = went.copy()
    went.clear()
    made = compare(GRAPH, TABLE2, effort=QUICK, kept=kept)
    assert sorted(before + went) == sorted(way.name for way in ways_of(GRAPH, TABLE2, "area"))
    went[:] = ["nothing more"] * 5
    again = compare(GRAPH, TABLE2, effort=QUICK, kept=kept)
    assert again.rows == made.rows, "seconds too: nothing was run"
    for other in (replace(QUICK, seed=2), replace(QUICK, steps=2001), replace(QUICK, restarts=1)):
        with pytest.raises(StoppedError):
            compare(GRAPH, TABLE2, effort=other, kept=kept)
    with pytest.raises(StoppedError):
        compare(GRAPH, TABLE2, effort=QUICK, kept=kept, mesh="auto")
    usual_graph = replace(GRAPH, spikes=GRAPH.spikes + 1)
    monkeypatch.setattr(sys.modules[__name__], "GRAPH", usual_graph)
    with pytest.raises(StoppedError):
        compare(usual_graph, TABLE2, effort=QUICK, kept=kept)


@pytest.mark.parametrize("damage", ["area", "neuron", "form", "pool"])
def test_what_a_store_has_is_held_against_the_network(tmp_path: Path, damage: str) -> None:
    kept = tmp_path / "kept.sqlite"
    made = compare(GRAPH, TABLE2, effort=QUICK, kept=kept)
    with sqlite3.connect(kept) as database:
        key, text = database.execute("SELECT key, row FROM points ORDER BY key LIMIT 1").fetchone()
        row = json.loads(text)
        if damage == "area":
            row["mapping"]["metrics"]["area"] -= 16
        elif damage == "neuron":
            row["mapping"]["crossbars"][0]["neurons"].pop()
        elif damage == "pool":
            row["mapping"]["pool"]["types"][0]["area"] = 1
        else:
            row["mapping"]["stages"][0]["seconds"] = []
        database.execute("UPDATE points SET row = ? WHERE key = ?", (json.dumps(row), key))
    again = compare(GRAPH, TABLE2, effort=QUICK, kept=kept)
    assert without_seconds(again) == without_seconds(made)
    assert all(violations(saved, GRAPH) == [] for _, saved in mappings(again))


# --- the command -----------------------------------------------------------------------------------


def test_command_fits_a_terminal_and_writes_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = f"map compare {SMALL} --objective routes --steps 2e3 --restarts 2 --mesh auto --out o".split()
    outcome = succeed(capsys, *line)
    assert all(len(text) <= 80 for text in outcome.lines if not text.startswith("wrote"))
    assert outcome.out.count(" *") == 2, "a star a pool"
    with Path("o/compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "network", "kind", "pool", "method", "start", "objective", "better", "area", "crossbars",
        "less_percent", "routes", "packets", "hops", "types", "bound", "status", "seconds",
    ]  # fmt: skip
    assert len(rows) == 12
    for row in rows:
        assert re.search(
            rf"\b{int(row['area']):,} +{row['crossbars']} +.*{int(row['routes']):,}", outcome.out
        )
    content = json.loads(Path("o/compare.json").read_text())
    assert content["format"] == "spikex-mapping-comparison" and len(content["rows"]) == 12
    assert Path("o/compare.pdf").stat().st_size > 1000
    for folder in Path("o").iterdir():
        if folder.is_dir():
            done = succeed(capsys, "map", "verify", folder, "o/network.json")
            assert done.out == "ok\n"
    assert sum(folder.is_dir() for folder in Path("o").iterdir()) == 12
    assert succeed(capsys, "plot", "o", "--out", "p", "--format", "svg").out.count("map-compare.svg") == 1
    # Again: nothing is mapped, so that even the seconds stay.
    before = Path("o/compare.csv").read_bytes()
    succeed(capsys, *line)
    assert Path("o/compare.csv").read_bytes() == before


def test_layers_are_split_profiled_and_compared(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = "t.npz --methods first-fit,greedy,anneal"  # MCC packs so many columns again and again
    line = f"map compare {some} --steps 2e3 --restarts 1 --objective packets --profile t.npz --mesh auto"
    outcome = succeed(capsys, *line.split(), "--out", "o")
    assert "neurons are split" in outcome.out and "a spike each" not in outcome.out
    content = json.loads(Path("o/compare.json").read_text())
    assert content["network"]["profiled"] and content["network"]["neurons"] == 9 * 36 + 5
    assert {one["name"] for one in content["pools"].values()} == {"256x256", "table2x8"}
    graph = sx.load_network("o/network.json")
    for folder in (one for one in Path("o").iterdir() if one.is_dir()):
        saved = SavedMapping.load(folder)
        assert violations(saved, graph) == [] and len(saved.splits) == 5, "301 inputs or so: two parts each"
        assert sum(one["packets"] for one in saved.splits) > 5
        rows = mesh_rows(Homes.of(saved, graph), saved)
        assert sum(row.get("packets", 0) for row in rows) == saved.metrics["hops"]
    is_mistake(spikex(capsys, *line.split(), "--no-split"), "301 inputs", "256")
    is_mistake(spikex(capsys, "map", "compare", "t.npz", "--profile-share", 0.5), "--profile-share")
    few = succeed(capsys, *line.partition("--objective")[0].split(), "--layers", "first")
    assert few.lines[0].startswith("small: 324 neurons, 72 external axons") and "split" not in few.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--objective hops", ["--objective", "area"]), ("--steps 0", ["--steps"]),
        ("--steps 1.5", ["--steps", "whole"]), ("--mesh 3by3", ["--mesh"]), ("--jobs 0", ["--jobs"]),
        ("--pool none", ["table2"]), ("--inputs both", ["--inputs", "mapped"]), ("--layers a", ["--layers"]),
        ("--pool low.json", ["inputs"]), ("--seed -1", ["--seed"]), ("--restarts 0", ["--restarts"]),
    ],
)  # fmt: skip
def test_mistakes_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: str,
    words: list[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("low.json").write_text('{"types": [{"inputs": 4, "outputs": 4}]}')
    is_mistake(spikex(capsys, "map", "compare", SMALL, "--out", "o", *options.split()), *words)
    assert not Path("o").exists()
