"""What every PE of every accelerator does in every cycle of one small layer, for make_schedule_drawings.py.

Where a unit of work (batch, fold, position) begins and ends is what the simulator charges for it; what a PE
does in between follows from the schedule. ``tests/unit/test_accelerator_pages.py`` checks both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from spikex_sim.core.geometry import corner, geometry_of
from spikex_sim.core.registry import plugin
from spikex_sim.core.tags import window_spikes
from spikex_sim.schedules.base import Layout, Schedule
from spikex_sim.schedules.dense.activations import Activations, spike_counts
from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.ntwu.updates import UPDATE_CYCLES, batch_counts
from spikex_sim.schedules.serial.schedule import SerialSchedule
from spikex_sim.schedules.task import Task, widths_of
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.trace import Trace

TIMES = {(0, 1): 5, (1, 1): 1, (1, 2): 1, (2, 3): 4, (3, 1): 3}
"""Row and column of every input that spikes, and when; each once, so that all machines take them."""
SIDE, KERNEL, CHANNELS, TIMESTEPS, TWS = 4, 3, 3, 6, 2
ARRAY = 3
"""Rows and columns of PEs."""

COMMON = {"array.rows": ARRAY, "array.cols": ARRAY, "mapping.tile": "layer"}
MACHINES: dict[str, tuple[str, dict[str, Any]]] = {
    "spikex": ("spikex", {"tws": TWS}),
    "spikex-temporal": ("spikex", {"tws": TWS, "dispatch": "temporal"}),
    "ptb": ("ptb", {"tws": TWS}),
    "ptb-stsap": ("ptb-stsap", {"tws": TWS}),
    "systolic-os": ("systolic-os", {}),
    "systolic-ws": ("systolic-ws", {}),
    "systolic-is": ("systolic-is", {}),
    "ann": ("ann", {}),
    "sata": ("sata", {}),
    "spinalflow": ("spinalflow", {}),
}
"""Name of a drawing, the preset it is of, and what it changes."""


def example_trace() -> Trace:
    """Return the layer that all machines are drawn with, and its spikes."""
    layer = {
        "name": "conv", "kind": "conv", "in_channels": 1, "out_channels": CHANNELS, "kernel": KERNEL,
        "in_height": SIDE, "in_width": SIDE, "neuron": {"threshold": 3, "leak_shift": 2},
    }  # fmt: skip
    spikes = np.zeros((1, SIDE, SIDE, TIMESTEPS), bool)
    for (y, x), t in TIMES.items():
        spikes[0, y, x, t] = True
    weights = np.arange(CHANNELS * KERNEL * KERNEL).reshape(CHANNELS, 1, KERNEL, KERNEL) % 5
    return Trace.from_arrays([layer], spikes, weights=[weights.astype(np.int8)], name="example")


def example_map() -> str:
    """Return the input map as text: the time of each input's spike, or a dot."""
    return "\n".join(" ".join(str(TIMES.get((y, x), ".")) for x in range(SIDE)) for y in range(SIDE))


def accelerator(name: str) -> Accelerator:
    """Return the configuration that a drawing is of."""
    preset, keys = MACHINES[name]
    return load_accelerator(preset, COMMON | keys)


# --- What is drawn ---------------------------------------------------------------------------------

PE = tuple[int, int]
"""Row and column."""

PHASES = ("integrate", "update", "leak", "preload", "skew", "idle")
"""What a PE can be doing: a tap at a time point, its neuron's update, leak of skipped windows, taking in
what stays, waiting for its first operand or for the last PE, nothing."""


@dataclass(frozen=True)
class Block:
    """What one PE does for a while: cycles from ``start`` up to ``stop``."""

    pe: PE
    start: int
    stop: int
    phase: str


@dataclass(frozen=True)
class Note:
    """Text over some cycles."""

    start: int
    stop: int
    text: str


@dataclass
class Drawing:
    """What every PE does in every cycle of a layer.

    Attributes
    ----------
    title : str
        The machine.
    bands : list of (str, list of PE)
        PEs whose lanes are drawn together, from top to bottom, and what they are.
    lanes : str
        What the lanes of a band differ by: ``row``, ``col`` or nothing.
    strips : list of (str, list of Note)
        What enters PE (0, 0), from top to bottom.
    units : list of Note
        Batches, folds or positions with the cycles that the simulator charges for them.
    labels : list of list of Note
        For every band what it works on.
    blocks : list of Block
        What PEs do.
    hits : list of (PE, cycle)
        Where a non-zero input meets a weight.
    """

    title: str
    bands: list[tuple[str, list[PE]]]
    lanes: str
    strips: list[tuple[str, list[Note]]]
    units: list[Note] = field(default_factory=list)
    labels: list[list[Note]] = field(init=False)
    blocks: list[Block] = field(default_factory=list)
    hits: list[tuple[PE, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.labels = [[] for _ in self.bands]

    @property
    def cycles(self) -> int:
        """Cycle after the last one drawn."""
        return max(block.stop for block in self.blocks)

    @property
    def fingerprint(self) -> str:
        """Hash of everything that is drawn."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def add(self, pe: PE, start: int, length: int, phase: str) -> int:
        """Add a block unless it is empty; return where it ends."""
        if length > 0:
            self.blocks.append(Block(pe, start, start + length, phase))
        return start + length

    def note(self, strip: int, start: int, length: int, text: str) -> int:
        """Write into a strip; return where the text ends."""
        self.strips[strip][1].append(Note(start, start + length, text))
        return start + length


@dataclass(frozen=True)
class Case:
    """A machine's schedule of the layer, and what the simulator says that it costs."""

    name: str
    arch: Accelerator
    schedule: Schedule
    layout: Layout

    @classmethod
    def of(cls, name: str) -> Case:
        """Let a machine schedule the layer."""
        arch, trace = accelerator(name), example_trace()
        layer = trace.layers[0]
        scheduler, geometry = plugin("accelerators", arch.scheduler), geometry_of(layer)
        packed = trace.inputs[0][0]
        if arch.input_bits > 1:
            inputs = Activations.of(geometry, spike_counts(packed, arch.input_bits), arch.input_bits)
            task = Task(layer.name, inputs, layer.out_channels, widths_of("int", arch), True)
        else:
            tws = scheduler.window_size(arch.get("tws", default=1), TIMESTEPS, arch)
            task = Task.of(
                layer.name, geometry, window_spikes(packed, TIMESTEPS, tws), layer.out_channels, arch,
                datapath="int", silence_is_free=True,
            )  # fmt: skip
        schedule = scheduler.schedule(task, arch)
        return cls(name, arch, schedule, schedule.lay_out(arch))

    @property
    def is_ann(self) -> bool:
        """Whether the machine runs on activations."""
        return self.arch.input_bits > 1

    def units(self) -> Iterator[tuple[int, int, int]]:
        """Group and batch (fold, position) of every unit of work, and the cycles charged for it."""
        program = self.layout.program
        issues = program.batch >= 0
        keys = np.stack([program.group, program.batch], axis=1)[issues]
        first = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
        cycles = np.add.reduceat(program.array_cycles[issues], first)
        for (group, batch), length in zip(keys[first].tolist(), cycles.tolist(), strict=True):
            yield group, batch, length

    def times(self, position: int, tap: int) -> list[int]:
        """Time points at which the input under a tap spikes; of an ANN, time 0 if it is not zero."""
        y, x = corner(self.schedule.task.inputs.synapses[0].geometry, position)
        t = TIMES.get((y + tap // KERNEL, x + tap % KERNEL))
        if t is None:
            return []
        return [0] if self.is_ann else [t]

    def times_within(self, position: int, window: int, tap: int) -> list[int]:
        """Time points of a window, from its first, at which the input under a tap spikes."""
        tws = self.schedule.task.tws
        return [t % tws for t in self.times(position, tap) if t // tws == window]


def drawing_of(name: str) -> Drawing:
    """Say what every PE does when."""
    case = Case.of(name)
    kinds: dict[type, Callable[[Any, Any], Drawing]] = {
        NtwuSchedule: _of_batches, DenseSchedule: _of_folds, SerialSchedule: _of_positions,
    }  # fmt: skip
    return kinds[type(case.schedule)](case, case.schedule)


def _bands(by: str) -> list[tuple[str, list[PE]]]:
    """Lanes of all PEs, those of a row or of a column together."""
    if by == "row":
        return [(f"row {b}", [(b, lane) for lane in range(ARRAY)]) for b in range(ARRAY)]
    return [(f"column {b}", [(lane, b) for lane in range(ARRAY)]) for b in range(ARRAY)]


# --- Batches of windows ----------------------------------------------------------------------------


def _of_batches(case: Case, schedule: NtwuSchedule) -> Drawing:
    """Machines with windows: columns are (position, window), rows output channels."""
    assert len(schedule.groups.sizes) == len(schedule.tiles) == 1, "the layer is one tile"
    title = f"{schedule.mode} mode" if schedule.mode else ""
    title = ", ".join(filter(None, [case.name.removesuffix("-temporal"), title]))
    drawing = Drawing(title, _bands("column"), "row", [("tap", [])])
    assert isinstance(case.arch, NtwuOptions)
    counts, rows, tws = batch_counts(schedule, case.arch), schedule.groups.sizes[0], schedule.tws
    skew = rows - 1 + int(np.diff(schedule.batch_columns).max()) - 1
    start = 0
    for _, b, cycles in case.units():
        columns = range(schedule.batch_columns[b], schedule.batch_columns[b + 1])
        at = [(int(schedule.position[i]), int(schedule.window[i])) for i in columns]
        slots = _slots(case, at, packs=schedule.packs_taps)
        integration, update = len(slots) * tws, int(counts[UPDATE_CYCLES, b])
        first, last = b == 0, b == schedule.batches - 1
        assert cycles == integration + update + skew * last, "a batch is not what is charged"
        drawing.units.append(Note(start, start + integration + update, f"batch {b}"))
        for i, taps in enumerate(slots):
            for strip, tap in enumerate(taps):
                if strip == len(drawing.strips):
                    drawing.strips.append(("packed", []))
                drawing.note(strip, start + i * tws, tws, str(tap))
        drawing.note(0, start + integration, update, "update" if update > 3 else "u")
        phases = _update_phases(schedule, case.arch, columns)
        for c, r in np.ndindex(ARRAY, rows):
            pe, begin = (r, c), start + r + c
            if first:
                drawing.add(pe, 0, r + c, "skew")
            now = begin
            if c < len(at):
                now = drawing.add(pe, now, integration, "integrate")
                for phase, length in phases[c]:
                    now = drawing.add(pe, now, length, phase)
                for i, cycle in _meetings(case, at[c], slots):
                    drawing.hits.append((pe, begin + i * tws + cycle))
            now = drawing.add(pe, now, begin + integration + update - now, "idle")
            if last:
                drawing.add(pe, now, start + cycles - now, "skew")
        for c, (position, window) in enumerate(at):
            drawing.labels[c].append(Note(start + c, start + c + cycles, f"p{position} w{window}"))
        start += cycles
    return drawing


def _slots(case: Case, columns: Sequence[tuple[int, int]], *, packs: bool) -> list[list[int]]:
    """Taps that are active in a batch, by integration slot; packed as StSAP does, first fit."""
    slots: list[tuple[list[int], set[int]]] = []
    for tap in range(case.schedule.task.inputs.taps):
        hits = {c for c, column in enumerate(columns) if case.times_within(*column, tap)}
        if not hits:
            continue
        free = [slot for slot in slots if packs and not slot[1] & hits]
        if not free:
            free = [([], set())]
            slots += free
        free[0][0].append(tap)
        free[0][1].update(hits)
    return [taps for taps, _ in slots]


def _skipped_windows(schedule: NtwuSchedule) -> list[int]:
    """Windows skipped before each column's, since its position was last issued; 0 if it never was."""
    last: dict[int, int] = {}
    skipped = []
    for position, window in zip(schedule.position.tolist(), schedule.window.tolist(), strict=True):
        skipped.append(window - last.get(position, window - 1) - 1)
        last[position] = window
    return skipped


def _update_phases(schedule: NtwuSchedule, arch: NtwuOptions, columns: range) -> list[list[tuple[str, int]]]:
    """What each column of a batch does in the update phase: windows of a position follow each other."""
    skipped = _skipped_windows(schedule)
    spent: dict[int, int] = {}
    phases = []
    for i in columns:
        position = int(schedule.position[i])
        leak = arch.get("leak_catchup_cycles", default=1) * skipped[i]
        waits = spent.get(position, 0)
        phases.append([("idle", waits), ("leak", leak), ("update", schedule.tws)])
        spent[position] = waits + leak + schedule.tws
    return phases


def _meetings(
    case: Case, column: tuple[int, int], slots: Sequence[Sequence[int]]
) -> Iterator[tuple[int, int]]:
    """Slot, and cycle in it, of every spike that a column adds."""
    for i, taps in enumerate(slots):
        for tap in taps:
            for t in case.times_within(*column, tap):
                yield i, t


# --- Folds of a matrix product ---------------------------------------------------------------------


@dataclass(frozen=True)
class Fold:
    """A fold, and how it lies in the array."""

    case: Case
    schedule: DenseSchedule
    r0: int
    r1: int
    k0: int
    k1: int
    lanes: int

    @property
    def used(self) -> PE:
        """Rows and columns of PEs in use."""
        rows, taps = self.r1 - self.r0, self.k1 - self.k0
        return {"os": (rows, self.lanes), "ws": (taps, self.lanes), "is": (taps, rows)}[
            self.schedule.dataflow
        ]

    @property
    def streamed(self) -> int:
        """Cycles in which operands enter."""
        words = {"os": self.k1 - self.k0, "ws": self.r1 - self.r0, "is": self.lanes}
        return words[self.schedule.dataflow] * self.schedule.points

    def row_name(self, row: int) -> str:
        """Position and time point of a row of the ifmap matrix; the position alone where it has them all."""
        time, position = divmod(row, self.schedule.task.positions)
        has_time = self.schedule.points == 1 and not self.case.is_ann
        return f"p{position} t{time}" if has_time else f"p{position}"

    def label(self, band: int) -> str:
        """What a band of PEs works on."""
        if self.schedule.dataflow == "ws":
            return f"tap {self.k0 + band}" if self.k0 + band < self.k1 else ""
        return self.row_name(self.r0 + band) if self.r0 + band < self.r1 else ""

    def words(self) -> Iterator[tuple[int, str]]:
        """What enters PE (0, 0), and for how many cycles."""
        points, positions = self.schedule.points, self.schedule.task.positions
        if points > 1:
            yield from ((points, str(k)) for k in range(self.k0, self.k1))
        elif self.schedule.dataflow == "ws":
            times = [row // positions for row in range(self.r0, self.r1)]
            yield from ((times.count(t), f"t{t}") for t in sorted(set(times)))
        else:
            taps, channels = f"{self.k0}–{self.k1 - 1}", f"0–{self.lanes - 1}"
            yield self.streamed, taps if self.schedule.dataflow == "os" else channels

    def meetings(self, pe: PE) -> Iterator[int]:
        """Cycles, since a PE's first operands, in which it meets an input that is not zero."""
        (r, c), points = pe, self.schedule.points
        if self.schedule.dataflow == "os":
            for k in range(self.k0, self.k1):
                yield from ((k - self.k0) * points + t for t in self._times(self.r0 + r, k))
        elif self.schedule.dataflow == "ws":
            yield from (row - self.r0 for row in range(self.r0, self.r1) if self._times(row, self.k0 + r))
        elif self._times(self.r0 + c, self.k0 + r):
            yield from range(self.lanes)

    def _times(self, row: int, tap: int) -> list[int]:
        window, position = divmod(row, self.schedule.task.positions)
        return self.case.times_within(position, window, tap)


def _of_folds(case: Case, schedule: DenseSchedule) -> Drawing:
    """Dense arrays: bands are what the rows of the ifmap matrix (os, is) or the taps (ws) lie along."""
    by_column = schedule.dataflow == "is"
    streams = {"os": "tap" if schedule.points > 1 else "taps", "ws": "rows of", "is": "channels"}
    bands = _bands("column" if by_column else "row")
    drawing = Drawing(case.name, bands, "row" if by_column else "col", [(streams[schedule.dataflow], [])])
    points, preload, start = schedule.points, schedule.preload_cycles, 0
    for group, f, cycles in case.units():
        _, r0, r1, k0, k1 = schedule.folds[f].tolist()
        fold = Fold(case, schedule, r0, r1, k0, k1, schedule.channel_groups[group])
        assert cycles == preload + fold.streamed + schedule.skew_cycles, "a fold is not what is charged"
        stop, taps = start + cycles, f": taps {fold.k0}–{fold.k1 - 1}"
        drawing.units.append(Note(start, stop, f"fold {f}{'' if schedule.dataflow == 'os' else taps}"))
        now = drawing.note(0, start, preload, "load") if preload else start
        for length, text in fold.words():
            now = drawing.note(0, now, length, text)
        for b, labels in enumerate(drawing.labels):
            labels.append(Note(start if preload else start + b * points, stop, fold.label(b)))
        for r, c in np.ndindex(ARRAY, ARRAY):
            pe = (r, c)
            if r >= fold.used[0] or c >= fold.used[1]:
                drawing.add(pe, start, cycles, "idle")
                continue
            now = drawing.add(pe, start, preload, "preload")
            now = drawing.add(pe, now, (r + c) * points, "skew")
            drawing.hits += [(pe, now + cycle) for cycle in fold.meetings(pe)]
            now = drawing.add(pe, now, fold.streamed, "integrate")
            drawing.add(pe, now, stop - now, "skew")
        start = stop
    return drawing


# --- One position after the other ------------------------------------------------------------------


def _of_positions(case: Case, schedule: SerialSchedule) -> Drawing:
    """Time-serial machines: PEs own output channels, a spike a cycle goes to all of them."""
    lanes: list[PE] = [(0, lane) for lane in range(schedule.lanes)]
    used = max(schedule.groups)
    bands = [(f"PE {lane}", lanes[lane : lane + 1]) for lane in range(used)]
    bands.append((f"PE {used}–{schedule.lanes - 1}", lanes[used:]))
    drawing = Drawing(case.name, bands, "", [("tap", []), ("time", [])])
    start = 0
    for group, position, cycles in case.units():
        channels, now = schedule.groups[group], start
        taps = {t: [k for k in range(schedule.geometry.taps) if t in case.times(position, k)]
                for t in range(TIMESTEPS)}  # fmt: skip
        for time in (t for t in taps if taps[t]):
            drawing.note(1, now, len(taps[time]) + 1, f"t{time}")
            for text, phase in [*((str(tap), "integrate") for tap in taps[time]), ("u", "update")]:
                for pe in lanes[:channels]:
                    drawing.add(pe, now, 1, phase)
                    drawing.hits += [(pe, now)] if phase == "integrate" else []
                now = drawing.note(0, now, 1, text)
        assert now == start + cycles, "a position is not what is charged"
        drawing.units.append(Note(start, now, f"p{position}"))
        for m in range(channels):
            drawing.labels[m].append(Note(start, now, f"p{position} m{m}"))
        for pe in lanes[channels:]:
            drawing.add(pe, start, cycles, "idle")
        start = now
    return drawing
