"""Networks of two cells in PyTorch against plain NumPy, and their neurons' gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import naive_nas as naive

torch = pytest.importorskip("torch")

from naive_fitness import Network  # noqa: E402
from spikex_sim.core.errors import ConfigError  # noqa: E402
from spikex_sim.explore.nas.cells import SPACES, Cell, Operation  # noqa: E402
from spikex_sim.explore.nas.forms import Form, canonical, distinct  # noqa: E402
from spikex_sim.explore.nas.macro import DATASETS, Dataset, Macro  # noqa: E402
from spikex_sim.explore.nas.weights import drawn, quantised  # noqa: E402
from spikex_sim.training.cells import CellNetwork, EdgeCell, FormCell, Weights  # noqa: E402
from spikex_sim.training.neurons import Neurons  # noqa: E402

torch.set_num_threads(1)
NEURONAS, SNASNET = SPACES["neuronas"], SPACES["snasnet"]
SMALL = Macro(channels=2, timesteps=3, width=6)


def form_of(text: str) -> Form:
    return canonical(NEURONAS.parse(text)).form


def plain(form: Form) -> Any:
    return tuple((one.kernel, one.reads) for one in form.convolutions), form.output


def sampled(number: int) -> list[Cell]:
    rng = np.random.default_rng(3)
    every = [*SNASNET.operations, Operation.CONV5]
    cells = [Cell(tuple(every[k] for k in rng.integers(len(every), size=6))) for _ in range(number)]
    return [cell for cell in cells if not cell.is_empty]


def backward(number: int) -> list[Cell]:
    rng, zero, found = np.random.default_rng(8), Operation.ZERO, list[Cell]()
    while len(found) < number:
        ops = [SNASNET.operations[k] for k in rng.choice(5, size=6, p=[0.3, 0.15, 0.1, 0.35, 0.1])]
        back = rng.random(6) < 0.4
        cell = Cell(
            tuple(zero if one else op for op, one in zip(ops, back, strict=True)),
            tuple(op if one else zero for op, one in zip(ops, back, strict=True)),
        )
        if not cell.is_empty and not cell.is_forward:
            found.append(cell)
    return found


def weights_of(network: CellNetwork) -> dict[str, np.ndarray]:
    layers = {"stem": network.stem[0], "down": network.down.convolution[0]}
    layers |= {"linear1": network.head.first, "linear2": network.head.second}
    for part in ("a", "b"):
        for number, one in enumerate(network.cells[part].convolutions, 1):
            layers[f"{part}{number}"] = one[0]
    return {name: layer.weight.detach().double().numpy() for name, layer in layers.items()}


class TestCells:
    """A sample of one image, whose batch norms are of its own maps."""

    def run(self, module: Any, x: np.ndarray) -> np.ndarray:
        module, neurons = module.double(), Neurons(naive.TAU, naive.THRESHOLD)
        inputs = [module.inputs(torch.from_numpy(one[None])) for one in x]
        return np.concatenate([module(one, neurons).detach().numpy() for one in inputs])

    def test_forms_give_what_their_cells_do_edge_by_edge(self) -> None:
        x, fired = np.random.default_rng(1).normal(0.8, 1.0, (3, 2, 6, 6)), 0
        for cell in [*sampled(100), *list(NEURONAS.cells())[::23]]:
            found = canonical(cell)
            module = FormCell(SMALL, "a", found.form, Weights())
            got = self.run(module, x)
            weights = {
                f"{i}{j}": np.zeros((2, 2, op.kernel, op.kernel)) for i, j, op in cell.edges if op.kernel
            }
            for edge, one in zip(found.edges, module.convolutions, strict=True):
                weights[naive.PAIRS[edge]] = one[0].weight.detach().numpy()
            wanted, there = naive.cell_output([str(op) for op in cell.forward], x, weights)
            assert np.abs(got - wanted).max() < 1e-12 * max(1.0, np.abs(wanted).max()), cell
            fired += sum(0 < one.rates[0] < 1 for one in there)
        assert fired > 200

    def test_backward_edges_are_used_at_the_next_time_point(self) -> None:
        x, moved = np.random.default_rng(2).normal(0.8, 1.0, (4, 2, 6, 6)), 0
        for cell in backward(40):
            module = EdgeCell(SMALL, "b", cell, Weights())
            module.convolutions = torch.nn.ModuleList(EdgeCell(SMALL, "a", cell, Weights()).convolutions)
            got = self.run(module, x)
            weights = {
                f"{i}{j}": np.zeros((2, 2, op.kernel, op.kernel)) for i, j, op in cell.edges if op.kernel
            }
            live = [(i, j) for i, j, op in cell.live_edges if op.kernel]
            for (i, j), one in zip(live, module.convolutions, strict=True):
                weights[f"{i}{j}"] = one[0].weight.detach().numpy()
            ahead, back = ([str(op) for op in ops] for ops in (cell.forward, cell.backward))
            wanted, _ = naive.cell_output(ahead, x, weights, back)
            assert np.abs(got - wanted).max() < 1e-12 * max(1.0, np.abs(wanted).max()), cell
            without, _ = naive.cell_output(ahead, x, weights, ["zero"] * 6)
            moved += bool(np.abs(wanted - without).max() > 1e-6)
        assert moved > 10

    def test_cells_of_one_form_are_the_same_network(self) -> None:
        images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        several = [cells for cells in distinct(NEURONAS).values() if len(cells) > 1][::40]
        for first, *others in several:
            outputs = [CellNetwork(SMALL, cell, cell)(images) for cell in (first, others[-1])]
            assert torch.equal(*outputs)
        assert len(several) == 3

    def test_a_cell_that_gives_nothing_is_refused(self) -> None:
        empty = SNASNET.parse("100000")
        with pytest.raises(ConfigError, match="cell B: nothing reaches its output"):
            CellNetwork(SMALL, form_of("000000"), empty)
        looped = SNASNET.parse("0100 0000 3000 0000")
        with pytest.raises(ConfigError, match="cell A: nothing reaches its output"):
            CellNetwork(SMALL, looped, form_of("000000"))


class TestNetwork:
    @pytest.mark.parametrize(("a", "b", "pool"), [("112012", "102111", 2), ("222222", "000000", 4)])
    def test_outputs_and_spikes_are_those_of_plain_numpy(self, a: str, b: str, pool: int) -> None:
        macro = Macro(channels=2, timesteps=3, width=6, threshold=0.2, pool=pool)
        network = CellNetwork(macro, form_of(a), form_of(b), Weights(4)).double()
        network.head.dropout.eval()
        with torch.no_grad():
            network.head.first.weight *= 30  # or the classifier's neurons would be silent
        images = np.random.default_rng(3).normal(size=(4, 3, 32, 32))
        seen: dict[str, list[np.ndarray]] = {}
        with torch.no_grad():
            got = network(
                torch.from_numpy(images),
                lambda name, one: seen.setdefault(name, []).append(one.numpy()),
            )
        wanted = Network(plain(form_of(a)), plain(form_of(b)), weights_of(network), 0.2, pool)
        votes = wanted.run(images, 3).reshape(4, 10, 10).mean(2)
        np.testing.assert_allclose(got.numpy(), votes, rtol=0, atol=1e-12)
        assert seen.keys() == wanted.spikes.keys() and len(seen) == 3 + sum(c == "1" for c in a + b)
        for name, spikes in wanted.spikes.items():
            np.testing.assert_array_equal(np.array(seen[name]), np.array(spikes))
            assert 0 < np.mean(spikes) < 1, name

    def test_larger_images_enter_with_stride_two_and_votes_are_of_neighbours(self) -> None:
        macro = Macro(DATASETS["tinyimagenet"], channels=2, timesteps=1, width=4)
        network = CellNetwork(macro, form_of("000000"), form_of("000000"))
        assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 200)
        assert network.stem[0].stride == (2, 2)
        tiny = Macro(Dataset("two", 32, 2, 3, 4), channels=2, timesteps=2)
        network = CellNetwork(tiny, form_of("000000"), form_of("000000"))
        with torch.no_grad():
            network.head.second.bias += torch.arange(6.0)
        assert network(torch.zeros(2, 3, 32, 32)).tolist() == [[1.0, 4.0]] * 2

    def test_running_statistics_are_of_all_time_points(self) -> None:
        network = CellNetwork(SMALL, form_of("100000"), form_of("000000"))
        images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        network(images)
        norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
        assert sorted(int(one.num_batches_tracked) for one in norms) == [1, 3, 3, 3, 3]
        network.eval()
        assert torch.equal(network(images)[:2], network(images[:2]))

    def test_weights_are_those_of_seed_form_and_place(self) -> None:
        a, b = form_of("110000"), form_of("111111")
        network = CellNetwork(SMALL, a, b, Weights(5, bits=4))
        for name, form, shape in (
            ("stem", "", (2, 3, 3, 3)), ("a2", a.text, (2, 2, 3, 3)), ("down", "", (4, 2, 3, 3)),
            ("b6", b.text, (4, 4, 3, 3)), ("linear1", "", (6, 256)), ("linear2", "", (100, 6)),
        ):  # fmt: skip
            wanted = quantised(drawn(shape, 5, form, name), 4)
            np.testing.assert_array_equal(weights_of(network)[name], wanted)
        assert not network.head.second.bias.any()
        before = {name: one.clone() for name, one in network.state_dict().items() if "cells.b" not in name}
        network.place("b", a)
        assert all(torch.equal(network.state_dict()[name], one) for name, one in before.items())
        other = CellNetwork(SMALL, b, a, Weights(5, bits=4))
        wanted = weights_of(other)["b1"]
        np.testing.assert_array_equal(weights_of(network)["b1"], wanted)

    def test_a_cell_is_placed_as_the_rest_of_the_network_is(self) -> None:
        network = CellNetwork(SMALL, form_of("100000"), form_of("000000")).double().eval()
        network.place("a", SNASNET.parse("0302 0030 3003 0000"))
        first = network.cells["a"].convolutions[0]
        assert first[0].weight.dtype is torch.float64 and not first.training
        assert network(torch.zeros(2, 3, 32, 32, dtype=torch.float64)).shape == (2, 10)


class TestNeurons:
    @pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 1, 2, 2), (4, 7)])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_loops_are_pytorchs_operations(self, shape: tuple[int, ...], dtype: Any) -> None:
        generator = torch.Generator().manual_seed(1)
        currents = [torch.randn(shape, generator=generator, dtype=dtype) + 0.7 for _ in range(5)]
        ours, theirs = (Neurons(1.7, 0.8, compiled=compiled) for compiled in (True, False))
        fired = 0.0
        for current in currents:
            got, wanted = ours.fire("n", current), theirs.fire("n", current)
            assert torch.equal(got, wanted) and torch.equal(ours.waiting["n"], theirs.waiting["n"])
            fired += float(got.mean()) / 5
        assert 0.1 < fired < 0.9

    def test_a_spike_at_the_threshold_and_a_reset_to_zero(self) -> None:
        neurons = Neurons(2.0, 1.0)
        currents = [[2.0, 1.5], [1.9, 1.5], [1.2, 0.0]]
        spikes = [neurons.fire("n", torch.tensor([one])).tolist()[0] for one in currents]
        assert spikes == [[1, 0], [0, 1], [1, 0]]
        assert neurons.waiting["n"].tolist() == [[0, 0]]

    @pytest.mark.parametrize("compiled", [True, False])
    def test_gradient_takes_every_path_but_that_through_a_reset(self, compiled: bool) -> None:
        tau, threshold, sharpness = 1.5, 0.9, 3.0
        values = [0.4, 1.9, 0.3, 0.8, 2.0, 0.1]
        grads = [0.7, -1.0, 0.2, 1.3, -0.4, 0.9]
        currents = [torch.tensor([[one]], dtype=torch.float64, requires_grad=True) for one in values]
        neurons = Neurons(tau, threshold, sharpness, compiled=compiled)
        spikes = [neurons.fire("n", current) for current in currents]
        (torch.cat(spikes, 1) * torch.tensor([grads], dtype=torch.float64)).sum().backward()
        v, reached = 0.0, []
        for one in values:
            reached.append(v + (one - v) / tau)
            v = 0.0 if reached[-1] >= threshold else reached[-1]
        for t, current in enumerate(currents):
            total, chain = 0.0, 1 / tau
            for later in range(t, len(values)):
                away = math.pi / 2 * sharpness * (reached[later] / threshold - 1)
                total += chain * grads[later] * sharpness / 2 / threshold / (1 + away * away)
                chain *= 0 if reached[later] >= threshold else 1 - 1 / tau
            assert current.grad.item() == pytest.approx(total, abs=1e-12)
        assert [int(one) for one in spikes] == [0, 1, 0, 0, 1, 0]

    def test_weights_learn(self) -> None:
        network = CellNetwork(SMALL, form_of("112000"), SNASNET.parse("0302 0030 3003 0000"))
        images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        network(images)[:, 3].sum().backward()
        for name, one in network.named_parameters():
            assert one.grad is not None and torch.isfinite(one.grad).all(), name
        assert network.stem[0].weight.grad.abs().max() > 0
