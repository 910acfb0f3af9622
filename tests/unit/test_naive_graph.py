"""The slow oracle of graph networks, on graphs small enough to be worked out by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import (
    Array,
    conv,
    currents,
    drawn_spikes,
    drawn_weights,
    network,
    population,
    spikes_of,
    spiking_input,
)
from naive_graph import digest, evaluate
from naive_graph_cost import COUNTED, Machine, costs, dense_costs
from naive_graph_trace import read

SEEDS = range(4)


# Neurons, one fed by hand. --------------------------------------------------------------------------


def driven(neuron: dict[str, Any], sums: list[Any], arrays: dict[str, Any] | None = None) -> list[int]:
    """Spikes of one neuron that sees these sums."""
    floating = neuron.get("datapath") == "float"
    given = np.array(sums, np.float32 if floating else np.int32).reshape(1, 1, 1, -1)
    source = {"name": "in", "kind": "input", "shape": [1, 1, 1], "values": {"bits": 16, "signed": True}}
    nodes = [source, population([{"from": "in", "kind": "identity"}], 1, neuron)]
    trace = network(nodes, len(sums), {"in/values": given} | (arrays or {}))
    return [int(one) for one in spikes_of(trace).ravel()]


@pytest.mark.parametrize(
    ("neuron", "sums", "wanted"),
    [
        # v = 10 is not above 10, but at it.
        ({"threshold": 10}, [10, 1, 0, 10], [0, 1, 0, 0]),
        ({"threshold": 10, "fires": "at"}, [10, 1, 0, 10], [1, 0, 0, 1]),
        # u: 25 - 10 = 15, 15 - 10 = 5, 5.
        ({"threshold": 10, "reset": "subtract"}, [25, 0, 0, 6], [1, 1, 0, 1]),
        # v: 25; 25 + 9 - 10 = 24; 24 + 0 - 10 = 14; 14 - 10 = 4.
        ({"threshold": 10, "reset": "subtract", "reset_delay": 1}, [25, 9, 0, 0], [1, 1, 1, 0]),
        # The input after a spike is lost: v 11, 0 (not 50), 11.
        ({"threshold": 10, "reset_delay": 1}, [11, 50, 11, 11], [1, 0, 1, 0]),
        ({"threshold": 10, "reset": "none"}, [11, 0, -1, 0], [1, 1, 0, 0]),
        # Leaks round towards minus infinity: -3 - (-3 >> 1) = -1, so that v is -1 + 2 = 1.
        ({"threshold": 0, "leak_shift": 1}, [-3, 2, 0], [0, 1, 0]),
        # i: 8, 4, 2, 1; v: 8, 12 (reset), 2, 3.
        ({"threshold": 10, "current": {"leak_shift": 1}}, [8, 0, 0, 0], [0, 1, 0, 0]),
        # a: 0, 5, 10, 10; each v is 11, 11, 16, 16.
        ({"threshold": 10, "adaptation": {"step": 5}}, [11, 11, 5, 5], [1, 0, 1, 0]),
        # a: 8, 4, 2, 1: 13 is not above 10 + 8 nor 10 + 4, but above 10 + 2.
        (
            {"threshold": 10, "leak_shift": 0, "adaptation": {"leak_shift": 1, "step": 8}},
            [11, 13, 13, 13],
            [1, 0, 0, 1],
        ),
        # Saturated at 32767: with one more it could fire.
        ({"threshold": 32767, "fires": "above"}, [32767, 32767], [0, 0]),
        ({"threshold": 32767, "fires": "at"}, [32767, 0], [1, 0]),
        # At the other end: v = -32768, so that 32768 leads to 0.
        ({"threshold": -1, "reset": "none"}, [-32768, -32768, 32767, 1], [0, 0, 0, 1]),
        # i stays at 32767, so that it comes back to 0.
        ({"threshold": 0, "leak_shift": 0, "current": {}}, [32767, 32767, -32767], [1, 1, 0]),
        # What a reset leaves is 32767, not 32777: v = -11 is not above -10.
        ({"threshold": -10, "reset": "subtract"}, [32767, -32778], [1, 0]),
        # a stays at 32767, so that the bar stays at -1.
        ({"threshold": -32768, "reset": "none", "adaptation": {"step": 32767}}, [0, 0, 0], [1, 1, 1]),
        # Halves: v = 1, 1.5, 0.75.
        (
            {"datapath": "float", "threshold": 1.25, "leak": 0.5, "reset": "none"},
            [1.0, 1.0, 0.0],
            [0, 1, 0],
        ),
    ],
)  # fmt: skip
def test_neurons(neuron: dict[str, Any], sums: list[Any], wanted: list[int]) -> None:
    assert driven(neuron, sums) == wanted


def test_numbers_of_a_neuron_per_channel() -> None:
    arrays = {"in/spikes": np.ones((2, 1, 1, 3), np.bool_), "out/synapse-0/weight": np.array([5, 5], np.int8),
              "out/neuron/threshold": np.array([4, 14], np.int32)}  # fmt: skip
    nodes = [spiking_input(2, 1, 1), population([{"from": "in", "kind": "identity"}], 2, {})]
    assert spikes_of(network(nodes, 3, arrays)).reshape(2, 3).tolist() == [[1, 1, 1], [0, 0, 1]]


# Values, worked out by hand. ------------------------------------------------------------------------


def values_of(nodes: list[dict[str, Any]], T: int, arrays: dict[str, Any], node: str = "sum") -> list[Any]:
    listed: list[Any] = evaluate(network(nodes, T, arrays)).computed[node].values.tolist()
    return listed


def image(values: Array, **keys: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a constant analog input ``[C, H, W]`` and its array."""
    described = {"bits": 8, "signed": True, "constant": True} | keys
    node = {"name": "img", "kind": "input", "shape": list(values.shape), "values": described}
    return node, {"img/values": values.astype(np.int32)}


GRID = np.arange(9).reshape(1, 3, 3)  # 0 1 2 | 3 4 5 | 6 7 8


@pytest.mark.parametrize(
    ("synapse", "wanted"),
    [
        ({"kind": "identity", "weight": -2}, [[0, -2, -4], [-6, -8, -10], [-12, -14, -16]]),
        ({"kind": "identity", "weight": -1, "shift": 1}, [[0, -1, -1], [-2, -2, -3], [-3, -4, -4]]),
        ({"kind": "avgpool", "kernel": 2}, [[8, 12], [20, 24]]),
        ({"kind": "avgpool", "kernel": 2, "stride": 2, "padding": 1}, [[0, 3], [9, 24]]),
        # One row above and two columns to the right, of padding.
        ({"kind": "avgpool", "kernel": [2, 1], "padding": [1, 0, 0, 2]},
         [[0, 1, 2, 0, 0], [3, 5, 7, 0, 0], [9, 11, 13, 0, 0]]),
        ({"kind": "avgpool", "kernel": [1, 2], "dilation": 2}, [[2], [8], [14]]),
    ],
)  # fmt: skip
def test_own_channels(synapse: dict[str, Any], wanted: list[Any]) -> None:
    node, arrays = image(GRID)
    assert values_of([node, currents([{"from": "img"} | synapse], 1)], 2, arrays) == [wanted]


def test_padding_takes_no_part_in_the_maximum_of_currents() -> None:
    node, arrays = image(-GRID - 1)
    pool = {"from": "sum", "kind": "maxpool", "kernel": 2, "stride": 2, "padding": 1, "weight": 3, "shift": 1}
    nodes = [node, currents([{"from": "img", "kind": "identity"}], 1), currents([pool], 1, "top")]
    # Maxima -1, -2 | -4, -5; times 3, halved towards minus infinity.
    assert values_of(nodes, 2, arrays, "top") == [[[-2, -3], [-6, -8]]]


def test_sums_of_synapses_shift_apart_and_bias_comes_on_top() -> None:
    node, arrays = image(np.array([3]).reshape(1, 1, 1))
    shifted = {"from": "img", "kind": "identity", "shift": 1}
    nodes = [node, currents([shifted, shifted], 1)]
    assert values_of(nodes, 1, arrays | {"sum/bias": np.array([10])}) == [[[12]]]


def test_float_sums_run_from_synapse_to_synapse() -> None:
    ones = np.ones((1, 1, 1, 1), np.bool_)
    image_node, image_array = image(np.ones((1, 1, 1)), scale=0.5)
    large = {"from": "in", "kind": "identity", "weight": 2.0**24}
    small = {"from": "in", "kind": "identity", "weight": 1.0}
    analog = {"from": "img", "kind": "identity", "weight": 4.0}

    def total(*synapses: dict[str, Any]) -> Any:
        nodes = [spiking_input(1, 1, 1), image_node, currents(list(synapses), 1, datapath="float")]
        return values_of(nodes, 1, image_array | {"in/spikes": ones})[0][0][0][0]

    # 2^24 + 1 rounds to 2^24: one by one nothing is added, together before it is.
    assert total(large, small, small) == 2.0**24
    assert total(small, small, large) == 2.0**24 + 2
    # The addend of an analog synapse, 4 · (0.5 · 1), enters in its place.
    assert total(large, small, analog) == 2.0**24 + 2
    assert total(small, analog, large) == 2.0**24 + 4  # 3 rounds to the even 4


def test_float_currents_are_summed_before_their_weight() -> None:
    node, arrays = image(np.ones((1, 1, 3)), scale=0.1)
    pool = {"from": "sum", "kind": "avgpool", "kernel": [1, 3], "weight": 0.9}
    nodes = [node, currents([{"from": "img", "kind": "identity", "weight": 1.0}], 1, datapath="float"),
             currents([pool], 1, "top", datapath="float")]  # fmt: skip
    tenth, weight = np.float32(0.1), np.float32(0.9)
    wanted = (tenth + tenth + tenth) * weight
    assert wanted != tenth * weight + tenth * weight + tenth * weight
    assert values_of(nodes, 1, arrays, "top") == [[[wanted]]]


def test_values_that_do_not_fit_are_refused_by_node_and_sample() -> None:
    node, arrays = image(np.full((1, 1, 1), 127))
    nodes = [node, currents([{"from": "img", "kind": "identity", "weight": 66052}], 1)]
    assert values_of(nodes, 1, arrays) == [[[127 * 66052]]]  # 4 below 2^23
    nodes[1]["synapses"][0]["weight"] += 1
    with pytest.raises(ValueError, match="sum, sample 0: a value beyond 24 bits"):
        values_of(nodes, 1, arrays)


def test_recurrence() -> None:
    """Spikes 1 at t = 0 alone; each comes back two time points later."""
    first = np.array([1, 0, 0, 0, 0, 0], np.bool_).reshape(1, 1, 1, 6)
    back = {"from": "out", "kind": "identity", "weight": 7, "delay": 2}
    nodes = [spiking_input(1, 1, 1), population([{"from": "in", "kind": "identity", "weight": 7}, back], 1,
                                                {"threshold": 6})]  # fmt: skip
    trace = network(nodes, 6, {"in/spikes": first})
    assert spikes_of(trace).ravel().tolist() == [1, 0, 1, 0, 1, 0]
    # Open loop: what was recorded comes back, itself included.
    trace.arrays["out/spikes"] = np.packbits(
        np.array([0, 1, 0, 0, 0, 0], np.bool_).reshape(first.shape), axis=-1
    )
    evaluated = evaluate(trace)
    assert evaluated.computed["out"].values.ravel().tolist() == [1, 0, 0, 1, 0, 0]
    assert evaluated.mismatched == {"out": 3}
    assert evaluated.maps["out"].values.ravel().tolist() == [0, 1, 0, 0, 0, 0]


def test_joins() -> None:
    wide = np.array([1, 1, 0, 0], np.bool_).reshape(4, 1, 1, 1)
    narrow = np.array([1, 0], np.bool_).reshape(2, 1, 1, 1)
    flat = np.array([[1, 0], [0, 1]], np.bool_).reshape(1, 2, 2, 1)

    def join(how: str, *names: str, **keys: Any) -> list[Any]:
        operands = {"wide": wide, "narrow": narrow, "flat": flat}
        nodes = [spiking_input(*operand.shape[:3], name=name) for name, operand in operands.items()]
        nodes.append({"name": "out", "kind": "join", "how": how, "from": list(names)} | keys)
        arrays = {f"{name}/spikes": operand for name, operand in operands.items()}
        listed: list[Any] = spikes_of(network(nodes, 1, arrays))[..., 0].astype(int).tolist()
        return listed

    assert join("or", "wide", "narrow") == [[[1]], [[1]], [[0]], [[0]]]
    assert join("iand", "wide", "narrow") == [[[0]], [[0]], [[0]], [[0]]]
    assert join("iand", "narrow", "flat") == [[[0, 1], [1, 0]], [[0, 0], [0, 0]]]
    assert join("and", "flat", "narrow") == [[[1, 0], [0, 1]], [[0, 0], [0, 0]]]
    assert join("concat", "narrow", "wide") == [[[1]], [[0]], [[1]], [[1]], [[0]], [[0]]]
    assert join("slice", "wide", channels=[1, 3]) == [[[1]], [[0]]]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("transpose_a", "transpose_b"), [(True, False), (False, True), (False, False), (True, True)]
)
def test_products_are_those_of_matrices(transpose_a: bool, transpose_b: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Two heads; what is summed over are 4 channels a head or 4 positions.
    sizes = {True: (8, 3, 1), False: (6, 2, 2)}, {True: (6, 2, 2), False: (8, 3, 1)}
    a, b = (drawn_spikes(rng, *size, 5) for size in (sizes[0][transpose_a], sizes[1][transpose_b]))
    product = {"name": "out", "kind": "matmul", "a": "a", "b": "b", "heads": 2, "scale": 0.5,
               "transpose_a": transpose_a, "transpose_b": transpose_b}  # fmt: skip
    nodes = [spiking_input(*a.shape[:3], name="a"), spiking_input(*b.shape[:3], name="b"), product]
    A, B = (one.reshape(2, len(one) // 2, -1, 5).astype(int) for one in (a, b))
    wanted = np.einsum(
        f"{'hkit' if transpose_a else 'hikt'},{'hjkt' if transpose_b else 'hkjt'}->hijt", A, B
    ) // 2  # fmt: skip
    trace = network(nodes, 5, {"a/spikes": a, "b/spikes": b})
    evaluated = evaluate(trace)
    found = evaluated.computed["out"].values
    assert found.shape == (6, 3, 1, 5)
    assert np.array_equal(found, wanted.reshape(found.shape))
    # Every one of the streamed operand meets each row or column of the other.
    counts = costs(trace, evaluated, Machine("spikex", 1))["out"]
    assert counts["stream"] == ("b" if b.sum() < a.sum() else "a")
    assert counts["accumulations"] == 3 * min(a.sum(), b.sum())
    assert counts["ntwus"] == 2 * 5 * 3 * 3


def test_samples_and_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    spikes, weight = drawn_spikes(rng, 2, 3, 2, 2, 9), drawn_weights(rng, 4, 3, 2, 2)
    nodes = [spiking_input(3, 2, 2), population([conv(kernel=2)], 4)]
    trace = network(nodes, 9, {"in/spikes": spikes, "out/synapse-0/weight": weight}, samples=2)
    np.savez(tmp_path / "t.npz", meta=json.dumps(trace.meta), **trace.arrays)
    loaded = read(tmp_path / "t.npz")
    assert loaded.samples == 2
    for sample in range(2):
        alone = network(nodes, 9, {"in/spikes": spikes[sample], "out/synapse-0/weight": weight})
        wanted = evaluate(alone).computed["out"]
        assert digest(evaluate(loaded, sample).computed["out"]) == digest(wanted)
        bits = np.packbits(wanted.values, axis=-1)
        assert digest(wanted) == hashlib.sha256(bits.tobytes()).hexdigest()


# Costs, worked out by hand. -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixel", "reuse", "wanted", "dense"),
    [
        # The pass: a batch of 4 columns in each of two row groups, 1 + 1 cycles, a skew of 7 + 3 or 0 + 3.
        # Then 12 columns without taps: batches of two windows and of one at each position, each 2 + 1 cycles.
        (5, True, (6, 144, 2, 0, 36, 216, 17 + (9 + 14) + (9 + 7)), (30, 52, 31)),
        # The same pass, but nothing comes of it.
        (0, True, (2, 36, 2, 0, 36, 0, 17), (30, 52, 31)),
        # Every window streams its tap; a product for each of the five time points.
        (0, False, (4, 108, 4, 0, 180, 216, (2 + 4 + 2 + 2) * 2 + 14 + 7), (90, 84, 93)),
    ],
)
def test_counts_of_a_constant_image(
    pixel: int, reuse: bool, wanted: tuple[int, ...], dense: tuple[int, ...]
) -> None:
    """Five time points in windows of two; nine channels at four positions see one pixel each."""
    node, arrays = image(np.full((1, 2, 2), pixel))
    arrays["out/synapse-0/weight"] = np.ones((9, 1, 1, 1), np.int8)
    trace = network([node, population([conv("img")], 9)], 5, arrays)
    counts = costs(trace, evaluate(trace), Machine("spikex", 2, reuse))["out"]
    assert tuple(counts[key] for key in COUNTED) == wanted
    assert tuple(dense_costs(trace, evaluate(trace), reuse)["out"].values()) == dense


def ntwus(nodes: list[dict[str, Any]], arrays: dict[str, Any]) -> int:
    trace = network(nodes, 4, arrays)
    count: int = costs(trace, evaluate(trace), Machine("spikex", 2))["out"]["ntwus"]
    return count


def test_what_is_active() -> None:
    """Four positions, two windows: 8 where all are, 1 where one spike is seen."""
    silent = np.zeros((1, 2, 2, 4), np.bool_)
    one = silent.copy()
    one[0, 0, 1, 3] = True
    direct = [spiking_input(1, 2, 2), population([{"from": "in", "kind": "identity"}], 1)]
    summed = [
        spiking_input(1, 2, 2),
        currents([{"from": "in", "kind": "identity"}], 1),
        population([{"from": "sum", "kind": "identity"}], 1),
    ]
    assert [ntwus(direct, {"in/spikes": spikes}) for spikes in (silent, one)] == [0, 1]
    assert [ntwus(direct, {"in/spikes": one, "out/bias": np.array([bias])}) for bias in (0, -1)] == [1, 8]
    # Currents are active everywhere unless all are zero in the sample, analog values even then.
    assert [ntwus(summed, {"in/spikes": spikes}) for spikes in (silent, one)] == [0, 8]
    analog = {"name": "in", "kind": "input", "shape": [1, 2, 2], "values": {"bits": 8}}
    values = {"in/values": np.zeros((1, 2, 2, 4), np.int32)}
    assert ntwus([analog, *direct[1:]], values) == 8
    # So they are where a position sees nothing but padding: 16 positions of the padded map.
    padded = population([{"from": "in", "kind": "avgpool", "padding": 1}], 1)
    assert ntwus([analog, padded], values) == 32


def test_constant_currents_of_currents_are_a_pass() -> None:
    """One tap, one update and the skew of four columns; then four words and one update."""
    node, arrays = image(np.ones((1, 2, 2)))
    pool = {"from": "sum", "kind": "avgpool", "kernel": 2}
    nodes = [node, currents([{"from": "img", "kind": "identity"}], 1), currents([pool], 1, "top")]
    trace = network(nodes, 3, arrays)
    counts = costs(trace, evaluate(trace), Machine("ptb", 3))
    assert [counts[name]["batches"] for name in ("sum", "top")] == [4, 1]
    assert [counts[name]["compute_cycles"] for name in ("sum", "top")] == [4 * (1 + 1), 4 + 1]
    counts = costs(trace, evaluate(trace), Machine("spikex", 3))
    assert [counts[name]["compute_cycles"] for name in ("sum", "top")] == [1 + 1 + 3, 4 + 1]


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        ([0, 0], 1),
        ([0, 1], 1),
        ([0, 4], 3),
        ([-1, 0], 1),
        ([-1, 1], 2),
        ([-4, 3], 3),
        ([-4, 4], 4),
        ([-5, 0], 4),
    ],
)
def test_bits_of_a_filter(values: list[int], bits: int) -> None:
    node, arrays = image(np.array(values).reshape(1, 1, 2))
    product = {"name": "out", "kind": "matmul", "a": "in", "b": "sum"}
    nodes = [node, spiking_input(1, 1, 1), currents([{"from": "img", "kind": "identity"}], 1), product]
    trace = network(nodes, 1, arrays | {"in/spikes": np.ones((1, 1, 1, 1), np.bool_)})
    counts = costs(trace, evaluate(trace), Machine("spikex", 1))["out"]
    assert (counts["stream"], counts["filter_bits"]) == ("a", bits)
