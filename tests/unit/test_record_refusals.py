"""What the recorder refuses, in one line that names the module and the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from frameworks import B, T, inputs, leaky

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)


def sequential(*modules: Any) -> Any:
    snn = pytest.importorskip("snntorch")
    last = snn.Leaky(beta=0.5, reset_mechanism="zero", init_hidden=True)
    return nn.Sequential(*modules, last)


def jelly(name: str, **more: Any) -> Any:
    return getattr(pytest.importorskip("spikingjelly.activation_based.neuron"), name)(**more)


def norse(**more: Any) -> Any:
    package = pytest.importorskip("norse.torch")
    parameters = package.LIFBoxParameters(**{key: torch.as_tensor(value) for key, value in more.items()})
    return package.LIFBoxCell(parameters)


class Own(nn.Module):
    """Spikes, and nobody said how."""

    def forward(self, current: Any) -> Any:
        return (current > 0.1).float()


class OfParts(nn.Module):
    """The same, made of other modules."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Hardtanh()
        self.spike = Own()

    def forward(self, current: Any) -> Any:
        return self.spike(self.inner(current - 0.05))


def conv() -> Any:
    return nn.Conv2d(2, 4, 3)


REFUSED = {
    "groups": (lambda: sequential(nn.Conv2d(2, 4, 3, groups=2)), "0 (Conv2d): has 2 groups"),
    "dilation": (lambda: sequential(nn.Conv2d(2, 4, 3, dilation=2)), "0 (Conv2d): has dilation"),
    "padding": (
        lambda: sequential(nn.Conv2d(2, 4, 3, padding_mode="circular", padding=1)),
        "pads with circular",
    ),
    "same": (lambda: sequential(nn.Conv2d(2, 4, 2, padding="same")), "pads one side more"),
    "relu": (lambda: sequential(conv(), nn.ReLU()), "1 (ReLU) comes between"),
    "own before a pool": (
        lambda: sequential(conv(), Own(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)),
        "1 (Own): takes what 0 gives and is no neuron that is known; if it spikes, describe it (neurons, by "
        "its class Own or its name), else leave 0 out (skip)",
    ),
    "own of parts": (
        lambda: sequential(conv(), OfParts(), nn.AvgPool2d(2), nn.Conv2d(4, 4, 1)),
        "1 (OfParts): takes what 0 gives",
    ),
    "own before a layer": (lambda: sequential(conv(), Own(), nn.Conv2d(4, 4, 1)), "1 (Own): takes what 0"),
    "own before a norm": (lambda: sequential(conv(), Own(), nn.BatchNorm2d(4)), "1 (Own): takes what 0"),
    "own at the end": (lambda: nn.Sequential(conv(), leaky(), nn.Conv2d(4, 4, 1), Own()), "3 (Own): takes"),
    "own in a block": (
        lambda: sequential(nn.Sequential(conv(), OfParts(), nn.MaxPool2d(2)), nn.Conv2d(4, 4, 1)),
        "0.1 (OfParts): takes what 0.0 gives",
    ),
    "transposed": (lambda: sequential(nn.ConvTranspose2d(2, 4, 3)), "no Conv2d or Linear"),
    "pool of sums": (lambda: sequential(conv(), nn.MaxPool2d(2)), "1 (MaxPool2d): pools what 0 gives"),
    "no neurons": (lambda: sequential(conv(), nn.Conv2d(4, 4, 3)), "0 (Conv2d): has no neurons"),
    "pool at the end": (
        lambda: nn.Sequential(conv(), leaky(), nn.AvgPool2d(2)),
        "2 (AvgPool2d): is average pooling without",
    ),
    "norm of spikes": (
        lambda: sequential(conv(), leaky(), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)),
        "2 (BatchNorm2d): is not right after",
    ),
    "norm of the batch": (
        lambda: sequential(conv(), nn.BatchNorm2d(4, track_running_stats=False)),
        "no running statistics",
    ),
    "ceil": (
        lambda: sequential(conv(), leaky(), nn.MaxPool2d(3, ceil_mode=True), nn.Conv2d(4, 4, 1)),
        "2 (MaxPool2d): has dilation, ceil_mode",
    ),
    "two pools": (
        lambda: sequential(conv(), leaky(), nn.AvgPool2d(2), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)),
        "comes after the average pooling 2",
    ),
    "uneven pool": (
        lambda: sequential(conv(), leaky(), nn.AdaptiveAvgPool2d(3), nn.Conv2d(4, 4, 1)),
        "pools 8 pixels to 3",
    ),
    "beta each": (lambda: sequential(conv(), leaky(beta=torch.linspace(0, 1, 8))), "has a beta for each"),
    "no reset": (lambda: sequential(conv(), leaky(reset_mechanism="none")), "is never reset"),
    "graded": (lambda: sequential(conv(), leaky(graded_spikes_factor=2.0)), "graded spikes"),
    "twice": (
        lambda: sequential(conv(), leaky(reset_mechanism="subtract", reset_delay=False)),
        "is reset again",
    ),
    "soft at": (lambda: nn.Sequential(conv(), jelly("IFNode", v_reset=None)), "1 (IFNode): it spikes at"),
    "reset elsewhere": (lambda: nn.Sequential(conv(), jelly("LIFNode", v_reset=0.5)), "resets to 0.5"),
    "current": (
        lambda: nn.Sequential(conv(), jelly("CUBALIFNode", c_decay=0.5, v_decay=0.5)),
        "1 (CUBALIFNode): has a synaptic current",
    ),
    "leak elsewhere": (lambda: nn.Sequential(conv(), norse(v_leak=0.5)), "has v_leak 0.5"),
    "leak too fast": (lambda: nn.Sequential(conv(), norse(tau_mem_inv=2000.0)), "leaks by 2 a step"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_counterpart_is_refused_in_one_line(case: str) -> None:
    make, words = REFUSED[case]
    with pytest.raises(sx.TraceError) as caught:
        sx.record(make(), inputs())
    message = str(caught.value)
    assert message.startswith("Sequential: ") and words in message and message.isprintable(), message


def test_norse_synaptic_current_is_refused() -> None:
    package = pytest.importorskip("norse.torch")
    with pytest.raises(sx.TraceError, match=r"1 \(LIFCell\): has a synaptic current"):
        sx.record(package.SequentialState(nn.Conv2d(2, 4, 3), package.LIFCell()), inputs())


def test_a_module_that_serves_twice_is_refused() -> None:
    fc = nn.Linear(6, 6)
    lifs = [leaky(), leaky()]
    with pytest.raises(sx.TraceError, match=r"0 \(Linear\): (is called more often|has no neurons|ran at)"):
        sx.record(nn.Sequential(fc, lifs[0], fc, lifs[1]), inputs(shape=(T, B, 6)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": 3}, "model: is a int"),
        ({"inputs": None}, "inputs: are no array of numbers but a NoneType"),
        ({"inputs": np.zeros(5)}, "inputs: have shape [5]"),
        ({"inputs": np.zeros((5, 0, 6))}, "inputs: have shape [5, 0, 6]"),
        ({"call": "all"}, "call: must be step or sequence"),
        ({"skip": ["nope"]}, "names 'nope'"),
        ({"neurons": {"1": {"leak": 1}}}, "wants threshold"),
        ({"neurons": {"1": {"threshold": float("nan")}}}, "neuron.threshold: must be a finite number"),
        ({"neurons": {"1": {"threshold": 1, "leak": 2}}}, "neuron.leak: must be 0 to 1"),
        ({"neurons": {"1": {"threshold": 1, "reset": "hard"}}}, "neuron.reset: must be zero"),
        ({"label": (1, 2)}, "2 labels for 3 samples"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], words: str) -> None:
    usual = {"model": nn.Sequential(nn.Linear(6, 4), leaky()), "inputs": inputs(shape=(T, B, 6))}
    with pytest.raises(sx.TraceError) as caught:
        sx.record(**{**usual, **arguments})
    assert words in str(caught.value) and str(caught.value).isprintable()
