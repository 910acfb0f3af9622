"""SCALE-Sim, as its users start it, and the layers of the N-MNIST network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import spikex_sim as sx
from spikex_sim.trace.trace import Trace

Sizes = tuple[int, int, int, int, int, int, int]
"""Ifmap height and width, filter height and width, channels in and out, stride; strides divide."""
LAYERS: tuple[Sizes, ...] = (
    (33, 33, 3, 3, 2, 12, 2), (16, 16, 3, 3, 12, 32, 1), (13, 13, 3, 3, 32, 64, 2), (1, 1, 1, 1, 2304, 10, 1),
)  # fmt: skip
CONFIGURATION = """\
[general]
run_name = run
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {cols}
IfmapSramSzkB = 64
FilterSramSzkB = 64
OfmapSramSzkB = 64
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = {dataflow}
ReadRequestBuffer = 32
WriteRequestBuffer = 32
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
"""


def prepare(
    folder: Path, layers: Sequence[Sizes] = LAYERS, dataflow: str = "os", rows: int = 8, cols: int = 8
) -> None:
    """Write SCALE-Sim's input files."""
    (folder / "scale.cfg").write_text(CONFIGURATION.format(rows=rows, cols=cols, dataflow=dataflow))
    header = "Layer, IFMAP height, IFMAP width, Filter height, Filter width, Channels, Filters, Stride, N:M,"
    lines = [f"L{i}, {', '.join(map(str, sizes))}, 1:1," for i, sizes in enumerate(layers)]
    (folder / "topology.csv").write_text("\n".join([header, *lines, ""]))
    (folder / "layout.csv").write_text("Layer,\n")


def run(folder: Path) -> None:
    """Let SCALE-Sim run the layers; its reports appear in ``out/run``."""
    files = [
        "-c",
        "scale.cfg",
        "-t",
        "topology.csv",
        "-l",
        "layout.csv",
        "-p",
        "out",
        "-i",
        "conv",
        "-s",
        "N",
    ]
    command = [sys.executable, "-W", "ignore", "-m", "scalesim.scale", *files]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)


def idle(folder: Path) -> None:
    """Start SCALE-Sim's process without work: its imports."""
    command = [sys.executable, "-W", "ignore", "-c", "import scalesim.scale_sim"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)


def trace() -> Trace:
    """The same layers, one time point, for us."""
    layers, inputs = [], {}
    for index, (height, width, kernel_h, kernel_w, channels, filters, stride) in enumerate(LAYERS):
        layers.append({
            "name": f"L{index}", "kind": "conv", "in_channels": channels, "out_channels": filters,
            "kernel": [kernel_h, kernel_w], "stride": stride, "padding": 0, "in_height": height,
            "in_width": width, "neuron": {"threshold": 1, "leak_shift": 4},
        })  # fmt: skip
        inputs[index] = np.zeros((channels, height, width, 1), bool)
    return sx.Trace.from_arrays(layers, inputs)
