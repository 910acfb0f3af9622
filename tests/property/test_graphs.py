"""Random graphs: the package gives every output, and in one tile every count, that the slow oracle gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import spikex_sim as sx
from drawn_graphs import delays_of, graphs, largest_window
from examples import examples
from graphs import conv, network, packaged, population, spiking_input
from naive_graph import Evaluated, digest, evaluate
from naive_graph_cost import COUNTED, Machine, costs, dense_costs
from naive_graph_moves import dense_reads, moved
from naive_graph_trace import Trace
from pipeline import wraps_at
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.spec.load import load_accelerator
from spikex_sim.testing.own_keys import own
from strategies import arrays

PRESETS = ["spikex", "ptb", "ptb-stsap", "systolic-os", "systolic-ws", "systolic-is", "sata", "spinalflow"]
FLOWS = ("os", "ws", "is")
FLOATS = {"energy.table": "default", "energy.device": "hp", "memory.dram.kind": "LPDDR4"}
"""A table with float energies."""


def simulated(trace: Trace, preset: str, keys: dict[str, Any], tws: Any = None, engine: str = "fast") -> Any:
    """What the package says of a trace; keys that a machine has not are left out."""
    follows = load_accelerator(preset).scheduler in ("spikex", "ptb")
    return sx.simulate(
        packaged(trace), preset, tws=tws if follows else None, overrides=own(preset, keys), engine=engine
    )


def assert_outputs(result: Any, trace: Trace, evaluated: Evaluated) -> None:
    """Hashes of all that is computed, and where it differs from what was recorded."""
    pools = [node["name"] for node in trace.nodes if node["kind"] == "avgpool"]
    layers = [layer for layer in result.layers if layer.name not in pools]
    assert [layer.name for layer in layers] == list(evaluated.computed)
    for layer in layers:
        made = evaluated.computed[layer.name]
        assert layer.output_sha256 == digest(made), layer.name
        spiking = made.carries == "spikes"
        assert layer.output_spikes == (int(made.values.sum()) if spiking else None), layer.name
        different = evaluated.mismatched.get(layer.name)
        assert layer.mismatched_spikes == (different if spiking else None), layer.name
        assert layer.mismatched_values == (None if spiking else different), layer.name


@st.composite
def settings_of(draw: st.DrawFn) -> dict[str, Any]:
    """Array, datapath and dispatch; buffers as they are."""
    keys = draw(arrays()) | {"direct_encoding": draw(st.sampled_from(["reuse", "recompute"]))}
    keys |= {"join": draw(st.sampled_from(["free", "read"]))}
    keys |= {"currents.tags": draw(st.sampled_from(["none", "issued"]))}
    keys["potential_bits"] = draw(st.sampled_from([16, 16, 8, 6]))
    keys |= draw(st.sampled_from([{}, {"psum_bits": 11, "psum_overflow": "wrap"}]))
    keys["dispatch"] = draw(st.sampled_from(["agile", "temporal", "spatial"]))
    keys["mapping.tile"] = draw(st.sampled_from(["auto", "layer"]))
    return keys


def assert_machine(data: st.DataObject, preset: str, trace: Trace) -> None:
    """Run a graph on a machine with keys that are drawn; it may refuse what it says it cannot do."""
    keys = data.draw(settings_of()) | FLOATS
    if preset == "sata":
        keys |= {"lif_sharing": data.draw(st.sampled_from([1, 2]))}
        keys |= {"dataflow": data.draw(st.sampled_from(["os", "ws", "tick_batch"]))}
    tws = data.draw(st.integers(1, largest_window(trace)))
    arch = load_accelerator(preset, own(preset, keys))
    widths = {"potential_bits": arch.potential_bits, "psum_bits": arch.psum_bits}
    try:
        evaluated = evaluate(trace, **widths, wraps=wraps_at(arch) is not None)
    except ValueError:
        event("currents are too large")
        with pytest.raises((ConfigError, UnsupportedError)):
            simulated(trace, preset, keys, tws)
        return
    try:
        result = simulated(trace, preset, keys, tws)
    except UnsupportedError as error:
        assert preset == "spinalflow" or keys.get("dataflow") == "tick_batch", error
        event("cannot be done")
        return
    event("done")
    assert_outputs(result, trace, evaluated)


@pytest.mark.parametrize("preset", [*PRESETS[:-1], "spikesim"])
def test_the_rest_of_a_soft_reset_saturates(preset: str) -> None:
    """As a chain's does (test_outputs.py)."""
    neuron = {"threshold": -1, "leak_shift": 31, "reset": "subtract", "datapath": "int"}
    nodes = [spiking_input(2, 1, 1), population([conv(kernel=1)], 1, neuron)]
    spikes = np.array([[True, False], [False, True]]).reshape(2, 1, 1, 2)
    weight = np.array([15, -16], np.int8).reshape(1, 2, 1, 1)
    trace = network(nodes, 2, {"in/spikes": spikes, "out/synapse-0/weight": weight})
    evaluated = evaluate(trace, potential_bits=5)
    assert evaluated.computed["out"].values.ravel().tolist() == [True, False], "15 fires and rests at 15"
    assert_outputs(simulated(trace, preset, {"potential_bits": 5}, tws=1), trace, evaluated)


@pytest.mark.kernels
@pytest.mark.parametrize("datapath", ["int", "float"])
@pytest.mark.parametrize("preset", PRESETS)
@examples(30)
@given(data=st.data())
def test_outputs_are_those_of_the_oracle(preset: str, datapath: str, data: st.DataObject) -> None:
    assert_machine(data, preset, data.draw(graphs(datapath, sparse=preset == "spinalflow")))


@pytest.mark.slow
@pytest.mark.parametrize("datapath", ["int", "float"])
@pytest.mark.parametrize("preset", PRESETS)
@examples(300)
@given(data=st.data())
def test_outputs_of_many(preset: str, datapath: str, data: st.DataObject) -> None:
    assert_machine(data, preset, data.draw(graphs(datapath, sparse=preset == "spinalflow")))


def moved_by(layer: Any) -> dict[tuple[str, str], int]:
    """What crosses between DRAM and the GLB, filters aside."""
    found = {}
    for tensor in ("ifmap", "psum", "tag", "ofmap"):
        found[tensor, "read"] = layer.accesses.read_bits("dram", tensor)
        found[tensor, "write"] = layer.accesses.write_bits("dram", tensor)
    return {key: bits for key, bits in found.items() if bits}


def assert_counts(trace: Trace, tws: int, reuse: bool, tags: bool, joins_read: bool) -> None:
    """In one tile on 8x8 PEs: counts of `spikex` and `ptb`, cycles of the dense dataflows, outputs of all."""
    evaluated = evaluate(trace)
    keys = {"array.rows": 8, "array.cols": 8, "mapping.tile": "layer", "leak_catchup_cycles": 1}
    keys |= {"direct_encoding": "reuse" if reuse else "recompute"}
    keys |= {"join": "read" if joins_read else "free", "currents.tags": "issued" if tags else "none"}
    for preset in ("spikex", "ptb"):
        machine = Machine(preset, tws, reuse, tags=tags)
        wanted = costs(trace, evaluated, machine)
        crossing = moved(trace, evaluated, machine, joins_read=joins_read)
        result = simulated(trace, preset, keys, tws)
        assert_outputs(result, trace, evaluated)
        for layer in result.layers:
            bits = {key: bits for key, bits in crossing[layer.name].items() if bits}
            assert moved_by(layer) == bits, (preset, layer.name)
            described = layer.to_dict()
            found = {key: described.get(key, 0) for key in COUNTED} | {"mode": layer.mode}
            assert found == {key: wanted[layer.name][key] for key in found}, (
                preset,
                layer.name,
                found,
                wanted[layer.name],
            )
    dense = dense_costs(trace, evaluated, reuse)
    for flow in FLOWS:
        for layer in simulated(trace, f"systolic-{flow}", keys).layers:
            assert layer.compute_cycles == dense[layer.name].get(flow, 0), (flow, layer.name)
            if layer.kind == "join":
                assert moved_by(layer) == dense_reads(trace, evaluated, layer.name, joins_read)


@pytest.mark.parametrize("datapath", ["int", "float"])
@examples(150)
@given(data=st.data())
def test_counts_are_those_of_the_oracle(datapath: str, data: st.DataObject) -> None:
    trace = data.draw(graphs(datapath))
    tws, flags = data.draw(st.integers(1, largest_window(trace))), st.booleans()
    assert_counts(trace, tws, data.draw(flags), tags=data.draw(flags), joins_read=data.draw(flags))


@pytest.mark.slow
@pytest.mark.parametrize("datapath", ["int", "float"])
@examples(1500)
@given(data=st.data())
def test_counts_of_many(datapath: str, data: st.DataObject) -> None:
    trace = data.draw(graphs(datapath))
    tws, flags = data.draw(st.integers(1, largest_window(trace))), st.booleans()
    assert_counts(trace, tws, data.draw(flags), tags=data.draw(flags), joins_read=data.draw(flags))


@pytest.mark.parametrize("preset", ["spikex", "ptb"])
@examples(10)
@given(data=st.data())
def test_windows_above_the_delay_of_recurrence_are_refused(preset: str, data: st.DataObject) -> None:
    trace = data.draw(graphs().filter(lambda trace: largest_window(trace) < trace.timesteps))
    first = next(delay for delay in delays_of(trace) if delay < trace.timesteps)
    with pytest.raises(ConfigError, match=f"the largest that works is {first}"):
        simulated(trace, preset, {}, trace.timesteps)
    auto = simulated(trace, preset, {}, "auto")
    sizes = {layer.name: layer.tws for layer in auto.layers}
    for node in trace.nodes:
        for one in node.get("synapses", ()):
            assert one["from"] != node["name"] or sizes[node["name"]] <= one["delay"]
