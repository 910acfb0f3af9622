"""Neurons through time against a plain reading of the model, and their surrogate gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from spikex_sim.spec.workload import Neuron  # noqa: E402
from spikex_sim.training.lif import Surrogate, lif  # noqa: E402


def plain(currents: list[int], threshold: int, shift: int) -> tuple[list[int], list[int]]:
    """Section 1 of the model, in Python's integers: spikes and potentials before the reset."""
    u, spikes, potentials = 0, [], []
    for current in currents:
        v = min(max(u - (u >> shift) + current, -(1 << 15)), (1 << 15) - 1)
        spikes.append(int(v > threshold))
        potentials.append(v)
        u = 0 if v > threshold else v
    return spikes, potentials


def plain_gradient(
    grads: list[float], potentials: list[int], threshold: int, shift: int, sharpness: float, reach: int
) -> list[float]:
    """Every path from a spike back to a current, one by one."""
    found = []
    unit = max(threshold, 1)
    for t in range(len(grads)):
        total, chain = 0.0, 1.0
        for later in range(t, min(t + reach, len(grads) - 1) + 1):
            v = potentials[later]
            if not -(1 << 15) < v < (1 << 15) - 1:
                break
            away = math.pi / 2 * sharpness * (v - threshold) / unit
            total += chain * grads[later] * sharpness / 2 / unit / (1 + away * away)
            if v > threshold:
                break
            chain *= 1 - 2.0**-shift
        found.append(total)
    return found


@pytest.mark.parametrize("compiled", [True, False])
@given(
    currents=st.lists(
        st.lists(st.integers(-40_000, 40_000) | st.integers(-60, 80), min_size=3, max_size=3),
        min_size=1,
        max_size=20,
    ),
    threshold=st.integers(0, 200) | st.integers(0, 40_000),
    shift=st.integers(0, 15),
    sharpness=st.floats(0.5, 4),
    cutoff=st.none() | st.integers(1, 25),
    seed=st.integers(0, 9),
)
def test_spikes_and_gradients(
    compiled: bool, currents: list[list[int]], threshold: int, shift: int, sharpness: float,
    cutoff: int | None, seed: int,
) -> None:  # fmt: skip
    given_ = torch.tensor(currents, dtype=torch.float32, requires_grad=True)
    neuron = Neuron(threshold=threshold, leak_shift=shift)
    spikes = lif(given_, neuron, Surrogate(sharpness, cutoff), compiled=compiled)
    grads = np.random.default_rng(seed).normal(size=(len(currents), 3)).astype(np.float32)
    spikes.backward(torch.from_numpy(grads))
    assert given_.grad is not None
    for column in range(3):
        fired, potentials = plain([row[column] for row in currents], threshold, shift)
        assert spikes[:, column].tolist() == fired
        reach = len(currents) if cutoff is None else cutoff
        expected = plain_gradient(grads[:, column].tolist(), potentials, threshold, shift, sharpness, reach)
        np.testing.assert_allclose(given_.grad[:, column].numpy(), expected, rtol=2e-4, atol=1e-6)


def test_many_neurons_go_through_in_blocks() -> None:
    currents = torch.from_numpy(np.random.default_rng(0).integers(-50, 70, (7, 9001)).astype(np.float32))
    neuron = Neuron(threshold=90, leak_shift=3)
    fast, slow = (lif(currents, neuron, Surrogate(), compiled=how) for how in (True, False))
    assert torch.equal(fast, slow) and 0 < fast.mean() < 1
