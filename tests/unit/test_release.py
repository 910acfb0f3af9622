"""Version, date and address are said in several places, and everywhere the same; what a release contains."""

from __future__ import annotations

import configparser
import re
import subprocess
from datetime import date
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from command import succeed
from doc_pages import ROOT
from spikex_sim.spec.load import preset_names


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def metadata() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


VERSION = metadata()["metadata"]["version"]
URL = metadata()["metadata"]["url"]
CITATION = yaml.safe_load(read("CITATION.cff"))


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


class TestOneVersion:
    def test_installed_and_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert succeed(capsys, "--version").out == f"spikex_sim {VERSION}\n"

    def test_citation_and_page(self) -> None:
        assert CITATION["version"] == VERSION
        released = date.fromisoformat(CITATION["date-released"])
        entry = dict(re.findall(r"^  (\w+) += \{(.*)\},?$", read("docs/citing.md"), re.MULTILINE))
        assert (entry["version"], entry["date"]) == (VERSION, released.isoformat())
        assert entry["title"].replace("\\", "") == CITATION["title"]

    def test_first_heading_of_the_changelog(self) -> None:
        heading = re.search(r"^## (.*)$", read("CHANGELOG.md"), re.MULTILINE)
        assert heading is not None
        assert heading[1] == f"{VERSION} ({CITATION['date-released']})"

    def test_tags_agree(self) -> None:
        """A commit that is tagged as a version is that version."""
        tags = [tag for tag in git("tag", "--points-at", "HEAD").split() if re.fullmatch(r"v\d.*", tag)]
        assert tags in ([], [f"v{VERSION}"])


class TestOneAddress:
    def test_everywhere(self) -> None:
        assert urlsplit(URL).scheme == "https" and urlsplit(URL).hostname
        assert CITATION["url"] == CITATION["repository-code"] == URL
        assert f"url     = {{{URL}}}" in read("docs/citing.md")

    def test_nowhere_another_one_of_ours(self) -> None:
        """While the address is a placeholder, it stands in these places alone."""
        host = urlsplit(URL).hostname or ""
        listed = git("grep", "-l", "-F", host).split()
        allowed = {
            "setup.cfg",
            "CITATION.cff",
            "docs/citing.md",
            "docs/hooks/address.py",
        }  # the last in an example
        if listed:
            assert {name for name in listed if not name.startswith("tests/")} <= allowed


class TestCitation:
    def test_is_what_readers_of_the_format_want(self) -> None:
        assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software"
        assert CITATION["license"] == metadata()["metadata"]["license"]
        for one in CITATION["references"]:
            assert one["title"] and one["authors"] and one["type"] in ("article", "conference-paper")

    def test_every_preset_has_a_row(self) -> None:
        rows = [line for line in read("docs/citing.md").splitlines() if line.startswith("| `")]
        named = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
        assert sorted(named) == sorted(preset_names())

    def test_papers_of_the_page_are_in_the_file(self) -> None:
        papers = read("docs/citing.md").partition("## Papers\n")[2].partition("\n## ")[0]
        titles = {re.sub(r"\W+", " ", title).lower() for title in re.findall(r"\*([^*]+)\*", papers)}
        filed = {re.sub(r"\W+", " ", one["title"]).lower() for one in CITATION["references"]}
        assert titles == filed and len(filed) > 7

    def test_is_led_to(self) -> None:
        assert "docs/citing.md" in read("README.md") and "(citing.md)" in read("docs/index.md")


@pytest.fixture(scope="module")
def patterns() -> list[str]:
    return metadata()["options.package_data"]["spikex_sim"].split()


@pytest.fixture(scope="module")
def there() -> list[str]:
    """Files of the package that are no code and no leftovers of runs."""
    package = ROOT / "spikex_sim"
    tracked = git("ls-files", "-z", "spikex_sim")
    names = tracked.strip("\0").split("\0") if tracked else [
        path.relative_to(ROOT).as_posix() for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]  # fmt: skip
    inside = [name.removeprefix("spikex_sim/") for name in names]
    return [name for name in inside if not name.endswith((".py", ".pyi")) and (package / name).exists()]


class TestFiles:
    """What is not code has to be named in setup.cfg to come along."""

    def test_all_come_along(self, patterns: list[str], there: list[str]) -> None:
        assert len(there) > 50
        missing = [name for name in there if not any(matches(name, one) for one in patterns)]
        assert missing == []

    def test_no_pattern_is_of_nothing(self, patterns: list[str], there: list[str]) -> None:
        assert [one for one in patterns if not any(matches(name, one) for name in there)] == []

    def test_every_folder_with_code_is_a_package(self) -> None:
        folders = {path.parent for path in (ROOT / "spikex_sim").rglob("*.py")}
        assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []

    def test_hardware_comes_along(self) -> None:
        for target, names in metadata()["options.data_files"].items():
            folder = ROOT / target.removeprefix("share/spikex_sim/")
            assert names.split() == [f"{folder.relative_to(ROOT)}/*.v"] and list(folder.glob("*.v"))


def test_every_extra_has_a_row() -> None:
    rows = re.findall(
        r"^\| (`[^|]+`) \|", read("docs/installation.md").partition("## Extras")[2], re.MULTILINE
    )
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert set(metadata()["options.extras_require"]) <= set(named)


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern of setup.cfg names a file; a star stays within a folder."""
    parts, wanted = Path(name).parts, Path(pattern).parts
    return len(parts) == len(wanted) and all(map(fnmatch, parts, wanted))
