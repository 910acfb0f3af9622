"""What every step of a schedule moves, computes and counts (Sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spikex_sim.core.counts import Accesses, AccessLog, Operations
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.schedules.ntwu.group import GroupTraffic, Widths, batch_counts, fit_chunks
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.residency import (
    APART,
    Blocks,
    Handover,
    Residency,
    blocks_of,
    choose_residency,
)
from spikex_sim.schedules.ntwu.schedule import Schedule
from spikex_sim.schedules.ntwu.survey import Survey
from spikex_sim.schedules.steps import Moves, Program, Steps, joined_moves


@dataclass(frozen=True)
class Traffic:
    """Everything a layer costs but its time.

    Attributes
    ----------
    program : Program
        Per step.
    accesses : Accesses
        Per level and tensor.
    operations : Operations
        Of the PE array.
    residency : Residency
        Scopes chosen; what kind of object depends on the schedule.
    compute_cycles : int
        Cycles of the array without stalls.
    additions : int
        Weights that executing the schedule adds: what the output spikes need.
    mapping : dict
        Loop order, sizes and residency, as in ``results.json``.
    output_kept : bool
        Whether the outputs stay in the GLB for the next layer.
    """

    program: Program
    accesses: Accesses
    operations: Operations
    residency: Any
    compute_cycles: int
    additions: int
    mapping: dict[str, Any]
    output_kept: bool = False

    @property
    def steps(self) -> Steps:
        """What each step moves and computes."""
        return self.program.steps


def traffic_of(
    schedule: Schedule,
    spikes: WindowedSpikes,
    found: Survey,
    widths: Widths,
    arch: NtwuOptions,
    handover: Handover = APART,
) -> Traffic:
    """Lay a schedule over the memory hierarchy.

    Parameters
    ----------
    schedule, spikes, found
        The schedule, its input spikes and the survey of its batches.
    widths : Widths
        Bits per weight, partial sum and potential.
    arch : NtwuOptions
        Buffers, ports and array.
    handover : Handover
        What the layers around have in the GLB.

    Raises
    ------
    ConfigError
        If a buffer cannot hold even a single tap, naming the smallest that works.
    """
    blocks, residency, part_of = _layout(schedule, spikes, found, widths, arch, handover)
    sizes = schedule.groups.sizes
    log, runs, counted = AccessLog(), [], Operations()
    compute_cycles = additions = 0
    for rows in dict.fromkeys(sizes):
        times, part = sizes.count(rows), part_of(rows)
        runs.append((part.steps(sizes.index(rows)), times))
        part.count(log, times)
        counted += part.operations().times(times)
        compute_cycles += part.compute_cycles * times
        additions += part.additions * times
    program, words = Program(tuple(runs)), blocks.words_in_all
    if residency.glb_ifmap == "layer":
        program = program.adding_to_first(fetch_bits=words * (schedule.tws + 1))
    loads = {"layer": 1, "tile": len(sizes), "kept": 0}[residency.glb_ifmap]
    log.move("dram", "glb", "ifmap", words * loads * schedule.tws)
    log.move("dram", "glb", "tag", words * loads)
    return Traffic(
        program=program,
        accesses=log.freeze(),
        operations=counted,
        residency=residency,
        compute_cycles=compute_cycles,
        additions=additions,
        mapping=_describe(schedule, residency),
        output_kept=residency.glb_ofmap == "kept",
    )


def ntwu_moves(
    schedule: Schedule,
    spikes: WindowedSpikes,
    found: Survey,
    widths: Widths,
    arch: NtwuOptions,
    handover: Handover,
) -> dict[str, Moves]:
    """Bits that each step of :func:`traffic_of` moves, by tensor."""
    blocks, residency, part_of = _layout(schedule, spikes, found, widths, arch, handover)
    sizes = schedule.groups.sizes
    built = {rows: part_of(rows).moves() for rows in set(sizes)}
    moves = joined_moves([built[rows] for rows in sizes])
    if residency.glb_ifmap == "layer":
        moves["ifmap"].fetch[0] += blocks.words_in_all * schedule.tws
        moves["tag"].fetch[0] += blocks.words_in_all
    return moves


def _layout(
    schedule: Schedule,
    spikes: WindowedSpikes,
    found: Survey,
    widths: Widths,
    arch: NtwuOptions,
    handover: Handover,
) -> tuple[Blocks, Residency, Callable[[int], GroupTraffic]]:
    """What moves, for how long it stays, and the steps of a group of so many rows."""
    blocks = blocks_of(schedule, spikes)
    channel_filter_bits = schedule.geometry.filter_taps * schedule.groups.sizes[0] * widths.weight
    residency = choose_residency(schedule, blocks, channel_filter_bits, arch, handover)
    batches = batch_counts(schedule, arch)

    def part_of(rows: int) -> GroupTraffic:
        chunks = fit_chunks(schedule, spikes, found, residency, rows * widths.weight, arch)
        return GroupTraffic(schedule, spikes, found, batches, blocks, residency, chunks, widths, arch, rows)

    return blocks, residency, part_of


def _describe(schedule: Schedule, residency: Residency) -> dict[str, Any]:
    return {
        "order": "row group > position set > time block > batch > chunk",
        "tile": "layer" if schedule.shape.fits_all else "auto",
        "positions_per_tile": schedule.shape.positions,
        "windows_per_tile": schedule.shape.windows,
        "tiles": len(schedule.tiles) * len(schedule.groups.sizes),
        "row_groups": len(schedule.groups.sizes),
        "glb_filter": f"per {residency.glb_filter}",
        "glb_ifmap": "kept from the layer before"
        if residency.glb_ifmap == "kept"
        else f"per {residency.glb_ifmap}",
        "glb_ofmap": "kept for the next layer" if residency.glb_ofmap == "kept" else "sent to DRAM",
        "lbuf_filter": f"per {residency.lbuf_filter}",
        "lbuf_ifmap": "per step",
    }
