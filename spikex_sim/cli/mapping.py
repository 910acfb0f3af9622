"""Commands that map networks onto crossbars: map, map verify and map show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spikex_sim.cli.options import Out, completing, wrote

if TYPE_CHECKING:
    from spikex_sim.explore.mapping.heldout import HeldOut
    from spikex_sim.explore.mapping.search import Mapped
    from spikex_sim.mapped.pool import Pool
    from spikex_sim.mapped.unroll import Unrolled

ENGINES = ["auto", "anneal", "cpsat", "lns"]
STORE = "pareto.sqlite"
"""Where budgets of a front that are done are kept."""
MOST_ROWS = 50
"""Crossbars that ``map show`` prints without ``--all``."""
Source = Annotated[
    str,
    typer.Argument(help="Network: JSON, edge list, GraphML, NIR or trace file, or gen:A.", metavar="NETWORK"),
]
PoolName = Annotated[
    str | None,
    typer.Option(
        "--pool",
        help="Crossbars: table2, 16x16, table2x8 or a file.",
        metavar="NAME|FILE",
        autocompletion=completing(lambda: ["table2", "16x16", "table2x8"]),
    ),
]
Mesh = Annotated[str | None, typer.Option("--mesh", help="Place the crossbars.", metavar="auto|ROWSxCOLS")]
Splits = Annotated[
    bool | None,
    typer.Option(
        "--split/--no-split",
        help="Neurons of too many inputs become parts; default: those of traces and NIR files.",
        show_default=False,
    ),
]
Profile = Annotated[
    Path | None,
    typer.Option("--profile", help="Samples that spikes are counted on.", metavar="TRACE|FOLDER"),
]
ProfileShare = Annotated[
    float | None,
    typer.Option("--profile-share", help="Share of them that is counted; default: 0.01.", metavar="F"),
]
Inputs = Annotated[
    str | None,
    typer.Option("--inputs", help="Whether nodes without sources take columns.", metavar="mapped|external"),
]
KeepZeros = Annotated[bool, typer.Option("--keep-zeros", help="Synapses of weight 0 count, too.")]
Layers = Annotated[
    str | None, typer.Option("--layers", help="Layers of a trace; default: all.", metavar="NAME,...")
]


def map_network(
    network: Source,
    pool: PoolName = None,
    objective: Annotated[
        str,
        typer.Option("--objective", help="Made small after the area.", metavar="area|routes|packets"),
    ] = "area",
    engine: Annotated[
        str,
        typer.Option(
            "--engine", help="auto: annealing; few neurons are proven by CP-SAT.",
            metavar="auto|anneal|cpsat|lns", autocompletion=completing(lambda: ENGINES),
        ),
    ] = "auto",
    steps: Annotated[
        float | None, typer.Option("--steps", help="Moves of an annealing run; default: 3e7.", metavar="N")
    ] = None,
    restarts: Annotated[
        int | None, typer.Option("--restarts", help="Runs of the area stage; default: 3.", metavar="N")
    ] = None,
    solver_time: Annotated[
        float | None,
        typer.Option(
            "--solver-time", metavar="UNITS",
            help="Deterministic time of a stage of cpsat or lns, some seconds a unit; default: 10.",
        ),
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", help="Seconds after which the search is cut.", metavar="S")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the first run.", metavar="N")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", help="Runs at a time.", metavar="N")] = 1,
    freeze: Annotated[
        str,
        typer.Option("--freeze", help="What later stages keep of the area stage.", metavar="area|types"),
    ] = "area",
    area_budget: Annotated[
        str | None,
        typer.Option("--area-budget", help="Largest area of later stages.", metavar="N|+P%|none"),
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option("--pareto", help="Several of these, and what each gives.", metavar="auto|N1,N2,..."),
    ] = None,
    mesh: Mesh = None,
    split: Splits = None,
    profile: Profile = None,
    profile_share: ProfileShare = None,
    inputs: Inputs = None,
    keep_zeros: KeepZeros = False,
    layers: Layers = None,
    out: Out = None,
) -> None:  # fmt: skip
    """Map a network onto crossbars: the least area, then few routes or packets within it.

    With --out also writes mapping.json, crossbars.csv, network.json, of a profile heldout.csv, of --pareto
    pareto.csv: budgets that are done are kept there, and after an interruption the same command goes on.

    Example: spikex-sim map gen:E --pool table2 --objective routes --steps 1e6
    """
    from spikex_sim.cli import show

    show.log_to_terminal()
    from spikex_sim.explore.mapping.prepare import prepared
    from spikex_sim.explore.mapping.search import Effort, map_graph

    effort = Effort.of(
        engine, steps=_whole(steps), restarts=restarts, seed=seed, jobs=jobs, solver_time=solver_time,
        time_limit=time_limit,
    )  # fmt: skip
    with _store(out, pareto) as kept:
        read = _read(network, inputs, layers, keep_zeros=keep_zeros)
        crossbars = _pool(pool, read)
        with show.progress_bar("profile") as progress:
            ready = prepared(
                read, crossbars, splits=split, profile=profile, profile_share=profile_share, seed=seed,
                progress=progress,
            )  # fmt: skip
        with show.progress_bar("mapping") as progress:
            found = map_graph(
                ready.graph, crossbars, objective, effort, freeze=freeze, area_budget=area_budget,
                pareto=pareto, kept=kept, mesh=mesh, order=ready.order, progress=progress,
            )  # fmt: skip
        with show.progress_bar("packets") as progress:
            found = ready.finished(found, progress=progress)
        _show(found)
        if out is not None:
            wrote(found.save(out))


def verify(
    mapping: Annotated[Path, typer.Argument(help="A mapping.json, or its folder.", metavar="MAPPING")],
    network: Annotated[
        str | None, typer.Argument(help="Its network; default: network.json beside it.", metavar="NETWORK")
    ] = None,
    inputs: Inputs = None,
    keep_zeros: KeepZeros = False,
    layers: Layers = None,
) -> None:
    """Hold a mapping against its network and pool, from the definitions alone.

    Prints `ok`, or a line for each thing that is wrong, and then ends with exit code 2.

    Example: spikex-sim map verify results/map
    """
    from spikex_sim.cli import show

    show.log_to_terminal()
    from spikex_sim.cli.options import echo
    from spikex_sim.mapped.saved import SavedMapping
    from spikex_sim.mapped.verify import violations, with_spikes

    path = mapping / "mapping.json" if mapping.is_dir() else mapping
    saved = SavedMapping.load(path)
    beside = path.parent / "network.json"
    source = network if network is not None else str(beside)
    graph = _read(source, inputs, layers, keep_zeros=keep_zeros).graph
    if network is not None and "profile" in saved.metrics and beside.exists():
        graph = with_spikes(graph, _read(str(beside), None, None, keep_zeros=False).graph)
    found = violations(saved, graph)
    if not found:
        echo("ok")
        return
    for line in found:
        echo(f"spikex-sim: {path}: {line}", err=True)
    raise typer.Exit(2)


def show_mapping(
    mapping: Annotated[Path, typer.Argument(help="A mapping.json, or its folder.", metavar="MAPPING")],
    every: Annotated[bool, typer.Option("--all", help=f"All crossbars, not {MOST_ROWS}.")] = False,
) -> None:
    """Show which neuron is in which crossbar.

    Example: spikex-sim map show results/map
    """
    from spikex_sim.cli import show

    show.log_to_terminal()
    from spikex_sim.core.sheet import short
    from spikex_sim.mapped.saved import SavedMapping

    saved = SavedMapping.load(mapping)
    sheet = show.table(short(str(saved.network.get("name", ""))), "crossbar", "type", "neurons", "which")
    rows = saved.crossbars if every else saved.crossbars[:MOST_ROWS]
    for number, one in enumerate(rows):
        sheet.add_row(str(number), short(one["type"]), str(len(one["neurons"])), _ranges(one["neurons"]))
    show.put(sheet)
    if len(rows) < len(saved.crossbars):
        show.say(f"... {len(saved.crossbars) - len(rows):,} more; --all shows them")


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


def _pool(name: str | None, network: Unrolled) -> Pool:
    from spikex_sim.mapped.pool import load_pool

    return load_pool(name if name is not None else "table2x8" if network.parts else "table2")


@contextmanager
def _store(out: Path | None, pareto: str | None) -> Iterator[Path | None]:
    """Where budgets that are done are kept, if there are several and a folder for results."""
    if out is not None and pareto is not None:
        from spikex_sim.core.claim import claimed

        with claimed(out) as folder:
            yield folder / STORE
        return
    if out is not None:
        from spikex_sim.core.files import check_writable

        check_writable(out)
    yield None


def _whole(steps: float | None) -> int | None:
    from spikex_sim.core.errors import ConfigError

    if steps is None:
        return None
    if not isfinite(steps) or steps != int(steps):
        raise ConfigError(f"wants a whole number, not {steps:g}", field="--steps")
    return int(steps)


def _show(found: Mapped) -> None:
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.explore.mapping.cpsat import COPIES_SCOPE
    from spikex_sim.explore.mapping.tables import mapping_tables

    graph, metrics = found.network, found.metrics
    show.say(
        f"[bold]{escape(graph.name)}[/]: {graph.neurons:,} neurons, {graph.external:,} external axons, "
        f"{graph.edges:,} synapses; pool {escape(found.mapping.pool.name)}\n"
    )
    show.put(*mapping_tables(found))
    used = ", ".join(
        f"{name} {100 * metrics[f'occupancy_{name}']:.1f} %" for name in ("cells", "inputs", "outputs")
    )
    show.say(f"in use: {used}")
    if found.placement is not None:
        rows, cols = metrics["mesh"]
        show.say(
            f"mesh {rows}x{cols}: {metrics['hops']:,} hops, {metrics['hops_multicast']:,} with multicast, "
            f"{metrics['packets_busiest_link']:,} packets over the busiest link"
        )
    if "psum_routes" in metrics:
        show.say(
            f"split: {found.mapping.graph.neurons - graph.neurons:,} further parts of neurons; "
            f"{metrics['psum_routes']:,} send sums to other crossbars, {metrics['psum_packets']:,} packets"
        )
    if found.heldout is not None:
        show.say(_packets(found.heldout))
    if any(one.bound_scope == COPIES_SCOPE for one in found.stages):
        show.note("*: bound of mappings with no more crossbars of each type than the solver was given")
    if any(one.cut for one in found.every_stage):
        show.note("cut by --time-limit: what is found depends on the machine")
    if not graph.profiled:
        show.note("packets: a spike each, as the network comes without a profile of spikes")


def _packets(found: HeldOut) -> str:
    """Packets on the profile and on samples that it leaves out."""
    number, total = len(found.profile), sum(packets for _, packets in found.profile)
    samples = "1 sample" if number == 1 else f"{number:,} samples"
    profile = f"packets on the profile, {samples}: {total:,}"
    if found.mean is None or found.deviation is None:
        return f"{profile}; profile: same, no sample is left to hold it against"
    return (
        f"{profile}; on each of {len(found.rest):,} held out: {found.mean:,.1f}, "
        f"standard deviation {found.deviation:,.1f}"
    )


def _ranges(numbers: list[int]) -> str:
    """``1-3, 7`` of ascending numbers."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)
