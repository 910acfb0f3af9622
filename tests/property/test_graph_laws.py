"""What must hold of networks that are graphs, with buffers of every size."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import spikex_sim as sx
from drawn_graphs import graphs, largest_window
from examples import examples
from graphs import Array, conv, currents, network, packaged, population, spiking_input
from naive_graph import digest, evaluate
from naive_graph_trace import Trace
from networks import NEURONS, linear, pool, random_weights, small_network, trace_of
from networks import conv as conv_layer
from spikex_sim.core.counts import TENSORS
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.core.registry import plugin_names
from spikex_sim.run.observers import Observed
from spikex_sim.run.timeline import timeline_lines
from spikex_sim.run.transfers import DIRECTIONS, TRACED, transfer_lines
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator, preset_names
from spikex_sim.testing.own_keys import own
from spikex_sim.trace.chain import as_graph
from strategies import PLENTY, Workload, arrays, level, make_spikes, overrides, prefixed, workloads

MACHINES = [name for name in plugin_names("accelerators") if name != "spikesim"]  # which takes one synapse
SEVERAL = [name for name in MACHINES if name != "crossbar"]  # which takes one, without delay, too
PRESETS = [name for name in preset_names() if name not in ("ann", "spinalflow", "spikesim-released")]
FLOATS = {"energy.table": "default", "energy.device": "hp", "memory.dram.kind": "LPDDR4"}
"""A table with float energies."""
UNPRICED = ("memory.glb.array_port_bits", "memory.lbuf.port_bits")
"""Keys for most values of which there are no energies."""

Layers = list[dict[str, Any]]


def layers_of(trace: Any, scheduler: str, keys: dict[str, Any], engine: str = "fast") -> Layers | str:
    """What results say of every layer, or why there are none."""
    base = Accelerator(scheduler=scheduler)
    priced = {key: value for key, value in keys.items() if key not in UNPRICED}
    try:
        result = sx.simulate(trace, load_accelerator(base, own(base, priced)), engine=engine)
    except (ConfigError, UnsupportedError) as error:
        return f"{type(error).__name__}: {error}"
    return [layer.to_dict() for layer in result.layers]


def same(a: Layers | str, b: Layers | str, *apart: str) -> None:
    """Results are the same but for these keys; or both are refused."""
    event("refused" if isinstance(a, str) else "costs")
    if isinstance(a, str) or isinstance(b, str):
        assert isinstance(a, str) == isinstance(b, str), (a, b)
        return
    for one, other in zip(a, b, strict=True):
        assert {key: one[key] for key in one if key not in apart} == {
            key: other[key] for key in other if key not in apart
        }


# 1. A chain written as a graph gives the results of the chain. --------------------------------------


@pytest.mark.parametrize("scheduler", MACHINES)
@examples(40)
@given(data=st.data())
def test_a_layer_as_a_graph(scheduler: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=6, longest=20))
    keys = data.draw(overrides(workload, scheduler))
    biases = () if workload.bias is None else [workload.bias]
    chain = sx.Trace.from_arrays([workload.layer], workload.spikes, weights=[workload.weight], biases=biases)
    found, wanted = layers_of(as_graph(chain), scheduler, keys), layers_of(chain, scheduler, keys)
    assert isinstance(found, str) or not isinstance(wanted, str)
    same(found, wanted)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("datapath", ["int", "float"])
@pytest.mark.parametrize("preset", PRESETS)
def test_chains_as_graphs(preset: str, datapath: str, kept: bool) -> None:
    neuron = NEURONS[datapath]
    layers = [*small_network(datapath)[:3], pool("avgpool", 9, 2), linear("fc", (9, 4), neuron)]
    layers.insert(3, conv_layer("conv3", (9, 9), 2, neuron, kernel=1))
    trace = trace_of(layers, make_spikes((2, 6, 6, 10), "medium", 5), random_weights(layers, 6))
    keys = own(preset, FLOATS | {"tws": 3, "memory.glb.keep_ofmap": kept})
    chain, graph = (sx.simulate(one, preset, overrides=keys) for one in (trace, as_graph(trace)))
    assert [one.to_dict() for one in graph.layers] == [one.to_dict() for one in chain.layers]
    assert graph.totals.to_dict() == chain.totals.to_dict()
    assert any(one.output_spikes for one in graph.layers[1:])


# 2, 3, 4. Nodes that are the same. ------------------------------------------------------------------


def map_shape(workload: Workload) -> tuple[int, ...]:
    """Shape of a layer's input as a map."""
    return (*workload.spec.input_shape, 1, 1)[:3]


def halved(workload: Workload, first: int) -> tuple[Trace, Trace]:
    """A layer as a graph, and with its input channels split over two synapses."""
    spec, spikes = workload.spec, workload.spikes.reshape(*map_shape(workload), -1)
    C, M, T = spikes.shape[0], spec.out_channels, workload.timesteps
    weight = workload.weight.reshape(M, C, *spec.kernel)
    keys = {"kernel": list(spec.kernel), "stride": list(spec.stride), "padding": list(spec.padding)}
    source = spiking_input(*spikes.shape[:3])
    biases = {} if workload.bias is None else {"out/bias": workload.bias}
    neuron = workload.layer["neuron"]
    joins: Layers = [
        {"name": name, "kind": "join", "how": "slice", "from": ["in"], "channels": channels}
        for name, channels in (("low", [0, first]), ("high", [first, C]))
    ]
    given = {"in/spikes": spikes} | biases
    whole = [source, population([conv(**keys)], M, neuron)]
    split = [source, *joins, population([conv("low", **keys), conv("high", **keys)], M, neuron)]
    parts = {"out/synapse-0/weight": weight[:, :first], "out/synapse-1/weight": weight[:, first:]}
    return network(whole, T, given | {"out/synapse-0/weight": weight}), network(split, T, given | parts)


@pytest.mark.parametrize("scheduler", [name for name in SEVERAL if name != "spinalflow"])
@examples(40)
@given(data=st.data())
def test_channels_split_over_two_synapses(scheduler: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=6, longest=20).filter(lambda one: one.spec.in_channels > 1))
    keys = data.draw(overrides(workload, scheduler))
    first = data.draw(st.integers(1, workload.spec.in_channels - 1))
    whole, split = halved(workload, first)
    found, wanted = (layers_of(packaged(one), scheduler, keys) for one in (split, whole))
    same(found if isinstance(found, str) else found[2:], wanted, "kind")


def summed(layers: Layers) -> dict[str, Any]:
    """Numbers of several layers added up, however deep they lie; shares and what differs are left out."""
    found: dict[str, Any] = {}
    for key, value in layers[0].items():
        every = [layer[key] for layer in layers]
        if isinstance(value, dict) and key != "mapping":
            found[key] = summed(every)
        elif isinstance(value, int) and not isinstance(value, bool) and key not in ("tws", "index"):
            found[key] = sum(every)
    return found


@pytest.mark.parametrize("scheduler", [name for name in SEVERAL if name != "spinalflow"])
@examples(40)
@given(data=st.data())
def test_groups_are_convolutions_side_by_side(scheduler: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=5, longest=16, bias=False))
    keys = data.draw(overrides(workload, scheduler))
    spec, T = workload.spec, workload.timesteps
    spikes = workload.spikes.reshape(*map_shape(workload), T)
    weight = workload.weight.reshape(spec.out_channels, spec.in_channels, *spec.kernel)
    window = {"kernel": list(spec.kernel), "stride": list(spec.stride), "padding": list(spec.padding)}
    neuron = workload.layer["neuron"]
    C, M = spec.in_channels, spec.out_channels

    def side(given: Array, its: Array, groups: int) -> Layers | str:
        nodes = [spiking_input(groups * C, *given.shape[1:3]),
                 population([conv(groups=groups, **window)], groups * M, neuron)]  # fmt: skip
        trace = network(nodes, T, {"in/spikes": given, "out/synapse-0/weight": its})
        return layers_of(packaged(trace), scheduler, keys)

    other, its_weight = spikes[::-1, :, :, ::-1], weight[::-1]
    together = side(np.concatenate([spikes, other]), np.concatenate([weight, its_weight]), 2)
    apart = [side(spikes, weight, 1), side(other, its_weight, 1)]
    refused = any(isinstance(one, str) for one in apart)
    event("refused" if refused else "costs")
    assert isinstance(together, str) == refused
    if not isinstance(together, str):
        assert summed(together) == summed([one[0] for one in apart if not isinstance(one, str)])


@pytest.mark.parametrize("scheduler", SEVERAL)
@examples(25)
@given(data=st.data())
def test_a_delay_is_a_shift_of_the_spikes(scheduler: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=5, longest=16))
    keys = data.draw(overrides(workload, scheduler))
    delay = data.draw(st.integers(1, workload.timesteps))
    spec, T = workload.spec, workload.timesteps
    spikes = workload.spikes.reshape(*map_shape(workload), T)
    later = np.zeros_like(spikes)
    later[..., delay:] = spikes[..., : T - delay]
    window = {"kernel": list(spec.kernel), "stride": list(spec.stride), "padding": list(spec.padding)}
    weight = workload.weight.reshape(spec.out_channels, spec.in_channels, *spec.kernel)
    both = []
    for seen, synapse in ((spikes, conv(**window, delay=delay)), (later, conv(**window))):
        out = population([synapse], spec.out_channels, workload.layer["neuron"])
        arrays_of = {"in/spikes": seen, "out/synapse-0/weight": weight}
        trace = network([spiking_input(*spikes.shape[:3]), out], T, arrays_of)
        both.append(layers_of(packaged(trace), scheduler, keys))
    same(both[0], both[1], "input_spikes", "estimate_pj")


@pytest.mark.parametrize("scheduler", ["spikex", "ptb", "systolic", "sata"])
@examples(15)
@given(data=st.data())
def test_a_population_is_its_sum_and_an_identity_synapse(scheduler: str, data: st.DataObject) -> None:
    drawn = data.draw(graphs(data.draw(st.sampled_from(["int", "float"])), recorded=False))
    nodes: Layers = []
    arrays = dict(drawn.arrays)
    for node in drawn.nodes:
        name = node["name"]
        if node["kind"] != "neurons" or name in {one["from"] for one in node["synapses"]}:
            nodes.append(node)
            continue
        total = f"{name} sum"
        datapath = node["neuron"].get("datapath", "int")
        nodes.append(currents(node["synapses"], node["channels"], total, datapath=datapath))
        nodes.append(node | {"synapses": [{"from": total, "kind": "identity"}]})
        for key in drawn.arrays:
            if key == f"{name}/bias" or key.startswith(f"{name}/synapse-"):
                arrays[key.replace(name, total, 1)] = arrays.pop(key)
    keys = FLOATS | {"tws": data.draw(st.integers(1, largest_window(drawn)))}
    found, wanted = (
        layers_of(packaged(one), scheduler, keys)
        for one in (Trace(drawn.meta | {"nodes": nodes}, arrays), drawn)
    )
    assert not isinstance(found, str)
    assert not isinstance(wanted, str)
    hashes = {layer["name"]: layer["output_sha256"] for layer in found}
    assert {layer["name"]: hashes[layer["name"]] for layer in wanted} == {
        layer["name"]: layer["output_sha256"] for layer in wanted
    }


# Both engines, and every access. --------------------------------------------------------------------


@st.composite
def tight(draw: st.DrawFn) -> dict[str, Any]:
    """Array and buffers of which some hold next to nothing."""
    sizes = st.sampled_from([60, 150, 400, 1200, PLENTY, PLENTY])
    keys = draw(arrays()) | {"direct_encoding": draw(st.sampled_from(["reuse", "recompute"]))}
    keys |= {"join": draw(st.sampled_from(["free", "read"]))}
    keys |= {"currents.tags": draw(st.sampled_from(["none", "issued"]))}
    keys["stsap"] = draw(st.booleans())
    keys["zero_gating"] = "auto"
    glb = level(ifmap=draw(sizes), filter=draw(sizes), ofmap=draw(sizes))
    lbuf = level(ifmap=draw(sizes), filter=draw(sizes), ofmap=draw(sizes), psum=draw(sizes))
    return keys | prefixed("memory.glb", glb) | prefixed("memory.lbuf", lbuf)


@pytest.mark.parametrize("scheduler", ["spikex", "ptb", "systolic", "sata"])
@examples(30)
@given(data=st.data())
def test_both_engines_every_access_and_outputs(scheduler: str, data: st.DataObject) -> None:
    drawn = data.draw(graphs())
    trace = packaged(drawn)
    keys = data.draw(tight()) | {"tws": data.draw(st.integers(1, largest_window(drawn)))}
    same(layers_of(trace, scheduler, keys), layers_of(trace, scheduler, keys, "event"))
    base = Accelerator(scheduler=scheduler)
    observed = Observed()
    try:
        result = sx.simulate(trace, load_accelerator(base, own(base, keys)), observe=observed)
    except ConfigError:
        return
    evaluated = evaluate(drawn)
    for layer in result.layers:
        if layer.name in evaluated.computed:
            assert layer.output_sha256 == digest(evaluated.computed[layer.name]), layer.name
    lines = list(transfer_lines(observed.placed(), TRACED))
    assert "".join(timeline_lines(observed.placed(), result))
    moved: Counter[tuple[str, str, str]] = Counter()
    for placed in observed.placed():
        assert placed.timed is not None
        apart = placed.timed.cost.layout.apart  # what takes no time is not listed
        for where, tensor in product(TRACED, TENSORS):
            for direction, name in DIRECTIONS.items():
                moved[where, tensor, name] += apart[where][tensor][direction]
    for line in lines[1:]:
        cycle, where, tensor, direction, _, bits = line.split(",")
        assert 0 <= int(cycle) <= result.totals.cycles
        moved[where, tensor, direction] += int(bits)
    accesses = result.totals.to_dict()["accesses"]
    for where in TRACED:
        for tensor, counts in accesses[where].items():
            for direction in ("read", "write"):
                assert moved[where, tensor, direction] == counts[f"{direction}_bits"]
