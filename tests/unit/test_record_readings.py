"""How inputs are read: axes by name, verified by what neurons walk through; models that repeat an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from frameworks import B, T, inputs, leaky
from recorded_graphs import checked, dyadic

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)


@pytest.mark.parametrize("axes", ["TBCHW", "BTCHW"])
def test_axes_are_by_name(axes: str) -> None:
    """With as many samples as time points as channels, what neurons walk through tells them apart."""
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    layer = pytest.importorskip("spikingjelly.activation_based.layer")

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.lif = (
                layer.Conv2d(4, 4, 3, step_mode="m"),
                neuron.IFNode(step_mode="m", v_reset=None),
            )

        def forward(self, x: Any) -> Any:
            return self.lif(self.conv(x.transpose(0, 1) if axes == "BTCHW" else x))

    model, given = dyadic(Turned()), inputs(shape=(4, 4, 4, 6, 6))
    trace = checked(model, given, axes=axes)
    bits = np.unpackbits(trace.spikes["input"], axis=-1, count=4)
    assert np.array_equal(bits, np.moveaxis(given.numpy(), axes.index("T"), -1))
    other = "BTCHW" if axes == "TBCHW" else "TBCHW"
    with pytest.raises(sx.TraceError, match=r"lif \(IFNode\): walked through samples as if they were time"):
        sx.record(model, given, axes=other)


class RepeatsSpikes(nn.Module):
    """Repeats what it is given over time inside, in one call (SpikingJelly) or in a loop (snnTorch)."""

    def __init__(self, loops: bool) -> None:
        super().__init__()
        neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
        self.loops, self.fc = loops, nn.Linear(30, 20)
        self.lif = leaky(threshold=0.3) if loops else neuron.IFNode(v_threshold=0.3, step_mode="m")

    def forward(self, x: Any) -> Any:
        if not self.loops:
            return self.lif(self.fc(x.unsqueeze(0).repeat(6, 1, 1))).mean(0)
        return torch.stack([self.lif(self.fc(x)) for _ in range(6)])


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("samples", [1, 3, 6])
def test_a_model_that_repeats_its_input_shows_it(loops: bool, samples: int) -> None:
    """``[B, N]`` without names, and ``[1, B, N]``: the neurons walk through time, the input does not."""
    model, given = dyadic(RepeatsSpikes(loops)), inputs(shape=(samples, 30))
    want = sx.record(model, given, axes="BN")
    assert (want.timesteps, want.samples) == (6, samples)
    notes: list[str] = []
    for way in (given, given[None]):
        got = sx.record(model, way, report=lambda report: notes.extend(report.notes))
        assert got.sha256 == want.sha256
    assert notes.count("inputs are read as BN, all given in one call (axes, call)") == 2
    for wrong in ({"axes": "TN"}, {"call": "step"}):
        with pytest.raises(sx.TraceError):
            sx.record(model, given, **wrong)


def test_an_image_given_for_each_time_point_is_told_how() -> None:
    model = dyadic(RepeatsSpikes(loops=True))
    with pytest.raises(sx.TraceError, match=r"a model that repeats an image itself is given it without"):
        sx.record(model, inputs(shape=(4, B, 30)))


def test_one_time_point_is_no_time() -> None:
    """What is refused by its axes is not recorded as a network without time."""
    model = nn.Sequential(nn.Linear(30, 20), nn.ReLU())
    with pytest.raises(sx.TraceError, match=r"1 \(ReLU\): takes what 0 gives"):
        sx.record(model, inputs(shape=(B, 30)))


class RatesRead(nn.Module):
    """Reads out what a function makes of spikes at all time points."""

    def __init__(self, made: Callable[[Any], Any]) -> None:
        super().__init__()
        neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
        self.made, self.fc, self.last, self.head = (
            made,
            nn.Linear(30, 20),
            nn.Linear(20, 20),
            nn.Linear(20, 4),
        )
        self.lifs = nn.ModuleList(neuron.IFNode(v_threshold=0.25, step_mode="m") for _ in range(2))

    def forward(self, x: Any) -> Any:
        return self.head(self.made(self.lifs[1](self.last(self.lifs[0](self.fc(x))))))


@pytest.mark.parametrize("samples", [B, T])
@pytest.mark.parametrize("made", [lambda x: x.mean(0), lambda x: x.transpose(0, 1).mean(1) * 0.5])
def test_a_read_out_of_mean_rates_is_one_at_each_time_point(made: Any, samples: int) -> None:
    """With as many samples as time points too: what is averaged over is told by what the tensor holds."""
    model, given = dyadic(RatesRead(made)), inputs(shape=(T, samples, 30))
    with torch.no_grad():
        model.head.bias -= torch.round(model(given).mean(0) * 256) / 256
    trace = checked(model, given, call="sequence")
    last = trace.nodes[-1]
    assert last.kind == "currents" and last.sources == ("last",)
    with torch.no_grad():
        for one in model.lifs:
            one.reset()
        want = model(given).numpy()
    assert len(set(want.argmax(1))) > 1
    assert [one.prediction for one in sx.simulate(trace, tws=1).samples] == want.argmax(1).tolist()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda x: x[-1], "head: is computed of 1 of 8 time points"),
        (lambda x: x.mean(1), "adds up time points or samples"),
        (lambda x: x[2:].mean(0), "adds up time points or samples"),
        (lambda x: x.sum(0), "adds up time points or samples"),
    ],
)
def test_other_read_outs_are_refused(made: Any, words: str) -> None:
    model, given = dyadic(RatesRead(made)), inputs(shape=(T, T, 30))
    with pytest.raises(sx.TraceError) as caught:
        sx.record(model, given)
    assert words in str(caught.value)
    without = sx.record(model, given, skip=["head"])
    assert [layer.name for layer in without.layers] == ["fc", "last"]


def test_neurons_take_no_average_over_time() -> None:
    model = dyadic(RatesRead(lambda x: x))
    model.head = nn.Sequential(nn.Linear(20, 4), model.lifs[0])
    model.lifs[0] = type(model.lifs[0])(v_threshold=0.25, step_mode="m")
    model.made = lambda x: x.mean(0).unsqueeze(0).repeat(T, 1, 1)
    with pytest.raises(sx.TraceError, match=r"takes an average over time, of time points that are yet to"):
        sx.record(model, inputs(shape=(T, B, 30)))
