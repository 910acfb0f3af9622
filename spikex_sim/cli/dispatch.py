"""Command that compares dispatch policies: dispatch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikex_sim.cli.options import (
    Arch,
    Engine,
    Out,
    SafeCsv,
    Settings,
    Tws,
    completing,
    default_trace,
    parse_settings,
    split_names,
    wrote,
)
from spikex_sim.core.sheet import count, percent

if TYPE_CHECKING:
    from spikex_sim.core.sheet import Sheet

Row = Mapping[str, Any]


def _policies() -> Iterable[str]:
    from spikex_sim.explore.dispatch import policies

    return ["all", *policies()]


def dispatch(
    trace_paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Trace files or folders of one network; default: the packaged digit."),
    ] = None,
    policies: Annotated[
        str,
        typer.Option(
            "--policies",
            help="Policies, the first of which others are compared with.",
            metavar="all|NAME,...",
            autocompletion=completing(_policies),
        ),
    ] = "all",
    bound: Annotated[
        bool, typer.Option("--bound", help="Bound taps and cycles of every policy from below.")
    ] = False,
    optimum: Annotated[
        bool,
        typer.Option("--optimum", help="Search the optimum of tiles of up to 24 NTWUs; implies --bound."),
    ] = False,
    arch: Arch = "spikex",
    tws: Tws = None,
    settings: Settings = None,
    engine: Engine = "fast",
    out: Out = None,
    safe_csv: SafeCsv = False,
) -> None:
    """Compare policies that pack active NTWUs into batches, and each with what can be had at best.

    With --out also writes dispatch.csv and draws it. --bound and --optimum need OR-Tools (extra map).

    Example: spikex-sim dispatch traces/dvs_arms.npz --policies agile,across,overlap --bound
    """
    overrides = parse_settings(settings, tws)
    names = None if policies == "all" else split_names(policies, "--policies")
    from spikex_sim.cli import show
    from spikex_sim.cli.options import check_once

    show.log_to_terminal()
    check_once(names or (), "--policies")
    from rich.markup import escape

    from spikex_sim.core.files import check_writable, csv_text, write_files
    from spikex_sim.core.origin import origin
    from spikex_sim.explore.dispatch import study

    if out is not None:
        check_writable(out)
    with show.progress_bar("reading") as progress:
        found = study(
            trace_paths or [default_trace(None)], names, arch, overrides=overrides, engine=engine,
            bound=bound or optimum, best=optimum, progress=progress,
        )  # fmt: skip
    name, hash_ = escape(found.trace["name"]), found.trace["sha256"]
    samples = f", {found.trace['samples']} samples" if found.trace["samples"] > 1 else ""
    title = f"[bold]{name}[/] (T={found.trace['timesteps']}{samples}) on [bold]{escape(found.arch.name)}[/]"
    show.say(f"{title}; EDP ratios to {escape(found.rows[0]['policy'])}\n")
    layers = dict.fromkeys(row["layer"] for row in found.rows)
    by_layer = {layer: [row for row in found.rows if row["layer"] == layer] for layer in layers}
    show.put(*(_table(layer, rows, bound=bound or optimum) for layer, rows in by_layer.items()))
    if any(row["held_bits"] for row in by_layer["total"]):
        show.put(_scheduler_table(by_layer["total"]))
    if optimum:
        show.put(_optimum_table(by_layer["total"]))
    late: dict[str, list[str]] = {}
    for row in found.rows:
        if row["dispatch_cycles"] > row["slot_cycles"]:
            late.setdefault(row["policy"], []).append(row["layer"])
    for policy, where in late.items():
        show.note(
            f"{policy}: choosing takes longer than the batches that it would have to hide behind, in "
            f"{', '.join(where)}; dispatch_cycles: charged shows what that costs"
        )
    verdict = {True: "identical for all policies", False: "[red]DIFFERENT[/]", None: "not computed"}
    show.say(f"output spikes of all layers: {verdict[found.same_spikes]}")
    if out is not None:
        from spikex_sim.plots.dispatch import dispatch_policies
        from spikex_sim.plots.style import columns, file_bytes

        same = {
            "arch": found.arch.name,
            "trace": found.trace["name"],
            "trace_sha256": hash_,
            "engine": engine,
        }
        cells = [{**row, **same, **origin()} for row in found.rows]
        files: dict[str, str | bytes] = {"dispatch.csv": csv_text(cells, safe=safe_csv)}
        files["dispatch.pdf"] = file_bytes(dispatch_policies(cells, None, columns(2))[0], "pdf")
        wrote(write_files(out, files))


def _table(layer: str, rows: Sequence[Row], *, bound: bool) -> Sheet:
    from spikex_sim.cli import show
    from spikex_sim.core.sheet import short
    from spikex_sim.core.units import joules

    over = ("+%",) if bound else ()
    mode = f" ({rows[0]['mode']})" if rows[0]["mode"] else ""
    headings = ("batches", "taps", *over, "PE %", "cycles", *over, "energy", "EDP, Js", "ratio")
    made = show.table(f"{short(layer)}{mode}", "policy", *headings)
    made.beside = "ratio"
    if layer == "total" and bound:
        made.caption = "+%: over the lower bound of streamed taps, and of integration and update"
    base = rows[0]["edp_js"]
    for row in rows:
        made.add_row(
            short(row["policy"]),
            f"{row['batches']:,}",
            count(row["streamed_taps"]),
            *([_over(row, "taps")] if bound else []),
            f"{100 * row['utilization']:.1f}",
            count(row["cycles"]),
            *([_over(row, "cycles")] if bound else []),
            joules(row["energy_pj"]),
            f"{row['edp_js']:.4g}",
            f"{row['edp_js'] / base:.3f}" if base else "",
        )
    return made


def _scheduler_table(rows: Sequence[Row]) -> Sheet:
    from spikex_sim.cli import show
    from spikex_sim.core.sheet import short
    from spikex_sim.core.units import joules

    made = show.table("Scheduler", "policy", "held, bits", "cycles", "of the array's %", "energy", "of all %")
    made.caption = "held: its window, or what it sorts, in the layer with the most"
    for row in rows:
        if row["held_bits"]:
            made.add_row(
                short(row["policy"]),
                f"{row['held_bits']:,}",
                count(row["dispatch_cycles"]),
                percent(row["dispatch_cycles"], row["slot_cycles"]),
                joules(row["energy_dispatch_pj"]),
                percent(row["energy_dispatch_pj"], row["energy_pj"]),
            )
    return made


def _over(row: Row, what: str) -> str:
    least = row[f"bound_{what}"]
    mine = row["streamed_taps" if what == "taps" else "slot_cycles"]
    return f"{100 * (mine / least - 1):.1f}" if least else ""


def _optimum_table(rows: Sequence[Row]) -> Sheet:
    from spikex_sim.cli import show
    from spikex_sim.core.sheet import short

    made = show.table("Tiles of up to 24 NTWUs", "policy", "tiles", "not proven", "taps +%", "cycles +%")
    made.caption = "+%: over the optimum of those that are proven"
    for row in rows:
        over = (
            100 * (row[f"small_{what}"] / row[f"optimum_{what}"] - 1) if row[f"optimum_{what}"] else None
            for what in ("taps", "cycles")
        )
        made.add_row(
            short(row["policy"]), f"{row['small_tiles']:,} of {row['tiles']:,}", f"{row['unproven_tiles']:,}",
            *("" if one is None else f"{one:.1f}" for one in over),
        )  # fmt: skip
    return made
