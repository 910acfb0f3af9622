"""Notebooks of the documentation run from top to bottom and say what their texts say."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from run_notebooks import NOTEBOOKS, executed

NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def printed(cell: Any) -> str:
    return "".join("".join(output.get("text", "")) for output in cell.get("outputs", ()))


def shown(cell: Any, kind: str) -> list[str]:
    data = [output["data"] for output in cell.get("outputs", ()) if "data" in output]
    return ["".join(one[kind]) for one in data if kind in one]


def kinds(cell: Any) -> list[str]:
    """What a cell gives: texts, tables, pictures."""
    found = [
        sorted(one["data"]) if "data" in one else [one["output_type"]]
        for one in cell.get("outputs", ())
        if one.get("name") != "stderr"
    ]
    return sorted(kind for one in found for kind in one)


def saved(name: str) -> list[Any]:
    cells: list[Any] = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text("utf-8"))["cells"]
    return cells


def count_images(cells: list[Any]) -> int:
    return sum(len(shown(cell, "image/png")) for cell in cells)


def run(name: str, folder: Path) -> list[Any]:
    """Cells of a notebook, run in a folder; each gives what the saved one gives."""
    for package in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(package)
    cells: list[Any] = executed(NOTEBOOKS / f"{name}.ipynb", folder).cells
    for cell, before in zip(cells, saved(name), strict=True):
        assert kinds(cell) == kinds(before)
    return cells


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_saved(name: str) -> None:
    code = [cell for cell in saved(name) if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] is None for cell in code)
    assert sum(bool(cell["outputs"]) for cell in code) > len(code) / 2
    assert count_images(code)
    for cell in code:
        assert not any(
            one["output_type"] == "error" or one.get("name") == "stderr" for one in cell["outputs"]
        )
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < 400_000


@pytest.mark.filterwarnings("ignore")
def test_explore_a_design_space(tmp_path: Path) -> None:
    for package in ("optuna", "pandas"):
        pytest.importorskip(package)
    cells, before = run("explore_a_design_space", tmp_path), saved("explore_a_design_space")
    searched = next(at for at, cell in enumerate(cells) if "sx.explore(\n" in "".join(cell["source"]))
    for cell, was in zip(cells[:searched], before, strict=False):  # proposals may be another Optuna's
        assert (printed(cell), shown(cell, "text/html")) == (printed(was), shown(was, "text/html"))
    lines = [line for cell in cells for line in printed(cell).splitlines()]
    volumes = [float(line.split()[-1]) for line in lines if "hypervolume" in line]
    assert len(volumes) == 5 and volumes == sorted(volumes) and volumes[-1] > 0
    table = shown(cells[searched], "text/html")[0]
    assert "50 points" in table and "memory.lbuf.bytes" in table


@pytest.mark.filterwarnings("ignore")
def test_crossbars_and_noise(tmp_path: Path) -> None:
    cells = run("crossbars_and_noise", tmp_path)
    lines = [line for cell in cells for line in printed(cell).splitlines()]
    said = [line.split(" right ") for line in lines if " right " in line]
    right = {name.strip(): float(numbers.split("%")[0]) for name, numbers in said}
    assert right["none of them"] > right["all, as in the preset"]  # what the text says
    assert right["32 x  32 none"] > right["128 x 128 none"]
    assert count_images(cells) == 2


@pytest.mark.filterwarnings("ignore")
def test_train_record_replay(tmp_path: Path) -> None:
    for package in ("torch", "snntorch"):
        pytest.importorskip(package)
    cells = run("train_record_replay", tmp_path)
    texts = [printed(cell) for cell in cells]
    accuracy = [
        line.split(", ")[1].split()[0] for text in texts for line in text.splitlines() if "epoch" in line
    ]
    assert float(accuracy[-1]) >= 50  # a tenth is chance
    said = {line.split("[")[0].strip(): line for text in texts for line in text.splitlines() if "[" in line}
    answers = [ast.literal_eval(said[name][said[name].index("[") :]) for name in ("snnTorch", "SpikeX")]
    assert len(answers[0]) == 12 and sum(a != b for a, b in zip(*answers, strict=True)) <= 1
    assert count_images(cells) == 3
    assert (tmp_path / "digits.npz").is_file()
