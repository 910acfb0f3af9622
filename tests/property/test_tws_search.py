"""The exhaustive search of window sizes finds what trying every combination finds."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikex_sim as sx
from spikex_sim.explore.tws_search import TwsSpace
from study_traces import a_trace

NEURON = {"threshold": 12, "leak_shift": 3}


def chain(seed: int, samples: int, timesteps: int, depth: int, rate: float) -> sx.Trace:
    """Convolutions one after the other, then a linear layer."""
    rng = np.random.default_rng(seed)
    layers, weights, channels = [], [], 2
    for index in range(depth):
        wanted = int(rng.integers(1, 12))
        layers.append(
            {"name": f"conv{index}", "kind": "conv", "in_channels": channels, "out_channels": wanted,
             "kernel": 3, "padding": 1, "in_height": 5, "in_width": 4, "neuron": NEURON}
        )  # fmt: skip
        weights.append(rng.integers(-9, 14, (wanted, channels, 3, 3)).astype(np.int8))
        channels = wanted
    layers.append({"name": "fc", "kind": "linear", "in_channels": 20 * channels, "out_channels": 3,
                   "neuron": NEURON})  # fmt: skip
    weights.append(rng.integers(-9, 12, (3, 20 * channels)).astype(np.int8))
    spikes = rng.random((samples, 2, 5, 4, timesteps)) < rate
    return sx.Trace.from_arrays(layers, spikes, weights=weights)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    samples=st.integers(1, 3),
    depth=st.integers(1, 2),
    rate=st.sampled_from([0.02, 0.1, 0.4]),
    keep=st.sampled_from([None, 0.02, 0.1]),
    arch=st.sampled_from(["spikex", "ptb"]),
)
def test_exhaustive_is_brute_force(
    seed: int, samples: int, depth: int, rate: float, keep: float | None, arch: str
) -> None:
    trace = chain(seed, samples, 11, depth, rate)
    overrides = {} if keep is None else {"memory.glb.keep_ofmap": True, "memory.glb.bytes": 8192,
                                         "memory.glb.partition.ofmap": keep}  # fmt: skip
    choices = (1, 3, 5, 11)
    space = TwsSpace(trace, arch, choices, overrides=overrides)
    runs = {
        tws: sx.simulate(trace, arch, tws=list(tws), overrides=overrides).totals
        for tws in product(choices, repeat=depth + 1)
    }
    best = min(runs, key=lambda tws: (runs[tws].edp_js, tws))
    found = space.exhaustive()
    assert found.edp_js == pytest.approx(runs[best].edp_js, rel=1e-12)
    assert runs[found.tws].edp_js == pytest.approx(runs[best].edp_js, rel=1e-12)
    assert found.architectures == len(runs)
    assert found.evaluations <= space.evaluations <= 2**samples * len(choices) * (depth + 1)
    for tws in list(runs)[:: max(1, len(runs) // 7)]:
        one = space.given(tws)
        assert one.energy_pj == pytest.approx(runs[tws].energy_pj, rel=1e-12)
        assert one.seconds == pytest.approx(runs[tws].seconds, rel=1e-12)


def test_searches_beside_each_other() -> None:
    trace = a_trace()
    space = TwsSpace(trace, choices=[1, 2, 4, 8])
    exhaustive, drawn, uniform, given_one = space.search((2, 8), seed=3)
    assert sx.search_tws(trace, choices=[1, 2, 4, 8], given=(2, 8), seed=3).found == (
        exhaustive, drawn, uniform, given_one
    )  # fmt: skip
    assert [one.method for one in (exhaustive, drawn, uniform, given_one)] == [
        "exhaustive", "random", "uniform", "given"
    ]  # fmt: skip
    assert exhaustive.evaluations == 8 == drawn.evaluations and drawn.architectures == 4
    assert exhaustive.edp_js <= min(drawn.edp_js, uniform.edp_js, given_one.edp_js)
    same = {tws: sx.simulate(trace, tws=tws).totals.edp_js for tws in (1, 2, 4, 8)}
    assert uniform.edp_js == pytest.approx(min(same.values())) and len(set(uniform.tws)) == 1
    assert given_one.edp_js == pytest.approx(sx.simulate(trace, tws=[2, 8]).totals.edp_js)
    everything = space.random(1000)
    assert (everything.architectures, everything.tws) == (16, exhaustive.tws)
    assert space.random(3, seed=1) == space.random(3, seed=1)


def test_recorded_layers_and_pooling_break_the_chain() -> None:
    trace = a_trace()
    both = sx.Trace.from_arrays(
        trace.layers,
        {0: trace.spikes(0), 2: np.random.default_rng(0).random((6, 20, 13)) < 0.3},
        weights=trace.weights,
    )
    space = TwsSpace(both, choices=[1, 3, 7], overrides={"memory.glb.keep_ofmap": True})
    found = space.exhaustive()
    totals = sx.simulate(both, tws=list(found.tws), overrides={"memory.glb.keep_ofmap": True}).totals
    assert found.edp_js == pytest.approx(totals.edp_js, rel=1e-12)
    assert space.evaluations == 6


def test_refused_sizes_are_left_out() -> None:
    layer = {"name": "fc", "kind": "linear", "in_channels": 300, "out_channels": 3, "neuron": NEURON}
    trace = sx.Trace.from_arrays([layer], np.random.default_rng(0).random((300, 16)) < 0.2)
    space = TwsSpace(trace, choices=[1, 2, 16], overrides={"memory.glb.bytes": 4096})
    assert space.sizes == ((1, 2),) and list(space.refused) == [("fc", 16)]
    assert space.exhaustive().tws[0] in (1, 2)
    with pytest.raises(sx.ConfigError, match="16 is none of the sizes of fc: 1, 2"):
        space.given([16])
    with pytest.raises(sx.ConfigError, match="can have none"):
        TwsSpace(trace, choices=[16], overrides={"memory.glb.bytes": 4096})


@pytest.mark.parametrize("choices", [[0], [14], [1, 1], [], ["2"], [True]])
def test_choices_that_make_no_sense_are_refused(choices: list[int]) -> None:
    with pytest.raises(sx.ConfigError, match="tws"):
        TwsSpace(a_trace(), choices=choices)
