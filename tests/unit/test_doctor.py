"""The installation as doctor sees it: what is there, what is missing or broken, and that it only looks."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import replace
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

import spikex_sim as sx
from command import environment, process, spikex, succeed
from spikex_sim.core import doctor as module
from spikex_sim.core import extras, jit
from spikex_sim.core.doctor import Kernels, doctor
from spikex_sim.core.extras import Extra, Package, module_of

pytestmark = pytest.mark.usefixtures("quiet_logger")


@pytest.fixture(scope="module")
def found() -> sx.Installation:
    return doctor()


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder before all others, with packages that do not load."""
    folder = tmp_path / "broken"
    for name, text in (
        ("refuses", "raise ImportError('built for another\\nnumpy')"),
        ("ends", "import os; os._exit(3)"),
        ("leaves", "import sys; sys.exit(0)"),
        ("talks", "print('[\"talks\", \"\"]'); print('[1'); raise ValueError('late')"),
        ("numpy", "raise ImportError('no libblas')"),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    return folder


class TestPackages:
    def test_here_all_is_well(self, found: sx.Installation) -> None:
        assert found.sound and found.problems == ()
        assert found.version == sx.__version__ == version("spikex_sim")
        assert {one.name for one in found.packages} >= {"numpy", "numba", "typer", "matplotlib", "h5py"}
        for one in found.packages:
            assert (one.fault, one.version) == ("", version(one.name))

    def test_every_extra_is_told(self, found: sx.Installation) -> None:
        noted = distribution("spikex_sim").metadata.get_all("Provides-Extra") or []
        assert {extra.name for extra in found.extras} == set(noted) >= {"map", "pandas", "nas", "train"}
        for extra in found.extras:
            assert shlex.split(extra.command)[-1].endswith(f"[{extra.name}]")
            for one in extra.packages:
                assert bool(one.version) == (one.fault != "missing")

    @pytest.mark.parametrize(
        ("name", "module_name"),
        [("PyYAML", "yaml"), ("types-PyYAML", ""), ("pytest-cov", "pytest_cov"), ("numpy", "numpy")],
    )
    def test_modules_of_packages(self, name: str, module_name: str) -> None:
        assert module_of(distribution(name)) == module_name

    def test_modules_of_packages_whose_files_nobody_noted(self, tmp_path: Path) -> None:
        from importlib.metadata import PathDistribution

        info = tmp_path / "PyYAML-6.0.egg-info"
        info.mkdir()
        (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: PyYAML\nVersion: 6.0\n")
        assert module_of(PathDistribution(info)) == ""
        (info / "top_level.txt").write_text("_yaml\nyaml\n")
        assert module_of(PathDistribution(info)) == "yaml"

    def test_one_that_ends_the_process_hides_no_other(self, broken: Path) -> None:
        names = ["refuses", "ends", "leaves", "talks", "json", "nowhere"]
        faults = dict(extras._loaded(names))
        assert faults == {
            "refuses": "ImportError: built for another numpy",
            "ends": "ends the process with code 3",
            "leaves": "SystemExit: 0",
            "talks": faults["talks"],
            "json": "",
            "nowhere": "ModuleNotFoundError: No module named 'nowhere'",
        }

    def test_one_that_takes_for_ever(self, broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (broken / "sleeps").mkdir()
        (broken / "sleeps/__init__.py").write_text("import time; time.sleep(60)")
        monkeypatch.setattr(extras, "LOAD_SECONDS", 1)
        faults = dict(extras._loaded(["sleeps"]))
        assert faults == {"sleeps": "does not load in time"}

    def test_a_version_that_does_not_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from packaging.requirements import Requirement

        one = extras._package(Requirement("numpy>=999"), {"numpy": ""})
        assert one.fault == f"is {version('numpy')}, not >=999"
        assert extras._package(Requirement("numpy>=1"), {"numpy": "ImportError: x"}).fault == "ImportError: x"


class TestProblems:
    def test_sources_of_another_version(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "setup.cfg").write_text("[metadata]\nversion = 9.9\n")
        monkeypatch.setattr(module, "_ROOT", tmp_path)
        monkeypatch.setattr(module, "packages", lambda: ((), ()))
        (problem,) = doctor().problems
        assert problem.startswith(f"installed as {version('spikex_sim')}, and the sources are 9.9: ")
        assert shlex.split(problem)[-1] == str(tmp_path)

    def test_a_broken_package_is_a_line_with_its_remedy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bad = Package("numba", ">=0.61", "0.61", "OSError: libllvm")
        monkeypatch.setattr(module, "packages", lambda: ((bad,), ()))
        seen = doctor()
        assert not seen.sound and seen.kernels == Kernels(note="numba does not load")
        assert seen.problems[0].startswith("numba: OSError: libllvm; ")
        assert seen.problems[0].endswith("--force-reinstall 'numba>=0.61'")

    def test_what_needs_no_package_works_without_numpy(self, broken: Path) -> None:
        seen = process("doctor", env=environment())
        assert seen.code == 1 and seen.out == ""
        lines = seen.err.splitlines()
        assert any(line.startswith("spikex-sim: numpy: ImportError: no libblas; ") for line in lines)
        assert all(line.startswith("spikex-sim: ") for line in lines)
        other = process("run", env=environment())
        assert (other.code, other.out) == (2, "")
        assert other.err == (
            "spikex-sim: numpy does not load: ImportError: no libblas; spikex-sim doctor says more\n"
        )

    def test_settings_that_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "packages", lambda: ((), ()))
        monkeypatch.setenv("SPIKEX_MAX_MEMORY_GB", "much")
        seen = doctor()
        assert seen.memory_gb is None and "SPIKEX_MAX_MEMORY_GB" in seen.problems[0]
        monkeypatch.setenv("SPIKEX_MAX_MEMORY_GB", "2.5")
        assert (doctor().memory_gb, doctor().problems) == (2.5, ())
        assert ("SPIKEX_MAX_MEMORY_GB", "2.5") in doctor().settings


class TestSurroundings:
    def test_only_looks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "packages", lambda: ((), ()))
        monkeypatch.chdir(tmp_path)
        assert doctor().writable_here
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_gone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "packages", lambda: ((), ()))
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        seen = doctor()
        assert not seen.writable_here and "the current folder is gone" in seen.notes and seen.sound

    def test_kernels(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jit, "_places", lambda: iter([tmp_path / "kept"]))
        jit._store.cache_clear()
        try:
            empty = jit.kept()
            assert (empty.files, empty.damaged, empty.ready, empty.writable) == (0, 0, (), True)
            assert list(tmp_path.iterdir()) == []
            folder = Path(empty.folder)
            folder.mkdir(parents=True)
            good, bad = folder / f"a-{jit._machine()}", folder / f"b-{jit._machine()}"
            good.write_bytes(jit._hash(b"code") + b"code")
            assert jit.kept()[1:3] == (1, 0)
            (folder / "c-of-another-machine").write_bytes(b"?")
            bad.write_bytes(jit._hash(b"code") + b"spoilt")
            assert jit.kept()[1:4] == (2, 1, ())
            assert bad.exists()
            bad.unlink()
            for use, needed in (("ptb", b"a"), ("sata", b"a c")):
                (folder / f"all-{use}-{jit._machine()}").write_bytes(jit._hash(needed) + needed)
            assert jit.kept()[1:4] == (1, 0, ("ptb",))
        finally:
            jit._store.cache_clear()

    def test_programs_are_found_by_their_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "packages", lambda: ((), ()))
        (tmp_path / "yosys").write_text("#!/bin/sh\necho Yosys 0.99 '(of nobody)'\n")
        (tmp_path / "yosys").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        told = {one.name: (one.path, one.version) for one in doctor().programs}
        assert told["yosys"] == (str(tmp_path / "yosys"), "0.99")
        assert told["iverilog"] == ("", "")


class TestCommand:
    def test_prints_what_it_found(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, found: sx.Installation
    ) -> None:
        lacking = Extra("map", (Package("ortools", ">=9", "", "missing"),), "pip install 'x[map]'")
        there = Extra("nir", (Package("nir", ">=1", "1.0", ""),), "pip install 'x[nir]'")
        told = replace(found, extras=(lacking, there), notes=("mind this",))
        monkeypatch.setattr(module, "doctor", lambda **_: told)
        out = succeed(capsys, "doctor").out
        assert f"spikex_sim {found.version}, commit {found.commit}" in out
        assert "map: pip install 'x[map]'" in out and "x[nir]" not in out
        assert "mind this" in out and "sound: runs, sweeps and figures work" in out
        content = json.loads(succeed(capsys, "doctor", "--json").out)
        assert content["sound"] is True and content["version"] == found.version
        assert content["extras"][0]["packages"][0]["fault"] == "missing"
        assert set(content) == {*told.__dataclass_fields__, "sound"}

    def test_exit_code_of_what_is_not_sound(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, found: sx.Installation
    ) -> None:
        told = replace(found, problems=("numba: \x1b[2J is gone",))
        monkeypatch.setattr(module, "doctor", lambda **_: told)
        for line in (["doctor"], ["doctor", "--json"]):
            outcome = spikex(capsys, *line)
            assert (outcome.code, outcome.err) == (1, "")
            assert "\x1b" not in outcome.out and "is gone" in outcome.out

    def test_python_of_commands_is_this_one(self, found: sx.Installation) -> None:
        assert found.executable == sys.executable
        assert all(shlex.split(extra.command)[0] == sys.executable for extra in found.extras)
