"""The command line as tests use it: in this process or in one of its own, and what a refusal looks like."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spikex_sim.__main__ import main

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """Exit code and what was printed where."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines of standard output."""
        return self.out.splitlines()


def spikex(capsys: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """Run a command in this process."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return Outcome(code, captured.out, captured.err)


def last(*arguments: object) -> list[str]:
    """Arguments of a command in which an option takes the place of an earlier one of its name."""
    found = [str(argument) for argument in arguments]
    for option in {one for one in found if one.startswith("--")}:
        while found.count(option) > 1:
            at = found.index(option)
            has_value = at + 1 < len(found) and not found[at + 1].startswith("--")
            del found[at : at + 1 + has_value]
    return found


def succeed(capsys: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """Run a command that must work: exit code 0, nothing on standard error."""
    outcome = spikex(capsys, *arguments)
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    return outcome


def is_mistake(outcome: Outcome, *words: str) -> str:
    """Exit code 2, no result, and one line on standard error that has all the words."""
    assert outcome.code == 2, outcome
    assert outcome.err.startswith("spikex-sim: ") and outcome.err.endswith("\n"), outcome.err
    message = outcome.err[:-1]
    assert message.isprintable(), message
    for word in words:
        assert word in message, message
    assert outcome.out == ""
    return message.removeprefix("spikex-sim: ")


def environment(**changes: str | None) -> dict[str, str]:
    """The environment without what changes how tables look; None removes a variable."""
    kept = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR")}
    merged = {**kept, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def process(*arguments: object, env: dict[str, str] | None = None, **options: Any) -> Outcome:
    """Run a command in a process of its own, away from any terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "spikex_sim", *map(str, arguments)],
        env=environment() if env is None else env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
        **options,
    )
    return Outcome(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8"))


def files_under(folder: Path) -> list[str]:
    """Every file below a folder, hidden ones too; none if the folder is not there."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
