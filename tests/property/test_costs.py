"""Every cost of a layer equals that of the slow oracle, to the bit and to the cycle of every step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import naive_cost
from comparison import assert_costs
from examples import examples
from networks import conv, described, forward, full, random_weights, small_network, trace_of
from pipeline import oracle_config
from spikex_sim.core.registry import plugin_names
from spikex_sim.run.simulate import simulate
from spikex_sim.schedules.base import Handover
from spikex_sim.spec.load import load_accelerator
from strategies import PLENTY, Workload, level, make_spikes, overrides, prefixed, workloads

HANDOVERS = st.builds(Handover, input_kept=st.booleans(), output_wanted=st.booleans())
"""What the layers around have in the GLB."""


@pytest.mark.parametrize("base", ["spikex", "ptb"])
@examples(110)
@given(data=st.data())
def test_costs_equal_the_oracles(base: str, data: st.DataObject) -> None:
    workload = data.draw(workloads())
    keys = data.draw(overrides(workload, base))
    handover = data.draw(st.one_of(st.just(Handover()), HANDOVERS))
    done = assert_costs(workload, base, keys, handover)
    if done is None:
        event("a buffer is too small")
        return
    residency = done.layout.residency
    event(f"GLB filters per {residency.glb_filter}, LBUF filters per {residency.lbuf_filter}")
    event(f"GLB ifmap per {residency.glb_ifmap}")
    event(f"GLB ofmap {residency.glb_ofmap}")
    event(f"mode {done.schedule.mode}")
    event(f"update_cycles {keys['update_cycles']}, skew {keys['skew']}, zero_gating {keys['zero_gating']}")
    batch = done.steps.batch
    event(f"extra output steps: {bool((batch[1:][batch[:-1] >= 0] < 0).any())}")
    event(
        f"batches in several steps: {bool((batch[1:][batch[1:] >= 0] == batch[:-1][batch[1:] >= 0]).any())}"
    )


@pytest.mark.kernels
@pytest.mark.parametrize("base", ["spikex", "ptb"])
@examples(25)
@given(data=st.data())
def test_costs_of_tiny_layers_equal_the_oracles(base: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=4, longest=10))
    assert_costs(workload, base, data.draw(overrides(workload, base)), data.draw(HANDOVERS))


@pytest.mark.parametrize("base", ["spikex", "ptb"])
@examples(30)
@given(data=st.data())
def test_outputs_stay_where_they_fit_to_the_bit(base: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=4, longest=10))
    keys = data.draw(overrides(workload, base)) | {"mapping.tile": "auto"}
    ample = level(ifmap=PLENTY, filter=PLENTY, ofmap=PLENTY)
    keys |= prefixed("memory.glb", ample) | prefixed("memory.lbuf", ample | level(psum=PLENTY))
    sent = assert_costs(workload, base, keys)
    assert sent is not None
    stored = int(sent.steps.writeback_bits.sum())
    several = int(sent.steps.store_bits.max()) < stored
    for room in (stored, stored - several):
        keys |= prefixed("memory.glb", ample | level(ifmap=PLENTY, filter=PLENTY, ofmap=room))
        done = assert_costs(workload, base, keys, Handover(output_wanted=True))
        assert done is not None
        assert (done.layout.residency.glb_ofmap == "kept") == (room >= stored)
        assert done.steps.store_bits.sum() == sent.steps.store_bits.sum()
    event(f"one bit too many is tried: {several}")


KNOBS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "slow updates": {"update_cycles": 3, "skew": "batch", "zero_gating": False},
    "outputs stay": {"skew": "none", "memory.glb.keep_ofmap": True},
}


@pytest.mark.kernels
@pytest.mark.parametrize("stream", ["tap", "channel", "all"])
@pytest.mark.parametrize("cols", [1, 8, 9, 64, 65])
def test_taps_packed_on_arrays_of_any_width(cols: int, stream: str) -> None:
    # Sets of columns are kept in a byte, a word or several.
    rng = np.random.default_rng(cols)
    spikes = rng.random((2, 3, 3, 70)) < 0.08
    neuron = {"threshold": 3, "leak_shift": 2, "reset": "zero", "datapath": "int"}
    layer = full(conv("conv", (2, 3), 3, neuron, kernel=2))
    workload = Workload(layer, spikes, np.ones((3, 2, 2, 2), np.int8))
    keys = {"tws": 1, "stsap": True, "stream": stream, "array.cols": cols, "array.rows": 2}
    for tile in ("layer", "auto"):
        done = assert_costs(workload, "ptb", {**keys, "mapping.tile": tile})
        assert done is not None and (np.diff(done.schedule.batch_columns) == cols).any()


@pytest.mark.parametrize("knobs", KNOBS)
@pytest.mark.parametrize("engine", plugin_names("engines"))
@pytest.mark.parametrize("datapath", ["int", "float"])
@pytest.mark.parametrize("base", ["spikex", "ptb"])
def test_the_simulator_reports_the_oracles_costs(base: str, datapath: str, engine: str, knobs: str) -> None:
    keys = {"tws": 3, **KNOBS[knobs]}
    stay = keys.get("memory.glb.keep_ofmap", False)
    layers, spikes = small_network(datapath), make_spikes((2, 6, 6, 17), "medium", 5)
    weights = random_weights(layers, 6)
    entering = [spikes, *forward(layers, spikes, weights)]
    result = simulate(trace_of(layers, spikes, weights), base, engine=engine, overrides=keys)
    config = oracle_config(load_accelerator(base, keys))
    cycles = 0
    for layer, spec, spikes_in, got in zip(layers, described(layers), entering, result.layers, strict=False):
        if layer["kind"] == "maxpool":
            continue
        want = naive_cost.cost(
            full(layer), spikes_in.reshape(*spec.input_shape, 17), config,
            input_kept=stay and layer["name"] == "fc", output_may_be_kept=stay and layer["name"] == "conv2",
        )  # fmt: skip
        assert want["output_kept"] == (stay and layer["name"] == "conv2")
        for key in ("mode", "cycles", "compute_cycles", "batches", "ntwus", "streamed_taps", "accumulations"):
            assert getattr(got, key) == want[key], key
        assert (got.lif_updates, got.steps) == (want["lif_updates"], len(want["steps"]))
        assert dict(got.stalls) == want["stalls"]
        assert dict(got.accesses) == want["accesses"]
        assert got.utilization == want["pe_busy_cycles"] / (want["cycles"] * 64)
        assert got.add_utilization == want["accumulations"] / (want["cycles"] * 64)
        scopes = {key: f"per {scope}" for key, scope in want["scopes"].items()}
        if stay and layer["name"] == "fc":
            del scopes["glb_ifmap"]  # nobody loads it
        assert {key: got.mapping[key] for key in scopes} == scopes
        assert got.input_spikes == spikes_in.sum()
        cycles += want["cycles"]
    assert result.totals.cycles == cycles
