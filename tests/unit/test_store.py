"""Trace files: what is written can be read, and nothing hostile gets past the reader."""

import hashlib
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from helpers import Member, npy_bytes, zip_bytes
from spikex_sim.core.errors import OutputError, TraceError
from spikex_sim.trace import npyzip, store
from spikex_sim.trace.npyheader import human_bytes, shown
from spikex_sim.trace.npyzip import NpyZip
from spikex_sim.trace.store import load_trace, load_traces, save_trace
from spikex_sim.trace.trace import content_sha256
from trace_files import (
    TERABYTE,
    a_meta,
    a_trace,
    good_arrays,
    good_members,
    npy,
    refused,
    refused_bytes,
    write_npz,
)


class TestWhatIsWrittenCanBeRead:
    @pytest.mark.parametrize("ending", [".npz", ".h5", ".hdf5", ".NPZ"])
    @pytest.mark.parametrize("samples", [None, 1, 3])
    def test_round_trip(self, tmp_path, ending, samples):
        trace, path = a_trace(samples), tmp_path / f"x{ending}"
        save_trace(trace, path)
        back = load_trace(path)
        assert content_sha256(back) == content_sha256(trace)
        assert back.file_sha256 == back.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (back.name, back.source, back.label, back.layers) == (
            trace.name,
            trace.source,
            trace.label,
            trace.layers,
        )
        assert not any(array.flags.writeable for array in (*back.inputs.values(), *back.weights.values()))
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("ending", [".npz", ".h5"])
    def test_same_trace_same_bytes(self, tmp_path, ending, monkeypatch):
        first, second = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
        save_trace(a_trace(), first)
        monkeypatch.setattr("time.time", lambda: 2e9)
        save_trace(a_trace(), second)
        assert first.read_bytes() == second.read_bytes()

    def test_readable_without_the_package(self, tmp_path):
        save_trace(a_trace(3), tmp_path / "x.npz")
        with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
            meta = json.loads(str(arrays["meta"]))
            assert meta["version"] == 1 and meta["samples"] == 3
            assert arrays["0/input"].shape == (3, 2, 4, 6, 2)
            assert arrays["0/weight"].dtype == np.int8
            assert arrays["label"].tolist() == [0, 1, 2]

    @pytest.mark.parametrize("writer", [np.savez, np.savez_compressed])
    def test_numpys_own_files_are_read(self, tmp_path, writer):
        writer(tmp_path / "x.npz", **good_arrays())
        assert load_trace(tmp_path / "x.npz").label == 3

    def test_fortran_order_and_big_endian_are_understood(self, tmp_path):
        weights = a_trace().weights[2]
        arrays = good_arrays(**{"2/weight": np.asfortranarray(weights).astype(">f4"), "label": ...})
        back = load_trace(write_npz(tmp_path / "x.npz", arrays))
        assert np.array_equal(back.weights[2], weights)
        assert back.weights[2].dtype == np.dtype(np.float32) and back.weights[2].dtype.isnative
        assert back.label is None

    def test_meta_as_bytes_and_nameless(self, tmp_path):
        meta = np.array(json.dumps(a_meta(name="", source=...)).encode())
        assert load_trace(write_npz(tmp_path / "stem.npz", good_arrays(meta=meta))).name == "stem"

    def test_an_existing_file_is_replaced(self, tmp_path):
        path = tmp_path / "x.npz"
        path.write_text("old")
        save_trace(a_trace(), path)
        assert load_trace(path).name == "tiny"

    def test_a_failed_write_leaves_the_old_file_and_no_other(self, tmp_path, monkeypatch):
        path = tmp_path / "x.npz"
        save_trace(a_trace(), path)
        old = path.read_bytes()

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(npyzip, "write_npyzip", full)
        with pytest.raises(OutputError, match=r"x\.npz: cannot be written: No space left on device"):
            save_trace(a_trace(name="other"), path)
        assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]

    def test_no_folder_to_write_to(self, tmp_path):
        for ending in ("npz", "h5"):
            with pytest.raises(OutputError, match="cannot be written"):
                save_trace(a_trace(), tmp_path / "absent" / f"x.{ending}")

    def test_what_could_not_be_read_is_not_written(self, tmp_path):
        with pytest.raises(TraceError, match="name: must be printable"):
            save_trace(a_trace(name="two\nlines"), tmp_path / "x.npz")
        with pytest.raises(TraceError, match=r"ending '\.txt'"):
            save_trace(a_trace(), tmp_path / "x.txt")
        assert not list(tmp_path.iterdir())

    def test_a_folder_in_order_of_names(self, tmp_path):
        for name in ("b.npz", "a.h5", "c.npz"):
            save_trace(a_trace(name=name), tmp_path / name)
        (tmp_path / "notes.txt").write_text("not a trace")
        (tmp_path / ".hidden.npz").write_text("not a trace")
        assert [trace.name for trace in load_traces(tmp_path)] == ["a.h5", "b.npz", "c.npz"]
        assert [trace.name for trace in load_traces(tmp_path / "b.npz")] == ["b.npz"]

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(TraceError, match="holds no trace"):
            load_traces(tmp_path)

    def test_a_trace_travels_to_other_processes(self):
        trace = a_trace()
        back = pickle.loads(pickle.dumps(trace))
        assert content_sha256(back) == content_sha256(trace)
        assert not back.inputs[0].flags.writeable

    def test_the_callers_arrays_stay_theirs(self):
        weights = np.ones((3, 2, 3, 3), np.int8)
        trace = a_trace(weights={0: weights})
        weights[0] = 0
        assert trace.weights[0].all()


class TestNotATraceAtAll:
    def test_missing(self, tmp_path):
        refused(tmp_path / "no.npz", "no such file")

    def test_folder(self, tmp_path):
        (tmp_path / "d.npz").mkdir()
        refused(tmp_path / "d.npz", "is a folder")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
    def test_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "p.npz")
        refused(tmp_path / "p.npz", "not a regular file")

    def test_unreadable(self, tmp_path, monkeypatch):
        path = write_npz(tmp_path / "t.npz", good_arrays())

        def denied(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.open", denied)
        refused(path, "Permission denied")

    def test_null_byte_in_the_name(self):
        with pytest.raises(TraceError, match="cannot be read"):
            load_trace("a\0b.npz")

    def test_other_ending(self, tmp_path):
        refused(tmp_path / "x.csv", "'.csv'", ".npz or .h5")
        refused(tmp_path / "x", "no ending")

    @pytest.mark.parametrize(
        ("data", "word"),
        [
            (b"", "is empty"),
            (b"time,x,y\n", "is not an .npz"),
            (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
            (npy_bytes("|u1", (3,), b"abc"), "single .npy"),
            (pickle.dumps({"a": 1}), "pickle"),
            (b"\x1f\x8b\x08" + bytes(20), "gzip"),
        ],
    )
    def test_something_else_named_npz(self, tmp_path, data, word):
        refused_bytes(tmp_path, data, word)

    def test_something_else_named_h5(self, tmp_path):
        path = tmp_path / "t.h5"
        path.write_bytes(zip_bytes(*good_members()))
        refused(path, "not HDF5")

    @pytest.mark.parametrize("ending", [".npz", ".h5"])
    def test_truncated_anywhere(self, tmp_path, ending):
        whole = tmp_path / f"w{ending}"
        save_trace(a_trace(), whole)
        data, path = whole.read_bytes(), tmp_path / f"t{ending}"
        for length in [*range(1, len(data) - 1, max(1, len(data) // 23)), len(data) - 1]:
            path.write_bytes(data[:length])
            refused(path)

    def test_a_damaged_byte_in_the_data(self, tmp_path):
        data = bytearray(
            zip_bytes(Member("0/input.npy", npy(good_arrays()["0/input"]), method=0), *good_members()[::2])
        )
        position = data.index(b"\n", 60) + 5
        data[position] ^= 1
        message = refused_bytes(tmp_path, bytes(data))
        assert "0/input" in message

    def test_wrong_checksum(self, tmp_path):
        bad = Member("0/input.npy", npy(good_arrays()["0/input"]), crc=1)
        refused_bytes(tmp_path, zip_bytes(*good_members(**{"0/input": bad})), "CRC", field="0/input")

    def test_larger_than_any_trace(self, tmp_path, monkeypatch):
        monkeypatch.setattr(store, "_MAX_FILE_BYTES", 100)
        refused(write_npz(tmp_path / "t.npz", good_arrays()), "more than the 100 B")


class TestHostileZip:
    def test_header_claims_a_terabyte(self, tmp_path):
        huge = npy_bytes("|u1", (TERABYTE,), bytes(1000))
        refused_bytes(tmp_path, zip_bytes(*good_members(**{"0/weight": huge})), "1 TiB", field="0/weight")

    def test_directory_claims_a_terabyte_too(self, tmp_path):
        huge = npy_bytes("|u1", (TERABYTE,), bytes(1000))
        member = Member("0/weight.npy", huge, claimed_size=TERABYTE + len(huge) - 1000)
        data = zip_bytes(*good_members(**{"0/weight": member}))
        refused_bytes(tmp_path, data, "1 TiB", "impossible", field="0/weight")

    def test_meta_claims_a_terabyte(self, tmp_path):
        huge = npy_bytes("<U274877906944", ())
        refused_bytes(tmp_path, zip_bytes(*good_members(meta=huge)), field="meta")
        huge = npy_bytes("<U268435456", ())
        member = Member("meta.npy", huge, claimed_size=(1 << 30) + len(huge))
        refused_bytes(tmp_path, zip_bytes(*good_members(meta=member)), field="meta")

    @pytest.mark.parametrize("code_point", ["<U1 0xffffffff", ">U1 0xffffffff", "<U1 0x110000"])
    def test_meta_that_is_no_text(self, tmp_path, code_point):
        descr, value = code_point.split()
        raw = int(value, 16).to_bytes(4, "little" if descr[0] == "<" else "big")
        refused_bytes(
            tmp_path, zip_bytes(*good_members(meta=npy_bytes(descr, (), raw))), "no text", field="meta"
        )

    def test_meta_that_really_is_long(self, tmp_path):
        meta = npy_bytes("|S20000000", (), b" " * 20_000_000)
        refused_bytes(tmp_path, zip_bytes(*good_members(meta=meta)), "longer than", field="meta")

    def test_shape_that_meta_does_not_call_for_is_never_read(self, tmp_path):
        zeros = npy_bytes("|i1", (1 << 26,), bytes(1 << 26))
        data = zip_bytes(*good_members(**{"0/weight": zeros}))
        assert len(data) < 100_000
        refused_bytes(tmp_path, data, "wants [3, 2, 3, 3]", field="0/weight")

    def test_meta_and_files_agree_on_more_than_the_limit(self, tmp_path, monkeypatch):
        monkeypatch.setattr(store, "MAX_TRACE_BYTES", 100)
        refused_bytes(tmp_path, zip_bytes(*good_members()), "more than the 100 B of one trace", "split")

    def test_data_outside_the_file(self, tmp_path):
        member = Member("0/input.npy", npy(good_arrays()["0/input"]), claimed_packed=1 << 30)
        refused_bytes(
            tmp_path, zip_bytes(*good_members(**{"0/input": member})), "outside the file", field="0/input"
        )

    def test_stored_member_that_is_larger_than_its_bytes(self, tmp_path):
        huge = npy_bytes("|i1", (1 << 28,), bytes(10))
        member = Member("0/weight.npy", huge, method=0, claimed_size=(1 << 28) + len(huge) - 10)
        refused_bytes(
            tmp_path, zip_bytes(*good_members(**{"0/weight": member})), "impossible", field="0/weight"
        )

    def test_object_array_is_never_unpickled(self, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (os.mkdir, (str(tmp_path / "exploded"),))

        data = npy_bytes("|O", (1,), pickle.dumps([Bomb()]))
        for key in ("0/weight", "meta", "label"):
            refused_bytes(tmp_path, zip_bytes(*good_members(**{key: data})), "pickled", field=key)
        assert not (tmp_path / "exploded").exists()

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,)}", "has the type"),
            ("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}", "has the type"),
            ("{'descr': '<U0', 'fortran_order': False, 'shape': (1,)}", "has the type"),
            ("{'descr': '<i4', 'fortran_order': False, 'shape': (-1,)}", "damaged .npy header"),
            ("{'descr': '<i4', 'fortran_order': False, 'shape': (True,)}", "damaged .npy header"),
            ("{'descr': '<i4', 'fortran_order': False, 'shape': [1]}", "damaged .npy header"),
            ("{'descr': '<i4', 'fortran_order': 1, 'shape': ()}", "damaged .npy header"),
            ("{'descr': '<i4', 'fortran_order': False}", "damaged .npy header"),
            ("{'descr': '<i4', 'fortran_order': False, 'shape': ()}; import os", "damaged .npy header"),
            ("(" * 3000, "damaged .npy header"),
            ("-" * 3900 + "1", "damaged .npy header"),
            (" " * 5000, "header of 5001 bytes"),
            (f"{{'descr': '<i4', 'fortran_order': False, 'shape': {(1,) * 60}}}", "damaged .npy header"),
        ],
    )
    def test_forged_npy_header(self, tmp_path, text, word):
        data = npy_bytes("", (), bytes(4), text=text)
        refused_bytes(tmp_path, zip_bytes(*good_members(**{"0/weight": data})), word, field="0/weight")

    def test_header_length_of_four_gigabytes(self, tmp_path):
        data = b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 100_000
        refused_bytes(
            tmp_path, zip_bytes(*good_members(**{"0/weight": data})), "4294967295", field="0/weight"
        )

    def test_not_npy_or_of_the_future(self, tmp_path):
        for data, word in (
            (b"nothing here", "not a .npy"),
            (b"\x93NUMPY\x09\x00" + bytes(80), "version 9.0"),
            (b"", "ends early"),
        ):
            refused_bytes(tmp_path, zip_bytes(*good_members(**{"0/weight": data})), word, field="0/weight")

    def test_member_twice(self, tmp_path):
        again = Member("0/weight.npy", npy(np.zeros((3, 2, 3, 3), np.int8)))
        refused_bytes(tmp_path, zip_bytes(*good_members(), again), "twice", field="0/weight")

    def test_member_without_a_name(self, tmp_path):
        refused_bytes(tmp_path, zip_bytes(*good_members(), Member("", b"")), "unknown member")
        refused_bytes(tmp_path, zip_bytes(*good_members(), Member("x/", b"x")), "unknown member", field="x/")

    def test_folders_as_zip_programs_add_them(self, tmp_path):
        path = tmp_path / "t.npz"
        path.write_bytes(zip_bytes(Member("0/", b"", method=0), *good_members()))
        assert load_trace(path).name == "tiny"

    def test_encrypted(self, tmp_path):
        member = Member("0/weight.npy", npy(a_trace().weights[0]), flags=1)
        refused_bytes(
            tmp_path, zip_bytes(*good_members(**{"0/weight": member})), "encrypted", field="0/weight"
        )

    @pytest.mark.parametrize("method", [12, 14, 93, 99])
    def test_other_compression(self, tmp_path, method):
        member = Member("0/weight.npy", npy(a_trace().weights[0]), method=method, packed=b"x" * 200)
        refused_bytes(tmp_path, zip_bytes(*good_members(**{"0/weight": member})), "deflate", field="0/weight")

    def test_not_deflate_data(self, tmp_path):
        member = Member("0/weight.npy", npy(a_trace().weights[0]), packed=b"\xff" * 200)
        refused_bytes(tmp_path, zip_bytes(*good_members(**{"0/weight": member})), "damaged", field="0/weight")

    def test_directory_larger_than_accepted(self, tmp_path, monkeypatch):
        monkeypatch.setattr(npyzip, "MAX_DIRECTORY_BYTES", 100)
        refused_bytes(tmp_path, zip_bytes(*good_members()), "directory too large")

    def test_lzma_window_of_a_gigabyte(self):
        data = npy(np.zeros(8, np.uint8))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr("x.npy", data)
        good = buffer.getvalue()
        assert NpyZip(io.BytesIO(good), "f").read("x").shape == (8,)
        start = 30 + len("x.npy")
        forged = good[: start + 5] + (1 << 30).to_bytes(4, "little") + good[start + 9 :]
        with pytest.raises(TraceError, match="f: x: asks for an LZMA window of 1 GiB"):
            NpyZip(io.BytesIO(forged), "f").declared("x")

    def test_seeded_damage_never_escapes_as_another_error(self, tmp_path):
        save_trace(a_trace(), tmp_path / "w.npz")
        whole, rng = (tmp_path / "w.npz").read_bytes(), np.random.default_rng(5)
        path = tmp_path / "t.npz"
        for _ in range(400):
            data = bytearray(whole)
            for _ in range(rng.integers(1, 6)):
                data[rng.integers(len(data))] = rng.integers(256)
            path.write_bytes(data)
            try:
                load_trace(path)
            except TraceError as exc:
                assert str(exc).isprintable()


def test_sizes_people_can_read():
    assert [human_bytes(count) for count in (0, 1023, 1536, 1 << 40)] == ["0 B", "1023 B", "1.5 KiB", "1 TiB"]
    assert human_bytes(1 << 500).endswith("EiB")


def test_hostile_text_is_shown_on_one_line():
    assert shown("a\nb\x1b[2J") == r"a\nb\x1b[2J"
    assert len(shown("x" * 1000)) == 120
