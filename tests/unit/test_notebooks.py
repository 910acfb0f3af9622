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


@pytest.mark.filterwarnings("ignore")
def test_train_record_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "snntorch", "ipykernel"):
        pytest.importorskip(package)
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(NOTEBOOKS.parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    notebook = nbformat.read(NOTEBOOKS / "train_record_replay.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # committed without
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    texts = [printed(cell) for cell in notebook.cells]
    accuracy = [
        line.split(", ")[1].split()[0] for text in texts for line in text.splitlines() if "epoch" in line
    ]
    assert float(accuracy[-1]) >= 50  # a tenth is chance
    said = {line.split("[")[0].strip(): line for text in texts for line in text.splitlines() if "[" in line}
    answers = [ast.literal_eval(said[name][said[name].index("[") :]) for name in ("snnTorch", "SpikeX")]
    assert len(answers[0]) == 12 and sum(a != b for a, b in zip(*answers, strict=True)) <= 1
    images = [output for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert sum("image/png" in output["data"] for output in images) == 3
    assert (tmp_path / "digits.npz").is_file()
