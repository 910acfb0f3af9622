"""How the nodes of a graph fit together: shapes, what they carry, and in which order they can be computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any, Literal

from spikex_sim.core.errors import TraceError
from spikex_sim.core.hints import closest
from spikex_sim.spec.graph import (
    InputNode,
    JoinNode,
    MatmulNode,
    Node,
    PoolNode,
    Population,
    Shape,
    Synapse,
)
from spikex_sim.spec.workload import MAX_SIZE
from spikex_sim.trace.meta import MAX_NODES
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.trace import MAX_OUTPUT_BYTES, MAX_TIMESTEPS

MAX_COMPARED = 200
"""Most nodes whose names are compared with one that there is not."""
MAX_PATH = 8
"""Most nodes of a cycle that a message names."""
Carries = Literal["spikes", "analog", "currents"]


@dataclass(frozen=True)
class Port:
    """What a node gives.

    Attributes
    ----------
    shape : tuple of int
        ``(C, H, W)``, after pooling.
    carries : {"spikes", "analog", "currents"}
        What it is; average-pooled spikes are spikes, of which no one may take more than the sum.
    constant : bool
        Whether it is the same at all time points.
    floating : bool
        Whether numbers are float32.
    """

    shape: Shape
    carries: Carries
    constant: bool = False
    floating: bool = False


@dataclass(frozen=True)
class Wiring:
    """Nodes and what they give, by name and in order."""

    nodes: Mapping[str, Node]
    ports: Mapping[str, Port]

    def weight_shape(self, name: str, k: int) -> tuple[int, ...]:
        """Shape of the array with the weights of a synapse."""
        node = self.nodes[name]
        assert isinstance(node, Population)
        synapse = node.synapses[k]
        shape = self.ports[synapse.source].shape
        if synapse.own:
            return shape[:1]
        if synapse.kind == "linear":
            return (node.channels, prod(shape))
        return (node.channels, shape[0] // synapse.groups, *synapse.kernel)


def wired(nodes: Sequence[Node], timesteps: int, where: str) -> Wiring:
    """Find what every node gives.

    Raises
    ------
    TraceError
        Naming the first node that takes what is not there or does not fit.
    """
    if not 1 <= timesteps <= MAX_TIMESTEPS:
        raise TraceError(f"must be 1 to {MAX_TIMESTEPS}, not {timesteps}", where=where, field="timesteps")
    if not nodes:
        raise TraceError("a graph needs at least one node", where=where, field="nodes")
    if len(nodes) > MAX_NODES:
        raise TraceError(f"{len(nodes)} nodes, more than {MAX_NODES}", where=where, field="nodes")
    return _Wirer(nodes, timesteps, where).wiring()


class _Wirer:
    """Goes through the nodes once, in order."""

    def __init__(self, nodes: Sequence[Node], timesteps: int, where: str) -> None:
        self.timesteps = timesteps
        self.where = where
        self.nodes: dict[str, Node] = {}
        for node in nodes:
            if node.name in self.nodes:
                raise self.error("is the name of two nodes", node)
            self.nodes[node.name] = node
        self.ports: dict[str, Port] = {}

    def error(self, message: str, node: Node, key: str = "") -> TraceError:
        field = f"nodes.{node.name}.{key}" if key else f"nodes.{node.name}"
        return TraceError(message, where=self.where, field=field)

    def wiring(self) -> Wiring:
        wiring = Wiring(self.nodes, self.ports)
        taken: set[str] = set()
        for node in self.nodes.values():
            self.check_sources(node)
            port = self.port(node)
            self.check_size(node, port)
            self.ports[node.name] = port
            if isinstance(node, Population):
                self.check_shared_weights(node, wiring)
            taken.update(node.sources)
        for node in self.nodes.values():
            if node.kind in ("input", "avgpool") and node.name not in taken:
                what = (
                    "an input" if node.kind == "input" else "an avgpool, which is folded into what takes it,"
                )
                raise self.error(f"is {what} that no node takes", node)
        return wiring

    def check_sources(self, node: Node) -> None:
        """Check that what a node takes comes before it."""
        for source in node.sources:
            if source in self.ports:
                continue
            if source not in self.nodes:
                raise self.error(f"there is no node '{shown(source, 40)}'{meant(source, self.nodes)}", node)
            if source != node.name:
                cycle = self.path(source, node.name)
                if not cycle:
                    raise self.error(
                        f"takes '{source}', which comes after it; list the nodes in an order in which they "
                        "can be computed",
                        node,
                    )
                names = cycle if len(cycle) <= MAX_PATH else [*cycle[:MAX_PATH], "..."]
                raise self.error(
                    f"is in the cycle {' <- '.join([node.name, *names])}; only a population may take itself",
                    node,
                )
            if node.kind != "neurons":
                raise self.error("takes itself; only a population of neurons may", node)
            if set(node.sources) == {node.name}:
                raise self.error("takes only itself; it needs another source", node)

    def path(self, start: str, end: str) -> list[str]:
        """Names from a node to one that it depends on, both included; none if it does not."""
        came: dict[str, str] = {start: ""}
        stack = [start]
        while stack:
            name = stack.pop()
            if name == end:
                found = [name]
                while came[found[-1]]:
                    found.append(came[found[-1]])
                return found[::-1]
            for source in self.nodes[name].sources if name in self.nodes else ():
                if source not in came:
                    came[source] = name
                    stack.append(source)
        return []

    def port(self, node: Node) -> Port:
        """What a node gives, after checking what it takes."""
        if isinstance(node, InputNode):
            full = node.shape if len(node.shape) == 3 else (node.shape[0], 1, 1)
            analog = node.values is not None
            return Port(
                full, "analog" if analog else "spikes", node.values is not None and node.values.constant
            )
        if isinstance(node, Population):
            return self.population(node)
        if isinstance(node, PoolNode):
            taken = self.spikes(node, node.source)
            size = node.out_size(*taken.shape[1:])
            if min(size) < 1:
                raise self.error(_too_large(node.kernel, taken.shape), node, "kernel")
            return Port((taken.shape[0], *size), "spikes")
        return self.join(node) if isinstance(node, JoinNode) else self.matmul(node)

    def spikes(self, node: Node, source: str) -> Port:
        port = self.ports[source]
        if port.carries != "spikes":
            raise self.error(f"takes spikes, '{source}' gives {_named(port)}", node)
        self.refuse_pool(node, source)
        return port

    def refuse_pool(self, node: Node, source: str, key: str = "") -> None:
        if self.nodes[source].kind == "avgpool":
            raise self.error(
                f"cannot take avgpool '{source}', which is folded into conv and linear synapses alone",
                node,
                key,
            )

    def population(self, node: Population) -> Port:
        shape: Shape | None = None
        others = [(k, synapse) for k, synapse in enumerate(node.synapses) if synapse.source != node.name]
        for k, synapse in others:
            given = self.synapse(node, k, self.ports[synapse.source])
            if shape is not None and given != shape:
                raise self.error(
                    f"gives {_sides(given)}, synapses before it {_sides(shape)}; their sums add",
                    node,
                    f"synapses.{k}",
                )
            shape = given
        assert shape is not None
        constant = node.kind == "currents" and all(self.ports[one.source].constant for _, one in others)
        carries: Carries = "spikes" if node.kind == "neurons" else "currents"
        port = Port(shape, carries, constant, node.kind == "currents" and node.datapath == "float")
        for k, synapse in enumerate(node.synapses):
            if synapse.source == node.name:
                if not synapse.delay:
                    raise self.error("a synapse of a population to itself needs a delay of 1 or more", node,
                                     f"synapses.{k}.delay")  # fmt: skip
                given = self.synapse(node, k, port)
                if given != shape:
                    raise self.error(
                        f"gives {_sides(given)}, the population is {_sides(shape)}", node, f"synapses.{k}"
                    )
        return port

    def synapse(self, node: Population, k: int, taken: Port) -> Shape:
        """Shape of what a synapse gives, after checking that it can take its source."""
        synapse = node.synapses[k]

        def error(message: str, key: str = "") -> TraceError:
            return self.error(message, node, f"synapses.{k}.{key}" if key else f"synapses.{k}")

        source, (channels, *size) = f"'{synapse.source}'", taken.shape
        if taken.carries == "currents" and not synapse.own:
            raise error(
                f"a {synapse.kind} synapse takes spikes or analog values, {source} gives currents", "from"
            )
        if taken.carries != "currents" and synapse.kind == "maxpool":
            named = _named(taken)
            raise error(
                f"a maxpool synapse takes currents, {source} gives {named}; pool spikes in a node", "from"
            )
        pool = self.nodes[synapse.source]
        if isinstance(pool, PoolNode) and pool.kind == "avgpool":
            reason = why_not_folded(pool, synapse, taken.shape, self.ports[pool.source].shape)
            if reason:
                raise error(f"avgpool {source} cannot be folded: {reason}", "from")
        if taken.floating and node.datapath == "int":
            raise error(f"the int datapath does not take the float32 values of {source}", "from")
        if taken.constant and synapse.delay:
            raise error(f"has no effect on {source}, which is constant", "delay")
        if synapse.delay > self.timesteps:
            raise error(f"is {synapse.delay}, beyond the {self.timesteps} time points", "delay")
        if taken.carries == "spikes" and synapse.shift:
            raise error("has no effect on spikes, only on sums of numbers", "shift")
        if synapse.own and channels != node.channels:
            raise error(
                f"leads from each of {channels} channels of {source} to its own, not to {node.channels}"
            )
        if channels % synapse.groups or node.channels % synapse.groups:
            raise error(
                f"must divide {channels} channels of {source} and {node.channels} of the node", "groups"
            )
        if synapse.kind == "linear" and prod(taken.shape) > MAX_SIZE:
            raise error(f"takes {prod(taken.shape)} values, more than {MAX_SIZE}")
        given = synapse.gives(taken.shape, node.channels)
        if min(given) < 1:
            raise error(_too_large(synapse.kernel, (channels, *size)), "kernel")
        return given

    def check_shared_weights(self, node: Population, wiring: Wiring) -> None:
        for k, synapse in enumerate(node.synapses):
            if synapse.weight_of is None:
                continue
            own, other = (wiring.weight_shape(node.name, one) for one in (k, synapse.weight_of))
            if own != other:
                raise self.error(
                    f"is a synapse with weights {list(other)}, this one wants {list(own)}", node,
                    f"synapses.{k}.weight_of",
                )  # fmt: skip

    def join(self, node: JoinNode) -> Port:
        shapes = [self.spikes(node, source).shape for source in node.operands]
        channels, height, width = (max(shape[axis] for shape in shapes) for axis in range(3))
        if node.how == "slice":
            assert node.channels is not None
            first, end = node.channels
            if end > channels:
                raise self.error(f"[{first}, {end}] of {channels} channels", node, "channels")
            return Port((end - first, height, width), "spikes")
        if node.how == "concat":
            for source, shape in zip(node.operands, shapes, strict=True):
                if shape[1:] != (height, width):
                    raise self.error(
                        f"'{source}' is {_sides(shape)}, others have maps of {height}x{width}", node, "from"
                    )
            return Port((sum(shape[0] for shape in shapes), height, width), "spikes")
        for source, shape in zip(node.operands, shapes, strict=True):
            if channels % shape[0] or shape[1:] not in ((height, width), (1, 1)):
                raise self.error(
                    f"'{source}' is {_sides(shape)} and serves no {_sides((channels, height, width))}: "
                    "channels must divide, positions be as many or one",
                    node,
                    "from",
                )
        return Port((channels, height, width), "spikes")

    def matmul(self, node: MatmulNode) -> Port:
        a, b = (self.ports[source] for source in (node.a, node.b))
        sides = []
        for key, source, port, turned in (
            ("a", node.a, a, node.transpose_a),
            ("b", node.b, b, node.transpose_b),
        ):
            if port.carries == "analog":
                raise self.error(f"takes spikes and currents, '{source}' gives analog values", node, key)
            self.refuse_pool(node, source, key)
            if port.floating and node.datapath == "int":
                raise self.error(
                    f"the int datapath does not take the float32 values of '{source}'", node, key
                )
            if port.shape[0] % node.heads:
                raise self.error(
                    f"{node.heads} heads do not divide the {port.shape[0]} channels of '{source}'",
                    node,
                    "heads",
                )
            rows, columns = port.shape[0] // node.heads, port.shape[1] * port.shape[2]
            sides.append((columns, rows) if turned else (rows, columns))
        if "spikes" not in (a.carries, b.carries):
            raise self.error(f"one of '{node.a}' and '{node.b}' must be spikes; both are currents", node)
        (rows, inner), (other, columns) = sides
        if inner != other:
            raise self.error(f"multiplies matrices of {rows}x{inner} and {other}x{columns} a head", node)
        positions = (columns, 1) if node.transpose_b else b.shape[1:]
        shape = (node.heads * rows, *positions)
        return Port(shape, "currents", floating=node.datapath == "float")

    def check_size(self, node: Node, port: Port) -> None:
        if max(port.shape) > MAX_SIZE:
            raise self.error(f"gives {_sides(port.shape)}, sides beyond {MAX_SIZE}", node)
        each = 1 if port.carries == "spikes" else 4
        size = prod(port.shape) * each * (1 if port.constant else self.timesteps)
        if size > MAX_OUTPUT_BYTES:
            raise self.error(
                f"would give {size / 2**30:,.1f} GiB in {self.timesteps} time points, more than "
                f"{MAX_OUTPUT_BYTES / 2**30:g} GiB; replay fewer of them",
                node,
            )


def why_not_folded(pool: PoolNode, synapse: Synapse, pooled: Shape, taken: Shape) -> str:
    """Say why no single filter does what pooling and the synapse do; empty if one does.

    Parameters
    ----------
    pool : PoolNode
        Average pooling.
    synapse : Synapse
        Takes what it gives.
    pooled, taken : tuple of int
        Shapes after and before the pooling.
    """
    if synapse.own:
        return "it is folded into conv and linear synapses alone"
    if synapse.kind == "linear" and prod(taken) > MAX_SIZE:
        return f"the {prod(taken)} values that are pooled are more than {MAX_SIZE}"
    for axis in (0, 1):
        before, after = synapse.padding[2 * axis : 2 * axis + 2]
        covered = pooled[1 + axis] * pool.stride[axis] - pool.padding[2 * axis]
        hides_nothing = pool.kernel[axis] <= pool.stride[axis] and covered >= taken[1 + axis]
        if (before or after) and not hides_nothing:
            return (
                "with padding, its windows must not overlap and must cover the map; pad the pooling instead"
            )
    return ""


def meant(name: str, nodes: Iterable[str]) -> str:
    """Say which of the first nodes has nearly this name, if any."""
    return closest(name, islice(nodes, MAX_COMPARED))


def _named(port: Port) -> str:
    return "analog values" if port.carries == "analog" else port.carries


def _sides(shape: Sequence[Any]) -> str:
    return "x".join(map(str, shape))


def _too_large(kernel: tuple[int, int], shape: tuple[int, ...]) -> str:
    return f"{list(kernel)} is larger than the padded map of {_sides(shape[1:])}"
