"""Cycles, counts and outputs equal those of arrays whose every register is stepped every cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import naive_ann
import spikex_sim as sx
from examples import examples
from gemm_comparison import oracle_values, sha256, trace_with
from gemm_strategies import DATAFLOWS, PRESETS, shapes
from register_systolic import Pass, RegisterResult, run_layer
from strategies import Workload, make_spikes, workloads

WIDTHS = {"int": 8, "float": 32}  # bits of a weight


def observed(workload: Workload, keys: dict[str, Any], machine: str, passes: list[Pass]) -> RegisterResult:
    """Run the register-level array."""
    arch = sx.load_accelerator(PRESETS[machine], keys)
    return run_layer(
        workload.layer,
        oracle_values(workload.spikes, arch),
        workload.weight,
        workload.bias,
        dataflow=keys["dataflow"],
        rows=keys["array.rows"],
        cols=keys["array.cols"],
        potential_bits=16,
        zero_gating=keys["zero_gating"] is True,  # auto: zeros are added
        ann=machine == "ann",
        passes=passes,
    )


def passes_of(workload: Workload, keys: dict[str, Any], machine: str) -> list[Pass]:
    """Positions, outer, and time points of every pass."""
    positions = workload.spec.out_height * workload.spec.out_width
    times = 1 if machine == "ann" else workload.timesteps
    at_once = keys.get("mapping.positions", positions)
    together = 1 if machine == "sata" else keys.get("mapping.windows", times)
    return [
        (range(p, min(p + at_once, positions)), range(t, min(t + together, times)))
        for p in range(0, positions, at_once)
        for t in range(0, times, together)
    ]


def leaving(workload: Workload, result: RegisterResult, machine: str) -> str:
    """Hash of the outputs: spikes, or what is left of the sums of an ANN."""
    shape = workload.spec.output_shape
    if machine != "ann":
        return sha256(result.outputs.reshape(*shape, -1))
    channels, positions, _ = result.outputs.shape
    sums = [[result.sums[m, p, 0] for p in range(positions)] for m in range(channels)]
    if workload.layer["neuron"]["datapath"] == "float":
        sums = [[float(total) for total in own] for own in sums]
    return sha256(np.array(naive_ann.rescaled(sums), np.uint8).reshape(shape))


def assert_same(workload: Workload, keys: dict[str, Any], machine: str) -> Any:
    """Compare everything that the register-level model observes; the package's result."""
    result = observed(workload, keys, machine, passes_of(workload, keys, machine))
    layer = sx.simulate(trace_with(workload), PRESETS[machine], overrides=keys).layers[0]
    counters, operations = result.counters, layer.operations
    assert layer.compute_cycles == sum(result.fold_cycles)
    assert operations.batches == len(result.fold_cycles)
    assert operations.pe_cycles == counters.slots
    assert operations.accumulations == counters.accumulations
    assert operations.lif_updates == counters.lif_updates
    assert operations.array_ifmap_words == counters.ifmap_words
    assert operations.array_filter_words == counters.filter_words
    assert operations.array_ofmap_words == counters.ofmap_words
    written = counters.filter_registers * WIDTHS[workload.layer["neuron"]["datapath"]]
    assert layer.accesses.write_bits("rf", "filter") == written
    assert layer.output_sha256 == leaving(workload, result, machine)
    return layer


@st.composite
def settings(draw: st.DrawFn, machine: str) -> dict[str, Any]:
    """Array, dataflow, gating; one pass or several."""
    keys: dict[str, Any] = draw(shapes()) | {
        "dataflow": draw(st.sampled_from(DATAFLOWS[machine])),
        "zero_gating": draw(st.sampled_from(["auto", False, True])),
    }
    if machine == "systolic" and draw(st.booleans()):
        keys["mapping.positions"] = draw(st.integers(1, 9))
        keys["mapping.windows"] = draw(st.integers(1, 4))
    return keys


@pytest.mark.parametrize("machine", PRESETS)
@examples(120)
@given(data=st.data())
def test_the_array_does_what_the_registers_do(machine: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=3, longest=5, bias=machine != "ann"))
    keys = data.draw(settings(machine))
    assert_same(workload, keys, machine)
    event(keys["dataflow"])


# A convolution with a halo, on an array that neither its rows, nor its taps, nor its channels fill evenly.
LAYER = {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 5, "kernel": [3, 2],
         "stride": [1, 2], "padding": 1, "in_height": 4, "in_width": 3}  # fmt: skip
NEURONS = {
    "int": {"threshold": 40, "leak_shift": 3, "reset": "zero", "datapath": "int"},
    "float": {"threshold": 6.0, "leak": 0.75, "reset": "zero", "datapath": "float"},
}


@pytest.mark.kernels
@pytest.mark.parametrize("datapath", NEURONS)
@pytest.mark.parametrize("timesteps", [1, 4])
@pytest.mark.parametrize(
    ("machine", "dataflow"), [(machine, dataflow) for machine in PRESETS for dataflow in DATAFLOWS[machine]]
)
def test_every_dataflow(machine: str, dataflow: str, timesteps: int, datapath: str) -> None:
    spikes = make_spikes((2, 4, 3, timesteps), "dense", 7)
    integers = np.random.default_rng(9).integers(-100, 100, (5, 2, 3, 2)).astype(np.int8)
    weight = integers if datapath == "int" else (integers / 8).astype(np.float32)
    workload = Workload(LAYER | {"neuron": NEURONS[datapath]}, spikes, weight)
    keys = {"array.rows": 5, "array.cols": 3, "dataflow": dataflow, "zero_gating": False}
    result = assert_same(workload, keys, machine)
    assert result.operations.batches > 1
    assert machine == "ann" or result.output_spikes > 0
