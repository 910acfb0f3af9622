"""NIR graphs (Neuromorphic Intermediate Representation) as layers of a trace.

NIR's neurons are differential equations; how one becomes steps is stated at :func:`_lif` and :func:`_if`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.core.units import sides
from spikex_sim.sources.frameworks.nir_file import Graph, Node, read_graph
from spikex_sim.sources.frameworks.synapse import Numbers, Synapse, pool_layer
from spikex_sim.spec.workload import Layer, Neuron
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.plan import plan_stages
from spikex_sim.trace.trace import Trace

DT_S = 1e-4
"""Length of a step in seconds, that of snnTorch's and SpikingJelly's exports."""
MAX_NEURONS = 1 << 24
"""Most neurons of one layer, or inputs."""
_LEAK_DIGITS = 6
_TOLERANCE = 2e-7
"""Time constants are stored in float32: a leak this near a number of six decimals is that number."""
_SCALE_TOLERANCE = 1e-6

_NEVER = {
    "CubaLIF": "has a synaptic current, which has no counterpart here",
    "CubaLI": "does not spike",
    "LI": "does not spike",
    "I": "does not spike",
    "Delay": "delays spikes, which has no counterpart here",
    "Threshold": "is a threshold without a potential, which has no counterpart here",
    "Conv1d": "is a one-dimensional convolution; write it as a Conv2d of height 1",
    "NIRGraph": "is a graph in the graph, as recurrent neurons are; layers here are not recurrent",
}


@dataclass(frozen=True, eq=False)
class NirNetwork:
    """Layers of a graph, in order, and their weights and biases by layer."""

    layers: tuple[Layer, ...]
    weights: dict[int, NDArray[np.float32]]
    biases: dict[int, NDArray[np.float32]]
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
    ) -> Trace:
        """Make a trace of the network and spikes ``[S, *shape, ceil(T/8)]`` that enter it."""
        shape = self.layers[0].input_shape
        if prod(packed.shape[1:-1]) != prod(shape) or (len(shape) == 3 and packed.shape[1:-1] != shape):
            raise TraceError(
                f"takes {sides(shape)} spikes at a time point, not {sides(packed.shape[1:-1])}",
                where=self.where,
                field="node input",
            )
        made = Trace(
            name=name,
            timesteps=timesteps,
            layers=self.layers,
            inputs={0: packed.reshape(len(packed), *shape, -1)},
            weights=self.weights,
            biases=self.biases,
            samples=len(packed),
            batched=batched,
            label=label,
            source=source,
            where=name,
        )
        plan_stages(made)
        return made


def load_nir(path: str | Path, dt_s: float = DT_S) -> NirNetwork:
    """Read a ``.nir`` file.

    Parameters
    ----------
    path : str or Path
        Graph of Input, Conv2d, Linear, Affine, Scale, SumPool2d, AvgPool2d, Flatten, IF, LIF and Output,
        one after the other.
    dt_s : float
        Length of a step in seconds.

    Raises
    ------
    TraceError
        If the file is damaged, or a node has no counterpart here; in one line that names the node.
    """
    if not (isinstance(dt_s, int | float) and 0 < dt_s < 1e6):
        raise TraceError(f"must be a number of seconds above 0, not {dt_s!r:.40}", field="dt")
    graph = read_graph(path)
    builder = _Builder(graph.where, float(dt_s))
    for node in _in_order(graph):
        builder.add(node)
    return builder.network()


def _in_order(graph: Graph) -> Iterator[Node]:
    """Nodes from Input to Output, which must follow each other without branches."""
    for node in graph.nodes.values():
        if node.kind in _NEVER:
            raise node.error(_NEVER[node.kind])
        if node.kind not in _KINDS:
            raise node.error(f"is of a type that is not known here; known are {', '.join(_KINDS)}")
    starts = [node for node in graph.nodes.values() if node.kind == "Input"]
    if len(starts) != 1:
        raise TraceError(f"has {len(starts)} inputs, a network here has one", where=graph.where)
    node, passed = starts[0], {starts[0].name}
    yield node
    while node.kind != "Output":
        targets = [target for source, target in graph.edges if source == node.name]
        if len(targets) != 1:
            raise node.error(f"leads to {len(targets)} nodes; layers here follow each other")
        node = graph.nodes[targets[0]]
        if node.name in passed:
            raise node.error("is recurrent, which has no counterpart here")
        if sum(target == node.name for _, target in graph.edges) != 1:
            raise node.error("takes what several nodes give; layers here follow each other")
        passed.add(node.name)
        yield node
    left = sorted(set(graph.nodes) - passed)
    if left:
        raise graph.nodes[left[0]].error("is not on the way from the input to the output")


class _Builder:
    """Layers as they grow, node by node."""

    def __init__(self, where: str, dt_s: float) -> None:
        self.where, self.dt_s = where, dt_s
        self.layers: list[Layer] = []
        self.weights: dict[int, NDArray[np.float32]] = {}
        self.biases: dict[int, NDArray[np.float32]] = {}
        self.shape: tuple[int, ...] = ()
        """Of what the last node gives, of one sample at a time point."""
        self.factor: Numbers | None = None
        """What the spikes are multiplied with on their way to the next layer, of that shape."""
        self.open: Synapse | None = None
        """Weighted sums that still want their neurons."""

    def add(self, node: Node) -> None:
        """Take the next node."""
        if node.kind in ("IF", "LIF") and self.open is None:
            raise node.error("has no Conv2d, Linear or Affine before it")
        getattr(self, f"_{node.kind.lower()}")(node)

    def network(self) -> NirNetwork:
        """What was built."""
        if not self.weights:
            raise TraceError("has no Conv2d, Linear or Affine with neurons after it", where=self.where)
        return NirNetwork(tuple(self.layers), self.weights, self.biases, self.where)

    def _input(self, node: Node) -> None:
        shape = node.numbers("shape").ravel()
        if len(shape) not in (1, 3) or (shape != np.floor(shape)).any() or shape.min() < 1:
            raise node.error(f"must be [C, H, W] or [N], not {shown(shape.tolist(), 60)}", "shape")
        self._become(node, tuple(int(side) for side in shape))

    def _become(self, node: Node, shape: tuple[int, ...]) -> None:
        if prod(shape) > MAX_NEURONS:
            raise node.error(f"gives {sides(shape)} values at a time point, more than {MAX_NEURONS}")
        self.shape = shape

    def _output(self, node: Node) -> None:
        if self.open is not None:
            raise node.error(f"takes what {self.open.name} gives, which are no spikes: neurons are missing")
        if self.factor is not None or (self.layers and self.layers[-1].kind == "avgpool"):
            raise node.error("takes pooled or scaled spikes; a layer with neurons must come last")

    def _conv2d(self, node: Node) -> None:
        weight = self._weight(node, 4)
        if node.pair("groups") != (1, 1) or node.pair("dilation") != (1, 1):
            raise node.error("has groups or dilation, which have no counterpart here")
        if len(self.shape) != 3 or weight.shape[1] != self.shape[0]:
            raise node.error(f"takes {weight.shape[1]} channels of a map, not {sides(self.shape)}")
        bias = self._bias(node, len(weight))
        self._begin(
            node,
            Synapse(node.name, "conv", self.shape, weight, bias, node.pair("stride"), _padding(node, weight)),
        )

    def _linear(self, node: Node) -> None:
        weight = self._weight(node, 2)
        if self.shape != weight.shape[1:]:
            hint = "; a Flatten is missing" if prod(self.shape) == weight.shape[1] else ""
            raise node.error(f"takes {weight.shape[1]} inputs, not {sides(self.shape)}{hint}")
        bias = self._bias(node, len(weight)) if node.kind == "Affine" else np.zeros(len(weight))
        self._begin(node, Synapse(node.name, "linear", self.shape, weight, bias))

    _affine = _linear

    def _weight(self, node: Node, axes: int) -> Numbers:
        if self.open is not None:
            raise node.error(f"takes what {self.open.name} gives, which are no spikes: neurons are missing")
        weight = node.numbers("weight")
        if weight.ndim != axes or not weight.size:
            raise node.error(f"has shape {list(weight.shape)}; {axes} axes are wanted", "weight")
        return weight

    def _bias(self, node: Node, outputs: int) -> Numbers:
        bias = node.numbers("bias")
        if bias.shape != (outputs,):
            raise node.error(f"has shape {list(bias.shape)}; [{outputs}] is wanted", "bias")
        return bias

    def _begin(self, node: Node, synapse: Synapse) -> None:
        if self.factor is not None:
            synapse, self.factor = synapse.taking_scaled(self._factors(node)), None
        # Its neurons are not known yet; the layer is made for its shape, and to refuse what does not close.
        layer = synapse.layer(_neuron(1.0, 1.0), self.where)
        self.open = synapse
        self._become(node, layer.output_shape)

    def _factors(self, node: Node) -> Numbers:
        """What the spikes of every channel are multiplied with."""
        if self.factor is None:
            return np.ones(self.shape[0])
        each = self.factor.reshape(self.shape[0], -1)
        if (each != each[:, :1]).any():
            raise node.error("takes spikes scaled pixel by pixel; one factor for each channel can be taken")
        return np.asarray(each[:, 0])

    def _scale(self, node: Node) -> None:
        scale = node.numbers("scale")
        if self.open is not None:
            self.open = self.open.scaled(self._channels(node, "scale", scale))
            return
        before = np.ones(self.shape) if self.factor is None else self.factor
        self.factor = before * self._spread(node, "scale", scale)

    def _sumpool2d(self, node: Node) -> None:
        kernel, stride, padding = node.pair("kernel_size"), node.pair("stride"), node.pair("padding")
        if self.open is not None or (self.layers and self.layers[-1].kind == "avgpool"):
            raise node.error("does not take spikes; pooling stands between neurons and the next layer")
        if len(self.shape) != 3:
            raise node.error(f"takes a map, not {sides(self.shape)}")
        layer = pool_layer(node.name, "avgpool", self.shape, kernel, stride, padding, self.where)
        channels = self._factors(node)
        if node.kind == "AvgPool2d":
            channels = channels / (kernel[0] * kernel[1])
        self.layers.append(layer)
        self._become(node, layer.output_shape)
        self.factor = np.broadcast_to(channels[:, None, None], self.shape)

    _avgpool2d = _sumpool2d

    def _flatten(self, node: Node) -> None:
        if self.open is not None:
            raise node.error(f"takes what {self.open.name} gives, which are no spikes: neurons are missing")
        # Exporters differ in whether an axis of samples counts; a sample becomes flat either way.
        if node.pair("start_dim")[0] not in (0, 1) or node.pair("end_dim")[0] not in (-1, 2, 3):
            raise node.error("flattens some axes alone; a linear layer here takes all of a map")
        self.shape = (prod(self.shape),)
        self.factor = None if self.factor is None else self.factor.reshape(-1)

    def _lif(self, node: Node) -> None:
        """``tau dv/dt = (v_leak - v) + R I`` by one Euler step of ``dt``: ``v += dt/tau (R I - v)``."""
        share = self.dt_s / self._one(node, "tau", positive=True)
        if share > 1:
            raise node.error(
                f"is {self.dt_s / share:g} s, shorter than a step of {self.dt_s:g} s (dt)", "tau"
            )
        if self._one(node, "v_leak") != 0:
            raise node.error("must be 0: potentials here rest at 0", "v_leak")
        leak = round(1 - share, _LEAK_DIGITS)
        leak = leak if abs(leak - (1 - share)) <= _TOLERANCE else 1 - share
        self._fire(node, leak, node.numbers("r") * share)

    def _if(self, node: Node) -> None:
        """``dv/dt = R I`` by one Euler step, ``v += dt R I``; ``R = 1`` is one whole input, as in Norse."""
        r = node.numbers("r")
        whole = r == 1
        if whole.any() and not whole.all():
            raise node.error("is 1, one whole input a spike, for some neurons alone", "r")
        self._fire(node, 1.0, r if whole.all() else r * self.dt_s)

    def _fire(self, node: Node, leak: float, scale: Numbers) -> None:
        assert self.open is not None
        if "v_reset" in node.values and self._one(node, "v_reset") != 0:
            raise node.error("must be 0: potentials here are reset to 0", "v_reset")
        scale = np.where(np.abs(scale - 1) <= _SCALE_TOLERANCE, 1.0, scale)
        synapse = self.open.scaled(self._channels(node, "r", scale))
        index = len(self.layers)
        neuron = _neuron(self._one(node, "v_threshold"), leak)
        self.layers.append(synapse.layer(neuron, self.where))
        self.weights[index], bias = synapse.float32()
        if bias is not None:
            self.biases[index] = bias
        self.open = None

    def _one(self, node: Node, key: str, *, positive: bool = False) -> float:
        """A parameter that is the same for all neurons."""
        values = self._spread(node, key, node.numbers(key))
        if (values != values.flat[0]).any():
            raise node.error("differs from neuron to neuron; layers here have one for all", key)
        if positive and values.flat[0] <= 0:
            raise node.error(f"must be above 0, not {values.flat[0]:g}", key)
        return float(values.flat[0])

    def _spread(self, node: Node, key: str, values: Numbers) -> NDArray[Any]:
        """A parameter of every neuron; a view, so that nothing large is made."""
        if values.size == 1:
            return np.broadcast_to(values.reshape(()), self.shape)
        if values.shape != self.shape:
            raise node.error(f"has shape {list(values.shape)}, what it is for {list(self.shape)}", key)
        return values

    def _channels(self, node: Node, key: str, values: Numbers) -> Numbers:
        """A parameter of every output channel."""
        each = self._spread(node, key, values)
        first = each.reshape(self.shape[0], -1)[:, :1] if values.size > 1 else each.flat[0]
        if values.size > 1 and (each.reshape(self.shape[0], -1) != first).any():
            raise node.error("differs within a channel; weights here are shared by a channel", key)
        return np.asarray(first, np.float64).ravel() if values.size > 1 else np.full(self.shape[0], first)


_KINDS = ("Input", "Output", "Conv2d", "Linear", "Affine", "Scale", "SumPool2d", "AvgPool2d", "Flatten",
          "IF", "LIF")  # fmt: skip


def _neuron(threshold: float, leak: float) -> Neuron:
    return Neuron(threshold=float(np.float32(threshold)), leak=leak, reset="zero", datapath="float")


def _padding(node: Node, weight: Numbers) -> tuple[int, int]:
    padding = node.values.get("padding")
    if not isinstance(padding, str):
        return node.pair("padding")
    height, width = weight.shape[2:]
    if padding == "valid":
        return 0, 0
    if padding == "same" and height % 2 and width % 2:
        return height // 2, width // 2
    raise node.error("must be numbers, valid, or, of an odd kernel, same", "padding")
