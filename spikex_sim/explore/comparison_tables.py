"""Tables of several accelerators on the same trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import Sheet, short, table
from spikex_sim.core.units import joules, with_prefix
from spikex_sim.costs.areas import Lacking, on_chip, unlike
from spikex_sim.run.area_tables import missing
from spikex_sim.run.results import LayerResult, RunResult, Totals
from spikex_sim.run.rows import total_name
from spikex_sim.run.tables import energy_cells, energy_headings, has_lbuf, spread

if TYPE_CHECKING:
    from spikex_sim.explore.comparison import Comparison

Costs = LayerResult | Totals
Refused = Mapping[str, str]
"""Accelerators that cannot take the trace, by name, and why."""


def comparison_html(found: Comparison) -> str:
    """Write a comparison for a notebook: a row a machine; layer by layer folds out."""
    every = comparison_tables(found.results, found.refused)
    machines = machine_tables(found.results, found.refused)
    trace = found.baseline.trace
    title = f"{trace['name']} (T={trace['timesteps']}); ratios to {found.baseline.arch.name}"
    told = [f"{name} did not run: {reason}" for name, reason in found.refused.items()]
    told += filter(None, [comparability(found.results)])
    totals = totals_table(found.results, found.refused)
    others = [one for one in (*machines, *every[: -len(machines)]) if one.title != totals.title]
    return html_of(title, [totals], texts=told, folded=others)


def comparison_tables(results: Sequence[RunResult], refused: Refused) -> list[Sheet]:
    """Tables side by side: windows, cycles, energies, use of the array by layer; then a row a machine."""
    return [
        _window_table(results),
        _ratio_table("Cycles", results, lambda costs: costs.cycles, lambda value: f"{value:,.0f}"),
        _ratio_table("Energy", results, lambda costs: costs.energy_pj, joules),
        _ratio_table("Energy without DRAM", results, lambda costs: costs.energy_on_chip_pj, joules),
        _share_table("PE use, %", results, lambda costs: costs.utilization),
        _share_table("Stalled, %", results, lambda costs: costs.stalls.total / costs.cycles),
        *machine_tables(results, refused),
    ]


def machine_tables(results: Sequence[RunResult], refused: Refused) -> list[Sheet]:
    """Tables with a row a machine: energy by component, estimate, totals; of several samples their spread."""
    return [
        _component_table(results, refused),
        _estimate_table(results, refused),
        totals_table(results, refused),
        _area_table(results, refused),
        *([_spread_table(results, refused)] if len(results[0].samples) > 1 else []),
    ]


def _side_by_side(results: Sequence[RunResult]) -> Iterator[tuple[str, list[Costs]]]:
    """Each layer's costs on every accelerator, and the totals."""
    for index, layer in enumerate(results[0].layers):
        if layer.steps:
            yield layer.name, [result.layers[index] for result in results]
    yield total_name(len(results[0].samples)), [result.totals for result in results]


def _window_table(results: Sequence[RunResult]) -> Sheet:
    made = table("Time window size", "layer", *(short(result.arch.name) for result in results))
    for index, layer in enumerate(results[0].layers):
        if layer.steps:
            made.add_row(short(layer.name), *(str(result.layers[index].tws) for result in results))
    return made


def _ratio_table(
    title: str, results: Sequence[RunResult], value: Callable[[Costs], float], form: Callable[[float], str]
) -> Sheet:
    others = [column for result in results[1:] for column in (short(result.arch.name), "ratio")]
    made = table(title, "layer", short(results[0].arch.name), *others)
    made.beside = "ratio"
    for name, costs in _side_by_side(results):
        base = value(costs[0])
        cells = [form(base)]
        for other in costs[1:]:
            cells += [form(value(other)), _ratio(value(other), base)]
        made.add_row(short(name), *cells)
    return made


def _share_table(title: str, results: Sequence[RunResult], share: Callable[[Costs], float]) -> Sheet:
    made = table(title, "layer", *(short(result.arch.name) for result in results))
    for name, costs in _side_by_side(results):
        made.add_row(short(name), *(f"{100 * share(cost):.1f}" if cost.cycles else "" for cost in costs))
    return made


def _machine_table(
    title: str,
    headings: Sequence[str],
    results: Sequence[RunResult],
    refused: Refused,
    cells: Callable[[RunResult], Sequence[str]],
) -> Sheet:
    """Make a table with a row for each accelerator; those that did not run have empty cells."""
    made = table(title, "accelerator", *headings)
    for result in results:
        made.add_row(short(result.arch.name), *cells(result))
    for name in refused:
        made.add_row(short(name), *[""] * len(headings))
    return made


def _component_table(results: Sequence[RunResult], refused: Refused) -> Sheet:
    chips = [result.totals.imc is not None for result in results]
    apart = all(chips) or not any(chips)

    def parts(result: RunResult) -> Mapping[str, float]:
        totals = result.totals
        return totals.energy_pj_by if apart else totals.energy_by_level_pj or totals.energy_pj_by

    names = list(dict.fromkeys(name for result in results for name in parts(result)))

    def cells(result: RunResult) -> list[str]:
        return energy_cells(result.totals, parts(result), names, joules, lbuf=has_lbuf(result))[:-1]

    headings = energy_headings(names)[:-1]
    return _machine_table("Energy by component", headings, results, refused, cells)


def _estimate_table(results: Sequence[RunResult], refused: Refused) -> Sheet:
    def cells(result: RunResult) -> list[str]:
        totals = result.totals
        if totals.estimate_pj is None:
            return ["", "", ""]
        factors = (totals.estimate_factor, totals.estimate_factor_on_chip)
        return [joules(totals.estimate_pj), *("" if one is None else f"{one:.4g}" for one in factors)]

    headings = ("E_est", "energy / E_est", "no DRAM / E_est")
    return _machine_table("Estimate: FLOPs x T x rate x E_AC", headings, results, refused, cells)


def totals_table(results: Sequence[RunResult], refused: Refused) -> Sheet:
    """Latency, energy and EDP of every machine, and their ratios to the first."""
    base = results[0].totals

    def cells(result: RunResult) -> list[str]:
        totals = result.totals
        return [
            with_prefix(totals.seconds, "s"),
            _ratio(totals.seconds, base.seconds),
            joules(totals.energy_pj),
            _ratio(totals.energy_pj, base.energy_pj),
            f"{totals.edp_js:.4g}",
            _ratio(totals.edp_js, base.edp_js),
        ]

    headings = ("latency", "ratio", "energy", "ratio", "EDP, Js", "ratio")
    samples = len(results[0].samples)
    title = "Totals" if samples == 1 else f"Totals of {samples:,} samples, one after the other"
    made = _machine_table(title, headings, results, refused, cells)
    made.beside = "ratio"
    return made


def _area_table(results: Sequence[RunResult], refused: Refused) -> Sheet:
    base = results[0].totals

    def cells(result: RunResult) -> list[str]:
        totals = result.totals
        pairs = ((totals.area_mm2, base.area_mm2), (totals.edap_js_mm2, base.edap_js_mm2))
        return [
            cell
            for value, of in pairs
            for cell in (("", "") if value is None else (f"{value:.4g}", _ratio(value, of or 0.0)))
        ]

    headings = ("mm²", "ratio", "EDAP, Js mm²", "ratio")
    made = _machine_table("Area that is known", headings, results, refused, cells)
    made.beside = "ratio"
    lines = ((one.arch.name, missing(on_chip(one.totals.area_absent))) for one in results)
    made.caption = "\n".join(f"{short(name)}: {line}" for name, found in lines for line in found)
    return made


def comparability(results: Sequence[RunResult]) -> str:
    """Why areas of several machines are not like with like; empty where they are."""
    return unlike([
        Lacking(one.arch.name, one.arch.scheduler, tuple(on_chip(one.totals.area_absent))) for one in results
    ])  # fmt: skip


def _spread_table(results: Sequence[RunResult], refused: Refused) -> Sheet:
    quantities = ("cycles", "seconds", "energy_pj", "energy_on_chip_pj", "edp_js")

    def cells(result: RunResult) -> list[str]:
        return [spread(result, quantity) for quantity in quantities]

    headings = ("cycles", "latency", "energy", "no DRAM", "EDP")
    return _machine_table("A sample: mean ± standard deviation", headings, results, refused, cells)


def _ratio(value: float, base: float) -> str:
    return f"{value / base:.3f}" if base else ""
