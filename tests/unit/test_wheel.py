"""A release, built and installed elsewhere: wheel and sdist have everything that the commands need."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from doc_pages import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SECONDS = 1800
WALK = """
import json
from spikex_sim.cli.app import command

def walk(one, words):
    inner = getattr(one, "commands", None)
    if not inner:
        yield words
        return
    for name, part in inner.items():
        yield from walk(part, [*words, *name.split()])

print(json.dumps(list(walk(command(), []))))
"""
"""Prints the words of every command."""
RUNS = (
    ("run", "--tws", "4", "--timeline", "--out", "run"),
    ("compare", "--arch", "spikex,ptb", "--tws", "4", "--out", "compare"),
    ("sweep", "--grid", "tws=2,4", "--out", "sweep"),
    ("plot", "run"),
    ("report", "run"),
    ("report", "sweep", "--out", "sweep.html"),
    ("reproduce", "fig9", "--out", "paper"),
    ("trace", "show"),
    ("trace", "synth", "--kind", "graph", "--width", "2", "--timesteps", "2", "--out", "g.npz"),
    ("evaluate", "nmnist", "--limit", "2"),
    ("rtl", "export", "--layer", "conv1", "--out", "rtl"),
    ("map", "gen:A", "--steps", "1000", "--out", "map"),
    ("nas", "cost", "111111", "100000"),
    ("energy", "show"),
    ("list",),
)  # fmt: skip
"""Commands that need what is no code: traces, weights, tables, presets, numbers, Verilog, assets."""


def clean(**changes: str) -> dict[str, str]:
    """The environment without what leads back to the sources."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    return kept | changes


def call(*words: object, cwd: Path, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, words)), cwd=cwd, env=clean(**options), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheels made from the sources and from the sdist, and the sdist."""
    folder = tmp_path_factory.mktemp("release")
    sources = folder / "sources"
    listed = call("git", "-C", ROOT, "ls-files", "-z", cwd=folder)
    if listed.returncode:
        pytest.skip("not a checkout: what belongs to the sources is not known")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():  # else removed since
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            (sources / name).write_bytes((ROOT / name).read_bytes())
    python = environment_in(folder / "building")
    installed = call(python, "-m", "pip", "install", "--quiet", "build", cwd=folder)
    if installed.returncode:
        pytest.skip(f"no package index: {installed.stderr.strip()[-200:]}")
    for line in (("--outdir", folder / "from-sdist"), ("--wheel", "--outdir", folder / "from-sources")):
        done = call(python, "-m", "build", *line, sources, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def environment_in(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / "bin/python"


@pytest.fixture(scope="module")
def program(built: Path) -> Path:
    """The program, installed from its wheel into an environment that has nothing else."""
    python = environment_in(built / "empty")
    (wheel,) = (built / "from-sources").glob("*.whl")
    done = call(python, "-m", "pip", "install", "--quiet", wheel, cwd=built)
    assert done.returncode == 0, done.stderr
    (built / "elsewhere").mkdir()
    return built / "empty/bin/spikex-sim"


def entries(wheel: Path) -> dict[str, int]:
    """Names and checksums of what is in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {one.filename: one.CRC for one in archive.infolist()}


def test_the_sdist_gives_the_same_wheel(built: Path) -> None:
    (one,) = (built / "from-sources").glob("*.whl")
    (other,) = (built / "from-sdist").glob("*.whl")
    assert entries(one) == entries(other) and one.name == other.name
    (sdist,) = (built / "from-sdist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"} <= names


def test_the_wheel_has_the_sources_and_no_others(built: Path) -> None:
    (wheel,) = (built / "from-sources").glob("*.whl")
    listed = call("git", "-C", ROOT, "ls-files", "-z", "spikex_sim", cwd=built).stdout
    wanted = {name for name in filter(None, listed.split("\0")) if (ROOT / name).is_file()}
    there = {name for name in entries(wheel) if ".dist-info/" not in name and ".data/" not in name}
    assert there == wanted


def test_every_command_has_help(program: Path) -> None:
    elsewhere = program.parents[2] / "elsewhere"
    listed = call(program.parent / "python", "-c", WALK, cwd=elsewhere)
    commands = json.loads(listed.stdout)
    assert len(commands) > 25 and ["map", "verify"] in commands
    for words in commands:
        done = call(program, *words, "--help", cwd=elsewhere)
        assert done.returncode == 0 and "Usage: spikex-sim" in done.stdout, (words, done.stderr)


@pytest.mark.parametrize("line", RUNS, ids=" ".join)
def test_commands_work_elsewhere(program: Path, line: tuple[str, ...]) -> None:
    elsewhere = program.parents[2] / "elsewhere"
    done = call(program, *line, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_reports_are_whole(program: Path) -> None:
    elsewhere = program.parents[2] / "elsewhere"
    page = elsewhere / "run/report.html"
    if not page.exists():
        call(program, "run", "--out", "run", cwd=elsewhere)
        call(program, "report", "run", cwd=elsewhere)
    assert page.stat().st_size > 500_000 and "</html>" in page.read_text("utf-8")[-100:]


def test_doctor_finds_a_bare_environment_sound(program: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", "utf-8")
    elsewhere = program.parents[2] / "elsewhere"
    done = call(program, "doctor", "--json", cwd=elsewhere)
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["sound"] and told["problems"] == []
    assert told["version"] == parser["metadata"]["version"]
    assert told["folder"].startswith(str(program.parents[1])) and "site-packages" in told["folder"]
    extras = {extra["name"]: extra for extra in told["extras"]}
    assert set(extras) == set(parser["options.extras_require"])
    assert all(one["fault"] == "missing" for one in extras["map"]["packages"])
    assert str(sys.executable) not in extras["map"]["command"]


def test_doctor_notices_what_is_gone(program: Path) -> None:
    elsewhere = program.parents[2] / "elsewhere"
    (table,) = program.parents[1].glob("lib/python3*/site-packages/spikex_sim/costs/tables/sram.csv")
    kept = table.read_bytes()
    table.unlink()
    try:
        done = call(program, "doctor", cwd=elsewhere)
    finally:
        table.write_bytes(kept)
    assert done.returncode == 1 and "costs/tables/sram.csv is gone" in " ".join(done.stdout.split())
