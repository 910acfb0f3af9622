"""The Verilog of the array equals the simulator in every cycle, spike and count; mutants of it do not."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtl_bench import HARDWARE, SHAPES, Shape, build, difference, layer_of, observe, random_layer
from spikex_sim.data import default_trace_path
from spikex_sim.rtl.expected import expected
from spikex_sim.rtl.find import rtl_layer
from spikex_sim.rtl.layer import RtlLayer
from spikex_sim.rtl.vectors import vectors
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.testing.own_keys import own
from spikex_sim.testing.workloads import Workload, make_spikes

LAYERS = 66
"""Random layers of each shape: more than 900 together."""
BY_NAME = {shape.name: shape for shape in SHAPES}
NEURON = {"threshold": 40, "leak_shift": 3, "reset": "zero", "datapath": "int"}


def differences(bench: Path, layers: Sequence[RtlLayer], bubbles: int = 0) -> list[str]:
    """What each layer's log differs in, where it does."""
    logs = observe(bench, vectors(layers), bubbles)
    logs += [[]] * (len(layers) - len(logs))
    found = (difference(layer, log) for layer, log in zip(layers, logs, strict=True))
    return [text for text in found if text]


def spikes_of(log: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """Spikes in the order of time, by row and position."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in log:
        if line.startswith("U "):
            _, _, row, position, spike = line.split()
            found.setdefault((row, position), []).append(spike)
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_hardware_equals_the_simulator(shape: Shape, tmp_path: Path) -> None:
    layers = [random_layer(shape, seed) for seed in range(LAYERS)]
    assert differences(build(shape.hardware, tmp_path), layers) == []


def test_late_taps_cost_cycles_and_no_spike(tmp_path: Path) -> None:
    shape = BY_NAME["3x5"]
    layers = [random_layer(shape, seed) for seed in range(12)]
    bench = build(shape.hardware, tmp_path)
    on_time, late = (observe(bench, vectors(layers), bubbles) for bubbles in (0, 3))
    assert [spikes_of(log) for log in late] == [spikes_of(log) for log in on_time]
    cycles = [[int(log[-1].split()[1]) for log in logs] for logs in (on_time, late)]
    assert all(a <= b for a, b in zip(*cycles, strict=True)) and sum(cycles[0]) < sum(cycles[1])


# --- A scanner in place of lists of taps ------------------------------------------------------------------


def scanned_layers() -> list[RtlLayer]:
    """Layers of single taps; in windows of one time point a batch may be over before the next is read."""
    drawn = (random_layer(BY_NAME["3x5"], seed) for seed in range(80))
    return [one for one in drawn if one.schedule.stream == "tap" and one.schedule.tws > 1][:25]


def test_a_scanner_finds_the_taps_without_a_cycle(tmp_path: Path) -> None:
    layers = scanned_layers()
    logs = observe(build(layers[0].hardware, tmp_path, scanned=64), vectors(layers, every_tap=True))
    assert [difference(layer, log) for layer, log in zip(layers, logs, strict=True)] == [""] * len(layers)


def test_a_slow_scanner_costs_cycles_and_no_spike(tmp_path: Path) -> None:
    layers = scanned_layers()
    logs = observe(build(layers[0].hardware, tmp_path, scanned=1), vectors(layers, every_tap=True))
    late = 0
    for layer, log in zip(layers, logs, strict=True):
        assert spikes_of(log) == spikes_of(list(expected(layer).lines()))
        late += int(log[-1].split()[1]) - layer.layout.compute_cycles
    assert late > 0


# --- What a wrong schedule gives --------------------------------------------------------------------------


def busy_layer() -> RtlLayer:
    """A convolution with many spikes, and windows enough for several batches."""
    layer = {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 3, "kernel": [2, 2],
             "in_height": 4, "in_width": 4, "neuron": {**NEURON, "threshold": 20}}  # fmt: skip
    spikes = make_spikes((2, 4, 4, 14), "dense", 1)
    weight = np.random.default_rng(2).integers(-20, 30, (3, 2, 2, 2)).astype(np.int8)
    keys = {"tws": 2, "dispatch": "temporal"}
    hardware = replace(BY_NAME["3x5"].hardware, potential_bits=16)
    return layer_of(Workload(layer, spikes, weight), _arch("spikex", 3, 5, keys), hardware)


def without_a_tap(schedule: NtwuSchedule) -> NtwuSchedule:
    streamed = schedule.surveyed.streamed.copy()
    streamed[0, np.flatnonzero(streamed[0])[0]] = 0
    return replace(schedule, streamed=streamed)


def with_windows_swapped(schedule: NtwuSchedule) -> NtwuSchedule:
    window = schedule.window.copy()
    assert schedule.position[0] == schedule.position[1]
    window[:2] = window[1::-1]
    return replace(schedule, window=window)


@pytest.mark.parametrize("spoil", [without_a_tap, with_windows_swapped])
def test_a_wrong_schedule_gives_other_spikes_or_cycles(spoil: Any, tmp_path: Path) -> None:
    layer = busy_layer()
    bench = build(layer.hardware, tmp_path)
    assert differences(bench, [layer]) == []
    (log,) = observe(bench, vectors([replace(layer, schedule=spoil(layer.schedule))]))
    right = list(expected(layer).lines())
    assert spikes_of(log) != spikes_of(right) or log[-1].split()[1] != right[-1].split()[1]


# --- Layers of recordings ---------------------------------------------------------------------------------


def test_conv1_of_the_digit(tmp_path: Path) -> None:
    layer = rtl_layer(default_trace_path(), "conv1", load_accelerator("spikex"))
    (log,) = observe(build(layer.hardware, tmp_path), vectors([layer]))
    assert difference(layer, log) == ""
    assert int(log[-1].split()[1]) == layer.layout.compute_cycles == 13096


# --- Layers that single faults need, and random ones seldom have ------------------------------------------


def handed_over() -> RtlLayer:
    """Batches without a tap, each of which takes up what the one before it left a cycle ago."""
    layer = {"name": "fc", "kind": "linear", "in_channels": 1, "out_channels": 3,
             "neuron": {**NEURON, "threshold": 100, "leak_shift": 6}}  # fmt: skip
    spikes = np.zeros((1, 40), bool)
    workload = Workload(layer, spikes, np.ones((3, 1), np.int8), np.array([7, 11, 3], np.int32))
    shape = BY_NAME["3x5"]
    hardware = replace(shape.hardware, potential_bits=16)
    return layer_of(workload, _arch("ptb", 3, 5, {"tws": 2}), hardware)


def biased_groups() -> RtlLayer:
    """Row groups whose last time point fires, or does not, by a bias that the next group has otherwise."""
    layer = {"name": "fc", "kind": "linear", "in_channels": 2, "out_channels": 6,
             "neuron": {**NEURON, "leak_shift": 0}}  # fmt: skip
    bias = np.array([-3000] * 3 + [3000] * 3, np.int32)
    workload = Workload(layer, np.ones((2, 8), bool), np.ones((6, 2), np.int8), bias)
    hardware = replace(BY_NAME["3x5"].hardware, potential_bits=16)
    return layer_of(workload, _arch("spikex", 3, 5, {"tws": 2}), hardware)


def _arch(base: str, rows: int, cols: int, keys: dict[str, Any]) -> Accelerator:
    return load_accelerator(base, own(base, {"array.rows": rows, "array.cols": cols, **keys}))


@pytest.mark.parametrize("layer", [handed_over, biased_groups])
def test_directed_layers(layer: Any, tmp_path: Path) -> None:
    one = layer()
    assert differences(build(one.hardware, tmp_path), [one]) == []


# --- Mutants: the comparison sees each of them ------------------------------------------------------------

MUTANTS = {
    "drain one longer": ("spx_sequencer", "rows} - 2;", "rows} - 1;"),
    "sums not cleared": ("spx_pe", "sum[group] <= {SB{1'b0}};", "sum[group] <= held;"),
    "at the threshold": ("spx_lif", "fires = v > th_wide", "fires = v >= th_wide"),
    "logical shift": ("spx_lif", "leaked = u - (u >>> shift)", "leaked = u - (u >> shift)"),
    "no saturation": ("spx_lif", "v = raised > HIGH ? HIGH : raised < LOW ? LOW : raised", "v = raised"),
    "no clear": ("spx_window_table", "& !clear", ""),
    "store only with a predecessor": ("spx_sequencer", "store <= !runs_on", "store <= !runs_on & has_pred"),
    "no mask behind the width": ("spx_array", "!rst & k < width_here ?", "!rst ?"),
    "width fixed": ("spx_array", "width_here <= width;", "width_here <= COLS[CN-1:0];"),
    "LBUF in place of ROW": ("spx_sequencer", "recent[c] ? ROW : LBUF", "LBUF"),
    "bias one cycle early": ("spx_array", "bias(bias_here[", "bias(bias["),
}
RANDOM = 40
"""Random layers that a mutant meets, of each of these shapes."""
MET = ("1x6", "3x5")


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutants_differ(mutant: str, tmp_path: Path) -> None:
    module, old, new = MUTANTS[mutant]
    rtl = tmp_path / "rtl"
    shutil.copytree(HARDWARE / "rtl", rtl)
    text = (rtl / f"{module}.v").read_text()
    assert text.count(old) == 1
    (rtl / f"{module}.v").write_text(text.replace(old, new))
    found = []
    for one in (handed_over(), biased_groups()):
        found += differences(build(one.hardware, tmp_path, rtl), [one])
    for name in MET if not found else ():
        layers = [random_layer(BY_NAME[name], seed) for seed in range(RANDOM)]
        found += differences(build(BY_NAME[name].hardware, tmp_path, rtl), layers)
    assert found
