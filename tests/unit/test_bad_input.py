"""Whatever is wrong with a trace or a command line: exit code 2, one line that names it, nothing written."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import spikex_sim as sx
from command import files_under, is_mistake, spikex, succeed
from helpers import Member, npy_bytes, zip_bytes
from trace_files import (
    LAYERS,
    TERABYTE,
    T,
    a_meta,
    a_trace,
    good_arrays,
    good_members,
    npy,
    write_h5,
    write_npz,
)

Refuse = Callable[..., str]


@pytest.fixture
def refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Run a command with an output folder; it must be refused with the given words and write nothing."""
    monkeypatch.chdir(tmp_path)

    def run(line: list[object], *words: str, out: str = "out") -> str:
        before = files_under(tmp_path)
        message = is_mistake(spikex(capsys, *line, "--out", out), *words)
        assert files_under(tmp_path) == before
        return message

    return run


BOMB = "bomb-went-off"


class Bomb:
    """Makes a folder when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (BOMB,))


def changed_layer(index: int, **changes: Any) -> list[dict[str, Any]]:
    layers = [dict(layer) for layer in LAYERS]
    layers[index] |= changes
    return layers


def meta(**changes: Any) -> np.ndarray[Any, Any]:
    return np.array(json.dumps(a_meta(**changes)))


WEIGHTS = a_trace().weights
NAN = WEIGHTS[2].copy()
NAN[0, 0] = np.nan
BAD_ARRAYS = {
    "another version": ({"meta": meta(version=3)}, "meta.version", "reads versions 1 and 2, not 3"),
    "another format": ({"meta": meta(format="x")}, "meta.format", "not 'spikex-trace'"),
    "no version": ({"meta": meta(version=...)}, "meta.version", "not None"),
    "channels that do not chain": (
        {"meta": meta(layers=changed_layer(2, in_channels=17))}, "layer 2", "wants 17 input channels"),
    "maps that do not chain": (
        {"meta": meta(layers=changed_layer(1, in_height=5))}, "layer 1", "wants a map of 5x6"),
    "packed for a longer T": ({"0/input": np.zeros((2, 4, 6, 3), np.uint8)}, "0/input", "another T"),
    "packed for a shorter T": ({"meta": meta(timesteps=9)}, "0/input", "another T"),
    "packed for fewer bytes": ({"meta": meta(timesteps=17)}, "0/input", "another T"),
    "spikes not packed": ({"0/input": np.zeros((2, 4, 6, T), np.uint8)}, "0/input", "[2, 4, 6, 2]"),
    "spikes of another type": ({"0/input": np.zeros((2, 4, 6, 2), np.int8)}, "0/input", "uint8, not int8"),
    "no input": ({"0/input": ...}, "0/input", "missing"),
    "weights of a wider type": ({"0/weight": WEIGHTS[0].astype(np.int16)}, "0/weight", "int16"),
    "float weights for int neurons": ({"0/weight": WEIGHTS[0].astype(np.float32)}, "0/weight", "float32"),
    "double weights": ({"2/weight": WEIGHTS[2].astype(np.float64)}, "2/weight", "float64"),
    "weights of another shape": ({"0/weight": WEIGHTS[0][:2]}, "0/weight", "[2, 2, 3, 3]"),
    "NaN weights": ({"2/weight": NAN}, "2/weight", "NaN"),
    "infinite weights": ({"2/weight": NAN * np.float32(np.inf)}, "2/weight", "infinite"),
    "weights of a pooling layer": ({"1/weight": WEIGHTS[0]}, "1/weight", "pooling"),
    "a layer that is not there": ({"7/weight": WEIGHTS[0]}, "7/weight", "no layer 7"),
    "an unknown key": ({"0/wieght": WEIGHTS[0]}, "0/wieght", "did you mean 0/weight"),
    "labels without samples": ({"label": np.array([1, 2])}, "label", "samples"),
    "fewer labels than samples": (
        {"meta": meta(samples=3), "0/input": np.zeros((3, 2, 4, 6, 2), np.uint8), "label": np.array([1, 2])},
        "label", "3 samples"),
    "a label that is no number": ({"label": np.array(1.5)}, "label", "integer"),
    "no time": ({"meta": meta(timesteps=0)}, "meta.timesteps", "greater than or equal to 1"),
    "a negative size": ({"meta": meta(layers=changed_layer(0, kernel=-3))}, "meta.layers.0", "kernel must"),
    "a neuron without leak": (
        {"meta": meta(layers=changed_layer(0, neuron={"threshold": 1}))}, "layers.0.neuron", "leak_shift"),
}  # fmt: skip


class TestTraces:
    @pytest.mark.parametrize("ending", ["npz", "h5"])
    @pytest.mark.parametrize("case", BAD_ARRAYS)
    def test_content(self, refuse: Refuse, case: str, ending: str) -> None:
        arrays, field, word = BAD_ARRAYS[case]
        write = write_npz if ending == "npz" else write_h5
        write(Path(f"bad.{ending}"), good_arrays(**arrays))
        message = refuse(["run", f"bad.{ending}"], field, word)
        assert message.startswith(f"bad.{ending}: ")

    def test_the_same_trace_without_a_mistake(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_npz(tmp_path / "good.npz", good_arrays())
        write_h5(tmp_path / "good.h5", good_arrays())
        for ending in ("npz", "h5"):
            succeed(capsys, "run", tmp_path / f"good.{ending}")

    @pytest.mark.parametrize("command", ["run", "compare", "sweep"])
    def test_missing(self, refuse: Refuse, command: str) -> None:
        assert refuse([command, "absent.npz"], "no such file").startswith("absent.npz: ")

    def test_a_folder_without_traces(self, refuse: Refuse) -> None:
        Path("empty").mkdir()
        assert refuse(["run", "empty"], "holds no trace").startswith("empty: ")

    def test_samples_of_different_networks(self, refuse: Refuse) -> None:
        Path("folder").mkdir()
        sx.save_trace(a_trace(), "folder/a.npz")
        write_npz(Path("folder/b.npz"), good_arrays(meta=meta(layers=changed_layer(0, name="other"))))
        refuse(["run", "folder"], "folder/b.npz", "folder/a.npz", "layers")

    @pytest.mark.parametrize("ending", ["npz", "h5"])
    @pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
    def test_truncated(self, refuse: Refuse, ending: str, share: float) -> None:
        sx.save_trace(a_trace(), f"whole.{ending}")
        data = Path(f"whole.{ending}").read_bytes()
        Path(f"half.{ending}").write_bytes(data[: int(share * len(data))])
        assert refuse(["run", f"half.{ending}"]).startswith(f"half.{ending}: ")

    @pytest.mark.parametrize("ending", ["npz", "h5", "txt", ""])
    def test_something_else(self, refuse: Refuse, ending: str) -> None:
        name = f"notes.{ending}".rstrip(".")
        Path(name).write_text("these are notes, no arrays\n" * 20)
        assert refuse(["run", name]).startswith(f"{name}: ")

    def test_pickles_are_never_loaded(self, refuse: Refuse) -> None:
        pickled = npy_bytes("|O", (1,), pickle.dumps([Bomb()]))
        for key in ("0/weight", "meta", "label", "0/input"):
            Path("bad.npz").write_bytes(zip_bytes(*good_members(**{key: pickled})))
            refuse(["run", "bad.npz"], f"bad.npz: {key}", "pickled")
        Path("bad.npz").write_bytes(pickle.dumps(Bomb()))
        refuse(["run", "bad.npz"], "bad.npz", "pickle")
        assert not Path(BOMB).exists()
        pickle.loads(pickle.dumps(Bomb()))
        assert Path(BOMB).exists()  # it would have gone off

    def test_inputs_that_nobody_can_compute(self, refuse: Refuse) -> None:
        write_npz(Path("bad.npz"), good_arrays(**{"0/weight": ...}))
        refuse(["run", "bad.npz"], "bad.npz: 2/input", "no recorded spikes")

    def test_links_out_of_an_hdf5_file(self, refuse: Refuse) -> None:
        write_h5(Path("bad.h5"), good_arrays(**{"0/weight": ...}))
        with h5py.File("bad.h5", "a") as file:
            file["0/weight"] = h5py.ExternalLink("/etc/passwd", "x")
        refuse(["run", "bad.h5"], "bad.h5: 0/weight", "not followed")


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
from spikex_sim.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


class TestClaims:
    """A small file that claims a terabyte is refused in a process that could not hold it."""

    def limited(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", LIMITED, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def assert_refused(self, path: Path, *words: str) -> None:
        out = path.parent / "out"
        done = self.limited("run", str(path), "--out", str(out))
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr.startswith(f"spikex-sim: {path}: ") and done.stderr.count("\n") == 1
        assert all(word in done.stderr for word in words), done.stderr
        assert files_under(out) == []

    def test_the_limit_leaves_room_for_good_traces(self, tmp_path: Path) -> None:
        sx.save_trace(a_trace(), tmp_path / "good.npz")
        assert self.limited("run", str(tmp_path / "good.npz")).returncode == 0

    def test_zip(self, tmp_path: Path) -> None:
        huge = npy_bytes("|u1", (TERABYTE,), bytes(1000))
        member = Member("0/weight.npy", huge, claimed_size=TERABYTE + len(huge) - 1000)
        path = tmp_path / "huge.npz"
        path.write_bytes(zip_bytes(*good_members(**{"0/weight": member})))
        self.assert_refused(path, "0/weight", "1 TiB")

    def test_meta_that_agrees_with_the_claim(self, tmp_path: Path) -> None:
        side = 1 << 19
        layer = {**LAYERS[0], "in_channels": 1, "in_height": side, "in_width": side}
        claim = npy_bytes("|u1", (1, side, side, 2), bytes(1000))
        text = npy(meta(layers=[layer]))
        huge = Member("0/input.npy", claim, claimed_size=len(claim) - 1000 + side * side * 2)
        path = tmp_path / "huge.npz"
        path.write_bytes(zip_bytes(Member("meta.npy", text), huge))
        self.assert_refused(path, "0/input")

    def test_hdf5(self, tmp_path: Path) -> None:
        write_h5(tmp_path / "huge.h5", good_arrays(**{"0/weight": ...}))
        with h5py.File(tmp_path / "huge.h5", "a") as file:
            file.create_dataset(
                "0/weight", (1 << 20, 1 << 10, 1 << 5, 1 << 5), np.int8, chunks=(1, 8, 32, 32)
            )
        self.assert_refused(tmp_path / "huge.h5", "0/weight")

    def test_a_network_of_a_terabyte(self, tmp_path: Path) -> None:
        size = 1 << 20
        layer = f"{{name: a, kind: linear, in_channels: {size}, out_channels: {size}}}"
        (tmp_path / "n.yaml").write_text(f"name: n\ntimesteps: 8\nlayers: [{layer}]\n")
        out = tmp_path / "out.npz"
        done = self.limited("trace", "synth", "--kind", "bernoulli", "--network", str(tmp_path / "n.yaml"),
                            "--out", str(out))  # fmt: skip
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and not out.exists()


class TestGenerators:
    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("--seed -1", ("--seed",)),
            ("--kind bernoulli --rate 1.5", ("rate", "1.5")),
            ("--kind bernoulli --rate nan", ("rate", "nan")),
            ("--kind bursty --rate 0.9", ("rate", "0.9")),
            ("--activity 2", ("--activity",)),
            ("--activity nan", ("--activity",)),
            ("--kind magic", ("--kind", "magic")),
            ("--network nmnits", ("nmnits", "did you mean nmnist?")),
            ("--network nmnist --layer conv9", ("nmnist", "conv9", "conv1")),
            ("--network nmnist --layer conv2", ("nmnist-conv2", "[12, 16, 16]")),
            ("--kind gesture --network nmnist", ("network", "128x128")),
            ("--timesteps 0", ("--timesteps",)),
            ("--timesteps 2000000", ("timesteps", "2000000")),
            ("--rate 0.1", ("--rate", "bernoulli")),
            ("--kind bernoulli --step-ms 5", ("--step-ms", "digit")),
            ("--step-ms 0", ("step", "0")),
            ("--step-ms nan", ("step", "nan")),
            ("--digit 10", ("--digit",)),
            ("--index -1", ("--index",)),
        ],
    )
    def test_synth(self, refuse: Refuse, line: str, words: tuple[str, ...]) -> None:
        refuse(["trace", "synth", *line.split()], *words, out="t.npz")

    @pytest.mark.parametrize("out", ["t.txt", "t", "file/t.npz", "file/deep/t.npz", "folder.npz"])
    def test_where_to(self, refuse: Refuse, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("file").write_text("in the way")
        Path("folder.npz").mkdir()
        monkeypatch.setattr("spikex_sim.explore.seeded_network.attach_network", lambda *_, **__: a_trace())
        refuse(["trace", "synth", "--timesteps", 5], out.split("/", maxsplit=1)[0], out=out)

    @pytest.mark.parametrize("step", ["0", "-1", "nan", "inf", "1e300", "1e-9"])
    def test_convert(self, refuse: Refuse, step: str) -> None:
        one = np.zeros(1, np.uint8)
        np.savez("rec.npz", x=one, y=one, p=one, t=one, offsets=np.array([0, 1]), sensor=[34, 34, 2])
        refuse(["trace", "convert", "rec.npz", "--step-ms", step], "step", out="t.npz")
        refuse(["trace", "convert", "rec.npz", "--sample", 1], "rec.npz", "sample", out="t.npz")
        refuse(["trace", "convert", "absent.npz"], "absent.npz", out="t.npz")
        refuse(["trace", "convert", "rec.npz", "--network", "dvs-gesture-medium"], "34x34", out="t.npz")

    @pytest.mark.parametrize("second", ["in_channels: 5, in_height: 4", "in_channels: 2, in_height: 9"])
    def test_a_network_whose_layers_do_not_chain(self, refuse: Refuse, second: str) -> None:
        one = "{name: a, kind: conv, in_channels: 1, out_channels: 2, kernel: 3, in_height: 6, in_width: 6}"
        two = f"{{name: b, kind: conv, {second}, in_width: 4, out_channels: 2, kernel: 3}}"
        Path("n.yaml").write_text(f"name: n\ntimesteps: 8\nlayers:\n - {one}\n - {two}\n")
        refuse(["trace", "synth", "--kind", "bernoulli", "--network", "n.yaml"], "layers.1", out="t.npz")


class TestOutput:
    @pytest.mark.parametrize("command", ["run", "compare", "sweep"])
    @pytest.mark.parametrize("out", ["file", "file/below", "file/deep/below"])
    def test_a_file_in_the_way(self, refuse: Refuse, command: str, out: str) -> None:
        Path("file").write_text("in the way")
        sx.save_trace(a_trace(), "t.npz")
        refuse([command, "t.npz"], "cannot be written", out, out=out)
        assert Path("file").read_text() == "in the way"

    def test_a_store_that_is_none(self, refuse: Refuse) -> None:
        sx.save_trace(a_trace(), "t.npz")
        Path("out").mkdir()
        Path("out/sweep.sqlite").write_text("no database")
        refuse(["sweep", "t.npz"], "out/sweep.sqlite")

    @pytest.mark.parametrize("broken", ["fsync", "replace"])
    @pytest.mark.parametrize("nth", [0, 1, 2])
    def test_a_write_that_fails_leaves_no_half_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, nth: int
    ) -> None:
        result = sx.simulate(a_trace())
        whole = {path.name: path.read_bytes() for path in result.save(tmp_path / "whole")}
        calls = []
        place: Any = os if broken == "fsync" else Path
        works = getattr(place, broken)

        def fails(*args: Any) -> Any:
            calls.append(args)
            if len(calls) == nth + 1:
                raise OSError(28, "No space left on device")
            return works(*args)

        monkeypatch.setattr(place, broken, fails)
        with pytest.raises(sx.OutputError, match=r"out/\w+\.\w+: cannot be written: No space left on device"):
            result.save(tmp_path / "out")
        there = files_under(tmp_path / "out")
        assert len(there) == (nth if broken == "replace" else 0)
        assert all((tmp_path / "out" / name).read_bytes() == whole[name] for name in there)

    def test_a_sweep_that_fails_while_writing_keeps_its_old_table(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sx.sweep(a_trace(), {"tws": [2]}, out=tmp_path)
        old = (tmp_path / "sweep.csv").read_bytes()

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(sx.OutputError, match="No space left"):
            sx.sweep(a_trace(), {"tws": [2, 3]}, out=tmp_path)
        assert files_under(tmp_path) == ["sweep.csv", "sweep.sqlite"]
        assert (tmp_path / "sweep.csv").read_bytes() == old
