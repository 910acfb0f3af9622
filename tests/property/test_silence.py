"""Silence costs no work; where all is active, costs have a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from drawn import costs
from examples import examples
from networks import full, linear
from pipeline import outputs, run
from spikex_sim.core.counts import Operations
from spikex_sim.core.errors import ConfigError
from spikex_sim.spec.load import load_accelerator
from strategies import Workload, make_spikes, overrides, workloads

FREE = {"threshold": 30, "leak_shift": 3, "reset": "zero", "datapath": "int"}


@pytest.mark.parametrize("stream", ["tap", "channel", "all"])
@pytest.mark.parametrize("tile", ["auto", "layer"])
@examples(20)
@given(workload=workloads(largest_map=6, longest=20, bias=False), tws=st.integers(1, 20))
def test_silence_costs_no_work(stream: str, tile: str, workload: Workload, tws: int) -> None:
    silent = Workload(
        {**workload.layer, "neuron": FREE},
        np.zeros_like(workload.spikes),
        np.zeros(workload.spec.weight_shape),
    )
    done = run(silent, load_accelerator("spikex", {"tws": tws, "stream": stream, "mapping.tile": tile}))
    assert done.layout.operations == Operations(
        dense_accumulations=done.layout.operations.dense_accumulations
    )
    assert done.layout.compute_cycles == 0
    for level, tensor, read_bits, write_bits in done.layout.accesses.rows():
        assert (read_bits == write_bits == 0) or (tensor == "tag" and level != "rf"), (level, tensor)


@examples(40)
@given(
    workload=workloads(largest_map=6, longest=30, bias=False), cols=st.integers(1, 4), tws=st.integers(1, 4)
)
def test_where_all_is_active_spikex_reads_the_weights_that_ptb_reads(
    workload: Workload, cols: int, tws: int
) -> None:
    busy = Workload({**workload.layer, "neuron": FREE}, np.ones_like(workload.spikes), workload.weight)
    keys = {"tws": tws, "array.rows": 4, "array.cols": cols, "mapping.tile": "layer"}
    spikex = run(busy, load_accelerator("spikex", keys | {"dispatch": "temporal"}))
    ptb = run(busy, load_accelerator("ptb", keys))
    if spikex.schedule.active.all():  # no position lies wholly in the padding
        read = spikex.layout.accesses.read_bits("lbuf", "filter")
        assert read == ptb.layout.accesses.read_bits("lbuf", "filter")
        # In closed form: each weight inside the map is read once for every run of `cols` windows.
        layer, runs = full(busy.layer), -(-spikex.spikes.windows // cols)
        taps = (
            busy.spikes.shape[0]
            if layer["kind"] == "linear"
            else busy.spikes.shape[0] * sum(map(len, naive.receptive_fields(layer, *busy.spikes.shape[1:3])))
        )
        assert read == taps * runs * busy.spec.out_channels * 8


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(30)
@given(
    workload=workloads(largest_map=5, longest=3, bias=False), cols=st.integers(1, 4), tws=st.integers(1, 4),
    runs=st.integers(1, 3),
)  # fmt: skip
def test_twice_the_time_takes_twice_the_cycles(
    scheduler: str, workload: Workload, cols: int, tws: int, runs: int
) -> None:
    arch = load_accelerator(
        scheduler,
        {"tws": tws, "array.cols": cols, "array.rows": 4, "mapping.tile": "layer"}
        | ({"dispatch": "temporal"} if scheduler == "spikex" else {}),
    )
    shape = (*workload.spikes.shape[:-1], runs * cols * tws)  # whole batches
    once, twice = (
        run(Workload({**workload.layer, "neuron": FREE}, np.ones((*shape[:-1], times * shape[-1]), bool),
                     workload.weight), arch)
        for times in (1, 2)
    )  # fmt: skip
    # Fill and drain, once per row group, do not grow.
    skew = sum(rows - 1 + cols - 1 for rows in once.schedule.groups.sizes) if once.schedule.batches else 0
    assert twice.layout.compute_cycles - skew == 2 * (once.layout.compute_cycles - skew)
    assert twice.layout.operations.accumulations == 2 * once.layout.operations.accumulations


@examples(40)
@given(workload=workloads(largest_map=6, longest=20), data=st.data())
def test_ptb_owes_no_leak(workload: Workload, data: st.DataObject) -> None:
    keys = data.draw(overrides(workload, "ptb"))
    results = []
    for cycles in (0, 7):
        try:
            results.append(run(workload, load_accelerator("ptb", keys | {"leak_catchup_cycles": cycles})))
        except ConfigError:
            return
    assert results[0].layout.operations.leak_catchups == 0
    assert results[0].ends.cycles == results[1].ends.cycles


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(40)
@given(data=st.data())
def test_additions_do_not_depend_on_the_schedule(scheduler: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler, zero_gating="auto")
    if drawn is None:
        return
    workload, keys, done = drawn
    arch = load_accelerator(scheduler, keys)
    serial = run(workload, load_accelerator("spikex", {"tws": 1, "mapping.tile": "layer"}))
    assert done.layout.operations.accumulations == serial.layout.operations.accumulations
    assert outputs(workload, arch, done.schedule)[1] == serial.layout.operations.accumulations


def test_windows_of_one_time_point_are_time_serial() -> None:
    layer = linear("fc", (4, 3), FREE)
    spikes = make_spikes((4, 20), "medium", 31)
    done = run(Workload(layer, spikes, np.ones((3, 4), np.int8)), load_accelerator("spikex", {"tws": 1}))
    busy = spikes.any(axis=0)
    assert done.layout.operations.ntwus == 3 * busy.sum()
    assert done.layout.operations.lif_updates == 3 * busy.sum()
