"""What the commands that make traces share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikex_sim.cli.options import completing, echo
from spikex_sim.core.progress import Progress
from spikex_sim.core.text import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spikex_sim.spec.networks import Network
    from spikex_sim.trace.graph import GraphTrace
    from spikex_sim.trace.trace import Trace

ACTIVITY = 0.05
"""Firing rate that the thresholds are set for where --activity does not say."""


def _networks() -> list[str]:
    from spikex_sim.spec.networks import network_names

    return network_names()


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
NetworkName = Annotated[
    str | None,
    typer.Option(
        "--network",
        help="Network preset or YAML file.",
        metavar="NAME|FILE",
        autocompletion=completing(_networks),
    ),
]
Like = Annotated[
    Path | None,
    typer.Option("--like", help="Trace whose layers and weights to use instead.", metavar="FILE"),
]
OutFile = Annotated[Path, typer.Option("--out", help="Trace file to write, .npz or .h5.", metavar="FILE")]


def chosen_network(name: str, layer: str | None) -> Network:
    """Load a network preset or file, cut to one layer where one is named."""
    from spikex_sim.spec.networks import load_network

    network = load_network(name)
    return network if layer is None else network.only(layer)


def save(trace: Trace | GraphTrace, out: Path) -> None:
    """Write a trace, and say how busy its layers are and what it holds."""
    from spikex_sim.trace.graph import GraphTrace
    from spikex_sim.trace.store import save_trace
    from spikex_sim.trace.summary import activities

    save_trace(trace, out)
    if isinstance(trace, GraphTrace):
        _say_graph(trace, out)
        return
    rates = [f"{trace.layers[at].name} {100 * busy.rate:.4g}" for at, busy in activities(trace).items()]
    samples = f"{counted(trace.samples, 'sample')}, " if trace.batched else ""
    weights = f"weights of {len(trace.weights)}" if trace.weights else "no weights"
    echo(f"input rates, %: {', '.join(rates)}")
    spikes = f"{samples}spikes of {counted(len(trace.inputs), 'layer')}"
    echo(f"wrote {out} (T={trace.timesteps}, {spikes}, {weights})")


def _say_graph(graph: GraphTrace, out: Path) -> None:
    from spikex_sim.core.spikes import count_spikes

    rates = [
        f"{name} {100 * count_spikes(packed) / (packed[..., 0].size * graph.timesteps):.4g}"
        for name, packed in graph.spikes.items()
    ]
    if rates:
        echo(f"spike rates, %: {', '.join(rates)}")
    samples = f"{counted(graph.samples, 'sample')}, " if graph.batched else ""
    weights = f"weights of {len({name for name, _ in graph.weights})}" if graph.weights else "no weights"
    held = f"{samples}{counted(len(graph.nodes), 'node')}, spikes of {len(graph.spikes)}"
    echo(f"wrote {out} (graph, T={graph.timesteps}, {held}, {weights})")


def network_of(trace: Trace) -> Network:
    """Layers of a trace as a network."""
    from spikex_sim.core.errors import TraceError
    from spikex_sim.spec.networks import Network
    from spikex_sim.spec.validation import validated

    described = {"name": trace.name, "timesteps": trace.timesteps, "layers": trace.layers}
    return validated(Network, described, where=trace.where, error=TraceError)


@dataclass(frozen=True)
class Entered:
    """What input spikes enter.

    Attributes
    ----------
    network : Network
        Layers that the spikes run through.
    like : Trace or None
        Trace whose layers, weights and thresholds are taken.
    activity, seed
        Of the weights and thresholds that are made where there is no ``like``.
    """

    network: Network
    like: Trace | None
    activity: float | None
    seed: int

    def trace(
        self, spikes: NDArray[np.bool_], name: str, source: str, label: int | None, progress: Progress
    ) -> Trace:
        """Trace of these spikes."""
        from spikex_sim.explore.seeded_network import attach_network

        if self.like is not None:
            source += f"; layers and weights of {self.like.name}"
            return self.like.with_input(spikes, name, source, label)
        return attach_network(
            spikes,
            self.network,
            seed=self.seed,
            name=f"{name}-{self.network.name}",
            source=source,
            label=label,
            rate=ACTIVITY if self.activity is None else self.activity,
            progress=progress,
        )


def save_entered(
    spikes: NDArray[np.bool_],
    entered: Entered,
    out: Path,
    name: str,
    source: str,
    label: int | None,
    account: Sequence[str] = (),
) -> None:
    """Let spikes enter a network, write the trace, and say what they are of and which thresholds were set."""
    from spikex_sim.cli import show
    from spikex_sim.trace.store import save_trace

    show.log_to_terminal()
    with show.progress_bar("calibrating") as progress:
        trace = entered.trace(spikes, name, source, label, progress)
    save_trace(trace, out)
    for line in account:
        echo(line)
    if entered.like is None:
        say_thresholds(trace)
    echo(f"wrote {out} (T={trace.timesteps}, input rate {100 * spikes.mean():.4g} %)")


def say_thresholds(trace: Trace) -> None:
    """Print the thresholds of a trace's layers."""
    thresholds = ", ".join(
        f"{layer.name} {layer.neuron.threshold:g}" for layer in trace.layers if layer.neuron is not None
    )
    echo(f"thresholds: {thresholds}")
