"""Computes a recorded graph anew, node by node, and compares it with what the modules gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.spec.graph import InputNode, JoinNode, MatmulNode, PoolNode, Population, Synapse
from spikex_sim.trace.graph import GraphTrace

Values = NDArray[Any]


@dataclass(frozen=True)
class Checked:
    """How far a node is from what its module gave.

    Attributes
    ----------
    name : str
        Of the node.
    given : int
        Spikes that the module gave; of a sum, its values.
    differing : int
        Spikes that the node gives otherwise; of a sum, values beyond rounding.
    largest : float
        Of a sum: largest difference.
    """

    name: str
    given: int
    differing: int
    largest: float = 0.0


class Replay:
    """Computes nodes of a graph with PyTorch's operations, all time points at once, neurons step by step."""

    def __init__(self, torch: Any, graph: GraphTrace) -> None:
        self.torch, self.graph = torch, graph
        self._given: dict[str, Any] = {}

    def compared(self, sums: dict[str, Values]) -> list[Checked]:
        """Compare every node with what was recorded of it, given what was recorded of all before it.

        Parameters
        ----------
        sums : dict of str to array
            ``[B, C, H, W, T]`` of read-outs, ``[B, C, H, W, 1]`` of their averages over time.
        """
        found = []
        with self.torch.no_grad():
            for node in self.graph.nodes:
                made = self._made(node)
                if node.name in self.graph.spikes:
                    seen = self._recorded(node.name)
                    if not isinstance(node, InputNode):
                        found.append(Checked(node.name, int(seen.sum()), int((seen != made).sum())))
                    made = seen
                elif node.name in sums:
                    seen = self.torch.from_numpy(np.moveaxis(sums[node.name], -1, 0).copy())
                    given = made.mean(0) if len(seen) < len(made) else made
                    gap = (given.reshape(seen.shape) - seen).abs()
                    size = float(seen.abs().max())
                    wrong = int((gap > 1e-4 * max(size, 1e-6)).sum())
                    found.append(Checked(node.name, seen.numel(), wrong, float(gap.max())))
                self._given[node.name] = made
        return found

    def _recorded(self, name: str) -> Any:
        bits = np.unpackbits(self.graph.spikes[name], axis=-1, count=self.graph.timesteps)
        return self.torch.from_numpy(np.moveaxis(bits, -1, 0).astype(np.float32))

    def _made(self, node: Any) -> Any:
        """What a node gives, ``[T, B, C, H, W]``."""
        if isinstance(node, InputNode):
            return self._entering(node)
        if isinstance(node, PoolNode):
            taken = self._given[node.source]
            return taken if node.kind == "avgpool" else self._flat(self._maximum, taken, node)
        if isinstance(node, JoinNode):
            return self._joined(node)
        return self._product(node) if isinstance(node, MatmulNode) else self._population(node)

    def _joined(self, node: JoinNode) -> Any:
        parts = [self._given[one] for one in node.operands]
        if node.how == "slice":
            first, end = node.channels or (0, 0)
            return parts[0][:, :, first:end]
        if node.how == "concat":
            return self.torch.cat(parts, 2)
        shape = self.graph.shape(node.name)
        full = [one.repeat_interleave(shape[0] // one.shape[2], 2) for one in parts]
        if node.how == "iand":
            return full[0] * (1 - full[1])
        out = full[0]
        for one in full[1:]:
            out = self.torch.maximum(out, one) if node.how == "or" else out * one
        return out

    def _product(self, node: MatmulNode) -> Any:
        left, right = (
            one.reshape(*one.shape[:2], node.heads, -1, one.shape[3] * one.shape[4]).transpose(
                *((-1, -2) if turned else (-1, -1))
            )
            for one, turned in (
                (self._given[node.a], node.transpose_a), (self._given[node.b], node.transpose_b),
            )
        )  # fmt: skip
        out = (left @ right) * node.scale
        return out.reshape(*out.shape[:2], *self.graph.shape(node.name))

    def _entering(self, node: InputNode) -> Any:
        if node.values is None:
            return self._recorded(node.name)
        values = self.graph.values[node.name].astype(np.float32) * np.float32(node.values.scale)
        if node.values.constant:
            values = np.repeat(values[..., None], self.graph.timesteps, axis=-1)
        return self.torch.from_numpy(np.moveaxis(values, -1, 0).copy())

    def _population(self, node: Population) -> Any:
        torch, graph = self.torch, self.graph
        total: Any = 0.0
        back = []
        for k, synapse in enumerate(node.synapses):
            weight = torch.from_numpy(np.array(graph.weight(node.name, k), np.float32))
            if synapse.source == node.name and node.name not in graph.spikes:
                back.append((synapse, weight))
                continue
            taken = self._recorded(node.name) if synapse.source == node.name else self._given[synapse.source]
            pool = graph.node(synapse.source)
            folded = pool if isinstance(pool, PoolNode) and pool.kind == "avgpool" else None
            total = total + self._late(
                self._flat(self._synapse, taken, synapse, weight, folded), synapse.delay
            )
        if node.name in graph.biases:
            bias = torch.from_numpy(np.array(graph.biases[node.name], np.float32))
            total = total + bias.reshape(-1, 1, 1)
        return total if node.neuron is None else self._fired(node, total, back)

    def _fired(self, node: Population, total: Any, back: list[tuple[Synapse, Any]]) -> Any:
        torch, neuron = self.torch, node.neuron
        assert neuron is not None

        def number(key: str) -> Any:
            found = self.graph.neuron_array(node.name, key)
            return None if found is None else torch.from_numpy(np.array(found)).reshape(-1, 1, 1)

        threshold, step = number("threshold"), number("adaptation.step")
        leak, fading, calming = (number(key) for key in ("leak", "current.leak", "adaptation.leak"))
        u = i = a = spikes = torch.zeros_like(total[0])
        out: list[Any] = []
        for time, given in enumerate(total):
            now = given
            for synapse, weight in back:
                if time >= synapse.delay:
                    now = now + self._synapse(out[time - synapse.delay], synapse, weight, None)
            if neuron.current is not None:
                i = now = (i if fading is None else fading * i) + now
            v = (u if leak is None else leak * u) + now
            if neuron.reset_delay and neuron.reset == "zero":
                v = torch.where(spikes > 0, torch.zeros_like(v), v)
            elif neuron.reset_delay and neuron.reset == "subtract":
                v = v - spikes * threshold
            bar = threshold + a
            spikes = (v >= bar if neuron.fires == "at" else v > bar).float()
            u = v
            if not neuron.reset_delay and neuron.reset == "zero":
                u = torch.where(spikes > 0, torch.zeros_like(v), v)
            elif not neuron.reset_delay and neuron.reset == "subtract":
                u = v - spikes * threshold
            if neuron.adaptation is not None:
                a = (a if calming is None else calming * a) + step * spikes
            out.append(spikes)
        return torch.stack(out)

    def _late(self, values: Any, delay: int) -> Any:
        if not delay:
            return values
        none = self.torch.zeros_like(values[:delay])
        return self.torch.cat([none, values[:-delay]])[: len(values)]

    def _flat(self, function: Any, values: Any, *more: Any) -> Any:
        """Apply what takes samples to time points and samples alike."""
        out = function(values.flatten(0, 1), *more)
        return out.reshape(*values.shape[:2], *out.shape[1:])

    def _maximum(self, taken: Any, window: PoolNode | Synapse) -> Any:
        top, bottom, left, right = window.padding
        padded = self.torch.nn.functional.pad(taken, (left, right, top, bottom), value=-np.inf)
        return self.torch.nn.functional.max_pool2d(padded, window.kernel, window.stride, 0, window.dilation)

    def _summed(self, taken: Any, window: PoolNode | Synapse) -> Any:
        channels = taken.shape[1]
        ones = self.torch.ones(channels, 1, *window.kernel)
        return self._convolved(taken, ones, window, channels)

    def _convolved(self, taken: Any, weight: Any, window: PoolNode | Synapse, groups: int) -> Any:
        top, bottom, left, right = window.padding
        functional = self.torch.nn.functional
        padded = functional.pad(taken, (left, right, top, bottom))
        return functional.conv2d(padded, weight, None, window.stride, 0, window.dilation, groups)

    def _synapse(self, taken: Any, synapse: Synapse, weight: Any, folded: PoolNode | None) -> Any:
        if folded is not None:
            taken = self._summed(taken, folded)
        if synapse.kind == "linear":
            return (taken.flatten(1) @ weight.reshape(len(weight), -1).T)[..., None, None]
        if synapse.kind == "conv":
            return self._convolved(taken, weight, synapse, synapse.groups)
        each = weight.reshape(-1, 1, 1)
        if synapse.kind == "identity":
            return taken * each
        return (self._summed if synapse.kind == "avgpool" else self._maximum)(taken, synapse) * each
