"""Many recordings into a folder of traces: what it holds, what is printed, what is refused."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import files_under, is_mistake, spikex, succeed
from naive_events import (
    aedat31_bytes,
    by_count,
    by_duration,
    nmnist_bytes,
    polarity_packet,
    spread_us,
)
from spikex_sim.sources.samples import load_samples

SIDE = 6
STEPS = 10


def random_events(seed: int, count: int = 150) -> list[tuple[int, int, int, int]]:
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, bound, count) for bound in (SIDE, SIDE, 2)]
    times = np.sort(rng.integers(0, 23_000, count))
    return [tuple(map(int, event)) for event in zip(*columns, times, strict=True)]  # type: ignore[misc]


FILES = {
    "Train/3/1.bin": random_events(1), "Train/3/2.bin": random_events(2), "Train/7/3.bin": random_events(3),
    "Test/7/4.bin": random_events(4, 60),
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with a folder of recordings, one file of several, and a network."""
    monkeypatch.chdir(tmp_path)
    for name, events in FILES.items():
        Path("rec", name).parent.mkdir(parents=True, exist_ok=True)
        Path("rec", name).write_bytes(nmnist_bytes(events))
    columns = [np.array(column) for column in zip(*chain(*FILES.values()), strict=True)]
    offsets = np.cumsum([0, *(len(events) for events in FILES.values())])
    np.savez("many.npz", **dict(zip("xypt", columns, strict=True)), offsets=offsets, label=[3, 3, 7, 7],
             split=[0, 0, 0, 1], sensor=[SIDE, SIDE, 2])  # fmt: skip
    one = "{name: one, kind: conv, in_channels: 2, out_channels: 4, kernel: 3, in_height: 6, in_width: 6}"
    two = "{name: two, kind: linear, in_channels: 64, out_channels: 3}"
    Path("net.yaml").write_text(f"name: net\ntimesteps: {STEPS}\nlayers:\n  - {one}\n  - {two}\n")


MANY = ("trace", "convert", "rec", "--network", "net.yaml", "--out", "out")


def spikes_of(trace: sx.Trace) -> set[tuple[int, ...]]:
    return set(map(tuple, np.argwhere(trace.spikes(0)[0]).tolist()))


@pytest.mark.parametrize("mode", [(), ("--step-ms", "1.5"), ("--step-events", "9")])
def test_every_event_of_every_recording_is_accounted_for(
    capsys: pytest.CaptureFixture[str], mode: tuple[str, ...]
) -> None:
    shown = succeed(capsys, *MANY, *mode)
    rows = {line.split()[0]: line.split()[1:] for line in shown.lines[2:] if line[:2] in ("3 ", "7 ", "al")}
    counted: dict[str, np.ndarray[Any, Any]] = {}
    traces = sx.load_traces("out")
    for trace, name in zip(traces, sorted(FILES), strict=True):
        events = FILES[name]
        if "--step-events" in mode:
            spikes, *counts = by_count(events, STEPS, 9)
        else:
            spikes, *counts = by_duration(events, STEPS, 1500 if mode else spread_us(events, STEPS))
        assert spikes_of(trace) == spikes
        assert trace.name.startswith(name.removesuffix(".bin"))
        assert (trace.label, trace.timesteps) == (int(name.split("/")[1]), STEPS)
        for key in (name.split("/")[1], "all"):
            counted[key] = counted.get(key, 0) + np.array([1, len(events), *counts])
    assert set(rows) == set(counted)
    for key, (recordings, events, kept, merged, late) in counted.items():
        assert kept + merged + late == events
        rate = 100 * kept / (recordings * 2 * SIDE * SIDE * STEPS)
        assert rows[key] == [str(recordings), f"{events:,}", str(kept), str(merged), str(late), f"{rate:.4g}"]
    assert shown.lines[-1] == f"wrote out ({len(FILES)} traces, T={STEPS})"


def test_traces_share_weights_and_thresholds_and_run_together(capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, *MANY)
    traces = sx.load_traces("out")
    assert len({trace.layers for trace in traces}) == 1
    for trace in traces[1:]:
        assert all(np.array_equal(trace.weights[index], traces[0].weights[index]) for index in (0, 1))
    assert files_under(Path("out")) == [
        "000000-4.npz", "000001-1.npz", "000002-2.npz", "000003-3.npz"
    ]  # fmt: skip
    assert "4 samples" in succeed(capsys, "run", "out", "--tws", 2).lines[0]


def test_first_trace_is_the_one_made_alone_and_like_gives_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    succeed(capsys, *MANY, "--limit", 1, "--seed", 4, "--activity", 0.1)
    shown = succeed(capsys, "trace", "convert", "rec/Test/7/4.bin", "--network", "net.yaml",
                    "--seed", 4, "--activity", 0.1, "--out", "one.npz")  # fmt: skip
    assert "60 events:" in shown.out
    alone, first = sx.load_trace("one.npz"), sx.load_traces("out")[0]
    assert alone.layers == first.layers and spikes_of(alone) == spikes_of(first) and alone.label == 7
    succeed(capsys, *MANY[:3], "--like", "one.npz", "--out", "again")
    again = sx.load_traces("again")
    assert {trace.layers for trace in again} == {alone.layers}
    assert all(np.array_equal(trace.weights[1], alone.weights[1]) for trace in again)


def test_generated_spikes_become_samples_of_one_network(capsys: pytest.CaptureFixture[str]) -> None:
    def synth(seed: int, *options: object) -> None:
        drawn = ("trace", "synth", "--kind", "bernoulli", "--rate", 0.2, "--seed", seed)
        succeed(capsys, *drawn, *options, "--out", f"set/{seed}.npz")

    synth(1, "--network", "net.yaml")
    synth(2, "--network", "net.yaml")
    is_mistake(spikex(capsys, "run", "set"), "set/2.npz", "`trace synth --like FILE`")
    synth(2, "--like", "set/1.npz")
    first, second = sx.load_traces("set")
    assert first.layers == second.layers and spikes_of(first) != spikes_of(second)
    assert "2 samples" in succeed(capsys, "run", "set", "--tws", 2, "--out", "o").lines[0]
    assert [sample.name for sample in sx.load_results("o").samples] == [first.name, "2"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("synth --kind layers", ("--like: is for digit and gesture", "not for layers")),
        ("synth --network net.yaml", ("--like: cannot be given together with --network",)),
        ("synth --layer one", ("--like: cannot be given together with --layer",)),
        ("synth --activity 0.1", ("--like: cannot be given together with --activity",)),
        ("convert rec --activity 0.1", ("--like: cannot be given together with --activity",)),
        ("convert rec --seed 0", ("--like: cannot be given together with --seed",)),
    ],
)
def test_like_says_weights_and_thresholds(
    capsys: pytest.CaptureFixture[str], line: str, words: tuple[str, ...]
) -> None:
    is_mistake(spikex(capsys, "trace", *line.split(), "--like", "one.npz", "--out", "x.npz"), *words)


def test_recordings_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    line = ("trace", "convert", "rce", "--split", "test", "--limit", 2, "--out", "x")
    is_mistake(spikex(capsys, *line), "rce: no such file or folder; did you mean rec?")


def test_a_trace_is_no_recording(capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, *MANY)
    said = "is a trace, no recordings; --int8 alone converts one"
    is_mistake(spikex(capsys, "trace", "convert", "out/000000-4.npz", "--out", "x.npz"), "000000-4.npz", said)
    is_mistake(spikex(capsys, "trace", "convert", "out", "--out", "x"), "000000-4.npz", said)


def test_split_and_limit(capsys: pytest.CaptureFixture[str]) -> None:
    def labels(*options: object) -> list[Any]:
        succeed(capsys, *MANY[:-1], f"o{options}", *options)
        return [(trace.label, trace.name.removesuffix("-net")) for trace in sx.load_traces(f"o{options}")]

    assert labels("--split", "test") == [(7, "Test/7/4")]
    assert labels("--split", "train", "--limit", 2) == [(3, "Train/3/1"), (7, "Train/7/3")]
    assert labels("--limit", 3) == [(7, "Test/7/4"), (3, "Train/3/1"), (7, "Train/7/3")]


def test_samples_of_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    def names(out: str, *options: object) -> list[str]:
        succeed(capsys, "trace", "convert", "many.npz", "--network", "net.yaml", "--out", out, *options)
        return [trace.name.removesuffix("-net") for trace in sx.load_traces(out)]

    assert names("a", "--samples", "all") == ["many-0", "many-1", "many-2", "many-3"]
    assert names("b", "--samples", "3, 0-1") == ["many-3", "many-0", "many-1"]
    assert names("c", "--samples", "all", "--split", "test") == ["many-3"]
    assert names("d", "--samples", "1-3", "--limit", 2) == ["many-1", "many-2"]
    succeed(capsys, *MANY)
    everything = {
        name: spikes_of(trace) for name, trace in zip(sorted(FILES), sx.load_traces("out"), strict=True)
    }
    for trace, name in zip(sx.load_traces("a"), FILES, strict=True):
        assert spikes_of(trace) == everything[name]


def test_gestures_are_cut_by_their_labels(capsys: pytest.CaptureFixture[str]) -> None:
    Path("dvs").mkdir()
    events = random_events(9)
    wide = [(20 * x, 20 * y, p, t) for x, y, p, t in events]
    Path("dvs/user01_led.aedat").write_bytes(aedat31_bytes(polarity_packet(wide, invalid=(0,))))
    Path("dvs/user01_led_labels.csv").write_text(
        "class,startTime_usec,endTime_usec\n5,1000,9000\n11,9000,20000\n"
    )
    Path("dvs/trials_to_train.txt").write_text("user01_led.aedat\n")
    layer = "{name: one, kind: conv, in_channels: 2, out_channels: 4, kernel: 3, in_height: 32, in_width: 32}"
    Path("wide.yaml").write_text(f"name: wide\ntimesteps: 8\nlayers:\n  - {layer}\n")
    shown = succeed(capsys, "trace", "convert", "dvs", "--split", "train", "--step-ms", 1, "--network",
                    "wide.yaml", "--out", "out")  # fmt: skip
    traces = sx.load_traces("out")
    assert [trace.label for trace in traces] == [4, 10]
    for trace, (start, end) in zip(traces, ((1000, 9000), (9000, 20_000)), strict=True):
        part = [(x, y, p, t - start) for x, y, p, t in wide[1:] if start <= t < end]
        spikes, *_ = by_duration(part, 8, 1000, 4)
        assert spikes_of(trace) == spikes
    outside = sum(not 1000 <= event[3] < 20_000 for event in events[1:])
    assert f"outside of the labelled spans in the files: {outside}" in shown.lines
    assert "invalid events in the files: 1" in shown.lines


def test_an_empty_folder_is_filled_and_a_full_one_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    succeed(capsys, *MANY)
    before = files_under(Path())
    is_mistake(spikex(capsys, *MANY), "out: is not empty")
    assert files_under(Path()) == before


def test_nothing_is_left_where_one_file_is_damaged(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rec/Train/7/3.bin").write_bytes(nmnist_bytes(FILES["Train/7/3.bin"])[:-2])
    is_mistake(spikex(capsys, *MANY), "rec/Train/7/3.bin", "truncated")
    assert not Path("out").exists() and not list(Path().glob(".*"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rec --out out --sample 0", ("--sample: is for one file", "rec is a folder")),
        ("rec --out out --samples all", ("--samples: is for one file",)),
        ("rec --out out.npz", ("out.npz: is the name of a trace",)),
        ("rec --out net.yaml", ("net.yaml: is read by this command",)),
        ("rec --out net.yaml/out", ("net.yaml",)),
        ("rec --out out --split valid", ("--split: must be one of train, test, all, not valid",)),
        ("rec --out out --limit 0", ("--limit",)),
        ("rec --out out --step-ms 1 --step-events 5", ("--step-events: cannot be given together with",)),
        ("rec --out out --step-events 0", ("--step-events",)),
        ("rec --out out --sensor 6", ("--sensor: wants rows and columns",)),
        ("rec --out out --sensor 0x6", ("--sensor: wants rows and columns",)),
        ("rec --out out --sensor 7x7", ("a 7x7 sensor cannot be pooled",)),
        ("rec --out out --sensor 12x6", ("a 12x6 sensor cannot be pooled",)),
        ("rec --out out --at-most-once", ("--at-most-once: is for recorded layers",)),
        ("rec/Train --split test --out out", ("rec/Train: holds no recording", "of the test part")),
        ("many.npz --out out --split test", ("--split: is for a folder of recordings",)),
        ("many.npz --out out --limit 3", ("--limit: is for a folder of recordings",)),
        ("many.npz --out out --samples 0 --sample 1", ("--samples: cannot be given together with --sample",)),
        ("many.npz --out out --samples 0-4", ("--samples: many.npz has no sample 4; samples are 0 to 3",)),
        ("many.npz --out out --samples 0-999999999", ("no sample 999999999",)),
        ("many.npz --out out --samples 1,0-2", ("--samples: '1,0-2' names a sample twice",)),
        ("many.npz --out out --samples 0-3,0-3,0-3", ("names a sample twice",)),
        ("many.npz --out out --samples 2-1", ("--samples: wants all, or numbers",)),
        ("many.npz --out out --samples x", ("--samples: wants all, or numbers",)),
        ("many.npz --out out --samples all --sensor 12x12", ("--sensor: differs from the 6x6",)),
        ("net.yaml --out out.npz", ("net.yaml", "is no recording that is read: .npz, .npy, HDF5, CSV")),
        ("absent --out out", ("absent: no such file",)),
        ("empty --out out", ("empty: holds no recordings",)),
        ("a" * 300 + " --out out", ("aaa", "cannot be read: File name too long")),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], line: str, words: tuple[str, ...]) -> None:
    Path("empty").mkdir()
    before = files_under(Path())
    network = () if "--network" in line else ("--network", "net.yaml")
    is_mistake(spikex(capsys, "trace", "convert", *line.split(), *network), *words)
    assert files_under(Path()) == before and not Path("out").exists()


def test_coordinates_off_the_sensor_name_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rec/Train/3/1.bin").write_bytes(nmnist_bytes([(1, 5, 0, 3), (6, 2, 0, 5)]))
    event = "x: must be 0 to 5, not 6: event 1 is at x 6, y 2, off the sensor of 6x6 (rows x columns)"
    place = f"rec/Train/3/1.bin: {event}"
    is_mistake(spikex(capsys, *MANY), f"{place}; --sensor ROWSxCOLUMNS says how large it is")
    with pytest.raises(sx.TraceError, match=re.escape(place)):
        load_samples("rec", (2, SIDE, SIDE), STEPS, split="train").spikes(0)
    succeed(capsys, *MANY, "--sensor", "12x12")
