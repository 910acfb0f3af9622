"""What the package says of nodes of graphs, beside what register-level models do."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

import register_graph
import register_graph_dense
import spikex_sim as sx
from graphs import packaged
from naive_graph import digest, evaluate
from naive_graph_trace import Map, Trace
from register_graph_layer import Layer, layers_of, slices_of

PSUM_BITS, POTENTIAL_BITS = 24, 16

Counts = dict[str, Any]


def layers(trace: Trace, name: str, tws: int, reuse: bool) -> list[Layer]:
    """Everything of a node that stands on the array, in order; a pass gives its sums when it has run."""
    node = next(one for one in trace.nodes if one["name"] == name)
    maps = evaluate(trace).maps
    if node["kind"] == "matmul":
        return slices_of(node, maps[node["a"]], maps[node["b"]], trace.timesteps)
    once, layer = layers_of(trace, node, maps, tws, reuse=reuse, potential_bits=POTENTIAL_BITS)
    if once is not None and layer is not None:
        layer.passed = once.outputs[..., 0]
    return [one for one in (once, layer) if one is not None]


def computed(trace: Trace, name: str, its: list[Layer]) -> str:
    """Hash of what the array gave."""
    node = next(one for one in trace.nodes if one["name"] == name)
    made = evaluate(trace).computed[name]
    if node["kind"] == "matmul":  # a time point and head each; what they are scaled by comes after the sum
        heads, shift = node.get("heads", 1), round(np.log2(node.get("scale", 1)))
        slices = [one.outputs[..., 0].T if one.turned else one.outputs[..., 0] for one in its]
        sums = np.stack([np.concatenate(slices[t : t + heads]) for t in range(0, len(its), heads)], axis=-1)
        outputs = sums << shift if shift >= 0 else sums >> -shift
    else:
        outputs = its[-1].outputs
    if made.constant:
        outputs = outputs[..., :1]
    return digest(Map(made.carries, outputs.reshape(made.values.shape)))


def counted(seen: list[register_graph.Observed]) -> Counts:
    """What the registers count, in the words of the package."""
    found: Counter[str] = Counter()
    same = ("batches", "ntwus", "streamed_taps", "accumulations", "multiplications", "lif_updates")
    for one in seen:
        counters = one.counters
        moved = counters.current_words_read + counters.sums_out  # down and up, all of them
        found.update({key: getattr(counters, key) for key in same})
        found.update({
            "compute_cycles": one.compute_cycles,
            "rf/filter written": counters.weight_register_writes * one.weight_bits,
            "rf/psum read": counters.psum_rf_reads * PSUM_BITS + counters.potential_rf_reads * POTENTIAL_BITS,
            "rf/psum written": counters.psum_rf_writes * PSUM_BITS
            + counters.potential_rf_writes * POTENTIAL_BITS,
            "lbuf/filter read": counters.weight_words_read * one.weight_bits,
            "lbuf/ifmap read": counters.spike_bits_read,
            "lbuf/psum read": moved * PSUM_BITS + counters.potential_lbuf_reads * POTENTIAL_BITS,
            "lbuf/psum written": moved * PSUM_BITS + counters.potential_lbuf_writes * POTENTIAL_BITS,
            "dram/psum read": counters.current_words_read * PSUM_BITS,
            "dram/psum written": counters.sums_out * PSUM_BITS,
            "dram/ofmap written": counters.output_bits - counters.sums_out,
            "tags read": counters.tag_bits_read,
        })  # fmt: skip
    return dict(found)


def counted_dense(seen: list[register_graph_dense.DenseResult]) -> Counts:
    """What the registers of dense arrays count, in the words of the package."""
    found: Counter[str] = Counter()
    same = ("accumulations", "multiplications", "lif_updates")
    for one in seen:
        counters = one.counters
        found.update({key: getattr(counters, key) for key in same})
        found.update({
            "compute_cycles": sum(one.fold_cycles), "batches": len(one.fold_cycles),
            "pe_cycles": counters.slots, "array_ifmap_words": counters.ifmap_words,
            "array_filter_words": counters.filter_words, "array_ofmap_words": counters.ofmap_words,
            "rf/filter written": counters.filter_registers * one.weight_bits,
            "rf/psum read": (counters.psum_rf_accesses + counters.lif_updates + counters.sums_out) * PSUM_BITS
            + counters.states_updated * POTENTIAL_BITS,
            "rf/psum written": counters.psum_rf_accesses * PSUM_BITS
            + counters.states_updated * POTENTIAL_BITS,
            "dram/psum read": counters.current_words * PSUM_BITS,
            "dram/psum written": counters.sums_out * PSUM_BITS,
            "dram/ofmap written": counters.lif_updates,
        })  # fmt: skip
    return dict(found)


def told(layer: Any, asked: Counts) -> Counts:
    """What the package says of what the registers count."""
    accesses = layer.accesses
    found = {}
    for key in asked:
        where, _, rest = key.partition("/")
        if key == "tags read":
            found[key] = accesses.read_bits("lbuf", "tag") - accesses.write_bits("dram", "tag")
        elif rest:
            tensor, direction = rest.split()
            bits = accesses.read_bits if direction == "read" else accesses.write_bits
            found[key] = bits(where, tensor)
        else:
            found[key] = getattr(layer if hasattr(layer, key) else layer.operations, key)
    return found


def mode_of(seen: list[register_graph.Observed]) -> str | None:
    """Mode of a node: that of its layers over time where it has any."""
    modes = {*seen[-1].modes}
    return modes.pop() if len(modes) == 1 else "mixed"


def simulated(trace: Trace, preset: str, tws: int | None, keys: dict[str, Any], **more: Any) -> Any:
    return sx.simulate(packaged(trace), preset, tws=tws, overrides={"mapping.tile": "layer", **keys}, **more)


def assert_same(
    trace: Trace, scheduler: str, tws: int, keys: dict[str, Any], reuse: bool = True
) -> list[Any]:
    """Compare all that the registers of SpikeX or PTB do; the layers of the package."""
    encoding = {"direct_encoding": "reuse" if reuse else "recompute"}
    shape = {"rows": keys["array.rows"], "cols": keys["array.cols"]}
    knobs = {key: value for key, value in keys.items() if "." not in key}
    found = simulated(trace, scheduler, tws, keys | encoding).layers
    for layer in found:
        if layer.kind in ("maxpool", "avgpool", "join"):
            continue
        its = layers(trace, layer.name, tws, reuse)
        seen = [register_graph.run_layer(one, scheduler=scheduler, **shape, **knobs) for one in its]
        wanted = counted(seen)
        assert told(layer, wanted) == wanted, layer.name
        assert layer.mode == (mode_of(seen) if scheduler == "spikex" else None), layer.name
        assert layer.output_sha256 == computed(trace, layer.name, its), layer.name
    return found


def assert_same_dense(trace: Trace, preset: str, keys: dict[str, Any], reuse: bool = True) -> list[Any]:
    """Compare all that the registers of a dense array do; the layers of the package."""
    flow, encoding = keys["dataflow"], {"direct_encoding": "reuse" if reuse else "recompute"}
    shape = {"rows": keys["array.rows"], "cols": keys["array.cols"], "zero_gating": keys["zero_gating"]}
    apart = preset.startswith("sata") and flow != "tick_batch"
    found = simulated(trace, preset, None, keys | encoding).layers
    for layer in found:
        if layer.kind in ("maxpool", "avgpool", "join"):
            continue
        its = layers(trace, layer.name, trace.timesteps if flow == "tick_batch" else 1, reuse)
        together = 1 if apart else None
        seen = [register_graph_dense.run_layer(one, dataflow=flow, together=together, **shape) for one in its]
        wanted = counted_dense(seen)
        assert told(layer, wanted) == wanted, layer.name
        assert layer.output_sha256 == computed(trace, layer.name, its), layer.name
    return found
