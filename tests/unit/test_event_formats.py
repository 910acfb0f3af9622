"""Formats of recordings that people have: what was written comes back, what is not read is named."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from drawn_events import COLUMNS, EVENTS, drawn, from_first, listed, read, records, refused
from naive_events import (
    aedat2_bytes,
    by_duration,
    dat_bytes,
    es_bytes,
    evt2_bytes,
    evt3_bytes,
    spread_us,
)
from spikex_sim.core.origin import pip_install
from spikex_sim.sources.events.collection import find_recordings
from spikex_sim.sources.events.columns import Reading
from spikex_sim.sources.events.formats import load_recordings
from spikex_sim.sources.samples import load_samples


class TestCameras:
    @pytest.mark.parametrize(
        ("data", "sensor"),
        [
            (aedat2_bytes(drawn(side=128, start=77)), (128, 128)),
            (aedat2_bytes(drawn(side=128, start=77), "ch.unizh.ini.jaer.chip.retina.DVS128"), (128, 128)),
            (aedat2_bytes(drawn(side=128, start=77), "eu.seebetter.ini.chips.davis.Davis346B"), (260, 346)),
            (dat_bytes(drawn(side=128, start=77)), (240, 304)),
            (dat_bytes(drawn(side=128, start=77), kind=0), (240, 304)),
            (dat_bytes(drawn(side=128, start=77), "% Version 1\n"), None),
        ],
        ids=["aedat2", "dvs128", "davis346", "dat", "dat-2d", "dat1"],
    )
    def test_events_and_sensor(self, tmp_path: Path, data: bytes, sensor: Any) -> None:
        recordings = read(tmp_path / "a", data)
        assert (recordings.sensor, len(recordings)) == (sensor, 1)
        assert listed(recordings.sample(0)) == from_first(drawn(side=128, start=77))

    def test_what_is_no_event_of_a_pixel_is_counted(self, tmp_path: Path) -> None:
        frames = read(tmp_path / "a", aedat2_bytes(EVENTS, "x.DAVIS346", other=(1 << 31, 1 << 10, 1 << 31)))
        assert frames.tally == {"other events": 3} and listed(frames.sample(0)) == from_first(EVENTS)

    def test_an_event_may_begin_like_a_header(self, tmp_path: Path) -> None:
        events = [(5, 259 - (0x23 << 2), 1, 0), (6, 7, 0, 9)]
        data = aedat2_bytes(events, "x.DAVIS346")
        assert data[-16:].startswith(b"#")
        assert listed(read(tmp_path / "a", data).sample(0)) == events

    def test_dat_of_another_writer_and_reader(self, tmp_path: Path) -> None:
        faery = pytest.importorskip("faery")
        given = np.zeros(len(EVENTS), faery.EVENTS_DTYPE)
        for mine, theirs in zip("xypt", ("x", "y", "on", "t"), strict=True):
            given[theirs] = COLUMNS[mine]
        for version in ("dat1", "dat2"):
            path = tmp_path / f"{version}.dat"
            faery.events_stream_from_array(given, (34, 34)).to_file(path, version=version)
            assert listed(load_recordings(path).sample(0)) == from_first(EVENTS)
        (tmp_path / "mine.dat").write_bytes(dat_bytes(EVENTS))
        assert np.array_equal(faery.events_stream_from_file(tmp_path / "mine.dat").to_array(), given)

    @pytest.mark.parametrize(
        ("name", "data", "sensor"),
        [
            ("2.raw", evt2_bytes(EVENTS), (480, 640)),
            ("3.raw", evt3_bytes(EVENTS), (480, 640)),
            ("bare.raw", evt3_bytes(EVENTS, "% evt 3.0\n% end\n"), None),
            ("a.es", es_bytes(EVENTS, 640, 480), (480, 640)),
        ],
    )
    def test_files_for_faery(self, tmp_path: Path, name: str, data: bytes, sensor: Any) -> None:
        pytest.importorskip("faery")
        recordings = read(tmp_path / name, data)
        assert recordings.sensor == sensor and listed(recordings.sample(0)) == from_first(EVENTS)

    def test_a_clock_of_24_bits_wraps(self, tmp_path: Path) -> None:
        pytest.importorskip("faery")
        events = [(x, y, p, 60 * t) for x, y, p, t in from_first(EVENTS)]
        assert events[-1][3] > 2 << 24
        assert listed(read(tmp_path / "a.raw", evt3_bytes(events)).sample(0)) == events

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (evt3_bytes(EVENTS)[:-1], ("no multiple of the 2 of a word: truncated",)),
            (evt2_bytes(EVENTS)[:-2], ("no multiple of the 4 of a word: truncated",)),
            (evt2_bytes([(640, 0, 0, 0)]), ("is no EVT (.raw) that faery reads", "640")),
            (b"% evt 9.0\n% end\n", ("is no EVT (.raw) that faery reads", "9.0")),
            (evt3_bytes([]), ("holds no events",)),
            (b"Event Stream\x02\0\0\0" + bytes(9), ("is no Event Stream (.es) that faery reads", "generic")),
            (b"Event Stream", ("is no Event Stream (.es) that faery reads",)),
        ],
        ids=range(7),
    )
    def test_mistakes_in_files_for_faery(self, tmp_path: Path, data: bytes, words: tuple[str, ...]) -> None:
        pytest.importorskip("faery")
        (tmp_path / "a").write_bytes(data)
        refused(tmp_path / "a", str(tmp_path), *words)

    @pytest.mark.parametrize("data", [evt2_bytes(EVENTS), evt3_bytes(EVENTS), es_bytes(EVENTS, 99, 99)])
    def test_without_faery(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
        monkeypatch.setitem(sys.modules, "faery", None)
        monkeypatch.setitem(sys.modules, "faery.file_decoder", None)
        (tmp_path / "a").write_bytes(data)
        refused(tmp_path / "a", pip_install("events"), "the package faery", ".npz, .npy, HDF5, CSV, AEDAT")

    def test_as_many_events_as_a_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("faery")
        for most in (len(EVENTS), len(EVENTS) - 1):
            monkeypatch.setattr("spikex_sim.sources.events.faery_files.MAX_EVENTS", most)
            (tmp_path / "a").write_bytes(evt2_bytes(EVENTS))
            if most < len(EVENTS):
                refused(tmp_path / "a", "holds more than 399 events; split it")
            else:
                assert len(load_recordings(tmp_path / "a").x) == len(EVENTS)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (dat_bytes(EVENTS)[:-3], ("no multiple of 8: truncated",)),
            (dat_bytes(EVENTS, kind=14), ("events of type [14] and size [8]; types 0 and 12",)),
            (dat_bytes(EVENTS, "% Version 3\n"), ("version 3",)),
            (b"% Version 2\n", ("type [] and size []",)),
            (dat_bytes([(0, 0, 2, 0)]), ("p: must be 0 to 1, not 2",)),
            (dat_bytes([(304, 0, 0, 0)]), ("x: must be 0 to 303, not 304",)),
            (dat_bytes(EVENTS[::-1]), ("t: falls from",)),
            (b"% Version 2\n" * 9000, ("header of more than 65536 bytes",)),
            (aedat2_bytes(EVENTS)[:-1], ("no multiple of the 8 of an event",)),
            (aedat2_bytes(EVENTS, "cochlea.CochleaAMS1c"), ("AEChip: is of the camera COCHLEAAMS1",)),
            (aedat2_bytes([(0, 0, 0, -5)]), ("t: has the negative time -5",)),
            (aedat2_bytes(EVENTS[::-1]), ("t: falls from",)),
            (b"#!AER-DAT2.0\r\n", ("holds no events of pixels",)),
            (b"#!AER-DAT2.0\r\n" + b"# x\r\n" * 300_000, ("header of more than 1048576 bytes",)),
        ],
        ids=range(14),
    )
    def test_mistakes(self, tmp_path: Path, data: bytes, words: tuple[str, ...]) -> None:
        (tmp_path / "a").write_bytes(data)
        refused(tmp_path / "a", str(tmp_path), *words)

    @pytest.mark.parametrize(
        ("reading", "option"),
        [({"time_unit": "ms"}, "--time-unit"), ({"columns": tuple("xypt")}, "--columns")],
    )
    def test_what_a_file_says_itself(self, tmp_path: Path, reading: Any, option: str) -> None:
        (tmp_path / "a").write_bytes(dat_bytes(EVENTS))
        refused(tmp_path / "a", f"{option}: is said by {tmp_path}/a itself", **reading)


class TestArrays:
    @pytest.mark.parametrize(
        "columns",
        [
            COLUMNS,
            COLUMNS | {"p": COLUMNS["p"].astype(bool)},
            COLUMNS | {"p": 2 * COLUMNS["p"] - 1},
            {key: value.astype(float) for key, value in COLUMNS.items()},
            {name: COLUMNS[name[0].lower()] for name in ("xs", "ys", "polarity", "Timestamp")},
            {"events": records(x="<i2", y="<u2", p="?", t="<i8")},
            {"a": records(timestamp="<u8", x="u1", y="i1", pol="i1", spare="<f4")},
        ],
        ids=["ints", "bool", "signs", "floats", "names", "records", "more"],
    )
    def test_one_recording_in_an_npz(self, tmp_path: Path, columns: Any) -> None:
        np.savez(tmp_path / "a.npz", **columns)
        recordings = load_recordings(tmp_path / "a.npz")
        assert listed(recordings.sample(0)) == EVENTS and len(recordings) == 1
        assert not recordings.x.flags.writeable

    @pytest.mark.parametrize(("unit", "scale"), [("s", 1e-6), ("ms", 1e-3), ("us", 1), ("ns", 1000)])
    def test_units_of_time(self, tmp_path: Path, unit: str, scale: float) -> None:
        np.savez(tmp_path / "a.npz", **COLUMNS | {"t": COLUMNS["t"] * scale})
        assert listed(load_recordings(tmp_path / "a.npz", Reading(unit)).sample(0)) == EVENTS
        if unit == "ns":
            np.savez(tmp_path / "a.npz", **COLUMNS | {"t": COLUMNS["t"] * 1000 + 999})
            assert listed(load_recordings(tmp_path / "a.npz", Reading(unit)).sample(0)) == EVENTS

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_npy(self, tmp_path: Path, order: Any) -> None:
        for table in (records(x="<i2", y="<i2", p="?", t="<i8"), records(t=">u4", p="u1", y=">u2", x=">u2")):
            np.save(tmp_path / "a.npy", table)
            assert listed(load_recordings(tmp_path / "a.npy").sample(0)) == EVENTS
        for kind in (np.int64, np.float64):
            plain = np.stack([COLUMNS[key] for key in "tyxp"], 1).astype(kind)
            np.save(tmp_path / "a.npy", np.asarray(plain, order=order))
            reading = Reading(columns=("t", "y", "x", "p"))
            assert listed(load_recordings(tmp_path / "a.npy", reading).sample(0)) == EVENTS
            refused(tmp_path / "a.npy", "4 columns without names; `trace convert --columns t,x,y,p`")
            refused(tmp_path / "a.npy", "x,y,p,t,_ are 5 columns", "has 4", columns=(*"xypt", "_"))

    def test_padded_records(self, tmp_path: Path) -> None:
        """NumPy writes the gaps of an aligned type as fields without names."""
        kind = np.dtype([("x", "u1"), ("y", "<i4"), ("p", "?"), ("t", "<i8")], align=True)
        table = np.zeros(len(EVENTS), kind)
        for key in "xypt":
            table[key] = COLUMNS[key]
        np.save(tmp_path / "a.npy", table)
        assert listed(load_recordings(tmp_path / "a.npy").sample(0)) == EVENTS

    @pytest.mark.parametrize(
        ("arrays", "words"),
        [
            (
                {"frames": np.zeros((16, 2, 9, 9), int)},
                ("holds an array [16, 2, 9, 9], frames", "from_arrays"),
            ),
            (
                {"data": np.zeros((3, 16, 2, 9, 9)), "label": np.zeros(3)},
                ("a.npz: data: holds an array [3, 16",),
            ),
            ({"a": np.zeros(3), "b": np.zeros(3)}, ("x: is missing", "there is a, b")),
            ({"a": np.zeros(3)}, ("holds float64 [3], no events",)),
            (COLUMNS | {"t": COLUMNS["t"] / 1e6}, ("t: holds fractions", "--time-unit s")),
            (COLUMNS | {"t": np.full(400, np.nan)}, ("t: is nan, out of range",)),
            (COLUMNS | {"t": np.full(400, 1e300)}, ("t: is 1e+300, out of range",)),
            (COLUMNS | {"p": COLUMNS["p"] - 1 - (COLUMNS["x"] > 3)}, ("p: must be 0 to 1, not -",)),
            (COLUMNS | {"p": COLUMNS["x"].astype("U3")}, ("p: must be a list of numbers, not <U3",)),
            ({"x": np.array([{}])}, ("pickled",)),
        ],
        ids=range(10),
    )
    def test_npz_that_is_something_else(self, tmp_path: Path, arrays: Any, words: tuple[str, ...]) -> None:
        np.savez(tmp_path / "a.npz", **arrays)
        refused(tmp_path / "a.npz", str(tmp_path), *words)

    def test_npy_that_is_something_else(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npy"
        for array, words in (
            (np.zeros((16, 2, 9, 9)), ("holds an array [16, 2, 9, 9], frames",)),
            (np.zeros(9), ("holds float64 [9], no events",)),
            (np.array([{}]), ("pickled",)),
            (records(t="<i8", x="<i2", y="<i2", w="<i2"), ("p: is missing", "there is t, x, y, w")),
            (np.zeros(3, [("x", "<i2", (2,))]), ("records of the type", "fields of plain numbers are read")),
            (np.zeros(3, [("x", [("y", "<i2")])]), ("records of the type",)),
            (np.zeros(3, [("x", "O")]), ("records of the type",)),
        ):
            np.save(path, array)
            refused(path, str(path), *words)
        np.save(path, records(x="<i2", y="<i2", p="?", t="<i8"))
        whole = path.read_bytes()
        for data, words in (
            (whole[:-1], ("truncated or damaged: declares", "5.078 KiB")),
            (whole + b"x", ("truncated or damaged",)),
            (whole[:20], ("truncated or damaged: it has no whole header",)),
            (whole.replace(b"(400,)", b"(999999999999,)")[:200], ("truncated or damaged",)),
        ):
            path.write_bytes(data)
            refused(path, str(path), *words)


class TestHdf5:
    @pytest.mark.parametrize(
        "layout",
        [
            {key: COLUMNS[key] for key in "xypt"},
            {f"events/{key}": COLUMNS[key] for key in "xypt"},
            {f"events/{key}s": COLUMNS[key] for key in "xypt"} | {"images/image0": np.zeros((9, 9))},
            {f"davis/left/{key}": COLUMNS[key] for key in "xypt"} | {"davis/left/ms_to_idx": np.zeros(9)},
            {"CD/events": records(x="<u2", y="<u2", p="<i2", t="<i8"), "CD/indexes": np.zeros(9)},
            {"events": records(timestamp="<i8", x="<u2", y="<u2", polarity="?")},
            {"events/x": COLUMNS["x"], "events/y": COLUMNS["y"], "events/t": COLUMNS["t"],
             "events/p": COLUMNS["p"].astype(bool)},
        ],
        ids=["root", "events", "xs", "deep", "table", "names", "bool"],
    )  # fmt: skip
    @pytest.mark.parametrize("packing", [{}, {"compression": "gzip"}])
    def test_layouts(self, tmp_path: Path, layout: Any, packing: Any) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            for key, array in layout.items():
                file.create_dataset(key, data=array, **packing)
            file["text"] = "by hand"
            file["link"] = h5py.SoftLink("/elsewhere")
            file["away"] = h5py.ExternalLink("b.h5", "/x")
        assert listed(load_recordings(tmp_path / "a.h5").sample(0)) == EVENTS

    def test_a_table_without_names(self, tmp_path: Path) -> None:
        table = np.stack([COLUMNS["x"], COLUMNS["y"], COLUMNS["t"] / 1e6, 2 * COLUMNS["p"] - 1], 1)
        with h5py.File(tmp_path / "a.hdf5", "w") as file:
            file["davis/left/events"], file["davis/left/image"] = table, np.zeros((3, 9, 9))
        reading = Reading("s", tuple("xytp"))
        assert listed(load_recordings(tmp_path / "a.hdf5", reading).sample(0)) == EVENTS

    @pytest.mark.parametrize(
        ("layout", "words"),
        [
            ({f"spikes/{key}": np.zeros((3, 5)) for key in ("times", "units")}, ("as SHD does",)),
            ({f"{side}/{key}": COLUMNS[key] for side in ("left", "right") for key in "xypt"},
             ("events in several places, left, right",)),
            ({"a": np.zeros(3), "b/c": np.zeros(3)}, ("holds no events", "--columns", "there is a, b/c")),
            ({"frames": np.zeros((16, 2, 9, 9))}, ("frames: holds an array [16, 2, 9, 9]",)),
            ({f"events/{key}": np.zeros(2 if key == "y" else 3) for key in "xypt"},
             ("y: has 2 events, x has 3",)),
            ({"meta": np.zeros(3)}, ("is a trace",)),
        ],
        ids=range(6),
    )  # fmt: skip
    def test_that_is_something_else(self, tmp_path: Path, layout: Any, words: tuple[str, ...]) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            for key, array in layout.items():
                file[key] = array
        refused(tmp_path / "a.h5", str(tmp_path), *words)

    def test_storage_that_is_odd(self, tmp_path: Path) -> None:
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            for key in "xyp":
                file[key] = COLUMNS[key]
            file.create_dataset("t", (1 << 40,), "i8", chunks=(1024,))
        refused(path, "t: declares int64", "8 TiB")
        with h5py.File(path, "w") as file:
            for key in "xyp":
                file[key] = COLUMNS[key]
            file.create_dataset("t", data=COLUMNS["t"], compression="lzf")
        refused(path, "t: uses HDF5 filter 32000 (LZF); write it with gzip")
        path.write_bytes(path.read_bytes()[:2000])
        refused(path, "truncated, damaged or not HDF5")

    def test_labelled_samples_of_hdf5(self, tmp_path: Path) -> None:
        """A folder with events in HDF5 is no folder of traces."""
        for label in ("3", "4"):
            (tmp_path / label).mkdir()
            with h5py.File(tmp_path / label / "a.h5", "w") as file:
                for key in "xypt":
                    file[key] = COLUMNS[key]
        samples = load_samples(tmp_path, (2, 34, 34), 30, split="all")
        assert samples.labels == (3, 4)
        assert (
            set(map(tuple, np.argwhere(samples.spikes(1)).tolist()))
            == by_duration(EVENTS, 30, spread_us(EVENTS, 30))[0]
        )


def lines(separator: str, *names: str, fmt: str = "%d") -> str:
    rows = zip(*(COLUMNS[name[0].lower()] for name in names), strict=True)
    return "".join(separator.join(fmt % value for value in row) + "\n" for row in rows)


class TestText:
    @pytest.mark.parametrize(
        "text",
        [
            "t,x,y,p\n" + lines(",", *"txyp"),
            "\ufeffx;y;polarity;timestamp\r\n" + lines(";", *"xypt").replace("\n", "\r\n"),
            "# made by hand\n\n# x y p t\n" + lines(" ", *"xypt"),
            '"t"\t"x"\t"y"\t"p"\n' + lines("\t", *"txyp"),
            "Timestamp, X, Y, Polarity\n" + lines(", ", *"txyp"),
            "t,x,y,on,n\n" + lines(",", *"txypx"),
            "t,x,y,p\n" + lines(",", *"txyp", fmt="%.1f"),
        ],
        ids=["csv", "semicolons", "spaces", "tabs", "names", "more", "floats"],
    )
    def test_with_names(self, tmp_path: Path, text: str) -> None:
        assert listed(read(tmp_path / "a.csv", text.encode()).sample(0)) == EVENTS

    def test_without_names(self, tmp_path: Path) -> None:
        for separator in ", \t;":
            text = lines(separator, *"xypt").encode()
            assert listed(read(tmp_path / "a.txt", text, columns=tuple("xypt")).sample(0)) == EVENTS
        refused(tmp_path / "a.txt", "4 columns without names", "--columns t,x,y,p")

    def test_seconds(self, tmp_path: Path) -> None:
        text = "".join(f"{t / 1e6:.6f} {x} {y} {p}\n" for x, y, p, t in EVENTS).encode()
        assert (
            listed(read(tmp_path / "a.txt", text, time_unit="s", columns=tuple("txyp")).sample(0)) == EVENTS
        )
        refused(tmp_path / "a.txt", "t: holds fractions", "--time-unit s", columns=tuple("txyp"))

    def test_truth_values(self, tmp_path: Path) -> None:
        text = "x,y,p,t\n" + "".join(f"{x},{y},{bool(p)},{t}\n" for x, y, p, t in EVENTS)
        assert listed(read(tmp_path / "a.csv", text.encode()).sample(0)) == EVENTS
        refused_text = text + "1,1,maybe,99999999\n"
        (tmp_path / "a.csv").write_text(refused_text)
        refused(tmp_path / "a.csv", "p: is neither True nor False")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("t,x,y\n1,2,3\n", ("p: is missing", "there is t, x, y")),
            ("t,x,y,p\n", ("holds no events",)),
            ("t,x,y,p\n1,2,3\n", ("names 4 columns and has 3",)),
            ("t,x,y,p\n1,2,3,0\n1,2\n", ("truncated or damaged", "row 2")),
            ("t,x,y,p\n1,2,3,0\n1,2,3,0.5\n", ("truncated or damaged", "'0.5'")),
            ("t,x,y,p\n1,2,3,0\nnan,2,3,0\n", ("truncated or damaged", "'nan'")),
            ("t,x,y,p\n1,2,3,0\n" + "9" * 40 + ",2,3,0\n", ("truncated or damaged",)),
            ("t,x,y,p\nfoo,2,3,0\n", ("starts with 'foo,2,3,0', no columns of events",)),
            ("t,x,y,p\n1,20000,3,0\n", ("x: must be 0 to 16383, not 20000",)),
            ("t,x,y,p\n-1,2,3,0\n", ("t: must be 0 to", "not -1")),
            ("t,x,y,p\n" + "# \n" * 2000, ("more than 1024 lines before",)),
            ("t,x,y,p\n1,2,3,0\n\x00\n", ("truncated or damaged",)),
        ],
        ids=range(12),
    )
    def test_mistakes(self, tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
        (tmp_path / "a.csv").write_text(text)
        refused(tmp_path / "a.csv", str(tmp_path), *words)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\x80\x04K\x01.", "looks like a Python pickle, which is never loaded"),
        (b"\x1f\x8b\x08", "is gzip-compressed; unpack it first"),
        (b"#ROSBAG V2.0\n", "is a ROS bag; write its events as .npz, .h5 or .csv"),
        (b"MATLAB 5.0 MAT-file", "is a MATLAB file; save it with -v7.3"),
        (b"name: net\n", "is no recording that is read: .npz, .npy, HDF5, CSV or text"),
        (bytes(99), "is no recording that is read: .npz"),
        (b"\xff\xfe1\x002\x00", "is no recording that is read: .npz"),
    ],
    ids=range(8),
)
def test_other_files_are_named(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a").write_bytes(data)
    refused(tmp_path / "a", str(tmp_path), words)


def test_tables_beside_recordings_of_a_camera_describe_these(tmp_path: Path) -> None:
    def found() -> list[str]:
        return [one.name for one in find_recordings(tmp_path)]

    for name, expected in (("b.txt", ["b.txt"]), ("a.csv", ["a.csv", "b.txt"]), ("boxes.npy", ["boxes.npy"]),
                           ("c.h5", ["boxes.npy", "c.h5"]), ("c_td.dat", ["c_td.dat"]),
                           ("a.raw", ["a.raw", "c_td.dat"])):  # fmt: skip
        (tmp_path / name).write_bytes(b"")
        assert found() == expected
