"""Counts of what an array needs and the model has no cycles for (keys ``clock_gating`` and ``overheads``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import (
    CAUGHT_UP,
    CLOCKED,
    DESKEWED,
    HANDED_OVER,
    LOOKED_UP,
    SCANNED,
    AccessLog,
    Operations,
)
from spikex_sim.core.errors import UnsupportedError
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.updates import HANDOVERS

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule


def count_overheads(
    log: AccessLog,
    schedule: NtwuSchedule,
    arch: NtwuOptions,
    batches: NDArray[np.int64],
    operations: Operations,
) -> None:
    """Count what a configuration asks for, in all row groups.

    Parameters
    ----------
    log : AccessLog
        Takes the counts.
    schedule, arch
        What is issued, and on what.
    batches : int64 array
        Of :func:`~spikex_sim.schedules.ntwu.updates.batch_counts`.
    operations : Operations
        What the array does in the layer.

    Raises
    ------
    UnsupportedError
        If a clock is to be charged of the float datapath, whose PEs were not synthesised.
    """
    task = schedule.task
    if arch.clock_gating != "perfect" and task.datapath == "float":
        raise UnsupportedError(
            f"layer {task.name}: a PE for float weights was not synthesised; choose perfect, or replay int "
            "weights",
            where=arch.name, field="clock_gating",
        )  # fmt: skip
    if arch.clock_gating == "busy":
        log.count(*CLOCKED, operations.pe_cycles)
    if arch.overheads == "none":
        return
    columns, groups = len(schedule.position), len(schedule.groups.sizes)
    sums = task.out_channels * schedule.tws * task.widths.psum
    log.count(*DESKEWED, _deskew_registers(schedule) * sums)
    log.count(*HANDED_OVER, int(batches[HANDOVERS].sum()) * task.out_channels * task.potential_bits)
    if arch.skips_windows and task.states:
        log.count(*LOOKED_UP, columns * groups)
    if schedule.stream != "all":  # an inactive tap has to be looked at to be left out
        taps = sum(one.geometry.taps for one in task.inputs.synapses if one.tagged)
        log.count(*SCANNED, columns * groups * taps)
    if task.datapath == "int":
        log.count(*CAUGHT_UP, operations.leak_catchups * task.states)


def _deskew_registers(schedule: NtwuSchedule) -> int:
    """Registers that the sums of a row and time point pass: from a column to the last one of its tile."""
    own = np.diff(schedule.batch_columns)
    starts = schedule.tile_batches[:-1][np.diff(schedule.tile_batches) > 0]
    batches = np.diff(np.append(starts, len(own)))
    widest = np.repeat(np.maximum.reduceat(own, starts) if len(starts) else own, batches)
    return int((own * (widest - 1) - own * (own - 1) // 2).sum())
