"""Synapses of a network of layers, counted before one of them is made (Section 1)."""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.mapped.graph import MOST_EDGES, MOST_NODES, Integers
from spikex_sim.mapped.sets import Window, are_single, sizes_of
from spikex_sim.spec.graph import JoinNode, Node, PoolNode, Population, Shape, Synapse
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_fold import folded

MOST_HELD = 2 * MOST_EDGES
"""Most pairs of a neuron and a source that are made, before equal ones are merged."""


def weights_there(weight: NDArray[Any] | None, *, keep_zeros: bool) -> NDArray[np.bool_] | None:
    """Which weights are synapses; None: all."""
    return None if weight is None or keep_zeros else np.asarray(weight != 0)


class Counter:
    """Counts the synapses of nodes in the order of a trace.

    Attributes
    ----------
    synapses : int
        Of what is mapped. Two between the same nodes may have been counted each.
    exact : bool
        Whether that cannot have been.
    held : int
        Most nodes behind the elements of a map that is no map of neurons.
    """

    def __init__(self, trace: GraphTrace, keep_zeros: bool, nodes: Collection[str]) -> None:
        self.trace, self.keep_zeros, self.nodes = trace, keep_zeros, nodes
        self.synapses = self.held = 0
        self.exact = True
        self.sizes: dict[str, Integers] = {}
        """Most nodes behind each element, ``[C, H * W]``, or ``[1, H * W]`` where all channels are alike."""
        self.apart: set[str] = set(nodes)
        """Maps of which no two elements have a node in common."""

    def count(self, node: Node, *, mapped: bool) -> None:
        """Count a node's synapses, if it is mapped, and what lies behind its elements."""
        name, shape = node.name, self.trace.shape(node.name)
        if name in self.nodes:
            self.sizes[name] = sizes_of(shape)
        if mapped:
            assert isinstance(node, Population)
            self.synapses += sum(self._pairs(node, k) for k in range(len(node.synapses)))
            self.exact = self.exact and self._are_apart(node)
        elif name not in self.nodes:
            self._pass_on(node, shape)

    def _are_apart(self, node: Population) -> bool:
        """Whether no two synapses of a neuron can be with the same node."""
        sources = [folded(self.trace, node.name, k)[0].source for k in range(len(node.synapses))]
        if len(sources) == 1:
            return sources[0] in self.apart
        return len(set(sources)) == len(sources) and set(sources) <= set(self.nodes)

    def _pass_on(self, node: Node, shape: Shape) -> None:
        """Sizes of what is no neuron."""
        if isinstance(node, PoolNode) and node.kind == "avgpool":
            self.sizes[node.name] = self.sizes[node.source]
            return
        if prod(shape) > MOST_NODES:
            raise self._error(node, f"gives {prod(shape):,} values, more than {MOST_NODES:,}")
        if isinstance(node, Population):
            pairs = sum(self._pairs(node, k) for k in range(len(node.synapses)))
            self._check_held(node, pairs)
            found = np.zeros((shape[0], shape[1] * shape[2]), np.int64)
            for k in range(len(node.synapses)):
                found += self._each(node, k, shape)
        elif isinstance(node, JoinNode):
            found = self._of_join(node, shape)
        else:
            assert isinstance(node, PoolNode)
            taken, window = self.sizes[node.source], Window.over(node, self.trace.shape(node.source))
            self._check_held(node, shape[0] * prod(int(one.sum()) for one in window.times))
            found = _summed(window, taken, None)
            whole = all(a <= b for a, b in zip(node.kernel, node.stride, strict=True))
            if whole and node.dilation == (1, 1) and node.source in self.apart:
                self.apart.add(node.name)
        rows = shape[0] // len(found)
        self._check_held(node, int(found.sum()) * rows)
        self.held = max(self.held, int(found.sum()) * rows)
        self.sizes[node.name] = found

    def _check_held(self, node: Node, pairs: int) -> None:
        if pairs > MOST_HELD:
            raise self._error(node, f"stands for {pairs:,} inputs in all, more than {MOST_HELD:,}")

    def _error(self, node: Node, message: str) -> ConfigError:
        return ConfigError(f"{message}; --layers chooses layers that do not take it",
                           where=self.trace.where, field=node.name)  # fmt: skip

    def _pairs(self, node: Population, k: int) -> int:
        """Synapses of all elements with what is behind each of their inputs."""
        synapse, there, taken, shape = self._synapse(node, k)
        if node.synapses[k].kind == "linear":
            each = np.full(prod(shape), node.channels) if there is None else there.sum(axis=0).ravel()
            return int((each.reshape(shape[0], -1) * taken).sum())
        window = Window.over(synapse, shape)
        rows, columns = window.times
        if there is None:
            filters = shape[0] if synapse.own else node.channels * (shape[0] // synapse.groups)
            found = filters * int(rows.sum()) * int(columns.sum())
        elif synapse.own:
            found = int(there.sum()) * int(rows.sum()) * int(columns.sum())
        else:
            found = int(rows @ there.sum(axis=(0, 1)) @ columns)
        if are_single(taken) or found > MOST_HELD:
            return found
        return int(self._each(node, k, self.trace.shape(node.name)).sum())

    def _each(self, node: Population, k: int, shape: Shape) -> Integers:
        """The same by element, ``[M, P]``."""
        synapse, there, taken, given = self._synapse(node, k)
        full = np.broadcast_to(taken, (given[0], given[1] * given[2]))
        if node.synapses[k].kind == "linear":
            if there is None:
                return np.full((node.channels, 1), full.sum())
            return (there.reshape(node.channels, -1) @ full.ravel().astype(np.float64)).astype(np.int64)[
                :, None
            ]
        window = Window.over(synapse, given)
        if synapse.own:
            return np.broadcast_to(_summed(window, full, there), (shape[0], shape[1] * shape[2]))
        found = np.zeros((node.channels, shape[1] * shape[2]))
        inputs, outputs = given[0] // synapse.groups, node.channels // synapse.groups
        for tap in window.taps():
            for group in range(synapse.groups):
                of = slice(group * outputs, (group + 1) * outputs)
                seen = full[group * inputs : (group + 1) * inputs, tap.inputs]
                if there is None:
                    found[of, tap.outputs] += seen.sum(axis=0)
                else:
                    found[of, tap.outputs] += there[of, :, tap.i, tap.j].astype(np.float64) @ seen
        return found.astype(np.int64)

    def _synapse(self, node: Population, k: int) -> tuple[Synapse, NDArray[np.bool_] | None, Integers, Shape]:
        """A synapse as it is executed: which weights are there, sizes and shape of what it takes."""
        synapse, weight = folded(self.trace, node.name, k)
        there = weights_there(weight, keep_zeros=self.keep_zeros)
        return synapse, there, self.sizes[synapse.source], self.trace.shape(synapse.source)

    def _of_join(self, node: JoinNode, shape: Shape) -> Integers:
        parts = [(self.sizes[one], self.trace.shape(one)) for one in node.operands]
        full = [np.broadcast_to(sizes, (own[0], own[1] * own[2])) for sizes, own in parts]
        if node.how == "slice":
            assert node.channels is not None
            if node.operands[0] in self.apart:
                self.apart.add(node.name)
            return full[0][slice(*node.channels)]
        if node.how == "concat":
            return np.concatenate(full)
        found = np.zeros((shape[0], shape[1] * shape[2]), np.int64)
        for one in full:
            found += np.repeat(one, shape[0] // len(one), axis=0)
        return found


def _summed(window: Window, sizes: Integers, there: NDArray[np.bool_] | None) -> Integers:
    """Sizes ``[C, H * W]`` added over windows, ``[C, P]``."""
    found = np.zeros((len(sizes), prod(window.size)), np.int64)
    for tap in window.taps():
        found[:, tap.outputs] += sizes[:, tap.inputs]
    return found if there is None else found * there[:, None]
