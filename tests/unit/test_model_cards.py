"""The cards of the shipped networks say what the files say, and the files what the presets are."""

from __future__ import annotations

from typing import Any

import pytest
from make_model_cards import FOLDER, pages

from spikex_sim.explore.nas.cells import space_of
from spikex_sim.explore.nas.forms import canonical
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.explore.nas.nodes import graph_of
from spikex_sim.sources.trained import load_trained, shipped_names
from spikex_sim.sources.trained_graphs import load_trained_graph, shipped_graph_names
from spikex_sim.spec.graph_networks import GraphNetwork, graph_network
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
    trained = load_trained_graph(name)
    card, searched = trained.card, trained.card.get("searched")
    network = graph_network(name) if searched is None else _winner(name, searched, trained.timesteps)
    assert trained.name == trained.network == name and trained.timesteps == network.timesteps
    assert trained.nodes == nodes_of(network.nodes, name)
    taken = f"{name} --out {name}.npz" if searched is None else f"--out {name}.npz --network nas-c8"
    assert card["command"].startswith(f"spikex-sim train {taken} --data ")
    spiking = [node.name for node in trained.nodes if node.kind == "neurons"]
    assert list(card["test"]["rates"]) == list(card["test"]["active"]) == spiking
    assert card["validation"]["samples"] > 0 and 0.1 < card["test"]["accuracy"] <= 1


def _winner(name: str, searched: dict[str, Any], timesteps: int) -> GraphNetwork:
    space = space_of(searched["space"])
    a, b = (canonical(space.parse(searched[key], key)).form for key in ("cell_a", "cell_b"))
    assert (a.text, b.text) == (searched["form_a"], searched["form_b"])
    macro = Macro(
        channels=searched["channels"], timesteps=timesteps, pool=searched["pool"], width=searched["width"]
    )
    return graph_of(macro, a, b, name)


def test_a_searched_network_says_how_it_was_found_and_what_it_costs() -> None:
    card = load_trained_graph("nas-cifar10").card
    assert card["search_command"].startswith("spikex-sim nas --data ")
    assert {"spikex", "ptb", "sata", "systolic-os", "spikesim"} <= set(card["costs"]["machines"])
    assert all(cost > 0 for one in card["costs"]["machines"].values() for cost in one.values())
    assert 0.1 < card["arrays"]["accuracy"] <= 1
