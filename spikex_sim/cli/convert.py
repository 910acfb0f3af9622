"""The command that turns recordings into traces: one into a file, many into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikex_sim.cli.convert_images import convert_images
from spikex_sim.cli.making import (
    Activity,
    Seed,
    StepMs,
    Timesteps,
    chosen_network,
    save,
    save_attached,
)
from spikex_sim.cli.options import echo, writable_file
from spikex_sim.cli.quantization import quantize_into
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.units import sides

if TYPE_CHECKING:
    from spikex_sim.sources.events.binning import BinnedEvents, Binning
    from spikex_sim.sources.events.events import Recordings
    from spikex_sim.spec.networks import Network
    from spikex_sim.trace.trace import Trace

MAX_STEP_MS = 1e6
PARTS = ("train", "test", "all")
"""What --split takes."""


@dataclass(frozen=True)
class Conversion:
    """What all recordings of one command share.

    Attributes
    ----------
    network : Network
        Layers that the spikes enter.
    like : Trace or None
        Trace whose layers, weights and thresholds are taken.
    binning : Binning
        How events become time steps.
    sensor : tuple of int or None
        Rows and columns of the sensor where a file does not say.
    activity, seed
        Of the weights and thresholds that are made where there is no ``like``.
    """

    network: Network
    like: Trace | None
    binning: Binning
    sensor: tuple[int, int] | None
    activity: float | None
    seed: int

    def binned(self, recordings: Recordings, index: int) -> BinnedEvents:
        """Spikes of one sample, pooled to the network's input."""
        from spikex_sim.sources.events.events import check_events

        events = recordings.sample(index)
        shape = self.network.layers[0].input_shape
        own = recordings.sensor
        if own and self.sensor and self.sensor != own:
            raise ConfigError(f"differs from the {sides(own)} that {recordings.source} has", field="--sensor")
        sensor = own or self.sensor or (shape[-2:] if len(shape) == 3 else (1, 1))
        if len(shape) != 3 or sensor[0] % shape[1] or sensor[0] // shape[1] != sensor[1] / shape[2]:
            raise ConfigError(
                f"takes an input of {sides(shape)}, to which a {sides(sensor)} sensor cannot be pooled",
                where=f"network {self.network.name}",
            )
        advice = "as the file says" if own else "--sensor ROWSxCOLUMNS says how large it is"
        check_events(events, sensor, events.where, advice)
        return self.binning(events, sensor, sensor[0] // shape[1])


def convert(
    recordings_path: Annotated[
        Path,
        typer.Argument(
            help="Recordings (.npz, .bin, .aedat, .aedat4), a folder of them, images, recorded layers, or a "
            "trace."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Trace to write, .npz or .h5; of a folder or --samples, the folder of traces.",
            metavar="FILE|DIR",
        ),
    ],
    sample: Annotated[int | None, typer.Option("--sample", min=0, help="Which recording; default 0.")] = None,
    samples: Annotated[
        str | None,
        typer.Option("--samples", help="Several of one file, e.g. 0,3,7-9.", metavar="LIST|all"),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="Part of a folder or of --samples, default all; of images, default test.",
            metavar="|".join(PARTS),
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="At most so many of a folder or of --samples.", metavar="N"),
    ] = None,
    network: Annotated[
        str | None, typer.Option("--network", help="Network preset or YAML file.", metavar="NAME|FILE")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option("--like", help="Trace whose layers and weights to use instead.", metavar="FILE"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Trained network to use instead: its file, or the name of one that comes along.",
            metavar="NAME|FILE",
        ),
    ] = None,
    sensor: Annotated[
        str | None,
        typer.Option(
            "--sensor",
            help="Sensor's size where the file does not say, e.g. 34x34; default: the network's input.",
            metavar="ROWSxCOLUMNS",
        ),
    ] = None,
    timesteps: Timesteps = None,
    step_ms: StepMs = None,
    step_events: Annotated[
        int | None,
        typer.Option("--step-events", min=1, help="Events of a time point, in place of ms.", metavar="N"),
    ] = None,
    activity: Activity = None,
    seed: Seed = None,
    at_most_once: Annotated[
        bool,
        typer.Option("--at-most-once", help="Keep each neuron's first spike alone; recorded layers only."),
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Put a trace's float layers on the integer datapath; traces only.")
    ] = False,
    graph: Annotated[
        bool, typer.Option("--graph", help="Write a trace's layers as a graph, format 2; traces only.")
    ] = False,
) -> None:
    """Turn recordings of an event camera into traces; every event is accounted for.

    Pixels are merged with OR where the network's input is smaller than the sensor. Without --step-ms or
    --step-events the recording is spread over the time points, in whole ms.

    A folder of recordings, or --samples of one file, becomes a folder of traces that share weights and
    thresholds: those of --like or --weights, or those set on the first recording. It is there whole or
    not at all. With --limit recordings are taken from the folders in a folder in turn.

    Spikes recorded layer by layer (.npz with names and each one's bits and shape) become a trace without
    weights; --network is then needed and says what the layers are.

    Labelled images (.npz with train_images, train_labels and so on) enter the trained graph that --weights
    names, as they are; of --split test if not said.

    With --int8 a trace with float layers (.npz, .h5) gets int8 weights; how far its spikes and
    predictions are off is said layer by layer. With --graph a trace of a chain of layers becomes one of a
    graph that gives the same results.

    Example: spikex-sim trace convert N-MNIST --split test --limit 100 --network nmnist --out mine
    """
    from spikex_sim.sources.events.binning import Binning
    from spikex_sim.sources.events.formats import recording_format
    from spikex_sim.sources.images import holds_images
    from spikex_sim.sources.layer_activity import holds_layers
    from spikex_sim.trace.store import load_chain

    _refuse_together((int8 or None, "--int8"), (graph or None, "--graph"))
    if int8 or graph:
        for_recordings = {
            "--sample": sample, "--samples": samples, "--split": split, "--limit": limit,
            "--network": network, "--like": like, "--weights": weights, "--sensor": sensor,
            "--timesteps": timesteps, "--step-ms": step_ms, "--step-events": step_events,
            "--activity": activity, "--seed": seed, "--at-most-once": at_most_once or None,
        }  # fmt: skip
        taker = "--int8" if int8 else "--graph"
        _refuse(for_recordings, f"is for recordings; {taker} takes a trace as it is")
        (quantize_into if int8 else _write_graph)(load_chain(recordings_path), out)
        return
    folder = _is_folder(recordings_path)
    _refuse_together((like, "--like"), (network, "--network"))
    _refuse_together((weights, "--weights"), (network, "--network"))
    _refuse_together((weights, "--weights"), (like, "--like"))
    _refuse_together((samples, "--samples"), (sample, "--sample"))
    _refuse_together((step_events, "--step-events"), (step_ms, "--step-ms"))
    if split is not None and split not in PARTS:
        raise ConfigError(f"must be one of {', '.join(PARTS)}, not {split}", field="--split")
    if not folder and recording_format(recordings_path) == "npz" and holds_images(recordings_path):
        for_events = {
            "--network": network, "--like": like, "--sensor": sensor, "--timesteps": timesteps,
            "--step-ms": step_ms, "--step-events": step_events, "--activity": activity, "--seed": seed,
            "--at-most-once": at_most_once or None,
        }  # fmt: skip
        _refuse(for_events, f"is for recordings; {recordings_path} holds images")
        convert_images(recordings_path, weights, sample or 0, samples, split or "test", limit, out)
        return
    if not folder and samples is None:
        _refuse({"--split": split, "--limit": limit}, "is for a folder of recordings, or with --samples")
    if folder:
        given = {"--sample": sample, "--samples": samples}
        _refuse(given, f"is for one file; {recordings_path} is a folder")
    if not folder and recording_format(recordings_path) == "npz" and holds_layers(recordings_path):
        for_events = {
            "--sample": sample, "--samples": samples, "--like": like, "--weights": weights,
            "--sensor": sensor, "--timesteps": timesteps, "--step-ms": step_ms, "--step-events": step_events,
            "--activity": activity, "--seed": seed,
        }  # fmt: skip
        _refuse(for_events, f"is for events; {recordings_path} holds recorded layers")
        _convert_layers(recordings_path, network, out, at_most_once)
        return
    if at_most_once:
        raise ConfigError(
            f"is for recorded layers; {recordings_path} holds events, whose spikes later layers repeat",
            field="--at-most-once",
        )
    if step_ms is not None and not 1e-3 <= step_ms <= MAX_STEP_MS:
        raise ConfigError(f"must be 0.001 to {MAX_STEP_MS:g}, not {step_ms:g}", field="--step-ms")
    other_trace = None if like is None else load_chain(like)
    if weights is not None:
        other_trace = _silent_trace(weights)
    chosen = chosen_network(network or "nmnist", None) if other_trace is None else _network_of(other_trace)
    conversion = Conversion(
        chosen,
        other_trace,
        Binning(
            timesteps or chosen.timesteps, None if step_ms is None else round(1000 * step_ms), step_events
        ),
        _rows_and_columns(sensor),
        activity,
        seed or 0,
    )
    if folder or samples is not None:
        from spikex_sim.cli.batch import convert_many

        convert_many(recordings_path, samples, split or "all", limit, conversion, out)
    else:
        _convert_one(recordings_path, sample or 0, conversion, out)


def _write_graph(trace: Trace, out: Path) -> None:
    from spikex_sim.trace.chain import as_graph
    from spikex_sim.trace.store import save_trace

    made = as_graph(trace)
    save_trace(made, out)
    echo(f"wrote {out}: {len(made.nodes)} nodes, format version 2")


def _silent_trace(weights: str) -> Trace:
    """Trace of a trained network without any input spikes."""
    import numpy as np

    from spikex_sim.sources.trained import load_trained

    trained = load_trained(weights)
    return trained.trace(np.zeros((*trained.layers[0].input_shape, trained.timesteps), bool))


def _is_folder(path: Path) -> bool:
    from spikex_sim.trace.npyheader import shown

    try:
        return path.is_dir()
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror or exc}", where=shown(path, 400)) from None


def _refuse_together(one: tuple[object, str], other: tuple[object, str]) -> None:
    if one[0] is not None and other[0] is not None:
        raise ConfigError(f"cannot be given together with {other[1]}", field=one[1])


def _refuse(given: Mapping[str, object], message: str) -> None:
    """Raise for the first option that was given."""
    for option, value in given.items():
        if value is not None:
            raise ConfigError(message, field=option)


def _convert_one(path: Path, sample: int, conversion: Conversion, out: Path) -> None:
    from spikex_sim.cli import show
    from spikex_sim.sources.events.formats import load_recordings
    from spikex_sim.trace.store import save_trace

    writable_file(out)
    with show.progress_bar("reading"):
        recordings = load_recordings(path)
    events = recordings.sample(sample)
    binned = conversion.binned(recordings, sample)
    step = conversion.binning.step(events)
    account = [
        f"{len(events):,} events: {binned.kept:,} became spikes, {binned.merged:,} fell on one "
        f"already set, {binned.out_of_range:,} came after {conversion.binning.timesteps} steps of {step}",
        *(f"{what} in the file: {count:,}" for what, count in recordings.tally.items() if count),
    ]
    source = f"{path.name} sample {sample}, {step} steps"
    name, like, network = f"{path.stem}-{sample}", conversion.like, conversion.network
    if like is not None:
        source += f"; layers and weights of {like.name}"
        save_trace(like.with_input(binned.spikes, name, source, events.label), out)
        rate = 100 * binned.spikes.mean()
        echo("\n".join(account))
        echo(f"wrote {out} (T={conversion.binning.timesteps}, input rate {rate:.4g} %)")
        return
    echo("\n".join(account))
    save_attached(
        binned.spikes,
        network,
        out,
        f"{name}-{network.name}",
        source,
        events.label,
        conversion.activity,
        conversion.seed,
    )


def _convert_layers(path: Path, network: str | None, out: Path, once: bool) -> None:
    """Turn recorded layers into an open-loop trace, and say what became of each that is special."""
    from spikex_sim.sources.layer_activity import load_recorded_layers
    from spikex_sim.sources.open_loop import recorded_trace

    if network is None:
        raise ConfigError(f"is needed: it says what the layers recorded in {path} are", field="--network")
    chosen = chosen_network(network, None)
    writable_file(out)
    recorded = load_recorded_layers(path)
    made = recorded_trace(recorded, chosen, f"{path.stem}-{chosen.name}", once=once)
    kept = len(recorded.layers) - len(made.left_out)
    for layer in recorded.layers[:kept]:
        if layer.all_ones:
            echo(f"{layer.name}: all ones, as where an analog image was recorded")
    for layer in made.left_out:
        echo(
            f"{layer.name}: left out, recorded for {layer.timesteps} time point(s), the others for "
            f"{made.trace.timesteps}"
        )
    save(made.trace, out)


def _network_of(trace: Trace) -> Network:
    from spikex_sim.core.errors import TraceError
    from spikex_sim.spec.networks import Network
    from spikex_sim.spec.validation import validated

    described = {"name": trace.name, "timesteps": trace.timesteps, "layers": trace.layers}
    return validated(Network, described, where=trace.where, error=TraceError)


def _rows_and_columns(text: str | None) -> tuple[int, int] | None:
    from spikex_sim.sources.events.events import MAX_SIDE

    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(
        part.isascii() and part.isdigit() and len(part) < 9 and 1 <= int(part) <= MAX_SIDE for part in parts
    ):
        raise ConfigError(f"wants rows and columns from 1 to {MAX_SIDE}, e.g. 34x34", field="--sensor")
    return int(parts[0]), int(parts[1])
