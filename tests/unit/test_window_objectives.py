"""Window sizes that ``tws: auto`` finds: least energy, latency or EDP, layer by layer or for all alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from graphs import conv, network, packaged, population, spiking_input
from networks import conv as conv_layer
from networks import linear, random_weights, trace_of
from spikex_sim.explore.tws_search import TwsSpace

T = 12
NEURON = {"threshold": 24, "leak_shift": 5, "reset": "zero", "datapath": "int"}
VALUES = {
    "edp": lambda energy, cycles: energy * cycles,
    "energy": lambda energy, _: energy,
    "latency": lambda _, cycles: cycles,
}


def chain() -> sx.Trace:
    layers = [conv_layer("conv", (2, 9), 5, NEURON, padding=1), linear("fc", (9 * 25, 5), NEURON)]
    spikes = np.random.default_rng(5).random((2, 5, 5, T)) < 0.12
    return trace_of(layers, spikes, random_weights(layers, 3))


def costs(result: Any) -> list[tuple[float, int]]:
    return [(layer.energy_pj, layer.cycles) for layer in result.layers]


@pytest.mark.parametrize("arch", ["spikex", "ptb"])
@pytest.mark.parametrize("objective", VALUES)
def test_each_layer_has_its_own_best(arch: str, objective: str) -> None:
    every = {tws: costs(sx.simulate(chain(), arch, tws=tws)) for tws in range(1, T + 1)}
    wanted = [min(every, key=lambda tws: VALUES[objective](*every[tws][layer])) for layer in range(2)]
    keys = {"tws_objective": objective}
    found = sx.simulate(chain(), arch, tws="auto", overrides=keys)
    assert [layer.tws for layer in found.layers] == wanted


@pytest.mark.parametrize("arch", ["spikex", "ptb"])
@pytest.mark.parametrize("objective", VALUES)
def test_all_layers_have_the_best_of_the_network(arch: str, objective: str) -> None:
    """Over two samples; the product is one of sums, and the run is that with the size given."""
    traces = [chain(), chain().with_input(np.random.default_rng(8).random((2, 5, 5, T)) < 0.3, "b", "drawn")]
    totals = {tws: sx.simulate(traces, arch, tws=tws).totals for tws in range(1, T + 1)}
    wanted = min(totals, key=lambda tws: VALUES[objective](totals[tws].energy_pj, totals[tws].cycles))
    keys = {"tws_objective": objective, "tws_scope": "network"}
    seen: list[Any] = []
    found = sx.simulate(traces, arch, tws="auto", overrides=keys, observe=seen.append)
    assert {layer.tws for layer in found.layers} == {wanted}
    assert len(seen) == 4, "observers see the run, and no trial"
    given = sx.simulate(traces, arch, tws=wanted)
    assert costs(found) == costs(given)
    assert [one.output_sha256 for one in found.layers] == [one.output_sha256 for one in given.layers]


def test_objectives_lead_to_different_sizes() -> None:
    sizes = {
        objective: tuple(layer.tws for layer in sx.simulate(chain(), "ptb", overrides={
            "tws": "auto", "tws_objective": objective}).layers)
        for objective in VALUES
    }  # fmt: skip
    assert len(set(sizes.values())) == 3, sizes


@pytest.mark.parametrize("objective", VALUES)
def test_searches_side_by_side_have_the_same_objective(objective: str) -> None:
    keys = {"tws": "auto", "tws_objective": objective}
    space = TwsSpace(chain(), "ptb", [1, 2, 4, 8], overrides=keys)
    every = {tws: costs(sx.simulate(chain(), "ptb", tws=tws)) for tws in (1, 2, 4, 8)}
    pairs = {
        (a, b): VALUES[objective](every[a][0][0] + every[b][1][0], every[a][0][1] + every[b][1][1])
        for a in every for b in every
    }  # fmt: skip
    assert space.exhaustive().tws == min(pairs, key=lambda one: (pairs[one], one))
    alike = {tws: pairs[tws, tws] for tws in every}
    assert set(space.uniform().tws) == {min(alike, key=lambda one: alike[one])}


def test_outputs_that_stay_are_part_of_the_search() -> None:
    """What stays in the GLB depends on the size of the layer before; a network is tried as a whole."""
    keys = {"memory.glb.keep_ofmap": True, "tws_scope": "network"}
    found = sx.simulate(chain(), "spikex", tws="auto", overrides=keys)
    best = found.layers[0].tws
    keys.pop("tws_scope")
    every = [sx.simulate(chain(), "spikex", tws=tws, overrides=keys).totals.edp_js for tws in range(1, T + 1)]
    assert every[best - 1] == found.totals.edp_js == min(every)


def test_sizes_that_buffers_refuse_are_left_out() -> None:
    keys = {"memory.glb.bytes": 2048, "tws_scope": "network", "tws_objective": "energy"}
    found = sx.simulate(chain(), "spikex", tws="auto", overrides=keys)
    refused = []
    for tws in range(1, T + 1):
        try:
            sx.simulate(chain(), "spikex", tws=tws, overrides={"memory.glb.bytes": 2048})
        except sx.ConfigError:
            refused.append(tws)
    assert refused and found.layers[0].tws not in refused
    with pytest.raises(sx.ConfigError, match="too small"):
        sx.simulate(chain(), "spikex", tws="auto", overrides=keys | {"memory.glb.bytes": 256})


def test_graphs_have_one_size_no_longer_than_a_delay() -> None:
    again = {**conv(kernel=1), "from": "out", "delay": 3}
    nodes = [spiking_input(2, 1, 1), population([conv(kernel=1), again], 1, {**NEURON, "threshold": 3})]
    spikes = np.random.default_rng(3).random((2, 1, 1, T)) < 0.5
    arrays = {
        "in/spikes": spikes,
        "out/synapse-0/weight": np.array([5, -2], np.int8).reshape(1, 2, 1, 1),
        "out/synapse-1/weight": np.array([1], np.int8).reshape(1, 1, 1, 1),
    }
    trace = packaged(network(nodes, T, arrays))
    totals = {tws: sx.simulate(trace, "spikex", tws=tws).totals for tws in (1, 2, 3)}
    for objective, value in VALUES.items():
        keys = {"tws_scope": "network", "tws_objective": objective}
        found = sx.simulate(trace, "spikex", tws="auto", overrides=keys)
        best = min(totals, key=lambda tws: value(totals[tws].energy_pj, totals[tws].cycles))
        assert found.layers[-1].tws == best


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"tws": 4, "tws_objective": "energy"}, "tws_objective: has no effect: tws is 4, not auto"),
        ({"tws": (2, 2), "tws_scope": "network"}, "tws_scope: has no effect"),
        ({"tws": "auto", "tws_objective": "area"}, "tws_objective: "),
        ({"tws": "auto", "tws_scope": "chip"}, "tws_scope: "),
        ({"memory.zero_tags": "keep"}, "memory.zero_tags: "),
        ({"memory.lbuf.access_bits": 0}, "memory.lbuf.access_bits: "),
        ({"memory.lbuf.access_bits": 7}, "memory.lbuf"),
        ({"memory.lbuf.access_bits": "wide"}, "memory.lbuf.access_bits: "),
        ({"tailored": True}, "tailored: "),
    ],
)
def test_wrong_keys_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(sx.SpikexError) as refused:
        sx.simulate(chain(), "spikex", overrides=keys)
    assert message in str(refused.value)


# --- Widths and tags -------------------------------------------------------------------------------


def test_the_width_of_an_access_is_one_of_energy_alone() -> None:
    """At 128 bits an access costs what the 128-bit memory's does, over 128 bits; nothing else moves."""
    narrow, wide, wide_port = (
        sx.simulate(chain(), "spikex", overrides=keys).totals
        for keys in ({}, {"memory.lbuf.access_bits": 128}, {"memory.lbuf.port_bits": 128})
    )
    assert (wide.cycles, wide.accesses) == (narrow.cycles, narrow.accesses)
    assert wide.energy_pj_by["lbuf"] == wide_port.energy_pj_by["lbuf"] != narrow.energy_pj_by["lbuf"]
    others = [{**one.energy_pj_by, "lbuf": 0} for one in (narrow, wide)]
    assert others[0] == others[1]


def test_zero_tags_in_a_unit_cost_what_they_did_and_free_the_port() -> None:
    rare = chain().with_input(np.random.default_rng(2).random((2, 5, 5, T)) < 0.01, "rare", "drawn")
    seen: dict[str, list[Any]] = {"move": [], "unit": []}
    for how, found in seen.items():
        sx.simulate(rare, "spikex", tws=1, overrides={"memory.zero_tags": how}, observe=found.append)
        assert not found[0].cost.schedule.issued.all()
    for moved, unit in zip(seen["move"], seen["unit"], strict=True):
        program, other = moved.cost.layout.program, unit.cost.layout.program
        skipped = program.total("store", "tag") - other.total("store", "tag")
        issued = moved.cost.schedule.issued
        assert skipped == moved.cost.task.out_channels * int((~issued).sum())
        assert other.total("writeback", "tag") == program.total("writeback", "tag")
        assert moved.cost.counts == unit.cost.counts, "all is counted, and charged, as before"
        assert moved.cost.layout.compute_cycles == unit.cost.layout.compute_cycles
        assert unit.cost.cycles <= moved.cost.cycles
    assert sum(one.cost.cycles for one in seen["unit"]) < sum(one.cost.cycles for one in seen["move"])


def test_a_tailored_ptb_issues_all_and_moves_what_is_tagged() -> None:
    rare = chain().with_input(np.random.default_rng(2).random((2, 5, 5, T)) < 0.01, "rare", "drawn")
    plain, tailored = (
        sx.simulate(rare, "ptb", tws=2, overrides={"tailored": one, "mapping.tile": "layer"})
        for one in (False, True)
    )
    for one, other in zip(plain.layers, tailored.layers, strict=True):
        assert (one.output_sha256, one.operations) == (other.output_sha256, other.operations)
        for level in ("dram", "glb"):
            for tensor in ("filter", "tag"):
                assert other.accesses.read_bits(level, tensor) <= one.accesses.read_bits(level, tensor)
    assert tailored.totals.accesses.read_bits("dram", "filter") < plain.totals.accesses.read_bits(
        "dram", "filter"
    )
    full = chain().with_input(np.ones((2, 5, 5, T), bool), "full", "drawn")
    plain, tailored = (
        sx.simulate(full, "ptb", tws=2, overrides={"tailored": one}).layers[0] for one in (False, True)
    )
    assert plain.counts == tailored.counts and plain.cycles == tailored.cycles, (
        "there is nothing to leave out"
    )
