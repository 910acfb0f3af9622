"""Commands about the array in Verilog: rtl export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikex_sim.cli.options import Arch, Settings, TracePath, Tws, default_trace, parse_settings

app = typer.Typer(
    help="The array in Verilog.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    """The array in Verilog."""


@app.command()
def export(
    layer: Annotated[str, typer.Option("--layer", help="Layer with neurons.", metavar="NAME")],
    out: Annotated[Path, typer.Option("--out", help="New folder.", metavar="DIR")],
    trace_path: TracePath = None,
    arch: Arch = "spikex",
    tws: Tws = None,
    settings: Settings = None,
    sample: Annotated[int, typer.Option("--sample", help="Sample of the trace.", metavar="N")] = 0,
    positions: Annotated[
        int | None,
        typer.Option(
            "--positions", min=1, help="Positions that the hardware has; default: the layer's.", metavar="N"
        ),
    ] = None,
    window_bits: Annotated[
        int | None,
        typer.Option(
            "--window-bits",
            min=1,
            max=16,
            help="Bits of its window numbers; default: as needed.",
            metavar="N",
        ),
    ] = None,
) -> None:
    """Write a layer as vectors for the array in Verilog, with the log that it must give.

    In the folder `make` runs them with Icarus Verilog and compares. Of spikex and ptb, int weights.

    Example: spikex-sim rtl export --layer conv1 --out results/rtl
    """
    overrides = parse_settings(settings, tws)
    from spikex_sim.cli import show

    show.log_to_terminal()
    from rich.markup import escape

    from spikex_sim.core.origin import origin
    from spikex_sim.rtl.export import check_new
    from spikex_sim.rtl.export import export as write
    from spikex_sim.rtl.find import rtl_layer
    from spikex_sim.spec.load import load_accelerator
    from spikex_sim.trace.together import as_traces

    check_new(out)
    machine = load_accelerator(arch, overrides)
    with show.progress_bar("replaying") as progress:
        (trace, *more) = as_traces(default_trace(trace_path))
        found = rtl_layer(
            [trace, *more], layer, machine, sample=sample, positions=positions, window_bits=window_bits,
            progress=progress,
        )  # fmt: skip
    about = {"layer": layer, "sample": sample, "trace": trace.name, "trace_sha256": trace.file_sha256,
             "arch": machine.model_dump(mode="json"), **origin()}  # fmt: skip
    write(found, out, about)
    cycles = found.layout.compute_cycles
    show.say(
        f"[bold]{escape(layer)}[/]: {len(found.rows)} row groups of {found.schedule.batches:,} batches, "
        f"{cycles:,} cycles; wrote {escape(str(out))}"
    )
    show.say(f"run it: make -C {escape(str(out))}")
