"""Trace files whose container is sound and whose content is not, or whose container is a hostile HDF5."""

import json

import h5py
import numpy as np
import pytest

from spikex_sim.trace.store import load_trace
from trace_files import LAYERS, TERABYTE, a_meta, good_arrays, refused, write_h5, write_npz


class TestWrongContent:
    """The same mistakes in both containers."""

    @pytest.fixture(params=["npz", "h5"])
    def written(self, request, tmp_path):
        write = {"npz": write_npz, "h5": write_h5}[request.param]
        return lambda **changes: write(tmp_path / f"t.{request.param}", good_arrays(**changes))

    def test_the_good_file_is_good(self, written):
        assert load_trace(written()).name == "tiny"

    @pytest.mark.parametrize(
        ("key", "hint"),
        [
            ("0/weights", "did you mean 0/weight?"), ("00/input", "did you mean 0/input?"),
            ("labels", "label?"), ("0/input2", "0/input?"), ("-1/input", "1/input?"), ("input", ""),
        ],
    )  # fmt: skip
    def test_unknown_key(self, written, key, hint):
        refused(written(**{key: np.zeros(3, np.uint8)}), "unknown key", hint, field=key)

    def test_layer_that_is_not_there(self, written):
        refused(written(**{"3/weight": np.zeros((3, 3), np.int8)}), "there is no layer 3", field="3/weight")

    def test_no_meta(self, written):
        refused(written(meta=...), "no spikex trace", field="meta")

    def test_no_input(self, written):
        refused(written(**{"0/input": ...}), "required", field="0/input")

    @pytest.mark.parametrize(
        ("text", "field", "words"),
        [
            ("not json", "meta", ["not valid JSON"]),
            ("", "meta", ["not valid JSON"]),
            ("[1]", "meta", ["must be a JSON object"]),
            ("[" * 100_000, "meta", ["nested too deeply"]),
            ('{"a":' * 100_000, "meta", ["nested too deeply"]),
            ('{"version": 1, "version": 1}', "meta", ["duplicate key 'version'"]),
            ('{"two\\nlines": 1}', "meta", ["unprintable"]),
            ('{"version": NaN}', "meta", ["NaN"]),
            ('{"version": -Infinity}', "meta", ["Infinity"]),
            ('{"version": 1e999}', "meta", ["1e999"]),
            ('{"version": ' + "9" * 5000 + "}", "meta", ["64 bits"]),
            (json.dumps(a_meta(format="other")), "meta.format", ["'other'", "spikex-trace"]),
            (json.dumps(a_meta(format=...)), "meta.format", ["None"]),
            (json.dumps(a_meta(version=3)), "meta.version", ["reads versions 1 and 2, not 3"]),
            (json.dumps(a_meta(version=True)), "meta.version", ["not True"]),
            (json.dumps(a_meta(timesteps=0)), "meta.timesteps", ["greater than or equal to 1"]),
            (json.dumps(a_meta(timesteps="11")), "meta.timesteps", ["integer"]),
            (json.dumps(a_meta(timesteps=...)), "meta.timesteps", ["missing"]),
            (json.dumps(a_meta(samples=0)), "meta.samples", ["greater"]),
            (json.dumps(a_meta(sample=2)), "meta.sample", ["unknown key"]),
            (json.dumps(a_meta(layers=[])), "meta.layers", ["at least 1"]),
            (json.dumps(a_meta(layers=[1] * 5000)), "meta.layers", ["5000 layers"]),
            (json.dumps(a_meta(name="a\nb")), "meta.name", ["printable"]),
            (json.dumps(a_meta(layers=[{**LAYERS[0], "kernal": 3}])), "meta.layers.0.kernal", ["unknown"]),
            (json.dumps(a_meta(layers=[{**LAYERS[0], "kernel": 9}])), "meta.layers.0", ["larger than the"]),
        ],
        ids=range(25),
    )  # fmt: skip
    def test_bad_meta(self, written, text, field, words):
        refused(written(meta=np.array(text)), *words, field=field)

    def test_meta_of_another_type(self, written, tmp_path):
        refused(write_npz(tmp_path / "m.npz", good_arrays(meta=np.array(1.5))), "0-d string", field="meta")
        refused(write_npz(tmp_path / "m.npz", good_arrays(meta=np.array(["{}"]))), "0-d string", field="meta")

    def test_layers_that_do_not_chain(self, written):
        layers = [LAYERS[0], {**LAYERS[1], "in_channels": 12, "out_channels": 12}, LAYERS[2]]
        path = written(meta=np.array(json.dumps(a_meta(layers=layers))))
        assert refused(path) == f"{path}: layer 1 wants 12 input channels, the trace has 3"

    def test_spikes_packed_for_another_t(self, written):
        spikes = np.zeros((2, 4, 6, 4), np.uint8)
        refused(written(**{"0/input": spikes}), "packed for another T", "[2, 4, 6, 2]", field="0/input")
        spikes = np.full((2, 4, 6, 2), 255, np.uint8)
        refused(written(**{"0/input": spikes}), "after time point 10", field="0/input")

    def test_unpacked_or_misshapen_spikes(self, written):
        refused(written(**{"0/input": np.zeros((2, 4, 6, 2), np.int8)}), "uint8, not int8", field="0/input")
        refused(written(**{"0/input": np.zeros((2, 6, 4, 2), np.uint8)}), "[2, 6, 4, 2]", field="0/input")
        refused(
            written(**{"0/input": np.zeros((1, 2, 4, 6, 2), np.uint8)}), "[1, 2, 4, 6, 2]", field="0/input"
        )

    def test_wrong_weight_type(self, written):
        shape = (3, 2, 3, 3)
        for dtype in (np.float32, np.int16, np.uint8, np.float64):
            refused(written(**{"0/weight": np.zeros(shape, dtype)}), "must be int8", field="0/weight")
        refused(written(**{"0/weight": np.zeros(shape, complex)}), "plain numbers", field="0/weight")
        refused(written(**{"2/weight": np.zeros((5, 18), np.float16)}), "float32 or int8", field="2/weight")

    def test_weights_of_a_pooling_layer(self, written):
        refused(written(**{"1/weight": np.zeros((3, 3, 2, 2), np.int8)}), "pooling layer", field="1/weight")

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_weights_that_are_no_numbers(self, written, value):
        weights = np.zeros((5, 18), np.float32)
        weights[4, 17] = value
        refused(written(**{"2/weight": weights}), "NaN or infinite", field="2/weight")

    def test_wrong_bias(self, written):
        refused(written(**{"0/bias": np.zeros(3, np.int64)}), "must be int32", field="0/bias")
        refused(written(**{"0/bias": np.zeros(4, np.int32)}), "wants [3]", field="0/bias")
        refused(written(**{"2/bias": np.full(5, np.nan, np.float32)}), "NaN", field="2/bias")

    def test_label_without_samples(self, written):
        refused(written(label=np.array([1])), "a single one", field="label")
        refused(written(label=np.array([1, 2])), "a single one", field="label")

    def test_label_of_another_type(self, written):
        refused(written(label=np.array(1.5)), "must be an integer", field="label")
        refused(written(label=np.array(1 << 63, np.uint64)), "64 bits", field="label")

    def test_as_many_labels_as_samples(self, written):
        meta = np.array(json.dumps(a_meta(samples=2)))
        spikes = np.zeros((2, 2, 4, 6, 2), np.uint8)
        good = written(meta=meta, **{"0/input": spikes}, label=np.array([4, 5], np.uint8))
        assert load_trace(good).label == (4, 5)
        bad = written(meta=meta, **{"0/input": spikes}, label=np.array([4, 5, 6]))
        refused(bad, "one for each of 2 samples", field="label")
        refused(written(meta=meta, **{"0/input": spikes}), "one label for 2 samples", field="label")
        refused(written(meta=meta), "[2, 4, 6, 2]", "[2, 2, 4, 6, 2]", field="0/input")


class TestHostileHdf5:
    @pytest.fixture
    def path(self, tmp_path):
        return write_h5(tmp_path / "t.h5", good_arrays(**{"0/weight": ...}))

    def add(self, path, make):
        with h5py.File(path, "a") as file:
            make(file)

    def test_links_are_not_followed(self, path, tmp_path):
        write_h5(tmp_path / "other.h5", {"secret": np.zeros((3, 2, 3, 3), np.int8)})
        for link in (h5py.ExternalLink(str(tmp_path / "other.h5"), "/secret"), h5py.SoftLink("/2/weight")):
            self.add(path, lambda file, link=link: file.__setitem__("0/weight", link))
            refused(path, "link to elsewhere", field="0/weight")
            self.add(path, lambda file: file.__delitem__("0/weight"))

    def test_external_storage(self, path, tmp_path):
        raw = tmp_path / "raw.bin"
        raw.write_bytes(bytes(54))
        external = [(str(raw), 0, 54)]
        self.add(path, lambda file: file.create_dataset("0/weight", (3, 2, 3, 3), "i1", external=external))
        refused(path, "outside this file", field="0/weight")

    def test_virtual_dataset(self, path):
        layout = h5py.VirtualLayout((3, 2, 3, 3), "i1")
        self.add(path, lambda file: file.create_virtual_dataset("0/weight", layout))
        refused(path, "outside this file", field="0/weight")

    def test_a_terabyte_that_was_never_stored(self, path):
        self.add(path, lambda file: file.create_dataset("0/weight", (TERABYTE,), "i1", chunks=(1 << 20,)))
        refused(path, "1 TiB", "stores only 0 B", field="0/weight")
        self.add(path, lambda file: file.__delitem__("0/weight"))
        self.add(path, lambda file: file.create_dataset("0/weight", (3, 2, 3, 3), "i1", compression="gzip"))
        refused(path, "stores only 0 B", field="0/weight")

    def test_a_chunk_that_fills_the_memory(self, path):
        zeros = {"shape": (3, 2, 3, 3), "maxshape": (None, 2, 3, 3), "chunks": (1 << 24, 2, 3, 3)}
        self.add(path, lambda file: file.create_dataset("0/weight", dtype="i1", **zeros))
        refused(path, "chunks of 288 MiB", field="0/weight")

    @pytest.mark.parametrize("options", [{"compression": "lzf"}, {"scaleoffset": 4}])
    def test_other_filters(self, path, options):
        data = np.zeros((3, 2, 3, 3), np.int8)
        self.add(path, lambda file: file.create_dataset("0/weight", data=data, **options))
        refused(path, "write it with gzip", field="0/weight")

    @pytest.mark.parametrize(
        "data",
        [
            np.zeros(3, [("a", "i4")]),
            np.array(True),
            np.array([b"abc"]),
            h5py.Empty("i1"),
            np.zeros(3, complex),
        ],
        ids=["compound", "bool", "text", "empty", "complex"],
    )
    def test_other_types(self, path, data):
        self.add(path, lambda file: file.create_dataset("0/weight", data=data))
        refused(path, field="0/weight")

    def test_references_and_ragged_arrays(self, path):
        self.add(path, lambda file: file.create_dataset("0/weight", (3,), h5py.ref_dtype))
        refused(path, "plain numbers", field="0/weight")
        self.add(path, lambda file: file.__delitem__("0/weight"))
        self.add(path, lambda file: file.create_dataset("0/weight", (3,), h5py.vlen_dtype(np.int8)))
        refused(path, "plain numbers", field="0/weight")

    def test_a_group_in_place_of_an_array(self, path):
        self.add(path, lambda file: file.create_group("0/weight"))
        refused(path, "unknown key", field="0/weight")

    def test_groups_that_contain_themselves(self, path):
        self.add(path, lambda file: file.__setitem__("0/weight", file["/"]))
        refused(path, "unknown key", field="0/weight/0")

    def test_unprintable_name(self, path):
        self.add(path, lambda file: file.__setitem__("a\nb", 1))
        refused(path, "unknown key", field=r"a\nb")

    def test_meta_beyond_any_need(self, tmp_path):
        path = tmp_path / "t.h5"
        with h5py.File(path, "w") as file:
            file["meta"] = np.bytes_(b" " * (5 << 20))
        refused(path, "longer than", field="meta")

    def test_meta_that_is_no_text(self, tmp_path):
        with h5py.File(tmp_path / "t.h5", "w") as file:
            file["meta"] = 3
        refused(tmp_path / "t.h5", "0-d string", field="meta")
