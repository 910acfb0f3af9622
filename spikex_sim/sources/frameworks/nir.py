"""NIR graphs (Neuromorphic Intermediate Representation) as layers or nodes of a trace.

NIR's neurons are differential equations; how one becomes steps is stated in :mod:`nir_neurons`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.core.units import sides
from spikex_sim.sources.frameworks.assemble import Assembler, alive
from spikex_sim.sources.frameworks.nir_file import Graph, Node, read_graph
from spikex_sim.sources.frameworks.nir_neurons import NEURONS, Equations, Steps
from spikex_sim.sources.frameworks.signals import (
    AS_CURRENTS,
    Added,
    Affine,
    Numbers,
    Outside,
    Part,
    Pooled,
    Signal,
    Spiking,
    Step,
    Weighted,
    is_light,
)
from spikex_sim.trace.chain import as_chain
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.trace import Trace

DT_S = 1e-4
"""Length of a step in seconds, that of snnTorch's and SpikingJelly's exports."""
MAX_NEURONS = 1 << 24
"""Most neurons of one layer, or inputs."""
MAX_BACK = 200
"""Most nodes by which spikes come back to their population."""
READ_OUTS = ("LI", "CubaLI", "I")
_LAYERS = ("Conv1d", "Conv2d", "Linear", "Affine", "Scale", "SumPool2d", "AvgPool2d", "Flatten", "Delay")
_KINDS = ("Input", "Output", *_LAYERS, *NEURONS, *READ_OUTS)
_THROUGH = "Through"
"""What a graph in the graph takes or gives."""
_NEVER = {"Threshold": "is a threshold without a potential, which has no counterpart here"}


@dataclass(frozen=True, eq=False)
class NirNetwork:
    """Nodes of a graph and their arrays, as in a trace file, but for spikes.

    Attributes
    ----------
    nodes, arrays
        As in a trace file of format 2.
    notes : tuple of str
        What was assumed, and what looks wrong.
    where : str
        File named in messages.
    """

    nodes: tuple[dict[str, Any], ...]
    arrays: Mapping[str, NDArray[Any]]
    notes: tuple[str, ...]
    where: str

    def trace(
        self,
        packed: PackedSpikes,
        timesteps: int,
        *,
        batched: bool,
        name: str,
        source: str,
        label: int | tuple[int, ...] | None = None,
    ) -> Trace | GraphTrace:
        """Make a trace of the network and spikes ``[S, *shape, ceil(T/8)]`` that enter it."""
        entering = next(node for node in self.nodes if node["kind"] == "input")
        shape = tuple(entering["shape"])
        if prod(packed.shape[1:-1]) != prod(shape) or (len(shape) == 3 and packed.shape[1:-1] != shape):
            raise TraceError(
                f"takes {sides(shape)} spikes at a time point, not {sides(packed.shape[1:-1])}; of an .npy "
                "the last axis is time, unless axes names them",
                where=self.where,
                field="node input",
            )
        spikes = packed.reshape(len(packed), *shape, -1)
        meta = {"name": name, "timesteps": timesteps, "source": source, "nodes": list(self.nodes)}
        meta |= {"samples": len(packed)} if batched else {}
        arrays = {**self.arrays, f"{entering['name']}/spikes": spikes if batched else spikes[0]}
        graph = GraphTrace.from_arrays(meta, arrays, label=label, where=name)
        return as_chain(graph) or graph


def load_nir(path: str | Path, dt_s: float = DT_S, reset: Literal["zero", "subtract"] = "zero") -> NirNetwork:
    """Read a ``.nir`` file.

    Parameters
    ----------
    path : str or Path
        Graph of Input, Conv1d, Conv2d, Linear, Affine, Scale, SumPool2d, AvgPool2d, Flatten, Delay, IF, LIF,
        CubaLIF, read-outs (LI, CubaLI, I) and Output, with branches, graphs in graphs and recurrence of a
        population to itself.
    dt_s : float
        Length of a step in seconds.
    reset : {"zero", "subtract"}
        What a spike does to the potential; files do not say it.

    Raises
    ------
    TraceError
        If the file is damaged, or a node has no counterpart here; in one line that names the node.
    """
    if not (isinstance(dt_s, int | float) and 0 < dt_s < 1e6):
        raise TraceError(f"must be a number of seconds above 0, not {dt_s!r:.40}", field="dt")
    if reset not in ("zero", "subtract"):
        raise TraceError(f"must be zero or subtract, not {reset!r:.40}", field="reset")
    graph = read_graph(path)
    return _Builder(graph, Steps(float(dt_s), reset)).network()


@dataclass(frozen=True, eq=False)
class _Value:
    """What a node gives.

    Attributes
    ----------
    signal : Signal
        Its expression.
    shape : tuple of int
        Of one sample at a time point, as the graph has it.
    factor : float64 array, optional
        What it is multiplied with on its way to the next layer, of that shape.
    """

    signal: Signal
    shape: tuple[int, ...]
    factor: Numbers | None = None


class _Builder:
    """Expressions of all nodes, each made when one is asked for that takes it."""

    def __init__(self, graph: Graph, steps: Steps) -> None:
        self.graph, self.steps = graph, steps
        self.values: dict[str, _Value] = {}
        self.read_outs: list[Signal] = []
        self.populations: list[Spiking] = []
        self._open: list[str] = []
        self._taken: dict[str, list[str]] = {name: [] for name in graph.nodes}
        self._gives: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            self._taken[target].append(source)
            self._gives[source].append(target)

    def network(self) -> NirNetwork:
        """What all nodes become."""
        entering = self._checked()
        for name in self._order():
            self._value(name)
        for node in self.graph.nodes.values():
            if node.kind == "Output":
                self._output(node)
        for node in self.graph.nodes.values():
            if node.name not in self.values:
                raise node.error("is not on the way from the input to the output")
        live = alive([*self.populations, *self.read_outs])
        given = self.values[entering.name]
        shape = given.shape if len(given.shape) == 1 else given.signal.shape
        try:
            assembler = Assembler(live, {given.signal: {"shape": list(shape)}})
            for spiking in self.populations:
                assembler.population(spiking)
            for signal in self.read_outs:
                assembler.read_out(signal)
        except TraceError as exc:
            raise TraceError(str(exc), where=self.graph.where) from None
        notes = tuple(self.steps.notes)
        return NirNetwork(tuple(assembler.nodes), assembler.arrays, notes, self.graph.where)

    def _checked(self) -> Node:
        """Input of the graph, after a look at kinds and ends of all nodes."""
        nodes, where = self.graph.nodes, self.graph.where
        for node in nodes.values():
            if node.kind in _NEVER:
                raise node.error(_NEVER[node.kind])
            if node.kind not in (*_KINDS, _THROUGH):
                raise node.error(f"is of a type that is not known here; known are {', '.join(_KINDS)}")
        inputs = [node for node in nodes.values() if node.kind == "Input"]
        if len(inputs) != 1:
            raise TraceError(f"has {len(inputs)} inputs, a network here has one", where=where)
        for node in nodes.values():
            if node.kind != "Input" and not self._taken[node.name]:
                raise node.error("is not on the way from the input to the output")
            if (node.kind == "Output") == bool(self._gives[node.name]):
                raise node.error(
                    "leads to other nodes" if node.kind == "Output" else "leads to no other node"
                )
        if not any(node.kind in ("Conv1d", "Conv2d", "Linear", "Affine") for node in nodes.values()):
            raise TraceError("has no Conv2d, Linear or Affine", where=where)
        return inputs[0]

    def _order(self) -> list[str]:
        """Nodes after what they take, but for what comes back to them."""
        found: dict[str, None] = {}
        entered: set[str] = set()
        stack = [name for name, node in self.graph.nodes.items() if node.kind == "Output"]
        outputs = set(stack)
        while stack:
            name = stack[-1]
            if name in entered:
                stack.pop()
                if name not in outputs:
                    found.setdefault(name)
                continue
            entered.add(name)
            stack += [one for one in self._ahead(name) if one not in entered]
        return list(found)

    def _ahead(self, name: str) -> list[str]:
        """What a node takes and does not lead to."""
        if self.graph.nodes[name].kind not in NEURONS:
            return self._taken[name]
        return [source for source in self._taken[name] if not self._leads(name, source)]

    def _value(self, name: str) -> _Value:
        """What a node gives."""
        if name in self.values:
            return self.values[name]
        node = self.graph.nodes[name]
        if name in self._open:
            cycle = " -> ".join(map(shown, [*self._open[self._open.index(name) :][:8], name]))
            raise node.error(f"is in the cycle {cycle}; only a population of neurons may take itself")
        if len(self._open) > MAX_BACK:
            raise node.error(f"comes back by more than {MAX_BACK} nodes")
        self._open.append(name)
        made = self._input(node) if node.kind == "Input" else getattr(self, f"_{_method(node.kind)}")(node)
        if prod(made.shape) > MAX_NEURONS:
            raise node.error(f"gives {sides(made.shape)} values at a time point, more than {MAX_NEURONS}")
        self._open.pop()
        self.values[name] = made
        return made

    def _entered(self, node: Node, sources: list[str]) -> _Value:
        """What a node takes; several are added."""
        found = [self._value(source) for source in sources]
        if len(found) == 1:
            return found[0]
        if any(one.shape != found[0].shape for one in found):
            raise node.error(
                f"takes {' and '.join(sides(one.shape) for one in found)}, which cannot be added"
            )
        parts = tuple((self._scaled(node, one), 0) for one in found)
        return _Value(Added(node.name, parts[0][0].shape, parts), found[0].shape)

    def _scaled(self, node: Node, value: _Value) -> Signal:
        """A value as a signal, its factors by channel."""
        if value.factor is None:
            return value.signal
        each = value.factor.reshape(value.signal.shape[0], -1)
        if (each != each[:, :1]).any():
            raise node.error("takes spikes scaled pixel by pixel; one factor for each channel can be taken")
        return Affine(node.name, value.signal.shape, value.signal, (("scale", each[:, 0].copy()),))

    def _input(self, node: Node) -> _Value:
        shape = node.numbers("shape").ravel()
        line = any(one.kind == "Conv1d" for one in self.graph.nodes.values())
        if len(shape) in (3 if line else 2, 4) and shape[0] == 1:
            shape = shape[1:]
            self.steps.note("the axis of one sample that shapes begin with is left out")
        if len(shape) not in (1, 2 if line else 3, 3) or (shape != np.floor(shape)).any() or shape.min() < 1:
            raise node.error(f"must be [C, H, W] or [N], not {shown(shape.tolist(), 60)}", "shape")
        sizes = tuple(int(side) for side in shape)
        channels, height, width = (sizes[0], 1, sizes[1]) if len(sizes) == 2 else (*sizes, 1, 1)[:3]
        return _Value(Outside(node.name, (channels, height, width), shaped=True), sizes)

    def _output(self, node: Node) -> None:
        for source in self._taken[node.name]:
            value = self._value(source)
            signal = self._scaled(node, value)
            if not signal.spiking and signal not in self.read_outs:
                self.read_outs.append(signal)
        self.values[node.name] = _Value(signal, value.shape)

    def _conv2d(self, node: Node) -> _Value:
        entered = self._entered(node, self._taken[node.name])
        weight = self._weight(node, 3 if node.kind == "Conv1d" else 4)
        kernel = (1,) * (4 - weight.ndim) + weight.shape[2:]
        weight = weight.reshape(*weight.shape[:2], *kernel)
        groups, groups_too = node.pair("groups")
        size = entered.signal.shape[1:]
        if entered.shape[1:] != size[-len(entered.shape) + 1 :] or len(entered.shape) not in (2, 3):
            raise node.error(f"takes {weight.shape[1]} channels of a map, not {sides(entered.shape)}")
        channels = entered.signal.shape[0]
        if groups != groups_too or groups < 1 or weight.shape[1] * groups != channels or len(weight) % groups:
            raise node.error(
                f"takes {weight.shape[1] * groups} channels of a map, not {sides(entered.shape)}"
            )
        stride, dilation = (node.along(key) for key in ("stride", "dilation"))
        if min(stride) < 1 or min(dilation) < 1:
            raise node.error("stride must be at least 1, as dilation")
        padding = node.padded(kernel, dilation)
        made = [
            (side + before + after - step * (length - 1) - 1) // by + 1
            for side, before, after, step, length, by in zip(
                size, padding[::2], padding[1::2], dilation, kernel, stride, strict=True
            )
        ]
        if min(made) < 1:
            raise node.error(f"{list(kernel)} is larger than the padded map of {sides(size)}")
        parts = (Part(self._scaled(node, entered), 0, weight),)
        bias = self._bias(node, len(weight))
        shape = (len(weight), made[0], made[1])
        signal = Weighted(node.name, shape, "conv", parts, bias, stride, padding, dilation, groups)
        return _Value(signal, (len(weight), made[1]) if len(entered.shape) == 2 else signal.shape)

    _conv1d = _conv2d

    def _linear(self, node: Node) -> _Value:
        entered = self._entered(node, self._taken[node.name])
        weight = self._weight(node, 2)
        if entered.shape != weight.shape[1:]:
            hint = "; a Flatten is missing" if prod(entered.shape) == weight.shape[1] else ""
            raise node.error(f"takes {weight.shape[1]} inputs, not {sides(entered.shape)}{hint}")
        bias = self._bias(node, len(weight)) if node.kind == "Affine" else np.zeros(len(weight))
        if entered.factor is not None:
            weight = weight * entered.factor.reshape(1, -1)
        signal = Weighted(node.name, (len(weight), 1, 1), "linear", (Part(entered.signal, 0, weight),), bias)
        return _Value(signal, (len(weight),))

    _affine = _linear

    def _weight(self, node: Node, axes: int) -> Numbers:
        weight = node.numbers("weight")
        if weight.ndim != axes or not weight.size:
            raise node.error(f"has shape {list(weight.shape)}; {axes} axes are wanted", "weight")
        return weight

    def _bias(self, node: Node, outputs: int) -> Numbers:
        bias = node.numbers("bias")
        if bias.shape != (outputs,):
            raise node.error(f"has shape {list(bias.shape)}; [{outputs}] is wanted", "bias")
        return bias

    def _scale(self, node: Node) -> _Value:
        entered = self._entered(node, self._taken[node.name])
        equations = Equations(node, entered.shape, entered.signal.shape[0])
        if not is_light(entered.signal):
            step: Step = ("scale", equations.by_channel("scale", node.numbers("scale")))
            return replace(entered, signal=Affine(node.name, entered.signal.shape, entered.signal, (step,)))
        before = np.ones(entered.shape) if entered.factor is None else entered.factor
        return replace(entered, factor=before * equations.spread("scale", node.numbers("scale")))

    def _sumpool2d(self, node: Node) -> _Value:
        entered = self._entered(node, self._taken[node.name])
        kernel, stride, padding = node.pair("kernel_size"), node.pair("stride"), node.pair("padding")
        if len(entered.shape) != 3:
            raise node.error(f"takes a map, not {sides(entered.shape)}")
        if min(kernel + stride) < 1 or min(padding) < 0:
            raise node.error("has a kernel, stride or padding that is none")
        size = tuple(
            (side + 2 * pad - length) // by + 1
            for side, pad, length, by in zip(entered.shape[1:], padding, kernel, stride, strict=True)
        )
        if min(size) < 1:
            raise node.error(f"{list(kernel)} is larger than the padded map of {sides(entered.shape[1:])}")
        channels = np.ones(entered.shape[0])
        if entered.factor is not None:
            self._scaled(node, entered)
            channels = entered.factor.reshape(entered.shape[0], -1)[:, 0]
        if node.kind == "AvgPool2d":
            channels = channels / prod(kernel)
        shape = (entered.shape[0], size[0], size[1])
        pooled = Pooled(node.name, shape, entered.signal, "avg", kernel, stride, padding)
        return _Value(pooled, shape, np.broadcast_to(channels[:, None, None], shape))

    _avgpool2d = _sumpool2d

    def _through(self, node: Node) -> _Value:
        return self._entered(node, self._taken[node.name])

    def _flatten(self, node: Node) -> _Value:
        entered = self._entered(node, self._taken[node.name])
        # Exporters differ in whether an axis of samples counts; a sample becomes flat either way.
        if node.pair("start_dim")[0] not in (0, 1) or node.pair("end_dim")[0] not in (-1, 2, 3):
            raise node.error("flattens some axes alone; a linear layer here takes all of a map")
        factor = None if entered.factor is None else entered.factor.reshape(-1)
        return _Value(entered.signal, (prod(entered.shape),), factor)

    def _delay(self, node: Node) -> _Value:
        entered = self._entered(node, self._taken[node.name])
        equations = Equations(node, entered.shape, entered.signal.shape[0])
        delay = equations.one("delay", "delays of one time for all can be taken") / self.steps.dt_s
        if abs(delay - round(delay)) > 1e-3 or delay < 0:
            raise node.error(f"is {delay:.4g} steps of dt, and no whole number of them", "delay")
        terms = ((entered.signal, round(delay)),)
        return replace(entered, signal=Added(node.name, entered.signal.shape, terms))

    def _neuron(self, node: Node) -> _Value:
        """Neurons; what of their own spikes comes back does so a step late."""
        ahead = self._ahead(node.name)
        back = [source for source in self._taken[node.name] if source not in ahead]
        if not ahead:
            raise node.error("takes nothing but what its own spikes lead to")
        entered = self._entered(node, ahead)
        source = self._scaled(node, entered)
        equations = Equations(node, entered.shape, source.shape[0])
        dynamics, scale, shift = self.steps.equations_of(equations)
        spiking = Spiking(node.name, source.shape, dynamics, node.kind)
        self.populations.append(spiking)
        late = Added(node.name, source.shape, ((spiking, 1),))
        self.values[node.name] = _Value(late, entered.shape)
        terms: tuple[tuple[Signal, int], ...] = ((source, 0),)
        for one in back:
            value = self._value(one)
            if value.shape != entered.shape:
                raise node.error(f"takes {sides(entered.shape)}, and {sides(value.shape)} come back to it")
            terms += ((self._scaled(node, value), 0),)
        self.values[node.name] = _Value(spiking, entered.shape)
        total = source if len(terms) == 1 else Added(node.name, source.shape, terms)
        if (scale != 1).any():
            total = Affine(node.name, source.shape, total, (("scale", scale),))
        if shift.any():
            total = Affine(node.name, source.shape, total, (("shift", shift),))
        spiking.taken.append((total, 0))
        return self.values[node.name]

    def _leads(self, name: str, target: str) -> bool:
        """Whether a node leads to another one."""
        seen, stack = {name}, [name]
        while stack:
            one = stack.pop()
            if one == target:
                return True
            for following in self._gives[one]:
                if following not in seen:
                    seen.add(following)
                    stack.append(following)
        return False

    def _read_out(self, node: Node) -> _Value:
        if any(self.graph.nodes[one].kind != "Output" for one in self._gives[node.name]):
            raise node.error("does not spike, and is not at the end")
        self.steps.note(f"node {shown(node.name)} ({node.kind}): {AS_CURRENTS}")
        return self._entered(node, self._taken[node.name])


def _method(kind: str) -> str:
    return "neuron" if kind in NEURONS else "read_out" if kind in READ_OUTS else kind.lower()
