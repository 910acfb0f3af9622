"""Tables of several accelerators on the same trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.markup import escape

from spikex_sim.cli import show
from spikex_sim.cli.choose import Choice
from spikex_sim.core.sheet import short
from spikex_sim.explore.comparison import Comparison
from spikex_sim.explore.comparison_tables import comparability, comparison_tables
from spikex_sim.run.advice import datapath_of
from spikex_sim.run.results import RunResult
from spikex_sim.trace.together import AnyTrace

CHOSEN = ("cycles", "energy_pj", "energy_on_chip_pj", "edp_js")
"""Fields of a table of totals where --fields does not say."""


def show_comparison(found: Comparison, trace: AnyTrace, choice: Choice) -> None:
    """Print several accelerators on the same trace side by side, or chosen fields of their totals."""
    results, refused, first = found.results, found.refused, found.baseline
    first_ran = found.outcomes[0][1] is first
    show.say(
        f"[bold]{escape(first.trace['name'])}[/] (T={first.trace['timesteps']}{_samples(first)}, "
        f"{datapath_of(first)}); "
        f"ratios to {escape(first.arch.name)}{'' if first_ran else ', the first that can take this trace'}\n"
    )
    if choice:
        show.show_chosen("Totals", found.rows(), ["arch"], replace(choice, fields=choice.fields or CHOSEN))
    else:
        show.put(*comparison_tables(results, refused))
    usual = first.arch.energy.table
    for result in results:
        table = result.arch.energy.table
        if table != usual:
            name = escape(result.arch.name)
            show.say(f"[yellow]{name} is charged by energy table {table}, not {usual}: not like with like[/]")
    if text := comparability(results):
        show.note(text)
    for result in results:
        show.warn(result, trace, short(result.arch.name))
    show.say_float(first, trace)
    for name, reason in refused.items():
        show.say(f"[yellow]{escape(name)} did not run: {escape(reason)}[/]")
    show.say(_verdict(results))


def _samples(result: RunResult) -> str:
    return f", {len(result.samples):,} samples" if len(result.samples) > 1 else ""


def _verdict(results: Sequence[RunResult]) -> str:
    """Whether all that compute spikes compute the same ones, and who computes none."""
    spiking = [result for result in results if not result.is_ann]
    others = [escape(result.arch.name) for result in results if result.is_ann]
    left_out = f"; {', '.join(others)} left out (activations, not spikes)" if others else ""
    hashes = {tuple(layer.output_sha256 for layer in result.layers) for result in spiking}
    if any(None in outputs for outputs in hashes):
        return "output spikes: not computed, the trace has no weights"
    if len(spiking) < 2:
        return f"output spikes: nothing to compare{left_out}"
    verdict = "identical for all accelerators" if len(hashes) == 1 else "[red]DIFFERENT[/]"
    return f"output spikes of all layers: {verdict}{left_out}"
