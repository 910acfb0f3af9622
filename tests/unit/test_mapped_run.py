"""Runs on the crossbars of a mapping: what must hold, traces of every kind, what is refused, commands."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import is_mistake, spikex, succeed
from graphs import LIF, population, spiking_input
from graphs import conv as synapse
from mapped_runs import MOST_CROSSBARS, Drawn, check_against_oracle, oracle, run, saved_mapping
from naive import forward
from naive_imc_cost import read_table
from networks import conv, full, linear, pool
from spikex_sim.explore.mapping.profile import spikes_of
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.mesh import Placement, flows
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.mapped.unroll import Unrolled, unrolled
from spikex_sim.trace.graph import GraphTrace

NEURON = {"threshold": 40, "leak_shift": 3, "reset": "zero", "datapath": "int"}
LAYERS = [conv("first", (2, 4), 5, NEURON, padding=1), linear("hidden", (100, 9), NEURON),
          linear("last", (9, 3), NEURON)]  # fmt: skip
T = 6
TABLE = read_table(Path(sx.__file__).parent / "costs" / "tables" / "imc65" / "imc.csv")
HOMES = [0, 1, 2, 1, 0, 3, 2]

pytestmark = pytest.mark.usefixtures("quiet_logger")


def weights_without_zeros(layers: list[dict[str, Any]], seed: int = 0) -> list[Any]:
    """Weights from -60 to 79, none of them 0."""
    rng = np.random.default_rng(seed)
    shapes = [
        (one["out_channels"], one["in_channels"], *([one["kernel"]] * 2 if one["kind"] == "conv" else []))
        if one["kind"] in ("conv", "linear")
        else None
        for one in layers
    ]
    drawn = [None if shape is None else rng.integers(-60, 79, shape) for shape in shapes]
    return [None if one is None else np.where(one < 0, one, one + 1).astype(np.int8) for one in drawn]


WEIGHTS = weights_without_zeros(LAYERS)


def trace(layers: list[dict[str, Any]] = LAYERS, seed: int = 3, **keys: Any) -> sx.Trace:
    first = layers[0]
    spikes = np.random.default_rng(seed).random((first["in_channels"], 5, 5, T)) < 0.3
    return sx.Trace.from_arrays(layers, spikes, **({"weights": weights_without_zeros(layers)} | keys))


def written(saved: SavedMapping, path: Path) -> str:
    path.write_text(saved.text, encoding="utf-8")
    return str(path)


def figures(result: sx.RunResult) -> dict[str, Any]:
    counts: dict[str, Any] = result.to_dict()["totals"]["imc"]["counts"]
    return counts


def profiled(network: Unrolled, given: sx.Trace) -> NeuronGraph:
    """The network with the spikes of the one sample of a trace."""
    (spikes,) = spikes_of(network, given)
    return replace(network.graph, spikes=spikes, profiled=True)


# --- What must hold ------------------------------------------------------------------------------------


def test_one_crossbar_for_all_sends_no_packet(tmp_path: Path) -> None:
    given = trace()
    path = written(saved_mapping(unrolled(given), [0]), tmp_path / "one.json")
    result = sx.simulate(given, "crossbar", overrides={"crossbar_mapping": path})
    counts = figures(result)
    assert (counts["packets"], counts["packet_hops"]) == (0, 0)
    assert result.totals.energy_pj_by["noc"] == 0
    assert result.to_dict()["totals"]["imc"]["stalls"]["noc_in"] == 0
    assert counts["row_activations"] > 0


def test_away_from_the_corner_it_is_sent_the_inputs_alone(tmp_path: Path) -> None:
    given = trace()
    saved = saved_mapping(unrolled(given), [0], extra=(1, 2))
    saved.crossbars[0].update(x=2, y=1)
    saved.metrics["hops"] = 3 * saved.metrics["packets_external"]
    path = written(saved, tmp_path / "one.json")
    counts = figures(sx.simulate(given, "crossbar", overrides={"crossbar_mapping": path}))
    inputs = int(np.bitwise_count(given.inputs[0]).sum())
    assert (counts["packets"], counts["packet_hops"]) == (inputs, 3 * inputs)


@pytest.mark.parametrize("homes", [[0], HOMES, list(range(MOST_CROSSBARS))])
def test_accumulations_are_those_of_the_network(tmp_path: Path, homes: list[int]) -> None:
    given = trace()
    network = unrolled(given)
    graph = profiled(network, given)
    path = written(saved_mapping(network, homes), tmp_path / "m.json")
    result = sx.simulate(given, "crossbar", overrides={"crossbar_mapping": path})
    assert figures(result)["accumulations"] == int((graph.spikes * np.diff(graph.targets.starts)).sum())
    dense = sx.simulate(given, "spikex")
    assert [one.operations.accumulations for one in result.layers] == [
        one.operations.accumulations for one in dense.layers
    ]


def test_moving_a_neuron_changes_the_mesh_as_the_flows_say(tmp_path: Path) -> None:
    given = trace()
    network = unrolled(given)
    graph = profiled(network, given)
    types = {"types": [{"inputs": 200, "outputs": 130}]}
    pool_ = Pool.of("one", types)
    homes = [HOMES[i % len(HOMES)] for i in range(graph.neurons)]
    tiles = np.array([3, 0, 4, 1])  # of a mesh of 2 x 3
    seen = []
    for moved_to in (homes[5], 0, 1, 2):
        mapping = Mapping.of(graph, pool_, [moved_to if i == 105 else j for i, j in enumerate(homes)])
        assert mapping is not None
        placement = Placement(mapping, 2, 3, tiles)
        source, target, packets = flows(mapping)
        away = np.append(tiles, 0)[source] != tiles[target]  # none is sent to the corner from outside
        # The file counts a spike a node: its network has no profile.
        plain = Mapping.of(network.graph, pool_, mapping.home)
        assert plain is not None
        saved = SavedMapping.of(plain, [], Placement(plain, 2, 3, tiles))
        result = sx.simulate(
            given, "crossbar", overrides={"crossbar_mapping": written(saved, tmp_path / "m.json")}
        )
        counts = figures(result)
        assert (counts["packets"], counts["packet_hops"]) == (int(packets[away].sum()), placement.hops)
        price = TABLE["noc.flit_hop"]["energy_pj"], TABLE["noc.flit_hop"]["energy_pj"]
        assert result.totals.energy_pj_by["noc"] == pytest.approx(
            counts["packets"] * price[0] + counts["packet_hops"] * price[1], rel=1e-12
        )
        multicast = {"crossbar_mapping": str(tmp_path / "m.json"), "multicast": True}
        together = figures(sx.simulate(given, "crossbar", overrides=multicast))
        assert together["packet_hops"] == placement.multicast_hops <= counts["packet_hops"]
        seen.append((counts["packets"], counts["packet_hops"]))
    assert len(set(seen)) > 2


def test_parts_send_their_sums_and_add_up(tmp_path: Path) -> None:
    """A neuron of two parts on two tiles: one packet a time point with a spike among the further part's."""
    layers = [linear("only", (4, 2), NEURON)]
    spikes = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 1]], np.bool_)
    given = sx.Trace.from_arrays(
        layers, spikes, weights=[np.array([[9, 9, 9, 9], [30, 30, 30, 30]], np.int8)]
    )
    saved = saved_mapping(unrolled(given), [0, 0, 1], further={1: [[3, 5]]})
    path = written(saved, tmp_path / "m.json")
    result = sx.simulate(given, "crossbar", overrides={"crossbar_mapping": path})
    counts = figures(result)
    assert counts["psum_adds"] == 3  # at the time points 1, 2 and 3
    assert counts["packets"] == counts["packet_hops"] == 3 + 4  # and the spikes of its inputs
    assert result.layers[0].mapping["psum_bits"] == 5 + 8 + 1 + 1
    assert result.layers[0].output_sha256 == sx.simulate(given, "spikesim").layers[0].output_sha256


@pytest.mark.parametrize(
    ("tiles", "shares"),
    [(((1, 0), (2, 0)), (1, 1)),  # of two links along a row the first: the input's
     (((0, 1), (1, 1)), (0, 2)),  # the link along a row before the one along a column
     (((0, 1), (0, 2)), (1, 1))],  # of two along a column the first
)  # fmt: skip
def test_of_equal_links_the_first_is_the_busiest(
    tmp_path: Path, tiles: tuple[tuple[int, int], ...], shares: tuple[int, int]
) -> None:
    """A spike of the input and one of neuron 0, which comes first among ways of one link, at a time."""
    layers = [linear("a", (1, 1), NEURON | {"threshold": 0}), linear("b", (1, 1), NEURON)]
    one = np.array([[5]], np.int8)
    given = sx.Trace.from_arrays(layers, np.ones((1, 1), bool), weights=[one, one])
    mapping = Mapping.of(unrolled(given).graph, Pool.named("table2"), [0, 1])
    assert mapping is not None
    placement = Placement(mapping, 3, 3, np.array([3 * y + x for x, y in tiles]))
    path = written(SavedMapping.of(mapping, [], placement), tmp_path / "m.json")
    result = sx.simulate(given, "crossbar", overrides={"crossbar_mapping": path})
    moved = [layer.to_dict()["imc"]["stalls"]["noc_in"] for layer in result.layers]
    assert tuple(moved) == shares
    assert figures(result)["packets"] == figures(result)["packet_hops"] == 2


# --- Traces of every kind ------------------------------------------------------------------------------


def test_recorded_spikes_do_without_weights(tmp_path: Path) -> None:
    given = trace()
    outputs: list[Any] = []
    spikes = given.spikes(0)[0]
    for layer, weight in zip(LAYERS, WEIGHTS, strict=True):
        entering = spikes if layer["kind"] == "conv" else spikes.reshape(-1, T)
        outputs.append(entering)
        spikes = forward(full(layer), entering, weight, potential_bits=22)
    recorded = sx.Trace.from_arrays(LAYERS, dict(enumerate(outputs)))
    saved = saved_mapping(unrolled(given), HOMES, extra=(0, 1), seed=1)
    assert unrolled(recorded).graph.sha256 == unrolled(given).graph.sha256
    path = written(saved, tmp_path / "m.json")
    computed, replayed = (
        sx.simulate(one, "crossbar", overrides={"crossbar_mapping": path}) for one in (given, recorded)
    )
    assert figures(computed) == figures(replayed)
    assert computed.totals.cycles == replayed.totals.cycles
    assert [one.output_sha256 for one in replayed.layers] == [None] * 3


def test_spikes_that_are_not_recorded_are_refused(tmp_path: Path, capsys: Any) -> None:
    given = sx.Trace.from_arrays(LAYERS, trace().spikes(0)[0])
    sx.save_trace(given, tmp_path / "costs.npz")
    is_mistake(spikex(capsys, "run", tmp_path / "costs.npz", "--arch", "crossbar"), "costs.npz")


def test_spikes_before_a_pool_are_asked_for(tmp_path: Path, capsys: Any) -> None:
    """Rows are neurons, of which the spikes behind a pool say too little."""
    layers = [LAYERS[0], pool("maxpool", 4, 5), linear("last", (16, 3), NEURON)]
    rng = np.random.default_rng(0)
    inputs = {0: rng.random((2, 5, 5, T)) < 0.3, 2: rng.random((16, T)) < 0.3}
    sx.save_trace(sx.Trace.from_arrays(layers, inputs), tmp_path / "costs.npz")
    is_mistake(spikex(capsys, "run", tmp_path / "costs.npz", "--arch", "crossbar"), "costs.npz", "first")


def test_pool_with_an_input_of_its_own(tmp_path: Path) -> None:
    """What is recorded there is no output of the layer before, which has another shape."""
    layers = [LAYERS[0], pool("maxpool", 3, 4), linear("last", (12, 3), NEURON)]
    rng = np.random.default_rng(0)
    inputs = {0: rng.random((2, 5, 5, T)) < 0.3, 1: rng.random((3, 4, 4, T)) < 0.3}
    given = sx.Trace.from_arrays(layers, inputs, weights=weights_without_zeros(layers))
    path = written(saved_mapping(unrolled(given), [*[0] * 100, 1, 1, 1]), tmp_path / "m.json")
    result = sx.simulate(given, "crossbar", overrides={"crossbar_mapping": path})
    activations = [
        layer.to_dict()["imc"]["counts"]["row_activations"] for layer in (result.layers[0], result.layers[2])
    ]
    assert activations == [int(inputs[0].sum()), int(inputs[1].sum())]


def test_graph_with_a_join_and_a_pool_equals_spikesim(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)

    def weight(*shape: int) -> Any:
        return rng.integers(-20, 30, shape).astype(np.int8)

    nodes = [
        spiking_input(2, 6, 6),
        population([synapse(kernel=3, padding=1)], 3, LIF, name="a"),
        population([synapse("a", kernel=3, padding=1)], 3, LIF, name="b"),
        {"name": "either", "kind": "join", "how": "or", "from": ["a", "b"]},
        {"name": "pooled", "kind": "maxpool", "from": "either", "kernel": 2, "stride": 2},
        population([synapse("pooled", kernel=2)], 4, LIF, name="c"),
        population([{"from": "c", "kind": "linear"}], 3, LIF, name="out"),
    ]
    arrays = {
        "in/spikes": np.packbits(rng.random((2, 6, 6, T)) < 0.3, axis=-1),
        "a/synapse-0/weight": weight(3, 2, 3, 3),
        "b/synapse-0/weight": weight(3, 3, 3, 3),
        "c/synapse-0/weight": weight(4, 3, 2, 2),
        "out/synapse-0/weight": weight(3, 16),
    }
    given = GraphTrace.from_arrays({"name": "g", "timesteps": T, "nodes": nodes}, arrays)
    path = written(saved_mapping(unrolled(given), HOMES, extra=(1, 0), seed=2), tmp_path / "m.json")
    wanted = {one.name: one.output_sha256 for one in sx.simulate(given, "spikesim").layers}
    for overrides in ({}, {"crossbar_mapping": path}, {"crossbar_mapping": path, "multicast": True}):
        found = sx.simulate(given, "crossbar", overrides=overrides)
        assert {one.name: one.output_sha256 for one in found.layers} == wanted
    assert len({wanted[name] for name in ("a", "b", "c", "out")}) == 4


def only_pool(side: int, **sizes: Any) -> Drawn:
    """A row of pixels, max-pooled in pairs, into two neurons."""
    described = {"name": "p", "kind": "maxpool", "in_channels": 1, "out_channels": 1, "in_height": 1,
                 "in_width": side, "kernel": [1, 2], "stride": [1, 2], "padding": [0, 0]} | sizes  # fmt: skip
    width = (side + 2 * described["padding"][1] - 2) // described["stride"][1] + 1
    rng = np.random.default_rng(0)
    taken = linear("l", (width, 2), NEURON) | {"weight": rng.integers(1, 99, (2, width)).astype(np.int8)}
    return Drawn([described, taken], [rng.random((1, 1, side, T)) < 0.5], {}, [0, 1], [], None, 0)


def test_windows_that_do_not_overlap_are_driven_by_their_or(tmp_path: Path) -> None:
    drawn = only_pool(6)
    saved = drawn.saved()
    result = run(drawn, saved, tmp_path)
    check_against_oracle(drawn, result, oracle(drawn, saved))
    pooled = drawn.samples[0].reshape(3, 2, T).any(axis=1)
    assert figures(result)["accumulations"] == 2 * int(pooled.sum())
    assert figures(result)["row_activations"] == 2 * int(drawn.samples[0].sum()) > 2 * int(pooled.sum())


def test_windows_in_the_padding_are_silent(tmp_path: Path) -> None:
    drawn = only_pool(4, padding=[0, 2])
    saved = drawn.saved()
    check_against_oracle(drawn, run(drawn, saved, tmp_path), oracle(drawn, saved))


@pytest.mark.parametrize(
    "sizes",
    [
        {"stride": [1, 1], "padding": [0, 1]},
        {"stride": [1, 1]},
    ],
)
def test_windows_that_overlap_are_refused(tmp_path: Path, sizes: dict[str, Any]) -> None:
    drawn = only_pool(3, **sizes)
    with pytest.raises(sx.UnsupportedError, match="layer l: windows of max-pooling overlap"):
        run(drawn, drawn.saved(), tmp_path)


def test_inputs_with_columns_are_sent_from_there(tmp_path: Path) -> None:
    """Inputs 3, 4 and 5 stand in the second crossbar, which nothing is read from, but always is read."""
    rng = np.random.default_rng(1)
    layers = [
        linear("a", (3, 2), NEURON) | {"weight": rng.integers(-99, 99, (2, 3)).astype(np.int8)},
        linear("b", (2, 1), NEURON) | {"weight": rng.integers(1, 99, (1, 2)).astype(np.int8)},
    ]
    changes = {"imc.event_driven": False}
    drawn = Drawn(layers, [rng.random((3, T)) < 0.5], changes, [0, 0, 0, 1, 1, 1], [], (0, 0), 0, inputs=True)
    saved = drawn.saved()
    result = run(drawn, saved, tmp_path)
    assert figures(result)["packets"] == int(drawn.samples[0].sum())
    check_against_oracle(drawn, result, oracle(drawn, saved))


# --- What is refused -----------------------------------------------------------------------------------

Spoil = Callable[[dict[str, Any]], None]
SPOILED: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "a neuron missing": (lambda m: m["crossbars"][0]["neurons"].remove(0), ("neuron 0", "in no crossbar")),
    "a neuron twice": (
        lambda m: m["crossbars"][1]["neurons"].append(0),
        ("neuron 0", "in crossbars 0 and 1"),
    ),
    "another network": (lambda m: m["network"].update(sha256="0" * 64), ("another network",)),
    "a metric": (lambda m: m["metrics"].update(area=1), ("metric area",)),
    "a type": (lambda m: m["crossbars"][0].update(type="none"), ("no type of the pool",)),
    "two on a tile": (
        lambda m: m["crossbars"][0].update({key: m["crossbars"][1][key] for key in "xy"}),
        ("is that of crossbar",),
    ),
    "off the mesh": (lambda m: m["crossbars"][0].update(x=99), ("is not on a mesh",)),
    "another format": (lambda m: m.update(format="other"), ("spikex-mapping",)),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
def test_spoiled_mapping_is_refused(tmp_path: Path, capsys: Any, case: str) -> None:
    given = trace()
    spoil, words = SPOILED[case]
    content = json.loads(saved_mapping(unrolled(given), HOMES, extra=(0, 0)).text)
    spoil(content)
    path = tmp_path / "m.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    sx.save_trace(given, tmp_path / "t.npz")
    out = tmp_path / "out"
    is_mistake(
        spikex(capsys, "run", tmp_path / "t.npz", "--arch", "crossbar", "--mapping", path, "--out", out),
        "m.json", *words,
    )  # fmt: skip
    assert not out.exists()


def test_mapping_of_another_trace_is_refused(tmp_path: Path, capsys: Any) -> None:
    other = trace([LAYERS[0]])
    path = written(saved_mapping(unrolled(trace()), HOMES), tmp_path / "m.json")
    sx.save_trace(other, tmp_path / "other.npz")
    is_mistake(
        spikex(capsys, "run", tmp_path / "other.npz", "--arch", "crossbar", "--mapping", path),
        "m.json", "another network",
    )  # fmt: skip


# --- Commands ------------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trace, and two mappings of it: all in one crossbar, and in four."""
    monkeypatch.chdir(tmp_path)
    given = trace()
    sx.save_trace(given, "t.npz")
    written(saved_mapping(unrolled(given), [0]), tmp_path / "a.json")
    written(saved_mapping(unrolled(given), HOMES), tmp_path / "b.json")
    return tmp_path


def test_sweep_lays_mappings_beside_each_other(two: Path, capsys: Any) -> None:
    succeed(capsys, "sweep", "t.npz", "--arch", "crossbar", "--grid", "crossbar_mapping=a.json,b.json",
            "--out", "s")  # fmt: skip
    rows = list(csv.DictReader((two / "s" / "sweep.csv").read_text(encoding="utf-8").splitlines()))
    by = {row["crossbar_mapping"]: row for row in rows}
    assert set(by) == {"a.json", "b.json"}
    for path, row in by.items():
        alone = sx.simulate("t.npz", "crossbar", overrides={"crossbar_mapping": path})
        assert int(row["cycles"]) == alone.totals.cycles
        assert float(row["energy_pj"]) == pytest.approx(alone.totals.energy_pj, rel=1e-12)
        assert float(row["area_noc_mm2"]) == pytest.approx(alone.totals.area_mm2_by["noc"], rel=1e-12)
    assert float(by["a.json"]["energy_noc_pj"]) == 0 < float(by["b.json"]["energy_noc_pj"])


def test_compare_takes_a_mapping(two: Path, capsys: Any) -> None:
    for name in ("a", "b"):
        text = f"name: with-{name}\nscheduler: crossbar\ncrossbar_mapping: {name}.json\n"
        (two / f"{name}.yaml").write_text(text, encoding="utf-8")
    shown = succeed(capsys, "compare", "t.npz", "--arch", "a.yaml,b.yaml,spikesim").out
    assert all(word in shown for word in ("with-a", "with-b", "spikesim"))
    alone = {
        key: succeed(capsys, "compare", "t.npz", "--arch", "crossbar", "--set", f"crossbar_mapping={key}").out
        for key in ("a.json", "b.json")
    }
    assert alone["a.json"] != alone["b.json"]
    for key, text in alone.items():
        cycles = sx.simulate("t.npz", "crossbar", overrides={"crossbar_mapping": key}).totals.cycles
        assert f"{cycles:,}" in text and f"{cycles:,}" in shown


def test_run_takes_a_folder_of_map(two: Path, capsys: Any) -> None:
    """Neurons where `map` put them, and packets that it expected of the same sample."""
    succeed(capsys, "map", "t.npz", "--pool", "table2x8", "--objective", "packets", "--profile", "t.npz",
            "--mesh", "auto", "--steps", "2e4", "--engine", "anneal", "--out", "mapped")  # fmt: skip
    told = json.loads((two / "mapped" / "mapping.json").read_text(encoding="utf-8"))["metrics"]
    succeed(capsys, "run", "t.npz", "--arch", "crossbar", "--mapping", "mapped", "--out", "r")
    counts = json.loads((two / "r" / "results.json").read_text(encoding="utf-8"))["totals"]["imc"]["counts"]
    assert counts["packet_hops"] == told["hops"] > 0
