"""Tables of trained networks on accelerators: what a sample costs, layer by layer, and what arrays change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import Sheet, percent, short, table
from spikex_sim.core.text import counted
from spikex_sim.core.units import joules, with_prefix

if TYPE_CHECKING:
    from spikex_sim.explore.evaluation import Evaluation


def evaluation_tables(found: Sequence[Evaluation]) -> list[Sheet]:
    """Costs of a sample and of each layer; where arrays are not ideal, the spikes that they change."""
    changed = _changed_table(found)
    return [_cost_table(found), _layer_table(found), *([changed] if changed.rows else [])]


def evaluation_html(found: Evaluation) -> str:
    """Write an evaluation for a notebook."""
    right = f"correct {100 * found.accuracy:.2f} %"
    if found.software_accuracy is not None:
        right += f", in software {100 * found.software_accuracy:.2f} %"
    cost, *others = evaluation_tables([found])
    title = f"{counted(len(found.samples), 'sample')} on {found.arch.name}: {right}"
    return html_of(title, [cost], texts=found.remarks, folded=others)


def _cost_table(found: Sequence[Evaluation]) -> Sheet:
    made = table("Cost of a sample, mean", "accelerator", "TWS", "cycles", "latency", "energy",
                      "no DRAM", "EDP, Js", "median EDP", left=2)  # fmt: skip
    for one in found:
        made.add_row(
            short(one.arch.name),
            ",".join(map(str, one.tws)),
            f"{one.mean('cycles'):,.0f}",
            with_prefix(one.mean("seconds"), "s"),
            joules(one.mean("energy_pj")),
            joules(one.mean("energy_on_chip_pj")),
            f"{one.mean('edp_js'):.4g}",
            f"{one.median('edp_js'):.4g}",
        )
    return made


def _layer_table(found: Sequence[Evaluation]) -> Sheet:
    layers = table("Layers, mean of a sample", "accelerator", "layer", "TWS", "spikes %", "windows %",
                        "cycles", "energy", "no DRAM", left=2)  # fmt: skip
    for one in found:
        for layer in one.layers:
            layers.add_row(
                short(one.arch.name),
                short(layer.layer),
                str(layer.tws),
                f"{100 * layer.spike_density:.3g}",
                f"{100 * layer.window_density:.3g}",
                f"{layer.cycles:,.0f}",
                joules(layer.energy_pj),
                joules(layer.energy_on_chip_pj),
            )
    return layers


def _changed_table(found: Sequence[Evaluation]) -> Sheet:
    """Spikes that arrays change."""
    made = table(
        "Output spikes that the arrays change, mean of a sample",
        *("accelerator", "layer", "spikes", "changed", "%"),
        left=2,
    )
    for one in found:
        for layer in one.layers:
            if layer.changed_spikes is not None and layer.output_spikes is not None:
                share = percent(layer.changed_spikes, layer.output_spikes)
                numbers = (f"{layer.output_spikes:,.1f}", f"{layer.changed_spikes:,.1f}", share)
                made.add_row(short(one.arch.name), short(layer.layer), *numbers)
    return made
