"""Recordings: every event is accounted for, nothing is changed, and damaged files are refused."""

import numpy as np
import pytest

from command import REPOSITORY
from helpers import Member, npy_bytes, shared_data, zip_bytes
from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.binning import Binning
from spikex_sim.sources.events.events import Events
from spikex_sim.sources.events.formats import load_recordings


def arrays(**changes):
    good = {
        "x": np.array([0, 3, 3, 5, 1], np.uint8),
        "y": np.array([1, 2, 2, 3, 0], np.uint8),
        "p": np.array([0, 1, 1, 0, 1], np.uint8),
        "t": np.array([5, 10, 19, 20, 7], np.uint32),
        "offsets": np.array([0, 4, 5], np.uint32),
        "label": np.array([7, 2], np.uint8),
        "sensor": np.array([6, 4, 2], np.uint16),
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


def written(tmp_path, **changes):
    np.savez_compressed(tmp_path / "r.npz", **arrays(**changes))
    return tmp_path / "r.npz"


def events(count=500, span=1000, seed=0, sensor=(8, 10)):
    rng = np.random.default_rng(seed)
    return Events(
        rng.integers(sensor[1], size=count).astype(np.uint8),
        rng.integers(sensor[0], size=count).astype(np.uint8),
        rng.integers(2, size=count).astype(np.uint8),
        rng.integers(span, size=count).astype(np.uint32),
    )


class TestLoading:
    def test_samples(self, tmp_path):
        recordings = load_recordings(written(tmp_path))
        assert (len(recordings), recordings.sensor) == (2, (4, 6))
        first, second = recordings.sample(0), recordings.sample(1)
        assert (len(first), first.label, first.t_us.tolist()) == (4, 7, [5, 10, 19, 20])
        assert (len(second), second.label, second.x.tolist()) == (1, 2, [1])
        assert not recordings.x.flags.writeable
        for index in (-1, 2):
            with pytest.raises(TraceError, match=f"there is no sample {index}"):
                recordings.sample(index)

    def test_what_may_be_left_out_or_added(self, tmp_path):
        recordings = load_recordings(
            written(tmp_path, label=..., sensor=..., note=np.array("hand-made"), split=np.zeros(2))
        )
        assert recordings.labels is None and recordings.sensor is None and recordings.sample(0).label is None

    @pytest.mark.parametrize(
        ("changes", "field", "word"),
        [
            ({"t": ...}, "t", "missing"),
            ({"x": np.zeros(4, np.uint8)}, "y", "has 5 events, x has 4"),
            ({"x": np.full(5, 0.5)}, "x", "holds fractions, such as 0.5"),
            ({"x": np.zeros((5, 1), int)}, "x", "list of numbers"),
            ({"x": np.array([0, 3, 3, 6, 1])}, "x", "must be 0 to 5, not 6"),
            ({"y": np.array([0, 3, 3, 4, 1])}, "y", "must be 0 to 3, not 4"),
            ({"y": np.array([0, -1, 3, 3, 1])}, "y", "not -1"),
            ({"p": np.array([0, 2, 0, 0, 1])}, "p", "must be 0 to 1, not 2"),
            ({"t": np.array([0, -2, 0, 0, 1])}, "t", "not -2"),
            ({"t": np.full(5, 1 << 63, np.uint64)}, "t", "9223372036854775808"),
            ({"offsets": np.array([0, 4, 3, 5])}, "offsets", "never fall"),
            ({"offsets": np.array([1, 5])}, "offsets", "start at 0"),
            ({"offsets": np.array([0, 4])}, "offsets", "ends at 4, but there are 5"),
            ({"offsets": np.array([0, 6])}, "offsets", "ends at 6"),
            ({"offsets": np.array([0, 1 << 63, 5], np.uint64)}, "offsets", "never fall"),
            ({"offsets": np.array([0])}, "offsets", "no sample"),
            ({"label": np.array([1])}, "label", "has 1 entries, 2 are needed"),
            ({"sensor": np.array([6, 4])}, "sensor", "has 2 entries"),
            ({"sensor": np.array([2, 4, 6])}, "sensor", "[columns, rows, 2]"),
        ],
        ids=range(19),
    )
    def test_mistakes(self, tmp_path, changes, field, word):
        path = written(tmp_path, **changes)
        with pytest.raises(TraceError) as caught:
            load_recordings(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: {field}: ") and word in message and "\n" not in message

    def test_hostile_files(self, tmp_path):
        path = tmp_path / "r.npz"
        for data, word in (
            (npy_bytes("|u1", (1 << 40,), bytes(10)), "1 TiB"),
            (npy_bytes("|O", (5,), b"cos\nsystem\n"), "pickled"),
        ):
            path.write_bytes(zip_bytes(*(Member(f"{key}.npy", data) for key in arrays())))
            with pytest.raises(TraceError, match=word):
                load_recordings(path)
        with pytest.raises(TraceError, match="no such file"):
            load_recordings(tmp_path / "absent.npz")
        path.write_bytes(b"x,y,t,p\n")
        with pytest.raises(TraceError, match="holds no events"):
            load_recordings(path)


class TestBinning:
    def test_by_hand(self, tmp_path):
        sample = load_recordings(written(tmp_path)).sample(0)
        binned = Binning(2, 10)(sample, (4, 6))
        # t = 5 is in step 0; 10 and 19 hit the same pixel in step 1 and merge; 20 is after step 1.
        assert np.argwhere(binned.spikes).tolist() == [[0, 1, 0, 0], [1, 2, 3, 1]]
        assert (binned.kept, binned.merged, binned.out_of_range) == (2, 1, 1)

    @pytest.mark.parametrize("timesteps", [1, 7, 30])
    @pytest.mark.parametrize("step_us", [1, 33, 1000])
    @pytest.mark.parametrize("downscale", [1, 2])
    def test_every_event_is_accounted_for(self, timesteps, step_us, downscale):
        given = events()
        binned = Binning(timesteps, step_us)(given, (8, 10), downscale)
        assert binned.kept + binned.merged + binned.out_of_range == len(given)
        naive = np.zeros((2, 8 // downscale, 10 // downscale, timesteps), bool)
        late = 0
        for x, y, p, t in zip(given.x, given.y, given.polarity, given.t_us, strict=True):
            if int(t) // step_us < timesteps:
                naive[p, int(y) // downscale, int(x) // downscale, int(t) // step_us] = True
            else:
                late += 1
        assert np.array_equal(binned.spikes, naive)
        assert (binned.kept, binned.out_of_range) == (naive.sum(), late)

    def test_the_first_event_does_not_move_the_clock(self):
        late = Events(*(np.array([value]) for value in (0, 0, 1, 25)))
        assert np.flatnonzero(Binning(5, 10)(late, (1, 1)).spikes[1]).tolist() == [2]

    @pytest.mark.parametrize(("last_us", "length_us"), [(1498, 1000), (1499, 2000), (0, 1000), (2499, 2000)])
    def test_a_recording_lasts_to_the_end_of_its_last_microsecond(self, last_us, length_us):
        """Spread over one step, in whole ms, half to even: 1500 us are 2 ms, 1499 us one."""
        ends = Events(*(np.array([value, value]) for value in (0, 0, 1)), np.array([0, last_us]))
        assert Binning(1).duration_us(ends) == length_us

    def test_inputs_stay_as_they_are(self):
        given = events()
        before = [array.copy() for array in (given.x, given.y, given.polarity, given.t_us)]
        Binning(9, 10)(given, (8, 10), 2)
        assert all(map(np.array_equal, before, (given.x, given.y, given.polarity, given.t_us)))

    def test_no_events(self):
        binned = Binning(3, 10)(events(count=0), (8, 10))
        assert not binned.spikes.any() and binned.kept == binned.merged == binned.out_of_range == 0

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"sensor": (7, 10)}, "y"),
            ({"sensor": (8, 9)}, "x"),
            ({"sensor": (0, 9)}, "sensor"),
            ({"timesteps": 0}, "timesteps"),
            ({"step_us": 0}, "step_us"),
            ({"downscale": 3}, "downscale"),
            ({"step_events": 0, "step_us": None}, "step_events"),
            ({"step_events": 1 << 70, "step_us": None}, "step_events"),
            ({"step_events": 5, "step_us": None, "timesteps": 0}, "timesteps"),
            ({"step_events": 5, "step_us": None, "sensor": (8, 9)}, "x"),
            ({"downscale": 0}, "downscale"),
            ({"timesteps": 1 << 20, "sensor": (1 << 14, 1 << 14)}, "timesteps"),
        ],
    )
    def test_mistakes(self, changes, field):
        given = {"timesteps": 5, "step_us": 10, "sensor": (8, 10), "downscale": 1, **changes}
        sensor, downscale = given.pop("sensor"), given.pop("downscale")
        with pytest.raises(TraceError, match=f"{field}: "):
            Binning(**given)(events(), sensor, downscale)

    def test_arrays_that_do_not_fit_together(self):
        given = events()
        with pytest.raises(TraceError, match="events: t: must be a list of 500"):
            Binning(5, 10)(Events(given.x, given.y, given.polarity, given.t_us[:-1]), (8, 10))


class TestRealRecordings:
    """The figures of the README beside the recordings."""

    def test_nmnist(self):
        recordings = load_recordings(shared_data("nmnist_small.npz"))
        assert (len(recordings), recordings.sensor) == (1100, (34, 34))
        binned = [Binning(30, 10_000)(recordings.sample(i), recordings.sensor) for i in range(1100)]
        total = len(recordings.x)
        assert sum(one.kept + one.merged + one.out_of_range for one in binned) == total
        assert sum(one.out_of_range for one in binned) / total == pytest.approx(0.0025, abs=5e-5)
        spikes = np.array([one.spikes for one in binned])
        assert spikes.mean() == pytest.approx(0.039, abs=5e-4)
        assert (~spikes.any(axis=-1)).mean() == pytest.approx(0.66, abs=5e-3)

    @pytest.mark.parametrize(
        ("option", "binning"),
        [
            ("spread", Binning(30)),
            ("`--step-ms 10`", Binning(30, step_us=10_000)),
            ("`--step-events 150`", Binning(30, step_events=150)),
        ],
    )
    def test_table_of_the_page(self, option, binning):
        recordings = load_recordings(shared_data("nmnist_small.npz"))
        counts, places = np.zeros(3, np.int64), 0
        for index in range(len(recordings)):
            one = binning(recordings.sample(index), recordings.sensor)
            counts += [one.kept, one.merged, one.out_of_range]
            places += one.spikes.size
        assert counts.sum() == len(recordings.x)
        cells = [f"{count:,}" for count in counts]
        row = f"| {option} | {' | '.join(cells)} | {100 * counts[0] / places:.4g} |"
        assert row in (REPOSITORY / "docs/recordings.md").read_text("utf-8")

    def test_dvs_gesture(self):
        recordings = load_recordings(shared_data("dvsgesture_samples.npz"))
        assert (len(recordings), recordings.sensor) == (10, (128, 128))
        rates = {1: [], 4: []}
        for downscale, values in rates.items():
            for index in range(10):
                one = Binning(145, 10_000)(recordings.sample(index), (128, 128), downscale)
                assert one.kept + one.merged + one.out_of_range == len(recordings.sample(index))
                values.append(one.spikes.mean())
        assert np.mean(rates[1]) == pytest.approx(0.0159, abs=1e-4)
        assert np.mean(rates[4]) == pytest.approx(0.111, abs=1e-3)
