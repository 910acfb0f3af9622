"""Timelines and access traces say step by step what the results say in total."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import files_under, is_mistake, spikex, succeed
from spikex_sim.core.counts import TENSORS
from spikex_sim.run.observers import Observed
from spikex_sim.run.simulate import simulate
from spikex_sim.run.timeline import TRACKS, count_slices, timeline_lines
from spikex_sim.run.transfers import REGION_BYTES, TRACED, count_transfers, regions_of, transfer_lines
from trace_files import a_trace

LAYERS = [
    {"name": 'a "b"', "kind": "conv", "in_channels": 2, "out_channels": 9, "kernel": 3, "padding": 1,
     "in_height": 6, "in_width": 6, "neuron": {"threshold": 9, "leak_shift": 3}},
    {"name": "pool", "kind": "maxpool", "in_channels": 9, "out_channels": 9, "kernel": 2, "stride": 2,
     "in_height": 6, "in_width": 6},
    {"name": "last", "kind": "linear", "in_channels": 81, "out_channels": 5,
     "neuron": {"threshold": 30, "leak_shift": 3}},
]  # fmt: skip
SPIKES = np.random.default_rng(0).random((2, 6, 6, 20)) < 0.2
WEIGHTS = [
    np.random.default_rng(1).integers(-9, 12, (9, 2, 3, 3)).astype(np.int8),
    None,
    np.random.default_rng(2).integers(-9, 12, (5, 81)).astype(np.int8),
]
TRACE = sx.Trace.from_arrays(LAYERS, SPIKES, weights=WEIGHTS, name="small")
CHAIN = sx.Trace.from_arrays(
    [LAYERS[0], {**LAYERS[2], "in_channels": 324}],
    SPIKES,
    weights=[WEIGHTS[0], np.random.default_rng(2).integers(-9, 12, (5, 324)).astype(np.int8)],
    name="chain",
)
"""Layers between which spikes may stay in the GLB."""
ONCE = sx.Trace.from_arrays(
    LAYERS[:1], SPIKES & (np.cumsum(SPIKES, axis=-1) == 1), weights=WEIGHTS[:1], name="once"
)
SMALL = {"memory.lbuf.bytes": 256, "memory.glb.bytes": 2048, "memory.dram.bandwidth_gb_s": 1.5}
TINY_OUTPUTS = {
    "memory.lbuf.bytes": 512,
    "memory.lbuf.partition": {"ifmap": 0.3, "filter": 0.45, "ofmap": 0.01, "psum": 0.24},
}
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "spikex": ("spikex", {}),
    "spikex-small": ("spikex", SMALL),
    "spikex-split": ("spikex", TINY_OUTPUTS),
    "spikex-layer": ("spikex", {"mapping.tile": "layer"}),
    "spikex-knobs": ("spikex", {"update_cycles": 3, "skew": "batch", "zero_gating": False}),
    "spikex-kept": ("spikex", {"memory.glb.keep_ofmap": True, "skew": "none"}),
    "spikex-kept-split": ("spikex", {"memory.glb.keep_ofmap": True, **TINY_OUTPUTS}),
    "ptb-kept": ("ptb", {"memory.glb.keep_ofmap": True}),
    "ptb": ("ptb", {}),
    "ptb-stsap-small": ("ptb-stsap", SMALL),
    "systolic-os": ("systolic-os", {}),
    "systolic-ws": ("systolic-ws", {}),
    "systolic-ws-small": ("systolic-ws", SMALL),
    "systolic-is": ("systolic-is", {}),
    "ptb-starved": ("ptb", {"memory.lbuf.bytes": 256, "memory.glb.bytes": 256}),
    "systolic-os-starved": ("systolic-os", {"memory.lbuf.bytes": 256, "memory.glb.bytes": 256}),
    "systolic-is-starved": ("systolic-is", {"memory.lbuf.bytes": 256, "memory.glb.bytes": 256}),
    "ann": ("ann", {}),
    "sata": ("sata", {}),
    "sata-on-spikex": ("sata-on-spikex", {}),
    "sata-published": ("sata", {"cycles_model": "published"}),
    "spinalflow": ("spinalflow", {}),
    "spinalflow-small": ("spinalflow", {"memory.lbuf.bytes": 512, "memory.lbuf.port_bits": 64}),
}


def trace_for(name: str) -> sx.Trace:
    if "-kept" in name:
        return CHAIN
    return ONCE if name.startswith("spinalflow") else TRACE


def watched(
    name: str, *, engine: str = "fast", trace: sx.Trace | None = None, names: Any = None
) -> tuple[Observed, sx.RunResult]:
    arch, overrides = RUNS[name]
    observed = Observed(names)
    result = simulate(trace or trace_for(name), arch, engine=engine, overrides=overrides, observe=observed)
    return observed, result


def timeline(name: str, **how: Any) -> tuple[dict[str, Any], sx.RunResult]:
    observed, result = watched(name, **how)
    return json.loads("".join(timeline_lines(observed.placed(), result))), result


def slices(shown: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in shown["traceEvents"] if event["ph"] == "X"]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    sx.save_trace(TRACE, "t.npz")
    yield tmp_path


class TestTimeline:
    @pytest.mark.parametrize("name", RUNS)
    def test_adds_up_to_the_result(self, name: str) -> None:
        shown, result = timeline(name)
        tracks = defaultdict(list)
        cycles: Counter[str] = Counter()
        for event in slices(shown):
            assert event["dur"] > 0 and event["ts"] >= 0
            tracks[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
            cycles[event["cat"]] += event["dur"]
        for spans in tracks.values():
            spans.sort()
            assert all(after[0] >= before[1] for before, after in pairwise(spans))
        assert max(spans[-1][1] for spans in tracks.values()) == result.totals.cycles
        assert cycles["compute"] == result.totals.compute_cycles
        assert {cause: cycles[f"stall {cause}"] for cause in result.totals.stalls} == dict(
            result.totals.stalls
        )
        assert cycles["layer"] == result.totals.cycles
        array = tracks[next(track for track, title in TRACKS.items() if title == "PE array")]
        assert sum(end - start for start, end in array) == result.totals.cycles

    @pytest.mark.parametrize("name", RUNS)
    def test_both_engines_and_two_runs_agree(self, name: str) -> None:
        texts = {
            "".join(timeline_lines(observed.placed(), result))
            for observed, result in (watched(name, engine=engine) for engine in ("fast", "event", "fast"))
        }
        assert len(texts) == 1

    def test_moves_every_bit(self) -> None:
        shown, result = timeline("spikex")
        moved: Counter[str] = Counter()
        for event in slices(shown):
            moved[event["cat"]] += event.get("args", {}).get("bits", 0)
        dram = result.totals.accesses["dram"].values()
        assert moved["fetch"] == sum(tensor["read_bits"] for tensor in dram)
        assert moved["write"] == sum(tensor["write_bits"] for tensor in dram)

    def test_names_say_where(self) -> None:
        names = [event["name"] for event in slices(timeline("spikex")[0]) if event["cat"] == "compute"]
        assert names[0].startswith('compute a "b" group 0 tile 0 position') and " window" in names[0]
        assert names[0].endswith(" step 0") and " batch 0 " in names[0]
        names = [event["name"] for event in slices(timeline("systolic-os")[0]) if event["cat"] == "compute"]
        assert " fold 0 rows 0-7 taps 0-17 step 0" in names[0]
        names = [event["name"] for event in slices(timeline("spinalflow")[0]) if event["cat"] == "compute"]
        assert names[0] == 'compute a "b" group 0 position 0 step 0'

    def test_what_has_no_lbuf_has_no_tracks_for_it(self) -> None:
        events = timeline("sata")[0]["traceEvents"]
        titles = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
        assert titles == {"layers", "DRAM channel", "PE array"}

    def test_metadata_say_what_a_microsecond_is(self) -> None:
        about, result = timeline("ptb")[0]["otherData"], timeline("ptb")[1]
        assert about["unit"] == "1 us on the time axis is 1 clock cycle"
        assert about["cycles"] == result.totals.cycles and about["clock_hz"] == 500e6

    def test_samples_follow_each_other(self) -> None:
        trace = a_trace(3)
        shown, result = timeline("spikex", trace=trace)
        layers = [event for event in slices(shown) if event["cat"] == "layer"]
        ends = [event["ts"] + event["dur"] for event in layers]
        assert [event["ts"] for event in layers] == [0, *ends[:-1]]
        assert ends[-1] == result.totals.cycles
        assert [event["name"] for event in layers] == [
            f"{layer} sample {sample}" for sample in range(3) for layer in ("c1", "f1")
        ]

    def test_chosen_layers_stay_where_they_are(self) -> None:
        whole, chosen = (slices(timeline("spikex", names=names)[0]) for names in (None, ["last"]))
        assert chosen == [event for event in whole if " last " in f" {event['name']} "]


def test_outputs_stay_in_the_runs_that_say_so() -> None:
    for name in RUNS:
        stays = [layer.mapping.get("glb_ofmap", "").startswith("kept") for layer in watched(name)[1].layers]
        assert stays[0] == ("-kept" in name) and not any(stays[1:]), name


class TestAccesses:
    @pytest.mark.parametrize("name", RUNS)
    def test_adds_up_to_the_accesses(self, name: str) -> None:
        observed, result = watched(name)
        levels = TRACED if result.arch.memory.lbuf.bytes else ("dram",)
        rows = rows_of("".join(transfer_lines(observed.placed(), levels)))
        listed: Counter[tuple[str, str, str]] = Counter()
        for row in rows:
            listed[row["level"], row["tensor"], row["direction"]] += int(row["bits"])
        for level in levels:
            for tensor in TENSORS:
                for direction in ("read", "write"):
                    counted = result.totals.accesses[level][tensor][f"{direction}_bits"]
                    assert listed[level, tensor, direction] == counted, (level, tensor, direction)
        cycles = [int(row["cycle"]) for row in rows]
        assert cycles == sorted(cycles) and cycles[0] >= 0 and cycles[-1] <= result.totals.cycles
        assert len(rows) == sum(count_transfers(one.timed, levels) for one in observed.placed() if one.timed)

    def test_samples_share_regions(self) -> None:
        observed, result = watched("spikex", trace=a_trace(3))
        rows = rows_of("".join(transfer_lines(observed.placed(), ["dram"])))
        assert sum(int(row["bits"]) for row in rows) == sum(
            sum(bits.values()) for bits in result.totals.accesses["dram"].values()
        )
        starts = {one.start for one in observed.placed() if one.timed and one.timed.index == 0}
        filters = {
            row["address"] for row in rows if row["tensor"] == "filter" and int(row["cycle"]) in starts
        }
        assert len(starts) == 3 and filters == {"0"}

    def test_dram_rows_begin_with_the_slices(self) -> None:
        observed, result = watched("spikex-small")
        rows = rows_of("".join(transfer_lines(observed.placed(), ["dram"])))
        shown = slices(json.loads("".join(timeline_lines(observed.placed(), result))))
        for what, direction in (("fetch", "read"), ("write", "write")):
            bits: Counter[int] = Counter()
            for row in rows:
                if row["direction"] == direction:
                    bits[int(row["cycle"])] += int(row["bits"])
            drawn = {event["ts"]: event["args"]["bits"] for event in shown if event["cat"] == what}
            assert bits == drawn

    @pytest.mark.parametrize("name", ["spikex", "spikex-small", "systolic-ws-small", "spinalflow-small"])
    def test_regions_do_not_overlap(self, name: str) -> None:
        observed, _ = watched(name, trace=None)
        starts = [(one.start, one.name) for one in observed.placed()]
        spans: dict[tuple[str, str, str], list[int]] = {}
        for row in rows_of("".join(transfer_lines(observed.placed(), ["dram"]))):
            layer = [title for start, title in starts if start <= int(row["cycle"])][-1]
            kind = row["direction"] if row["tensor"] == "tag" else ""
            first = int(row["address"])
            span = spans.setdefault((layer, row["tensor"], kind), [first, first])
            span[0] = min(span[0], first)
            span[1] = max(span[1], first + -(-int(row["bits"]) // 8))
        ordered = sorted(spans.values())
        assert all(first % REGION_BYTES == 0 for first, _ in ordered)
        assert all(before[1] <= after[0] for before, after in pairwise(ordered))

    def test_regions_lie_in_order_and_tags_behind_their_spikes(self) -> None:
        """Filter, ifmap and its tags, ofmap and its tags; by their sizes, each rounded up to a page."""
        observed, _ = watched("spikex", names=["last"])
        bits = {"filter": 81 * 5 * 8, "ifmap": 81 * 20, "ifmap tags": 81 * 5, "ofmap": 5 * 20,
                "ofmap tags": 5 * 5}  # fmt: skip
        (timed,) = (one.timed for one in observed.placed() if one.timed)
        assert regions_of(timed, []) == bits | {"psum": 5 * 24}
        assert max(bits.values()) <= 8 * REGION_BYTES
        found = {
            (row["tensor"], row["direction"]): int(row["address"])
            for row in reversed(rows_of("".join(transfer_lines(observed.placed(), ["dram"]))))
        }
        wanted = [
            ("filter", "read"),
            ("ifmap", "read"),
            ("tag", "read"),
            ("ofmap", "write"),
            ("tag", "write"),
        ]
        assert [found[key] for key in wanted] == [at * REGION_BYTES for at in range(5)]

    def test_addresses_follow_each_other(self) -> None:
        rows = rows_of("".join(transfer_lines(watched("systolic-os")[0].placed(), ["dram"])))
        written = [row for row in rows if row["tensor"] == "ofmap"]
        at = int(written[0]["address"]) * 8
        for row in written[:20]:
            assert int(row["address"]) == at // 8
            at += int(row["bits"])

    def test_engines_agree(self) -> None:
        texts = {
            "".join(transfer_lines(watched("spikex", engine=engine)[0].placed(), TRACED))
            for engine in ("fast", "event")
        }
        assert len(texts) == 1


class TestCommand:
    def test_writes_both(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        line = ["run", "t.npz", "--out", "o", "--timeline", "--accesses"]
        shown = succeed(capsys, *line, "a.csv")
        assert shown.lines[-1].endswith("o/timeline.json, a.csv")
        succeed(capsys, *line, "a.csv.gz", "--engine", "event")
        again = Path("a.csv.gz").read_bytes()
        assert gzip.decompress(again).decode() == Path("a.csv").read_text()
        succeed(capsys, *line, "b.csv.gz")
        assert Path("b.csv.gz").read_bytes() == again
        assert json.loads(Path("o/timeline.json").read_text())["otherData"]["trace"] == "small"

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("--timeline", ["--timeline", "--out"]),
            ("--layers last", ["--layers", "--timeline"]),
            ("--timeline --out o --layers pool", ["--layers", "'pool'", "last"]),
            ("--timeline --out o --layers ,", ["--layers", "nothing"]),
            ("--access-levels glb", ["--access-levels", "--accesses"]),
            ("--accesses a.csv --access-levels rf", ["--access-levels", "'rf'", "dram, glb"]),
            ("--accesses a.csv --access-levels glb --arch sata", ["sata", "--access-levels"]),
            ("--accesses .", ["is a folder"]),
            ("--accesses o/accesses.csv --out o", ["accesses.csv", "--out"]),
        ],
    )
    def test_mistakes(
        self, here: Path, capsys: pytest.CaptureFixture[str], line: str, words: list[str]
    ) -> None:
        is_mistake(spikex(capsys, "run", "t.npz", *line.split()), *words)
        assert files_under(here) == ["t.npz"]

    @pytest.mark.parametrize("line", ["--timeline", "--accesses a.csv"])
    def test_too_much_is_refused(
        self, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str
    ) -> None:
        monkeypatch.setattr("spikex_sim.run.observers.MOST_LINES", 100)
        outcome = spikex(capsys, "run", "t.npz", "--out", "o", *line.split())
        is_mistake(outcome, "more than 100", "--layers")
        assert files_under(here) == ["t.npz"]

    def test_what_is_counted_is_what_is_written(self) -> None:
        observed, result = watched("spikex")
        counted = sum(count_slices(one.timed) for one in observed.placed() if one.timed)
        assert counted == len(slices(json.loads("".join(timeline_lines(observed.placed(), result)))))

    def test_nothing_half_written(
        self, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("o/timeline.json").mkdir(parents=True)
        is_mistake(spikex(capsys, "run", "t.npz", "--out", "o", "--timeline"), "timeline.json", "folder")


def test_nothing_is_kept_unless_asked() -> None:
    seen: list[Any] = []
    result = simulate(TRACE, observe=seen.append)
    assert [timed.name for timed in seen] == ['a "b"', "last"]
    assert sum(timed.cost.cycles for timed in seen) == result.totals.cycles
    assert replace(simulate(TRACE), timestamp="") == replace(result, timestamp="")
