"""Recorded layers: read as they are, and refused if anything about them is odd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import Member, npy_bytes, zip_bytes
from spikex_sim.core.errors import TraceError
from spikex_sim.sources.layer_activity import holds_layers, load_recorded_layers

rng = np.random.default_rng(6)
SPIKES = {
    "conv": rng.random((5, 2, 4, 3)) < 0.3,
    "dense": np.ones((5, 7), bool),
    "last": rng.random((1, 9)) < 0.5,
}


def arrays(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {"names": np.array(list(SPIKES))}
    for name, spikes in SPIKES.items():
        good[f"{name}__bits"] = np.packbits(spikes)
        good[f"{name}__shape"] = np.array(spikes.shape, np.int32)
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


def written(tmp_path: Path, **changes: Any) -> Path:
    np.savez_compressed(tmp_path / "layers.npz", **arrays(**changes))
    return tmp_path / "layers.npz"


def test_spikes_come_back_with_time_last(tmp_path: Path) -> None:
    recorded = load_recorded_layers(written(tmp_path))
    assert [layer.name for layer in recorded.layers] == list(SPIKES)
    for layer in recorded.layers:
        given = SPIKES[layer.name]
        assert (layer.timesteps, layer.shape) == (len(given), given.shape[1:])
        assert np.array_equal(
            np.unpackbits(layer.spikes, axis=-1, count=layer.timesteps), np.moveaxis(given, 0, -1)
        )
    assert [layer.all_ones for layer in recorded.layers] == [False, True, False]


def test_what_may_be_added(tmp_path: Path) -> None:
    path = written(tmp_path, note=np.array("hand-made"), label=np.array(3))
    assert len(load_recorded_layers(path).layers) == 3


def test_they_are_told_from_events(tmp_path: Path) -> None:
    assert holds_layers(written(tmp_path))
    np.savez(tmp_path / "events.npz", x=np.zeros(1, int))
    assert not holds_layers(tmp_path / "events.npz")
    with pytest.raises(TraceError, match="names: is missing: these are no recorded layers"):
        load_recorded_layers(tmp_path / "events.npz")
    with pytest.raises(TraceError, match=r"absent\.npz: no such file"):
        holds_layers(tmp_path / "absent.npz")


BITS = np.packbits(SPIKES["conv"])
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"names": np.array("conv")}, "names", "must be a list of names, not <U4 []"),
    ({"names": np.array([1, 2])}, "names", "must be a list of names, not int64 [2]"),
    ({"names": np.array([b"conv"])}, "names", "must be a list of names"),
    ({"names": np.array([["conv"]])}, "names", "must be a list of names"),
    ({"names": np.array(["x" * 5000])}, "names", "must be a list of names"),
    ({"names": np.array([], "U3")}, "names", "must be 1 to 4096 names, not 0"),
    ({"names": np.full(5000, "a")}, "names", "must be 1 to 4096 names, not 5000"),
    ({"names": np.array(["conv", "conv"])}, "names", "names a layer twice"),
    ({"names": np.array(["conv", ""])}, "names", "name 1 is empty or not printable"),
    ({"names": np.array(["co\nnv"])}, "names", "name 0 is empty or not printable"),
    ({"conv__shape": ...}, "conv__shape", "is missing"),
    ({"conv__bits": ...}, "conv__bits", "is missing"),
    ({"conv__shape": np.array([5.0, 24.0])}, "conv__shape", "must be [T, C, H, W] or [T, N], not float64"),
    ({"conv__shape": np.array([5, 6, 4])}, "conv__shape", "must be [T, C, H, W] or [T, N], not int64 [3]"),
    ({"conv__shape": np.array(120)}, "conv__shape", "must be [T, C, H, W] or [T, N]"),
    ({"conv__shape": np.array([0, 24])}, "conv__shape", "[0, 24] must be 1 to"),
    ({"conv__shape": np.array([5, -24])}, "conv__shape", "[5, -24] must be 1 to"),
    ({"conv__shape": np.array([1 << 21, 1])}, "conv__shape", "must be 1 to 1048576 time points"),
    ({"conv__shape": np.array([5, (1 << 64) - 1], np.uint64)}, "conv__shape", "18446744073709551615"),
    ({"conv__shape": np.array([1 << 20, 1 << 20])}, "conv__shape", "take 1 TiB unpacked"),
    ({"conv__shape": np.array([5, 25])}, "conv__bits", "must be uint8 [16] for [5, 25] spikes"),
    ({"conv__bits": BITS[:-1]}, "conv__bits", "must be uint8 [15] for [5, 2, 4, 3] spikes, not uint8 [14]"),
    ({"conv__bits": BITS.astype(np.int8)}, "conv__bits", "must be uint8 [15]"),
    ({"conv__bits": BITS[None]}, "conv__bits", "must be uint8 [15]"),
    ({"last__bits": np.array([0, 1], np.uint8)}, "last__bits", "bits are set after the last spike"),
]


@pytest.mark.parametrize(("changes", "field", "words"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(tmp_path: Path, changes: dict[str, Any], field: str, words: str) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(TraceError) as caught:
        load_recorded_layers(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {field}: ") and words in message and message.isprintable()


def test_many_large_layers_are_refused_before_they_are_read(tmp_path: Path) -> None:
    names = [f"l{index}" for index in range(9)]
    shapes = {f"{name}__shape": np.array([1, 1 << 10, 1 << 10, 1 << 10]) for name in names}
    np.savez(tmp_path / "layers.npz", names=np.array(names), **shapes)
    with pytest.raises(TraceError, match="its spikes take 9 GiB, more than 8 GiB"):
        load_recorded_layers(tmp_path / "layers.npz")


def test_hostile_files(tmp_path: Path) -> None:
    path = tmp_path / "layers.npz"
    names = Member("names.npy", npy_bytes("<U1", (1,), "a".encode("utf-32-le")))
    shape = Member("a__shape.npy", npy_bytes("<i8", (2,), np.array([1, 64]).tobytes()))
    for member, word in (
        (npy_bytes("|u1", (1 << 40,), bytes(10)), "1 TiB"),
        (npy_bytes("|O", (8,), b"cos\nsystem\n"), "pickled"),
    ):
        path.write_bytes(zip_bytes(names, shape, Member("a__bits.npy", member)))
        with pytest.raises(TraceError, match=word):
            load_recorded_layers(path)
    broken = npy_bytes("<U1", (1,), b"\xff\xff\xff\xff")
    path.write_bytes(zip_bytes(Member("names.npy", broken), shape))
    with pytest.raises(TraceError, match=r"layers\.npz: names: holds what is no text"):
        load_recorded_layers(path)
    path.write_bytes(b"names,bits\n")
    for read in (holds_layers, load_recorded_layers):
        with pytest.raises(TraceError, match=r"is not an \.npz"):
            read(path)
