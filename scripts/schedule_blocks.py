"""What every PE of every accelerator does in every cycle of one small layer, for make_schedule_drawings.py.

Where a unit of work (batch, fold, position) begins and ends is what the simulator charges for it; what a PE
does in between follows from the schedule. ``tests/unit/test_accelerator_pages.py`` checks both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from schedule_cases import (
    ARRAY,
    PE,
    TIMESTEPS,
    Case,
    Drawing,
    Note,
)

from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.ntwu.updates import UPDATE_CYCLES, batch_counts
from spikex_sim.schedules.serial.schedule import SerialSchedule


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
