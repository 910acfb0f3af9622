"""Winners of searches, trained for the integer datapath and replayed (docs/nas.md, Section 5)."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import spikex_sim as sx  # noqa: E402
from command import succeed  # noqa: E402
from spikex_sim.explore.nas.cells import space_of  # noqa: E402
from spikex_sim.explore.nas.forms import Form, canonical  # noqa: E402
from spikex_sim.explore.nas.macro import Dataset, Macro  # noqa: E402
from spikex_sim.explore.nas.nodes import graph_of  # noqa: E402
from spikex_sim.sources.trained_graphs import TrainedGraph, load_trained_graph  # noqa: E402
from spikex_sim.spec.graph import Population  # noqa: E402
from spikex_sim.training import cells  # noqa: E402
from spikex_sim.training.cells import CellNetwork  # noqa: E402
from spikex_sim.training.graph import SpikingGraph  # noqa: E402
from spikex_sim.training.graph_checks import wiring_of  # noqa: E402
from winners import winner_file  # noqa: E402

NEURONAS, SNASNET = space_of("neuronas"), space_of("snasnet")
AROUND = {"channels": 2, "pool": 8, "width": 6}
ONE = Dataset("cifar10", 32, 10, 1, 6)
THRESHOLD = 40
"""Of all neurons; at it they fire."""


def form(text: str) -> Form:
    space = SNASNET if "3" in text else NEURONAS
    return canonical(space.parse(text, "cell")).form


def drawn(a: Form, b: Form, **around: Any) -> SpikingGraph:
    """Untrained weights, and no batch normalisation: a threshold, no bias."""
    network = graph_of(Macro(**AROUND | around), a, b, "net")
    made = SpikingGraph(network).eval()
    rng = np.random.default_rng(1)
    with torch.no_grad():
        for stored, _ in zip(made.stored, made.held, strict=False):
            # Whole in steps, halves of their sums too; sums of pixels are shifted without a rest.
            steps = 2 * rng.integers(-30, 31, tuple(stored.shape))
            stored.copy_(torch.from_numpy(steps) / 28)
        for node in made.spiking:
            made._running(node)[1].fill_((THRESHOLD - 1) ** 2)
    return made


def images(count: int) -> torch.Tensor:
    """Pixels whose sums of even weights need no rounding when they are shifted by 6."""
    return torch.from_numpy(32.0 * np.random.default_rng(2).integers(-4, 4, (count, 3, 32, 32))).float()


def weights_of(made: SpikingGraph, part: str, cell: Form) -> list[torch.Tensor]:
    """Weights of a cell's convolutions by number, from where the graph has them."""
    arrays = {key: torch.from_numpy(array.astype(np.float64)) for key, array in made.integers().items()}
    nodes = {node.name: node for node in made.nodes}
    found = []
    populations = {one.reads: f"{part}{k}" for k, one in reversed([*enumerate(cell.convolutions, 1)])}
    consumers = {**populations, cell.output: {"a": "down", "b": "last"}[part]}
    for number, one in enumerate(cell.convolutions, 1):
        stored = nodes.get(f"{part}{number}.conv")
        if stored is not None:
            found.append(arrays[f"{stored.name}/synapse-0/weight"])
            continue
        [(terms, name)] = [(terms, name) for terms, name in consumers.items() if (number, 0, 1) in terms]
        alike = [
            source
            for source, averages, m in terms
            if source and not averages and m == 1 and f"{part}{source}.conv" not in nodes
            and cell.convolutions[source - 1].kernel == one.kernel
        ]  # fmt: skip
        node = nodes[name]
        assert isinstance(node, Population)
        [k] = [
            k
            for k, synapse in enumerate(node.synapses)
            if synapse.kind == "conv"
            and synapse.kernel[0] == one.kernel
            and synapse.source not in ("image", "down")
        ]
        channels = 2 if part == "a" else 4
        first = channels * alike.index(number)
        found.append(arrays[f"{name}/synapse-{k}/weight"][:, first : first + channels])
    return found


def float_network(made: SpikingGraph, a: Form, b: Form) -> CellNetwork:
    """The same network as the search builds it, with batch norms that change nothing."""
    # v <- v + (I - v) / 2 at the first time point: half the current, half the threshold.
    macro = Macro(ONE, timesteps=1, tau=2.0, threshold=THRESHOLD / 2, **AROUND)
    network = CellNetwork(macro, a, b).double().eval()
    arrays = {key: torch.from_numpy(array.astype(np.float64)) for key, array in made.integers().items()}
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.0
    nodes = {node.name: node for node in made.nodes}
    with torch.no_grad():
        for part, cell in (("a", a), ("b", b)):
            for layer, weight in zip(
                network.cells[part].convolutions, weights_of(made, part, cell), strict=True
            ):
                layer[0].weight.copy_(weight)
        for source, layer in (("image", network.stem[0]), ("down", network.down.convolution[0])):
            [(name, k)] = [
                (name, k)
                for name, node in nodes.items() if isinstance(node, Population)
                for k, one in enumerate(node.synapses) if one.source == source and one.kind == "conv"
                and (source == "image" or one.kernel == (4, 4))
            ]  # fmt: skip
            if source == "image":
                layer.weight.copy_(arrays[f"{name}/synapse-{k}/weight"] / 64)
            else:
                stored = made.stored[made.held.index((name, k))].double() * 28
                layer.weight.copy_(2 * stored.round())
        network.head.first.weight.copy_(64 * arrays["classifier/synapse-0/weight"])
        network.head.second.weight.copy_(arrays["out/synapse-0/weight"])
        network.head.second.bias.zero_()
    return network


PAIRS = [
    ("111111", "100000"), ("120021", "211012"), ("000000", "111000"), ("222222", "012012"),
    ("110100", "000111"), ("320233", "233023"),
]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS)
def test_a_graph_computes_what_the_searched_network_does(
    pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = map(form, pair)
    made, given = drawn(a, b, timesteps=1), images(3)

    def averaged(current: torch.Tensor) -> torch.Tensor:
        sums = torch.nn.functional.avg_pool2d(current, 3, 1, 1, divisor_override=1)
        return (7 * sums / 64).floor()

    monkeypatch.setattr(cells, "_averaged", averaged)
    spikes: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        found = made(given)
        wanted = float_network(made, a, b)(given.double(), lambda name, fired: spikes.update({name: fired}))
    assert torch.equal(found.counts.double(), wanted)
    rates = dict(zip(made.names, [float(one.mean()) for one in found.fired], strict=True))
    assert {name: float(spikes[name].mean()) for name in rates} == pytest.approx(rates)
    assert all(0 < rate < 1 for name, rate in rates.items() if name != "classifier"), rates
    assert found.counts.unique().numel() > 1


def test_the_average_behind_down_is_in_its_kernel() -> None:
    made = drawn(form("111111"), form("111111"))
    [(key, side)] = made.averages.items()
    stored = np.round(made.stored[made.held.index(key)].detach().numpy() * 28)
    wanted = np.zeros((4, 2, 4, 4))
    for i in range(side):
        for j in range(side):
            wanted[:, :, i : i + 3, j : j + 3] += stored / side
    assert np.array_equal(made.integers()[f"{key[0]}/synapse-{key[1]}/weight"], wanted)


def test_weights_of_fewer_bits() -> None:
    network = graph_of(Macro(**AROUND), form("111111"), form("100000"), "net")
    sample = images(2)
    most = {}
    for bits in (2, 4, 8):
        made = SpikingGraph.drawn(network, sample, 0, bits=bits)
        arrays = [array for key, array in made.integers().items() if key.endswith("weight")]
        most[bits] = max(int(np.abs(array).max()) for array in arrays)
    assert most[2] == 1 and 5 <= most[4] <= 7 and 64 < most[8] <= 127
    with pytest.raises(sx.ConfigError, match="bits: must be 2 to 8, not 9"):
        SpikingGraph(network, bits=9)


def test_an_average_that_is_not_trained_with_has_no_say() -> None:
    network = graph_of(Macro(**AROUND), form("111111"), form("100000"), "net")
    made = SpikingGraph.drawn(network, images(2), 0)
    trained = TrainedGraph("net", "net", 5, tuple(made.nodes), made.integers())
    again = SpikingGraph.of(trained.described(), trained.arrays)
    assert not again.averages and wiring_of(trained.described()).weight_shape("b1.conv", 0)
    made.eval()
    assert {key: array.tobytes() for key, array in again.integers().items()} == {
        key: array.tobytes() for key, array in made.integers().items()
    }


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (26, 3, 32, 32)).astype(np.uint8)
    labels = np.arange(26) % 10
    pixels[labels % 2 == 1, :, :16] //= 3
    np.savez("rgb.npz", train_images=pixels[:22], train_labels=labels[:22], test_images=pixels[22:],
             test_labels=labels[22:])  # fmt: skip


@pytest.mark.parametrize(
    ("pair", "machines"),
    [
        (("111111", "111111"), ("spikex", "sata", "systolic-os", "spikesim")),
        (("120021", "211012"), ("spikex", "ptb")),
    ],
)
def test_predictions_on_machines_are_those_of_training(
    here: None, capsys: pytest.CaptureFixture[str], pair: tuple[str, str], machines: tuple[str, ...]
) -> None:
    winner_file(Path("win"), *pair)
    line = "train --network win --data rgb.npz --epochs 2 --batch 6 --rate 0.05 --out o/mine.npz"
    shown = succeed(capsys, *shlex.split(line))
    trained = load_trained_graph("o/mine.npz")
    assert (trained.name, trained.timesteps) == ("mine", 2)
    card = trained.card
    assert card["command"] == (
        "spikex-sim train --out mine.npz --network win --data rgb.npz --epochs 2 --batch 6 --rate 0.05"
    )
    assert (card["searched"]["cell_a"], card["searched"]["cell_b"], card["bits"]) == (*pair, 8)
    with np.load("rgb.npz") as data:
        values = data["test_images"].astype(np.int32) - 128
        labels = data["test_labels"]
    with torch.no_grad():
        activity = SpikingGraph.of(trained.described(), trained.arrays)(torch.from_numpy(values).float())
    right = int((activity.counts.argmax(1).numpy() == labels).sum())
    assert right / 4 == card["test"]["accuracy"] and f"correct: {right} of 4" in shown.out
    trace = trained.trace(values[:1])
    for arch in machines:
        tws = {"tws": 1} if arch in ("spikex", "ptb") else {}
        outputs = np.asarray(sx.simulate(trace, arch, **tws).outputs).reshape(1, 10, -1).sum(2)
        assert np.array_equal(outputs, activity.counts[:1].numpy()), arch
