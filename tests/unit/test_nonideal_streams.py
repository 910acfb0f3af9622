"""Random numbers by index, against NumPy's generator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from spikex_sim.schedules.crossbar.nonideal.streams import (
    CALIBRATION,
    READ,
    STUCK,
    WRITE,
    fill_normals,
    fill_uniforms,
    of_rows,
    streams,
)

pytestmark = pytest.mark.kernels


def words(seed: int, stream: int, count: int) -> NDArray[np.uint64]:
    """First words of a key."""
    key = np.array([seed, stream], np.uint64)
    found: NDArray[np.uint64] = np.random.Philox(counter=0, key=key).random_raw(count)
    return found


def normals(seed: int, stream: int, count: int) -> NDArray[np.float64]:
    """First deviates of a key, by the formula."""
    found = words(seed, stream, 2 * count) >> np.uint64(11)
    u1, u2 = (found[::2] + 1.0) * 2.0**-53, found[1::2] * 2.0**-53
    return np.asarray(np.sqrt(-2 * np.log(u1)) * np.cos(2 * np.pi * u2))


@given(st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 64) - 1), st.integers(0, 30), st.integers(0, 30))
def test_numbers_are_reached_by_index(seed: int, stream: int, first: int, count: int) -> None:
    into = np.empty(count)
    with np.errstate(over="ignore"):
        fill_uniforms(np.uint64(seed), np.uint64(stream), first, into)
        uniform = (words(seed, stream, first + count) >> np.uint64(11)) * 2.0**-53
        assert np.array_equal(into, uniform[first:])
        fill_normals(
            np.uint64(seed), np.uint64(stream), first, into, np.empty(count + 2), np.empty(count + 2)
        )
    assert np.allclose(into, normals(seed, stream, first + count)[first:], rtol=0, atol=1e-14)


def test_keys_hold_purpose_layer_sample_and_time() -> None:
    assert [READ, WRITE, STUCK, CALIBRATION] == [0, 1, 2, 3]
    found = streams(CALIBRATION, 7, (1 << 24) - 1, 3)
    assert found.tolist() == [(3 << 60) + (7 << 44) + (((1 << 24) - 1) << 20) + t for t in range(3)]


def test_rows_of_cells() -> None:
    rows = np.array([3, 0])
    found = of_rows(WRITE, 5, 2, rows, 7)
    whole = normals(5, (1 << 60) + (2 << 44), 28).reshape(4, 7)
    assert np.allclose(found, whole[rows], rtol=0, atol=1e-14)
    found = of_rows(STUCK, 5, 2, rows, 7)
    whole = (words(5, (2 << 60) + (2 << 44), 28) >> np.uint64(11)).reshape(4, 7) * 2.0**-53
    assert np.array_equal(found, whole[rows])


def test_deviates_are_normal() -> None:
    [found] = of_rows(WRITE, 0, 0, np.array([0]), 4000)
    assert abs(found.mean()) < 4 / 4000**0.5
    assert abs(found.std() - 1) < 4 / 8000**0.5
    assert abs((np.abs(found) > 2).mean() - 0.0455) < 0.014
