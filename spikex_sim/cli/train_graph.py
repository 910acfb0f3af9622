"""The part of the command train for networks that are graphs and take images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from spikex_sim.cli.options import wrote
from spikex_sim.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spikex_sim.sources.trained_graphs import TrainedGraph
    from spikex_sim.spec.graph_networks import GraphNetwork
    from spikex_sim.training.outcome import Outcome

TAKEN = {
    "network", "out", "data", "epochs", "batch", "rate", "cutoff", "timesteps", "plain", "mirror",
    "seed", "checkpoint", "searched", "bits", "width", "pool",
}  # fmt: skip
"""Parameters of the command that such networks take."""
SHIFT_SHARE = 8
"""Training images are shifted by up to this part of their height."""


def train_graph(options: Mapping[str, Any], typed: Mapping[str, str], command: str) -> None:
    """Train a network of nodes and write weights and log.

    Parameters
    ----------
    options : mapping
        Parameters of the command by name.
    typed : mapping of str to str
        Those that are not at their default, as they are written: ``--ht``.
    command : str
        The whole command, for the card.
    """
    for key, name in typed.items():
        if key not in TAKEN:
            raise ConfigError("has no effect on a network of nodes, which takes images", where=name)
    if options["data"] is None:
        raise ConfigError("is missing: a network of nodes learns from a file of images", where="--data")
    from spikex_sim.cli import show
    from spikex_sim.core.files import csv_text, write_files
    from spikex_sim.sources.trained_graphs import save_trained_graph
    from spikex_sim.training.graph_checks import check_trainable, wiring_of
    from spikex_sim.training.graph_run import GraphPlan
    from spikex_sim.training.graph_run import train_graph as carry_out
    from spikex_sim.training.images import Variation
    from spikex_sim.training.lif import Surrogate
    from spikex_sim.training.outcome import with_command
    from spikex_sim.training.recipe import Recipe

    show.log_to_terminal()
    out: Path = options["out"]
    network, bits, about = _network(options)
    height = check_trainable(wiring_of(network), network.name).shape[1:2]
    shift = 0 if options["plain"] or not height else height[0] // SHIFT_SHARE
    plan = GraphPlan(
        network=network,
        data=options["data"],
        recipe=Recipe(
            epochs=options["epochs"],
            warmup_epochs=0,  # normalised sums leave no channel silent
            batch=options["batch"],
            learning_rate=options["rate"],
            seed=options["seed"],
        ),
        timesteps=options["timesteps"],
        surrogate=Surrogate(cutoff=options["cutoff"]),
        variation=Variation(shift, mirror=options["mirror"]),
        bits=options["bits"] or bits,
        about=about,
    )
    with show.progress_bar("reading") as progress:
        outcome = with_command(carry_out(plan, options["checkpoint"], progress), command)
    save_trained_graph(outcome.trained, out)
    _show(outcome)
    wrote([out, *write_files(out.parent, {f"{out.stem}.csv": csv_text(outcome.rows)})])


def _network(options: Mapping[str, Any]) -> tuple[GraphNetwork, int, dict[str, Any]]:
    """What to train, bits of its weights, and what its card says of its origin."""
    if options["searched"] is None:
        from spikex_sim.spec.graph_networks import load_graph
        from spikex_sim.training.module import WEIGHT_BITS

        return load_graph(options["network"]), WEIGHT_BITS, {}
    from spikex_sim.explore.nas.winner import winning_network

    made = winning_network(
        options["searched"], options["out"].stem, width=options["width"], pool=options["pool"]
    )
    return made.network, made.bits, made.about


def _show(outcome: Outcome[TrainedGraph]) -> None:
    from spikex_sim.cli import show

    trained = outcome.trained
    test = trained.card["test"]
    show.say(f"{escape(trained.name)}: {escape(str(trained.card['data']))}\n")
    right = round(test["accuracy"] * test["samples"])
    show.say(f"correct: {right} of {test['samples']}, {100 * test['accuracy']:.2f} %\n")
    made = show.table("Test images", "population", "spikes %", f"fire in {trained.timesteps} time points %")
    for name in test["rates"]:
        made.add_row(escape(name), *(f"{100 * test[key][name]:.3g}" for key in ("rates", "active")))
    show.put(made)
