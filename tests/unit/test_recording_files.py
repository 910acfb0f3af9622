"""Readers of recordings: files written byte by byte come back, damaged ones are refused in one line."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import shared_data
from naive_events import (
    aedat2_bytes,
    aedat4_bytes,
    aedat31_bytes,
    dat_bytes,
    description_of,
    es_bytes,
    event_packet,
    evt3_bytes,
    io_header,
    nmnist_bytes,
    polarity_packet,
    sized,
)
from spikex_sim.core.errors import TraceError
from spikex_sim.core.origin import pip_install
from spikex_sim.sources.events.collection import find_recordings
from spikex_sim.sources.events.formats import load_recordings, recording_format

EVENTS = [(0, 1, 0, 100), (3, 2, 1, 100), (3, 2, 1, 150), (5, 3, 0, 4200), (1, 0, 1, 9000)]


def listed(events):
    columns = (events.x, events.y, events.polarity, events.t_us)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def shifted(events, by):
    return [(x, y, p, t + by) for x, y, p, t in events]


def written(tmp_path, data, name="r.bin"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def refused(path, *words):
    with pytest.raises(TraceError) as caught:
        load_recordings(path)
    message = str(caught.value)
    assert message.startswith(str(path.parent)) and message.isprintable()
    for word in words:
        assert word in message, message


class TestNmnist:
    def test_events_and_label(self, tmp_path):
        for folder, label in (("Train/5", 5), ("airplanes", None)):
            recordings = load_recordings(written(tmp_path, nmnist_bytes(EVENTS), f"{folder}/00001.bin"))
            one = recordings.sample(0)
            assert (len(recordings), recordings.sensor, one.label) == (1, None, label)
            assert listed(one) == EVENTS
            assert not recordings.x.flags.writeable

    def test_bits_by_hand(self, tmp_path):
        # x 33, y 7, ON, t = 0x012345
        assert listed(load_recordings(written(tmp_path, bytes([33, 7, 0x81, 0x23, 0x45]))).sample(0)) == [
            (33, 7, 1, 0x12345)
        ]

    def test_overflow_entries_move_the_clock_and_are_no_events(self, tmp_path):
        events = [*EVENTS, (2, 2, 1, (1 << 23) + 7), (2, 2, 0, (1 << 23) + 20_000)]
        data = nmnist_bytes(events)
        recordings = load_recordings(written(tmp_path, data))
        assert listed(recordings.sample(0)) == events
        assert recordings.tally == {"overflows of the clock": len(data) // 5 - len(events)}
        assert len(data) // 5 > len(events)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", ("is empty",)),
            (nmnist_bytes(EVENTS)[:-1], ("24 bytes", "truncated")),
            (nmnist_bytes(EVENTS[::-1]), ("t: falls from 9000 to 4200 at event 1",)),
        ],
    )
    def test_mistakes(self, tmp_path, data, words):
        refused(written(tmp_path, data), *words)

    def test_real_recordings_survive(self, tmp_path):
        """Samples of N-MNIST in its own format come back as they were."""
        recordings = load_recordings(shared_data("nmnist_small.npz"))
        assert recordings.splits is not None and np.bincount(recordings.splits).tolist() == [1000, 100]
        for index in (0, 1, 500, 1099):
            sample = recordings.sample(index)
            path = written(tmp_path, nmnist_bytes(listed(sample)), f"{sample.label}/{index}.bin")
            again = load_recordings(path).sample(0)
            assert again.label == sample.label and listed(again) == listed(sample)


class TestAedat31:
    def test_events_times_and_sensor(self, tmp_path):
        later = [(9, 8, 1, 3), (127, 127, 0, 4)]
        data = aedat31_bytes(polarity_packet(EVENTS), polarity_packet(later, overflow=2))
        recordings = load_recordings(written(tmp_path, data, "r.aedat"))
        start = EVENTS[0][3]
        assert (recordings.sensor, recordings.labels) == ((128, 128), None)
        assert listed(recordings.sample(0)) == shifted(EVENTS, -start) + shifted(later, (2 << 31) - start)

    def test_other_and_invalid_events_are_counted(self, tmp_path):
        data = aedat31_bytes(
            polarity_packet(EVENTS, kind=0),
            polarity_packet(EVENTS, invalid=(1, 4)),
            polarity_packet(EVENTS[:1], kind=40),
            polarity_packet([], kind=3),
        )
        recordings = load_recordings(written(tmp_path, data, "r.aedat"))
        assert listed(recordings.sample(0)) == shifted([EVENTS[0], EVENTS[2], EVENTS[3]], -100)
        assert recordings.tally == {
            "special events": 5, "invalid events": 2, "other events": 1, "IMU6 events": 0
        }  # fmt: skip

    def test_a_row_of_labels_is_a_sample(self, tmp_path):
        path = written(tmp_path, aedat31_bytes(polarity_packet(EVENTS)), "user01_led.aedat")
        rows = "class,startTime_usec,endTime_usec\r\n11,100,150\r\n1,150,4200\r\n3,140,160\r\n2,5000,6000\r\n"
        (tmp_path / "user01_led_labels.csv").write_text(rows)
        recordings = load_recordings(path)
        assert recordings.labels.tolist() == [10, 0, 2, 1]
        assert [listed(recordings.sample(index)) for index in range(4)] == [
            shifted(EVENTS[:2], -100), shifted(EVENTS[2:3], -150), shifted(EVENTS[2:3], -140), []
        ]  # fmt: skip
        assert recordings.tally["outside of the labelled spans"] == 2
        assert recordings.tally["taken again where spans overlap"] == 1
        assert len(recordings.x) == len(EVENTS) - 2 + 1

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", ("must start with the line class,startTime_usec",)),
            ("class,start,end\n1,2,3\n", ("must start with the line",)),
            ("class,startTime_usec,endTime_usec\n", ("1 to 16384 rows, not 0",)),
            ("class,startTime_usec,endTime_usec\n1,2\n", ("row 1", "three whole numbers")),
            ("class,startTime_usec,endTime_usec\n1,2,5\n1,-2,3\n", ("row 2", "1,-2,3")),
            ("class,startTime_usec,endTime_usec\n1,2,1e9\n", ("row 1", "1e9")),
            ("class,startTime_usec,endTime_usec\n1,5,5\n", ("row 1", "ends at 5")),
            ("class,startTime_usec,endTime_usec\n0,5,6\n", ("row 1", "class must be 1")),
            ("class,startTime_usec,endTime_usec\n1,5," + "9" * 400 + "\n", ("row 1", "…")),
            ("class,startTime_usec,endTime_usec\n" + "1,0,9999\n" * 9, ("overlap",)),
            ("class,startTime_usec,endTime_usec\n\xff", ("CSV",)),
            ("x" * (1 << 21), ("2 MiB",)),
        ],
        ids=range(12),
    )
    def test_mistakes_in_labels(self, tmp_path, text, words):
        path = written(tmp_path, aedat31_bytes(polarity_packet(EVENTS)), "a.aedat")
        (tmp_path / "a_labels.csv").write_bytes(text.encode("latin-1"))
        refused(path, *words)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"#!AER-DAT3.0\r\n", ("is AEDAT 3.0; 2.0, 3.1 and 4.0 are read",)),
            (b"#!AER-DAT1.0\r\n", ("is AEDAT 1.0",)),
            (b"#!AER-DAT", ("is AEDAT",)),
            (aedat31_bytes(), ("no polarity events",)),
            (
                aedat31_bytes(polarity_packet(EVENTS), header="#Format: SerializedTS\r\n"),
                ("Format", "only RAW"),
            ),
            (aedat31_bytes(polarity_packet(EVENTS)[:20]), ("packet 1", "header is cut off")),
            (aedat31_bytes(polarity_packet(EVENTS))[:-1], ("packet 1", "5 events of 8 bytes, 39")),
            (aedat31_bytes(polarity_packet(EVENTS, count=2**31 - 1)), ("packet 1", "2,147,483,647")),
            (aedat31_bytes(polarity_packet(EVENTS, count=-1)), ("packet 1", "damaged")),
            (aedat31_bytes(polarity_packet(EVENTS, overflow=-1)), ("packet 1", "damaged")),
            (aedat31_bytes(polarity_packet([], size=0)), ("packet 1", "damaged")),
            (aedat31_bytes(polarity_packet(EVENTS, count=4, size=10)), ("packet 1", "of 10 bytes")),
            (aedat31_bytes(polarity_packet(EVENTS, kind=-32767)), ("packet 1", "damaged")),
            (
                aedat31_bytes(polarity_packet(EVENTS), polarity_packet(EVENTS, source=2)),
                ("packet 2", "source 2"),
            ),
            (aedat31_bytes(polarity_packet([(1, 1, 1, 5)])[:-4] + b"\xff" * 4), ("negative time -1",)),
            (aedat31_bytes(polarity_packet(EVENTS), polarity_packet(EVENTS)), ("t: falls from 9000 to 100",)),
            (aedat31_bytes(polarity_packet([(128, 0, 0, 0)])), ("x: must be 0 to 127, not 128",)),
            (b"#!AER-DAT3.1\r\n#" + b"x" * (1 << 22), ("header of more than",)),
        ],
        ids=range(18),
    )
    def test_mistakes(self, tmp_path, data, words):
        refused(written(tmp_path, data, "a.aedat"), *words)

    def test_many_packets(self, tmp_path):
        """Packets are joined now and then; their order stays."""
        data = aedat31_bytes(*(polarity_packet([(i % 128, i // 128, i % 2, i)]) for i in range(9000)))
        recordings = load_recordings(written(tmp_path, data, "r.aedat"))
        assert recordings.t_us.tolist() == list(range(9000))
        assert recordings.x.tolist() == [i % 128 for i in range(9000)]

    def test_header_without_end(self, tmp_path):
        data = b"#!AER-DAT3.1\r\n#Source 1: EDVS\r\n" + polarity_packet(EVENTS)
        recordings = load_recordings(written(tmp_path, data, "r.aedat"))
        assert recordings.sensor is None and len(recordings.x) == len(EVENTS)


EPOCH = 1_700_000_000_000_000
UTC = shifted(EVENTS, EPOCH)
XML = description_of(6, 4, "FRME", "EVTS", "IMUS")


def lz4(data):
    return pytest.importorskip("lz4.frame").compress(data)


def zstd(data):
    return pytest.importorskip("zstandard").compress(data)


class TestAedat4:
    @pytest.mark.parametrize(("compression", "pack"), [(0, bytes), (1, lz4), (2, lz4), (3, zstd), (4, zstd)])
    @pytest.mark.parametrize("rest", [None, b"table"])
    def test_events_and_sensor(self, tmp_path, compression, pack, rest):
        packets = [
            (0, pack(b"a frame")),
            (1, pack(sized(event_packet(UTC[:2])))),
            (2, b""),
            (1, pack(sized(event_packet([])))),
            (1, pack(sized(event_packet(UTC[2:])) + b"padding")),
            (7, b"?"),
        ]
        path = written(tmp_path, aedat4_bytes(packets, XML, compression, rest), "r.aedat4")
        recordings = load_recordings(path)
        assert (recordings.sensor, len(recordings)) == ((4, 6), 1)
        assert listed(recordings.sample(0)) == shifted(EVENTS, -EVENTS[0][3])
        assert recordings.tally == {
            "packets of frames": 1, "packets of motion": 1, "packets of other streams": 1
        }  # fmt: skip

    def test_labels_beside_it(self, tmp_path):
        path = written(
            tmp_path, aedat4_bytes([(0, sized(event_packet(UTC)))], description_of(6, 4, "EVTS")), "r.aedat4"
        )
        start = EPOCH + 150
        (tmp_path / "r_labels.csv").write_text(
            f"class,startTime_usec,endTime_usec\n4,{start},{start + 5000}\n"
        )
        recordings = load_recordings(path)
        assert recordings.labels.tolist() == [3]
        assert listed(recordings.sample(0)) == [(3, 2, 1, 0), (5, 3, 0, 4050)]

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"#!AER-DAT4.0\n", ("no AEDAT 4.0",)),
            (b"#!AER-DAT4.0\r\n" + struct.pack("<I", 1 << 31), ("header", "declares 2 GiB")),
            (b"#!AER-DAT4.0\r\n" + sized(b"\xff" * 40), ("header", "points outside")),
            (b"#!AER-DAT4.0\r\n" + sized(b"\x00\x00"), ("header", "points outside")),
            (b"#!AER-DAT4.0\r\n" + sized(io_header(XML, 9)), ("unknown compression 9",)),
            (b"#!AER-DAT4.0\r\n" + sized(io_header(XML, 0, 1 << 40)), ("truncated", "1099511627776")),
            (b"#!AER-DAT4.0\r\n" + sized(io_header(XML, 0, 3)), ("truncated",)),
            (aedat4_bytes([], "<dv>"), ("streams", "no XML")),
            (aedat4_bytes([], ""), ("streams", "no XML")),
            (aedat4_bytes([], "<!DOCTYPE dv [<!ENTITY a 'b'>]><dv>&a;</dv>"), ("streams", "document type")),
            (aedat4_bytes([], description_of(6, 4, "FRME")), ("0 streams of events",)),
            (aedat4_bytes([], description_of(6, 4, "EVTS", "EVTS")), ("2 streams of events",)),
            (aedat4_bytes([], description_of(0, 4, "EVTS")), ("sizeX and sizeY", "'0'")),
            (aedat4_bytes([], description_of(6, 99999, "EVTS")), ("sizeX and sizeY", "'99999'")),
            (aedat4_bytes([], XML), ("holds no events",)),
            (aedat4_bytes([], XML) + b"\0\0\0", ("packet 1", "header is cut off")),
            (aedat4_bytes([], XML) + struct.pack("<ii", 1, -5), ("packet 1", "declares -5")),
            (aedat4_bytes([], XML) + struct.pack("<ii", 0, 2**31 - 1), ("packet 1", "2,147,483,647")),
            (aedat4_bytes([(1, b"")], XML), ("packet 1", "truncated")),
            (aedat4_bytes([(1, sized(event_packet(UTC))[:-1])], XML), ("packet 1", "truncated")),
            (aedat4_bytes([(1, sized(event_packet(UTC)[:-1]))], XML), ("declares 5 items of 16 bytes, 79",)),
            (aedat4_bytes([(1, sized(event_packet(UTC[::-1])))], XML), ("t: falls",)),
            (aedat4_bytes([(1, sized(event_packet([(6, 0, 0, 5)])))], XML), ("x: must be 0 to 5, not 6",)),
            (aedat4_bytes([(1, sized(event_packet([(0, -1, 0, 5)])))], XML), ("y", "not -1")),
            (aedat4_bytes([(1, sized(event_packet([(0, 0, 2, 5)])))], XML), ("p", "not 2")),
            (aedat4_bytes([(1, sized(event_packet([(0, 0, 0, -5)])))], XML), ("t", "not -5")),
        ],
        ids=range(26),
    )
    def test_mistakes(self, tmp_path, data, words):
        refused(written(tmp_path, data, "a.aedat4"), *words)

    @pytest.mark.parametrize(("compression", "pack"), [(1, lz4), (3, zstd)])
    def test_packed_packets(self, tmp_path, compression, pack):
        body = sized(event_packet(UTC * 50))
        for packed, words in (
            (pack(body)[:-30], ("packet 1",)),
            (b"nonsense", ("packet 1", "damaged")),
            (b"", ("packet 1",)),
            (pack(bytes(1 << 27)), ("packet 1", "unpacks to more than", "no packet of events")),
        ):
            data = aedat4_bytes([(1, packed)], XML, compression)
            refused(written(tmp_path, data, "a.aedat4"), *words)

    @pytest.mark.parametrize(("compression", "package"), [(1, "lz4"), (3, "zstandard")])
    def test_without_the_packages(self, tmp_path, monkeypatch, compression, package):
        monkeypatch.setitem(sys.modules, package, None)
        path = written(tmp_path, aedat4_bytes([(1, b"x")], XML, compression), "a.aedat4")
        refused(path, pip_install("aedat4"))

    @pytest.mark.parametrize("compression", [None, ("lz4", 1), ("zstd", 3)])
    def test_files_of_another_writer(self, tmp_path, compression):
        """faery writes AEDAT 4 with code of its own; what it wrote and reads is what is read here."""
        faery = pytest.importorskip("faery")
        for module in ("lz4", "zstandard") if compression else ():
            pytest.importorskip(module)
        rng = np.random.default_rng(0)
        given = np.zeros(20_000, faery.EVENTS_DTYPE)
        given["t"] = np.sort(rng.integers(0, 10**6, len(given)))
        given["x"], given["y"] = rng.integers(0, 34, len(given)), rng.integers(0, 20, len(given))
        given["on"] = rng.integers(0, 2, len(given))
        path = tmp_path / "f.aedat4"
        stream = faery.events_stream_from_array(given, dimensions=(34, 20))
        stream.to_file(path, compression=compression)
        recordings = load_recordings(path)
        theirs = faery.events_stream_from_file(path).to_array()
        assert recordings.sensor == (20, 34) and len(theirs) == len(given)
        for mine, key in ((recordings.x, "x"), (recordings.y, "y"), (recordings.polarity, "on")):
            assert np.array_equal(mine, theirs[key]) and np.array_equal(mine, given[key])
        assert np.array_equal(recordings.t_us, theirs["t"] - theirs["t"][0])
        assert np.array_equal(recordings.t_us, given["t"] - given["t"][0])


def test_formats_are_told_apart(tmp_path):
    for data, name, form in (
        (nmnist_bytes(EVENTS), "a.bin", "nmnist"),
        (aedat31_bytes(), "a.aedat", "aedat31"),
        (aedat31_bytes(), "a.dat", "aedat31"),
        (aedat4_bytes([], XML), "a.aedat", "aedat4"),
        (b"PK\x03\x04", "a.npz", "npz"),
        (aedat2_bytes(EVENTS), "a.dat", "aedat2"),
        (dat_bytes(EVENTS), "a.raw", "dat"),
        (evt3_bytes(EVENTS), "a.dat", "evt"),
        (es_bytes(EVENTS, 6, 4), "a.npz", "es"),
        (b"\x93NUMPY", "a.npz", "npy"),
        (b"\x89HDF\r\n\x1a\n", "a.h5", "hdf5"),
        (b"# by hand\nx y t p\n", "a.raw", "text"),
        (b"0.5 1 2 0\n", "a.txt", "text"),
    ):
        assert recording_format(written(tmp_path, data, name)) == form
    refused(tmp_path / "absent.bin", "no such file")
    refused(tmp_path, "is a folder")


class TestFolders:
    def found(self, tmp_path, *names):
        for name in names:
            written(tmp_path, b"", name)
        return [(one.name, one.label, one.split) for one in find_recordings(tmp_path)]

    def test_labels_are_numbers_of_folders(self, tmp_path):
        passed_over = (".hidden/4.bin", "Test/.5.bin", "x.txt")
        assert self.found(tmp_path, "Train/5/1.bin", "Train/10/2.bin", "test/5/3.bin", *passed_over) == [
            ("Train/10/2.bin", 10, "train"), ("Train/5/1.bin", 5, "train"), ("test/5/3.bin", 5, "test")
        ]  # fmt: skip

    def test_or_their_place_in_the_order_of_names(self, tmp_path):
        assert self.found(tmp_path, "cat/1.bin", "ant/2.BIN", "top.aedat4") == [
            ("top.aedat4", None, None), ("ant/2.BIN", 0, None), ("cat/1.bin", 1, None)
        ]  # fmt: skip

    def test_one_folder_is_no_class(self, tmp_path):
        assert self.found(tmp_path, "DvsGesture/a.aedat")[0][1] is None

    def test_lists_of_trials(self, tmp_path):
        (tmp_path / "trials_to_train.txt").write_text("a.aedat\n\n")
        (tmp_path / "trials_to_test.txt").write_text("b.aedat\r\n")
        assert [split for *_, split in self.found(tmp_path, "a.aedat", "b.aedat", "c.aedat")] == [
            "train", "test", None
        ]  # fmt: skip

    def test_mistakes(self, tmp_path):
        with pytest.raises(TraceError, match=r"holds no recordings \(\*\.npz"):
            find_recordings(tmp_path)
        with pytest.raises(TraceError, match="cannot be read"):
            find_recordings(Path(tmp_path, "absent"))
