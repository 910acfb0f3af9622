"""Steps and counts of the row groups that use the same number of rows (Sections 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.core.counts import AccessLog, Operations
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.schedules.ntwu.chunks import UNLIMITED, Chunks, cut_chunks
from spikex_sim.schedules.ntwu.laying import NO_SLOTS, SCOPES, SKEWS, Sums, lay_group
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.residency import Blocks, Residency
from spikex_sim.schedules.ntwu.schedule import Schedule
from spikex_sim.schedules.ntwu.slots import count_slots
from spikex_sim.schedules.ntwu.survey import Survey
from spikex_sim.schedules.ntwu.tiles import too_small
from spikex_sim.schedules.steps import MAX_STEPS, Moves, PerStep, Steps, check_number
from spikex_sim.spec.arch import Accelerator


@dataclass(frozen=True)
class Widths:
    """Bits of one value of each kind in a layer's datapath."""

    weight: int
    psum: int
    potential: int


FLOAT_WIDTHS = Widths(weight=32, psum=32, potential=32)


def widths_of(datapath: str, arch: Accelerator) -> Widths:
    """Widths of a datapath: configured for ``int``, 32 bits throughout for ``float``."""
    if datapath == "float":
        return FLOAT_WIDTHS
    return Widths(arch.weight_bits, arch.psum_bits, arch.potential_bits)


@dataclass(frozen=True)
class BatchCounts:
    """Per batch, for one row: what the array does besides integrating."""

    columns: PerStep
    update_cycles: PerStep
    catchups: PerStep
    potential_reads: PerStep
    potential_writes: PerStep


def batch_counts(schedule: Schedule, arch: NtwuOptions) -> BatchCounts:
    """Update phase and potential traffic of every batch (Section 4)."""
    counts = _batch_counts(
        schedule.geometry.positions,
        schedule.batch_columns,
        schedule.position,
        schedule.window,
        schedule.tws * arch.update_cycles,
        arch.get("leak_catchup_cycles", default=1),
    )
    return BatchCounts(schedule.columns, *counts)


@njit(cache=True)
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


def fit_chunks(
    schedule: Schedule,
    spikes: WindowedSpikes,
    found: Survey,
    residency: Residency,
    tap_bits: int,
    arch: Accelerator,
) -> Chunks:
    """Cut the batches of a row group so that each step fits the LBUF halves.

    Raises
    ------
    ConfigError
        If a single tap does not fit, naming the smallest buffer that works.
    """
    glb, lbuf = arch.memory.glb, arch.memory.lbuf
    filter_half = lbuf.half_bits("filter")
    ifmap_half = lbuf.half_bits("ifmap")
    chunks = cut_chunks(
        schedule,
        spikes,
        found,
        tap_bits,
        UNLIMITED if residency.lbuf_filter == "group" else filter_half,
        UNLIMITED if schedule.shape.fits_all else ifmap_half,
    )
    if chunks.need_filter_bits:
        raise too_small("lbuf", "filter", arch, chunks.need_filter_bits, "the weights of one tap")
    if chunks.need_ifmap_bits:
        raise too_small("lbuf", "ifmap", arch, chunks.need_ifmap_bits, "the spikes of one tap")
    step_bits = int(chunks.filter_taps.max()) * tap_bits
    if residency.glb_filter == "step" and step_bits > glb.half_bits("filter"):
        raise too_small("glb", "filter", arch, step_bits, "the weights of one step")
    return chunks


@dataclass(frozen=True)
class GroupTraffic:
    """Steps and counts of the row groups that use ``rows`` rows."""

    schedule: Schedule
    spikes: WindowedSpikes
    found: Survey
    batches: BatchCounts
    blocks: Blocks
    residency: Residency
    chunks: Chunks
    widths: Widths
    arch: NtwuOptions
    rows: int

    def steps(self, first_group: int) -> Steps:
        """Steps of such a group; outputs beyond the ofmap halves follow in steps of their own."""
        laid, _ = self._laid
        return Steps(np.full(laid.shape[1], first_group), *laid)

    @cached_property
    def _laid(self) -> tuple[NDArray[np.int64], Sums]:
        schedule, batches, residency = self.schedule, self.batches, self.residency
        lbuf_half, glb_half = UNLIMITED, UNLIMITED
        if not schedule.shape.fits_all:
            lbuf_half = self.arch.memory.lbuf.half_bits("ofmap")
            glb_half = self.arch.memory.glb.half_bits("ofmap")
            if lbuf_half < 1:
                raise too_small("lbuf", "ofmap", self.arch, 1, "outputs")
        groups = len(schedule.groups.sizes)
        slots = NO_SLOTS
        if schedule.packs_taps:
            slots = count_slots(schedule, self.spikes, self.chunks)
        laid, found = lay_group(
            self.chunks.table, slots, self._cycles_per_slot, schedule.tiles, schedule.tile_batches,
            schedule.batch_columns, batches.update_cycles, batches.catchups, batches.potential_reads,
            batches.potential_writes, self.blocks.tile_words, self.blocks.tile_filters,
            self.blocks.filters_in_all, schedule.geometry.filter_taps, self.rows, self.widths.weight,
            self.widths.potential, schedule.tws, SKEWS.index(self.arch.skew),
            SCOPES.index(residency.glb_filter), residency.glb_ifmap == "tile",
            residency.lbuf_filter == "group", residency.glb_ofmap == "sent", lbuf_half, MAX_STEPS // groups,
        )  # fmt: skip
        sums = Sums(*found.tolist())
        check_number(groups * sums.steps, f"{groups} row groups", self.arch)
        if sums.largest_store > glb_half:
            raise too_small("glb", "ofmap", self.arch, sums.largest_store, "the outputs of one step")
        return laid, sums

    @property
    def _sums(self) -> Sums:
        return self._laid[1]

    @property
    def compute_cycles(self) -> int:
        """Cycles of the array in one such group."""
        return self._sums.array_cycles

    @cached_property
    def _columns(self) -> PerStep:
        """Columns in use of each chunk's batch."""
        found = np.zeros(len(self.chunks), np.int64)
        issued = self.chunks.batch >= 0
        found[issued] = self.schedule.columns[self.chunks.batch[issued]]
        return found

    @property
    def _cycles_per_slot(self) -> int:
        return -(-self.schedule.tws // self.arch.accumulators_per_pe)

    @property
    def additions(self) -> int:
        """Weights that are added."""
        return self.rows * int(self.found.spikes.sum())

    @property
    def _accumulations(self) -> int:
        """Additions executed: of weights alone, or of zeros too in every slot without a spike."""
        if self.arch.gates_zeros(by_nature=True):
            return self.additions
        return self.rows * self.schedule.tws * self._sums.column_slots

    @cached_property
    def _skipped_per_tile(self) -> PerStep:
        """NTWUs per row that a tile skips; their outputs are zero tags."""
        tiles = self.schedule.tiles
        columns_before = self.schedule.batch_columns[self.schedule.tile_batches]
        return (tiles[:, 1] - tiles[:, 0]) * (tiles[:, 3] - tiles[:, 2]) - np.diff(columns_before)

    @property
    def _group_filter_taps(self) -> int:
        return self.blocks.filters_in_all * self.schedule.geometry.filter_taps

    @property
    def _tile_filter_taps(self) -> PerStep:
        return self.blocks.tile_filters * self.schedule.geometry.filter_taps

    @property
    def _tile_words(self) -> PerStep:
        """Words that a tile's first step brings to the GLB."""
        words = self.blocks.tile_words
        return words if self.residency.glb_ifmap == "tile" else np.zeros_like(words)

    def _fetched(self) -> dict[str, PerStep]:
        """DRAM to GLB, by tensor: each load belongs to the first step of its scope."""
        chunks, tap_bits = self.chunks, self.rows * self.widths.weight
        tile = chunks.tile
        first_of_tile = np.concatenate([[True], _last_of_run(tile)[:-1]])
        if self.residency.glb_filter == "step":
            bits = chunks.filter_taps * tap_bits
        elif self.residency.glb_filter == "tile":
            bits = np.where(first_of_tile, self._tile_filter_taps[tile], 0) * tap_bits
        else:
            bits = np.zeros(len(tile), dtype=np.int64)
            bits[0] = self._group_filter_taps * tap_bits
        words = np.where(first_of_tile, self._tile_words[tile], 0)
        return {"filter": bits, "ifmap": words * self.schedule.tws, "tag": words}

    def _loaded(self) -> dict[str, PerStep]:
        """GLB to LBUF, by tensor."""
        chunks, tap_bits = self.chunks, self.rows * self.widths.weight
        bits = chunks.filter_taps * tap_bits
        if self.residency.lbuf_filter == "group":
            bits = np.zeros(len(chunks.tile), np.int64)
            bits[0] = self._group_filter_taps * tap_bits
        return {"filter": bits, "ifmap": chunks.words * self.schedule.tws, "tag": chunks.tags}

    def _sent(self) -> dict[str, PerStep]:
        """LBUF to GLB to DRAM, by tensor, before the outputs are split."""
        tile = self.chunks.tile
        output = self.rows * np.where(_last_of_run(self.chunks.batch), self._columns, 0)
        zero_tags = self.rows * np.where(_last_of_run(tile), self._skipped_per_tile[tile], 0)
        return {"ofmap": output * self.schedule.tws, "tag": output + zero_tags}

    def moves(self) -> dict[str, Moves]:
        """Bits of every step by tensor; their sums are what :meth:`steps` has. Spikes leave before tags."""
        fetched, loaded, sent = self._fetched(), self._loaded(), self._sent()
        all_sent = _total(sent)
        half = UNLIMITED
        if not self.schedule.shape.fits_all:
            half = self.arch.memory.lbuf.half_bits("ofmap")
        source, first, before = _pieces(all_sent, half)
        leaving = np.minimum(half, all_sent[source] - before)
        spikes = np.clip(sent["ofmap"][source] - before, 0, leaving)
        nothing = np.zeros(len(source), np.int64)
        leaves = {"filter": nothing, "ifmap": nothing, "tag": leaving - spikes}
        found = {
            tensor: Moves(
                np.where(first, fetched[tensor][source], 0),
                np.where(first, loaded[tensor][source], 0),
                out,
                self._written_back(out),
            )
            for tensor, out in leaves.items()
        }
        return found | {"ofmap": Moves(nothing, nothing, spikes, self._written_back(spikes))}

    def _written_back(self, stored: PerStep) -> PerStep:
        """GLB to DRAM: what was stored, or nothing where it stays."""
        return stored if self.residency.glb_ofmap == "sent" else np.zeros_like(stored)

    def operations(self) -> Operations:
        """What the array does in one such group."""
        schedule, rows, sums = self.schedule, self.rows, self._sums
        geometry = schedule.geometry
        updates = rows * len(schedule.position) * schedule.tws
        busy = sums.column_slots * self._cycles_per_slot + sums.column_updates
        return Operations(
            ntwus=rows * int(np.count_nonzero(schedule.active)),
            batches=schedule.batches,
            streamed_taps=sums.taps,
            accumulations=self._accumulations,
            lif_updates=updates,
            comparisons=updates,
            leak_catchups=rows * sums.catchups,
            dense_accumulations=rows * geometry.positions * geometry.taps * self.spikes.timesteps,
            pe_cycles=rows * busy,
        )

    def count(self, log: AccessLog, times: int) -> None:
        """Log the accesses of ``times`` such groups."""
        schedule, widths, sums = self.schedule, self.widths, self._sums
        rows, tws = self.rows, schedule.tws
        columns = len(schedule.position)
        adds = self._accumulations
        updates = rows * columns * tws
        potential = times * rows * widths.potential
        tap_bits = rows * widths.weight * times

        log.read("lbuf", "filter", sums.taps * tap_bits)
        log.read("lbuf", "ifmap", sums.hits * times * tws)
        log.read("lbuf", "tag", sums.column_taps * times)
        log.read("lbuf", "psum", sums.potential_reads * potential)
        log.write("lbuf", "psum", sums.potential_writes * potential)
        log.write("rf", "filter", sums.column_taps * tap_bits)
        log.read("rf", "psum", (adds * widths.psum + updates * (widths.psum + widths.potential)) * times)
        log.write("rf", "psum", (adds * widths.psum + updates * widths.potential) * times)

        log.move("glb", "lbuf", "ifmap", sums.words * times * tws)
        log.move("glb", "lbuf", "tag", sums.tags * times)
        group_taps, step_taps = self._group_filter_taps, sums.filter_taps
        to_lbuf = {"group": group_taps, "step": step_taps}
        tile_taps = self.blocks.filters_in_tiles * schedule.geometry.filter_taps
        to_glb = {"group": group_taps, "tile": tile_taps, "step": step_taps}
        log.move("glb", "lbuf", "filter", to_lbuf[self.residency.lbuf_filter] * tap_bits)
        log.move("dram", "glb", "filter", to_glb[self.residency.glb_filter] * tap_bits)

        outputs = {
            "ofmap": updates * times,
            "tag": (rows * columns + rows * sums.skipped) * times,
        }
        for tensor, bits in outputs.items():
            log.write("lbuf", tensor, bits)
            log.move("lbuf", "glb", tensor, bits)
            if self.residency.glb_ofmap == "sent":
                log.move("glb", "dram", tensor, bits)


def _total(parts: dict[str, PerStep]) -> PerStep:
    """Bits of all tensors together."""
    together: PerStep = np.sum(list(parts.values()), axis=0)
    return together


def _pieces(sent: PerStep, half: int) -> tuple[PerStep, NDArray[np.bool_], PerStep]:
    """Cut outputs to fit: step that each piece is of, whether it is its first, and the bits sent before."""
    pieces = np.maximum(1, -(-sent // half))
    source = np.repeat(np.arange(len(sent)), pieces)
    first = np.concatenate([[True], source[1:] != source[:-1]])
    return source, first, (np.arange(len(source)) - np.flatnonzero(first)[np.cumsum(first) - 1]) * half


def _last_of_run(values: PerStep) -> NDArray[np.bool_]:
    """Where a run of equal values ends."""
    return np.concatenate([values[1:] != values[:-1], [True]])
