"""Lays the folds of a dense array over the memory hierarchy (docs/accelerators/systolic.md, Buffers)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from spikex_sim.core.counts import UPDATE, Accesses, AccessLog, Operations, alu
from spikex_sim.core.field import set_pixels, taps_of
from spikex_sim.schedules.base import Layout
from spikex_sim.schedules.dense.activations import Activations
from spikex_sim.schedules.dense.folds import FoldChunks, cut_folds, distinct_bits
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
from spikex_sim.schedules.task import Widths
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.dense.schedule import DenseSchedule

DOWN = {"fetch": ("dram",), "load": ("dram", "glb"), "read": ("dram", "glb", "lbuf")}
UP = {"writeback": ("dram",), "store": ("dram", "glb"), "write": ("dram", "glb", "lbuf")}
"""Levels whose potentials and partial sums an activity moves, on their way to the array and back."""


def lay_out(schedule: DenseSchedule, arch: Accelerator) -> Layout:
    """Lay a dense schedule over the memory hierarchy; see :class:`spikex_sim.schedules.base.Schedule`."""
    needs = needs_of(schedule)
    residency = choose_residency(schedule, needs, arch)
    chunk = chunk_length(schedule, needs, residency, arch)
    runs: list[tuple[Steps, int]] = []
    sizes, words = schedule.channel_groups, np.zeros(3, np.int64)
    for lanes in dict.fromkeys(sizes) if schedule.taps else ():
        times = sizes.count(lanes)
        chunks, crossing = cut_folds(schedule, chunk, lanes)
        steps = _Group(schedule, chunks, residency, arch, lanes).steps()
        runs.append((steps, times))
        words += crossing * times
        check_number(len(sizes) * len(steps), f"{len(sizes)} channel groups", arch)
    program = _program(schedule, runs, needs.layer_ifmap if residency.glb_ifmap == "layer" else 0)
    additions, products = _hits(schedule)
    operations = _operations(schedule, words, additions, products)
    log = AccessLog()
    edge = "lbuf" if arch.memory.lbuf.bytes else "glb"
    program.accesses(log, edge)
    apart = _apart(schedule, arch, edge)
    _count_registers(log, schedule, operations, products)
    return Layout(
        program=program,
        accesses=log.freeze() + apart,
        apart=apart,
        operations=operations,
        residency=residency,
        additions=additions,
        products=products,
        mapping=_describe(schedule, residency, chunk),
        waits=schedule.waits,
        held=_held(schedule, needs, residency, program, arch),
    )


def _program(schedule: DenseSchedule, runs: list[tuple[Steps, int]], layer_ifmap: int) -> Program:
    """Steps of all groups; where outputs come back as inputs, of each pass, one pass after the other."""
    if not runs:
        return Program(())
    if schedule.runs == 1:
        parts = [runs]
    else:
        parts = [[(steps.of_tile(run), times) for steps, times in runs] for run in range(schedule.runs)]
    passes = schedule.passes[: schedule.runs]
    for part, times_of_pass in zip(parts, (passes[:, 3] - passes[:, 2]).tolist(), strict=True):
        (steps, times), *rest = part
        share = times_of_pass * schedule.points if schedule.runs > 1 else schedule.timesteps
        bits = layer_ifmap // schedule.timesteps * share
        if bits:
            more = [(steps, times - 1)] if times > 1 else []
            part[:] = [(steps.adding_to_first({("fetch", "ifmap"): bits}), 1), *more, *rest]
    program = Program.of(parts)
    return program.adding_to_first({}, array_cycles=schedule.walk_cycles) if schedule.walk_cycles else program


def _held(
    schedule: DenseSchedule, needs: Needs, residency: DenseResidency, program: Program, arch: Accelerator
) -> tuple[Held, ...]:
    """What :func:`choose_residency` weighs, and what comes of it; the LBUF holds what the GLB holds."""
    if arch.mapping.tile == "layer":
        return ()
    glb, lbuf = arch.memory.glb, arch.memory.lbuf
    layer = schedule.taps * schedule.out_channels * schedule.task.widths.weight
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
    residency: DenseResidency
    arch: Accelerator
    lanes: int

    @property
    def widths(self) -> Widths:
        """Bits per value."""
        return self.schedule.task.widths

    def steps(self) -> Steps:
        """Bits and cycles of every chunk, and the gaps behind it."""
        chunks, schedule = self.chunks, self.schedule
        steps = Steps.of(chunks.pass_of, chunks.fold, chunks.array_cycles, self._bits())
        edge = "lbuf" if self.arch.memory.lbuf.bytes else "glb"
        potentials, psums = self.residency.potentials, self.residency.psums
        if {potentials, psums} <= {None, edge}:
            return steps
        return steps.spaced(gaps_after(schedule, chunks, potentials=potentials, psums=psums, edge=edge))

    def _bits(self) -> dict[Column, PerStep]:
        """Bits of every chunk by activity and tensor; without an LBUF nothing is loaded or stored."""
        chunks, has_lbuf = self.chunks, self.arch.memory.lbuf.bytes > 0
        bits: dict[Column, PerStep] = {
            ("fetch", "filter"): self._filter_moves(self.residency.glb_filter, "glb"),
            ("read", "filter"): chunks.filter_words * self.widths.weight,
            ("read", "ifmap"): chunks.ifmap_bits,
        }
        if has_lbuf:
            bits["load", "filter"] = self._filter_moves(self.residency.lbuf_filter, "lbuf")
            bits["load", "ifmap"] = self._ifmap_load
        if self.residency.glb_ifmap != "layer":
            bits["fetch", "ifmap"] = self._ifmap_fetch
        down = self._by_level(chunks.potential_reads, chunks.psum_reads)
        up = self._by_level(chunks.outputs, chunks.psum_writes)
        if self.schedule.task.states:
            out = chunks.outputs * (self.arch.input_bits * self.schedule.points)
            bits |= {(activity, "ofmap"): out for activity in UP if has_lbuf or activity != "store"}
        else:
            out = chunks.outputs * (self.widths.psum * self.schedule.points)
            up["dram"] = up["dram"] + out if "dram" in up else out
        for ways, moved in ((DOWN, down), (UP, up)):
            for activity, levels in ways.items():
                parts = [moved[level] for level in levels if level in moved]
                if parts and (has_lbuf or activity not in ("load", "store")):
                    bits[activity, "psum"] = reduce(np.add, parts)
        return bits

    def _by_level(self, potentials: PerStep, psums: PerStep) -> dict[str, PerStep]:
        """Bits of both by where they live."""
        levels = dict[str, PerStep]()
        if self.residency.potentials:
            levels[self.residency.potentials] = potentials * self.schedule.task.potential_bits
        if self.residency.psums:
            bits, level = psums * self.widths.psum, self.residency.psums
            levels[level] = levels[level] + bits if level in levels else bits
        return levels

    def _filter_moves(self, scope: str, level: str) -> PerStep:
        if scope == "step":
            return self.chunks.filter_words * self.widths.weight
        bits = np.zeros(len(self.chunks), np.int64)
        schedule = self.schedule
        first = np.zeros(1, np.int64)
        if schedule.runs > 1 and not self._holds_layer(level):
            first = np.flatnonzero(np.diff(self.chunks.pass_of, prepend=-1))
        bits[first] = schedule.taps * self.lanes * self.widths.weight
        return bits

    def _holds_layer(self, level: str) -> bool:
        """Whether the filters of all groups have room together."""
        if self.arch.mapping.tile == "layer":
            return True
        bits = self.schedule.taps * self.schedule.out_channels * self.widths.weight
        return bits <= int(getattr(self.arch.memory, level).half_bits("filter"))

    @cached_property
    def _ifmap_load(self) -> PerStep:
        """Distinct words that a chunk sees; a stationary ifmap comes with the fold's first chunk."""
        chunks, inputs = self.chunks, self.schedule.task.inputs
        bits: PerStep = distinct_bits(
            inputs.field, taps_of(inputs.synapses), self.schedule.passes, chunks.pass_of, chunks.r0,
            chunks.r1, chunks.k0, chunks.k1, chunks.loads_ifmap,
        )  # fmt: skip
        return bits * self.schedule.points

    @cached_property
    def _ifmap_fetch(self) -> PerStep:
        if self.residency.glb_ifmap == "step":
            return self._ifmap_load
        chunks, schedule = self.chunks, self.schedule
        synapses, ws = schedule.task.inputs.synapses, schedule.dataflow == "ws"
        positions = int(schedule.positions_of_pass[0])
        pixels = set_pixels(schedule.task.inputs.field, len(synapses), positions)
        pixels = pixels[:, schedule.passes[:, 0] // positions][:, chunks.pass_of]
        sweep = chunks.loads_ifmap if ws else chunks.loads_ifmap & (chunks.k0 == 0)
        bits, before = np.zeros(len(chunks), np.int64), 0
        for synapse, own in zip(synapses, pixels, strict=True):
            geometry = synapse.geometry
            channels: Any = geometry.channels
            if ws:
                first = np.clip(chunks.k0 - before, 0, geometry.taps)
                last = np.clip(chunks.k1 - before, 0, geometry.taps)
                taps = geometry.filter_taps
                channels = np.where(last > first, (last - 1) // taps - first // taps + 1, 0)
            bits = bits + own * channels * synapse.bits
            before += geometry.taps
        return np.where(sweep, chunks.frames * bits * schedule.points, 0)


def _hits(schedule: DenseSchedule) -> tuple[int, int]:
    """Additions of weights for spikes, and products with analog values, that are not zero."""
    inputs, channels = schedule.task.inputs, schedule.out_channels
    hits = {True: 0, False: 0}
    for one, met in zip(inputs.synapses, inputs.reach.tolist(), strict=True):
        hits[one.tagged] += met if one.own else met * channels
    return hits[True], hits[False]


def _operations(schedule: DenseSchedule, words: PerStep, additions: int, products: int) -> Operations:
    """Operations of the layer."""
    task, is_ann = schedule.task, isinstance(schedule.task.inputs, Activations)
    neurons, synapses = task.out_channels * task.positions, task.inputs.synapses
    slots = neurons * schedule.taps * schedule.timesteps
    made = additions
    if not schedule.zero_gating:
        made = neurons * sum(one.geometry.taps for one in synapses if one.tagged) * schedule.timesteps
    taps = sum(one.geometry.filter_taps if one.own else one.geometry.taps for one in synapses)
    folds, groups = schedule.folds, len(schedule.channel_groups)
    updates = neurons * schedule.timesteps if task.states else 0
    return Operations(
        ntwus=0 if is_ann else task.out_channels * int(np.count_nonzero(task.active)),
        batches=len(folds) * groups,
        streamed_taps=int((folds[:, 4] - folds[:, 3]).sum()) * groups,
        accumulations=made,
        multiplications=(made if is_ann else products) + task.all_scalings,
        lif_updates=0 if is_ann else updates,
        comparisons=updates,
        dense_accumulations=neurons * taps * schedule.timesteps,
        pe_cycles=slots,
        array_ifmap_words=int(words[0]),
        array_filter_words=int(words[1]),
        array_ofmap_words=int(words[2]),
    )


def _apart(schedule: DenseSchedule, arch: Accelerator, edge: str) -> Accesses:
    """Accesses that no step has and that cost no cycles: currents that enter, and outputs without taps."""
    task, widths = schedule.task, schedule.task.widths
    log = AccessLog()
    if task.words is not None:
        words = np.broadcast_to(task.words, (task.positions, schedule.timesteps // schedule.points))
        bits = task.out_channels * int(words.sum()) * widths.psum
        log.move("dram", "glb", "psum", bits)
        if edge == "lbuf":
            log.move("glb", "lbuf", "psum", bits)
        log.read(edge, "psum", bits)
    if not schedule.taps:
        tensor, width = ("ofmap", arch.input_bits) if task.states else ("psum", widths.psum)
        bits = task.out_channels * task.positions * schedule.timesteps * width
        log.write(edge, tensor, bits)
        if edge == "lbuf":
            log.move("lbuf", "glb", tensor, bits)
        log.move("glb", "dram", tensor, bits)
    return log.freeze()


def _count_registers(log: AccessLog, schedule: DenseSchedule, operations: Operations, products: int) -> None:
    """Count the PEs' registers: partial sums, potentials, filters."""
    task, widths = schedule.task, schedule.task.widths
    is_ann = isinstance(task.inputs, Activations)
    adds = operations.accumulations + (0 if is_ann else products)
    left = task.out_channels * task.positions * schedule.timesteps  # sums that leave the array
    potentials = operations.lif_updates * task.potential_bits
    filters = operations.pe_cycles // schedule.points
    if schedule.dataflow == "ws":
        filters = operations.array_filter_words
    log.write("rf", "filter", filters * widths.weight)
    log.read("rf", "psum", (adds + left) * widths.psum + potentials)
    log.write("rf", "psum", adds * widths.psum + potentials)
    for _ in range(task.states - 1):
        log.count(*alu(UPDATE, task.datapath), operations.lif_updates)


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
