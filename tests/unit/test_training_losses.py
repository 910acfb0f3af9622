"""Hardware loss and architecture search against sums written out, and numerical derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from spikex_sim.core.errors import ConfigError  # noqa: E402
from spikex_sim.training.losses import (  # noqa: E402
    EdpCurve,
    HardwareLoss,
    classification_loss,
    silence_loss,
)
from spikex_sim.training.module import Activity  # noqa: E402
from spikex_sim.training.search import ArchitectureSearch, Axis, costs_of_models  # noqa: E402
from spikex_sim.training.windows import window_densities  # noqa: E402


@dataclass(frozen=True)
class Cost:
    densities: tuple[float, ...]
    edp_js_per_window: tuple[float, ...]
    windows: int


@dataclass(frozen=True)
class Model:
    """Costs by layer and window size."""

    costs: Mapping[tuple[str, int], Cost]

    def layer(self, name: str, tws: int) -> Cost:
        return self.costs[name, tws]


def activity(*entering: Any, output: Any = None) -> Activity:
    tensors = tuple(torch.as_tensor(spikes, dtype=torch.float32) for spikes in entering)
    out = torch.zeros(len(tensors[0]), 1, 2) if output is None else torch.as_tensor(output)
    return Activity(tensors, tensors, out)


def naive_density(spikes: np.ndarray[Any, Any], size: int) -> float:
    T, neurons = spikes.shape
    active = sum(
        spikes[start : start + size, neuron].any() for neuron in range(neurons) for start in range(0, T, size)
    )
    return float(active) / (neurons * -(-T // size))


@given(
    T=st.integers(1, 17),
    neurons=st.sampled_from([1, 3, 2049]),
    rate=st.floats(0, 1),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_window_densities(T: int, neurons: int, rate: float, sizes: list[int], seed: int) -> None:
    sizes = [min(size, T) for size in sizes]
    spikes = np.random.default_rng(seed).random((T, neurons)) < rate
    given_ = torch.from_numpy(spikes.astype(np.float32)).requires_grad_()
    found = window_densities(given_, sizes)
    if neurons < 10:
        assert found.tolist() == pytest.approx([naive_density(spikes, size) for size in sizes])
    weights = np.arange(1, len(sizes) + 1, dtype=np.float32)
    (found * torch.from_numpy(weights)).sum().backward()
    assert given_.grad is not None
    grads = given_.grad.numpy()
    assert not grads[~spikes].any()
    # Each active window hands out its share of the derivative, whatever spikes it holds.
    assert grads.sum() == pytest.approx(float((found.detach().numpy() * weights).sum()), rel=1e-4)
    if len(sizes) == 1 and neurons < 10:
        size = sizes[0]
        for neuron in range(neurons):
            for start in range(0, T, size):
                window = spikes[start : start + size, neuron]
                each = 1 / (neurons * -(-T // size)) / max(1, window.sum())
                np.testing.assert_allclose(grads[start : start + size, neuron], window * each, rtol=1e-5)


@given(
    knots=st.lists(st.floats(0.001, 1), min_size=1, max_size=6, unique=True).map(sorted),
    density=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_curve_is_density_times_windows_times_the_interpolated_value(
    knots: list[float], density: float, seed: int
) -> None:
    values = np.random.default_rng(seed).uniform(0.5, 2, len(knots))
    curve = EdpCurve.of(Cost(tuple(knots), tuple(values), 7), "here")
    given_ = torch.tensor(density, dtype=torch.float64, requires_grad=True)
    found = curve.at(given_)
    assert float(found.detach()) == pytest.approx(density * 7 * np.interp(density, knots, values))
    found.backward()
    step = 1e-7
    near = [abs(density - knot) for knot in [*knots, 0, 1]]
    if min(near) > 2 * step:
        ahead, behind = (
            (density + side) * 7 * np.interp(density + side, knots, values) for side in (step, -step)
        )
        assert given_.grad is not None
        slope = (ahead - behind) / (2 * step)
        assert float(given_.grad) == pytest.approx(slope, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("cost", [Cost((), (), 1), Cost((0.1, 0.1), (1, 1), 1), Cost((0.1, 0.2), (1,), 1)])
def test_what_is_no_function_is_refused(cost: Cost) -> None:
    with pytest.raises(ConfigError, match="fc: densities: must ascend"):
        EdpCurve.of(cost, "fc")


def test_hardware_loss_takes_each_layer_at_its_window_size() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((12, 5)) < 0.1, rng.random((12, 8)) < 0.4
    model = Model({("a", 3): Cost((0.5,), (2.0,), 20), ("b", 4): Cost((0.1, 0.9), (1.0, 3.0), 24)})
    found = HardwareLoss.of(model, ["a", "b"], [3, 4]).edp_js(activity(a, b))
    da, db = naive_density(a, 3), naive_density(b, 4)
    expected = [da * 20 * 2.0, db * 24 * np.interp(db, (0.1, 0.9), (1.0, 3.0))]
    assert found.tolist() == pytest.approx(expected)


def test_silence_loss_asks_silent_channels_alone() -> None:
    spikes = np.zeros((10, 2 * 3), np.float32)  # two places of three channels
    spikes[:, [0, 3]] = 1
    spikes[0, 1] = 1  # 1 in 20: above the rate asked for
    assert float(silence_loss(activity(spikes), [3])) == pytest.approx(1 / 3)
    assert float(silence_loss(activity(spikes[:, [0, 3]]), [1])) == 0


@pytest.mark.parametrize("unit", [1.0, 250.0])
def test_classification_loss_is_cross_entropy_of_rates(unit: float) -> None:
    counts, T = np.array([[3.0, 9.0], [2.0, 2.0]]), 20
    logits = counts * 10 / T
    picked = logits[[0, 1], [1, 0]] - np.log(np.exp(logits).sum(1))
    output = torch.zeros((T, 2, 2), dtype=torch.float64)
    output[3] = torch.from_numpy(unit * counts)
    found = classification_loss(Activity((), (), output, unit), torch.tensor([1, 0]))
    assert float(found) == pytest.approx(-picked.mean())


def _search(scale: float = 1.0) -> tuple[ArchitectureSearch, Activity, dict[tuple[Any, ...], Model]]:
    """Two layers, three window sizes, two buffer splits; layer a is cheapest at 2, b at 5, with split y."""
    rng = np.random.default_rng(1)
    spikes = activity(rng.random((20, 6)) < 0.2, rng.random((20, 9)) < 0.3)
    best = {"a": 2, "b": 5}
    models = {}
    for split, factor in (("x", 3.0), ("y", 1.0)):
        costs = {}
        for name in "ab":
            for tws in (1, 2, 5):
                value = factor * (1.0 if best[name] == tws else 8.0) * scale
                costs[name, tws] = Cost((0.01, 0.99), (value, value / 2), 100 // tws)
        models[split,] = Model(costs)
    axes = [Axis("tws", (1, 2, 5)), Axis("memory.glb.partition", ("x", "y"), shared=True)]
    return ArchitectureSearch(["a", "b"], axes, costs_of_models(models, axes)), spikes, models


def test_hypernet_is_the_sum_over_all_architectures_by_probability() -> None:
    search, spikes, models = _search()
    rng = np.random.default_rng(2)
    with torch.no_grad():
        for alpha in search.parameters:
            alpha.copy_(torch.from_numpy(rng.normal(size=tuple(alpha.shape)).astype(np.float32)))
    sizes, splits = (1, 2, 5), ("x", "y")
    tws, shared = (alpha.detach().numpy().astype(float) for alpha in search.parameters)
    assert tws.shape == (2, 3) and shared.shape == (1, 2)
    split_chance = np.exp(shared[0]) / np.exp(shared[0]).sum()
    for number, name in enumerate("ab"):
        chance = np.exp(tws[number]) / np.exp(tws[number]).sum()
        expected = 0.0
        for i, size in enumerate(sizes):
            density = naive_density(spikes.entering[number].numpy() > 0, size)
            for j, split in enumerate(splits):
                cost = models[split,].layer(name, size)
                value = np.interp(density, cost.densities, cost.edp_js_per_window)
                expected += chance[i] * split_chance[j] * density * cost.windows * value
        assert float(search.edp_js(spikes)[number].detach()) == pytest.approx(expected, rel=1e-5)


def test_search_finds_the_cheapest_of_every_layer_and_the_shared_one() -> None:
    search, spikes, _ = _search()
    optimizer = torch.optim.Adam(search.parameters, 0.1)
    for _ in range(60):
        optimizer.zero_grad()
        search.edp_js(spikes).sum().backward()
        optimizer.step()
    wanted = {"a": 2, "b": 5}
    assert search.chosen() == [{"tws": wanted[name], "memory.glb.partition": "y"} for name in "ab"]


def test_of_equal_options_the_first_is_chosen() -> None:
    search, _, _ = _search()
    assert search.chosen() == [{"tws": 1, "memory.glb.partition": "x"}] * 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Axis("tws", ()), "axis tws: options"),
        (lambda: Axis("tws", (1, 1)), "none of them twice"),
        (lambda: ArchitectureSearch(["a"], [Axis("bits", (4, 8))], lambda *_: None), "one axis 'tws'"),
        (lambda: costs_of_models({(4,): Model({})}, [Axis("tws", (1,)), Axis("bits", (4, 8))]),
         "has no model for bits=8"),
    ],
)  # fmt: skip
def test_searches_that_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
