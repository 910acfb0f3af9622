"""A graph with what was recorded of it: spikes, numbers and weights; checked once, immutable afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.spec.graph import InputNode, Node, Population, Shape, describe_node, node_of
from spikex_sim.trace.graph_arrays import (
    check_array,
    declared,
    in_memory,
    is_flat,
    weight_key,
)
from spikex_sim.trace.graph_fold import folded
from spikex_sim.trace.graph_values import check_values
from spikex_sim.trace.meta import GraphMeta, checked
from spikex_sim.trace.trace import MAX_SAMPLES, as_label, check_label, frozen_array
from spikex_sim.trace.wiring import Carries, Wiring, wired

_MAPS = ("spikes", "values", "weights", "biases", "neuron_arrays")


@dataclass(frozen=True, eq=False)
class GraphTrace:
    """A recorded (or generated) inference of a network that is a graph.

    Attributes
    ----------
    name : str
        Name shown in results.
    timesteps : int
        Time points ``T``.
    nodes : tuple of Node
        In an order in which they can be computed.
    spikes : mapping of str to uint8 array
        Recorded spikes by node, ``[S, C, H, W, ceil(T/8)]``; those of inputs are always there.
    values : mapping of str to int32 or float32 array
        Recorded numbers by node, ``[S, C, H, W]`` if constant, else ``[S, C, H, W, T]``; those of analog
        inputs are always there.
    weights : mapping of (str, int) to int8 or float32 array
        By node and synapse, as in files: ``[M, C/groups, E_h, E_w]``, of ``linear`` ``[M, N]``, of synapses
        to own channels ``[C]``. Of ``conv`` and ``linear`` they may be absent (costs only).
    biases : mapping of str to int32 or float32 array
        ``[M]`` by node.
    neuron_arrays : mapping of (str, str) to int32 or float32 array
        ``[M]`` by node and dotted key (``threshold``, ``current.leak``), in the place of one number.
    samples : int
        Samples ``S``.
    batched : bool
        Whether the sample axis is part of the data as given (``meta.samples``).
    label, source, file_sha256, where
        See :class:`spikex_sim.trace.trace.Trace`.

    Raises
    ------
    TraceError
        If nodes do not fit together, or shapes, types or values are inconsistent.
    """

    name: str
    timesteps: int
    nodes: tuple[Node, ...]
    spikes: Mapping[str, PackedSpikes] = field(default_factory=dict)
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    weights: Mapping[tuple[str, int], NDArray[Any]] = field(default_factory=dict)
    biases: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    neuron_arrays: Mapping[tuple[str, str], NDArray[Any]] = field(default_factory=dict)
    samples: int = 1
    batched: bool = False
    label: int | tuple[int, ...] | None = None
    source: str = ""
    file_sha256: str = ""
    where: str = "trace"

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        for key in _MAPS:
            arrays = {index: frozen_array(array) for index, array in getattr(self, key).items()}
            object.__setattr__(self, key, FrozenMap(arrays))
        object.__setattr__(self, "label", as_label(self.label, self.where))
        self._check()

    def __repr__(self) -> str:
        size = f"{len(self.nodes)} nodes, T={self.timesteps}, {self.samples} sample(s)"
        return f"<GraphTrace {self.name}: {size}, {'weights' if self.weights else 'no weights'}>"

    def _repr_html_(self) -> str:
        from spikex_sim.trace.graph_text import graph_html

        return graph_html(self)

    def __reduce__(self) -> tuple[Any, ...]:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return _rebuilt, (values | {key: dict(values[key]) for key in _MAPS},)

    @classmethod
    def from_arrays(
        cls,
        meta: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        *,
        label: int | tuple[int, ...] | None = None,
        file_sha256: str = "",
        where: str = "",
    ) -> GraphTrace:
        """Make a trace from what a file of version 2 holds.

        Parameters
        ----------
        meta : mapping
            As in the file: ``nodes`` and ``timesteps``, and where wanted ``name``, ``source``, ``samples``.
        arrays : mapping of str to array
            By the file's keys: ``NODE/spikes``, ``NODE/values``, ``NODE/synapse-K/weight`` and so on.
        label : int or tuple of int, optional
            Class of the sample, or of each.
        file_sha256 : str, optional
            Of the file they are from.
        where : str, optional
            What messages name; the trace's name if empty.
        """
        named = {"format": "spikex-trace", "version": 2, **meta} if isinstance(meta, Mapping) else meta
        found = checked(GraphMeta, named, where or "trace")
        where = where or found.name or "trace"
        nodes = nodes_of(found.nodes, where)
        wiring = wired(nodes, found.timesteps, where)
        parts: dict[str, dict[Any, NDArray[Any]]] = {key: {} for key in _MAPS}
        for key, given in arrays.items():
            wanted = declared(wiring, key, found.timesteps, where)
            array = np.asarray(given)
            check_array(
                wanted, array.dtype, array.shape, samples=found.samples, file=True, where=where, field=key
            )
            part, index = _place(key)
            parts[part][index] = in_memory(wanted, array, found.samples)
        return cls(
            name=found.name or "trace", timesteps=found.timesteps, nodes=nodes, spikes=parts["spikes"],
            values=parts["values"], weights=parts["weights"], biases=parts["biases"],
            neuron_arrays=parts["neuron_arrays"], samples=found.samples or 1,
            batched=found.samples is not None, label=label, source=found.source, file_sha256=file_sha256,
            where=where,
        )  # fmt: skip

    @cached_property
    def wiring(self) -> Wiring:
        """How the nodes fit together."""
        return wired(self.nodes, self.timesteps, self.where)

    def node(self, name: str) -> Node:
        """Node of a name."""
        return self.wiring.nodes[name]

    def shape(self, name: str) -> Shape:
        """Shape ``(C, H, W)`` of what a node gives."""
        return self.wiring.ports[name].shape

    def carries(self, name: str) -> Carries:
        """What a node gives: spikes, analog values or currents."""
        return self.wiring.ports[name].carries

    def constant(self, name: str) -> bool:
        """Whether a node gives the same at all time points: a constant input, or currents of nothing else."""
        return self.wiring.ports[name].constant

    def weight(self, name: str, k: int) -> NDArray[Any] | None:
        """Weights that a synapse uses.

        Returns
        -------
        array or None
            ``[M, C/groups, E_h, E_w]`` of a convolution; ``[M, C, H, W]`` of ``linear``, whose kernel is the
            map; ``[C]`` of synapses to own channels, also where one number serves all. None where a
            convolution has none (costs only).
        """
        node = self.node(name)
        assert isinstance(node, Population)
        synapse, holder = node.synapses[k], node.holder(k)
        weight = self.weights.get((name, holder))
        if weight is None:
            if not synapse.own:
                return None
            number = node.synapses[holder].weight
            dtype = np.int64 if node.datapath == "int" else np.float32
            return np.full(node.channels, 1 if number is None else number, dtype)
        if synapse.kind == "linear":
            return weight.reshape(node.channels, *self.shape(synapse.source))
        return weight

    def neuron_array(self, name: str, key: str) -> NDArray[Any] | None:
        """Number of a population's neurons by channel, ``[M]`` int64 or float32; None where it is absent."""
        node = self.node(name)
        assert isinstance(node, Population) and node.neuron is not None
        dtype = np.int64 if node.datapath == "int" else np.float32
        if (name, key) in self.neuron_arrays:
            return self.neuron_arrays[name, key].astype(dtype)
        number = node.neuron.numbers().get(key)
        return None if number is None else np.full(node.channels, number, dtype)

    def number(self, name: str, key: str, m: int = 0) -> int | float | None:
        """Number of the neurons of one channel; None where it is absent."""
        array = self.neuron_array(name, key)
        value: int | float | None = None if array is None else array[m].item()
        return value

    def silence_is_free(self, name: str) -> bool:
        """Whether a neuron of a population that is at rest and without input can never fire."""
        node = self.node(name)
        assert isinstance(node, Population)
        neuron, bias = node.neuron, self.biases.get(name)
        if neuron is None or neuron.reset != "zero" or neuron.reset_delay or neuron.states > 1:
            return False
        threshold = self.neuron_array(name, "threshold")
        rests = threshold >= 0 if neuron.fires == "above" else threshold > 0  # type: ignore[operator]
        return bool(np.all(rests)) and (bias is None or not bias.any())

    def first(self, timesteps: int) -> GraphTrace:
        """Cut to the first time points; :class:`TraceError` if there are not so many."""
        if timesteps not in range(1, self.timesteps + 1):
            message = f"cannot be cut to {timesteps} of its {self.timesteps} time points"
            raise TraceError(message, where=self.where, field="timesteps")
        if timesteps == self.timesteps:
            return self
        kept = np.packbits(np.ones(int(timesteps), bool))
        spikes = {name: packed[..., : len(kept)] & kept for name, packed in self.spikes.items()}
        values = {
            name: array if self.constant(name) else array[..., :timesteps]
            for name, array in self.values.items()
        }
        return replace(self, timesteps=int(timesteps), spikes=spikes, values=values, file_sha256="")

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file read, or of the canonical content for a trace made in memory."""
        return self.file_sha256 or content_sha256(self)

    def meta(self) -> dict[str, Any]:
        """Build the ``meta`` entry of the file format, version 2."""
        meta: dict[str, Any] = {
            "format": "spikex-trace",
            "version": 2,
            "name": self.name,
            "timesteps": self.timesteps,
            "source": self.source,
            "nodes": [describe_node(node) for node in self.nodes],
        }
        if self.batched:
            meta["samples"] = self.samples
        return meta

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays by the file's keys, in the order of the nodes; the inverse of :meth:`from_arrays`."""
        found = {}
        for key, array in self._keyed():
            wanted = declared(self.wiring, key, self.timesteps, self.where)
            shape = wanted.flat if is_flat(self.node(key.partition("/")[0])) else wanted.shape
            lead = (self.samples,) if self.batched and wanted.recorded else ()
            found[key] = array.reshape(*lead, *shape)
        return found

    def _keyed(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Arrays as they are in memory by the file's keys, in the order of the nodes."""
        places = {node.name: place for place, node in enumerate(self.nodes)}
        keyed: list[tuple[str, str, NDArray[Any]]] = []
        keyed += [(name, f"{name}/spikes", array) for name, array in self.spikes.items()]
        keyed += [(name, f"{name}/values", array) for name, array in self.values.items()]
        keyed += [(name, weight_key(name, k), array) for (name, k), array in sorted(self.weights.items())]
        keyed += [(name, f"{name}/bias", array) for name, array in self.biases.items()]
        keyed += [
            (name, f"{name}/neuron/{key}", array) for (name, key), array in sorted(self.neuron_arrays.items())
        ]
        yield from ((key, array) for name, key, array in sorted(keyed, key=lambda one: places.get(one[0], 0)))

    def _check(self) -> None:
        if not 1 <= self.samples <= MAX_SAMPLES:
            message = f"must be 1 to {MAX_SAMPLES}, not {self.samples}"
            raise TraceError(message, where=self.where, field="samples")
        if self.samples > 1 and not self.batched:
            message = f"{self.samples} samples need the sample axis (batched)"
            raise TraceError(message, where=self.where, field="samples")
        wiring = self.wiring
        for key, array in self._keyed():
            wanted = declared(wiring, key, self.timesteps, self.where)
            check_array(
                wanted,
                array.dtype,
                array.shape,
                samples=self.samples,
                file=False,
                where=self.where,
                field=key,
            )
        self._check_there()
        check_values(self)
        for node in self.nodes:
            for k, synapse in enumerate(node.synapses if isinstance(node, Population) else ()):
                if self.node(synapse.source).kind == "avgpool":
                    folded(self, node.name, k)
        check_label(self.label, self.samples, self.batched, self.where)

    def _check_there(self) -> None:
        """Check that what has to be there is, and that all that is taken can be computed."""
        unknown = set()
        for node in self.nodes:
            recorded = node.name in self.spikes or node.name in self.values
            if isinstance(node, InputNode) and not recorded:
                part = "spikes" if node.values is None else "values"
                message = f"is missing: the {part} that an input gives are required"
                raise TraceError(message, where=self.where, field=f"{node.name}/{part}")
            if not isinstance(node, Population):
                continue
            keys = () if node.neuron is None else node.neuron.keys
            for key in ("threshold", "adaptation.step"):
                if key in keys and self.neuron_array(node.name, key) is None:
                    message = f"is missing; give one number (nodes.{node.name}.neuron.{key}) or one a channel"
                    raise TraceError(message, where=self.where, field=f"{node.name}/neuron/{key}")
            absent = [k for k in range(len(node.synapses)) if self.weight(node.name, k) is None]
            if absent and not recorded:
                unknown.add(node.name)
        for node in self.nodes:
            for source in unknown.intersection(node.sources):
                part = "spikes" if self.carries(source) == "spikes" else "values"
                raise TraceError(
                    f"'{node.name}' takes these, but they are not recorded, and there are no weights to "
                    "compute them",
                    where=self.where,
                    field=f"{source}/{part}",
                )


def nodes_of(described: Sequence[Any], where: str, field: str = "nodes") -> tuple[Node, ...]:
    """Build the nodes of descriptions; :class:`TraceError` names the first wrong key below ``field``."""
    return tuple(
        node_of(one, where=where, error=TraceError, field=f"{field}.{index}")
        for index, one in enumerate(described)
    )


def content_sha256(trace: GraphTrace) -> str:
    """Hash the content of a trace independently of the container it is stored in."""
    digest = hashlib.sha256(json.dumps(trace.meta(), sort_keys=True).encode())
    digest.update(json.dumps(trace.label).encode())
    for key, array in trace.arrays().items():
        digest.update(f"{key}/{array.dtype.str}/{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _place(key: str) -> tuple[str, Any]:
    """Mapping that an array of the file belongs to, and its key there."""
    name, part, *rest = key.split("/")
    if part.startswith("synapse-"):
        return "weights", (name, int(part.removeprefix("synapse-")))
    if part == "neuron":
        return "neuron_arrays", (name, rest[0])
    return ("biases" if part == "bias" else part), name


def _rebuilt(values: dict[str, Any]) -> GraphTrace:
    for key in _MAPS:
        for array in values[key].values():
            array.setflags(write=False)
    return GraphTrace(**values)
