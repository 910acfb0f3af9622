"""Networks as graphs: what a file may say, what it may not, and spikes that flow along the edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import naive
import spikex_sim as sx
from command import REPOSITORY
from networks import full
from spikex_sim.explore.seeded_network import attach_network
from spikex_sim.run.simulate import simulate
from spikex_sim.sources.open_loop import generated_trace
from spikex_sim.spec.networks import NETWORK_INPUT, Network, load_network
from spikex_sim.trace.plan import plan_stages

CONV = "kind: conv, in_channels: 2, out_channels: 2, kernel: 3, padding: 1, in_height: 4, in_width: 4"
POOL = "in_channels: 2, out_channels: 2, kernel: 2, stride: 2, in_height: 4, in_width: 4"
FC = "kind: linear, in_channels: 32, out_channels: 3"
HALF = "kind: conv, in_channels: 2, out_channels: 4, stride: 2, in_height: 4, in_width: 4"
FOUR = "in_channels: 4, out_channels: 4, in_height: 2, in_width: 2"
T = 12

RESIDUAL = f"""\
name: residual
timesteps: {T}
layers:
  - {{name: stem, {CONV}, rate: 1}}
  - {{name: a, {CONV}, rate: 0.2}}
  - {{name: b, {CONV}, rate: 0.1, from: [a, stem, input]}}
  - {{name: half, {HALF}, kernel: 3, padding: 1, from: [b, a], rate: 0.1}}
  - {{name: short, {HALF}, from: [b, a], rate: 0.1}}
  - {{name: max, kind: maxpool, {FOUR}, from: [half, short]}}
  - {{name: mean, kind: avgpool, {FOUR}, kernel: 2, stride: 2, from: [max, half], rate: 0.1}}
  - {{name: fc, kind: linear, in_channels: 4, out_channels: 5}}
"""


def described(*layers: str) -> str:
    return "name: n\ntimesteps: 4\nlayers:\n" + "".join(f"  - {{{layer}}}\n" for layer in layers)


A, B = f"name: a, {CONV}", f"name: b, {CONV}"
C = f"name: c, {CONV}"


def network_of(tmp_path: Path, text: str) -> Network:
    (tmp_path / "n.yaml").write_text(text)
    return load_network(tmp_path / "n.yaml")


@pytest.fixture
def residual(tmp_path: Path) -> Network:
    return network_of(tmp_path, RESIDUAL)


class TestReading:
    def test_sources_and_rates(self, residual: Network) -> None:
        chain = NETWORK_INPUT
        assert residual.predecessors() == (
            (chain,), (0,), (1, 0, chain), (2, 1), (2, 1), (3, 4), (5, 3), (6,)
        )  # fmt: skip
        assert residual.sources["b"] == ("a", "stem", "input")
        assert residual.rates == {"stem": 1.0, "a": 0.2, "b": 0.1, "half": 0.1, "short": 0.1, "mean": 0.1}
        assert residual.open_loop_layers == (0, 1, 2, 3, 4, 6)

    def test_layers_are_those_of_traces(self, residual: Network) -> None:
        assert {type(layer) for layer in residual.layers} == {sx.Layer}
        spikes = np.zeros((2, 4, 4, T), bool)
        trace = attach_network(spikes, residual, seed=0, name="n", source="")
        assert {"from", "rate"} & {key for layer in trace.meta()["layers"] for key in layer} == set()

    @pytest.mark.parametrize("source", ["a", "[a]"])
    def test_one_source(self, tmp_path: Path, source: str) -> None:
        network = network_of(tmp_path, described(A, B, f"{C}, from: {source}"))
        assert network.predecessors() == ((NETWORK_INPUT,), (0,), (0,))

    def test_chains_may_have_names_twice(self, tmp_path: Path) -> None:
        text = described(A, f"{A}, from: , rate: ")
        assert network_of(tmp_path, text).predecessors() == ((NETWORK_INPUT,), (0,))

    def test_made_in_python(self, residual: Network) -> None:
        again = Network(
            name="residual",
            timesteps=T,
            layers=residual.layers,
            sources=residual.sources,
            rates=residual.rates,
        )
        assert again == residual

    def test_one_layer_alone(self, residual: Network) -> None:
        short = residual.only("short")
        assert (short.name, short.layers) == ("residual-short", (residual.layers[4],))
        assert short.predecessors() == ((NETWORK_INPUT,),) and short.rates["short"] == 0.1
        with pytest.raises(sx.ConfigError, match="network residual: has no layer 'x'; there are stem, a, b"):
            residual.only("x")


MEAN = f"name: mean, kind: avgpool, {POOL}"
EIGHT = "kind: linear, in_channels: 8, out_channels: 3"
MISTAKES = {
    "a layer that is not there": ((A, f"{B}, from: x"), "layers.1.from: there is no layer 'x'"),
    "a layer with a similar name": (
        (f"name: stem, {CONV}", f"{B}, from: stme"),
        "layers.1.from: there is no layer 'stme'; did you mean stem?"),
    "a layer that comes later": ((f"{A}, from: b", B), "layers.0.from: 'b' does not come before it"),
    "itself": ((A, f"{B}, from: [a, b]"), "layers.1.from: 'b' does not come before it"),
    "a source twice": ((A, f"{B}, from: [a, a]"), "layers.1.from: names a layer twice"),
    "no source": ((A, f"{B}, from: []"), "layers.1.from: must be the name of a layer"),
    "a number as source": ((A, f"{B}, from: 3"), "layers.1.from: must be the name of a layer"),
    "a list of numbers": ((A, f"{B}, from: [a, 0]"), "layers.1.from: must be the name of a layer"),
    "a mapping": ((A, f"{B}, from: {{a: 1}}"), "layers.1.from: must be the name of a layer"),
    "names that are not unique": ((A, A, f"{C}, from: a"), "layers.1.name: 'a' is layer 0 already"),
    "rates of names that are not unique": ((f"{A}, rate: 0.1", A), "layers.1.name: 'a' is layer 0 already"),
    "a layer called input": (
        (f"name: input, {CONV}", f"{B}, from: input"), "layers.0.name: 'input' stands for"),
    "shapes that differ": (
        (A, f"name: p, kind: maxpool, {POOL}", f"{C}, from: [a, p]"),
        "layers.2.from: only spikes of one shape can be joined, not 2x4x4 and 2x2x2"),
    "a source of another shape": (
        (A, f"name: p, kind: maxpool, {POOL}", C),
        "layers.2: takes spikes of shape 2x4x4, but is given 2x2x2"),
    "a linear layer of another size": (
        (A, "name: f, kind: linear, in_channels: 31, out_channels: 3"),
        "layers.1: takes spikes of shape 31, but is given 2x4x4"),
    "the input has another shape": (
        (A, f"name: p, kind: maxpool, {POOL}", f"name: f, {EIGHT}, from: input"),
        "layers.2: takes spikes of shape 8, but is given 2x4x4"),
    "an average that is no spike": (
        (MEAN, f"name: f, {EIGHT}", f"name: g, {EIGHT}, from: mean"), "layers.2.from: an avgpool is folded"),
    "a layer past the average": (
        (MEAN, f"name: f, {FC}, from: input"), "layers.1.from: an avgpool is folded"),
    "an average joined with spikes": (
        (f"name: p, kind: maxpool, {POOL}", f"{MEAN}, from: input", f"name: f, {EIGHT}, from: [mean, p]"),
        "layers.2.from: an avgpool is folded"),
    "an average at the end": ((A, MEAN), "layers.1: an avgpool needs a conv or linear layer after it"),
    "an average before pooling": (
        (MEAN, "name: p, kind: maxpool, in_channels: 2, out_channels: 2, in_height: 2, in_width: 2"),
        "layers.0: an avgpool needs a conv or linear layer after it"),
    "a rate above 1": ((f"{A}, rate: 1.5",), "layers.0.rate: must be a number from 0 to 1, not 1.5"),
    "a negative rate": ((f"{A}, rate: -0.1",), "layers.0.rate: must be a number from 0 to 1"),
    "no number as rate": ((f"{A}, rate: often",), "layers.0.rate: must be a number from 0 to 1, not 'often'"),
    "truth as rate": ((f"{A}, rate: true",), "layers.0.rate: must be a number from 0 to 1"),
    "NaN as rate": ((f"{A}, rate: .nan",), "layers.0.rate: must be a number from 0 to 1"),
    "a rate of a maxpool": (
        (A, f"name: p, kind: maxpool, {POOL}, rate: 0.1"), "layers.1.rate: no spikes are generated"),
    "a rate after an average": (
        (MEAN, f"name: f, {EIGHT}, rate: 0.1"), "layers.1.rate: no spikes are generated"),
    "a key of nothing": ((f"{A}, depth: 3",), "layers.0.depth: unknown key"),
    "no name": ((f"{CONV}, rate: 0.1",), "layers.0.name: missing"),
}  # fmt: skip


def test_the_file_in_the_documentation(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "traces.md").read_text("utf-8")
    network = network_of(tmp_path, text.split("```yaml\n")[1].split("```")[0])
    assert network.predecessors() == ((NETWORK_INPUT,), (0,), (1, 0), (2,))
    assert len(generated_trace(network, 4, 0).inputs) == 3


class TestMistakes:
    @pytest.mark.parametrize("case", MISTAKES)
    def test_one_line_names_file_and_key(self, tmp_path: Path, case: str) -> None:
        layers, words = MISTAKES[case]
        with pytest.raises(sx.ConfigError) as caught:
            network_of(tmp_path, described(*layers))
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / 'n.yaml'}: {words}") and message.isprintable()

    @pytest.mark.parametrize("key", ["sources", "rates"])
    def test_wiring_stands_at_the_layers(self, tmp_path: Path, key: str) -> None:
        with pytest.raises(sx.ConfigError, match=f"n.yaml: {key}: unknown key; 'from' and 'rate'"):
            network_of(tmp_path, f"{described(A)}{key}: {{}}\n")

    @pytest.mark.parametrize("wiring", [{"sources": {"x": ("a",)}}, {"rates": {"x": 0.5}}])
    def test_wiring_of_no_layer(self, residual: Network, wiring: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=f"{next(iter(wiring))}: there is no layer 'x'"):
            Network(name="n", timesteps=1, layers=residual.layers[:1], **wiring)

    @pytest.mark.parametrize("text", ["", "[]", "layers: 3", "name: n\ntimesteps: 1\nlayers: [3]"])
    def test_something_else(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(sx.ConfigError, match=r"n\.yaml: "):
            network_of(tmp_path, text)

    def test_long_names_are_cut(self, tmp_path: Path) -> None:
        with pytest.raises(sx.ConfigError) as caught:
            network_of(tmp_path, described(A, f"{B}, from: {'x' * 5000}"))
        assert len(str(caught.value)) < 400


def by_naive(network: Network, trace: sx.Trace, spikes: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
    """Outputs of every layer, the graph walked with the plain dense pass; an avgpool gives its input."""
    outputs = {NETWORK_INPUT: spikes}
    for index, (layer, sources) in enumerate(
        zip(trace.meta()["layers"], network.predecessors(), strict=True)
    ):
        entering = np.logical_or.reduce([outputs[source] for source in sources])
        before = trace.meta()["layers"][index - 1] if index else {"kind": "none"}
        if layer["kind"] == "avgpool":
            outputs[index] = entering
        elif before["kind"] == "avgpool":
            outputs[index] = naive.avgpool_then_linear(full(before), layer, entering, trace.weights[index])
        else:
            weight = trace.weights.get(index, np.zeros(0))
            outputs[index] = naive.forward(full(layer), entering, weight)
    return outputs


class TestClosedLoop:
    SPIKES = np.random.default_rng(5).random((2, 4, 4, T)) < 0.3

    @pytest.fixture
    def trace(self, residual: Network) -> sx.Trace:
        return attach_network(self.SPIKES, residual, seed=1, name="n", source="s", rate=0.2)

    def test_recorded_is_what_flows_along_the_edges(self, residual: Network, trace: sx.Trace) -> None:
        outputs = by_naive(residual, trace, self.SPIKES)
        assert set(trace.inputs) == {0, 2, 3, 4, 5, 6}
        for index in trace.inputs:
            joined = np.logical_or.reduce([outputs[source] for source in residual.predecessors()[index]])
            assert np.array_equal(trace.spikes(index)[0], joined)
        assert all(outputs[index].any() for index in outputs)

    @pytest.mark.parametrize("arch", ["spikex", "ptb"])
    def test_a_replay_gives_the_same_spikes(self, residual: Network, trace: sx.Trace, arch: str) -> None:
        outputs = by_naive(residual, trace, self.SPIKES)
        for index, layer in enumerate(simulate(trace, arch, tws=3).layers):
            assert layer.output_spikes == outputs[index].sum(), layer.name

    def test_rates_are_kept_behind_average_pooling(self, residual: Network, trace: sx.Trace) -> None:
        outputs = by_naive(residual, trace, self.SPIKES)
        assert 0 < outputs[len(residual.layers) - 1].mean() <= 0.2

    def test_it_survives_a_file(self, trace: sx.Trace, tmp_path: Path) -> None:
        sx.save_trace(trace, tmp_path / "t.npz")
        loaded = sx.load_trace(tmp_path / "t.npz")
        assert loaded.layers == trace.layers and set(loaded.inputs) == set(trace.inputs)
        plan_stages(loaded)

    def test_other_input_cannot_go_through_recorded_layers(self, trace: sx.Trace) -> None:
        with pytest.raises(sx.TraceError, match="n: 6/input: holds recorded spikes of later layers"):
            trace.with_input(self.SPIKES, "other", "s")
