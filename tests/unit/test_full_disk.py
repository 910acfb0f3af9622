"""Whatever the package writes, on a disk that is full: one line names the file, and nothing is left."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import spikex_sim as sx
from command import files_under, spikex
from spikex_sim.core.files import write_files, write_lines
from spikex_sim.data import default_trace_path
from spikex_sim.explore.fitted.curves import HardwareModel, LayerFit
from spikex_sim.sources.trained import load_trained, save_trained
from spikex_sim.trace.npyzip import save_npz
from trace_files import a_trace

COSTS = {f"{what}_per_window": (1.0,) for what in ("edp_js", "energy_pj", "cycles")}
FIT = LayerFit(layer="one", tws=2, windows=8, densities=(1.0,), **COSTS)
MODEL = HardwareModel(network="net", arch="a", timesteps=8, clock_hz=1.0, config={}, fits=(FIT,))

Fill = Callable[[], None]


@contextmanager
def tiny_tmpfs(folder: Path) -> Iterator[Fill]:
    """A file system of 64 KiB, and what takes all of it."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")

    def fill() -> None:
        with pytest.raises(OSError, match="No space left"), (folder / FILLER).open("wb", 0) as file:
            while True:
                file.write(bytes(4096))

    try:
        yield fill
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def short_files(folder: Path) -> Iterator[Fill]:
    """No file may grow beyond 100 bytes: a disk that becomes full, without the right to mount one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


FILLER = ".filler"
DISKS = {"tmpfs": (tiny_tmpfs, "No space left on device"), "limit": (short_files, "File too large")}

COMMANDS = {
    "run": ("run t.npz --out disk/o", "disk/o/results.json"),
    "run --timeline": ("run t.npz --out disk/o --timeline", "disk/o/"),
    "run --accesses": ("run t.npz --accesses disk/o/a.csv", "disk/o/a.csv"),
    "run --accesses gz": ("run t.npz --accesses disk/o/a.csv.gz", "disk/o/a.csv.gz"),
    "compare": ("compare t.npz --arch spikex,ptb --out disk/o", "disk/o/"),
    "sweep": ("sweep t.npz --grid tws=1,2 --out disk/o", "disk/o/sweep.sqlite"),
    "sweep --jobs": ("sweep t.npz --grid tws=1,2 --jobs 2 --out disk/o", "disk/o/sweep.sqlite"),
    "dynamic": ("dynamic t.npz --arch spikex --thresholds 0.5 --out disk/o", "disk/o/"),
    "ann": ("ann t.npz --out disk/o", "disk/o/"),
    "evaluate": ("evaluate nmnist --limit 1 --out disk/o", "disk/o/evaluate.json"),
    "search-tws": ("search-tws nmnist --limit 1 --tws 4,8 --out disk/o", "disk/o/search.csv"),
    "plot pdf": ("plot run --figure stalls --format pdf --out disk/o", "disk/o/stalls.pdf"),
    "plot png": ("plot run --figure stalls --format png --out disk/o", "disk/o/stalls.png"),
    "plot svg": ("plot run --figure stalls --format svg --out disk/o", "disk/o/stalls.svg"),
    "trace synth npz": ("trace synth --kind digit --timesteps 8 --out disk/t.npz", "disk/t.npz"),
    "trace synth h5": ("trace synth --kind digit --timesteps 8 --out disk/t.h5", "disk/t.h5"),
    "trace convert": ("trace convert rec.npz --timesteps 8 --out disk/t.h5", "disk/t.h5"),
    "trace convert folder": ("trace convert rec.npz --timesteps 8 --samples all --out disk/o", "disk/o/0"),
    "reproduce": ("reproduce tables --out disk/o", "disk/o/"),
}


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder that becomes full; this one's own disk has a trace, a result and recordings."""
    monkeypatch.chdir(tmp_path)
    sx.save_trace(sx.load_trace(default_trace_path()).first(6), "t.npz")
    sx.simulate("t.npz", tws=2).save("run")
    one = np.zeros(2, np.uint8)
    np.savez("rec.npz", x=one, y=one, p=one, t=one, offsets=np.arange(3), sensor=[34, 34, 2])
    Path("disk").mkdir()
    return Path("disk")


@pytest.mark.parametrize("kind", DISKS)
@pytest.mark.parametrize("what", COMMANDS)
def test_a_command(disk: Path, capsys: pytest.CaptureFixture[str], what: str, kind: str) -> None:
    line, named = COMMANDS[what]
    make, reason = DISKS[kind]
    with make(disk) as fill:
        fill()
        outcome = spikex(capsys, *line.split())
        left = set(files_under(disk)) - {FILLER}
    assert outcome.code == 2 and outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith(f"spikex-sim: {named}"), outcome.err
    store = named.endswith("sqlite")
    assert ("cannot be used as a sweep store: " if store else f": cannot be written: {reason}") in outcome.err
    assert not left


WRITERS: dict[str, Callable[[Path], object]] = {
    "trace.npz": lambda path: sx.save_trace(a_trace(), path),
    "trace.h5": lambda path: sx.save_trace(a_trace(), path),
    "weights.npz": lambda path: save_trained(load_trained("nmnist-base"), path),
    "arrays.npz": lambda path: save_npz(path, {"a": np.zeros(3)}),
    "model.json": MODEL.save,
    "lines.txt": lambda path: write_lines(path, ["a\n"] * 10_000),
    "lines.txt.gz": lambda path: write_lines(path, map(str, range(10_000))),
    "first.csv": lambda path: write_files(path.parent, {path.name: "a" * 5000, "second": b"b"}),
    "second.csv": lambda path: write_files(path.parent, {"first": b"", path.name: "a" * 5000}),
}


@pytest.mark.parametrize("kind", DISKS)
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("old", [None, "old"], ids=["new", "again"])
def test_a_writer(disk: Path, name: str, kind: str, old: str | None) -> None:
    make, reason = DISKS[kind]
    path = disk / name
    with make(disk) as fill:
        if old is not None:
            path.write_text(old)
        fill()
        with pytest.raises(sx.OutputError, match=f"^{path}: cannot be written: {reason}$"):
            WRITERS[name](path)
        left = {found: (disk / found).read_bytes() for found in files_under(disk) if found != FILLER}
    assert left == ({} if old is None else {name: old.encode()})


def test_traces_for_workers(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    monkeypatch.setattr("spikex_sim.explore.sweeps.pools.can_fork", lambda: False)
    with short_files(disk) as fill:
        fill()
        with pytest.raises(sx.OutputError, match=r"^disk/spikex-sweep-[^/]*/0: cannot be written: File too"):
            sx.sweep(a_trace(), {"tws": [1, 2]}, jobs=2)
    assert list(disk.iterdir()) == []
