"""What all kinds of schedule share: what a kind can be asked, and the words it is asked in.

A kind of schedule is a class of its own in a room of its own; nothing about it stands elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import Accesses, Operations
from spikex_sim.core.errors import ConfigError, ScheduleError
from spikex_sim.schedules.held import Held
from spikex_sim.schedules.steps import Program
from spikex_sim.schedules.synapses import Executed, Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.spec.arch import Accelerator


@dataclass(frozen=True)
class RowGroups:
    """Output channels cut into groups of ``rows``; the last one holds the rest."""

    rows: int
    out_channels: int

    @cached_property
    def sizes(self) -> list[int]:
        """Rows in use of each group, in order."""
        full, rest = divmod(self.out_channels, self.rows)
        return [self.rows] * full + ([rest] if rest else [])


@dataclass(frozen=True)
class Handover:
    """How spikes pass between layers by way of the GLB (``memory.glb.keep_ofmap``).

    Attributes
    ----------
    input_kept : bool
        The GLB holds the ifmap, because the layer before left it there.
    output_wanted : bool
        The next layer takes the ofmap as it is.
    """

    input_kept: bool = False
    output_wanted: bool = False


APART = Handover()
"""Layers by themselves: spikes come from DRAM and go there."""


@dataclass(frozen=True)
class Layout:
    """Everything a layer costs but its time.

    Attributes
    ----------
    program : Program
        Steps, and what each of them moves and computes.
    accesses : Accesses
        Per level and tensor.
    operations : Operations
        Of the PE array.
    residency : object
        Scopes chosen; what kind of object depends on the schedule.
    additions : int
        Weights that executing the schedule adds: what the output spikes need.
    products : int
        Analog values that it multiplies.
    issued : bool array ``[P, N_TW]`` or None
        NTWUs issued, where currents leave with a tag that says so; None: all.
    apart : Accesses
        Accesses that take no time of their own, and are in no step.
    mapping : dict
        Loop order, sizes and residency, as in ``results.json``.
    output_kept : bool
        Whether the outputs stay in the GLB for the next layer.
    waits : bool
        Whether the array waits for memory.
    held : tuple of Held
        What buffers hold between uses, or would hold if it fitted.
    """

    program: Program
    accesses: Accesses
    operations: Operations
    residency: Any
    additions: int
    mapping: dict[str, Any]
    output_kept: bool = False
    waits: bool = True
    held: tuple[Held, ...] = ()
    products: int = 0
    issued: NDArray[np.bool_] | None = None
    apart: Accesses = field(default_factory=Accesses)

    @property
    def compute_cycles(self) -> int:
        """Cycles of the array without stalls."""
        return self.program.compute_cycles


@runtime_checkable
class Schedule(Protocol):
    """What a layer issues when. A kind of schedule is a frozen class with these methods."""

    @property
    def task(self) -> Task:
        """What was asked for, the very object that the scheduler was given."""

    @property
    def mode(self) -> str | None:
        """``temporal``, ``spatial``, or None where there are no modes."""

    def check(self, arch: Accelerator) -> None:
        """Hold the schedule against its task and the array.

        Parameters
        ----------
        arch : Accelerator
            The array.

        Raises
        ------
        ScheduleError
            Naming the place and the rule, if work is left out, repeated, out of order or too wide.
        """

    def lay_out(self, arch: Any, handover: Handover = APART) -> Layout:
        """Count what is moved and computed, step by step.

        Parameters
        ----------
        arch : Accelerator
            Buffers, ports and array, with the keys of the kind.
        handover : Handover
            What the layers around have in the GLB; kinds that cannot use it leave it aside.

        Raises
        ------
        ConfigError
            If a buffer is too small, naming the smallest that works.
        """

    def execute(self, synapses: Synapses) -> Executed:
        """Do what is issued, in the order in which it is issued, and nothing else."""

    def places(self, program: Program) -> list[str]:
        """Say of each step where in the schedule it is."""


def check_task(schedule: Schedule, task: Task, arch: Accelerator) -> None:
    """Raise :class:`ScheduleError` for a schedule of something else than was asked for."""
    if getattr(schedule, "task", None) is not task:
        raise refuse(f"scheduler {arch.scheduler}", {}, f"the schedule is of another task than {task.name}")


def int64_arrays(**dimensions_of: tuple[NDArray[Any], int]) -> str | None:
    """Name of the first thing that is no int64 array of so many dimensions; None if all are."""
    for name, (array, dimensions) in dimensions_of.items():
        if not (isinstance(array, np.ndarray) and array.dtype == np.int64 and array.ndim == dimensions):
            return name
    return None


def refuse(kind: str, places: dict[str, int], rule: str) -> ScheduleError:
    """Error for a schedule that is none: where, and which rule it breaks."""
    return ScheduleError(rule, where=kind, field=", ".join(f"{name} {at}" for name, at in places.items()))


def named_range(what: str, first: int, last: int) -> str:
    """``tap 3`` or ``taps 3-5``."""
    return f"{what} {first}" if first == last else f"{what}s {first}-{last}"


def too_small(level: Literal["glb", "lbuf"] | str, tensor: str, arch: Accelerator, need_bits: int,
              what: str) -> ConfigError:  # fmt: skip
    """Error for a buffer part that does not hold ``need_bits``, naming the smallest capacity that works."""
    buffer = getattr(arch.memory, level)
    if level == "glb" and arch.memory.glb.separate is not None:
        name = "ofmap" if tensor == "psum" else tensor
        parts, share = (4, "a quarter") if tensor == "ofmap" else (2, "half")
        least = -(-need_bits * parts // 8)
        return ConfigError(
            f"{getattr(arch.memory.glb.separate, name)} B is too small: {what} need {need_bits} bits in "
            f"{share} of it; the smallest that works is {least} B",
            where=arch.name,
            field=f"memory.glb.separate.{name}",
        )
    least = buffer.least_bytes(tensor, need_bits)
    if least is None:
        return ConfigError(
            f"is 0, but {what} need {need_bits} bits there; give it a share",
            where=arch.name,
            field=f"memory.{level}.partition.{tensor}",
        )
    return ConfigError(
        f"{buffer.bytes} B is too small: {what} need {need_bits} bits in the {tensor} part; "
        f"the smallest that works is {least} B",
        where=arch.name,
        field=f"memory.{level}.bytes",
    )


def need_lbuf(arch: Accelerator) -> None:
    """Raise :class:`ConfigError` where there is no LBUF and the schedule cannot do without."""
    if arch.memory.lbuf.bytes == 0:
        raise ConfigError(
            f"the scheduler {arch.scheduler} needs an LBUF; give it a capacity",
            where=arch.name,
            field="memory.lbuf.bytes",
        )
