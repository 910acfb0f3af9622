"""Attention and whole models of SpikingJelly, recorded: a replay gives all that their modules gave."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

import spikex_sim as sx
from frameworks import inputs
from recorded_graphs import checked, dyadic
from spikex_sim.trace.graph import GraphTrace

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)
SMALL = (4, 2, 2, 4, 4)


class Attention(nn.Module):
    """A block of Spikformer: tokens, heads, ``(q k') v``, a perceptron, sums of spikes around both."""

    def __init__(self, dim: int = 16, heads: int = 2) -> None:
        super().__init__()
        layer = pytest.importorskip("spikingjelly.activation_based.layer")
        neuron = pytest.importorskip("spikingjelly.activation_based.neuron")

        def lif(threshold: float = 0.25) -> Any:
            return neuron.LIFNode(tau=2.0, v_threshold=threshold, step_mode="m")

        def projected() -> Any:
            return nn.Sequential(
                layer.Conv1d(dim, dim, 1, bias=False, step_mode="m"),
                layer.BatchNorm1d(dim, step_mode="m"),
                lif(),
            )

        self.heads = heads
        self.stem, self.stem_lif = layer.Conv2d(2, dim, 3, padding=1, step_mode="m"), lif()
        self.q, self.k, self.v, self.out = projected(), projected(), projected(), projected()
        self.attention = lif(0.125)
        self.up, self.up_lif, self.down, self.down_lif = nn.Linear(dim, 24), lif(), nn.Linear(24, dim), lif()
        self.head = nn.Linear(dim, 5)

    def forward(self, x: Any) -> Any:
        x = self.stem_lif(self.stem(x)).flatten(3)
        steps, samples, channels, tokens = x.shape

        def split(y: Any) -> Any:
            y = y.transpose(-1, -2).reshape(steps, samples, tokens, self.heads, channels // self.heads)
            return y.permute(0, 1, 3, 2, 4)

        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        y = (q @ k.transpose(-2, -1)) @ v * 0.25
        y = y.transpose(2, 3).reshape(steps, samples, tokens, channels).transpose(-1, -2)
        x = x + self.out(self.attention(y))
        y = self.down_lif(self.down(self.up_lif(self.up(x.transpose(-1, -2)))))
        return self.head((x + y.transpose(-1, -2)).mean(-1)).mean(0)


def test_spikformer_block() -> None:
    trace = checked(dyadic(Attention()), inputs(shape=SMALL))
    products = [node for node in trace.nodes if node.kind == "matmul"]
    assert [(one.heads, trace.shape(one.name)) for one in products] == [(2, (32, 4, 4)), (2, (16, 4, 4))]


@pytest.mark.parametrize("name", ["SpikingSelfAttention", "TokenQKAttention", "ChannelQKAttention"])
def test_attention_of_spikingjelly(name: str) -> None:
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    from spikingjelly.activation_based import functional, neuron

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.lif = layer.Conv2d(2, 16, 3, padding=1), neuron.LIFNode(tau=2.0, v_threshold=0.25)
            self.attention, self.fc = getattr(layer, name)(16, 2), layer.Linear(16, 4)

        def forward(self, x: Any) -> Any:
            return self.fc(self.attention(self.lif(self.conv(x)).flatten(3)).mean(-1))

    model = dyadic(Net())
    functional.set_step_mode(model, "m")
    for module in model.modules():
        if isinstance(module, neuron.LIFNode):
            module.v_threshold = 0.125
    checked(model, inputs(shape=SMALL))


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Any:
    """SpikingJelly's models, which ask torchvision for weights that are not asked for here."""
    pytest.importorskip("spikingjelly")
    for name in ("torchvision", "torchvision._internally_replaced_utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(
        sys.modules["torchvision._internally_replaced_utils"], "load_state_dict_from_url", None, raising=False
    )
    from spikingjelly.activation_based.model import sew_resnet, spikformer, spiking_vgg

    return sew_resnet, spiking_vgg, spikformer


@pytest.mark.parametrize("join", ["ADD", "AND", "IAND"])
def test_sew_resnet_18(models: Any, join: str) -> None:
    from spikingjelly.activation_based import functional, layer, neuron

    class Narrow(models[0].SEWResNet):  # type: ignore[misc, name-defined]
        def _make_layer(self, block: Any, planes: int, *more: Any, **keys: Any) -> Any:
            if self.inplanes == 64 and planes == 64:
                self.inplanes = 8
                self.conv1, self.bn1 = layer.Conv2d(3, 8, 7, 2, 3, bias=False), layer.BatchNorm2d(8)
                self.fc = None
            return super()._make_layer(block, planes // 8, *more, **keys)

    keys = {"cnf": join, "spiking_neuron": neuron.IFNode, "num_classes": 10, "v_threshold": 0.25}
    model = Narrow(models[0].BasicBlock, [2, 2, 2, 2], **keys)
    model.fc = layer.Linear(64, 10)
    functional.set_step_mode(model, "m")
    trace = sx.record(dyadic(model), inputs(shape=(2, 1, 3, 32, 32)))
    assert isinstance(trace, GraphTrace)
    kinds = [node.kind for node in trace.nodes]
    assert kinds.count("neurons") == 20 and kinds.count("join") == (0 if join == "ADD" else 8)
    result = sx.simulate(trace, tws=2)
    assert not any(layer.mismatched_spikes or layer.mismatched_values for layer in result.layers)


def test_spiking_vgg_11(models: Any) -> None:
    from spikingjelly.activation_based import functional, layer, neuron

    plan = [8, "M", 8, "M", 16, 16, "M", 16, 16, "M", 16, 16, "M"]
    model = models[1].SpikingVGG(
        plan, batch_norm=True, norm_layer=layer.BatchNorm2d, num_classes=10, spiking_neuron=neuron.LIFNode,
        tau=2.0, v_threshold=0.125,
    )  # fmt: skip
    model.avgpool, model.classifier = layer.AdaptiveAvgPool2d(1), nn.Sequential(layer.Linear(16, 10))
    functional.set_step_mode(model, "m")
    image = torch.randint(0, 256, (1, 1, 3, 32, 32), generator=torch.Generator().manual_seed(4)) / 256
    trace = sx.record(dyadic(model), image.repeat(2, 1, 1, 1, 1))
    assert isinstance(trace, GraphTrace) and trace.nodes[0].values is not None
    assert sum(node.kind == "neurons" for node in trace.nodes) == 8
    result = sx.simulate(trace, tws=2)
    assert not any(layer.mismatched_spikes for layer in result.layers)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sew_resnet18", "spiking_vgg11_bn"])
def test_models_as_they_are_published(models: Any, name: str) -> None:
    from spikingjelly.activation_based import functional, neuron

    keys = {"cnf": "ADD"} if name == "sew_resnet18" else {"tau": 2.0}
    kind = neuron.IFNode if name == "sew_resnet18" else neuron.LIFNode
    make = getattr(models[0] if name == "sew_resnet18" else models[1], name)
    model = make(pretrained=False, spiking_neuron=kind, v_threshold=0.125, num_classes=10, **keys)
    functional.set_step_mode(model, "m")
    image = torch.randint(0, 256, (1, 1, 3, 32, 32), generator=torch.Generator().manual_seed(4)) / 256
    result = sx.simulate(sx.record(dyadic(model), image.repeat(2, 1, 1, 1, 1)), "systolic-os")
    assert sum(layer.output_spikes or 0 for layer in result.layers) > 90_000
    assert not any(layer.mismatched_spikes or layer.mismatched_values for layer in result.layers)


def test_spikformer(models: Any) -> None:
    """The whole model: patches, positions, a block of attention, a head."""
    from spikingjelly.activation_based import functional, neuron

    keys = {"img_size_h": 32, "img_size_w": 32, "patch_size": 16, "embed_dims": 32, "num_heads": 2}
    model = models[2].Spikformer(T=3, mlp_ratio=2.0, depths=1, num_classes=5, **keys)
    functional.set_step_mode(model, "m")
    for module in dyadic(model).modules():
        if isinstance(module, neuron.LIFNode):
            module.v_threshold = 0.125
    notes: list[str] = []
    image = torch.randint(0, 256, (1, 1, 3, 32, 32), generator=torch.Generator().manual_seed(4)) / 256
    trace = sx.record(model, image.repeat(3, 1, 1, 1, 1), report=lambda report: notes.extend(report.notes))
    assert isinstance(trace, GraphTrace)
    kinds = [node.kind for node in trace.nodes]
    assert kinds.count("matmul") == 2 and kinds.count("neurons") == 10
    assert sum(bool(packed.any()) for packed in trace.spikes.values()) >= 8
    result = sx.simulate(trace, tws=1)
    assert not any(layer.mismatched_spikes or layer.mismatched_values for layer in result.layers)


def test_silent_neurons_are_told(models: Any) -> None:
    model = nn.Sequential(
        nn.Linear(30, 4), pytest.importorskip("snntorch").Leaky(beta=0.5, threshold=99.0, init_hidden=True)
    )
    notes: list[str] = []
    sx.record(model, inputs(shape=(4, 2, 30)), report=lambda report: notes.extend(report.notes))
    assert any(note.startswith("WARNING: 1 of 1 populations gave no spike (0)") for note in notes)
