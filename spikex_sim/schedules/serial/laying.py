"""Lays a time-serial schedule over the memory hierarchy (docs/accelerators/spinalflow.md, Buffers)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import AccessLog, Operations
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.schedules.ntwu.group import Widths
from spikex_sim.schedules.ntwu.tiles import too_small
from spikex_sim.schedules.ntwu.traffic import Traffic
from spikex_sim.schedules.serial.fields import row_spikes
from spikex_sim.schedules.serial.schedule import SerialSchedule
from spikex_sim.schedules.steps import Moves, PerStep, Program, Steps, check_number, joined_moves
from spikex_sim.spec.arch import Accelerator


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


def serial_traffic(
    schedule: SerialSchedule, spikes: WindowedSpikes, widths: Widths, arch: Accelerator
) -> Traffic:
    """Lay a schedule over the memory hierarchy; arguments and errors as of ``traffic_of``."""
    if arch.memory.lbuf.bytes == 0:
        raise ConfigError(
            f"the scheduler {arch.scheduler} needs an LBUF; give it a capacity",
            where=arch.name,
            field="memory.lbuf.bytes",
        )
    residency, layer_bits, part_of = _layout(schedule, spikes, widths, arch)
    log, runs, groups = AccessLog(), [], schedule.groups
    for channels in dict.fromkeys(groups):
        times = groups.count(channels)
        steps = part_of(channels).build(log, times, groups.index(channels))
        check_number(len(groups) * len(steps), f"{len(groups)} channel groups", arch)
        runs.append((steps, times))
    program = Program(tuple(runs))
    if residency.glb_ifmap == "layer":
        program = program.adding_to_first(fetch_bits=layer_bits)
        log.move("dram", "glb", "ifmap", layer_bits)
    operations = _operations(schedule)
    channels_in_all = sum(schedule.groups)
    adds, updates = operations.accumulations, operations.lif_updates
    log.write("rf", "filter", adds * widths.weight)
    log.read("rf", "psum", (adds + updates) * widths.psum + updates * widths.potential)
    log.write("rf", "psum", adds * widths.psum + updates * widths.potential)
    dense = channels_in_all * schedule.geometry.positions * schedule.geometry.taps * spikes.timesteps
    return Traffic(
        program=program,
        accesses=log.freeze(),
        operations=replace(operations, dense_accumulations=dense),
        residency=residency,
        compute_cycles=program.compute_cycles,
        additions=adds,
        mapping={
            "order": "channel group > position > run of spikes",
            "positions_per_tile": 1,
            "windows_per_tile": 1,
            "tiles": schedule.geometry.positions * len(schedule.groups),
            "channel_groups": len(schedule.groups),
            "channels_per_group": schedule.groups[0],
            "glb_filter": f"per {residency.glb_filter}",
            "glb_ifmap": f"per {residency.glb_ifmap}",
            "lbuf_filter": f"per {residency.lbuf_filter}",
            "lbuf_ifmap": "per step",
        },
    )


def serial_moves(
    schedule: SerialSchedule, spikes: WindowedSpikes, widths: Widths, arch: Accelerator
) -> dict[str, Moves]:
    """Bits that each step of :func:`serial_traffic` moves, by tensor."""
    residency, layer_bits, part_of = _layout(schedule, spikes, widths, arch)
    built = {channels: part_of(channels).runs().moves for channels in set(schedule.groups)}
    moves = joined_moves([built[channels] for channels in schedule.groups])
    if residency.glb_ifmap == "layer":
        moves["ifmap"].fetch[0] += layer_bits
    return moves


def _layout(
    schedule: SerialSchedule, spikes: WindowedSpikes, widths: Widths, arch: Accelerator
) -> tuple[SerialResidency, int, Callable[[int], _Group]]:
    """For how long loads are good, the bits of all spikes, and the steps of a group of so many channels."""
    entry_bits = _bits_for(len(spikes.starts) - 1) + _bits_for(spikes.timesteps)
    stamp_bits = _bits_for(spikes.timesteps + 1)
    rows = row_spikes(schedule.geometry, spikes.starts) * entry_bits
    layer_bits = len(spikes.times) * entry_bits
    residency = _residency(schedule, widths, layer_bits, int(rows.max()), arch)

    def part_of(channels: int) -> _Group:
        return _Group(schedule, residency, widths, arch, channels, entry_bits, stamp_bits, rows)

    return residency, layer_bits, part_of


def _bits_for(values: int) -> int:
    """Bits that tell ``values`` values apart, at least one."""
    return max(1, (values - 1).bit_length())


def _residency(
    schedule: SerialSchedule, widths: Widths, layer_bits: int, row_bits: int, arch: Accelerator
) -> SerialResidency:
    if arch.mapping.tile == "layer":
        return SerialResidency("group", "group", "layer")
    glb, lbuf = arch.memory.glb, arch.memory.lbuf
    group_bits = schedule.geometry.taps * schedule.groups[0] * widths.weight
    in_glb = group_bits <= glb.half_bits("filter")
    in_lbuf = in_glb and group_bits <= lbuf.half_bits("filter")
    glb_ifmap: Literal["layer", "row", "step"] = "step"
    if layer_bits <= glb.half_bits("ifmap"):
        glb_ifmap = "layer"
    elif row_bits <= glb.half_bits("ifmap"):
        glb_ifmap = "row"
    return SerialResidency("group" if in_glb else "step", "group" if in_lbuf else "step", glb_ifmap)


@dataclass(frozen=True)
class _Runs:
    """Runs of spikes, each a step: position, length, whether it is the last, and what is moved by tensor."""

    position: PerStep
    length: PerStep
    last: NDArray[np.bool_]
    moves: dict[str, Moves]


@dataclass(frozen=True)
class _Group:
    """Steps and accesses of one channel group."""

    schedule: SerialSchedule
    residency: SerialResidency
    widths: Widths
    arch: Accelerator
    channels: int
    entry_bits: int
    stamp_bits: int
    rows: PerStep

    def runs(self) -> _Runs:
        """Cut the spikes of every position into runs that fit."""
        schedule, residency = self.schedule, self.residency
        length = self._run_length()
        pieces = np.maximum(1, -(-schedule.spikes // length))
        position = np.repeat(np.arange(len(pieces)), pieces)
        piece = np.arange(len(position)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        first, last = piece == 0, piece == pieces[position] - 1
        run = np.minimum(length, schedule.spikes[position] - piece * length)
        weights = run * self.channels * self.widths.weight
        entries = run * self.entry_bits
        outputs = np.where(last, self.channels * self.stamp_bits, 0)
        group_filter = np.zeros(len(run), np.int64)
        group_filter[0] = schedule.geometry.taps * self.channels * self.widths.weight
        filters = {"group": group_filter, "step": weights}
        starts_row = first & (position % schedule.geometry.out_width == 0)
        ifmap = {
            "layer": np.zeros(len(run), np.int64),
            "row": np.where(starts_row, self.rows[position // schedule.geometry.out_width], 0),
            "step": entries,
        }
        nothing = np.zeros(len(run), np.int64)
        moves = {
            "filter": Moves(filters[residency.glb_filter], filters[residency.lbuf_filter], nothing, nothing),
            "ifmap": Moves(ifmap[residency.glb_ifmap], entries, nothing, nothing),
            "ofmap": Moves(nothing, nothing, outputs, outputs),
        }
        return _Runs(position, run, last, moves)

    def build(self, log: AccessLog, times: int, first_group: int) -> Steps:
        """Steps of the group; logs the accesses of ``times`` such groups."""
        schedule, runs = self.schedule, self.runs()
        position, run, last, moves = runs.position, runs.length, runs.last, runs.moves
        weights, entries = run * self.channels * self.widths.weight, moves["ifmap"].load
        outputs = moves["ofmap"].store
        to_glb, to_lbuf, fetched = moves["filter"].fetch, moves["filter"].load, moves["ifmap"].fetch

        def total(bits: PerStep) -> int:
            return int(bits.sum()) * times

        log.read("lbuf", "filter", total(weights))
        log.read("lbuf", "ifmap", total(entries))
        log.write("lbuf", "ofmap", total(outputs))
        log.move("dram", "glb", "filter", total(to_glb))
        log.move("dram", "glb", "ifmap", total(fetched))
        log.move("glb", "lbuf", "filter", total(to_lbuf))
        log.move("glb", "lbuf", "ifmap", total(entries))
        log.move("lbuf", "glb", "ofmap", total(outputs))
        log.move("glb", "dram", "ofmap", total(outputs))
        return Steps(
            group=np.full(len(run), first_group),
            tile=position,
            batch=np.where(schedule.issued[position], position, -1),
            fetch_bits=to_glb + fetched,
            load_bits=to_lbuf + entries,
            store_bits=outputs,
            writeback_bits=outputs,
            array_cycles=run + np.where(last, schedule.updates[position], 0),
            lbuf_read_bits=weights + entries,
            lbuf_write_bits=outputs,
        )

    def _run_length(self) -> int:
        """Spikes of a run: as many as fit the halves of the buffers that do not hold them for longer."""
        longest = max(1, int(self.schedule.spikes.max()))
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
    spikes, updates = int(schedule.spikes.sum()), int(schedule.updates.sum())
    issued = int(schedule.issued.sum())
    return Operations(
        ntwus=channels * issued,
        batches=groups * issued,
        streamed_taps=groups * spikes,
        accumulations=channels * spikes,
        lif_updates=channels * updates,
        comparisons=channels * updates,
        pe_cycles=channels * (spikes + updates),
    )
