"""Cycles and counts of dense arrays and SATA by closed forms: any shapes, several time points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
import spikex_sim as sx
from examples import examples
from gemm_comparison import trace_with
from networks import full
from strategies import Workload, make_spikes, workloads


def ceil(a: int, b: int) -> int:
    """Divide and round up."""
    return -(-a // b)


@dataclass(frozen=True)
class Case:
    """A layer and an array in the letters of the closed forms."""

    workload: Workload
    R: int
    C: int

    @property
    def P(self) -> int:  # noqa: N802
        """Output positions."""
        layer = full(self.workload.layer)
        if layer["kind"] == "linear":
            return 1
        rows, cols = naive.out_size(layer, *self.workload.spikes.shape[1:3])
        return rows * cols

    @property
    def K(self) -> int:  # noqa: N802
        """Taps."""
        return self.workload.weight[0].size

    @property
    def N(self) -> int:  # noqa: N802
        """Output channels."""
        return len(self.workload.weight)

    @property
    def T(self) -> int:  # noqa: N802
        """Time points."""
        return self.workload.timesteps

    @property
    def synaptic_events(self) -> int:
        """Set spike bits over positions and taps."""
        layer, spikes = full(self.workload.layer), self.workload.spikes
        if layer["kind"] == "linear":
            return int(spikes.sum())
        fields = naive.receptive_fields(layer, *spikes.shape[1:3])
        return sum(int(spikes[:, y, x].sum()) for field in fields for _, _, y, x in field)

    def run(self, base: str, **keys: Any) -> Any:
        """Simulate the layer."""
        overrides = {"array.rows": self.R, "array.cols": self.C, **keys}
        return sx.simulate(trace_with(self.workload), base, overrides=overrides).layers[0]

    def dense_cycles(self, dataflow: str, rows: int) -> int:
        """Cycles of a matrix product with so many rows, as SCALE-Sim has them."""
        R, C, K, N = self.R, self.C, self.K, self.N
        if dataflow == "os":
            return ceil(rows, R) * ceil(N, C) * (K + R + C - 2)
        if dataflow == "ws":
            return ceil(K, R) * ceil(N, C) * (rows + 2 * R + C - 2)
        return ceil(K, R) * ceil(rows, C) * (N + 2 * R + C - 2)

    def walk(self) -> int:
        """SATA's walk of the filters in weight-stationary order."""
        folds = ceil(self.K, self.R) * ceil(self.N, self.C)
        return (folds - 1) * (self.P + 2 * self.R + self.C - 2) + min(self.K, self.R) - 1


@st.composite
def cases(draw: st.DrawFn, datapath: str | None = None) -> Case:
    """Layers with several time points, seldom one, and arrays of any shape."""
    workload = draw(workloads(datapath, largest_map=7, longest=10))
    return Case(workload, draw(st.integers(1, 12)), draw(st.integers(1, 12)))


def array_words(layer: Any) -> tuple[int, int, int]:
    """Words of ifmap, filter and ofmap that cross the array's edge."""
    operations = layer.operations
    return operations.array_ifmap_words, operations.array_filter_words, operations.array_ofmap_words


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@examples(60)
@given(case=cases())
def test_the_dense_array(dataflow: str, case: Case) -> None:
    R, C, P, K, N, T = case.R, case.C, case.P, case.K, case.N, case.T
    layer = case.run(f"systolic-{dataflow}")
    rows = P * T
    assert layer.compute_cycles == case.dense_cycles(dataflow, rows)
    operations = layer.operations
    assert operations.accumulations == operations.dense_accumulations == rows * K * N
    assert operations.lif_updates == operations.comparisons == rows * N
    assert operations.pe_cycles == rows * K * N
    assert operations.multiplications == 0
    folds = {
        "os": ceil(rows, R) * ceil(N, C),
        "ws": ceil(K, R) * ceil(N, C),
        "is": ceil(K, R) * ceil(rows, C),
    }
    assert operations.batches == folds[dataflow]
    assert (
        array_words(layer)
        == {
            "os": (ceil(N, C) * rows * K, ceil(rows, R) * N * K, rows * N),
            "ws": (ceil(N, C) * rows * K, N * K, ceil(K, R) * rows * N),
            "is": (rows * K, ceil(rows, C) * N * K, ceil(K, R) * rows * N),
        }[dataflow]
    )


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@examples(30)
@given(case=cases())
def test_zero_gating_changes_additions_alone(dataflow: str, case: Case) -> None:
    dense = case.run(f"systolic-{dataflow}")
    gated = case.run(f"systolic-{dataflow}", zero_gating=True)
    assert gated.operations.accumulations == case.N * case.synaptic_events
    assert gated.output_sha256 == dense.output_sha256
    for key in ("cycles", "compute_cycles", "steps"):
        assert getattr(gated, key) == getattr(dense, key)
    for level in ("dram", "glb", "lbuf"):
        assert dict(gated.accesses)[level] == dict(dense.accesses)[level]


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@examples(30)
@given(case=cases())
def test_an_ann_runs_once(dataflow: str, case: Case) -> None:
    layer = case.run("ann", dataflow=dataflow)
    assert layer.compute_cycles == case.dense_cycles(dataflow, case.P)
    operations = layer.operations
    assert operations.multiplications == operations.accumulations == case.P * case.K * case.N
    assert (operations.comparisons, operations.lif_updates) == (case.P * case.N, 0)


SATA = ("sata", "sata-on-spikex")  # the energies of the first are of the integer datapath


def sata_cycles(case: Case, dataflow: str) -> int:
    """Return ``T`` times the cycles of one time point; those of output stationary for `tick_batch`."""
    return case.T * case.dense_cycles("ws" if dataflow == "ws" else "os", case.P)


@pytest.mark.parametrize("dataflow", ["os", "ws", "tick_batch"])
@pytest.mark.parametrize("preset", SATA)
@examples(30)
@given(case=cases("int"))
def test_sata_replays_every_time_point(preset: str, dataflow: str, case: Case) -> None:
    layer = case.run(preset, dataflow=dataflow)
    assert layer.compute_cycles == sata_cycles(case, dataflow)
    assert layer.operations.accumulations == case.N * case.synaptic_events
    assert layer.operations.lif_updates == case.P * case.T * case.N
    assert layer.operations.pe_cycles == case.P * case.T * case.K * case.N


@pytest.mark.parametrize("dataflow", ["os", "ws", "tick_batch"])
@pytest.mark.parametrize("preset", SATA)
@examples(30)
@given(case=cases("int"), sharing=st.integers(1, 4))
def test_satas_published_cycles(preset: str, dataflow: str, case: Case, sharing: int) -> None:
    sharing = {"lif_sharing": sharing} if preset == "sata" else {}  # of no effect there, else on energy alone
    layer = case.run(preset, dataflow=dataflow, cycles_model="published", **sharing)
    walk = case.walk() if dataflow == "tick_batch" else 0
    assert layer.cycles == layer.compute_cycles == sata_cycles(case, dataflow) + walk
    assert set(dict(layer.stalls).values()) == {0}


@pytest.mark.parametrize("dataflow", ["os", "ws", "tick_batch"])
@examples(30)
@given(case=cases("int"), sharing=st.integers(2, 4))
def test_shared_lif_units_cost_cycles_and_change_nothing_else(
    dataflow: str, case: Case, sharing: int
) -> None:
    alone = case.run("sata", dataflow=dataflow)
    shared = case.run("sata", dataflow=dataflow, lif_sharing=sharing)
    groups = [min(case.C, case.N - first) for first in range(0, case.N, case.C)]
    waits = sum(min(sharing, channels) - 1 for channels in groups)
    times = {"os": case.T * ceil(case.P, case.R), "ws": case.T * case.P}
    times["tick_batch"] = times["os"]
    assert shared.compute_cycles - alone.compute_cycles == waits * times[dataflow]
    assert shared.output_sha256 == alone.output_sha256
    assert dict(shared.accesses) == dict(alone.accesses)


@pytest.mark.parametrize("preset", SATA)
@examples(30)
@given(case=cases("int"))
def test_tick_batch_fetches_every_weight_once(preset: str, case: Case) -> None:
    layer = case.run(preset)
    bits = case.K * case.N * 8
    assert layer.accesses.read_bits("dram", "filter") == bits
    assert layer.accesses.write_bits("glb", "filter") == bits
    assert layer.accesses.read_bits("glb", "filter") == bits
    folds = ceil(case.P, case.R) * ceil(case.N, case.C)
    assert layer.operations.batches == folds
    words = (ceil(case.N, case.C) * case.P * case.K, case.N * case.K, case.P * case.N)
    assert array_words(layer) == words
    for level in ("dram", "glb", "lbuf"):
        assert layer.accesses.read_bits(level, "psum") == layer.accesses.write_bits(level, "psum") == 0


@pytest.mark.kernels
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_time_points_multiply_the_rows(dataflow: str) -> None:
    layer = {"name": "fc", "kind": "linear", "in_channels": 20, "out_channels": 10,
             "neuron": {"threshold": 9, "leak_shift": 3, "reset": "zero", "datapath": "int"}}  # fmt: skip
    weight = np.ones((10, 20), np.int8)
    case = Case(Workload(layer, make_spikes((20, 24), "medium", 1), weight), 8, 8)
    assert (case.P, case.K, case.N, case.T) == (1, 20, 10, 24)
    cycles = {"os": 3 * 2 * (20 + 14), "ws": 3 * 2 * (24 + 22), "is": 3 * 3 * (10 + 22)}
    assert case.run(f"systolic-{dataflow}").compute_cycles == cycles[dataflow]
