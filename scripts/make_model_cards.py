"""Rewrite docs/models/: a card for every network that ships with weights, from what the files say.

python scripts/make_model_cards.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from spikex_sim.sources.trained import TrainedNetwork, load_trained, shipped_names
from spikex_sim.sources.trained_graphs import TrainedGraph, load_trained_graph, shipped_graph_names
from spikex_sim.spec.graph import Population

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "models"
VARIANTS = {
    "base": "for accuracy alone",
    "ht": "with the hardware loss (SpikeX-HT)",
    "has": "with the hardware loss and a search of window sizes (SpikeX-HAS)",
}


def pages() -> dict[str, str]:
    """Texts of the pages by file name."""
    networks = sorted((load_trained(name) for name in shipped_names()), key=_order)
    groups = {name: list(group) for name, group in groupby(networks, lambda one: one.network)}
    texts = {f"{name}.md": _page(name, group) for name, group in groups.items()}
    graphs = [load_trained_graph(name) for name in shipped_graph_names()]
    texts |= {f"{one.name}.md": _graph_page(one) for one in graphs}
    return {"index.md": _index(groups, graphs), **texts}


def _order(one: TrainedNetwork) -> tuple[str, int]:
    return one.network, list(VARIANTS).index(one.variant)


def _index(groups: Mapping[str, list[TrainedNetwork]], graphs: Sequence[TrainedGraph]) -> str:
    rows = [
        f"| [{network}]({network}.md) | `{one.name}` | {VARIANTS[one.variant]} "
        f"| {_accuracy(one.card['test'])} |"
        for network, group in groups.items()
        for one in group
    ]
    return "\n".join(
        [
            "# Trained networks",
            "",
            "Weights that ship with the package, by the name that `load_trained` and the commands take;",
            "written by `scripts/make_model_cards.py` from the cards in the files. How they are made:",
            "[training](../training.md).",
            "",
            "| network | weights | trained | test samples correct |",
            "|---|---|---|---|",
            *rows,
            "",
            "Networks that are graphs and take images, by the name that `load_trained_graph` takes:",
            "",
            "| network | test images correct |",
            "|---|---|",
            *(f"| [{one.name}]({one.name}.md) | {_accuracy(one.card['test'])} |" for one in graphs),
            "",
        ]
    )


def _page(network: str, group: list[TrainedNetwork]) -> str:
    parts = [f"# {network}", "", "Written by `scripts/make_model_cards.py` from the cards in the files.", ""]
    for one in group:
        parts += [*_section(one), ""]
    return "\n".join(parts)


def _graph_page(one: TrainedGraph) -> str:
    card = one.card
    recipe, test, varied = card["recipe"], card["test"], card["variation"]
    mirrored = ", half of them mirrored" if varied["mirror"] else ""
    rows = {
        "data": card["data"],
        "test images correct": _accuracy(test),
        "validation images correct": _accuracy(card["validation"]),
        "training images": f"shifted by up to {varied['shift_px']} pixels{mirrored}",
        "time points": str(one.timesteps),
        "epochs, batch, rate, seed": ", ".join(
            f"{recipe[key]:g}" for key in ("epochs", "batch", "learning_rate", "seed")
        ),
        **_origin(card),
        "PyTorch": card["torch"],
        "weights, SHA-256": f"`{one.file_sha256}`",
    }
    return "\n".join(
        [
            f"# {one.name}",
            "",
            "Written by `scripts/make_model_cards.py` from the card in the file.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {key} | {value} |" for key, value in rows.items()),
            "",
            "```",
            *([card["search_command"]] if "search_command" in card else []),
            card["command"],
            "```",
            "",
            *([f"{card['notes']}", ""] if card.get("notes") else []),
            *_costs(card),
            "| node | takes | shape | thresholds, leak shift, reset | spikes, % | ever fire, % |",
            "|---|---|---|---|---|---|",
            *(_node(one, node) for node in one.nodes if isinstance(node, Population)),
            "",
        ]
    )


def _origin(card: Mapping[str, Any]) -> dict[str, str]:
    """Rows of a network that a search found."""
    if "searched" not in card:
        return {}
    found = card["searched"]
    return {
        "found by": f"a search ([{found['space']}, {found['algorithm']}](../nas.md)), seed {found['seed']}: "
        f"cells `{found['cell_a']}`, `{found['cell_b']}`, score {found['score']:.2f}",
        "cell A": f"`{found['form_a']}`",
        "cell B": f"`{found['form_b']}`",
        "channels, neurons between the linear layers": f"{found['channels']}, {found['width']}",
        "bits of a weight": str(card["bits"]),
    }


def _costs(card: Mapping[str, Any]) -> list[str]:
    """Costs by machine, and what crossbars that are not ideal get right."""
    if "costs" not in card:
        return []
    found, arrays = card["costs"], card["arrays"]
    settings = ", ".join(f"`{key}: {value}`" for key, value in arrays["settings"].items())
    rows = [
        f"| {name} | {one['latency_ms']:.4g} | {one['energy_uj']:.4g} | {one['on_chip_uj']:.4g} "
        f"| {one['edp_js']:.3g} |"
        for name, one in found["machines"].items()
    ]
    right, exact = (f"{round(arrays[key] * arrays['images'])}" for key in ("accuracy", "software_accuracy"))
    return [
        f"Costs of an image, mean of the first {found['images']} test images; `spikex` and `ptb` at TWS "
        f"{found['tws']}; on `spikesim` and `neuronas` without the first neurons and the read-out, which a "
        "[host](../imc.md#1-mapping) computes:",
        "",
        "| machine | latency, ms | energy, µJ | without DRAM, µJ | EDP, Js |",
        "|---|---|---|---|---|",
        *rows,
        "",
        f"On crossbars that are not ideal (`spikesim` with {settings}) {right} of the first "
        f"{arrays['images']} test images are right, with exact sums {exact}.",
        "",
    ]


def _node(one: TrainedGraph, node: Population) -> str:
    taken = ", ".join(
        f"{synapse.kind} of {synapse.source}" + ("" if synapse.weight_of is None else " (same weights)")
        for synapse in node.synapses
    )
    shape = "x".join(map(str, one.wiring.ports[node.name].shape))
    numbers = ["currents", "", ""]
    if node.neuron is not None:
        bars = one.arrays[f"{node.name}/neuron/threshold"]
        rates = [f"{100 * one.card['test'][key][node.name]:.2f}" for key in ("rates", "active")]
        numbers = [f"{bars.min()} to {bars.max()}, {node.neuron.leak_shift}, {node.neuron.reset}", *rates]
    return f"| {node.name} | {taken} | {shape} | {' | '.join(numbers)} |"


def _section(one: TrainedNetwork) -> list[str]:
    card = one.card
    recipe, test = card["recipe"], card["test"]
    rows = {
        "data": card["data"] + ("" if card["augmented"] else ", as they are"),
        "test samples correct": _accuracy(test),
        "validation samples correct": _accuracy(card["validation"]),
        "time points": str(one.timesteps),
        "window sizes": "any" if one.tws is None else ", ".join(map(str, one.tws)),
        "epochs, batch, rate, seed": f"{recipe['epochs']}, {recipe['batch']}, {recipe['learning_rate']:g}, "
        f"{recipe['seed']}",
        "beta": f"{recipe['beta']:g}" if one.variant != "base" else "",
        "PyTorch": card["torch"],
        "weights, SHA-256": f"`{one.file_sha256}`",
    }
    return [
        f"## {one.name}",
        "",
        f"Trained {VARIANTS[one.variant]}.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in rows.items() if value),
        "",
        "```",
        *card.get("init", {}).get("commands", []),
        card["command"],
        "```",
        "",
        *([f"{card['notes']}", ""] if card.get("notes") else []),
        *_layers(one),
    ]


def _layers(one: TrainedNetwork) -> list[str]:
    test = one.card["test"]
    chances = one.card.get("probabilities", {})
    rows = []
    layers = [one.layers[index] for index in one.neuron_layers]
    for layer, size in zip(layers, test["tws"], strict=True):
        neuron = layer.neuron
        assert neuron is not None
        rate, density = (100 * test[key][layer.name] for key in ("rates", "densities"))
        chance = chances.get(layer.name, {}).get(str(size))
        share = "" if chance is None else f" ({100 * chance:.0f} %)"
        rows.append(
            f"| {layer.name} | {neuron.threshold:g}, {neuron.leak_shift} | {rate:.2f} | {density:.2f} | "
            f"{size}{share} |"
        )
    return [
        "| layer | threshold, leak shift | spikes entering, % | active windows, % | at TWS |",
        "|---|---|---|---|---|",
        *rows,
    ]


def _accuracy(part: Mapping[str, Any]) -> str:
    return f"{round(part['accuracy'] * part['samples'])} of {part['samples']}"


def main() -> None:
    """Write the pages, or with ``--check`` say whether they are up to date."""
    texts = pages()
    if "--check" in sys.argv[1:]:
        stale = [name for name, text in texts.items() if not _is(FOLDER / name, text)]
        sys.exit(f"out of date: {', '.join(stale)}" if stale else 0)
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts.items():
        (FOLDER / name).write_text(text)
        print(FOLDER / name)


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    main()
