"""Which networks that are graphs are trained: nodes, neurons, and sums that float32 adds exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from spikex_sim.core.errors import ConfigError
from spikex_sim.spec.graph import InputNode, JoinNode, PoolNode, Population
from spikex_sim.spec.graph_networks import GraphNetwork
from spikex_sim.trace.graph import nodes_of
from spikex_sim.trace.wiring import Wiring, wired
from spikex_sim.training.module import MAX_WEIGHT, WEIGHT_BITS

EXACT = 1 << 24
"""Whole numbers below are exact in float32."""


def check_bits(bits: int) -> int:
    """Return a width of weights, or raise :class:`ConfigError` if the integer datapath has none such."""
    if not 2 <= bits <= WEIGHT_BITS:
        raise ConfigError(f"must be 2 to {WEIGHT_BITS}, not {bits}", field="bits")
    return bits


def wiring_of(network: GraphNetwork) -> Wiring:
    """Nodes of a network and how they fit together; :class:`TraceError` if they do not."""
    where = f"network {network.name}"
    return wired(nodes_of(network.nodes, where), network.timesteps, where)


def check_trainable(wiring: Wiring, name: str) -> InputNode:
    """Return a network's input, or raise :class:`ConfigError` naming the first node that is not trained."""
    nodes = list(wiring.nodes.values())
    inputs = [node for node in nodes if isinstance(node, InputNode)]

    def fail(message: str, node: str, key: str = "") -> ConfigError:
        return ConfigError(message, where=f"network {name}", field=f"nodes.{node}{key}")

    largest: dict[str, int] = {}
    for node in nodes:
        if isinstance(node, InputNode):
            largest[node.name] = 1 << 8
            if node.values is None or not node.values.constant or node.values.bits != 8 or len(inputs) > 1:
                raise fail("training takes one input: constant values of 8 bits", node.name)
        elif isinstance(node, Population):
            largest[node.name] = _check_population(node, wiring, largest, fail)
        elif isinstance(node, PoolNode):
            largest[node.name] = prod(node.kernel) if node.kind == "avgpool" else 1
        elif isinstance(node, JoinNode) and node.how == "concat":
            largest[node.name] = max(largest[operand] for operand in node.operands)
        else:
            kind = f"{node.kind} by {node.how}" if isinstance(node, JoinNode) else node.kind
            raise fail(f"training takes no {kind}", node.name)
    last = nodes[-1]
    if not isinstance(last, Population) or wiring.ports[last.name].shape[1:] != (1, 1):
        raise fail("the last node is read out: neurons or currents, one position a class", last.name)
    return inputs[0]


def _check_population(
    node: Population, wiring: Wiring, largest: Mapping[str, int], fail: Callable[..., ConfigError]
) -> int:
    """Largest value that a node gives; an error if it is not trained."""
    if node.datapath != "int":
        raise fail("training is for the integer datapath", node.name, ".datapath")
    neuron = node.neuron
    if neuron is not None:
        unlike = neuron.reset == "none" or (neuron.reset == "subtract" and neuron.fires == "at")
        if neuron.states > 1 or neuron.reset_delay or unlike:
            raise fail(
                "training takes neurons with a potential alone, reset at once: to zero, or above their "
                "threshold by subtraction", node.name, ".neuron",
            )  # fmt: skip
        if neuron.threshold is not None:
            raise fail("leave it out: training finds one a channel", node.name, ".neuron.threshold")
    total = 0 if neuron is None else 1 << 16  # of a potential
    highest = 0
    for k, synapse in enumerate(node.synapses):
        field = f".synapses.{k}"
        port = wiring.ports[synapse.source]
        if synapse.delay:
            raise fail("training takes no delay", node.name, field)
        shape = synapse.kernel if synapse.own else wiring.weight_shape(node.name, node.holder(k))[1:]
        number = node.synapses[node.holder(k)].weight
        weight = MAX_WEIGHT if number is None else abs(int(number))
        if number is None and synapse.own and port.carries == "currents":
            weight = 1
        added = prod(shape) * largest.get(synapse.source, 1) * weight
        highest = max(highest, added)
        total += added >> synapse.shift
    if max(total, highest) >= EXACT:
        raise fail("has sums that float32 does not add exactly (24 bits); take fewer inputs", node.name)
    return 1 if neuron is not None else total
