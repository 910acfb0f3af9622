"""One training run of a network that is a graph, from its name to trained weights with a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from spikex_sim.core.progress import Progress, silent
from spikex_sim.sources.trained_graphs import TrainedGraph
from spikex_sim.spec.graph_networks import GraphNetwork, load_graph
from spikex_sim.training.data import Splits
from spikex_sim.training.graph import SpikingGraph
from spikex_sim.training.graph_checks import check_trainable, wiring_of
from spikex_sim.training.images import Variation, splits_of_images
from spikex_sim.training.lif import Surrogate
from spikex_sim.training.loop import Trainer
from spikex_sim.training.measure import Measured, measure
from spikex_sim.training.module import WEIGHT_BITS
from spikex_sim.training.outcome import Outcome, accuracies, calibration_of, check_labels, device
from spikex_sim.training.recipe import Recipe


@dataclass(frozen=True)
class GraphPlan:
    """What to train.

    Attributes
    ----------
    network : str or GraphNetwork
        Preset or YAML file with nodes, or such nodes.
    data : Path
        File of images.
    recipe : Recipe
        How; ``beta`` and what goes with it have no effect.
    timesteps : int or None
        Time points; None: as the network has it.
    surrogate : Surrogate
        Derivative of the spike.
    variation : Variation
        How training images vary.
    bits : int
        Of a weight, 2 to 8.
    about : mapping
        What the card says of the network's origin, as JSON holds it.
    """

    network: str | GraphNetwork
    data: Path
    recipe: Recipe = field(default_factory=Recipe)
    timesteps: int | None = None
    surrogate: Surrogate = field(default_factory=Surrogate)
    variation: Variation = field(default_factory=Variation)
    bits: int = WEIGHT_BITS
    about: Mapping[str, Any] = field(default_factory=dict)


def train_graph(
    plan: GraphPlan, folder: Path | None = None, progress: Progress = silent
) -> Outcome[TrainedGraph]:
    """Carry a plan out.

    Parameters
    ----------
    plan : GraphPlan
        What to train.
    folder : Path, optional
        Of the checkpoint that is written after every epoch, and gone on from if there is one.
    progress : callable, optional
        Told what is being done, and how much of it.

    Raises
    ------
    SpikexError
        If network, data or checkpoint are wrong or do not fit together.
    """
    network = load_graph(plan.network) if isinstance(plan.network, str) else plan.network
    network = replace(network, timesteps=plan.timesteps or network.timesteps)
    wiring = wiring_of(network)
    image = check_trainable(wiring, network.name)
    data = splits_of_images(
        plan.data, image, seed=plan.recipe.seed, variation=plan.variation, progress=progress
    )
    classes = list(wiring.ports.values())[-1].shape[0]
    check_labels(data, classes, network.name)
    spiking = SpikingGraph.drawn(
        network, calibration_of(data), plan.recipe.seed, plan.surrogate, plan.bits
    ).to(device())
    whole = (network.timesteps,) * len(spiking.names)
    identity = {
        "surrogate": asdict(plan.surrogate),
        "variation": asdict(plan.variation),
        "data_sha256": data.sha256,
        "bits": plan.bits,
    }
    trainer = Trainer(spiking, data, plan.recipe, whole, identity=identity)
    rows = trainer.run(folder, progress)
    progress("testing", 0, 1)
    test, chosen = (
        measure(spiking, part, whole, batch=plan.recipe.batch) for part in (data.test, data.validation)
    )
    trained = TrainedGraph(
        name=network.name,
        network=network.name,
        timesteps=network.timesteps,
        nodes=tuple(spiking.nodes),
        arrays=spiking.integers(),
        card=_card(plan, data, spiking, chosen, test),
    )
    return Outcome(trained, rows, test)


def _card(
    plan: GraphPlan, data: Splits, spiking: SpikingGraph, chosen: Measured, test: Measured
) -> dict[str, Any]:
    """Provenance of the weights, as plain JSON."""
    keys = ("epochs", "batch", "learning_rate", "seed")
    return {
        "data": data.about,
        "data_sha256": data.sha256,
        "recipe": {key: getattr(plan.recipe, key) for key in keys},
        "surrogate": asdict(plan.surrogate),
        "variation": asdict(plan.variation),
        "bits": plan.bits,
        **plan.about,
        **accuracies(
            data, chosen, test,
            rates=dict(zip(spiking.names, test.rates, strict=True)),
            active=dict(zip(spiking.names, test.densities, strict=True)),
        ),
    }  # fmt: skip
