"""Timelines as files: of a small run with hostile names, and of as many slices as one likes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import spikex_sim as sx
from spikex_sim.run.observers import Observed
from spikex_sim.run.timeline import timeline_lines

HOSTILE = "<script>alert(1)</script>"
LAYERS = [
    {"name": HOSTILE, "kind": "conv", "in_channels": 2, "out_channels": 9, "kernel": 3, "padding": 1,
     "in_height": 6, "in_width": 6, "neuron": {"threshold": 9, "leak_shift": 3}},
    {"name": "last", "kind": "linear", "in_channels": 324, "out_channels": 5,
     "neuron": {"threshold": 30, "leak_shift": 3}},
]  # fmt: skip


def small_trace(samples: int = 1) -> sx.Trace:
    """Two layers, the first of which is named like a script."""
    drawn = np.random.default_rng(0)
    spikes = drawn.random((samples, 2, 6, 6, 20)) < 0.2
    weights = [drawn.integers(-9, 12, shape).astype(np.int8) for shape in ((9, 2, 3, 3), (5, 324))]
    given = spikes if samples > 1 else spikes[0]
    return sx.Trace.from_arrays(LAYERS, given, weights=weights, name="small")


def run_into(
    folder: Path, arch: str = "spikex", samples: int = 1, trace: Any = None, **overrides: Any
) -> sx.RunResult:
    """Replay a trace, by default the small one, and write results and timeline."""
    observed = Observed()
    result = sx.simulate(trace or small_trace(samples), arch, overrides=overrides, observe=observed)
    result.save(folder)
    lines = "".join(timeline_lines(observed.placed(), result))
    (folder / "timeline.json").write_text(lines, encoding="utf-8")
    return result


def slices_in(folder: Path) -> list[dict[str, Any]]:
    """Slices of a timeline, in the order of the file."""
    shown = json.loads((folder / "timeline.json").read_text(encoding="utf-8"))
    return [event for event in shown["traceEvents"] if event["ph"] == "X"]


def event(**fields: Any) -> str:
    """Event on a line, without its end."""
    return json.dumps({"pid": 1, **fields}, separators=(",", ":"))


def written(folder: Path, events: list[str], about: str = '{"clock_hz": 500000000.0}') -> Path:
    """Write events as ``run --timeline`` does."""
    file = folder / "timeline.json"
    text = f'{{"otherData":{about},\n"traceEvents":[\n' + ",\n".join(events) + "\n]}\n"
    file.write_text(text, encoding="utf-8")
    return file


def many_slices(folder: Path, count: int, seed: int = 0) -> float:
    """Write a timeline with so many slices on the array, one in three of them a stall.

    Returns
    -------
    float
        Share of the cycles that is stalls.
    """
    drawn = np.random.default_rng(seed)
    cycles = drawn.integers(1, 200, count)
    ends = np.cumsum(cycles)
    what = np.where(np.arange(count) % 3 == 2, "stall dram", "compute")
    named = event(ph="M", tid=5, name="thread_name", args={"name": "PE array"})
    layers = event(ph="M", tid=0, name="thread_name", args={"name": "layers"})
    whole = event(ph="X", tid=0, ts=0, dur=int(ends[-1]), cat="layer", name="conv", args={})
    slices = [
        f'{{"ph":"X","pid":1,"tid":5,"cat":"{kind}","name":"{kind} conv batch {step // 9} step {step // 3}",'
        f'"ts":{end - dur},"dur":{dur}}}'
        for step, (kind, end, dur) in enumerate(zip(what, ends.tolist(), cycles.tolist(), strict=True))
    ]
    written(folder, [layers, named, whole, *slices])
    return float(cycles[what == "stall dram"].sum() / ends[-1])
