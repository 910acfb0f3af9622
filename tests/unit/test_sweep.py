"""Sweeps: every combination once, in grid order, and none a second time."""

from __future__ import annotations

import csv
import sqlite3
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import REPOSITORY, files_under, is_mistake, spikex, succeed
from spikex_sim.cli.sweep import pace
from spikex_sim.core.origin import pip_install
from spikex_sim.explore.sweeps import work
from spikex_sim.explore.sweeps.grid import parse_axis, points
from sweeping import a_layer
from trace_files import a_trace


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """What has been simulated: trace, accelerator, and its configuration."""
    calls: list[tuple[str, str, dict[str, Any]]] = []
    simulate = work.simulate

    def counted(traces: Any, arch: sx.Accelerator, **options: Any) -> sx.RunResult:
        calls.append((traces[0].name, arch.name, arch.model_dump()))
        return simulate(traces, arch, **options)

    monkeypatch.setattr(work, "simulate", counted)
    return calls


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class TestGrid:
    def test_product_with_the_last_axis_fastest(self) -> None:
        grid = {"tws": [4, 2], "array.cols": [8, 16, 1]}
        assert points(grid) == [{"tws": t, "array.cols": c} for t, c in product([4, 2], [8, 16, 1])]
        assert points({}) == [{}]

    @pytest.mark.parametrize(
        ("text", "axis"),
        [
            ("tws=2,4,auto", ("tws", [2, 4, "auto"])),
            (" tws = 2 , 4 ", ("tws", [2, 4])),
            ("tws=[2,4],[4,2]", ("tws", [[2, 4], [4, 2]])),
            ("stsap=true,false", ("stsap", [True, False])),
            ("clock_mhz=1.5", ("clock_mhz", [1.5])),
            ("energy.table=a b", ("energy.table", ["a b"])),
        ],
    )
    def test_axes_as_they_are_typed(self, text: str, axis: tuple[str, list[Any]]) -> None:
        assert parse_axis(text) == axis

    @pytest.mark.parametrize("values", [[], [4, 4], [[2, 4], [2, 4]]])
    def test_values_are_there_and_differ(self, values: list[Any]) -> None:
        with pytest.raises(sx.ConfigError, match="tws"):
            points({"tws": values})

    @pytest.mark.parametrize(
        ("grid", "zipped", "words"),
        [
            ({}, [{"tws": [1, 2], "array.rows": [1]}], "array.rows: has 1 values, tws has 2"),
            ({"tws": [1]}, [{"tws": [1, 2]}], "tws: is on two axes"),
            ({}, [{"tws": [1]}, {"tws": [1]}], "tws: is on two axes"),
            ({}, [{}], "names no key"),
            ({}, [{"tws": [1, 1], "array.rows": [2, 2]}], "tws and array.rows: names a value twice"),
            ({}, [{"tws": []}], "tws: has no values"),
            ({}, [[1]], "must map keys"),
            ({"tws": "12"}, [], "tws: must be a list"),
            ({"tws": list(range(1000)), "array.rows": list(range(1000))}, [], "1000000 points"),
        ],
    )
    def test_axes_that_are_none(self, grid: Any, zipped: Any, words: str) -> None:
        with pytest.raises(sx.ConfigError, match=words):
            points(grid, zipped)

    def test_traces_and_accelerators_count(self) -> None:
        grid = {"array.rows": list(range(1, 401)), "array.cols": list(range(1, 201))}
        with pytest.raises(sx.ConfigError, match="160000 points"):
            sx.sweep(a_layer(), grid, arch=["spikex", "ptb"])


class TestPoints:
    def test_in_grid_order_for_every_trace_and_accelerator(
        self, tmp_path: Path, simulated: list[Any]
    ) -> None:
        grid = {"tws": [5, 2], "array.rows": [8, 4]}
        traces = [a_layer(0, "one"), a_layer(1, "two")]
        table = sx.sweep(traces, grid, arch=["ptb", "spikex"], out=tmp_path)
        order = list(product(["one", "two"], ["ptb", "spikex"], [5, 2], [8, 4]))
        assert [(row["trace"], row["arch"], row["tws"], row["array.rows"]) for row in table] == order
        assert [(name, arch, c["tws"], c["array"]["rows"]) for name, arch, c in simulated] == order
        names = list(rows_of(tmp_path)[0])
        assert names[:4] == ["trace", "arch", "tws", "array.rows"] and names == list(table[0])
        for row, written in zip(table, rows_of(tmp_path), strict=True):
            assert {key: "" if value is None else str(value) for key, value in row.items()} == written

    def test_rows_are_what_simulate_finds(self) -> None:
        (row,) = sx.sweep(a_layer(), {"tws": [3]}, arch="ptb", overrides={"array.cols": 4})
        totals = sx.simulate(a_layer(), "ptb", tws=3, overrides={"array.cols": 4}).totals
        for name in ("cycles", "compute_cycles", "seconds", "energy_pj", "energy_on_chip_pj", "edp_js",
                     "power_mw", "tops_per_watt", "utilization", "ntwus", "batches", "streamed_taps",
                     "accumulations", "lif_updates", "output_spikes"):  # fmt: skip
            assert row[name] == getattr(totals, name), name
        for cause, cycles in totals.stalls.items():
            assert row[f"stall_{cause}_cycles"] == cycles
        for part, pj in totals.energy_pj_by.items():
            assert row[f"energy_{part}_pj"] == pj
        assert (row["layer_tws"], row["trace_sha256"]) == ("3", a_layer().sha256)

    def test_paths_folders_and_several_samples(self, tmp_path: Path, simulated: list[Any]) -> None:
        (tmp_path / "f").mkdir()
        for seed in (0, 1):
            sx.save_trace(a_layer(seed, f"s{seed}"), tmp_path / f"f/{seed}.npz")
        folder, one = sx.sweep([tmp_path / "f", str(tmp_path / "f/1.npz")], {})
        alone = [sx.simulate(a_layer(seed)).totals.cycles for seed in (0, 1)]
        assert (folder["cycles"], one["cycles"]) == (sum(alone), alone[1])
        assert len(simulated) == 2

    def test_leakage_of_the_pes_and_estimate_where_there_are_any(self, tmp_path: Path) -> None:
        archs = ("spikex", "sata", "ann")
        for _ in range(2):  # the second time from the store
            rows = sx.sweep(a_layer(), {}, arch=archs, out=tmp_path)
            for row, arch in zip(rows, archs, strict=True):
                totals = sx.simulate(a_layer(), arch).totals
                assert row["estimate_pj"] == totals.estimate_pj
                assert row["leakage_pe_pj"] == totals.leakage_pj.get("pe", 0)
                assert row["leakage_rf_pj"] == totals.leakage_pj.get("rf", 0)
        assert [row["leakage_pe_pj"] > 0 for row in rows] == [False, True, False]
        assert [row["estimate_pj"] is None for row in rows] == [False, False, True]

    def test_without_a_folder_nothing_is_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert len(sx.sweep(a_layer(), {"tws": [1, 2]})) == 2
        assert files_under(tmp_path) == []

    def test_progress_counts_points(self) -> None:
        told: list[tuple[str, int, int]] = []
        sx.sweep(a_layer(), {"tws": [1, 2]}, progress=lambda *step: told.append(step))
        assert told == [("sweep", 0, 2), ("one spikex", 1, 2), ("one spikex", 2, 2), ("done", 2, 2)]

    def test_a_point_that_is_there_twice_is_run_once(self, simulated: list[Any]) -> None:
        first, second = sx.sweep([a_layer(), a_layer()], {"tws": [2]})
        assert first == second and len(simulated) == 1

    def test_values_of_numpy(self) -> None:
        rows = sx.sweep(a_layer(), {"tws": np.array([1, 2])}, zipped=[{"array.rows": range(4, 6)}])
        assert [(row["tws"], row["array.rows"]) for row in rows] == [(1, 4), (1, 5), (2, 4), (2, 5)]

    def test_keys_that_advance_together(self, tmp_path: Path) -> None:
        zipped = [{"array.rows": [4, 8, 8], "array.cols": [2, 4, 8]}]
        rows = sx.sweep(a_layer(), {"tws": [3, 2]}, zipped=zipped, out=tmp_path)
        shape = [(row["tws"], row["array.rows"], row["array.cols"]) for row in rows]
        assert shape == [(t, *rc) for t in (3, 2) for rc in ((4, 2), (8, 4), (8, 8))]
        assert list(rows_of(tmp_path)[0])[:5] == ["trace", "arch", "tws", "array.rows", "array.cols"]
        alone = sx.sweep(a_layer(), {}, overrides={"tws": 2, "array.rows": 8, "array.cols": 4})
        assert rows[4]["cycles"] == alone[0]["cycles"]


class TestStore:
    def test_finished_points_are_not_run_again(self, tmp_path: Path, simulated: list[Any]) -> None:
        first = sx.sweep(a_layer(), {"tws": [2, 3]}, out=tmp_path)
        again = sx.sweep(a_layer(), {"tws": [2, 3]}, out=tmp_path)
        assert len(simulated) == 2 and again == first
        wider = sx.sweep(a_layer(), {"tws": [4, 3, 2]}, out=tmp_path)
        assert len(simulated) == 3 and simulated[-1][2]["tws"] == 4
        assert [row["tws"] for row in wider] == [4, 3, 2] and wider[1:] == (first[1], first[0])
        assert [row["tws"] for row in rows_of(tmp_path)] == ["4", "3", "2"]
        assert files_under(tmp_path) == ["sweep.csv", "sweep.sqlite"]

    def test_an_interrupted_sweep_goes_on_where_it_stopped(
        self, tmp_path: Path, simulated: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counted = work.simulate

        def interrupted(*args: Any, **options: Any) -> sx.RunResult:
            if len(simulated) == 2:
                raise KeyboardInterrupt
            return counted(*args, **options)

        with monkeypatch.context() as context:
            context.setattr(work, "simulate", interrupted)
            with pytest.raises(KeyboardInterrupt):
                sx.sweep(a_layer(), {"tws": [1, 2, 3, 4]}, out=tmp_path)
        assert not (tmp_path / "sweep.csv").exists()
        assert len(sx.sweep(a_layer(), {"tws": [1, 2, 3, 4]}, out=tmp_path)) == 4
        assert [configuration["tws"] for _, _, configuration in simulated] == [1, 2, 3, 4]

    @pytest.mark.parametrize(
        "change",
        [
            {"overrides": {"array.rows": 4}},
            {"overrides": {"memory.dram.kind": "HBM2"}},
            {"overrides": {"name": "renamed"}},
            {"arch": "ptb"},
            {"engine": "event"},
            {"trace": a_layer(1)},
            {"trace": a_layer(0, "another-name")},
        ],
        ids=str,
    )
    def test_anything_changed_is_a_new_point(
        self, tmp_path: Path, simulated: list[Any], change: dict[str, Any]
    ) -> None:
        sx.sweep(a_layer(), {"tws": [2]}, out=tmp_path)
        settings: dict[str, Any] = {"trace": a_layer(), "out": tmp_path, **change}
        sx.sweep(settings.pop("trace"), {"tws": [2]}, **settings)
        assert len(simulated) == 2

    def test_a_changed_energy_table_is_a_new_point(self, tmp_path: Path, simulated: list[Any]) -> None:
        tables = tmp_path / "table"
        tables.mkdir()
        found = []
        for price in ("8", "16"):
            for file in (REPOSITORY / "spikex_sim/costs/tables").glob("*.csv"):
                text = file.read_text().replace("LPDDR4,access,1,,8,", f"LPDDR4,access,1,,{price},")
                (tables / file.name).write_text(text)
            options = {"overrides": {"energy.table": str(tables)}, "out": tmp_path / "out"}
            found.append(sx.sweep(a_layer(), {"tws": [2]}, **options)[0]["energy_dram_pj"])
        assert len(simulated) == 2 and found[1] == 2 * found[0]

    def test_another_version_is_a_new_point(
        self, tmp_path: Path, simulated: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sx.sweep(a_layer(), {"tws": [2]}, out=tmp_path)
        monkeypatch.setattr(work, "versions", lambda: {"spikex_sim": "99.0"})
        sx.sweep(a_layer(), {"tws": [2]}, out=tmp_path)
        assert len(simulated) == 2

    @pytest.mark.parametrize("row", ["{}", "nonsense", "[1]", '{"cycles": 1}'])
    def test_a_damaged_row_is_run_again_or_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str
    ) -> None:
        sx.save_trace(a_layer(), tmp_path / "t.npz")
        line = ("sweep", tmp_path / "t.npz", "--grid", "tws=2", "--out", tmp_path / "out")
        good = succeed(capsys, *line)
        with sqlite3.connect(tmp_path / "out/sweep.sqlite") as database:
            database.execute("UPDATE points SET row = ?", (row,))
        database.close()
        outcome = spikex(capsys, *line)
        if outcome.code:
            is_mistake(outcome, "sweep.sqlite")
        else:
            assert outcome.out == good.out and "to be run again: 1" in outcome.err

    def test_a_database_of_something_else(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sx.save_trace(a_layer(), tmp_path / "t.npz")
        with sqlite3.connect(tmp_path / "sweep.sqlite") as database:
            database.execute("CREATE TABLE points (animals TEXT)")
        database.close()
        outcome = spikex(capsys, "sweep", tmp_path / "t.npz", "--out", tmp_path)
        is_mistake(outcome, str(tmp_path / "sweep.sqlite"))


class TestRefusals:
    @pytest.mark.parametrize(
        ("grid", "options", "word"),
        [
            ({"tws": [1, 2, 0]}, {}, "tws"),
            ({"tws": [1, 2, 13]}, {}, "12 time points"),
            ({"tws": [[1], [2, 2]]}, {}, "window sizes"),
            ({"twss": [1]}, {}, "twss"),
            ({"array.rows": [8, 4, -1]}, {}, "array.rows"),
            ({"dispatch": ["agile", "agil"]}, {}, "agil"),
            ({"memory.dram.kind": ["HBM2", "HBM9"]}, {}, "HBM9"),
            ({"tws": [1]}, {"arch": ["spikex", "spikexx"]}, "spikexx"),
            ({"tws": [1]}, {"engine": "fats"}, "fats"),
            ({"tws": [1]}, {"overrides": {"tws": 2}}, "tws"),
        ],
    )
    def test_before_anything_runs(
        self, tmp_path: Path, simulated: list[Any], grid: dict[str, Any], options: dict[str, Any], word: str
    ) -> None:
        with pytest.raises(sx.SpikexError, match=word):
            sx.sweep(a_layer(), grid, out=tmp_path / "out", **options)
        assert simulated == [] and files_under(tmp_path) == []

    def test_a_missing_second_trace_before_the_first_runs(self, tmp_path: Path, simulated: list[Any]) -> None:
        with pytest.raises(sx.TraceError, match="absent"):
            sx.sweep([a_layer(), tmp_path / "absent.npz"], {"tws": [1]}, out=tmp_path / "out")
        assert simulated == [] and files_under(tmp_path) == []

    def test_no_traces_and_no_accelerators(self) -> None:
        for traces, archs in (([], ["spikex"]), ([a_trace()], [])):
            with pytest.raises(sx.SpikexError):
                sx.sweep(traces, {"tws": [1]}, arch=archs)


class TestPareto:
    def test_is_what_no_other_point_beats(self) -> None:
        rng = np.random.default_rng(5)
        rows = [
            {"trace_sha256": sha, "seconds": int(s), "energy_pj": int(e), "error": ""}
            for sha in "ab"
            for s, e in rng.integers(0, 12, (40, 2))
        ]
        front = sx.pareto_front(rows)

        def beaten(row: dict[str, Any]) -> bool:
            return any(
                other["trace_sha256"] == row["trace_sha256"]
                and other["seconds"] <= row["seconds"]
                and other["energy_pj"] <= row["energy_pj"]
                and (other["seconds"], other["energy_pj"]) != (row["seconds"], row["energy_pj"])
                for other in rows
            )

        wanted = [row for row in rows if not beaten(row)]
        assert sorted(map(id, front)) == sorted(map(id, wanted))
        assert [row["trace_sha256"] for row in front] == sorted(row["trace_sha256"] for row in front)

    def test_other_measures_and_failed_points(self) -> None:
        rows = sx.sweep(a_layer(), {"tws": [1, 2, 3, 5]})
        failed = {**rows[0], "cycles": None, "energy_on_chip_pj": None, "error": "no"}
        by = ("cycles", "energy_on_chip_pj")
        assert sx.pareto_front([failed, *rows], by) == sx.pareto_front(rows, by)
        assert sx.pareto_front([]) == [] and sx.pareto_front([failed]) == []

    def test_printed(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sx.save_trace(a_layer(), tmp_path / "t.npz")
        line = ("sweep", tmp_path / "t.npz", "--grid", "tws=1,2,3,5", "--out", tmp_path / "o")
        shown = succeed(capsys, *line, "--pareto")
        start = shown.lines.index("Pareto front: none is both faster and cheaper")
        front = sx.pareto_front(sx.sweep(a_layer(), {"tws": [1, 2, 3, 5]}))
        assert [line.split()[:2] for line in shown.lines[start + 2 : start + 2 + len(front)]] == [
            ["spikex", str(row["tws"])] for row in front
        ]


class TestPrinted:
    def test_of_a_long_sweep_the_best(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sx.save_trace(a_layer(), tmp_path / "t.npz")
        columns = ",".join(map(str, range(1, 9)))
        grid = ("--grid", f"array.rows={columns}", "--grid", f"array.cols={columns}")
        printed = succeed(capsys, "sweep", tmp_path / "t.npz", *grid, "--out", tmp_path / "out").out
        table = rows_of(tmp_path / "out")
        assert len(table) == 64 and "of 64 points; here the first 50" in printed
        found = [tuple(line.split()[1:3]) for line in printed.splitlines() if line.startswith("spikex ")]
        best = sorted(table, key=lambda row: float(row["edp_js"]))[:50]
        assert found[:50] == [(row["array.rows"], row["array.cols"]) for row in best]


class TestParquet:
    def test_the_same_table(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pandas = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        rows = sx.sweep(a_layer(), {"tws": [2, "auto"]}, arch=["spikex", "ann"], out=tmp_path, parquet=True)
        found = pandas.read_parquet(tmp_path / "sweep.parquet")
        assert list(found["cycles"]) == [row["cycles"] for row in rows]
        assert list(found["tws"]) == ["2", "auto"] * 2 and list(found.columns) == list(rows[0])
        assert list(found["estimate_pj"].isna()) == [False, False, True, True]

    @pytest.mark.parametrize("missing", ["pandas", "pyarrow"])
    def test_refused_before_anything_runs_where_it_cannot_be_written(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        missing: str,
    ) -> None:
        monkeypatch.setitem(sys.modules, missing, None)
        outcome = spikex(capsys, "sweep", "--parquet", "--out", tmp_path / "o")
        is_mistake(outcome, "parquet", pip_install("parquet"))


@pytest.mark.parametrize(
    ("done", "left", "seconds", "text"),
    [(0, 5, 1.0, ""), (10, 20, 5.0, "2/s, 0:00:10 left"), (1, 9000, 2.0, "0.5/s, 5:00:00 left"),
     (3, 0, 3.0, "1/s, 0:00:00 left")],
)  # fmt: skip
def test_pace(done: int, left: int, seconds: float, text: str) -> None:
    assert pace(done, left, seconds) == text
