"""Figures of what nobody vouches for: damaged tables and results, too much to draw, and what is left out."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzzing import small_trace
from spikex_sim import plots
from spikex_sim.__main__ import main
from spikex_sim.core.errors import FigureError, ResultsError
from spikex_sim.explore.sweeps.runner import sweep
from spikex_sim.plots import spikes
from spikex_sim.plots.files import read_rows
from spikex_sim.plots.folder import drawings_of
from spikex_sim.run.simulate import simulate
from spikex_sim.trace.trace import Trace


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    simulate(small_trace(), "spikex", tws=2).save(folder / "run")
    sweep(small_trace(), {"tws": [2, 4]}, out=folder / "sweep")
    return folder


def put(file: Path, column: str, cell: str) -> None:
    """Put a cell into the first row of a table."""
    with file.open(newline="") as lines:
        table = list(csv.reader(lines))
    table[1][table[0].index(column)] = cell
    with file.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows(table)


WRONG = ["1" * 400, "9" * 5000, "-1", "nan", "inf", "1e999", "1_000", "٣", "many", "[1]"]


@pytest.mark.parametrize("cell", WRONG)
@pytest.mark.parametrize(
    ("source", "table", "column"),
    [
        ("run", "layers.csv", "cycles"),
        ("run", "layers.csv", "energy_pj"),
        ("run", "accesses.csv", "read_bits"),
        ("sweep", "sweep.csv", "energy_pj"),
    ],
)
def test_cells_that_nothing_writes_are_damage(
    kept: Path, tmp_path: Path, source: str, table: str, column: str, cell: str
) -> None:
    shutil.copytree(kept / source, tmp_path / "in")
    put(tmp_path / "in" / table, column, cell)
    with pytest.raises(
        FigureError, match=f"{table}: {column}: line 2 has .* the file is damaged: run it again"
    ):
        drawings_of(tmp_path / "in")


def test_a_count_is_whole(kept: Path, tmp_path: Path) -> None:
    shutil.copy(kept / "run" / "layers.csv", tmp_path)
    put(tmp_path / "layers.csv", "cycles", "1.5")
    with pytest.raises(FigureError, match="no count of 0 or more"):
        read_rows(tmp_path / "layers.csv")


@pytest.mark.parametrize("name", ["layers.csv", "accesses.csv", "results.json"])
def test_only_regular_files_of_bounded_size_are_read(
    kept: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(kept / "run", tmp_path / "in")
    for module in ("plots.files", "run.saved"):
        monkeypatch.setattr(f"spikex_sim.{module}.MAX_BYTES", (folder / name).stat().st_size - 1)
    with pytest.raises((FigureError, ResultsError), match="more than the"):
        drawings_of(folder)
    monkeypatch.undo()
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises((FigureError, ResultsError), match=r"not a regular file|holds no results"):
        drawings_of(folder)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("trace", "sha256"), ["a"]),
        (("trace", "name"), None),
        (("trace", "timesteps"), True),
        (("totals", "cycles"), 10**400),
        (("totals", "cycles"), 2**63),
        (("totals", "energy_pj"), -1.0),
        (("totals", "energy_pj"), 10**400),
        (("totals", "seconds"), "1"),
        (("arch",), {}),
    ],
)
def test_results_of_another_kind_are_damage(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], keys: tuple[str, ...], value: Any
) -> None:
    for name in ("a", "b"):
        shutil.copytree(kept / "run", tmp_path / name)
    file = tmp_path / "b" / "results.json"
    content = json.loads(file.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    file.write_text(json.dumps(content))
    assert main(["plot", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"{'.'.join(keys)}: is not what a run writes" in error and "run it again" in error
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_numbers_too_far_out_to_be_drawn_are_refused() -> None:
    for wrong in (1e300, 1e-300, 10**400, float("inf")):
        with pytest.raises(FigureError, match="seconds: must be a number of 0 or more, 1e-60 to 1e\\+60"):
            plots.pareto([{"trace": "t", "arch": "x", "seconds": wrong, "energy_pj": 1, "error": ""}])


def test_a_window_size_is_above_zero() -> None:
    with pytest.raises(FigureError, match="tws: must be above 0"):
        plots.against_tws(
            [{"trace": "t", "arch": "x", "tws": 0, "seconds": 1.0, "energy_pj": 1.0, "error": ""}]
        )


def test_one_figure_that_cannot_be_drawn_leaves_the_others(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(kept / "run", tmp_path / "in")
    text = (folder / "layers.csv").read_text()
    (folder / "layers.csv").write_text(text.replace("energy_rf_pj", "rf", 1))
    assert main(["plot", str(folder), "--format", "svg", "--out", str(tmp_path / "out")]) == 0
    assert "left out energy-components: " in (said := capsys.readouterr().out)
    assert "layers.csv: energy_rf_pj: no such column" in said
    drawn = {path.stem for path in (tmp_path / "out").iterdir()}
    assert drawn == {"area", "energy-tensors", "stalls", "utilization", "roofline"}


def test_where_nothing_can_be_drawn_it_says_why(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(kept / "sweep", tmp_path / "in")
    header, _, rows = (folder / "sweep.csv").read_text().partition("\n")
    named = [
        f"other_{name}" if name in ("utilization", "seconds", "area_mm2") else name
        for name in header.split(",")
    ]
    (folder / "sweep.csv").write_text(",".join(named) + "\n" + rows)
    assert main(["plot", str(folder)]) == 2
    error = capsys.readouterr().err
    assert "nothing can be drawn: " in error and "one trace only" in error and error.count("\n") == 1
    assert not (folder / "figures").exists()


def test_a_raster_draws_a_regular_part_of_very_many_spikes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spikes, "MAX_MARKS", 100)
    fc = {"name": "fc", "kind": "linear", "in_channels": 3, "out_channels": 2,
          "neuron": {"threshold": 1, "leak_shift": 4}}  # fmt: skip
    trace = Trace.from_arrays([fc], np.ones((3, 1000), bool))
    rows = plots.spike_rows(trace, 4, shown=2)
    assert [row["times"] for row in rows] == [list(range(0, 1000, 20))] * 2
    assert [row["windows"] for row in rows] == [list(range(0, 250, 5))] * 2
    figure, _ = plots.raster(rows)
    assert figure.get_supxlabel().startswith("2 of the 3 inputs that spike, of 3. Too many")
    assert figure.get_supxlabel().replace("\n", " ").endswith("one spike of 20 and one window of 5")
    figure, _ = plots.raster(plots.spike_rows(trace, 500, shown=1))
    assert figure.get_supxlabel().endswith("drawn one spike of 10")


def test_a_point_that_failed_is_no_other_trace(tmp_path: Path) -> None:
    table = sweep(small_trace(), {"tws": [2], "memory.glb.bytes": [55296, 100]}, out=tmp_path)
    assert [bool(row["error"]) for row in table] == [False, True]
    lacks = {drawing.name: drawing.lacks for drawing in drawings_of(tmp_path)}
    assert lacks["firing-rate"] == "one trace only"
