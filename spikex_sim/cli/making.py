"""What the commands that make traces share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikex_sim.cli.options import echo
from spikex_sim.core.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spikex_sim.spec.networks import Network
    from spikex_sim.trace.trace import Trace

ACTIVITY = 0.05
"""Firing rate that the thresholds are set for where --activity does not say."""

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


def chosen_network(name: str, layer: str | None) -> Network:
    """Load a network preset or file, cut to one layer where one is named."""
    from spikex_sim.spec.networks import load_network

    network = load_network(name)
    return network if layer is None else network.only(layer)


def save(trace: Trace, out: Path) -> None:
    """Write a trace, and say how busy its layers are and what it holds."""
    from spikex_sim.trace.store import save_trace
    from spikex_sim.trace.summary import activities

    save_trace(trace, out)
    rates = [f"{trace.layers[at].name} {100 * busy.rate:.4g}" for at, busy in activities(trace).items()]
    samples = f"{trace.samples} samples, " if trace.batched else ""
    weights = f"weights of {len(trace.weights)}" if trace.weights else "no weights"
    echo(f"input rates, %: {', '.join(rates)}")
    echo(f"wrote {out} (T={trace.timesteps}, {samples}spikes of {len(trace.inputs)} layers, {weights})")


def save_attached(
    spikes: NDArray[np.bool_],
    network: Network,
    out: Path,
    name: str,
    source: str,
    label: int | None,
    activity: float | None,
    seed: int,
) -> None:
    """Give spikes a network, write the trace, and say which thresholds were set."""
    from spikex_sim.cli import show
    from spikex_sim.trace.store import save_trace

    show.log_to_terminal()
    with show.progress_bar("calibrating") as progress:
        trace = attached(spikes, network, name, source, label, activity, seed, progress)
    save_trace(trace, out)
    say_thresholds(trace)
    echo(f"wrote {out} (T={trace.timesteps}, input rate {100 * spikes.mean():.4g} %)")


def attached(
    spikes: NDArray[np.bool_],
    network: Network,
    name: str,
    source: str,
    label: int | None,
    activity: float | None,
    seed: int,
    progress: Progress,
) -> Trace:
    """Give spikes a network with seeded weights and thresholds set on them."""
    from spikex_sim.explore.seeded_network import attach_network

    return attach_network(
        spikes,
        network,
        seed=seed,
        name=name,
        source=source,
        label=label,
        rate=ACTIVITY if activity is None else activity,
        progress=progress,
    )


def say_thresholds(trace: Trace) -> None:
    """Print the thresholds of a trace's layers."""
    thresholds = ", ".join(
        f"{layer.name} {layer.neuron.threshold:g}" for layer in trace.layers if layer.neuron is not None
    )
    echo(f"thresholds: {thresholds}")
