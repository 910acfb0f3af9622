"""Samples for training: those of the recordings, varied as asked and no other way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from command import REPOSITORY
from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.sources.events.binning import Binning
from spikex_sim.sources.events.formats import load_recordings
from spikex_sim.training.data import emulated_splits, save_recordings, splits_of_recordings, stratified
from spikex_sim.training.samples import Augmentation, PackedSpikeData, SpikeEvents, batches

NMNIST = REPOSITORY.parent / "shared" / "data" / "nmnist_small.npz"


def events(augmentation: Augmentation, spikes: np.ndarray) -> SpikeEvents:
    """Samples ``[n, 2, H, W, T]`` as lists of spikes."""
    parts = [np.nonzero(one) for one in spikes]
    p, y, x, t = (np.concatenate([part[axis] for part in parts]) for axis in range(4))
    offsets = np.concatenate([[0], np.cumsum([len(part[0]) for part in parts])])
    labels = np.arange(len(spikes))
    return SpikeEvents(x, y, p, t, offsets, labels, spikes.shape[-1], *spikes.shape[2:4], augmentation)


SPIKES = np.random.default_rng(0).random((4, 2, 9, 8, 11)) < 0.2


@pytest.mark.parametrize("packed", [True, False])
def test_unvaried_batches_are_the_spikes(packed: bool) -> None:
    data = (
        PackedSpikeData(np.packbits(SPIKES, axis=-1), np.arange(4), 11, Augmentation(3, 9, 0.2, 0.3, 2))
        if packed
        else events(Augmentation(3, 9, 0.2, 0.3, 2), SPIKES)
    )
    found = data.batch(np.array([2, 0]), None)
    assert found.shape == (11, 2, 2, 9, 8) and found.dtype == np.float32
    np.testing.assert_array_equal(found, np.moveaxis(SPIKES[[2, 0]], -1, 0))
    varied = data.batch(np.array([2, 0]), np.random.default_rng(1))
    np.testing.assert_array_equal(varied, data.batch(np.array([2, 0]), np.random.default_rng(1)))
    assert not np.array_equal(varied, found)


def test_no_augmentation_changes_nothing() -> None:
    for data in (
        events(Augmentation(), SPIKES),
        PackedSpikeData(np.packbits(SPIKES, axis=-1), np.arange(4), 11),
    ):
        found = data.batch(np.array([1]), np.random.default_rng(0))
        np.testing.assert_array_equal(found, data.batch(np.array([1]), None))


def test_shifts_move_a_sample_as_a_whole() -> None:
    one = np.zeros((1, 2, 9, 8, 11), bool)
    one[0, 1, 4, 4, 5] = one[0, 0, 4, 5, 5] = True
    data = PackedSpikeData(
        np.packbits(one, axis=-1), np.array([0]), 11, Augmentation(shift_px=2, time_shift_steps=3)
    )
    seen = set()
    for seed in range(200):
        t, _, p, y, x = np.nonzero(data.batch(np.array([0]), np.random.default_rng(seed)))
        assert p.tolist() == [0, 1] and (t[0], y[0], x[0] - 1) == (t[1], y[1], x[1])
        seen.add((int(t[1]) - 5, int(y[1]) - 4, int(x[1]) - 4))
    for axis, reach in enumerate((3, 2, 2)):
        assert {place[axis] for place in seen} == set(range(-reach, reach + 1))


def test_turning_and_stretching_keep_the_middle() -> None:
    one = np.zeros((1, 2, 21, 21, 1), bool)
    one[0, 0, 10, 10] = one[0, 1, 10, 18] = True
    data = events(Augmentation(rotate_deg=20, scale=0.2), one)
    far = []
    for seed in range(100):
        _, _, p, y, x = np.nonzero(data.batch(np.array([0]), np.random.default_rng(seed)))
        middle, end = (np.array([y[p == k][0], x[p == k][0]]) for k in (0, 1))
        assert abs(middle - 10).max() <= 1
        far.append(end - 10)
    far = np.array(far)
    # 8 pixels turned by up to 20 degrees and stretched by up to a fifth, from and to whole pixels
    assert 2 <= far[:, 0].max() <= 4 and -4 <= far[:, 0].min() <= -2
    assert 5 <= far[:, 1].min() < 8 < far[:, 1].max() <= 11


def test_bending_moves_neighbours_alike() -> None:
    one = np.zeros((1, 2, 33, 33, 1), bool)
    one[0, 0, 16, 8] = True
    data = events(Augmentation(bend_px=1.5), one)
    found = [data.batch(np.array([0]), np.random.default_rng(seed))[0, 0, 0] for seed in range(300)]
    moves = np.concatenate([np.argwhere(spikes) - (16, 8) for spikes in found])
    # This is a point of the grid, moved on its own; and up to half a pixel for where it lies.
    assert len(moves) == 300
    assert 1.3 < moves.std() < 1.8 and abs(moves.mean()) < 0.2
    flat = np.zeros((1, 2, 33, 33, 1), bool)
    flat[0, 0, 16, 8:25] = True
    wave = events(Augmentation(bend_px=1.5), flat).batch(np.array([0]), np.random.default_rng(3))[0, 0, 0]
    rows = [np.flatnonzero(column).mean() for column in wave.T[8:25] if column.any()]
    assert len(rows) > 12 and np.abs(np.diff(rows)).max() <= 2 and np.ptp(rows) >= 1


def test_drops_are_of_events() -> None:
    data = events(Augmentation(drop=0.5), SPIKES)
    shares = []
    for seed in range(50):
        found = data.batch(np.arange(4), np.random.default_rng(seed))
        assert not found[~np.moveaxis(SPIKES, -1, 0)].any()
        shares.append(found.sum() / SPIKES.sum())
    assert 0.7 < np.mean(shares) < 0.8 and min(shares) > 0.5


def test_stratified_and_batches() -> None:
    labels = np.repeat(np.arange(5), [20, 20, 20, 2, 1])
    chosen = stratified(labels, 0.1, 3)
    assert np.bincount(labels[chosen], minlength=5).tolist() == [2, 2, 2, 1, 0]
    np.testing.assert_array_equal(chosen, stratified(labels, 0.1, 3))
    assert not np.array_equal(chosen, stratified(labels, 0.1, 4))
    parts = list(batches(7, 3, np.random.default_rng(0)))
    assert [len(part) for part in parts] == [3, 3, 1] and sorted(np.concatenate(parts)) == list(range(7))


def write_recordings(path: Path, **changes: object) -> None:
    rng = np.random.default_rng(0)
    count, each = 40, 60
    arrays: dict[str, object] = {
        "x": rng.integers(0, 34, count * each).astype(np.uint8),
        "y": rng.integers(0, 34, count * each).astype(np.uint8),
        "p": rng.integers(0, 2, count * each).astype(np.uint8),
        "t": rng.integers(0, 300_000, count * each).astype(np.uint32),
        "offsets": np.arange(count + 1) * each,
        "label": np.arange(count) % 10,
        "sensor": np.array([34, 34, 2]),
    }
    arrays |= changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def splits(path: Path, seed: int = 0, shape: tuple[int, ...] = (2, 34, 34)):
    return splits_of_recordings(path, shape, 30, 10_000, seed=seed, augmentation=Augmentation())


def test_recordings_are_split_once(tmp_path: Path) -> None:
    path = tmp_path / "r.npz"
    split = np.zeros(40, np.uint8)
    split[30:] = 1
    write_recordings(path, split=split)
    found = splits(path)
    counts = [len(part.labels) for part in (found.training, found.validation, found.test)]
    assert counts == [20, 10, 10] and "by their own split" in found.about
    recordings = load_recordings(path)
    seen = []
    for part in (found.training, found.validation, found.test):
        for number in range(len(part.labels)):
            seen.append(part.batch(np.array([number]), None).tobytes())
    wanted = []
    for sample in range(40):
        spikes = Binning(30, 10_000)(recordings.sample(sample), (34, 34)).spikes
        wanted.append(np.moveaxis(spikes, -1, 0).astype(np.float32).tobytes())
    assert sorted(seen) == sorted(wanted) and set(seen[30:]) == set(wanted[30:])
    write_recordings(path)
    tests = [splits(path, seed).test for seed in (0, 1)]
    assert tests[0].batch(np.arange(4), None).tobytes() == tests[1].batch(np.arange(4), None).tobytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": None}, "label: is missing"),
        ({"split": np.zeros(40, np.uint8)}, "split: must mark some samples"),
        ({"sensor": np.array([36, 34, 2])}, "sensor: a sensor of 34x36 cannot be merged"),
    ],
)
def test_recordings_that_do_not_do(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    write_recordings(tmp_path / "r.npz", **changes)
    with pytest.raises(TraceError, match=message):
        splits(tmp_path / "r.npz")


@pytest.mark.skipif(not NMNIST.exists(), reason=f"{NMNIST} is not there")
def test_real_recordings() -> None:
    found = splits(NMNIST)
    assert [len(part.labels) for part in (found.training, found.validation, found.test)] == [900, 100, 100]
    rate = found.test.batch(np.arange(100), None).mean()
    assert rate == pytest.approx(0.039, abs=0.004)


def test_saved_samples_are_read_again(tmp_path: Path) -> None:
    made = emulated_splits((2, 16, 16), 11, 6, 5000, samples=20, seed=1, augmentation=Augmentation())
    save_recordings(made, tmp_path / "s.npz")
    found = splits_of_recordings(
        tmp_path / "s.npz", (2, 16, 16), 6, 5000, seed=0, augmentation=Augmentation()
    )
    for part, count in ((found.training, 20), (found.validation, 10), (found.test, 10)):
        assert len(part.labels) == count
    every = np.arange(10)
    np.testing.assert_array_equal(found.test.batch(every, None), made.test.batch(every, None))
    np.testing.assert_array_equal(found.test.labels, made.test.labels)
    halved = splits_of_recordings(tmp_path / "s.npz", (2, 8, 8), 6, 5000, seed=0, augmentation=Augmentation())
    pooled = made.test.batch(every, None).reshape(6, 10, 2, 8, 2, 8, 2).max((4, 6))
    np.testing.assert_array_equal(halved.test.batch(every, None), pooled)


def test_emulated_recordings_are_seeded_and_differ() -> None:
    def made(seed: int, shape: tuple[int, ...] = (2, 16, 16)):
        return emulated_splits(shape, 11, 6, 5000, samples=10, seed=seed, augmentation=Augmentation())

    one, again, other = made(1), made(1), made(2)
    first = one.training.batch(np.arange(10), None)
    np.testing.assert_array_equal(first, again.training.batch(np.arange(10), None))
    assert not np.array_equal(first, other.training.batch(np.arange(10), None))
    assert not np.array_equal(first, one.test.batch(np.arange(10), None))
    assert first.shape == (6, 10, 2, 16, 16) and one.training.labels.tolist() == list(range(10))
    digits = emulated_splits((2, 34, 34), 10, 3, 10_000, samples=10, seed=0, augmentation=Augmentation())
    assert digits.test.batch(np.arange(2), None).shape == (3, 2, 2, 34, 34)


@pytest.mark.parametrize("shape", [(2, 30, 30), (1, 32, 32), (2, 32, 16), (12,)])
def test_what_is_not_emulated(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="none are emulated"):
        emulated_splits(shape, 11, 6, 5000, samples=10, seed=0, augmentation=Augmentation())
    with pytest.raises(ConfigError, match="5 outputs for 10 classes"):
        emulated_splits((2, 16, 16), 5, 6, 5000, samples=10, seed=0, augmentation=Augmentation())


def test_a_folder_of_recordings_is_trained_on_as_its_files_are(tmp_path: Path) -> None:
    """Classes and parts from the folders, as N-MNIST comes."""
    rng = np.random.default_rng(3)
    for part, label, number in [
        (part, label, k) for part in ("Train", "Test") for label in (0, 1) for k in range(4)
    ]:
        folder = tmp_path / "N-MNIST" / part / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        x, y, on = rng.integers(0, (34, 34, 2), (50, 3)).T
        t = np.sort(rng.integers(0, 300_000, 50))
        raw = np.stack([x, y, on << 7 | t >> 16, t >> 8, t], 1) & 255
        (folder / f"{number:05d}.bin").write_bytes(raw.astype(np.uint8).tobytes())
    splits = splits_of_recordings(
        tmp_path / "N-MNIST",
        (2, 34, 34),
        30,
        10_000,
        seed=0,
        augmentation=Augmentation(),
        validation_share=0.25,
    )
    assert [len(part.labels) for part in splits.parts] == [6, 2, 8]
    assert "by their own split" in splits.about and splits.sha256
    files = sorted((tmp_path / "N-MNIST" / "Test").rglob("*.bin"))
    assert splits.test.labels.tolist() == [int(file.parent.name) for file in files]
    for number, file in enumerate(files):
        one = load_recordings(file).sample(0)
        spikes = Binning(30, 10_000)(one, (34, 34)).spikes
        found = splits.test.batch(np.array([number]), None)[:, 0]
        np.testing.assert_array_equal(np.moveaxis(found, 0, -1), spikes)
