"""What must hold whatever the layer: conservation, monotonicity, additivity, whole numbers."""

from __future__ import annotations

import json
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from drawn import costs
from examples import examples
from networks import conv, forward, linear, random_weights, small_network, trace_of
from pipeline import COLUMNS, program_of, run
from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.counts import LEVELS, READ, TENSORS, WRITE, AccessLog, Counts, Operations
from spikex_sim.core.errors import ConfigError, InternalError
from spikex_sim.run.simulate import simulate
from spikex_sim.schedules.base import Handover
from spikex_sim.schedules.ntwu.survey import STREAMED
from spikex_sim.spec.load import load_accelerator
from spikex_sim.timing.durations import durations_of
from strategies import Workload, make_spikes, workloads

FREE = {"threshold": 30, "leak_shift": 3, "reset": "zero", "datapath": "int"}


# --- Conservation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(60)
@given(data=st.data())
def test_what_leaves_a_level_arrives_at_the_next(scheduler: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler)
    if drawn is None:
        return
    workload, _, done = drawn
    accesses, operations = done.layout.accesses, done.layout.operations
    read, write = accesses.read_bits, accesses.write_bits
    for tensor in ("ifmap", "filter"):
        assert read("dram", tensor) == write("glb", tensor)
        assert read("glb", tensor) == write("lbuf", tensor)
        assert write("dram", tensor) == 0
    # Outputs reach DRAM completely: TWS bits of every NTWU issued, one tag of every neuron and window.
    ofmap = {read("lbuf", "ofmap"), write("glb", "ofmap"), read("glb", "ofmap"), write("dram", "ofmap")}
    assert {write("lbuf", "ofmap")} == ofmap == {operations.lif_updates}
    layer = workload.spec
    issued = layer.out_channels * len(done.schedule.position)
    assert operations.lif_updates == issued * done.spikes.tws
    assert operations.ntwus <= issued
    assert scheduler == "ptb" or operations.ntwus == issued
    neurons = layer.out_channels * layer.out_height * layer.out_width
    tags_out = write("dram", "tag")
    assert tags_out == neurons * done.spikes.windows
    # Tags pass a level in both directions.
    array_side = int(
        (np.diff(done.schedule.batch_columns) * done.found.counts[STREAMED].sum(axis=1)).sum()
    ) * len(done.schedule.groups.sizes)
    assert write("glb", "tag") == read("dram", "tag") + tags_out
    assert read("glb", "tag") == write("lbuf", "tag")
    assert read("lbuf", "tag") == array_side + tags_out
    # The spikes' words and their tags move together.
    assert read("dram", "ifmap") == read("dram", "tag") * done.spikes.tws
    for level in ("dram", "glb"):
        assert read(level, "psum") == write(level, "psum") == 0


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(60)
@given(data=st.data())
def test_nothing_is_read_that_was_not_written(scheduler: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler)
    if drawn is None:
        return
    read, write = drawn[2].layout.accesses.read_bits, drawn[2].layout.accesses.write_bits
    assert read("lbuf", "psum") <= write("lbuf", "psum")
    for level, tensor in (("glb", "ofmap"), ("lbuf", "ofmap")):
        assert read(level, tensor) <= write(level, tensor)
    for tensor in ("ifmap", "filter"):
        for above, below in (("dram", "glb"), ("glb", "lbuf")):
            assert (read(below, tensor) == 0) or (read(above, tensor) > 0)


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(60)
@given(data=st.data())
def test_counts_of_steps_are_the_counts_of_the_layer(scheduler: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler)
    if drawn is None:
        return
    steps, read = drawn[2].steps, drawn[2].layout.accesses.read_bits
    write = drawn[2].layout.accesses.write_bits
    incoming = ("ifmap", "filter", "tag")
    tags_out = write("dram", "tag")
    past_the_port = drawn[2].layout.apart.write_bits("glb", "tag")
    assert steps.fetch_bits.sum() == sum(read("dram", tensor) for tensor in incoming)
    assert steps.load_bits.sum() == sum(read("glb", tensor) for tensor in incoming) - tags_out
    assert steps.store_bits.sum() == write("dram", "ofmap") + tags_out - past_the_port
    assert steps.array_cycles.sum() == drawn[2].layout.compute_cycles
    assert (
        steps.lbuf_read_bits.sum()
        == sum(read("lbuf", t) for t in ("ifmap", "filter", "psum", "tag")) - tags_out
    )
    assert steps.lbuf_write_bits.sum() == write("lbuf", "ofmap") + write("lbuf", "psum")


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(60)
@given(data=st.data())
def test_compute_and_stalls_are_the_cycles(scheduler: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler)
    if drawn is None:
        return
    done = drawn[2]
    assert min(done.stalls.values()) >= 0
    assert done.layout.compute_cycles + done.stalls.total == done.ends.cycles


@examples(60)
@given(workloads(largest_map=6, longest=20), st.data())
def test_every_spike_is_in_the_index_once(workload: Workload, data: st.DataObject) -> None:
    done = run(workload, load_accelerator("spikex", {"tws": data.draw(st.integers(1, workload.timesteps))}))
    counts = done.spikes.per_window()
    assert counts.sum() == len(done.spikes.times) == workload.spikes.sum()
    times = [np.flatnonzero(row) for row in workload.spikes.reshape(-1, workload.timesteps)]
    np.testing.assert_array_equal(done.spikes.times, np.concatenate(times))


# --- Monotonicity ---------------------------------------------------------------------------------

FASTER = {
    "memory.dram.bandwidth_gb_s": 1e6,
    "memory.dram.latency_cycles": 0,
    "memory.glb.latency_cycles": 0,
    "memory.lbuf.latency_cycles": 0,
    "memory.glb.dram_port_bits": 1 << 16,
    "memory.glb.array_port_bits": 1 << 16,
    "memory.lbuf.port_bits": 1 << 16,
}


@pytest.mark.parametrize("engine", ["fast", "event"])
@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(40)
@given(data=st.data())
def test_faster_memories_cost_no_cycle_and_no_bit(scheduler: str, engine: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler)
    if drawn is None:
        return
    workload, keys, slow = drawn
    chosen = data.draw(st.sets(st.sampled_from(sorted(FASTER)), min_size=1))
    fast = run(workload, load_accelerator(scheduler, keys | {key: FASTER[key] for key in chosen}), engine)
    assert fast.layout.residency == slow.layout.residency
    assert fast.layout.accesses == slow.layout.accesses
    for part in fields(slow.ends):
        assert (getattr(fast.ends, part.name) <= getattr(slow.ends, part.name)).all(), part.name


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(40)
@given(data=st.data())
def test_what_stays_in_the_glb_makes_nothing_later(scheduler: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler)
    if drawn is None:
        return
    workload, keys, moved = drawn
    stays = Handover(input_kept=True, output_wanted=True)
    kept = run(workload, load_accelerator(scheduler, keys), handover=stays)
    for part in fields(moved.ends):
        assert (getattr(kept.ends, part.name) <= getattr(moved.ends, part.name)).all(), part.name
    before, after = moved.layout.accesses, kept.layout.accesses
    for level in ("lbuf", "rf"):
        assert after[level] == before[level]
    assert after.read_bits("dram", "filter") == before.read_bits("dram", "filter")
    assert kept.steps.fetch_bits.sum() == after.read_bits("dram", "filter")
    if kept.layout.output_kept:
        assert kept.steps.writeback_bits.sum() == 0
        assert not any(bits["write_bits"] for bits in after["dram"].values())
    else:
        np.testing.assert_array_equal(kept.steps.writeback_bits, moved.steps.writeback_bits)
    np.testing.assert_array_equal(kept.steps.store_bits, moved.steps.store_bits)
    np.testing.assert_array_equal(kept.steps.load_bits, moved.steps.load_bits)


@pytest.mark.parametrize("base", ["spikex", "ptb"])
def test_faster_memories_through_the_simulator(base: str) -> None:
    layers, spikes = small_network("int"), make_spikes((2, 6, 6, 10), "medium", 5)
    trace = trace_of(layers, spikes, random_weights(layers, 6))
    results = [
        simulate(
            trace, base, tws=2,
            overrides={"memory.dram.bandwidth_gb_s": bandwidth, "memory.dram.latency_cycles": latency},
        )
        for bandwidth, latency in ((0.05, 50), (0.05, 0), (1.0, 0), (30.0, 0), (1e6, 0))
    ]  # fmt: skip
    cycles = [result.totals.cycles for result in results]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > cycles[1] > cycles[2] > cycles[3]
    for result in results:
        assert result.totals.accesses == results[0].totals.accesses
        assert result.totals.compute_cycles == results[0].totals.compute_cycles


# With transfers of at most one cycle only the way in of the first step and the way out of the last can be
# seen, see the same statement about the engines.
@pytest.mark.parametrize("base", ["spikex", "ptb"])
def test_unlimited_memories_stall_the_first_and_the_last_step_only(base: str) -> None:
    layer = conv("conv", (2, 9), 6, FREE)
    workload = Workload(layer, np.ones((2, 6, 6, 16), bool), np.ones((9, 2, 3, 3), np.int8))
    done = run(workload, load_accelerator(base, {**FASTER, "tws": 4}))
    assert done.durations.array.min() >= 3
    assert dict(done.stalls) == {"dram": 1, "glb": 1, "lbuf": 0, "drain": 2}


# --- Additivity, linearity, repeatability ---------------------------------------------------------


@pytest.mark.parametrize("base", ["spikex", "ptb"])
def test_two_layers_cost_what_they_cost_alone(base: str) -> None:
    layers, spikes = small_network("int"), make_spikes((2, 6, 6, 10), "medium", 21)
    pair = [layers[0], conv("conv2", (5, 4), 6, layers[2]["neuron"])]
    weights = random_weights(pair, 22)
    middle = forward(pair[:1], spikes, weights[:1])[0]
    both = simulate(trace_of(pair, {0: spikes, 1: middle}, weights), base, tws=3).totals
    first = simulate(trace_of(pair[:1], spikes, weights[:1]), base, tws=3).totals
    second = simulate(trace_of(pair[1:], middle, weights[1:]), base, tws=3).totals
    assert both.accesses == first.accesses + second.accesses
    assert both.operations == first.operations + second.operations
    assert both.stalls == first.stalls + second.stalls
    for name in ("cycles", "compute_cycles", "steps", "output_spikes"):
        assert getattr(both, name) == getattr(first, name) + getattr(second, name), name
    assert both.energy_pj == pytest.approx(first.energy_pj + second.energy_pj, rel=1e-12)


@given(
    st.lists(st.integers(0, 2**40), min_size=40, max_size=40),
    st.lists(st.integers(0, 2**40), min_size=2, max_size=2),
    st.sampled_from(["int", "float"]),
)
def test_energy_is_linear_in_the_counts(bits: list[int], counts: list[int], datapath: Any) -> None:
    model = energy_model(load_accelerator("spikex"))

    counters = list(product(LEVELS, (READ, WRITE), TENSORS))

    def energy(times: int) -> Any:
        moved = {counter: number * times for counter, number in zip(counters, bits, strict=True)}
        operations = Operations(
            accumulations=counts[0] * times, lif_updates=counts[1] * times, comparisons=counts[1] * times
        )
        return model.energy(Counts(moved) + operations.alu(datapath), 1000 * times)

    once, thrice = energy(1), energy(3)
    assert thrice.total_pj == pytest.approx(3 * once.total_pj, rel=1e-9)
    for part in ("components", "uses", "leakage"):
        for key, value in getattr(once, part).items():
            assert getattr(thrice, part)[key] == pytest.approx(3 * value, rel=1e-9), (part, key)
    assert sum(once.components.values()) == pytest.approx(sum(once.uses.values()), rel=1e-9)


@pytest.mark.parametrize("base", ["spikex", "ptb"])
@pytest.mark.parametrize("engine", ["fast", "event"])
def test_the_same_input_gives_the_same_results(base: str, engine: str, tmp_path: Path) -> None:
    layers, spikes = small_network("int"), make_spikes((2, 6, 6, 10), "medium", 23)
    texts = []
    for folder in ("one", "two"):
        weights = random_weights(layers, 24)
        simulate(trace_of(layers, spikes.copy(), weights), base, tws=4, engine=engine).save(tmp_path / folder)
        lines = (tmp_path / folder / "results.json").read_text().splitlines()
        texts.append([line for line in lines if '"timestamp"' not in line])
        assert len(texts[-1]) == len(lines) - 1
    assert texts[0] == texts[1]
    for name in ("layers.csv", "accesses.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert json.loads((tmp_path / "one" / "results.json").read_text())["engine"] == engine


# --- Whole numbers of 64 bits ---------------------------------------------------------------------


def arrays_in(record: Any) -> dict[str, NDArray[Any]]:
    """Arrays among the fields of an object."""
    return {name: value for name, value in vars(record).items() if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(25)
@given(data=st.data())
def test_counters_are_int64(scheduler: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler)
    if drawn is None:
        return
    done = drawn[2]
    narrow = {
        "active": np.bool_,
        "tags": np.uint8,
        "times": np.int32,
        "streamed": np.uint8,
    }
    for record in (done.schedule, done.spikes, done.found, done.steps, done.durations, done.ends):
        known = narrow | ({"counts": np.int32} if record is done.found else {})  # of one row of the array
        for name, array in arrays_in(record).items():
            assert array.dtype == known.get(name, np.int64), (type(record).__name__, name)
    assert {type(number) for number in done.layout.accesses.counts.values()} <= {int}
    for name, count in vars(done.layout.operations).items():
        assert type(count) is int, name


def test_large_counts_do_not_wrap() -> None:
    channels, inputs, timesteps = 1 << 20, 16, 1 << 12
    layer = linear("fc", (inputs, channels), FREE)
    workload = Workload(layer, np.ones((inputs, timesteps), bool), np.zeros((0,), np.int8))
    keys = {"tws": 64, "array.rows": 4096, "mapping.tile": "layer"}
    done = run(workload, load_accelerator("spikex", keys))
    accumulations = channels * inputs * timesteps
    updates = channels * timesteps
    assert done.layout.operations.accumulations == accumulations == 2**36
    assert done.layout.operations.dense_accumulations == accumulations
    psum_bits = accumulations * 24 + updates * (24 + 16)
    assert done.layout.accesses.read_bits("rf", "psum") == psum_bits
    assert psum_bits > 2**40
    assert done.layout.accesses.write_bits("dram", "ofmap") == updates


def test_durations_of_large_transfers_do_not_wrap() -> None:
    bits = np.array([0, 1, 2**40, 2**56], np.int64)
    arch = load_accelerator("spikex", {"memory.dram.bandwidth_gb_s": 0.123457, "clock_mhz": 333.333})
    rate = arch.dram_bits_per_cycle
    durations = durations_of(program_of(**dict.fromkeys((*COLUMNS, "array_cycles"), bits)), arch)
    assert durations.fetch.tolist() == [
        -(-int(n) * rate.denominator // rate.numerator) for n in bits.tolist()
    ]
    assert durations.load.tolist() == [-(-int(n) // 64) for n in bits.tolist()]


def test_a_layer_that_would_outlast_int64_is_refused() -> None:
    bits = np.full(8, 2**62, np.int64)
    with pytest.raises(ConfigError, match="2\\^62 cycles"):
        durations_of(
            program_of(**dict.fromkeys(COLUMNS, bits)),
            load_accelerator("spikex", {"memory.dram.bandwidth_gb_s": 0.001}),
        )


def test_a_negative_count_is_refused() -> None:
    log = AccessLog()
    with pytest.raises(InternalError, match=r"^internal error: glb read_bits of filter is -1; "):
        log.read("glb", "filter", -1)
    with pytest.raises(InternalError, match="lbuf read_bits of psum is -93240"):
        Counts({("lbuf", "read_bits", "psum"): -93240})
