"""Graphs in memory and in files: what is taken, what is refused by name."""

from __future__ import annotations

import json
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from graph_files import IMAGE, Nodes, T, everything, made
from graphs import conv, currents, drawn_spikes, population, spiking_input
from helpers import shared_data
from naive_graph import evaluate
from naive_graph_trace import Trace as NaiveTrace
from networks import conv as chained_conv
from networks import forward, linear, pool, random_weights, small_network, trace_of
from spikex_sim.core.errors import TraceError
from spikex_sim.spec.graph import Population
from spikex_sim.trace.chain import as_graph
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_fold import folded
from spikex_sim.trace.plan import plan_stages
from trace_files import a_trace


def same(one: GraphTrace, other: GraphTrace) -> bool:
    """Whether two graphs hold the same."""
    arrays = one.arrays(), other.arrays()
    return (
        one.nodes == other.nodes
        and list(arrays[0]) == list(arrays[1])
        and all(np.array_equal(array, arrays[1][key]) for key, array in arrays[0].items())
    )


def test_what_a_graph_says_of_itself() -> None:
    graph = everything()
    names = [node.name for node in graph.nodes]
    assert {name: graph.shape(name) for name in names} == {
        "in": (2, 6, 6), "img": (2, 4, 4), "stem": (4, 4, 4), "pooled": (2, 4, 4), "mean": (2, 2, 2),
        "pop": (4, 4, 4), "half": (2, 4, 4), "both": (4, 4, 4), "att": (4, 2, 1), "out": (3, 1, 1),
        "last": (4, 1, 1),
    }  # fmt: skip
    assert {name for name in names if graph.constant(name)} == {"img", "stem"}
    assert {name: graph.carries(name) for name in names if graph.carries(name) != "spikes"} == {
        "img": "analog", "stem": "currents", "att": "currents", "out": "currents",
    }  # fmt: skip


def test_weights_as_they_are_used() -> None:
    graph = everything()
    shared, linear_one = graph.weight("pop", 3), graph.weight("out", 0)
    assert shared is not None and np.array_equal(shared, graph.weights["pop", 1])
    assert linear_one is not None and linear_one.shape == (3, 2, 2, 2)
    one = graph.weight("pop", 2)
    assert one is not None and one.tolist() == [-3] * 4
    assert graph.weight("last", 0) is None
    assert [graph.number("pop", key, 1) for key in ("leak_shift", "adaptation.step", "adaptation.leak")] == [
        None, 3, None,
    ]  # fmt: skip
    assert graph.number("pop", "threshold", 2) == graph.neuron_arrays["pop", "threshold"][2]


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize("samples", [None, 2])
def test_files(tmp_path: Path, suffix: str, samples: int | None) -> None:
    graph = everything()
    if samples:
        recorded = {key: array for key, array in graph.arrays().items() if key.endswith(("spikes", "values"))}
        doubled = {key: np.stack([array, array]) for key, array in recorded.items()}
        graph = GraphTrace.from_arrays(graph.meta() | {"samples": 2}, graph.arrays() | doubled, label=(1, 2))
    path = tmp_path / f"t{suffix}"
    sx.save_trace(graph, path)
    back = sx.load_trace(path)
    assert isinstance(back, GraphTrace)
    assert same(back, graph) and back.label == graph.label and back.samples == (samples or 1)
    content = path.read_bytes()
    sx.save_trace(back, path)
    assert path.read_bytes() == content


def test_pickled() -> None:
    graph = everything()
    back = pickle.loads(pickle.dumps(graph))
    assert same(back, graph) and back.sha256 == graph.sha256
    assert not any(array.flags.writeable for array in back.weights.values())


def test_cut_short() -> None:
    graph = everything()
    cut = graph.first(3)
    assert np.array_equal(cut.values["stem"], graph.values["stem"])
    bits = [np.unpackbits(one.spikes["in"], axis=-1, count=3) for one in (cut, graph)]
    assert np.array_equal(*bits)
    with pytest.raises(TraceError, match="cannot be cut to 10"):
        graph.first(10)


def test_a_map_of_single_positions_may_leave_them_out() -> None:
    spikes = np.packbits(np.ones((5, T), np.bool_), axis=-1)
    nodes = [spiking_input(5), population([{"from": "in", "kind": "linear"}], 5)]
    graph = made(nodes, {"in/spikes": spikes, "out/spikes": spikes})
    assert graph.spikes["in"].shape == graph.spikes["out"].shape == (1, 5, 1, 1, 2)
    assert [array.shape for array in graph.arrays().values()] == [(5, 2), (5, 1, 1, 2)]


def test_silence() -> None:
    def free(neuron: dict[str, Any], bias: int = 0) -> bool:
        nodes = [spiking_input(2), population([{"from": "in", "kind": "identity"}], 2, neuron)]
        return made(nodes, {"out/bias": np.full(2, bias, np.int32)}).silence_is_free("out")

    assert free({"threshold": 0}) and free({"threshold": 1, "fires": "at"})
    assert not free({"threshold": 0, "fires": "at"}) and not free({"threshold": -1})
    assert not free({"threshold": 5}, bias=-1)
    for key, value in (
        ("reset", "subtract"),
        ("reset_delay", 1),
        ("current", {}),
        ("adaptation", {"step": 1}),
    ):
        assert not free({"threshold": 5, key: value})


@pytest.mark.parametrize("name", ["attention", "chain", "example", "recurrence-4"])
def test_cases(name: str) -> None:
    path = shared_data(f"../cases/networks/{name}.npz")
    graph = sx.load_trace(path)
    assert isinstance(graph, GraphTrace)
    outputs = json.loads(path.with_suffix(".json").read_text())["outputs"]
    assert {one: list(graph.shape(one)) for one in outputs} == {
        one: known["shape"] for one, known in outputs.items()
    }
    assert [graph.constant(one) for one in outputs] == [
        known.get("constant", False) for known in outputs.values()
    ]


# Chains. ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("datapath", ["int", "float"])
def test_a_chain_as_a_graph_gives_the_same_spikes(datapath: str) -> None:
    layers = small_network(datapath)
    spikes = drawn_spikes(np.random.default_rng(3), 2, 6, 6, 12)
    weights = random_weights(layers, 5)
    graph = as_graph(trace_of(layers, spikes, weights))
    computed = evaluate(NaiveTrace(graph.meta(), graph.arrays())).computed
    outputs = forward(layers, spikes, weights)
    assert list(computed) == ["conv1", "maxpool", "conv2", "fc"]
    for layer, output in zip(computed.values(), outputs, strict=True):
        assert output.any() and np.array_equal(layer.values.reshape(output.shape), output)


def test_a_chain_keeps_what_was_recorded() -> None:
    trace = a_trace(samples=2)
    graph = as_graph(trace)
    assert [node.name for node in graph.nodes] == ["input", "c1", "p1", "f1"]
    assert np.array_equal(graph.spikes["p1"].reshape(2, 18, -1), trace.inputs[2])
    assert graph.label == (0, 1) and graph.samples == 2


@pytest.mark.parametrize("after", ["conv", "linear"])
def test_average_pooling_is_folded_as_in_chains(after: str) -> None:
    neuron = {"threshold": 5, "leak_shift": 2}
    last = (chained_conv("c", (3, 4), 3, neuron, kernel=2, padding=1, stride=2) if after == "conv"
            else linear("c", (27, 4), neuron))  # fmt: skip
    layers = [pool("avgpool", 3, 6), last] if after == "conv" else [pool("avgpool", 3, 7), last]
    spikes = drawn_spikes(np.random.default_rng(3), 3, *[6 if after == "conv" else 7] * 2, 5)
    trace = trace_of(layers, spikes, random_weights(layers, 5))
    synapse, weight = folded(as_graph(trace), "c", 0)
    stage = plan_stages(trace)[1]
    assert weight is not None and stage.weight is not None
    assert np.array_equal(weight.reshape(stage.weight.shape), stage.weight)
    assert synapse.source == "input"
    if after == "conv":
        sides = (synapse.kernel, synapse.stride, synapse.padding[::2])
        assert sides == (stage.layer.kernel, stage.layer.stride, stage.layer.padding)


# Refusals. --------------------------------------------------------------------------------------------


def fed(*synapses: dict[str, Any], M: int = 2, neuron: dict[str, Any] | None = None) -> Nodes:
    """Make two inputs and a population that takes them."""
    return [spiking_input(2, 4, 4), IMAGE, population(list(synapses), M, neuron or {"threshold": 5})]


BOTH = [conv(), {"from": "img", "kind": "identity"}]
SUM = currents([conv()], 2)
REFUSED: dict[str, tuple[Nodes, dict[str, Any], str]] = {
    "another kind": ([{"name": "a", "kind": "neuron"}], {}, "nodes.0.kind: .*did you mean neurons"),
    "a slash": ([spiking_input(2, name="a/b")], {}, "nodes.0.name: .*without '/'"),
    "a key of another kind": (fed(conv(weight=2)), {}, "weight has no effect on a synapse of the kind conv"),
    "groups of an identity": (
        fed({"from": "in", "kind": "identity", "groups": 2}),
        {},
        "groups has no effect",
    ),
    "two weights": (
        fed(conv(), {"from": "in", "kind": "identity", "weight": 2, "weight_of": 0}),
        {},
        "exclude",
    ),
    "a later weight_of": (fed(conv(weight_of=0)), {}, "must be an earlier synapse"),
    "weights of another shape": (
        fed(conv(), conv("img", kernel=3, padding=1, weight_of=0)),
        {},
        r"nodes.out.synapses.1.weight_of: .*\[2, 2, 1, 1\].*\[2, 2, 3, 3\]",
    ),
    "no neuron": ([spiking_input(2), currents([conv()], 2) | {"kind": "neurons"}], {}, "need a neuron"),
    "a leak of floats": (fed(*BOTH, neuron={"threshold": 5, "leak": 0.5}), {}, "int datapath takes no leak"),
    "no such node": (fed(conv("inn"), *BOTH), {}, "there is no node 'inn'; did you mean in?"),
    "out of order": (
        [spiking_input(2), population([conv("late")], 2), currents([conv()], 2, "late")],
        {},
        "nodes.out: takes 'late', which comes after it",
    ),
    "a cycle": (
        [
            spiking_input(2),
            population([conv(), conv("b", delay=1)], 2, name="a"),
            population([conv("a")], 2, name="b"),
        ],
        {},
        "nodes.a: is in the cycle a <- b <- a",
    ),
    "itself without delay": (fed(*BOTH, conv("out")), {}, "synapses.2.delay: .*needs a delay of 1"),
    "only itself": (fed(conv("out", delay=1)), {}, "takes only itself"),
    "currents of themselves": (
        [spiking_input(2), currents([conv(), {"from": "sum", "kind": "identity", "delay": 1}], 2)],
        {},
        "nodes.sum: takes itself",
    ),
    "an input for no one": (fed(conv()), {}, "nodes.img: is an input that no node takes"),
    "a name twice": ([*fed(*BOTH), spiking_input(2)], {}, "nodes.in: is the name of two nodes"),
    "shapes": (fed(*BOTH, conv(kernel=2)), {}, r"nodes.out.synapses.2: gives 2x3x3, .*2x4x4"),
    "an empty map": (fed(*BOTH, conv(kernel=5)), {}, r"synapses.2.kernel: \[5, 5\] is larger than .*4x4"),
    "channels": (fed(*BOTH, M=3), {}, "each of 2 channels of 'img' to its own, not to 3"),
    "groups": (fed(*BOTH, conv(groups=3)), {}, "synapses.2.groups: must divide 2"),
    "a convolution of currents": (
        [*fed(*BOTH), SUM, currents([conv("sum")], 2, "x")],
        {},
        "conv synapse takes spikes or analog values, 'sum' gives currents",
    ),
    "the maximum of spikes": (
        fed(*BOTH, {"from": "in", "kind": "maxpool"}),
        {},
        "maxpool synapse takes currents",
    ),
    "delay of a constant": (
        fed(conv(), {"from": "img", "kind": "identity", "delay": 1}),
        {},
        "which is constant",
    ),
    "too much delay": (fed(*BOTH, conv(delay=T + 1)), {}, "delay: is 10, beyond the 9 time points"),
    "a shift of spikes": (fed(*BOTH, conv(shift=1)), {}, "shift: has no effect on spikes"),
    "a padded average": (
        [
            spiking_input(2, 4, 4),
            {"name": "p", "kind": "avgpool", "from": "in", "kernel": 2},
            population([conv("p", kernel=2, padding=1)], 2),
        ],
        {},
        "avgpool 'p' cannot be folded: with padding",
    ),
    "an average for no one": (
        [*fed(*BOTH), {"name": "p", "kind": "avgpool", "from": "in"}],
        {},
        "no node takes",
    ),
    "a join of currents": (
        [*fed(*BOTH), SUM, {"name": "j", "kind": "join", "how": "or", "from": ["in", "sum"]}],
        {},
        "nodes.j: takes spikes, 'sum' gives currents",
    ),
    "a join of shapes": (
        [
            *fed(*BOTH),
            spiking_input(2, 2, 2, name="b"),
            {"name": "j", "kind": "join", "how": "and", "from": ["in", "b"]},
        ],
        {},
        "'b' is 2x2x2",
    ),
    "iand of one": (
        [*fed(*BOTH), {"name": "j", "kind": "join", "how": "iand", "from": ["in"]}],
        {},
        "joins two",
    ),
    "a slice of nothing": (
        [*fed(*BOTH), {"name": "j", "kind": "join", "how": "slice", "from": ["in"], "channels": [1, 3]}],
        {},
        r"nodes.j.channels: \[1, 3\] of 2 channels",
    ),
    "currents times currents": (
        [*fed(*BOTH), SUM, {"name": "m", "kind": "matmul", "a": "sum", "b": "sum"}],
        {},
        "must be spikes; both are currents",
    ),
    "matrices": ([*fed(*BOTH), {"name": "m", "kind": "matmul", "a": "in", "b": "in"}], {}, "2x16 and 2x16"),
    "heads": (
        [*fed(*BOTH), {"name": "m", "kind": "matmul", "a": "in", "b": "in", "heads": 3}],
        {},
        "3 heads",
    ),
    "a scale": (
        [*fed(*BOTH), {"name": "m", "kind": "matmul", "a": "in", "b": "in", "scale": 0.3}],
        {},
        "power of two",
    ),
    "no threshold": (fed(*BOTH, neuron={"leak_shift": 1}), {}, "out/neuron/threshold: is missing"),
    "a number twice": (
        fed(*BOTH),
        {"out/neuron/threshold": np.zeros(2, np.int32)},
        "a number in its place already",
    ),
    "a number of another datapath": (
        fed(*BOTH),
        {"out/neuron/leak": np.zeros(2, np.float32)},
        "no such number",
    ),
    "a shift too far": (fed(*BOTH), {"out/neuron/leak_shift": np.full(2, 32, np.int32)}, "must be 0 to 31"),
    "weights of another group count": (
        fed(*BOTH, conv(groups=2)),
        {"out/synapse-2/weight": np.ones((2, 2, 1, 1), np.int8)},
        r"out/synapse-2/weight: shape \[2, 2, 1, 1\], the graph wants \[2, 1, 1, 1\]",
    ),
    "weights twice": (
        fed(*BOTH, conv(weight_of=0)),
        {"out/synapse-2/weight": np.ones((2, 2, 1, 1), np.int8)},
        "has its weights by weight_of already",
    ),
    "wide weights": (
        fed(*BOTH),
        {"out/synapse-0/weight": np.ones((2, 2, 1, 1), np.int16)},
        "must be int8, not int16",
    ),
    "values out of their bits": (
        fed(*BOTH),
        {"img/values": np.full((2, 4, 4), 8, np.int32)},
        "beyond 4 bits, signed",
    ),
    "values over time": (fed(*BOTH), {"img/values": np.zeros((2, 4, 4, T), np.int32)}, r"wants \[2, 4, 4\]"),
    "spikes of another T": (fed(*BOTH), {"in/spikes": np.zeros((2, 4, 4, 1), np.uint8)}, "another T"),
    "spikes after the end": (
        fed(*BOTH),
        {"in/spikes": np.full((2, 4, 4, 2), 255, np.uint8)},
        "another T: bits are set",
    ),
    "an unknown array": (fed(*BOTH), {"out/weight": np.zeros(2)}, "out/weight: unknown key"),
    "an array of no one": (fed(*BOTH), {"oud/bias": np.zeros(2)}, "no node 'oud'; did you mean out"),
    "nothing to compute with": (
        [*fed(*BOTH), currents([conv("out")], 2)],
        {},
        "out/spikes: 'sum' takes these, but they are not recorded",
    ),
    "sums beyond 64 bits": (
        [
            *fed(*BOTH),
            SUM,
            currents(
                [{"from": "sum", "kind": "avgpool", "kernel": 256, "padding": 255, "weight": 1 << 23}], 2, "x"
            ),
        ],
        {"sum/values": np.zeros((2, 4, 4, T), np.int32)},
        "could leave 62 bits",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    nodes, arrays, message = REFUSED[name]
    with pytest.raises(TraceError, match=message) as caught:
        made(nodes, arrays)
    assert str(caught.value).startswith("g: ") and "\n" not in str(caught.value)


def test_huge_graphs_are_refused_at_once() -> None:
    """Neither many nodes nor a long cycle take long or recurse."""
    chain = [spiking_input(2), *(currents([conv()], 2, f"n{k}") for k in range(10**5))]
    start = time.perf_counter()
    with pytest.raises(TraceError, match="10000"):
        made(chain)
    ring = [population([conv(), conv(f"n{(k + 1) % 9000}", delay=1)], 2, name=f"n{k}") for k in range(9000)]
    with pytest.raises(TraceError, match=r"is in the cycle n0 <- n1 <- .* <- \.\.\."):
        made([spiking_input(2), *ring])
    assert time.perf_counter() - start < 5


def test_nodes_are_described_without_defaults() -> None:
    nodes = everything().meta()["nodes"]
    population_node = next(node for node in nodes if node["name"] == "pop")
    assert population_node["neuron"] == {
        "fires": "at", "reset": "subtract", "reset_delay": 1, "current": {}, "adaptation": {"step": 3},
    }  # fmt: skip
    assert population_node["synapses"][0] == {
        "from": "stem", "kind": "maxpool", "kernel": 3, "padding": 1, "shift": 2,
    }  # fmt: skip
    stem = next(node for node in everything().nodes if node.name == "stem")
    assert isinstance(stem, Population) and stem.synapses[0].padding == (1, 1, 0, 1)
