"""Networks of three frameworks, recorded: the simulator gives their spikes, layer by layer, to the bit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from frameworks import SIDE, B, T, exact, inputs, leaky, sha256, spikes_of
from spikex_sim.trace.graph import GraphTrace

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)


def assert_same_spikes(trace: sx.Trace, spikes: list[np.ndarray]) -> None:
    """Closed loop, every layer with neurons gives what its neurons in the framework gave."""
    alone = sx.Trace(
        name=trace.name, timesteps=trace.timesteps, layers=trace.layers, inputs={0: trace.inputs[0]},
        weights=trace.weights, biases=trace.biases, samples=trace.samples, batched=trace.batched,
    )  # fmt: skip
    result = sx.simulate(alone, tws=3)
    layers = [layer for layer in result.layers if layer.kind in ("conv", "linear")]
    assert len(layers) == len(spikes)
    for layer, expected in zip(layers, spikes, strict=True):
        assert 0.01 < expected.mean() < 0.9, layer.name  # the comparison is about something
        assert layer.output_sha256 == sha256(expected), layer.name
    opened = sx.simulate(trace, tws=3)
    assert not any(layer.mismatched_spikes for layer in opened.layers)


def stepped(model: Any, spikes: Any) -> Any:
    def run() -> None:
        with torch.no_grad():
            for now in spikes:
                model(now)

    return run


def snntorch_model(reset_delay: bool = True) -> tuple[Any, list[Any]]:
    snn = pytest.importorskip("snntorch")

    def leaky(beta: float, threshold: float, **more: Any) -> Any:
        return snn.Leaky(
            beta=beta,
            threshold=threshold,
            reset_mechanism="zero",
            init_hidden=True,
            reset_delay=reset_delay,
            **more,
        )

    neurons = [leaky(0.5, 0.75), leaky(0.75, 0.3), leaky(1.0, 0.2, output=True)]
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), neurons[0], nn.MaxPool2d(2), nn.Dropout(0.5),
        nn.Conv2d(6, 8, 3, stride=2, padding="valid", bias=False), neurons[1], nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(8, 7), neurons[2],
    )  # fmt: skip
    return exact(model).eval(), neurons


@pytest.mark.parametrize("reset_delay", [True, False])
def test_snntorch(reset_delay: bool) -> None:
    model, neurons = snntorch_model(reset_delay)
    spikes = inputs()
    model.train()
    trace = sx.record(model, spikes, label=(3, 1, 2))
    assert model.training and model[4].training
    model.eval()
    for neuron in neurons:
        neuron.reset_mem()
    given = spikes_of(neurons, stepped(model, spikes))
    assert [layer.kind for layer in trace.layers] == ["conv", "maxpool", "conv", "avgpool", "linear"]
    assert [layer.name for layer in trace.layers] == ["0", "3", "5", "7", "9"]
    assert (trace.samples, trace.label, sorted(trace.inputs)) == (B, (3, 1, 2), [0, 2, 3])
    assert np.array_equal(trace.spikes(0), np.moveaxis(spikes.numpy() == 1, 0, -1))
    assert np.array_equal(trace.spikes(3), given[1])
    assert_same_spikes(trace, given)


def test_snntorch_model_that_loops_over_time_itself() -> None:
    snn = pytest.importorskip("snntorch")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.lif1 = (
                nn.Linear(24, 16),
                snn.Leaky(beta=0.5, threshold=0.4, reset_mechanism="zero"),
            )
            self.fc2, self.lif2 = nn.Linear(16, 4), snn.Leaky(beta=1.0, threshold=0.6)

        def forward(self, x: Any) -> Any:
            first, second = self.lif1.reset_mem(), self.lif2.reset_mem()
            for now in x:
                spikes, first = self.lif1(self.fc1(now.flatten(1)), first)
                out, second = self.lif2(self.fc2(spikes), second)
            return out

    model = exact(Net())
    spikes = inputs(shape=(T, B, 24))
    trace = sx.record(model, spikes, call="sequence")
    assert trace.layers[1].neuron is not None and trace.layers[1].neuron.reset == "subtract"  # no leak: exact
    assert_same_spikes(trace, spikes_of([model.lif1, model.lif2], lambda: model(spikes)))
    with pytest.raises(sx.TraceError, match=r"^Net: model: failed when called with .* call='sequence'"):
        sx.record(model, spikes, call="step")
    assert sx.record(model, spikes).sha256 == trace.sha256  # no other way is good


def jelly_model(mode: str) -> tuple[Any, list[Any]]:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    from spikingjelly.activation_based import functional, layer

    neurons = [
        neuron.LIFNode(tau=2.0, v_threshold=0.375),
        neuron.ParametricLIFNode(init_tau=2.0, v_threshold=0.125, decay_input=False),
        neuron.IFNode(v_threshold=0.25),
        neuron.LIFNode(tau=4.0, decay_input=False, v_threshold=0.125),
    ]
    model = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False), layer.BatchNorm2d(6), neurons[0], layer.MaxPool2d(2, 2),
        layer.Conv2d(6, 8, 3, padding="same"), neurons[1], layer.AvgPool2d(2, 2), layer.Conv2d(8, 6, 2),
        neurons[2], layer.Flatten(), layer.Dropout(0.2), layer.Linear(6, 5), neurons[3],
    )  # fmt: skip
    functional.set_step_mode(model, mode)
    return exact(model).eval(), neurons


@pytest.mark.parametrize("mode", ["s", "m"])
def test_spikingjelly(mode: str) -> None:
    model, neurons = jelly_model(mode)
    from spikingjelly.activation_based import functional

    spikes = inputs()
    trace = sx.record(model, spikes)
    functional.reset_net(model)
    run = stepped(model, spikes) if mode == "s" else lambda: model(spikes)
    assert_same_spikes(trace, spikes_of(neurons, run))
    # a potential that reaches the threshold spikes there
    threshold = trace.layers[4].neuron.threshold  # type: ignore[union-attr]
    assert np.float32(threshold) < 0.25 == np.nextafter(np.float32(threshold), np.float32(1))


def test_spikingjelly_containers_and_other_pools() -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    from spikingjelly.activation_based import functional, layer

    neurons = [neuron.LIFNode(tau=2.0, v_threshold=0.375, step_mode="m") for _ in range(3)]
    flat = layer.Flatten(step_mode="m")
    model = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6)), neurons[0],
        layer.SeqToANNContainer(nn.AdaptiveAvgPool2d(5), nn.Conv2d(6, 8, 3)), neurons[1],
        layer.SeqToANNContainer(nn.AvgPool2d(3, divisor_override=4)), flat, nn.Linear(8, 6), neurons[2],
    )  # fmt: skip
    model, spikes = exact(model).eval(), inputs()
    trace = sx.record(model, spikes)
    assert [layer.kind for layer in trace.layers] == ["conv", "avgpool", "conv", "avgpool", "linear"]
    functional.reset_net(model)
    assert_same_spikes(trace, spikes_of(neurons, lambda: model(spikes)))


def test_spikingjelly_spikes_at_the_threshold() -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    model = nn.Sequential(nn.Linear(1, 1, bias=False), neuron.IFNode(v_threshold=1.0))
    model[0].weight.data[:] = 0.5
    trace = sx.record(model, torch.ones(4, 1))
    assert not trace.batched
    spikes = np.unpackbits(sx.simulate(trace).outputs[0], axis=-1, count=4)
    assert spikes.ravel().tolist() == [0, 1, 0, 1]


class LayerByLayer(nn.Module):
    """All time points of a layer before the next layer begins."""

    def __init__(self, layers: list[Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            state, given = None, []
            for now in x:
                if hasattr(layer, "p") and hasattr(layer, "dt"):
                    out, state = layer(now, state)
                else:
                    out = layer(now)
                given.append(out)
            x = torch.stack(given)
        return x


def norse_model(lifted: bool) -> tuple[Any, list[Any]]:
    norse = pytest.importorskip("norse.torch")
    from norse.torch.functional.reset import reset_subtract

    def box(share: float, threshold: float, **more: Any) -> Any:
        parameters = norse.LIFBoxParameters(
            tau_mem_inv=torch.as_tensor(1000 * share), v_th=torch.as_tensor(threshold), **more
        )
        return norse.LIFBoxCell(parameters)

    neurons = [
        box(0.5, 0.375),
        norse.LIFCell(norse.LIFParameters(*(torch.as_tensor(x) for x in (1000.0, 500.0, 0.0, 0.25)))),
        box(0.25, 0.125, reset_method=reset_subtract),
        norse.IAFCell(norse.IAFParameters(v_th=torch.as_tensor(0.25))),
    ]  # fmt: skip
    layers = [
        nn.Conv2d(2, 6, 3, padding=1), neurons[0], nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, stride=2), neurons[1],
        nn.Flatten(), nn.Linear(32, 9), neurons[2], nn.Linear(9, 5), neurons[3],
    ]  # fmt: skip
    model = LayerByLayer(layers) if lifted else norse.SequentialState(*layers)
    return exact(model).eval(), neurons


@pytest.mark.parametrize("lifted", [False, True])
def test_norse(lifted: bool) -> None:
    model, neurons = norse_model(lifted)
    spikes = inputs()
    trace = sx.record(model, spikes, call="sequence" if lifted else None)

    def run() -> None:
        state = None
        with torch.no_grad():
            if lifted:
                model(spikes)
                return
            for now in spikes:
                _, state = model(now, state)

    assert_same_spikes(trace, spikes_of(neurons, run))


class Mine(nn.Module):
    """A spiking module of one's own: leaks by half, spikes above 0.5, subtracts it."""

    def __init__(self) -> None:
        super().__init__()
        self.u: Any = 0.0

    def forward(self, current: Any) -> Any:
        v = 0.5 * self.u + 2 * current
        spikes = (v > 0.5).float()
        self.u = v - 0.5 * spikes
        return spikes, self.u


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mine, self.fc, self.last = nn.Conv2d(2, 4, 3), Mine(), nn.Linear(4 * 64, 6), Mine()

    def forward(self, x: Any) -> Any:
        return self.last(self.fc(self.mine(self.conv(x))[0].flatten(1)))


@pytest.mark.parametrize(
    "key", [{Mine: {"threshold": 0.5, "leak": 0.5, "reset": "subtract", "input_scale": 2}},
            {name: sx.Dynamics(0.5, 0.5, "subtract", 2.0) for name in ("mine", "last")}],
)  # fmt: skip
def test_a_described_module(key: Any) -> None:
    model, spikes = exact(Own()), inputs()
    trace = sx.record(model, spikes, neurons=key)
    model.mine.u = model.last.u = 0.0
    with pytest.raises(
        sx.TraceError, match=r"^Own: mine \(Mine\): takes what conv gives and is no neuron that is known"
    ):
        sx.record(model, spikes)
    model.mine.u = model.last.u = 0.0
    assert_same_spikes(trace, spikes_of([model.mine, model.last], stepped(model, spikes)))


def test_as_many_samples_as_time_points() -> None:
    """Where T = B, only the values tell time points and samples apart."""
    model, _ = jelly_model("m")
    from spikingjelly.activation_based import functional

    square = inputs(shape=(B, B, 2, SIDE, SIDE))
    whole = sx.record(model, square)
    functional.set_step_mode(model, "s")
    stepwise = sx.record(model, square)
    assert all(np.array_equal(whole.inputs[index], packed) for index, packed in stepwise.inputs.items())


def test_hooks_are_removed_and_numpy_will_do() -> None:
    model, _ = snntorch_model()
    trace = sx.record(model, inputs().numpy().astype(bool))
    assert not any(module._forward_hooks for module in model.modules())
    again = sx.record(model, inputs().to(torch.int64))
    assert all(np.array_equal(again.inputs[index], packed) for index, packed in trace.inputs.items())


class TestOptions:
    def test_one_sample_has_no_sample_axis(self) -> None:
        model, _ = snntorch_model()
        batch = sx.record(model, inputs())
        single = sx.record(model, inputs()[:, 1], label=4)
        assert not single.batched and single.label == 4
        for index, packed in single.inputs.items():
            assert np.array_equal(packed[0], batch.inputs[index][1])

    def test_closed_loop_keeps_the_first_input(self) -> None:
        model, _ = snntorch_model()
        assert list(sx.record(model, inputs(), closed_loop=True).inputs) == [0]

    def test_nearest_makes_a_chain_of_what_differs(self) -> None:
        snn = pytest.importorskip("snntorch")
        first = snn.Leaky(beta=0.5, threshold=0.3, init_hidden=True)
        last = snn.Leaky(beta=0.5, init_hidden=True, output=True)
        model = exact(nn.Sequential(nn.Linear(40, 30), first, nn.Linear(30, 20), last))
        spikes = inputs(shape=(T, B, 40))
        assert isinstance(sx.record(model, spikes), GraphTrace)
        trace = sx.record(model, spikes, nearest=True)
        assert isinstance(trace, sx.Trace) and trace.layers[0].neuron == sx.Neuron(
            threshold=float(np.float32(0.3)), leak=0.5, reset="subtract", datapath="float"
        )
        differing = sx.simulate(trace).layers[1].mismatched_spikes
        assert differing and differing < 0.2 * trace.spikes(1).size

    def test_skip_leaves_an_analog_encoder_out(self) -> None:
        snn = pytest.importorskip("snntorch")
        image = torch.rand(B, 1, 8, 8, generator=torch.Generator().manual_seed(2))

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                keys = {"beta": 0.5, "threshold": 0.25, "reset_mechanism": "zero", "init_hidden": True}
                self.encode, self.norm, self.first = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), snn.Leaky(**keys)
                self.conv, self.lif = nn.Conv2d(4, 6, 3), snn.Leaky(**keys)
                self.readout = nn.Linear(96, 3)

            def forward(self, x: Any) -> Any:
                return self.readout(self.lif(self.conv(self.first(self.norm(self.encode(x))))).flatten(1))

        model, many = exact(Net()).eval(), image.expand(T, *image.shape)
        assert [node.kind for node in sx.record(model, many, skip=["encode"]).nodes] == [
            "input", "neurons", "currents",
        ]  # fmt: skip
        with pytest.raises(sx.TraceError, match=r"Net: encode: takes [-\d.]+, which is no spike, and other"):
            sx.record(model, many * torch.linspace(0.1, 1, T).reshape(-1, 1, 1, 1, 1))
        trace = sx.record(model, many, skip=["encode", "readout"])
        assert [layer.name for layer in trace.layers] == ["conv"]
        model.first.reset_mem(), model.lif.reset_mem()
        first, last = spikes_of([model.first, model.lif], stepped(model, many))
        assert np.array_equal(trace.spikes(0), first)
        assert_same_spikes(trace, [last])

    def test_progress_tells_every_time_point(self) -> None:
        model, _ = snntorch_model()
        told: list[tuple[int, int]] = []
        sx.record(model, inputs(), progress=lambda text, done, total: told.append((done, total)))
        assert told == [(time, 2 * T) for time in range(2 * T)]  # it runs twice


def test_random_weights_differ_in_few_spikes() -> None:
    """Another order of float32 sums moves potentials by a rounding error, which few thresholds notice."""
    torch.manual_seed(5)
    model = nn.Sequential(
        nn.Conv2d(2, 12, 3, padding=1), nn.BatchNorm2d(12), leaky(beta=0.9, threshold=0.5),
        nn.Conv2d(12, 16, 3), leaky(beta=0.9, threshold=0.3), nn.Flatten(), nn.Linear(1024, 10), leaky(),
    )  # fmt: skip
    trace = sx.record(model, inputs(shape=(20, B, 2, SIDE, SIDE)))
    result = sx.simulate(trace)
    for index, layer in list(enumerate(result.layers))[1:]:
        assert (
            layer.mismatched_spikes is not None and layer.mismatched_spikes <= 1e-4 * trace.spikes(index).size
        )


def test_the_package_imports_no_framework() -> None:
    code = "import sys, spikex_sim as sx; sx.record, sx.Dynamics, sx.simulate; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
