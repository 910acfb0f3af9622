"""The command that turns recordings into traces: one into a file, many into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikex_sim.cli.convert_images import convert_images
from spikex_sim.cli.making import (
    Activity,
    Entered,
    Like,
    NetworkName,
    Seed,
    StepMs,
    Timesteps,
    chosen_network,
    network_of,
    save,
    save_entered,
)
from spikex_sim.cli.options import echo, refuse_together, writable_file
from spikex_sim.cli.quantization import quantize_into
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.text import counted
from spikex_sim.core.units import sides

if TYPE_CHECKING:
    from spikex_sim.sources.events.binning import BinnedEvents, Binning
    from spikex_sim.sources.events.clock import Clock
    from spikex_sim.sources.events.columns import Reading
    from spikex_sim.sources.events.events import Events, Recordings
    from spikex_sim.sources.events.fitting import Fitting
    from spikex_sim.trace.trace import Trace

MAX_STEP_MS = 1e6
PARTS = ("train", "test", "all")
"""What --split takes."""


@dataclass(frozen=True)
class Conversion:
    """What all recordings of one command share.

    Attributes
    ----------
    entered : Entered
        Network that the spikes enter.
    binning : Binning
        How events become time steps.
    sensor : tuple of int or None
        Rows and columns of the sensor where a file does not say.
    fitting : Fitting
        What becomes of a sensor that is no multiple of the input.
    reading : Reading
        What is to be known of files that do not say it.
    clock : Clock
        How times are taken.
    """

    entered: Entered
    binning: Binning
    sensor: tuple[int, int] | None
    fitting: Fitting
    reading: Reading
    clock: Clock

    def events(self, recordings: Recordings, index: int) -> Events:
        """Events of one sample, with times as the clock has them."""
        return self.clock(recordings.sample(index))

    def binned(self, recordings: Recordings, events: Events) -> BinnedEvents:
        """Spikes of one sample, pooled to the network's input."""
        from spikex_sim.sources.events.events import check_events
        from spikex_sim.sources.events.fitting import looked_through

        network = self.entered.network
        shape = network.layers[0].input_shape
        own = recordings.sensor
        if own and self.sensor and self.sensor != own:
            raise ConfigError(f"differs from the {sides(own)} that {recordings.source} has", field="--sensor")
        sensor = own or self.sensor or (shape[-2:] if len(shape) == 3 else (1, 1))
        if len(shape) != 3 or shape[0] != 2:
            raise ConfigError(
                f"takes an input of {sides(shape)}; events of a camera are 2 maps, OFF and ON",
                where=f"network {network.name}",
            )
        windows = self.fitting.windows(sensor, shape[1:], f"network {network.name}")
        advice = "as the file says" if own else "--sensor ROWSxCOLUMNS says how large it is"
        check_events(events, sensor, events.where, advice)
        seen, cropped = looked_through(events, windows)
        binning = self.binning.lasting(events)
        binned = binning(seen, windows[-1], windows[-1][0] // shape[1])
        return replace(binned, cropped=cropped)


def convert(
    recordings_path: Annotated[
        Path,
        typer.Argument(
            help="Recordings (.npz, .npy, .h5, .csv, .bin, .aedat, .raw, .dat, .es), a folder of them, "
            "images, recorded layers, or a trace."
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
    network: NetworkName = None,
    like: Like = None,
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
    crop: Annotated[
        str | None,
        typer.Option("--crop", help="Keep so much of the sensor, its middle.", metavar="ROWSxCOLUMNS"),
    ] = None,
    pad: Annotated[
        str | None,
        typer.Option(
            "--pad", help="Make the sensor so large with silence around it.", metavar="ROWSxCOLUMNS"
        ),
    ] = None,
    block: Annotated[
        int | None,
        typer.Option(
            "--bin",
            min=1,
            help="Merge NxN pixels; crops or pads what does not fit. Default: what fits.",
            metavar="N",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns", help="Order of columns that the file does not name, e.g. t,x,y,p.", metavar="LIST"
        ),
    ] = None,
    time_unit: Annotated[
        str | None,
        typer.Option(
            "--time-unit", help="Unit of times in arrays and text; default us.", metavar="s|ms|us|ns"
        ),
    ] = None,
    from_first: Annotated[
        bool, typer.Option("--from-first", help="Count times from a recording's first event.")
    ] = False,
    unwrap: Annotated[
        int | None,
        typer.Option(
            "--unwrap", min=8, max=62, help="Undo the wraps of a clock of so many bits.", metavar="BITS"
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
    from spikex_sim.sources.events.clock import Clock
    from spikex_sim.sources.events.fitting import Fitting
    from spikex_sim.sources.events.formats import recording_format
    from spikex_sim.sources.images import holds_images
    from spikex_sim.sources.layer_activity import holds_layers
    from spikex_sim.trace.store import load_chain

    refuse_together("--graph", graph or None, {"--int8": int8 or None})
    of_events = {
        "--sensor": sensor, "--crop": crop, "--pad": pad, "--bin": block, "--columns": columns,
        "--time-unit": time_unit, "--from-first": from_first or None, "--unwrap": unwrap,
        "--step-ms": step_ms, "--step-events": step_events,
    }  # fmt: skip
    if int8 or graph:
        for_recordings = {
            "--sample": sample, "--samples": samples, "--split": split, "--limit": limit,
            "--network": network, "--like": like, "--weights": weights, "--timesteps": timesteps,
            "--activity": activity, "--seed": seed, "--at-most-once": at_most_once or None, **of_events,
        }  # fmt: skip
        taker = "--int8" if int8 else "--graph"
        _refuse(for_recordings, f"is for recordings; {taker} takes a trace as it is")
        (quantize_into if int8 else _write_graph)(load_chain(recordings_path), out)
        return
    folder = _is_folder(recordings_path)
    made = {"--network": network, "--activity": activity, "--seed": seed}
    refuse_together("--like", like, made)
    refuse_together("--weights", weights, {**made, "--like": like})
    refuse_together("--samples", samples, {"--sample": sample})
    refuse_together("--step-events", step_events, {"--step-ms": step_ms})
    if split is not None and split not in PARTS:
        raise ConfigError(f"must be one of {', '.join(PARTS)}, not {split}", field="--split")
    if not folder and recording_format(recordings_path) == "npz" and holds_images(recordings_path):
        for_events = {
            "--network": network, "--like": like, "--timesteps": timesteps, "--activity": activity,
            "--seed": seed, "--at-most-once": at_most_once or None, **of_events,
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
            "--timesteps": timesteps, "--activity": activity, "--seed": seed, **of_events,
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
    chosen = chosen_network(network or "nmnist", None) if other_trace is None else network_of(other_trace)
    conversion = Conversion(
        Entered(chosen, other_trace, activity, seed or 0),
        Binning(
            timesteps or chosen.timesteps, None if step_ms is None else round(1000 * step_ms), step_events
        ),
        _rows_and_columns(sensor, "--sensor"),
        Fitting(_rows_and_columns(crop, "--crop"), _rows_and_columns(pad, "--pad"), block),
        _reading(columns, time_unit),
        Clock(unwrap, from_first),
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
    from spikex_sim.core.hints import closest_path
    from spikex_sim.trace.npyheader import shown

    try:
        if not path.exists():
            hint = closest_path(path, folders=not path.suffix)
            raise ConfigError(f"no such file or folder{hint}", where=shown(path, 400))
        return path.is_dir()
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror or exc}", where=shown(path, 400)) from None


def _refuse(given: Mapping[str, object], message: str) -> None:
    """Raise for the first option that was given."""
    for option, value in given.items():
        if value is not None:
            raise ConfigError(message, field=option)


def _convert_one(path: Path, sample: int, conversion: Conversion, out: Path) -> None:
    from spikex_sim.cli import show
    from spikex_sim.sources.events.clock import Times, oddity
    from spikex_sim.sources.events.formats import load_recordings

    writable_file(out)
    with show.progress_bar("reading"):
        recordings = load_recordings(path, conversion.reading)
    events = conversion.events(recordings, sample)
    binned = conversion.binned(recordings, events)
    step = conversion.binning.step(events)
    tally = {**recordings.tally, "cropped away": binned.cropped}
    account = [
        f"{len(events) - binned.cropped:,} events: {binned.kept:,} became spikes, {binned.merged:,} fell on "
        f"one already set, {binned.out_of_range:,} came after {conversion.binning.timesteps} steps of {step}",
        *(f"{what} in the file: {count:,}" for what, count in tally.items() if count),
        f"{Times.of(events, binned)}",
    ]
    source = f"{path.name} sample {sample}, {step} steps"
    name = f"{path.stem}-{sample}"
    save_entered(binned.spikes, conversion.entered, out, name, source, events.label, account)
    if odd := oddity(events, binned, conversion.binning):
        show.note(f"{path.name}: {odd}")


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
            f"{layer.name}: left out, recorded for {counted(layer.timesteps, 'time point')}, the others for "
            f"{made.trace.timesteps}"
        )
    save(made.trace, out)


def _reading(columns: str | None, time_unit: str | None) -> Reading:
    from spikex_sim.sources.events.columns import COLUMNS, UNITS, Reading, found_in

    if time_unit is not None and time_unit not in UNITS:
        raise ConfigError(f"must be one of {', '.join(UNITS)}, not {time_unit}", field="--time-unit")
    names = None if columns is None else tuple(name.strip() for name in columns.split(","))
    if names is not None and len(found_in(names)) < len(COLUMNS):
        raise ConfigError(
            f"wants x, y, p and t in their order, e.g. t,x,y,p, not {columns}", field="--columns"
        )
    return Reading(time_unit or "us", names)


def _rows_and_columns(text: str | None, option: str) -> tuple[int, int] | None:
    from spikex_sim.sources.events.events import MAX_SIDE

    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(
        part.isascii() and part.isdigit() and len(part) < 9 and 1 <= int(part) <= MAX_SIDE for part in parts
    ):
        raise ConfigError(f"wants rows and columns from 1 to {MAX_SIDE}, e.g. 34x34", field=option)
    return int(parts[0]), int(parts[1])
