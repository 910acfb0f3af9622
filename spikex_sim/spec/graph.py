"""Networks as graphs: inputs, populations of neurons, sums, pools, joins and products of spikes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from spikex_sim.core.errors import SpikexError
from spikex_sim.core.hints import closest
from spikex_sim.spec.graph_parts import (
    Adaptation,
    Current,
    Datapath,
    Described,
    GraphNeuron,
    Leaky,
    Name,
    Number,
    Shift,
    Size,
    Values,
    Windowed,
    as_tuple,
)
from spikex_sim.spec.validation import MAX_SHOWN, validated
from spikex_sim.spec.workload import MAX_THRESHOLD, Pair

__all__ = [
    "Adaptation", "Current", "GraphNeuron", "InputNode", "JoinNode", "Leaky", "MatmulNode", "Node",
    "PoolNode", "Population", "Synapse", "Values", "describe_node", "node_of",
]  # fmt: skip

MAX_WEIGHT = 1 << 24
"""A single weight for all channels is smaller than this in the integer datapath."""
Shape = tuple[int, int, int]
OWN_KINDS = ("identity", "avgpool", "maxpool")
"""Kinds of synapses that lead from each channel to the same one."""

_WINDOW = {"kernel", "stride", "padding", "dilation"}
_SYNAPSE_KEYS = {
    "conv": _WINDOW | {"groups"},
    "linear": set[str](),
    "identity": {"weight"},
    "avgpool": _WINDOW | {"weight"},
    "maxpool": _WINDOW | {"weight"},
}
_FOR_ALL = {"source", "kind", "delay", "weight_of", "shift"}


class Synapse(Windowed):
    """What leads from one node to a population or to currents.

    Attributes
    ----------
    source : str
        Name of the node taken; ``from`` in files.
    kind : {"conv", "linear", "identity", "avgpool", "maxpool"}
        The last three lead from every channel to its own.
    kernel, stride, padding, dilation
        Of all but ``linear`` and ``identity``.
    groups : int
        Of ``conv``: groups of channels that see each other.
    delay : int
        Time points by which what is taken comes later.
    weight_of : int, optional
        An earlier synapse of the node whose weights this one uses.
    weight : int or float, optional
        One weight for all channels, 1 if there is no array either; not of ``conv`` and ``linear``.
    shift : int
        Integer datapath, from numbers: arithmetic shift right of the synapse's sum.
    """

    source: str = Field(alias="from")
    kind: Literal["conv", "linear", "identity", "avgpool", "maxpool"]
    groups: Size = 1
    delay: int = Field(default=0, ge=0)
    weight_of: int | None = Field(default=None, ge=0)
    weight: Number | None = None
    shift: Shift = 0

    @model_validator(mode="after")
    def _keys_have_an_effect(self) -> Synapse:
        for key in _changed(self):
            if key not in _SYNAPSE_KEYS[self.kind] | _FOR_ALL:
                raise ValueError(f"{key} has no effect on a synapse of the kind {self.kind}")
        if self.weight is not None and self.weight_of is not None:
            raise ValueError("weight and weight_of exclude each other")
        return self

    @property
    def own(self) -> bool:
        """Whether every channel leads to its own."""
        return self.kind in OWN_KINDS

    def gives(self, shape: Shape, channels: int) -> Shape:
        """Shape of what comes of a source of this shape, below 1 where the kernel is larger than the map."""
        size = (1, 1) if self.kind == "linear" else self.out_size(*shape[1:])
        return (channels, *size)


class InputNode(Described):
    """What the network sees: spikes, or numbers where ``values`` describes them.

    Attributes
    ----------
    name, kind
        Of the node.
    shape : tuple of int
        ``(C, H, W)`` or ``(N,)``.
    values : Values, optional
        Given for an analog input.
    """

    name: Name
    kind: Literal["input"]
    shape: Annotated[tuple[Size, Size, Size] | tuple[Size], BeforeValidator(as_tuple)]
    values: Values | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Nodes taken: none."""
        return ()


class Population(Described):
    """Neurons, or currents: sums of synapses that others take or that are read out.

    Attributes
    ----------
    name, kind
        ``neurons`` or ``currents``.
    channels : int
        Output channels ``M``.
    synapses : tuple of Synapse
        Their sums add.
    neuron : GraphNeuron, optional
        Of ``neurons``.
    sums : {"int", "float"}
        Datapath of ``currents``; ``datapath`` in files.
    """

    name: Name
    kind: Literal["neurons", "currents"]
    channels: Size
    synapses: Annotated[tuple[Synapse, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    neuron: GraphNeuron | None = None
    sums: Datapath = Field(default="int", alias="datapath")

    @model_validator(mode="after")
    def _keys_have_an_effect(self) -> Population:
        if self.kind == "currents" and self.neuron is not None:
            raise ValueError("currents have no neuron")
        if self.kind == "neurons" and self.neuron is None:
            raise ValueError("neurons need a neuron")
        if self.kind == "neurons" and "sums" in self.model_fields_set:
            raise ValueError("the datapath of neurons is a key of neuron")
        for index, synapse in enumerate(self.synapses):
            if synapse.weight_of is not None and synapse.weight_of >= index:
                raise ValueError(f"synapses.{index}.weight_of must be an earlier synapse")
            weight = 0 if synapse.weight is None or self.datapath == "float" else synapse.weight
            if weight != int(weight) or abs(weight) >= MAX_WEIGHT:
                raise ValueError(f"synapses.{index}.weight must be an integer within 25 bits")
            if synapse.shift and self.datapath == "float":
                raise ValueError(f"synapses.{index}.shift has no effect in the float datapath")
        return self

    @property
    def datapath(self) -> Datapath:
        """Datapath of the neurons or of the sums."""
        return self.sums if self.neuron is None else self.neuron.datapath

    @property
    def sources(self) -> tuple[str, ...]:
        """Nodes taken, once each."""
        return tuple(dict.fromkeys(synapse.source for synapse in self.synapses))

    def holder(self, k: int) -> int:
        """Synapse whose weights a synapse uses."""
        other = self.synapses[k].weight_of
        return k if other is None else self.holder(other)


class PoolNode(Windowed):
    """OR over windows, or average pooling that is folded into the synapses that take it."""

    name: Name
    kind: Literal["maxpool", "avgpool"]
    source: str = Field(alias="from")

    @model_validator(mode="after")
    def _can_be_folded(self) -> PoolNode:
        if self.kind == "avgpool" and self.dilation != (1, 1):
            raise ValueError("dilation has no effect on an avgpool, which is folded into what takes it")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """Node taken."""
        return (self.source,)


class JoinNode(Described):
    """Spikes joined element by element or along channels.

    Attributes
    ----------
    name, kind
        Of the node.
    how : {"or", "and", "iand", "concat", "slice"}
        ``iand`` is a AND NOT b.
    operands : tuple of str
        Nodes joined; ``from`` in files.
    channels : (int, int), optional
        Of ``slice``: first channel, and the one after the last.
    """

    name: Name
    kind: Literal["join"]
    how: Literal["or", "and", "iand", "concat", "slice"]
    operands: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(alias="from")
    channels: Annotated[Pair, BeforeValidator(as_tuple)] | None = None

    @model_validator(mode="after")
    def _operands_are_as_many_as_joined(self) -> JoinNode:
        count = len(self.operands)
        if self.how == "slice" and count != 1:
            raise ValueError(f"a slice is of one node, not of {count}")
        if self.how == "iand" and count != 2:
            raise ValueError(f"iand joins two nodes, not {count}")
        if self.how != "slice" and count < 2:
            raise ValueError(f"{self.how} joins two nodes or more, not {count}")
        if (self.channels is None) == (self.how == "slice"):
            raise ValueError("channels, [first, end], are of a slice and of nothing else")
        if self.channels is not None and not 0 <= self.channels[0] < self.channels[1]:
            raise ValueError("channels must be [first, end] with 0 <= first < end")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """Nodes taken, once each."""
        return tuple(dict.fromkeys(self.operands))


class MatmulNode(Described):
    """Product of matrices of spikes, or of spikes and currents, per time point and head.

    Attributes
    ----------
    name, kind
        Of the node.
    a, b : str
        Nodes multiplied.
    heads : int
        Matrices that a map is; each has ``C / heads`` rows and a column a position.
    transpose_a, transpose_b : bool
        Whether they are turned.
    scale : float
        Factor after the sum; a power of two in the integer datapath.
    datapath : {"int", "float"}
        Of the product.
    """

    name: Name
    kind: Literal["matmul"]
    a: str
    b: str
    heads: Size = 1
    transpose_a: bool = False
    transpose_b: bool = False
    scale: float = Field(default=1.0, gt=0.0, le=MAX_THRESHOLD)
    datapath: Datapath = "int"

    @model_validator(mode="after")
    def _scale_is_a_shift(self) -> MatmulNode:
        if self.datapath == "int" and self.scale not in (2.0**power for power in range(-31, 16)):
            raise ValueError("scale must be a power of two, 2^-31 to 2^15, in the int datapath")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """Nodes taken, once each."""
        return tuple(dict.fromkeys((self.a, self.b)))


Node = InputNode | Population | PoolNode | JoinNode | MatmulNode
_CLASSES: dict[str, type[Node]] = {
    "input": InputNode, "neurons": Population, "currents": Population, "maxpool": PoolNode,
    "avgpool": PoolNode, "join": JoinNode, "matmul": MatmulNode,
}  # fmt: skip


def node_of(data: Any, *, where: str, error: type[SpikexError], field: str) -> Node:
    """Build the node that a description of unknown origin is of.

    Raises
    ------
    SpikexError
        Of the class ``error``, naming ``where`` and the key below ``field``.
    """
    if not isinstance(data, Mapping):
        raise error("must be a mapping of keys to values", where=where, field=field)
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _CLASSES:
        hint = closest(kind[:MAX_SHOWN], list(_CLASSES)) if isinstance(kind, str) else ""
        raise error(f"must be one of {', '.join(_CLASSES)}{hint}", where=where, field=f"{field}.kind")
    return validated(_CLASSES[kind], dict(data), where=where, error=error, prefix=field)


def describe_node(node: Node) -> dict[str, Any]:
    """Describe a node as the trace file does, without what is as by default."""
    return _described(node)


def _changed(model: BaseModel) -> list[str]:
    """Fields that are not as by default."""
    fields = type(model).model_fields
    return [key for key in fields if getattr(model, key) != fields[key].default]


def _one_or_two(pair: Pair) -> Any:
    return pair[0] if pair[0] == pair[1] else list(pair)


def _one_to_four(sides: tuple[int, int, int, int]) -> Any:
    top, bottom, left, right = sides
    return _one_or_two((top, left)) if (top, left) == (bottom, right) else list(sides)


_SHORT: dict[str, Callable[[Any], Any]] = {
    "kernel": _one_or_two, "stride": _one_or_two, "dilation": _one_or_two, "padding": _one_to_four,
}  # fmt: skip


def _described(model: BaseModel) -> dict[str, Any]:
    found = {}
    for key in _changed(model):
        value = getattr(model, key)
        if isinstance(value, BaseModel):
            value = _described(value)
        elif key in _SHORT:
            value = _SHORT[key](value)
        elif isinstance(value, tuple):
            value = [_described(item) if isinstance(item, BaseModel) else item for item in value]
        found[type(model).model_fields[key].alias or key] = value
    first = [
        key for key in (("name", "kind", "from") if "name" in found else ("from", "kind")) if key in found
    ]
    return {key: found[key] for key in [*first, *(key for key in found if key not in first)]}
