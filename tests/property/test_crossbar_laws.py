"""What must hold on crossbar chips, whatever the numbers are (docs/imc.md, Section 5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chips import effective, run, trace_of
from imc_strategies import Drawn, runs
from spikex_sim import RunResult, simulate

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EXACT = {
    "imc.arrays": "nonideal", "imc.r_par_ohm": 0, "imc.read_sigma": 0, "imc.adc.bits": "auto",
    "imc.adc.kind": "flash",
}  # fmt: skip
"""Arrays that are not ideal by name alone."""


def with_keys(drawn: Drawn, **keys: Any) -> Drawn:
    return replace(drawn, changes={**drawn.changes, **keys}, calibration=None)


def counts_of(result: RunResult) -> dict[str, int]:
    assert result.totals.imc is not None
    return dict(result.totals.imc["counts"])


@few
@given(
    runs(
        fixed={"imc.adc.bits": "auto", "imc.adc.kind": "flash", "imc.crossbar": 16, "imc.crossbars_per_pe": 2}
    )
)
def test_arrays_without_flaws_give_exact_sums(drawn: Drawn) -> None:
    """Law 1: for every encoding, mapping, sharing and complement."""
    ideal = run(drawn)
    for goff in ("popcount", "column"):
        real = run(with_keys(drawn, **EXACT, **{"imc.goff": goff}))
        assert [one.output_sha256 for one in real.layers] == [one.output_sha256 for one in ideal.layers]
        assert real.totals.changed_spikes == 0


@few
@given(runs())
def test_driven_by_events_never_does_more(drawn: Drawn) -> None:
    """Law 2, first part."""
    driven, always = (counts_of(run(with_keys(drawn, **{"imc.event_driven": on}))) for on in (True, False))
    assert all(driven[name] <= always[name] for name in driven)


@few
@given(runs(most=1))
def test_dense_input_is_an_event_everywhere(drawn: Drawn) -> None:
    """Law 2, second part: without padding, where every pixel spikes all the time."""
    first = drawn.layers[0]
    if first["kind"] != "linear":
        first["padding"] = [0, 0]
        sides = (first["in_height"], first["in_width"])
        first["kernel"] = [min(pair) for pair in zip(first["kernel"], sides, strict=True)]
        first["weight"] = first["weight"][:, :, : first["kernel"][0], : first["kernel"][1]]
    drawn.samples = [np.ones_like(one) for one in drawn.samples]
    driven, always = (counts_of(run(with_keys(drawn, **{"imc.event_driven": on}))) for on in (True, False))
    assert driven == always


@few
@given(runs())
def test_silence_costs_nothing_but_updates(drawn: Drawn) -> None:
    """Law 5; layers behind the first may fire by their bias."""
    drawn.samples = [np.zeros_like(one) for one in drawn.samples]
    layers = [one for one in run(with_keys(drawn, **{"imc.event_driven": True})).layers if one.imc]
    counts = layers[0].imc["counts"]
    for name in ("reads", "row_activations", "conversions", "add_bits", "noc_in_flits", "noc_out_flits"):
        assert counts[name] == 0
    assert counts["lif_updates"] > 0


@few
@given(runs(), st.sampled_from(["imc.ports", "imc.phase_cycles", "imc.overhead_cycles", "imc.silent_cycles"]))
def test_slower_parts_never_make_anything_earlier(drawn: Drawn, key: str) -> None:
    """Law 6."""
    low, high = (run(with_keys(drawn, **{key: value})) for value in (1, 5))
    slow, fast = (low, high) if key == "imc.ports" else (high, low)
    assert counts_of(slow) == counts_of(fast)
    assert slow.totals.cycles >= fast.totals.cycles
    if len(drawn.samples) == 1:
        for one, other in zip(slow.layers, fast.layers, strict=True):
            assert one.imc is None or one.imc["end"] >= other.imc["end"]


@few
@given(runs(nonideal=True, most=2), st.randoms())
def test_a_sample_does_not_depend_on_others(drawn: Drawn, random: Any) -> None:
    """Law 4: whatever comes before, after or beside it."""
    drawn = with_keys(drawn, **{"imc.adapt": "none", "imc.adc.range": 1})
    changes = effective(drawn.changes)
    together = simulate(trace_of(drawn), "spikesim", overrides=changes)
    order = list(range(len(drawn.samples)))
    random.shuffle(order)
    shuffled = trace_of(drawn, [drawn.samples[at] for at in order])
    apart = simulate(shuffled, "spikesim", overrides=changes)
    for place, at in enumerate(order):
        one, other = apart.samples[place].to_dict(), together.samples[at].to_dict()
        one.pop("name"), other.pop("name")
        assert one == other


@pytest.mark.parametrize("arrays", ["ideal", "nonideal"])
def test_a_direct_layer_converts_once(arrays: str) -> None:
    layer = {"name": "fc", "kind": "linear", "in_channels": 6, "out_channels": 4,
             "neuron": {"threshold": 9, "leak_shift": 2}}  # fmt: skip
    weight = np.arange(24, dtype=np.int8).reshape(4, 6)
    drawn = Drawn([{**layer, "weight": weight}], [np.repeat(np.eye(6, 1, dtype=bool), 5, axis=1)], {})
    once, every = (
        run(with_keys(drawn, **{"imc.arrays": arrays, "imc.direct": direct})) for direct in ("auto", False)
    )
    assert counts_of(every)["conversions"] == 5 * counts_of(once)["conversions"] > 0
    assert counts_of(once)["current_reads"] == 4 * 4 and counts_of(every)["current_reads"] == 0
    assert once.totals.area_mm2 > every.totals.area_mm2
