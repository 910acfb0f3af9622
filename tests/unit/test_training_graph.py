"""A graph in training gives what the slow oracle of graphs gives, at every node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from naive_graph import evaluate  # noqa: E402
from naive_graph_trace import Trace  # noqa: E402
from spikex_sim.core.errors import SpikexError  # noqa: E402
from spikex_sim.sources.images import LabelledImages  # noqa: E402
from spikex_sim.sources.trained_graphs import (  # noqa: E402
    TrainedGraph,
    load_trained_graph,
    shipped_graph_names,
)
from spikex_sim.spec.graph_networks import GraphNetwork, graph_names, graph_network  # noqa: E402
from spikex_sim.training.data import Splits  # noqa: E402
from spikex_sim.training.graph import SpikingGraph  # noqa: E402
from spikex_sim.training.graph_checks import check_trainable, wiring_of  # noqa: E402
from spikex_sim.training.images import Variation, VariedImages  # noqa: E402
from spikex_sim.training.loop import Trainer  # noqa: E402
from spikex_sim.training.losses import predictions  # noqa: E402
from spikex_sim.training.module import Activity  # noqa: E402
from spikex_sim.training.normalise import normalised  # noqa: E402
from spikex_sim.training.recipe import Recipe  # noqa: E402
from spikex_sim.training.samples import Chosen  # noqa: E402

IMAGE = {"name": "image", "kind": "input", "shape": [2, 6, 5], "values": {"bits": 8, "constant": True}}


def neurons(name: str, M: int, synapses: list[dict[str, Any]], **neuron: Any) -> dict[str, Any]:
    return {"name": name, "kind": "neurons", "channels": M, "synapses": synapses, "neuron": neuron}


def conv(source: str, **keys: Any) -> dict[str, Any]:
    return {"from": source, "kind": "conv", "kernel": 3, "padding": 1} | keys


def network(nodes: list[dict[str, Any]], T: int = 4) -> GraphNetwork:
    return GraphNetwork("small", T, tuple(nodes))


def residual(neuron: dict[str, Any], shift: int, groups: int, spiking: bool) -> GraphNetwork:
    """Every construct that is trained, in one network."""
    wide = {"kernel": 3, "stride": 2, "padding": 1}
    last = {"name": "out", "channels": 3, "synapses": [{"from": "mean", "kind": "linear"}]}
    nodes = [
        IMAGE,
        {"name": "stem", "kind": "currents", "channels": 4, "synapses": [conv("image", shift=shift)]},
        neurons("a", 4, [{"from": "stem", "kind": "identity"}], **neuron),
        neurons("b", 4, [conv("a", groups=groups), conv("image", shift=shift),
                         conv("image", shift=shift, weight_of=1)], **neuron),
        neurons("c", 4, [conv("a"), conv("b", weight_of=0), conv("b", weight_of=0, dilation=2, padding=2),
                         {"from": "stem", "kind": "identity", "shift": 1}], **neuron),
        {"name": "p", "kind": "maxpool", "from": "c", "kernel": 2, "stride": 2, "padding": [0, 1, 0, 1]},
        neurons("d", 4, [conv("p"), {"from": "p", "kind": "identity"},
                         {"from": "p", "kind": "identity", "weight": -9},
                         {"from": "p", "kind": "identity", "weight_of": 2},
                         {"from": "c", "kind": "avgpool", "kernel": 2, "stride": 2, "padding": [0, 1, 0, 1]},
                         {"from": "stem", "kind": "avgpool", "shift": 2, **wide},
                         {"from": "stem", "kind": "maxpool", **wide}],
                **neuron),
        neurons("e", 2, [conv("d", padding=[1, 2, 0, 1])], **neuron),
        {"name": "mean", "kind": "avgpool", "from": "e", "kernel": 2, "stride": 2},
        last | {"kind": "neurons", "neuron": neuron} if spiking else last | {"kind": "currents"},
    ]  # fmt: skip
    return network(nodes)


def drawn(described: GraphNetwork, images: Any, seed: int) -> SpikingGraph:
    """A network whose running means are those of some images, with gains and offsets that differ."""
    made = SpikingGraph.drawn(described, images, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for stored in list(made.stored)[len(made.held) :]:
            stored.copy_(0.5 * torch.randn(stored.shape, generator=generator))
        for _ in range(20):
            made(images)
    return made.eval()


def check_nodes(made: SpikingGraph, arrays: dict[str, Any], images: Any) -> Activity:
    """Compare the oracle's spikes and currents with those in training, image by image."""
    with torch.no_grad():
        activity = made(images)
    T, samples = made.timesteps, len(images)
    meta = TrainedGraph("n", "n", T, tuple(made.nodes), arrays).trace(np.zeros(made.input.shape)).meta()
    image = f"{made.input.name}/values"
    for sample in range(samples):
        found = evaluate(Trace(meta, arrays | {image: images[sample].numpy().astype(np.int32)})).computed
        for name, fired in zip(made.names, activity.fired, strict=True):
            channels, height, width = made.wiring.ports[name].shape
            mine = fired.reshape(T, samples, height, width, channels)[:, sample].permute(3, 1, 2, 0)
            np.testing.assert_array_equal(found[name].values, mine.numpy().astype(bool), err_msg=name)
        last = found[made.nodes[-1].name].values[:, 0, 0]
        np.testing.assert_array_equal(last.T, activity.output[:, sample].numpy())
        assert int(predictions(activity.counts)[sample]) == int(last.sum(-1).argmax())
    return activity


@settings(max_examples=8)
@given(
    neuron=st.fixed_dictionaries(
        {"reset": st.sampled_from(["zero", "subtract"])}, optional={"leak_shift": st.integers(1, 4)}
    )
    | st.just({"fires": "at", "leak_shift": 1}),
    shift=st.integers(0, 5),
    groups=st.sampled_from([1, 2, 4]),
    spiking=st.booleans(),
    seed=st.integers(0, 99),
)
def test_all_nodes_are_those_of_the_oracle(
    neuron: dict[str, Any], shift: int, groups: int, spiking: bool, seed: int
) -> None:
    described = residual(neuron, shift, groups, spiking)
    images = torch.from_numpy(
        np.random.default_rng(seed).integers(-128, 128, (3, 2, 6, 5)).astype(np.float32)
    )
    made = drawn(described, images, seed)
    arrays = made.integers()
    activity = check_nodes(made, arrays, images)
    assert all(0 < float(fired.mean()) < 1 for fired in activity.fired[:3])
    again = SpikingGraph.of(described, arrays)(images)
    assert torch.equal(again.output, activity.output)
    for key, array in SpikingGraph.of(described, arrays).integers().items():
        np.testing.assert_array_equal(array, arrays[key], err_msg=key)


@pytest.mark.parametrize("name", shipped_graph_names())
def test_shipped_networks_predict_as_the_oracle_does(name: str) -> None:
    trained = load_trained_graph(name)
    made = SpikingGraph.of(replace(trained.described(), timesteps=2), trained.arrays)
    low, high = made.input.values.limits if made.input.values is not None else (0, 1)
    rng = np.random.default_rng(3)
    # Coarse blocks of colour: noise would leave deep layers silent.
    image = np.kron(rng.integers(low, high + 1, (1, *made.input.shape[:1], 4, 4)), np.ones((8, 8)))
    image = image[..., : made.input.shape[1], : made.input.shape[2]]
    activity = check_nodes(made, dict(trained.arrays), torch.from_numpy(image.astype(np.float32)))
    assert activity.counts.any()


def test_batches_are_normalised_to_what_is_whole() -> None:
    rng = np.random.default_rng(0)
    sums = torch.from_numpy(np.rint(rng.normal(30, 200, (16, 3, 5, 5))).astype(np.float32)).requires_grad_()
    gain = torch.tensor([1.0, 2.0, 0.5], requires_grad=True)
    offset = torch.tensor([0.0, -0.3, 0.7], requires_grad=True)
    found, threshold, mean, variance = normalised(sums, gain, offset)
    assert torch.equal(found, found.round()) and torch.equal(threshold, threshold.round())
    smooth = torch.nn.functional.batch_norm(sums, None, None, gain, offset, training=True)
    ratio = found / threshold[:, None, None]
    # A half of a step of the bias, and a half of one of the threshold for every threshold's worth.
    assert float((ratio - smooth).detach().abs().max()) < 0.05
    assert torch.allclose(mean, sums.detach().mean((0, 2, 3)), rtol=1e-4)
    assert torch.allclose(variance, sums.detach().var((0, 2, 3), unbiased=False), rtol=1e-3)
    weights = torch.from_numpy(rng.normal(size=(16, 3, 5, 5)).astype(np.float32))
    wanted = torch.autograd.grad((smooth * weights).sum(), (sums, gain, offset), retain_graph=True)
    # What a neuron passes back is by its potential, a threshold of which is 1.
    given_ = torch.autograd.grad((found * (weights / threshold[:, None, None])).sum(), (sums, gain, offset))
    for one, two in zip(given_, wanted, strict=True):
        assert torch.allclose(one, two, rtol=1e-3, atol=1e-4)


def test_a_step_against_the_gradient_lowers_the_loss() -> None:
    from spikex_sim.training.losses import classification_loss

    rng = np.random.default_rng(1)
    described = residual({"leak_shift": 1}, 3, 1, spiking=False)
    images = torch.from_numpy(rng.integers(-128, 128, (32, 2, 6, 5)).astype(np.float32))
    labels = (images.mean((1, 2, 3)) > 0).long()
    made = SpikingGraph.drawn(described, images, 0)
    adam = torch.optim.Adam(made.parameters(), 0.03)
    losses = []
    for _ in range(30):
        loss = classification_loss(made(images), labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert min(losses[-5:]) < 0.6 * losses[0]
    assert all(stored.grad is not None and stored.grad.any() for stored in made.stored)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: {"values": None}}, "nodes.image: training takes one input: constant values of 8 bits"),
        ({0: {"values": {"bits": 4, "constant": True}}}, "nodes.image: training takes one input"),
        ({2: {"neuron": {"threshold": 3}}}, "nodes.a.neuron.threshold: leave it out"),
        (
            {2: {"neuron": {"fires": "at", "reset": "subtract"}}},
            "nodes.a.neuron: training takes neurons with a potential alone",
        ),
        ({2: {"neuron": {"reset": "none"}}}, "nodes.a.neuron: training takes"),
        ({2: {"neuron": {"reset_delay": 1}}}, "nodes.a.neuron: training takes"),
        ({2: {"neuron": {"current": {}}}}, "nodes.a.neuron: training takes"),
        ({2: {"neuron": {"datapath": "float"}}}, "nodes.a.datapath: training is for the integer datapath"),
        ({-1: {"synapses": [conv("a")], "channels": 4}}, "nodes.out: the last node is read out"),
    ],
)
def test_what_cannot_be_trained_is_refused(change: dict[int, dict[str, Any]], message: str) -> None:
    nodes = [
        IMAGE,
        {"name": "stem", "kind": "currents", "channels": 4, "synapses": [conv("image")]},
        neurons("a", 4, [{"from": "stem", "kind": "identity"}]),
        {"name": "out", "kind": "currents", "channels": 3, "synapses": [{"from": "a", "kind": "linear"}]},
    ]
    refused(nodes, None)
    for place, keys in change.items():
        nodes[place] = nodes[place] | keys
    refused(nodes, message)


def refused(nodes: list[dict[str, Any]], message: str | None) -> None:
    described = network(nodes)
    if message is None:
        check_trainable(wiring_of(described), "small")
        return
    with pytest.raises(SpikexError, match=message):
        check_trainable(wiring_of(described), "small")


@pytest.mark.parametrize("name", graph_names())
def test_presets_can_be_trained_but_for_what_is_named(name: str) -> None:
    wiring = wiring_of(graph_network(name))
    mistakes = {
        "recurrent-shd": r"nodes.cochlea: training takes one input",
        "spikformer-4-384": r"nodes.block1.vk: training takes no matmul",
    }
    if name not in mistakes:
        assert check_trainable(wiring, name).name == "image"
        return
    with pytest.raises(SpikexError, match=mistakes[name]):
        check_trainable(wiring, name)


def test_a_run_that_is_broken_off_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (48, 2, 6, 5)).astype(np.uint8)
    images = LabelledImages(pixels, (pixels.mean((1, 2, 3)) > 127).astype(np.int64), True)
    data = VariedImages(images, Variation(1, True))
    parts = [Chosen(data, np.arange(start, start + 16)) for start in (0, 16, 32)]
    splits = Splits(*parts, "drawn", 0)
    described = residual({"leak_shift": 1}, 3, 1, spiking=False)
    sample = torch.from_numpy(data.batch(np.arange(16), None))

    def trained(folder: Path | None, stop: bool = False) -> dict[str, Any]:
        made = SpikingGraph.drawn(described, sample, 0)
        trainer = Trainer(made, splits, Recipe(epochs=4, batch=8), (4,) * len(made.names))

        def progress(what: str, done: int, total: int) -> None:
            if stop and what.startswith("epoch 3"):
                raise KeyboardInterrupt

        trainer.run(folder, progress)
        return made.integers()

    whole = trained(None)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, stop=True)
    for key, array in trained(tmp_path).items():
        np.testing.assert_array_equal(array, whole[key], err_msg=key)


def test_delays_are_refused() -> None:
    nodes = [
        IMAGE,
        neurons("a", 2, [conv("image")]),
        neurons("b", 2, [{"from": "a", "kind": "identity", "delay": 1}]),
        neurons("out", 3, [{"from": "b", "kind": "linear"}]),
    ]
    refused(nodes, r"nodes.b.synapses.0: training takes no delay")


def test_sums_that_float32_does_not_hold_are_refused() -> None:
    wide = {"name": "image", "kind": "input", "shape": [600, 3, 3], "values": {"bits": 8, "constant": True}}
    nodes = [wide, {"name": "out", "kind": "currents", "channels": 2,
                    "synapses": [{"from": "image", "kind": "linear"}]}]  # fmt: skip
    refused(nodes, r"nodes.out: has sums that float32 does not add exactly")
