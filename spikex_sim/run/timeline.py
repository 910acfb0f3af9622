"""Timelines: when each part of the machine did what, as a Chrome trace that ui.perfetto.dev opens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from spikex_sim.run.crossbar import TimedChipLayer
from spikex_sim.run.observers import Placed
from spikex_sim.run.replay import TimedLayer
from spikex_sim.run.results import RunResult
from spikex_sim.schedules.steps import PerStep
from spikex_sim.timing.crossbar import ACTIVITIES
from spikex_sim.timing.engine import CAUSES, waits_of

LAYERS, DRAM, GLB, LBUF, ARRAY = 0, 1, 2, 3, 5
"""Numbers of the tracks; the LBUF has two, one for each half."""
TRACKS = {LAYERS: "layers", DRAM: "DRAM channel", GLB: "GLB port to the LBUF", LBUF: "LBUF half 0",
          LBUF + 1: "LBUF half 1", ARRAY: "PE array"}  # fmt: skip


class Slices(NamedTuple):
    """Slices of one kind on one track.

    Attributes
    ----------
    track : int
        Where they are drawn.
    what : str
        What happens: an activity, or ``stall`` and its cause.
    step, start, end : int64 array
        Step they belong to, and their cycles, counted from the layer's first.
    bits : int64 array or None
        What is moved.
    """

    track: int
    what: str
    step: PerStep
    start: PerStep
    end: PerStep
    bits: PerStep | None = None


def slices_of(timed: TimedLayer) -> list[Slices]:
    """Everything that takes time in a layer; what takes none is left out."""
    if isinstance(timed, TimedChipLayer):
        return _slices_of_chip(timed)
    program, durations, ends = timed.cost.layout.program, timed.cost.durations, timed.cost.ends
    number = np.arange(len(program))
    found = [
        Slices(DRAM, "fetch", number, ends.fetch - durations.fetch, ends.fetch, program.bits("fetch")),
        Slices(
            DRAM,
            "write",
            number,
            ends.writeback - durations.writeback,
            ends.writeback,
            program.bits("writeback"),
        ),
        Slices(GLB, "load", number, ends.load - durations.load, ends.load, program.bits("load")),
        Slices(GLB, "store", number, ends.store - durations.store, ends.store, program.bits("store")),
    ]
    if timed.arch.memory.lbuf.bytes:
        for half in (0, 1):
            own = slice(half, None, 2)
            load_start = (ends.load - durations.load)[own]
            found += [
                Slices(LBUF + half, "fill", number[own], load_start, ends.load[own]),
                Slices(LBUF + half, "hold", number[own], ends.load[own], ends.compute[own]),
            ]
    compute_start = ends.compute - durations.compute
    found.append(Slices(ARRAY, "compute", number, compute_start, compute_start + durations.array))
    waits, free = waits_of(durations, ends, program.resumes), np.concatenate([[0], ends.compute])
    of_step = np.minimum(np.arange(len(free)), len(program) - 1)
    for cause, wait in zip(CAUSES, waits, strict=True):
        if cause == "lbuf":
            found.append(Slices(ARRAY, "stall lbuf", number, ends.compute - wait[:-1], ends.compute))
            continue
        found.append(Slices(ARRAY, f"stall {cause}", of_step, free, free + wait))
        free = free + wait
    return [_longer_than_nothing(one) for one in found]


def _slices_of_chip(timed: TimedChipLayer) -> list[Slices]:
    """Activities of a layer on a crossbar chip, each on a track of its own."""
    spent = timed.durations
    number = np.arange(spent.shape[1])
    first = chip_track(timed)
    found = [
        Slices(first + place, name, number, timed.ends[place] - spent[place], timed.ends[place])
        for place, name in enumerate(ACTIVITIES)
    ]
    return [_longer_than_nothing(one) for one in found]


def chip_track(timed: TimedLayer) -> int:
    """First of the tracks of a layer that works beside others."""
    return ARRAY + 1 + len(ACTIVITIES) * timed.index


def _longer_than_nothing(one: Slices) -> Slices:
    kept = one.end > one.start
    bits = None if one.bits is None else one.bits[kept]
    return Slices(one.track, one.what, one.step[kept], one.start[kept], one.end[kept], bits)


def count_slices(timed: TimedLayer) -> int:
    """How many slices a layer makes, itself included."""
    return 1 + sum(len(one.step) for one in slices_of(timed))


def timeline_lines(placed: Iterable[Placed], result: RunResult) -> Iterator[str]:
    """Write a timeline as JSON in the Trace Event format, line by line.

    Parameters
    ----------
    placed : iterable of Placed
        Layers on the clock of the run (:meth:`spikex_sim.run.observers.Observed.placed`).
    result : RunResult
        The run, for what stands in the metadata.

    Yields
    ------
    str
        Lines with their ends; a cycle is drawn as one microsecond.
    """
    about = {
        "unit": "1 us on the time axis is 1 clock cycle",
        "clock_hz": float(result.arch.clock_hz),
        "cycles": result.totals.cycles,
        "seconds": result.totals.seconds,
        "arch": result.arch.name,
        "trace": result.trace["name"],
        "trace_sha256": result.trace["sha256"],
        "spikex_sim": result.versions["spikex_sim"],
    }
    yield f'{{"otherData":{json.dumps(about)},\n"traceEvents":[\n'
    title = f"{result.arch.name}, {result.trace['name']}; 1 us = 1 cycle of {result.arch.clock_mhz:g} MHz"
    yield _event(ph="M", pid=1, name="process_name", args={"name": title})
    for track, name in TRACKS.items() if result.totals.imc is None else ():
        if result.arch.memory.lbuf.bytes or track in (LAYERS, DRAM, ARRAY):
            for event in _named(track, name):
                yield ",\n" + event
    for one in placed:
        if one.timed is not None:
            for event in _events(one, one.timed, result.trace["samples"]):
                yield ",\n" + event
    yield "\n]}\n"


def _named(track: int, name: str) -> Iterator[str]:
    yield _event(ph="M", pid=1, tid=track, name="thread_name", args={"name": name})
    yield _event(ph="M", pid=1, tid=track, name="thread_sort_index", args={"sort_index": track})


def _event(**fields: Any) -> str:
    return json.dumps(fields, separators=(",", ":"))


def _events(placed: Placed, timed: TimedLayer, samples: int) -> Iterator[str]:
    title = placed.name + (f" sample {placed.sample}" if samples > 1 else "")
    if timed.at_once:
        for place, name in enumerate(ACTIVITIES) if not placed.sample else ():
            yield from _named(chip_track(timed) + place, f"{timed.name} {name}")
    elif placed.cycles:
        yield _event(
            ph="X", pid=1, tid=LAYERS, ts=placed.start, dur=placed.cycles, cat="layer", name=title,
            args={"tws": timed.cost.task.tws, "mode": timed.cost.schedule.mode},
        )  # fmt: skip
    places = timed.places()
    labels = [json.dumps(f"{title} {place} step {step}")[1:] for step, place in enumerate(places)]
    for track, what, step, start, end, bits in slices_of(timed):
        head = f'{{"ph":"X","pid":1,"tid":{track},"cat":"{what}","name":"{what} '
        moved = [""] * len(step) if bits is None else [f',"args":{{"bits":{one}}}' for one in bits.tolist()]
        spans = (step.tolist(), (start + placed.start).tolist(), (end - start).tolist(), moved)
        for number, ts, dur, args in zip(*spans, strict=True):
            yield f'{head}{labels[number]},"ts":{ts},"dur":{dur}{args}}}'
