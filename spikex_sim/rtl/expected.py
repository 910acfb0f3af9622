"""What the bench must log of a layer: the simulator's batches, updates, spikes and counts, cycle by cycle."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import InternalError
from spikex_sim.rtl.layer import RtlLayer

Numbers = NDArray[np.int64]


class Expected(NamedTuple):
    """What a layer's hardware does, in cycles from the first token in PE (0, 0).

    Attributes
    ----------
    starts, ends : int64 array ``[row groups, batches]``
        When a batch is in PE (0, 0).
    updates : int64 array ``[updates, 4]``
        Cycle, row, position and spike of every update in the order of the log.
    counts : list of int
        Cycles, additions, weight register writes, updates, steps of catching up, potentials stored, and
        cycles in which PE (0, 0) has a token.
    """

    starts: Numbers
    ends: Numbers
    updates: Numbers
    counts: list[int]

    def lines(self) -> Iterator[str]:
        """Yield the lines of the log."""
        starts, ends = self.starts.ravel().tolist(), self.ends.ravel().tolist()
        marks = [("F", start) for start in starts[:1]]
        for end, start in zip_longest(ends, starts[1:]):
            marks.append(("E", end))
            if start is not None:
                marks.append(("F", start))
        done = 0
        for mark, cycle in marks:
            stop = int(np.searchsorted(self.updates[:, 0], cycle))
            yield from self._updates(done, stop)
            yield f"{mark} {cycle}"
            done = stop
        yield from self._updates(done, len(self.updates))
        yield "D " + " ".join(map(str, self.counts))

    def _updates(self, first: int, stop: int) -> Iterator[str]:
        for cycle, row, position, spike in self.updates[first:stop].tolist():
            yield f"U {cycle} {row} {position} {spike}"


def expected(layer: RtlLayer) -> Expected:
    """Work out what the bench must log.

    When batches start and end comes from the steps that the simulator lays out, spikes from executing the
    schedule, counts from its operations and accesses.

    Raises
    ------
    InternalError
        If these do not fit together.
    """
    schedule, arch = layer.schedule, layer.arch
    rows = np.array(layer.rows, np.int64)
    cycles = _cycles_of_batches(layer)
    stop = np.cumsum(cycles.ravel()).reshape(cycles.shape)
    starts = stop - cycles
    drains = layer.ends_tile | (arch.get("skew", default="tile") == "batch")
    columns = np.diff(schedule.batch_columns)
    width = columns if arch.get("skew", default="tile") == "batch" else layer.width
    ends = stop - np.where(drains, rows[:, None] - 1 + width - 1, 0)

    begin, length = _column_times(layer)
    of_batch = np.repeat(np.arange(schedule.batches), columns)
    phases = np.zeros(schedule.batches, np.int64)
    np.maximum.at(phases, of_batch, begin + length)
    slots = np.array([len(one) for one in layer.slots], np.int64)
    integration = slots * -(-schedule.tws // layer.hardware.accumulators)
    if (ends - starts != integration + phases).any():
        raise InternalError(f"batches of layer {schedule.task.name} do not take what taps and updates take")

    updates = _updates(layer, starts + integration, width, begin, of_batch)
    return Expected(starts, ends, updates, _counts(layer, updates, int((ends - starts).sum())))


def _cycles_of_batches(layer: RtlLayer) -> Numbers:
    """Array cycles ``[row groups, batches]``, of all their steps."""
    program = layer.layout.program
    found = np.zeros((len(layer.rows), layer.schedule.batches), np.int64)
    issued = program.batch >= 0
    np.add.at(found, (program.group[issued], program.batch[issued]), program.array_cycles[issued])
    return found


def _column_times(layer: RtlLayer) -> tuple[Numbers, Numbers]:
    """When in its update phase each column's first update is in work, and how long all of them take."""
    schedule, arch = layer.schedule, layer.arch
    catchup = arch.get("leak_catchup_cycles", default=1)
    length = schedule.tws * arch.get("update_cycles", default=1)
    begin = np.zeros(len(schedule.position), np.int64)
    last: dict[int, int] = {}
    column = 0
    for position, window in layer.batches:
        free: dict[int, int] = {}
        for p, w in zip(position.tolist(), window.tolist(), strict=True):
            owed = w - last[p] - 1 if p in last else 0
            begin[column] = free.get(p, 0) + catchup * owed
            free[p] = int(begin[column]) + length
            last[p] = w
            column += 1
    return begin, np.full_like(begin, length)


def _updates(layer: RtlLayer, phase: Numbers, width: Numbers, begin: Numbers, of_batch: Numbers) -> Numbers:
    """Cycle, row, position and spike of every update, by cycle, row and column."""
    schedule, arch = layer.schedule, layer.arch
    tws, timesteps = schedule.tws, schedule.task.inputs.timesteps
    spikes = np.unpackbits(layer.outputs, axis=-1, count=timesteps)
    spikes = np.pad(spikes, ((0, 0), (0, 0), (0, schedule.windows * tws - timesteps)))
    points = np.arange(tws)
    within = begin[:, None] + (points + 1) * arch.get("update_cycles", default=1) - 1
    within = within + width[of_batch][:, None] - 1
    time = schedule.window[:, None] * tws + points
    column = np.arange(len(of_batch)) - schedule.batch_columns[of_batch]
    found, first = [], 0
    for group, rows in enumerate(layer.rows):
        row = np.arange(rows)
        shape = (len(of_batch), tws, rows)
        cycle = (phase[group][of_batch][:, None] + within)[..., None] + row
        spike = spikes[first + row[None, None], schedule.position[:, None, None], time[..., None]]
        every = [
            np.broadcast_to(values, shape).ravel()
            for values in (cycle, row, schedule.position[:, None, None], spike, column[:, None, None])
        ]
        order = np.lexsort((every[4], every[1], every[0]))
        found.append(np.stack(every[:4], axis=1)[order])
        first += rows
    return np.concatenate(found).astype(np.int64)


def _counts(layer: RtlLayer, updates: Numbers, held: int) -> list[int]:
    operations, accesses = layer.layout.operations, layer.layout.accesses
    widths = layer.schedule.task.widths
    steps = 1 if layer.hardware.chain else layer.schedule.tws
    return [
        int(updates[:, 0].max(initial=-1)) + 1,
        operations.accumulations,
        accesses.write_bits("rf", "filter") // widths.weight,
        operations.lif_updates,
        operations.leak_catchups * steps,
        accesses.write_bits("lbuf", "psum") // widths.potential,
        held,
    ]
