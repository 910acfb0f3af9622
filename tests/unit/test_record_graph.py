"""Networks that are graphs, recorded: the simulator gives the frameworks' spikes and sums, node by node."""

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
FLAT = (T, B, 30)


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


class Scaler(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 2.0 + 0.25


class Functional(nn.Module):
    """What modules do, by functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lif = nn.Conv2d(2, 4, 3), leaky(threshold=0.3)
        self.fc, self.last = nn.Linear(36, 5), leaky(threshold=0.3)

    def forward(self, x: Any) -> Any:
        x = nn.functional.avg_pool2d(self.lif(self.conv(x)), 2, ceil_mode=True)
        return self.last(self.fc(nn.functional.adaptive_avg_pool2d(x[..., :3, :3], 3).flatten(1)))


def folded(norm: Any, layer: Any) -> Any:
    """A layer with the batch norm after it in its weights."""
    factor = norm.weight.data / norm.running_var.sqrt()
    rows = factor.reshape(-1, *(1,) * (layer.weight.ndim - 1))
    layer.bias.data = (layer.bias.data - norm.running_mean) * factor + norm.bias.data
    layer.weight.data = layer.weight.data * rows
    return layer


@pytest.mark.parametrize("kind", ["BatchNorm1d", "SyncBatchNorm", "scaler"])
def test_what_folds_makes_a_chain(kind: str) -> None:
    after = Scaler() if kind == "scaler" else getattr(nn, kind)(20)
    model, given = chained(nn.Linear(30, 20), after, leaky(threshold=0.3)), inputs(shape=FLAT)
    if kind == "SyncBatchNorm":
        after.eps, after.running_var = 0.0, 4.0 ** torch.randint(-1, 2, (20,))
    got = sx.record(model, given)
    layer = model[0]
    if kind == "scaler":
        layer.weight.data, layer.bias.data = layer.weight.data * 2, layer.bias.data * 2 + 0.25
    else:
        layer = folded(after, layer)
    want = sx.record(nn.Sequential(layer, model[2]), given)
    assert isinstance(got, sx.Trace) and np.array_equal(got.weights[0], want.weights[0])
    assert np.array_equal(got.biases[0], want.biases[0]) and got.spikes(0).any()


def test_functions_do_as_modules_do() -> None:
    model, given = dyadic(Functional()), inputs(shape=(T, B, 2, 8, 8))
    got = sx.record(model, given)
    modules = (model.conv, model.lif, nn.AvgPool2d(2), nn.Flatten(), model.fc, model.last)
    want = sx.record(nn.Sequential(*modules), given)
    assert isinstance(got, sx.Trace) and isinstance(want, sx.Trace)
    for index, weight in want.weights.items():
        assert np.array_equal(got.weights[index], weight)
    assert [layer.kind for layer in got.layers] == ["conv", "avgpool", "linear"]


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
    ("SimpleIFNode", {"v_reset": None}),
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
    notes: list[str] = []
    sx.record(model, inputs(shape=FLAT), report=lambda report: notes.extend(report.notes))
    assert any("LICell) gives potentials" in one and "leak are not simulated" in one for one in notes)


@pytest.mark.parametrize("name", ["LIF", "LIFRecurrent", "LSNN"])
def test_neurons_of_norse_that_walk_through_time(name: str) -> None:
    norse = pytest.importorskip("norse.torch")
    keys = {"tau_syn_inv": 500.0, "tau_mem_inv": 250.0, "v_th": 0.25}
    keys |= {"tau_adapt_inv": 125.0, "beta": 0.5} if name == "LSNN" else {}
    p = getattr(norse, f"{name[:4] if name == 'LSNN' else 'LIF'}Parameters")(
        **{key: torch.as_tensor(value) for key, value in keys.items()}
    )
    first = [norse.LIFRecurrent(30, 20, p)] if name == "LIFRecurrent" else [
        nn.Linear(30, 20, bias=False), getattr(norse, name)(p),
    ]  # fmt: skip
    model = dyadic(norse.SequentialState(*first, nn.Linear(20, 5)))
    checked(model, inputs(shape=FLAT), call="sequence")


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


class ByHand(nn.Module):
    """Walks through time in a loop, with its own spikes of the time point before; writes into zeros."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.fc, self.back, self.lif = nn.Linear(30, 20), nn.Linear(20, 20), leaky(threshold=0.25)
        self.top, self.last = nn.Linear(20, 4), leaky(threshold=0.25)

    def forward(self, x: Any) -> Any:
        spikes, out = torch.zeros(B, 20), torch.zeros(T, B, 4)
        for time in range(T):
            spikes = self.lif(self.fc(x.select(self.axis, time)) + self.back(spikes))
            out[time] = self.top(spikes)
        return torch.stack([self.last(one) for one in out])


@pytest.mark.parametrize("axes", ["TBN", "BTN"])
def test_recurrence_by_hand(axes: str) -> None:
    given = inputs(shape=FLAT)
    given = given.transpose(0, 1) if axes == "BTN" else given
    trace = checked(dyadic(ByHand(axes.index("T"))), given, call="sequence", axes=axes)
    assert [one.delay for one in trace.node("lif").synapses] == [0, 1]
    assert trace.node("top").kind == "neurons"


def turned_norm(channels: int) -> Any:
    """Batch norm over ``[B, C, T]``, as over a line."""

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(channels)

        def forward(self, x: Any) -> Any:
            return self.norm(x.permute(1, 2, 0)).permute(2, 0, 1)

    return Turned()


@pytest.mark.parametrize("square", [False, True])
def test_a_norm_over_time_as_a_line(square: bool) -> None:
    """Where channels are is told by what the tensor holds: as many time points as channels make no odds."""
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    count = T if square else 20
    model = chained(nn.Linear(30, count), turned_norm(count), neuron.IFNode(v_threshold=0.25, step_mode="m"))
    given = inputs(shape=(T, T if square else B, 30))
    got = sx.record(model, given)
    want = sx.record(nn.Sequential(folded(model[1].norm, model[0]), model[2]), given)
    assert isinstance(got, sx.Trace) and np.array_equal(got.weights[0], want.weights[0])
    assert np.array_equal(got.biases[0], want.biases[0])


@pytest.mark.parametrize("size", [(8, 8), (9, 11)])
def test_averages_of_averages_are_one(size: tuple[int, int]) -> None:
    model = chained(
        nn.Conv2d(2, 4, 3, padding=1), leaky(threshold=0.3), nn.AvgPool2d(2), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(16, 5), leaky(threshold=0.125),
    )  # fmt: skip
    given = inputs(shape=(T, B, 2, *size))
    got, once = sx.record(model, given), nn.Sequential(*model[:2], nn.AvgPool2d(4), *model[4:])
    want = sx.record(once, given)
    assert isinstance(got, sx.Trace) and np.array_equal(got.weights[2], want.weights[2])
    assert got.layers[1].kernel == (4, 4) and np.array_equal(got.inputs[1], want.inputs[1])
    ends = [sx.simulate(one).layers[2] for one in (got, want)]
    assert ends[0].output_spikes and ends[0].output_sha256 == ends[1].output_sha256


class Concatenated(nn.Module):
    """Channels of several layers side by side, sliced, grouped and flattened together."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.c, self.d = nn.Conv2d(8, 6, 3, padding=1, groups=2), nn.Conv2d(6, 4, 3)
        self.lifs = nn.ModuleList(leaky(threshold=0.3) for _ in range(4))
        self.fc = nn.Linear(4 * 64 + 8 * 25, 3)

    def forward(self, x: Any) -> Any:
        a = self.lifs[0](self.a(x))
        both = torch.cat([self.lifs[1](self.b(a)), a], 1)
        c = self.lifs[2](self.c(both))
        d = self.lifs[3](self.d(torch.cat([c[:, 4:], both[:, 2:6]], 1)))
        pooled = nn.functional.max_pool2d(both, 2)
        return self.fc(torch.cat([d.flatten(1), pooled.flatten(1)], 1))


def test_channels_side_by_side() -> None:
    trace = checked(dyadic(Concatenated()), inputs())
    assert {node.how for node in trace.nodes if node.kind == "join"} == {"concat", "slice"}
    assert [one.kind for one in trace.node("d").synapses] == ["conv", "conv", "conv"]


def test_numbers_that_change_want_their_bits() -> None:
    many = torch.randint(-99, 99, (T, B, 30), generator=torch.Generator().manual_seed(4)) / 64
    model = chained(nn.Linear(30, 20), soft(), nn.Linear(20, 5))
    with pytest.raises(sx.TraceError, match=r"0: takes .* say how many bits they become \(input_bits\)"):
        sx.record(model, many)
    trace = checked(model, many, input_bits=8)
    assert trace.nodes[0].values == trace.nodes[0].values.model_copy(
        update={"signed": True, "constant": False}
    )


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
