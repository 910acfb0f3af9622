"""The figures that the README and the page on studies show are those that the program prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spikex_sim.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


def blocks(page: str = "README.md") -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block.strip() for language, block in found if not language]


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


def test_numbers_of_crossbars(capsys: pytest.CaptureFixture[str]) -> None:
    """The block behind the command is how what it prints begins."""
    page = blocks()
    [at] = (
        at for at, block in enumerate(page) if block.startswith("spikex-sim compare --arch spikex,spikesim")
    )
    assert printed(capsys, *page[at].split()[1:]).startswith(page[at + 1])


def test_sweep_numbers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ("--grid", "tws=2,4,8", "--arch", "spikex,ptb", "--out", str(tmp_path))
    assert printed(capsys, "sweep", *arguments) in blocks()


def test_numbers_of_the_studies(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block with a command is followed by one with what it prints."""
    monkeypatch.chdir(ROOT)
    page = blocks("docs/studies.md")
    commands = [index for index, block in enumerate(page) if block.startswith("spikex-sim ")]
    assert len(commands) == 2
    for index in commands:
        assert printed(capsys, *page[index].split()[1:]) == page[index + 1]
