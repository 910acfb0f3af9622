"""How inputs are read: axes by name, verified by what neurons walk through; models that repeat an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from frameworks import B, inputs, leaky
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
