"""Runs layers on the Verilog of the array and compares what it logs with what the simulator says.

Random layers are drawn for shapes of hardware: all layers of a shape go through one process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikex_sim.core.registry import plugin
from spikex_sim.rtl.expected import expected
from spikex_sim.rtl.hardware import Hardware, hardware_of
from spikex_sim.rtl.layer import RtlLayer
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.testing import kit
from spikex_sim.testing.own_keys import own
from spikex_sim.testing.workloads import ACTIVITIES, Workload, make_spikes

HARDWARE = Path(__file__).parents[1] / "hardware"
ABSENT = "iverilog is not installed (apt-get install iverilog): the RTL was not compared"


def simulator() -> str:
    """Icarus Verilog; without it the test is skipped, or fails where the RTL is required."""
    found = shutil.which("iverilog")
    if found is None:
        if os.environ.get("SPIKEX_REQUIRE_RTL") == "1":
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
    return found


def build(hardware: Hardware, folder: Path, rtl: Path = HARDWARE / "rtl", scanned: int = 0) -> Path:
    """Compile the bench for some hardware; ``scanned``: taps whose tags are scanned in a cycle, 0: lists."""
    made = folder / "tb.vvp"
    given = [f"-Ptb.{name}={value}" for name, value in hardware.parameters.items()]
    given += ["-DSCANNED", f"-Ptb.SW={scanned}", "-Ptb.TAPS=64"] if scanned else []
    sources = [str(HARDWARE / "bench" / "tb.v"), "-y", str(rtl)]
    subprocess.run([simulator(), "-g2005-sv", "-o", str(made), *given, *sources], check=True)
    return made


def observe(bench: Path, text: Iterable[str], bubbles: int = 0) -> list[list[str]]:
    """Run vectors; the lines of every layer's log, of the last one as far as the bench got."""
    given, log = bench.with_suffix(".hex"), bench.with_suffix(".log")
    with given.open("w") as file:
        file.writelines(f"{line}\n" for line in text)
    arguments = [f"+vectors={given}", f"+log={log}", f"+bubbles={bubbles}"]
    subprocess.run(["vvp", "-N", str(bench), *arguments], check=True)
    return logs_of(log)


def logs_of(log: Path) -> list[list[str]]:
    """Lines of every layer in a log."""
    layers: list[list[str]] = [[]]
    for line in log.read_text().splitlines():
        layers[-1].append(line)
        if line.startswith("D "):
            layers.append([])
    return layers if layers[-1] else layers[:-1]


def difference(layer: RtlLayer, log: Sequence[str]) -> str:
    """First line in which hardware and simulator differ; empty if none."""
    for number, (want, got) in enumerate(zip_longest(expected(layer).lines(), log)):
        if want != got:
            return f"line {number}: the simulator says '{want}', the hardware '{got}'"
    return ""


def layer_of(workload: Workload, arch: Accelerator, hardware: Hardware | None = None) -> RtlLayer:
    """Schedule, lay out and execute a layer."""
    task = kit.task_of(workload, int(arch.get("tws", default=1)), arch)
    schedule = plugin("accelerators", arch.scheduler).schedule(task, arch)
    schedule.check(arch)
    neuron = workload.spec.neuron
    assert neuron is not None
    synapses = Synapses.of(workload.weight, workload.bias, neuron, arch)
    layout, outputs = schedule.lay_out(arch), schedule.execute(synapses).outputs
    return RtlLayer(schedule, layout, synapses, outputs, arch, hardware or hardware_of(schedule, arch))


@dataclass(frozen=True)
class Shape:
    """Hardware for random layers of up to 36 positions and 16 windows, and keys that belong to it."""

    name: str
    hardware: Hardware
    keys: dict[str, Any] = field(default_factory=dict)
    machines: tuple[str, ...] = ("spikex", "ptb")


def _shape(name: str, rows: int, cols: int, tws: int, keys: dict[str, Any] | None = None, *,
           machines: tuple[str, ...] = ("spikex", "ptb"), potential_bits: int = 16,
           **hardware: Any) -> Shape:  # fmt: skip
    whole = Hardware(rows, cols, 8, 24, potential_bits, tws, positions=64, window_bits=4)
    return Shape(name, replace(whole, **hardware), keys or {}, machines)


SHAPES = (
    _shape("1x1", 1, 1, 4),
    _shape("1x6", 1, 6, 4, potential_bits=7),
    _shape("5x1", 5, 1, 3),
    _shape("3x5", 3, 5, 5, potential_bits=5),
    _shape("2x3 tws 16", 2, 3, 16),
    _shape("4x4", 4, 4, 6),
    _shape("8x4", 8, 4, 4, potential_bits=7),
    _shape("8x8", 8, 8, 4),
    _shape("4x4 sums that wrap", 4, 4, 4, {"psum_bits": 9, "psum_overflow": "wrap"}, psum_bits=9),
    _shape("4x4 leak by leak", 4, 4, 6, chain=False, machines=("spikex",)),
    _shape("3x5 two accumulators", 3, 5, 5, {"accumulators_per_pe": 2}, accumulators=2),
    _shape("2x6 four accumulators", 2, 6, 6, {"accumulators_per_pe": 4}, accumulators=4),
    _shape("4x4 ungated", 4, 4, 4, {"zero_gating": False}, gated=False),
    _shape("3x6 packed", 3, 6, 4, {"stsap": True, "stream": "tap"}, lanes=6, machines=("ptb",)),
    _shape("4x3 all", 4, 3, 5, {"stsap": True, "stream": "tap", "zero_gating": False,
                                "accumulators_per_pe": 2},
           lanes=3, accumulators=2, gated=False, machines=("ptb",), potential_bits=7),
)  # fmt: skip


def random_layer(shape: Shape, seed: int) -> RtlLayer:
    """Draw a layer, its spikes, a machine and its keys."""
    rng = np.random.default_rng([seed, sum(map(ord, shape.name))])

    def one(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    layer = _random_shape(rng, one)
    layer["neuron"] = {
        "threshold": one(
            rng.integers(0, 12), rng.integers(5, 60), rng.integers(30, 200), -rng.integers(1, 9)
        ),
        "leak_shift": one(1, 2, 3, 4, 6, rng.integers(0, 32)),
        "reset": one("zero", "zero", "zero", "subtract"),
        "datapath": "int",
    }
    layer["neuron"] = {key: value if isinstance(value, str) else int(value)
                       for key, value in layer["neuron"].items()}  # fmt: skip
    bare = Workload(layer, np.empty(0, bool), np.empty(0))
    most = shape.hardware.tws
    timesteps = int(rng.integers(1, 15 if most < 16 else 40))
    spikes = make_spikes((*bare.spec.input_shape, timesteps), one(*ACTIVITIES), seed)
    size = one(4, 9, 30, 127)
    weight = rng.integers(-size, size + 1, bare.spec.weight_shape) + one(0, size // 3)
    bias = rng.integers(-3, 4, bare.spec.out_channels).astype(np.int32) if rng.integers(6) == 0 else None
    workload = Workload(layer, spikes, np.clip(weight, -128, 127).astype(np.int8), bias)

    tws = int(rng.integers(max(1, -(-timesteps // 16)), most + 1))
    base = one(*shape.machines)
    keys = {
        "tws": tws,
        "array.rows": shape.hardware.rows,
        "array.cols": shape.hardware.cols,
        "potential_bits": shape.hardware.potential_bits,
        "stream": one("tap", "tap", "channel", "all"),
        "dispatch": one("agile", "agile", "temporal", "spatial", "across", "overlap", "sorted", "lookahead"),
        "update_cycles": int(one(1, 1, 1, 2, 5)),
        "skew": one("tile", "tile", "batch"),
        "leak_catchup_cycles": 1 if shape.hardware.chain else tws,
        "mapping.tile": "layer" if "stsap" in shape.keys else one("auto", "layer"),
    }
    if keys["mapping.tile"] == "auto":
        keys |= {"mapping.positions": int(rng.integers(1, 7)), "mapping.windows": int(rng.integers(1, 5))}
    keys |= shape.keys
    if "stsap" in keys:
        keys["mapping.tile"] = "layer"
        keys = {
            key: value for key, value in keys.items() if key not in ("mapping.positions", "mapping.windows")
        }
    return layer_of(workload, load_accelerator(base, own(base, keys)), shape.hardware)


def _random_shape(rng: np.random.Generator, one: Any) -> dict[str, Any]:
    channels = int(rng.integers(1, 20))
    if rng.integers(4) == 0:
        return {"name": "fc", "kind": "linear", "in_channels": int(rng.integers(1, 25)),
                "out_channels": channels}  # fmt: skip
    kernel = [int(one(1, 2, 3)) for _ in range(2)]
    padding = [int(one(0, 1)) for _ in range(2)]
    sides = [int(rng.integers(max(1, kernel[axis] - 2 * padding[axis]), 6)) for axis in range(2)]
    return {
        "name": "conv", "kind": "conv", "in_channels": int(rng.integers(1, 4)),
        "out_channels": int(rng.integers(1, 12)), "kernel": kernel,
        "stride": [int(one(1, 1, 2)) for _ in range(2)], "padding": padding, "in_height": sides[0],
        "in_width": sides[1],
    }  # fmt: skip
