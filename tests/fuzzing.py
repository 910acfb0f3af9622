"""Files that nobody vouches for, mutated from good ones by seeded chance, and read as users have them read.

``python tests/fuzzing.py TARGET FIRST COUNT`` reads the mutants of so many seeds; it ends with 1 at the first
that does anything but be read or be refused in one line, which names its seed, and prints the peak of memory.
"""

from __future__ import annotations

import csv
import io
import random
import re
import resource
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import spikex_sim as sx
from graph_files import everything
from naive_events import (
    aedat2_bytes,
    aedat4_bytes,
    aedat31_bytes,
    dat_bytes,
    description_of,
    event_packet,
    nmnist_bytes,
    polarity_packet,
    sized,
)
from nir_files import conv, lif, write_graph
from spikex_sim.core.errors import SpikexError

LONGEST_SECONDS = 10
"""That one mutant may take."""
MEMORY_GB = 0.5
"""What the process says may be taken; its peak is held against that."""
EVENTS = [(i % 6, i % 4, i % 2, 37 * i) for i in range(40)]
HOSTILE = [
    "0", "-1", "1e999", "-0.0", "NaN", "Infinity", str(2**31), str(2**63), str(-(2**63) - 1), "9" * 400,
    "1e-400", "null", "true", "[]", "{}", '""', '"\\u001b[2J"', '"=1+1"', "[" * 200 + "]" * 200, "0x10",
    "1:30", "*a", "&a 1", "~", "!!python/none x",
]  # fmt: skip
MILD = ["0", "1", "2", "3", "7", "8", "16", "100", "0.5"]
_TOKEN = re.compile(r'-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|"[^"\n]*"|true|false|null|\w+')


@dataclass(frozen=True)
class Target:
    """A kind of file: how a good one is written, and what reads it."""

    name: str
    make: Callable[[Path], None]
    use: Callable[[Path], object]
    mutate: Callable[[bytes, random.Random], bytes]
    draws: bool = False
    """Whether figures are drawn of what is read, which takes a hundred times as long."""


def flipped(data: bytes, chance: random.Random) -> bytes:
    """Cut bytes off, overwrite, repeat or insert some."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(found) + 1)
        what = chance.randrange(6)
        if what == 0:
            del found[at:]
        elif what == 1:
            found[at : at + 1] = bytes([chance.randrange(256)])
        elif what == 2:
            number = chance.choice([0, -1, 1, 2**31 - 1, -(2**31), 1 << 20, 1 << 28])
            found[at : at + 4] = number.to_bytes(4, "little", signed=True)
        elif what == 3:
            found[at:at] = chance.randbytes(chance.randint(1, 20))
        elif what == 4:
            del found[at : at + chance.randint(1, 40)]
        else:
            found[at:at] = found[at : at + chance.randint(1, 200)]
    return bytes(found)


def reworded(data: bytes, chance: random.Random) -> bytes:
    """Put hostile values in the place of numbers, words and texts; now and then, damage bytes."""
    if chance.random() < 0.15:
        return flipped(data, chance)
    text = data.decode("utf-8", "surrogateescape")
    for _ in range(chance.randint(1, 2)):
        tokens = list(_TOKEN.finditer(text))
        if not tokens:
            break
        numbers = [token for token in tokens if token.group()[0] in "-0123456789"]
        token = chance.choice(numbers if numbers and chance.random() < 0.7 else tokens)
        put = chance.choice(chance.choice([HOSTILE, MILD, [chance.choice(tokens).group(), ""]]))
        text = text[: token.start()] + put + text[token.end() :]
    return text.encode("utf-8", "surrogateescape")


def inside(data: bytes, chance: random.Random) -> bytes:
    """Mutate a member of a zip and leave the zip whole; now and then, drop, double or damage members."""
    if chance.random() < 0.2:
        return flipped(data, chance)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(list(members))
    what = chance.random()
    if what < 0.08:
        del members[name]
    elif what < 0.16:
        members[chance.choice(list(members))] = members[name]
    elif name == "meta.npy":
        text = np.load(io.BytesIO(members[name]), allow_pickle=False)
        content = reworded(str(text).encode(), chance).decode("utf-8", "replace")
        buffer = io.BytesIO()
        np.save(buffer, np.array(content), allow_pickle=False)
        members[name] = buffer.getvalue()
    else:
        head = members[name][:128]
        mutated = reworded(head, chance) if chance.random() < 0.5 else flipped(head, chance)
        members[name] = mutated + members[name][128:]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, content in members.items():
            archive.writestr(key, content)
    return buffer.getvalue()


def small_trace() -> sx.Trace:
    """A convolution, pooling and a linear layer, few enough neurons to run thousands of times."""
    rng = np.random.default_rng(0)
    layers: list[dict[str, Any]] = [
        {"name": "c", "kind": "conv", "in_channels": 1, "out_channels": 2, "kernel": 3, "padding": 1,
         "in_height": 4, "in_width": 4, "neuron": {"threshold": 3, "leak_shift": 3}},
        {"name": "p", "kind": "maxpool", "in_channels": 2, "out_channels": 2, "kernel": 2, "stride": 2,
         "in_height": 4, "in_width": 4},
        {"name": "f", "kind": "linear", "in_channels": 8, "out_channels": 3,
         "neuron": {"threshold": 2, "leak_shift": 3}},
    ]  # fmt: skip
    weights = [
        rng.integers(-3, 5, (2, 1, 3, 3)).astype(np.int8),
        None,
        rng.integers(-3, 5, (3, 8)).astype(np.int8),
    ]
    return sx.Trace.from_arrays(
        layers, rng.random((1, 4, 4, 6)) < 0.4, weights=weights, name="small", label=1
    )


def _run(path: Path) -> object:
    return sx.simulate(path, "spikex", tws=2)


def _run_arch(path: Path) -> object:
    return sx.simulate(small_trace(), path)


def _recordings(path: Path) -> object:
    from spikex_sim.sources.events.formats import load_recordings

    recordings = load_recordings(path)
    return [recordings.sample(n) for n in range(min(len(recordings.offsets) - 1, 3))]


def _reader(module: str, name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        import importlib

        found = importlib.import_module(f"spikex_sim.{module}")
        for part in name.split("."):
            found = getattr(found, part)
        return found(path)  # type: ignore[operator]

    return read


def _write(content: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content()) and None


def _events_npz(path: Path) -> None:
    x, y, p, t = np.array(EVENTS).T
    np.savez_compressed(
        path, x=x.astype(np.uint8), y=y.astype(np.uint8), p=p.astype(np.uint8), t=t.astype(np.uint32),
        offsets=np.array([0, 20, 40], np.uint32), label=np.array([1, 2]), sensor=np.array([6, 4, 2]),
    )  # fmt: skip


def _records_npy(path: Path) -> None:
    np.save(path, np.array(EVENTS, [("x", "u1"), ("y", "<i2"), ("p", "?"), ("t", "<i8")]))


def _events_h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for key, column in zip("xypt", np.array(EVENTS).T, strict=True):
            file.create_dataset(f"events/{key}", data=column, compression="gzip", track_times=False)


def _events_csv(path: Path) -> None:
    rows = "".join(f"{t},{x},{y},{p}\n" for x, y, p, t in EVENTS)
    path.write_text(f"t,x,y,p\n{rows}")


def _layers_npz(path: Path) -> None:
    spikes = np.random.default_rng(0).random((6, 1, 4, 4)) < 0.3
    np.savez_compressed(
        path, names=np.array(["c"]), c__shape=np.array(spikes.shape), c__bits=np.packbits(spikes)
    )


def _run_beside(path: Path) -> None:
    sx.simulate(small_trace(), tws=2).save(path.parent)


def _load_results(path: Path) -> object:
    found = sx.load_results(path.parent)
    return repr(found), list(found.layers), found.totals, _figures("roofline")(path)


def _sweep_beside(path: Path) -> None:
    sx.sweep(small_trace(), {"tws": [1, 2], "array.rows": [2, 4]}, arch=["spikex", "ptb"], out=path.parent)


def _figures(*names: str) -> Callable[[Path], object]:
    """Draw some figures of the folder that a file lies in."""

    def draw(path: Path) -> object:
        from spikex_sim.plots.folder import drawings_of

        found = drawings_of(path.parent)
        return [one.draw(one.rows(), None, None) for one in found if one.name in names and not one.lacks]

    return draw


def _model(path: Path) -> None:
    from spikex_sim.explore.fitted.curves import HardwareModel, LayerFit

    costs = {f"{what}_per_window": (1.0, 2.0) for what in ("edp_js", "energy_pj", "cycles")}
    fit = LayerFit(layer="one", tws=2, windows=8, densities=(0.5, 1.0), **costs)
    HardwareModel(
        network="n", arch="a", timesteps=8, clock_hz=1.0, config={"array": {"rows": 8}}, fits=(fit,)
    ).save(path)


def _trained(path: Path) -> None:
    from spikex_sim.sources.trained import load_trained, save_trained

    save_trained(load_trained("nmnist-ht"), path)


def _trained_graph(path: Path) -> None:
    from spikex_sim.sources.trained_graphs import TrainedGraph, save_trained_graph
    from spikex_sim.trace.graph import nodes_of

    nodes = [
        {"name": "image", "kind": "input", "shape": [1, 4, 4], "values": {"bits": 8, "constant": True}},
        {"name": "out", "kind": "neurons", "channels": 3, "synapses": [{"from": "image", "kind": "linear"}],
         "neuron": {"leak_shift": 1}},
    ]  # fmt: skip
    arrays = {
        "out/synapse-0/weight": np.ones((3, 16), np.int8),
        "out/bias": np.ones(3, np.int32),
        "out/neuron/threshold": np.ones(3, np.int32),
    }
    save_trained_graph(TrainedGraph("n", "n", 4, nodes_of(nodes, "n"), arrays), path)


_CHECKPOINT = {"weight": np.zeros((2, 3), np.float32), "order": np.arange(4)}


def _checkpoint(path: Path) -> None:
    from spikex_sim.training.checkpoint import CHECKPOINT, save_checkpoint

    save_checkpoint(path.parent, {"epoch": 3, "state": {"loss": 0.5}}, _CHECKPOINT)
    path.write_bytes((path.parent / CHECKPOINT).read_bytes())


def _load_checkpoint(path: Path) -> object:
    from spikex_sim.training.checkpoint import CHECKPOINT, load_checkpoint

    (path.parent / CHECKPOINT).write_bytes(path.read_bytes())
    return load_checkpoint(path.parent, _CHECKPOINT)


def _graph(path: Path) -> None:
    weight = np.random.default_rng(0).random((2, 1, 3, 3))
    ends = {name: {"type": name, "shape": np.array(shape)} for name, shape in ENDS.items()}
    write_graph(
        path, {"in": ends["Input"], "conv": conv(weight), "lif": lif((2, 4, 4)), "out": ends["Output"]}
    )


def _spans(path: Path) -> None:
    rows = [["class", "startTime_usec", "endTime_usec"], [1, 0, 1000], [2, 2000, 5000]]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path.write_text(text.getvalue())


def _table(path: Path) -> None:
    import spikex_sim.data as data

    path.write_bytes((Path(data.__file__).parent / "energy" / "default" / "logic.csv").read_bytes())


ENDS = {"Input": (1, 6, 6), "Output": (2, 4, 4)}
ARCH = b"""base: spikex
name: mine
tws: 2
array: {rows: 4, cols: 4}
memory:
  glb: {bytes: 32768, latency_cycles: 1}
  lbuf: {partition: {ifmap: 0.25, filter: 0.5, ofmap: 0.05, psum: 0.2}}
stream: tap
mapping: {positions: 4}
"""
NETWORK = b"""name: mine
timesteps: 6
layers:
  - {name: c, kind: conv, in_channels: 1, out_channels: 2, kernel: 3, in_height: 6, in_width: 6, rate: 0.1}
  - {name: f, kind: linear, in_channels: 32, out_channels: 4, rate: 0.2}
"""
STUDY = b"""arch: [spikex, ptb]
set: {array.rows: 4}
product:
  tws: [1, 2]
zip:
  - {array.cols: [2, 4], memory.glb.bytes: [16384, 32768]}
"""

EVALUATION = b"""{"data": {"samples": 3}, "runs": [{"arch": "spikex", "accuracy": 0.5, "layers": [
{"layer": "c", "energy_pj": 2.5, "seconds": 1e-3}, {"layer": "f", "energy_pj": 2.5, "seconds": 1e-3}]}]}
"""
SEARCH = b"""method,tws,edp_js
exhaustive,4 2,1e-9
random,8 2,2.5e-9
"""

TARGETS = {
    one.name: one
    for one in (
        Target("trace.npz", lambda path: sx.save_trace(small_trace(), path), _run, inside),
        Target("trace.h5", lambda path: sx.save_trace(small_trace(), path), _run, flipped),
        Target("format2.npz", lambda path: sx.save_trace(everything(), path), sx.load_trace, inside),
        Target("format2.h5", lambda path: sx.save_trace(everything(), path), sx.load_trace, flipped),
        Target(
            "spikes.npy",
            lambda path: np.save(path, np.eye(6, 8, dtype=np.uint8)),
            _reader("sources.spike_files", "load_spikes"),
            reworded,
        ),
        Target("arch.yaml", _write(ARCH), _run_arch, reworded),
        Target("network.yaml", _write(NETWORK), _reader("spec.networks", "load_network"), reworded),
        Target("study.yaml", _write(STUDY), _reader("explore.sweeps.study", "load_study"), reworded),
        Target("events.npz", _events_npz, _recordings, inside),
        Target("events.bin", _write(nmnist_bytes(EVENTS)), _recordings, flipped),
        Target("v31.aedat", _write(aedat31_bytes(polarity_packet(EVENTS))), _recordings, flipped),
        Target(
            "v4.aedat4",
            _write(lambda: aedat4_bytes([(0, sized(event_packet(EVENTS)))], description_of(6, 4, "EVTS"), 0)),
            _recordings,
            flipped,
        ),
        Target("v2.aedat", _write(aedat2_bytes(EVENTS)), _recordings, flipped),
        Target("events.dat", _write(dat_bytes(EVENTS)), _recordings, flipped),
        Target("events.npy", _records_npy, _recordings, reworded),
        Target("events.h5", _events_h5, _recordings, flipped),
        Target("events.csv", _events_csv, _recordings, reworded),
        Target("spans.csv", _spans, _reader("sources.events.spans", "load_spans"), reworded),
        Target("layers.npz", _layers_npz, _reader("sources.layer_activity", "load_recorded_layers"), inside),
        Target("results.json", _run_beside, _load_results, reworded, draws=True),
        Target("layers.csv", _run_beside, _figures("energy-components", "roofline"), reworded, draws=True),
        Target("accesses.csv", _run_beside, _figures("energy-tensors"), reworded, draws=True),
        Target("sweep.csv", _sweep_beside, _figures("pareto", "tws", "array-size"), reworded, draws=True),
        Target("evaluate.json", _write(EVALUATION), _figures("evaluate"), reworded, draws=True),
        Target("search.csv", _write(SEARCH), _figures("search-tws"), reworded, draws=True),
        Target("model.json", _model, _reader("explore.fitted.curves", "HardwareModel.load"), reworded),
        Target("trained.npz", _trained, _reader("sources.trained", "load_trained"), inside),
        Target(
            "trained-graph.npz",
            _trained_graph,
            _reader("sources.trained_graphs", "load_trained_graph"),
            inside,
        ),
        Target("saved.npz", _checkpoint, _load_checkpoint, inside),
        Target("graph.nir", _graph, _reader("sources.frameworks.nir", "load_nir"), flipped),
    )
}


def read_mutants(target: Target, folder: Path, seeds: range) -> dict[str, int]:
    """Read the mutants of some seeds; how many were read and how many refused.

    Raises
    ------
    AssertionError
        Naming the seed, for anything else.
    """
    path = folder / target.name
    target.make(path)
    good = path.read_bytes()
    target.use(path)
    ends = {"read": 0, "refused": 0}
    for seed in seeds:
        path.write_bytes(target.mutate(good, random.Random(f"{target.name} {seed}")))
        start = time.monotonic()
        try:
            target.use(path)
            ends["read"] += 1
        except SpikexError as exc:
            assert str(exc).isprintable(), f"{target.name} seed {seed}: {exc!r}"
            ends["refused"] += 1
        except Exception:
            raise AssertionError(f"{target.name} seed {seed}: {traceback.format_exc()}") from None
        spent = time.monotonic() - start
        assert spent < LONGEST_SECONDS, f"{target.name} seed {seed} took {spent:.0f} s"
    return ends


if __name__ == "__main__":
    name, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as scratch:
        ends = read_mutants(TARGETS[name], Path(scratch), range(first, first + count))
    sys.stdout.write(f"{ends}\n{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}\n")
