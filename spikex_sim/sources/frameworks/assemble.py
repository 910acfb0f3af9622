"""Signals become the nodes of a graph: sums fold into synapses, and stand alone where several take them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.frameworks.signals import (
    Added,
    Affine,
    Joined,
    Mean,
    Numbers,
    Pooled,
    Product,
    Signal,
    Sliced,
    Spiking,
    Weighted,
    is_light,
)


@dataclass(frozen=True, eq=False)
class Term:
    """A synapse on its way into a node.

    Attributes
    ----------
    source : str
        Node that it takes.
    kind : str
        Of the synapse.
    weight : float64 array
        ``[M, ...]``; of one to own channels ``[M]``.
    delay : int
        Time points.
    layer : Weighted or None
        Whose weights these are; those of one layer may be shared.
    window : mapping
        Kernel, stride and so on, as in the file.
    """

    source: str
    kind: str
    weight: Numbers
    delay: int = 0
    layer: Weighted | None = None
    window: Mapping[str, Any] = field(default_factory=dict)

    def scaled(self, factor: Numbers) -> Term:
        """Multiply what comes out, by a number for each channel."""
        return replace(self, weight=self.weight * factor.reshape(-1, *(1,) * (self.weight.ndim - 1)))


Sum = tuple[list[Term], Numbers]


class Assembler:
    """Nodes as they are made, each after what it takes.

    Parameters
    ----------
    live : collection of Signal
        All that a population or a read-out takes; two takers of a sum make it a node of its own.
    inputs : mapping of Outside to dict
        Descriptions of what enters, without names.
    """

    def __init__(self, live: Collection[Signal], inputs: Mapping[Signal, dict[str, Any]]) -> None:
        self.inputs = inputs
        self.nodes: list[dict[str, Any]] = []
        self.arrays: dict[str, NDArray[Any]] = {}
        self.names: dict[Signal, str] = {}
        self._made: dict[Any, Signal] = {}
        self._takers: dict[Signal, set[Signal]] = {}
        for signal in live:
            for source in taken_by(signal):
                self._takers.setdefault(source, set()).add(signal)

    def population(self, spiking: Spiking) -> str:
        """Make the node of a population."""
        if spiking in self.names:
            return self.names[spiking]
        source, delay = spiking.taken[-1]
        self.names[spiking] = self._name(only_layer(source, self._takers) or spiking.name)
        terms, bias = self._sum(source)
        terms = [replace(term, delay=term.delay + delay) for term in terms]
        if delay and bias.any():
            raise TraceError(
                "takes a bias, which would come a time point late; leave it out (bias=False)",
                field=spiking.name,
            )
        if spiking.back is not None:
            more, offset = self._sum(spiking.back)
            terms, bias = terms + more, bias + offset
        scale = np.full(spiking.shape[0], spiking.dynamics.input_scale)
        neuron, numbers = spiking.dynamics.neuron()
        name = self._node(
            spiking, "neurons", [term.scaled(scale) for term in terms], bias * scale, neuron=neuron
        )
        self.arrays |= {f"{name}/neuron/{key}": array for key, array in numbers.items()}
        return name

    def read_out(self, signal: Signal) -> str:
        """Make a node of a sum."""
        return self._currents(signal)

    def _name(self, wanted: str) -> str:
        base = "".join(one if one.isprintable() else "?" for one in wanted.replace("/", "."))[:190]
        name, count = base, 1
        while name in self.names.values() or any(node["name"] == name for node in self.nodes):
            count += 1
            name = f"{base}-{count}"
        return name

    def _node(self, signal: Signal, kind: str, terms: list[Term], bias: Numbers, **more: Any) -> str:
        name = self.names[signal]
        synapses: list[dict[str, Any]] = []
        kept: list[Term] = []
        for k, term in enumerate(terms):
            made: dict[str, Any] = {"from": term.source, "kind": term.kind, **term.window}
            made |= {"delay": term.delay} if term.delay else {}
            with np.errstate(over="ignore"):
                weight = term.weight.astype(np.float32)
            shared = next(
                (i for i, other in enumerate(kept) if term.layer is not None and other.layer is term.layer
                 and other.kind == term.kind and np.array_equal(other.weight, term.weight)), None,
            )  # fmt: skip
            if shared is not None:
                made["weight_of"] = shared
            elif term.layer is None and (weight == weight[0]).all():
                made |= {"weight": float(weight[0])} if weight[0] != 1 else {}
            else:
                self.arrays[f"{name}/synapse-{k}/weight"] = weight
            synapses.append(made)
            kept.append(term)
        if bias.any():
            self.arrays[f"{name}/bias"] = bias.astype(np.float32)
        self.nodes.append(
            {"name": name, "kind": kind, "channels": signal.shape[0], "synapses": synapses} | more
        )
        return name

    def _source(self, signal: Signal) -> str:
        """Node that gives what a synapse can take."""
        if isinstance(signal, Spiking):
            return self.population(signal)
        if signal in self.names:
            return self.names[signal]
        if signal in self.inputs:
            made = {"kind": "input"} | self.inputs[signal]
        elif isinstance(signal, Pooled) and signal.source.spiking:
            kind = "maxpool" if signal.how == "max" else "avgpool"
            made = {"kind": kind, "from": self._source(signal.source)} | _window(signal)
        elif isinstance(signal, Sliced):
            channels = [signal.first, signal.first + signal.shape[0]]
            made = {
                "kind": "join",
                "how": "slice",
                "from": [self._source(signal.source)],
                "channels": channels,
            }
        elif isinstance(signal, Joined):
            made = {"kind": "join", "how": signal.how, "from": [self._source(one) for one in signal.operands]}
        else:
            return self._currents(signal)
        self.names[signal] = self._name(signal.name)
        self.nodes.append({"name": self.names[signal]} | made)
        return self.names[signal]

    def _currents(self, signal: Signal) -> str:
        if signal in self.names:
            return self.names[signal]
        if isinstance(signal, Product):
            return self._product(signal, signal, 1.0)
        terms, bias = self._open(signal)
        self.names[signal] = self._name(only_layer(signal, self._takers) or signal.name)
        return self._node(signal, "currents", terms, bias, datapath="float")

    def _product(self, signal: Signal, product: Product, scale: float) -> str:
        operands = []
        for one in (product.a, product.b):
            factor, inner = scale_of(one)
            scale *= factor
            operands.append(self._source(inner))
        self.names[signal] = self._name(product.name)
        made: dict[str, Any] = {
            "name": self.names[signal], "kind": "matmul", "a": operands[0], "b": operands[1],
            "heads": product.heads, "transpose_a": product.transpose_a, "transpose_b": product.transpose_b,
            "datapath": "float",
        }  # fmt: skip
        self.nodes.append(made | ({"scale": scale} if scale != 1 else {}))
        return self.names[signal]

    def _sum(self, signal: Signal) -> Sum:
        """Synapses that a signal is to who takes it: its own, or one from the currents that it is."""
        if not is_light(signal) and len(self._takers.get(signal, ())) > 1:
            own = Term(self._currents(signal), "identity", np.ones(signal.shape[0]))
            return [own], np.zeros(signal.shape[0])
        return self._open(signal)

    def _open(self, signal: Signal) -> Sum:
        nothing = np.zeros(signal.shape[0])
        if signal.spiking or isinstance(signal, Product):
            return [Term(self._source(signal), "identity", np.ones(signal.shape[0]))], nothing
        if isinstance(signal, Affine):
            terms, bias = self._sum(signal.source)
            for how, numbers in signal.steps:
                if how == "scale":
                    terms, bias = [term.scaled(numbers) for term in terms], bias * numbers
                else:
                    bias = bias + numbers
            return terms, bias
        if isinstance(signal, Added):
            terms = []
            for source, delay in signal.terms:
                more, offset = self._sum(source)  # of zeros, before the start, a layer gives its bias too
                terms += [replace(term, delay=term.delay + delay) for term in more]
                nothing = nothing + offset
            return terms, nothing
        if isinstance(signal, Weighted):
            return self._weighted(signal)
        if isinstance(signal, Pooled):
            return self._pooled(signal)
        assert isinstance(signal, Sliced)
        terms, bias = self._sum(signal.source)
        end = signal.first + signal.shape[0]
        if any(term.kind not in ("conv", "linear") or term.window.get("groups", 1) > 1 for term in terms):
            raise TraceError(
                "takes some channels of a sum that is more than a convolution", field=signal.name
            )
        return [replace(term, weight=term.weight[signal.first : end]) for term in terms], bias[
            signal.first : end
        ]

    def _weighted(self, layer: Weighted) -> Sum:
        terms, bias = [], layer.bias
        window: dict[str, Any] = {}
        if layer.kind == "conv":
            window = {"kernel": list(layer.parts[0].weight.shape[2:]), "stride": list(layer.stride),
                      "padding": list(layer.padding), "dilation": list(layer.dilation)}  # fmt: skip
            window |= {"groups": layer.groups} if layer.groups > 1 else {}
        for part in layer.parts:
            plane = part.source.plane if layer.kind == "linear" else 1
            for spikes, factor, delay in self._spikes(part.source, layer.name):
                each = np.repeat(factor, plane)
                if layer.groups > 1:
                    grouped = factor.reshape(layer.groups, -1)
                    rows = np.repeat(grouped, len(part.weight) // layer.groups, axis=0)
                    weight = part.weight * rows[..., None, None]
                else:
                    weight = part.weight * each.reshape(1, -1, *(1,) * (part.weight.ndim - 2))
                terms.append(
                    Term(self._source(spikes), layer.kind, weight, part.delay + delay, layer, window)
                )
            offset = self._offset(part.source)
            if offset.any():
                if layer.kind == "conv" and (any(layer.padding) or layer.groups > 1):
                    raise TraceError(
                        f"takes spikes that {part.source.name} shifts, with padding, which no bias replaces",
                        field=layer.name,
                    )
                sums = part.weight.reshape(*part.weight.shape[:2], -1).sum(axis=2)
                bias = bias + sums @ np.repeat(offset, plane)
        return terms, bias

    def _spikes(self, signal: Signal, name: str) -> list[tuple[Signal, Numbers, int]]:
        """Spikes, or numbers that enter, of which a signal is a scaled sum: what a convolution can take."""
        if signal.spiking:
            return [(signal, np.ones(signal.shape[0]), 0)]
        if isinstance(signal, Affine):
            found = self._spikes(signal.source, name)
            for how, numbers in signal.steps:
                if how == "scale":
                    found = [(one, factor * numbers, delay) for one, factor, delay in found]
            return found
        if isinstance(signal, Added):
            return [
                (one, factor, late + delay)
                for source, delay in signal.terms
                for one, factor, late in self._spikes(source, name)
            ]
        if isinstance(signal, Pooled) and signal.how == "avg":
            return [
                (self._pool_of(signal, one), factor * (1 / signal.divisor), delay)
                for one, factor, delay in self._spikes(signal.source, name)
            ]
        if isinstance(signal, Mean):
            return self._spikes(signal.source, name)
        if isinstance(signal, Sliced):
            end = signal.first + signal.shape[0]
            return [
                (self._kept(Sliced(one.name, signal.shape, one, signal.first), (one, signal.first)),
                 factor[signal.first : end], delay)
                for one, factor, delay in self._spikes(signal.source, name)
            ]  # fmt: skip
        raise TraceError(
            f"takes the sums that {signal.name} gives: a convolution of currents has no counterpart here",
            field=name,
        )

    def _offset(self, signal: Signal) -> Numbers:
        """What is added to the spikes of which a signal is a scaled sum."""
        offset = np.zeros(signal.shape[0])
        if isinstance(signal, Affine):
            offset = self._offset(signal.source)
            for how, numbers in signal.steps:
                offset = offset * numbers if how == "scale" else offset + numbers
        elif isinstance(signal, Mean):
            offset = self._offset(signal.source)
        elif isinstance(signal, Added):
            for source, _ in signal.terms:
                offset = offset + self._offset(source)
        elif isinstance(signal, Pooled | Sliced) and self._offset(signal.source).any():
            raise TraceError("pools or slices spikes that are shifted", field=signal.name)
        return offset

    def _pool_of(self, pool: Pooled, source: Signal) -> Signal:
        once = _pooled_once(pool if source is pool.source else replace(pool, source=source))
        return pool if once is pool else self._kept(once, (pool, source))

    def _kept(self, made: Signal, key: Any) -> Signal:
        """A signal made for a second time is the first."""
        return self._made.setdefault((type(made), *key), made)

    def _pooled(self, signal: Pooled) -> Sum:
        bias = np.zeros(signal.shape[0])
        if is_light(signal):
            terms = []
            for source, factor, delay in self._spikes(signal.source, signal.name):
                each = factor * (1 / signal.divisor)
                once = _pooled_once(replace(signal, source=source))
                terms.append(Term(self._source(once.source), "avgpool", each, delay, None, _window(once)))
            return terms, bias + self._offset(signal)
        kind = "maxpool" if signal.how == "max" else "avgpool"
        weight = np.full(signal.shape[0], 1 / signal.divisor)
        return [Term(self._currents(signal.source), kind, weight, 0, None, _window(signal))], bias


def _pooled_once(pool: Pooled) -> Pooled:
    """One pool in the place of two, where the windows of the first lie side by side; factors divide."""
    inner = pool.source
    if not (isinstance(inner, Pooled) and inner.how == "avg"):
        return pool
    if inner.kernel != inner.stride or any(pool.padding):
        raise TraceError(
            "averages what is averaged already, in windows that overlap or with padding", field=pool.name
        )
    kernel = (inner.kernel[0] * pool.kernel[0], inner.kernel[1] * pool.kernel[1])
    stride = (inner.stride[0] * pool.stride[0], inner.stride[1] * pool.stride[1])
    return replace(pool, source=inner.source, kernel=kernel, stride=stride, padding=inner.padding)


def _window(pool: Pooled) -> dict[str, Any]:
    made = {"kernel": list(pool.kernel), "stride": list(pool.stride), "padding": list(pool.padding)}
    return made | ({"dilation": list(pool.dilation)} if pool.dilation != (1, 1) else {})


def taken_by(signal: Signal) -> tuple[Signal, ...]:
    """Find what a node of a signal takes: of a population, what it took last."""
    if isinstance(signal, Spiking):
        return (signal.taken[-1][0], *(() if signal.back is None else (signal.back,)))
    return signal.sources


def alive(roots: Iterable[Signal], ends: Callable[[Signal], bool] | None = None) -> dict[Signal, None]:
    """Find all that nodes are made of, but what is behind an end."""
    found: dict[Signal, None] = {}
    stack = list(roots)
    while stack:
        signal = stack.pop()
        if signal not in found:
            found[signal] = None
            stack += taken_by(signal) if ends is None or not ends(signal) else ()
    return found


def scale_of(signal: Signal) -> tuple[float, Signal]:
    """A factor on products, and what it is on."""
    if not isinstance(signal, Affine):
        return 1.0, signal
    factor, inner = scale_of(signal.source)
    for how, numbers in signal.steps:
        if how != "scale" or (numbers != numbers[0]).any() or numbers[0] <= 0:
            return 1.0, signal
        factor *= float(numbers[0])
    return factor, inner


def only_layer(signal: Signal, takers: Mapping[Signal, Collection[Signal]]) -> str:
    """Name of the one convolution or linear layer of a sum; none if there are several or none."""
    if isinstance(signal, Weighted):
        return signal.name
    if isinstance(signal, Affine | Sliced) and len(takers.get(signal.source, ())) < 2:
        return only_layer(signal.source, takers)
    return ""
