"""Fitness, fixed point and initial weights, without a network (Section 3)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive_fitness as naive
from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.nas.kernels import CONSTANTS, KERNELS, Codes, fitness
from spikex_sim.explore.nas.weights import drawn, generator_of, quantised


def drawn_codes(rng: np.random.Generator, samples: int, sizes: list[int], rate: float) -> list[np.ndarray]:
    return [(rng.random((samples, size)) < rate).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize("rate", [0.02, 0.3, 0.95])
def test_fitness_is_that_of_loops_over_samples(kernel: Any, constant: Any, rate: float) -> None:
    rng = np.random.default_rng(int(100 * rate))
    codes = drawn_codes(rng, 6, [200, 97, 400], rate)
    codes += [np.zeros((6, 50), np.float32), np.ones((6, 30), np.float32)]
    got = fitness([Codes.of(one) for one in codes], kernel, constant)
    wanted, negative = naive.log_determinant(codes, released=kernel == "released", skip=constant == "skip")
    assert math.isfinite(wanted) and got.value == pytest.approx(wanted, abs=1e-9, rel=0)
    assert (got.negative, got.constant) == (negative, 2)


def test_kernels_and_rules_differ() -> None:
    codes = [Codes.of(one) for one in drawn_codes(np.random.default_rng(1), 5, [64, 80], 0.3)]
    codes.append(Codes.of(np.zeros((5, 9))))
    found = {fitness(codes, kernel, constant).value for kernel in KERNELS for constant in CONSTANTS}
    assert len(found) == 4


def test_by_hand() -> None:
    """Two samples of two neurons, 01 and 10: H = 2, E = 2 (1/2 1/2 + 1/2 1/2) = 1."""
    codes = [Codes.of(np.array([[0, 1], [1, 0]]))]
    other = 1 / 1.001
    assert codes[0].distances.tolist() == [[0, 2], [2, 0]]
    assert codes[0].expected.tolist() == [[1, 1], [1, 1]]
    assert fitness(codes).value == pytest.approx(math.log(4 - (2 - other) ** 2))
    assert fitness(codes, "normalised").value == pytest.approx(math.log(1 - (1 - other) ** 2))


class TestConstant:
    """Populations in which all is silent, or all fires."""

    def test_only_whole_populations_are(self) -> None:
        same = np.tile([0, 1, 1], (4, 1))
        half = np.repeat([[0, 0, 0], [1, 1, 1]], 2, axis=0)
        cases = (np.zeros((4, 3)), True), (np.ones((4, 3)), True), (same, False), (half, False)
        for spikes, constant in cases:
            assert Codes.of(spikes).is_constant is constant

    @pytest.mark.parametrize("constant", CONSTANTS)
    def test_nothing_but_constant_ones_tells_no_samples_apart(self, constant: Any) -> None:
        got = fitness([Codes.of(np.zeros((3, 8))), Codes.of(np.ones((3, 8)))], "released", constant)
        assert (got.value, got.negative, got.constant) == (-math.inf, False, 2)

    def test_skipped_they_change_nothing(self) -> None:
        codes = [Codes.of(one) for one in drawn_codes(np.random.default_rng(2), 5, [64, 80], 0.3)]
        silent = Codes.of(np.zeros((5, 9)))
        assert fitness([*codes, silent], constant="skip").value == fitness(codes).value


class TestAlike:
    """Two samples that fire alike everywhere."""

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_the_score_is_minus_infinity_by_that_test(self, kernel: Any) -> None:
        codes = drawn_codes(np.random.default_rng(3), 6, [300, 500], 0.2)
        for one in codes:
            one[4] = one[1]
        assert fitness([Codes.of(one) for one in codes], kernel).value == -math.inf

    def test_one_population_that_differs_is_enough(self) -> None:
        codes = drawn_codes(np.random.default_rng(4), 6, [300, 500], 0.2)
        codes[0][4] = codes[0][1]
        wanted, _ = naive.log_determinant(codes)
        assert fitness([Codes.of(one) for one in codes]).value == pytest.approx(wanted, abs=1e-9, rel=0)
        codes[1][4] = codes[1][1]
        codes[1][4, 0] = 1 - codes[1][1, 0]
        assert math.isfinite(fitness([Codes.of(one) for one in codes]).value)


def test_determinants_of_few_neurons_are_those_of_fractions_and_negative_ones_are_reported() -> None:
    finite = 0
    for seed in range(100):
        codes = drawn_codes(np.random.default_rng(seed), 4, [4, 2], 0.5)
        wanted, negative = naive.log_determinant(codes, released=False)
        got = fitness([Codes.of(one) for one in codes], "normalised")
        if math.isfinite(wanted):
            assert got.value == pytest.approx(wanted, abs=1e-9)
            finite += 1
        assert not negative and not (got.negative and math.isfinite(wanted))
    assert finite > 50
    # No spikes were found to give one, but for rounding: these two have -3 neurons in common.
    got = fitness([Codes(np.array([[1.0, -3.0], [-3.0, 1.0]]), 4)], "normalised")
    assert got.negative and got.value == pytest.approx(math.log((1 - 4 / 1.501) ** 2 - 1))


def test_unknown_kernels_and_rules_are_refused() -> None:
    codes = [Codes.of(np.eye(2))]
    with pytest.raises(ConfigError, match="kernel: 'release' is none of released, normalised; did you mean"):
        fitness(codes, "release")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="constant: 'skipped' is none of count, skip"):
        fitness(codes, "released", "skipped")  # type: ignore[arg-type]


class TestFixedPoint:
    @pytest.mark.parametrize(
        ("bits", "weights", "wanted"),
        [
            (3, [0.5, -1.0, 0.3, 0.0], [0.5, -1.0, 0.25, 0.0]),  # s = 1, steps of 1/4
            (3, [0.5, 1.0], [0.5, 0.75]),  # the largest positive one is cut off
            (3, [0.375, -0.3125, 0.0625], [0.375, -0.25, 0.0]),  # s = 1/2: 3, -2.5, 0.5 steps, halves to even
            (2, [3.0, -1.0, 1.0, 5.0, -8.0], [4.0, 0.0, 0.0, 4.0, -8.0]),  # s = 8, of 3 and 5: 0.75 and 1.25
            (1, [0.7, -0.7, -0.2], [0.0, -1.0, 0.0]),  # -s and 0 alone
            (8, [0.0, 0.0], [0.0, 0.0]),
            (4, [-0.25, 0.2], [-0.25, 0.1875]),  # a power of two is its own s; 6.4 steps of 1/32
        ],
    )
    def test_by_hand(self, bits: int, weights: list[float], wanted: list[float]) -> None:
        assert quantised(np.array(weights), bits).tolist() == wanted

    @given(
        st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=6),
        st.integers(1, 16),
    )
    def test_as_in_fractions(self, weights: list[float], bits: int) -> None:
        got = quantised(np.array(weights), bits).tolist()
        most = max(map(abs, weights))
        assert got == [float(naive.fixed_point(one, most, bits)) if most else 0.0 for one in weights]

    @pytest.mark.parametrize("bits", [0, 33])
    def test_other_bits_are_refused(self, bits: int) -> None:
        with pytest.raises(ConfigError, match=f"bits: is {bits}; wants 1 to 32"):
            quantised(np.ones(1), bits)


class TestWeights:
    def test_ranges(self) -> None:
        conv, linear = drawn((64, 32, 3, 3), 0, "f", "a1"), drawn((128, 256), 0, "", "linear1")
        bound = math.sqrt(6 / 5 / (32 * 9))
        assert 0.999 * bound < np.abs(conv).max() < bound and abs(conv.mean()) < 0.02 * bound
        assert conv.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
        assert linear.std() == pytest.approx(0.01, rel=0.02) and abs(linear.mean()) < 2e-4

    def test_they_depend_on_seed_form_and_place_alone(self) -> None:
        def one(seed: int = 0, form: str = "out = x", position: str = "a1") -> bytes:
            return drawn((4, 4, 3, 3), seed, form, position).tobytes()

        first = one()
        changed = [one(seed=1), one(form="out = 2 x"), one(position="b1"), one(position="a2")]
        np.random.default_rng().random(3)
        assert one() == first and len({first, *changed}) == 5

    def test_names_do_not_run_into_one_another(self) -> None:
        assert generator_of(0, "ab", "c").random() != generator_of(0, "a", "bc").random()
        with pytest.raises(ConfigError, match="seed: must not be negative, not -1"):
            drawn((1, 1), -1, "", "stem")
