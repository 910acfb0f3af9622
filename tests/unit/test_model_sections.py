"""Every "Section 5" in the source and on the pages is a section of docs/model.md, and says what is there.

Where crossbars are written about it is one of docs/imc.md, where networks are mapped onto them of
docs/mapping.md, where networks are searched of docs/nas.md. Sections of papers have Roman numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import REPOSITORY

MODEL, CROSSBARS = REPOSITORY / "docs/model.md", REPOSITORY / "docs/imc.md"
MAPPING, SEARCH = REPOSITORY / "docs/mapping.md", REPOSITORY / "docs/nas.md"
ON_CROSSBARS = re.compile(r"crossbar|nonideal|imc|nice|chip|spikesim|run/arrays")
"""In the path of what is written about crossbars."""
OF_MAPPING = re.compile(
    r"explore/mapping/|cli/mapp|spikex_sim/mapped/|crossbar/mapped/|crossbar_mapped|run/mapped|"
    r"accelerators/crossbar"
)
OF_SEARCH = re.compile(r"(^|[/_])nas[/_.]|training/(cells|neurons|fitness)")
ONE = re.compile(
    r"(?<!model )(?:\bSections? |§)(\d+)(?:(?:, | and | to )(\d+))*"
    r"(?:, ([A-Z][\w-]*(?: [a-z]\w*)*)(?=[).:;,]|$))?"
)
"""Numbers of a citation, and the paragraph named behind them: ``Section 5, Residency``."""


def sections(page: Path = MODEL) -> dict[str, str]:
    """Text of every section by its number."""
    parts = re.split(r"^## (\d+)\. ", page.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def texts() -> Iterator[Path]:
    """Everything that may cite the model."""
    yield from sorted(path for path in REPOSITORY.glob("*.md") if path.name != "CHANGELOG.md")
    for folder, kinds in (("docs", ("md",)), ("spikex_sim", ("py", "yaml", "csv")), ("scripts", ("py",)),
                          ("tests", ("py",))):  # fmt: skip
        for kind in kinds:
            yield from sorted(set((REPOSITORY / folder).rglob(f"*.{kind}")) - {Path(__file__).resolve()})


def citations(text: str) -> Iterator[tuple[str, str | None]]:
    """Number of every section cited, and the paragraph named behind it."""
    for found in ONE.finditer(re.sub(r"\n\s*(?:# )?", " ", text)):
        numbers = re.findall(r"\d+", found[0].removesuffix(f", {found[3]}"))
        for number in numbers:
            yield number, found[3] if number == numbers[-1] else None


def cited_by(path: Path) -> Path:
    """Page whose sections a text cites."""
    if OF_MAPPING.search(str(path.relative_to(REPOSITORY))):
        return MAPPING
    if OF_SEARCH.search(str(path.relative_to(REPOSITORY))):
        return SEARCH
    return CROSSBARS if ON_CROSSBARS.search(str(path.relative_to(REPOSITORY))) else MODEL


def wrong_in(text: str, page: Path = MODEL) -> list[str]:
    """Citations that lead nowhere."""
    there = sections(page)
    return [
        f"Section {number}" + (f", {name}" if name else "")
        for number, name in citations(text)
        if number not in there
        or (name and not re.search(rf"(^|\*\*|^- ){re.escape(name)}\b", there[number], re.MULTILINE))
    ]


def test_the_model_has_its_sections() -> None:
    assert list(sections()) == [str(number) for number in range(1, 9)]
    assert sections()["5"].startswith("Memory hierarchy") and "**Residency**" in sections()["5"]
    assert list(sections(CROSSBARS)) == [str(number) for number in range(1, 6)]
    assert list(sections(MAPPING)) == [str(number) for number in range(1, 10)]
    assert list(sections(SEARCH)) == [str(number) for number in range(1, 6)]


def test_every_section_cited_is_there() -> None:
    cited = {path.relative_to(REPOSITORY): wrong_in(path.read_text(), cited_by(path)) for path in texts()}
    assert {path: wrong for path, wrong in cited.items() if wrong} == {}


def test_the_source_cites_most_of_them() -> None:
    cited: dict[Path, set[str]] = {MODEL: set(), CROSSBARS: set(), MAPPING: set(), SEARCH: set()}
    for path in texts():
        if path.is_relative_to(REPOSITORY / "spikex_sim"):
            cited[cited_by(path)] |= {number for number, _ in citations(path.read_text())}
    assert set("1234567") <= cited[MODEL]
    assert set("12345") <= cited[CROSSBARS]
    assert set("12345678") <= cited[MAPPING]
    assert set("123") <= cited[SEARCH]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("(Section 5, Residency)", []),
        ("Section 1, When silence is not free.", []),
        ("(Sections 4 and 5, SP-MB)", []),
        ("(paper, Section III-A); HDF5 3.0, Section III.E; Sections III-B to III-D", []),
        ("as in (Section 12)", ["Section 12"]),
        ("Sections 3, 9 and 4", ["Section 9"]),
        ("see §11 for more", ["Section 11"]),
        ("in model §11 alone", []),
        ("a rule (Section\n    9, Loops) of old", ["Section 9, Loops"]),
        ("(Section 4, Residency)", ["Section 4, Residency"]),
    ],
)
def test_a_section_that_is_not_there_is_found(text: str, wrong: list[str]) -> None:
    assert wrong_in(text) == wrong
