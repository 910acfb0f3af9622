"""Blocks of networks as people build them, with the neurons of each framework: spike for spike the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from frameworks import SIDE, B, T, inputs, leaky
from recorded_graphs import checked, dyadic
from spikex_sim.trace.graph import GraphTrace

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)
Neurons = Callable[[float], Any]


class Keeping(nn.Module):
    """A cell of Norse that keeps its state, so that it can stand anywhere in a module."""

    def __init__(self, cell: Any) -> None:
        super().__init__()
        self.cell, self.state = cell, None

    def forward(self, x: Any) -> Any:
        spikes, self.state = self.cell(x, self.state)
        return spikes


def of_snntorch(threshold: float) -> Any:
    return leaky(threshold=threshold)


def of_spikingjelly(threshold: float) -> Any:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    return neuron.LIFNode(tau=2.0, v_threshold=threshold, decay_input=False)


def of_norse(threshold: float) -> Any:
    norse = pytest.importorskip("norse.torch")
    rate, level = torch.as_tensor(500.0), torch.as_tensor(threshold / 2)
    return Keeping(norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=rate, v_th=level)))


@pytest.fixture(params=[of_snntorch, of_spikingjelly, of_norse], ids=lambda one: one.__name__[3:])
def neurons(request: pytest.FixtureRequest) -> Neurons:
    made: Neurons = request.param
    return made


class Sew(nn.Module):
    """Spikes added, joined or multiplied before the next convolution (Fang et al. 2021)."""

    def __init__(self, how: Callable[[Any, Any], Any], neurons: Neurons) -> None:
        super().__init__()
        self.how = how
        for name in ("a", "b", "c"):
            setattr(self, name, nn.Conv2d(2 if name == "a" else 4, 4, 3, padding=1))
            setattr(self, f"{name}_lif", neurons(0.3125))
        self.fc = nn.Linear(4 * SIDE * SIDE, 5)

    def forward(self, x: Any) -> Any:
        x = self.a_lif(self.a(x))
        x = self.how(self.b_lif(self.b(x)), x)
        x = self.how(self.c_lif(self.c(x)), x)
        return self.fc(x.flatten(1))


JOINS = {
    "and": lambda a, b: a * b,
    "iand": lambda a, b: b * (1.0 - a),
    "or": torch.maximum,
}


def test_spiking_element_wise_blocks(neurons: Neurons) -> None:
    trace = checked(dyadic(Sew(lambda a, b: a + b, neurons)), inputs())
    *_, last, read_out = trace.nodes
    assert [one.weight_of for one in last.synapses] == [None, 0]
    assert [one.weight_of for one in read_out.synapses] == [None, 0, 0]
    assert not any(node.kind == "join" for node in trace.nodes)


@pytest.mark.parametrize("how", JOINS)
def test_spikes_that_are_joined(how: str) -> None:
    trace = checked(dyadic(Sew(JOINS[how], of_snntorch)), inputs())
    assert [node.how for node in trace.nodes if node.kind == "join"] == [how, how]


class Membrane(nn.Module):
    """Shortcuts of currents, batch norms after them (MS-ResNet)."""

    def __init__(self, neurons: Neurons) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(4), neurons(0.3125), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
            )
            for _ in range(2)
        )
        self.lif, self.fc = neurons(0.3125), nn.Linear(4 * SIDE * SIDE, 5)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.fc(self.lif(x).flatten(1))


def test_membrane_shortcuts(neurons: Neurons) -> None:
    trace = checked(dyadic(Membrane(neurons)), inputs())
    kinds = [node.kind for node in trace.nodes]
    assert kinds.count("currents") == 3 and kinds.count("neurons") == 3
    name = next(node.name for node in trace.nodes if node.name.startswith("blocks.0.1"))
    assert [one.kind for one in trace.node(name).synapses] == ["identity"] and name in trace.biases


def windows(trace: GraphTrace) -> list[Any]:
    return [node.synapses[0] for node in trace.nodes if node.kind == "neurons"]


def test_depthwise_separable_blocks(neurons: Neurons) -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), neurons(0.3125),
        nn.Conv2d(8, 8, 3, groups=8, padding=1, bias=False), nn.BatchNorm2d(8), neurons(0.3125),
        nn.Conv2d(8, 6, 1), nn.BatchNorm2d(6), neurons(0.3125), nn.Flatten(), nn.Linear(600, 4),
    )  # fmt: skip
    assert [one.groups for one in windows(checked(dyadic(model), inputs()))] == [1, 8, 1]


def test_dilated_convolutions(neurons: Neurons) -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, dilation=2), neurons(0.3125),
        nn.Conv2d(6, 4, 3, dilation=(1, 2), padding=(0, 2), stride=(1, 2)), neurons(0.3125), nn.Flatten(),
        nn.Linear(48, 4),
    )  # fmt: skip
    assert [one.dilation for one in windows(checked(dyadic(model), inputs()))] == [(2, 2), (1, 2)]


class Repeats(nn.Module):
    """Repeats its image itself, and walks through time in a loop."""

    def __init__(self, neurons: Neurons) -> None:
        super().__init__()
        self.conv, self.norm, self.lif = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), neurons(0.25)
        self.fc = nn.Linear(4 * 36, 3)

    def forward(self, image: Any) -> Any:
        out = [self.fc(self.lif(self.norm(self.conv(image))).flatten(1)) for _ in range(6)]
        return torch.stack(out).mean(0)


@pytest.mark.parametrize("bits", [8, 5])
def test_direct_encoding_with_batch_norm(bits: int, neurons: Neurons) -> None:
    image = torch.randint(0, 256, (B, 1, 8, 8), generator=torch.Generator().manual_seed(4)) / 256
    trace = checked(dyadic(Repeats(neurons)), image, axes="BCHW", input_bits=bits)
    values = trace.nodes[0].values
    assert values is not None and values.constant and values.bits == bits and not values.signed
    if bits == 8:
        assert np.array_equal(trace.values["input"][:, 0] * values.scale, image[:, 0].numpy())
    assert trace.timesteps == 6 and [node.kind for node in trace.nodes] == ["input", "neurons", "currents"]


class Spikformer(nn.Module):
    """Tokens, heads, ``(q k') v``, a perceptron, spikes added around both; one call a time point."""

    def __init__(self, neurons: Neurons, dim: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads

        def projected(inputs: int, outputs: int) -> Any:
            return nn.Sequential(
                nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs), neurons(0.5)
            )

        self.stem = nn.Sequential(nn.Conv2d(2, dim, 3, padding=1), neurons(0.5))
        self.q, self.k, self.v, self.out = (projected(dim, dim) for _ in "qkvo")
        self.attention = neurons(0.25)
        self.up, self.down, self.head = projected(dim, 24), projected(24, dim), nn.Linear(dim, 5)

    def forward(self, x: Any) -> Any:
        x = self.stem(x).flatten(2)
        samples, channels, tokens = x.shape

        def split(y: Any) -> Any:
            return y.reshape(samples, self.heads, channels // self.heads, tokens).transpose(-1, -2)

        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        y = ((q @ k.transpose(-2, -1)) @ v * 0.25).transpose(-1, -2).reshape(samples, channels, tokens)
        x = x + self.out(self.attention(y))
        return self.head((x + self.down(self.up(x))).mean(-1))


def test_spikformer_blocks(neurons: Neurons) -> None:
    trace = checked(dyadic(Spikformer(neurons)), inputs(shape=(T, 2, 2, 4, 4)))
    products = [node for node in trace.nodes if node.kind == "matmul"]
    assert [one.heads for one in products] == [2, 2]
    assert sum(node.kind == "neurons" for node in trace.nodes) == 8
