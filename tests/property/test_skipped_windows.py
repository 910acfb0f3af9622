"""No output spike lies in a window that was skipped (``networks.md`` 7, law 6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import spikex_sim as sx
from drawn_graphs import graphs, largest_window
from examples import examples
from graphs import network, packaged, population, spiking_input
from naive_graph import evaluate
from naive_graph_trace import Trace
from spikex_sim.run.observers import Observed
from spikex_sim.spec.load import load_accelerator
from spikex_sim.testing.own_keys import own
from spikex_sim.trace.graph import GraphTrace
from strategies import arrays


def skipped(kept: Observed, name: str, spikes: Any, tws: int) -> Any:
    """Windows of the neurons of a node that no batch has, ``[M, P, N_TW]``."""
    channels, *size, times = spikes.shape
    issued = np.zeros((channels, int(np.prod(size)), -(-times // tws)), np.bool_)
    first = 0
    for one in kept.placed():
        if one.timed is None or one.timed.name != name or not one.timed.cost.task.states:
            continue  # another node, or the pass of what is constant
        schedule, its = one.timed.cost.schedule, one.timed.cost.task.out_channels
        issued[first : first + its, schedule.position, schedule.window] = True
        first += its
    assert first == channels
    return ~issued


def assert_no_spike_is_skipped(trace: Trace, scheduler: str, tws: int, keys: dict[str, Any]) -> int:
    """Hold what was issued against the spikes of the oracle; how many windows were skipped."""
    kept = Observed()
    sx.simulate(packaged(trace), scheduler, tws=tws, overrides=own(scheduler, keys), observe=kept)
    evaluated, left_out = evaluate(trace, potential_bits=keys.get("potential_bits", 16)), 0
    for node in trace.nodes:
        if node["kind"] != "neurons":
            continue
        spikes = evaluated.computed[node["name"]].values
        silent = skipped(kept, node["name"], spikes, tws)
        windows = np.pad(
            spikes.reshape(*silent.shape[:2], -1), ((0, 0), (0, 0), (0, -spikes.shape[-1] % tws))
        )
        fires = windows.reshape(*silent.shape, tws).any(axis=-1)
        assert not (fires & silent).any(), node["name"]
        left_out += int(silent.sum())
    return left_out


@pytest.mark.parametrize("datapath", ["int", "float"])
@examples(100)
@given(data=st.data())
def test_no_spike_lies_in_a_skipped_window(datapath: str, data: st.DataObject) -> None:
    trace = data.draw(graphs(datapath))
    scheduler = data.draw(st.sampled_from(["spikex", "spikex", "ptb"]))
    keys = data.draw(arrays()) | {
        "mapping.tile": data.draw(st.sampled_from(["auto", "layer"])),
        "dispatch": data.draw(st.sampled_from(["agile", "temporal", "spatial"])),
        "direct_encoding": data.draw(st.sampled_from(["reuse", "recompute"])),
        "energy.table": "default", "energy.device": "hp", "memory.dram.kind": "LPDDR4",  # has float energies
    }  # fmt: skip
    left_out = assert_no_spike_is_skipped(
        trace, scheduler, data.draw(st.integers(1, largest_window(trace))), keys
    )
    assert load_accelerator(scheduler).scheduler == "spikex" or left_out == 0
    event(f"windows skipped: {left_out > 0}")


# Neurons that fire without input, one for every reason why silence is not free.
RESTLESS: dict[str, tuple[dict[str, Any], int, list[int]]] = {  # neuron, bias, time points of input
    "soft reset": ({"reset": "subtract"}, 0, [0]),
    "no reset": ({"reset": "none"}, 0, [0]),
    "late reset": ({"reset": "subtract", "reset_delay": 1}, 0, [0]),
    "bias": ({}, 2, []),
    "negative threshold": ({"threshold": -1}, 0, []),
    "threshold of 0 that is enough": ({"threshold": 0, "fires": "at"}, 0, []),
    "current": ({"threshold": 12, "current": {}}, 0, [0]),
    "adaptation": ({"adaptation": {"leak_shift": 1, "step": 200}}, 0, [0, 1]),
}


def restless(why: str) -> Trace:
    """One neuron that takes 20 with every spike; its threshold is 3 if nothing else is said."""
    neuron, bias, times = RESTLESS[why]
    spikes = np.zeros((1, 12), np.bool_)
    spikes[:, times] = True
    arrays = {"in/spikes": spikes, "out/bias": np.array([bias], np.int32)}
    synapses = [{"from": "in", "kind": "identity", "weight": 20}]
    return network([spiking_input(1), population(synapses, 1, {"threshold": 3} | neuron)], 12, arrays)


@pytest.mark.parametrize("tws", [1, 3])
@pytest.mark.parametrize("why", RESTLESS)
def test_skipping_what_fires_by_itself_is_noticed(
    why: str, tws: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert assert_no_spike_is_skipped(restless(why), "spikex", tws, {}) == 0
    monkeypatch.setattr(GraphTrace, "silence_is_free", lambda *_: True)
    with pytest.raises(AssertionError, match="out"):
        assert_no_spike_is_skipped(restless(why), "spikex", tws, {})
