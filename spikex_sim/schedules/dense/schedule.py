"""Schedules of dense arrays: a layer as a matrix product, cut into folds (docs/accelerators/systolic.md).

The ifmap matrix has a row for every output position and time point and a column for every tap, the filter
matrix a row for every tap and a column for every output channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.schedules.base import APART, Handover, Layout, RowGroups, named_range
from spikex_sim.schedules.dense.check import check
from spikex_sim.schedules.dense.execute import execute, multiply
from spikex_sim.schedules.dense.folds import Dataflow, cut_passes
from spikex_sim.schedules.dense.laying import lay_out
from spikex_sim.schedules.steps import Program
from spikex_sim.schedules.synapses import Executed, Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.spec.arch import Accelerator


@dataclass(frozen=True, eq=False)
class DenseSchedule:
    """What a dense array issues when, for every channel group alike (struct of arrays).

    Attributes
    ----------
    task : Task
        What was asked for.
    dataflow : {"os", "ws", "is"}
        What stays in the PEs: outputs, weights or inputs.
    rows, cols : int
        The array.
    points : int
        Time points in one row of the ifmap matrix: 1, or ``T`` under tick-batch.
    keeps_filters : bool
        Tick-batch: weights that entered the PEs stay there for all row folds, potentials never leave them.
    passes : int64 array ``[passes, 4]``
        First and last-plus-one position, first and last-plus-one time point (in units of ``points``). Row
        ``r`` of a pass is its position ``r % |s|`` at its time ``r // |s|``.
    folds : int64 array ``[folds, 5]``
        Pass, first and last-plus-one row, first and last-plus-one tap, in issue order.
    zero_gating : bool
        Whether a zero operand makes no addition.
    lif_sharing : int
        Output channels that share a LIF unit: an update takes as many cycles, but not more than there are
        channels in the group.
    walk_cycles : int
        Cycles before anything else, without work (SATA's published walk of the filters).
    waits : bool
        Whether the array waits for memory.
    """

    task: Task
    dataflow: Dataflow
    rows: int
    cols: int
    points: int
    passes: NDArray[np.int64]
    folds: NDArray[np.int64]
    zero_gating: bool
    keeps_filters: bool = False
    lif_sharing: int = 1
    walk_cycles: int = 0
    waits: bool = True

    @classmethod
    def of(
        cls,
        task: Task,
        dataflow: Dataflow,
        array: tuple[int, int],
        *,
        positions_per_pass: int,
        times_per_pass: int,
        points: int = 1,
        zero_gating: bool = False,
        keeps_filters: bool = False,
        lif_sharing: int = 1,
        walk_cycles: int = 0,
        waits: bool = True,
    ) -> DenseSchedule:
        """Cut a layer into passes and folds.

        Parameters
        ----------
        array : tuple of int
            Rows and columns of PEs.
        positions_per_pass, times_per_pass : int
            Most positions and time points (in units of ``points``) of a pass; where outputs come back as
            inputs, all positions and the time points that can be computed before that.
        task, dataflow, points, zero_gating, keeps_filters, lif_sharing,
        walk_cycles, waits
            See the class.
        """
        rows, cols = array
        inputs = task.inputs
        if task.run_windows is not None:
            positions_per_pass, times_per_pass = task.positions, min(times_per_pass, task.run_windows)
        passes = cut_passes(task.positions, inputs.timesteps // points, positions_per_pass, times_per_pass)
        heights = (passes[:, 1] - passes[:, 0]) * (passes[:, 3] - passes[:, 2])
        rows_per_fold = {"os": rows, "ws": int(heights.max(initial=1)), "is": cols}[dataflow]
        taps_per_fold = inputs.taps if dataflow == "os" else rows
        folds = _cut_folds(heights, inputs.taps, rows_per_fold, taps_per_fold)
        return cls(
            task=task,
            dataflow=dataflow,
            rows=rows,
            cols=cols,
            points=points,
            passes=passes,
            folds=folds,
            zero_gating=zero_gating,
            keeps_filters=keeps_filters,
            lif_sharing=lif_sharing,
            walk_cycles=walk_cycles,
            waits=waits,
        )

    @property
    def taps(self) -> int:
        """Taps ``K`` of one output."""
        return self.task.inputs.taps

    @property
    def out_channels(self) -> int:
        """Output channels ``N``."""
        return self.task.out_channels

    @property
    def runs(self) -> int:
        """How many passes wait for the outputs of the one before; one where no output comes back as input."""
        return 1 if self.task.run_windows is None else len(self.passes)

    @property
    def timesteps(self) -> int:
        """Time points ``T``."""
        return self.task.inputs.timesteps

    @property
    def tws(self) -> int:
        """Time points that are processed together."""
        return self.points

    @property
    def mode(self) -> None:
        """Dense arrays have no modes."""
        return

    @cached_property
    def channel_groups(self) -> list[int]:
        """Output channels of each group, in order; one group of all where channels stream."""
        if self.dataflow == "is":
            return [self.out_channels]
        return RowGroups(self.cols, self.out_channels).sizes

    @cached_property
    def positions_of_pass(self) -> NDArray[np.int64]:
        """Positions ``|s|`` of each pass."""
        positions: NDArray[np.int64] = self.passes[:, 1] - self.passes[:, 0]
        return positions

    @cached_property
    def rows_of_pass(self) -> NDArray[np.int64]:
        """Rows ``G`` of each pass."""
        rows: NDArray[np.int64] = self.positions_of_pass * (self.passes[:, 3] - self.passes[:, 2])
        return rows

    @property
    def preload_cycles(self) -> int:
        """Cycles in which a fold's stationary operand enters."""
        return 0 if self.dataflow == "os" else self.rows

    @property
    def skew_cycles(self) -> int:
        """Cycles that the last operand takes across the array, for every time point of a row."""
        return (self.rows + self.cols - 2) * self.points

    def check(self, arch: Accelerator) -> None:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        check(self, arch)

    def lay_out(self, arch: Accelerator, handover: Handover = APART) -> Layout:  # noqa: ARG002
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        return lay_out(self, arch)

    def execute(self, synapses: Synapses) -> Executed:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        return execute(self, synapses)

    def multiply(self, synapses: Synapses) -> tuple[NDArray[Any], int]:
        """Run every fold on activations; see :func:`spikex_sim.schedules.dense.execute.multiply`."""
        return multiply(self, synapses)

    def places(self, program: Program) -> list[str]:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        named = []
        for group, tile, fold in zip(program.group, program.tile, program.batch, strict=True):
            p0, p1, t0, t1 = self.passes[tile].tolist()
            where = f"{named_range('position', p0, p1 - 1)} {named_range('time', t0, t1 - 1)}"
            at = f"group {group} pass {tile} {where}"
            if fold < 0:
                named.append(f"{at} gap")
                continue
            _, r0, r1, k0, k1 = self.folds[fold].tolist()
            named.append(
                f"{at} fold {fold} {named_range('row', r0, r1 - 1)} {named_range('tap', k0, k1 - 1)}"
            )
        return named


@kernel
def _cut_folds(
    heights: NDArray[np.int64], taps: int, rows_per_fold: int, taps_per_fold: int
) -> NDArray[np.int64]:
    """Of every pass the row folds outside, the tap folds inside; see :class:`DenseSchedule`."""
    across = -(-taps // taps_per_fold) if taps > 0 else 0
    number = 0
    for height in heights:
        number += -(-height // rows_per_fold) * across
    folds = np.zeros((number, 5), np.int64)
    fold = 0
    for index in range(len(heights)):
        for r0 in range(0, heights[index], rows_per_fold):
            for k0 in range(0, taps, max(1, taps_per_fold)):
                folds[fold, 0] = index
                folds[fold, 1], folds[fold, 2] = r0, min(r0 + rows_per_fold, heights[index])
                folds[fold, 3], folds[fold, 4] = k0, min(k0 + taps_per_fold, taps)
                fold += 1
    return folds
