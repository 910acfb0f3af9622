"""Lays an NTWU schedule over the memory hierarchy: steps, what each moves and computes (Sections 4, 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import AccessLog, Operations
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.base import Handover, Layout, Widths, too_small
from spikex_sim.schedules.held import Held
from spikex_sim.schedules.ntwu.chunks import (
    BATCH,
    FILTER_TAPS,
    HITS,
    TAGS,
    TAPS,
    TILE,
    UNLIMITED,
    WORDS,
    Chunks,
    cut_chunks,
)
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.residency import Blocks, Residency, blocks_of, choose_residency
from spikex_sim.schedules.ntwu.slots import count_slots
from spikex_sim.schedules.steps import MAX_STEPS, Column, PerStep, Program, Steps, check_number

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule

SKEWS = ("none", "batch", "tile")
SCOPES = ("group", "tile", "step")
NO_SLOTS = np.zeros(0, np.int64)
"""Every streamed tap has an integration slot of its own."""

COLUMNS: tuple[Column, ...] = (
    ("fetch", "filter"), ("fetch", "ifmap"), ("fetch", "tag"),
    ("load", "filter"), ("load", "ifmap"), ("load", "tag"),
    ("store", "ofmap"), ("store", "tag"),
    ("writeback", "ofmap"), ("writeback", "tag"),
    ("read", "filter"), ("read", "ifmap"), ("read", "tag"), ("read", "psum"),
    ("write", "ofmap"), ("write", "psum"),
)  # fmt: skip
"""Columns of the table of steps, in the order in which :func:`_lay` fills them."""


def lay_out(schedule: NtwuSchedule, widths: Widths, arch: NtwuOptions, handover: Handover) -> Layout:
    """Lay a schedule over the memory hierarchy; see :class:`spikex_sim.schedules.base.Schedule`."""
    blocks = blocks_of(schedule)
    if not schedule.shape.fits_all:
        _check_room(schedule, blocks, widths, arch)
    channel_filter_bits = schedule.geometry.filter_taps * schedule.groups.sizes[0] * widths.weight
    residency = choose_residency(schedule, blocks, channel_filter_bits, arch, handover)
    batches = batch_counts(schedule, arch)
    group = _Group(schedule, blocks, residency, batches, widths, arch)
    sizes = schedule.groups.sizes
    runs, sums, operations = [], [], Operations()
    for rows in dict.fromkeys(sizes):
        times = sizes.count(rows)
        steps, found = group.lay(rows)
        runs.append((steps, times))
        sums.append((rows * times, times, found))
        operations += group.operations(rows, found).times(times)
    program, words = Program(tuple(runs)), blocks.words_in_all
    if residency.glb_ifmap == "layer":
        program = program.adding_to_first({("fetch", "ifmap"): words * schedule.tws, ("fetch", "tag"): words})
    log = AccessLog()
    program.accesses(log, "lbuf")
    log.write(
        "lbuf", "tag", program.total("store", "tag")
    )  # beside the array: tags take no cycles of their own
    updates, adds = operations.lif_updates, operations.accumulations
    log.write("rf", "filter", sum(rows * found.column_taps for rows, _, found in sums) * widths.weight)
    log.read("rf", "psum", adds * widths.psum + updates * (widths.psum + widths.potential))
    log.write("rf", "psum", adds * widths.psum + updates * widths.potential)
    return Layout(
        program=program,
        accesses=log.freeze(),
        operations=operations,
        residency=residency,
        additions=schedule.groups.out_channels * int(schedule.surveyed.spikes.sum()),
        mapping=_describe(schedule, residency),
        output_kept=residency.glb_ofmap == "kept",
        held=_held(schedule, blocks, channel_filter_bits, residency, program, arch),
    )


def _held(
    schedule: NtwuSchedule, blocks: Blocks, channel_filter_bits: int, residency: Residency, program: Program,
    arch: NtwuOptions,
) -> tuple[Held, ...]:  # fmt: skip
    """What :func:`choose_residency` weighs, and what comes of it; the LBUF holds what the GLB holds."""
    if schedule.shape.fits_all:
        return ()
    glb, lbuf, groups = arch.memory.glb, arch.memory.lbuf, schedule.groups
    filters = blocks.filters_in_all * channel_filter_bits
    layer_filters = filters // groups.sizes[0] * groups.out_channels
    spmbs = blocks.words_in_all * (schedule.tws + 1)
    merged = (blocks.words_if_merged - blocks.words_in_all) * (schedule.tws + 1)
    fetched_filters, loaded_filters = (program.total(way, "filter") for way in ("fetch", "load"))
    fetched_spmbs = program.total("fetch", "ifmap") + program.total("fetch", "tag")
    in_glb = (
        Held("glb", "filter", filters, glb.half_bits("filter"), layer_filters, fetched_filters),
        Held("glb", "ifmap", spmbs, glb.half_bits("ifmap"), spmbs, fetched_spmbs, merged),
    )
    if residency.glb_filter != "group":
        return in_glb
    return (*in_glb, Held("lbuf", "filter", filters, lbuf.half_bits("filter"), layer_filters, loaded_filters))


def _check_room(schedule: NtwuSchedule, blocks: Blocks, widths: Widths, arch: NtwuOptions) -> None:
    """Raise :class:`ConfigError` if a tile's potentials or spikes have no room."""
    sizes = f"{schedule.shape.positions} position(s) and {schedule.shape.windows} window(s)"
    potential_bits = schedule.shape.positions * schedule.groups.sizes[0] * widths.potential
    if potential_bits > arch.memory.lbuf.part_bits("psum"):
        raise too_small("lbuf", "psum", arch, potential_bits, f"the potentials of {sizes}")
    spike_bits = int(blocks.words.max()) * schedule.geometry.channels * (schedule.tws + 1)
    if spike_bits > arch.memory.glb.half_bits("ifmap"):
        raise too_small("glb", "ifmap", arch, spike_bits, f"the spikes of {sizes}")


@dataclass(frozen=True)
class BatchCounts:
    """Per batch, for one row: what the array does besides integrating."""

    update_cycles: PerStep
    catchups: PerStep
    potential_reads: PerStep
    potential_writes: PerStep


def batch_counts(schedule: NtwuSchedule, arch: NtwuOptions) -> BatchCounts:
    """Update phase and potential traffic of every batch (Section 4)."""
    counts = _batch_counts(
        schedule.geometry.positions,
        schedule.batch_columns,
        schedule.position,
        schedule.window,
        schedule.tws * arch.update_cycles,
        arch.get("leak_catchup_cycles", default=1),
    )
    return BatchCounts(*counts)


@kernel
def _batch_counts(
    positions: int,
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    update_cycles: int,
    catchup_cycles: int,
) -> tuple[PerStep, PerStep, PerStep, PerStep]:
    batches = len(batch_columns) - 1
    update = np.zeros(batches, np.int64)
    catchups = np.zeros(batches, np.int64)
    reads = np.zeros(batches, np.int64)
    writes = np.zeros(batches, np.int64)
    last_batch = np.full(positions, -1, np.int64)
    last_window = np.zeros(positions, np.int64)
    spent = np.zeros(positions, np.int64)
    for b in range(batches):
        for column in range(batch_columns[b], batch_columns[b + 1]):
            p, w = position[column], window[column]
            before, skipped = last_batch[p], w - last_window[p] - 1
            owed = skipped if before >= 0 else 0
            if before != b:
                spent[p] = 0
            if before != b or skipped > 0:  # else the potential is still in the column beside
                writes[b] += 1
                reads[b] += before >= 0
            spent[p] += update_cycles + catchup_cycles * owed
            update[b] = max(update[b], spent[p])
            catchups[b] += owed
            last_batch[p] = b
            last_window[p] = w
    return update, catchups, reads, writes


class Sums(NamedTuple):
    """Sums over a group that are none of its steps' bits."""

    steps: int
    taps: int
    column_taps: int
    column_slots: int
    column_updates: int
    catchups: int
    largest_store: int


@dataclass(frozen=True)
class _Group:
    """What the row groups have in common."""

    schedule: NtwuSchedule
    blocks: Blocks
    residency: Residency
    batches: BatchCounts
    widths: Widths
    arch: NtwuOptions

    def lay(self, rows: int) -> tuple[Steps, Sums]:
        """Steps of a group of so many rows; outputs beyond the ofmap halves follow in steps of their own.

        Raises
        ------
        ConfigError
            If a buffer cannot hold what has to be there at once, naming the smallest that works.
        """
        schedule, batches, residency, blocks = self.schedule, self.batches, self.residency, self.blocks
        lbuf_half, glb_half = UNLIMITED, UNLIMITED
        if not schedule.shape.fits_all:
            lbuf_half = self.arch.memory.lbuf.half_bits("ofmap")
            glb_half = self.arch.memory.glb.half_bits("ofmap")
            if lbuf_half < 1:
                raise too_small("lbuf", "ofmap", self.arch, 1, "outputs")
        chunks = self._chunks(rows)
        groups = len(schedule.groups.sizes)
        table, found = _lay(
            chunks.table, count_slots(schedule, chunks) if schedule.packs_taps else NO_SLOTS,
            self._cycles_per_slot, schedule.tiles, schedule.tile_batches, schedule.batch_columns,
            batches.update_cycles, batches.catchups, batches.potential_reads, batches.potential_writes,
            blocks.tile_words, blocks.tile_filters, blocks.filters_in_all, schedule.geometry.filter_taps,
            rows, self.widths.weight, self.widths.potential, schedule.tws, SKEWS.index(self.arch.skew),
            SCOPES.index(residency.glb_filter), residency.glb_ifmap == "tile",
            residency.lbuf_filter == "group", residency.glb_ofmap == "sent", lbuf_half, MAX_STEPS // groups,
        )  # fmt: skip
        sums = Sums(*found.tolist())
        check_number(groups * sums.steps, f"{groups} row groups", self.arch)
        if sums.largest_store > glb_half:
            raise too_small("glb", "ofmap", self.arch, sums.largest_store, "the outputs of one step")
        return Steps(table, COLUMNS), sums

    def _chunks(self, rows: int) -> Chunks:
        """Cut the batches of a row group so that each step fits the LBUF halves."""
        schedule, residency, arch = self.schedule, self.residency, self.arch
        glb, lbuf, tap_bits = arch.memory.glb, arch.memory.lbuf, rows * self.widths.weight
        chunks = cut_chunks(
            schedule,
            tap_bits,
            UNLIMITED if residency.lbuf_filter == "group" else lbuf.half_bits("filter"),
            UNLIMITED if schedule.shape.fits_all else lbuf.half_bits("ifmap"),
        )
        if chunks.need_filter_bits:
            raise too_small("lbuf", "filter", arch, chunks.need_filter_bits, "the weights of one tap")
        if chunks.need_ifmap_bits:
            raise too_small("lbuf", "ifmap", arch, chunks.need_ifmap_bits, "the spikes of one tap")
        step_bits = int(chunks.filter_taps.max()) * tap_bits
        if residency.glb_filter == "step" and step_bits > glb.half_bits("filter"):
            raise too_small("glb", "filter", arch, step_bits, "the weights of one step")
        return chunks

    @property
    def _cycles_per_slot(self) -> int:
        return -(-self.schedule.tws // self.arch.accumulators_per_pe)

    def operations(self, rows: int, sums: Sums) -> Operations:
        """What the array does in a group of so many rows."""
        schedule = self.schedule
        geometry, tws = schedule.geometry, schedule.tws
        made = rows * int(schedule.surveyed.spikes.sum())
        if not self.arch.gates_zeros(by_nature=True):
            made = rows * tws * sums.column_slots
        updates = rows * len(schedule.position) * tws
        busy = sums.column_slots * self._cycles_per_slot + sums.column_updates
        return Operations(
            ntwus=rows * int(np.count_nonzero(schedule.active)),
            batches=schedule.batches,
            streamed_taps=sums.taps,
            accumulations=made,
            lif_updates=updates,
            comparisons=updates,
            leak_catchups=rows * sums.catchups,
            dense_accumulations=rows * geometry.positions * geometry.taps * schedule.spikes.timesteps,
            pe_cycles=rows * busy,
        )


@kernel
def _lay(
    table: NDArray[np.int64],
    slots: PerStep,
    cycles_per_slot: int,
    tiles: NDArray[np.int64],
    tile_batches: PerStep,
    batch_columns: PerStep,
    update_cycles: PerStep,
    owed: PerStep,
    potential_reads: PerStep,
    potential_writes: PerStep,
    tile_words: PerStep,
    tile_filters: PerStep,
    filters_in_all: int,
    filter_taps: int,
    rows: int,
    weight_bits: int,
    potential_bits: int,
    tws: int,
    skew: int,
    glb_filter: int,
    fetches_tiles: bool,
    lbuf_holds_group: bool,
    to_dram: bool,
    half: int,
    most_steps: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Table of the steps of a group, and :class:`Sums`.

    Transfers belong to the first or last step of their scope.
    Of more than ``most_steps`` only the number is found.
    """
    chunks = len(table)
    tap_bits, potential = rows * weight_bits, rows * potential_bits
    spikes, zeros = np.zeros(chunks, np.int64), np.zeros(chunks, np.int64)
    steps = 0
    for i in range(chunks):
        tile, b = table[i, TILE], table[i, BATCH]
        if b >= 0 and (i == chunks - 1 or table[i + 1, BATCH] != b):
            spikes[i] = rows * (batch_columns[b + 1] - batch_columns[b]) * tws
            zeros[i] = rows * (batch_columns[b + 1] - batch_columns[b])
        if i == chunks - 1 or table[i + 1, TILE] != tile:
            units = (tiles[tile, 1] - tiles[tile, 0]) * (tiles[tile, 3] - tiles[tile, 2])
            issued = batch_columns[tile_batches[tile + 1]] - batch_columns[tile_batches[tile]]
            zeros[i] += rows * (units - issued)
        steps += max(1, (spikes[i] + zeros[i] - 1) // half + 1)
    laid = np.zeros((19, steps if steps <= most_steps else 0), np.int64)
    taps = column_taps = column_slots = column_updates = catchups = largest = widest = step = 0
    for i in range(chunks if steps <= most_steps else 0):
        tile, b = table[i, TILE], table[i, BATCH]
        starts_tile = i == 0 or table[i - 1, TILE] != tile
        ends_tile = i == chunks - 1 or table[i + 1, TILE] != tile
        ends_batch = b >= 0 and (i == chunks - 1 or table[i + 1, BATCH] != b)
        own = batch_columns[b + 1] - batch_columns[b] if b >= 0 else 0
        widest = own if starts_tile else max(widest, own)
        filter_bits = table[i, FILTER_TAPS] * tap_bits
        group_bits = filters_in_all * filter_taps * tap_bits if i == 0 else 0
        used = slots[i] if len(slots) > 0 else table[i, TAPS]
        taps += table[i, TAPS]
        column_taps += own * table[i, TAPS]
        column_slots += own * used

        array = used * cycles_per_slot
        if ends_batch:
            array += update_cycles[b]
            column_updates += own * update_cycles[b]
            catchups += owed[b]
            laid[16, step] = potential * potential_reads[b]
            laid[17, step] = rows * own * tws
            laid[18, step] = potential * potential_writes[b]
        if skew == 1 and ends_batch and own > 0:
            array += rows + own - 2
        if skew == 2 and ends_tile and widest > 0:
            array += rows + widest - 2
        laid[2, step] = array
        if glb_filter == 0:
            laid[3, step] = group_bits
        elif glb_filter == 1:
            laid[3, step] = tile_filters[tile] * filter_taps * tap_bits if starts_tile else 0
        else:
            laid[3, step] = filter_bits
        if starts_tile and fetches_tiles:
            laid[4, step], laid[5, step] = tile_words[tile] * tws, tile_words[tile]
        laid[6, step] = group_bits if lbuf_holds_group else filter_bits
        laid[7, step], laid[8, step] = table[i, WORDS] * tws, table[i, TAGS]
        laid[13, step], laid[14, step] = tap_bits * table[i, TAPS], tws * table[i, HITS]
        laid[15, step] = own * table[i, TAPS]

        for piece in range(max(1, (spikes[i] + zeros[i] - 1) // half + 1)):  # spikes leave before tags
            out = min(half, spikes[i] + zeros[i] - piece * half)
            first = min(out, max(0, spikes[i] - piece * half))
            largest = max(largest, out)
            laid[0, step], laid[1, step] = tile, b if piece == 0 else -1
            laid[9, step], laid[10, step] = first, out - first
            if to_dram:
                laid[11, step], laid[12, step] = first, out - first
            step += 1
    return laid, np.array((steps, taps, column_taps, column_slots, column_updates, catchups, largest))


def _describe(schedule: NtwuSchedule, residency: Residency) -> dict[str, Any]:
    """Loop order, sizes and residency, as in ``results.json``."""
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
