"""Networks of two cells as graphs of nodes (docs/nas.md, Section 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spikex_sim.core.errors import ConfigError, ResultsError
from spikex_sim.explore.nas.cells import space_of
from spikex_sim.explore.nas.forms import Form, canonical, distinct
from spikex_sim.explore.nas.macro import Macro, dataset_of
from spikex_sim.explore.nas.nodes import graph_of, leak_shift_of
from spikex_sim.explore.nas.winner import winning_network
from spikex_sim.trace.graph import nodes_of
from spikex_sim.trace.wiring import wired
from winners import found_of, winner_file

NEURONAS, SNASNET = space_of("neuronas"), space_of("snasnet")
X = Form((), ((0, 0, 1),))
"""A cell that passes its input on."""


def form(text: str, space: Any = NEURONAS) -> Form:
    return canonical(space.parse(text, "cell")).form


def described(a: Form, b: Form = X, **around: Any) -> dict[str, dict[str, Any]]:
    network = graph_of(Macro(**{"channels": 4, "timesteps": 3, "width": 20} | around), a, b, "net")
    return {node["name"]: node for node in network.nodes}


def taken(node: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["from"], one["kind"]) for one in node["synapses"]]


def test_the_way_around_the_cells() -> None:
    nodes = described(X)
    assert list(nodes) == ["image", "down", "last", "last.mean", "classifier", "out"]
    assert taken(nodes["down"]) == [("image", "conv")] and nodes["down"]["synapses"][0]["shift"] == 6
    [down] = nodes["last"]["synapses"]
    assert (down["from"], down["kernel"], down["stride"], down["padding"]) == ("down", 4, 2, 1)
    channels = [nodes[name]["channels"] for name in ("down", "last", "classifier", "out")]
    assert channels == [4, 8, 20, 10]
    assert nodes["last.mean"]["kernel"] == 2
    assert all(nodes[name]["neuron"] == {"leak_shift": 1, "fires": "at"} for name in ("down", "classifier"))


def test_convolutions_that_one_sum_takes_are_one_of_their_channels_side_by_side() -> None:
    nodes = described(form("111111"))
    assert nodes["a6.in"]["from"] == ["a1", "a4"] and taken(nodes["a6"]) == [("a6.in", "conv")]
    assert nodes["down.in"]["from"] == ["a1", "a4", "a6"] and taken(nodes["down"]) == [("down.in", "conv")]
    assert not any(node["kind"] == "currents" for name, node in nodes.items() if name != "out")
    assert [name for name in nodes if name.startswith("a") and "." not in name] == ["a1", "a4", "a6"]


def test_what_is_taken_more_than_once_is_a_sum_of_its_own() -> None:
    # V1 = c1, V2 = c2 + c1, V3 = c3 + 2 c1 + c2, all of x
    nodes = described(form("111000"))
    [doubled] = [name for name in nodes if name.endswith(".conv")]
    assert taken(nodes[doubled]) == [("a1", "conv")] and nodes[doubled]["kind"] == "currents"
    assert {one["from"]: one.get("weight", 1) for one in nodes["down"]["synapses"]} == {
        "down.in": 1,
        doubled: 2,
    }
    assert nodes["down.in"]["from"] == ["a1", "a1"], "two convolutions of the same spikes"


def test_averages_of_averages() -> None:
    # V1 = avg x, V2 = x + avg^2 x, V3 = x + avg x + V2
    nodes = described(form("200020"))
    assert {"stem", "stem.avg1"} <= set(nodes)
    window = {"kernel": 3, "padding": 1, "weight": 7, "shift": 6}
    assert nodes["stem.avg1"]["synapses"] == [{"from": "stem", "kind": "avgpool"} | window]
    found = nodes["down"]["synapses"]
    assert {one["from"] for one in found} >= {"stem"}


@pytest.mark.parametrize("space", [NEURONAS])
def test_all_forms_fit_together(space: Any) -> None:
    macro = Macro(channels=2, timesteps=2, width=5)
    for one in distinct(space):
        network = graph_of(macro, one, one, "net")
        wiring = wired(nodes_of(network.nodes, "net"), 2, "net")
        shapes = [wiring.ports[name].shape for name in ("down", "last", "classifier", "out")]
        assert shapes == [(2, 32, 32), (4, 16, 16), (5, 1, 1), (10, 1, 1)]
        [((name, k), side)] = network.averages.items()
        assert side == 2 and wiring.weight_shape(name, k) == (4, 2, 4, 4)


def test_kernels_of_other_sizes_keep_synapses_of_their_own() -> None:
    nodes = described(form("320232", SNASNET))
    kernels = [one.get("kernel") for one in nodes["down"]["synapses"]]
    assert set(kernels) == {1, 3} or len(kernels) == 1
    wired(nodes_of(tuple(nodes.values()), "net"), 3, "net")


def test_large_images_have_a_stem_of_stride_two() -> None:
    nodes = described(X, dataset=dataset_of("tinyimagenet"))
    assert nodes["image"]["shape"] == [3, 64, 64] and nodes["down"]["synapses"][0]["stride"] == 2
    assert nodes["out"]["channels"] == 200


@pytest.mark.parametrize(("tau", "shift"), [(4 / 3, 1), (2.0, 1), (2.5, 1), (4.0, 2), (8.0, 3)])
def test_leaks_are_the_nearest_shift(tau: float, shift: int) -> None:
    assert leak_shift_of(tau) == shift


def test_neurons_that_keep_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="tau: is 1; neurons that keep nothing"):
        leak_shift_of(1.0)


def test_an_empty_cell_is_named() -> None:
    with pytest.raises(ConfigError, match="cell B: nothing reaches its output"):
        described(X, Form((), ()))


def test_a_winner_is_read_back(tmp_path: Path) -> None:
    folder = winner_file(tmp_path, "111111", "100000", bits=4, channels=3, timesteps=5)
    made = winning_network(folder, "mine", width=7, pool=4)
    assert (made.network.name, made.network.timesteps, made.bits) == ("mine", 5, 4)
    nodes = {node["name"]: node for node in made.network.nodes}
    assert (nodes["a1"]["channels"], nodes["b1"]["channels"], nodes["classifier"]["channels"]) == (3, 6, 7)
    assert nodes["last.mean"]["kernel"] == 4
    about = made.about["searched"]
    assert (about["cell_a"], about["cell_b"], about["bits"]) == ("111111", "100000", 4)
    assert about["machines"]["spikesim-released"]["energy_uj"] == 3.0
    assert (about["width"], about["pool"], about["channels"]) == (7, 4, 3)
    same = winning_network(folder / "nas.json", "mine")
    assert {node["name"]: node for node in same.network.nodes}["classifier"]["channels"] == 8


def test_wider_weights_than_the_datapath_has_are_trained_in_eight_bits(tmp_path: Path) -> None:
    made = winning_network(winner_file(tmp_path, "111111", "100000", bits=16), "mine")
    assert made.bits == 8 and made.about["searched"]["bits"] == 16


def test_cells_with_backward_edges_are_not_trained(tmp_path: Path) -> None:
    cell = "0302 0030 3003 0000"
    folder = winner_file(tmp_path, cell, "302303", space="snasnet")
    with pytest.raises(ResultsError, match="winner's cell A: has backward edges"):
        winning_network(folder, "mine")


@pytest.mark.parametrize(
    ("around", "message"),
    [
        ({"channels": 10**9}, "channels: is 1000000000"),
        ({"channels": "8"}, "search.network.channels"),
        ({"dataset": "mnist"}, "mnist"),
        ({"tau": -1.0}, "tau: is -1"),
        ({"width": 0}, "search.network.width"),
    ],
)
def test_a_network_that_cannot_be_is_refused(tmp_path: Path, around: dict[str, Any], message: str) -> None:
    folder = winner_file(tmp_path, "111111", "100000", **around)
    with pytest.raises((ConfigError, ResultsError)) as caught:
        winning_network(folder, "mine")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_search_without_its_network_is_refused(tmp_path: Path) -> None:
    found = found_of("111111", "100000")
    search = {key: value for key, value in found.search.items() if key != "network"}
    found.model_copy(update={"search": search}).save(tmp_path)
    with pytest.raises(ResultsError, match=r"search\.network"):
        winning_network(tmp_path, "mine")
