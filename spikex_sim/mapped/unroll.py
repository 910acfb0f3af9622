"""Networks of layers, unrolled neuron by neuron (Section 1).

What lies between neurons is no neuron: pools and joins pass on the union of what they take, and so do sums
that others take. Sums that nobody takes are read out, and occupy columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from spikex_sim.core.errors import ConfigError, TraceError, UnsupportedError
from spikex_sim.core.hints import one_of
from spikex_sim.core.memory import check_memory
from spikex_sim.mapped.counting import MOST_HELD, Counter, weights_there
from spikex_sim.mapped.graph import MOST_EDGES, MOST_NODES, Integers, NeuronGraph
from spikex_sim.mapped.sets import Sets, Window, distinct
from spikex_sim.mapped.windows import Taking
from spikex_sim.spec.graph import InputNode, JoinNode, MatmulNode, Node, PoolNode, Population, Shape
from spikex_sim.trace.chain import as_graph
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_fold import folded
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.together import AnyTrace
from spikex_sim.trace.trace import Trace

BYTES_AN_EDGE = 60
"""Memory while edges are collected and sorted, measured: 40, and what windows take besides."""


@dataclass(frozen=True)
class Part:
    """Nodes that a layer, or what enters the network, became.

    Attributes
    ----------
    name : str
        Of the layer, or of the node of the trace.
    first : int
        Its first node; the others follow in C order (channel, row, column).
    shape : tuple of int
        ``(C, H, W)``.
    external : bool
        Whether they are axons from outside.
    """

    name: str
    first: int
    shape: Shape
    external: bool

    @property
    def nodes(self) -> range:
        """Its nodes."""
        return range(self.first, self.first + prod(self.shape))


@dataclass(frozen=True)
class Unrolled:
    """A network of layers as a graph of neurons, and which of them are which layer's.

    Attributes
    ----------
    graph : NeuronGraph
        Of neurons.
    parts : tuple of Part
        In the order of the nodes; none of a network that has no layers.
    takings : mapping
        By part whose neurons take input, what each of its synapses takes.
    """

    graph: NeuronGraph
    parts: tuple[Part, ...]
    takings: Mapping[str, tuple[Taking, ...]] = field(default_factory=dict)


def unrolled(trace: AnyTrace, *, keep_zeros: bool = False, layers: Sequence[str] | None = None) -> Unrolled:
    """Unroll a trace's network.

    Parameters
    ----------
    trace : Trace or GraphTrace
        Of a chain, spikes recorded at the input of a layer count as what the layer before gives, where they
        have its shape, else as an input of their own.
    keep_zeros : bool
        Count synapses of weight 0 as well. Without weights all count.
    layers : sequence of str, optional
        Layers that are mapped; neurons of others that lead to these are external axons.

    Raises
    ------
    ConfigError
        If a layer is not there, or the synapses, counted before any is made, are more than are mapped.
    UnsupportedError
        If what is mapped takes a product of spikes, which no weights stand for.
    """
    graph = trace if isinstance(trace, GraphTrace) else _structure(trace)
    return _Unroller(graph, keep_zeros, layers).unrolled()


class _Unroller:
    """Goes through the nodes of a trace that are needed, in order."""

    def __init__(self, trace: GraphTrace, keep_zeros: bool, layers: Sequence[str] | None) -> None:
        self.trace, self.keep_zeros = trace, keep_zeros
        # Nodes of a chain's layers are called so.
        layers = None if layers is None else [name.replace("/", ".") for name in layers]
        self.mapped = _mapped(trace, layers)
        self.needed = self._needed()
        self.parts = tuple(self._parts())
        self.first = {part.name: part.first for part in self.parts}
        self.nodes = sum(len(part.nodes) for part in self.parts)

    def unrolled(self) -> Unrolled:
        """Count, then make the edges."""
        self._check_count()
        keys: list[Integers] = []
        sets: dict[str, Sets] = {}
        takings: dict[str, tuple[Taking, ...]] = {}
        for node in self.needed:
            name, shape = node.name, self.trace.shape(node.name)
            if name not in self.first:
                sets[name] = self._passed_on(node, sets)
                continue
            sets[name] = Sets(shape, self.first[name])
            if name in self.mapped:
                assert isinstance(node, Population)
                takings[name] = tuple(self._takings(node, sets))
                element, source = _joined(self._taken(node, sets))
                source *= self.nodes
                source += element
                source += self.first[name]
                keys.append(source)
        neurons = sum(len(part.nodes) for part in self.parts if not part.external)
        key = distinct(np.concatenate(keys))
        if len(key) > MOST_EDGES:
            raise self._too_many(f"{len(key):,}")
        graph = NeuronGraph(shown(self.trace.name), neurons, self.nodes - neurons, key // self.nodes,
                            key % self.nodes, np.ones(self.nodes, np.int64))  # fmt: skip
        return Unrolled(graph, self.parts, takings)

    def _needed(self) -> list[Node]:
        """Nodes on the way from what is external to what is mapped, in order."""
        waiting, found = list(self.mapped), set(self.mapped)
        while waiting:
            node = self.trace.node(waiting.pop())
            if node.name in self.mapped or not self._is_outside(node):
                for source in node.sources:
                    if source not in found:
                        found.add(source)
                        waiting.append(source)
            if isinstance(node, MatmulNode):
                raise UnsupportedError(
                    f"'{node.name}' multiplies spikes with spikes, which no crossbar of weights does; "
                    "--layers chooses layers that do not take it",
                    where=self.trace.where, field="--layers",
                )  # fmt: skip
        return [node for node in self.trace.nodes if node.name in found]

    def _is_outside(self, node: Node) -> bool:
        return isinstance(node, InputNode) or (node.kind == "neurons" and node.name not in self.mapped)

    def _parts(self) -> Iterator[Part]:
        """Neurons by layer, then what is external, each in the order of the trace."""
        first = 0
        inside = [node for node in self.needed if node.name in self.mapped]
        outside = [node for node in self.needed if self._is_outside(node)]
        for node in (*inside, *outside):
            part = Part(node.name, first, self.trace.shape(node.name), node.name not in self.mapped)
            first = part.nodes.stop
            yield part
        if first > MOST_NODES:
            message = (
                f"{first:,} neurons and inputs are more than {MOST_NODES:,}; --layers NAME,... maps some"
            )
            raise ConfigError(message, where=self.trace.where, field="--layers")

    def _check_count(self) -> None:
        """Refuse too many synapses by their number, from the sizes of layers and the zeros among weights."""
        counter = Counter(self.trace, self.keep_zeros, self.first)
        for node in self.needed:
            counter.count(node, mapped=node.name in self.mapped)
        if counter.synapses > (MOST_EDGES if counter.exact else MOST_HELD):
            about = "" if counter.exact else ", those by several windows or synapses counted each,"
            raise self._too_many(f"{counter.synapses:,}", about)
        held = max(counter.synapses, counter.held)
        check_memory(BYTES_AN_EDGE * held, "the network", where=self.trace.where)

    def _too_many(self, count: str, about: str = "") -> ConfigError:
        message = f"{count} synapses{about} are more than {MOST_EDGES:,}; --layers NAME,... maps some layers"
        return ConfigError(message, where=self.trace.where, field="--layers")

    def _passed_on(self, node: Node, sets: dict[str, Sets]) -> Sets:
        """Nodes behind each element of what is no neuron."""
        shape, adds = self.trace.shape(node.name), False
        if isinstance(node, Population):
            found = self._taken(node, sets)
            adds = all(one.cuts and one.sets.adds for one in self._takings(node, sets))
        elif isinstance(node, JoinNode):
            operands = [sets[one] for one in node.operands]
            found = _of_join(node, shape, operands)
            adds = node.how in ("concat", "slice") and all(one.adds for one in operands)
        else:
            assert isinstance(node, PoolNode)
            if node.kind == "avgpool":  # folded into what takes it
                return sets[node.source]
            found = _by_window(Window.over(node, self.trace.shape(node.source)), sets[node.source], None)
        return Sets.of(shape, *_joined(found), self.nodes, adds=adds)

    def _takings(self, node: Population, sets: dict[str, Sets]) -> Iterator[Taking]:
        """What each synapse of a population takes, whatever its weights."""
        for k, given in enumerate(node.synapses):
            synapse, _ = folded(self.trace, node.name, k)
            taken = sets[synapse.source]
            whole = given.kind == "linear"
            groups = taken.shape[0] if synapse.own else synapse.groups
            window = None if whole else Window.over(synapse, taken.shape)
            yield Taking(taken, window, groups, cuts=synapse.kind != "maxpool")

    def _taken(self, node: Population, sets: dict[str, Sets]) -> Iterator[tuple[Integers, Integers]]:
        """Elements of a population, and a node that each takes."""
        for k, given in enumerate(node.synapses):
            synapse, weight = folded(self.trace, node.name, k)
            taken = sets[synapse.source]
            there = weights_there(weight, keep_zeros=self.keep_zeros)
            if given.kind == "linear":
                inputs = prod(taken.shape)
                full = np.ones((node.channels, inputs), np.bool_) if there is None else there
                m, element = np.nonzero(full.reshape(node.channels, inputs))
                yield _behind(taken, m, element)
                continue
            window = Window.over(synapse, taken.shape)
            if synapse.own:
                yield from _by_window(window, taken, there)
            else:
                yield from _convolved(window, taken, node.channels, synapse.groups, there)


def _structure(trace: Trace) -> GraphTrace:
    """Graph of a chain at one time point; what is neither recorded nor computable is silence."""
    one = trace.first(1)
    inputs = {index: packed[:1] for index, packed in one.inputs.items()}
    for index, layer in enumerate(one.layers[1:], 1):
        before = one.layers[index - 1]
        unknown = not before.is_pool and index - 1 not in one.weights
        if unknown and index not in inputs and layer.takes(before.output_shape):
            if prod(before.output_shape) > MOST_NODES:
                message = f"has {prod(before.output_shape):,} neurons, more than {MOST_NODES:,}"
                raise ConfigError(message, where=trace.where, field=before.name)
            inputs[index] = np.zeros((1, *layer.input_shape, 1), np.uint8)
            inputs[index].setflags(write=False)  # else it would be copied
    return as_graph(replace(one, inputs=inputs, samples=1, batched=False, label=None, file_sha256=""))


def _mapped(trace: GraphTrace, layers: Sequence[str] | None) -> set[str]:
    """Names of what occupies columns: neurons, and sums that are read out."""
    taken = {source for node in trace.nodes for source in node.sources}
    there = [
        node.name
        for node in trace.nodes
        if node.kind == "neurons" or (node.kind == "currents" and node.name not in taken)
    ]
    if not there:
        raise TraceError("has no layer of neurons", where=trace.where)
    for name in layers or ():
        if name not in there:
            raise ConfigError(one_of(name, there), where=trace.where, field="--layers")
    if layers is not None and not layers:
        raise ConfigError("names no layer", where=trace.where, field="--layers")
    return set(there if layers is None else layers)


def _joined(found: Iterator[tuple[Integers, Integers]]) -> tuple[Integers, Integers]:
    parts = list(found)
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])


def _behind(taken: Sets, outputs: Integers, inputs: Integers) -> tuple[Integers, Integers]:
    """Outputs and the nodes behind their inputs."""
    which, nodes = taken.behind(inputs)
    return (outputs if which is None else outputs[which]), nodes


def _convolved(
    window: Window, taken: Sets, channels: int, groups: int, there: np.ndarray | None
) -> Iterator[tuple[Integers, Integers]]:
    """Pairs of a convolution, place by place of its kernel; ``there``: ``[M, C/groups, E_h, E_w]``."""
    inputs = taken.shape[0] // groups
    pixels, positions = taken.shape[1] * taken.shape[2], prod(window.size)
    for tap in window.taps():
        if there is None:
            m, c = np.divmod(np.arange(channels * inputs), inputs)
        else:
            m, c = np.nonzero(there[:, :, tap.i, tap.j])
        c = c + m // (channels // groups) * inputs
        outputs = (m[:, None] * positions + tap.outputs).ravel()
        yield _behind(taken, outputs, (c[:, None] * pixels + tap.inputs).ravel())


def _by_window(window: Window, taken: Sets, there: np.ndarray | None) -> Iterator[tuple[Integers, Integers]]:
    """Pairs of what leads from each channel to its own; ``there``: ``[C]``."""
    pixels, positions = taken.shape[1] * taken.shape[2], prod(window.size)
    channels = np.arange(taken.shape[0]) if there is None else np.flatnonzero(there)
    for tap in window.taps():
        outputs = (channels[:, None] * positions + tap.outputs).ravel()
        yield _behind(taken, outputs, (channels[:, None] * pixels + tap.inputs).ravel())


def _of_join(node: JoinNode, shape: Shape, operands: Sequence[Sets]) -> Iterator[tuple[Integers, Integers]]:
    """Pairs of a join: every element takes all that it is made of."""
    before = 0
    pixels = shape[1] * shape[2]
    element = np.arange(prod(shape))
    for one in operands:
        if node.how in ("concat", "slice"):
            first = node.channels[0] if node.channels is not None else 0
            part = element[: min(prod(one.shape), len(element) - before)]
            yield _behind(one, part + before, part + first * pixels)
            before += len(part)
            continue
        channel, pixel = np.divmod(element, pixels)
        channel //= shape[0] // one.shape[0]
        few = one.shape[1] * one.shape[2] == 1
        yield _behind(one, element, channel if few else channel * pixels + pixel)
