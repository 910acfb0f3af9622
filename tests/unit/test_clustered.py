"""Clustered random spikes: exact densities, and the correlations that were asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spikex_sim as sx
from spikex_sim.sources.clustered import (
    INDEPENDENT,
    Clustering,
    random_field,
    spikes_of_density,
    window_pairs,
)

SHAPE, T = (3, 12, 10), 40


def active_share(spikes: np.ndarray, tws: int) -> float:
    """Share of windows with a spike, window by window."""
    windows = [spikes[..., start : start + tws].any(axis=-1) for start in range(0, spikes.shape[-1], tws)]
    return float(np.mean(windows))


@given(
    tws=st.integers(1, 50),
    density=st.floats(0, 1),
    seed=st.integers(0, 1000),
    burst=st.floats(0, 1),
)
def test_any_density_is_met_to_one_window(tws: int, density: float, seed: int, burst: float) -> None:
    field = random_field((4, 3, 5), 23, Clustering(burst=burst), seed)
    spikes = spikes_of_density(field, tws, density)
    pairs = window_pairs((4, 3, 5), 23, tws)
    assert pairs == 60 * -(-23 // tws)
    assert active_share(spikes, tws) == pytest.approx(round(density * pairs) / pairs)


def test_spikes_of_one_field_are_nested() -> None:
    field = random_field(SHAPE, T, INDEPENDENT, 0)
    few, many = spikes_of_density(field, 4, 0.1), spikes_of_density(field, 4, 0.3)
    assert few.sum() < many.sum() and not np.any(few & ~many)


@pytest.mark.parametrize(
    "clustering",
    [
        INDEPENDENT,
        Clustering(neuron=1),
        Clustering(moving=0.6, place=0.4),
        Clustering(burst=0.5, channel=0.5),
    ],
)
def test_fields_have_mean_0_and_variance_1(clustering: Clustering) -> None:
    fields = np.stack([random_field((16, 24, 24), 30, clustering, seed) for seed in range(20)])
    assert abs(fields.mean()) < 0.1
    assert fields.var() == pytest.approx(1, abs=0.15)
    assert np.array_equal(fields[3], random_field((16, 24, 24), 30, clustering, 3))


def test_each_share_is_a_correlation_of_its_kind() -> None:
    def correlation(clustering: Clustering, one: tuple[int, ...], other: tuple[int, ...]) -> float:
        pairs = np.array(
            [[field[one], field[other]]
             for field in (random_field(SHAPE, T, clustering, seed) for seed in range(400))]
        )  # fmt: skip
        return float(np.corrcoef(pairs.T)[0, 1])

    here = (0, 4, 4, 10)
    later, beside, above = (0, 4, 4, 30), (0, 4, 5, 10), (1, 4, 4, 10)
    assert correlation(Clustering(neuron=0.7), here, later) == pytest.approx(0.7, abs=0.12)
    assert correlation(Clustering(neuron=0.7), here, beside) == pytest.approx(0, abs=0.15)
    assert correlation(Clustering(channel=0.7), here, beside) == pytest.approx(0.7, abs=0.12)
    assert correlation(Clustering(channel=0.7), here, above) == pytest.approx(0, abs=0.15)
    place = Clustering(place=0.8, radius_px=2)
    # Two Gaussians of width 2, one pixel apart, overlap by exp(-1 / 16).
    assert correlation(place, here, beside) == pytest.approx(0.8 * np.exp(-1 / 16), abs=0.12)
    assert correlation(place, here, (2, 4, 4, 30)) == pytest.approx(0.8, abs=0.12)
    moving = Clustering(moving=0.8, length_steps=2)
    assert correlation(moving, here, later) == pytest.approx(0, abs=0.15)
    assert correlation(moving, here, (1, 4, 4, 11)) == pytest.approx(0.8 * np.exp(-1 / 16), abs=0.12)
    assert correlation(Clustering(burst=0.8), here, (0, 4, 4, 11)) == pytest.approx(
        0.8 * np.exp(-1 / 16), abs=0.12
    )


def test_linear_layers_have_neither_channels_nor_neighbours() -> None:
    field = random_field((500,), 20, Clustering(neuron=0.5, channel=0.2, place=0.2), 0)
    assert field.shape == (500, 20)
    shares = np.corrcoef(field)
    assert abs(float(shares[np.triu_indices(500, 1)].mean())) < 0.05
    assert float(np.corrcoef(field[:, 0], field[:, -1])[0, 1]) == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize(
    "wrong", [{"neuron": -0.1}, {"neuron": 0.6, "burst": 0.6}, {"radius_px": 0.0}, {"length_steps": -1.0}]
)
def test_shares_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(sx.ConfigError):
        Clustering(**wrong)
    with pytest.raises(sx.ConfigError, match="density"):
        spikes_of_density(np.zeros((2, 3), np.float32), 1, 1.5)
