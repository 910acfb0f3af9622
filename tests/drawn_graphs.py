"""Hypothesis strategy: small networks as graphs, with every construct of format 2."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from math import gcd
from typing import Any

import numpy as np
from hypothesis import strategies as st

from graphs import Array, network
from naive_graph_trace import Trace, Window

Shape = tuple[int, int, int]
Keys = dict[str, Any]

MOST_CELLS = 40
"""Neurons of a node; more would only be slow."""


@dataclass
class Port:
    """What a node gives; ``pool`` is its description if it is average pooling of a map of this size."""

    shape: Shape
    carries: str
    constant: bool = False
    floating: bool = False
    pool: tuple[Keys, tuple[int, int]] | None = None


@dataclass
class Drawing:
    """A graph that grows node by node."""

    draw: st.DrawFn
    rng: np.random.Generator
    timesteps: int
    datapath: str
    sparse: bool
    ports: dict[str, Port] = field(default_factory=dict)
    nodes: list[Keys] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)

    def chance(self, percent: int) -> bool:
        return self.draw(st.integers(0, 99)) < percent

    def among(self, *these: Any) -> Any:
        return self.draw(st.sampled_from(these))

    def add(self, node: Keys, port: Port) -> None:
        self.nodes.append(node)
        self.ports[node["name"]] = port

    def named(self, **wanted: str) -> list[str]:
        return [name for name, port in self.ports.items() if port.carries == wanted["carries"]]

    # Inputs. ----------------------------------------------------------------------------------------

    def spikes(self, *shape: int) -> Array:
        """Draw spikes from none to many, now and then silent for a while."""
        rate = self.among(0.0, 0.03, 0.1, 0.3, 0.3, 0.7)
        found = self.rng.random((*shape, self.timesteps)) < rate
        if self.sparse:  # each fires once at most
            found &= found.cumsum(axis=-1) == 1
        if self.chance(30):
            found[..., : self.among(1, 2, 4)] = False
        return found

    def input(self) -> None:
        name = f"in{len(self.nodes)}"
        shape = (self.among(1, 2, 3, 4, 6), self.among(1, 2, 3, 4), self.among(1, 2, 3, 4))
        flat = self.chance(15)
        if flat:
            shape = (shape[0], 1, 1)
        node: Keys = {"name": name, "kind": "input", "shape": list(shape[:1] if flat else shape)}
        if self.chance(65):
            self.add(node, Port(shape, "spikes"))
            self.arrays[f"{name}/spikes"] = self.spikes(*node["shape"])
            return
        bits, signed, constant = self.among(1, 3, 4, 8), self.among(True, False), self.among(True, False)
        node["values"] = {"bits": bits, "signed": signed, "constant": constant}
        if self.chance(50):
            node["values"]["scale"] = self.among(0.5, 0.1)
        low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
        size = (*node["shape"], *(() if constant else (self.timesteps,)))
        values = self.rng.integers(low, high, size).astype(np.int32)
        self.arrays[f"{name}/values"] = values * 0 if self.chance(10) else values
        self.add(node, Port(shape, "analog", constant))

    # Synapses. --------------------------------------------------------------------------------------

    def window(self, size: tuple[int, int], out: tuple[int, int], kernel: list[int] | None = None) -> Keys:
        """Draw a window that makes a map of another size of a map, by whatever padding that takes."""
        found: dict[str, list[int]] = {"kernel": [], "stride": [], "dilation": [], "padding": []}
        for axis in (0, 1):
            stride, dilation = self.among(1, 1, 2), self.among(1, 1, 2)
            side = kernel[axis] if kernel else self.among(1, 2, 3)
            needed = (out[axis] - 1) * stride + dilation * (side - 1) + 1 - size[axis]
            if needed <= -stride and not kernel:  # a larger kernel, so that the rest is not cut off
                side = size[axis] - (out[axis] - 1) * stride
                dilation, stride = 1, stride if side > 0 else 1
                side = size[axis] - (out[axis] - 1) * stride
                needed = 0
            elif needed <= -stride:
                stride = (size[axis] - dilation * (side - 1) - 1) // max(1, out[axis] - 1)
                stride = stride if out[axis] > 1 else size[axis]
                needed = (out[axis] - 1) * stride + dilation * (side - 1) + 1 - size[axis]
            needed += self.among(0, 0, stride - 1)
            before = self.draw(st.integers(0, max(0, needed)))
            found["kernel"].append(side)
            found["stride"].append(stride)
            found["dilation"].append(dilation)
            found["padding"] += [before, max(0, needed) - before]
        return {key: value[0] if len({*value}) == 1 else value for key, value in found.items()}

    def can_fold(self, window: Keys, port: Port) -> bool:
        """Whether the average pooling of a source can be folded into a convolution."""
        assert port.pool is not None
        pool, size = port.pool
        outer, inner = Window.of(pool, size), Window.of(window, port.shape[1:])
        for axis in (0, 1):
            covered = port.shape[1 + axis] * outer.stride[axis] - outer.padding[2 * axis]
            hides = outer.kernel[axis] > outer.stride[axis] or covered < size[axis]
            if hides and any(inner.padding[2 * axis : 2 * axis + 2]):
                return False
        return True

    def weights(self, floating: bool, *shape: int) -> Array:
        if floating:
            return self.rng.normal(0.3, 1, shape).astype(np.float32)
        return self.rng.integers(-9, 12, shape).astype(np.int8)

    def synapse(self, node: Keys, source: str, port: Port, out: Shape | None) -> tuple[Keys, Shape] | None:
        """Draw a synapse; None if none leads from this source to this shape."""
        floating = node["floating"]
        C, *rest = port.shape
        size = (rest[0], rest[1])
        kinds = [] if port.carries == "currents" else ["conv", "conv"]
        if port.carries != "currents" and (out is None or out[1:] == (1, 1)):
            kinds.append("linear")
        if (out is None or out[0] == C) and port.pool is None:
            kinds += ["avgpool"] + (["maxpool"] * 2 if port.carries == "currents" else [])
            kinds += ["identity"] if out is None or out[1:] == size else []
        if not kinds:
            return None
        kind = self.among(*kinds)
        M = out[0] if out else C if kind in ("identity", "avgpool", "maxpool") else self.among(1, 2, 3, 4, 9)
        if out is None:
            sides = tuple(self.among(1, 2, 3, 4) for _ in range(2))
            area = max(1, MOST_CELLS // M)
            sides = (min(sides[0], area), min(sides[1], max(1, area // sides[0])))
            out = (M, *({"linear": (1, 1), "identity": size}.get(kind, (sides[0], sides[1]))))
        k = len(node["synapses"])
        found: Keys = {"from": source, "kind": kind}
        key = f"{node['name']}/synapse-{k}/weight"
        shape: tuple[int, ...] = (C,)
        shared = None
        if kind == "conv":
            groups = self.among(1, 1, *(n for n in range(1, 9) if gcd(C, M) % n == 0))
            same = [j for j, (one, w) in enumerate(node["shapes"]) if one == "conv" and w[1] * groups == C]
            shared = self.among(*same) if same and self.chance(60) else None
            kernel = list(node["shapes"][shared][1][2:]) if shared is not None else None
            found |= self.window(size, (out[1], out[2]), kernel) | {"groups": groups}
            if Window.of(found, size).out_size != out[1:] or (port.pool and not self.can_fold(found, port)):
                return None
            shape = (M, C // groups, *Window.of(found, size).kernel)
        elif kind == "linear":
            shape = (M, C * size[0] * size[1])
        elif kind in ("avgpool", "maxpool"):
            found |= self.window(size, (out[1], out[2]))
            if Window.of(found, size).out_size != out[1:]:
                return None
        if kind != "conv":
            same = [
                j for j, (one, w) in enumerate(node["shapes"]) if w == shape and (one == kind or len(w) == 1)
            ]
            shared = self.among(*same) if same and self.chance(40) else None
        if shared is not None:
            found["weight_of"] = shared
        elif kind in ("conv", "linear") or self.chance(30):
            self.arrays[key] = self.weights(floating, *shape)
        elif self.chance(70):
            found["weight"] = self.among(0.5, -1.3, 2.0) if floating else self.among(-3, 1, 2, 7)
        if not port.constant and (source == node["name"] or self.chance(25)):
            found["delay"] = min(self.timesteps, self.among(1, 2, 3))
        if port.carries != "spikes" and not floating and self.chance(50):
            found["shift"] = self.among(1, 2, 4)
        node["synapses"].append(found)
        node["shapes"].append((kind, shape))
        return found, out

    def population(self, first: str | None = None) -> None:
        """Draw neurons or currents that take some node, rather a late one."""
        name = f"n{len(self.nodes)}"
        kind = self.among("neurons", "neurons", "currents")
        first = first or self.among(*self.ports, *list(self.ports)[-2:])
        floating = self.ports[first].floating or self.datapath == "float" or self.chance(5)
        node: Keys = {"name": name, "synapses": [], "shapes": [], "floating": floating}
        made = self.synapse(node, first, self.ports[first], None)
        if made is None:
            return
        out = made[1]
        for _ in range(self.among(0, 0, 1, 1, 2)):
            sources = [one for one, port in self.ports.items() if floating or not port.floating]
            source = self.among(*sources)
            self.synapse(node, source, self.ports[source], out)
        if kind == "neurons" and not self.sparse and self.chance(40):
            self.synapse(node, name, Port(out, "spikes"), out)
        described: Keys = {"name": name, "kind": kind, "channels": out[0], "synapses": node["synapses"]}
        if self.chance(20):
            bias = self.rng.normal(0, 1, out[0]) if floating else self.rng.integers(-3, 4, out[0])
            self.arrays[f"{name}/bias"] = bias.astype(np.float32 if floating else np.int32)
        if kind == "neurons":
            described["neuron"] = self.neuron(name, out[0], floating)
            self.add(described, Port(out, "spikes"))
            return
        if floating:
            described["datapath"] = "float"
        constant = all(self.ports[one["from"]].constant for one in node["synapses"])
        self.add(described, Port(out, "currents", constant, floating))

    def number(self, neuron: Keys, key: str, M: int, these: tuple[Any, ...], floating: bool) -> Any:
        """Set a number of all neurons, or one for each channel."""
        if self.chance(70):
            place = neuron
            *outer, last = key.rpartition("/")[2].split(".")
            for one in outer:
                place = place[one]
            place[last] = self.among(*these)
            return
        chosen = [self.among(*these) for _ in range(min(M, 3))]
        values = np.resize(np.array(chosen), M)
        self.arrays[key] = values.astype(np.float32 if floating else np.int32)

    def neuron(self, name: str, M: int, floating: bool) -> Keys:
        found: Keys = {"datapath": "float"} if floating else {}
        thresholds = (0, 3, 8, 15, 15, 30) if not self.chance(8) else (-4, -1, 0)
        leaks = (0.0, 0.5, 0.9, 1.0) if floating else (0, 1, 2, 4, 31)
        leak = "leak" if floating else "leak_shift"
        if floating:
            thresholds = tuple(one / 8 for one in thresholds)
        self.number(found, f"{name}/neuron/threshold", M, thresholds, floating)
        if self.chance(80):
            self.number(found, f"{name}/neuron/{leak}", M, leaks, floating)
        if self.chance(35):
            found["fires"] = "at"
        if self.chance(35):
            found["reset"] = self.among("subtract", "none")
        if self.chance(20):
            found["reset_delay"] = 1
        if self.chance(20):
            found["current"] = {}
            if self.chance(70):
                self.number(found, f"{name}/neuron/current.{leak}", M, leaks, floating)
        if self.chance(20):
            found["adaptation"] = {}
            steps = (-2.5, 0.3, 4.0) if floating else (-2, 3, 16)
            self.number(found, f"{name}/neuron/adaptation.step", M, steps, floating)
            if self.chance(70):
                self.number(found, f"{name}/neuron/adaptation.{leak}", M, leaks, floating)
        return found

    # What costs nothing, and products. --------------------------------------------------------------

    def pool(self) -> None:
        sources = [name for name in self.named(carries="spikes") if self.ports[name].pool is None]
        if not sources:
            return
        source, kind = self.among(*sources), self.among("maxpool", "avgpool")
        size = self.ports[source].shape[1:]
        out = (self.among(1, 2, 3), self.among(1, 2, 3))
        window = self.window(size, out)
        if kind == "avgpool":
            del window["dilation"]
        made = Window.of(window, size).out_size
        node = {"name": f"n{len(self.nodes)}", "kind": kind, "from": source} | window
        pool = (node, size) if kind == "avgpool" else None
        self.add(node, Port((self.ports[source].shape[0], *made), "spikes", pool=pool))
        if pool:
            self.population(node["name"])

    def join(self) -> None:
        sources = [name for name in self.named(carries="spikes") if self.ports[name].pool is None]
        if not sources:
            return
        how = self.among("or", "and", "iand", "concat", "slice")
        first = self.among(*sources)
        C, *size = shape = self.ports[first].shape
        node: Keys = {"name": f"n{len(self.nodes)}", "kind": "join", "how": how, "from": [first]}
        if how == "slice":
            start = self.draw(st.integers(0, C - 1))
            end = self.draw(st.integers(start + 1, C))
            node["channels"] = [start, end]
            self.add(node, Port((end - start, size[0], size[1]), "spikes"))
            return
        fits = []
        for name in sources:
            c, *its_size = self.ports[name].shape
            if how == "concat":
                fits += [name] if its_size == size else []
            elif C % c == 0 and its_size in (size, [1, 1]):
                fits.append(name)
        for _ in range(1 if how == "iand" else self.among(1, 1, 2)):
            node["from"].append(self.among(*fits))
        if how != "concat" and self.chance(50):
            node["from"].reverse()
        if how == "concat":
            shape = (sum(self.ports[one].shape[0] for one in node["from"]), size[0], size[1])
        self.add(node, Port(shape, "spikes"))

    def matmul(self) -> None:
        fits = []
        for a, b, ta, tb, heads in product(self.ports, self.ports, (False, True), (False, True), (1, 2, 3)):
            ports = (self.ports[a], self.ports[b])
            carried = {port.carries for port in ports}
            if "spikes" not in carried or "analog" in carried or any(port.pool for port in ports):
                continue
            if any(port.shape[0] % heads for port in ports):
                continue
            (rows, inner), (other, columns) = (
                side[::-1] if turned else side
                for turned, side in zip(
                    (ta, tb),
                    ((p.shape[0] // heads, p.shape[1] * p.shape[2]) for p in ports),
                    strict=True,
                )
            )
            if inner == other and heads * rows * columns <= MOST_CELLS:
                fits.append((a, b, ta, tb, heads, rows, columns))
        if not fits:
            return
        a, b, ta, tb, heads, rows, columns = self.among(*fits)
        floating = self.ports[a].floating or self.ports[b].floating or self.chance(10)
        node: Keys = {"name": f"n{len(self.nodes)}", "kind": "matmul", "a": a, "b": b}
        options = {"heads": heads, "transpose_a": ta, "transpose_b": tb}
        options["scale"] = self.among(1, 1, 0.5, 0.25, 2) if not floating else self.among(1, 0.3)
        options |= {"datapath": "float"} if floating else {}
        node |= options
        sides = (columns, 1) if tb else self.ports[b].shape[1:]
        self.add(node, Port((heads * rows, sides[0], sides[1]), "currents", floating=floating))

    def record(self) -> None:
        """Give some nodes recorded outputs."""
        for node in self.nodes:
            name, port = node["name"], self.ports[node["name"]]
            if node["kind"] in ("input", "avgpool") or not self.chance(20):
                continue
            if port.carries == "spikes":
                self.arrays[f"{name}/spikes"] = self.spikes(*port.shape)
                continue
            size = port.shape if port.constant else (*port.shape, self.timesteps)
            values = self.rng.integers(-9, 10, size)
            self.arrays[f"{name}/values"] = values.astype(np.float32 if port.floating else np.int32)

    def finished(self) -> Trace:
        """Leave out inputs and average pooling that nothing takes."""
        idle: set[str] | None = None
        while idle is None or idle:
            taken = {source for node in self.nodes for source in sources_of(node)}
            ends = [node["name"] for node in self.nodes if node["kind"] in ("input", "avgpool")]
            idle = {*ends} - taken
            self.nodes = [node for node in self.nodes if node["name"] not in idle]
        names = {node["name"] for node in self.nodes}
        arrays = {key: array for key, array in self.arrays.items() if key.split("/")[0] in names}
        return network(self.nodes, self.timesteps, arrays)


def sources_of(node: Keys) -> list[str]:
    """Nodes that a node takes."""
    if "synapses" in node:
        return [one["from"] for one in node["synapses"]]
    if node["kind"] == "matmul":
        return [node["a"], node["b"]]
    given = node.get("from", [])
    return given if isinstance(given, list) else [given]


@st.composite
def graphs(
    draw: st.DrawFn, datapath: str = "int", *, sparse: bool = False, recorded: bool = True, most: int = 6
) -> Trace:
    """Graphs of one to six nodes beside their inputs; `sparse`: inputs fire once, and nothing comes back."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    drawing = Drawing(draw, rng, draw(st.integers(1, 9)), datapath, sparse)
    most = 1 if sparse else most
    for _ in range(draw(st.integers(1, 1 if sparse else 3))):
        drawing.input()
    drawing.population()
    for _ in range(draw(st.integers(0, most - 1))):
        kind = draw(st.sampled_from(["population"] * 4 + ["pool", "pool", "join", "matmul"]))
        getattr(drawing, kind)()
    while not any(node["kind"] != "input" for node in drawing.nodes):
        drawing.population()
    if all(node["kind"] in ("input", "avgpool") for node in drawing.nodes):
        drawing.population()
    if recorded and draw(st.booleans()):
        drawing.record()
    return drawing.finished()


def delays_of(trace: Trace) -> list[int]:
    """Delays with which outputs come back to the node that they are of, node by node."""
    return [
        one["delay"]
        for node in trace.nodes
        for one in node.get("synapses", ())
        if one["from"] == node["name"]
    ]


def largest_window(trace: Trace) -> int:
    """Return the largest window size that recurrence permits."""
    return min([trace.timesteps, *delays_of(trace)])
