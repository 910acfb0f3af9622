"""What reports say to repeat a result: the command gives the same result again."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import spikex_sim as sx
from command import succeed
from report_pages import Page
from spikex_sim.explore.designs.found import load_exploration
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.report.repeat_searches import (
    command_of_exploration,
    command_of_mapping,
    commands_of_evaluation,
    space_text,
)


def command_in(page: Page) -> list[str]:
    found = next(line for line in page.text.split("copy") if line.startswith("spikex-sim "))
    return shlex.split(found.split("TRACE:")[0])


@pytest.mark.parametrize(
    "options",
    [
        ["--tws", "3"],
        ["--arch", "ptb", "--set", "array.rows=4", "--set", "memory.glb.bytes=40000"],
        ["--arch", "arch.yaml", "--engine", "event"],
        ["--set", "memory.glb.partition.ifmap=0.2", "--set", "memory.glb.partition.filter=0.7"],
    ],
    ids=["tws", "ptb", "file", "partition"],
)
def test_command_repeats_a_run(here: Path, capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    succeed(capsys, "run", "t.npz", *options, "--out", "one")
    found = Page.of(sx.report("one"))
    program, *words = command_in(found)
    assert program == "spikex-sim" and words[:2] == ["run", "TRACE"]
    succeed(capsys, *["t.npz" if word == "TRACE" else word for word in words], "--out", "two")
    one, two = (sx.load_results(name).to_dict() for name in ("one", "two"))
    for content in (one, two):
        content["config"].pop("name")
    assert all(one[key] == two[key] for key in ("config", "engine", "totals", "layers"))


def test_command_of_the_packaged_trace_names_no_trace(tmp_path: Path) -> None:
    from spikex_sim.data import default_trace_path
    from spikex_sim.report.repeat import command_of_run

    sx.simulate(sx.load_trace(default_trace_path())).save(tmp_path)
    assert command_of_run(sx.load_results(tmp_path)) == ("spikex-sim run --arch spikex", "")


def test_command_repeats_a_sweep(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(
        capsys,
        "sweep",
        "t.npz",
        "--grid",
        "tws=2,3",
        "--grid",
        "array.rows=4,8",
        "--arch",
        "spikex,ptb",
        "--out",
        "one",
    )
    words = command_in(Page.of(sx.report("one")))[1:]
    words = words[: words.index("and")] if "and" in words else words
    succeed(capsys, *["t.npz" if word == "TRACE" else word for word in words], "--out", "two")
    one, two = (list(csv.reader(Path(name, "sweep.csv").read_text().splitlines())) for name in ("one", "two"))
    assert one == two and len(one) == 9


def test_a_sweep_that_is_no_grid_has_no_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("study.yaml").write_text("zip: [{tws: [2, 5], array.rows: [4, 8]}]\n")
    succeed(capsys, "sweep", "t.npz", "--spec", "study.yaml", "--out", "one")
    assert "the points are no grid" in Page.of(sx.report("one")).text


def test_command_repeats_an_exploration(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    Path("wide.yaml").write_text(
        "keys:\n  arch: [spikex, ptb]\n  tws: {powers: [1, 8]}\n  psum_bits: {low: 20, high: 32}\n"
        "  dispatch: {values: [agile, temporal], when: {arch: spikex}}\nset: {memory.lbuf.bytes: 4096}\n"
    )
    line = ["--space", "wide.yaml", "--budget", "12", "--seed", "3", "--set", "array.rows=4"]
    line += ["--objective", "energy_pj,max:utilization", "--constraint", "area_mm2<=2"]
    succeed(capsys, "explore", "t.npz", *line, "--out", "one")
    command, remark = command_of_exploration(load_exploration("one"))
    space = space_text(load_exploration("one"))
    page = Page.of(sx.report("one"))
    assert f"{command}{remark}copy{space}space.yaml" in page.text and "TRACE: the file" in remark
    Path("space.yaml").write_text(space)
    succeed(capsys, *shlex.split(command.replace("TRACE", "t.npz"))[1:], "--out", "two")
    one, two = (json.loads(Path(name, "explore.json").read_text()) for name in ("one", "two"))
    assert len(one["points"]) == 12
    assert all(one[key] == two[key] for key in one)


MAPPED = ("map", "gen:nodes=60,edges=150,fanin=9,gini_in=0.4,gini_out=0.3", "--pool", "table2",
          "--steps", "2e4")  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        ["--restarts", "2", "--seed", "5"],
        ["--objective", "routes", "--area-budget", "+20%", "--mesh", "auto"],
        ["--objective", "packets", "--area-budget", "none"],
        ["--objective", "routes", "--pareto", "auto"],
        ["--objective", "routes", "--pareto", "600,900"],
        ["--pool", "pool.json"],
    ],
    ids=["area", "routes", "packets", "front", "budgets", "pool"],
)
def test_command_repeats_a_mapping(
    here: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    pool = {"format": "spikex-pool", "version": 1, "name": "mine",
            "types": [{"name": "a", "inputs": 32, "outputs": 8, "count": None, "area": 256}]}  # fmt: skip
    Path("pool.json").write_text(json.dumps(pool))
    given = [word for word in MAPPED if "--pool" not in options or word not in ("--pool", "table2")]
    succeed(capsys, *given, *options, "--out", "one")
    command, remark = command_of_mapping(SavedMapping.load("one"), Path("one"))
    assert ("pool.json" in remark) == ("--pool" in options)
    words = shlex.split(command.replace("NETWORK", "one/network.json"))[1:]
    succeed(capsys, *words, "--out", "two")
    one, two = (_lasting(json.loads(Path(name, "mapping.json").read_text())) for name in ("one", "two"))
    assert one == two
    tables = [Path(name, "pareto.csv") for name in ("one", "two")]
    assert not tables[0].exists() or tables[0].read_bytes() == tables[1].read_bytes()


def _lasting(content: dict[str, Any]) -> dict[str, Any]:
    for stage in content["stages"]:
        del stage["seconds"]
    return content


def test_what_is_not_known_of_a_mapping_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, *MAPPED, "--objective", "routes", "--freeze", "types", "--out", "one")
    command, remark = command_of_mapping(SavedMapping.load("one"), Path("one"))
    assert not command and "--freeze types" in remark
    file = Path("one", "mapping.json")
    content = json.loads(file.read_text())
    content["stages"][0]["engine"] = content["stages"][1]["engine"] = "first-fit"
    content["stages"][1]["freeze"] = "area"
    file.write_text(json.dumps(content))
    assert "first-fit" in command_of_mapping(SavedMapping.load("one"), Path("one"))[1]
    for stage in content["stages"]:
        del stage["engine"]
    file.write_text(json.dumps(content))
    assert "not as this version writes it" in Page.of(sx.report("one")).text


@pytest.mark.parametrize("network", ["ht.npz", "nmnist-base"], ids=["own", "shipped"])
def test_commands_repeat_an_evaluation(here: Path, capsys: pytest.CaptureFixture[str], network: str) -> None:
    data = ["--data", "l.npz"] if network == "ht.npz" else ["--limit", "1"]
    more = ["--arch", "spikex,arch.yaml", "--set", "array.cols=4", "--tws", "2"]
    succeed(capsys, "evaluate", network, *data, *more, "--out", "one")
    one = json.loads(Path("one", "evaluate.json").read_text())
    commands, remark = commands_of_evaluation(one)
    assert ("NETWORK" in remark) == ("DATA" in remark) == (network == "ht.npz")
    for place, command in enumerate(commands.splitlines()):
        line = shlex.split(command.replace("NETWORK", "ht.npz").replace("DATA", "l.npz"))[1:]
        succeed(capsys, *line, "--out", "two")
        two = json.loads(Path("two", "evaluate.json").read_text())
        assert all(one[key] == two[key] for key in ("network", "data"))
        told, again = one["runs"][place], two["runs"][0]
        assert all(told[key] == again[key] for key in told.keys() - {"arch", "config"})
        assert told["config"] | {"name": ""} == again["config"] | {"name": ""}
    assert place == 1
