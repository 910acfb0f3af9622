"""Command that makes a page of what other commands wrote: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikex_sim.cli.options import echo, wrote


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Folders that other commands wrote with --out.", metavar="DIR..."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The page; default: report.html in the first folder.", metavar="FILE"),
    ] = None,
) -> None:
    """Write one HTML page, which needs no network, of what folders of results hold.

    Of a run, of several runs in a folder, of a sweep, an evaluation, a mapping, a search or a study: figures
    to zoom into, tables to sort, the configuration and the command that repeats it. Runs nothing.

    Example: spikex-sim report results/run --out report.html
    """
    from spikex_sim.cli import show
    from spikex_sim.report.page import check_target, read_groups, target_of, write_groups

    if out is not None:
        check_target(out)
    with show.progress_bar("reading") as progress:
        groups = read_groups(folders, progress)
    wrote([write_groups(groups, target_of(folders, out))])
    for path, group in groups:
        for reason in group.left_out:
            echo(f"{path}: left out {reason}")
