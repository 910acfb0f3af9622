"""The figures that the README shows are those that the program prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spikex_sim.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


def blocks() -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return [block.strip() for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if not line.startswith("wrote")]
    return "\n".join(lines).strip()


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from spikex_sim.cli import show

    monkeypatch.setattr(show.console, "_width", 80)
    monkeypatch.setattr(show.console, "_color_system", None)


def test_quick_start_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "run", "--tws", "4") in blocks()


def test_sweep_numbers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ("--grid", "tws=2,4,8", "--arch", "spikex,ptb", "--out", str(tmp_path))
    assert printed(capsys, "sweep", *arguments) in blocks()
