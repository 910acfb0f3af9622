"""Commands about traces: look at them, generate them, import recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikex_sim.cli.convert import convert
from spikex_sim.cli.making import (
    Activity,
    Entered,
    Like,
    NetworkName,
    OutFile,
    Seed,
    StepMs,
    Timesteps,
    chosen_network,
    network_of,
    save,
    save_entered,
)
from spikex_sim.cli.options import echo, refuse_together, writable_file
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.text import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spikex_sim.spec.networks import Network

app = typer.Typer(help="Inspect, generate and import traces.", no_args_is_help=True, rich_markup_mode=None)

KINDS = ("digit", "gesture", "bernoulli", "bursty", "layers", "graph")
DEFAULT_NETWORKS = {"gesture": "dvs-gesture-large", "layers": "vgg9-cifar10", "graph": "sew-resnet18"}
"""Network of a kind of spikes where --network does not say; of all others nmnist."""
RATE = 0.05
DIGIT = 3

LayerName = Annotated[
    str | None, typer.Option("--layer", help="Only this layer of the network.", metavar="NAME")
]


@app.command("show")
def show_trace(
    trace_path: Annotated[Path | None, typer.Argument(help="Trace; default: the packaged one.")] = None,
    tws: Annotated[int, typer.Option("--tws", min=1, help="Window size of the tag statistics.")] = 4,
) -> None:
    """Show what a trace holds: layers or nodes, shapes, firing rates, tags.

    Example: spikex-sim trace show traces/nmnist_digit.npz --tws 4
    """
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.cli.graph import show_graph
    from spikex_sim.data import default_trace_path
    from spikex_sim.trace.graph import GraphTrace
    from spikex_sim.trace.graph_text import graph_parameters
    from spikex_sim.trace.store import load_trace
    from spikex_sim.trace.summary import parameter_count
    from spikex_sim.trace.tables import activity_table, layers_table

    if trace_path is not None and trace_path.is_dir():
        raise ConfigError("is a folder; name one of its traces", where=str(trace_path))
    trace = load_trace(trace_path or default_trace_path())
    parameters = graph_parameters(trace) if isinstance(trace, GraphTrace) else parameter_count(trace)
    labelled = "" if trace.label is None else f", label {trace.label}"
    show.say(
        f"[bold]{escape(trace.name)}[/]: T={trace.timesteps}, {counted(trace.samples, 'sample')}{labelled}, "
        f"{parameters:,} parameters\nsource {escape(trace.source)}\nsha256 {trace.sha256}\n"
    )
    if isinstance(trace, GraphTrace):
        show_graph(trace, tws)
    else:
        show.put(layers_table(trace), activity_table(trace, tws))


@app.command()
def synth(
    out: OutFile,
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help=f"{', '.join(KINDS)}.")] = "digit",
    network: NetworkName = None,
    layer: LayerName = None,
    like: Like = None,
    timesteps: Timesteps = None,
    step_ms: StepMs = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            help=f"Firing rate of bernoulli, bursty (default {RATE:g}), layers (default: the network's), and "
            "of what a graph takes (default 0.02).",
        ),
    ] = None,
    at_most_once: Annotated[
        bool, typer.Option("--at-most-once", help="Keep each neuron's first spike alone; not for cameras.")
    ] = False,
    digit: Annotated[
        int | None, typer.Option("--digit", min=0, max=9, help="Class of the digit or gesture; default 3.")
    ] = None,
    index: Annotated[
        int | None, typer.Option("--index", min=0, help="Which digit of that class; default 0.")
    ] = None,
    activity: Activity = None,
    width: Annotated[
        int | None,
        typer.Option("--width", min=1, help="Channels of a graph's first stage; default: the network's."),
    ] = None,
    seed: Seed = None,
) -> None:
    """Generate input spikes and run them through a network with seeded weights.

    digit and gesture emulate an event camera; gestures are pooled to the network's input size. layers
    makes spikes for every layer, without weights, at the network's own rates. graph makes networks with
    residuals, recurrence or attention (`list graphs`) and what they take. Without --network,
    gestures run through dvs-gesture-large, layers through vgg9-cifar10, graph through sew-resnet18 and all
    else through nmnist.

    With --like the weights and thresholds are those of another trace, so that both are samples of one
    network and can be run together, as a folder.

    Example: spikex-sim trace synth --kind bernoulli --rate 0.01 --layer conv2 --out t.npz
    """
    if kind not in KINDS:
        raise ConfigError(f"must be one of {', '.join(KINDS)}, not {kind}", field="--kind")
    camera, drawn = ("digit", "gesture"), ("bernoulli", "bursty", "layers")
    made = (*camera, "bernoulli", "bursty")
    for option, given, kinds in (
        ("--rate", rate is not None, (*drawn, "graph")),
        ("--layer", layer is not None, (*camera, *drawn)),
        ("--width", width is not None, ("graph",)),
        ("--at-most-once", at_most_once, drawn),
        ("--step-ms", step_ms is not None, camera),
        ("--digit", digit is not None, camera),
        ("--index", index is not None, ("digit",)),
        ("--activity", activity is not None, made),
        ("--like", like is not None, made),
    ):
        if given and kind not in kinds:
            raise ConfigError(f"is for {' and '.join(kinds)}, not for {kind}", field=option)
    digit, index, seed = DIGIT if digit is None else digit, index or 0, seed or 0
    refuse_together("--like", like, {"--network": network, "--layer": layer, "--activity": activity})
    name = network or DEFAULT_NETWORKS.get(kind, "nmnist")
    writable_file(out)
    if kind == "graph":
        _write_graph(name, width, timesteps, seed, rate, out)
        return
    from spikex_sim.trace.store import load_chain

    other_trace = None if like is None else load_chain(like)
    chosen = chosen_network(name, layer) if other_trace is None else network_of(other_trace)
    steps = timesteps or chosen.timesteps
    if kind == "layers":
        from spikex_sim.sources.open_loop import generated_trace

        save(generated_trace(chosen, steps, seed, rate=rate, once=at_most_once), out)
        return
    if kind in camera:
        spikes, source = _watched(kind, digit, index, chosen, steps, step_ms, seed)
    else:
        spikes, source = _drawn(kind, chosen, steps, RATE if rate is None else rate, seed, at_most_once)
    label = digit if kind in camera else None
    entered = Entered(chosen, other_trace, activity, seed)
    save_entered(spikes, entered, out, kind if like is None else out.stem, f"{source}, seed {seed}", label)


def _write_graph(
    name: str, width: int | None, timesteps: int | None, seed: int, rate: float | None, out: Path
) -> None:
    from spikex_sim.sources.graph_synth import synthetic_graph
    from spikex_sim.spec.graph_networks import graph_network
    from spikex_sim.trace.graph_text import graph_parameters
    from spikex_sim.trace.store import save_trace

    network = graph_network(name, width)
    made = synthetic_graph(network, timesteps or network.timesteps, seed, rate=rate)
    save_trace(made, out)
    echo(f"wrote {out} (T={made.timesteps}, {len(made.nodes)} nodes, {graph_parameters(made):,} parameters)")


def _drawn(
    kind: str, network: Network, steps: int, rate: float, seed: int, once: bool
) -> tuple[NDArray[np.bool_], str]:
    """Random spikes for the first layer, and what they are."""
    from spikex_sim.sources.synth import at_most_once, bernoulli, bursty

    make = bernoulli if kind == "bernoulli" else bursty
    spikes = make(network.layers[0].input_shape, steps, rate, seed)
    source = f"{kind} spikes at rate {rate:g}"
    return (at_most_once(spikes), f"{source}, every neuron at most once") if once else (spikes, source)


def _watched(
    kind: str, digit: int, index: int, network: Network, steps: int, step_ms: float | None, seed: int
) -> tuple[NDArray[np.bool_], str]:
    """Spikes of the emulated camera, and what it looked at."""
    from spikex_sim.sources.samples import STEP_US, Kind, emulated

    of: Kind = "digits" if kind == "digit" else "gestures"
    ms = STEP_US[of] / 1000 if step_ms is None else step_ms
    shape = network.layers[0].input_shape
    spikes = emulated(of, shape, digit, index, timesteps=steps, step_ms=ms, seed=seed)
    seen = {"digits": f"handwritten digit {digit}/{index} (UCI)", "gestures": f"moving arms, gesture {digit}"}
    return spikes, f"event camera over {seen[of]}, {ms:g} ms steps"


app.command()(convert)
