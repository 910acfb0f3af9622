"""Costs and outputs of the time-serial array equal those of the slow oracle, in both engines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import naive
import naive_serial
import spikex_sim as sx
from examples import examples
from gemm_comparison import ENGINES, assert_same, sha256, trace_with
from networks import full, linear, trace_of
from pipeline import laid_out, oracle_config, schedule_of, wraps_at
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.testing.own_keys import own
from strategies import PLENTY, SUMS, Workload, level, prefixed, workloads

STEP_COLUMNS = {
    "fetch_bits": "f_bits",
    "load_bits": "l_bits",
    "store_bits": "s_bits",
    "array_cycles": "array_cycles",
    "lbuf_read_bits": "lbuf_read_bits",
    "lbuf_write_bits": "lbuf_write_bits",
}
DURATION_COLUMNS = {"fetch": "f", "load": "l", "compute": "c", "store": "s", "writeback": "w"}
PORT_WIDTHS = (8, 16, 32, 64, 128, 256, 512)  # those of the energy table


def one_each(workload: Workload, seed: int) -> Workload:
    """Keep one spike of every input that has any, whichever."""
    order = np.random.default_rng(seed).random(workload.spikes.shape) * workload.spikes
    kept = workload.spikes & (order == order.max(axis=-1, keepdims=True))
    return replace(workload, spikes=kept)


@st.composite
def coded_workloads(draw: st.DrawFn) -> Workload:
    """Layers in which an input spikes once at most."""
    workload = draw(workloads(largest_map=6, longest=12))
    return one_each(workload, draw(st.integers(0, 2**20)))


@st.composite
def buffers(draw: st.DrawFn, workload: Workload, lanes: int) -> dict[str, Any]:
    """GLB and LBUF around what may or may not fit: spikes of all scopes, weights of a spike, of groups."""
    layer = workload.spec
    problem = naive_serial.Problem(full(workload.layer), workload.spikes, naive_serial.DEFAULTS, False)
    entry, weight = problem.entry_bits, problem.weight_bits
    channel, group = problem.K * weight, min(lanes, layer.out_channels)
    every = problem.all_entries()
    row = max(problem.row_entries(row) for row in range(layer.out_height))
    field = max(len(problem.spikes(position)) for position in range(problem.P))

    def bits(*units: int) -> int:
        """A multiple of one of the units, or one bit less."""
        count = draw(st.sampled_from([1, 1, 1, 2, 3]))
        return max(1, draw(st.sampled_from(units)) * count - draw(st.booleans()))

    def or_plenty(size: int) -> int:
        return draw(st.sampled_from([size, size, size, PLENTY]))

    groups = draw(st.integers(1, group)) * channel  # so that the last is often smaller than the others
    glb = level(
        ifmap=or_plenty(bits(entry, entry * row, entry * row, max(entry * (every - 1), 1), entry * every)),
        filter=or_plenty(draw(st.sampled_from([groups, groups, channel - 1, weight]))),
    )
    lbuf = level(
        ifmap=or_plenty(bits(entry, entry * field)),
        filter=or_plenty(bits(weight * group, weight * group, channel, groups)),
    )
    return prefixed("memory.glb", glb) | prefixed("memory.lbuf", lbuf)


@st.composite
def port_widths(draw: st.DrawFn) -> dict[str, Any]:
    """Bandwidths, latencies, and ports of widths that the energy table has."""
    latencies = st.one_of(st.just(0), st.just(0), st.integers(0, 9))
    return {
        "memory.dram.bandwidth_gb_s": draw(
            st.one_of(st.sampled_from([30.0, 0.3]), st.integers(1, 40_000).map(lambda n: n / 1000))
        ),
        "clock_mhz": draw(st.sampled_from([500.0, 333.3, 1000.0])),
        "memory.dram.latency_cycles": draw(latencies),
        "memory.glb.latency_cycles": draw(latencies),
        "memory.lbuf.latency_cycles": draw(latencies),
        "memory.glb.dram_port_bits": draw(st.one_of(st.just(512), st.integers(1, 600))),
        "memory.glb.array_port_bits": draw(st.sampled_from([512, *PORT_WIDTHS])),
        "memory.lbuf.port_bits": draw(st.sampled_from([512, *PORT_WIDTHS])),
    }


@st.composite
def configurations(draw: st.DrawFn, workload: Workload) -> dict[str, Any]:
    """Overrides of the preset."""
    keys: dict[str, Any] = {"array.rows": draw(st.integers(1, 4)), "array.cols": draw(st.integers(1, 3))}
    keys["mapping.tile"] = draw(st.sampled_from(["auto", "auto", "auto", "auto", "layer"]))
    keys |= draw(st.sampled_from(SUMS))
    keys["potential_bits"] = draw(st.sampled_from([16, 16, 9, 5]))
    keys |= draw(buffers(workload, keys["array.rows"] * keys["array.cols"]))
    return own("spinalflow", keys | draw(port_widths()))


def reported(layer: Any) -> dict[str, Any]:
    """What the package says, in the oracle's words."""
    same = ("cycles", "compute_cycles", "batches", "ntwus", "streamed_taps", "accumulations", "lif_updates",
            "steps")  # fmt: skip
    return {key: getattr(layer, key) for key in same} | {
        "comparisons": layer.operations.comparisons,
        "pe_cycles": layer.operations.pe_cycles,
        "stalls": dict(layer.stalls),
        "accesses": dict(layer.accesses),
    }


def expected(want: dict[str, Any]) -> dict[str, Any]:
    """Return the oracle's answer, as far as results have it."""
    apart = ("ends", "residency")
    return {key: value for key, value in want.items() if key not in apart} | {"steps": len(want["steps"])}


def assert_steps(workload: Workload, arch: sx.Accelerator, want: dict[str, Any]) -> None:
    """Compare bits, array cycles and durations step by step."""
    _, durations, steps = laid_out(schedule_of(workload, arch), arch)
    for part, names in ((steps, STEP_COLUMNS), (durations, DURATION_COLUMNS)):
        for ours, theirs in names.items():
            assert getattr(part, ours).tolist() == [step[theirs] for step in want["steps"]], theirs


def oracle_sha256(workload: Workload, arch: sx.Accelerator) -> str:
    """Hash of the output spikes by the slow oracle."""
    layer, weight, bias = full(workload.layer), workload.weight, workload.bias
    return sha256(naive.forward(layer, workload.spikes, weight, bias, arch.potential_bits, wraps_at(arch)))


@examples(200)
@given(data=st.data())
def test_costs_and_outputs_equal_the_oracles(data: st.DataObject) -> None:
    workload = data.draw(coded_workloads())
    keys = data.draw(configurations(workload))
    arch, trace = sx.load_accelerator("spinalflow", keys), trace_with(workload)
    try:
        want = naive_serial.cost(full(workload.layer), workload.spikes, oracle_config(arch), workload.biased)
    except ValueError:
        event("a buffer is too small")
        with pytest.raises(ConfigError, match=r"the smallest that works is \d+ B"):
            sx.simulate(trace, arch="spinalflow", overrides=keys)
        return
    tell(want)
    assert_steps(workload, arch, want)
    for engine in ENGINES:
        layer = sx.simulate(trace, arch="spinalflow", overrides=keys, engine=engine).layers[0]
        assert_same(reported(layer), expected(want))
        assert layer.compute_cycles + sum(dict(layer.stalls).values()) == layer.cycles
        assert layer.output_sha256 == oracle_sha256(workload, arch)
        lanes = keys["array.rows"] * keys["array.cols"]
        assert layer.utilization == pytest.approx(want["pe_cycles"] / (want["cycles"] * lanes))
        assert layer.tws == workload.timesteps


def tell(want: dict[str, Any]) -> None:
    """Say which cases occur."""
    kept = want["residency"]
    event(f"filters stay in {'LBUF' * kept.filters_in_lbuf} {'GLB' * kept.filters_in_glb}")
    event(f"entries per {kept.entries_in_glb}")


@examples(100)
@given(data=st.data())
def test_repeated_spikes_are_refused_with_their_number_and_nothing_else_is(data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=6, longest=12))
    if data.draw(st.booleans()):  # few inputs violate
        few = data.draw(st.lists(st.integers(0, workload.spikes.size - 1), max_size=4))
        spikes = one_each(workload, 0).spikes.copy()
        spikes.flat[few] = True
        workload = replace(workload, spikes=spikes)
    per_input = workload.spikes.reshape(-1, workload.timesteps).sum(axis=-1)
    repeated, inputs = int((per_input > 1).sum()), len(per_input)
    event(f"refused: {repeated > 0}")
    trace = trace_with(workload)
    if repeated:
        with pytest.raises(UnsupportedError, match=rf"\b{repeated} of {inputs} inputs\b") as refused:
            sx.simulate(trace, arch="spinalflow")
        assert "\n" not in str(refused.value)
    else:
        assert sx.simulate(trace, arch="spinalflow").layers[0].cycles > 0


def test_a_refusal_counts_the_inputs_of_the_layer_that_it_is_about() -> None:
    """The first layer takes its input; its neurons spike again and again, which the second does not take."""
    often = {"threshold": -1, "leak_shift": 3}
    layers = [linear("first", (3, 2000), often), linear("second", (2000, 1), often)]
    spikes = np.eye(3, 5, dtype=bool)
    weights = [np.zeros((2000, 3), np.int8), np.zeros((1, 2000), np.int8)]
    with pytest.raises(UnsupportedError, match=r"layer second: 2,000 of 2,000 inputs"):
        sx.simulate(trace_of(layers, spikes, weights), arch="spinalflow")


def test_a_layer_by_hand() -> None:
    """Spikes at 1, 1 and 4 take a cycle each, the two time points that had one another; three channels."""
    layer = linear("fc", (5, 3), {"threshold": 3, "leak_shift": 31})
    spikes = np.zeros((5, 8), bool)
    spikes[0, 1] = spikes[3, 1] = spikes[2, 4] = True
    weight = np.ones((3, 5), np.int8)
    found = sx.simulate(trace_of([layer], spikes, [weight]), arch="spinalflow").layers[0]
    assert (found.compute_cycles, found.batches, found.ntwus, found.steps) == (3 + 2, 1, 3, 1)
    assert (found.streamed_taps, found.accumulations, found.lif_updates) == (3, 9, 6)
    entry, stamp = 3 + 3, 4  # one of 5 inputs and of 8 times; one of 8 times or none
    moved = {tensor: found.accesses.read_bits("glb", tensor) for tensor in ("ifmap", "filter", "ofmap")}
    assert moved == {"ifmap": 3 * entry, "filter": 3 * 5 * 8, "ofmap": 3 * stamp}
    assert found.accesses.read_bits("lbuf", "filter") == 3 * 3 * 8
