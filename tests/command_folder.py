"""A folder with a file of every kind that commands take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

import spikex_sim as sx
from command import REPOSITORY
from nir_files import conv, lif, write_graph
from spikex_sim.explore.mapping.reading import load_graph
from spikex_sim.explore.mapping.search import Effort, map_graph
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.unroll import unrolled
from spikex_sim.sources.trained import TrainedNetwork, save_trained

TRACE = sx.Trace.from_arrays(
    [
        {"name": "first", "kind": "conv", "in_channels": 2, "out_channels": 9, "kernel": 3, "padding": 1,
         "in_height": 6, "in_width": 6, "neuron": {"threshold": 9, "leak_shift": 3}},
        {"name": "last", "kind": "linear", "in_channels": 324, "out_channels": 5,
         "neuron": {"threshold": 30, "leak_shift": 3}},
    ],
    np.random.default_rng(0).random((2, 6, 6, 20)) < 0.2,
    weights=[
        np.random.default_rng(1).integers(-9, 12, (9, 2, 3, 3)).astype(np.int8),
        np.random.default_rng(2).integers(-9, 12, (5, 324)).astype(np.int8),
    ],
    name="small",
)  # fmt: skip


def fill_working_folder() -> None:
    """Write a trace, recordings, a network, an architecture and an energy table."""
    sx.save_trace(TRACE, "t.npz")
    neuron = {"threshold": 9.0, "leak": 0.875, "datapath": "float"}
    layer = TRACE.layers[0].model_dump() | {"neuron": neuron}
    weight = TRACE.weights[0].astype(np.float32)
    sx.save_trace(sx.Trace.from_arrays([layer], TRACE.spikes(0), weights=[weight]), "f.npz")
    sx.save_trace(replace(TRACE, label=2), "l.npz")
    rng = np.random.default_rng(3)
    events = {key: rng.integers(0, 6, 300).astype(np.uint8) for key in "xy"}
    times = np.sort(rng.integers(0, 12_000, 300)).astype(np.uint32)
    np.savez("rec.npz", **events, p=rng.integers(0, 2, 300).astype(np.uint8), t=times,
             offsets=np.array([0, 200, 300], np.uint32), label=np.array([7, 8]),
             sensor=np.array([6, 6, 2]))  # fmt: skip
    for label, low, high in (("3", 0, 200), ("4", 200, 300)):
        Path("rec", "Test" if label == "4" else "Train", label).mkdir(parents=True)
        raw = np.stack([events["x"], events["y"], times >> 16, times >> 8, times], 1)[low:high]
        Path("rec", "Test" if label == "4" else "Train", label, "1.bin").write_bytes(
            (raw & 255).astype(np.uint8).tobytes()
        )
    one = "{name: one, kind: conv, in_channels: 2, out_channels: 4, kernel: 3, in_height: 6, in_width: 6}"
    two = "{name: two, kind: linear, in_channels: 64, out_channels: 3}"
    Path("net.yaml").write_text(f"name: net\ntimesteps: 12\nlayers:\n  - {one}\n  - {two}\n")
    Path("net2.yaml").write_text(f"name: net2\ntimesteps: 12\nlayers:\n  - {one}\n")
    Path("arch.yaml").write_text("base: spikex\nname: mine\narray: {rows: 4}\n")
    Path("space.yaml").write_text("keys: {tws: [1, 2, 3, 4, 5], array.rows: {powers: [2, 16]}}\n")
    Path("space2.yaml").write_text("keys: {psum_bits: {low: 20, high: 32}}\n")
    Path("study.yaml").write_text("product: {tws: [2, 5]}\nzip: [{array.rows: [4], array.cols: [2]}]\n")
    Path("script.yaml").write_text("base: spikesim-released\nname: mine\nimc: {crossbar: 32}\n")
    Path("mine-ann.yaml").write_text("base: ann\nname: mine\narray: {rows: 4}\n")
    like = sx.Trace.from_arrays(TRACE.layers[:1], np.zeros((2, 6, 6, 2), bool), weights=[TRACE.weights[0]])
    sx.save_trace(like, "like.npz")
    marked = {key: events[key] for key in "xy"} | {"p": rng.integers(0, 2, 300).astype(np.uint8), "t": times}
    np.savez("lab.npz", **marked, offsets=np.array([0, 150, 300], np.uint32), label=np.array([1, 4]),
             split=np.array([0, 1]), sensor=np.array([6, 6, 2]))  # fmt: skip
    for variant, tws in (("ht", None), ("has", (3, 4))):
        weights = {0: TRACE.weights[0], 1: TRACE.weights[1]}
        trained = TrainedNetwork(f"net-{variant}", "net", variant, 20, TRACE.layers, weights, tws=tws)
        save_trained(trained, f"{variant}.npz")
    sx.sweep("t.npz", {"tws": [2, 3]}, out="stored")
    conv_alone = TrainedNetwork("conv", "net", "base", 20, TRACE.layers[:1], {0: TRACE.weights[0]})
    save_trained(conv_alone, "conv.npz")
    nodes = {
        "in": {"type": "Input", "shape": [2, 6, 6]},
        "conv": conv(np.ones((3, 2, 3, 3)) / 8),
        "lif": lif(),
    }
    write_graph("g.nir", {**nodes, "out": {"type": "Output", "shape": [3, 4, 4]}})
    np.save("s.npy", np.random.default_rng(4).random((2, 6, 6, 9)) < 0.3)
    np.save("plain.npy", np.stack([times % 4096, events["x"], events["y"], rng.integers(0, 2, 300)], 1))
    pairs = np.random.default_rng(5).integers(0, 60, (110, 2)).tolist()
    weights = np.random.default_rng(6).integers(0, 3, len(pairs)).tolist()
    lines = [f"n{a} n{b} {w}" for (a, b), w in zip(pairs, weights, strict=True)]
    Path("g.txt").write_text("\n".join(["# a graph", *lines]) + "\n")
    Path("few.txt").write_text("a b\nb c\nc a\nd a\ne b\nf c\ng d\ng e\n")
    graph = load_graph("gen:nodes=150,edges=446,fanin=11,gini_in=.59,gini_out=.62")
    map_graph(graph, Pool.named("table2"), effort=Effort(steps=1, restarts=1)).save("mapped")
    two = sx.Trace.from_arrays(
        TRACE.layers[:1], np.random.default_rng(7).random((2, 2, 6, 6, 9)) < 0.2, weights=[TRACE.weights[0]]
    )
    sx.save_trace(two, "two.npz")
    map_graph(unrolled(two).graph, Pool.named("table2x8"), effort=Effort(steps=1, restarts=1)).save("homes")
    Path("table").mkdir()
    for file in (REPOSITORY / "spikex_sim/costs/tables").glob("*.csv"):
        text = file.read_text().replace("LPDDR4,access,1,,8,", "LPDDR4,access,1,,9,")
        Path("table", file.name).write_text(text.replace("0.0796293", "0.0123456"))
