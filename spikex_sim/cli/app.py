"""Commands that replay a trace: run and compare; and the others, put together."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from spikex_sim.cli import (
    dispatch,
    doctor,
    energy,
    evaluate,
    explore,
    hardware_model,
    imc_study,
    listing,
    mapping,
    mapping_compare,
    nas,
    nas_search,
    plot,
    record,
    report,
    reproduce,
    rtl,
    studies,
    sweep,
    trace,
    train,
)
from spikex_sim.cli.choose import Choice, Fields, Sort, Top
from spikex_sim.cli.once import take_once
from spikex_sim.cli.options import (
    Arch,
    Archs,
    Engine,
    Jobs,
    Out,
    SafeCsv,
    Settings,
    TracePath,
    Tws,
    default_trace,
    echo,
    forget,
    parse_settings,
    results_folder,
    split_names,
    wrote,
)
from spikex_sim.cli.overlap import keep_inputs
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.memory import VARIABLE
from spikex_sim.spec.load import describe_keys, load_accelerator

if TYPE_CHECKING:
    from spikex_sim.spec.arch import Accelerator


class TwoWords(TyperGroup):
    """Commands of two words, such as ``sweep export``, beside one of the first word alone."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first words name; a file of the second's name is ``./export``."""
        both = " ".join(args[:2])
        return super().resolve_command(ctx, [both, *args[2:]] if both in self.commands else args)


app = typer.Typer(
    name="spikex-sim",
    cls=TwoWords,
    help="Replay spike traces through systolic-array accelerators, cycle by cycle.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(trace.app, name="trace")
app.add_typer(energy.app, name="energy")
app.add_typer(rtl.app, name="rtl")

trace.app.command()(record.record)
trace.app.command()(record.nir)
app.command()(sweep.sweep)
app.command("sweep export")(sweep.export)
app.command("sweep merge")(sweep.merge)
app.command()(explore.explore)
app.command()(plot.plot)
app.command()(report.report)
app.command()(reproduce.reproduce)
app.command()(studies.dynamic)
app.command()(studies.ann)
app.command()(evaluate.evaluate)
app.command()(dispatch.dispatch)
app.command()(imc_study.imc_study)
app.command()(hardware_model.hardware_model)
app.command()(hardware_model.search_tws)
app.command()(train.train)
app.command("map")(mapping.map_network)
app.command("map verify")(mapping.verify)
app.command("map show")(mapping.show_mapping)
app.command("map compare")(mapping_compare.map_compare)
app.command("nas")(nas_search.nas)
app.command("nas cost")(nas.cost)
app.command("nas table")(nas.pair_table)
app.command("nas show")(nas_search.nas_show)
app.command("list")(listing.list_names)
app.command()(doctor.doctor)


def command() -> Any:
    """Return the command line as an object to call."""
    built = typer.main.get_command(app)
    keep_inputs(built)
    take_once(built)
    return built


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    max_memory_gb: Annotated[
        float | None,
        typer.Option(
            "--max-memory-gb", help="Memory that may be taken; default: all that is free.", metavar="GB"
        ),
    ] = None,
) -> None:
    if max_memory_gb is not None:
        if not 0 < max_memory_gb < float("inf"):
            raise ConfigError(f"{max_memory_gb:g} is not a number of GB above 0", where="--max-memory-gb")
        os.environ[VARIABLE] = str(max_memory_gb)
    if version:
        from importlib.metadata import version as version_of

        echo(f"spikex_sim {version_of('spikex_sim')}")
        raise typer.Exit


@app.command()
def run(
    trace_path: TracePath = None,
    arch: Arch = "spikex",
    tws: Tws = None,
    settings: Settings = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", help="With --arch crossbar: a mapping of `map`.", metavar="FILE|DIR"),
    ] = None,
    engine: Engine = "fast",
    jobs: Jobs = 1,
    out: Out = None,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Write timeline.json to --out, for ui.perfetto.dev.")
    ] = False,
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers", help="Layers in --timeline and --accesses; default: all.", metavar="NAME,..."
        ),
    ] = None,
    accesses: Annotated[
        Path | None,
        typer.Option("--accesses", help="Write every transfer as CSV; packed as .csv.gz.", metavar="FILE"),
    ] = None,
    access_levels: Annotated[
        str | None,
        typer.Option("--access-levels", help="Levels in --accesses; default: dram.", metavar="dram,glb"),
    ] = None,
    sort: Sort = None,
    top: Top = None,
    fields: Fields = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Say what bounds the layers, and try the keys that could help."),
    ] = False,
    safe_csv: SafeCsv = False,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the configuration and exit.")
    ] = False,
) -> None:
    """Replay one trace, or the recordings of a folder, through one accelerator.

    Of several recordings it shows totals, and the mean and standard deviation of one. With --out they are
    kept as they are done: after an interruption, the same command goes on.

    --sort, --top and --fields print one table, of the columns of layers.csv, in place of the usual ones.

    Example: spikex-sim run traces/nmnist_digit.npz --arch spikex --tws 4 --out results/run
    """
    overrides = parse_settings(settings, tws)
    if mapping is not None:
        overrides["crossbar_mapping"] = str(mapping)
    accelerator = load_accelerator(arch, overrides)
    if show_config:
        _show_config(accelerator)
        return
    from spikex_sim.cli import show
    from spikex_sim.cli.layers import layer_columns, show_layers
    from spikex_sim.cli.steps import Wanted

    show.log_to_terminal()
    wanted = Wanted.of(out, accesses, access_levels, layers, timeline=timeline)
    choice = Choice.of(sort, top, fields, layer_columns())
    from spikex_sim.run.simulate import simulate
    from spikex_sim.trace.together import as_traces, layer_names

    with results_folder(out) as kept:
        traces = as_traces(default_trace(trace_path))
        observed = wanted.observed(layer_names(traces[0]), accelerator)
        if observed is None and (jobs != 1 or len(traces) > 1 or traces[0].samples > 1):
            from spikex_sim.explore.many import replay_one

            with sweep.counting_bar() as progress:
                result = replay_one(
                    traces, accelerator, engine=engine, jobs=jobs, resume=kept, progress=progress
                )
        else:
            if jobs != 1:
                raise ConfigError("--timeline and --accesses follow a run in one process", field="--jobs")
            with show.progress_bar("reading") as progress:
                result = simulate(traces, accelerator, engine=engine, progress=progress, observe=observed)
        files = result.save(out, safe_csv=safe_csv) if out is not None else []
        if len(result.samples) > 1:
            forget(kept)
        files += wanted.write(observed, result)
    if choice:
        show_layers(result, choice)
    else:
        show.show_run(result, traces[0])
    if explain:
        from spikex_sim.cli.explanation import show_explanation
        from spikex_sim.explore.explanation import explanation_of

        with show.progress_bar("trying") as progress:
            found = explanation_of(traces, result, progress=progress)
        show_explanation(found)
    wrote(files)


@app.command()
def compare(
    trace_path: TracePath = None,
    arch: Archs = "spikex,ptb",
    tws: Tws = None,
    settings: Settings = None,
    engine: Engine = "fast",
    sort: Sort = None,
    top: Top = None,
    fields: Fields = None,
    jobs: Jobs = 1,
    out: Out = None,
    safe_csv: SafeCsv = False,
) -> None:
    """Replay the same trace through several accelerators, side by side.

    --sort, --top and --fields print one table, of the columns of sweep.csv, in place of the usual ones.
    Ratios are to the first that can take the trace. Presets decide their window size where --tws does not:
    PTB searches its best.

    Example: spikex-sim compare --arch spikex,ptb --tws 4
    """
    overrides = parse_settings(settings, tws)
    accelerators = [load_accelerator(name, overrides) for name in split_names(arch, "--arch")]
    from spikex_sim.cli import show

    show.log_to_terminal()
    from spikex_sim.cli.comparison import show_comparison
    from spikex_sim.explore.comparison import compare as run_all
    from spikex_sim.trace.together import as_traces

    choice = Choice.of(sort, top, fields, sweep.sweep_columns([]))
    with results_folder(out) as kept:
        traces = as_traces(default_trace(trace_path))
        with sweep.counting_bar() as progress:
            found = run_all(traces, accelerators, engine=engine, jobs=jobs, resume=kept, progress=progress)
        show_comparison(found, traces[0], choice)
        if out is not None:
            for position, (name, result) in enumerate(found.outcomes):
                if not isinstance(result, str):
                    folder = re.sub(r"[^\w.+-]", "_", name)
                    wrote(result.save(out / f"{position}-{folder}", safe_csv=safe_csv))
            if any(len(one.samples) > 1 for one in found.results):
                forget(kept)


def _show_config(accelerator: Accelerator) -> None:
    from spikex_sim.cli import show

    rows = []
    for key, info, value in describe_keys(accelerator):
        extra = info.json_schema_extra
        unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
        rows.append((key, str(value), unit, info.description or ""))
    show.show_config(rows)
