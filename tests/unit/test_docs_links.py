"""Links of the documentation lead somewhere, and its pages speak of a house that stands."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from doc_pages import DOCS, PAGES, ROOT, blocks, identifier, read, section


def anchors(text: str) -> set[str]:
    """Anchors that GitHub makes of a page's headings."""
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=identifier)
def test_relative_links_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{identifier(path)} links to {target}"
        if anchor:
            assert anchor in anchors(there.read_text("utf-8")), f"{identifier(path)} links to {target}"


def test_index_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w/-]+\.md)\)", read("index.md")))
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - {"index.md"} <= linked


def test_house_is_the_one_that_is_checked() -> None:
    """The layers on the page are those of the import contract."""
    configured = section_of_setup("importlinter:contract:layers")
    wanted = [set(re.findall(r"spikex_sim\.(\w+)", line)) for line in configured if "spikex_sim." in line]
    house = blocks(section(read("architecture.md"), "The house"), "")[0]
    drawn = [set(re.findall(r"\w+", re.split(r"\s{2,}", line)[0])) for line in house.splitlines()]
    assert drawn[0] == wanted[0] | wanted[1]
    assert drawn[1:] == wanted[2:]


def test_the_path_of_one_layer_is_made_of_functions_that_exist() -> None:
    path = section(read("architecture.md"), "The path of one layer")
    table = "\n".join(row for row in path.splitlines() if row.startswith("| "))
    named = re.findall(r"`(spikex_sim\.[\w.]+)`", table)
    assert len(named) > 10
    for name in named:
        assert callable(resolved(name)), name
    for file in re.findall(r"`(spikex_sim/[\w/]+(?:\.py)?/?)`", read("architecture.md")):
        assert (ROOT / file).exists(), file


def resolved(name: str) -> Any:
    """Object of a dotted name: a module, then attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if find_spec_of(".".join(parts[:length])):
            found: Any = importlib.import_module(".".join(parts[:length]))
            for attribute in parts[length:]:
                found = getattr(found, attribute)
            return found
    raise AssertionError(name)


def find_spec_of(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def section_of_setup(name: str) -> list[str]:
    text = (ROOT / "setup.cfg").read_text("utf-8")
    return text.split(f"[{name}]\n")[1].split("\n[")[0].splitlines()
