"""The cards of the shipped networks say what the files say, and the files what the presets are."""

from __future__ import annotations

import pytest
from make_model_cards import FOLDER, pages

from spikex_sim.sources.trained import load_trained, shipped_names
from spikex_sim.spec.networks import load_network


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
