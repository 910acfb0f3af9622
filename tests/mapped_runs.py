"""Hypothesis strategies for mapped runs: small chains, mappings of every kind, and keys of their machine."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from imc_strategies import (
    ACTIVITIES,
    Described,
    descriptions,
    graph_of,
    lowest_weight,
    networks,
    picked,
    spikes,
)
from naive import Bools
from naive_imc_cost import read_table
from naive_mapped import simulate as by_hand
from naive_mapped_net import config_of
from spikex_sim import RunResult, Trace, simulate
from spikex_sim.mapped.graph import NeuronGraph, with_inputs
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.mesh import Placement, mesh_of
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.mapped.split import Split, unsplit
from spikex_sim.mapped.unroll import Unrolled, unrolled
from spikex_sim.trace.graph import GraphTrace

TABLE = read_table(Path(__file__).parents[1] / "spikex_sim" / "costs" / "tables" / "imc65" / "imc.csv")
MOST_CROSSBARS = 24
"""Of a mapping that is drawn; the oracle is slow."""

#: Keys that go with any others, with some values; the default comes first.
FREE: dict[str, list[Any]] = {
    "multicast": [False, True],
    "imc.event_driven": [True, False],
    "imc.overhead_cycles": [2, 0, 5],
    "imc.phase_cycles": [2, 1, 3],
    "imc.lif_units": [64, 1, 2, 5],
    "imc.umem": ["sram", "fefet"],
    "imc.device.r_on_kohm": [20, 50, 12.5, 100],
    "imc.device.r_off_kohm": [200, 400, 1000, 333],
    "imc.device.v_read": [0.1, 0.05, 0.025, 0.2],
    "imc.device.bits": [4, 1, 2, 3, 7],
    "imc.encoding": ["sign_offset", "twos", "offset", "differential"],
    "imc.adc.bits": [5, 1, 3, 4, 8],
    "imc.adc.mux": [8, 1, 3, 16],
    "psum_bits": ["auto", 16, 33, 8],
    "potential_bits": [22, 16, 8, 30],
    "weight_bits": [8, 5, 4, 3, 2],
    "clock_mhz": [250, 100, 333.3],
}
MACHINE_ONLY = ("multicast", "imc.lif_units")
"""Keys that a chip of the other machine does not have, or has for other things."""


@dataclass
class Drawn:
    """A chain with its samples, what differs from the default configuration, and a mapping."""

    layers: list[Described]
    samples: list[Bools]
    changes: Described
    home: list[int]
    """Crossbar of each neuron; empty: a crossbar each."""
    kinds: list[tuple[int, int]]
    """Inputs and outputs that types of the pool have."""
    mesh: tuple[int, int] | None
    """Tiles, more than crossbars; None: no tiles are given."""
    seed: int
    """Of the tiles."""
    graph: bool = False
    """Whether layers may have several sources, so that they make a graph; of one sample."""
    cuts: int = 0
    """Seed of which neurons are split, and how; 0: none is."""
    inputs: bool = False
    """Whether inputs have columns."""

    @property
    def config(self) -> Described:
        return config_of(self.changes)

    @property
    def trace(self) -> Trace | GraphTrace:
        if self.graph:
            nodes, arrays = graph_of(self)
            described = {"format": "spikex-trace", "version": 2, "name": "drawn", "nodes": nodes}
            return GraphTrace.from_arrays(described | {"timesteps": self.samples[0].shape[-1]}, arrays)
        described, weights, biases = descriptions(self.layers)
        return Trace.from_arrays(described, np.stack(self.samples), weights=weights, biases=biases)

    @property
    def overlapping(self) -> bool:
        """Whether windows of max-pooling overlap."""
        return any(
            side > step
            for layer in self.layers if layer["kind"] == "maxpool"
            for side, step in zip(layer["kernel"], layer["stride"], strict=True)
        )  # fmt: skip

    def saved(self) -> SavedMapping:
        """The mapping, on a mesh or not."""
        network = unrolled(self.trace)
        if self.inputs:
            network = replace(network, graph=with_inputs(network.graph, "mapped"))
        further = drawn_parts(network.graph, self.cuts) if self.cuts else None
        return saved_mapping(network, self.home, self.kinds, self.mesh, self.seed, further)


def saved_mapping(
    network: Unrolled,
    home: list[int],
    kinds: list[tuple[int, int]] | None = None,
    extra: tuple[int, int] | None = None,
    seed: int = 0,
    further: dict[int, list[list[int]]] | None = None,
) -> SavedMapping:
    """A mapping of given homes, column ``i`` into crossbar ``home[i % len(home)]``.

    Parameters
    ----------
    kinds
        Inputs and outputs of types, besides one that takes all.
    extra
        Rows and columns of tiles more than the squarest mesh has; None: no tiles.
    seed
        Of the tiles, in a random order; 0: in order.
    further
        Sources of the further parts of split neurons.
    """
    split = cut(network, further) if further else unsplit(network)
    graph = split.graph
    sizes = dict.fromkeys([*(kinds or []), (max(1, graph.nodes), graph.neurons)])
    pool = Pool.of("drawn", {"types": [{"inputs": a, "outputs": n} for a, n in sizes]})
    mapping = Mapping.of(graph, pool, [home[i % len(home)] for i in range(graph.neurons)])
    assert mapping is not None
    placement = None
    if extra is not None:
        rows, cols = (a + b for a, b in zip(mesh_of(mapping.crossbars), extra, strict=True))
        tiles = np.random.default_rng(seed).permutation(rows * cols) if seed else np.arange(rows * cols)
        placement = Placement(mapping, rows, cols, tiles[: mapping.crossbars].astype(np.int64))
    return SavedMapping.of(mapping, [], placement, split)


def drawn_parts(graph: NeuronGraph, seed: int) -> dict[int, list[list[int]]]:
    """Split about a third of the neurons that can be, each into 2 to 4 parts with any of its sources."""
    rng, found = np.random.default_rng(seed), {}
    for i in range(graph.neurons):
        sources = graph.sources.of(i)
        if len(sources) < 2 or rng.random() < 2 / 3:
            continue
        number = int(rng.integers(2, min(4, len(sources)) + 1))
        given = rng.permutation(np.arange(len(sources)) % number)
        found[i] = [sources[given == further].tolist() for further in range(1, number)]
    return found


def cut(network: Unrolled, further: dict[int, list[list[int]]]) -> Split:
    """Split neurons: sources of the further parts of each."""
    graph, target = network.graph, network.graph.target.copy()
    neurons = graph.neurons
    neuron = [i for i, parts in sorted(further.items()) for _ in parts]
    part = [number for _, parts in sorted(further.items()) for number in range(1, len(parts) + 1)]
    for at, (i, number) in enumerate(zip(neuron, part, strict=True)):
        target[(graph.target == i) & np.isin(graph.source, further[i][number - 1])] = neurons + at
    source = np.where(graph.source < neurons, graph.source, graph.source + len(neuron))
    order = np.lexsort((target, source))
    whole = NeuronGraph(
        graph.name, neurons + len(neuron), graph.external, source[order], target[order],
        np.ones(graph.nodes + len(neuron), np.int64),
        adds_to=np.concatenate([np.arange(neurons), np.array(neuron, np.int64)]),
    )  # fmt: skip
    return Split(network, whole, np.array(neuron, np.int64), np.array(part, np.int64))


@st.composite
def mapped_runs(draw: st.DrawFn, most: int = 3, *, graph: bool = False) -> Drawn:
    """A small chain, samples, keys and homes."""
    changes = picked(draw, FREE)
    config = config_of(changes)
    if config["imc.adc.bits"] >= 4:
        changes["imc.adc.kind"] = draw(st.sampled_from(["flash", "sar"]))
    datapath = draw(st.sampled_from(["int", "int", "int", "float"]))
    layers = draw(networks(int(config["weight_bits"]), lowest_weight(config), most, datapath, graph))
    first = layers[0]
    shape: tuple[int, ...] = (first["in_channels"],)
    if first["kind"] != "linear":
        shape += (first["in_height"], first["in_width"])
    T = draw(st.integers(1, 4))
    how = st.tuples(st.sampled_from(ACTIVITIES), st.integers(0, 2**20))
    samples = [
        spikes((*shape, T), activity, seed)
        for activity, seed in draw(st.lists(how, min_size=1, max_size=1 if graph else 2))
    ]
    count = draw(st.sampled_from([1, 2, 3, 5, MOST_CROSSBARS]))
    home = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=60))
    side = st.integers(1, 60)
    kinds = draw(st.lists(st.tuples(side, side), max_size=4))
    mesh = draw(st.none() | st.tuples(st.integers(0, 2), st.integers(0, 2)))
    cuts = draw(st.sampled_from([0, 0, 1, 2, 3]))
    return Drawn(layers, samples, changes, home, kinds, mesh, draw(st.integers(0, 3)), graph, cuts,
                 inputs=not cuts and draw(st.sampled_from([False, False, False, True])))  # fmt: skip


def run(drawn: Drawn, saved: SavedMapping, folder: str | Path) -> RunResult:
    """Run a drawn chain on the crossbars of a mapping, by way of its file."""
    path = Path(folder) / "mapping.json"
    path.write_text(saved.text, encoding="utf-8")
    return simulate(drawn.trace, "crossbar", overrides={**drawn.changes, "crossbar_mapping": str(path)})


def run_spikesim(drawn: Drawn) -> RunResult:
    """Run the same chain on the machine of tiles and PEs."""
    changes = {key: value for key, value in drawn.changes.items() if key not in MACHINE_ONLY}
    return simulate(drawn.trace, "spikesim", overrides=changes)


def oracle(drawn: Drawn, saved: SavedMapping) -> dict[str, Any]:
    """What the oracle says of the same file."""
    return by_hand(drawn.layers, drawn.samples, drawn.config, json.loads(saved.text), TABLE)


COUNTS = ("reads", "row_activations", "row_columns", "cell_reads", "accumulations", "conversions", "merges",
          "diff_ops", "count_bits", "psum_adds", "add_bits", "pib_read_bits", "pib_write_bits", "packets",
          "packet_hops", "lif_updates")  # fmt: skip


def check_against_oracle(drawn: Drawn, result: RunResult, want: dict[str, Any]) -> None:
    """Hold every figure of a run against the oracle: integers to the integer, the rest to 1e-12."""
    found = result.to_dict()
    layers = [layer for layer in found["layers"] if layer.get("imc") is not None]
    assert len(layers) == len(want["counts"])
    assert found["totals"]["cycles"] == want["total_cycles"]
    for index, layer in enumerate(layers):
        name, n, cycles = layer["name"], want["counts"][index], want["cycles"][index]
        assert set(layer["imc"]["counts"]) == set(COUNTS), name
        for key, number in layer["imc"]["counts"].items():
            assert number == n[key], (name, key, number, n[key])
        assert layer["accumulations"] == n["accumulations"], name
        assert layer["lif_updates"] == n["lif_updates"], name
        stalls = layer["imc"]["stalls"]
        assert layer["compute_cycles"] == cycles["compute"], name
        assert (stalls["noc_in"], stalls["noc_out"], stalls["lif"]) == (cycles["noc"], 0, cycles["lif"]), name
        assert layer["cycles"] == cycles.total(), name
        assert layer["mapping"]["psum_bits"] == want["psum_bits"]
        assert set(layer["energy_pj_by"]) == set(want["energy_pj"][index])
        for component, pj in want["energy_pj"][index].items():
            assert _close(layer["energy_pj_by"][component], pj), (name, component)
        packed = b"".join(np.packbits(of_sample[index], axis=-1).tobytes() for of_sample in want["outputs"])
        assert layer["output_sha256"] == sha256(packed).hexdigest(), name
        fired = sum(int(of_sample[index].sum()) for of_sample in want["outputs"])
        assert layer["output_spikes"] == fired, name
        assert layer["changed_spikes"] == 0, name
    totals = found["totals"]
    for key in COUNTS:
        assert totals["imc"]["counts"][key] == sum(n[key] for n in want["counts"]), key
    assert set(totals["area_um2"]) == set(want["area_um2"])
    for component, area in want["area_um2"].items():
        assert _close(totals["area_um2"][component], area), component
        assert _close(totals["area_mm2_by"][component], area / 1e6), component
    assert _close(sum(totals["leakage_pj"].values()), want["leakage_pj"])
    assert _close(totals["energy_pj"], sum(sum(by.values()) for by in want["energy_pj"]))


def _close(found: float, expected: float) -> bool:
    return abs(found - expected) <= 1e-12 * max(1.0, abs(found), abs(expected))
