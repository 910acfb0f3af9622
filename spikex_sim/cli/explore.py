"""Command that searches configurations by an optimiser: explore."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikex_sim.cli.options import (
    Jobs,
    SafeCsv,
    Settings,
    check_once,
    completing,
    default_trace,
    parse_settings,
    split_names,
    wrote,
)
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.text import counted, harmless
from spikex_sim.spec.load import preset_names

if TYPE_CHECKING:
    from spikex_sim.explore.designs.api import Watch
    from spikex_sim.explore.designs.found import Exploration
    from spikex_sim.explore.designs.judging import Judged

LIVE_ROWS = 10
"""Of the front while it is searched."""


def explore(
    space: Annotated[Path, typer.Option("--space", help="YAML file of keys and values.", metavar="FILE")],
    trace_paths: Annotated[
        list[Path] | None, typer.Argument(help="Trace files or folders; default: the packaged digit.")
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            "--objective", help="Columns of sweep.csv to make small; max:NAME: large.", metavar="NAME,..."
        ),
    ] = "energy_pj,latency_ms",
    constraint: Annotated[
        list[str] | None,
        typer.Option("--constraint", help="e.g. area_mm2<=2; may repeat.", metavar="NAME<=VALUE"),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option("--budget", help="Points to try; default: 200, of a grid all.", metavar="N"),
    ] = None,
    sampler: Annotated[
        str, typer.Option("--sampler", help="Which are tried.", metavar="tpe|nsga2|random|grid")
    ] = "tpe",
    batch: Annotated[int, typer.Option("--batch", help="Points asked for at a time.", metavar="N")] = 8,
    seed: Annotated[int | None, typer.Option("--seed", help="Of all draws; default: 0.", metavar="N")] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            help="Preset name or YAML file, unless a key of the space; default: spikex.",
            metavar="NAME|FILE",
            autocompletion=completing(preset_names),
        ),
    ] = None,
    settings: Settings = None,
    engine: Annotated[str, typer.Option("--engine", help="Memory engine.", metavar="fast|event")] = "fast",
    jobs: Jobs = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Run on this Dask cluster instead.", metavar="ADDRESS")
    ] = None,
    safe_csv: SafeCsv = False,
    out: Annotated[Path, typer.Option("--out", help="Folder for the store and the tables.")] = Path(
        "results/explore"
    ),
) -> None:
    """Search configurations for the best trade-offs, with few of the points of a grid.

    Points that the folder already has, of sweeps too, are not run again: after an interruption, the same
    command goes on. What a space may say is in docs/explore.md.

    Example: spikex-sim explore --space space.yaml --objective energy_pj,area_mm2 --budget 100
    """
    from spikex_sim.cli import show
    from spikex_sim.core.files import check_writable
    from spikex_sim.explore.designs.api import explore as run
    from spikex_sim.explore.designs.found import CSV_FILE, JSON_FILE

    show.log_to_terminal()
    names = split_names(objective, "--objective")
    traces = [default_trace(path) for path in trace_paths or []] or [default_trace(None)]
    check_once((path.resolve() for path in traces), "TRACE")
    overrides = parse_settings(settings, None)
    check_writable(out)
    with _live(names) as (progress, watch):
        found = run(
            traces, space, names, constraints=constraint or [], arch=arch, overrides=overrides,
            engine=engine, budget=budget, sampler=sampler, batch=batch, seed=seed, jobs=jobs,
            scheduler=scheduler, out=out, safe_csv=safe_csv, progress=progress, watch=watch,
        )  # fmt: skip
    show_exploration(found)
    wrote([out / name for name in (JSON_FILE, CSV_FILE, "sweep.csv", "sweep.sqlite")])


def show_exploration(found: Exploration) -> None:
    """Print a front, what it was found among, and how much each key decides."""
    from spikex_sim.cli import show
    from spikex_sim.explore.designs.tables import front_table, shares_table

    show.put(front_table(found))
    failed = [one for one in found.points if not one.figures]
    broken = [one for one in found.points if one.figures and not one.feasible]
    said = [counted(len(found.points), "point"), f"{len(found.front)} on the front"]
    said += [f"{len(broken)} break a limit"] if broken else []
    said += [f"{len(failed)} cannot be run"] if failed else []
    show.say(harmless(", ".join(said)).replace("[", r"\["))
    if failed:
        show.note(f"the first that cannot be run, point {failed[0].order}: {failed[0].reason}")
    volume = found.hypervolume
    corner = ", ".join(f"{name} {value:.4g}" for name, value in volume.reference.items())
    show.say(f"hypervolume {volume.final:.4g} of the box to {corner}".replace("[", r"\["))
    if any(found.importances.shares.values()):
        show.put(shares_table(found))
    else:
        show.note("importances need at least 10 feasible points that are not all alike")


@contextmanager
def _live(names: Sequence[str]) -> Iterator[tuple[Progress, Watch | None]]:
    """Show the front while it is searched, on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield silent, None
        return
    import time

    from rich.console import Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from spikex_sim.cli import show
    from spikex_sim.cli.sweep import REDRAW_SECONDS
    from spikex_sim.core.sheet import cell
    from spikex_sim.explore.designs.judging import named

    front, said, drawn = Table(), Text(""), 0.0
    bar = ProgressBar(total=1, completed=0, width=40)

    # Refreshed by no thread, beside which no worker could be forked.
    with Live(console=show.errors, transient=True, auto_refresh=False) as live:

        def progress(what: str, done: int, total: int) -> None:
            nonlocal said, drawn
            bar.update(completed=done, total=total)
            said = Text(harmless(f"{what}: {done:,} of {total:,} runs"))
            if time.monotonic() - drawn > REDRAW_SECONDS or done == total:
                drawn = time.monotonic()
                live.update(Group(front, bar, said), refresh=True)

        def watch(points: Sequence[Judged], on_front: Sequence[Judged]) -> None:
            nonlocal front
            front = Table(
                title=f"front of {len(points):,} points: {len(on_front):,}", title_justify="left", box=None
            )
            plain = [name.rpartition(":")[2] for name in names]
            for title in ("machine", "keys", *plain):
                front.add_column(Text(harmless(title)), no_wrap=title not in ("keys",))
            for one in sorted(on_front, key=lambda each: each.verdict.losses)[:LIVE_ROWS]:
                machine, values = named(one)
                keys = ", ".join(f"{key} {value}" for key, value in values.items())
                figures = [cell(one.figures[name]) for name in plain]
                front.add_row(*(Text(harmless(text)) for text in (machine, keys, *figures)))
            live.update(Group(front, bar, said), refresh=True)

        yield progress, watch
