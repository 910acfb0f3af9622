"""Counts, cycles and outputs of nodes of graphs equal those of models that step every register."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import register_graph
import register_memory
from drawn_graphs import graphs, largest_window
from examples import examples
from graph_comparison import assert_same, assert_same_dense, layers, simulated, told
from graphs import conv, currents, network, population, spiking_input
from naive_graph_trace import Trace
from register_graph_layer import CurrentWord, Layer, Tap
from register_memory import Step
from spikex_sim.core.errors import UnsupportedError
from spikex_sim.run.observers import Observed

FLOWS = [(preset, flow) for preset, flows in (
    ("systolic-os", ("os",)), ("systolic-ws", ("ws",)), ("systolic-is", ("is",)),
    ("sata-on-spikex", ("os", "ws", "tick_batch")),
) for flow in flows]  # fmt: skip


def whole(trace: Trace) -> bool:
    """Whether all is in the integer datapath."""
    return all(one.get("neuron", one).get("datapath", "int") == "int" for one in trace.nodes)


def shapes() -> st.SearchStrategy[dict[str, Any]]:
    side = st.integers(1, 4)
    return st.fixed_dictionaries({"array.rows": side, "array.cols": side})


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(100)
@given(data=st.data())
def test_the_array_does_what_the_registers_do(scheduler: str, data: st.DataObject) -> None:
    trace = data.draw(graphs("int").filter(whole))
    tws = data.draw(st.integers(1, largest_window(trace)))
    keys = data.draw(shapes()) | {"accumulators_per_pe": data.draw(st.integers(1, 2))}
    if scheduler == "spikex":
        keys["leak_catchup_cycles"] = data.draw(st.integers(0, 2))
    assert_same(trace, scheduler, tws, keys, data.draw(st.booleans()))


@pytest.mark.parametrize(("preset", "flow"), FLOWS)
@examples(30)
@given(data=st.data())
def test_dense_arrays_do_what_the_registers_do(preset: str, flow: str, data: st.DataObject) -> None:
    trace = data.draw(graphs("int").filter(whole))
    keys = data.draw(shapes()) | {"dataflow": flow, "zero_gating": data.draw(st.booleans())}
    try:
        assert_same_dense(trace, preset, keys, data.draw(st.booleans()))
    except UnsupportedError:
        assert flow == "tick_batch"
        event("cannot be done")


# Time between runs. ---------------------------------------------------------------------------------


@examples(40)
@given(data=st.data())
def test_runs_wait_as_the_clock_says(data: st.DataObject) -> None:
    scheduler = data.draw(st.sampled_from(["spikex", "ptb"]))
    trace = data.draw(graphs("int").filter(lambda one: whole(one) and loops(one)))
    tws, shape = data.draw(st.integers(1, largest_window(trace))), data.draw(shapes())
    keys = shape | {
        "memory.lbuf.bytes": 16384,  # no outputs and no words of currents take steps of their own
        "memory.dram.bandwidth_gb_s": data.draw(st.sampled_from([0.5, 4, 30, 1000])),
        "memory.dram.latency_cycles": data.draw(st.integers(0, 9)),
    }
    kept = Observed()
    result = simulated(trace, scheduler, tws, keys, observe=kept)
    waited = 0
    for name in loops(trace):
        its = layers(trace, name, tws, reuse=True)
        rows, cols = shape["array.rows"], shape["array.cols"]
        seen = [register_graph.run_layer(one, scheduler=scheduler, rows=rows, cols=cols) for one in its]
        steps = [part for one in seen for part in one.steps]
        placed = [one.timed for one in kept.placed() if one.timed is not None and one.timed.name == name]
        layer = next(one for one in result.layers if one.name == name)
        stalls: Counter[str] = Counter()
        for runs, timed in zip(steps, placed, strict=True):
            durations = timed.cost.durations
            columns = [getattr(durations, key).tolist() for key in Step._fields]
            assert columns[-1] == [cycles for run in runs for cycles in run]
            clocked = register_memory.run(
                [Step(*row) for row in zip(*columns, strict=True)], [*map(len, runs)]
            )
            assert timed.cost.cycles == clocked.cycles
            stalls.update(clocked.stalls)
        assert dict(layer.stalls) == {cause: stalls[cause] for cause in layer.stalls}
        waited += stalls["recurrence"]
    event(f"waits between runs: {waited > 0}")


def loops(trace: Trace) -> list[str]:
    """Populations that take themselves."""
    return [
        node["name"] for node in trace.nodes
        if any(one["from"] == node["name"] for one in node.get("synapses", ()))
    ]  # fmt: skip


# By hand. -------------------------------------------------------------------------------------------


def image(*shape: int, constant: bool) -> dict[str, Any]:
    """An input of numbers."""
    values = {"bits": 8, "signed": True, "constant": constant}
    return {"name": "img", "kind": "input", "shape": list(shape), "values": values}


def ones(*shape: int) -> Any:
    return np.ones(shape, np.int8)


def reuse_pass() -> Trace:
    """Three channels of two positions with two taps each, of an image; four time points."""
    nodes = [image(1, 1, 3, constant=True), population([conv("img", kernel=[1, 2])], 3)]
    return network(nodes, 4, {"img/values": np.array([[[1, 2, 3]]], np.int32),
                              "out/synapse-0/weight": ones(3, 1, 1, 2)})  # fmt: skip


def words_of_currents() -> Trace:
    """Sums that two neurons take with a weight of 2, and two at a time, one of which lies in the padding."""
    sums = currents([{"from": "img", "kind": "identity"}], 1)
    synapses = [
        {"from": "sum", "kind": "identity", "weight": 2},
        {"from": "sum", "kind": "avgpool", "kernel": [1, 2], "padding": [0, 0, 0, 1]},
    ]
    nodes = [image(1, 1, 2, constant=False), sums, population(synapses, 1)]
    return network(nodes, 3, {"img/values": np.arange(6, dtype=np.int32).reshape(1, 1, 2, 3)})


def own_channels() -> Trace:
    """Two channels, one of which fires once and the other always, in two time points."""
    spikes = np.array([[1, 0], [1, 1]], np.bool_)
    return network(
        [spiking_input(2), population([{"from": "in", "kind": "identity"}], 2)], 2, {"in/spikes": spikes}
    )


def comes_back() -> Trace:
    """A neuron that fires at all of seven time points and takes itself after three."""
    synapses = [{"from": "in", "kind": "identity"}, {"from": "out", "kind": "identity", "delay": 3}]
    arrays = {"in/spikes": np.zeros((1, 7), np.bool_), "out/bias": np.array([5], np.int32)}
    return network([spiking_input(1), population(synapses, 1, {"threshold": 2})], 7, arrays)


def two_groups() -> Trace:
    """Two groups of one channel each, of which the first has spikes, in its first time point."""
    spikes = np.array([[1, 0, 0], [0, 0, 0]], np.bool_).reshape(2, 1, 1, 3)
    arrays = {"in/spikes": spikes, "out/synapse-0/weight": ones(2, 1, 1, 1)}
    return network([spiking_input(2, 1, 1), population([conv(groups=2)], 2)], 3, arrays)


def three_states() -> Trace:
    """A neuron with a synaptic current and adaptation, one spike in three time points."""
    neuron = {"threshold": 3, "current": {"leak_shift": 1}, "adaptation": {"leak_shift": 1, "step": 2}}
    nodes = [spiking_input(1), population([{"from": "in", "kind": "identity"}], 1, neuron)]
    return network(nodes, 3, {"in/spikes": np.array([[1, 0, 0]], np.bool_)})


def product() -> Trace:
    """`A·B` of ``[2, 2]`` and ``[2, 3]``: two slices of two rows; `b` has fewer spikes."""
    a = np.array([[[1, 1], [1, 0]], [[1, 1], [1, 1]]], np.bool_)
    b = np.array([[[1, 0], [0, 0], [0, 0]], [[1, 0], [0, 0], [0, 1]]], np.bool_)
    nodes = [spiking_input(2, 1, 2, name="a"), spiking_input(2, 1, 3, name="b"),
             {"name": "out", "kind": "matmul", "a": "a", "b": "b"}]  # fmt: skip
    return network(nodes, 2, {"a/spikes": a.reshape(2, 1, 2, 2), "b/spikes": b.reshape(2, 1, 3, 2)})


BY_HAND = {
    # In the pass, row groups of 2 and 1 channels: 2 taps, an update of 1, a skew of 2 and 1. Over time, in
    # each group, two batches of two columns: an update of 2 and a word; a skew of 2 and 1.
    "the pass": (reuse_pass, 2, (2, 2), {
        "compute_cycles": (2 + 1 + 2) + (2 + 1 + 1) + (2 * 3 + 2) + (2 * 3 + 1), "multiplications": 12,
        "batches": 6, "streamed_taps": 4, "lif_updates": 24, "dram/psum read": 12 * 24,
        "dram/psum written": 6 * 24,
    }),
    # Four batches of one window: 2, and per time point 1 + 2 words, or 1 + 1 where one lies in the padding.
    "words": (words_of_currents, 2, (1, 1), {
        "compute_cycles": 2 * (2 + 6) + 2 * (2 + 4), "multiplications": 2 * 3, "streamed_taps": 0,
        "dram/psum read": 2 * (6 + 4) * 24, "lif_updates": 8,
    }),
    # Two taps of 2 cycles, an update of 2, a skew of 1: each tap has one weight, and concerns one row.
    "own channels": (own_channels, 2, (2, 1), {
        "compute_cycles": 2 * 2 + 2 + 1, "accumulations": 3, "streamed_taps": 2, "lbuf/filter read": 2 * 8,
        "rf/filter written": 2 * 8, "rf/psum written": 3 * 24 + 4 * 16,
    }),
    "own channels, a row at a time": (own_channels, 2, (1, 1), {
        "compute_cycles": 2 * (2 + 2), "accumulations": 3, "streamed_taps": 2, "lbuf/filter read": 2 * 8,
    }),
    # Windows of 2, a delay of 3: runs of one window. The tap is silent in the first of four.
    "recurrence": (comes_back, 2, (1, 1), {
        "compute_cycles": 4 * 2 + 3 * 2, "batches": 4, "streamed_taps": 3, "lif_updates": 8,
        "accumulations": 4,
    }),
    # With windows of 1 runs have three: batches of two columns and of one, in two runs, then of one.
    "recurrence, longer runs": (comes_back, 1, (1, 2), {
        "compute_cycles": 2 * (2 + 1 + 1) + 1 + (1 + 1) + 1, "batches": 5, "streamed_taps": 3,
        "lif_updates": 7, "accumulations": 4,
    }),
    # Two layers of one row, where one would have a skew of 1; the second has nothing to do.
    "groups": (two_groups, 1, (2, 1), {"compute_cycles": 1 + 1, "batches": 1, "ntwus": 1, "lif_updates": 1}),
    "states": (three_states, 3, (1, 1), {"compute_cycles": 3 + 3 * 3, "lif_updates": 3,
                                         "rf/psum written": 24 + 9 * 16, "lbuf/psum written": 3 * 16}),
    # Slices of 2 rows and 3 columns, 2 PEs wide: 2 + 0 taps, then 0 + 1; two updates, a skew of 2.
    "a product": (product, 1, (2, 2), {"compute_cycles": (2 + 2 + 2) + (1 + 2 + 2), "accumulations": 2 * 3 ,
                                       "batches": 4, "streamed_taps": 3, "lbuf/filter read": 2 * 3}),
}  # fmt: skip


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case: str) -> None:
    make, tws, (rows, cols), wanted = BY_HAND[case]
    layer = assert_same(make(), "spikex", tws, {"array.rows": rows, "array.cols": cols})[-1]
    assert told(layer, wanted) == wanted


DENSE_BY_HAND = {
    # Two channel groups, two rows each, of K + R + C - 2 cycles in the pass; words of currents take none.
    "the pass": (reuse_pass, (1, 2), {
        "compute_cycles": 2 * 2 * (2 + 1), "batches": 4, "multiplications": 12,
    }),
    "words": (words_of_currents, (2, 2), {
        "compute_cycles": 0, "batches": 0, "multiplications": 6, "dram/psum read": 3 * (2 * 1 + 2 + 1) * 24,
        "dram/ofmap written": 6,
    }),
    # Two taps for each channel; zeros are added.
    "own channels": (own_channels, (2, 2), {"compute_cycles": 2 + 2, "batches": 1, "accumulations": 2 * 2 * 2,
                                            "array_filter_words": 2 * 2}),
    # Seven rows of two taps, runs of three, three and one: on four PEs three folds, where there would be two.
    "recurrence": (comes_back, (4, 1), {"compute_cycles": 3 * (2 + 3), "batches": 3, "accumulations": 14}),
    "a product": (product, (4, 2), {"compute_cycles": 2 * (2 + 4), "batches": 2}),
}  # fmt: skip


@pytest.mark.parametrize("case", DENSE_BY_HAND)
def test_by_hand_on_dense_arrays(case: str) -> None:
    make, (rows, cols), wanted = DENSE_BY_HAND[case]
    keys = {"array.rows": rows, "array.cols": cols, "dataflow": "os", "zero_gating": False}
    layer = assert_same_dense(make(), "systolic-os", keys)[-1]
    assert told(layer, wanted) == wanted


# A model that does something else does not pass. ----------------------------------------------------

WORDS = Layer.current_words
OTHERWISE: dict[str, tuple[str, str, Any]] = {
    "an update without the words": ("words", "current_words", lambda *_: []),
    "a word too many": ("words", "current_words", lambda *which: [*WORDS(*which), CurrentWord(0, 0, 0)]),
    "no multiplications by weights": ("words", "scaled", lambda *_: 0),
    "taps of own channels in all rows": ("own channels", "taps", lambda self, part: [
        Tap(0, c, 0, 0, part) for c in part
    ]),
    "one part": ("groups", "parts", property(lambda self: [range(self.channels)])),
    "runs of one window": ("recurrence, longer runs", "runs", property(lambda self: [
        range(w, w + 1) for w in range(self.windows)
    ])),
    "one state": ("states", "states", 1),
    "silence that is never free": ("groups", "always_active", True),
    "silence that is always free": ("recurrence", "always_active", False),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERWISE)
def test_another_machine_is_noticed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, name, other = OTHERWISE[what]
    make, tws, (rows, cols), _ = BY_HAND[case]
    keys = {"array.rows": rows, "array.cols": cols}
    assert_same(make(), "spikex", tws, keys)
    monkeypatch.setattr(Layer, name, other)
    with pytest.raises(AssertionError):
        assert_same(make(), "spikex", tws, keys)


def test_longer_runs_need_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Layer, "runs", property(lambda self: [range(self.windows)]))
    with pytest.raises(RuntimeError, match="needed before"):
        assert_same(comes_back(), "spikex", 2, {"array.rows": 1, "array.cols": 1})


def test_the_array_waits_between_runs() -> None:
    found = simulated(comes_back(), "spikex", 2, {"array.rows": 1, "array.cols": 1}).layers[0]
    # Each of three times: 2 bits and a tag leave the LBUF in one cycle, and the GLB in one.
    assert found.stalls["recurrence"] == 3 * 2
