"""Lays the folds of a dense array over the memory hierarchy (docs/accelerators/systolic.md, Buffers)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from spikex_sim.core.counts import AccessLog, Operations
from spikex_sim.core.geometry import set_pixels
from spikex_sim.core.tags import receptive_activity, seen
from spikex_sim.schedules.base import Layout, Widths
from spikex_sim.schedules.dense.activations import Activations
from spikex_sim.schedules.dense.folds import FoldChunks, cut_folds, distinct_pixels
from spikex_sim.schedules.dense.gaps import gaps_after
from spikex_sim.schedules.dense.residency import (
    DenseResidency,
    Needs,
    choose_residency,
    chunk_length,
    needs_of,
)
from spikex_sim.schedules.held import Held
from spikex_sim.schedules.steps import Column, PerStep, Program, Steps, check_number
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.dense.schedule import DenseSchedule


def lay_out(schedule: DenseSchedule, widths: Widths, arch: Accelerator) -> Layout:
    """Lay a dense schedule over the memory hierarchy; see :class:`spikex_sim.schedules.base.Schedule`."""
    needs = needs_of(schedule, widths, arch)
    residency = choose_residency(schedule, needs, arch)
    chunk = chunk_length(schedule, needs, residency, widths, arch)
    runs, sizes = [], schedule.channel_groups
    words = np.zeros(3, np.int64)
    for lanes in dict.fromkeys(sizes):
        times = sizes.count(lanes)
        group = _Group(schedule, cut_folds(schedule, chunk, lanes), needs, residency, widths, arch, lanes)
        steps = group.steps()
        runs.append((steps, times))
        words += group.array_words * times
        check_number(len(sizes) * len(steps), f"{len(sizes)} channel groups", arch)
    program = Program(tuple(runs))
    if residency.glb_ifmap == "layer":
        program = program.adding_to_first({("fetch", "ifmap"): needs.layer_ifmap})
    if schedule.walk_cycles:
        program = program.adding_to_first({}, array_cycles=schedule.walk_cycles)
    operations, additions = _operations(schedule, words)
    log = AccessLog()
    program.accesses(log, "lbuf" if arch.memory.lbuf.bytes else "glb")
    _count_registers(log, schedule, operations, widths)
    return Layout(
        program=program,
        accesses=log.freeze(),
        operations=operations,
        residency=residency,
        additions=additions,
        mapping=_describe(schedule, residency, chunk),
        waits=schedule.waits,
        held=_held(schedule, needs, residency, widths, program, arch),
    )


def _held(
    schedule: DenseSchedule, needs: Needs, residency: DenseResidency, widths: Widths, program: Program,
    arch: Accelerator,
) -> tuple[Held, ...]:  # fmt: skip
    """What :func:`choose_residency` weighs, and what comes of it; the LBUF holds what the GLB holds."""
    if arch.mapping.tile == "layer":
        return ()
    glb, lbuf = arch.memory.glb, arch.memory.lbuf
    layer = schedule.geometry.taps * schedule.out_channels * widths.weight
    state = {"potentials": needs.potentials, "psums": needs.psums}
    beyond = sum(bits for name, bits in state.items() if getattr(residency, name) in ("glb", "dram"))
    moved = {way: program.total(way, "psum") for way in ("fetch", "load")}
    filters, ifmap = needs.group_filter, needs.layer_ifmap
    found = [
        Held("glb", "filter", filters, glb.half_bits("filter"), layer, program.total("fetch", "filter")),
        Held("glb", "ifmap", ifmap, glb.half_bits("ifmap"), ifmap, program.total("fetch", "ifmap")),
        Held("glb", "psum", beyond, glb.part_bits("psum"), 0, moved["fetch"]),
    ]
    if lbuf.bytes:
        found.append(Held("lbuf", "psum", sum(state.values()), lbuf.part_bits("psum"), 0, moved["load"]))
    if lbuf.bytes and residency.glb_filter == "group":
        loaded = program.total("load", "filter")
        found.append(Held("lbuf", "filter", filters, lbuf.half_bits("filter"), layer, loaded))
    return tuple(one for one in found if one.need_bits)


@dataclass(frozen=True)
class _Group:
    """Steps of one channel group."""

    schedule: DenseSchedule
    chunks: FoldChunks
    needs: Needs
    residency: DenseResidency
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
        """Bits and cycles of every chunk, and the gaps behind it."""
        chunks, schedule = self.chunks, self.schedule
        array = chunks.stream_cycles + chunks.update_cycles
        array = array + chunks.first * schedule.preload_cycles + chunks.last * schedule.skew_cycles
        steps = Steps.of(chunks.pass_of, chunks.fold, array, self._bits())
        edge = "lbuf" if self.arch.memory.lbuf.bytes else "glb"
        potentials, psums = self.residency.potentials, self.residency.psums
        if {potentials, psums} <= {None, edge}:
            return steps
        return steps.spaced(gaps_after(schedule, chunks, potentials=potentials, psums=psums, edge=edge))

    def _bits(self) -> dict[Column, PerStep]:
        """Bits of every chunk by activity and tensor; without an LBUF nothing is loaded or stored."""
        down, up = self._state_reads, self._state_writes
        bits: dict[Column, PerStep] = {
            ("fetch", "filter"): self._filter_moves(self.residency.glb_filter),
            ("fetch", "ifmap"): self._ifmap_fetch,
            ("fetch", "psum"): down["dram"],
            ("writeback", "ofmap"): self._output_bits,
            ("writeback", "psum"): up["dram"],
            ("read", "filter"): self.chunks.filter_words * self.widths.weight,
            ("read", "ifmap"): self.chunks.ifmap_words * self.needs.word,
            ("read", "psum"): down["dram"] + down["glb"] + down["lbuf"],
            ("write", "ofmap"): self._output_bits,
            ("write", "psum"): up["dram"] + up["glb"] + up["lbuf"],
        }
        if self.arch.memory.lbuf.bytes:
            bits |= {
                ("load", "filter"): self._filter_moves(self.residency.lbuf_filter),
                ("load", "ifmap"): self._ifmap_load,
                ("load", "psum"): down["dram"] + down["glb"],
                ("store", "ofmap"): self._output_bits,
                ("store", "psum"): up["dram"] + up["glb"],
            }
        return bits

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


def _operations(schedule: DenseSchedule, words: PerStep) -> tuple[Operations, int]:
    """Operations of the layer, and how many additions of a non-zero operand there are."""
    inputs, geometry, channels = schedule.inputs, schedule.geometry, schedule.out_channels
    is_ann = isinstance(inputs, Activations)
    if isinstance(inputs, Activations):
        counts = (inputs.values > 0).reshape(geometry.channels, -1).sum(axis=0)[:, None]
        ntwus = 0
    else:
        counts = inputs.counts
        ntwus = channels * geometry.positions * inputs.windows
        if schedule.silence_is_free:
            ntwus = channels * int(receptive_activity(geometry, inputs).sum())
    hits = channels * int(seen(geometry, counts))
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


def _count_registers(log: AccessLog, schedule: DenseSchedule, operations: Operations, widths: Widths) -> None:
    """Count the PEs' registers: partial sums, potentials, filters."""
    adds, updates = operations.accumulations, operations.comparisons
    potentials = operations.lif_updates * widths.potential
    filters = operations.dense_accumulations // schedule.points
    if schedule.dataflow == "ws":
        filters = operations.array_filter_words
    log.write("rf", "filter", filters * widths.weight)
    log.read("rf", "psum", (adds + updates) * widths.psum + potentials)
    log.write("rf", "psum", adds * widths.psum + potentials)


def _describe(schedule: DenseSchedule, residency: DenseResidency, chunk: int) -> dict[str, object]:
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
