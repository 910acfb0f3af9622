"""Every cost of a layer equals that of the slow oracle, to the bit and to the cycle of every step."""

from __future__ import annotations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import naive_cost
from comparison import assert_costs
from examples import examples
from networks import described, forward, full, random_weights, small_network, trace_of
from pipeline import oracle_config
from spikex_sim.registry import plugin_names
from spikex_sim.simulator import simulate
from spikex_sim.spec.load import load_accelerator
from strategies import make_spikes, overrides, workloads


@pytest.mark.parametrize("base", ["spikex", "ptb"])
@examples(110)
@given(data=st.data())
def test_costs_equal_the_oracles(base: str, data: st.DataObject) -> None:
    workload = data.draw(workloads())
    done = assert_costs(workload, base, data.draw(overrides(workload, base)))
    if done is None:
        event("a buffer is too small")
        return
    residency = done.traffic.residency
    event(f"GLB filters per {residency.glb_filter}, LBUF filters per {residency.lbuf_filter}")
    event(f"GLB ifmap per {residency.glb_ifmap}")
    event(f"mode {done.schedule.mode}")
    batch = done.traffic.steps.batch
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
    assert_costs(workload, base, data.draw(overrides(workload, base)))


@pytest.mark.parametrize("engine", plugin_names("engines"))
@pytest.mark.parametrize("datapath", ["int", "float"])
@pytest.mark.parametrize("base", ["spikex", "ptb"])
def test_the_simulator_reports_the_oracles_costs(base: str, datapath: str, engine: str) -> None:
    layers, spikes = small_network(datapath), make_spikes((2, 6, 6, 17), "medium", 5)
    weights = random_weights(layers, 6)
    entering = [spikes, *forward(layers, spikes, weights)]
    result = simulate(trace_of(layers, spikes, weights), base, tws=3, engine=engine)
    config = oracle_config(load_accelerator(base, {"tws": 3}))
    cycles = 0
    for layer, spec, spikes_in, got in zip(layers, described(layers), entering, result.layers, strict=False):
        if layer["kind"] == "maxpool":
            continue
        want = naive_cost.cost(full(layer), spikes_in.reshape(*spec.input_shape, 17), config)
        for key in ("mode", "cycles", "compute_cycles", "batches", "ntwus", "streamed_taps", "accumulations"):
            assert getattr(got, key) == want[key], key
        assert (got.lif_updates, got.steps) == (want["lif_updates"], len(want["steps"]))
        assert dict(got.stalls) == want["stalls"]
        assert dict(got.accesses) == want["accesses"]
        assert got.utilization == want["pe_busy_cycles"] / (want["cycles"] * 64)
        assert got.add_utilization == want["accumulations"] / (want["cycles"] * 64)
        assert {key: got.mapping[key] for key in want["scopes"]} == {
            key: f"per {scope}" for key, scope in want["scopes"].items()
        }
        assert got.input_spikes == spikes_in.sum()
        cycles += want["cycles"]
    assert result.totals.cycles == cycles
