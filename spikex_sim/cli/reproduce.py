"""Command that runs the SpikeX paper's studies again: reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikex_sim.cli.options import Out, completing, split_names, wrote
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of

if TYPE_CHECKING:
    from spikex_sim.papers.spikex.measures import Trend
    from spikex_sim.papers.spikex.scorecard import Line
    from spikex_sim.papers.spikex.studies import Machines
    from spikex_sim.papers.spikex.trained import Material

FIGURES = ("fig5", "fig7", "fig8", "fig9", "fig10", "fig11", "fig12", "fig13", "densities", "tables")
NAMES = (*FIGURES, "tornado", "all")


def reproduce(
    figures: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Of {', '.join(NAMES)}; default: all, which leaves out tornado.",
            metavar="FIGURE...",
            autocompletion=completing(lambda: NAMES),
        ),
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Of pdf, png and svg, separated by commas.", metavar="F1,F2,...")
    ] = "pdf",
    columns: Annotated[
        int, typer.Option("--columns", help="Columns of a page that a figure spans.", metavar="1|2")
    ] = 1,
    jobs: Annotated[int, typer.Option("--jobs", help="Processes, for tornado.", min=1)] = 1,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", help="Folder of NETWORK-VARIANT.npz; default: shipped ones.", metavar="DIR"
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", help="Labelled recordings of a network; default: emulated.", metavar="NETWORK=FILE"
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", help="Samples of each network; default 5.", min=1)
    ] = None,
    logs: Annotated[
        list[str] | None,
        typer.Option(
            "--log", help="CSV of training for fig7 or fig8; default: shipped.", metavar="[NETWORK=]FILE"
        ),
    ] = None,
    out: Out = None,
) -> None:
    """Run the SpikeX paper's studies, and lay them beside what was published.

    On the presets spikex-paper and ptb-paper. With --out also the rows (CSV), a drawing of each figure, and
    reproduce.json: configurations, versions, and hashes of weights and samples.
    densities says how dense the networks of fig13 would have to be before and after training.
    fig5 and fig13 show trained networks where there are weights, on recordings or on samples of an emulated
    event camera; fig7 and fig8 are drawn from logs of training.
    tornado moves every parameter that the paper leaves open through its range; it takes minutes.

    Example: spikex-sim reproduce fig9 fig12 --out results/paper
    """
    chosen = _chosen(figures or ["all"])
    material = _material(weights, data, samples, logs)
    from spikex_sim.cli import show
    from spikex_sim.plots.style import FORMATS
    from spikex_sim.plots.style import columns as columns_style

    show.log_to_terminal()
    forms = tuple(dict.fromkeys(split_names(formats, "--format")))
    for form in forms:
        if form not in FORMATS:
            raise ConfigError(one_of(form, FORMATS), where="--format")
    style = columns_style(columns)
    from spikex_sim.core.files import check_writable, csv_text, write_files

    if out is not None:
        check_writable(out)
    from spikex_sim.papers.spikex.measures import trends
    from spikex_sim.papers.spikex.scorecard import markdown, scorecard
    from spikex_sim.papers.spikex.studies import Machines

    machines = Machines.of_presets()
    tables = _run(chosen, jobs, machines, material)
    for name in [name for name in tables if not tables[name]]:
        if name in (figures or []):
            raise ConfigError("there is no log of training to draw it from; give one with --log", where=name)
        show.say(f"{name}: no log of training to draw it from")
        del tables[name]
    lines = scorecard(tables)
    lines = lines if set(FIGURES) <= set(chosen) else [line for line in lines if line.row.figure in chosen]
    told = trends(tables)
    _show_lines(lines)
    _show_trends(told)
    _show_data(tables)
    shown = {"densities": _show_densities, "tables": _show_networks, "tornado": _show_tornado}
    for name in [name for name in shown if name in tables]:
        shown[name](tables[name])
    if out is None:
        if set(tables) <= {"fig5", "fig7", "fig8"}:
            show.say(f"{', '.join(tables)}: drawn only; say where to with --out")
        return
    import json

    from spikex_sim.papers.spikex.about import about
    from spikex_sim.plots.paper import PAPER_FIGURES
    from spikex_sim.plots.style import file_bytes

    contents: dict[str, str | bytes] = {f"{name}.csv": csv_text(rows) for name, rows in tables.items()}
    contents["reproduce.json"] = json.dumps(about(list(tables), machines, material), indent=1) + "\n"
    if lines:
        contents["scorecard.csv"] = csv_text([line.to_row() for line in lines])
        contents["scorecard.md"] = markdown(lines, told)
    for name, rows in tables.items():
        if name in PAPER_FIGURES:
            figure, _ = PAPER_FIGURES[name](rows, None, style)
            contents |= {f"{name}.{form}": file_bytes(figure, form) for form in forms}
    wrote(write_files(out, contents))


def _chosen(figures: list[str]) -> list[str]:
    for name in figures:
        if name not in NAMES:
            raise ConfigError(one_of(name, NAMES), where="reproduce")
    named = {*figures} | ({*FIGURES} if "all" in figures else set())
    return [name for name in NAMES if name in named and name != "all"]


def _material(
    weights: Path | None, data: list[str] | None, samples: int | None, logs: list[str] | None
) -> Material:
    """What the user gives for the studies of trained networks."""
    from spikex_sim.papers.spikex.trained import SAMPLES, Material
    from spikex_sim.papers.spikex.workloads import NETWORKS

    if weights is not None and not weights.is_dir():
        raise ConfigError("is no folder", where=f"--weights {weights}")
    recordings: dict[str, Path] = {}
    for one in data or []:
        network, equals, path = one.partition("=")
        if not equals or network not in NETWORKS:
            raise ConfigError(
                f"wants NETWORK=FILE, a network of {', '.join(NETWORKS)}", where=f"--data {one}"
            )
        recordings[network] = Path(path)
    named = tuple(
        (one.partition("=")[0], Path(one.partition("=")[2])) if "=" in one else ("", Path(one))
        for one in logs or []
    )
    return Material(weights, recordings, samples or SAMPLES, named)


def _run(
    chosen: list[str], jobs: int, machines: Machines, material: Material
) -> dict[str, list[dict[str, Any]]]:
    """Rows of every study, with a progress bar."""
    from spikex_sim.cli import show
    from spikex_sim.papers.spikex import setting
    from spikex_sim.papers.spikex.densities import densities
    from spikex_sim.papers.spikex.studies import STUDIES
    from spikex_sim.papers.spikex.tables import table_ii
    from spikex_sim.papers.spikex.trained import TRAINED_STUDIES

    found = {}
    for name in chosen:
        with show.progress_bar(name) as progress:
            if name in STUDIES:
                found[name] = STUDIES[name](machines, progress)
            elif name in TRAINED_STUDIES:
                found[name] = TRAINED_STUDIES[name](machines, progress, material)
            elif name == "densities":
                found[name] = densities(machines, progress, material)
            elif name == "tables":
                found[name] = table_ii()
            else:
                with setting.evaluator(jobs) as evaluate:
                    found[name] = setting.tornado(setting.of_preset(), evaluate, progress)
    return found


def _show_lines(lines: list[Line]) -> None:
    from spikex_sim.cli import show
    from spikex_sim.papers.spikex.scorecard import WAITING, summary

    if not lines:
        return
    made = show.table(
        "Published and measured", "row", "condition", "published", "measured", "ratio", "near", left=2
    )
    near = {"within 25 %": "yes", "outside": "no", WAITING: "waits"}
    for line in lines:
        made.add_row(
            line.row.id,
            line.row.condition.replace("DVS-Gesture", "DVS"),
            f"{line.row.value:g}",
            "" if line.measured is None else f"{line.measured:.4g}",
            "" if line.ratio is None else f"{line.ratio:.2f}",
            near.get(line.status, line.status),
        )
    made.caption = f"{summary(lines)}."
    show.put(made)


def _show_trends(trends: list[Trend]) -> None:
    from spikex_sim.cli import show

    if not trends:
        return
    show.say("Trends")
    for trend in trends:
        show.say(f"{'yes' if trend.holds else 'NO ':3} {trend.figure:5} {trend.says}: {trend.found}")
    show.say("")


def _show_data(tables: dict[str, list[dict[str, Any]]]) -> None:
    """Say what the figures of networks are of."""
    from rich.markup import escape

    from spikex_sim.cli import show

    told = {
        (row["network"], row.get("variant") or row["configuration"]): row["data"]
        for name in ("fig5", "fig13")
        for row in tables.get(name, [])
    }
    for network in dict.fromkeys(network for network, _ in told):
        sources = dict.fromkeys(about for (of, _), about in told.items() if of == network)
        show.say(f"{network}: {escape('; '.join(sources))}")
    if told:
        show.say("")


def _show_densities(rows: list[dict[str, Any]]) -> None:
    """Densities at which the ratios of Fig. 13 appear together, and those that come along."""
    from spikex_sim.cli import show
    from spikex_sim.papers.spikex.densities import RATIOS

    made = show.table(
        "If networks were this dense, %: PTB over each configuration, ours / published",
        "network", "PTB moves", "before", "after", *(name.replace("-", " ") for name in RATIOS), left=2,
    )  # fmt: skip
    ours = show.table("Networks that come along: mean density of hidden layers, %", "network", "base", "HT")
    for network in dict.fromkeys(row["network"] for row in rows):
        mine = [row for row in rows if row["network"] == network]
        for row in (one for one in mine if one["kind"] == "fitted"):
            cells = (
                f"{row[f'{name}_ratio']:.3g} / {row[f'{name}_published']:g}"
                for name in (one.replace("-", "_") for one in RATIOS)
            )
            made.add_row(
                network.replace("dvs-gesture", "dvs"), row["ptb_moves"],
                f"{100 * row['base_density']:.3g}", f"{100 * row['density']:.3g}", *cells,
            )  # fmt: skip
        known = {row["variant"]: f"{100 * row['density']:.3g}" for row in mine if row["kind"] == "shipped"}
        ours.add_row(network, known.get("base", ""), known.get("HT", ""))
    show.put(made, ours)


def _show_networks(rows: list[dict[str, Any]]) -> None:
    from spikex_sim.cli import show

    made = show.table("Table II", *(name.replace("_", " ") for name in rows[0]), left=1)
    for row in rows:
        made.add_row(*(str(value) for value in row.values()))
    show.put(made)


def _show_tornado(rows: list[dict[str, Any]]) -> None:
    from spikex_sim.cli import show

    figures = list(dict.fromkeys(row["figure"] for row in rows))
    made = show.table(
        "Mean |ln(measured / published)| when one parameter moves", "parameter", "value", *figures, left=2
    )
    for at in range(0, len(rows), len(figures)):
        some = rows[at : at + len(figures)]
        mark = " *" if some[0]["value"] == some[0]["chosen"] else ""
        made.add_row(some[0]["parameter"], some[0]["value"] + mark, *(f"{row['error']:.3f}" for row in some))
    made.caption = "* as in the presets spikex-paper and ptb-paper"
    show.put(made)
