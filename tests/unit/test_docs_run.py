"""What pages of the documentation show runs, and prints what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from doc_pages import DOCS, read
from page_runs import prepare, run_page

GUIDES = sorted(path.relative_to(DOCS).as_posix() for path in (DOCS / "how-to").glob("*.md"))
CLUSTER = "needs machines of a cluster"
LEFT_OUT = {
    "how-to/use-a-cluster.md": {
        "dask scheduler": CLUSTER,
        "dask worker": CLUSTER,
        "spikex-sim sweep --spec study.yaml --scheduler": CLUSTER,
    },
}
"""Beginnings of lines and blocks that are not run, by page, with the reason."""


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from spikex_sim.cli import show

    monkeypatch.setattr(show.console, "_width", 80)
    monkeypatch.setattr(show.console, "_color_system", None)
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)


def run(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left_out = LEFT_OUT.get(name, {})
    met = run_page(read(name), folder, capsys, tuple(left_out))
    assert set(met) == set(left_out), "what is left out has to be on the page"


def test_the_tutorial_prints_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("tutorial.md", tmp_path, capsys)
    assert (tmp_path / "results/windows/figures/tws.pdf").is_file()
    assert (tmp_path / "results/paper/fig9.pdf").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", GUIDES)
def test_pages_by_task_run(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(name, tmp_path, capsys)
