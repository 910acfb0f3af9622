"""Results of a run as a notebook shows them."""

from __future__ import annotations

from spikex_sim.core.errors import ResultsError
from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import percent
from spikex_sim.core.text import counted
from spikex_sim.costs.areas import on_chip, told
from spikex_sim.run.rows import AnyResults, imc_of
from spikex_sim.run.tables import energy_table, headline, sums, tables, time_table


def results_html(result: AnyResults) -> str:
    """Write sums, times and energies; work and mapping fold out.

    Results that were read back of a machine that is not installed, or of keys that this version does not
    know, have times and energies alone.
    """
    totals, trace = result.totals, result.trace
    try:
        machine, every = headline(result), tables(result)
    except ResultsError as exc:
        machine, every = f"not installed here ({exc})", [time_table(result), energy_table(result)]
    seen, folded = every, []
    if imc_of(totals) is None and len(every) > 2:
        time, work, energy, mapping = every
        seen, folded = [time, energy], [work, mapping]
    elif len(every) > 2:
        seen, folded = [every[0], every[-1]], every[1:-1]
    samples = "" if len(result.samples) == 1 else f", {counted(len(result.samples), 'sample')}"
    texts = sums(totals)
    if totals.energy_pj:
        uses = totals.energy_by_use_pj.items()
        texts[1] += "; " + ", ".join(
            f"{use} {percent(pj, totals.energy_pj)} %" for use, pj in uses if use != "alu"
        )
    if totals.area_mm2:
        missing = on_chip(getattr(totals, "area_absent", {}))
        without = f"; without {told(missing)}" if missing else ""
        texts.append(f"area {totals.area_mm2:.4g} mm² of the parts whose area is known{without}")
    title = f"{trace['name']} (T={trace['timesteps']}{samples}) on {result.arch_name}: {machine}"
    return html_of(title, seen, texts=texts, folded=folded)
