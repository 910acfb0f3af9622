"""Steps and counts of the row groups that use the same number of rows (Sections 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.accounting import AccessLog, Operations
from spikex_sim.dispatch import Schedule
from spikex_sim.kernels.slots import count_slots
from spikex_sim.kernels.survey import Survey
from spikex_sim.memory.chunks import UNLIMITED, Chunks, cut_chunks
from spikex_sim.memory.mapping import too_small
from spikex_sim.memory.residency import Blocks, Residency
from spikex_sim.memory.steps import Moves, PerStep, Steps
from spikex_sim.spec.arch import Accelerator
from spikex_sim.tags import WindowedSpikes


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


def batch_counts(schedule: Schedule, arch: Accelerator) -> BatchCounts:
    """Update phase and potential traffic of every batch (Section 4)."""
    counts = _batch_counts(
        schedule.geometry.positions,
        schedule.batch_columns,
        schedule.position,
        schedule.window,
        schedule.tws * arch.update_cycles,
        arch.leak_catchup_cycles,
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
    arch: Accelerator
    rows: int

    def build(self) -> tuple[Steps, Operations, int]:
        """Steps of one such group, its operations and its compute cycles."""
        chunks, schedule, batches = self.chunks, self.schedule, self.batches
        issued = chunks.batch >= 0
        last_of_batch = _last_of_run(chunks.batch) & issued
        b = chunks.batch

        def at_end(values: PerStep) -> PerStep:
            return np.where(last_of_batch, values[b], 0) if len(values) else np.zeros(len(b), np.int64)

        array = self._integration_cycles + at_end(batches.update_cycles)
        if self.arch.skew == "batch":
            array += at_end(self._drain(batches.columns))
        elif self.arch.skew == "tile":
            widest = np.zeros(len(schedule.tiles), dtype=np.int64)
            np.maximum.at(widest, schedule.tile_of_batch, batches.columns)
            array += np.where(_last_of_run(chunks.tile), self._drain(widest)[chunks.tile], 0)
        columns = np.where(issued, batches.columns[b], 0) if len(batches.columns) else np.zeros_like(b)
        potential = self.rows * self.widths.potential
        output = self.rows * at_end(batches.columns)
        sent = _total(self._sent())
        steps = Steps(
            group=np.zeros_like(b),
            tile=chunks.tile,
            batch=b,
            fetch_bits=_total(self._fetched()),
            load_bits=_total(self._loaded()),
            store_bits=sent,
            writeback_bits=self._written_back(sent),
            array_cycles=array,
            lbuf_read_bits=self.rows * self.widths.weight * chunks.taps
            + schedule.tws * chunks.hits
            + columns * chunks.taps
            + potential * at_end(batches.potential_reads),
            lbuf_write_bits=output * schedule.tws + potential * at_end(batches.potential_writes),
        )
        return self._split_outputs(steps), self._operations(), int(array.sum())

    def _drain(self, columns: PerStep) -> PerStep:
        """Cycles until the last PE in use is done; none where no column is."""
        return np.where(columns > 0, self.rows - 1 + columns - 1, 0)

    @cached_property
    def _slots(self) -> PerStep:
        """Integration slots: streamed taps, or groups of them (StSAP)."""
        if self.schedule.packs_taps:
            return count_slots(self.schedule, self.spikes, self.chunks)
        return self.chunks.taps

    @property
    def _integration_cycles(self) -> PerStep:
        return self._slots * -(-self.schedule.tws // self.arch.accumulators_per_pe)

    @property
    def additions(self) -> int:
        """Weights that are added."""
        return self.rows * int(self.found.spikes.sum())

    @property
    def _accumulations(self) -> int:
        """Additions executed: of weights alone, or of zeros too in every slot without a spike."""
        if self.arch.gates_zeros(by_nature=True):
            return self.additions
        issued = self.chunks.batch >= 0
        columns = self.batches.columns[self.chunks.batch[issued]]
        return self.rows * self.schedule.tws * int((columns * self._slots[issued]).sum())

    @property
    def _skipped_per_tile(self) -> PerStep:
        """NTWUs per row that a tile skips; their outputs are zero tags."""
        tiles = self.schedule.tiles
        columns_before = self.schedule.batch_columns[self.schedule.tile_batches]
        return (tiles[:, 1] - tiles[:, 0]) * (tiles[:, 3] - tiles[:, 2]) - np.diff(columns_before)

    @property
    def _group_filter_taps(self) -> int:
        return int(self.blocks.filters.any(axis=0).sum()) * self.schedule.geometry.filter_taps

    @property
    def _tile_filter_taps(self) -> PerStep:
        taps: PerStep = self.blocks.filters.sum(axis=1) * self.schedule.geometry.filter_taps
        return taps

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
        words = np.zeros(len(tile), dtype=np.int64)
        if self.residency.glb_ifmap == "tile":
            spmb = self.blocks.spmb.sum(axis=1) * self.blocks.words
            words = np.where(first_of_tile, spmb[tile], 0)
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
        b, tile = self.chunks.batch, self.chunks.tile
        columns = self.batches.columns
        ends = _last_of_run(b) & (b >= 0)
        output = self.rows * np.where(ends, columns[b], 0) if len(columns) else np.zeros(len(b), np.int64)
        zero_tags = self.rows * np.where(_last_of_run(tile), self._skipped_per_tile[tile], 0)
        return {"ofmap": output * self.schedule.tws, "tag": output + zero_tags}

    def moves(self) -> dict[str, Moves]:
        """Bits of every step by tensor; their sums are what :meth:`build` has. Spikes leave before tags."""
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

    def _split_outputs(self, steps: Steps) -> Steps:
        """Outputs and tags that exceed the ofmap halves follow in steps of their own."""
        if self.schedule.shape.fits_all:
            return steps
        glb, lbuf = self.arch.memory.glb, self.arch.memory.lbuf
        half = lbuf.half_bits("ofmap")
        if half < 1:
            raise too_small("lbuf", "ofmap", self.arch, 1, "outputs")
        sent = min(half, int(steps.store_bits.max()))
        if sent > glb.half_bits("ofmap"):
            raise too_small("glb", "ofmap", self.arch, sent, "the outputs of one step")
        source, first, sent_before = _pieces(steps.store_bits, half)
        if len(source) == len(steps):
            return steps
        expanded = {f.name: np.where(first, getattr(steps, f.name)[source], 0) for f in fields(Steps)}
        expanded["tile"] = steps.tile[source]
        expanded["batch"] = np.where(first, steps.batch[source], -1)
        expanded["store_bits"] = np.minimum(half, steps.store_bits[source] - sent_before)
        expanded["writeback_bits"] = self._written_back(expanded["store_bits"])
        return Steps(**expanded)

    def _operations(self) -> Operations:
        schedule, batches, rows = self.schedule, self.batches, self.rows
        geometry, chunks = schedule.geometry, self.chunks
        issued = chunks.batch >= 0
        integration = np.bincount(
            chunks.batch[issued], weights=self._integration_cycles[issued], minlength=schedule.batches
        ).astype(np.int64)
        updates = rows * int(batches.columns.sum()) * schedule.tws
        return Operations(
            ntwus=rows * int(schedule.active.sum()),
            batches=schedule.batches,
            streamed_taps=int(chunks.taps.sum()),
            accumulations=self._accumulations,
            lif_updates=updates,
            comparisons=updates,
            leak_catchups=rows * int(batches.catchups.sum()),
            dense_accumulations=rows * geometry.positions * geometry.taps * self.spikes.timesteps,
            pe_cycles=rows * int((batches.columns * (integration + batches.update_cycles)).sum()),
        )

    def count(self, log: AccessLog, times: int) -> None:
        """Log the accesses of ``times`` such groups."""
        schedule, batches, chunks, widths = self.schedule, self.batches, self.chunks, self.widths
        rows, tws = self.rows, schedule.tws
        columns = int(batches.columns.sum())
        adds = self._accumulations
        updates = rows * columns * tws
        column_taps = int((batches.columns[chunks.batch] * chunks.taps).sum()) if columns else 0

        def total(values: PerStep) -> int:
            return int(values.sum()) * times

        log.read("lbuf", "filter", total(chunks.taps) * rows * widths.weight)
        log.read("lbuf", "ifmap", total(chunks.hits) * tws)
        log.read("lbuf", "tag", column_taps * times)
        log.read("lbuf", "psum", total(batches.potential_reads) * rows * widths.potential)
        log.write("lbuf", "psum", total(batches.potential_writes) * rows * widths.potential)
        log.write("rf", "filter", column_taps * times * rows * widths.weight)
        log.read("rf", "psum", (adds * widths.psum + updates * (widths.psum + widths.potential)) * times)
        log.write("rf", "psum", (adds * widths.psum + updates * widths.potential) * times)

        log.move("glb", "lbuf", "ifmap", total(chunks.words) * tws)
        log.move("glb", "lbuf", "tag", total(chunks.tags))
        tap_bits = rows * widths.weight * times
        group_taps, step_taps = self._group_filter_taps, int(chunks.filter_taps.sum())
        to_lbuf = {"group": group_taps, "step": step_taps}
        to_glb = {"group": group_taps, "tile": int(self._tile_filter_taps.sum()), "step": step_taps}
        log.move("glb", "lbuf", "filter", to_lbuf[self.residency.lbuf_filter] * tap_bits)
        log.move("dram", "glb", "filter", to_glb[self.residency.glb_filter] * tap_bits)

        outputs = {
            "ofmap": updates * times,
            "tag": (rows * columns + rows * int(self._skipped_per_tile.sum())) * times,
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
