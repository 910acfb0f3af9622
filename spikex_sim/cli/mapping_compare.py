"""Command that maps a network in several ways, side by side: map compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spikex_sim.cli.mapping import (
    Inputs,
    KeepZeros,
    Layers,
    Mesh,
    PoolName,
    Profile,
    ProfileShare,
    Source,
    Splits,
)
from spikex_sim.cli.options import Out, completing, wrote

if TYPE_CHECKING:
    from spikex_sim.core.sheet import Sheet
    from spikex_sim.explore.mapping.compare import Comparison
    from spikex_sim.mapped.unroll import Unrolled

FILE = "compare.sqlite"
"""Where finished ways are kept."""


def map_compare(
    network: Source,
    pool: PoolName = None,
    objective: Annotated[
        str,
        typer.Option("--objective", help="How far annealing goes.", metavar="area|routes|packets"),
    ] = "area",
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods", help="What maps; default: all.", metavar="first-fit,greedy,mcc,anneal",
            autocompletion=completing(lambda: ["first-fit", "greedy", "mcc", "anneal"]),
        ),
    ] = None,
    steps: Annotated[
        float, typer.Option("--steps", help="Moves of an annealing run.", metavar="N")
    ] = 30_000_000,
    restarts: Annotated[int, typer.Option("--restarts", help="Runs of the area stage.", metavar="N")] = 3,
    seed: Annotated[int, typer.Option("--seed", help="Of the first run.", metavar="N")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", help="Ways at a time.", metavar="N")] = 1,
    mesh: Mesh = None,
    split: Splits = None,
    profile: Profile = None,
    profile_share: ProfileShare = None,
    inputs: Inputs = None,
    keep_zeros: KeepZeros = False,
    layers: Layers = None,
    out: Out = None,
) -> None:  # fmt: skip
    """Map a network by first-fit, greedy merging, SpikeHard's MCC and annealing; compare areas and routes.

    Each maps into crossbars of one type, the smallest square of the pool that takes every neuron, and into
    the pool. With --out also writes compare.csv, compare.json, compare.pdf, the network, and every mapping in
    a folder; finished mappings are kept as they are done: after an interruption, the same command goes on.

    Example: spikex-sim map compare gen:E --objective routes --steps 1e6 --out results/compare
    """
    from spikex_sim.cli import show
    from spikex_sim.cli.options import split_names

    show.log_to_terminal()
    from spikex_sim.explore.mapping.compare import METHODS, compare
    from spikex_sim.explore.mapping.effort import Effort
    from spikex_sim.explore.mapping.prepare import prepared
    from spikex_sim.mapped.pool import load_pool

    effort = Effort("anneal", _whole(steps), restarts, seed, jobs)
    chosen = METHODS if methods is None else split_names(methods, "--methods")
    with _folder(out) as kept:
        read = _read(network, inputs, layers, keep_zeros=keep_zeros)
        crossbars = load_pool(pool or ("table2x8" if read.parts else "table2"))
        with show.progress_bar("profile") as progress:
            ready = prepared(
                read, crossbars, splits=split, profile=profile, profile_share=profile_share, seed=seed,
                progress=progress,
            )  # fmt: skip
        with show.progress_bar("mapping") as progress:
            found = compare(
                ready, crossbars, objective=objective, methods=chosen, effort=effort, mesh=mesh, kept=kept,
                progress=progress,
            )  # fmt: skip
        _show(found)
        if out is not None:
            wrote(_save(found, out))


def _read(source: str, inputs: str | None, layers: str | None, *, keep_zeros: bool) -> Unrolled:
    from spikex_sim.cli.options import split_names
    from spikex_sim.core.errors import ConfigError
    from spikex_sim.core.hints import one_of
    from spikex_sim.explore.mapping.reading import read_network

    choices: tuple[Literal["mapped", "external"], ...] = ("mapped", "external")
    chosen = next((one for one in choices if one == inputs), None)
    if inputs is not None and chosen is None:
        raise ConfigError(one_of(inputs, choices), field="--inputs")
    names = None if layers is None else split_names(layers, "--layers")
    return read_network(source, inputs=chosen, keep_zeros=keep_zeros, layers=names)


def _whole(steps: float) -> int:
    from spikex_sim.core.errors import ConfigError

    if not isfinite(steps) or steps != int(steps):
        raise ConfigError(f"wants a whole number, not {steps:g}", field="--steps")
    return int(steps)


@contextmanager
def _folder(out: Path | None) -> Iterator[Path | None]:
    """Claim a folder of results; gives the file there that finished ways are kept in."""
    if out is None:
        yield None
        return
    from spikex_sim.core.claim import claimed

    with claimed(out) as folder:
        yield folder / FILE


def _save(found: Comparison, out: Path) -> list[Path]:
    from spikex_sim.core.files import csv_text, write_files
    from spikex_sim.explore.mapping.compare import mappings
    from spikex_sim.explore.mapping.documents import graph_text
    from spikex_sim.plots.mapper_charts import comparison
    from spikex_sim.plots.style import columns, file_bytes

    for folder, saved in mappings(found):
        saved.save(out / folder)
    rows = found.rows
    files: dict[str, str | bytes] = {
        "network.json": graph_text(found.graph), "compare.csv": csv_text(rows), "compare.json": found.text,
    }  # fmt: skip
    if rows:
        files["compare.pdf"] = file_bytes(comparison(rows, None, columns(2))[0], "pdf")
    return write_files(out, files)


def _show(found: Comparison) -> None:
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.explore.mapping.compare import mappings

    graph = found.graph
    show.say(
        f"[bold]{escape(graph.name)}[/]: {graph.neurons:,} neurons, {graph.external:,} external axons, "
        f"{graph.edges:,} synapses\n"
    )
    show.put(*_tables(found))
    usual = found.reference
    if usual is not None:
        show.say(f"less %: area, against {usual.area:,} cells of MCC in {escape(usual.way.pool.name)}")
    show.say("*: the better of MCC's starts")
    for line in found.notes:
        show.note(f"left out: {line}")
    if any(saved.splits for _, saved in mappings(found)):
        show.say("neurons are split: sums of their parts are among the hops, not the packets")
    if not graph.profiled:
        show.note("packets: a spike each, as the network comes without a profile of spikes")


def _tables(found: Comparison) -> Iterator[Sheet]:
    """A table a pool."""
    from spikex_sim.cli import show
    from spikex_sim.core.sheet import short

    rows = found.rows
    placed = any(row["hops"] != "" for row in rows)
    for kind in dict.fromkeys(row["kind"] for row in rows):
        mine = [row for row in rows if row["kind"] == kind]
        made = show.table(
            f"{kind}: {short(mine[0]['pool'])}",
            "", "area", "crossbars", "less %", "routes", "packets", *(["hops"] * placed), "s",
        )  # fmt: skip
        for row in mine:
            name = f"{row['method']} {row['start'] or row['objective']}".rstrip()
            made.add_row(
                f"{name} *" if row["better"] else name,
                f"{row['area']:,}", f"{row['crossbars']:,}",
                "" if row["less_percent"] == "" else f"{row['less_percent']:.1f}",
                f"{row['routes']:,}", f"{row['packets']:,}",
                *([f"{row['hops']:,}" if row["hops"] != "" else ""] * placed),
                f"{row['seconds']:.1f}",
            )  # fmt: skip
        yield made
