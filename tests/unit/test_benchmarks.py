"""The benchmark harness: what it compares is comparable, and its page says what was saved."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from benchmarks import measure, nice, page, scalesim_run, workloads
from benchmarks.timing import exponent, medians, timed

import spikex_sim as sx


def test_the_page_is_what_was_saved() -> None:
    found = json.loads(page.SAVED.read_text())
    assert page.PAGE.read_text() == page.markdown(found), "run `python scripts/benchmarks/page.py`"


def test_every_target_of_the_saved_run_is_answered() -> None:
    for row in json.loads(page.SAVED.read_text())["rows"]:
        made = measure.Row(
            **{name: row[name] for name in ("name", "versus", "value", "target", "details", "more")}
        )
        assert row["met"] == made.met and row["details"]


@pytest.mark.parametrize(
    ("value", "target", "more", "met"),
    [(1.0, 1.0, False, True), (1.1, 1.0, False, False), (999, 1000, True, False), (1000, 1000, True, True),
     (None, 1.0, False, None), (5.0, None, False, None)],
)  # fmt: skip
def test_met(value: float | None, target: float | None, more: bool, met: bool | None) -> None:
    assert measure.Row("a", "b", value, target, "", more).met is met


def test_what_is_more_than_a_tenth_worse_is_found() -> None:
    def row(name: str, value: float | None, *, more: bool = False, versus: str = "x") -> dict[str, Any]:
        return {"name": name, "value": value, "more": more, "versus": versus}

    saved = [
        row("a", 1.0),
        row("b", 100.0, more=True),
        row("c", 1.0),
        row("d", 0.5, versus="exponent"),
        row("e", 2),
    ]
    now = [row("a", 1.11), row("b", 90.0, more=True), row("c", 1.09), row("d", 5.0, versus="exponent"),
           row("e", None), row("f", 9.0)]  # fmt: skip
    assert [item.split(":")[0] for item in measure.worse(now, saved)] == ["a", "b"]
    assert measure.worse([row("b", 111.0, more=True)], saved) == []


def test_medians_take_turns_and_leave_the_first_of_a_turn_out() -> None:
    calls: list[str] = []

    def timer(name: str, *seconds: float) -> Any:
        left = iter(seconds)

        def run() -> float:
            calls.append(name)
            return next(left)

        return run

    assert medians([timer("a", 9, 9, 1, 2, 9, 3, 9), timer("b", 9, 9, 5, 6, 9, 7, 8)], 2) == [2.5, 6.5]
    assert "".join(calls) == "ab" + "aaabbb" * 2
    assert medians([timer("c", 9, 4, 6)], 2, in_a_row=1) == [5]
    assert timed(time.sleep, 0.01)() >= 0.01


def test_exponents() -> None:
    assert exponent([1, 2, 4], [3, 6, 12]) == pytest.approx(1)
    assert exponent([1, 10, 100], [5, 500, 50_000]) == pytest.approx(2)


def test_without_weights_the_costs_are_the_same() -> None:
    trace = sx.load_trace(workloads.ROOT / "traces" / "nmnist_digit.npz")
    whole, costs = sx.simulate(trace), sx.simulate(workloads.without_weights(trace))
    for one, other in zip(whole.layers, costs.layers, strict=True):
        assert (one.cycles, one.energy, one.accesses) == (other.cycles, other.energy, other.accesses)
        assert one.output_spikes is not None and other.output_spikes is None


def test_dense_forward_of_the_same_network() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: make bench")
    from benchmarks.dense import forward

    trace = workloads.conv_layer(0.1, 20)
    fired = np.moveaxis(forward(trace)().numpy(), 0, -1)
    outputs = sx.simulate(trace).outputs
    assert outputs is not None
    ours = np.unpackbits(outputs[0], axis=-1)[..., :20]
    # The leak is a shift here and a factor there; few potentials are that close to the threshold.
    assert fired.shape == ours.shape and np.mean(fired != ours) < 0.02 * ours.mean()


def test_dense_solves_give_the_sums_of_the_simulator() -> None:
    crossbar = nice.Crossbar.drawn()
    assert np.array_equal(crossbar.simulated(), crossbar.solved())


def test_layers_for_scalesim_are_simulated_to_its_cycles() -> None:
    # Total cycles of SCALE-Sim 3.0.0, the index of the last one.
    layers = sx.simulate(scalesim_run.trace(), "systolic-os").layers
    assert [layer.compute_cycles - 1 for layer in layers] == [2047, 12199, 12079, 4635]
