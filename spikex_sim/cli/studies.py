"""Commands that answer a question with many replays: dynamic and ann."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikex_sim.cli.options import (
    Arch,
    Engine,
    Out,
    SafeCsv,
    Settings,
    TracePath,
    Tws,
    default_trace,
    parse_numbers,
    parse_settings,
    wrote,
)

if TYPE_CHECKING:
    from spikex_sim.explore.ann import AnnComparison
    from spikex_sim.explore.dynamic import DynamicRow


def dynamic(
    trace_paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Labelled trace files or folders of one network; default: the packaged digit."),
    ] = None,
    arch: Arch = "spikex",
    thresholds: Annotated[
        str,
        typer.Option("--thresholds", help="Entropies to stop below, 0 to 1.", metavar="H1,H2,..."),
    ] = "0,0.1,0.3,0.5",
    tws: Tws = None,
    settings: Settings = None,
    engine: Engine = "fast",
    out: Out = None,
    safe_csv: SafeCsv = False,
) -> None:
    """Stop each sample as soon as the entropy of its output is below a threshold.

    Shows mean time points, accuracy, energy, latency and EDP for each threshold; 0 never stops early.

    Example: spikex-sim dynamic traces/nmnist_digit.npz --arch sata --thresholds 0,0.5,0.9
    """
    limits = parse_numbers(thresholds, "--thresholds", float)
    overrides = parse_settings(settings, tws)
    from spikex_sim.cli import show

    show.log_to_terminal()
    from spikex_sim.core.files import check_writable
    from spikex_sim.explore.dynamic import dynamic_timesteps
    from spikex_sim.run.psums import remarks
    from spikex_sim.spec.load import load_accelerator
    from spikex_sim.trace.together import as_chains, describe

    if out is not None:
        check_writable(out)
    accelerator = load_accelerator(arch, overrides)
    given = [default_trace(path) for path in trace_paths] if trace_paths else default_trace(None)
    traces = as_chains(given, "dynamic time steps")
    with show.progress_bar("reading") as progress:
        rows = dynamic_timesteps(traces, accelerator, limits, engine=engine, progress=progress)
    trace = describe(traces)
    _show_dynamic(rows, trace, accelerator.name)
    for text in remarks(traces[0], accelerator):
        show.note(text)
    _write(
        out,
        "dynamic.csv",
        [{"arch": accelerator.name, **asdict(row)} for row in rows],
        trace,
        engine,
        safe_csv=safe_csv,
    )


def ann(
    trace_path: TracePath = None,
    arch: Arch = "spikex",
    ann: Annotated[
        str, typer.Option("--ann", help="What the ANN runs on: preset or YAML file.", metavar="NAME|FILE")
    ] = "ann",
    timesteps: Annotated[
        str | None,
        typer.Option(
            "--timesteps", help="Time points to try; default: powers of two, and all.", metavar="T1,T2,..."
        ),
    ] = None,
    tws: Tws = None,
    settings: Settings = None,
    engine: Engine = "fast",
    out: Out = None,
    safe_csv: SafeCsv = False,
) -> None:
    """Compare an SNN, time point by time point, with the ANN of the same shape.

    --set changes both, --tws the SNN. Ratios are to the ANN.

    Example: spikex-sim ann traces/nmnist_digit.npz --arch spikex --timesteps 1,2,4,8
    """
    points = None if timesteps is None else parse_numbers(timesteps, "--timesteps", int)
    overrides, window = parse_settings(settings, None), parse_settings(None, tws).get("tws")
    from spikex_sim.cli import show

    show.log_to_terminal()
    from spikex_sim.core.files import check_writable
    from spikex_sim.explore.ann import against_ann
    from spikex_sim.trace.together import as_chains, describe

    if out is not None:
        check_writable(out)
    traces = as_chains(default_trace(trace_path), "an ANN")
    with show.progress_bar("reading") as progress:
        found = against_ann(
            traces, arch, ann, points, tws=window, engine=engine, overrides=overrides, progress=progress
        )  # fmt: skip
    trace = describe(traces)
    _show_ann(found, trace)
    _write(out, "ann.csv", [asdict(row) for row in (found.ann, *found.snn)], trace, engine, safe_csv=safe_csv)


def _write(
    out: Path | None,
    name: str,
    rows: list[dict[str, Any]],
    trace: dict[str, Any],
    engine: str,
    *,
    safe_csv: bool,
) -> None:
    from spikex_sim.core.files import csv_text, write_files
    from spikex_sim.core.origin import origin

    if out is not None:
        same = {"engine": engine, "trace_sha256": trace["sha256"], **origin()}
        cells = [{"trace": trace["name"], **row, **same} for row in rows]
        wrote(write_files(out, {name: csv_text(cells, safe=safe_csv)}))


def _title(trace: dict[str, Any]) -> str:
    from rich.markup import escape

    samples = f", {trace['samples']} samples" if trace["samples"] > 1 else ""
    return f"[bold]{escape(trace['name'])}[/] (T={trace['timesteps']}{samples})"


def _show_dynamic(rows: tuple[DynamicRow, ...], trace: dict[str, Any], arch: str) -> None:
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.core.units import joules, with_prefix

    show.say(f"{_title(trace)} on [bold]{escape(arch)}[/]\n")
    made = show.table(
        "Dynamic time steps, means over the samples",
        *("threshold", "mean T", "correct %", "energy", "saved %", "latency", "EDP, Js", "saved %"),
    )
    made.beside = "saved %"
    made.caption = f"saved: of what all {trace['timesteps']} time points cost"
    for row in rows:
        made.add_row(
            f"{row.threshold:g}",
            f"{row.mean_timesteps:.2f}",
            f"{100 * row.accuracy:.1f}",
            joules(row.energy_pj),
            f"{100 * row.energy_saving:.1f}",
            with_prefix(row.seconds, "s"),
            f"{row.edp_js:.4g}",
            f"{100 * row.edp_saving:.1f}",
        )
    show.put(made)


def _show_ann(found: AnnComparison, trace: dict[str, Any]) -> None:
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.explore.search_tables import ann_tables, ann_verdict

    snn, reference = escape(found.snn[0].arch), escape(found.ann.arch)
    show.say(f"{_title(trace)}: SNN on [bold]{snn}[/], ANN on [bold]{reference}[/]; ratios to the ANN\n")
    show.put(*ann_tables(found))
    show.say(ann_verdict(found))
