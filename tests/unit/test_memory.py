"""What takes much memory is refused by its number before it is taken, and the estimate is not too small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import environment, is_mistake, process
from spikex_sim.core import memory
from spikex_sim.core.memory import ALWAYS_BYTES, Share, check_memory, keep_to, limit_bytes, share_of
from spikex_sim.run import simulate
from spikex_sim.run.simulate import UNIT

PEAK = """
import sys
import numpy as np
import spikex_sim as sx
from spikex_sim.run import replay

arch, tws, channels, outs, kernel, side, timesteps, rate = sys.argv[1:]
channels, outs, kernel, side, timesteps = map(int, (channels, outs, kernel, side, timesteps))
layer = {"name": "c", "kind": "conv", "in_channels": channels, "out_channels": outs, "kernel": kernel,
         "padding": kernel // 2, "neuron": {"threshold": 100, "leak_shift": 3}}
rng = np.random.default_rng(0)
weight = rng.integers(-9, 9, (outs, channels, kernel, kernel)).astype(np.int8)

def trace(side):
    spikes = rng.random((channels, side, side, timesteps)) < float(rate)
    return sx.Trace.from_arrays([layer | {"in_height": side, "in_width": side}], spikes, weights=[weight])

def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])

options = {} if tws == "-" else {"tws": int(tws)}
whole = trace(side)
sx.simulate(trace(kernel), arch, **options)
estimates = []
estimate = replay._working_bytes
replay._working_bytes = lambda *given: estimates.append(estimate(*given)) or estimates[-1]
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
steps = sx.simulate(whole, arch, **options).layers[0].steps
print(status("VmHWM") - before, round(max(estimates)), steps)
"""
SHAPES = [
    "spikex 4 4 16 3 64 100 0.05", "spikex 1 4 16 3 48 100 0.5", "spikex 1 1 1 1 700 1 1",
    "spikex 1 1 1 1 6 60000 1", "ptb 4 64 64 3 24 20 0.2", "ptb-stsap 2 16 16 3 32 40 0.1",
    "systolic-os - 16 16 3 32 40 0.1", "systolic-ws - 1 64 3 64 20 0.1", "systolic-is - 16 16 3 24 20 0.1",
    "sata - 16 64 3 32 40 0.1", "spikex 1 1 2000 1 64 4 1", "spinalflow - 8 32 3 64 1 0.2",
]  # fmt: skip
BYTES_A_STEP = 320
CGROUPS = {
    "1": ("4:cpu,memory:/a/b/c", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
          "total_inactive_file"),
    "2": ("0::/a/b/c", "", "memory.max", "memory.current", "inactive_file"),
}  # fmt: skip
"""Of a version: its line, where its groups lie, and the names of limit, use and cache."""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a while")
@pytest.mark.parametrize("shape", SHAPES)
def test_peak_is_within_the_estimate(shape: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *shape.split()], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    peak, estimate, steps = map(int, done.stdout.split())
    assert peak <= estimate + BYTES_A_STEP * steps + (8 << 20)


def padded(folder: Path, padding: int) -> Path:
    layer: dict[str, Any] = {
        "name": "c", "kind": "conv", "in_channels": 1, "out_channels": 1, "kernel": 1, "in_height": 1,
        "in_width": 1, "padding": padding, "neuron": {"threshold": 1, "leak_shift": 3},
    }  # fmt: skip
    weight = np.ones((1, 1, 1, 1), np.int8)
    path = folder / "small.npz"
    sx.save_trace(sx.Trace.from_arrays([layer], np.ones((1, 1, 1, 1), bool), weights=[weight]), path)
    return path


@pytest.mark.parametrize("line", ["run {} --tws 1", "compare {} --tws 1", "sweep {} --grid tws=1 --out o"])
def test_a_small_file_that_needs_much_is_refused_by_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = padded(tmp_path, 30_000)
    refused = process(*line.format(path).split(), env=environment(SPIKEX_MAX_MEMORY_GB="2.5"))
    assert refused.code == 2 and "Traceback" not in refused.err
    message = refused.err if "compare" not in line else refused.err + refused.out
    for word in (
        "layer c at TWS 1",
        "GB of memory",
        "2.5 GB that SPIKEX_MAX_MEMORY_GB allows",
        "--max-memory-gb",
    ):
        assert word in " ".join(message.split()), message


def test_the_option_decides(tmp_path: Path) -> None:
    path = padded(tmp_path, 900)  # 3.2 million positions: half a GB
    said = is_mistake(process("--max-memory-gb", "0.3", "run", path, "--tws", "1"), "small.npz", "GB")
    allowed = said.split("--max-memory-gb ")[1].split("`")[0]
    assert process("--max-memory-gb", allowed, "run", path, "--tws", "1").code == 0


@pytest.mark.parametrize("bad", ["x", "-1", "0", "nan", "inf", "\x1b"])
def test_a_limit_that_is_none(tmp_path: Path, bad: str) -> None:
    path = padded(tmp_path, 900)
    is_mistake(process("run", path, "--tws", 1, env=environment(SPIKEX_MAX_MEMORY_GB=bad)), memory.VARIABLE)


@pytest.mark.parametrize("bad", ["-1", "0", "nan", "inf"])
def test_an_option_that_is_no_limit_is_refused_whatever_is_run(bad: str) -> None:
    is_mistake(process("--max-memory-gb", bad, "list"), "--max-memory-gb", "GB above 0")


@pytest.mark.parametrize(
    "line", ["run f --tws 1", "compare f --tws 1", "sweep f --grid array.cols=4,8 --tws 1 --out o"]
)
def test_processes_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Half a GB for a layer, 0.7 GB for all: enough for one process, not for each of two."""
    monkeypatch.chdir(tmp_path)
    path = padded(tmp_path, 900)
    folder = tmp_path / "f"
    folder.mkdir()
    for number in range(UNIT + 1):  # two units of samples
        (folder / f"{number:02}.npz").symlink_to(path)
    limit = environment(SPIKEX_MAX_MEMORY_GB="0.7")
    refused = process(*line.split(), "--jobs", 2, env=limit)
    said = " ".join((refused.err + refused.out).split())
    assert (
        refused.code == 2 and "0.35 GB that SPIKEX_MAX_MEMORY_GB allows, for each of 2 processes" in said
    ), said
    assert "fewer processes, samples," in said and "--max-memory-gb 2`" in said
    check_memory(0.5e9, "alone")


def test_a_search_over_all_samples_is_held_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = {"name": "f", "kind": "linear", "in_channels": 2, "out_channels": 1,
             "neuron": {"threshold": 1, "leak_shift": 3}}  # fmt: skip
    samples = np.zeros((3, 2, 8 * 1000), bool)
    trace = sx.Trace.from_arrays([layer], samples, weights=[np.ones((1, 2), np.int8)], name="t")
    asked = []
    monkeypatch.setattr(simulate, "check_memory", lambda *given, **place: asked.append((*given, place)))
    sx.simulate(trace, tws=2)
    assert asked == []
    sx.simulate(trace, tws="auto")
    assert asked == [(3 * 3 * 1000, "tws: auto over 3 samples at once", {"where": trace.where})]


class TestLimit:
    @pytest.fixture(autouse=True)
    def unsaid(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(memory.VARIABLE, raising=False)
        monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
        monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
        monkeypatch.setattr(memory, "_OWN_CGROUPS", tmp_path / "cgroup")
        monkeypatch.setattr(memory, "_left_of_process", lambda: float("inf"))

    def test_what_is_free(self, tmp_path: Path) -> None:
        assert limit_bytes() == (float("inf"), True)
        (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    600000 kB\n")
        assert limit_bytes() == (614_400_000, True)
        check_memory(614_400_000, "all of it")
        with pytest.raises(sx.TraceError, match=r"^a\.npz: it takes some 0\.614 GB of memory, more"):
            check_memory(614_400_001, "it", where="a.npz")

    @pytest.mark.parametrize("version", CGROUPS)
    def test_the_least_that_a_control_group_or_one_above_leaves(self, tmp_path: Path, version: str) -> None:
        own, top, limit, use, taken_back = CGROUPS[version]
        (tmp_path / "cgroup").write_text(f"8:pids:/elsewhere\n{own}\nnonsense\n")
        for group, most, used in (("", "900", 0), ("a", "none", 0), ("a/b", "700", 50), ("a/b/c", "800", 50)):
            place = tmp_path / top / group
            place.mkdir(parents=True, exist_ok=True)
            (place / limit).write_text(f"{most}\n")
            (place / use).write_text(f"{used}\n")
        assert limit_bytes() == (650, True)
        (tmp_path / top / "a/b/memory.stat").write_text(f"x_{taken_back} 9\n{taken_back} 20\n")
        assert limit_bytes() == (670, True), "a cache of files is taken back"
        (tmp_path / top / "a" / limit).write_text("600")
        assert limit_bytes() == (600, True)
        (tmp_path / "cgroup").write_text(own.replace("a/b/c", "docker/that/is/not/seen/here"))
        assert limit_bytes() == (900, True), "of a container, whose own group is at the top"

    def test_shares_are_equal_and_end_with_what_is_free(self, tmp_path: Path) -> None:
        (tmp_path / "meminfo").write_text("MemAvailable: 3000000 kB\n")
        assert share_of(3) == (3, 1_024_000_000)
        keep_to(share_of(3))
        try:
            check_memory(1_024_000_000, "a part")
            match = r"more than the 1\.02 GB that are free, for each of 3 processes; .*-gb 4`"
            with pytest.raises(sx.TraceError, match=match):
                check_memory(1_024_000_001, "more")
            (tmp_path / "meminfo").write_text("MemAvailable: 500000 kB\n")
            with pytest.raises(sx.TraceError, match=r"more than the 0\.512 GB"):
                check_memory(600_000_000, "less, but taken meanwhile")
        finally:
            keep_to(Share())

    def test_little_is_never_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(memory.VARIABLE, "1e-9")
        check_memory(ALWAYS_BYTES, "little")
        with pytest.raises(sx.TraceError):
            check_memory(ALWAYS_BYTES + 1, "more")
