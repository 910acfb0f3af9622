"""Time on a crossbar chip: rows of all layers at once, as a graph of activities (docs/imc.md, Section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel

Ints = NDArray[np.int64]
SPIKES_IN, COMPUTE, SUMS_OUT, UPDATE = range(4)
"""Activities of an output row at a time point, in the order in which they follow each other."""
ACTIVITIES = ("spikes_in", "compute", "sums_out", "update")


@dataclass(frozen=True, eq=False)
class ChipTimes:
    """Durations of all layers, and who waits for whom.

    Attributes
    ----------
    durations : int64 array ``[4, units]``
        Cycles of the activities of all layers, one behind the other; those of a layer in the order of its
        work: ``(t, y)``, or ``(y, t)`` under ``tick_batch``.
    first : int64 array ``[layers + 1]``
        First unit of each layer.
    rows : int64 array ``[layers]``
        Output rows ``H_o``.
    sources : int64 array ``[n, 3]``
        Consumer, source, and where in ``needs`` the consumer's rows begin; by consumer, in its order.
    needs : int64 array
        Last row of a source that each row of a consumer depends on.
    timesteps : int
        Time points ``T``.
    by_row : bool
        ``tick_batch``: a row's time points follow each other, and layers come one after the other.
    """

    durations: Ints
    first: Ints
    rows: Ints
    sources: Ints
    needs: Ints
    timesteps: int
    by_row: bool

    @classmethod
    def of(
        cls,
        layers: Sequence[Ints],
        sources: Sequence[Sequence[tuple[int, Ints]]],
        *,
        by_row: bool,
    ) -> ChipTimes:
        """Put layers together.

        Parameters
        ----------
        layers : sequence of int64 array ``[4, T, H_o]``
            Durations.
        sources : sequence of sequences
            Of each layer its source layers, and for each of its output rows the last row of the source that
            it depends on.
        by_row : bool
            See the class.
        """
        found = [one.transpose(0, 2, 1) if by_row else one for one in layers]
        first = np.cumsum([0, *(one[0].size for one in found)])
        table, needs, before = list[tuple[int, int, int]](), [np.zeros(0, np.int64)], 0
        for consumer, given in enumerate(sources):
            for source, rows in given:
                table.append((consumer, source, before))
                needs.append(np.asarray(rows, np.int64))
                before += len(rows)
        return cls(
            np.concatenate([one.reshape(4, -1) for one in found], axis=1),
            first,
            np.array([one.shape[2] for one in layers], np.int64),
            np.array(table, np.int64).reshape(-1, 3),
            np.concatenate(needs),
            layers[0].shape[1],
            by_row,
        )


class Shares(NamedTuple):
    """How layers share the time of a chip; int64 arrays.

    Attributes
    ----------
    path : int64 array ``[layers, 4]``
        Cycles of each layer's activities on the critical path; all together they are the total.
    start, end : int64 array ``[layers]``
        Begin of its first activity that takes time, and its last end.
    """

    path: Ints
    start: Ints
    end: Ints

    @property
    def cycles(self) -> int:
        """Total."""
        return int(self.path.sum())


def shares_of(times: ChipTimes, ends: Ints) -> Shares:
    """Walk the critical path back from the last end.

    Parameters
    ----------
    times : ChipTimes
        Durations and dependencies.
    ends : int64 array ``[4, units]``
        When the activities end.
    """
    begins = np.where(times.durations > 0, ends - times.durations, np.iinfo(np.int64).max)
    start = np.minimum.reduceat(begins.min(axis=0), times.first[:-1])
    end = np.maximum.reduceat(ends[UPDATE], times.first[:-1])
    path = _walk(
        times.durations,
        ends,
        times.first,
        times.rows,
        times.sources,
        times.needs,
        times.by_row,
    )
    return Shares(path, start, end)


@kernel
def ends_of_chip(
    durations: Ints, first: Ints, rows: Ints, sources: Ints, needs: Ints, timesteps: int, by_row: bool
) -> Ints:
    """Ends of all activities ``[4, units]`` by the recurrence of Section 3."""
    ends = np.zeros_like(durations)
    layers = len(rows)
    turns = 1 if by_row else timesteps
    for turn in range(turns):
        for layer in range(layers):
            count = rows[layer] * timesteps // turns
            for step in range(turn * count, (turn + 1) * count):
                k = first[layer] + step
                for activity in range(4):
                    latest, _, _ = _latest(activity, layer, step, ends, first, rows, sources, needs, by_row)
                    ends[activity, k] = latest + durations[activity, k]
    return ends


@kernel
def _latest(  # noqa: PLR0912  # one wait of the text behind the other
    activity: int,
    layer: int,
    step: int,
    ends: Ints,
    first: Ints,
    rows: Ints,
    sources: Ints,
    needs: Ints,
    by_row: bool,
) -> tuple[int, int, int]:
    """When an activity can start, and which other one ends then, the first of several; unit -1: none."""
    base = first[layer]
    k = base + step
    latest, of_activity, of_unit = 0, 0, -1
    if step > 0 and ends[activity, k - 1] > latest:  # every activity first waits for the one before it
        latest, of_activity, of_unit = ends[activity, k - 1], activity, k - 1
    if activity == SPIKES_IN:
        back = step - rows[layer]
        if back >= 0 and ends[COMPUTE, base + back] > latest:
            latest, of_activity, of_unit = ends[COMPUTE, base + back], COMPUTE, base + back
        for n in range(len(sources)):
            if sources[n, 0] != layer:
                continue
            source = sources[n, 1]
            if by_row:
                unit = first[source + 1] - 1
            else:
                need = needs[sources[n, 2] + step % rows[layer]]
                unit = first[source] + step // rows[layer] * rows[source] + need
            if ends[UPDATE, unit] > latest:
                latest, of_activity, of_unit = ends[UPDATE, unit], UPDATE, unit
        return latest, of_activity, of_unit
    if ends[activity - 1, k] > latest:
        latest, of_activity, of_unit = ends[activity - 1, k], activity - 1, k
    if activity == COMPUTE and step >= 2 and ends[SUMS_OUT, k - 2] > latest:
        latest, of_activity, of_unit = ends[SUMS_OUT, k - 2], SUMS_OUT, k - 2
    if activity == UPDATE and not by_row:
        t = step // rows[layer]
        for n in range(len(sources)):
            if sources[n, 1] != layer or t < 2:
                continue
            consumer = sources[n, 0]
            unit = first[consumer] + (t - 1) * rows[consumer] - 1
            if ends[SPIKES_IN, unit] > latest:
                latest, of_activity, of_unit = ends[SPIKES_IN, unit], SPIKES_IN, unit
    return latest, of_activity, of_unit


@kernel
def _walk(
    durations: Ints,
    ends: Ints,
    first: Ints,
    rows: Ints,
    sources: Ints,
    needs: Ints,
    by_row: bool,
) -> Ints:
    path = np.zeros((len(rows), 4), np.int64)
    layer, activity, unit = 0, UPDATE, 0
    for one in range(len(rows)):
        last = first[one + 1] - 1
        if one == 0 or ends[UPDATE, last] >= ends[UPDATE, unit]:
            layer, unit = one, last
    while unit >= 0:
        path[layer, activity] += durations[activity, unit]
        _, activity, unit = _latest(
            activity, layer, unit - first[layer], ends, first, rows, sources, needs, by_row
        )
        if unit >= 0:
            layer = 0
            while first[layer + 1] <= unit:
                layer += 1
    return path
