"""Tables of crossbar machines."""

from __future__ import annotations

from typing import Any

from spikex_sim.core.sheet import Sheet, count, percent, short, table
from spikex_sim.core.text import counted
from spikex_sim.run import mapped_tables
from spikex_sim.run.results import RunResult
from spikex_sim.run.rows import AnyCosts, AnyResults, chip_layers, chip_rows, imc_of
from spikex_sim.schedules.crossbar.mapped.options import MappedOptions
from spikex_sim.schedules.crossbar.options import CrossbarOptions

MESH_FLITS_PER_CYCLE = 4
"""Links of a node of the mesh."""


def headline(result: AnyResults) -> str:
    """What the chip is, in a few words."""
    arch = result.arch
    if isinstance(arch, MappedOptions):
        return mapped_tables.headline(result)
    assert isinstance(arch, CrossbarOptions)
    if arch.imc.model == "released":
        return "the released script's figures, convolutions alone"
    tiles = sum(layer.mapping["tiles"] for layer in result.layers if layer.mapping)
    size, bits = arch.imc.crossbar, arch.imc.device.bits
    return f"{size}x{size} crossbars of {bits}-bit cells, {counted(tiles, 'tile')}, {arch.imc.arrays} arrays"


def tables(result: AnyResults) -> list[Sheet]:
    """Tables in the place of those of machines with an array of PEs."""
    if (figures := imc_of(result.totals)) is not None and figures["counts"] is None:
        return [_released_table(result)]
    if isinstance(result.arch, MappedOptions):
        return mapped_tables.tables(result)
    return [_time_table(result), _work_table(result), _mapping_table(result)]


def notes(result: RunResult) -> list[str]:
    """What a reader should know beside the numbers."""
    arch, totals = result.arch, result.totals
    if isinstance(arch, MappedOptions):
        return mapped_tables.notes(result)
    assert isinstance(arch, CrossbarOptions) and totals.imc is not None
    layers = [layer for layer in result.layers if layer.imc is not None]
    if totals.imc["counts"] is None:
        return []
    found = []
    flits = totals.imc["counts"]["noc_in_flits"] + totals.imc["counts"]["noc_out_flits"]
    if totals.cycles and flits / totals.cycles > MESH_FLITS_PER_CYCLE:
        found.append(
            f"{flits / totals.cycles:.2f} flits a cycle: more than the {MESH_FLITS_PER_CYCLE} links of the "
            "global node carry; lower imc.ports, or read the latency as a lower bound"
        )
    last = max(layers, key=_end)
    if last is not layers[-1] and len(result.samples) == 1:
        found.append(f"layer {last.name} ends last, though nobody waits for all of it: the total is its end")
    pib = totals.counts["buffers", "pib_read", "ifmap"] and arch.imc.buffers.pib * 8
    area = totals.area_mm2_by.get("buffers", 0.0)
    if pib and totals.area_mm2 and area > totals.area_mm2 / 2:
        found.append(
            f"buffers are {100 * area / totals.area_mm2:.0f} % of the area, most of it the "
            f"{arch.imc.buffers.pib // 1024} KB of imc.buffers.pib in each PE"
        )
    return found


def _end(layer: Any) -> int:
    return 0 if layer.imc is None else layer.imc["end"] or 0


def _time_table(result: AnyResults) -> Sheet:
    made = table(
        "Time: shares of the critical path, cycles, and what they are spent with, %",
        *("layer", "path", "compute", "noc in", "noc out", "lif", "busy", "end - start"),
    )

    def cells(costs: AnyCosts) -> list[str]:
        figures = imc_of(costs)
        assert figures is not None
        parts = (costs.compute_cycles, *figures["stalls"].values())
        known = figures["start"] is not None and figures["end"] is not None
        return [
            f"{costs.cycles:,}",
            *(percent(part, costs.cycles) for part in parts),
            f"{figures['busy']:,}",
            f"{figures['end'] - figures['start']:,}" if known else "varies",
        ]

    made = chip_rows(made, result, cells)
    made.caption = "layers work at once: their shares add up to the total; busy: cycles that the PEs compute"
    return made


def _released_table(result: AnyResults) -> Sheet:
    made = table("Cycles until the next layer starts, and PEs", "layer", "cycles", "PEs")

    def cells(costs: AnyCosts) -> list[str]:
        pes = getattr(costs, "pes", None)  # not in files
        return [f"{costs.cycles:,}", "" if pes is None else f"{pes:,}"]

    return chip_rows(made, result, cells)


def _work_table(result: AnyResults) -> Sheet:
    made = table("Work", "layer", "reads", "adds", "conversions", "PE %", "spikes in", "out", "changed")

    def cells(costs: AnyCosts) -> list[str]:
        figures = imc_of(costs)
        assert figures is not None
        counts = figures["counts"]
        spikes = (getattr(costs, "input_spikes", None), costs.output_spikes, costs.changed_spikes)
        return [
            *(count(counts[name]) for name in ("reads", "accumulations", "conversions")),
            f"{100 * costs.utilization:.1f}",
            *("" if one is None else count(one) for one in spikes),
        ]

    return chip_rows(made, result, cells)


def _mapping_table(result: AnyResults) -> Sheet:
    names = ("blocks", "pe_rows", "column_groups", "channels_per_crossbar", "pes", "tiles")
    made = table(
        "Mapping: crossbars of a column group, PE rows, column groups, channels of a crossbar",
        *("layer", "blocks", "rows", "groups", "channels", "PEs", "tiles", "cells %", "PE cycle", "sum bits"),
    )
    for layer in chip_layers(result):
        found = layer.mapping
        made.add_row(
            short(layer.name),
            *(f"{found[name]:,}" for name in names),
            f"{100 * found['cell_utilization']:.1f}",
            str(found["pe_cycle"]),
            str(found["psum_bits"]),
        )
    return made
