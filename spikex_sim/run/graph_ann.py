"""Runs a graph as an ANN: one pass with activations of several bits in the place of spikes over time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.field import Synapse as Lying
from spikex_sim.run.currents import entering
from spikex_sim.run.flow import GraphFlow
from spikex_sim.run.graph import GraphRunner, LayersOfNode
from spikex_sim.run.population import Branch, Work
from spikex_sim.run.replay import check_made
from spikex_sim.run.results import LayerResult
from spikex_sim.run.signals import Signal, addend_of, taps_inside
from spikex_sim.schedules.dense.activations import Activations, rectified, spike_counts
from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.task import Task, widths_of
from spikex_sim.spec.graph import InputNode, JoinNode, MatmulNode, Node, PoolNode, Population
from spikex_sim.trace.graph import GraphTrace


def check_ann(trace: GraphTrace) -> None:
    """Refuse what makes no sense for an ANN, by node.

    Raises
    ------
    UnsupportedError
        For products of spikes, joins of spikes bit by bit, delays, and analog inputs that differ over time.
    """
    for node in trace.nodes:
        reason = ""
        if isinstance(node, MatmulNode):
            reason = "a product of spikes"
        elif isinstance(node, JoinNode) and node.how not in ("concat", "slice"):
            reason = f"a join by {node.how}"
        elif isinstance(node, Population) and any(one.delay for one in node.synapses):
            reason = "a delay"
        elif isinstance(node, InputNode) and node.values is not None and not node.values.constant:
            reason = "an input that differs over time"
        if reason:
            raise UnsupportedError(
                f"node '{node.name}' is {reason}, of which an ANN knows nothing", where=trace.where
            )


@dataclass(frozen=True, eq=False)
class AnnWork(Work):
    """A population with everything that enters it, as layers of an ANN."""

    @cached_property
    def times(self) -> int:
        """What a bias is multiplied by: the time points that spikes are counted over."""
        return self.trace.timesteps if self.trace.spikes else 1

    def tasks(self) -> list[tuple[Task, Synapses, list[NDArray[Any]]]]:
        """A task for each part, what to multiply it with, and what is added besides ``[M, P]``."""
        found = []
        streamed = [one for one in self.branches if not one.is_sum]
        sums = [one for one in self.branches if one.is_sum]
        for part in self.parts:
            lying, values = [], []
            for one in streamed:
                taken = one.channels_for(part, self.node.channels)
                channels = taken.stop - taken.start
                geometry = self._geometry(one, channels)
                lying.append(Lying(geometry, one.holder, one.synapse.own, self.arch.input_bits))
                values.append(one.signal.array[taken].reshape(channels, -1))
            words = entering(sums, part, self.positions, 1, 1, once=True).words if sums else None
            inputs = Activations(tuple(lying), (), self.positions, 1, 1, tuple(values))
            task = Task(
                self._name(part), inputs, len(part), widths_of(self.node.datapath, self.arch), True,
                self.node.datapath, states=1 if self.node.kind == "neurons" else 0, words=words,
                scaled=self._scaled(sums, part),
            )  # fmt: skip
            weights = [one.weight[part.start : part.stop] for one in streamed if one.weight is not None]
            synapses = Synapses(
                tuple(weights), self._bias(part), None, self.node.datapath, self.arch.potential_bits,
                len(part), tuple(one.synapse.own for one in streamed),
            )  # fmt: skip
            added = []
            for one in sums:
                assert one.weight is not None
                signal = replace(one.signal, array=one.signal.array[part.start : part.stop])
                weight = one.weight[part.start : part.stop]
                added.append(addend_of(one.synapse, weight, signal, floating=self.floating)[0].T)
            found.append((task, synapses, added))
        return found


@dataclass(frozen=True)
class AnnRunner(GraphRunner):
    """Costs and activations of the nodes of a graph, run as an ANN."""

    def run(self, node: Node, flow: GraphFlow, tws: int) -> tuple[LayerResult, NDArray[Any] | None]:  # noqa: ARG002
        """Run a node for a sample; its cost, and its activations."""
        for name in node.sources:
            if name not in flow.signals or flow.signals[name].carries in ("spikes", "analog"):
                flow.signals[name] = self._entered(flow, name)
        if isinstance(node, Population):
            return self._layers(node, flow)
        if isinstance(node, JoinNode):
            arrays = [flow.signals[name].array for name in node.operands]
            out = np.concatenate(arrays) if node.channels is None else arrays[0][slice(*node.channels)]
        else:
            assert isinstance(node, PoolNode)
            out = _pooled(node, flow.signals[node.source].array)
        made = Signal("activations", out, constant=True)
        return self._result(node, flow, LayersOfNode(), None, None, None, made)

    def _entered(self, flow: GraphFlow, name: str) -> Signal:
        signal = flow.signals[name]
        if signal.carries == "analog":
            return Signal("activations", signal.array.astype(np.int64), constant=True)
        return Signal("activations", spike_counts(signal.array, self.arch.input_bits), constant=True)

    def _layers(self, node: Population, flow: GraphFlow) -> tuple[LayerResult, NDArray[Any] | None]:
        trace, branches = flow.trace, []
        for k, synapse in enumerate(node.synapses):
            weight, signal = trace.weight(node.name, k), flow.signals[synapse.source]
            branch = Branch(synapse, weight, node.holder(k), signal)
            branches.append(branch.flat() if synapse.kind == "linear" else branch)
        work = AnnWork(trace, node, tuple(branches), self.arch, 1)
        total, made = LayersOfNode(), []
        for task, synapses, added in work.tasks():
            cost = self._cost(task, node, flow, total)
            if not work.known:
                continue
            assert isinstance(cost.schedule, DenseSchedule)
            sums, additions = cost.schedule.multiply(synapses)
            check_made(task.name, "additions", additions, cost.layout.additions)
            for one in added:
                sums = sums + one
            if synapses.bias is not None:
                sums = sums + (sums.dtype.type(work.times) * synapses.bias.astype(sums.dtype))[:, None]
            made.append(sums)
        out: Signal | None = None
        if work.known:
            sums = np.concatenate(made).reshape(trace.shape(node.name))
            if node.kind == "neurons":
                out = Signal("activations", rectified(sums, self.arch.input_bits), constant=True)
            else:
                out = Signal("currents", sums, constant=True)
        return self._result(node, flow, total, 1, None, None, out)


def _pooled(node: PoolNode, values: NDArray[Any]) -> NDArray[Any]:
    """Largest or average activation of every window, rounded down; the padding counts as 0."""
    shape = (values.shape[0], values.shape[1], values.shape[2])
    size, taps = taps_inside(node, shape)
    out = np.zeros((shape[0], *size), np.int64)
    for rows, columns, y, x in taps:
        if node.kind == "maxpool":
            out[:, rows, columns] = np.maximum(out[:, rows, columns], values[:, y, x])
        else:
            out[:, rows, columns] += values[:, y, x]
    if node.kind == "avgpool":
        out //= node.kernel[0] * node.kernel[1]
    return out.astype(values.dtype)
