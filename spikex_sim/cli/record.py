"""Commands that turn networks into traces: record a PyTorch model, take a NIR graph."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spikex_sim.cli.making import OutFile, save
from spikex_sim.cli.options import echo, split_names, writable_file
from spikex_sim.cli.quantization import quantize_into
from spikex_sim.core.errors import ConfigError, SpikexError
from spikex_sim.core.sheet import short

if TYPE_CHECKING:
    from spikex_sim.sources.frameworks.recording import Report
    from spikex_sim.trace.graph import GraphTrace
    from spikex_sim.trace.trace import Trace


def record(
    target: Annotated[
        str,
        typer.Argument(help="FILE.py:FUNCTION or MODULE:FUNCTION, your own code.", metavar="CODE:FUNCTION"),
    ],
    out: OutFile,
    call: Annotated[
        str | None,
        typer.Option("--call", help="How the model is called: step or sequence.", metavar="step|sequence"),
    ] = None,
    skip: Annotated[
        str | None, typer.Option("--skip", help="Modules to leave out, by name.", metavar="NAME,...")
    ] = None,
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Take the nearest neuron where there is no exact one.")
    ] = False,
    closed_loop: Annotated[
        bool, typer.Option("--closed-loop", help="Keep the first layer's input alone.")
    ] = False,
    axes: Annotated[
        str | None,
        typer.Option(
            "--axes",
            help="Axes of the inputs in order; without T an image that stays.",
            metavar="TBCHW|TBN|...",
        ),
    ] = None,
    timesteps: Annotated[
        int | None, typer.Option("--timesteps", min=1, help="Time points of a model that is given no axis T.")
    ] = None,
    input_bits: Annotated[
        int | None, typer.Option("--input-bits", help="Bits of numbers that enter; an image that stays: 8.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Put float layers on the integer datapath: int8 weights.")
    ] = False,
) -> None:
    """Run a PyTorch network and record it. THIS RUNS THE CODE YOU NAME.

    The function takes no arguments. It returns (model, inputs) or (model, inputs, label), or a dict of
    arguments of spikex_sim.record, whose model and inputs are required. Inputs are spikes or numbers, as
    [T, B, C, H, W] or [T, B, N], without B for a single sample, or as --axes says. A chain of layers becomes
    a trace of format 1, any other network a graph, and what was understood of it is shown.

    Example: spikex-sim trace record net.py:build --skip readout --out net.npz
    """
    from spikex_sim.cli import show
    from spikex_sim.cli.usercode import call_function
    from spikex_sim.sources.frameworks.record import record as record_model
    from spikex_sim.trace.graph import GraphTrace
    from spikex_sim.trace.trace import Trace

    writable_file(out)
    arguments = _arguments(call_function(target), target)
    if call is not None:
        arguments["call"] = call
    if skip is not None:
        arguments["skip"] = split_names(skip, "--skip")
    given = {"axes": axes, "timesteps": timesteps, "input_bits": input_bits}
    arguments |= {key: value for key, value in given.items() if value is not None}
    arguments |= {"nearest": True} if nearest else {}
    arguments |= {"closed_loop": True} if closed_loop else {}
    reports: list[Report] = []
    with show.progress_bar("recording") as progress:
        try:
            trace = record_model(**{"report": reports.append, **arguments}, progress=progress)
        except TypeError as exc:
            raise ConfigError(f"returned what spikex_sim.record does not take: {exc}", where=target) from exc
    for report in reports:
        _show(report)
    if int8 and isinstance(trace, GraphTrace):
        raise ConfigError("takes chains of layers, and this network is a graph", where="--int8")
    if int8 and isinstance(trace, Trace):
        quantize_into(trace, out)
    else:
        save(trace, out)


def _show(report: Report) -> None:
    """Print what was understood of a network."""
    from spikex_sim.cli import show

    made = show.table("Understood", "node", "kind", "takes", "module", "shape", "given", "differing", left=4)
    for row in report.rows:
        checked = row.checked
        numbers = ("", "") if checked is None else (f"{checked.given:,}", f"{checked.differing:,}")
        shape = "x".join(map(str, row.shape))
        made.add_row(short(row.name), row.kind, short(row.takes), short(row.module), shape, *numbers)
    made.caption = "given: spikes, of sums values, that modules gave; differing: computed anew"
    show.put(made)
    for note in report.notes:
        echo(note)


def nir(
    graph: Annotated[Path, typer.Argument(help="Graph of the Neuromorphic Intermediate Representation.")],
    spikes: Annotated[
        Path,
        typer.Option(
            "--input", help="Spikes that enter it: a trace's first layer's, or .npy.", metavar="FILE"
        ),
    ],
    out: OutFile,
    axes: Annotated[
        str | None,
        typer.Option("--axes", help="Axes of an .npy in order, if they are others.", metavar="BTCHW|TN|..."),
    ] = None,
    dt: Annotated[float, typer.Option("--dt", help="Length of a step in seconds.", metavar="S")] = 1e-4,
    reset: Annotated[
        str, typer.Option("--reset", help="What a spike does to the potential.", metavar="zero|subtract")
    ] = "zero",
) -> None:
    """Turn a NIR graph and spikes that enter it into a closed-loop trace; what is no chain, into a graph.

    Spikes are those that enter the first layer of a trace, of all its samples, or an .npy of zeros and
    ones, [C, H, W, T] or [N, T], with or without a first axis of samples, or as --axes says.

    Example: spikex-sim trace nir net.nir --input digits.npz --out net.npz
    """
    from spikex_sim.sources.frameworks.nir import load_nir
    from spikex_sim.sources.spike_files import load_spikes

    writable_file(out)
    network = load_nir(graph, dt, _reset(reset))
    given = load_spikes(spikes, axes)
    trace = network.trace(
        given.packed,
        given.timesteps,
        batched=given.batched,
        label=given.label,
        name=f"{graph.stem}-{spikes.stem}"[:200],
        source=f"{graph.name}, steps of {dt:g} s, on spikes of {spikes.name}",
    )
    for note in network.notes:
        echo(note)
    save(trace, out)
    _say_outputs(trace)


def _say_outputs(trace: Trace | GraphTrace) -> None:
    """Replay a trace once, say how busy its neurons are, and warn of those that never spike or always do."""
    from spikex_sim.cli import show
    from spikex_sim.run.simulate import simulate
    from spikex_sim.trace.trace import Trace

    try:
        with show.progress_bar("replaying") as progress:
            layers = simulate(trace, "systolic-os", progress=progress).layers
    except SpikexError as exc:
        echo(f"output rates are not known: {exc}")
        return
    rates = {}
    for index, layer in enumerate(layers):
        if layer.tws is not None and layer.output_spikes is not None:  # neither pooling nor currents
            shape = trace.layers[index].output_shape if isinstance(trace, Trace) else trace.shape(layer.name)
            rates[layer.name] = layer.output_spikes / (prod(shape) * trace.timesteps * trace.samples)
    if rates:
        echo(f"output rates, %: {', '.join(f'{name} {100 * rate:.4g}' for name, rate in rates.items())}")
    for names, what in (
        ([name for name, rate in rates.items() if not rate], "spikes"),
        ([name for name, rate in rates.items() if rate == 1], "is silent"),
    ):
        if names:
            echo(
                f"WARNING: no neuron of {', '.join(names[:4])} ever {what}; look at dt (--dt), which is in "
                "the unit of tau, and at what enters"
            )


def _reset(given: str) -> Literal["zero", "subtract"]:
    if given in ("zero", "subtract"):
        return given  # type: ignore[return-value]
    raise ConfigError(f"must be zero or subtract, not '{given:.40}'", where="--reset")


def _arguments(returned: Any, target: str) -> dict[str, Any]:
    """Arguments of ``record`` in what the user's function returned."""
    if isinstance(returned, Mapping) and {"model", "inputs"} <= set(returned):
        return dict(returned)
    if isinstance(returned, tuple | list) and len(returned) in (2, 3):
        return dict(zip(("model", "inputs", "label"), returned, strict=False))
    raise ConfigError(
        f"returned a {type(returned).__name__}; (model, inputs), (model, inputs, label) or a dict with model "
        "and inputs is wanted",
        where=target,
    )
