"""Commands about traces: look at them, generate them, import recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikex_sim.cli.options import writable_file
from spikex_sim.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spikex_sim.spec.networks import Network
    from spikex_sim.trace.model import Trace

app = typer.Typer(help="Inspect, generate and import traces.", no_args_is_help=True, rich_markup_mode=None)

KINDS = ("digit", "gesture", "bernoulli", "bursty", "layers")
DEFAULT_NETWORKS = {"gesture": "dvs-gesture-large", "layers": "vgg9-cifar10"}
"""Network of a kind of spikes where --network does not say; of all others nmnist."""
STEP_MS = {"digit": 10.0, "gesture": 5.0}
"""Length of a time point where --step-ms does not say, per kind of camera."""
RATE = 0.05
ACTIVITY = 0.05
DIGIT = 3
GESTURE_SIDE = 128
MAX_STEP_MS = 1e6

LayerName = Annotated[
    str | None, typer.Option("--layer", help="Only this layer of the network.", metavar="NAME")
]
Timesteps = Annotated[
    int | None, typer.Option("--timesteps", min=1, help="Time points T; default: the network's.")
]
StepMs = Annotated[
    float | None, typer.Option("--step-ms", help="Length of a time point in ms.", metavar="MS")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of spikes and weights; default 0.")]
Activity = Annotated[
    float | None,
    typer.Option(
        "--activity",
        help=f"Firing rate that the thresholds are set for; default {ACTIVITY:g}.",
        min=0.0,
        max=1.0,
    ),
]
OutFile = Annotated[Path, typer.Option("--out", help="Trace file to write, .npz or .h5.", metavar="FILE")]


@app.command("show")
def show_trace(
    trace_path: Annotated[Path | None, typer.Argument(help="Trace; default: the packaged one.")] = None,
    tws: Annotated[int, typer.Option("--tws", min=1, help="Window size of the tag statistics.")] = 4,
) -> None:
    """Show what a trace holds: layers, shapes, firing rates, tags.

    Example: spikex-sim trace show traces/nmnist_digit.npz --tws 4
    """
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.cli.sheet import short
    from spikex_sim.data import default_trace_path
    from spikex_sim.trace.store import load_trace
    from spikex_sim.trace.summary import summarise

    if trace_path is not None and trace_path.is_dir():
        raise ConfigError("is a folder; name one of its traces", where=str(trace_path))
    trace = load_trace(trace_path or default_trace_path())
    summary = summarise(trace, tws)
    labelled = "" if summary.label is None else f", label {summary.label}"
    show.say(
        f"[bold]{escape(summary.name)}[/]: T={summary.timesteps}, {summary.samples} sample(s){labelled}, "
        f"{summary.parameters:,} parameters\nsource {escape(summary.source)}\nsha256 {summary.sha256}\n"
    )
    made = show.table("Layers", "layer", "kind", "input", "output", "weights", "neuron", left=2)
    activity = show.table("Recorded input", "layer", "spikes", "rate %", "silent inputs %",
                          f"active (input, window) % at TWS={summary.tws}")  # fmt: skip
    for layer, spec in zip(summary.layers, trace.layers, strict=True):
        neuron = spec.neuron
        leak = "" if neuron is None else neuron.leak_shift if neuron.datapath == "int" else neuron.leak
        made.add_row(
            short(layer.name), layer.kind, _shape(layer.input_shape), _shape(layer.output_shape),
            _shape(layer.weight_shape) if layer.has_weights else "none",
            "" if neuron is None else f"{neuron.datapath}, V_th {neuron.threshold:g}, leak {leak}",
        )  # fmt: skip
        if layer.activity is not None:
            busy = layer.activity
            activity.add_row(
                short(layer.name), f"{busy.spikes:,}", f"{100 * busy.rate:.4g}",
                f"{100 * busy.silent_share:.1f}", f"{100 * busy.active_window_share:.3g}",
            )  # fmt: skip
    show.put(made, activity)


@app.command()
def synth(
    out: OutFile,
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help=f"{', '.join(KINDS)}.")] = "digit",
    network: Annotated[
        str | None, typer.Option("--network", help="Network preset or YAML file.", metavar="NAME|FILE")
    ] = None,
    layer: LayerName = None,
    timesteps: Timesteps = None,
    step_ms: StepMs = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            help=f"Firing rate of bernoulli, bursty (default {RATE:g}), layers (default: the network's).",
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
    seed: Seed = None,
) -> None:
    """Generate input spikes and run them through a network with seeded weights.

    digit and gesture emulate an event camera; gestures are pooled to the network's input size. layers
    makes spikes for every layer, without weights, at the network's own rates. Without --network,
    gestures run through dvs-gesture-large, layers through vgg9-cifar10 and all else through nmnist.

    Example: spikex-sim trace synth --kind bernoulli --rate 0.01 --layer conv2 --out t.npz
    """
    if kind not in KINDS:
        raise ConfigError(f"must be one of {', '.join(KINDS)}, not {kind}", field="--kind")
    camera, drawn = ("digit", "gesture"), ("bernoulli", "bursty", "layers")
    for option, given, kinds in (
        ("--rate", rate is not None, drawn),
        ("--at-most-once", at_most_once, drawn),
        ("--step-ms", step_ms is not None, camera),
        ("--digit", digit is not None, camera),
        ("--index", index is not None, ("digit",)),
        ("--activity", activity is not None, (*camera, "bernoulli", "bursty")),
    ):
        if given and kind not in kinds:
            raise ConfigError(f"is for {' and '.join(kinds)}, not for {kind}", field=option)
    digit, index, seed = DIGIT if digit is None else digit, index or 0, seed or 0
    chosen = _network(network or DEFAULT_NETWORKS.get(kind, "nmnist"), layer)
    writable_file(out)
    steps = timesteps or chosen.timesteps
    if kind == "layers":
        from spikex_sim.trace.open_loop import generated_trace

        _save(generated_trace(chosen, steps, seed, rate=rate, once=at_most_once), out)
        return
    if kind in camera:
        step_ms = STEP_MS[kind] if step_ms is None else step_ms
        spikes, source = _watched(kind, digit, index, chosen, steps, step_ms, seed)
    else:
        spikes, source = _drawn(kind, chosen, steps, RATE if rate is None else rate, seed, at_most_once)
    label = digit if kind in camera else None
    _write(spikes, chosen, out, f"{kind}-{chosen.name}", f"{source}, seed {seed}", label, activity, seed)


def _drawn(
    kind: str, network: Network, steps: int, rate: float, seed: int, once: bool
) -> tuple[NDArray[np.bool_], str]:
    """Random spikes for the first layer, and what they are."""
    from spikex_sim.trace.synth import at_most_once, bernoulli, bursty

    make = bernoulli if kind == "bernoulli" else bursty
    spikes = make(network.layers[0].input_shape, steps, rate, seed)
    source = f"{kind} spikes at rate {rate:g}"
    return (at_most_once(spikes), f"{source}, every neuron at most once") if once else (spikes, source)


def _watched(
    kind: str, digit: int, index: int, network: Network, steps: int, step_ms: float, seed: int
) -> tuple[NDArray[np.bool_], str]:
    """Spikes of the emulated camera, and what it looked at."""
    from spikex_sim.trace.synth import digit_camera, gesture_camera, pool_or

    if kind == "digit":
        spikes = digit_camera(digit, index, timesteps=steps, step_ms=step_ms, seed=seed)
        return spikes, f"event camera over handwritten digit {digit}/{index} (UCI), {step_ms:g} ms steps"
    shape = network.layers[0].input_shape
    if len(shape) != 3 or GESTURE_SIDE % shape[1] or shape[1] != shape[2]:
        raise ConfigError(
            f"takes an input of {_shape(shape)}, to which a {GESTURE_SIDE}x{GESTURE_SIDE} camera cannot be "
            "pooled",
            where=f"network {network.name}",
        )
    wide = gesture_camera(digit, timesteps=steps, step_ms=step_ms, seed=seed)
    source = f"event camera over moving arms, gesture {digit}, {step_ms:g} ms steps"
    return pool_or(wide, GESTURE_SIDE // shape[1]), source


@app.command()
def convert(
    recordings_path: Annotated[
        Path,
        typer.Argument(help="Recordings of events (.npz with x, y, p, t, offsets), or recorded layers."),
    ],
    out: OutFile,
    sample: Annotated[int | None, typer.Option("--sample", min=0, help="Which recording; default 0.")] = None,
    network: Annotated[
        str | None, typer.Option("--network", help="Network preset or YAML file.", metavar="NAME|FILE")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option("--like", help="Trace whose layers and weights to use instead.", metavar="FILE"),
    ] = None,
    timesteps: Timesteps = None,
    step_ms: StepMs = None,
    activity: Activity = None,
    seed: Seed = None,
    at_most_once: Annotated[
        bool,
        typer.Option("--at-most-once", help="Keep each neuron's first spike alone; recorded layers only."),
    ] = False,
) -> None:
    """Turn a recording of an event camera into a trace; every event is accounted for.

    Pixels are merged with OR where the network's input is smaller than the sensor. Without --step-ms
    the recording is spread over the time points, in whole ms. Recordings that are to be replayed together
    as samples of one network take its weights and thresholds from the first with --like.

    Spikes recorded layer by layer (.npz with names and each one's bits and shape) become a trace without
    weights; --network is then needed and says what the layers are.

    Example: spikex-sim trace convert nmnist_small.npz --sample 3 --network nmnist --out three.npz
    """
    from spikex_sim.trace.events import bin_events, load_recordings
    from spikex_sim.trace.recorded import holds_layers
    from spikex_sim.trace.store import load_trace, save_trace

    if like is not None and network is not None:
        raise ConfigError("cannot be given together with --network", field="--like")
    if holds_layers(recordings_path):
        for option, value in (
            ("--sample", sample),
            ("--like", like),
            ("--timesteps", timesteps),
            ("--step-ms", step_ms),
            ("--activity", activity),
            ("--seed", seed),
        ):
            if value is not None:
                raise ConfigError(f"is for events; {recordings_path} holds recorded layers", field=option)
        _convert_layers(recordings_path, network, out, at_most_once)
        return
    if at_most_once:
        raise ConfigError(
            f"is for recorded layers; {recordings_path} holds events, whose spikes later layers repeat",
            field="--at-most-once",
        )
    sample, seed = sample or 0, seed or 0
    other = None if like is None else load_trace(like)
    chosen = _network(network or "nmnist", None) if other is None else _network_of(other)
    writable_file(out)
    recordings = load_recordings(recordings_path)
    events = recordings.sample(sample)
    shape = chosen.layers[0].input_shape
    sensor = recordings.sensor or (shape[1], shape[2])
    if len(shape) != 3 or sensor[0] % shape[1] or sensor[0] // shape[1] != sensor[1] // shape[2]:
        raise ConfigError(
            f"takes an input of {_shape(shape)}, to which a {sensor[0]}x{sensor[1]} sensor cannot be pooled",
            where=f"network {chosen.name}",
        )
    steps = timesteps or chosen.timesteps
    length_us = int(events.t_us.max()) + 1 if len(events.t_us) else steps
    if step_ms is None:
        step_us = max(1, round(length_us / steps / 1000)) * 1000
    else:
        if not 1e-3 <= step_ms <= MAX_STEP_MS:
            raise ConfigError(f"must be 0.001 to {MAX_STEP_MS:g}, not {step_ms:g}", field="--step-ms")
        step_us = round(1000 * step_ms)
    binned = bin_events(events, steps, step_us, sensor, sensor[0] // shape[1])
    account = (
        f"{len(events.t_us):,} events: {binned.kept:,} became spikes, {binned.merged:,} fell on one "
        f"already set, {binned.out_of_range:,} came after {steps} steps of {step_us / 1000:g} ms"
    )
    label = None if recordings.labels is None else int(recordings.labels[sample])
    source = f"{recordings_path.name} sample {sample}, {step_us / 1000:g} ms steps"
    if other is not None:
        source += f"; layers and weights of {other.name}"
        save_trace(other.with_input(binned.spikes, f"{recordings_path.stem}-{sample}", source, label), out)
        typer.echo(f"{account}\nwrote {out} (T={steps}, input rate {100 * binned.spikes.mean():.4g} %)")
        return
    typer.echo(account)
    _write(
        binned.spikes,
        chosen,
        out,
        f"{recordings_path.stem}-{sample}-{chosen.name}",
        source,
        label,
        activity,
        seed,
    )


def _convert_layers(path: Path, network: str | None, out: Path, once: bool) -> None:
    """Turn recorded layers into an open-loop trace, and say what became of each that is special."""
    from spikex_sim.trace.open_loop import recorded_trace
    from spikex_sim.trace.recorded import load_recorded_layers

    if network is None:
        raise ConfigError(f"is needed: it says what the layers recorded in {path} are", field="--network")
    chosen = _network(network, None)
    writable_file(out)
    recorded = load_recorded_layers(path)
    made = recorded_trace(recorded, chosen, f"{path.stem}-{chosen.name}", once=once)
    kept = len(recorded.layers) - len(made.left_out)
    for layer in recorded.layers[:kept]:
        if layer.all_ones:
            typer.echo(f"{layer.name}: all ones, as where an analog image was recorded")
    for layer in made.left_out:
        typer.echo(
            f"{layer.name}: left out, recorded for {layer.timesteps} time point(s), the others for "
            f"{made.trace.timesteps}"
        )
    _save(made.trace, out)


def _network_of(trace: Trace) -> Network:
    from spikex_sim.errors import TraceError
    from spikex_sim.spec.networks import Network
    from spikex_sim.spec.validation import validated

    described = {"name": trace.name, "timesteps": trace.timesteps, "layers": trace.layers}
    return validated(Network, described, where=trace.where, error=TraceError)


def _network(name: str, layer: str | None) -> Network:
    from spikex_sim.spec.networks import load_network

    network = load_network(name)
    return network if layer is None else network.only(layer)


def _save(trace: Trace, out: Path) -> None:
    """Write an open-loop trace, and say how busy its layers are."""
    from spikex_sim.trace.store import save_trace
    from spikex_sim.trace.summary import summarise

    save_trace(trace, out)
    rates = ", ".join(
        f"{layer.name} {100 * layer.activity.rate:.4g}"
        for layer in summarise(trace).layers
        if layer.activity is not None
    )
    typer.echo(f"input rates, %: {rates}")
    typer.echo(f"wrote {out} (T={trace.timesteps}, spikes of {len(trace.inputs)} layers, no weights)")


def _write(
    spikes: NDArray[np.bool_],
    network: Network,
    out: Path,
    name: str,
    source: str,
    label: int | None,
    activity: float | None,
    seed: int,
) -> None:
    from spikex_sim.cli import show
    from spikex_sim.network import attach_network
    from spikex_sim.trace.store import save_trace

    show.log_to_terminal()
    with show.progress_bar("calibrating") as progress:
        trace = attach_network(
            spikes,
            network,
            seed=seed,
            name=name,
            source=source,
            label=label,
            rate=ACTIVITY if activity is None else activity,
            progress=progress,
        )
    save_trace(trace, out)
    thresholds = ", ".join(
        f"{layer.name} {layer.neuron.threshold:g}" for layer in trace.layers if layer.neuron is not None
    )
    typer.echo(f"thresholds: {thresholds}")
    typer.echo(f"wrote {out} (T={trace.timesteps}, input rate {100 * spikes.mean():.4g} %)")


def _shape(shape: Any) -> str:
    return "x".join(str(size) for size in shape)
