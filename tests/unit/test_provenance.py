"""What results say of the program that made them, and how messages install what is missing."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import spikex_sim as sx
from command import REPOSITORY, spikex, succeed
from spikex_sim.core import origin
from spikex_sim.papers.spikex.about import about
from spikex_sim.papers.spikex.scorecard import scorecard
from spikex_sim.papers.spikex.studies import Machines
from spikex_sim.papers.spikex.trained import Material
from spikex_sim.run.simulate import versions
from trace_files import a_trace

HEX = set("0123456789abcdef")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    sx.save_trace(a_trace(), "t.npz")
    return tmp_path


@pytest.fixture
def forgotten() -> Any:
    """Find everything out anew, and again afterwards."""
    kept = origin.source_sha256, origin.commit, origin._direct_url
    for one in kept:
        one.cache_clear()
    yield
    for one in kept:
        one.cache_clear()


def test_results_name_commit_and_sources(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, "run", "t.npz", "--out", "run")
    succeed(capsys, "sweep", "t.npz", "--grid", "tws=2,3", "--out", "sweep")
    succeed(capsys, "ann", "t.npz", "--out", "ann")
    wanted = origin.origin()
    found = json.loads(Path("run/results.json").read_text())["versions"]
    assert found == {**versions(), **wanted}
    for name in ("sweep/sweep.csv", "ann/ann.csv"):
        with Path(name).open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) > 1 and all({key: row[key] for key in wanted} == wanted for row in rows)
    assert len(wanted["source_sha256"]) == 64 and set(wanted["source_sha256"]) <= HEX
    again = sx.load_results("run")
    assert again.versions["commit"] == wanted["commit"]


def copy_of_the_package(folder: Path) -> Path:
    """The sources in a folder of their own, as a checkout has them."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "spikex_sim", folder / "spikex_sim", ignore=ignored)
    shutil.copy(REPOSITORY / "setup.cfg", folder)
    (folder / "scripts").mkdir()
    return folder / "spikex_sim"


def test_the_hash_is_of_names_and_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    here = origin.source_sha256()
    package = copy_of_the_package(tmp_path)
    monkeypatch.setattr(origin, "_PACKAGE", package)

    def there() -> str:
        origin.source_sha256.cache_clear()
        return origin.source_sha256()

    assert there() == here
    preset = package / "spec" / "presets" / "spikex.yaml"
    preset.write_text(preset.read_text() + "# another\n")
    changed = there()
    (package / "core" / "units.py").rename(package / "core" / "unit.py")
    assert len({here, changed, there()}) == 3


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    package = copy_of_the_package(tmp_path)
    monkeypatch.setattr(origin, "_PACKAGE", package)

    def commit() -> str:
        origin.commit.cache_clear()
        return origin.commit()

    monkeypatch.setattr(origin, "distribution", lambda _: FakeDistribution("{}"))
    assert commit() == "unknown"
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "x")
    git(tmp_path, "tag", "v1")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert commit() == head
    (package / "core" / "units.py").write_text("")
    assert commit() == f"{head}-dirty"
    monkeypatch.setenv("PATH", "")
    assert commit() == "unknown"


class FakeDistribution:
    """An installed package with what its installer noted."""

    def __init__(self, noted: str | None) -> None:
        self.noted = noted

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.noted


VCS = {"url": "https://host/spikex", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}
PLACES = [
    (None, "spikex_sim[train]", "unknown"),
    (VCS, "spikex_sim[train] @ git+https://host/spikex@c0ffee", "c0ffee"),
    ({"url": "file:///a%20b/spikex.whl", "archive_info": {}}, "/a b/spikex.whl[train]", "unknown"),
    ({"url": "file:///src", "dir_info": {}}, "/src[train]", "unknown"),
    ({"url": "https://host/s.whl", "archive_info": {}}, "spikex_sim[train] @ https://host/s.whl", "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("noted", "wanted", "commit"), PLACES)
def test_extras_come_from_where_the_program_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None, noted: Any, wanted: str, commit: str
) -> None:
    monkeypatch.setattr(origin, "_PACKAGE", tmp_path / "spikex_sim")
    text = None if noted is None else json.dumps(noted)
    monkeypatch.setattr(origin, "distribution", lambda _: FakeDistribution(text))
    assert origin.pip_install("train") == f"{sys.executable} -m pip install '{wanted}'"
    assert origin.commit() == commit


def test_extras_of_a_checkout_are_installed_there(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = f"{sys.executable} -m pip install --editable '{REPOSITORY}[train]'"
    assert origin.pip_install("train") == wanted


def test_reproduce_says_what_it_was_run_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "s.csv"
    log.write_text("beta,accuracy,spike_density,window_density\n0,0.9,0.1,0.2\n")
    done = spikex(capsys, "reproduce", "fig7", "--log", f"nmnist={log}", "--out", tmp_path / "o")
    assert done.code == 0
    told = json.loads((tmp_path / "o" / "reproduce.json").read_text("utf-8"))
    assert told["figures"] == ["fig7"] and "networks" not in told
    assert told["logs"] == [{"file": "s.csv", "sha256": hashlib.sha256(log.read_bytes()).hexdigest()}]
    for name, preset in (("spikex", "spikex-paper"), ("ptb", "ptb-paper")):
        assert told["machines"][name] == json.loads(sx.load_accelerator(preset).model_dump_json())
    assert told["versions"] == {**versions(), **origin.origin()}


def test_weights_and_samples_are_named_by_their_hashes(tmp_path: Path) -> None:
    shipped = REPOSITORY / "spikex_sim" / "data" / "weights"
    for variant in ("base", "has"):
        shutil.copy(shipped / f"nmnist-{variant}.npz", tmp_path)
    told = about(["fig13"], Machines.of_presets(), Material(tmp_path, samples=1))["networks"]
    assert [(one["network"], one["variant"]) for one in told] == [("nmnist", "base"), ("nmnist", "has")]
    for one in told:
        content = (tmp_path / f"nmnist-{one['variant']}.npz").read_bytes()
        assert one["weights_sha256"] == hashlib.sha256(content).hexdigest()
        assert one["samples"] == 1 and "emulated" in one["data"]


@pytest.mark.parametrize(
    ("data", "command"),
    [
        ("3 recordings of r.npz", "spikex-sim reproduce fig13 --data NETWORK=FILE"),
        ("2 digits in front of an emulated event camera", "spikex-sim reproduce fig13"),
    ],
)
def test_rows_of_the_scorecard_name_their_data(data: str, command: str) -> None:
    rows = [
        {"network": network, "configuration": name, "layer": "fc", "tws": 4, "cycles": 1, "seconds": 1.0,
         "energy_pj": 1.0, "accuracy": 1, "data": data if network == "nmnist" else "another"}
        for network in ("nmnist", "dvs-gesture-large")
        for name in ("PTB", "PTB+HT", "SpikeX+HT+HAS")
    ]  # fmt: skip
    lines = {line.row.id: line for line in scorecard({"fig13": rows})}
    line = lines["fig13-ht-energy-nmnist"]
    assert (line.data, line.command, line.fitted) == (data, command, "held out")
    assert lines["fig13-ht-energy-dvsl"].data == "another"
    assert lines["ht-layer-max"].data == f"{data}; another"
    assert lines["fig9-energy-2"].fitted == "fitted" and lines["fig9-energy-2"].data == ""
