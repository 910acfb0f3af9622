"""The cards of the shipped networks say what the files say, and the files what the presets are."""

from __future__ import annotations

import pytest
from make_model_cards import FOLDER, pages

from spikex_sim.sources.trained import load_trained, shipped_names
from spikex_sim.sources.trained_graphs import load_trained_graph, shipped_graph_names
from spikex_sim.spec.graph_networks import graph_network
from spikex_sim.spec.networks import load_network
from spikex_sim.trace.graph import nodes_of


def test_pages_are_up_to_date() -> None:
    texts = pages()
    assert {path.name for path in FOLDER.glob("*.md")} == set(texts)
    for name, text in texts.items():
        assert (FOLDER / name).read_text("utf-8") == text, f"{name}: run scripts/make_model_cards.py"


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_weights_belong_to_their_network(name: str) -> None:
    trained = load_trained(name)
    network = load_network(trained.network)
    assert trained.name == name == f"{trained.network}-{trained.variant}"
    assert trained.timesteps == network.timesteps and not trained.biases
    for mine, preset in zip(trained.layers, network.layers, strict=True):
        assert mine.model_copy(update={"neuron": None}) == preset.model_copy(update={"neuron": None})
    card = trained.card
    assert f"spikex-sim train {trained.network} " in card["command"]
    for key in ("data", "recipe", "test", "validation"):
        assert card[key]
    assert set(card["test"]["densities"]) == {layer.name for layer in network.layers}
    if trained.variant == "has":
        assert list(card["probabilities"]) == [layer.name for layer in network.layers]
        for layer, size in zip(network.layers, trained.tws or (), strict=True):
            chances = card["probabilities"][layer.name]
            assert chances[str(size)] == max(chances.values())


@pytest.mark.parametrize("name", shipped_graph_names())
def test_shipped_graphs_belong_to_their_network(name: str) -> None:
    trained, network = load_trained_graph(name), graph_network(name)
    assert trained.name == trained.network == name and trained.timesteps == network.timesteps
    assert trained.nodes == nodes_of(network.nodes, name)
    card = trained.card
    assert card["command"].startswith(f"spikex-sim train {name} --out {name}.npz --data ")
    spiking = [node.name for node in trained.nodes if node.kind == "neurons"]
    assert list(card["test"]["rates"]) == list(card["test"]["active"]) == spiking
    assert card["validation"]["samples"] > 0 and 0.1 < card["test"]["accuracy"] <= 1
