"""What calibration finds: shifts of codes and adapted batch norms, by hand and by fractions."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nonideal import IDEAL, Small, drawn, options
from spikex_sim.schedules.crossbar.nonideal.adaptation import Affine, Moments
from spikex_sim.schedules.crossbar.nonideal.shift import needed_shifts, shift_of, smallest


def test_shifts_by_hand() -> None:
    # Codes 5 and 12 in one row: sums 5, 12 and 17 of 8 time points; 3 bits hold up to 7, 14, 28.
    spikes = np.array([[1, 1, 0, 0, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0, 0, 0]], bool).reshape(2, 1, 1, 8)
    small = Small(np.array([5, 12]).reshape(1, 2, 1, 1), spikes)
    for clip, expected in ((0.0, 2), (0.19, 2), (0.2, 1), (0.59, 1), (0.6, 0), (1.0, 0)):
        arch = options({"device": {"bits": 8}, "adc": {"bits": 3, "clip": clip}})
        programmed = small.program(arch)
        assert needed_shifts(programmed, small.geometry, small.packed, 8)[:4].tolist() == [2, 2, 1, 0]
        assert shift_of(programmed, small.geometry, [small.packed], 8) == expected
        assert shift_of(programmed, small.geometry, [small.packed], 8, once=[True]) == 0
        silent = np.zeros_like(small.packed)
        assert shift_of(programmed, small.geometry, [silent, small.packed, silent], 8) == expected
        assert shift_of(programmed, small.geometry, [silent], 8) == 0


@pytest.mark.kernels
@pytest.mark.parametrize("sharing", ["pe", "crossbar"])
def test_shifts_count_exact_sums_whatever_the_devices(sharing: str) -> None:
    small = drawn(8, rate=0.4)
    keys = {"crossbar": 16, "crossbars_per_pe": 4, "mapping": "packed", "complement": True,
            "adc": {"bits": 5, "sharing": sharing}}  # fmt: skip
    ideal, real = (
        small.program(options({**keys, "goff": goff, "write_sigma": write}))
        for goff, write in (("popcount", 0.0), ("none", 0.5))
    )
    found = needed_shifts(real, small.geometry, small.packed, small.timesteps)
    assert np.array_equal(found, needed_shifts(ideal, small.geometry, small.packed, small.timesteps))
    unit = 16 if sharing == "crossbar" else 64
    corners = [(y, x) for y in range(3) for x in range(3)]
    windows = [small.spikes[:, y : y + 3, x : x + 3].transpose(1, 2, 0, 3) for y, x in corners]
    seen = np.stack([window.reshape(54, -1) for window in windows])
    levels = np.zeros(6, int)
    for first in range(0, 54, unit):
        rows = seen[:, first : first + unit].astype(int)
        sums = np.einsum("prt,rc->ptc", rows, ideal.codes[first : first + unit].astype(int))
        sums = sums[rows.any(axis=1)]
        levels += [
            int((sums <= 31).sum()),
            *(int(((sums > 31 << s) & (sums <= 62 << s)).sum()) for s in range(5)),
        ]
    assert found[:6].tolist() == levels.tolist()
    assert np.count_nonzero(levels) >= 3


def test_shifts_that_are_said_are_taken() -> None:
    small = drawn(8)
    for adc, expected in (
        ({"bits": "auto"}, 0),
        ({"bits": 4, "range": 7}, 7),
        ({"bits": "auto", "range": 3}, 0),
    ):
        assert shift_of(small.program(options({"adc": adc})), small.geometry, [], 5) == expected


def test_shares_that_may_clip_are_of_all_sums() -> None:
    needed = np.array([10, 5, 4, 1] + [0] * 29)
    assert [smallest(needed, clip) for clip in (0, 0.04, 0.05, 0.24, 0.25, 0.5)] == [3, 3, 2, 2, 1, 0]


SUMS = st.lists(st.integers(-(1 << 40), 1 << 40), min_size=2, max_size=12)


@given(SUMS, SUMS)
def test_moments_are_exact_and_add_up(first: list[int], second: list[int]) -> None:
    parts = [np.array(values).reshape(-1, 1, 1) for values in (first, second)]
    both = Moments.of(parts[0]) + Moments.of(parts[1])
    values = first + second
    assert both == Moments.of(parts[1]) + Moments.of(parts[0]) == Moments.of(np.concatenate(parts))
    assert both == Moments(len(values), (sum(values),), (sum(one * one for one in values),))
    mean = Fraction(sum(values), len(values))
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    assert both.means[0] == pytest.approx(float(mean), rel=1e-15)
    assert both.deviations[0] == pytest.approx(sqrt(variance), rel=1e-12)


def test_sums_that_are_kept_count_once() -> None:
    sums = np.broadcast_to(np.arange(6).reshape(1, 3, 2), (9, 3, 2))
    assert Moments.of(sums, once=True) == Moments(3, (6, 9), (20, 35))
    assert Moments.of(sums) == Moments(27, (54, 81), (180, 315))


def test_adapted_sums_have_the_moments_of_software() -> None:
    rng = np.random.default_rng(1)
    software = rng.normal(100, 50, (40, 30, 2)).astype(np.int64)
    hardware = (software // 3 + np.array([7, -40])).astype(np.int64)
    adapted = Affine.of(Moments.of(software), Moments.of(hardware))(hardware)
    assert np.abs(adapted - software).max() <= 3
    found, wanted = Moments.of(adapted), Moments.of(software)
    assert np.abs(found.means - wanted.means).max() < 0.1
    assert found.deviations == pytest.approx(wanted.deviations, rel=0.01)


def test_channels_without_spread_are_shifted_alone_and_halves_go_up() -> None:
    software, hardware = Moments(2, (10, 3), (58, 9)), Moments(2, (8, 0), (32, 0))
    affine = Affine.of(software, hardware)
    assert affine.factors.tolist() == [1.0, 1.0]
    assert affine(np.array([[[4, 0], [-3, -2]]])).tolist() == [[[5, 2], [-2, 0]]]  # 1.5 -> 2, -0.5 -> 0


@pytest.mark.parametrize("encoding", ["twos", "offset"])
def test_ideal_arrays_need_no_adaptation(encoding: str) -> None:
    small = drawn(9)
    found = small.sums(options({**IDEAL, "encoding": encoding}))
    same = Moments.of(small.dense())
    assert Moments.of(found) == same
    assert np.array_equal(Affine.of(same, same)(found), small.dense())
