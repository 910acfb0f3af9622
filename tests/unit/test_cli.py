"""The command line: every command and every option does what its help says."""

from __future__ import annotations

import csv
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import REPOSITORY, Outcome, files_under, succeed
from nir_files import conv, lif, write_graph
from spikex_sim.cli.app import command
from spikex_sim.costs.cacti import Rederived
from spikex_sim.sources.trained import TrainedNetwork, save_trained
from trace_files import a_trace

TRACE = sx.Trace.from_arrays(
    [
        {"name": "first", "kind": "conv", "in_channels": 2, "out_channels": 9, "kernel": 3, "padding": 1,
         "in_height": 6, "in_width": 6, "neuron": {"threshold": 9, "leak_shift": 3}},
        {"name": "last", "kind": "linear", "in_channels": 324, "out_channels": 5,
         "neuron": {"threshold": 30, "leak_shift": 3}},
    ],
    np.random.default_rng(0).random((2, 6, 6, 20)) < 0.2,
    weights=[
        np.random.default_rng(1).integers(-9, 12, (9, 2, 3, 3)).astype(np.int8),
        np.random.default_rng(2).integers(-9, 12, (5, 324)).astype(np.int8),
    ],
    name="small",
)  # fmt: skip


pytestmark = pytest.mark.usefixtures("quiet_logger")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a trace, recordings, a network, an architecture and an energy table."""
    monkeypatch.chdir(tmp_path)
    sx.save_trace(TRACE, "t.npz")
    neuron = {"threshold": 9.0, "leak": 0.875, "datapath": "float"}
    layer = TRACE.layers[0].model_dump() | {"neuron": neuron}
    weight = TRACE.weights[0].astype(np.float32)
    sx.save_trace(sx.Trace.from_arrays([layer], TRACE.spikes(0), weights=[weight]), "f.npz")
    sx.save_trace(replace(TRACE, label=2), "l.npz")
    rng = np.random.default_rng(3)
    events = {key: rng.integers(0, 6, 300).astype(np.uint8) for key in "xy"}
    times = np.sort(rng.integers(0, 12_000, 300)).astype(np.uint32)
    np.savez("rec.npz", **events, p=rng.integers(0, 2, 300).astype(np.uint8), t=times,
             offsets=np.array([0, 200, 300], np.uint32), label=np.array([7, 8]),
             sensor=np.array([6, 6, 2]))  # fmt: skip
    for label, low, high in (("3", 0, 200), ("4", 200, 300)):
        Path("rec", "Test" if label == "4" else "Train", label).mkdir(parents=True)
        raw = np.stack([events["x"], events["y"], times >> 16, times >> 8, times], 1)[low:high]
        Path("rec", "Test" if label == "4" else "Train", label, "1.bin").write_bytes(
            (raw & 255).astype(np.uint8).tobytes()
        )
    one = "{name: one, kind: conv, in_channels: 2, out_channels: 4, kernel: 3, in_height: 6, in_width: 6}"
    two = "{name: two, kind: linear, in_channels: 64, out_channels: 3}"
    Path("net.yaml").write_text(f"name: net\ntimesteps: 12\nlayers:\n  - {one}\n  - {two}\n")
    Path("net2.yaml").write_text(f"name: net2\ntimesteps: 12\nlayers:\n  - {one}\n")
    Path("arch.yaml").write_text("base: spikex\nname: mine\narray: {rows: 4}\n")
    Path("study.yaml").write_text("product: {tws: [2, 5]}\nzip: [{array.rows: [4], array.cols: [2]}]\n")
    Path("mine-ann.yaml").write_text("base: ann\nname: mine\narray: {rows: 4}\n")
    like = sx.Trace.from_arrays(TRACE.layers[:1], np.zeros((2, 6, 6, 2), bool), weights=[TRACE.weights[0]])
    sx.save_trace(like, "like.npz")
    marked = {key: events[key] for key in "xy"} | {"p": rng.integers(0, 2, 300).astype(np.uint8), "t": times}
    np.savez("lab.npz", **marked, offsets=np.array([0, 150, 300], np.uint32), label=np.array([1, 4]),
             split=np.array([0, 1]), sensor=np.array([6, 6, 2]))  # fmt: skip
    for variant, tws in (("ht", None), ("has", (3, 4))):
        weights = {0: TRACE.weights[0], 1: TRACE.weights[1]}
        trained = TrainedNetwork(f"net-{variant}", "net", variant, 20, TRACE.layers, weights, tws=tws)
        save_trained(trained, f"{variant}.npz")
    sx.sweep("t.npz", {"tws": [2, 3]}, out="stored")
    conv_alone = TrainedNetwork("conv", "net", "base", 20, TRACE.layers[:1], {0: TRACE.weights[0]})
    save_trained(conv_alone, "conv.npz")
    nodes = {
        "in": {"type": "Input", "shape": [2, 6, 6]},
        "conv": conv(np.ones((3, 2, 3, 3)) / 8),
        "lif": lif(),
    }
    write_graph("g.nir", {**nodes, "out": {"type": "Output", "shape": [3, 4, 4]}})
    np.save("s.npy", np.random.default_rng(4).random((2, 6, 6, 9)) < 0.3)
    np.save("plain.npy", np.stack([times % 4096, events["x"], events["y"], rng.integers(0, 2, 300)], 1))
    Path("table").mkdir()
    for file in (REPOSITORY / "spikex_sim/costs/tables").glob("*.csv"):
        text = file.read_text().replace("LPDDR4,access,1,,8,", "LPDDR4,access,1,,9,")
        Path("table", file.name).write_text(text.replace("0.0796293", "0.0123456"))
    return tmp_path


class TestRun:
    def test_prints_what_the_library_finds_and_writes_it(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = succeed(capsys, "run", "t.npz", "--tws", 5, "--out", "out")
        result = sx.simulate("t.npz", tws=5)
        assert shown.lines[0] == "small (T=20) on spikex: 8x8 PEs, 500 MHz, fast engine, int8"
        rows = [line.split() for line in shown.lines]
        for layer in result.layers:
            start = [layer.name, layer.mode, "5", f"{layer.cycles:,}"]
            stalls = [100 * layer.stalls[cause] / layer.cycles for cause in layer.stalls]
            shares = [100 * layer.compute_cycles / layer.cycles, *stalls]
            assert [*start, *(f"{share:.1f}" for share in shares)] in rows
            parts = [layer.energy_pj_by[part] / 1e3 for part in ("alu", "rf", "lbuf", "glb", "dram")]
            energies = [*parts, sum(parts), sum(parts[:4])]
            assert [layer.name, *(f"{nj:,.4f}" for nj in energies)] in rows
            counts = [layer.ntwus, layer.batches, layer.streamed_taps, layer.accumulations]
            work = [f"{100 * layer.utilization:.1f}", f"{100 * layer.add_utilization:.1f}"]
            spikes = [f"{layer.input_spikes:,}", f"{layer.output_spikes:,}"]
            assert [layer.name, *(f"{count:,}" for count in counts), *work, *spikes] in rows
        assert f"latency {result.totals.seconds * 1e6:.4g} µs" in shown.out
        assert f"EDP {result.totals.edp_js:.4g} Js" in shown.out
        assert files_under(here / "out") == ["accesses.csv", "layers.csv", "results.json"]
        assert shown.lines[-1] == "wrote out/results.json, out/layers.csv, out/accesses.csv"
        written = json.loads(Path("out/results.json").read_text())
        assert written["totals"]["cycles"] == result.totals.cycles

    def test_arrays_are_rows_by_columns(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "run", "t.npz", "--set", "array.rows=4", "--set", "array.cols=6")
        assert shown.lines[0] == "small (T=20) on spikex: 4x6 PEs, 500 MHz, fast engine, int8"

    def test_without_a_trace_the_packaged_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "run")
        assert shown.lines[0].startswith("nmnist-digit (T=30)")
        assert "433,756" in shown.out

    def test_auto_shows_the_window_size_that_was_found(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = succeed(capsys, "run", "t.npz", "--tws", "auto")
        sizes = {size: sx.simulate("t.npz", tws=size).layers[0].edp_js for size in range(1, 21)}
        best = min(sizes, key=lambda size: sizes[size])
        assert any(line.split()[:1] + line.split()[2:3] == ["first", str(best)] for line in shown.lines)

    def test_a_differing_recording_is_reported(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sx.save_trace(a_trace(), "open.npz")
        result = sx.simulate("open.npz")
        differing = result.layers[2].mismatched_spikes
        assert differing
        assert f"layer f1: the recorded input differs in {differing:,} spikes" in succeed(
            capsys, "run", "open.npz"
        ).out.replace("\n", " ")

    def test_several_samples(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sx.save_trace(a_trace(3), "batch.npz")
        assert succeed(capsys, "run", "batch.npz").lines[0].startswith("tiny (T=11, 3 samples) on")
        Path("folder").mkdir()
        for name in "ab":
            sx.save_trace(TRACE, f"folder/{name}.npz")
        assert "small and 1 more (T=20, 2 samples)" in succeed(capsys, "run", "folder").lines[0]


def test_sweep_marks_the_best(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = succeed(capsys, "sweep", "t.npz", "--grid", "tws=2,7", "--arch", "spikex,ptb", "--out", "o")
    with Path("o/sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["arch"], row["tws"]) for row in rows] == [
        ("spikex", "2"), ("spikex", "7"), ("ptb", "2"), ("ptb", "7")
    ]  # fmt: skip
    best = min(int(row["cycles"]) for row in rows)
    printed = [line.split() for line in shown.lines]
    for row in rows:
        cycles = f"{int(row['cycles']):,}" + ("*" if int(row["cycles"]) == best else "")
        assert [row["arch"], row["tws"], cycles] in [cells[:3] for cells in printed]
    assert shown.lines[-1] == "wrote o/sweep.csv, o/sweep.sqlite"


def test_trace_show(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = succeed(capsys, "trace", "show", "t.npz", "--tws", 5)
    spikes = TRACE.spikes(0)
    active = spikes.reshape(-1, 4, 5).any(axis=-1).mean()
    rows = [line.split() for line in shown.lines]
    assert ["first", "conv", "2x6x6", "9x6x6", "9x2x3x3"] in [row[:5] for row in rows]
    silent = 100 * (~spikes.any(axis=-1)).mean()
    numbers = [f"{spikes.sum():,}", f"{100 * spikes.mean():.4g}", f"{silent:.1f}", f"{100 * active:.3g}"]
    assert ["first", *numbers] in rows
    assert TRACE.name in shown.lines[0] and "1,782 parameters" in shown.lines[0]
    assert f"sha256 {sx.load_trace('t.npz').sha256}" in shown.lines


def test_convert_accounts_for_every_event(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = succeed(capsys, "trace", "convert", "rec.npz", "--network", "net.yaml", "--sample", 1,
                    "--timesteps", 10, "--step-ms", 0.5, "--out", "c.npz")  # fmt: skip
    found = re.match(
        r"100 events: (\d+) became spikes, (\d+) fell on one already set, "
        r"(\d+) came after 10 steps of 0\.5 ms",
        shown.out,
    )
    assert found
    kept, merged, late = map(int, found.groups())
    assert kept + merged + late == 100
    with np.load("rec.npz") as recordings:
        assert late == np.count_nonzero(recordings["t"][200:] >= 5000)
    trace = sx.load_trace("c.npz")
    assert (int(trace.spikes(0).sum()), trace.timesteps, trace.label) == (kept, 10, 8)


# For every option: arguments without it, and what is added; the outcome must differ.
CONVERT = "trace convert rec.npz --network net.yaml --out o/x.npz"
PLAIN = "trace convert plain.npy --columns t,x,y,p --network net.yaml --out o/x.npz"
MANY = "trace convert rec --network net.yaml --out o/x"
SYNTH = "trace synth --kind bernoulli --network net.yaml --out o/x.npz"
NIR = "trace nir g.nir --input t.npz --out o/x.npz"
DIGIT = "trace synth --timesteps 9 --out o/x.npz"
GRAPH = "trace synth --kind graph --width 2 --out o/x.npz"
EVALUATE = "evaluate ht.npz --data lab.npz"
MODEL = "hardware-model net2.yaml --samples 1 --tws 2,4 --out o/m.json"
SEARCH = "search-tws ht.npz --data lab.npz --tws 1,2,4"
EFFECTS = {
    ("run", "--arch"): ("run t.npz", "--arch ptb"),
    ("run", "--explain"): ("run t.npz", "--explain"),
    ("run", "--tws"): ("run t.npz", "--tws 2"),
    ("run", "--set"): ("run t.npz", "--set array.rows=4 --set array.cols=2"),
    ("run", "--engine"): ("run t.npz", "--engine event"),
    ("run", "--out"): ("run t.npz", "--out o"),
    ("run", "--timeline"): ("run t.npz --out o", "--timeline"),
    ("run", "--accesses"): ("run t.npz", "--accesses o/a.csv"),
    ("run", "--access-levels"): ("run t.npz --accesses o/a.csv", "--access-levels dram,glb"),
    ("run", "--layers"): ("run t.npz --accesses o/a.csv", "--layers last"),
    ("run", "--sort"): ("run t.npz", "--sort -cycles"),
    ("run", "--top"): ("run t.npz", "--top 1"),
    ("run", "--fields"): ("run t.npz", "--fields cycles,mode"),
    ("run", "--show-config"): ("run t.npz", "--show-config"),
    ("compare", "--arch"): ("compare t.npz --tws 2", "--arch arch.yaml,spikex"),
    ("compare", "--tws"): ("compare t.npz --arch spikex", "--tws 2"),
    ("compare", "--set"): ("compare t.npz --tws 2", "--set array.rows=4"),
    ("compare", "--engine"): ("compare t.npz --tws 2 --out o", "--engine event"),
    ("compare", "--sort"): ("compare t.npz --tws 2", "--sort -cycles"),
    ("compare", "--top"): ("compare t.npz --tws 2", "--top 1"),
    ("compare", "--fields"): ("compare t.npz --tws 2", "--fields edp_js"),
    ("compare", "--out"): ("compare t.npz --tws 2", "--out o"),
    ("sweep", "--grid"): ("sweep t.npz --out o", "--grid tws=2,3 --grid array.rows=4,8"),
    ("sweep", "--arch"): ("sweep t.npz --out o", "--arch spikex,arch.yaml"),
    ("sweep", "--set"): ("sweep t.npz --out o", "--set array.rows=4"),
    ("sweep", "--engine"): ("sweep t.npz --out o", "--engine event"),
    ("sweep", "--spec"): ("sweep t.npz --out o", "--spec study.yaml"),
    ("sweep", "--tws"): ("sweep t.npz --out o", "--tws 7"),
    ("sweep", "--sort"): ("sweep t.npz --out o --grid tws=2,7", "--sort=-tws"),
    ("sweep", "--top"): ("sweep t.npz --out o --grid tws=2,7", "--top 1"),
    ("sweep", "--fields"): ("sweep t.npz --out o", "--fields edp_js"),
    ("sweep", "--pareto"): ("sweep t.npz --out o", "--pareto"),
    ("sweep", "--shard"): ("sweep t.npz --grid tws=2,3 --out o", "--shard 1/2"),
    ("sweep export", "--out"): ("sweep export stored", "--out o/all.csv"),
    ("sweep merge", "--out"): ("sweep merge stored --out o/x", "--out o/y"),
    ("sweep", "--out"): ("sweep t.npz", "--out o"),
    ("dynamic", "--arch"): ("dynamic l.npz", "--arch ptb"),
    ("dynamic", "--thresholds"): ("dynamic l.npz", "--thresholds 0,0.95"),
    ("dynamic", "--tws"): ("dynamic l.npz", "--tws 2"),
    ("dynamic", "--set"): ("dynamic l.npz", "--set array.rows=4"),
    ("dynamic", "--engine"): ("dynamic l.npz --out o", "--engine event"),
    ("dynamic", "--out"): ("dynamic l.npz", "--out o"),
    ("ann", "--arch"): ("ann t.npz", "--arch ptb"),
    ("ann", "--ann"): ("ann t.npz", "--ann mine-ann.yaml"),
    ("ann", "--timesteps"): ("ann t.npz", "--timesteps 3,5"),
    ("ann", "--tws"): ("ann t.npz", "--tws 2"),
    ("ann", "--set"): ("ann t.npz", "--set array.rows=4"),
    ("ann", "--engine"): ("ann t.npz --out o", "--engine event"),
    ("ann", "--out"): ("ann t.npz", "--out o"),
    ("evaluate", "--variant"): (EVALUATE, "evaluate has.npz --variant has --data lab.npz"),
    ("evaluate", "--data"): ("evaluate ht.npz --data l.npz", "--data lab.npz"),
    ("evaluate", "--split"): (EVALUATE, "--split train"),
    ("evaluate", "--step-ms"): (EVALUATE, "--step-ms 0.5"),
    ("evaluate", "--limit"): (f"{EVALUATE} --split all", "--limit 1"),
    ("evaluate", "--arch"): (EVALUATE, "--arch spikex,ptb"),
    ("evaluate", "--tws"): (EVALUATE, "--tws 2,5"),
    ("evaluate", "--set"): (EVALUATE, "--set array.rows=4"),
    ("evaluate", "--engine"): (f"{EVALUATE} --out o", "--engine event"),
    ("evaluate", "--out"): (EVALUATE, "--out o"),
    ("hardware-model", "--out"): (MODEL, "--out o/n.json"),
    ("hardware-model", "--arch"): (MODEL, "--arch ptb"),
    ("hardware-model", "--tws"): (MODEL, "--tws 2,3"),
    ("hardware-model", "--set"): (MODEL, "--set array.rows=2"),
    ("hardware-model", "--samples"): (MODEL, "--samples 2"),
    ("hardware-model", "--seed"): (MODEL, "--seed 1"),
    ("hardware-model", "--figure"): (MODEL, "--figure o/m.png"),
    ("search-tws", "--variant"): (SEARCH, "search-tws has.npz --variant has --data lab.npz --tws 1,2,4"),
    ("search-tws", "--data"): ("search-tws ht.npz --tws 1,2 --data l.npz", "--data lab.npz"),
    ("search-tws", "--split"): (SEARCH, "--split train"),
    ("search-tws", "--step-ms"): (SEARCH, "--step-ms 0.5"),
    ("search-tws", "--limit"): (f"{SEARCH} --split all", "--limit 1"),
    ("search-tws", "--arch"): (SEARCH, "--arch ptb"),
    ("search-tws", "--tws"): (SEARCH, "--tws 5,10"),
    ("search-tws", "--set"): (SEARCH, "--set array.rows=4"),
    ("search-tws", "--compare"): (SEARCH, "--compare 3,4"),
    ("search-tws", "--seed"): ("search-tws ht.npz --data l.npz --tws 1,2,3,5,7,9,11,13", "--seed 3"),
    ("search-tws", "--out"): (SEARCH, "--out o"),
    ("trace show", "--tws"): ("trace show t.npz", "--tws 9"),
    ("trace synth", "--kind"): (SYNTH, "--kind bursty"),
    ("trace synth", "--network"): (SYNTH, "--network net2.yaml"),
    ("trace synth", "--like"): (SYNTH, "trace synth --kind bernoulli --like like.npz --out o/x.npz"),
    ("trace synth", "--layer"): (SYNTH, "--layer two"),
    ("trace synth", "--timesteps"): (SYNTH, "--timesteps 5"),
    ("trace synth", "--step-ms"): (DIGIT, "--step-ms 3"),
    ("trace synth", "--rate"): (SYNTH, "--rate 0.3"),
    ("trace synth", "--at-most-once"): (f"{SYNTH} --rate 0.3", "--at-most-once"),
    ("trace synth", "--digit"): (DIGIT, "--digit 7"),
    ("trace synth", "--index"): (DIGIT, "--index 4"),
    ("trace synth", "--activity"): (SYNTH, "--activity 0.2"),
    ("trace synth", "--width"): (GRAPH, "--width 3"),
    ("trace synth", "--seed"): (SYNTH, "--seed 3"),
    ("trace synth", "--out"): (SYNTH, "--out o/y.h5"),
    ("trace convert", "--sample"): (CONVERT, "--sample 1"),
    ("trace convert", "--samples"): (
        CONVERT,
        "trace convert rec.npz --samples all --network net.yaml --out o/x",
    ),
    ("trace convert", "--split"): (MANY, "--split test"),
    ("trace convert", "--limit"): (MANY, "--limit 1"),
    ("trace convert", "--sensor"): (MANY, "--sensor 12x12"),
    ("trace convert", "--crop"): (CONVERT, "--crop 3x3 --pad 6x6"),
    ("trace convert", "--pad"): (CONVERT, "--pad 12x12"),
    ("trace convert", "--bin"): (CONVERT, "--bin 2"),
    ("trace convert", "--columns"): (PLAIN, "--columns t,y,x,p"),
    ("trace convert", "--time-unit"): (PLAIN, "--time-unit ms"),
    ("trace convert", "--from-first"): (f"{CONVERT} --step-ms 0.01", "--from-first"),
    ("trace convert", "--unwrap"): (PLAIN, "--unwrap 12"),
    ("trace convert", "--step-events"): (CONVERT, "--step-events 7"),
    ("trace convert", "--network"): (CONVERT, "--network net2.yaml"),
    ("trace convert", "--like"): (CONVERT, "trace convert rec.npz --like like.npz --out o/x.npz"),
    ("trace convert", "--weights"): (CONVERT, "trace convert rec.npz --weights conv.npz --out o/x.npz"),
    ("trace convert", "--timesteps"): (CONVERT, "--timesteps 5"),
    ("trace convert", "--step-ms"): (CONVERT, "--step-ms 0.5"),
    ("trace convert", "--activity"): (CONVERT, "--activity 0.2"),
    ("trace convert", "--seed"): (CONVERT, "--seed 3"),
    ("trace convert", "--int8"): (CONVERT, "trace convert f.npz --int8 --out o/x.npz"),
    ("trace convert", "--graph"): (CONVERT, "trace convert f.npz --graph --out o/x.npz"),
    ("trace convert", "--out"): (CONVERT, "--out o/y.h5"),
    ("trace nir", "--input"): (NIR, "--input s.npy"),
    ("trace nir", "--axes"): (NIR.replace("t.npz", "s.npy"), "--axes CWHT"),
    ("trace nir", "--dt"): (NIR, "--dt 5e-5"),
    ("trace nir", "--reset"): (NIR, "--reset subtract"),
    ("trace nir", "--out"): (NIR, "--out o/y.h5"),
    ("energy show", "--table"): ("energy show", "--table table"),
    ("energy show", "--device"): ("energy show", "--device lop"),
    ("energy show", "--width"): ("energy show", "--width 512"),
    ("energy show", "--sources"): ("energy show", "--sources"),
    ("energy check", "--cacti"): ("energy check --capacity 64 --cacti a", "--cacti b"),
    ("energy check", "--table"): ("energy check --capacity 64 --cacti a", "--table table"),
    ("energy check", "--device"): ("energy check --capacity 64 --cacti a", "--device lop"),
    ("energy check", "--capacity"): ("energy check --cacti a", "--capacity 2048"),
}


# What changes how a sweep is run and not its outcome, or needs what is not installed everywhere.
ELSEWHERE = {
    ("trace convert", "--at-most-once"),
    ("search-tws", "--engine"),
    *(
        ("trace record", option)
        for option in (
            "--call",
            "--skip",
            "--nearest",
            "--closed-loop",
            "--int8",
            "--out",
            "--axes",
            "--timesteps",
            "--input-bits",
        )
    ),
    *((name, "--jobs") for name in ("run", "compare", "sweep", "evaluate", "search-tws")),
    *(
        (name, "--safe-csv")
        for name in ("run", "compare", "sweep", "sweep export", "sweep merge", "dynamic", "ann")
    ),
    ("sweep", "--scheduler"),
    ("sweep", "--parquet"),
    *(("reproduce", option) for option in ("--format", "--columns", "--jobs", "--out")),
    *(("reproduce", option) for option in ("--weights", "--data", "--samples", "--log")),
    *(("plot", option) for option in ("--figure", "--format", "--columns", "--tws", "--out")),
    *(
        ("train", option)
        for option in (
            "--out",
            "--data",
            "--ht",
            "--has",
            "--tws",
            "--hardware",
            "--init",
            "--epochs",
            "--pretrain",
            "--warmup",
            "--batch",
            "--rate",
            "--cutoff",
            "--leak-shift",
            "--timesteps",
            "--step-ms",
            "--samples",
            "--save-data",
            "--plain",
            "--mirror",
            "--tolerance",
            "--seed",
            "--checkpoint",
        )
    ),  # tests/unit/test_training_options.py
}


def _commands() -> dict[str, Any]:
    root = command()
    found = {}
    for name, item in root.commands.items():
        inner = getattr(item, "commands", {"": item})
        found |= {f"{name} {sub}".strip(): one for sub, one in inner.items()}
    return found


def test_every_option_of_every_command_is_tried() -> None:
    there = {
        (name, option.opts[0])
        for name, one in _commands().items()
        for option in one.params
        if option.param_type_name == "option" and "--help" not in option.opts
    }
    assert there == set(EFFECTS) | ELSEWHERE


def _result_of(capsys: pytest.CaptureFixture[str], line: str) -> tuple[Outcome, dict[str, bytes]]:
    out = Path("o")
    out.mkdir()
    outcome = succeed(capsys, *shlex.split(line))
    files = {}
    for path in out.rglob("*.*"):
        if path.suffix not in (".sqlite", ".json"):
            files[str(path)] = path.read_bytes()
        elif path.suffix == ".json":
            files[str(path)] = re.sub(rb'"timestamp": "[^"]*"', b"", path.read_bytes())
    return outcome, files


def _instead(line: str, added: str) -> str:
    """Line with an option added, in place of the same one."""
    words, option = line.split(), added.split(maxsplit=1)[0]
    if option in words and option != "--grid":
        at = words.index(option)
        words[at : at + 2] = []
    return f"{' '.join(words)} {added}"


@pytest.mark.parametrize(("name", "option"), EFFECTS)
def test_every_option_has_an_effect(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, option: str
) -> None:
    def rederive(rows: Any, cacti: Path, progress: Any) -> list[Rederived]:
        wrong = 1.001 if cacti.name == "b" else 1.0
        off = wrong - 1
        return [Rederived(row, wrong * row.read_pj, row.write_pj, row.leakage_mw, off) for row in rows]

    monkeypatch.setattr("spikex_sim.costs.cacti.rederive", rederive)
    without, added = EFFECTS[name, option]
    before = _result_of(capsys, without)
    Path("o").rename("before")
    after = _result_of(capsys, added if added.startswith(name) else _instead(without, added))
    assert before != after


@pytest.mark.parametrize("name", ["", "trace", "energy", *_commands()])
def test_help_lists_every_option_and_has_an_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    shown = succeed(capsys, *name.split(), "-h")
    assert shown == succeed(capsys, *name.split(), "--help")
    assert max(len(line) for line in shown.lines) <= 80
    for owner, option in EFFECTS:
        if owner == name:
            assert option in shown.out
    if name not in _commands():
        return
    example = re.search(r"Example: spikex-sim (.*?)\n\n", shown.out, re.DOTALL)
    assert example, shown.out
    words = shlex.split(" ".join(example[1].split()))
    assert " ".join(words).startswith(f"{name} ") and len(words) > len(name.split())
    one = _commands()[name]
    assert one.make_context(name, words[len(name.split()) :])  # it can be typed like this
