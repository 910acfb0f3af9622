"""Networks that are graphs, recorded: the simulator gives the frameworks' spikes and sums, node by node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from frameworks import SIDE, B, T, inputs, leaky
from recorded_graphs import checked, dyadic

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)
FLAT = (T, B, 30)


class Sew(nn.Module):
    """Spikes added, joined or multiplied before the next convolution (Fang et al. 2021)."""

    def __init__(self, how: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.how = how
        for name in ("a", "b", "c"):
            setattr(self, name, nn.Conv2d(2 if name == "a" else 4, 4, 3, padding=1))
            setattr(self, f"{name}_lif", leaky(threshold=0.3))
        self.fc = nn.Linear(4 * SIDE * SIDE, 5)

    def forward(self, x: Any) -> Any:
        x = self.a_lif(self.a(x))
        x = self.how(self.b_lif(self.b(x)), x)
        x = self.how(self.c_lif(self.c(x)), x)
        return self.fc(x.flatten(1))


JOINS = {
    "add": lambda a, b: a + b,
    "and": lambda a, b: a * b,
    "iand": lambda a, b: b * (1.0 - a),
    "or": torch.maximum,
}


@pytest.mark.parametrize("how", JOINS)
def test_spiking_element_wise_blocks(how: str) -> None:
    trace = checked(dyadic(Sew(JOINS[how])), inputs())
    joins = [node.how for node in trace.nodes if node.kind == "join"]
    assert joins == ([] if how == "add" else [how, how])
    if how == "add":
        assert [one.weight_of for one in trace.node("c").synapses] == [None, 0]
        assert [one.source for one in trace.node("fc").synapses] == ["c", "b", "a"]


class Membrane(nn.Module):
    """Shortcuts of currents, batch norms after them (MS-ResNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(4), leaky(threshold=0.3), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
            )
            for _ in range(2)
        )
        self.lif, self.fc = leaky(threshold=0.3), nn.Linear(4 * SIDE * SIDE, 5)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.fc(self.lif(x).flatten(1))


def test_membrane_shortcuts() -> None:
    trace = checked(dyadic(Membrane()), inputs())
    kinds = [node.kind for node in trace.nodes]
    assert kinds.count("currents") == 3 and kinds.count("neurons") == 3
    norm = trace.node("blocks.0.1").synapses
    assert [one.kind for one in norm] == ["identity"] and "blocks.0.1" in trace.biases


def chained(*modules: Any) -> Any:
    return dyadic(nn.Sequential(*modules))


def soft(**more: Any) -> Any:
    return leaky(**{"reset_mechanism": "subtract", "threshold": 0.3, **more})


def test_convolutions_of_all_kinds() -> None:
    model = chained(
        nn.Conv2d(2, 8, 3, padding=1), soft(), nn.Conv2d(8, 8, 3, groups=8, padding=1, bias=False),
        nn.BatchNorm2d(8), soft(), nn.Conv2d(8, 6, 1), soft(), nn.ZeroPad2d((1, 0, 2, 0)),
        nn.Conv2d(6, 4, 3, dilation=2, stride=(1, 2)), soft(), nn.Conv2d(4, 4, 4, padding="same", groups=2),
        leaky(threshold=0.3, reset_mechanism="none"),
    )  # fmt: skip
    trace = checked(model, inputs())
    convs = [node.synapses[0] for node in trace.nodes if node.kind == "neurons"]
    assert [one.groups for one in convs] == [1, 8, 1, 1, 2]
    assert convs[3].padding == (2, 0, 1, 0) and convs[3].dilation == (2, 2)
    assert convs[4].padding == (1, 2, 1, 2)


def test_pooling_of_sums_and_read_outs() -> None:
    model = chained(
        nn.Conv2d(2, 8, 3), nn.MaxPool2d(2), soft(), nn.Conv2d(8, 8, 3, padding=1), nn.AvgPool2d(2), soft(),
        nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip
    trace = checked(model, inputs())
    assert [node.kind for node in trace.nodes] == [
        "input", "currents", "neurons", "currents", "neurons", "currents",
    ]  # fmt: skip
    assert trace.nodes[-1].name == "7"


def snntorch_neurons() -> dict[str, Callable[[], Any]]:
    snn = pytest.importorskip("snntorch")
    keys = {"init_hidden": True, "threshold": 0.25}
    return {
        "subtract": lambda: leaky(threshold=0.25, reset_mechanism="subtract"),
        "leaks of their own": lambda: leaky(beta=0.5 ** torch.arange(20.0).remainder(3), threshold=0.25),
        "synaptic": lambda: snn.Synaptic(alpha=0.5, beta=0.75, **keys),
        "synaptic to zero": lambda: snn.Synaptic(alpha=0.5, beta=0.75, reset_mechanism="zero", **keys),
        "recurrent": lambda: snn.RLeaky(beta=0.5, linear_features=20, **keys),
        "to itself": lambda: snn.RLeaky(beta=0.5, all_to_all=False, V=-0.25, **keys),
        "recurrent, synaptic": lambda: snn.RSynaptic(alpha=0.5, beta=0.5, linear_features=20, **keys),
        "Lapicque": lambda: snn.Lapicque(R=2.0, C=1.0, time_step=1, **keys),
    }


@pytest.mark.parametrize("case", [
    "subtract", "leaks of their own", "synaptic", "synaptic to zero", "recurrent", "to itself",
    "recurrent, synaptic", "Lapicque",
])  # fmt: skip
def test_neurons_of_snntorch(case: str) -> None:
    checked(
        chained(nn.Linear(30, 20), snntorch_neurons()[case](), nn.Linear(20, 5), soft()), inputs(shape=FLAT)
    )


@pytest.mark.parametrize("case", [
    ("IFNode", {"v_reset": None}), ("LIFNode", {"tau": 2.0, "v_reset": None}),
    ("LIFNode", {"tau": 2.0, "v_reset": 0.25, "v_threshold": 0.5}),
    ("LIFNode", {"tau": 2.0, "v_reset": -0.25, "decay_input": False}),
    ("ParametricLIFNode", {"v_reset": None}),
    ("CUBALIFNode", {"c_decay": 0.5, "v_decay": 0.75}),
])  # fmt: skip
def test_neurons_of_spikingjelly(case: tuple[str, dict[str, Any]]) -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    name, keys = case
    made = getattr(neuron, name)(**{"v_threshold": 0.25, **keys})
    checked(chained(nn.Linear(30, 20), made, nn.Linear(20, 5)), inputs(shape=FLAT))


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("adaptive", [False, True])
def test_neurons_of_norse(adaptive: bool, recurrent: bool) -> None:
    norse = pytest.importorskip("norse.torch")
    keys = {"tau_syn_inv": 500.0, "tau_mem_inv": 250.0, "v_th": 0.25}
    keys |= {"tau_adapt_inv": 125.0, "beta": 0.5} if adaptive else {}
    p = (norse.LSNNParameters if adaptive else norse.LIFParameters)(
        **{key: torch.as_tensor(value) for key, value in keys.items()}
    )
    name = f"{'LSNN' if adaptive else 'LIF'}{'Recurrent' if recurrent else ''}Cell"
    kind = getattr(norse, name)
    first = [kind(30, 20, p)] if recurrent else [nn.Linear(30, 20, bias=False), kind(p)]
    model = dyadic(norse.SequentialState(*first, nn.Linear(20, 5, bias=False), norse.LICell()))
    trace = checked(model, inputs(shape=FLAT))
    population = trace.nodes[1]
    assert [one.delay for one in population.synapses] == (
        [adaptive, 1 + adaptive] if recurrent else [adaptive]
    )
    assert trace.nodes[-1].kind == "currents"


def test_containers_that_come_back() -> None:
    jelly = pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import layer, neuron

    linear = layer.LinearRecurrentContainer(neuron.LIFNode(tau=2.0, v_threshold=0.25), 30, 30)
    each = layer.ElementWiseRecurrentContainer(neuron.IFNode(v_threshold=0.3), lambda x, y: x - 0.25 * y)
    model = dyadic(
        nn.Sequential(nn.Linear(30, 30), neuron.IFNode(v_threshold=0.25), linear, nn.Linear(30, 5), each)
    )
    assert jelly is not None
    trace = checked(model, inputs(shape=FLAT))
    for node in trace.nodes[2:]:
        assert (node.name in node.sources) and max(one.delay for one in node.synapses) == 1


class Repeats(nn.Module):
    """Repeats its image itself, and walks through time in a loop."""

    def __init__(self) -> None:
        super().__init__()
        snn = pytest.importorskip("snntorch")
        keys = {"beta": 0.5, "threshold": 0.25, "reset_mechanism": "zero"}
        self.conv, self.norm, self.lif = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), snn.Leaky(**keys)
        self.fc = nn.Linear(4 * 36, 3)

    def forward(self, image: Any) -> Any:
        state, out = self.lif.reset_mem(), []
        for _ in range(6):
            spikes, state = self.lif(self.norm(self.conv(image)), state)
            out.append(self.fc(spikes.flatten(1)))
        return torch.stack(out).mean(0)


@pytest.mark.parametrize("bits", [8, 5])
def test_direct_encoding(bits: int) -> None:
    image = torch.randint(0, 256, (B, 1, 8, 8), generator=torch.Generator().manual_seed(4)) / 256
    model = dyadic(Repeats())
    trace = checked(model, image, axes="BCHW", input_bits=bits)
    values = trace.nodes[0].values
    assert values is not None and values.constant and values.bits == bits and not values.signed
    if bits == 8:
        assert np.array_equal(trace.values["input"][:, 0] * values.scale, image[:, 0].numpy())
    assert trace.timesteps == 6 and [node.kind for node in trace.nodes] == ["input", "neurons", "currents"]


def test_numbers_that_change_want_their_bits() -> None:
    many = torch.randint(-99, 99, (T, B, 30), generator=torch.Generator().manual_seed(4)) / 64
    model = chained(nn.Linear(30, 20), soft(), nn.Linear(20, 5))
    with pytest.raises(sx.TraceError, match=r"0: takes .* say how many bits they become \(input_bits\)"):
        sx.record(model, many)
    trace = checked(model, many, input_bits=8)
    assert trace.nodes[0].values == trace.nodes[0].values.model_copy(
        update={"signed": True, "constant": False}
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


def test_what_does_not_start_at_rest_is_refused() -> None:
    class Charged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.u: Any = 0.5

        def forward(self, current: Any) -> Any:
            v = self.u + current
            self.u = v * (v <= 0.25)
            return (v > 0.25).float()

    model = chained(nn.Linear(30, 20), Charged())
    with pytest.raises(sx.TraceError, match=r"0: gave \d+ spikes or values, of which \d+ come out otherwise"):
        sx.record(model, inputs(shape=FLAT), neurons={Charged: {"threshold": 0.25}})


def test_runs_that_differ_are_refused_and_states_are_put_back() -> None:
    model = chained(nn.Linear(30, 20), soft())
    before = dict(model[1]._buffers)
    sx.record(model, inputs(shape=FLAT))
    assert dict(model[1]._buffers) == before
    late = nn.Sequential(nn.Linear(30, 20), Noisy(), soft(threshold=-0.1))
    with pytest.raises(sx.TraceError, match=r"gave \d+ other spikes in a second run"):
        sx.record(late, inputs(shape=FLAT))


class Noisy(nn.Module):
    """Multiplies by another number in every run."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = torch.zeros(1)

    def forward(self, x: Any) -> Any:
        self.calls += 1  # in place, which nobody puts back
        return x * (1.0 if int(self.calls) <= T else -1.0)
