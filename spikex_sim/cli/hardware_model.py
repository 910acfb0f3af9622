"""Commands around the choice of window sizes: hardware-model and search-tws."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikex_sim.cli.evaluate import Data, Part, SampleStep
from spikex_sim.cli.options import (
    Arch,
    Engine,
    Jobs,
    Out,
    Settings,
    parse_numbers,
    parse_settings,
    writable_file,
    wrote,
)
from spikex_sim.core.errors import ConfigError

if TYPE_CHECKING:
    from spikex_sim.explore.fitted import HardwareModel
    from spikex_sim.explore.tws_search import TwsSearch

WIDE_PANELS = 6
"""Layers whose panels fit side by side."""

Sizes = Annotated[
    str | None,
    typer.Option("--tws", help="Window sizes; default: 1,2,4,8,16 up to T.", metavar="N1,N2,..."),
]


def hardware_model(
    network: Annotated[str, typer.Argument(help="Network preset or YAML file.", metavar="NETWORK")],
    out: Annotated[Path, typer.Option("--out", help="File to write the model to (JSON).", metavar="FILE")],
    arch: Arch = "spikex",
    tws: Sizes = None,
    settings: Settings = None,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Random fields of each kind of spikes.")
    ] = 2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the spikes.")] = 0,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", help="Draw points and lines: .pdf, .png or .svg.", metavar="FILE"),
    ] = None,
) -> None:
    """Fit what each layer costs to the density of its active windows, from simulations.

    The model is what hardware-aware training takes for the accelerator: piecewise linear EDP, energy and
    cycles per active window, for every layer and window size.

    Example: spikex-sim hardware-model nmnist --arch spikex --tws 1,2,4,8 --out nmnist.json
    """
    overrides = parse_settings(settings, None)
    sizes = None if tws is None else parse_numbers(tws, "--tws", int)
    from spikex_sim.cli import show

    show.log_to_terminal()
    from spikex_sim.core.files import write_files
    from spikex_sim.explore.fitted import fit_hardware_model

    for path in (out, figure):
        if path is not None:
            writable_file(path)
    form = "" if figure is None else _format(figure)
    with show.progress_bar("fitting") as progress:
        model = fit_hardware_model(
            network, arch, sizes, overrides, samples=samples, seed=seed, progress=progress
        )
    _show_model(model)
    files = [model.save(out)]
    if figure is not None:
        from spikex_sim.plots.hardware import hardware_model as draw
        from spikex_sim.plots.style import columns, file_bytes

        drawn, _ = draw(model.fits, None, columns(2 if len(model.layers) <= WIDE_PANELS else 1))
        files += write_files(figure.parent, {figure.name: file_bytes(drawn, form)})
    wrote(files)


def search_tws(
    network: Annotated[
        str, typer.Argument(help="Network with shipped weights, or a file of weights (.npz).")
    ],
    variant: Annotated[
        str | None, typer.Option("--variant", help="Of base, ht, has; default base.", metavar="NAME")
    ] = None,
    data: Data = None,
    split: Part = "test",
    step_ms: SampleStep = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Most samples; default 20.")] = 20,
    arch: Arch = "spikex",
    tws: Sizes = None,
    settings: Settings = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare", help="Sizes to set beside; default: those of a has network.", metavar="N1,N2,..."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the random search.")] = 0,
    engine: Engine = "fast",
    jobs: Jobs = 1,
    out: Out = None,
) -> None:
    """Search each layer's window size: exhaustively, and at random with as many simulations.

    The exhaustive search is exact for all combinations, but simulates each layer and size only once. The
    sizes that hardware architecture search found for a network are set beside it.

    Example: spikex-sim search-tws nmnist --variant has --tws 1,2,4,8 --limit 10
    """
    overrides = parse_settings(settings, None)
    sizes = None if tws is None else parse_numbers(tws, "--tws", int)
    beside = None if compare is None else parse_numbers(compare, "--compare", int)
    from spikex_sim.cli import show

    show.log_to_terminal()
    from spikex_sim.cli.sweep import counting_bar
    from spikex_sim.core.files import check_writable, csv_text, write_files
    from spikex_sim.core.origin import origin
    from spikex_sim.explore.tws_search import search_tws as search

    if out is not None:
        check_writable(out)
    with counting_bar() as progress:
        made = search(
            network, data, arch, sizes, variant=variant, split=split, step_ms=step_ms, limit=limit,
            given=beside, overrides=overrides, seed=seed, engine=engine, jobs=jobs,
            progress=progress,
        )  # fmt: skip
    show.say(f"[bold]{made.name}[/] on [bold]{made.arch.name}[/]: {made.source}\n")
    _show_search(made)
    if out is not None:
        rows = [{**asdict(one), "tws": " ".join(map(str, one.tws)), **origin()} for one in made.found]
        wrote(write_files(out, {"search.csv": csv_text(rows)}))


def _format(figure: Path) -> str:
    from spikex_sim.plots.style import FORMATS

    form = figure.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise ConfigError(f"must end in {', '.join(f'.{one}' for one in FORMATS)}", where="--figure")
    return form


def _show_model(model: HardwareModel) -> None:
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.core.sheet import short
    from spikex_sim.explore.fitted.curves import QUANTITIES

    show.say(f"[bold]{escape(model.network)}[/] (T={model.timesteps}) on [bold]{escape(model.arch)}[/]\n")
    made = show.table(
        "Relative error of the fits on their own data, %",
        *("layer", "TWS", "points", "knots"),
        *("EDP", "worst", "energy", "worst", "cycles", "worst"),
    )
    made.beside = "worst"
    made.caption = "median and worst"
    for fit in model.fits:
        errors = [fit.errors[quantity] for quantity in QUANTITIES]
        cells = [f"{100 * value:.1f}" for error in errors for value in (error.median, error.worst)]
        made.add_row(short(fit.layer), str(fit.tws), f"{len(fit.points)}", f"{len(fit.densities)}", *cells)
    show.put(made)
    for refused in model.refused:
        show.say(f"left out: {escape(refused.layer)} at TWS {refused.tws}: {escape(refused.reason)}")


def _show_search(search: TwsSearch) -> None:
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.explore.search_tables import windows_table

    show.put(windows_table(search))
    for (layer, tws), reason in search.refused.items():
        show.say(f"left out: {escape(layer)} at TWS {tws}: {escape(reason)}")
