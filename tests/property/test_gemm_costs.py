"""Costs and outputs of dense arrays, ANNs and SATA equal those of the slow oracle, in both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import naive_ann
import naive_gemm
import spikex_sim as sx
from examples import examples
from gemm_comparison import (
    ENGINES,
    assert_layer,
    assert_same,
    expected,
    is_ann,
    oracle_config,
    reported,
    sha256,
)
from gemm_strategies import PRESETS, configurations
from networks import conv, forward, full, linear, random_weights, small_network, trace_of
from strategies import PLENTY, Workload, level, make_spikes, prefixed, workloads


@pytest.mark.parametrize("machine", PRESETS)
@examples(150)
@given(data=st.data())
def test_costs_and_outputs_equal_the_oracles(machine: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=6, longest=8))
    keys = data.draw(configurations(workload, machine))
    tell(assert_layer(workload, PRESETS[machine], keys), keys)


@pytest.mark.kernels
@pytest.mark.parametrize("machine", PRESETS)
@examples(25)
@given(data=st.data())
def test_costs_and_outputs_of_tiny_layers_equal_the_oracles(machine: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=3, longest=4))
    assert_layer(workload, PRESETS[machine], data.draw(configurations(workload, machine)))


def tell(want: dict[str, Any] | None, keys: dict[str, Any]) -> None:
    """Say which cases occur."""
    dataflow = keys["dataflow"]
    if want is None:
        event(f"{dataflow}: a buffer is too small")
        return
    kept = want["residency"]
    event(f"{dataflow}: filters stay in {'LBUF' * kept.filters_in_lbuf} {'GLB' * kept.filters_in_glb}")
    event(f"{dataflow}: ifmap per {kept.ifmap_in_glb} in the GLB")
    event(f"{dataflow}: potentials in {kept.potentials}, partial sums in {kept.psums}")
    event(f"{dataflow}: folds in several steps: {len(want['steps']) > want['batches']}")


# --- networks -------------------------------------------------------------------------------------

# The energy table of the first is of the integer datapath.
NETWORKS = ("sata", "sata-on-spikex", "systolic-os", "systolic-ws", "systolic-is", "ann")


def layer_by_layer(
    layers: list[dict[str, Any]], spikes: Any, weights: list[Any], arch: sx.Accelerator
) -> list[tuple[Any, Any]]:
    """What enters, time last, and what leaves every layer, by the slow oracle."""
    if not is_ann(arch):
        leaving = forward(layers, spikes, weights)
        return list(zip([spikes, *leaving[:-1]], leaving, strict=True))
    values, found = naive_ann.activations(spikes), []
    for layer, weight in zip(layers, weights, strict=True):
        shaped = values.reshape(-1) if layer["kind"] == "linear" else values
        after = naive_ann.forward(full(layer), shaped, weight)
        found.append((shaped[..., None], after))
        values = after
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("preset", "datapath"),
    [*((name, "int") for name in NETWORKS), *((name, "float") for name in NETWORKS[1:])],
)
def test_networks(preset: str, datapath: str, engine: str) -> None:
    layers, spikes = small_network(datapath), make_spikes((2, 6, 6, 9), "medium", 5)
    weights = random_weights(layers, 6)
    arch = sx.load_accelerator(preset)
    result = sx.simulate(trace_of(layers, spikes, weights), preset, engine=engine)
    cycles = 0
    flow = layer_by_layer(layers, spikes, weights, arch)
    for layer, (entering, leaving), got in zip(layers, flow, result.layers, strict=True):
        assert leaving.any(), "a layer is silent: nothing is tested"
        assert got.output_sha256 == sha256(leaving), layer["name"]
        if layer["kind"] == "maxpool":
            assert got.cycles == got.steps == got.accumulations == 0
            continue
        flat = entering.reshape(-1, entering.shape[-1]) if layer["kind"] == "linear" else entering
        want = naive_gemm.cost(full(layer), flat, oracle_config(arch))
        assert_same(reported(got), expected(want))
        assert got.utilization == want["pe_cycles"] / (want["cycles"] * arch.array.rows * arch.array.cols)
        cycles += want["cycles"]
    assert result.totals.cycles == cycles


def test_recorded_spikes_become_activations() -> None:
    layers, spikes = small_network("int"), make_spikes((2, 6, 6, 9), "medium", 11)
    weights = random_weights(layers, 12)
    recorded = make_spikes((5, 3, 3, 9), "dense", 13)
    result = sx.simulate(trace_of(layers, {0: spikes, 2: recorded}, weights), "ann")
    before = naive_ann.forward(full(layers[0]), naive_ann.activations(spikes), weights[0])
    after = naive_ann.forward(full(layers[2]), naive_ann.activations(recorded), weights[2])
    assert result.layers[0].output_sha256 == sha256(before)
    assert result.layers[2].output_sha256 == sha256(after)
    last = naive_ann.forward(full(layers[3]), after.reshape(-1), weights[3])
    assert result.layers[3].output_sha256 == sha256(last)


NEURON = {"threshold": 20, "leak_shift": 3, "reset": "zero", "datapath": "int"}


@pytest.mark.parametrize("bias", [None, [0, 300, -2000]])
def test_activations_saturate_and_are_brought_back_to_eight_bits(bias: list[int] | None) -> None:
    layer = linear("fc", (3, 3), NEURON)
    spikes = np.zeros((3, 300), bool)
    spikes[0], spikes[1, :7] = True, True
    weight = np.array([[127, 1, 0], [1, -1, 5], [-1, 0, 0]], np.int8)
    values = None if bias is None else np.array(bias, np.int32)
    # Sums 255 · 127 + 7 = 32,392 (shift 7: 253), 248 (1) and -255; the bias comes 300 times.
    want = [253, 1, 0] if bias is None else [32_392 // 2**9, (248 + 90_000) // 2**9, 0]
    assert naive_ann.forward(layer, naive_ann.activations(spikes), weight, values, 300).tolist() == want
    trace = trace_of([layer], spikes, [weight], biases=None if values is None else [values])
    assert sx.simulate(trace, "ann").layers[0].output_sha256 == sha256(np.array(want, np.uint8))


# --- what just fits, and what just does not ---------------------------------------------------------

# P = 16 positions, K = 8 taps, N = 5 channels, T = 3 time points on R = 3 rows and C = 2 columns.
LAYER = conv("conv", (2, 5), 3, NEURON, kernel=2, padding=1)
ARRAY = {"array.rows": 3, "array.cols": 2}
WORKLOAD = Workload(
    LAYER,
    make_spikes((2, 3, 3, 3), "dense", 1),
    np.random.default_rng(2).integers(-9, 20, (5, 2, 2, 2)).astype(np.int8),
)
GROUP, FILTERS, LAYER_PIXELS, FRAME = 8 * 2 * 8, 8 * 5 * 8, 18 * 3, 18
POTENTIALS = {"os": 16 * 2 * 16, "ws": 16 * 2 * 16, "is": 16 * 5 * 16}
PSUMS = {"ws": 48 * 2 * 24, "is": 2 * 5 * 24}


def room(**bits: int) -> dict[str, Any]:
    """Plenty of room but where ``glb_filter=...`` and the like say otherwise."""
    keys: dict[str, Any] = {}
    for name in ("glb", "lbuf"):
        parts = {part: bits.get(f"{name}_{part}", PLENTY) for part in ("ifmap", "filter", "ofmap", "psum")}
        keys |= prefixed(f"memory.{name}", level(**parts))
    return keys | ({"memory.lbuf.bytes": 0} if "edge" in bits else {})


def cost(dataflow: str, base: str = "systolic-os", **bits: int) -> dict[str, Any]:
    """Compare all costs; the oracle's."""
    want = assert_layer(WORKLOAD, base, ARRAY | {"dataflow": dataflow} | room(**bits))
    assert want is not None, "a buffer is too small"
    return want


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_filters_stay_where_they_fit(dataflow: str) -> None:
    bits = FILTERS if dataflow == "is" else GROUP
    for glb, lbuf, stay in (
        (bits, bits, (True, True)),
        (bits, bits - 1, (True, False)),
        (bits - 1, bits, (False, False)),
    ):
        kept = cost(dataflow, glb_filter=glb, lbuf_filter=lbuf)["residency"]
        assert (kept.filters_in_glb, kept.filters_in_lbuf) == stay


@pytest.mark.parametrize("edge", [{}, {"edge": 1}], ids=["lbuf", "glb"])
@pytest.mark.parametrize("dataflow", ["os", "ws", "is", "tick_batch"])
def test_the_ifmap_stays_where_it_fits(dataflow: str, edge: dict[str, int]) -> None:
    base = "sata-on-spikex" if dataflow == "tick_batch" else "systolic-os"
    frame = "chunk" if dataflow == "tick_batch" else "frame"
    scopes = {LAYER_PIXELS: "layer", LAYER_PIXELS - 1: frame, FRAME: frame, FRAME - 1: "chunk"}
    for bits, scope in scopes.items():
        kept = cost(dataflow, base, glb_ifmap=bits, **edge)["residency"]
        assert kept.ifmap_in_glb == scope


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_potentials_stay_in_the_innermost_level_that_holds_them(dataflow: str) -> None:
    bits = POTENTIALS[dataflow]
    for lbuf, glb, home in ((bits, 0, "lbuf"), (bits - 1, bits, "glb"), (bits - 1, bits - 1, "dram")):
        assert cost(dataflow, lbuf_psum=lbuf, glb_psum=glb)["residency"].potentials == home


@pytest.mark.parametrize("dataflow", ["ws", "is"])
def test_partial_sums_stay_in_what_potentials_leave(dataflow: str) -> None:
    first, second = POTENTIALS[dataflow], PSUMS[dataflow]
    for lbuf, glb, homes in (
        (first + second, 0, ("lbuf", "lbuf")),
        (first + second - 1, second, ("lbuf", "glb")),
        (first + second - 1, second - 1, ("lbuf", "dram")),
        (min(first, second) - 1, first + second, ("glb", "glb")),
        (min(first, second) - 1, first + second - 1, ("glb", "dram")),
    ):
        kept = cost(dataflow, lbuf_psum=lbuf, glb_psum=glb)["residency"]
        assert (kept.potentials, kept.psums) == homes


# Bits of a half at the edge -> taps, rows or channels of a chunk.
CHUNKS: dict[str, tuple[str, dict[str, int], int]] = {
    "os, an exact fit of three filter taps": ("os", {"lbuf_filter": 3 * 16}, 3),
    "os, three filter taps but for a bit": ("os", {"lbuf_filter": 3 * 16 - 1}, 2),
    "os, one filter tap": ("os", {"lbuf_filter": 16}, 1),
    "os, an exact fit of two ifmap taps": ("os", {"lbuf_ifmap": 2 * 3}, 2),
    "os, two ifmap taps but for a bit": ("os", {"lbuf_ifmap": 2 * 3 - 1}, 1),
    "os, filters that stay do not cut": ("os", {"lbuf_filter": GROUP}, 8),
    "ws, an exact fit of five rows": ("ws", {"lbuf_ifmap": 5 * 3}, 5),
    "ws, five rows but for a bit": ("ws", {"lbuf_ifmap": 5 * 3 - 1}, 4),
    "is, an exact fit of two channels": ("is", {"lbuf_filter": 2 * 24}, 2),
    "is, two channels but for a bit": ("is", {"lbuf_filter": 2 * 24 - 1}, 1),
    "tick_batch, an exact fit of two taps": ("tick_batch", {"lbuf_ifmap": 2 * 9}, 2),
    "tick_batch, two taps but for a bit": ("tick_batch", {"lbuf_ifmap": 2 * 9 - 1}, 1),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_fill_a_half(name: str) -> None:
    dataflow, bits, size = CHUNKS[name]
    want = cost(dataflow, "sata-on-spikex" if dataflow == "tick_batch" else "systolic-os", **bits)
    assert min(want["chunk"], {"os": 8, "ws": 48, "is": 5, "tick_batch": 8}[dataflow]) == size


@pytest.mark.parametrize(
    ("dataflow", "bits"),
    [
        ("os", {"lbuf_filter": 15}),
        ("os", {"lbuf_ifmap": 2}),
        ("ws", {"lbuf_ifmap": 2}),
        ("is", {"lbuf_filter": 23}),
        ("os", {"glb_filter": 15, "edge": 1}),
        ("os", {"glb_ifmap": 2, "edge": 1}),
    ],
)
def test_a_half_that_does_not_hold_one(dataflow: str, bits: dict[str, int]) -> None:
    assert assert_layer(WORKLOAD, "systolic-os", ARRAY | {"dataflow": dataflow} | room(**bits)) is None


@pytest.mark.kernels
@pytest.mark.parametrize("edge", [{}, {"memory.lbuf.bytes": 0}], ids=["lbuf", "glb"])
@pytest.mark.parametrize("cut", [{}, {"mapping.positions": 5, "mapping.windows": 2}], ids=["one", "several"])
@pytest.mark.parametrize("gating", [False, True])
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_everything_fits_on_demand(
    dataflow: str, gating: bool, cut: dict[str, int], edge: dict[str, int]
) -> None:
    small = room(glb_filter=1, glb_ifmap=1, lbuf_filter=1, lbuf_ifmap=1, lbuf_psum=1, glb_psum=1)
    keys = ARRAY | small | cut | edge | {"dataflow": dataflow, "zero_gating": gating}
    want = assert_layer(WORKLOAD, "systolic-os", keys | {"mapping.tile": "layer"})
    assert want is not None and len(want["steps"]) == want["batches"]
    assert want["accesses"]["dram"]["psum"] == {"read_bits": 0, "write_bits": 0}
