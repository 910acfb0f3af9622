"""What a graph is made of, in words: each node, what it takes and how, how busy what was recorded is."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import LONGEST_KEY, short, table
from spikex_sim.core.text import counted
from spikex_sim.core.units import sides
from spikex_sim.spec.graph import GraphNeuron, JoinNode, MatmulNode, Node, PoolNode, Population, Synapse
from spikex_sim.spec.graph_parts import Windowed
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.summary import input_activity


def graph_html(trace: GraphTrace) -> str:
    """Write a graph for a notebook: a row a node."""
    made = table("Nodes", "node", "what", "takes", left=3)
    for node in trace.nodes:
        taken = "; ".join(text.removeprefix("<- ") for text in taken_by(trace, node))
        made.add_row(short(node.name, LONGEST_KEY), ", ".join(words_of(trace, node)), taken)
    size = f"T={trace.timesteps}, {counted(trace.samples, 'sample')}, {graph_parameters(trace):,} parameters"
    return html_of(f"Trace {trace.name}: {size}", [made], texts=[trace.source])


def words_of(trace: GraphTrace, node: Node) -> Iterator[str]:
    """Kind, shape and neuron of a node."""
    carried = trace.carries(node.name)
    yield f"{node.kind} {sides(trace.shape(node.name))}"
    if node.kind == "input":
        if node.values is None:
            yield "spikes"
        else:
            sign = "signed" if node.values.signed else "unsigned"
            yield f"analog, {node.values.bits} bits {sign}, scale {node.values.scale:g}"
    if carried != "spikes":
        yield "constant" if trace.constant(node.name) else "one value a time point"
    if isinstance(node, Population):
        yield node.datapath
        if node.neuron is not None:
            yield from _neuron(trace, node.name, node.neuron)
        if node.name in trace.biases:
            yield "bias"


def _neuron(trace: GraphTrace, name: str, neuron: GraphNeuron) -> Iterator[str]:
    for key in neuron.keys:
        array = trace.neuron_array(name, key)
        if array is None:
            continue
        low, high = array.min(), array.max()
        told = "V_th" if key == "threshold" else key.replace("leak_shift", "leak").replace(".", " ")
        yield f"{told} {low:g}" if low == high else f"{told} {low:g} to {high:g}"
    if neuron.current is not None and not any(key.startswith("current") for key in neuron.numbers()):
        yield "current"
    yield f"fires {neuron.fires}"
    late = ", a step later" if neuron.reset_delay else ""
    yield f"reset {neuron.reset}{late}"


def taken_by(trace: GraphTrace, node: Node) -> Iterator[str]:
    """What a node takes, a text a synapse or operand."""
    if isinstance(node, Population):
        for k, synapse in enumerate(node.synapses):
            yield f"{', '.join(_synapse(synapse))}, weights {_weights(trace, node.name, k)}"
    elif isinstance(node, PoolNode):
        yield ", ".join([f"<- {node.source}", *_window(node)])
    elif isinstance(node, JoinNode):
        cut = "" if node.channels is None else f" {node.channels[0]} to {node.channels[1] - 1}"
        yield f"<- {', '.join(node.operands)} by {node.how}{cut}"
    elif isinstance(node, MatmulNode):
        turned = [f"{name}ᵀ" if turn else name for name, turn in
                  ((node.a, node.transpose_a), (node.b, node.transpose_b))]  # fmt: skip
        yield f"<- {' · '.join(turned)}, {node.heads} head(s), scale {node.scale:g}, {node.datapath}"


def _synapse(synapse: Synapse) -> Iterator[str]:
    yield f"<- {synapse.source} by {synapse.kind}"
    if synapse.kind not in ("linear", "identity"):
        yield from _window(synapse)
    for key, usual in (("groups", 1), ("delay", 0), ("shift", 0)):
        if getattr(synapse, key) != usual:
            yield f"{key} {getattr(synapse, key)}"


def _window(window: Windowed) -> Iterator[str]:
    yield sides(window.kernel)
    for key, usual in (("stride", (1, 1)), ("padding", (0, 0, 0, 0)), ("dilation", (1, 1))):
        value = getattr(window, key)
        if value != usual:
            yield f"{key} {value[0] if len(set(value)) == 1 else sides(value)}"


def _weights(trace: GraphTrace, name: str, k: int) -> str:
    node = trace.node(name)
    assert isinstance(node, Population)
    synapse = node.synapses[k]
    if synapse.weight_of is not None:
        return f"of synapse {synapse.weight_of}"
    if (name, k) in trace.weights:
        return sides(trace.weights[name, k].shape)
    return f"{1 if synapse.weight is None else synapse.weight:g}" if synapse.own else "none"


def recorded_of(trace: GraphTrace, name: str, tws: int) -> str:
    """How busy what was recorded of a node is; empty where nothing was."""
    if name in trace.values:
        array = trace.values[name]
        return f"{array.dtype} {array.min():g} to {array.max():g}"
    if name not in trace.spikes:
        return ""
    busy = input_activity(trace.spikes[name], trace.timesteps, tws)
    return (
        f"{busy.spikes:,} spikes: rate {100 * busy.rate:.4g} %, "
        f"silent neurons {100 * busy.silent_share:.1f} %, "
        f"active windows {100 * busy.active_window_share:.3g} % at TWS={tws}"
    )


def graph_parameters(trace: GraphTrace) -> int:
    """Weights that the synapses call for, present or not, and biases and numbers a channel where they are."""
    called_for = sum(
        prod(trace.wiring.weight_shape(node.name, k))
        for node in trace.nodes
        if isinstance(node, Population)
        for k, synapse in enumerate(node.synapses)
        if synapse.weight_of is None and (not synapse.own or (node.name, k) in trace.weights)
    )
    others = (*trace.biases.values(), *trace.neuron_arrays.values())
    return called_for + sum(array.size for array in others)
