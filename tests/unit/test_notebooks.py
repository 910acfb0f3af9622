"""Notebooks of the documentation run from top to bottom and say what their texts say."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "docs/notebooks"


def printed(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.get("outputs", ()))


def executed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A notebook, run in a folder."""
    for package in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(package)
    import nbclient
    import nbformat

    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(NOTEBOOKS.parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # committed without
    where = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    return notebook


def count_images(notebook: Any) -> int:
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    return sum("image/png" in output["data"] for output in shown)


@pytest.mark.filterwarnings("ignore")
def test_crossbars_and_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = executed("crossbars_and_noise.ipynb", tmp_path, monkeypatch)
    lines = [line for cell in notebook.cells for line in printed(cell).splitlines()]
    said = [line.split(" right ") for line in lines if " right " in line]
    right = {name.strip(): float(numbers.split("%")[0]) for name, numbers in said}
    assert right["none of them"] > right["all, as in the preset"]  # what the text says
    assert right["32 x  32 none"] > right["128 x 128 none"]
    assert count_images(notebook) == 2


@pytest.mark.filterwarnings("ignore")
def test_train_record_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "snntorch"):
        pytest.importorskip(package)
    notebook = executed("train_record_replay.ipynb", tmp_path, monkeypatch)
    texts = [printed(cell) for cell in notebook.cells]
    accuracy = [
        line.split(", ")[1].split()[0] for text in texts for line in text.splitlines() if "epoch" in line
    ]
    assert float(accuracy[-1]) >= 50  # a tenth is chance
    said = {line.split("[")[0].strip(): line for text in texts for line in text.splitlines() if "[" in line}
    answers = [ast.literal_eval(said[name][said[name].index("[") :]) for name in ("snnTorch", "SpikeX")]
    assert len(answers[0]) == 12 and sum(a != b for a, b in zip(*answers, strict=True)) <= 1
    assert count_images(notebook) == 3
    assert (tmp_path / "digits.npz").is_file()
