"""Whole networks on the Verilog of the array, with Verilator: minutes to compile, seconds to run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from command import succeed
from helpers import shared_data
from rtl_bench import HARDWARE, difference, logs_of
from spikex_sim.data import default_trace_path
from spikex_sim.rtl.find import rtl_layer
from spikex_sim.rtl.layer import RtlLayer
from spikex_sim.rtl.vectors import vectors
from spikex_sim.spec.load import load_accelerator

pytestmark = pytest.mark.slow
LARGEST: dict[str, Any] = {"positions": 256, "window_bits": 7}
"""Hardware of the default machine that takes every layer here."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bench as a program."""
    if shutil.which("verilator") is None:
        pytest.skip("verilator is not installed (apt-get install verilator): no whole network was compared")
    folder = tmp_path_factory.mktemp("verilator")
    hardware = rtl_layer(default_trace_path(), "conv1", load_accelerator("spikex"), **LARGEST).hardware
    given = [f"-G{name}={value}" for name, value in hardware.parameters.items()]
    arguments = ["--binary", "--timing", "-Wno-lint", "-O3", "--top-module", "tb", "-Mdir", str(folder)]
    sources = ["-y", str(HARDWARE / "rtl"), str(HARDWARE / "bench" / "tb.v")]
    subprocess.run(["verilator", *arguments, "-o", "tb", *given, *sources], check=True, capture_output=True)
    return folder / "tb"


def log_of(bench: Path, layer: RtlLayer, folder: Path) -> list[str]:
    given, log = folder / "vectors.hex", folder / "array.log"
    given.write_text("\n".join(vectors([layer])) + "\n")
    subprocess.run([bench, f"+vectors={given}", f"+log={log}"], check=True, capture_output=True)
    return logs_of(log)[0]


def test_the_whole_digit(bench: Path, tmp_path: Path) -> None:
    cycles = 0
    for name in ("conv1", "conv2", "conv3", "fc"):
        layer = rtl_layer(default_trace_path(), name, load_accelerator("spikex"), **LARGEST)
        log = log_of(bench, layer, tmp_path)
        assert difference(layer, log) == "", name
        cycles += int(log[-1].split()[1])
    assert cycles == 427_048


def test_a_layer_of_a_gesture(bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.npz"
    options = "--sample 7 --network dvs-gesture-large --timesteps 300 --out"
    succeed(capsys, "trace", "convert", shared_data("dvsgesture_samples.npz"), *options.split(), trace)
    layer = rtl_layer(trace, "conv1", load_accelerator("spikex"), **LARGEST)
    log = log_of(bench, layer, tmp_path)
    assert difference(layer, log) == ""
    assert int(log[-1].split()[1]) == layer.layout.compute_cycles > 100_000
