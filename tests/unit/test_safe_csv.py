"""Names that a spreadsheet would compute are inert in CSV where that is asked for, as they are elsewhere."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spikex_sim as sx
from command import succeed
from spikex_sim.core.files import csv_text
from spikex_sim.plots.files import read_rows

NAMES = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1+1", "-2+3", "harmless"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    neuron = {"threshold": 0, "leak_shift": 2}
    layers = [
        {"name": name, "kind": "conv", "in_channels": 1, "out_channels": 1, "kernel": 1, "in_height": 2,
         "in_width": 2, "neuron": neuron}
        for name in NAMES[:-1]
    ]  # fmt: skip
    layers.append(
        {"name": NAMES[-1], "kind": "linear", "in_channels": 4, "out_channels": 2, "neuron": neuron}
    )
    weights = [np.ones((1, 1, 1, 1), np.int8) for _ in NAMES[:-1]] + [np.ones((2, 4), np.int8)]
    trace = sx.Trace.from_arrays(layers, np.ones((1, 2, 2, 4), bool), weights=weights, name="=1+1", label=0)
    sx.save_trace(trace, "t.npz")
    return tmp_path


def cells(path: str) -> list[list[str]]:
    with Path(path).open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    ("line", "file"),
    [("run t.npz --tws 2 --out o", "o/layers.csv"), ("run t.npz --tws 2 --out o", "o/accesses.csv"),
     ("compare t.npz --tws 2 --out o", "o/0-spikex/layers.csv"),
     ("sweep t.npz --grid tws=1,2 --out o", "o/sweep.csv"),
     ("dynamic t.npz --tws 2 --out o", "o/dynamic.csv"),
     ("ann t.npz --tws 2 --out o", "o/ann.csv")],
)  # fmt: skip
def test_names(here: Path, capsys: pytest.CaptureFixture[str], line: str, file: str) -> None:
    succeed(capsys, *line.split())
    plain = cells(file)
    (here / "o").rename("plain")
    succeed(capsys, *line.split(), "--safe-csv")
    safe = cells(file)
    assert any(cell.startswith(("=", "@", "+", "-")) for row in plain for cell in row)
    expected = [["'" + cell if cell in (*NAMES[:-1], "=1+1") else cell for cell in row] for row in plain]
    assert safe == expected


def test_an_export_of_a_sweep(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, *["sweep", "t.npz", "--grid", "tws=1,2", "--out", "o"])
    succeed(capsys, *["sweep", "export", "o", "--out", "a.csv"])
    succeed(capsys, *["sweep", "export", "o", "--out", "b.csv", "--safe-csv"])
    assert [row[0] for row in cells("a.csv")] == ["trace", "=1+1", "=1+1"]
    assert [row[0] for row in cells("b.csv")] == ["trace", "'=1+1", "'=1+1"]
    assert read_rows(Path("a.csv")) == read_rows(Path("b.csv"))  # figures have the names
    succeed(capsys, *["sweep", "merge", "o", "--out", "m", "--safe-csv"])
    assert cells("m/sweep.csv") == cells("b.csv")


def test_columns_may_have_odd_names() -> None:
    assert csv_text([{"=1+1": 2}], safe=True) == "'=1+1\n2\n"


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))  # which csv does not quote


@given(st.lists(st.one_of(TEXT, st.integers(), st.floats(allow_nan=False)), min_size=1))
def test_no_cell_begins_like_a_formula_and_numbers_stay(values: list[str | int | float]) -> None:
    rows = [{"cell": value} for value in values]
    read = [csv.reader(io.StringIO(csv_text(rows, safe=safe), newline="")) for safe in (True, False)]
    (_, *safe_rows), (_, *plain_rows) = map(list, read)
    for value, (safe,), (plain,) in zip(values, safe_rows, plain_rows, strict=True):
        if isinstance(value, str):
            assert not safe.startswith(("=", "+", "-", "@", "\t", "\r")) and safe.endswith(value)
        else:
            assert safe == plain == str(value)
