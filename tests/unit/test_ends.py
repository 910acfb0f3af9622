"""However a command ends, nothing half-written stays, and no command writes over what it reads."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import spikex_sim as sx
from command import environment, files_under, is_mistake, spikex, succeed
from spikex_sim.core.files import new_file, new_folder
from trace_files import a_trace

STUCK = """
import sys, time
from spikex_sim.core import files
from spikex_sim.__main__ import entry

def stuck(file):
    if "kernels" in str(file.name):  # compiled meanwhile
        return
    print("working", flush=True)
    time.sleep(60)

files.onto_disk = stuck
sys.argv[0] = "spikex-sim"
sys.exit(entry())
"""
LINES = [
    "run t.npz --out o", "run t.npz --accesses a.csv", "compare t.npz --out o --arch spikex,ptb",
    "trace synth --kind digit --out n.npz", "trace synth --kind digit --out n.h5",
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    sx.save_trace(a_trace(), "t.npz")
    return tmp_path


def begun(line: str, **options: str) -> subprocess.Popen[str]:
    """A command in the middle of writing its first file."""
    running = subprocess.Popen(
        [sys.executable, "-c", STUCK, *line.split()],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**options),
    )  # fmt: skip
    assert running.stdout is not None
    while running.stdout.readline() != "working\n":
        assert running.poll() is None
    return running


class TestSignals:
    @pytest.mark.parametrize("line", LINES)
    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
    def test_nothing_half_written_is_left(self, here: Path, line: str, name: str) -> None:
        number = getattr(signal, name)
        before = files_under(here)
        running = begun(line)
        assert len(files_under(here)) > len(before)
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
        assert running.returncode == 128 + number
        assert err in ("", "spikex-sim: interrupted\n" if name == "SIGINT" else "spikex-sim: terminated\n")
        assert files_under(here) == before

    def test_nohup(self, here: Path) -> None:
        """What is to be ignored stays ignored."""
        ignoring = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        program = ignoring + STUCK.replace("60", "2")
        command = [sys.executable, "-c", program, "run", "t.npz", "--accesses", "a.csv"]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert running.stdout is not None and running.stdout.readline() == "working\n"
        running.send_signal(signal.SIGHUP)
        running.communicate(timeout=60)
        assert running.returncode == 0 and Path("a.csv").exists()


def leftover(process: int | str, node: str = platform.node()) -> Path:
    return Path(f".spikex-{node}-{process}-0123abcd.tmp")


class TestLeftovers:
    @pytest.mark.parametrize("line", LINES[:2])
    def test_of_a_killed_command_are_swept_by_the_next(
        self, here: Path, capsys: pytest.CaptureFixture[str], line: str
    ) -> None:
        running = begun(line)
        running.kill()
        running.communicate()
        assert any(name.endswith(".tmp") for name in files_under(here))
        succeed(capsys, *line.split())
        assert not any(name.endswith(".tmp") for name in files_under(here))

    def test_only_what_nobody_fills_any_more_goes(self, here: Path) -> None:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        gone = [leftover(ended.pid), leftover(10**30)]
        kept = [
            leftover(os.getpid()), leftover(1), leftover(ended.pid, "elsewhere"), leftover("x"),
            leftover(ended.pid, f"{platform.node()}-2"),
            Path(f"spikex-{platform.node()}-{ended.pid}-0.tmp"),
        ]  # fmt: skip
        gone[0].mkdir()
        (gone[0] / "part.npz").write_text("half")
        for path in (*gone[1:], *kept):
            path.write_text("half")
        kept.append(Path("target"))
        kept[-1].mkdir()
        (kept[-1] / "mine").write_text("whole")
        link = leftover(10**29)
        link.symlink_to("target")
        with new_file("new") as file:
            file.write(b"whole")
        assert not any(path.exists() for path in gone) and not link.is_symlink()
        assert all(path.exists() for path in kept) and (kept[-1] / "mine").exists()

    def test_folders_are_swept_too(self, here: Path) -> None:
        leftover(10**30).write_text("half")
        with new_folder("folder") as folder:
            (folder / "one").write_text("whole")
        assert files_under(here) == ["folder/one", "t.npz"]


INPUTS = [
    "run t.npz --accesses t.npz", "run t.npz --arch a.yaml --accesses a.yaml",
    "run folder --accesses folder/t.npz", "run t.npz --accesses link.npz",
    "run t.npz --accesses ./folder/../t.npz", "run t.npz --accesses hard.npz",
    "trace convert t.npz --out t.npz --like t.npz", "trace convert folder/t.npz --out t.npz --like t.npz",
    "hardware-model t.npz --out t.npz", "hardware-model t.npz --out m.json --figure t.npz",
    "trace synth --kind bernoulli --network n.yaml --rate 0.1 --out n.yaml",
    "train nmnist --data t.npz --out t.npz", "train nmnist --save-data t.npz --data t.npz --out w.npz",
    "trace nir t.npz --input x.npz --out t.npz", "trace record m.py:make --out m.py",
    "compare t.npz --arch spikex,a.yaml --out a.yaml", "sweep t.npz --grid tws=1 --out t.npz",
]  # fmt: skip


class TestOverlap:
    @pytest.mark.parametrize("line", INPUTS)
    def test_what_is_read_is_not_written(
        self, here: Path, capsys: pytest.CaptureFixture[str], line: str
    ) -> None:
        Path("folder").mkdir()
        sx.save_trace(a_trace(), "folder/t.npz")
        Path("a.yaml").write_text("base: spikex\n")
        Path("n.yaml").write_text("name: n\n")
        Path("m.py").write_text("")
        Path("link.npz").symlink_to("t.npz")
        os.link("t.npz", "hard.npz")
        before = {name: (here / name).read_bytes() for name in files_under(here)}
        message = is_mistake(spikex(capsys, *line.split()))
        assert "is read by this command" in message, message
        assert {name: (here / name).read_bytes() for name in files_under(here)} == before

    def test_others_are_replaced(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("old.csv").write_text("old")
        succeed(capsys, "run", "t.npz", "--accesses", "old.csv")
        assert Path("old.csv").read_text().startswith("cycle,")
