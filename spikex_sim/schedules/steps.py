"""Steps: the unit of time-keeping, as one table of what each of them moves by tensor (Section 5).

Everything else derives from the table: durations and stalls, accesses, lists of transfers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import AccessLog
from spikex_sim.core.errors import ConfigError
from spikex_sim.spec.arch import Accelerator

PerStep = NDArray[np.int64]
"""One number for each step (or chunk, batch, tile)."""

Column = tuple[str, str]
"""An activity and a tensor: what a column of the table counts the bits of."""

MAX_STEPS = 1 << 25
"""Most steps of one layer; about 250 bytes each."""

ACTIVITIES = ("fetch", "load", "store", "writeback", "read", "write")
"""DRAM to GLB, GLB to LBUF, LBUF to GLB, GLB to DRAM; and what the array reads and writes, in this order."""

TILE, BATCH, ARRAY, FIRST = range(4)
"""Rows of a table: where the step belongs (batch -1: nothing is issued), cycles of the array, first bits."""


@dataclass(frozen=True)
class Steps:
    """Steps of one group in program order.

    Attributes
    ----------
    table : int64 array ``[3 + columns, steps]``
        :data:`TILE`, :data:`BATCH`, :data:`ARRAY` (integration, update and skew, cycles), then bits.
    columns : tuple of (activity, tensor)
        What the rows from :data:`FIRST` on count, activities in the order of :data:`ACTIVITIES`.
    """

    table: NDArray[np.int64]
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, tile: PerStep, batch: PerStep, array: PerStep, bits: Mapping[Column, PerStep]) -> Steps:
        """Put a table together; columns without a bit are left out."""
        order = sorted((key for key, moved in bits.items() if moved.any()), key=_place)
        return cls(np.stack([tile, batch, array, *(bits[key] for key in order)]), tuple(order))

    def __len__(self) -> int:
        return int(self.table.shape[1])

    @cached_property
    def spans(self) -> NDArray[np.int64]:
        """First and last-plus-one row of each activity, ``[activities, 2]``."""
        return _spans(self.columns)

    @cached_property
    def sums(self) -> list[int]:
        """Sum of every row."""
        total: list[int] = self.table.sum(axis=1).tolist()
        return total

    def total(self, activity: str, tensor: str) -> int:
        """Bits of a tensor that an activity moves in all steps."""
        key = (activity, tensor)
        return self.sums[FIRST + self.columns.index(key)] if key in self.columns else 0

    def bits(self, activity: str, tensor: str | None = None) -> PerStep:
        """Bits that an activity moves in each step, of one tensor or of all."""
        if tensor is None:
            first, last = self.spans[ACTIVITIES.index(activity)]
            together: PerStep = self.table[first:last].sum(axis=0)
            return together
        key = (activity, tensor)
        if key not in self.columns:
            return np.zeros(len(self), np.int64)
        row: PerStep = self.table[FIRST + self.columns.index(key)]
        return row

    def of_tile(self, tile: int) -> Steps:
        """Those of one tile alone."""
        return Steps(np.ascontiguousarray(self.table[:, self.table[TILE] == tile]), self.columns)

    def adding_to_first(self, bits: Mapping[Column, int], array_cycles: int = 0) -> Steps:
        """The same with so much more in the first step."""
        missing = [key for key in bits if key not in self.columns]
        columns = (*self.columns, *missing)
        table = np.concatenate([self.table, np.zeros((len(missing), len(self)), np.int64)])
        table[ARRAY, 0] += array_cycles
        for key, number in bits.items():
            table[FIRST + columns.index(key), 0] += number
        order = sorted(range(len(columns)), key=lambda row: _place(columns[row]))
        return Steps(
            table[[*range(FIRST), *(FIRST + row for row in order)]], tuple(columns[row] for row in order)
        )

    def spaced(self, gaps: PerStep) -> Steps:
        """Put so many empty steps behind each step."""
        if not gaps.any():
            return self
        source = np.repeat(np.arange(len(self)), gaps + 1)
        empty = np.concatenate([[False], source[1:] == source[:-1]])
        table = self.table.take(source, axis=1)
        table[ARRAY:, empty] = 0
        table[BATCH, empty] = -1
        return Steps(table, self.columns)


def _place(column: Column) -> int:
    return ACTIVITIES.index(column[0])


@lru_cache(maxsize=256)
def _spans(columns: tuple[Column, ...]) -> NDArray[np.int64]:
    names = [activity for activity, _ in columns]
    spans = np.empty((len(ACTIVITIES), 2), np.int64)
    first = FIRST
    for index, activity in enumerate(ACTIVITIES):
        spans[index] = first, first + names.count(activity)
        first = spans[index, 1]
    spans.setflags(write=False)
    return spans


@dataclass(frozen=True)
class Program:
    """Steps of a layer in program order, with the groups that do the same written once.

    Attributes
    ----------
    runs : tuple of (Steps, int)
        Steps of one group, and how many groups in a row have these.
    resumes : tuple of int
        Steps that need outputs of all steps before, and so start when these have ended.
    """

    runs: tuple[tuple[Steps, int], ...]
    resumes: tuple[int, ...] = ()

    @classmethod
    def of(cls, parts: Sequence[Sequence[tuple[Steps, int]]]) -> Program:
        """Put parts one behind the other, each of which needs outputs of those before."""
        lengths = [sum(len(steps) * times for steps, times in part) for part in parts]
        together = tuple(run for part in parts for run in part)
        return cls(together, tuple(accumulate(lengths[:-1])))

    def __len__(self) -> int:
        return sum(len(steps) * times for steps, times in self.runs)

    @cached_property
    def compute_cycles(self) -> int:
        """Cycles of the array without stalls."""
        return sum(steps.sums[ARRAY] * times for steps, times in self.runs)

    def total(self, activity: str, tensor: str) -> int:
        """Bits of a tensor that an activity moves in the whole layer."""
        return sum(steps.total(activity, tensor) * times for steps, times in self.runs)

    def bits(self, activity: str, tensor: str | None = None) -> PerStep:
        """Bits that an activity moves in every step of the layer, of one tensor or of all."""
        found = [np.tile(steps.bits(activity, tensor), times) for steps, times in self.runs]
        return np.concatenate([np.zeros(0, np.int64), *found])

    @property
    def array_cycles(self) -> PerStep:
        """Cycles of the array in every step of the layer."""
        return self._row(ARRAY)

    @property
    def group(self) -> PerStep:
        """Group of every step of the layer."""
        lengths = [len(steps) for steps, times in self.runs for _ in range(times)]
        return np.repeat(np.arange(len(lengths)), np.array(lengths, np.int64))

    @property
    def tile(self) -> PerStep:
        """Tile of every step of the layer."""
        return self._row(TILE)

    @property
    def batch(self) -> PerStep:
        """Batch of every step of the layer; -1 where nothing is issued."""
        return self._row(BATCH)

    def _row(self, row: int) -> PerStep:
        found = [np.tile(steps.table[row], times) for steps, times in self.runs]
        return np.concatenate([np.zeros(0, np.int64), *found])

    def adding_to_first(self, bits: Mapping[Column, int], array_cycles: int = 0) -> Program:
        """The same with so much more in the very first step."""
        (steps, times), *rest = self.runs
        first = (steps.adding_to_first(bits, array_cycles), 1)
        return Program((first, *([(steps, times - 1)] if times > 1 else []), *rest), self.resumes)

    def accesses(self, log: AccessLog, edge: str) -> None:
        """Count what the activities move between the levels, and what the array reads from its edge.

        Parameters
        ----------
        log : AccessLog
            Where to count.
        edge : {"lbuf", "glb"}
            Level that the array works from.
        """
        ways = {"fetch": ("dram", "glb"), "load": ("glb", "lbuf"), "store": ("lbuf", "glb"),
                "writeback": ("glb", "dram")}  # fmt: skip
        for steps, times in self.runs:
            for (activity, tensor), total in zip(steps.columns, steps.sums[FIRST:], strict=True):
                bits = total * times
                if not bits:
                    continue
                if activity == "read":
                    log.read(edge, tensor, bits)
                elif activity == "write":
                    log.write(edge, tensor, bits)
                else:
                    log.move(*ways[activity], tensor, bits)


def check_number(steps: int, what: str, arch: Accelerator) -> None:
    """Raise :class:`ConfigError` where a layer has more steps than fit the memory of a laptop."""
    if steps > MAX_STEPS:
        raise ConfigError(
            f"a layer of {what} with {steps:,} steps takes too much memory (limit {MAX_STEPS:,} steps); "
            "larger buffers, windows or arrays make fewer",
            where=arch.name,
            field="memory.lbuf.bytes",
        )
