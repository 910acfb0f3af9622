"""Tables of answers to one question: window sizes by search, an SNN and its ANN, int8 for float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import Sheet, short, table
from spikex_sim.core.text import counted
from spikex_sim.core.units import joules, with_prefix

if TYPE_CHECKING:
    from spikex_sim.explore.ann import AnnComparison, AnnRow, Measure
    from spikex_sim.explore.quantization import Quantization
    from spikex_sim.explore.tws_search import TwsSearch


def windows_html(search: TwsSearch) -> str:
    """Write searches of window sizes for a notebook."""
    return html_of(f"{search.name} on {search.arch.name}", [windows_table(search)], texts=[search.source])


def windows_table(search: TwsSearch) -> Sheet:
    """What each search came to."""
    made = table("Window sizes", "search", "TWS", "EDP, Js", "over best", "energy", "latency",
                 "runs", "choices", left=2)  # fmt: skip
    best = min(one.edp_js for one in search.found)
    for one in search.found:
        made.add_row(
            one.method,
            ",".join(map(str, one.tws)),
            f"{one.edp_js:.4g}",
            f"{one.edp_js / best:.3f}" if best else "",
            joules(one.energy_pj),
            with_prefix(one.seconds, "s"),
            f"{one.evaluations:,}",
            f"{one.architectures:,}",
        )
    made.caption = (
        f"of {counted(search.samples, 'sample')} together; runs: simulations of one layer, "
        "choices: combinations"
    )
    return made


def ann_html(found: AnnComparison) -> str:
    """Write an SNN and its ANN for a notebook."""
    title = f"SNN on {found.snn[0].arch}, ANN on {found.ann.arch}; ratios to the ANN"
    return html_of(title, ann_tables(found), texts=[ann_verdict(found)])


def ann_tables(found: AnnComparison) -> list[Sheet]:
    """Energy and time of the ANN, and of the SNN after more and more time points."""
    energy = table("Energy", "network", "energy", "ratio", "no DRAM", "ratio", "TOPS/W")
    time = table("Time", "network", "cycles", "latency", "ratio", "EDP, Js", "ratio")
    for made in (energy, time):
        made.beside = "ratio"

    def add(name: str, row: AnnRow) -> None:
        energy.add_row(
            name,
            *(joules(row.energy_pj), f"{row.energy_ratio:.3f}"),
            *(joules(row.energy_on_chip_pj), f"{row.energy_on_chip_ratio:.3f}"),
            f"{row.tops_per_watt:.4g}",
        )
        time.add_row(
            name,
            *(f"{row.cycles:,}", with_prefix(row.seconds, "s"), f"{row.latency_ratio:.3f}"),
            *(f"{row.edp_js:.4g}", f"{row.edp_ratio:.3f}"),
        )

    add("ANN", found.ann)
    for row in found.snn:
        add(f"T={row.timesteps}", row)
    return [energy, time]


def ann_verdict(found: AnnComparison) -> str:
    """Up to how many time points the SNN is below the ANN."""
    return (
        f"SNN below the ANN: energy {_until(found, 'energy')}, "
        f"without DRAM {_until(found, 'energy_on_chip')}, EDP {_until(found, 'edp')}"
    )


def _until(found: AnnComparison, measure: Measure) -> str:
    last = found.pays_until(measure)
    if last is None:
        return "never"
    if all(getattr(row, f"{measure}_ratio") < 1 for row in found.snn):
        return "always"
    return f"up to T={last}"


def drift_html(found: Quantization) -> str:
    """Write what became of spikes on the integer datapath for a notebook."""
    return html_of(f"{found.trace.name} with int8 weights", [drift_table(found)])


def drift_table(found: Quantization) -> Sheet:
    """Layers, and their output spikes on both datapaths."""
    made = table(
        "int8 in place of float32: layers, and their output spikes, each fed by its own",
        *("layer", "step", "V_th", "was", "leak", "was", "spikes", "were", "differing", "%"),
    )
    for one in found.drift:
        layer = one.layer
        made.add_row(
            short(layer.name), f"{layer.step:.4g}", f"{layer.threshold}", f"{layer.threshold_before:.4g}",
            f"{layer.leak:.4g}", f"{layer.leak_before:.4g}", f"{one.spikes:,}", f"{one.spikes_before:,}",
            f"{one.differing:,}", f"{100 * one.share:.3g}",
        )  # fmt: skip
    made.caption = "step: float weight of one weight step, in which V_th is; %: of the spikes in either"
    return made
