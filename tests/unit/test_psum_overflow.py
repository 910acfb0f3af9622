"""Sums of weights that the registers of partial sums do not hold: refused, or wrapped around."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import naive
import spikex_sim as sx
from command import is_mistake, spikex
from graphs import conv, network, packaged, population, spiking_input
from naive_graph import digest, evaluate
from networks import full, linear, pool, trace_of
from spikex_sim.core.errors import ConfigError
from spikex_sim.run.psums import psum_remarks

NEURON = {"threshold": 1000, "leak_shift": 4, "reset": "zero", "datapath": "int"}
MACHINES = ["spikex", "ptb", "ptb-stsap", "systolic-os", "systolic-ws", "systolic-is", "sata", "spinalflow"]
REFUSE, WRAP = {"psum_overflow": "refuse"}, {"psum_overflow": "wrap"}


def wide(taps: int = 600, bias: Any = None, **neuron: Any) -> sx.Trace:
    """Eight neurons that take many spikes at once, each through the largest weight."""
    layer = linear("fc", (taps, 8), NEURON | neuron)
    weight = np.full((8, taps), 127, np.int8)
    return trace_of([layer], np.ones((taps, 1), bool), [weight], biases=bias, label=0)


def run(trace: Any, preset: str, **keys: Any) -> Any:
    """The only layer of a run."""
    tws = 1 if sx.load_accelerator(preset).get("tws", default=None) else None
    return sx.simulate(trace, preset, tws=tws, overrides=keys).layers[-1]


@pytest.mark.kernels
@pytest.mark.parametrize("preset", MACHINES)
def test_wrapped_sums_give_other_spikes(preset: str) -> None:
    # 600 * 127 = 76,200 is -54,872 in 17 bits.
    assert run(wide(), preset, psum_bits=24, **REFUSE).output_spikes == 8
    assert run(wide(), preset, psum_bits=18, **REFUSE).output_spikes == 8
    assert run(wide(), preset, psum_bits=17, **WRAP).output_spikes == 0
    with pytest.raises(ConfigError, match=r"psum_bits: 17 bits may not hold the sums of layer fc") as refused:
        run(wide(), preset, psum_bits=17, **REFUSE)
    assert "the smallest that works is 18, or psum_overflow: wrap" in str(refused.value)


@pytest.mark.kernels
@pytest.mark.parametrize("preset", MACHINES)
def test_the_bias_comes_behind_the_register(preset: str) -> None:
    # -4 * 127 is 4 in 9 bits, -508 + 512; the bias is added to it, at full width.
    layer = linear("fc", (4, 2), NEURON | {"threshold": 803})
    weight, bias = np.full((2, 4), -127, np.int8), np.array([799, 800], np.int32)
    trace = trace_of([layer], np.ones((4, 1), bool), [weight], biases={0: bias})
    want = naive.forward(full(layer), np.ones((4, 1), bool), weight, bias, psum_bits=9)
    assert want.ravel().tolist() == [False, True]
    assert run(trace, preset, psum_bits=9, **WRAP).output_spikes == 1


def test_the_largest_bias_counts() -> None:
    # 511 taps come to 65,408 at most; 2^16 is 65,536.
    for bias, fits in ((-127, True), (-128, False), (128, False)):
        trace = wide(511, {0: np.array([0] * 7 + [bias], np.int32)})
        if fits:
            assert run(trace, "spikex", psum_bits=17).output_spikes == 8
        else:
            with pytest.raises(ConfigError, match="the smallest that works is 18"):
                run(trace, "spikex", psum_bits=17)


def test_narrow_weights_need_less() -> None:
    narrow = trace_of([linear("fc", (600, 8), NEURON)], np.ones((600, 1), bool))
    assert run(narrow, "spikex", psum_bits=14, weight_bits=4).cycles
    with pytest.raises(ConfigError, match="the smallest that works is 14"):
        run(narrow, "spikex", psum_bits=13, weight_bits=4)


def test_costs_are_those_of_the_width_alone() -> None:
    wrapped, refusing = (run(wide(500), "spikex", psum_bits=17, **how) for how in (WRAP, REFUSE))
    assert (wrapped.counts, wrapped.cycles) == (refusing.counts, refusing.cycles)
    assert run(wide(), "spikex", psum_bits=17, **WRAP).cycles == run(wide(), "spikex", psum_bits=24).cycles


def test_float_sums_are_as_wide_as_they_are() -> None:
    layer = linear("fc", (600, 8), {"threshold": 1.0, "leak": 0.5, "reset": "zero", "datapath": "float"})
    trace = trace_of([layer], np.ones((600, 1), bool), [np.ones((8, 600), np.float32)])
    for how in (REFUSE, WRAP):
        assert run(trace, "spikex", psum_bits=2, **how).output_spikes == 8


def test_average_pooling_that_is_folded_counts() -> None:
    before, layer = pool("avgpool", 8, 8), linear("fc", (8 * 4 * 4, 2), NEURON)
    trace = trace_of([before, layer], np.ones((8, 8, 8, 1), bool))
    with pytest.raises(ConfigError, match="sums of layer fc; the smallest that works is 18"):
        sx.simulate(trace, "spikex", tws=1, overrides={"psum_bits": 17})


def test_an_ann_sums_exactly() -> None:
    assert run(wide(), "ann", psum_bits=17).cycles
    with pytest.raises(ConfigError, match=r"psum_overflow: has no effect.*sums of an ANN are exact"):
        run(wide(), "ann", **WRAP, activation_bits=8)


def test_crossbars_have_no_such_registers() -> None:
    with pytest.raises(ConfigError, match="psum_overflow: not read by the machine spikesim"):
        sx.load_accelerator("spikesim", WRAP)


# --- Graphs ----------------------------------------------------------------------------------------


def graph(weights: list[int], **more: Any) -> Any:
    """Inputs, all spiking, that enter a neuron through several synapses."""
    nodes = [spiking_input(4, 1, 1), population([conv(kernel=1) for _ in weights], 1, NEURON | more)]
    arrays = {f"out/synapse-{k}/weight": np.full((1, 4, 1, 1), w, np.int8) for k, w in enumerate(weights)}
    return network(nodes, 1, {"in/spikes": np.ones((4, 1, 1, 1), bool), **arrays})


def test_synapses_of_a_node_share_the_register() -> None:
    trace = packaged(graph([127, 127, 127]))
    assert run(trace, "spikex", psum_bits=12).output_spikes == 1
    with pytest.raises(ConfigError, match="sums of layer out; the smallest that works is 12"):
        run(trace, "spikex", psum_bits=11)


@pytest.mark.kernels
@pytest.mark.parametrize("preset", MACHINES[:-1])
def test_sums_of_a_node_wrap_together(preset: str) -> None:
    trace = graph([127, 127], threshold=-10)
    evaluated = evaluate(trace, psum_bits=10, wraps=True)
    made = run(packaged(trace), preset, psum_bits=10, **WRAP)
    assert made.output_sha256 == digest(evaluated.computed["out"])
    assert made.output_spikes == 1, "1016 is -8 in 10 bits"


# --- What is said ----------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Any) -> str:
    path = tmp_path / "wide.npz"
    sx.save_trace(wide(), path)
    return str(path)


def test_the_command_refuses_in_one_line(capsys: pytest.CaptureFixture[str], file: str) -> None:
    outcome = spikex(capsys, "run", file, "--tws", 1, "--set", "psum_bits=17")
    is_mistake(outcome, "spikex: psum_bits: 17 bits", "layer fc", "18", "psum_overflow: wrap")


@pytest.mark.parametrize(
    "command",
    [("run", "--tws", 1), ("compare", "--arch", "spikex,ptb", "--tws", 1), ("dynamic", "--tws", 1)],
    ids=lambda one: one[0],
)
def test_commands_say_what_wraps(capsys: pytest.CaptureFixture[str], file: str, command: Any) -> None:
    settings = ("--set", "psum_bits=17", "--set", "psum_overflow=wrap")
    outcome = spikex(capsys, command[0], file, *command[1:], *settings)
    text = " ".join(outcome.out.split())
    assert outcome.code == 0, outcome.err
    assert "psum_overflow wrap: sums of fc wrap around beyond 17 bits; psum_bits=18 holds them all" in text


def test_sweeps_say_it_once(capsys: pytest.CaptureFixture[str], file: str) -> None:
    settings = ("--grid", "psum_bits=16,17,24", "--set", "psum_overflow=wrap", "--set", "tws=1")
    outcome = spikex(capsys, "sweep", file, *settings)
    said = " ".join((outcome.out + outcome.err).split())
    assert outcome.code == 0, outcome.err
    assert said.count("psum_overflow wrap: sums of fc wrap around beyond 17 bits") == 1


@pytest.mark.parametrize(("keys", "said"), [({}, 0), ({"psum_bits": 17} | WRAP, 1), (WRAP, 0)], ids=str)
def test_only_what_may_wrap_is_said(keys: dict[str, Any], said: int) -> None:
    assert len(list(psum_remarks(wide(), sx.load_accelerator("spikex", keys)))) == said
