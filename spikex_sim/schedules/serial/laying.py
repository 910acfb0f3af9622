"""Lays a time-serial schedule over the memory hierarchy (docs/accelerators/spinalflow.md, Buffers)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from spikex_sim.core.counts import AccessLog, Operations
from spikex_sim.schedules.base import Layout, need_lbuf, too_small
from spikex_sim.schedules.held import Held
from spikex_sim.schedules.serial.fields import row_spikes
from spikex_sim.schedules.steps import PerStep, Program, Steps, check_number
from spikex_sim.schedules.task import Widths
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.serial.schedule import SerialSchedule


@dataclass(frozen=True)
class SerialResidency:
    """For how long a load is good for.

    Attributes
    ----------
    glb_filter, lbuf_filter : {"group", "step"}
        Loaded once per channel group, or with each run of spikes.
    glb_ifmap : {"layer", "row", "step"}
        Loaded once, once per row of output positions and group, or with each run.
    """

    glb_filter: Literal["group", "step"]
    lbuf_filter: Literal["group", "step"]
    glb_ifmap: Literal["layer", "row", "step"]


def lay_out(schedule: SerialSchedule, arch: Accelerator) -> Layout:
    """Lay a schedule over the memory hierarchy; see :class:`spikex_sim.schedules.base.Schedule`."""
    need_lbuf(arch)
    widths = schedule.task.widths
    spikes, groups = schedule.spikes, schedule.groups
    entry_bits = _bits_for(len(spikes.starts) - 1) + _bits_for(spikes.timesteps)
    stamp_bits = _bits_for(spikes.timesteps + 1)
    rows = row_spikes(schedule.geometry, spikes.starts) * entry_bits
    layer_bits = len(spikes.times) * entry_bits
    residency = _residency(schedule, widths, layer_bits, int(rows.max()), arch)
    runs = []
    for channels in dict.fromkeys(groups):
        steps = _Group(schedule, residency, widths, arch, channels, entry_bits, stamp_bits, rows).steps()
        check_number(len(groups) * len(steps), f"{len(groups)} channel groups", arch)
        runs.append((steps, groups.count(channels)))
    program = Program(tuple(runs))
    if residency.glb_ifmap == "layer":
        program = program.adding_to_first({("fetch", "ifmap"): layer_bits})
    operations = _operations(schedule)
    adds, updates = operations.accumulations, operations.lif_updates
    log = AccessLog()
    program.accesses(log, "lbuf")
    log.write("rf", "filter", adds * widths.weight)
    log.read("rf", "psum", (adds + updates) * widths.psum + updates * widths.potential)
    log.write("rf", "psum", adds * widths.psum + updates * widths.potential)
    return Layout(
        program=program,
        accesses=log.freeze(),
        operations=operations,
        residency=residency,
        additions=adds,
        mapping={
            "order": "channel group > position > run of spikes",
            "positions_per_tile": 1,
            "windows_per_tile": 1,
            "tiles": schedule.geometry.positions * len(groups),
            "channel_groups": len(groups),
            "channels_per_group": max(groups),
            "glb_filter": f"per {residency.glb_filter}",
            "glb_ifmap": f"per {residency.glb_ifmap}",
            "lbuf_filter": f"per {residency.lbuf_filter}",
            "lbuf_ifmap": "per step",
        },
        held=_held(schedule, widths, layer_bits, residency, program, arch),
    )


def _held(
    schedule: SerialSchedule, widths: Widths, layer_bits: int, residency: SerialResidency, program: Program,
    arch: Accelerator,
) -> tuple[Held, ...]:  # fmt: skip
    """What :func:`_residency` weighs, and what comes of it; the LBUF holds what the GLB holds."""
    if arch.mapping.tile == "layer":
        return ()
    glb, lbuf = arch.memory.glb, arch.memory.lbuf
    channel = schedule.geometry.taps * widths.weight
    group, layer = channel * max(schedule.groups), channel * sum(schedule.groups)
    fetched, loaded = program.total("fetch", "filter"), program.total("load", "filter")
    ifmap = program.total("fetch", "ifmap")
    in_glb = (
        Held("glb", "filter", group, glb.half_bits("filter"), layer, fetched),
        Held("glb", "ifmap", layer_bits, glb.half_bits("ifmap"), layer_bits, ifmap),
    )
    if residency.glb_filter != "group":
        return in_glb
    return (*in_glb, Held("lbuf", "filter", group, lbuf.half_bits("filter"), layer, loaded))


def _bits_for(values: int) -> int:
    """Bits that tell ``values`` values apart, at least one."""
    return max(1, (values - 1).bit_length())


def _residency(
    schedule: SerialSchedule, widths: Widths, layer_bits: int, row_bits: int, arch: Accelerator
) -> SerialResidency:
    if arch.mapping.tile == "layer":
        return SerialResidency("group", "group", "layer")
    glb, lbuf = arch.memory.glb, arch.memory.lbuf
    group_bits = schedule.geometry.taps * max(schedule.groups) * widths.weight
    in_glb = group_bits <= glb.half_bits("filter")
    in_lbuf = in_glb and group_bits <= lbuf.half_bits("filter")
    glb_ifmap: Literal["layer", "row", "step"] = "step"
    if layer_bits <= glb.half_bits("ifmap"):
        glb_ifmap = "layer"
    elif row_bits <= glb.half_bits("ifmap"):
        glb_ifmap = "row"
    return SerialResidency("group" if in_glb else "step", "group" if in_lbuf else "step", glb_ifmap)


@dataclass(frozen=True)
class _Group:
    """Steps of one channel group."""

    schedule: SerialSchedule
    residency: SerialResidency
    widths: Widths
    arch: Accelerator
    channels: int
    entry_bits: int
    stamp_bits: int
    rows: PerStep

    def steps(self) -> Steps:
        """Cut the spikes of every position into runs that fit; each is a step."""
        schedule, residency = self.schedule, self.residency
        length = self._run_length()
        pieces = np.maximum(1, -(-schedule.taken // length))
        position = np.repeat(np.arange(len(pieces)), pieces)
        piece = np.arange(len(position)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        first, last = piece == 0, piece == pieces[position] - 1
        run = np.minimum(length, schedule.taken[position] - piece * length)
        weights = run * self.channels * self.widths.weight
        entries = run * self.entry_bits
        outputs = np.where(last, self.channels * self.stamp_bits, 0)
        nothing = np.zeros(len(run), np.int64)
        group_filter = nothing.copy()
        group_filter[0] = schedule.geometry.taps * self.channels * self.widths.weight
        filters = {"group": group_filter, "step": weights}
        starts_row = first & (position % schedule.geometry.out_width == 0)
        row = np.where(starts_row, self.rows[position // schedule.geometry.out_width], 0)
        return Steps.of(
            position,
            np.where(schedule.issued[position], position, -1),
            run + np.where(last, schedule.updates[position], 0),
            {
                ("fetch", "filter"): filters[residency.glb_filter],
                ("fetch", "ifmap"): {"layer": nothing, "row": row, "step": entries}[residency.glb_ifmap],
                ("load", "filter"): filters[residency.lbuf_filter],
                ("load", "ifmap"): entries,
                ("store", "ofmap"): outputs,
                ("writeback", "ofmap"): outputs,
                ("read", "filter"): weights,
                ("read", "ifmap"): entries,
                ("write", "ofmap"): outputs,
            },
        )

    def _run_length(self) -> int:
        """Spikes of a run: as many as fit the halves of the buffers that do not hold them for longer."""
        longest = max(1, int(self.schedule.taken.max()))
        if self.arch.mapping.tile == "layer":
            return longest
        filter_bits = self.channels * self.widths.weight
        bounds = [("lbuf", "ifmap", self.entry_bits)]
        if self.residency.lbuf_filter == "step":
            bounds.append(("lbuf", "filter", filter_bits))
        if self.residency.glb_filter == "step":
            bounds.append(("glb", "filter", filter_bits))
        if self.residency.glb_ifmap == "step":
            bounds.append(("glb", "ifmap", self.entry_bits))
        for level, tensor, bits in bounds:
            fits = getattr(self.arch.memory, level).half_bits(tensor) // bits
            if fits < 1:
                raise too_small(level, tensor, self.arch, bits, "what one spike needs")
            longest = min(longest, fits)
        return longest


def _operations(schedule: SerialSchedule) -> Operations:
    channels, groups = sum(schedule.groups), len(schedule.groups)
    spikes, updates = int(schedule.taken.sum()), int(schedule.updates.sum())
    issued = int(schedule.issued.sum())
    return Operations(
        ntwus=channels * issued,
        batches=groups * issued,
        streamed_taps=groups * spikes,
        accumulations=channels * spikes,
        lif_updates=channels * updates,
        comparisons=channels * updates,
        dense_accumulations=channels * schedule.geometry.positions * schedule.geometry.taps * schedule.tws,
        pe_cycles=channels * (spikes + updates),
    )
