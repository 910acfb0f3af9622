"""Output spikes equal those of a plain dense forward pass, bit for bit, whatever the schedule."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import naive
from examples import examples
from networks import conv, forward, full, linear, pool, random_weights, small_network, trace_of
from pipeline import outputs, schedule_of, wraps_at
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.core.registry import plugin_names
from spikex_sim.run.simulate import simulate
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator, preset_names
from spikex_sim.spec.networks import load_network
from spikex_sim.testing.kit import once_at_most
from spikex_sim.testing.own_keys import own
from strategies import Workload, make_spikes, overrides, workloads

QUANTISED = "crossbars hold integers: float weights are quantised (test_crossbars.py)"
PRESETS = [name for name in preset_names() if name not in ("ann", "spinalflow")]
"""Those that compute spikes of any network."""
FOLLOWS_TWS = [name for name in PRESETS if load_accelerator(name).scheduler in ("spikex", "ptb")]
FLOATS = {"energy.table": "default", "energy.device": "hp", "memory.dram.kind": "LPDDR4"}
"""A table with float energies."""
INT = {"threshold": 20, "leak_shift": 2, "reset": "zero", "datapath": "int"}


def oracle(workload: Workload, potential_bits: int, psum_bits: int | None = None) -> NDArray[np.bool_]:
    """Output spikes of a dense forward pass."""
    return naive.forward(
        full(workload.layer), workload.spikes, workload.weight, workload.bias, potential_bits, psum_bits
    )


def sha256(spikes: NDArray[np.bool_]) -> str:
    """Hash of output spikes as results give it."""
    return hashlib.sha256(np.packbits(spikes, axis=-1).tobytes()).hexdigest()


def assert_outputs(workload: Workload, base: str | Accelerator, keys: dict[str, Any]) -> str:
    """Execute the schedule and compare, unless a buffer is too small for one; say what happened."""
    arch = load_accelerator(base, own(base, keys))
    try:
        schedule = schedule_of(workload, arch)
    except ConfigError:
        return "a buffer is too small"
    except UnsupportedError:
        assert (workload.spikes.sum(axis=-1) > 1).any()
        return assert_outputs(once_at_most(workload), base, keys)
    got, adds = outputs(workload, arch, schedule)
    want = oracle(workload, arch.potential_bits, wraps_at(arch))
    np.testing.assert_array_equal(got, want)
    assert adds == workload.spec.out_channels * synaptic_events(workload)
    if (want != oracle(workload, arch.potential_bits)).any():
        event("sums wrap around")
    return "some neurons fire" if want.any() else "no neuron fires"


def synaptic_events(workload: Workload) -> int:
    """Spikes times the receptive fields they are in, for one output channel."""
    layer = full(workload.layer)
    if layer["kind"] == "linear":
        return int(workload.spikes.sum())
    fields = naive.receptive_fields(layer, *workload.spikes.shape[1:3])
    return sum(int(workload.spikes[:, y, x].sum()) for field in fields for _, _, y, x in field)


@pytest.mark.kernels
@pytest.mark.parametrize("datapath", ["int", "float"])
@pytest.mark.parametrize("scheduler", [name for name in plugin_names("accelerators") if name != "crossbar"])
@examples(120)
@given(data=st.data())
def test_outputs_equal_a_dense_forward_pass(scheduler: str, datapath: str, data: st.DataObject) -> None:
    if datapath == "float" and scheduler == "spikesim":
        pytest.skip(QUANTISED)
    workload = data.draw(workloads(datapath, largest_map=6, longest=20))
    keys = data.draw(overrides(workload, scheduler))
    event(assert_outputs(workload, Accelerator(scheduler=scheduler), keys))


@pytest.mark.parametrize("dispatch", plugin_names("dispatch"))
@examples(80)
@given(data=st.data())
def test_every_dispatch_policy_gives_the_same_outputs(dispatch: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=6, longest=20))
    keys = data.draw(overrides(workload, "spikex"))
    event(assert_outputs(workload, "spikex", keys | {"dispatch": dispatch}))


@pytest.mark.kernels
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("potential_bits", [2, 4, 8, 9])
def test_saturating_potentials(potential_bits: int, reset: str) -> None:
    # Weights of up to 128 drive 8-bit potentials against both ends; a sum is not clipped before it is added.
    threshold = 2 ** (potential_bits - 1) - 2
    layer = linear("fc", (30, 9), {**INT, "threshold": threshold, "leak_shift": 4, "reset": reset})
    spikes = make_spikes((30, 40), "dense", potential_bits)
    weight = np.random.default_rng(potential_bits).integers(-128, 128, (9, 30)).astype(np.int8)
    workload = Workload(layer, spikes, weight)
    assert oracle(workload, potential_bits).any()
    assert (oracle(workload, potential_bits) != oracle(workload, 30)).any()  # saturation matters
    for base in ("spikex", "ptb"):
        assert (
            assert_outputs(workload, base, {"tws": 3, "potential_bits": potential_bits})
            == "some neurons fire"
        )


@pytest.mark.parametrize("threshold", [-7, -1, 0, 5])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("bias", [None, 0, 3, -3])
def test_silence_that_is_not_free(bias: int | None, reset: str, threshold: int) -> None:
    """Neurons may fire in windows without any input; silent ones are skipped only where they may not."""
    layer = conv("conv", (1, 3), 4, {**INT, "threshold": threshold, "reset": reset})
    spikes = make_spikes((1, 4, 4, 25), "ends", 3)
    weight = np.random.default_rng(4).integers(-9, 20, (3, 1, 3, 3)).astype(np.int8)
    values = None if bias is None else np.array([0, bias, 0], np.int32)
    workload = Workload(layer, spikes, weight, values)
    for tws in (1, 4, 25):
        assert_outputs(workload, "spikex", {"tws": tws, "array.cols": 3})
    schedule = schedule_of(workload, load_accelerator("spikex", {"tws": 4}))
    free = threshold >= 0 and reset == "zero" and not bias
    assert schedule.active.all() == (not free)


def test_a_soft_reset_may_leave_a_rest_that_fires_again() -> None:
    layer = linear("fc", (1, 1), {**INT, "threshold": 10, "leak_shift": 31, "reset": "subtract"})
    spikes = np.zeros((1, 12), bool)
    spikes[0, 0] = True
    workload = Workload(layer, spikes, np.array([[45]], np.int8))
    # 45, 35, 25, 15: each above 10; then 5. A leak by 31 places takes nothing from a positive potential.
    assert oracle(workload, 16)[0].tolist() == [True] * 4 + [False] * 8
    assert_outputs(workload, "spikex", {"tws": 2})


@pytest.mark.parametrize("preset", PRESETS)
def test_the_rest_of_a_soft_reset_saturates(preset: str) -> None:
    """As a graph's does (test_graphs.py)."""
    neuron = {**INT, "threshold": -3, "leak_shift": 31, "reset": "subtract"}
    spikes = np.array([[1, 0, 0, 0], [0, 1, 0, 0]], bool).reshape(2, 1, 1, 4)
    weight = np.array([3, -6], np.int8).reshape(1, 2, 1, 1)
    workload = Workload(conv("conv", (2, 1), 1, neuron, kernel=1), spikes, weight)
    # Three bits hold -4 to 3. 3 fires and rests at 3, where 6 would fire again after -6; -3 does not fire
    # and leaks to -2, which does and rests at 1, which does.
    want = oracle(workload, 3)
    assert want.ravel().tolist() == [True, False, True, True]
    trace = trace_of([workload.layer], spikes, [workload.weight])
    result = simulate(trace, preset, overrides=own(preset, {"tws": 1, "potential_bits": 3}))
    assert result.layers[0].output_sha256 == sha256(want)


FLOAT = {"threshold": 0.5, "leak": 1.0, "reset": "zero", "datapath": "float"}
BIG = 2.0**25  # next to it, float32 has no room for 1


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("weight", "fires"),
    [
        # In ascending order of taps (channel, i, j): (2^25 + 1) - 2^25 = 0, + 1 fires; from the other end
        # ((1 - 2^25) + 1) + 2^25 = 0.
        ([[[[BIG, 1], [-BIG, 1]]]], True),
        ([[[[1, -BIG], [1, BIG]]]], False),
        ([[[[1, BIG], [-BIG, 0]]]], False),
    ],
)
def test_floats_are_added_in_ascending_order_of_rows_and_columns(weight: list[Any], fires: bool) -> None:
    layer = conv("conv", (1, 1), 2, FLOAT, kernel=2)
    workload = Workload(layer, np.ones((1, 2, 2, 1), bool), np.array(weight, np.float32))
    assert oracle(workload, 16).item() is fires
    assert_outputs(workload, "spikex", {"tws": 1})


@pytest.mark.kernels
@pytest.mark.parametrize(("weight", "fires"), [([BIG, 1, -BIG, 1], True), ([1, -BIG, 1, BIG], False)])
def test_floats_are_added_in_ascending_order_of_channels(weight: list[float], fires: bool) -> None:
    spikes = np.ones((4, 1), bool)
    workload = Workload(linear("fc", (4, 1), FLOAT), spikes, np.array([weight], np.float32))
    assert oracle(workload, 16).item() is fires
    for base in ("spikex", "ptb"):
        assert_outputs(workload, base, {"tws": 1})


@pytest.mark.kernels
def test_the_bias_is_added_after_the_weights_and_the_potential_after_the_bias() -> None:
    # (2^25 - 2^25) + 1 fires, 1 + 2^25 - 2^25 does not.
    spikes = np.array([[1], [1]], bool)
    weight, bias = np.array([[BIG, -BIG]], np.float32), np.array([1], np.float32)
    workload = Workload(linear("fc", (2, 1), FLOAT), spikes, weight, bias)
    assert oracle(workload, 16).item() is True
    assert_outputs(workload, "spikex", {"tws": 1})
    # A potential of -2^25 meets 2^25 + 1 = 2^25 and is 0; added first, the 1 of the bias would be left.
    spikes = np.array([[1, 0], [0, 1]], bool)
    workload = Workload(linear("fc", (2, 1), FLOAT), spikes, np.array([[-BIG, BIG]], np.float32), bias)
    assert oracle(workload, 16).ravel().tolist() == [False, False]
    assert_outputs(workload, "spikex", {"tws": 1})


# --- Whole networks, through `simulate` -----------------------------------------------------------


@pytest.mark.parametrize("engine", plugin_names("engines"))
@pytest.mark.parametrize("datapath", ["int", "float"])
@pytest.mark.parametrize("preset", PRESETS)
def test_networks_in_every_preset_and_engine(preset: str, datapath: str, engine: str) -> None:
    if datapath == "float" and load_accelerator(preset).scheduler in ("spikesim", "crossbar"):
        pytest.skip(QUANTISED)
    layers, spikes = small_network(datapath), make_spikes((2, 6, 6, 10), "medium", 5)
    weights = random_weights(layers, 6)
    want = forward(layers, spikes, weights)
    assert all(0.02 < layer.mean() < 0.9 for layer in want), "a layer is silent: nothing is tested"
    overrides = FLOATS if datapath == "float" else {}
    tws = 3 if preset in FOLLOWS_TWS else None
    result = simulate(trace_of(layers, spikes, weights), preset, tws=tws, engine=engine, overrides=overrides)
    for layer, spikes_out in zip(result.layers, want, strict=True):
        assert layer.output_sha256 == sha256(spikes_out), layer.name
        assert layer.output_spikes == int(spikes_out.sum())


@pytest.mark.parametrize("preset", FOLLOWS_TWS)
@pytest.mark.parametrize("tws", ["auto", [1, 10, 4]], ids=str)
def test_window_sizes_per_layer_do_not_change_outputs(tws: Any, preset: str) -> None:
    layers, spikes = small_network("int"), make_spikes((2, 6, 6, 10), "medium", 7)
    weights = random_weights(layers, 8)
    result = simulate(trace_of(layers, spikes, weights), preset, tws=tws)
    assert [layer.output_sha256 for layer in result.layers] == list(
        map(sha256, forward(layers, spikes, weights))
    )
    used = [layer.tws for layer in result.layers if layer.tws is not None]
    if tws != "auto":
        assert used == tws
    else:
        assert all(1 <= size <= 10 for size in used)


def test_an_automatic_window_size_is_the_one_with_the_smallest_edp() -> None:
    layers, spikes = small_network("int"), make_spikes((2, 6, 6, 10), "medium", 7)
    trace = trace_of(layers, spikes, random_weights(layers, 8))
    chosen = simulate(trace, "ptb", tws="auto")
    alone = {tws: simulate(trace, "ptb", tws=tws) for tws in range(1, 11)}
    for index, layer in enumerate(chosen.layers):
        if layer.tws is not None:
            edp = {tws: result.layers[index].edp_js for tws, result in alone.items()}
            assert layer.tws == min(edp, key=lambda tws: (edp[tws], tws))


@pytest.mark.parametrize("name", ["nmnist", "dvs-gesture-medium", "dvs-gesture-large"])
@pytest.mark.parametrize(("preset", "tws"), [("spikex", 2), ("ptb", 3)])
def test_the_papers_networks(name: str, preset: str, tws: int) -> None:
    neuron = {"threshold": 150, "leak_shift": 3, "reset": "zero", "datapath": "int"}
    layers = [layer.model_dump(exclude_none=True) | {"neuron": neuron} for layer in load_network(name).layers]
    spikes = make_spikes((*load_network(name).layers[0].input_shape, 3), "medium", 9)
    weights = random_weights(layers, 10)
    result = simulate(trace_of(layers, spikes, weights), preset, tws=tws)
    want = forward(layers, spikes, weights)
    assert [layer.output_sha256 for layer in result.layers] == list(map(sha256, want))
    assert all(layer.any() for layer in want)


def test_recorded_inputs_are_used_and_compared() -> None:
    layers, spikes = small_network("int"), make_spikes((2, 6, 6, 10), "medium", 11)
    weights = random_weights(layers, 12)
    closed = forward(layers, spikes, weights)
    recorded = closed[1].copy()
    recorded[0, 1, 2, 3:6] ^= True
    result = simulate(trace_of(layers, {0: spikes, 2: recorded}, weights), tws=4)
    after = forward(layers[2:], recorded, weights[2:])
    assert [layer.output_sha256 for layer in result.layers] == list(map(sha256, [*closed[:2], *after]))
    assert [layer.mismatched_spikes for layer in result.layers] == [None, None, 3, None]
    agreeing = simulate(trace_of(layers, {0: spikes, 2: closed[1]}, weights), tws=4)
    assert [layer.mismatched_spikes for layer in agreeing.layers] == [None, None, 0, None]
    assert [layer.output_sha256 for layer in agreeing.layers] == list(map(sha256, closed))


def test_costs_without_weights_are_those_with_weights() -> None:
    layers, spikes = small_network("int"), make_spikes((2, 6, 6, 10), "medium", 13)
    weights = random_weights(layers, 14)
    closed = forward(layers, spikes, weights)
    inputs = {0: spikes, 1: closed[0], 2: closed[1], 3: closed[2].reshape(36, 10)}
    bare = simulate(trace_of(layers, inputs), tws=4)
    for without, given_weights in zip(
        bare.layers, simulate(trace_of(layers, spikes, weights), tws=4).layers, strict=True
    ):
        assert (without.cycles, without.stalls) == (given_weights.cycles, given_weights.stalls)
        assert (without.operations, without.counts) == (given_weights.operations, given_weights.counts)
        assert without.output_sha256 is None or without.kind == "maxpool"


@st.composite
def maxpools(draw: st.DrawFn) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Max-pooling of any window, overlapping or with gaps, and its input."""
    kernel = [draw(st.integers(1, 3)) for _ in range(2)]
    sides = [draw(st.integers(kernel[axis], 6)) for axis in range(2)]
    layer = {
        "name": "pool", "kind": "maxpool", "in_channels": 2, "out_channels": 2, "kernel": kernel,
        "stride": [draw(st.integers(1, 3)) for _ in range(2)],
        "padding": [draw(st.integers(0, size - 1)) for size in kernel],
        "in_height": sides[0], "in_width": sides[1],
    }  # fmt: skip
    return layer, make_spikes((2, *sides, draw(st.integers(1, 12))), "medium", draw(st.integers(0, 999)))


@examples(30)
@given(maxpools())
def test_maxpool_is_the_or_over_its_window(case: tuple[dict[str, Any], NDArray[np.bool_]]) -> None:
    layer, spikes = case
    result = simulate(trace_of([layer], spikes), tws=1).layers[0]
    assert result.output_sha256 == sha256(naive.maxpool(layer, spikes))
    assert result.cycles == result.steps == result.accumulations == 0
    assert result.energy_pj == 0


AVGPOOLS = {
    "tiling": pool("avgpool", 2, 6),
    "gaps": pool("avgpool", 2, 7, kernel=2, stride=3),
    "remainder": pool("avgpool", 2, 7, kernel=2, stride=2),
    "padded": pool("avgpool", 2, 6, kernel=3, stride=3, padding=1),
    "overlapping": pool("avgpool", 2, 6, kernel=3, stride=1),
    "not square": pool("avgpool", 2, 6, kernel=[2, 3], stride=[1, 3]),
}


@pytest.mark.parametrize("after", ["conv", "linear"])
@pytest.mark.parametrize("name", AVGPOOLS)
def test_avgpool_is_folded_into_what_follows(name: str, after: str) -> None:
    before = AVGPOOLS[name]
    spikes = make_spikes((2, before["in_height"], before["in_width"], 9), "medium", 15)
    pooled = naive.pooled_sums(before, spikes)
    assert pooled.max() > 1
    neuron = {**INT, "threshold": 12}
    if after == "conv":
        layer = conv("conv", (2, 4), 0, neuron, kernel=[2, 1], stride=[1, 2])
        layer |= {"in_height": pooled.shape[1], "in_width": pooled.shape[2]}
    else:
        layer = linear("fc", (pooled[..., 0].size, 4), neuron)
    shape = (4, 2, 2, 1) if after == "conv" else (4, pooled[..., 0].size)
    weight = np.random.default_rng(16).integers(-12, 13, shape).astype(np.int8)
    slow = naive.avgpool_then_conv if after == "conv" else naive.avgpool_then_linear
    want = slow(before, full(layer), spikes, weight)
    assert want.any()
    for preset in ("spikex", "ptb"):
        result = simulate(trace_of([before, layer], spikes, [None, weight]), preset, tws=2)
        assert result.layers[1].output_sha256 == sha256(want)


def test_samples_are_summed() -> None:
    layers = small_network("int")
    spikes = np.stack([make_spikes((2, 6, 6, 10), "medium", seed) for seed in (17, 18, 19)])
    weights = random_weights(layers, 20)
    whole = simulate(trace_of(layers, spikes, weights), tws=4)
    alone = [simulate(trace_of(layers, sample, weights), tws=4) for sample in spikes]
    for index, layer in enumerate(whole.layers):
        parts = [result.layers[index] for result in alone]
        assert layer.cycles == sum(part.cycles for part in parts)
        assert layer.output_spikes == sum(part.output_spikes or 0 for part in parts)
        assert layer.accesses == sum((part.accesses for part in parts[1:]), parts[0].accesses)
    assert [sample.cycles for sample in whole.samples] == [result.totals.cycles for result in alone]
