"""What a run says of itself and what `--explain` finds, on layers made for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import succeed
from spikex_sim.run.advice import bound_of, datapath_of, moved_again, sentence, settings
from spikex_sim.schedules.held import Held, merged

FLOAT = {"threshold": 30.0, "leak": 0.875, "datapath": "float"}
WIDE = {"name": "wide", "kind": "conv", "in_channels": 16, "out_channels": 32, "kernel": 6, "stride": 2,
        "padding": 2, "in_height": 16, "in_width": 16, "neuron": FLOAT}  # fmt: skip
SMALL = {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 32, "kernel": 3, "padding": 1,
         "in_height": 8, "in_width": 8, "neuron": {"threshold": 50, "leak_shift": 3}}  # fmt: skip


def spikes(*shape: int, rate: float = 0.1) -> Any:
    return np.random.default_rng(0).random(shape) < rate


@pytest.fixture(scope="module")
def wide() -> sx.Trace:
    """A float layer whose filter, 18,432 B a row group, misses 16,588 B."""
    return sx.Trace.from_arrays([WIDE], spikes(16, 16, 16, 8), name="wide")


@pytest.fixture(scope="module")
def small() -> sx.Trace:
    return sx.Trace.from_arrays([SMALL], spikes(2, 8, 8, 8), name="small")


@pytest.mark.parametrize(("side", "folds"), [(16, 64), (32, 16)])
def test_the_page_explains_a_larger_array_that_is_slower(small: sx.Trace, side: int, folds: int) -> None:
    layer = sx.simulate(small, "systolic-os", overrides={"array.rows": side, "array.cols": side}).layers[0]
    stalls = layer.stalls
    parts = (layer.compute_cycles, stalls.glb, stalls.lbuf, stalls.drain, layer.busy["glb_array"])
    shares = " | ".join(f"{100 * part / layer.cycles:.1f} %" for part in parts)
    page = Path(__file__).parents[2].joinpath("docs", "explain.md").read_text("utf-8")
    assert f"| {side}x{side} | {folds} | {layer.cycles / folds:.0f} | {shares} |" in page
    assert f"{layer.cycles:,}" in page


def words(text: str) -> str:
    """Text without the breaks of its lines."""
    return " ".join(text.split())


class TestWhatARunSays:
    def test_share_bytes_times_and_remedies(self, wide: sx.Trace) -> None:
        result = sx.simulate(wide)
        (again,) = [one for one in moved_again(result, "glb") if one.held.tensor == "filter"]
        fetched = result.layers[0].accesses["dram"]["filter"]["read_bits"]
        times = fetched / (32 * 16 * 36 * 32)
        assert again.times == times > 2
        assert sentence(again) == (
            "wide: filter misses half of the GLB's filter share (16,588 B) by 1,844 B and is fetched "
            f"{times:.3g} times; memory.glb.bytes=61440 or memory.glb.partition.filter=0.67 with "
            "memory.glb.partition.ifmap=0.23 would hold it"
        )

    def test_what_fits_is_not_said(self, wide: sx.Trace) -> None:
        for overrides in ({"memory.glb.bytes": 1 << 20}, {"mapping.tile": "layer"}):
            assert moved_again(sx.simulate(wide, overrides=overrides), "glb") == []

    def test_run_and_compare_print_it(
        self, wide: sx.Trace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        sx.save_trace(wide, tmp_path / "wide.npz")
        shown = succeed(capsys, "run", tmp_path / "wide.npz")
        assert shown.lines[0].endswith("fast engine, float32")
        assert "wide: filter misses half of the GLB's filter share" in words(shown.out)
        assert "float32: every weight takes 32 bits; spikex-sim trace convert TRACE --int8" in words(
            shown.out
        )
        shown = succeed(capsys, "compare", tmp_path / "wide.npz", "--tws", "4")
        assert shown.lines[0].startswith("wide (T=8, float32); ratios to spikex")
        for machine in ("spikex", "ptb"):
            assert f"{machine}: wide: filter misses half" in words(shown.out)

    def test_datapaths_are_named(self, wide: sx.Trace, small: sx.Trace) -> None:
        assert datapath_of(sx.simulate(wide)) == "float32"
        assert datapath_of(sx.simulate(small, overrides={"weight_bits": 4})) == "int4"
        both = sx.Trace.from_arrays(
            [SMALL, WIDE | {"in_channels": 32, "in_height": 8, "in_width": 8}],
            {0: spikes(2, 8, 8, 8), 1: spikes(32, 8, 8, 8)},
        )
        result = sx.simulate(both)
        assert datapath_of(result) == "float32 and int8"
        assert [layer["datapath"] for layer in result.to_dict()["layers"]] == ["int", "float"]

    def test_separate_memories_grow_by_themselves(self) -> None:
        layer = SMALL | {"in_channels": 16, "in_height": 32, "in_width": 32}
        trace = sx.Trace.from_arrays([layer], spikes(16, 32, 32, 16))
        (again,) = moved_again(sx.simulate(trace, "sata"), "glb")
        assert again.held.missing_bits == 16 * 32 * 32 * 16 - 32_768 * 4
        (changes,) = again.remedies
        assert dict(changes) == {"memory.glb.separate.ifmap": 65_536, "memory.glb.bytes": 245_760}
        assert moved_again(sx.simulate(trace, "sata", overrides=changes), "glb") == []


def test_samples_are_put_together() -> None:
    one, other = Held("glb", "ifmap", 10, 8, 10, 20, 5), Held("glb", "ifmap", 12, 8, 12, 12)
    assert merged([(one,), (other,)]) == (Held("glb", "ifmap", 12, 8, 22, 32, 3),)
    assert merged([(one,)]) == (one,)


class TestExplain:
    def test_a_larger_array_that_is_slower(self, small: sx.Trace) -> None:
        """Stalls of glb, lbuf and drain come from one port, which a smaller array or a larger LBUF spares."""
        cycles = {
            size: sx.simulate(
                small, "systolic-os", overrides={"array.rows": size, "array.cols": size}
            ).totals.cycles
            for size in (16, 32)
        }
        assert cycles == {16: 8184, 32: 12576}
        found = sx.explain(small, "systolic-os", overrides={"array.rows": 32, "array.cols": 32})
        totals = found.result.totals
        assert bound_of(totals) == "glb_array"
        assert 100 * totals.busy["glb_array"] / totals.cycles == pytest.approx(72.6, abs=0.1)
        by_keys = {settings(one.changes): one for one in found.trials}
        half = by_keys["array.rows=16 with array.cols=16"]
        assert half.result is not None and half.result.totals.cycles == cycles[16]
        best = found.trials[0]
        assert dict(best.changes) == {"memory.lbuf.bytes": 20480} and "psum" in best.reason
        assert best.result is not None and best.result.totals.cycles < cycles[16]

    def test_trials_are_runs_with_these_keys(self, wide: sx.Trace) -> None:
        found = sx.explain(wide, "spikex", tws=4)
        assert found.trials and found.again
        for trial in found.trials:
            if trial.result is None:
                with pytest.raises(sx.SpikexError) as refused:
                    sx.simulate(wide, "spikex", overrides={"tws": 4, **trial.changes})
                assert str(refused.value) == trial.refused
            else:
                again = sx.simulate(wide, "spikex", overrides={"tws": 4, **trial.changes})
                assert again.totals == trial.result.totals
        ran = [one.result.totals.edp_js for one in found.trials if one.result]
        assert ran == sorted(ran)
        assert len({settings(one.changes) for one in found.trials}) == len(found.trials)

    def test_it_is_printed(self, small: sx.Trace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sx.save_trace(small, tmp_path / "small.npz")
        line = ["run", tmp_path / "small.npz", "--arch", "systolic-os", "--explain"]
        shown = succeed(capsys, *line, "--set", "array.rows=32", "--set", "array.cols=32")
        assert "conv    10.2   0.5       0.3       72.6      72.6        43.8  GLB/array" in shown.out
        assert "psum misses the LBUF's psum share (409 B) by 3,687 B" in words(shown.out)
        tried = words(shown.out.split("Tried: ")[1])
        assert tried.startswith("change of cycles, energy, EDP memory.lbuf.bytes=20480: -57.3 %, ")
        assert "array.rows=16 with array.cols=16: -34.9 %, " in tried

    def test_what_is_refused_is_said(
        self, small: sx.Trace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Ports of 512 bit have no twice as wide ones in the energy table."""
        sx.save_trace(small, tmp_path / "small.npz")
        ports = ("--set", "memory.glb.array_port_bits=512", "--set", "memory.lbuf.port_bits=512")
        sizes = ("--set", "array.rows=64", "--set", "array.cols=64", "--set", "memory.lbuf.latency_cycles=9")
        shown = succeed(
            capsys, "run", tmp_path / "small.npz", "--arch", "systolic-os", "--explain", *ports, *sizes
        )
        refused = words(shown.out).split(": refused, ")
        assert len(refused) > 1 and "no energy for a memory" in refused[1]
