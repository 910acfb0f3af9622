"""What pages of the documentation show runs, and prints what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from doc_pages import DOCS, read
from page_runs import Block, blocks_of, lines_of, prepare, run_page

GUIDES = sorted(path.relative_to(DOCS).as_posix() for path in (DOCS / "how-to").glob("*.md"))


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from spikex_sim.cli import show

    monkeypatch.setattr(show.console, "_width", 80)
    monkeypatch.setattr(show.console, "_color_system", None)
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)


def test_the_tutorial_prints_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_page(read("tutorial.md"), tmp_path, capsys)
    assert (tmp_path / "results/windows/figures/tws.pdf").is_file()
    assert (tmp_path / "results/paper/fig9.pdf").is_file()
