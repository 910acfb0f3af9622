"""Commands that replay traces through combinations of configuration values: sweep, its export and merge."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from spikex_sim.cli.choose import Choice, Columns, Fields, Sort, Top
from spikex_sim.cli.options import (
    Jobs,
    SafeCsv,
    Settings,
    Tws,
    check_once,
    completing,
    default_trace,
    echo,
    parse_settings,
    split_names,
    writable_file,
    wrote,
)
from spikex_sim.core.errors import ConfigError, SpikexError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.text import counted, harmless
from spikex_sim.spec.load import preset_names

REDRAW_SECONDS = 0.1


def sweep(
    trace_paths: Annotated[
        list[Path] | None, typer.Argument(help="Trace files or folders; default: the packaged digit.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", help="Key and its values, e.g. tws=2,4,8; may repeat.", metavar="KEY=V1,V2"),
    ] = None,
    spec: Annotated[
        Path | None, typer.Option("--spec", help="YAML file with traces, arch and axes.", metavar="FILE")
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            help="Accelerators, separated by commas; default: spikex.",
            metavar="NAME|FILE,...",
            autocompletion=completing(preset_names),
        ),
    ] = None,
    tws: Tws = None,
    settings: Settings = None,
    engine: Annotated[
        str | None, typer.Option("--engine", help="Memory engine; default: fast.", metavar="fast|event")
    ] = None,
    jobs: Jobs = 1,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="Run on this Dask cluster instead.", metavar="ADDRESS"),
    ] = None,
    sort: Sort = None,
    top: Top = None,
    fields: Fields = None,
    shard: Annotated[
        str | None,
        typer.Option("--shard", help="Run the i-th of n parts alone; see sweep merge.", metavar="I/N"),
    ] = None,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Print the Pareto front of latency and energy.")
    ] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write sweep.parquet too.")] = False,
    safe_csv: SafeCsv = False,
    out: Annotated[Path, typer.Option("--out", help="Folder for the store and the table.")] = Path(
        "results/sweep"
    ),
) -> None:
    """Replay traces through every combination of configuration values.

    Points that the folder already has are not run again: after an interruption, the same command goes on.
    What the command line names replaces what the file of --spec says; --grid and --set add to it.

    Example: spikex-sim sweep --grid tws=2,4,8 --grid array.cols=8,16 --arch spikex,ptb --jobs 2
    """
    from spikex_sim.cli import show
    from spikex_sim.core.files import check_writable
    from spikex_sim.explore.sweeps.grid import parse_axis
    from spikex_sim.explore.sweeps.study import Study, load_study

    show.log_to_terminal()
    study = Study() if spec is None else load_study(spec)
    axes = dict(study.product)
    for key, values in map(parse_axis, grid or []):
        if key in axes:
            raise ConfigError("names a key twice", where="--grid", field=key)
        axes[key] = values
    overrides = study.set | parse_settings(settings, tws)
    archs = split_names(arch, "--arch") if arch is not None else list(study.arch) or ["spikex"]
    traces = [default_trace(path) for path in trace_paths or map(Path, study.traces)] or [default_trace(None)]
    check_once(archs, "--arch")
    check_once((path.resolve() for path in traces), "TRACE")
    keys = [*axes, *(key for axis in study.zip for key in axis)]
    choice = Choice.of(sort, top, fields, sweep_columns(keys))
    part = _parsed_shard(shard)
    check_writable(out)
    from spikex_sim.explore.sweeps.runner import count_stored
    from spikex_sim.explore.sweeps.runner import sweep as run_sweep

    with counting_bar() as progress:
        table = run_sweep(
            traces,
            axes,
            zipped=study.zip,
            arch=archs,
            engine=engine or study.engine or "fast",
            overrides=overrides,
            jobs=jobs,
            scheduler=scheduler,
            shard=part,
            out=out,
            parquet=parquet,
            safe_csv=safe_csv,
            progress=progress,
        )
    finished = [row for row in table if not row["error"]]
    if choice.fields:
        show.show_points(table, keys, choice)
    elif finished:
        show.show_sweep(finished, keys, choice)
    if finished and pareto:
        _show_front(finished, keys)
    if (stored := count_stored(out)) > len(table):
        here = f"{counted(len(table), 'point')} of this call{_of_shard(part)}"
        show.say(f"sweep.csv holds the {here}, the store {stored}: spikex-sim sweep export writes them all")
    wrote([out / "sweep.csv", *([out / "sweep.parquet"] if parquet else []), out / "sweep.sqlite"])
    failed = [row for row in table if row["error"]]
    if failed:
        point = ", ".join(f"{key} {failed[0][key]}" for key in ("trace", "arch", *keys))
        raise SpikexError(
            f"{len(failed)} of {len(table)} points failed; the first, {point}: {failed[0]['error']}",
            where=str(out / "sweep.csv"),
        )


def sweep_columns(keys: Sequence[str]) -> Columns:
    """Columns of sweep.csv."""
    from spikex_sim.explore.sweeps.table import COLUMNS, is_measure
    from spikex_sim.run.fields import SWEEP_CSV

    return Columns(SWEEP_CSV, ["trace", "arch", *keys, *COLUMNS, "error"], is_measure)


def export(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep.", metavar="DIR")],
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file; default: DIR/export.csv.", metavar="FILE")
    ] = None,
    safe_csv: SafeCsv = False,
) -> None:
    """Write all that a folder's store has as one table, of whatever sweeps it is.

    Sweep after sweep, each in grid order; points that are not finished have their error.

    Example: spikex-sim sweep export results/sweep --out all.csv
    """
    from spikex_sim.cli import show
    from spikex_sim.core.files import csv_text, write_files
    from spikex_sim.explore.sweeps.runner import export as export_store

    show.log_to_terminal()
    target = out or folder / "export.csv"
    table = export_store(folder)
    writable_file(target)
    _say_points(table)
    wrote(write_files(target.parent, {target.name: csv_text([dict(row) for row in table], safe=safe_csv)}))


def merge(
    folders: Annotated[list[Path], typer.Argument(help="Folders of shards.", metavar="DIR...")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the store and the table.", metavar="DIR")],
    safe_csv: SafeCsv = False,
) -> None:
    """Put the stores of several sweeps, such as shards, into one.

    The table of all shards of a sweep is that of the whole.

    Example: spikex-sim sweep merge part1 part2 --out whole
    """
    from spikex_sim.cli import show
    from spikex_sim.core.files import check_writable
    from spikex_sim.explore.sweeps.runner import STORE
    from spikex_sim.explore.sweeps.runner import merge as merge_stores

    show.log_to_terminal()
    check_writable(out)
    _say_points(merge_stores(folders, out, safe_csv=safe_csv))
    wrote([out / "sweep.csv", out / STORE])


def _say_points(table: Sequence[Mapping[str, Any]]) -> None:
    unfinished = sum(bool(row["error"]) for row in table)
    echo(counted(len(table), "point") + (f", {unfinished} of them not finished" if unfinished else ""))


def _parsed_shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ConfigError(f"wants I/N, the I-th of N parts from 1, not {text!r:.60}", field="--shard")
    return int(found[1]), int(found[2])


def _of_shard(part: tuple[int, int]) -> str:
    return "" if part == (1, 1) else f", shard {part[0]} of {part[1]}"


def _show_front(rows: Sequence[Mapping[str, Any]], keys: list[str]) -> None:
    """Print the points that no other one beats in both latency and energy."""
    from spikex_sim.cli import show
    from spikex_sim.core.sheet import LONGEST_KEY, short
    from spikex_sim.core.units import joules, with_prefix
    from spikex_sim.explore.sweeps.sheet import mean_of
    from spikex_sim.explore.sweeps.table import pareto_front

    names = ["trace"] if len({row["trace"] for row in rows}) > 1 else []
    names += ["arch", *keys]
    made = show.table(
        "Pareto front: none is both faster and cheaper",
        *(*names, "latency", "energy", "no DRAM", "EDP, Js"),
        left=len(names),
    )
    for row in pareto_front(rows):
        made.add_row(
            *(short(str(row[name]), LONGEST_KEY) for name in names),
            mean_of(row, "seconds", lambda value: with_prefix(value, "s")),
            mean_of(row, "energy_pj", joules),
            mean_of(row, "energy_on_chip_pj", joules),
            mean_of(row, "edp_js", lambda value: f"{value:.3g}"),
        )
    show.put(made)


@contextmanager
def counting_bar() -> Iterator[Progress]:
    """Show what is done, how much of it a second and the time left on standard error, if a terminal."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.progress import TextColumn

    from spikex_sim.cli import show

    # Refreshed by no thread, beside which no worker could be forked.
    with show.bar_of(TextColumn("{task.fields[pace]}", markup=False), auto_refresh=False) as bar:
        task = bar.add_task("reading", total=None, pace="")
        start, drawn, stored = 0.0, 0.0, 0

        def report(what: str, done: int, total: int) -> None:
            nonlocal start, drawn, stored
            now = time.monotonic()
            if not start:
                start, stored = now, done
            text = pace(done - stored, total - done, now - start)
            bar.update(task, description=harmless(what), completed=done, total=total, pace=text)
            if now - drawn > REDRAW_SECONDS or done == total:
                drawn = now
                bar.refresh()

        yield report


def pace(done: int, left: int, seconds: float) -> str:
    """Points a second and the time left at that rate; empty as long as none is done."""
    if not done or seconds <= 0:
        return ""
    rate = done / seconds
    minutes, rest = divmod(round(left / rate), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{rate:.3g}/s, {hours}:{minutes:02}:{rest:02} left"
