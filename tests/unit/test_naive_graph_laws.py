"""Laws that the slow oracle of graph networks keeps, on networks drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import naive
from graphs import (
    LIF,
    conv,
    currents,
    drawn_spikes,
    drawn_weights,
    network,
    population,
    spikes_of,
    spiking_input,
)
from naive_cost import cost
from naive_graph import evaluate
from naive_graph_cost import COUNTED, Machine, costs, dense_costs, main_layers, work_of
from naive_graph_trace import Trace

MACHINES = [Machine(name, tws) for name in ("spikex", "ptb") for tws in (1, 2, 3)]
SEEDS = range(4)


def all_counts(trace: Trace) -> list[Any]:
    evaluated = evaluate(trace)
    return [costs(trace, evaluated, machine)["out"] for machine in MACHINES] + [
        dense_costs(trace, evaluated)["out"]
    ]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("datapath", ["int", "float"])
def test_a_chain_is_a_graph(datapath: str, seed: int) -> None:
    """Outputs and counts are those of the oracle of chains."""
    rng = np.random.default_rng(seed)
    T, spikes = 11, drawn_spikes(rng, 2, 7, 6, 11)
    neuron = {"int": {"threshold": 20, "leak_shift": 2}, "float": {"threshold": 20.0, "leak": 0.75}}[datapath]
    full = {"reset": rng.choice(["zero", "subtract"]).item(), "datapath": datapath}
    first, second = drawn_weights(rng, 9, 2, 3, 3), drawn_weights(rng, 11, 9 * 3 * 3)
    if datapath == "float":
        first, second = (one.astype(np.float32) / 3 for one in (first, second))
    bias = np.array([3] * 11, np.int32 if datapath == "int" else np.float32)
    nodes = [
        spiking_input(2, 7, 6),
        {"name": "a", "kind": "neurons", "channels": 9, "synapses": [conv(kernel=3, padding=1)],
         "neuron": neuron | full},
        {"name": "p", "kind": "maxpool", "from": "a", "kernel": 2, "stride": 2},
        population([{"from": "p", "kind": "linear"}], 11, neuron | full),
    ]  # fmt: skip
    arrays = {
        "in/spikes": spikes,
        "a/synapse-0/weight": first,
        "out/synapse-0/weight": second,
        "out/bias": bias,
    }
    trace = network(nodes, T, arrays)
    evaluated = evaluate(trace)

    layers = [{"kind": "conv", "kernel": 3, "stride": 1, "padding": 1, "in_channels": 2, "out_channels": 9,
               "in_height": 7, "in_width": 6, "neuron": neuron | full},
              {"kind": "linear", "kernel": 1, "stride": 1, "padding": 0, "in_channels": 81,
               "out_channels": 11, "in_height": 1, "in_width": 1, "neuron": neuron | full}]  # fmt: skip
    a = naive.forward(layers[0], spikes, first)
    p = naive.maxpool({"kernel": 2, "stride": 2, "padding": 0}, a)
    out = naive.forward(layers[1], p, second, bias)
    assert np.array_equal(evaluated.computed["a"].values, a)
    assert np.array_equal(evaluated.computed["p"].values, p)
    assert np.array_equal(evaluated.computed["out"].values.reshape(11, T), out.reshape(11, T))

    for machine in MACHINES:
        found = costs(trace, evaluated, machine)
        config = {"scheduler": machine.name, "tws": machine.tws, "mapping": {"tile": "layer"}}
        for name, layer, seen, biased in (
            ("a", layers[0], spikes, False),
            ("out", layers[1], p.reshape(81, T), True),
        ):
            wanted = cost(layer, seen, config, biased)
            assert {key: found[name][key] for key in COUNTED if key != "multiplications"} == {
                key: wanted[key] for key in COUNTED if key != "multiplications"
            }, (name, machine)
            assert machine.name == "ptb" or found[name]["mode"] == wanted["mode"]


@pytest.mark.parametrize("seed", SEEDS)
def test_average_pooling_is_folded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stride, padding = [(2, 0), (1, 0), (2, 1), (3, 1)][seed]
    spikes, weight = drawn_spikes(rng, 3, 8, 6, 7), drawn_weights(rng, 4, 3, 2, 2)
    pool = {"kernel": 2, "stride": stride, "padding": padding}
    layer = {"kernel": 2, "stride": 1, "padding": 0, "neuron": LIF | {"reset": "zero", "datapath": "int"}}
    nodes = [spiking_input(3, 8, 6), {"name": "pool", "kind": "avgpool", "from": "in"} | pool,
             population([conv("pool", kernel=2)], 4)]  # fmt: skip
    trace = network(nodes, 7, {"in/spikes": spikes, "out/synapse-0/weight": weight})
    assert np.array_equal(spikes_of(trace), naive.avgpool_then_conv(pool, layer, spikes, weight))


@pytest.mark.parametrize("seed", SEEDS)
def test_channels_split_over_two_synapses(seed: int) -> None:
    """Law 2: no output, no cycle and no count changes."""
    rng = np.random.default_rng(seed)
    spikes, weight = drawn_spikes(rng, 5, 5, 4, 9, rate=0.1), drawn_weights(rng, 10, 5, 3, 3)
    keys = {"kernel": 3, "padding": [1, 0, 2, 1], "stride": [1, 2]}
    whole = network([spiking_input(5, 5, 4), population([conv(**keys)], 10)], 9,
                    {"in/spikes": spikes, "out/synapse-0/weight": weight})  # fmt: skip
    halves = [{"name": name, "kind": "join", "how": "slice", "from": ["in"], "channels": channels}
              for name, channels in (("low", [0, 2]), ("high", [2, 5]))]  # fmt: skip
    split = network(
        [spiking_input(5, 5, 4), *halves, population([conv("low", **keys), conv("high", **keys)], 10)], 9,
        {"in/spikes": spikes, "out/synapse-0/weight": weight[:, :2], "out/synapse-1/weight": weight[:, 2:]},
    )  # fmt: skip
    assert spikes_of(whole).any()
    assert np.array_equal(spikes_of(whole), spikes_of(split))
    assert all_counts(whole) == all_counts(split)


@pytest.mark.parametrize("seed", SEEDS)
def test_groups_are_convolutions_side_by_side(seed: int) -> None:
    """Law 3, in outputs and counts."""
    rng = np.random.default_rng(seed)
    spikes, weight = drawn_spikes(rng, 6, 4, 4, 9, rate=0.1), drawn_weights(rng, 18, 3, 2, 2)
    grouped = network([spiking_input(6, 4, 4), population([conv(kernel=2, groups=2)], 18)], 9,
                      {"in/spikes": spikes, "out/synapse-0/weight": weight})  # fmt: skip
    sides = [
        network([spiking_input(3, 4, 4), population([conv(kernel=2)], 9)], 9,
                {"in/spikes": its_spikes, "out/synapse-0/weight": its_weight})
        for its_spikes, its_weight in zip(np.split(spikes, 2), np.split(weight, 2), strict=True)
    ]  # fmt: skip
    assert np.array_equal(spikes_of(grouped), np.concatenate([spikes_of(side) for side in sides]))
    for whole, *parts in zip(all_counts(grouped), *(all_counts(side) for side in sides), strict=True):
        modes = {part.get("mode") for part in parts}
        assert whole.get("mode") == (modes.pop() if len(modes) == 1 else "mixed")
        keys = whole.keys() - {"mode"}
        assert {key: whole[key] for key in keys} == {key: sum(part[key] for part in parts) for key in keys}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_delay_is_a_shift_of_the_spikes(seed: int) -> None:
    """Law 4, in counts too."""
    rng = np.random.default_rng(seed)
    spikes, weight = drawn_spikes(rng, 3, 4, 4, 10, rate=0.1), drawn_weights(rng, 9, 3, 3, 3)
    shifted = np.zeros_like(spikes)
    shifted[..., 3:] = spikes[..., :-3]
    delayed, moved = (
        network([spiking_input(3, 4, 4), population([conv(kernel=3, delay=delay)], 9)], 10,
                {"in/spikes": given, "out/synapse-0/weight": weight})
        for delay, given in ((3, spikes), (0, shifted))
    )  # fmt: skip
    assert spikes_of(delayed).any()
    assert np.array_equal(spikes_of(delayed), spikes_of(moved))
    assert all_counts(delayed) == all_counts(moved)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_population_is_its_sum_and_an_identity_synapse(seed: int) -> None:
    """Law 4; one conv synapse per addend, its weights used again, and a bias."""
    rng = np.random.default_rng(seed)
    neuron = LIF | {"reset": "subtract", "reset_delay": 1, "current": {"leak_shift": 1}}
    inputs = [spiking_input(3, 4, 4), spiking_input(3, 4, 4, name="other")]
    synapses = [conv(kernel=3), conv("other", kernel=3, weight_of=0, delay=1)]
    arrays = {f"{name}/spikes": drawn_spikes(rng, 3, 4, 4, 10) for name in ("in", "other")}
    weight, bias = drawn_weights(rng, 5, 3, 3, 3), np.arange(5, dtype=np.int32)
    direct = network([*inputs, population(synapses, 5, neuron)], 10,
                     arrays | {"out/synapse-0/weight": weight, "out/bias": bias})  # fmt: skip
    summed = {"from": "sum", "kind": "identity"}
    apart = network([*inputs, currents(synapses, 5), population([summed], 5, neuron)], 10,
                    arrays | {"sum/synapse-0/weight": weight, "sum/bias": bias})  # fmt: skip
    assert spikes_of(direct).any()
    assert np.array_equal(spikes_of(direct), spikes_of(apart))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_output_spike_lies_in_a_window_that_was_skipped(seed: int) -> None:
    """Law 6, with thresholds, resets and kinds of neurons drawn."""
    rng = np.random.default_rng(seed)
    skipped = 0
    for threshold in (-1, 0, 1):
        for more in ({}, {"fires": "at"}, {"reset": "none"}, {"reset_delay": 1}, {"adaptation": {"step": -3}},
                     {"current": {"leak_shift": 3}}):  # fmt: skip
            spikes, weight = drawn_spikes(rng, 2, 4, 4, 20, rate=0.02), drawn_weights(rng, 3, 2, 2, 2)
            identity = {"from": "in", "kind": "avgpool", "kernel": 2, "weight": 3, "delay": 2}
            slim = {"name": "slim", "kind": "join", "how": "concat", "from": ["in", "in"]}
            synapses = [conv(kernel=2), identity | {"from": "slim"}]
            nodes = [spiking_input(2, 4, 4), slim, population(synapses, 4, {"threshold": threshold, **more})]
            trace = network(nodes, 20, {"in/spikes": spikes, "out/synapse-0/weight": weight[[0, 1, 2, 0]]})
            evaluated = evaluate(trace)
            work = work_of(trace, nodes[-1], evaluated.maps, True)
            (layer,) = main_layers(trace, nodes[-1], work, Machine("spikex", 2))
            fired = evaluated.computed["out"].values.reshape(4, 9, 10, 2).any(axis=(0, 3))
            for p, w in np.ndindex(9, 10):
                skipped += not layer.is_active((p, w))
                assert layer.is_active((p, w)) or not fired[p, w]
    assert skipped
