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


class Squared(nn.Module):
    """A product of sums."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lif = conv(), leaky()

    def forward(self, x: Any) -> Any:
        current = self.conv(x)
        return self.lif(current * current)


class OfTime(nn.Module):
    """A batch norm that takes time points for channels, where there are as many."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = conv(), nn.BatchNorm3d(T)
        self.norm.running_mean += torch.linspace(0, 1, T)

    def forward(self, x: Any) -> Any:
        x = torch.stack([self.conv(now) for now in x])
        return self.norm(x.transpose(0, 1)).transpose(0, 1)


def shifting(norm: Any) -> Any:
    norm.bias.data += 0.5
    return norm


def conv() -> Any:
    return nn.Conv2d(2, 4, 3)


REFUSED = {
    "padding": (
        lambda: sequential(conv(), leaky(), nn.Conv2d(4, 4, 3, padding_mode="circular", padding=1)),
        "2 (Conv2d): computes 'pad' of what 1 gives",
    ),
    "relu": (
        lambda: sequential(conv(), nn.ReLU()),
        "1 (ReLU): takes what 0 gives and is no neuron that is known",
    ),
    "own before a pool": (
        lambda: sequential(conv(), Own(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)),
        "1 (Own): takes what 0 gives and is no neuron that is known; if it spikes, describe it (neurons, by "
        "its class Own or its name), else leave it out (skip)",
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
    "transposed": (
        lambda: sequential(nn.ConvTranspose2d(2, 4, 3)),
        "0 (ConvTranspose2d): computes 'conv_transpose2d'",
    ),
    "no neurons": (lambda: sequential(conv(), nn.Conv2d(4, 4, 3)), "1: takes the sums that 0 gives"),
    "no layer": (lambda: nn.Sequential(nn.MaxPool2d(2)), "has no convolution or linear layer"),
    "norm of spikes": (
        lambda: sequential(conv(), leaky(), shifting(nn.BatchNorm2d(4)), nn.Conv2d(4, 4, 3, padding=1)),
        "3: takes spikes that 2 shifts, with padding",
    ),
    "softmax": (
        lambda: sequential(conv(), leaky(), nn.Flatten(), nn.Linear(256, 4), nn.Softmax(1)),
        "4 (Softmax): takes what 3 gives",
    ),
    "layer norm": (
        lambda: sequential(nn.Flatten(), nn.Linear(200, 4), nn.LayerNorm(4)),
        "2 (LayerNorm): takes what 1 gives",
    ),
    "norm of the batch": (
        lambda: sequential(conv(), nn.BatchNorm2d(4, track_running_stats=False)),
        "no running statistics",
    ),
    "ceil": (
        lambda: sequential(conv(), leaky(), nn.MaxPool2d(3, ceil_mode=True), nn.Conv2d(4, 4, 1)),
        "2 (MaxPool2d): has ceil_mode and windows that are not whole",
    ),
    "two pools": (
        lambda: sequential(conv(), leaky(), nn.AvgPool2d(2), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)),
        "4: takes the sums that 3 gives",
    ),
    "averages that overlap": (
        lambda: sequential(conv(), leaky(), nn.AvgPool2d(3, 1), nn.AvgPool2d(2), nn.Conv2d(4, 4, 1)),
        "3: averages what is averaged already, in windows that overlap",
    ),
    "scales of time": (
        lambda: nn.Sequential(OfTime(), jelly("IFNode", step_mode="m")),
        "0.norm (BatchNorm3d): scales or shifts by other numbers at other time points",
    ),
    "uneven pool": (
        lambda: sequential(conv(), leaky(), nn.AdaptiveAvgPool2d(3), nn.Conv2d(4, 4, 1)),
        "pools [8, 8] to [3, 3]",
    ),
    "beta each": (
        lambda: sequential(conv(), leaky(beta=torch.linspace(0, 1, 8))),
        "has 8 numbers for its leak, and 4 channels",
    ),
    "graded": (lambda: sequential(conv(), leaky(graded_spikes_factor=2.0)), "graded spikes"),
    "twice": (
        lambda: sequential(conv(), leaky(reset_mechanism="subtract", reset_delay=False)),
        "is reset again",
    ),
    "KLIF": (
        lambda: nn.Sequential(conv(), jelly("KLIFNode")),
        "1 (KLIFNode): is a neuron of other equations",
    ),
    "QIF": (lambda: nn.Sequential(conv(), jelly("QIFNode")), "1 (QIFNode): is a neuron of other equations"),
    "PSN": (lambda: nn.Sequential(conv(), jelly("PSN", T=8)), "1 (PSN): is a neuron of other equations"),
    "current": (
        lambda: nn.Sequential(conv(), jelly("CUBALIFNode", c_decay=0.5, v_decay=0.5, v_reset=0.5)),
        "1 (CUBALIFNode): decays to 0 and resets to 0.5",
    ),
    "no float": (lambda: sequential(conv()).bfloat16(), "is torch.bfloat16; record it in float32"),
    "scripted": (lambda: torch.jit.script(nn.Sequential(conv())), "is scripted"),
    "products of sums": (Squared, "multiplies or joins what conv gives, which are no spikes"),
    "leak elsewhere": (lambda: nn.Sequential(conv(), norse(v_leak=0.5)), "has v_leak 0.5"),
    "leak too fast": (lambda: nn.Sequential(conv(), norse(tau_mem_inv=2000.0)), "leaks by 2 a step"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_counterpart_is_refused_in_one_line(case: str) -> None:
    make, words = REFUSED[case]
    with pytest.raises(sx.TraceError) as caught:
        sx.record(make(), inputs())
    message = str(caught.value)
    assert message.isprintable() and words in message, message


def test_refusals_say_nothing_else(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(sx.TraceError, match="KLIFNode"):
        sx.record(nn.Sequential(conv(), jelly("KLIFNode")), inputs())
    assert not [one for one in recwarn if "hook" in str(one.message)]


def test_a_module_that_serves_twice_gives_two_layers() -> None:
    fc = nn.Linear(6, 6)
    trace = sx.record(
        nn.Sequential(fc, leaky(threshold=0.1), fc, leaky(threshold=0.1)), inputs(shape=(T, B, 6))
    )
    assert np.array_equal(trace.weights[0], trace.weights[1])


def test_neurons_that_serve_twice_are_refused() -> None:
    lif = leaky()
    with pytest.raises(sx.TraceError, match=r"1: ran at 16 of 8 time points; neurons that serve"):
        sx.record(nn.Sequential(nn.Linear(6, 6), lif, nn.Linear(6, 6), lif), inputs(shape=(T, B, 6)))


def test_sparse_inputs_are_refused() -> None:
    with pytest.raises(sx.TraceError, match=r"inputs: are torch.sparse_coo; give a dense tensor"):
        sx.record(nn.Linear(6, 6), inputs(shape=(T, B, 6)).to_sparse())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": 3}, "model: is a int"),
        ({"inputs": None}, "inputs: are no array of numbers but a NoneType"),
        ({"inputs": np.zeros(5)}, "inputs: have shape [5]"),
        ({"inputs": np.full((5, 2, 6), np.nan)}, "inputs: hold NaN or infinite numbers"),
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
