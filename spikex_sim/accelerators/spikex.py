"""SpikeX: agile spatiotemporal dispatch of active NTWUs with weight tailoring (Section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.registry import check_given, plugin
from spikex_sim.costs.array import late_catchups
from spikex_sim.costs.components import dispatcher
from spikex_sim.schedules.ntwu.options import NtwuMemory, NtwuOptions
from spikex_sim.spec.arch import knob

if TYPE_CHECKING:
    from spikex_sim.costs.energy import Component
    from spikex_sim.schedules.ntwu.packing import DispatchHardware, DispatchPolicy, DispatchSizes, Runs
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
    from spikex_sim.schedules.task import Task

COMPARING = ("overlap", "lookahead", "sorted")
"""Policies of this package that compare NTWUs."""
TAKING = ("agile", "temporal", "spatial", "across")
"""Those that take them as their tags come."""
READ_BY = {
    "dispatch_candidates": ("overlap", "lookahead"),
    "dispatch_credit": ("overlap",),
    "dispatch_batches": ("lookahead",),
    "dispatch_sort": ("sorted",),
    "dispatch_cycles": COMPARING,
}
"""Keys, and the policies of this package that read them."""


class SpikeXMemory(NtwuMemory):
    """Memories of SpikeX."""

    zero_tags: Literal["move", "unit"] = knob(
        "move",
        "tags of skipped windows leave the LBUF with the outputs, or a unit beside the GLB has them: the "
        "LBUF's port is free, their energy stays",
    )


class SpikeXOptions(NtwuOptions):
    """Configuration of SpikeX."""

    dispatch: str = knob("agile", "policy that packs active NTWUs into batches")
    dispatch_candidates: int = knob(
        16, "NTWUs among which overlap and lookahead choose the next column", "NTWUs", ge=1, le=1024
    )
    dispatch_credit: float = knob(
        0.0, "share of an NTWU's own taps that overlap takes off what it adds to a batch", "fraction",
        ge=0.0, le=1.0,
    )  # fmt: skip
    dispatch_batches: int = knob(4, "batches that lookahead tries ahead", "batches", ge=1, le=64)
    dispatch_sort: Literal["popcount", "hash"] = knob(
        "popcount", "key by which sorted orders the NTWUs of a window: number of taps, or their least hash"
    )
    dispatch_cycles: Literal["hidden", "charged"] = knob(
        "hidden", "cycles that a policy compares for: hidden behind the batch before, or added to every batch"
    )
    leak_catchup_cycles: int = knob(
        1,
        "update cycles per skipped window; 1: as many leaks in series as a window has time points, which is "
        "physical for small windows and slow clocks (docs/energy.md); as many as tws: one leak a cycle",
        "cycles", ge=0, le=1 << 20,
    )  # fmt: skip
    memory: SpikeXMemory = SpikeXMemory()

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """Yield what the dispatch policy does not read, too."""
        yield from super().without_effect()
        if self.dispatch in (*TAKING, *COMPARING):
            for key, readers in READ_BY.items():
                if self.dispatch not in readers:
                    yield key, f"dispatch is {self.dispatch}, not {' or '.join(readers)}"

    def remarks(self) -> Iterator[str]:
        """See :class:`spikex_sim.spec.arch.Accelerator`."""
        yield from super().remarks()
        yield from late_catchups(self)


class SpikeX(Scheduler):
    """Issues active NTWUs only, packed by the configured dispatch policy (paper, Sections III-B to III-D)."""

    options = SpikeXOptions

    def components(self, arch: SpikeXOptions) -> tuple[Component, ...]:
        """See :class:`spikex_sim.accelerators.base.Scheduler`; and the dispatcher, where it compares."""
        found = super().components(arch)
        return (*found, dispatcher(arch)) if _compares(arch.dispatch) else found

    def schedule(self, task: Task, arch: SpikeXOptions) -> NtwuSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        from spikex_sim.schedules.dispatch.agile import AgileDispatch
        from spikex_sim.schedules.ntwu.packing import DispatchSizes, Knobs, Packing, TileView
        from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
        from spikex_sim.schedules.ntwu.tiles import choose_tiles

        active, cols = task.active, arch.array.cols
        policy: DispatchPolicy = plugin("dispatch", arch.dispatch)
        mode = "spatial"
        if task.run_windows is None:
            mode = policy.mode(active, cols)
            check_given(
                policy, "mode", mode, fits=mode in ("temporal", "spatial"), wanted="temporal or spatial"
            )
        knobs = Knobs(
            arch.dispatch_candidates, arch.dispatch_credit, arch.dispatch_batches, arch.dispatch_sort
        )

        def pack_tile(p0: int, p1: int, w0: int, w1: int) -> Packing:
            tile = TileView(active[p0:p1, w0:w1], p0, w0, task.inputs, arch.stream, knobs)
            packing = policy.pack(tile, cols, mode)
            fits = isinstance(packing, Packing) and all(isinstance(part, np.ndarray) for part in packing)
            check_given(policy, "pack", packing, fits=fits, wanted="a Packing of arrays")
            return packing

        pack: Runs | Callable[[int, int, int, int], Packing] = pack_tile
        if isinstance(policy, AgileDispatch) and type(policy).pack is AgileDispatch.pack:
            pack = policy.runs(active, cols, mode)  # all tiles at once
        shape = choose_tiles(task, arch, fill_columns=mode == "temporal")
        sizes = DispatchSizes(task.inputs.taps, shape.positions, shape.windows, cols, knobs)
        return NtwuSchedule.of(
            task,
            arch.array.rows,
            shape,
            pack,
            mode=mode,
            stream=arch.stream,
            tailored=True,
            dispatcher=_hardware(policy, sizes, arch),
        )


def _compares(dispatch: str) -> bool:
    """Whether a policy declares hardware of its own."""
    if dispatch in TAKING:
        return False
    from spikex_sim.schedules.dispatch.agile import AgileDispatch

    declared = getattr(type(plugin("dispatch", dispatch)), "hardware", None)
    return declared is not None and declared is not AgileDispatch.hardware


def _hardware(policy: DispatchPolicy, sizes: DispatchSizes, arch: SpikeXOptions) -> DispatchHardware:
    """What a policy declares; nothing of one that does not, where no cycles are charged."""
    from spikex_sim.schedules.ntwu.packing import NO_HARDWARE, DispatchHardware

    if not _compares(arch.dispatch):
        if arch.dispatch_cycles == "charged" and arch.dispatch not in TAKING:
            message = f"policy {arch.dispatch} declares no hardware, so that there are no cycles to charge"
            raise ConfigError(message, where=arch.name, field="dispatch_cycles")
        return NO_HARDWARE
    found = policy.hardware(sizes)
    check_given(
        policy, "hardware", found, fits=isinstance(found, DispatchHardware), wanted="a DispatchHardware"
    )
    return found
