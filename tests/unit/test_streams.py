"""What a command prints goes to the right stream, and its exit code says how it went."""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import spikex_sim as sx
from command import is_mistake, process, spikex, succeed
from trace_files import a_trace


@pytest.fixture(autouse=True)
def quiet_logger() -> Any:
    """Commands send the package's notices to standard error; undo that for the tests that follow."""
    logger = logging.getLogger("spikex_sim")
    handlers, propagate = list(logger.handlers), logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    sx.save_trace(a_trace(), "t.npz")
    return tmp_path


def test_notices_go_to_standard_error(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = logging.getLogger("spikex_sim").warning
    monkeypatch.setattr("spikex_sim.run.simulate.prepare", lambda: notice("compiling %s", "all"))
    outcome = spikex(capsys, "run", "t.npz")
    assert outcome.code == 0
    assert outcome.err == "spikex-sim: compiling all\n"
    assert "compiling" not in outcome.out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert succeed(capsys, "--version").out == f"spikex_sim {version('spikex_sim')}\n"


@pytest.mark.parametrize("name", ["", "trace", "energy"])
def test_nothing_asked_for_gives_readable_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    outcome = spikex(capsys, *name.split())
    text = outcome.out + outcome.err
    assert outcome.code in (0, 2)
    assert "Commands:\n" in text and max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize(
    "line",
    ["nope", "--nope", "run --nope", "run a b", "run --tws", "trace nope", "trace synth", "energy check"],
)
def test_what_the_parser_refuses(capsys: pytest.CaptureFixture[str], line: str) -> None:
    is_mistake(spikex(capsys, *line.split()))


def test_as_a_process(here: Path) -> None:
    good = process("run", "t.npz", "--out", "out")
    assert (good.code, good.err) == (0, "")
    assert good.lines[0].startswith("tiny (T=")
    is_mistake(process("run", "nope.npz"), "nope.npz: no such file")
    assert process("--help").code == 0
