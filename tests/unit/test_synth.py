"""Generators: the rates they promise, the same spikes for the same seed, and likeness to real recordings."""

import numpy as np
import pytest

from helpers import shared_data
from spikex_sim.core.errors import ConfigError
from spikex_sim.sources.cameras.camera import EventCamera
from spikex_sim.sources.cameras.digits import (
    SACCADE_MS,
    cubic_weights,
    digit_images,
    digit_of_class,
    saccade_position,
)
from spikex_sim.sources.cameras.gestures import GESTURES
from spikex_sim.sources.events.binning import Binning
from spikex_sim.sources.events.formats import load_recordings
from spikex_sim.sources.synth import at_most_once, bernoulli, bursty, digit_camera, gesture_camera, pool_or

PINNED_BERNOULLI = [4, 8, 15, 17]
PINNED_BURSTY = [1, 2, 3, 6, 7, 8, 9, 10, 16, 18, 20, 21]
QUIET = EventCamera(threshold=0.25, mismatch=0.0, lag_ms=0.0, background_hz=0.0)


class TestRandomSpikes:
    @pytest.mark.parametrize("make", [bernoulli, bursty])
    @pytest.mark.parametrize("rate", [0.0, 0.01, 0.2, 0.6])
    def test_mean_rate(self, make, rate):
        spikes = make((10, 20, 5), 500, rate, 7)
        assert spikes.shape == (10, 20, 5, 500) and spikes.dtype == np.bool_
        # Bursts of 5 steps make neighbours alike: about 10 times the variance of independent spikes.
        sigma = np.sqrt(rate * (1 - rate) / spikes.size * (10 if make is bursty else 1))
        assert abs(spikes.mean() - rate) <= 5 * sigma

    def test_all_or_nothing(self):
        assert bernoulli((4,), 9, 1.0, 0).all()
        assert bursty((4,), 9, 1.0, 0, burst_rate=1.0).all()
        assert not bernoulli((4,), 9, 0.0, 0).any()

    @pytest.mark.parametrize("make", [bernoulli, bursty])
    def test_the_seed_decides(self, make):
        first, again, other = (make((3, 4, 5), 40, 0.3, seed) for seed in (1, 1, 2))
        assert np.array_equal(first, again) and not np.array_equal(first, other)

    def test_the_stream_of_random_numbers_is_pinned(self):
        assert np.flatnonzero(bernoulli((2,), 12, 0.3, 42)).tolist() == PINNED_BERNOULLI
        assert np.flatnonzero(bursty((2,), 12, 0.3, 42)).tolist() == PINNED_BURSTY

    def test_bursts_last_as_long_as_asked(self):
        on = bursty((2000,), 400, 0.1, 3, burst_length=8.0, burst_rate=1.0)
        starts = np.count_nonzero(on[:, 1:] & ~on[:, :-1])
        ends = np.count_nonzero(~on[:, 1:] & on[:, :-1])
        assert on[:, :-1].sum() / ends == pytest.approx(8.0, rel=0.05)
        assert starts == pytest.approx(ends, rel=0.05)

    def test_stationary_from_the_first_step(self):
        spikes = bursty((20_000,), 6, 0.2, 3)
        assert np.allclose(spikes.mean(axis=0), 0.2, atol=0.015)

    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            (((2, 3), 5, 0.1, 0), "shape"),
            (((0,), 5, 0.1, 0), "shape"),
            (((1 << 20,), 1 << 20, 0.1, 0), "spikes"),
            (((2,), 0, 0.1, 0), "timesteps"),
            (((2,), 5, 1.1, 0), "rate"),
            (((2,), 5, float("nan"), 0), "rate"),
            (((2,), 5, 0.1, -1), "seed"),
        ],
    )
    @pytest.mark.parametrize("make", [bernoulli, bursty])
    def test_mistakes(self, make, arguments, word):
        with pytest.raises(ConfigError, match=word):
            make(*arguments)

    @pytest.mark.parametrize(
        "wrong",
        [{"burst_length": 0.5}, {"burst_length": float("inf")}, {"burst_rate": 0.0}, {"burst_rate": 0.4},
         {"rate": 0.75, "burst_length": 2.0}],
    )  # fmt: skip
    def test_impossible_bursts(self, wrong):
        with pytest.raises(ConfigError, match="burst_"):
            bursty(**{"shape": (2,), "timesteps": 5, "rate": 0.5, "seed": 0, **wrong})


class TestAtMostOnce:
    def test_by_hand(self):
        spikes = np.array([[0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
        before = spikes.copy()
        assert at_most_once(spikes).astype(int).tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
        assert np.array_equal(spikes, before)

    def test_against_the_plain_definition(self):
        spikes = bernoulli((3, 4, 5), 9, 0.3, 1)
        first = spikes & (np.cumsum(spikes, axis=-1) == 1)
        assert np.array_equal(at_most_once(spikes), first)
        assert np.array_equal(at_most_once(first), first)


class TestCamera:
    def test_a_static_scene_is_silent(self):
        assert not QUIET.watch(
            lambda _: np.ones((5, 5), np.float32), 20, 10.0, np.random.default_rng(0)
        ).any()

    def test_events_are_the_change_over_the_threshold(self):
        rise = 2.0
        brighter = QUIET.watch(
            lambda ms: np.full((8, 8), rise * ms / 400, np.float32), 40, 10.0, np.random.default_rng(0)
        )
        assert not brighter[0].any()
        # Within one event, because the start between two thresholds is random.
        assert np.all(np.abs(brighter[1].sum(axis=-1) - rise / QUIET.threshold) <= 1)
        darker = QUIET.watch(
            lambda ms: np.full((8, 8), -rise * ms / 400, np.float32), 40, 10.0, np.random.default_rng(0)
        )
        assert not darker[1].any()
        assert np.all(np.abs(darker[0].sum(axis=-1) - rise / QUIET.threshold) <= 1)

    def test_background_rate(self):
        noisy = EventCamera(background_hz=2.0)
        spikes = noisy.watch(lambda _: np.zeros((40, 40), np.float32), 100, 10.0, np.random.default_rng(0))
        assert spikes.mean() == pytest.approx(-np.expm1(-0.02), rel=0.05)

    @pytest.mark.parametrize(
        "wrong", [{"threshold": 0}, {"mismatch": -1}, {"frame_ms": 0}, {"lag_ms": np.nan}]
    )
    def test_mistakes(self, wrong):
        with pytest.raises(ConfigError, match="camera"):
            EventCamera(**wrong)


class TestDigits:
    def test_as_scikit_learn_has_them(self):
        datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
        original = datasets.load_digits()
        images, labels = digit_images()
        assert np.array_equal(images, original.images) and np.array_equal(labels, original.target)
        assert images.dtype == labels.dtype == np.uint8

    def test_a_class_has_its_images(self):
        _, labels = digit_images()
        count = int(np.count_nonzero(labels == 3))
        assert np.array_equal(digit_of_class(3, 0), digit_of_class(3, count))
        assert not np.array_equal(digit_of_class(3, 0), digit_of_class(3, 1))
        with pytest.raises(ConfigError, match="label"):
            digit_of_class(10, 0)

    def test_interpolation_keeps_constants_and_samples(self):
        weights = cubic_weights(8, 3.0, 0.4)
        inner = weights[10:24]
        assert np.allclose(inner.sum(axis=1), 1.0)
        exact = cubic_weights(34, 1.0, 0.0)
        assert np.allclose(exact, np.eye(34))

    def test_the_triangle_closes_and_never_jumps(self):
        path = np.array([saccade_position(ms) for ms in np.arange(0, 3 * SACCADE_MS + 50)])
        assert np.allclose(path[0], path[-1])
        assert np.abs(np.diff(path, axis=0)).max() < 0.2
        assert np.ptp(path, axis=0) == pytest.approx([7.0, 7.0])

    def test_shape_seed_and_image(self):
        spikes = digit_camera(4, 2, seed=5)
        assert spikes.shape == (2, 34, 34, 30) and spikes.dtype == np.bool_
        assert np.array_equal(spikes, digit_camera(digit_of_class(4, 2), seed=5))
        assert not np.array_equal(spikes, digit_camera(4, 2, seed=6))
        assert digit_camera(4, timesteps=7).shape[-1] == 7

    def test_dark_ink_sends_off_events_ahead(self):
        """As in the recordings: while the digit moves left, OFF events lie left of ON events."""
        spikes = digit_camera(0, camera=QUIET)[..., 24:27].any(axis=-1)
        columns = np.arange(34)
        off, on = (np.average(columns, weights=spikes[channel].sum(axis=0)) for channel in (0, 1))
        assert off < on - 2

    def test_mistakes(self):
        for wrong in (np.zeros(8), np.zeros((300, 300)), np.zeros((0, 8))):
            with pytest.raises(ConfigError, match="digit"):
                digit_camera(wrong)
        with pytest.raises(ConfigError, match="step_ms"):
            digit_camera(1, step_ms=0)
        with pytest.raises(ConfigError, match="timesteps"):
            digit_camera(1, timesteps=0)

    def test_like_nmnist(self):
        spikes = np.array(
            [digit_camera(label, i, seed=10 * label + i) for label in range(10) for i in range(4)]
        )
        assert spikes.mean() == pytest.approx(0.039, abs=0.004)
        assert (~spikes.any(axis=-1)).mean() == pytest.approx(0.66, abs=0.03)

    def test_like_nmnist_recordings(self):
        recordings = load_recordings(shared_data("nmnist_small.npz"))
        real = np.array(
            [Binning(30, 10_000)(recordings.sample(i), recordings.sensor).spikes for i in range(200)]
        )
        made = np.array([digit_camera(i % 10, i // 10, seed=i) for i in range(60)])
        assert made.mean() == pytest.approx(real.mean(), rel=0.1)
        assert (~made.any(axis=-1)).mean() == pytest.approx((~real.any(axis=-1)).mean(), abs=0.03)
        for window in (2, 3, 5, 10):
            shares = [
                spikes.reshape(*spikes.shape[:-1], -1, window).any(axis=-1).mean() for spikes in (made, real)
            ]
            assert shares[0] == pytest.approx(shares[1], rel=0.15)
        rhythm = np.corrcoef(made.mean(axis=(0, 1, 2, 3)), real.mean(axis=(0, 1, 2, 3)))[0, 1]
        assert rhythm > 0.8


class TestGestures:
    def test_shape_seed_and_name(self):
        spikes = gesture_camera("right_hand_wave", timesteps=12, seed=3)
        assert spikes.shape == (2, 128, 128, 12) and spikes.dtype == np.bool_
        assert np.array_equal(spikes, gesture_camera(GESTURES.index("right_hand_wave"), timesteps=12, seed=3))
        assert not np.array_equal(spikes, gesture_camera("right_hand_wave", timesteps=12, seed=4))

    def test_the_arm_that_moves_is_the_one_named(self):
        """The person faces the camera: their right arm is on the left of the image."""
        right, left = (
            gesture_camera(f"{side}_hand_wave", timesteps=60, seed=1).sum(axis=(0, 1, 3))
            for side in ("right", "left")
        )
        assert right[:45].sum() > 2 * right[85:].sum()
        assert left[85:].sum() > 2 * left[:45].sum()

    @pytest.mark.parametrize("wrong", [-1, 10, "dancing"])
    def test_mistakes(self, wrong):
        with pytest.raises(ConfigError, match="gesture"):
            gesture_camera(wrong)

    def test_like_dvs_gesture(self):
        rates = [gesture_camera(gesture, timesteps=80, seed=gesture).mean() for gesture in range(10)]
        assert np.mean(rates) == pytest.approx(0.0159, rel=0.2)
        fine = [
            gesture_camera(gesture, timesteps=400, step_ms=1, seed=gesture).mean() for gesture in range(10)
        ]
        assert np.mean(fine) == pytest.approx(0.0022, rel=0.3)


class TestPooling:
    def test_or_of_every_block(self):
        spikes = bernoulli((2, 6, 9), 11, 0.1, 0)
        pooled = pool_or(spikes, 3)
        assert pooled.shape == (2, 2, 3, 11)
        for row in range(2):
            for column in range(3):
                block = spikes[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
                assert np.array_equal(pooled[:, row, column], block.any(axis=(1, 2)))

    def test_mistakes(self):
        spikes = np.zeros((2, 6, 9, 4), bool)
        for factor in (0, 2, 4):
            with pytest.raises(ConfigError, match="factor"):
                pool_or(spikes, factor)
        with pytest.raises(ConfigError, match="spikes"):
            pool_or(spikes[0], 1)
