"""A plug-in that raises ends a command in one line with its name, the exception and the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import spikex_sim as sx
from command import is_mistake, spikex
from distribution import install
from spikex_sim.core import registry
from spikex_sim.data import default_trace_path

CODE = """\
from spikex_sim.accelerators.spikex import SpikeX
from spikex_sim.core.errors import ConfigError
class Raising(SpikeX):
    def schedule(self, *arguments):
        return helper({})
def helper(mapping):
    return mapping["no\\nsuch key"]
class Refusing(SpikeX):
    def schedule(self, *arguments):
        raise ConfigError("array.rows: must be even")
class Unmade(SpikeX):
    def __init__(self):
        1 / 0
class Reading:
    def mode(self, active, cols):
        return open("/nowhere/to be found")
class Engine:
    def run(self, durations):
        raise RuntimeError
"""
POINTS = {
    "spikex_sim.accelerators": {
        "raising": "faulty:Raising", "refusing": "faulty:Refusing", "unmade": "faulty:Unmade",
        "nameless": "faulty:Nameless", "absent": "faulty_absent:Any", "garbled": "faulty_syntax:Any",
    },
    "spikex_sim.dispatch": {"reading": "faulty:Reading"},
    "spikex_sim.engines": {"engine": "faulty:Engine"},
}  # fmt: skip
FAULTS = {
    "--set scheduler=raising": "plug-in scheduler 'raising' failed: KeyError: 'no\\nsuch key' (faulty.py:7)",
    "--set dispatch=reading": "plug-in dispatch 'reading' failed: FileNotFoundError: [Errno 2] No such file "
    "or directory: '/nowhere/to be found' (faulty.py:16)",
    "--engine engine": "plug-in engine 'engine' failed: RuntimeError (faulty.py:19); ",
    "--set scheduler=unmade": "'unmade' cannot be loaded: ZeroDivisionError: division by zero (faulty.py:13)",
    "--set scheduler=nameless": "'nameless' cannot be loaded: AttributeError: module 'faulty' has no",
    "--set scheduler=absent": "cannot be loaded: ModuleNotFoundError: No module named 'faulty_absent'",
    "--set scheduler=garbled": "cannot be loaded: SyntaxError: invalid syntax (faulty_syntax.py:1)",
}


@pytest.fixture(autouse=True)
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install the plug-ins, and forget them afterwards."""
    (tmp_path / "faulty.py").write_text(CODE)
    (tmp_path / "faulty_syntax.py").write_text("def (\n")
    install("faulty", "1.0", POINTS, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    caches = registry._found, registry._instance
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("options", FAULTS)
def test_a_fault_of_a_plugin_is_one_line(
    options: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    is_mistake(spikex(capsys, "run", *options.split(), "--out", out), FAULTS[options])
    assert not out.exists()


def test_what_a_plugin_refuses_is_said_as_it_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert is_mistake(spikex(capsys, "run", "--set", "scheduler=refusing")) == "array.rows: must be even"


def test_the_traceback_is_there_for_those_who_ask(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = is_mistake(spikex(capsys, "run", "--engine", "engine"))
    variable, value = said.rpartition("; ")[2].split()[0].split("=")
    monkeypatch.setenv(variable, value)
    outcome = spikex(capsys, "run", "--engine", "engine")
    assert outcome.code == 2 and outcome.err.splitlines()[-1] == f"spikex-sim: {said}"
    assert "Traceback (most recent call last)" in outcome.err and "in run" in outcome.err


def test_in_python_the_exception_is_the_plugins_own() -> None:
    with pytest.raises(KeyError, match="such key"):
        sx.simulate(default_trace_path(), overrides={"scheduler": "raising"})


def test_a_sweep_goes_on_and_names_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = ("--grid", "scheduler=spikex,raising", "--out", tmp_path / "out")
    outcome = spikex(capsys, "sweep", *grid)
    assert outcome.code == 2 and "KeyError: 'no\\nsuch key' (faulty.py:7)" in outcome.err
    assert "1 of 2 points failed" in outcome.err
