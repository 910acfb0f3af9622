"""``rtl export``: a folder in which one layer runs on the Verilog of the array; what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import files_under, is_mistake, spikex, succeed
from rtl_bench import HARDWARE, simulator
from spikex_sim.testing.workloads import make_spikes

LIF = {"threshold": 30, "leak_shift": 3, "datapath": "int"}
FLOAT = {"threshold": 2.5, "leak": 0.5, "datapath": "float"}
CONV = {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 5, "in_height": 5, "in_width": 5,
        "kernel": 2, "stride": 1, "padding": 0, "neuron": LIF}  # fmt: skip
POOL = {"name": "pool", "kind": "maxpool", "in_channels": 5, "out_channels": 5, "in_height": 4, "in_width": 4,
        "kernel": 2, "stride": 2}  # fmt: skip
EVIL = "$(touch evil) `[red]<script>"
FC = {
    "name": EVIL,
    "kind": "linear",
    "in_channels": 20,
    "out_channels": 3,
    "neuron": {**LIF, "reset": "subtract"},
}


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray[Any, Any]:
    return rng.integers(-20, 30, shape).astype(np.int8)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Two layers and a pooling between them, two samples."""
    rng = np.random.default_rng(1)
    spikes = np.stack([make_spikes((2, 5, 5, 13), "medium", seed) for seed in (1, 2)])
    given = [weights(rng, 5, 2, 2, 2), None, weights(rng, 3, 20)]
    made = sx.Trace.from_arrays([CONV, POOL, FC], spikes, weights=given)
    return sx.save_trace(made, tmp_path / "trace.npz") or tmp_path / "trace.npz"


@pytest.mark.parametrize("layer", ["conv", EVIL])
@pytest.mark.parametrize("keys", ["--tws 3", "--arch ptb --tws 2 --set stsap=true --set mapping.tile=layer"])
def test_a_layer_runs_in_its_folder(
    layer: str, keys: str, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    given = (*keys.split(), "--sample", 1, "--layer", layer, "--out", out)
    assert "cycles" in succeed(capsys, "rtl", "export", trace, *given).out
    made = {"Makefile", "bench/tb.v", "expected.log", "layer.json", "vectors.hex"}
    assert set(files_under(out)) - made == {f"rtl/{path.name}" for path in (HARDWARE / "rtl").iterdir()}
    told = json.loads((out / "layer.json").read_text())
    assert told["layer"] == layer and told["sample"] == 1 and told["parameters"]["ROWS"] == 8
    simulator()
    done = subprocess.run(["make", "-C", out], check=True, capture_output=True, text=True)
    last = (out / "expected.log").read_text().splitlines()[-1]
    assert f"equal: {last.split()[1]} cycles" in done.stdout
    assert not list(tmp_path.rglob("evil"))


def test_a_log_that_differs_fails(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    succeed(capsys, "rtl", "export", trace, "--layer", "conv", "--out", out)
    simulator()
    lines = (out / "expected.log").read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("U"))
    lines[at] = lines[at][:-1] + ("1" if lines[at][-1] == "0" else "0")
    (out / "expected.log").write_text("\n".join(lines) + "\n")
    assert subprocess.run(["make", "-C", out], check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--layer", "conv", "--arch", "sata"), ("scheduler", "sata", "spikex and ptb")),
        (("--layer", "conv", "--arch", "systolic-os"), ("scheduler", "systolic")),
        (("--layer", "conv", "--arch", "spikesim"), ("scheduler", "spikesim")),
        (("--layer", "pool"), ("pool", "no neurons")),
        (("--layer", "convv"), ("'convv'", "did you mean conv?")),
        (("--layer", "conv", "--sample", 2), ("sample", "2 is not among 2 samples")),
        (("--layer", "conv", "--positions", 15), ("positions", "16 positions", "15")),
        (("--layer", "conv", "--tws", 1, "--window-bits", 3), ("windows", "13 windows", "8")),
        (("--layer", "conv", "--set", "skew=none"), ("skew", "tile or batch")),
        (("--layer", "conv", "--set", "leak_catchup_cycles=0"), ("leak_catchup_cycles", "1 cycle or in 4")),
        (("--layer", "conv", "--set", "psum_bits=40"), ("psum_bits", "32")),
        (("--layer", "conv", "--arch", "ptb", "--set", "stsap=true", "--set", "stream=all"), ("stream",)),
        (("--layer", "conv", "--window-bits", 17), ("--window-bits", "16")),
    ],
)  # fmt: skip
def test_what_has_no_hardware_is_refused(
    arguments: tuple[object, ...], words: tuple[str, ...], trace: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    is_mistake(spikex(capsys, "rtl", "export", trace, *arguments, "--out", out), *words)
    assert not out.exists() and not list(tmp_path.glob(".*"))


def test_float_layers_and_missing_weights_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spikes = make_spikes((4, 9), "dense", 1)
    layer = {"name": "fc", "kind": "linear", "in_channels": 4, "out_channels": 2}
    path = tmp_path / "trace.npz"
    sx.save_trace(
        sx.Trace.from_arrays([{**layer, "neuron": FLOAT}], spikes, weights=[np.ones((2, 4), np.float32)]),
        path,
    )
    given = ("rtl", "export", path, "--layer", "fc", "--out", tmp_path / "out")
    is_mistake(spikex(capsys, *given), "fc", "float weights")
    path.unlink()
    sx.save_trace(sx.Trace.from_arrays([{**layer, "neuron": LIF}], spikes), path)
    is_mistake(spikex(capsys, *given), "fc", "no weights")


def test_windows_beyond_a_word_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer = {"name": "fc", "kind": "linear", "in_channels": 4, "out_channels": 2, "neuron": LIF}
    made = sx.Trace.from_arrays([layer], make_spikes((4, 40), "dense", 1), weights=[np.ones((2, 4), np.int8)])
    path = tmp_path / "trace.npz"
    sx.save_trace(made, path)
    given = ("--tws", 33, "--layer", "fc", "--out", tmp_path / "out")
    is_mistake(spikex(capsys, "rtl", "export", path, *given), "tws", "33", "32")


def test_a_folder_that_is_there_stays(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    is_mistake(spikex(capsys, "rtl", "export", trace, "--layer", "conv", "--out", out), str(out), "exists")
    assert files_under(out) == []


def test_two_traces_are_refused(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "traces"
    folder.mkdir()
    for name in ("a.npz", "b.npz"):
        shutil.copy(trace, folder / name)
    given = ("--layer", "conv", "--out", tmp_path / "out")
    is_mistake(spikex(capsys, "rtl", "export", folder, *given), "2 traces", "one")
