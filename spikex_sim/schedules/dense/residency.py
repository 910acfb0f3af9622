"""Where the operands of a dense array stay, and how much of them is moved at a time.

See docs/accelerators/systolic.md, Buffers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import set_pixels
from spikex_sim.schedules.base import too_small
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.dense.schedule import DenseSchedule

Level = Literal["lbuf", "glb", "dram"]


@dataclass(frozen=True)
class DenseResidency:
    """Where each tensor stays, and for how long a load is good for.

    Attributes
    ----------
    glb_filter, lbuf_filter : {"group", "step"}
        Loaded once per channel group, or with each chunk that needs them.
    glb_ifmap : {"layer", "frame", "step"}
        Loaded once, once per time point of a sweep over the rows, or with each chunk.
    potentials, psums : {"lbuf", "glb", "dram"} or None
        Where they live between their uses; None where there are none.
    """

    glb_filter: Literal["group", "step"]
    lbuf_filter: Literal["group", "step"]
    glb_ifmap: Literal["layer", "frame", "step"]
    potentials: Level | None
    psums: Level | None


@dataclass(frozen=True)
class Needs:
    """Sizes of a layer's operands and state, in bits.

    Attributes
    ----------
    word : int
        The widest word of the ifmap.
    group_filter : int
        Filters of the largest channel group.
    layer_ifmap, frame_ifmap : int
        Pixels that the layer sees at all time points, and those of the largest position set at as many as
        the array works on at once.
    potentials, psums : int
        What lives between its uses at a time; 0 where nothing does.
    """

    word: int
    group_filter: int
    layer_ifmap: int
    frame_ifmap: int
    potentials: int
    psums: int


def map_bits(schedule: DenseSchedule, positions: int) -> NDArray[np.int64]:
    """Bits at one time point of the inputs that each set of so many positions sees."""
    synapses = schedule.task.inputs.synapses
    pixels = set_pixels(schedule.task.inputs.field, len(synapses), positions)
    each = np.array([one.geometry.channels * one.bits for one in synapses], np.int64)
    bits: NDArray[np.int64] = each @ pixels
    return bits


def needs_of(schedule: DenseSchedule) -> Needs:
    """Sizes of what a layer works on."""
    widths = schedule.task.widths
    task, taps = schedule.task, schedule.taps
    lanes = schedule.channel_groups[0]
    positions = int(schedule.positions_of_pass.max())
    layer = int(map_bits(schedule, task.positions)[0])
    frame = layer
    if positions < task.positions:
        frame = int(map_bits(schedule, positions).max())
    rows = int(schedule.rows_of_pass.max())
    if schedule.dataflow == "is":
        rows = min(rows, schedule.cols)
    rows_at_once = {"os": min(rows, schedule.rows), "ws": positions, "is": rows}[schedule.dataflow]
    frames_at_once = -(-rows_at_once // int(schedule.positions_of_pass.min()))
    has_state = schedule.timesteps > 1 and not schedule.keeps_filters and taps > 0
    spills = schedule.dataflow != "os" and taps > schedule.rows
    return Needs(
        word=max((one.bits for one in task.inputs.synapses), default=0) * schedule.points,
        group_filter=taps * lanes * widths.weight,
        layer_ifmap=layer * schedule.timesteps,
        frame_ifmap=frame * schedule.points * frames_at_once,
        potentials=positions * lanes * task.potential_bits if has_state else 0,
        psums=rows * lanes * widths.psum if spills else 0,
    )


def choose_residency(schedule: DenseSchedule, needs: Needs, arch: Accelerator) -> DenseResidency:
    """Choose the widest scope and the innermost level that fit."""
    glb, lbuf = arch.memory.glb, arch.memory.lbuf
    inner: Level = "lbuf" if lbuf.bytes else "glb"
    if arch.mapping.tile == "layer":
        return DenseResidency(
            "group", "group", "layer", inner if needs.potentials else None, inner if needs.psums else None
        )
    room: dict[Level, int] = {
        "lbuf": lbuf.part_bits("psum") if lbuf.bytes else 0,
        "glb": glb.part_bits("psum"),
    }

    def settle(bits: int) -> Level | None:
        if not bits:
            return None
        for level, free in room.items():
            if bits <= free:
                room[level] -= bits
                return level
        return "dram"

    potentials = settle(needs.potentials)
    in_glb = needs.group_filter <= glb.half_bits("filter")
    in_lbuf = in_glb and bool(lbuf.bytes) and needs.group_filter <= lbuf.half_bits("filter")
    glb_ifmap: Literal["layer", "frame", "step"] = "step"
    if needs.layer_ifmap <= glb.half_bits("ifmap"):
        glb_ifmap = "layer"
    elif not schedule.keeps_filters and needs.frame_ifmap <= glb.half_bits("ifmap"):
        glb_ifmap = "frame"
    return DenseResidency(
        glb_filter="group" if in_glb else "step",
        lbuf_filter="group" if in_lbuf else "step",
        glb_ifmap=glb_ifmap,
        potentials=potentials,
        psums=settle(needs.psums),
    )


def chunk_length(schedule: DenseSchedule, needs: Needs, residency: DenseResidency, arch: Accelerator) -> int:
    """Taps, rows or channels of a chunk: as many as fit the buffers that do not hold them for longer."""
    taps, lanes, widths = schedule.taps, schedule.channel_groups[0], schedule.task.widths
    rows = int(schedule.rows_of_pass.max())
    streamed = {"os": taps, "ws": rows, "is": schedule.out_channels}[schedule.dataflow]
    if arch.mapping.tile == "layer" or not taps:
        return max(1, streamed)
    filter_bits = {
        "os": lanes * widths.weight,
        "ws": 0,
        "is": min(schedule.rows, taps) * widths.weight,
    }[schedule.dataflow]
    ifmap_bits = {
        "os": min(schedule.rows, rows) * needs.word,
        "ws": min(schedule.rows, taps) * needs.word,
        "is": 0,
    }[schedule.dataflow]
    bounds = []
    if arch.memory.lbuf.bytes:
        bounds.append(("lbuf", "ifmap", ifmap_bits))
        if residency.lbuf_filter == "step":
            bounds.append(("lbuf", "filter", filter_bits))
    if residency.glb_filter == "step":
        bounds.append(("glb", "filter", filter_bits))
    if residency.glb_ifmap == "step":
        bounds.append(("glb", "ifmap", ifmap_bits))
    length = streamed
    if schedule.dataflow == "ws" and residency.glb_ifmap == "frame":
        length = min(length, int(schedule.positions_of_pass.max()))
    for level, tensor, bits in bounds:
        if bits:
            fits = getattr(arch.memory, level).half_bits(tensor) // bits
            if fits < 1:
                raise too_small(level, tensor, arch, bits, "the operands of one cycle")
            length = min(length, fits)
    return length
