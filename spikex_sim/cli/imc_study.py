"""Command that compares settings of crossbar machines: imc-study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikex_sim.cli.options import (
    Arch,
    Engine,
    Jobs,
    Out,
    SafeCsv,
    Settings,
    completing,
    default_trace,
    parse_settings,
    wrote,
)
from spikex_sim.core.sheet import percent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spikex_sim.core.sheet import Sheet

SETTINGS = {"channels_divided_by": "1st channels /", "first": "time points"}
"""Headings of settings that are no keys of a configuration."""


def _studies() -> Iterable[str]:
    from spikex_sim.explore.imc import STUDIES

    return STUDIES


def imc_study(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            help="Trace files or folders of one network, or a network preset; default: the packaged digit.",
            metavar="[TRACE|NETWORK]...",
        ),
    ] = None,
    study: Annotated[
        str,
        typer.Option(
            "--study",
            help="precision, umem, sharing, r-on, size, encoding, timesteps or keys.",
            metavar="NAME",
            autocompletion=completing(_studies),
        ),
    ] = "precision",
    arch: Arch = "spikesim",
    timesteps: Annotated[
        int | None, typer.Option("--timesteps", help="Of generated spikes; default: the network's.", min=1)
    ] = None,
    settings: Settings = None,
    engine: Engine = "fast",
    jobs: Jobs = 1,
    out: Out = None,
    safe_csv: SafeCsv = False,
) -> None:
    """Replay samples at many settings of a crossbar machine: what each costs, and how often it is right.

    With --out also writes imc-NAME.csv and draws it. A network preset has generated spikes, no weights; add
    --set imc.arrays=ideal where arrays would not be.

    Example: spikex-sim imc-study recordings --study size --set imc.calibration=train --out results/size
    """
    overrides = parse_settings(settings, None)
    from spikex_sim.cli import show

    show.log_to_terminal()
    from spikex_sim.core.files import check_writable, csv_text, write_files
    from spikex_sim.core.origin import origin
    from spikex_sim.explore import imc

    if out is not None:
        check_writable(out)
    samples = given or [str(default_trace(None))]
    with show.progress_bar("reading") as progress:
        rows = imc.study(
            samples, study, arch, timesteps=timesteps, overrides=overrides, engine=engine, jobs=jobs,
            progress=progress,
        )  # fmt: skip
    show.put(_table(study, rows))
    if out is not None:
        from spikex_sim.plots.imc import IMC_FIGURES
        from spikex_sim.plots.style import columns, file_bytes

        same = {"engine": engine, **origin()}
        cells = [{"arch": arch, **row, **same} for row in rows]
        files: dict[str, str | bytes] = {f"imc-{study}.csv": csv_text(cells, safe=safe_csv)}
        figure, _ = IMC_FIGURES[f"imc-{study}"](cells, None, columns(2))
        files[f"imc-{study}.pdf"] = file_bytes(figure, "pdf")
        wrote(write_files(out, files))


def _table(study: str, rows: list[dict[str, Any]]) -> Sheet:
    from spikex_sim.cli import show
    from spikex_sim.core.sheet import short
    from spikex_sim.core.text import counted
    from spikex_sim.core.units import joules, with_prefix
    from spikex_sim.explore.imc import STUDIES

    shows_lif = study in ("umem", "sharing")
    keys = list(rows[0])[: list(rows[0]).index("samples")]
    headings = [SETTINGS.get(key) or key.removeprefix("imc.") for key in keys]
    [count] = {row["samples"] for row in rows if row["samples"]}
    about = STUDIES[study].about
    made = show.table(
        f"{about[0].upper()}{about[1:]}; means of {counted(count, 'sample')}",
        *headings, "correct %", "changed %", "energy", "latency", "area mm²", *(["LIF mm²"] * shows_lif),
        left=len(headings),
    )  # fmt: skip
    for row in rows:
        label = [short(str(row[key]) or "-") for key in keys]
        if row["refused"]:
            made.add_row(*label, *["refused"] * (5 + shows_lif))
            continue
        known = row["output_spikes"] is not None
        made.add_row(
            *label,
            "" if row["accuracy"] is None else f"{100 * row['accuracy']:.1f}",
            percent(row["changed_spikes"] or 0, row["output_spikes"]) if known else "",
            joules(row["energy_pj"]),
            with_prefix(row["seconds"], "s"),
            f"{row['area_mm2']:.4g}",
            *([f"{row['area_lif_mm2']:.4g}"] * shows_lif),
        )
    reasons = dict.fromkeys(row["refused"] for row in rows if row["refused"])
    made.caption = "changed: output spikes of all layers that exact sums would not have given"
    made.caption += "".join(f"; refused: {reason}" for reason in reasons)
    return made
