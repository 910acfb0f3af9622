"""What was probably meant: names of figures, files, networks, layers, machines."""

from __future__ import annotations

from pathlib import Path

import pytest

import spikex_sim as sx
from command import is_mistake, spikex
from trace_files import a_trace


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("traces").mkdir()
    sx.save_trace(a_trace(), "traces/digit.npz")
    Path("mine.yaml").write_text("base: spikex\n")
    Path("results").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("run traces/digt.npz", "traces/digit.npz"),
        ("run traces/digit.npz --arch spikx", "spikex"),
        ("run traces/digit.npz --arch mime.yaml", "mine.yaml"),
        ("run traces/digit.npz --set rows=4", "array.rows"),
        ("run traces/digit.npz --engine evnt", "event"),
        ("run traces/digit.npz --accesses a.csv --layers c", "c1"),
        ("trace synth --out x.npz --network nmnst", "nmnist"),
        ("trace synth --out x.npz --kind bernoulli --layer cnv2", "conv2"),
        ("sweep --spec min.yaml", "mine.yaml"),
        ("plot result", "results"),
        ("plot results --figure stals", "stalls"),
        ("plot results --format pgn", "png"),
        ("reproduce tornad", "tornado"),
        ("evaluate nmist", "nmnist-base"),
    ],
)
def test_a_name_that_is_not_there(
    here: Path, capsys: pytest.CaptureFixture[str], line: str, meant: str
) -> None:
    message = is_mistake(spikex(capsys, *line.split()))
    assert message.endswith(f"; did you mean {meant}?"), message


def test_nothing_is_meant_where_nothing_is_near(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("run traces/zzz.npz", "run nowhere/digit.npz", "plot results --figure pie"):
        assert "did you mean" not in is_mistake(spikex(capsys, *line.split()))


def test_a_near_file_with_an_unprintable_name_is_not_meant(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("trace\x1b.npz").touch()
    assert "did you mean" not in is_mistake(spikex(capsys, "run", "trace.npz"))
