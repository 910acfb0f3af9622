"""The page on figures shows every figure: pictures are there, small, and of what the page says."""

from __future__ import annotations

from pathlib import Path

import make_figure_gallery as gallery
import pytest
from matplotlib.image import imread

from doc_pages import DOCS, read
from spikex_sim.plots.folder import NAMES


def test_the_page_shows_every_figure() -> None:
    page = read("figures.md")
    assert gallery.section() in page
    assert [name for name in NAMES if page.count(f"(figures/gallery/{name}.png)") != 1] == []
    assert "(hardware-model-nmnist.svg)" in page


def test_no_picture_is_left_over() -> None:
    there = {path.stem for path in gallery.PICTURES.iterdir()}
    assert there == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_small_and_not_empty(name: str) -> None:
    file = DOCS / f"figures/gallery/{name}.png"
    assert file.stat().st_size < 100_000
    pixels = imread(file)[..., :3]
    assert 300 < pixels.shape[1] < 900
    assert 0.01 < (pixels.min(axis=-1) < 0.9).mean() < 0.9


def test_commands_are_ones_that_there_are() -> None:
    """What the pictures are made of keeps up with the program: its commands and options."""
    from spikex_sim.cli.app import command

    known = command().commands
    for lines in gallery.STEPS.values():
        for line in lines:
            words = [word for word in line.split() if not word.startswith("-")]
            found = known.get(" ".join(words[:2])) or known[words[0]]
            found = getattr(found, "commands", {}).get(words[1], found)
            options = {option for one in found.params for option in one.opts}
            used = {word.partition("=")[0] for word in line.split() if word.startswith("--")}
            assert used <= options, line


def test_the_working_folder_is_no_part_of_the_sources() -> None:
    assert Path(gallery.WORK).relative_to(DOCS.parent).parts[0] == "build"
