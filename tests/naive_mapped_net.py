"""The slow oracle of mapped runs, first part: layers neuron by neuron, and codes of cells.

Written from the text on mapping alone (cited as "§n"; codes are those of the text on crossbars, "imc §n"),
independently of the package and sharing no code with it. What the text leaves open is marked "Reading".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from naive import Bools, Layer, neuron_int, neurons_float, receptive_fields
from naive_imc import DEFAULTS, Config, Shape, slices
from naive_imc_net import Network, quantised

#: Keys of `imc §5` and of this machine, with their defaults.
OWN_DEFAULTS: dict[str, Any] = DEFAULTS | {"multicast": False}


def config_of(changes: Config | None = None) -> dict[str, Any]:
    """Return the defaults with some keys replaced; an unknown key is an error."""
    unknown = set(changes or {}) - set(OWN_DEFAULTS)
    if unknown:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    return OWN_DEFAULTS | dict(changes or {})


@dataclass
class Neuron:
    """One neuron: its layer, and per tap of weight not 0 the nodes whose OR drives it, and its weight.

    Only max-pooling gives a tap several nodes. A weight is that of the cell: quantised if it was float.
    """

    layer: int
    taps: list[tuple[frozenset[int], int]] = field(default_factory=list)

    @cached_property
    def sources(self) -> set[int]:
        return {k for nodes, _ in self.taps for k in nodes}


class Neurons:
    """Layers, neuron by neuron: one after the other, each in C order; inputs behind them.

    Reading: every pixel of the network's input has a number, in a receptive field or not. A synapse is there
    if the trace's weight is not 0, also where it is quantised to 0.
    """

    def __init__(self, layers: list[Layer], config: Config) -> None:
        self.config = config
        self.net = Network(layers)
        self.layers = self.net.layers
        self.shapes = [Shape(layer) for layer in self.layers]
        self.first: list[int] = []
        count = 0
        for shape in self.shapes:
            self.first.append(count)
            count += shape.M * shape.P
        self.count = count
        first = layers[0]
        self.input_shape = (int(first["in_channels"]),)
        if first["kind"] != "linear":
            self.input_shape += (int(first["in_height"]), int(first["in_width"]))
        self.external = int(np.prod(self.input_shape))
        self.steps = [1.0] * len(self.layers)
        self.neurons: list[Neuron] = []
        for index in range(len(self.layers)):
            self._add(index)

    def _add(self, index: int) -> None:
        layer, shape = self.layers[index], self.shapes[index]
        given = np.asarray(layer["weight"])
        cells = given
        if layer["neuron"]["datapath"] == "float":
            cells, self.steps[index] = quantised(given, int(self.config["weight_bits"]))
        there, held = shape.weights(given != 0), shape.weights(cells)
        entering = self.entering(layer["name"])  # in C order
        for m in range(shape.M):
            for taps in shape.fields:
                neuron = Neuron(index)
                for c in range(shape.C):
                    for i, j, y, x in taps:
                        k = i * shape.kernel[1] + j
                        if there[m, k, c]:
                            nodes = entering[(c * shape.H + y) * shape.W + x]
                            neuron.taps.append((nodes, int(held[m, k, c])))
                self.neurons.append(neuron)

    def entering(self, name: str) -> list[frozenset[int]]:
        """Nodes behind every element of what enters a layer; elements are ORs of them."""
        joined = [self.behind(source) for source in self.net.taken[name]]  # several are ORed
        return [frozenset[int]().union(*nodes) for nodes in zip(*joined, strict=True)]

    def behind(self, source: str) -> list[frozenset[int]]:
        """Nodes behind every element of what a layer, a pool or the input gives."""
        if source in self.net.number:
            index = self.net.number[source]
            size = self.shapes[index].M * self.shapes[index].P
            return [frozenset({self.first[index] + at}) for at in range(size)]
        if source not in self.net.by_name:
            return [frozenset({self.count + at}) for at in range(self.external)]
        pool, before = self.net.by_name[source], self.entering(source)
        C, H, W = (int(pool[key]) for key in ("in_channels", "in_height", "in_width"))
        out = []
        for c in range(C):
            for taps in receptive_fields(pool, H, W):
                behind = [before[(c * H + y) * W + x] for _, _, y, x in taps]
                out.append(frozenset[int]().union(*behind))
        return out

    def spikes(self, sample: Bools) -> list[set[int]]:
        """Nodes that spike at every time point, sums being those of cells, column by column.

        Layers of a time point are computed one after the other: that they are late is not counted.
        """
        T = sample.shape[-1]
        active: list[set[int]] = [
            {self.count + int(at) for at in np.flatnonzero(sample.reshape(self.external, T)[:, t])}
            for t in range(T)
        ]
        for i, neuron in enumerate(self.neurons):
            sums = [sum(w for nodes, w in neuron.taps if nodes & active[t]) for t in range(T)]
            for t, fired in enumerate(self.fired(i, sums)):
                if fired:
                    active[t].add(i)
        return active

    def fired(self, i: int, sums: list[int]) -> list[bool]:
        """Spikes of a neuron of its sums (model §1)."""
        index = self.neurons[i].layer
        layer, shape = self.layers[index], self.shapes[index]
        bias = layer.get("bias")
        own = 0 if bias is None else np.asarray(bias)[(i - self.first[index]) // shape.P]
        if layer["neuron"]["datapath"] != "float":
            currents = [y + int(own) for y in sums]
            return neuron_int(currents, layer["neuron"], int(self.config["potential_bits"]))
        step = np.float32(self.steps[index])
        numbers = [np.array([step * np.float32(y) + np.float32(own)], np.float32) for y in sums]
        return [bool(one[0]) for one in neurons_float(numbers, layer["neuron"])]

    def output(self, index: int, active: list[set[int]]) -> Bools:
        """Output spikes of a layer, in the trace's layout."""
        shape, first = self.shapes[index], self.first[index]
        size = shape.M * shape.P
        out = np.array([[first + at in one for one in active] for at in range(size)], np.bool_)
        return out.reshape(shape.M, shape.H_o, shape.W_o, len(active))


def codes_of(w: int, config: Config) -> list[int]:
    """Cells of a weight: slices, little-endian, of its code or codes (imc §4)."""
    b, d, S = int(config["weight_bits"]), int(config["imc.device.bits"]), slices(config)
    by_encoding = {
        "twos": [w % 2**b],
        "sign_offset": [w if w >= 0 else w + 2 ** (b - 1)],
        "offset": [w + 2 ** (b - 1)],
        "differential": [max(w, 0), max(-w, 0)],
    }
    return [code // 2 ** (s * d) % 2**d for code in by_encoding[config["imc.encoding"]] for s in range(S)]


def weight_of(cells: list[int], negative: int, active: int, config: Config) -> int:
    """What sums of cells are worth, with spikes on negative weights and in all counted (imc §4)."""
    b, d, S = int(config["weight_bits"]), int(config["imc.device.bits"]), slices(config)
    values = [
        sum(cells[at * S + s] * 2 ** (s * d) for s in range(S)) for at in range(len(cells) // S)
    ]  # of every polarity
    return {
        "twos": lambda: values[0] - 2**b * negative,
        "sign_offset": lambda: values[0] - 2 ** (b - 1) * negative,
        "offset": lambda: values[0] - 2 ** (b - 1) * active,
        "differential": lambda: values[0] - values[1],
    }[config["imc.encoding"]]()


def column_sum(weights: Iterable[int], config: Config) -> int:
    """Sum of a column whose rows with these weights have a spike, by its cells."""
    held = list(weights)
    cells = [sum(one) for one in zip(*(codes_of(w, config) for w in held), strict=True)]
    return weight_of(cells, sum(w < 0 for w in held), len(held), config) if held else 0
