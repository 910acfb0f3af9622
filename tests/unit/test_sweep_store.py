"""The store of sweeps: what anybody may have written there, what is exported, and shards put together."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import spikex_sim as sx
from command import REPOSITORY, Outcome, is_mistake, spikex, succeed
from spikex_sim.explore.sweeps import store as stores
from spikex_sim.explore.sweeps.runner import export, merge
from spikex_sim.explore.sweeps.study import load_study
from sweeping import a_layer

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sx.save_trace(a_layer(), tmp_path / "t.npz")
    return tmp_path


def run(capsys: Capture, folder: Path, *options: object, out: str = "out", tws: str = "1,2") -> Outcome:
    return spikex(capsys, "sweep", folder / "t.npz", "--grid", f"tws={tws}", "--out", folder / out, *options)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "out/sweep.sqlite")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x < 0"


class TestDoctored:
    @pytest.mark.parametrize(
        "statements",
        [
            ["DROP TABLE points", f"CREATE VIEW points AS SELECT x AS key, x AS row FROM ({ENDLESS})"],
            [f"CREATE TRIGGER t AFTER INSERT ON points BEGIN INSERT INTO attempts(key) {ENDLESS}; END"],
            ["ALTER TABLE points ADD COLUMN x TEXT NOT NULL DEFAULT 'x'"],
            [
                "DROP TABLE points",
                "CREATE TABLE points (key TEXT PRIMARY KEY, row TEXT, finished, x NOT NULL)",
            ],
            ["CREATE TABLE more (x)"],
            ["CREATE INDEX i ON points (row)"],
            ["PRAGMA user_version = 7"],
        ],
        ids=["view", "trigger", "column", "not null", "table", "index", "version"],
    )
    def test_tables_of_somebody_else(self, folder: Path, capsys: Capture, statements: list[str]) -> None:
        assert run(capsys, folder).code == 0
        change(folder, *statements)
        is_mistake(run(capsys, folder, tws="3"), "out/sweep.sqlite", "none of this version, or was changed")
        is_mistake(spikex(capsys, "sweep", "export", folder / "out"), "none of this version, or was changed")

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("cycles", '"x"'), ("cycles", "-5"), ("cycles", "1.5"), ("cycles", "true"), ("cycles", "9" * 400),
            ("cycles", "null"), ("cycles", "[1]"), ("energy_pj", "NaN"), ("energy_pj", "Infinity"),
            ("energy_pj", "-0.5"), ("energy_pj", "9" * 400), ("edp_js", "null"), ("edp_js", "-1e-9"),
            ("trace_sha256", "[1]"), ("engine", "{}"), ("layer_tws", "3"), ("energy_pj", "1e999"),
        ],
    )  # fmt: skip
    def test_a_value_that_cannot_be_is_said_and_run_again(
        self, folder: Path, capsys: Capture, column: str, value: str
    ) -> None:
        good = run(capsys, folder)
        with closing(sqlite3.connect(folder / "out/sweep.sqlite")) as database:
            key, row = database.execute("SELECT key, row FROM points").fetchone()
            items = {**{name: json.dumps(found) for name, found in json.loads(row).items()}, column: value}
            text = "{" + ", ".join(f"{json.dumps(name)}: {found}" for name, found in items.items()) + "}"
            database.execute("UPDATE points SET row = ? WHERE key = ?", (text, key))
            database.commit()
        table = (folder / "out/sweep.csv").read_bytes()
        again = run(capsys, folder)
        assert again.code == 0 and again.out == good.out
        assert again.err.endswith("sweep.sqlite: damaged points were taken out, to be run again: 1\n")
        assert (folder / "out/sweep.csv").read_bytes() == table
        assert run(capsys, folder) == good  # and it is whole again

    def test_an_unknown_column_is_damage(self, folder: Path, capsys: Capture) -> None:
        run(capsys, folder)
        change(folder, """UPDATE points SET row = replace(row, '"engine"', '"of somebody": 1, "engine"')""")
        assert "to be run again: 2" in run(capsys, folder).err

    def test_labels_that_are_none(self, folder: Path, capsys: Capture) -> None:
        for text in ("[1]", '{"tws": [1]}', '{"tws": NaN}', "x", "[" * 100_000):
            run(capsys, folder)
            change(folder, f"UPDATE planned SET labels = '{text}'")
            is_mistake(spikex(capsys, "sweep", "export", folder / "out"), "out/sweep.sqlite: is damaged")
            (folder / "out/sweep.sqlite").unlink()

    @pytest.mark.parametrize("end", ["", "-wal", "-journal"])
    def test_what_is_no_file(self, folder: Path, capsys: Capture, end: str) -> None:
        (folder / "out").mkdir()
        os.mkfifo(folder / f"out/sweep.sqlite{end}")
        is_mistake(run(capsys, folder), "sweep.sqlite", "no regular file")

    def test_larger_than_any(self, folder: Path, capsys: Capture) -> None:
        run(capsys, folder)
        with (folder / "out/sweep.sqlite").open("r+b") as file:
            file.truncate(stores.MAX_STORE_BYTES + 1)
        is_mistake(run(capsys, folder), "sweep.sqlite", "larger than 8 GiB")


class TestExport:
    def test_all_sweeps_of_a_folder(self, folder: Path, capsys: Capture) -> None:
        out = folder / "out"
        sx.sweep(folder / "t.npz", {"tws": [1, 2]}, out=out)
        second = run(capsys, folder, "--grid", "array.rows=4,8", tws="2,3")
        assert "sweep.csv holds the 4 points of this call, the store 6: spikex-sim sweep export" in second.out
        assert len(rows_of(out / "sweep.csv")) == 4
        shown = succeed(capsys, "sweep", "export", out)
        assert shown.lines == ["6 points", f"wrote {out / 'export.csv'}"]
        rows = rows_of(out / "export.csv")
        assert [(row["tws"], row["array.rows"]) for row in rows] == [
            ("1", ""), ("2", ""), ("2", "4"), ("2", "8"), ("3", "4"), ("3", "8")
        ]  # fmt: skip
        assert list(rows[0])[:4] == ["trace", "arch", "tws", "array.rows"]
        assert rows[2:] == [{**row, "array.rows": row["array.rows"]} for row in rows_of(out / "sweep.csv")]
        assert rows[1]["cycles"] == rows[3]["cycles"]  # 8 rows are the preset's

    def test_of_one_sweep_it_is_its_table(self, folder: Path, capsys: Capture) -> None:
        for _ in range(2):  # the second time nothing is added
            run(capsys, folder)
            succeed(capsys, "sweep", "export", folder / "out", "--out", folder / "all.csv")
            assert (folder / "all.csv").read_bytes() == (folder / "out/sweep.csv").read_bytes()

    def test_without_a_store(self, folder: Path, capsys: Capture) -> None:
        is_mistake(spikex(capsys, "sweep", "export", folder), "sweep.sqlite", "there is no store")
        assert not (folder / "sweep.sqlite").exists()

    def test_a_trace_called_export(
        self, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder)
        (folder / "export").mkdir()
        sx.save_trace(a_layer(), folder / "export/a.npz")
        assert len(rows_of_sweep(capsys, "./export")) == 1


def rows_of_sweep(capsys: Capture, *words: object) -> list[dict[str, str]]:
    succeed(capsys, "sweep", *words, "--out", "o")
    return rows_of(Path("o/sweep.csv"))


class TestShards:
    GRID = "1,2,3,4,5"

    def parts(self, capsys: Capture, folder: Path, count: int) -> list[Path]:
        for number in range(1, count + 1):
            found = run(capsys, folder, "--shard", f"{number}/{count}", out=f"p{number}", tws=self.GRID)
            assert found.code == 0 and f"of this call, shard {number} of {count}, the store 5" in found.out
        return [folder / f"p{number}" for number in range(1, count + 1)]

    @pytest.mark.parametrize("order", [list, lambda parts: parts[::-1]], ids=["in order", "backwards"])
    def test_together_they_are_the_whole(
        self, folder: Path, capsys: Capture, order: Callable[[list[Path]], list[Path]]
    ) -> None:
        parts = self.parts(capsys, folder, 3)
        assert [[row["tws"] for row in rows_of(part / "sweep.csv")] for part in parts] == [
            ["1", "4"], ["2", "5"], ["3"]
        ]  # fmt: skip
        run(capsys, folder, out="whole", tws=self.GRID)
        shown = succeed(capsys, "sweep", "merge", *order(parts), "--out", folder / "merged")
        assert shown.lines[0] == "5 points"
        assert (folder / "merged/sweep.csv").read_bytes() == (folder / "whole/sweep.csv").read_bytes()
        told: list[tuple[str, int, int]] = []
        grid = {"tws": [1, 2, 3, 4, 5]}
        sx.sweep(folder / "t.npz", grid, out=folder / "merged", progress=lambda *step: told.append(step))
        assert told == [("sweep", 5, 5), ("done", 5, 5)]

    def test_a_missing_part_is_said_and_can_be_run(self, folder: Path, capsys: Capture) -> None:
        parts = self.parts(capsys, folder, 2)
        table = merge(parts[:1], folder / "merged")
        assert [row["error"] for row in table] == ["", "not run yet", "", "not run yet", ""]
        assert merge([folder / "p2"], folder / "merged") == sx.sweep(
            folder / "t.npz", {"tws": [1, 2, 3, 4, 5]}
        )

    def test_errors_come_along(self, folder: Path) -> None:
        axes: dict[str, Any] = {"memory.lbuf.port_bits": [64, 48]}
        for part in (1, 2):
            sx.sweep(folder / "t.npz", axes, shard=(part, 2), out=folder / f"p{part}")
        merged = merge([folder / "p1", folder / "p2"], folder / "merged")
        assert merged == sx.sweep(folder / "t.npz", axes) and merged[1]["error"]

    @pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "-1/2", ""])
    def test_what_is_no_part(self, folder: Path, capsys: Capture, text: str) -> None:
        is_mistake(run(capsys, folder, "--shard", text), "--shard", "wants I/N")

    def test_a_trace_twice(self, folder: Path, capsys: Capture) -> None:
        line = ("sweep", folder / "t.npz", folder / "." / "t.npz", "--grid", "tws=1", "--out", folder / "o")
        is_mistake(spikex(capsys, *line), "TRACE: names ", "t.npz twice")

    @pytest.mark.parametrize("shard", [(0, 1), (2, 1), (1,), "1/2", (True, 2), (1, 2.0), None])
    def test_what_is_no_part_in_python(self, shard: Any) -> None:
        with pytest.raises(sx.ConfigError, match="shard: must be i/n"):
            sx.sweep(a_layer(), {"tws": [1]}, shard=shard)

    def test_nothing_is_written_where_a_store_is_missing(self, folder: Path, capsys: Capture) -> None:
        run(capsys, folder)
        line = ("sweep", "merge", folder / "out", folder / "absent", "--out", folder / "merged")
        is_mistake(spikex(capsys, *line), "absent/sweep.sqlite", "there is no store")
        assert not (folder / "merged").exists()


class TestPoints:
    def test_a_width_without_a_row_is_that_points_error(self, folder: Path, capsys: Capture) -> None:
        line = ("sweep", folder / "t.npz", "--grid", "memory.lbuf.port_bits=64,48", "--out", folder / "o")
        outcome = spikex(capsys, *line)
        assert outcome.code == 2 and "1 of 2 points failed" in outcome.err
        assert "memory.lbuf.port_bits 48: spikex: memory.lbuf: default: no energy" in outcome.err
        right, wrong = rows_of(folder / "o/sweep.csv")
        assert right["cycles"] and not right["error"]
        assert not wrong["cycles"] and "2048 B x 48 bit" in wrong["error"]
        alone = spikex(capsys, "run", folder / "t.npz", "--set", "memory.lbuf.port_bits=48")
        assert alone.err == f"spikex-sim: {wrong['error']}\n"

    def test_of_all_points_alike(self, folder: Path, capsys: Capture) -> None:
        line = ("sweep", folder / "t.npz", "--grid", "memory.lbuf.port_bits=17,48", "--out", folder / "o")
        outcome = spikex(capsys, *line)
        assert outcome.code == 2 and outcome.out.startswith("wrote ") and outcome.err.count("\n") == 1
        assert "2 of 2 points failed; the first, " in outcome.err and "2048 B x 17 bit" in outcome.err
        errors = [row["error"] for row in rows_of(folder / "o/sweep.csv")]
        assert [f"2048 B x {bits} bit" in error for bits, error in zip((17, 48), errors, strict=True)] == [
            True, True,
        ]  # fmt: skip
        with closing(sqlite3.connect(folder / "o/sweep.sqlite")) as database:
            assert [error for (error,) in database.execute("SELECT error FROM attempts")] == errors

    def test_traces_of_one_name_are_shown_by_file(self, folder: Path, capsys: Capture) -> None:
        sx.save_trace(a_layer(1), folder / "u.npz")
        sx.save_trace(a_layer(2, "two"), folder / "v.npz")
        files = [folder / f"{name}.npz" for name in "tuv"]
        table = sx.sweep(files, {})
        assert [row["trace"] for row in table] == ["t.npz", "u.npz", "two"]
        (folder / "below").mkdir()
        sx.save_trace(a_layer(1), folder / "below/t.npz")
        same = [files[0], folder / "below/t.npz"]
        assert [row["trace"] for row in sx.sweep(same, {})] == list(map(str, same))
        made = sx.sweep([a_layer(), a_layer(1)], {})
        assert [row["trace"] for row in made] == ["one (0)", "one (1)"]

    def test_each_trace_has_its_stars(self, folder: Path, capsys: Capture) -> None:
        rich = sx.Trace.from_arrays(a_layer().layers, a_layer(3).spikes(0)[0] | True, name="rich")
        sx.save_trace(rich, folder / "rich.npz")
        shown = succeed(capsys, "sweep", folder / "t.npz", folder / "rich.npz", "--grid", "tws=1,2,4",
                        "--out", folder / "o")  # fmt: skip
        rows = rows_of(folder / "o/sweep.csv")
        for name in ("one", "rich"):
            least = min(int(row["cycles"]) for row in rows if row["trace"] == name)
            starred = {line.split()[3] for line in shown.lines if line.split()[:1] == [name]}
            assert {cell for cell in starred if cell.endswith("*")} == {f"{least:,}*"}
        assert "* smallest of its column and trace" in shown.out

    def test_the_study_of_the_page_has_no_two_equal_points(self, tmp_path: Path) -> None:
        page = (REPOSITORY / "docs/sweeps.md").read_text()
        text = page.split("```yaml\n")[1].split("```")[0]
        study = tmp_path / "study.yaml"
        study.write_text(text)
        found = load_study(study)
        trace = sx.load_trace(REPOSITORY / Path(found.traces[0]).relative_to(tmp_path))
        table = sx.sweep(trace, found.product, zipped=found.zip, arch=found.arch, overrides=found.set)
        measures = [tuple(value for key, value in row.items() if key not in ("arch",)) for row in table]
        assert len(set(measures)) == len(measures)


def test_export_of_what_failed(folder: Path) -> None:
    sx.sweep(folder / "t.npz", {"weight_bits": [2, 8]}, out=folder / "o")
    table = export(folder / "o")
    assert "do not fit 2 bits" in table[0]["error"] and not table[1]["error"]


class TestMergedDamage:
    @pytest.mark.parametrize("labels", ["[1]", '{"trace": "\\ud800"}', '{"\\udfff": 1}', "1", "x"])
    def test_a_damaged_source_leaves_the_target_as_it_is(
        self, folder: Path, capsys: Capture, labels: str
    ) -> None:
        assert run(capsys, folder, out="good").code == 0
        assert run(capsys, folder, tws="3").code == 0
        change(folder, f"UPDATE planned SET labels = '{labels}'")
        before = export(folder / "good")
        is_mistake(spikex(capsys, "sweep", "merge", folder / "out", "--out", folder / "good"), "is damaged")
        assert export(folder / "good") == before

    def test_a_good_row_takes_the_place_of_a_damaged_one(self, folder: Path, capsys: Capture) -> None:
        assert run(capsys, folder, out="good").code == 0
        assert run(capsys, folder).code == 0
        change(folder, "UPDATE points SET row = '5'")
        assert merge([folder / "good"], folder / "out") == export(folder / "good")
