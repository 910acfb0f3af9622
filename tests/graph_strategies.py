"""Whatever graph there can be, for hypothesis: nodes that fit together, and arrays for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from graphs import drawn_spikes
from spikex_sim.core.errors import TraceError
from spikex_sim.spec.graph import Population, node_of
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_arrays import declared, weight_key
from spikex_sim.trace.wiring import Wiring, wired

Described = dict[str, Any]


@st.composite
def neurons(draw: st.DrawFn) -> Described:
    """Neurons of either datapath."""
    datapath = draw(st.sampled_from(["int", "float"]))
    integer = datapath == "int"
    number = st.integers(-50, 50) if integer else st.floats(-9, 9, width=32)
    leak = ("leak_shift", st.integers(0, 31)) if integer else ("leak", st.floats(0, 1))

    def leaking(more: Described) -> st.SearchStrategy[Described]:
        return st.fixed_dictionaries(more, optional={leak[0]: leak[1]})

    return draw(
        st.fixed_dictionaries(
            {"threshold": number, "datapath": st.just(datapath)},
            optional={
                leak[0]: leak[1],
                "fires": st.sampled_from(["above", "at"]),
                "reset": st.sampled_from(["zero", "subtract", "none"]),
                "reset_delay": st.integers(0, 1),
                "current": leaking({}),
                "adaptation": leaking({"step": number}),
            },
        )
    )


@st.composite
def windows(draw: st.DrawFn) -> Described:
    """Kernels, most of them small enough for what they are laid over."""
    pair = st.integers(1, 3) | st.lists(st.integers(1, 3), min_size=2, max_size=2)
    sides = st.integers(0, 2) | st.lists(st.integers(0, 2), min_size=4, max_size=4)
    optional = {"kernel": pair, "stride": pair, "padding": sides, "dilation": pair}
    return draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def next_node(draw: st.DrawFn, wiring: Wiring, name: str, timesteps: int) -> Described:
    """Describe a node that takes some of those there are; whether it fits is left open."""
    kind = draw(st.sampled_from(["neurons", "neurons", "currents", "maxpool", "avgpool", "join", "matmul"]))
    one = st.sampled_from(list(wiring.ports))
    if kind in ("maxpool", "avgpool"):
        return {"name": name, "kind": kind, "from": draw(one)} | draw(windows())
    if kind == "join":
        how = draw(st.sampled_from(["or", "and", "iand", "concat", "slice"]))
        first = draw(one)
        operands = [first] if how == "slice" else [first, draw(one)]
        return {"name": name, "kind": kind, "how": how, "from": operands} | (
            {"channels": [0, 1]} if how == "slice" else {}
        )
    if kind == "matmul":
        a = draw(one)
        turn = {"transpose_a": True} if draw(st.booleans()) else {"transpose_b": True}
        return {"name": name, "kind": kind, "a": a, "b": draw(one), "datapath": draw(DATAPATHS)} | turn
    node: Described = {"name": name, "kind": kind, "channels": 2, "synapses": []}
    if kind == "neurons":
        node["neuron"] = draw(neurons())
    else:
        node["datapath"] = draw(DATAPATHS)
    source = draw(one)
    port = wiring.ports[source]
    for _ in range(draw(st.integers(1, 2))):
        how = draw(st.sampled_from(["conv", "linear", "identity", "avgpool", "maxpool"]))
        synapse = {"from": source, "kind": how}
        if how not in ("linear", "identity"):
            synapse |= draw(windows())
        if how == "conv" and port.shape[0] % 2 == 0:
            synapse["groups"] = draw(st.integers(1, 2))
        if how in ("identity", "avgpool", "maxpool"):
            node["channels"] = port.shape[0]
        node["synapses"].append(synapse)
    if draw(st.booleans()):
        node["synapses"].append(node["synapses"][0] | {"weight_of": 0})
    if kind == "neurons" and draw(st.booleans()):
        delay = draw(st.integers(1, timesteps))
        node["synapses"].append({"from": name, "kind": "identity", "delay": delay, "weight": -2})
    return node


DATAPATHS = st.sampled_from(["int", "float"])


def wiring_of(nodes: list[Described], timesteps: int) -> Wiring:
    """Wire descriptions, with a read-out that takes all that no other node does."""
    built = [node_of(one, where="drawn", error=TraceError, field="nodes") for one in nodes]
    return wired(built, timesteps, "drawn")


def with_read_out(nodes: list[Described]) -> list[Described]:
    """Add currents that take all inputs and averages, so that all are taken."""
    kept = [one["name"] for one in nodes if one["kind"] in ("input", "avgpool")]
    synapses = [{"from": name, "kind": "linear"} for name in kept]
    return [*nodes, {"name": "read-out", "kind": "currents", "channels": 3, "synapses": synapses}]


@st.composite
def graphs(draw: st.DrawFn, most: int = 6) -> GraphTrace:
    """A graph with all weights, or those drawn where they may lack."""
    timesteps, samples = draw(st.integers(1, 20)), draw(st.none() | st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    side = st.integers(1, 5)
    shape = draw(st.lists(side, min_size=1, max_size=1) | st.lists(side, min_size=3, max_size=3))
    values = draw(st.fixed_dictionaries({}, optional={"bits": st.integers(1, 32), "constant": st.booleans(),
                                                      "signed": st.booleans()}))  # fmt: skip
    nodes: list[Described] = [
        {"name": "in", "kind": "input", "shape": shape},
        {"name": "img", "kind": "input", "shape": shape, "values": values},
    ]
    for index in range(draw(st.integers(1, most))):
        wiring = wiring_of(with_read_out(nodes), timesteps)
        ports = {name: port for name, port in wiring.ports.items() if name != "read-out"}
        node = draw(next_node(Wiring(wiring.nodes, ports), f"n{index}", timesteps))
        try:
            wiring_of(with_read_out([*nodes, node]), timesteps)
        except TraceError:
            continue
        nodes.append(node)
    nodes = with_read_out(nodes)
    wiring = wiring_of(nodes, timesteps)
    arrays = {}
    for name, node in wiring.nodes.items():
        keys = [f"{name}/{'spikes' if wiring.ports[name].carries == 'spikes' else 'values'}"]
        if node.kind == "avgpool" or (node.kind != "input" and draw(st.booleans())):
            keys = []
        if isinstance(node, Population):
            keys += [
                weight_key(name, k)
                for k, one in enumerate(node.synapses)
                if one.weight is None and one.weight_of is None
            ]
            keys += [f"{name}/bias"] if draw(st.booleans()) else []
        for key in keys:
            wanted = declared(wiring, key, timesteps, "drawn")
            lead = () if samples is None or not wanted.recorded else (samples,)
            full = (*lead, *wanted.shape)
            dtype = np.dtype(wanted.dtypes[0])
            if wanted.dtypes == ("uint8",):
                arrays[key] = np.packbits(drawn_spikes(rng, *full[:-1], timesteps), axis=-1)
            elif name == "img":
                low, high = node.values.limits  # type: ignore[union-attr]
                high = min(high, 2**31 - 1)
                arrays[key] = rng.integers(low, high, full, dtype, endpoint=True)
            elif dtype.kind == "f":
                arrays[key] = rng.normal(size=full).astype(dtype)
            else:
                arrays[key] = rng.integers(-9, 9, full).astype(dtype)
    meta: Described = {"name": "drawn", "timesteps": timesteps, "nodes": nodes}
    meta |= {} if samples is None else {"samples": samples}
    label = draw(st.none() | st.integers(0, 9))
    return GraphTrace.from_arrays(
        meta, arrays, label=label if samples is None or label is None else (label,) * samples
    )
