"""Explorations: the same however they are run, sharing points with sweeps, and near the grid's front."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import naive_explore
import spikex_sim as sx
from spikex_sim.core.errors import ConfigError, OutputError, ResultsError, SpikexError, UnsupportedError
from spikex_sim.data import default_trace_path
from spikex_sim.explore.designs.choosing import Verdict, chooser_of
from spikex_sim.explore.designs.found import load_exploration
from spikex_sim.explore.designs.reading import space_of
from spikex_sim.explore.designs.space import identity
from spikex_sim.explore.sweeps.runner import export
from sweeping import a_layer

GRID: dict[str, Any] = {"tws": [1, 2, 4, 8], "array.rows": [2, 4, 8], "array.cols": [4, 8]}
GOALS = ("energy_pj", "area_mm2")
FILES = ("explore.json", "explore.csv", "sweep.csv")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "t.npz"
    sx.save_trace(a_layer(), path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def attempts(folder: Path) -> int:
    """Runs that came to an end, finished or failed."""
    with closing(sqlite3.connect(folder / "sweep.sqlite")) as database:
        return int(database.execute("SELECT count(*) FROM attempts").fetchone()[0])


class TestGrid:
    def test_is_the_sweep(self, trace: Path, tmp_path: Path) -> None:
        found = sx.explore(trace, GRID, GOALS, sampler="grid", out=tmp_path / "a")
        swept = sx.sweep(trace, GRID, out=tmp_path / "b")
        assert found.table == swept and len(found.points) == 24
        assert (tmp_path / "a" / "sweep.csv").read_bytes() == (tmp_path / "b" / "sweep.csv").read_bytes()
        figures = [[row[name] for name in GOALS] for row in swept]
        assert [one.front for one in found.points] == naive_explore.front(figures)
        assert [list(one.figures.values()) for one in found.points] == figures
        assert [one.values for one in found.points] == [{key: row[key] for key in GRID} for row in swept]
        volume = found.hypervolume
        corner = [volume.reference[name] for name in GOALS]
        best = [volume.best[name] for name in GOALS]
        assert best == [min(values) for values in zip(*figures, strict=True)]
        on = [values for values, one in zip(figures, found.points, strict=True) if one.front]
        box = (corner[0] - best[0]) * (corner[1] - best[1])
        assert volume.final == pytest.approx(naive_explore.volume(on, corner) / box)
        course = [one.hypervolume for one in found.points]
        assert course == sorted(course) and course[-1] == volume.final

    def test_larger_than_the_budget_or_without_end_is_refused(self, trace: Path) -> None:
        with pytest.raises(ConfigError, match="sampler grid has 24 points, more than the budget of 23"):
            sx.explore(trace, GRID, GOALS, sampler="grid", budget=23)
        with pytest.raises(ConfigError, match=r"keys\.clock_mhz: is a range without steps.*no end"):
            sx.explore(trace, {"clock_mhz": {"low": 1.5, "high": 9}}, GOALS, sampler="grid")


class TestTheSame:
    @pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
    def test_points_of_a_seed(self, trace: Path, tmp_path: Path, sampler: str) -> None:
        def run(out: str, seed: int, **options: Any) -> sx.Exploration:
            return sx.explore(
                trace,
                GRID,
                GOALS,
                sampler=sampler,
                budget=12,
                batch=4,
                seed=seed,
                out=tmp_path / out,
                **options,
            )

        first = run("a", 5)
        again, other = run("b", 5, jobs=2), run("c", 6)
        assert contents(tmp_path / "a") == contents(tmp_path / "b")
        assert again == first and other.points != first.points
        assert len({identity(one.values) for one in first.points}) == 12

    def test_after_an_interruption_with_no_point_run_twice(self, trace: Path, tmp_path: Path) -> None:
        class StopError(Exception):
            pass

        def stop(points: Sequence[Any], on_front: Sequence[Any]) -> None:
            if len(points) == 8:
                raise StopError

        whole = sx.explore(trace, GRID, GOALS, budget=16, batch=4, out=tmp_path / "whole")
        with pytest.raises(StopError):
            sx.explore(trace, GRID, GOALS, budget=16, batch=4, out=tmp_path / "part", watch=stop)
        assert sorted(path.name for path in (tmp_path / "part").iterdir()) == ["sweep.sqlite"]
        assert attempts(tmp_path / "part") == 8
        assert sx.explore(trace, GRID, GOALS, budget=16, batch=4, out=tmp_path / "part") == whole
        assert contents(tmp_path / "part") == contents(tmp_path / "whole")
        assert attempts(tmp_path / "part") == 16

    def test_a_larger_budget_goes_on(self, trace: Path, tmp_path: Path) -> None:
        few = sx.explore(trace, GRID, GOALS, budget=8, out=tmp_path)
        many = sx.explore(trace, GRID, GOALS, budget=16, out=tmp_path)
        before, after = ([one.values for one in found.points] for found in (few, many))
        assert after[:8] == before and attempts(tmp_path) == 16

    def test_a_budget_of_all_runs_each_once(self, trace: Path) -> None:
        for sampler in ("tpe", "random"):
            found = sx.explore(trace, GRID, GOALS, budget=500, sampler=sampler)
            assert len(found.points) == len({identity(one.values) for one in found.points}) == 24


class TestStore:
    def test_a_sweep_gives_points_and_takes_them(self, trace: Path, tmp_path: Path) -> None:
        sx.sweep(trace, GRID, out=tmp_path / "swept")
        assert attempts(tmp_path / "swept") == 24
        sx.explore(trace, GRID, GOALS, budget=10, out=tmp_path / "swept")
        assert attempts(tmp_path / "swept") == 24
        sx.explore(trace, GRID, GOALS, budget=10, out=tmp_path / "explored")
        assert attempts(tmp_path / "explored") == 10
        sx.sweep(trace, GRID, out=tmp_path / "explored")
        assert attempts(tmp_path / "explored") == 24
        assert len(export(tmp_path / "explored")) == 24

    def test_of_another_version_is_refused(self, trace: Path, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "sweep.sqlite")) as database:
            database.execute("PRAGMA user_version = 99")
        with pytest.raises(OutputError, match="it is none of this version"):
            sx.explore(trace, GRID, GOALS, budget=4, out=tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["sweep.sqlite"]

    def test_rows_of_another_version_of_the_code_are_not_taken(self, trace: Path, tmp_path: Path) -> None:
        sx.sweep(trace, {"tws": [1, 2]}, out=tmp_path)
        with closing(sqlite3.connect(tmp_path / "sweep.sqlite")) as database, database:
            database.execute("UPDATE points SET key = 'of old' || key")
        sx.explore(trace, {"tws": [1, 2]}, GOALS, out=tmp_path)
        assert attempts(tmp_path) == 4


class TestGoals:
    def test_limits_are_kept_and_said(self, trace: Path) -> None:
        found = sx.explore(trace, GRID, GOALS, constraints=["utilization>=0.3"], sampler="grid")
        rows = sx.sweep(trace, GRID)
        assert [one.feasible for one in found.points] == [row["utilization"] >= 0.3 for row in rows]
        assert 0 < sum(one.feasible for one in found.points) < 24
        kept = [[row[name] for name in GOALS] for row in rows if row["utilization"] >= 0.3]
        assert [one.front for one in found.points if one.feasible] == naive_explore.front(kept)
        assert not any(one.front for one in found.points if not one.feasible)
        for one, row in zip(found.points, rows, strict=True):
            assert one.figures["utilization"] == row["utilization"]
            assert bool(one.reason) != one.feasible
            assert one.feasible or one.reason == f"utilization {row['utilization']:.4g}, not >= 0.3"

    def test_more_can_be_better(self, trace: Path) -> None:
        found = sx.explore(trace, GRID, ["max:utilization"], sampler="grid")
        rows = sx.sweep(trace, GRID)
        best = max(row["utilization"] for row in rows)
        assert {one.figures["utilization"] for one in found.front} == {best}
        assert found.hypervolume.best == {"utilization": best}
        assert found.hypervolume.reference["utilization"] < min(row["utilization"] for row in rows)
        with pytest.raises(SpikexError, match="nothing can keep both"):
            sx.explore(trace, GRID, constraints=["tops>=2", "tops<=1"])

    def test_of_several_traces_the_mean_counts_and_the_worst_must_fit(self, trace: Path) -> None:
        traces = [a_layer(0, "one"), a_layer(7, "two")]
        grid = {"tws": [1, 2, 4]}
        rows = sx.sweep(traces, grid)
        pairs = list(zip(rows[:3], rows[3:], strict=True))
        limit = sorted(max(a["energy_pj"], b["energy_pj"]) for a, b in pairs)[1]
        found = sx.explore(
            traces, grid, ["seconds", "energy_pj"], constraints=[f"energy_pj<={limit!r}"], sampler="grid"
        )
        for one, (a, b) in zip(found.points, pairs, strict=True):
            assert one.figures["seconds"] == pytest.approx((a["seconds"] + b["seconds"]) / 2)
            assert one.figures["energy_pj"] == pytest.approx((a["energy_pj"] + b["energy_pj"]) / 2)
            assert one.figures["most_energy_pj"] == max(a["energy_pj"], b["energy_pj"])
            assert one.feasible == (one.figures["most_energy_pj"] <= limit)
        assert sum(one.feasible for one in found.points) == 2
        assert found.table is not None and len(found.table) == 6

    def test_machines_are_keys_like_others(self, trace: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.yaml").write_text("base: ptb\nname: mine\n")
        (tmp_path / "space.yaml").write_text(
            "keys:\n  arch: [spikex, sata, mine.yaml]\n  array.rows: [4, 8]\n"
            "  tws: {values: [2, 4], when: {arch: [spikex, mine.yaml]}}\n"
        )
        found = sx.explore(trace, tmp_path / "space.yaml", ["energy_pj"], sampler="grid")
        assert [(one.arch, "tws" in one.values) for one in found.points] == [
            *[("spikex", True)] * 4, *[("sata", False)] * 2, *[("mine", True)] * 4,
        ]  # fmt: skip
        rows = sx.sweep(trace, {"array.rows": [4, 8]}, arch="sata")
        assert [one.figures["energy_pj"] for one in found.points[4:6]] == [row["energy_pj"] for row in rows]
        assert set(found.importances.shares["energy_pj"]) == {"arch", "array.rows", "tws"}
        assert sum(found.importances.shares["energy_pj"].values()) == pytest.approx(1)


class TestFailures:
    def test_what_is_no_configuration_is_recorded(self, trace: Path, tmp_path: Path) -> None:
        keys = {"memory.glb.partition.ifmap": [0.2, 0.9], "tws": [2, 4], "memory.lbuf.port_bits": [128, 99]}
        found = sx.explore(trace, keys, ["energy_pj"], sampler="grid", out=tmp_path)
        ran = [not one.reason for one in found.points]
        assert ran == [
            (one.values["memory.lbuf.port_bits"], one.values["memory.glb.partition.ifmap"]) == (128, 0.2)
            for one in found.points
        ]
        reasons = [one.reason for one in found.points if one.reason]
        assert any("memory.glb.partition" in reason for reason in reasons)
        assert any("99 bit" in reason for reason in reasons)
        assert all(not one.feasible and not one.figures for one in found.points if one.reason)
        told = rows_of(tmp_path / "explore.csv")
        assert [row["reason"] for row in told] == [one.reason for one in found.points]
        assert len(rows_of(tmp_path / "sweep.csv")) == 4  # what could be asked for
        again = sx.explore(trace, keys, ["energy_pj"], sampler="grid", out=tmp_path)
        assert again == found

    def test_nothing_that_can_be_run(self, trace: Path, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedError, match="none of 2 points can be run: the first, spikex"):
            sx.explore(trace, {"memory.lbuf.port_bits": [99, 98]}, out=tmp_path)
        assert not (tmp_path / "explore.json").exists() and not (tmp_path / "sweep.csv").exists()

    def test_a_limit_that_nothing_keeps(self, trace: Path, tmp_path: Path) -> None:
        rows = sx.sweep(trace, GRID)
        least = min(row["cycles"] for row in rows)
        with pytest.raises(UnsupportedError) as caught:
            sx.explore(trace, GRID, GOALS, constraints=["cycles<=3"], sampler="grid", out=tmp_path)
        message = str(caught.value)
        assert message.startswith("none of 24 points keeps cycles<=3: nearest is spikex, tws")
        assert f"cycles {least:.4g}, not <= 3" in message and "energy_pj" in message
        assert "--budget" not in message
        with pytest.raises(UnsupportedError, match="a larger --budget tries more"):
            sx.explore(trace, GRID, GOALS, constraints=["cycles<=3"], budget=4, out=tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["sweep.sqlite"]

    def test_an_objective_that_no_result_has(self, trace: Path, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedError, match="energy_crossbar_pj: no result has it; machines: spikex"):
            sx.explore(trace, GRID, ["energy_crossbar_pj"], budget=20, batch=4, out=tmp_path)
        assert attempts(tmp_path) == 4  # said after the first of them
        with pytest.raises(UnsupportedError, match="energy_bogus_pj: no result has it"):
            sx.explore(trace, GRID, GOALS, constraints=["energy_bogus_pj<=1"], budget=4)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"budget": 0}, "budget: must be a whole number from 1"),
            ({"budget": True}, "budget: must be a whole number"),
            ({"batch": 0}, "batch: must be a whole number from 1"),
            ({"seed": -1}, "seed: must be a whole number from 0"),
            ({"sampler": "cmaes"}, "sampler: 'cmaes' is none of tpe, nsga2, random, grid"),
            ({"engine": "fats"}, "fast"),
            ({"jobs": 0}, "jobs"),
            ({"objectives": "enrgy_pj"}, "did you mean energy_pj"),
            ({"objectives": [1]}, "objectives: must be a list of texts"),
            ({"constraints": ["cycles<4"]}, "NAME<=VALUE"),
            ({"space": {}}, "there is no point"),
            ({"space": {"arch": ["ptb"]}, "arch": "spikex"}, "arch: is a key of space"),
            ({"sampler": "grid", "seed": 1}, "seed: has no effect with sampler grid"),
            ({"space": {"array.rwos": [1, 2]}}, "did you mean array.rows"),
            ({"trace": []}, "at least one trace"),
            ({"trace": 5}, "trace"),
            ({"budget": 60_000, "trace": [a_layer(0, "a"), a_layer(1, "b")],
              "space": {"clock_mhz": {"low": 1.5, "high": 9}}}, "has 120,000 runs, more than 100,000"),
        ],
    )  # fmt: skip
    def test_mistakes_are_said_before_anything_is_run(
        self, trace: Path, tmp_path: Path, options: dict[str, Any], words: str
    ) -> None:
        given = {"trace": trace, "space": GRID, "out": tmp_path / "out"} | options
        with pytest.raises(SpikexError) as caught:
            sx.explore(**given)
        assert words in str(caught.value)
        assert not (tmp_path / "out").exists()

    def test_without_optuna(self, trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "optuna", None)
        with pytest.raises(ConfigError, match=r"explore needs Optuna .*pip install .*explore\]"):
            sx.explore(trace, GRID)


class TestSaved:
    def test_comes_back_as_it_was(self, trace: Path, tmp_path: Path) -> None:
        found = sx.explore(trace, GRID, GOALS, constraints=["tops>=0"], budget=10, out=tmp_path)
        again = load_exploration(tmp_path)
        assert again.model_dump() == found.model_dump() and again.front == found.front
        assert again.table is None
        assert repr(again) == str(found)
        assert repr(found).startswith("<Exploration: 10 points, 10 feasible, ")
        assert [one.figures["energy_pj"] for one in found.front] == sorted(
            one.figures["energy_pj"] for one in found.points if one.front
        )
        said = json.loads((tmp_path / "explore.json").read_text())
        assert said["search"]["seed"] == 0 and said["search"]["budget"] == 10
        assert said["search"]["space"]["tws"] == {"values": [1, 2, 4, 8]}
        assert said["versions"]["source_sha256"] and said["importances"]["method"] == "PED-ANOVA"

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda said: said.update(version=2), "version"),
            (lambda said: said.update(more=2), "more"),
            (lambda said: said.pop("points"), "points"),
            (lambda said: said["points"][0].update(order="x"), "points.0.order"),
            (lambda said: [one.update(front=False) for one in said["points"]], "front"),
            (lambda said: said["points"][0].update(figures={}), "lacks an objective"),
            (lambda said: said["hypervolume"].update(best={}), "hypervolume"),
            (lambda said: said["search"].update(space=[]), "search.space"),
            (lambda said: said["points"][0].update(feasible=False, front=True), "not feasible"),
        ],
    )
    def test_what_is_damaged_is_refused(self, trace: Path, tmp_path: Path, change: Any, words: str) -> None:
        sx.explore(trace, {"tws": [1, 2]}, GOALS, out=tmp_path)
        said = json.loads((tmp_path / "explore.json").read_text())
        change(said)
        (tmp_path / "explore.json").write_text(json.dumps(said))
        with pytest.raises(ResultsError) as caught:
            load_exploration(tmp_path)
        assert words in str(caught.value) and "explore.json" in str(caught.value)

    def test_names_are_kept_from_spreadsheets(self, trace: Path, tmp_path: Path) -> None:
        (tmp_path / "m.yaml").write_text('base: spikex\nname: "=1+1"\n')
        for safe in (False, True):
            sx.explore(trace, {"tws": [1, 2]}, arch=tmp_path / "m.yaml", out=tmp_path / "o", safe_csv=safe)
            for name in ("explore.csv", "sweep.csv"):
                named = {row["arch"] for row in rows_of(tmp_path / "o" / name)}
                assert named == {"'=1+1" if safe else "=1+1"}


class TestShares:
    def test_the_key_that_decides_has_the_largest(self, trace: Path) -> None:
        keys = {"array.rows": {"powers": [1, 64]}, "memory.lbuf.port_bits": [64, 128]}
        found = sx.explore(trace, keys, ["area_pe_mm2", "energy_pj"], sampler="grid")
        shares = found.importances.shares
        assert list(shares) == ["area_pe_mm2", "energy_pj", "front"]
        assert shares["area_pe_mm2"]["array.rows"] > 0.9
        assert all(sum(one.values()) == pytest.approx(1) for one in shares.values())

    def test_what_is_the_same_for_all_points_is_decided_by_no_key(self, trace: Path) -> None:
        found = sx.explore(trace, GRID, "output_spikes,energy_pj", sampler="grid")
        shares = found.importances.shares
        assert shares["output_spikes"] == {} and sum(shares["energy_pj"].values()) == pytest.approx(1)
        assert "front" not in shares
        volume = found.hypervolume
        assert volume.reference["output_spikes"] == pytest.approx(1.1 * volume.best["output_spikes"])

    def test_of_few_points_there_are_none(self, trace: Path) -> None:
        assert sx.explore(trace, {"tws": [1, 2, 3]}).importances.shares == {}


def share_found(sampler: str, seed: int, part: int = 3) -> float:
    """Share of a front of 384 points that so small a part of them finds; the front bends in every key."""
    keys = {"a": list(range(8)), "b": list(range(6)), "c": ["x", "y"], "d": [1, 2, 4, 8]}
    space = space_of(keys)

    def losses(values: dict[str, Any]) -> tuple[float, float]:
        a, b, d = values["a"], values["b"], values["d"]
        cost = 1 + a + 2 * b + (3 if values["c"] == "x" else 0)
        time = 40 / (1 + a) + 30 / (1 + b) + abs(d - 4) + (4 if values["c"] == "y" else 0)
        return cost + 0.1 * d, time

    points = {identity(values): losses(values) for values in map(space.values, space.all())}
    whole = {name for name, on in zip(points, naive_explore.front(list(points.values())), strict=True) if on}
    assert 15 < len(whole) < 60
    with chooser_of(sampler, space, lambda genes: identity(space.values(genes)), seed, 2, 8) as chooser:
        while len(chooser.genes) < len(points) // part:
            asked = chooser.ask(8)
            chooser.tell([Verdict(points[identity(space.values(genes))]) for genes in asked])
        return len(whole & set(chooser.genes)) / len(whole)


class TestFinds:
    def test_most_of_the_front_with_a_third_of_the_points(self) -> None:
        assert share_found("tpe", 1) >= 0.9
        assert share_found("nsga2", 1) >= 0.5
        assert np.mean([share_found("random", seed) for seed in range(5)]) < 0.45

    @pytest.mark.slow
    def test_of_every_seed(self) -> None:
        shares = [share_found("tpe", seed) for seed in range(6)]
        assert min(shares) >= 0.8 and np.mean(shares) >= 0.9, shares

    @pytest.mark.slow
    def test_of_the_packaged_digit_as_the_page_says(self, tmp_path: Path) -> None:
        grid = {
            "tws": [1, 2, 3, 4, 6, 8, 12, 16], "array.rows": [4, 8, 16, 32], "array.cols": [4, 8, 16, 32],
            "memory.lbuf.bytes": [1024, 2048, 4096],
        }  # fmt: skip
        whole = sx.explore(default_trace_path(), grid, GOALS, sampler="grid", out=tmp_path)
        assert len(whole.points) == 384 and len(whole.front) == 37
        wanted = {identity(one.values) for one in whole.front}
        for seed in range(3):
            found = sx.explore(default_trace_path(), grid, GOALS, budget=128, seed=seed, out=tmp_path)
            share = len(wanted & {identity(one.values) for one in found.front}) / len(wanted)
            assert share >= 0.85, (seed, share)
        assert attempts(tmp_path) == 384  # all of them from the store
