"""Laws of the text that the slow oracle of in-memory computing keeps, on networks drawn at random (§5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from examples import examples
from imc_strategies import Drawn, runs, spikes
from naive import Bools
from naive_imc import Activity, config_of, counts, is_direct
from naive_imc_net import INPUT, Machine, Network, sample_id
from naive_imc_time import Durations, Schedule, timed
from naive_nice import CALIBRATION
from naive_nice_run import Hardware, changed_spikes, passes

PERFECT: dict[str, Any] = {
    "imc.arrays": "nonideal",
    "imc.adc.bits": "auto",
    "imc.adc.kind": "flash",
    "imc.r_par_ohm": 0,
    "imc.read_sigma": 0,
    "imc.write_sigma": 0,
    "imc.drift.nu": 0,
    "imc.stuck.on": 0,
    "imc.stuck.off": 0,
    "imc.adapt": "none",
}


def entering(drawn: Drawn, sample: int = 0) -> list[Bools]:
    """Spikes that enter every layer of an ideal network."""
    return [one.spikes for one in Machine(drawn.layers, drawn.config).software(drawn.samples[sample])]


def activities(drawn: Drawn, into: list[Bools], **changes: Any) -> list[Activity]:
    machine = Machine(drawn.layers, drawn.config | changes)
    return [
        Activity(mapped, one, first=index == 0)
        for index, (mapped, one) in enumerate(zip(machine.mapped, into, strict=True))
    ]


@given(runs(nonideal=True, fixed=PERFECT), st.sampled_from(["popcount", "column"]))
@examples(60)
def test_perfect_arrays_compute_exactly(drawn: Drawn, goff: str) -> None:
    config = drawn.config | {"imc.goff": goff}
    passed = passes(drawn.layers, drawn.samples, config)
    assert not any(changed_spikes(drawn.layers, drawn.samples, config, passed))


@given(runs(nonideal=True, fixed=PERFECT | {"imc.adapt": "channel"}))
@examples(40)
def test_perfect_arrays_need_no_adaptation(drawn: Drawn) -> None:
    config = drawn.config | {"imc.goff": "popcount"}
    passed = passes(drawn.layers, drawn.samples, config, drawn.calibration)
    assert not any(changed_spikes(drawn.layers, drawn.samples, config, passed))


@given(runs(nonideal=True, fixed={"imc.adapt": "channel"}))
@examples(40)
def test_adaptation_gives_calibration_sums_the_mean_of_software(drawn: Drawn) -> None:
    """Of the first layer, whose input is the software's; rounding moves a mean by at most a half."""
    hardware = Hardware(drawn.layers, drawn.config, drawn.samples[:1])
    statistics = hardware.statistics[0]
    assert statistics is not None
    outputs = {INPUT: drawn.samples[0]}
    sums = hardware.run_layer(0, outputs, sample_id(drawn.samples[0]), CALIBRATION).sums
    for of_channel, (mean_s, _, _, _) in zip(sums, statistics, strict=True):
        assert abs(of_channel.mean() - mean_s) <= 0.5 + 1e-6


@given(runs(residual=True))
@examples(50)
def test_events_never_cost_more_than_all_reads(drawn: Drawn) -> None:
    into = entering(drawn)
    for some, every in zip(
        activities(drawn, into, **{"imc.event_driven": True}),
        activities(drawn, into, **{"imc.event_driven": False}),
        strict=True,
    ):
        few, many = counts(some), counts(every)
        assert all(few[key] <= many[key] for key in many)


@given(runs(most=1))
@examples(40)
def test_dense_inputs_leave_nothing_to_skip(drawn: Drawn) -> None:
    if drawn.layers[0]["kind"] == "conv":
        drawn.layers[0]["padding"] = 0
        assume(
            all(a <= b for a, b in zip(drawn.layers[0]["kernel"], drawn.samples[0].shape[1:3], strict=True))
        )
    dense = [np.ones_like(drawn.samples[0])]
    (some,) = activities(drawn, dense, **{"imc.event_driven": True})
    (every,) = activities(drawn, dense, **{"imc.event_driven": False})
    assert counts(some) == counts(every)


@given(runs(residual=True), st.integers(0, 1))
@examples(60)
def test_layers_share_the_critical_path(drawn: Drawn, sample: int) -> None:
    assume(sample < len(drawn.samples))
    got = timed(Machine(drawn.layers, drawn.config), entering(drawn, sample))
    assert sum(layer["cycles"] for layer in got["layers"]) == got["cycles"] == max(got["ends"].values())
    for layer in got["layers"]:
        assert layer["cycles"] == layer["compute_cycles"] + sum(layer["stalls"].values())
        assert layer["compute_cycles"] <= layer["busy"] <= layer["end"] - layer["start"] <= got["cycles"]


@given(runs(nonideal=True))
@examples(40)
def test_samples_do_not_see_each_other(drawn: Drawn) -> None:
    calibration = drawn.calibration or drawn.samples[:1]
    there = passes(drawn.layers, drawn.samples, drawn.config, calibration)
    back = passes(drawn.layers, drawn.samples[::-1], drawn.config, calibration)[::-1]
    for one, other in zip(there, back, strict=True):
        assert all((a.out == b.out).all() for a, b in zip(one, other, strict=True))


@given(runs(residual=True))
@examples(50)
def test_silence_costs_no_read_no_conversion_no_flit(drawn: Drawn) -> None:
    drawn.samples[0][:] = False
    for activity in activities(drawn, entering(drawn), **{"imc.event_driven": True}):
        if not activity.spikes.any():
            n = counts(activity)
            assert not any(
                n[key] for key in ("reads", "conversions", "noc_in_flits", "noc_out_flits", "add_bits")
            )


@given(runs(residual=True), st.sampled_from(["imc.ports", "imc.phase_cycles"]))
@examples(60)
def test_slower_parts_never_end_anything_earlier(drawn: Drawn, key: str) -> None:
    into, step = entering(drawn), -1 if key == "imc.ports" else 1
    slower = drawn.config | {key: max(1, drawn.config[key] + step)}
    before = timed(Machine(drawn.layers, drawn.config), into)["ends"]
    after = timed(Machine(drawn.layers, slower), into)["ends"]
    assert all(after[one] >= end for one, end in before.items())


def alone(machine: Machine, spikes: list[Bools], dataflow: str) -> int:
    """Cycles of all layers, each by itself."""
    total = 0
    for index, (layer, mapped, one) in enumerate(
        zip(machine.net.layers, machine.mapped, spikes, strict=True)
    ):
        by_itself = Network([{key: value for key, value in layer.items() if key != "from"}])
        durations = Durations(Activity(mapped, one, first=index == 0))
        acts = Schedule(by_itself, [mapped], [durations], dataflow).acts
        total += max(act.end for act in acts.values())
    return total


@given(runs(residual=True))
@examples(80)
def test_overlap_of_layers_never_costs_anything(drawn: Drawn) -> None:
    """Whatever else `layer` loses to `tick_batch`, it loses to the order of units within a layer."""
    machine, into = Machine(drawn.layers, drawn.config), entering(drawn)
    assert timed(machine, into, "layer")["cycles"] <= alone(machine, into, "layer")
    overlapping, one_by_one = timed(machine, into, "tick_batch")["cycles"], alone(machine, into, "tick_batch")
    assert overlapping <= one_by_one
    if not any("from" in layer for layer in drawn.layers):
        assert overlapping == one_by_one


def test_layers_may_end_later_than_tick_batches() -> None:
    """The order of units may cost more than overlap gains: here where nothing is read at all."""
    neuron = {"threshold": 0, "leak_shift": 0, "reset": "zero", "datapath": "int"}
    sizes = {"in_channels": 1, "out_channels": 1, "in_height": 3, "in_width": 1, "kernel": 1}
    layers: list[dict[str, Any]] = [
        {"name": "a", "kind": "conv", "stride": [1, 2], "padding": [0, 1], "neuron": neuron, **sizes},
        {"name": "b", "kind": "linear", "in_channels": 6, "out_channels": 1, "neuron": neuron},
    ]
    for layer, shape in zip(layers, [(1, 1, 1, 1), (1, 6)], strict=True):
        layer["weight"] = np.ones(shape, np.int8)
    drawn = Drawn(layers, [np.ones((1, 3, 1, 2), bool)], {})
    machine, into = Machine(layers, drawn.config), entering(drawn)
    assert timed(machine, into, "layer")["cycles"] == 12
    assert timed(machine, into, "tick_batch")["cycles"] == 11


@given(runs(nonideal=True, most=2), st.integers(0, 2**20))
@examples(40)
def test_a_direct_layer_keeps_the_sums_of_its_first_time_point(drawn: Drawn, seed: int) -> None:
    shape = drawn.samples[0].shape
    sample = np.repeat(np.random.default_rng(seed).random((*shape[:-1], 1)) < 0.5, 3, axis=-1)
    assume(sample.any() and drawn.layers[0]["kind"] != "maxpool")
    hardware = Hardware(drawn.layers, drawn.config | {"imc.direct": "auto"}, [sample])
    sums = hardware.run(sample)[0].sums
    assert (sums == sums[..., :1]).all()
    again = Hardware(drawn.layers, drawn.config | {"imc.direct": False}, [sample])
    if drawn.config["imc.adapt"] == "none":  # then the noise of t = 0 is all that matters
        again.shifts = hardware.shifts  # sums of one time point calibrate as those of all, but for `clip`
        assert (again.run(sample)[0].sums[..., 0] == sums[..., 0]).all()


@pytest.mark.parametrize(("activity", "direct"), [("constant", True), ("gaps", False), ("silent", False)])
def test_direct_is_told_by_the_input(activity: str, direct: bool) -> None:
    sample = spikes((2, 4, 4, 6), activity, seed=1)
    assert is_direct(sample, config_of(), first=True) == direct
    assert not is_direct(sample, config_of(), first=False)
    assert not is_direct(sample, config_of({"imc.direct": False}), first=True)
    if direct:
        assert is_direct(sample, config_of({"imc.direct": True}), first=True)
    else:
        with pytest.raises(ValueError, match=r"imc\.direct is true"):
            is_direct(sample, config_of({"imc.direct": True}), first=True)
