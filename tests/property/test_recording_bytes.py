"""Recordings: every binning counts as one event at a time would, and no bytes do more than be refused."""

import struct
import tempfile
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive_events import (
    aedat4_bytes,
    aedat31_bytes,
    by_count,
    by_duration,
    description_of,
    event_packet,
    nmnist_bytes,
    polarity_packet,
    sized,
    spread_us,
)
from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.binning import Binning
from spikex_sim.sources.events.events import Events
from spikex_sim.sources.events.formats import load_recordings

HEIGHT, WIDTH = 4, 6
an_event = st.tuples(
    st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(0, 1), st.integers(0, 30_000)
)
some_events = st.lists(an_event, max_size=60)
in_order = some_events.map(lambda events: sorted(events, key=lambda event: event[3]))


def as_events(events):
    columns = np.array(events, np.int64).reshape(-1, 4).T
    return Events(*(column.copy() for column in columns))


@given(
    events=some_events,
    timesteps=st.integers(1, 12),
    downscale=st.sampled_from([1, 2]),
    mode=st.sampled_from(["spread", "duration", "count"]),
    size=st.integers(1, 20_000),
)
def test_every_binning_counts_as_one_event_at_a_time(events, timesteps, downscale, mode, size):
    if mode == "count":
        size = size % 70 + 1
        binning = Binning(timesteps, step_events=size)
        wanted = by_count(events, timesteps, size, downscale)
    else:
        length = size if mode == "duration" else spread_us(events, timesteps)
        binning = Binning(timesteps, step_us=size if mode == "duration" else None)
        assert binning.duration_us(as_events(events)) == length
        wanted = by_duration(events, timesteps, length, downscale)
    binned = binning(as_events(events), (HEIGHT, WIDTH), downscale)
    spikes, *counts = wanted
    assert set(map(tuple, np.argwhere(binned.spikes).tolist())) == spikes
    assert [binned.kept, binned.merged, binned.out_of_range] == counts
    assert binned.kept + binned.merged + binned.out_of_range == len(events)
    assert binned.spikes.shape == (2, HEIGHT // downscale, WIDTH // downscale, timesteps)


XML = description_of(WIDTH, HEIGHT, "EVTS", "FRME")
METHODS = {"none": 0, "lz4": 1, "zstd": 3}


def packed(body, method):
    if method == "lz4":
        return pytest.importorskip("lz4.frame").compress(body)
    return pytest.importorskip("zstandard").compress(body) if method == "zstd" else body


def file_of(form, events, cuts):
    """Bytes of a file with these events, in packets that end at the cuts."""
    bounds = [0, *sorted({min(cut, len(events)) for cut in cuts} - {0, len(events)}), len(events)]
    parts = [events[low:high] for low, high in pairwise(bounds)]
    if form == "nmnist":
        return nmnist_bytes(events)
    if form == "aedat31":
        return aedat31_bytes(*map(polarity_packet, parts))
    packets = [(0, packed(sized(event_packet(part)), form)) for part in parts]
    return aedat4_bytes([*packets, (1, b"frame")], XML, METHODS[form])


def load(data, form):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.bin" if form == "nmnist" else "r.aedat")
        path.write_bytes(data)
        return load_recordings(path)


FORMS = ("nmnist", "aedat31", *METHODS)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40)
@given(events=in_order.filter(len), cuts=st.lists(st.integers(1, 59), max_size=3))
def test_what_is_written_is_read(form, events, cuts):
    recordings = load(file_of(form, events, cuts), form)
    start = 0 if form == "nmnist" else events[0][3]
    sample = recordings.sample(0)
    columns = (sample.x, sample.y, sample.polarity, sample.t_us)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [
        (x, y, p, t - start) for x, y, p, t in events
    ]


@st.composite
def damage(draw, data):
    """Cut the bytes off, overwrite some, with numbers that hurt, or put some in."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(["cut", "byte", "int", "in"]))
        if what == "cut":
            del data[at:]
        elif what == "byte":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif what == "int":
            number = draw(st.sampled_from([0, -1, 1, 2**31 - 1, -(2**31), 1 << 20]))
            data[at : at + 4] = struct.pack("<i", number)
        else:
            data[at:at] = draw(st.binary(max_size=20))
    return bytes(data)


EVENTS = [(i % WIDTH, i % HEIGHT, i % 2, 37 * i) for i in range(40)]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=150)
@given(data=st.data())
def test_damaged_files_are_refused_in_one_line_or_read(form, data):
    damaged = data.draw(damage(file_of(form, EVENTS, (10, 20))))
    tracemalloc.start()
    try:
        recordings = load(damaged, form)
    except TraceError as exc:
        assert str(exc).isprintable() and "r." in str(exc)
        return
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20, "memory must follow from the bytes of the file"
    sample = recordings.sample(0)
    assert len(sample.x) == len(sample.y) == len(sample.polarity) == len(sample.t_us)
    if len(sample):
        assert sample.t_us.min() >= 0 and np.all(np.diff(sample.t_us) >= 0)
        height, width = recordings.sensor or (1 << 14, 1 << 14)
        assert 0 <= sample.x.min() <= sample.x.max() < width
        assert 0 <= sample.y.min() <= sample.y.max() < height
        assert set(np.unique(sample.polarity).tolist()) <= {0, 1}
