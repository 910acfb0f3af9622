"""Mutants of every kind of file are read or refused in one line: no traceback, no signal, no more memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from command import REPOSITORY, environment
from fuzzing import MEMORY_GB, TARGETS, read_mutants

MUTANTS = 60
IN_ALL = 100_000
"""Of the slow run."""
OF_FIGURES = 1_000
"""Of the slow run, of each file that figures are drawn of; the others share the rest."""
IMPORTS_GB = 0.3


@pytest.mark.parametrize("name", TARGETS)
def test_mutants_are_read_or_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKEX_MAX_MEMORY_GB", str(MEMORY_GB))
    ends = read_mutants(TARGETS[name], tmp_path, range(MUTANTS))
    assert ends["refused"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_mutants(name: str) -> None:
    drawn = sum(one.draws for one in TARGETS.values())
    count = -(-(IN_ALL - drawn * OF_FIGURES) // (len(TARGETS) - drawn))
    if TARGETS[name].draws:
        count = OF_FIGURES
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests" / "fuzzing.py"), name, "0", str(count)],
        env=environment(SPIKEX_MAX_MEMORY_GB=str(MEMORY_GB)), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ends, peak = done.stdout.splitlines()
    assert int(peak) < (MEMORY_GB + IMPORTS_GB) * 1e9, ends
