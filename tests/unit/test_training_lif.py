"""Neurons through time against a plain reading of the model, and their surrogate gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from spikex_sim.training.lif import Surrogate, lif  # noqa: E402


def plain(
    currents: list[int], threshold: int, shift: int | None, subtract: bool
) -> tuple[list[int], list[int]]:
    """Section 1 of the model, in Python's integers: spikes and potentials before the reset."""
    u, spikes, potentials = 0, [], []
    for current in currents:
        lost = 0 if shift is None else u >> shift
        v = min(max(u - lost + current, -(1 << 15)), (1 << 15) - 1)
        spikes.append(int(v > threshold))
        potentials.append(v)
        u = v if v <= threshold else v - threshold if subtract else 0
    return spikes, potentials


def plain_gradient(
    grads: list[float],
    potentials: list[int],
    threshold: int,
    leak: float,
    sharpness: float,
    reach: int,
    subtract: bool,
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
            if v > threshold and not subtract:
                break
            chain *= 1 - leak
        found.append(total)
    return found


@pytest.mark.parametrize("compiled", [True, False])
@given(
    currents=st.lists(
        st.lists(st.integers(-40_000, 40_000) | st.integers(-60, 80), min_size=3, max_size=3),
        min_size=1,
        max_size=20,
    ),
    thresholds=st.lists(st.integers(0, 200) | st.integers(0, 40_000), min_size=3, max_size=3),
    shift=st.none() | st.integers(0, 15),
    subtract=st.booleans(),
    sharpness=st.floats(0.5, 4),
    cutoff=st.none() | st.integers(1, 25),
    seed=st.integers(0, 9),
)
def test_spikes_and_gradients(
    compiled: bool, currents: list[list[int]], thresholds: list[int], shift: int | None, subtract: bool,
    sharpness: float, cutoff: int | None, seed: int,
) -> None:  # fmt: skip
    given_ = torch.tensor(currents, dtype=torch.float32, requires_grad=True)
    leak = 0.0 if shift is None else 2.0**-shift
    how = Surrogate(sharpness, cutoff)
    spikes = lif(given_, torch.tensor(thresholds), leak, how, subtract=subtract, compiled=compiled)
    grads = np.random.default_rng(seed).normal(size=(len(currents), 3)).astype(np.float32)
    spikes.backward(torch.from_numpy(grads))
    assert given_.grad is not None
    for column, threshold in enumerate(thresholds):
        fired, potentials = plain([row[column] for row in currents], threshold, shift, subtract)
        assert spikes[:, column].tolist() == fired
        reach = len(currents) if cutoff is None else cutoff
        expected = plain_gradient(
            grads[:, column].tolist(), potentials, threshold, leak, sharpness, reach, subtract
        )
        np.testing.assert_allclose(given_.grad[:, column].numpy(), expected, rtol=2e-4, atol=1e-6)


def test_many_neurons_go_through_in_blocks() -> None:
    currents = torch.from_numpy(np.random.default_rng(0).integers(-50, 70, (7, 9001)).astype(np.float32))
    thresholds = torch.arange(9001.0) % 150
    fast, slow = (lif(currents, thresholds, 0.125, Surrogate(), compiled=how) for how in (True, False))
    assert torch.equal(fast, slow) and 0 < fast.mean() < 1
