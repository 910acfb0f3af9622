"""The command line: commands print and write what the library finds."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import spikex_sim as sx
from command import files_under, succeed
from command_folder import TRACE
from trace_files import a_trace

pytestmark = pytest.mark.usefixtures("quiet_logger")


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
