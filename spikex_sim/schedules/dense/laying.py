"""Lays the folds of a dense array over the memory hierarchy (docs/accelerators/systolic.md, Buffers)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import AccessLog, Operations
from spikex_sim.core.geometry import set_pixels
from spikex_sim.core.tags import WindowedSpikes, receptive_activity
from spikex_sim.schedules.dense.activations import Activations
from spikex_sim.schedules.dense.folds import Chunks, cut_folds, tap_hits
from spikex_sim.schedules.dense.gaps import gaps_after, spaced
from spikex_sim.schedules.dense.multiply import distinct_pixels
from spikex_sim.schedules.dense.residency import (
    GemmResidency,
    Needs,
    choose_residency,
    chunk_length,
    needs_of,
)
from spikex_sim.schedules.dense.schedule import GemmSchedule
from spikex_sim.schedules.ntwu.group import Widths
from spikex_sim.schedules.ntwu.traffic import Traffic
from spikex_sim.schedules.steps import Moves, PerStep, Program, Steps, check_number, joined_moves
from spikex_sim.spec.arch import Accelerator


def gemm_traffic(
    schedule: GemmSchedule, inputs: WindowedSpikes | Activations, widths: Widths, arch: Accelerator
) -> Traffic:
    """Lay a dense schedule over the memory hierarchy.

    Parameters
    ----------
    schedule, inputs
        The schedule and its input.
    widths : Widths
        Bits per weight, partial sum and potential.
    arch : Accelerator
        Buffers, ports and array.

    Raises
    ------
    ConfigError
        If a buffer cannot hold a single row or tap, naming the smallest that works.
    """
    needs = needs_of(schedule, widths, arch)
    residency = choose_residency(schedule, needs, arch)
    chunk = chunk_length(schedule, needs, residency, widths, arch)
    log, runs, sizes = AccessLog(), [], schedule.channel_groups
    words = np.zeros(3, np.int64)
    for lanes in dict.fromkeys(sizes):
        times = sizes.count(lanes)
        part = _Group(schedule, cut_folds(schedule, chunk, lanes), needs, residency, widths, arch, lanes)
        steps = part.steps(sizes.index(lanes))
        runs.append((steps, times))
        part.count(log, times)
        words += part.array_words * times
        check_number(len(sizes) * len(steps), f"{len(sizes)} channel groups", arch)
    program = Program(tuple(runs))
    if residency.glb_ifmap == "layer":
        program = program.adding_to_first(fetch_bits=needs.layer_ifmap)
        log.move("dram", "glb", "ifmap", needs.layer_ifmap)
    if schedule.walk_cycles:
        program = program.adding_to_first(array_cycles=schedule.walk_cycles)
    operations, additions = _operations(schedule, inputs, words)
    _count_registers(log, schedule, operations, widths)
    return Traffic(
        program=program,
        accesses=log.freeze(),
        operations=operations,
        residency=residency,
        compute_cycles=program.compute_cycles,
        additions=additions,
        mapping=_describe(schedule, residency, chunk),
    )


@dataclass(frozen=True)
class _Group:
    """Steps and accesses of one channel group."""

    schedule: GemmSchedule
    chunks: Chunks
    needs: Needs
    residency: GemmResidency
    widths: Widths
    arch: Accelerator
    lanes: int

    @property
    def array_words(self) -> PerStep:
        """Words of ifmap, filter and ofmap (partial sums included) that cross the array's edge."""
        chunks = self.chunks
        ofmap = chunks.outputs.sum() + chunks.psum_writes.sum()
        return np.array([chunks.ifmap_words.sum(), chunks.filter_words.sum(), ofmap])

    def steps(self, first_group: int) -> Steps:
        """Bits and cycles of every chunk."""
        chunks, schedule = self.chunks, self.schedule
        down = self._state_reads
        up = self._state_writes
        outputs = self._output_bits
        has_lbuf = bool(self.arch.memory.lbuf.bytes)
        nothing = self._nothing
        read, write = self._edge_bits()
        steps = Steps(
            group=np.full(len(chunks), first_group),
            tile=chunks.pass_of,
            batch=chunks.fold,
            fetch_bits=self._filter_fetch + self._ifmap_fetch + down["dram"],
            load_bits=self._filter_load + self._ifmap_load + down["glb"] + down["dram"]
            if has_lbuf
            else nothing,
            store_bits=outputs + up["glb"] + up["dram"] if has_lbuf else nothing,
            writeback_bits=outputs + up["dram"],
            array_cycles=chunks.stream_cycles
            + chunks.first * schedule.preload_cycles
            + chunks.last * schedule.skew_cycles
            + chunks.update_cycles,
            lbuf_read_bits=read,
            lbuf_write_bits=write,
        )
        return self._spaced(steps)

    def _spaced(self, steps: Steps) -> Steps:
        residency, edge = self.residency, "lbuf" if self.arch.memory.lbuf.bytes else "glb"
        potentials, psums = residency.potentials, residency.psums
        if {potentials, psums} <= {None, edge}:
            return steps
        gaps = gaps_after(self.schedule, self.chunks, potentials=potentials, psums=psums, edge=edge)
        return spaced(steps, gaps)

    def moves(self) -> dict[str, Moves]:
        """Bits of every chunk by tensor; their sums are what :meth:`steps` has."""
        down, up, outputs = self._state_reads, self._state_writes, self._output_bits
        nothing = np.zeros(len(self.chunks), np.int64)
        lbuf = int(bool(self.arch.memory.lbuf.bytes))
        parts = {
            "filter": (self._filter_fetch, self._filter_load, nothing, nothing),
            "ifmap": (self._ifmap_fetch, self._ifmap_load, nothing, nothing),
            "ofmap": (nothing, nothing, outputs, outputs),
            "psum": (down["dram"], down["glb"] + down["dram"], up["glb"] + up["dram"], up["dram"]),
        }
        empty = Steps(**{item.name: nothing for item in fields(Steps)})
        found = {}
        for tensor, (fetch, load, store, writeback) in parts.items():
            steps = self._spaced(
                replace(
                    empty,
                    fetch_bits=fetch,
                    load_bits=load * lbuf,
                    store_bits=store * lbuf,
                    writeback_bits=writeback,
                )
            )
            found[tensor] = Moves.of(steps)
        return found

    def _edge_bits(self) -> tuple[PerStep, PerStep]:
        """Bits that the array reads and writes; of separate memories those of the busiest."""
        filters, ifmap = (
            self.chunks.filter_words * self.widths.weight,
            self.chunks.ifmap_words * self.needs.word,
        )
        state = sum(self._state_reads.values())
        read = filters + ifmap + state
        if not self.arch.memory.lbuf.bytes and self.arch.memory.glb.separate is not None:
            read = np.maximum(np.maximum(filters, ifmap), state)
        return read, self._output_bits + sum(self._state_writes.values())

    @cached_property
    def _output_bits(self) -> PerStep:
        return self.chunks.outputs * self.needs.word

    def _by_level(self, potentials: PerStep, psums: PerStep) -> dict[str, PerStep]:
        """Bits of both by where they live, and nothing elsewhere."""
        levels = dict.fromkeys(("lbuf", "glb", "dram"), self._nothing)
        if self.residency.potentials:
            levels[self.residency.potentials] = potentials * self.widths.potential
        if self.residency.psums:
            levels[self.residency.psums] = levels[self.residency.psums] + psums * self.widths.psum
        return levels

    @cached_property
    def _nothing(self) -> PerStep:
        return np.zeros(len(self.chunks), np.int64)

    @cached_property
    def _state_reads(self) -> dict[str, PerStep]:
        """Bits of potentials and partial sums that the array reads, by where they live."""
        return self._by_level(self.chunks.potential_reads, self.chunks.psum_reads)

    @cached_property
    def _state_writes(self) -> dict[str, PerStep]:
        return self._by_level(self.chunks.outputs, self.chunks.psum_writes)

    @cached_property
    def _filter_fetch(self) -> PerStep:
        return self._filter_moves(self.residency.glb_filter)

    @cached_property
    def _filter_load(self) -> PerStep:
        return self._filter_moves(self.residency.lbuf_filter)

    def _filter_moves(self, scope: str) -> PerStep:
        if scope == "step":
            return self.chunks.filter_words * self.widths.weight
        bits = np.zeros(len(self.chunks), np.int64)
        bits[0] = self.schedule.geometry.taps * self.lanes * self.widths.weight
        return bits

    @cached_property
    def _ifmap_load(self) -> PerStep:
        """Distinct words that a chunk sees; a stationary ifmap comes with the fold's first chunk."""
        chunks, schedule = self.chunks, self.schedule
        words = distinct_pixels(
            schedule.geometry, schedule.passes, chunks.pass_of, chunks.r0, chunks.r1, chunks.k0, chunks.k1,
            chunks.loads_ifmap,
        )  # fmt: skip
        return words * self.needs.word

    @cached_property
    def _ifmap_fetch(self) -> PerStep:
        if self.residency.glb_ifmap == "layer":
            return self._nothing
        if self.residency.glb_ifmap == "step":
            return self._ifmap_load
        chunks, geometry = self.chunks, self.schedule.geometry
        positions = int(self.schedule.positions_of_pass[0])
        pixels = set_pixels(geometry, positions)[self.schedule.passes[:, 0] // positions]
        sweep = (
            chunks.loads_ifmap if self.schedule.dataflow == "ws" else chunks.loads_ifmap & (chunks.k0 == 0)
        )
        channels = chunks.channels if self.schedule.dataflow == "ws" else geometry.channels
        return np.where(sweep, chunks.frames * pixels[chunks.pass_of] * channels * self.needs.word, 0)

    def count(self, log: AccessLog, times: int) -> None:
        """Log the accesses of ``times`` such groups, the array's registers and the layer's ifmap apart."""
        chunks, widths, lbuf = self.chunks, self.widths, bool(self.arch.memory.lbuf.bytes)
        edge = "lbuf" if lbuf else "glb"

        def total(bits: PerStep) -> int:
            return 0 if bits is self._nothing else int(bits.sum()) * times

        outputs, fetched, loaded = map(total, (self._output_bits, self._ifmap_fetch, self._ifmap_load))
        log.read(edge, "filter", total(chunks.filter_words) * widths.weight)
        log.read(edge, "ifmap", total(chunks.ifmap_words) * self.needs.word)
        log.write(edge, "ofmap", outputs)
        log.move("dram", "glb", "filter", total(self._filter_fetch))
        log.move("dram", "glb", "ifmap", fetched)
        log.move("glb", "dram", "ofmap", outputs)
        if lbuf:
            log.move("glb", "lbuf", "filter", total(self._filter_load))
            log.move("glb", "lbuf", "ifmap", loaded)
            log.move("lbuf", "glb", "ofmap", outputs)
        for level, bits in self._state_reads.items():
            moved = total(bits)
            log.read(edge, "psum", moved)
            if lbuf and level != "lbuf":
                log.move("glb", "lbuf", "psum", moved)
            if level == "dram":
                log.move("dram", "glb", "psum", moved)
        for level, bits in self._state_writes.items():
            moved = total(bits)
            log.write(edge, "psum", moved)
            if lbuf and level != "lbuf":
                log.move("lbuf", "glb", "psum", moved)
            if level == "dram":
                log.move("glb", "dram", "psum", moved)


def gemm_moves(schedule: GemmSchedule, widths: Widths, arch: Accelerator) -> dict[str, Moves]:
    """Bits that each step of :func:`gemm_traffic` moves, by tensor."""
    needs = needs_of(schedule, widths, arch)
    residency = choose_residency(schedule, needs, arch)
    chunk = chunk_length(schedule, needs, residency, widths, arch)
    built = {}
    for lanes in set(schedule.channel_groups):
        chunks = cut_folds(schedule, chunk, lanes)
        built[lanes] = _Group(schedule, chunks, needs, residency, widths, arch, lanes).moves()
    moves = joined_moves([built[lanes] for lanes in schedule.channel_groups])
    if residency.glb_ifmap == "layer":
        moves["ifmap"].fetch[0] += needs.layer_ifmap
    return moves


def _operations(
    schedule: GemmSchedule, inputs: WindowedSpikes | Activations, words: NDArray[np.int64]
) -> tuple[Operations, int]:
    """Operations of the layer, and how many additions of a non-zero operand there are."""
    geometry, channels = schedule.geometry, schedule.out_channels
    is_ann = isinstance(inputs, Activations)
    if isinstance(inputs, Activations):
        counts = (inputs.values > 0).astype(np.int64)
        ntwus = 0
    else:
        counts = inputs.per_input()
        ntwus = channels * geometry.positions * inputs.windows
        if schedule.silence_is_free:
            ntwus = channels * int(receptive_activity(geometry, inputs).sum())
    hits = channels * tap_hits(geometry, counts)
    neurons = channels * geometry.positions
    slots = neurons * geometry.taps * schedule.timesteps
    made = hits if schedule.zero_gating else slots
    folds, groups = schedule.folds, len(schedule.channel_groups)
    updates = neurons * schedule.timesteps
    return Operations(
        ntwus=ntwus,
        batches=len(folds) * groups,
        streamed_taps=int((folds[:, 4] - folds[:, 3]).sum()) * groups,
        accumulations=made,
        multiplications=made if is_ann else 0,
        lif_updates=0 if is_ann else updates,
        comparisons=updates,
        dense_accumulations=slots,
        pe_cycles=slots,
        array_ifmap_words=int(words[0]),
        array_filter_words=int(words[1]),
        array_ofmap_words=int(words[2]),
    ), hits


def _count_registers(log: AccessLog, schedule: GemmSchedule, operations: Operations, widths: Widths) -> None:
    """Count the PEs' registers: partial sums, potentials, filters."""
    adds, updates = operations.accumulations, operations.comparisons
    potentials = operations.lif_updates * widths.potential
    filters = operations.dense_accumulations // schedule.points
    if schedule.dataflow == "ws":
        filters = operations.array_filter_words
    log.write("rf", "filter", filters * widths.weight)
    log.read("rf", "psum", (adds + updates) * widths.psum + potentials)
    log.write("rf", "psum", adds * widths.psum + potentials)


def _describe(schedule: GemmSchedule, residency: GemmResidency, chunk: int) -> dict[str, object]:
    """Loop order, sizes and residency, as in ``results.json``."""
    order = {
        "os": "channel group > pass > row fold > tap chunk",
        "ws": "channel group > pass > tap fold > row chunk",
        "is": "pass > row fold > tap fold > channel chunk",
    }[schedule.dataflow]
    groups = len(schedule.channel_groups)
    return {
        "order": order,
        "dataflow": "tick_batch" if schedule.keeps_filters else schedule.dataflow,
        "positions_per_tile": int(schedule.positions_of_pass.max()),
        "windows_per_tile": int((schedule.passes[:, 3] - schedule.passes[:, 2]).max()),
        "tiles": len(schedule.passes) * groups,
        "channel_groups": groups,
        "folds": len(schedule.folds) * groups,
        "streamed_per_chunk": chunk,
        "glb_filter": f"per {residency.glb_filter}",
        "glb_ifmap": f"per {residency.glb_ifmap}",
        "lbuf_filter": f"per {residency.lbuf_filter}",
        "lbuf_ifmap": "per step",
        "potentials": residency.potentials,
        "psums": residency.psums,
    }
