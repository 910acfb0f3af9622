"""Commands that search networks of two cells and show what was found: nas and nas show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikex_sim.cli.nas import (
    Bits,
    Channels,
    DatasetName,
    MaxArea,
    MaxEdp,
    MaxEnergy,
    MaxLatency,
    MaxParams,
    SpaceName,
    Timesteps,
    checked_limits,
)
from spikex_sim.cli.options import Arch, Jobs, split_names, wrote

if TYPE_CHECKING:
    from spikex_sim.explore.nas.found import ArchitectureFound, Spread


def nas(
    data: Annotated[Path, typer.Option("--data", help="Images, as of train.", metavar="FILE.npz")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the result files.", metavar="DIR")],
    arch: Arch = "spikesim-released",
    max_params: MaxParams = None,
    max_area_mm2: MaxArea = None,
    max_latency_ms: MaxLatency = None,
    max_energy_uj: MaxEnergy = None,
    max_edp_js: MaxEdp = None,
    bits: Bits = 8,
    algorithm: Annotated[
        str, typer.Option("--algorithm", help="How pairs are searched.", metavar="paper|joint|random")
    ] = "paper",
    carry_score: Annotated[
        bool, typer.Option("--carry-score", help="paper: as printed, which may break limits.")
    ] = False,
    budget: Annotated[
        int | None,
        typer.Option("--budget", help="joint, random: networks to score; default: twice all forms."),
    ] = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="joint; default: nsga2.", metavar="nsga2|tpe")
    ] = None,
    minimise: Annotated[
        str, typer.Option("--minimise", help="Costs beside the fitness, of the front.", metavar="COST,...")
    ] = "energy_uj",
    space: SpaceName = "neuronas",
    same: Annotated[bool, typer.Option("--same", help="joint, random: cells with A = B.")] = False,
    dataset: DatasetName = "cifar10",
    channels: Channels = 128,
    timesteps: Timesteps = 5,
    score_channels: Annotated[
        int | None,
        typer.Option("--score-channels", help="Of a smaller network, scored in its place.", metavar="N"),
    ] = None,
    score_timesteps: Annotated[
        int | None, typer.Option("--score-timesteps", help="Time points of that network.", metavar="N")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", help="Images of a mini-batch.", metavar="N")] = 64,
    repeats: Annotated[int, typer.Option("--repeats", help="Mini-batches of a score.", metavar="N")] = 2,
    kernel: Annotated[
        str, typer.Option("--kernel", help="Of the fitness.", metavar="released|normalised")
    ] = "released",
    constant: Annotated[
        str, typer.Option("--constant", help="Silent and saturated populations.", metavar="count|skip")
    ] = "count",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, images and search.")] = 0,
    jobs: Jobs = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Run on this Dask cluster instead.", metavar="ADDRESS")
    ] = None,
) -> None:
    """Search a spiking network of two cells that keeps limits of hardware, without training any.

    Networks are scored by how well their spikes tell images apart, and costed on the machine of --arch. What
    the folder already has is not scored again: after an interruption, the same command goes on.

    Example: spikex-sim nas --data cifar10_small.npz --bits 4 --max-latency-ms 500 --out results/nas
    """
    from spikex_sim.cli import show
    from spikex_sim.cli.sweep import counting_bar
    from spikex_sim.core.files import check_writable
    from spikex_sim.explore.nas.found import CSV_FILE, JSON_FILE, STORE_FILE
    from spikex_sim.training.architecture import search_architecture

    show.log_to_terminal()
    checked_limits(max_params, max_area_mm2, max_latency_ms, max_energy_uj, max_edp_js)
    costs = split_names(minimise, "--minimise")
    check_writable(out)
    with counting_bar() as progress:
        found = search_architecture(
            data, arch, max_params=max_params, max_area_mm2=max_area_mm2, max_latency_ms=max_latency_ms,
            max_energy_uj=max_energy_uj, max_edp_js=max_edp_js, bits=bits, algorithm=algorithm,
            carry_score=carry_score, budget=budget, sampler=sampler, minimise=costs, space=space, same=same,
            dataset=dataset, channels=channels, timesteps=timesteps, score_channels=score_channels,
            score_timesteps=score_timesteps, batch=batch, repeats=repeats, kernel=kernel, constant=constant,
            seed=seed, jobs=jobs, scheduler=scheduler, out=out, progress=progress,
        )  # fmt: skip
    show_found(found)
    wrote([out / JSON_FILE, out / CSV_FILE, out / STORE_FILE])


def nas_show(
    folder: Annotated[Path, typer.Argument(help="Folder of a search, or its nas.json.", metavar="DIR")],
) -> None:
    """Show what a search found: its front, its winner, and what needs no search.

    Example: spikex-sim nas show results/nas
    """
    from spikex_sim.explore.nas.found import load_found

    show_found(load_found(folder))


def show_found(found: ArchitectureFound) -> None:
    """Print what a search found."""
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.explore.nas.found_tables import front_table, machines_table, score_text

    search, winner, counts = found.search, found.winner, found.counts
    show.put(front_table(found))
    for name, cell, form in (("A", winner.cell_a, winner.form_a), ("B", winner.cell_b, winner.form_b)):
        show.say(f"winner's cell {name} [bold]{escape(cell)}[/]: {escape(form)}")
    rank = winner.rank
    show.say(
        f"score {score_text(winner.score)}, {_spread(winner.spread)}; number {rank.rank} of {rank.of} with "
        f"{_convolutions(rank.convolutions)}"
    )
    if not winner.feasible:
        show.note(f"it does not keep the limits: {'; '.join(winner.misses) or winner.costs.refused}")
    show.put(machines_table(found))
    _show_baselines(found)
    show.say(
        f"{counts.scored:,} networks scored, {counts.skipped:,} pairs skipped by limits, {counts.broken:,} "
        f"scored and then found to break them, {counts.saved:,} saved by canonical forms; "
        f"{found.seconds:.1f} s, seed {escape(str(search.get('seed')))}"
    )


def _show_baselines(found: ArchitectureFound) -> None:
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.explore.nas.found_tables import score_text

    most, spread = found.baselines.most_convolutions, found.baselines.most_convolutions_spread
    if most is not None and spread is not None:
        number = _convolutions(most.convolutions_a + most.convolutions_b)
        show.say(
            f"most convolutions that fit: {escape(most.cell_a)} {escape(most.cell_b)}, {number}: "
            f"score {score_text(most.score)}, {_spread(spread)}"
        )
    drawn = found.baselines.random_feasible
    if drawn:
        scores = [one.score for one in drawn]
        show.say(
            f"random feasible, {len(drawn)} networks: mean score {score_text(sum(scores) / len(scores))}, "
            f"best {score_text(max(scores))}"
        )
    for name, costs in found.winner.machines.items():
        if costs.refused:
            show.say(escape(f"{name} cannot run it: {costs.refused}"))


def _spread(spread: Spread) -> str:
    number = len(spread.scores)
    if spread.mean is None or spread.sd is None:
        return f"−∞ for some of {number} seeds"
    return f"mean of {number} seeds {spread.mean:.4g} ± {spread.sd:.2g}"


def _convolutions(number: int) -> str:
    return f"{number} convolution{'' if number == 1 else 's'}"
