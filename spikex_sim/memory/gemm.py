"""Lays the folds of a dense array over the memory hierarchy (docs/accelerators/systolic.md, Buffers)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.accounting import AccessLog, Operations
from spikex_sim.activations import Activations
from spikex_sim.gemm import GemmSchedule
from spikex_sim.geometry import set_pixels
from spikex_sim.kernels.gemm import distinct_pixels
from spikex_sim.memory.folds import Chunks, cut_folds, tap_uses
from spikex_sim.memory.gaps import gaps_after, spaced
from spikex_sim.memory.group import Widths
from spikex_sim.memory.mapping import too_small
from spikex_sim.memory.steps import PerStep, Steps, check_number, joined
from spikex_sim.memory.traffic import Traffic
from spikex_sim.spec.arch import Accelerator
from spikex_sim.tags import WindowedSpikes, receptive_activity

Level = Literal["lbuf", "glb", "dram"]


@dataclass(frozen=True)
class GemmResidency:
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
        One word of the ifmap.
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
    needs = _needs(schedule, widths, arch)
    residency = _residency(schedule, needs, arch)
    chunk = _chunk_length(schedule, needs, residency, widths, arch)
    log, groups, sizes = AccessLog(), [], schedule.channel_groups
    built: dict[int, Steps] = {}
    words = np.zeros(3, np.int64)
    for index, lanes in enumerate(sizes):
        if lanes not in built:
            part = _Group(schedule, cut_folds(schedule, chunk, lanes), needs, residency, widths, arch, lanes)
            built[lanes] = part.steps()
            part.count(log, sizes.count(lanes))
            words += part.array_words * sizes.count(lanes)
            check_number(len(sizes) * len(built[lanes]), f"{len(sizes)} channel groups", arch)
        groups.append(replace(built[lanes], group=np.full(len(built[lanes]), index, np.int64)))
    steps = joined(groups)
    steps.array_cycles[0] += schedule.walk_cycles
    if residency.glb_ifmap == "layer":
        steps.fetch_bits[0] += needs.layer_ifmap
        log.move("dram", "glb", "ifmap", needs.layer_ifmap)
    operations, additions = _operations(schedule, inputs, words)
    _count_registers(log, schedule, operations, widths)
    return Traffic(
        steps=steps,
        accesses=log.freeze(),
        operations=operations,
        residency=residency,
        compute_cycles=int(steps.array_cycles.sum()),
        additions=additions,
        mapping=_describe(schedule, residency, chunk),
    )


def _needs(schedule: GemmSchedule, widths: Widths, arch: Accelerator) -> Needs:
    geometry, taps = schedule.geometry, schedule.geometry.taps
    lanes = schedule.channel_groups[0]
    positions = int(schedule.positions_of_pass.max())
    pixels = int(set_pixels(geometry, geometry.positions)[0]) * geometry.channels
    frame = int(set_pixels(geometry, positions).max()) * geometry.channels
    rows = int(schedule.rows_of_pass.max())
    if schedule.dataflow == "is":
        rows = min(rows, schedule.cols)
    rows_at_once = {"os": min(rows, schedule.rows), "ws": positions, "is": rows}[schedule.dataflow]
    frames_at_once = -(-rows_at_once // int(schedule.positions_of_pass.min()))
    has_state = schedule.timesteps > 1 and not schedule.keeps_filters
    spills = schedule.dataflow != "os" and taps > schedule.rows
    return Needs(
        word=arch.activation_bits * schedule.points,
        group_filter=taps * lanes * widths.weight,
        layer_ifmap=pixels * arch.activation_bits * schedule.timesteps,
        frame_ifmap=frame * arch.activation_bits * schedule.points * frames_at_once,
        potentials=positions * lanes * widths.potential if has_state else 0,
        psums=rows * lanes * widths.psum if spills else 0,
    )


def _residency(schedule: GemmSchedule, needs: Needs, arch: Accelerator) -> GemmResidency:
    glb, lbuf = arch.memory.glb, arch.memory.lbuf
    inner: Level = "lbuf" if lbuf.bytes else "glb"
    if arch.mapping.tile == "layer":
        return GemmResidency(
            "group", "group", "layer", inner if needs.potentials else None, inner if needs.psums else None
        )
    room = {"lbuf": lbuf.part_bits("psum") if lbuf.bytes else 0, "glb": glb.part_bits("psum")}

    inner_levels: tuple[Level, ...] = ("lbuf", "glb")

    def settle(bits: int) -> Level | None:
        for level in inner_levels:
            if bits <= room[level] and bits:
                room[level] -= bits
                return level
        return "dram" if bits else None

    potentials = settle(needs.potentials)
    in_glb = needs.group_filter <= glb.half_bits("filter")
    in_lbuf = in_glb and bool(lbuf.bytes) and needs.group_filter <= lbuf.half_bits("filter")
    glb_ifmap: Literal["layer", "frame", "step"] = "step"
    if needs.layer_ifmap <= glb.half_bits("ifmap"):
        glb_ifmap = "layer"
    elif not schedule.keeps_filters and needs.frame_ifmap <= glb.half_bits("ifmap"):
        glb_ifmap = "frame"
    return GemmResidency(
        glb_filter="group" if in_glb else "step",
        lbuf_filter="group" if in_lbuf else "step",
        glb_ifmap=glb_ifmap,
        potentials=potentials,
        psums=settle(needs.psums),
    )


def _chunk_length(
    schedule: GemmSchedule, needs: Needs, residency: GemmResidency, widths: Widths, arch: Accelerator
) -> int:
    """Taps, rows or channels of a chunk: as many as fit the buffers that do not hold them for longer."""
    taps, lanes = schedule.geometry.taps, schedule.channel_groups[0]
    rows = int(schedule.rows_of_pass.max())
    streamed = {"os": taps, "ws": rows, "is": schedule.out_channels}[schedule.dataflow]
    if arch.mapping.tile == "layer":
        return streamed
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

    def steps(self) -> Steps:
        """Bits and cycles of every chunk."""
        chunks, schedule = self.chunks, self.schedule
        down = self._state_reads
        up = self._state_writes
        outputs = self._output_bits
        has_lbuf = bool(self.arch.memory.lbuf.bytes)
        nothing = np.zeros(len(chunks), np.int64)
        read, write = self._edge_bits()
        steps = Steps(
            group=nothing,
            tile=chunks.pass_of,
            batch=chunks.fold,
            fetch_bits=self._filter_fetch + self._ifmap_fetch + down["dram"],
            load_bits=self._filter_load + self._ifmap_load + down["glb"] + down["dram"]
            if has_lbuf
            else nothing,
            store_bits=outputs + up["glb"] + up["dram"] if has_lbuf else nothing,
            writeback_bits=outputs + up["dram"],
            array_cycles=chunks.stream_cycles
            + np.where(chunks.first, schedule.preload_cycles, 0)
            + np.where(chunks.last, schedule.skew_cycles, 0)
            + chunks.update_cycles,
            lbuf_read_bits=read,
            lbuf_write_bits=write,
        )
        edge = "lbuf" if has_lbuf else "glb"
        potentials, psums = self.residency.potentials, self.residency.psums
        return spaced(steps, gaps_after(schedule, chunks, potentials=potentials, psums=psums, edge=edge))

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

    @property
    def _output_bits(self) -> PerStep:
        return self.chunks.outputs * self.needs.word

    def _by_level(self, potentials: PerStep, psums: PerStep) -> dict[str, PerStep]:
        levels = {level: np.zeros(len(self.chunks), np.int64) for level in ("lbuf", "glb", "dram")}
        if self.residency.potentials:
            levels[self.residency.potentials] += potentials * self.widths.potential
        if self.residency.psums:
            levels[self.residency.psums] += psums * self.widths.psum
        return levels

    @property
    def _state_reads(self) -> dict[str, PerStep]:
        """Bits of potentials and partial sums that the array reads, by where they live."""
        return self._by_level(self.chunks.potential_reads, self.chunks.psum_reads)

    @property
    def _state_writes(self) -> dict[str, PerStep]:
        return self._by_level(self.chunks.outputs, self.chunks.psum_writes)

    @property
    def _filter_fetch(self) -> PerStep:
        return self._filter_moves(self.residency.glb_filter)

    @property
    def _filter_load(self) -> PerStep:
        return self._filter_moves(self.residency.lbuf_filter)

    def _filter_moves(self, scope: str) -> PerStep:
        if scope == "step":
            return self.chunks.filter_words * self.widths.weight
        bits = np.zeros(len(self.chunks), np.int64)
        bits[0] = self.schedule.geometry.taps * self.lanes * self.widths.weight
        return bits

    @property
    def _ifmap_load(self) -> PerStep:
        """Distinct words that a chunk sees; a stationary ifmap comes with the fold's first chunk."""
        chunks, loads = self.chunks, self.chunks.loads_ifmap
        bits = np.zeros(len(chunks), np.int64)
        bits[loads] = self.needs.word * distinct_pixels(
            self.schedule.geometry,
            self.schedule.passes,
            *(block[loads] for block in (chunks.pass_of, chunks.r0, chunks.r1, chunks.k0, chunks.k1)),
        )
        return bits

    @property
    def _ifmap_fetch(self) -> PerStep:
        if self.residency.glb_ifmap == "layer":
            return np.zeros(len(self.chunks), np.int64)
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
            return int(bits.sum()) * times

        log.read(edge, "filter", total(chunks.filter_words) * widths.weight)
        log.read(edge, "ifmap", total(chunks.ifmap_words) * self.needs.word)
        log.write(edge, "ofmap", total(self._output_bits))
        log.move("dram", "glb", "filter", total(self._filter_fetch))
        log.move("dram", "glb", "ifmap", total(self._ifmap_fetch))
        log.move("glb", "dram", "ofmap", total(self._output_bits))
        if lbuf:
            log.move("glb", "lbuf", "filter", total(self._filter_load))
            log.move("glb", "lbuf", "ifmap", total(self._ifmap_load))
            log.move("lbuf", "glb", "ofmap", total(self._output_bits))
        for level, bits in self._state_reads.items():
            log.read(edge, "psum", total(bits))
            if lbuf and level != "lbuf":
                log.move("glb", "lbuf", "psum", total(bits))
            if level == "dram":
                log.move("dram", "glb", "psum", total(bits))
        for level, bits in self._state_writes.items():
            log.write(edge, "psum", total(bits))
            if lbuf and level != "lbuf":
                log.move("lbuf", "glb", "psum", total(bits))
            if level == "dram":
                log.move("glb", "dram", "psum", total(bits))


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
        counts = inputs.pointers[:, -1] - inputs.pointers[:, 0]
        ntwus = channels * geometry.positions * inputs.windows
        if schedule.silence_is_free:
            ntwus = channels * int(receptive_activity(geometry, inputs).sum())
    hits = channels * int((counts.reshape(geometry.channels, -1).sum(axis=0) * tap_uses(geometry)).sum())
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
