"""A plug-in that raises ends a command in one line with its name, the exception and the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import is_mistake, spikex
from distribution import install
from spikex_sim.accelerators import base
from spikex_sim.core import registry
from spikex_sim.data import default_trace_path
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.timing.engine import Ends

CODE = """\
from spikex_sim.accelerators.spikex import SpikeX
from spikex_sim.core.errors import ConfigError
from spikex_sim.schedules.dispatch.agile import AgileDispatch
from spikex_sim.timing.fast import FastEngine
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
class Reading(AgileDispatch):
    def mode(self, active, cols):
        return open("/nowhere/to be found")
class Engine:
    def run(self, durations):
        raise RuntimeError
class Giving(SpikeX):
    pass
class Policy(AgileDispatch):
    pass
class Timing(FastEngine):
    pass
class Bare:
    options = SpikeX.options
class Optionless(SpikeX):
    options = None
"""
POINTS = {
    "spikex_sim.accelerators": {
        "raising": "faulty:Raising", "refusing": "faulty:Refusing", "unmade": "faulty:Unmade",
        "nameless": "faulty:Nameless", "giving": "faulty:Giving", "bare": "faulty:Bare",
        "optionless": "faulty:Optionless", "absent": "faulty_absent:Any", "garbled": "faulty_syntax:Any",
    },
    "spikex_sim.dispatch": {"reading": "faulty:Reading", "policy": "faulty:Policy"},
    "spikex_sim.engines": {"engine": "faulty:Engine", "timing": "faulty:Timing"},
}  # fmt: skip
FAULTS = {
    "--set scheduler=raising": "plug-in scheduler 'raising' failed: KeyError: 'no\\nsuch key' (faulty.py:9)",
    "--set dispatch=reading": "plug-in dispatch 'reading' failed: FileNotFoundError: [Errno 2] No such file "
    "or directory: '/nowhere/to be found' (faulty.py:18)",
    "--engine engine": "plug-in engine 'engine' failed: RuntimeError (faulty.py:21); ",
    "--set scheduler=unmade": "'unmade' cannot be loaded: ZeroDivisionError: division by zero (faulty.py:15)",
    "--set scheduler=nameless": "'nameless' cannot be loaded: AttributeError: module 'faulty' has no",
    "--set scheduler=bare": "scheduler: plug-in 'bare' has no method window_size",
    "--set scheduler=optionless": "plug-in scheduler 'optionless' failed: its options are no class of Acc",
    "--set scheduler=absent": "cannot be loaded: ModuleNotFoundError: No module named 'faulty_absent'",
    "--set scheduler=garbled": "cannot be loaded: SyntaxError: invalid syntax (faulty_syntax.py:1)",
}

GIVEN = {
    ("giving", "window_size"): (0, "0", "a number of time points"),
    ("giving", "lif_units"): ("\x1b", "'\\x1b'", "a number of LIF units"),
    ("giving", "components"): ([1], "a list", "a tuple of Component"),
    ("giving", "schedule"): ({}, "a dict", "a schedule"),
    ("policy", "mode"): ("both", "'both'", "temporal or spatial"),
    ("policy", "pack"): (((), (), ()), "a tuple", "a Packing of arrays"),
    ("timing", "run"): (Ends(*[np.zeros(1, np.int64)] * 5), "a Ends", "the ends of all steps"),
}
"""By plug-in and method: something that it may not give, as shown, and what it should."""
CHOSEN = {
    "giving": ("scheduler", "--set scheduler=giving"), "policy": ("dispatch", "--set dispatch=policy"),
    "timing": ("engine", "--engine timing"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install the plug-ins, and forget them afterwards."""
    (tmp_path / "faulty.py").write_text(CODE)
    (tmp_path / "faulty_syntax.py").write_text("def (\n")
    install("faulty", "1.0", POINTS, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    caches = registry._found, registry._instance, base._kept
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


@pytest.mark.parametrize("none", [True, False], ids=["none", "other"])
@pytest.mark.parametrize(("name", "method"), GIVEN)
def test_what_a_plugin_gives_is_checked(
    name: str, method: str, none: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    given, shown, wanted = GIVEN[name, method]
    given, shown = (None, "None") if none else (given, shown)
    option, words = CHOSEN[name]
    plug_in = registry.plugin(next(seam for seam, key in registry.SEAMS.items() if key == option), name)
    monkeypatch.setattr(type(plug_in), method, lambda *_: given)
    said = is_mistake(spikex(capsys, "run", *words.split(), "--tws", 4, "--out", tmp_path / "o"))
    assert said == f"plug-in {option} '{name}' failed: {method}() gave {shown}, not {wanted}"
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("method", ["lay_out", "execute"])
def test_what_its_schedule_gives_is_checked(
    method: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a kind of its own, as far as the command can tell."""
    for given, shown in ((None, "None"), ((np.zeros(1, np.uint8), 0), "a tuple")):
        monkeypatch.setattr(NtwuSchedule, method, lambda *_, given=given: given)
        said = is_mistake(spikex(capsys, "run", "--set", "scheduler=giving", "--tws", 4))
        assert f"plug-in scheduler 'giving' failed: its schedule's {method}() gave {shown}, not " in said


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
    assert outcome.code == 2 and "KeyError: 'no\\nsuch key' (faulty.py:9)" in outcome.err
    assert "1 of 2 points failed" in outcome.err
