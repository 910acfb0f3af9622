"""Command that draws figures of what other commands wrote: plot."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikex_sim.cli.options import Out, completing, echo, split_names, wrote
from spikex_sim.core.errors import ConfigError, FigureError
from spikex_sim.core.hints import one_of

if TYPE_CHECKING:
    from spikex_sim.plots.folder import Drawing
    from spikex_sim.plots.style import Style


def _names() -> Iterable[str]:
    from spikex_sim.plots.folder import NAMES

    return NAMES


def plot(
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder that another command wrote with --out; or a trace file.",
            metavar="DIR",
        ),
    ],
    figures: Annotated[
        list[str] | None,
        typer.Option(
            "--figure",
            help="Draw this one only; may repeat. Default: all.",
            metavar="NAME",
            autocompletion=completing(_names),
        ),
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Of pdf, png and svg, separated by commas.", metavar="F1,F2,...")
    ] = "pdf",
    columns: Annotated[
        int, typer.Option("--columns", help="Columns of a page that a figure spans.", metavar="1|2")
    ] = 1,
    tws: Annotated[
        int, typer.Option("--tws", help="Window size of a trace's raster, time points.", metavar="N", min=1)
    ] = 4,
    out: Out = None,
) -> None:
    """Draw every figure that a folder of results permits, sized for a paper; name those it does not.

    Runs nothing. Files go to DIR/figures, or to --out.

    Example: spikex-sim plot results/run --figure stalls --format pdf,svg --columns 2
    """
    from spikex_sim.plots import folder
    from spikex_sim.plots.style import FORMATS
    from spikex_sim.plots.style import columns as columns_style

    wanted = figures or []
    for name in wanted:
        if name not in folder.NAMES:
            raise ConfigError(one_of(name, folder.NAMES), where="--figure")
    forms = tuple(dict.fromkeys(split_names(formats, "--format")))
    for form in forms:
        if form not in FORMATS:
            raise ConfigError(one_of(form, FORMATS), where="--format")
    style = columns_style(columns)

    from spikex_sim.core.files import write_files

    drawings = folder.drawings_of(path, tws)
    offered = {drawing.name: drawing for drawing in drawings}
    for name in wanted:
        lacks = offered[name].lacks if name in offered else f"it permits {', '.join(offered)}"
        if lacks:
            raise ConfigError(f"cannot be drawn from {path}: {lacks}", where=f"--figure {name}")
    contents, left = _drawn([one for one in drawings if not wanted or one.name in wanted], forms, style)
    for reason in left.values() if wanted else ():
        raise reason
    if not contents:
        reasons = "; ".join(dict.fromkeys(map(str, left.values())))
        raise FigureError(f"nothing can be drawn: {reasons}", where=str(path))
    wrote(write_files(out or (path if path.is_dir() else path.parent) / "figures", contents))
    for name, reason in left.items():
        echo(f"left out {name}: {reason}")


def _drawn(
    drawings: list[Drawing], forms: tuple[str, ...], style: Style
) -> tuple[dict[str, bytes], dict[str, FigureError]]:
    """Contents of files by name, and why what cannot be drawn cannot."""
    contents: dict[str, bytes] = {}
    left: dict[str, FigureError] = {}
    for drawing in drawings:
        try:
            if drawing.lacks:
                raise FigureError(drawing.lacks)
            contents |= drawing.files(forms, style)
        except FigureError as exc:
            left[drawing.name] = exc
    return contents, left
