"""Cycles and SRAM counts of the dense array are those of SCALE-Sim 3.0.0 (Raj et al., ISPASS 2025).

Its reported total is the index of the last cycle, one less than their number.
"""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import scalesim_run
from benchmarks.scalesim_run import Sizes

import spikex_sim as sx
from helpers import shared_data

DATAFLOWS = ("os", "ws", "is")
LAYERS = ("CONV1", "CONV2", "CONV3", "FC")
NEURON = {"threshold": 1, "leak_shift": 4, "reset": "zero", "datapath": "int"}


def simulated(sizes: Sizes, dataflow: str, overrides: dict[str, Any] | None = None) -> Any:
    """Simulate a layer of such sizes at one time point."""
    height, width, kernel_height, kernel_width, channels_in, channels_out, stride = sizes
    layer = {"name": "layer", "kind": "conv", "in_channels": channels_in, "out_channels": channels_out,
             "kernel": [kernel_height, kernel_width], "stride": stride, "padding": 0, "in_height": height,
             "in_width": width, "neuron": NEURON}  # fmt: skip
    spikes = np.zeros((channels_in, height, width, 1), bool)
    trace = sx.Trace.from_arrays([layer], spikes)
    return sx.simulate(trace, f"systolic-{dataflow}", overrides=overrides).layers[0]


def array_words(layer: Any) -> dict[str, int]:
    """Words that cross the array's edge."""
    return {name: getattr(layer.operations, f"array_{name}_words") for name in ("ifmap", "filter", "ofmap")}


class TestRecordedRuns:
    """The layers of N-MNIST on an 8 × 8 array."""

    @pytest.fixture(scope="class")
    @staticmethod
    def runs() -> dict[str, Any]:
        return json.loads(shared_data("scalesim-nmnist.json").read_text())["layers"]

    @pytest.mark.parametrize("dataflow", DATAFLOWS)
    @pytest.mark.parametrize("name", LAYERS)
    def test_cycles_and_words(self, name: str, dataflow: str, runs: dict[str, Any]) -> None:
        run = runs[name]["dataflows"][dataflow]
        layer = simulated(runs[name]["shape_ih_iw_fh_fw_Cin_Cout_stride"], dataflow)
        assert layer.compute_cycles == run["demand_rows"]
        for memory in ("mem_CALC", "mem_USER_bw10"):
            assert layer.compute_cycles - 1 == run[memory]["total_cycles"] - run[memory]["stall_cycles"]
        assert array_words(layer) == {
            "ifmap": run["sram_ifmap_reads"],
            "filter": run["sram_filter_reads"],
            "ofmap": run["sram_ofmap_writes_in_trace"],
        }

    @pytest.mark.parametrize("dataflow", DATAFLOWS)
    @pytest.mark.parametrize("name", LAYERS)
    def test_utilisation(self, name: str, dataflow: str, runs: dict[str, Any]) -> None:
        run = runs[name]["dataflows"][dataflow]["mem_CALC"]
        layer = simulated(runs[name]["shape_ih_iw_fh_fw_Cin_Cout_stride"], dataflow)
        # Overall utilisation is over the total as reported.
        used = 100 * layer.operations.pe_cycles / ((layer.compute_cycles - 1) * 64)
        assert run["stall_cycles"] == 0 and used == pytest.approx(run["overall_util_pct"], rel=1e-12)

    def test_every_layer_is_compared(self, runs: dict[str, Any]) -> None:
        assert set(runs) == set(LAYERS)


def drawn_layers(rng: random.Random, count: int) -> list[Sizes]:
    """Layers whose stride divides: SCALE-Sim rounds output sizes up where it does not."""
    layers: list[Sizes] = []
    for _ in range(count):
        stride = rng.randint(1, 3)
        kernel = [rng.randint(1, 4) for _ in range(2)]
        height, width = ((rng.randint(1, 6) - 1) * stride + side for side in kernel)
        layers.append((height, width, *kernel, rng.randint(1, 5), rng.randint(1, 20), stride))
    return [*layers, (1, 1, 1, 1, rng.randint(1, 60), rng.randint(1, 20), 1)]


def scalesim_reports(
    folder: Path, layers: list[Sizes], dataflow: str, rows: int, cols: int
) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Let SCALE-Sim run the layers; its compute and access reports, a pair a layer."""
    scalesim_run.prepare(folder, layers, dataflow, rows, cols)
    scalesim_run.run(folder)
    reports = []
    for name in ("COMPUTE_REPORT", "DETAILED_ACCESS_REPORT"):
        with (folder / "out" / "run" / f"{name}.csv").open(newline="") as file:
            reports.append(list(csv.DictReader(file, skipinitialspace=True)))
    return list(zip(*reports, strict=True))


@pytest.mark.parametrize(("rows", "cols"), [(8, 8), (3, 5), (16, 2), (1, 7)])
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_live_runs(dataflow: str, rows: int, cols: int, tmp_path: Path) -> None:
    pytest.importorskip("scalesim", reason="SCALE-Sim is not installed: pip install scalesim 'numpy<2.4'")
    layers = drawn_layers(random.Random(f"{dataflow} {rows} {cols}"), 12)
    overrides = {"array.rows": rows, "array.cols": cols}
    reports = scalesim_reports(tmp_path, layers, dataflow, rows, cols)
    for sizes, (compute, accesses) in zip(layers, reports, strict=True):
        layer = simulated(sizes, dataflow, overrides)
        total, stalls = (int(float(compute[key])) for key in ("Total Cycles", "Stall Cycles"))
        assert layer.compute_cycles - 1 == total - stalls, sizes
        words = array_words(layer)
        if dataflow == "os":  # over-counted
            words["ofmap"] += layer.operations.batches * (rows + cols)
        columns = {"ifmap": "SRAM IFMAP Reads", "filter": "SRAM Filter Reads", "ofmap": "SRAM OFMAP Writes"}
        assert words == {tensor: int(float(accesses[name])) for tensor, name in columns.items()}, sizes
