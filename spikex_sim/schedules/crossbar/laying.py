"""What a layer costs on crossbars but its place in time: counts, and cycles of every output row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import READ, WRITE, Counter, Counts, Operations
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.memory import check_memory
from spikex_sim.schedules.crossbar.counting import (
    TOTALS,
    WORD_BITS,
    Sums,
    count,
    first_needed,
)
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.plan import LayerPlan

if TYPE_CHECKING:
    from spikex_sim.schedules.crossbar.schedule import CrossbarSchedule

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Units:
    """Cycles that the four activities of each output row and time point take, int64 ``[T, H_o]``.

    Attributes
    ----------
    spikes_in, compute, sums_out, update : int64 array
        ``i``, ``c``, ``n`` and ``f`` of Section 3.
    """

    spikes_in: Ints
    compute: Ints
    sums_out: Ints
    update: Ints

    @property
    def stacked(self) -> Ints:
        """All four ``[4, T, H_o]``."""
        return np.stack([self.spikes_in, self.compute, self.sums_out, self.update])


@dataclass(frozen=True, eq=False)
class CrossbarLayout:
    """What a layer costs on crossbars.

    Attributes
    ----------
    figures : mapping of str to int
        Counts under the names of Section 2.
    counts : Counts
        What is charged for, by component, action and tensor.
    operations : Operations
        What all machines have.
    units : Units
        Cycles.
    mapping : dict
        Sizes, as in ``results.json``.
    additions : int
        Weights that executing the schedule adds.
    psum_bits : int
        Width of its digital sums.
    """

    figures: FrozenMap[str, int]
    counts: Counts
    operations: Operations
    units: Units
    mapping: dict[str, Any]
    additions: int
    psum_bits: int


def lay_out(schedule: CrossbarSchedule, arch: CrossbarOptions, plan: LayerPlan) -> CrossbarLayout:
    """Count; see :meth:`spikex_sim.schedules.crossbar.schedule.CrossbarSchedule.lay_out`."""
    counted, bits = _count(schedule, arch, plan), plan.psum_bits
    figures = FrozenMap(dict(_figures(schedule, arch, counted, bits)))
    task, timesteps = schedule.task, schedule.spikes.timesteps
    found = dict(zip(TOTALS, counted.totals.tolist(), strict=True))
    operations = Operations(
        ntwus=task.out_channels * found["positions"],
        batches=found["positions"],
        streamed_taps=figures["row_activations"],
        accumulations=figures["accumulations"],
        lif_updates=figures["lif_updates"],
        comparisons=figures["lif_updates"],
        dense_accumulations=task.out_channels * schedule.geometry.taps * task.positions * timesteps,
        pe_cycles=figures["pe_reads"] * plan.pe_cycle,
    )
    counts = Counts(dict(_charged(figures, schedule.mapping, arch, bits)))
    units = _units(schedule, arch, counted, plan)
    return CrossbarLayout(
        figures, counts, operations, units, dict(plan.sizes), figures["accumulations"], bits
    )


def _count(schedule: CrossbarSchedule, arch: CrossbarOptions, plan: LayerPlan) -> Sums:
    mapping, geometry = schedule.mapping, schedule.geometry
    timesteps = schedule.spikes.timesteps
    needed = 5.0 * geometry.positions * mapping.blocks + 24.0 * timesteps * geometry.in_height
    needed += 12.0 * geometry.positions * geometry.filter_taps
    needed += 2.0 * mapping.channels * (mapping.pe_rows + 1)
    check_memory(needed, f"layer {schedule.task.name} on crossbars", where=arch.name)
    return count(
        geometry, schedule.receivers, timesteps, schedule.events, schedule.points, not arch.imc.event_driven,
        mapping.block_of, mapping.row_of_block, mapping.rows, plan.parts, plan.tiles, plan.pes,
    )  # fmt: skip


def _figures(
    schedule: CrossbarSchedule, arch: CrossbarOptions, counted: Sums, bits: int
) -> Iterator[tuple[str, int]]:
    """Counts of Section 2, in its order."""
    mapping, imc, task = schedule.mapping, arch.imc, schedule.task
    found = dict(zip(TOTALS, counted.totals.tolist(), strict=True))
    outputs, groups = task.out_channels, mapping.column_groups
    columns = outputs * mapping.columns_per_weight
    banks = found["reads"] if imc.adc.sharing == "crossbar" else found["pe_reads"]
    signed = imc.encoding in ("twos", "sign_offset")
    counting = imc.encoding == "offset" or imc.complement or imc.goff == "popcount"
    activations, points = found["activations"], schedule.spikes.timesteps
    conversions, merges = banks * columns, banks * (columns - outputs)
    diff_ops = (0 if imc.encoding == "differential" else banks * outputs) + imc.complement * conversions
    pe_adds = 0 if imc.adc.sharing == "pe" else outputs * (found["reads"] - found["pe_reads"])
    global_adds = found["tile_channels"] - outputs * found["positions"]
    count_bits = signed * outputs * activations + counting * groups * activations
    added = merges + diff_ops + pe_adds + found["tile_adds"] + global_adds
    yield "reads", groups * found["reads"]
    yield "row_activations", groups * activations
    yield "pe_reads", groups * found["pe_reads"]
    yield "cell_reads", columns * activations
    yield "accumulations", outputs * activations
    yield "conversions", conversions
    yield "merges", merges
    yield "diff_ops", diff_ops
    yield "count_bits", count_bits
    yield "pe_adds", pe_adds
    yield "tile_adds", found["tile_adds"]
    yield "global_adds", global_adds
    yield "add_bits", added * bits + count_bits
    yield "pib_read_bits", groups * found["rows_read"]
    yield "pb_bits", 2 * outputs * bits * found["pe_reads"]
    yield "tb_bits", 2 * outputs * bits * found["pe_reads"]
    yield "htree_up_bits", outputs * bits * found["pe_reads"]
    yield "noc_out_flits", found["flits_out"]
    yield "noc_out_flit_hops", found["flit_hops_out"]
    yield "noc_in_flits", found["flits_in"]
    yield "noc_in_flit_hops", found["flit_hops_in"]
    yield "gb_read_bits", WORD_BITS * found["words_in"]
    yield "tib_write_bits", WORD_BITS * found["words_in"]
    yield "htree_down_bits", WORD_BITS * found["words_down"]
    yield "pib_write_bits", WORD_BITS * found["words_down"]
    yield "tib_read_bits", WORD_BITS * found["words_down"]
    neurons = outputs * task.positions
    entered = schedule.geometry.channels * schedule.geometry.pixels * schedule.points if task.is_first else 0
    yield "gb_write_bits", neurons * points + entered
    yield "lif_updates", neurons * points
    yield "umem_reads", neurons * (points - 1)
    yield "umem_writes", neurons * (points - 1)
    yield "current_writes", neurons * schedule.direct
    yield "current_reads", neurons * (points - 1) * schedule.direct


def _charged(
    figures: FrozenMap[str, int], mapping: LayerMapping, arch: CrossbarOptions, bits: int
) -> Iterator[tuple[Counter, int]]:
    """What components charge for, and the same accesses once more by level of memory (Section 5)."""
    signed = arch.imc.sign_plane == "charged" and arch.imc.encoding in ("twos", "sign_offset")
    umem, currents = arch.potential_bits, bits
    half = figures["pb_bits"] // 2
    tib = arch.imc.buffers.tib > 0
    yield ("crossbar", "cell_read", "filter"), figures["cell_reads"]
    yield ("crossbar", "row_drive", "ifmap"), figures["row_activations"] * mapping.crossbar
    yield ("adc", "convert", ""), figures["conversions"]
    yield ("adc", "mux", ""), figures["conversions"]
    yield ("digital", "add_bit", "psum"), figures["add_bits"]
    yield ("digital", "sign_read", "filter"), figures["accumulations"] * signed
    yield ("buffers", "pib_read", "ifmap"), figures["pib_read_bits"]
    yield ("buffers", "pib_write", "ifmap"), figures["pib_write_bits"]
    yield ("buffers", "pb", "psum"), figures["pb_bits"]
    yield ("buffers", "tb", "psum"), figures["tb_bits"]
    yield ("buffers", "gb_read", "ifmap"), figures["gb_read_bits"]
    yield ("buffers", "gb_write", "ofmap"), figures["gb_write_bits"]
    yield ("buffers", "tib_read", "ifmap"), figures["tib_read_bits"]
    yield ("buffers", "tib_write", "ifmap"), figures["tib_write_bits"]
    yield ("htree", "up", "psum"), figures["htree_up_bits"]
    yield ("htree", "down", "ifmap"), figures["htree_down_bits"]
    yield ("noc", "flit_hop", ""), figures["noc_in_flit_hops"] + figures["noc_out_flit_hops"]
    yield ("lif", "update", ""), figures["lif_updates"]
    yield ("lif", "umem_read", "psum"), figures["umem_reads"] * umem
    yield ("lif", "umem_write", "psum"), figures["umem_writes"] * umem
    yield ("lif", "current_read", "psum"), figures["current_reads"] * currents
    yield ("lif", "current_write", "psum"), figures["current_writes"] * currents
    outputs = figures["lif_updates"]
    yield ("glb", READ, "ifmap"), figures["gb_read_bits"]
    yield ("glb", WRITE, "ifmap"), figures["gb_write_bits"] - outputs
    yield ("glb", WRITE, "ofmap"), outputs
    yield ("glb", READ, "psum"), figures["umem_reads"] * umem + figures["current_reads"] * currents
    yield ("glb", WRITE, "psum"), figures["umem_writes"] * umem + figures["current_writes"] * currents
    yield ("lbuf", READ, "ifmap"), figures["pib_read_bits"] + figures["tib_read_bits"] * tib
    yield ("lbuf", WRITE, "ifmap"), figures["pib_write_bits"] + figures["tib_write_bits"] * tib
    yield ("lbuf", READ, "psum"), half
    yield ("lbuf", WRITE, "psum"), half
    yield ("rf", READ, "psum"), half
    yield ("rf", WRITE, "psum"), half


def _units(schedule: CrossbarSchedule, arch: CrossbarOptions, counted: Sums, plan: LayerPlan) -> Units:
    """Cycles of Section 3."""
    imc, geometry = arch.imc, schedule.geometry
    flits_in = np.zeros((geometry.out_height + 1, schedule.spikes.timesteps), np.int64)
    np.add.at(flits_in, first_needed(geometry, schedule.receivers), counted.flits_in.T)
    silent = geometry.out_width - counted.active
    compute = counted.active * plan.pe_cycle + silent * imc.silent_cycles
    compute[schedule.points :] = 0
    units = -(-imc.lif_units // arch.lif_sharing)
    update = -(-schedule.task.out_channels * geometry.out_width // units)

    def moved(flits: Ints) -> Ints:
        return np.where(flits > 0, -(-flits // imc.ports) + plan.farthest, 0)

    return Units(moved(flits_in[:-1].T), compute, moved(counted.flits_out), np.full_like(compute, update))
