"""Tables of one run, the same in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spikex_sim.core.errors import ResultsError
from spikex_sim.core.sheet import Sheet, count, percent, short, table
from spikex_sim.core.units import joules, with_prefix
from spikex_sim.costs.components import COMPONENTS
from spikex_sim.run import crossbar_tables
from spikex_sim.run.results import Totals
from spikex_sim.run.rows import AnyCosts, AnyResults, imc_of, total_name
from spikex_sim.run.saved import Record
from spikex_sim.spec.arch import Accelerator, Partition, Separate


def headline(result: AnyResults) -> str:
    """What computes, in a few words."""
    if imc_of(result.totals) is not None:
        return crossbar_tables.headline(result)
    return f"{result.arch.array.rows}x{result.arch.array.cols} PEs"


def tables(result: AnyResults) -> list[Sheet]:
    """Tables of time, work, energy and mapping."""
    if imc_of(result.totals) is not None:
        return [*crossbar_tables.tables(result), energy_table(result)]
    return [time_table(result), work_table(result), energy_table(result), mapping_table(result)]


def _layers(result: AnyResults) -> list[Any]:
    return [layer for layer in result.layers if layer.steps]


def time_table(result: AnyResults) -> Sheet:
    """Cycles of every layer, and what they are spent with."""
    made = table("Time: cycles, and the share of them that the array computes or stalls, %", "layer", "mode",
                 "TWS", "cycles", "array", "dram", "glb", "lbuf", "drain", left=2)  # fmt: skip
    for layer in _layers(result):
        made.add_row(short(layer.name), layer.mode or "", str(layer.tws), *_time_cells(layer))
    made.add_row(total_name(len(result.samples)), "", "", *_time_cells(result.totals))
    return made


def _time_cells(costs: AnyCosts) -> list[str]:
    stalls = costs.stalls
    parts = (costs.compute_cycles, stalls.dram, stalls.glb, stalls.lbuf, stalls.drain)
    return [f"{costs.cycles:,}", *(percent(part, costs.cycles) for part in parts)]


def work_table(result: AnyResults) -> Sheet:
    """What every layer issues and adds, and how full the array is."""
    made = table("Work", "layer", "NTWUs", "batches", "taps", "adds", "PE %", "add %", "spikes in", "out")
    for layer in _layers(result):
        spikes = (layer.input_spikes, layer.output_spikes)
        shown = ["" if number is None else count(number) for number in spikes]
        made.add_row(short(layer.name), *_work_cells(layer), *shown)
    made.add_row(total_name(len(result.samples)), *_work_cells(result.totals), "", "")
    return made


def _work_cells(costs: AnyCosts) -> list[str]:
    counts = (costs.ntwus, costs.batches, costs.streamed_taps, costs.accumulations)
    return [
        *(count(number) for number in counts),
        f"{100 * costs.utilization:.1f}",
        f"{100 * (costs.add_utilization or 0.0):.1f}",
    ]


def energy_table(result: AnyResults) -> Sheet:
    """Dynamic energy of every layer by component."""
    scale, unit = (1e6, "µJ") if result.totals.energy_pj >= 1e7 else (1e3, "nJ")
    names = list(result.totals.energy_pj_by)
    of_chip = imc_of(result.totals) is not None
    made = table(f"Energy, {unit}", "layer", *energy_headings(names)[: -1 if of_chip else None])
    lbuf = has_lbuf(result)

    def form(pj: float) -> str:
        return f"{pj / scale:,.4f}"

    for layer in _layers(result):
        cells = energy_cells(layer, layer.energy_pj_by, names, form, lbuf=lbuf)
        made.add_row(short(layer.name), *cells[: made.width - 1])
    total = energy_cells(result.totals, result.totals.energy_pj_by, names, form, lbuf=lbuf)
    made.add_row(total_name(len(result.samples)), *total[: made.width - 1])
    return made


def energy_headings(names: Sequence[str]) -> list[str]:
    """Headings of :func:`energy_cells`."""
    return [*map(heading, names), "total", "no DRAM"]


def heading(component: str) -> str:
    """What tables call a component."""
    return component.upper() if component in COMPONENTS else component


def has_lbuf(result: AnyResults) -> bool:
    """Whether there is an LBUF that could have energy; of a machine that is not installed, we do not know."""
    try:
        return bool(result.arch.memory.lbuf.bytes)
    except ResultsError:
        return True


def energy_cells(
    costs: AnyCosts,
    by: Mapping[str, float],
    names: Sequence[str],
    form: Callable[[float], str],
    *,
    lbuf: bool,
) -> list[str]:
    """Energies by component and their sums with and without DRAM; empty for what is not there."""
    parts = {part: form(pj) for part, pj in by.items()}
    if not lbuf:
        parts["lbuf"] = ""
    return [*(parts.get(name, "") for name in names), form(costs.energy_pj), form(costs.energy_on_chip_pj)]


def mapping_table(result: AnyResults) -> Sheet:
    """Tiles of every layer, and for how long what is loaded stays."""
    made = table(
        "Mapping: tiles, and for how long what is loaded stays",
        *("layer", "tiles", "positions", "windows", "GLB filter", "GLB ifmap", "LBUF filter", "steps"),
    )
    for layer in _layers(result):
        shown = [
            "varies" if layer.mapping[key] is None else str(layer.mapping[key])
            for key in (
                "tiles",
                "positions_per_tile",
                "windows_per_tile",
                "glb_filter",
                "glb_ifmap",
                "lbuf_filter",
            )
        ]
        if not result.arch.memory.lbuf.bytes:
            shown[-1] = ""
        made.add_row(short(layer.name), *shown, f"{layer.steps:,}")
    orders = dict.fromkeys(layer.mapping["order"] for layer in _layers(result))
    made.caption = "; ".join(orders) + f"\n{_parts(result.arch)}"
    return made


def _parts(arch: Accelerator) -> str:
    """How the buffers are shared."""
    glb, lbuf = arch.memory.glb, arch.memory.lbuf

    def shares(parts: Partition | Separate) -> str:
        values = parts.model_dump()
        return f"{'/'.join(values)} {'/'.join(f'{value:g}' for value in values.values())}"

    found = f"GLB {shares(glb.partition)}" if glb.separate is None else f"GLB {shares(glb.separate)} B"
    return f"{found}\nLBUF {shares(lbuf.partition)}" if lbuf.bytes else f"{found}\nno LBUF"


FORMS: Mapping[str, Callable[[float], str]] = {
    "cycles": lambda value: f"{value:,.0f}",
    "seconds": lambda value: with_prefix(value, "s"),
    "energy_pj": joules,
    "energy_on_chip_pj": joules,
    "edp_js": lambda value: f"{value:.4g} Js",
}
"""How a figure that has a mean and a standard deviation is written."""


def spread(result: AnyResults, quantity: str) -> str:
    """Mean of a figure over the samples, and its standard deviation if there are several."""
    form, sd = FORMS[quantity], result.sd[quantity]
    return form(result.mean[quantity]) + ("" if sd is None else f" ± {form(sd)}")


def sums(totals: Totals | Record) -> list[str]:
    """What a whole run takes: a line of time, one of energy, one of work per time and per energy."""
    edap = getattr(totals, "edap_js_mm2", None)  # results that were saved before have none
    return [
        f"latency {with_prefix(totals.seconds, 's')}, power {totals.power_mw:.4g} mW, "
        f"EDP {totals.edp_js:.4g} Js" + ("" if edap is None else f", EDAP {edap:.4g} Js mm²"),
        f"energy {joules(totals.energy_pj)}, without DRAM {joules(totals.energy_on_chip_pj)}; "
        f"leakage apart {joules(sum(totals.leakage_pj.values()))}",
        f"{totals.tops * 1e3:.4g} GOPS ({totals.tops_dense * 1e3:.4g} dense), "
        f"{totals.tops_per_watt:.4g} TOPS/W",
    ]
