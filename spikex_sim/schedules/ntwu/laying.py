"""Lays an NTWU schedule over the memory hierarchy: steps, what each moves and computes (Sections 4, 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import TAGS_COMPARED, TAGS_STORED, UPDATE, AccessLog, Operations, alu
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.base import Handover, Layout, too_small
from spikex_sim.schedules.held import Held
from spikex_sim.schedules.ntwu.chunks import (
    BATCH,
    FILTER_WORDS,
    HIT_BITS,
    IFMAP_BITS,
    OWN_TAPS,
    TAG_BITS,
    TAG_TAPS,
    TAPS,
    TILE,
    UNLIMITED,
    Chunks,
    cut_chunks,
)
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.overheads import count_overheads
from spikex_sim.schedules.ntwu.residency import (
    SPIKES,
    TAGS,
    Blocks,
    Residency,
    SpMbs,
    blocks_of,
    choose_residency,
)
from spikex_sim.schedules.ntwu.slots import count_slots
from spikex_sim.schedules.ntwu.updates import (
    CATCHUPS,
    POTENTIAL_READS,
    POTENTIAL_WRITES,
    UPDATE_CYCLES,
    WORD_TAGS,
    WORDS,
    batch_counts,
)
from spikex_sim.schedules.steps import FIRST, MAX_STEPS, Column, PerStep, Program, Steps, check_number

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule

SKEWS = ("none", "batch", "tile")
SCOPES = ("layer", "group", "tile", "step")
PER_GROUP, PER_TILE, PER_STEP, NEVER = 1, 2, 3, 4
NO_SLOTS = np.zeros((0, 2), np.int64)
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
MORE_COLUMNS: tuple[Column, ...] = (
    ("fetch", "psum"), ("load", "psum"), ("store", "psum"), ("writeback", "psum"),
)  # fmt: skip
"""What comes behind them where currents enter or leave, or states cross to DRAM."""


def lay_out(schedule: NtwuSchedule, arch: NtwuOptions, handover: Handover) -> Layout:
    """Lay a schedule over the memory hierarchy; see :class:`spikex_sim.schedules.base.Schedule`."""
    task = schedule.task
    widths = task.widths
    spmbs, blocks = blocks_of(schedule)
    if not schedule.shape.fits_all:
        _check_room(schedule, spmbs, arch)
    residency = choose_residency(schedule, spmbs, blocks, arch, handover)
    additions, products = _made(schedule)
    layer = _Layer(schedule, residency, batch_counts(schedule, arch), arch, additions, products)
    runs, sums, operations = layer.runs(spmbs, blocks)
    program = Program.of(runs)
    log = AccessLog()
    program.accesses(log, "lbuf")
    log.write(
        "lbuf", "tag", program.total("store", "tag")
    )  # beside the array: tags take no cycles of their own
    apart = AccessLog()
    apart.move("lbuf", "glb", "tag", sums.tags_apart)
    apart.write("lbuf", "tag", sums.tags_apart)
    left = task.out_channels * len(schedule.position) * schedule.tws  # sums that leave the array
    adds, updates = operations.accumulations + products, operations.lif_updates
    log.write("rf", "filter", sums.row_taps * widths.weight)
    log.read("rf", "psum", (adds + left) * widths.psum + updates * task.potential_bits)
    log.write("rf", "psum", adds * widths.psum + updates * task.potential_bits)
    for _ in range(task.states - 1):
        log.count(*alu(UPDATE, task.datapath), updates)
    log.count(*TAGS_COMPARED, operations.batches * schedule.dispatcher.compared_bits)
    log.count(*TAGS_STORED, operations.batches * schedule.dispatcher.stored_bits)
    count_overheads(log, schedule, arch, layer.batches, operations)
    return Layout(
        program=program,
        accesses=log.freeze() + apart.freeze(),
        operations=operations,
        residency=residency,
        additions=additions,
        products=products,
        mapping=_describe(schedule, residency),
        output_kept=residency.glb_ofmap == "kept",
        issued=schedule.issued if task.tagged else None,
        apart=apart.freeze(),
        held=_held(schedule, spmbs, blocks, residency, program, arch),
    )


def _held(
    schedule: NtwuSchedule, found: SpMbs, blocks: Sequence[Blocks], residency: Residency, program: Program,
    arch: NtwuOptions,
) -> tuple[Held, ...]:  # fmt: skip
    """What :func:`choose_residency` weighs, and what comes of it; the LBUF holds what the GLB holds."""
    if schedule.shape.fits_all:
        return ()
    glb, lbuf, weight_bits = arch.memory.glb, arch.memory.lbuf, schedule.task.widths.weight
    filters = weight_bits * max(one.words_in_all for one in blocks)
    layer_filters = weight_bits * sum(one.words_in_all * one.times for one in blocks)
    if schedule.shape.by_run:
        filters = layer_filters
    by_run = [sum(bits) for bits in found.run_bits]
    spmbs, most = sum(by_run), max(by_run)
    merged = found.merged_bits - spmbs
    fetched_filters, loaded_filters = (program.total(way, "filter") for way in ("fetch", "load"))
    fetched_spmbs = program.total("fetch", "ifmap") + program.total("fetch", "tag")
    in_glb = (
        Held("glb", "filter", filters, glb.half_bits("filter"), layer_filters, fetched_filters),
        Held("glb", "ifmap", most, glb.half_bits("ifmap"), spmbs, fetched_spmbs, merged),
    )
    if residency.glb_filter not in ("layer", "group"):
        return in_glb
    return (*in_glb, Held("lbuf", "filter", filters, lbuf.half_bits("filter"), layer_filters, loaded_filters))


def _check_room(schedule: NtwuSchedule, spmbs: SpMbs, arch: NtwuOptions) -> None:
    """Raise :class:`ConfigError` if a tile's potentials or spikes have no room."""
    task, shape = schedule.task, schedule.shape
    sizes = f"{shape.positions} position(s) and {shape.windows} window(s)"
    potential_bits = shape.positions * schedule.groups.sizes[0] * task.potential_bits
    if potential_bits > arch.memory.lbuf.part_bits("psum"):
        raise too_small("lbuf", "psum", arch, potential_bits, f"the potentials of {sizes}")
    spike_bits = spmbs.largest_bits
    if spike_bits > arch.memory.glb.half_bits("ifmap"):
        raise too_small("glb", "ifmap", arch, spike_bits, f"the spikes of {sizes}")


def _made(schedule: NtwuSchedule) -> tuple[int, int]:
    """Additions that spikes make, and products of analog values: each for all rows, or for its own."""
    made = [0, 0]
    for one, number in zip(schedule.task.inputs.synapses, schedule.surveyed.seen, strict=True):
        made[not one.tagged] += number * (1 if one.own else schedule.task.out_channels)
    return made[0], made[1]


class Sums(NamedTuple):
    """Sums over a group that are none of its steps' bits."""

    steps: int
    taps: int
    row_taps: int
    row_slots: int
    column_updates: int
    catchups: int
    largest_store: int
    tags_apart: int


@dataclass(frozen=True)
class _Layer:
    """What the row groups have in common."""

    schedule: NtwuSchedule
    residency: Residency
    batches: NDArray[np.int64]
    arch: NtwuOptions
    additions: int
    products: int

    def runs(
        self, spmbs: SpMbs, blocks: Sequence[Blocks]
    ) -> tuple[list[list[tuple[Steps, int]]], Sums, Operations]:
        """Steps of every run and group, those of equal groups once; sums and operations of all.

        Raises
        ------
        ConfigError
            If a buffer cannot hold what has to be there at once, naming the smallest that works.
        """
        tables = [self._chunks(one.first, one.rows) for one in blocks]
        groups = len(self.schedule.groups.sizes)
        total = [0] * len(Sums._fields)
        runs: list[list[tuple[Steps, int]]] = []
        for run in range(self.schedule.runs):
            laid: list[tuple[Steps, int]] = []
            for one, table in zip(blocks, tables, strict=True):
                steps, found = self._lay(run, one, table, groups)
                laid.append((steps, one.times))
                total = [a + b * one.times for a, b in zip(total, found, strict=True)]
            if self.residency.glb_ifmap in ("layer", "run"):
                ifmap, tags = spmbs.run_bits[run]
                bits = {("fetch", "ifmap"): ifmap, ("fetch", "tag"): tags}
                steps, times = laid[0]
                laid[:1] = [(steps.adding_to_first(bits), 1), *([(steps, times - 1)] if times > 1 else [])]
            runs.append(laid)
        sums = Sums(*total)
        return runs, sums, self._operations(sums)

    def _lay(
        self, run: int, blocks: Blocks, laid: tuple[Chunks, NDArray[np.int64]], groups: int
    ) -> tuple[Steps, Sums]:
        """Steps of one group in one run; outputs beyond the ofmap halves follow in steps of their own."""
        schedule, residency, task = self.schedule, self.residency, self.schedule.task
        memory, widths = self.arch.memory, task.widths
        lbuf_half, glb_half, words_half = UNLIMITED, UNLIMITED, UNLIMITED
        if not schedule.shape.fits_all:
            lbuf_half, glb_half = memory.lbuf.half_bits("ofmap"), memory.glb.half_bits("ofmap")
            if lbuf_half < 1:
                raise too_small("lbuf", "ofmap", self.arch, 1, "outputs")
            if task.words is not None:
                words_half = min(memory.lbuf.half_bits("ifmap"), memory.glb.half_bits("ifmap"))
                if words_half < widths.psum:
                    raise too_small("lbuf", "ifmap", self.arch, widths.psum, "one word of currents")
        chunks, slots = laid
        rows, runs = blocks.rows, schedule.runs
        tiles_of_run = len(schedule.tiles) // runs
        more, spill = self._more, self._spills and rows * task.potential_bits
        again = run > 0
        table, found = _lay(
            chunks.table, slots, run * tiles_of_run, (run + 1) * tiles_of_run,
            -(-schedule.tws // self.arch.accumulators_per_pe), self._dispatch_cycles, schedule.tiles,
            schedule.tile_batches,
            schedule.batch_columns, self.batches, blocks.spmb_bits, blocks.tile_words, blocks.words_in_all,
            rows, widths.weight, rows * task.potential_bits, rows * widths.psum, not task.states,
            task.tagged, schedule.tws, SKEWS.index(self.arch.skew),
            NEVER if again and residency.glb_filter == "layer" else SCOPES.index(residency.glb_filter),
            residency.glb_ifmap == "tile",
            NEVER if again and residency.lbuf_filter == "layer" else SCOPES.index(residency.lbuf_filter),
            residency.glb_ofmap == "sent", self._tags_apart, lbuf_half, words_half,
            spill if again else 0,
            spill if run + 1 < runs else 0, more, MAX_STEPS // (groups * runs),
        )  # fmt: skip
        sums = Sums(*found.tolist())
        check_number(groups * runs * sums.steps, f"{groups} row groups", self.arch)
        if sums.largest_store > glb_half:
            raise too_small("glb", "ofmap", self.arch, sums.largest_store, "the outputs of one step")
        if not more:
            return Steps(table, COLUMNS), sums
        bits = dict(zip((*COLUMNS, *MORE_COLUMNS), table[FIRST:], strict=True))
        tile, batch, array = table[:FIRST]
        return Steps.of(tile, batch, array, bits), sums

    @property
    def _dispatch_cycles(self) -> int:
        """Cycles of every batch before the array has its columns."""
        charged = self.arch.get("dispatch_cycles", default="hidden") == "charged"
        return self.schedule.dispatcher.cycles_per_batch if charged else 0

    @property
    def _tags_apart(self) -> bool:
        """Whether zero tags of skipped windows do not pass the LBUF's port."""
        return self.arch.get("memory.zero_tags", default="move") == "unit"

    @property
    def _spills(self) -> bool:
        """Whether the states of all neurons have no room together, where each is needed in every run."""
        schedule = self.schedule
        if schedule.runs == 1 or schedule.shape.fits_all:
            return False
        bits = schedule.task.out_channels * schedule.task.positions * schedule.task.potential_bits
        return bits > self.arch.memory.lbuf.part_bits("psum")

    @property
    def _more(self) -> bool:
        """Whether partial sums cross between the levels."""
        task = self.schedule.task
        return not task.states or task.words is not None or self._spills

    def _chunks(self, first: int, rows: int) -> tuple[Chunks, NDArray[np.int64]]:
        """Cut the batches of a row group so that each step fits the LBUF halves; and their slots.

        Of slots there are two numbers a chunk: how many, and how many each with its rows in use; none where
        every streamed tap has its own.
        """
        schedule, residency, arch = self.schedule, self.residency, self.arch
        glb, lbuf, weight_bits = arch.memory.glb, arch.memory.lbuf, schedule.task.widths.weight
        chunks = cut_chunks(
            schedule,
            first,
            rows,
            UNLIMITED if residency.lbuf_filter != "step" else lbuf.half_bits("filter") // weight_bits,
            UNLIMITED if schedule.shape.fits_all else lbuf.half_bits("ifmap"),
        )
        if chunks.need_filter_words:
            need = chunks.need_filter_words * weight_bits
            raise too_small("lbuf", "filter", arch, need, "the weights of one tap")
        if chunks.need_ifmap_bits:
            raise too_small("lbuf", "ifmap", arch, chunks.need_ifmap_bits, "the spikes of one tap")
        step_bits = int(chunks.filter_words.max()) * weight_bits
        if residency.glb_filter == "step" and step_bits > glb.half_bits("filter"):
            raise too_small("glb", "filter", arch, step_bits, "the weights of one step")
        if schedule.packs_taps:
            return chunks, count_slots(schedule, chunks, first, rows)
        return chunks, NO_SLOTS

    def _operations(self, sums: Sums) -> Operations:
        """What the array does in the layer."""
        schedule = self.schedule
        task, tws, rows = schedule.task, schedule.tws, schedule.task.out_channels
        made, products = self.additions, self.products
        if not self.arch.gates_zeros(by_nature=True):
            made = tws * sums.row_slots - products
        updates = rows * len(schedule.position) * tws if task.states else 0
        taps = sum(one.geometry.filter_taps if one.own else one.geometry.taps for one in task.inputs.synapses)
        cycles_per_slot = -(-tws // self.arch.accumulators_per_pe)
        return Operations(
            ntwus=rows * int(np.count_nonzero(schedule.active)),
            batches=schedule.batches * len(schedule.groups.sizes),
            streamed_taps=sums.taps,
            accumulations=made,
            multiplications=products + task.scalings(schedule.position, schedule.window),
            lif_updates=updates,
            comparisons=updates,
            leak_catchups=sums.catchups,
            dense_accumulations=rows * task.positions * taps * task.inputs.timesteps,
            pe_cycles=sums.row_slots * cycles_per_slot + sums.column_updates,
        )


@kernel
def _lay(
    all_chunks: NDArray[np.int64],
    all_slots: NDArray[np.int64],
    first_tile: int,
    last_tile: int,
    cycles_per_slot: int,
    dispatch_cycles: int,
    tiles: NDArray[np.int64],
    tile_batches: PerStep,
    batch_columns: PerStep,
    batches: NDArray[np.int64],
    spmb_bits: NDArray[np.int64],
    tile_filters: PerStep,
    filters_in_all: int,
    rows: int,
    weight_bits: int,
    potential: int,
    psum: int,
    gives_sums: bool,
    tagged: bool,
    tws: int,
    skew: int,
    glb_filter: int,
    fetches_tiles: bool,
    lbuf_filter: int,
    to_dram: bool,
    tags_apart: bool,
    half: int,
    words_half: int,
    states_in: int,
    states_out: int,
    more: bool,
    most_steps: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Table of the steps of a group in a run, and :class:`Sums`.

    Transfers belong to the first or last step of their scope. Currents that enter beyond a half of the
    ifmap parts have steps of their own before the last one of a batch, outputs beyond a half behind it.
    Zero tags of skipped windows leave with a tile's last outputs, or apart from these, past the LBUF's port.
    Of more than ``most_steps`` only the number is found.
    """
    begin, end = np.searchsorted(all_chunks[:, TILE], (first_tile, last_tile))
    table, slots, chunks = all_chunks[begin:end], all_slots[begin:end], end - begin
    spikes, zeros, words, word_tags, apart = np.zeros((5, chunks), np.int64)
    untagged = gives_sums and not tagged
    steps = 0
    for i in range(chunks):
        tile, b = table[i, TILE], table[i, BATCH]
        if b >= 0 and (i == chunks - 1 or table[i + 1, BATCH] != b):
            own = batch_columns[b + 1] - batch_columns[b]
            spikes[i] = own * tws * (psum if gives_sums else rows)
            zeros[i] = 0 if untagged else rows * own
            words[i], word_tags[i] = batches[WORDS, b] * psum, batches[WORD_TAGS, b] * rows
            steps += max(0, (words[i] + word_tags[i] - 1) // words_half)
        if not untagged and (i == chunks - 1 or table[i + 1, TILE] != tile):
            units = (tiles[tile, 1] - tiles[tile, 0]) * (tiles[tile, 3] - tiles[tile, 2])
            issued = batch_columns[tile_batches[tile + 1]] - batch_columns[tile_batches[tile]]
            skipped = rows * (units - issued)
            if tags_apart:
                apart[i] = skipped
            else:
                zeros[i] += skipped
        steps += max(1, (spikes[i] + zeros[i] - 1) // half + 1)
    laid = np.zeros((23 if more else 19, steps if steps <= most_steps else 0), np.int64)
    taps = row_taps = row_slots = column_updates = catchups = largest = widest = step = 0
    for i in range(chunks if steps <= most_steps else 0):
        tile, b = table[i, TILE], table[i, BATCH]
        starts_tile = i == 0 or table[i - 1, TILE] != tile
        ends_tile = i == chunks - 1 or table[i + 1, TILE] != tile
        ends_batch = b >= 0 and (i == chunks - 1 or table[i + 1, BATCH] != b)
        own = batch_columns[b + 1] - batch_columns[b] if b >= 0 else 0
        widest = own if starts_tile else max(widest, own)
        filter_bits = table[i, FILTER_WORDS] * weight_bits
        group_bits = filters_in_all * weight_bits if i == 0 else 0
        rows_of_taps = rows * (table[i, TAPS] - table[i, OWN_TAPS]) + table[i, OWN_TAPS]
        taps += table[i, TAPS]
        row_taps += own * rows_of_taps
        used, used_rows = table[i, TAPS], rows_of_taps
        if len(slots) > 0:
            used, used_rows = slots[i, 0], slots[i, 1]
        row_slots += own * used_rows
        while words[i] + word_tags[i] > words_half:  # words enter before their tags
            laid[0, step], laid[1, step] = tile, -1
            first = min(words_half, words[i])
            laid[19, step] = laid[20, step] = laid[16, step] = first
            laid[5, step] = laid[8, step] = laid[15, step] = words_half - first
            words[i] -= first
            word_tags[i] -= words_half - first
            step += 1

        array = used * cycles_per_slot
        if ends_batch:
            array += dispatch_cycles + batches[UPDATE_CYCLES, b]
            column_updates += rows * own * batches[UPDATE_CYCLES, b]
            catchups += rows * batches[CATCHUPS, b]
            laid[16, step] = potential * batches[POTENTIAL_READS, b] + words[i]
            laid[17, step] = 0 if gives_sums else rows * own * tws
            laid[18, step] = potential * batches[POTENTIAL_WRITES, b]
            if gives_sums:
                laid[18, step] = psum * own * tws
        if skew == 1 and ends_batch and own > 0:
            array += rows + own - 2
        if skew == 2 and ends_tile and widest > 0:
            array += rows + widest - 2
        laid[2, step] = array
        if glb_filter <= PER_GROUP:
            laid[3, step] = group_bits
        elif glb_filter == PER_TILE:
            laid[3, step] = tile_filters[tile] * weight_bits if starts_tile else 0
        elif glb_filter == PER_STEP:
            laid[3, step] = filter_bits
        if starts_tile and fetches_tiles:
            laid[4, step], laid[5, step] = spmb_bits[SPIKES, tile], spmb_bits[TAGS, tile]
        if lbuf_filter != NEVER:
            laid[6, step] = filter_bits if lbuf_filter == PER_STEP else group_bits
        laid[7, step], laid[8, step] = table[i, IFMAP_BITS], table[i, TAG_BITS]
        laid[13, step], laid[14, step] = weight_bits * rows_of_taps, table[i, HIT_BITS]
        laid[15, step] = own * table[i, TAG_TAPS]
        if more:
            first_p = tiles[tile, 1] - tiles[tile, 0]
            laid[19, step] = laid[20, step] = words[i] + (states_in * first_p if starts_tile else 0)
            laid[5, step] += word_tags[i]
            laid[8, step] += word_tags[i]
            laid[15, step] += word_tags[i]
            if ends_tile:
                laid[21, step] = laid[22, step] = states_out * first_p

        for piece in range(max(1, (spikes[i] + zeros[i] - 1) // half + 1)):  # spikes leave before tags
            out = min(half, spikes[i] + zeros[i] - piece * half)
            first = min(out, max(0, spikes[i] - piece * half))
            largest = max(largest, out)
            laid[0, step], laid[1, step] = tile, b if piece == 0 else -1
            laid[10, step] = out - first
            if to_dram:
                laid[12, step] = out - first
            if gives_sums:
                laid[21, step] += first
                if to_dram:
                    laid[22, step] += first
            else:
                laid[9, step] = first
                if to_dram:
                    laid[11, step] = first
            step += 1
        if to_dram:
            laid[12, step - 1] += apart[i]
    return laid, np.array((steps, taps, row_taps, row_slots, column_updates, catchups, largest, apart.sum()))


def _describe(schedule: NtwuSchedule, residency: Residency) -> dict[str, Any]:
    """Loop order, sizes and residency, as in ``results.json``."""
    return {
        "order": "run > row group > position set > batch > chunk"
        if schedule.shape.by_run
        else "row group > position set > time block > batch > chunk",
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
