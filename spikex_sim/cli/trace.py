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

KINDS = ("digit", "gesture", "bernoulli", "bursty")
STEP_MS = {"digit": 10.0, "gesture": 5.0}
"""Length of a time point where --step-ms does not say, per kind of camera."""
RATE = 0.05
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
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of spikes and weights.")]
Activity = Annotated[
    float, typer.Option("--activity", help="Firing rate that the thresholds are set for.", min=0.0, max=1.0)
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
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="digit, gesture, bernoulli or bursty.")
    ] = "digit",
    network: Annotated[
        str | None, typer.Option("--network", help="Network preset or YAML file.", metavar="NAME|FILE")
    ] = None,
    layer: LayerName = None,
    timesteps: Timesteps = None,
    step_ms: StepMs = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", help=f"Input firing rate of bernoulli, bursty; default {RATE:g}."),
    ] = None,
    digit: Annotated[
        int | None, typer.Option("--digit", min=0, max=9, help="Class of the digit or gesture; default 3.")
    ] = None,
    index: Annotated[
        int | None, typer.Option("--index", min=0, help="Which digit of that class; default 0.")
    ] = None,
    activity: Activity = 0.05,
    seed: Seed = 0,
) -> None:
    """Generate input spikes and run them through a network with seeded weights.

    digit and gesture emulate an event camera; gestures are pooled to the network's input size. Without
    --network, gestures run through dvs-gesture-large and all else through nmnist.

    Example: spikex-sim trace synth --kind bernoulli --rate 0.01 --layer conv2 --out t.npz
    """
    if kind not in KINDS:
        raise ConfigError(f"must be one of {', '.join(KINDS)}, not {kind}", field="--kind")
    camera = kind in STEP_MS
    if camera and rate is not None:
        raise ConfigError(f"is for bernoulli and bursty; the camera of {kind} has its own", field="--rate")
    for option, value, kinds in (
        ("--step-ms", step_ms, ("digit", "gesture")),
        ("--digit", digit, ("digit", "gesture")),
        ("--index", index, ("digit",)),
    ):
        if value is not None and kind not in kinds:
            raise ConfigError(f"is for {' and '.join(kinds)}", field=option)
    digit, index = DIGIT if digit is None else digit, index or 0
    chosen = _network(network or ("dvs-gesture-large" if kind == "gesture" else "nmnist"), layer)
    writable_file(out)
    shape, steps = chosen.layers[0].input_shape, timesteps or chosen.timesteps
    if camera:
        step_ms = STEP_MS[kind] if step_ms is None else step_ms
        spikes, source = _watched(kind, digit, index, chosen, steps, step_ms, seed)
    else:
        from spikex_sim.trace.synth import bernoulli, bursty

        rate = RATE if rate is None else rate
        spikes = (bernoulli if kind == "bernoulli" else bursty)(shape, steps, rate, seed)
        source = f"{kind} spikes at rate {rate:g}"
    label = digit if camera else None
    _write(spikes, chosen, out, f"{kind}-{chosen.name}", f"{source}, seed {seed}", label, activity, seed)


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
    recordings_path: Annotated[Path, typer.Argument(help="Recordings (.npz with x, y, p, t, offsets).")],
    out: OutFile,
    sample: Annotated[int, typer.Option("--sample", min=0, help="Which recording.")] = 0,
    network: Annotated[
        str | None, typer.Option("--network", help="Network preset or YAML file.", metavar="NAME|FILE")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option("--like", help="Trace whose layers and weights to use instead.", metavar="FILE"),
    ] = None,
    timesteps: Timesteps = None,
    step_ms: StepMs = None,
    activity: Activity = 0.05,
    seed: Seed = 0,
) -> None:
    """Turn a recording of an event camera into a trace; every event is accounted for.

    Pixels are merged with OR where the network's input is smaller than the sensor. Without --step-ms
    the recording is spread over the time points, in whole ms. Recordings that are to be replayed together
    as samples of one network take its weights and thresholds from the first with --like.

    Example: spikex-sim trace convert nmnist_small.npz --sample 3 --network nmnist --out three.npz
    """
    from spikex_sim.trace.events import bin_events, load_recordings
    from spikex_sim.trace.store import load_trace, save_trace

    if like is not None and network is not None:
        raise ConfigError("cannot be given together with --network", field="--like")
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
    typer.echo(
        f"{len(events.t_us):,} events: {binned.kept:,} became spikes, {binned.merged:,} fell on one "
        f"already set, {binned.out_of_range:,} came after {steps} steps of {step_us / 1000:g} ms"
    )
    label = None if recordings.labels is None else int(recordings.labels[sample])
    source = f"{recordings_path.name} sample {sample}, {step_us / 1000:g} ms steps"
    if other is not None:
        name = f"{recordings_path.stem}-{sample}"
        save_trace(
            other.with_input(binned.spikes, name, f"{source}; layers and weights of {other.name}", label), out
        )
        typer.echo(f"wrote {out} (T={steps}, input rate {100 * binned.spikes.mean():.4g} %)")
        return
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


def _network_of(trace: Trace) -> Network:
    from spikex_sim.spec.networks import Network

    return Network(name=trace.name, timesteps=trace.timesteps, layers=trace.layers)


def _network(name: str, layer: str | None) -> Network:
    from spikex_sim.spec.networks import load_network

    network = load_network(name)
    if layer is None:
        return network
    for spec in network.layers:
        if spec.name == layer:
            return network.model_copy(update={"name": f"{network.name}-{layer}", "layers": (spec,)})
    names = ", ".join(spec.name for spec in network.layers)
    raise ConfigError(f"has no layer '{layer}'; there are {names}", where=f"network {name}")


def _write(
    spikes: NDArray[np.bool_],
    network: Network,
    out: Path,
    name: str,
    source: str,
    label: int | None,
    activity: float,
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
            rate=activity,
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
