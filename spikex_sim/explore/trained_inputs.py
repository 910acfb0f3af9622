"""Trained networks and labelled samples, by the names that people give them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from spikex_sim.core.errors import ConfigError
from spikex_sim.sources.images import image_samples
from spikex_sim.sources.samples import (
    EMULATED,
    LabelledSamples,
    Split,
    emulated_samples,
    load_samples,
    step_of,
)
from spikex_sim.sources.trained import TrainedNetwork, load_trained, shipped_names
from spikex_sim.sources.trained_graphs import (
    TrainedGraph,
    is_trained_graph,
    load_trained_graph,
    shipped_graph_names,
)

VARIANTS = ("base", "ht", "has")

Trained = TrainedNetwork | TrainedGraph
NetworkLike = TrainedNetwork | TrainedGraph | str | Path
SamplesLike = LabelledSamples | str | Path


def as_network(network: NetworkLike, variant: str | None = None) -> Trained:
    """Load shipped weights by network and variant or by both in one name, or a file of weights (``.npz``).

    Graphs (``mnist``, ``cifar10``) have no variants.

    Raises
    ------
    ConfigError
        If there is no such variant, or the file is of another one.
    TraceError
        If there are no such weights, or they cannot be read.
    """
    if variant not in (None, *VARIANTS):
        raise ConfigError(f"must be one of {', '.join(VARIANTS)}, not {variant!r:.40}", field="variant")
    graph = _graph_of(network)
    if graph is not None:
        if variant is not None:
            raise ConfigError("a graph has no variants; leave it out", where=graph.name, field="variant")
        return graph
    assert not isinstance(network, TrainedGraph)
    named = isinstance(network, str) and not network.endswith(".npz")
    if named and network not in shipped_names():
        return load_trained(f"{network}-{variant or VARIANTS[0]}")
    trained = network if isinstance(network, TrainedNetwork) else load_trained(network)
    if variant not in (None, trained.variant):
        raise ConfigError(f"is of the variant {trained.variant}, not {variant}", where=trained.where)
    return trained


def _graph_of(network: NetworkLike) -> TrainedGraph | None:
    """The trained graph that is meant, if one is."""
    if isinstance(network, TrainedGraph):
        return network
    if isinstance(network, TrainedNetwork):
        return None
    if str(network) in shipped_graph_names() or is_trained_graph(network):
        return load_trained_graph(network)
    return None


def as_samples(
    trained: Trained,
    data: SamplesLike | None = None,
    *,
    split: str = "test",
    step_ms: float | None = None,
    limit: int | None = None,
) -> LabelledSamples:
    """Samples that a network takes: from a file or folder, or of the emulated camera.

    Parameters
    ----------
    trained : TrainedNetwork
        Its card says how long a time point is.
    data : LabelledSamples, str or Path, optional
        Labelled recordings or traces; by default the emulated camera.
    split : {"test", "train", "all"}
        Which of marked recordings.
    step_ms : float, optional
        Length of a time point in ms; by default as trained, else the camera's usual one.
    limit : int, optional
        Most samples; of the emulated camera 20.

    Of a graph, samples are labelled images (``train_images`` and so on in an ``.npz``).

    Raises
    ------
    SpikexError
        If an argument is wrong, or there is nothing to be read.
    """
    if isinstance(data, LabelledSamples):
        return data
    if split not in ("train", "test", "all"):
        raise ConfigError(f"must be train, test or all, not {split!r:.40}", field="split")
    if step_ms is not None and not 1e-3 <= step_ms <= 1e6:
        raise ConfigError(f"must be 0.001 to 1e6, not {step_ms:g}", field="step_ms")
    if isinstance(trained, TrainedGraph):
        if data is None:
            raise ConfigError(
                f"is missing: {trained.name} sees labelled images, in an .npz file", field="data"
            )
        if step_ms is not None:
            raise ConfigError("is for recordings, not for images", field="step_ms")
        return image_samples(Path(data), trained.input, split, limit)
    shape = trained.layers[0].input_shape
    own = trained.card.get("step_us")
    step_us = own if isinstance(own, int) and own > 0 else step_of(shape)
    if step_ms is not None:
        step_us = round(1000 * step_ms)
    if data is None:
        return emulated_samples(shape, trained.timesteps, step_us, count=limit or EMULATED)
    return load_samples(data, shape, trained.timesteps, step_us, split=cast(Split, split), limit=limit)
