"""Sweeps as files: what they say, what the command line replaces and adds, and mistakes in them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import spikex_sim as sx
from command import is_mistake, spikex, succeed
from sweeping import a_layer


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


STUDY = """
traces: [one.npz, many]
arch: [ptb, mine.yaml]
engine: event
set: {memory.dram.kind: HBM2}
product: {tws: [2, 3]}
zip:
  - {array.rows: [4, 8], array.cols: [2, 4]}
"""


class TestStudy:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "many").mkdir()
        for seed, name in enumerate(["one", "many/a", "many/b"]):
            sx.save_trace(a_layer(seed, Path(name).name), tmp_path / f"{name}.npz")
        (tmp_path / "mine.yaml").write_text("base: spikex\nname: mine\n")
        (tmp_path / "study.yaml").write_text(STUDY)
        return tmp_path

    def test_is_the_same_as_the_call(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        succeed(capsys, "sweep", "--spec", folder / "study.yaml", "--out", folder / "out")
        rows = sx.sweep(
            [folder / "one.npz", folder / "many"], {"tws": [2, 3]}, engine="event", out=folder / "same",
            zipped=[{"array.rows": [4, 8], "array.cols": [2, 4]}], arch=["ptb", folder / "mine.yaml"],
            overrides={"memory.dram.kind": "HBM2"},
        )  # fmt: skip
        assert rows_of(folder / "out") == rows_of(folder / "same") and len(rows) == 16

    def test_the_command_line_replaces_and_adds(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        succeed(capsys, "sweep", folder / "one.npz", "--spec", folder / "study.yaml", "--arch", "spikex",
                "--grid", "psum_bits=20,24", "--set", "memory.dram.kind=LPDDR4", "--engine", "fast",
                "--out", folder / "out")  # fmt: skip
        rows = rows_of(folder / "out")
        assert len(rows) == 8 and {(row["trace"], row["arch"], row["engine"]) for row in rows} == {
            ("one", "spikex", "fast")
        }
        names = list(rows[0])[2:6]
        assert names == ["tws", "psum_bits", "array.rows", "array.cols"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("product: {tws: [1, 2], tws: [3]}", ("duplicate key 'tws'",)),
            ("products: {tws: [1, 2]}", ("products", "unknown key")),
            ("product: {tws: 3}", ("product.tws", "list")),
            ("product: {tws: []}", ("tws", "has no values")),
            ("product: {tws: [1, 1]}", ("tws", "twice")),
            ("zip: [{tws: [1, 2], array.rows: [1]}]", ("array.rows", "has 1 values, tws has 2")),
            ("zip: {tws: [1, 2]}", ("zip",)),
            ("zip: [{}]", ("names no key",)),
            ("product: {tws: [1]}\nzip: [{tws: [2]}]", ("tws", "two axes")),
            ("traces: one.npz", ("traces",)),
            ("arch: [1]", ("arch.0",)),
            ("product: &a {tws: [1]}\nset: *a", ("aliases",)),
            ("product: !!python/name:os.system", ("python/name",)),
            ("[1, 2]", ("mapping",)),
            ("", ("mapping",)),
            ("x: [" * 3000, ()),
            ("# long\n" * 200_000, ("larger than",)),
        ],
    )
    def test_mistakes_name_file_and_key(
        self, folder: Path, capsys: pytest.CaptureFixture[str], text: str, words: tuple[str, ...]
    ) -> None:
        (folder / "bad.yaml").write_text(text)
        outcome = spikex(capsys, "sweep", "--spec", folder / "bad.yaml", "--out", folder / "out")
        is_mistake(outcome, str(folder / "bad.yaml"), *words)
        assert not (folder / "out").exists()

    def test_no_file_and_keys_named_twice(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for name in ("absent.yaml", ".", "many"):
            is_mistake(spikex(capsys, "sweep", "--spec", folder / name), "no such file")
        study = ("sweep", "--spec", folder / "study.yaml", "--out", folder / "out")
        is_mistake(spikex(capsys, *study, "--grid", "tws=4"), "--grid", "tws", "twice")
        is_mistake(spikex(capsys, *study, "--grid", "array.rows=4"), "array.rows", "two axes")
        is_mistake(spikex(capsys, *study, "--tws", "4"), "tws", "both swept and set")
