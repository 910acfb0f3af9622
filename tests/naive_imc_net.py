"""The slow oracle of in-memory computing: networks as plain data, and the ideal integer pass.

A network is a list of layers as in a trace file, each with its `weight` and, where it has one, its `bias`;
`from` lists the names of the layers, or `input`, whose spikes are ORed before it (§1, residuals). Without
it a layer takes those of the layer before. Imports nothing from the package.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naive import Bools, Layer, maxpool, neuron_int, neurons_float, out_size, pair, receptive_fields
from naive_imc import Config, Mapped, Shape, map_network

INPUT = "input"


def pool_of(layer: Layer) -> dict[str, Any]:
    """Sizes of a pooling layer; its stride is given like a convolution's."""
    return {key: pair(layer[key]) for key in ("kernel", "stride", "padding")}


def folded(pool: Layer, layer: Layer) -> dict[str, Any]:
    """The layer that does on unpooled spikes what `avgpool` and `layer` do together (model §1, pooling).

    The sum over a window stands for its average: every tap's weight is spread over its whole window.
    """
    weight = np.asarray(layer["weight"])
    if weight.dtype.kind != "f":
        weight = weight.astype(np.int64)  # overlapping windows add up
    C, H, W = int(pool["in_channels"]), int(pool["in_height"]), int(pool["in_width"])
    if layer["kind"] == "linear":
        rows, cols = out_size(pool, H, W)
        pooled = weight.reshape(len(weight), C, rows * cols)
        spread = np.zeros((len(weight), C, H, W), weight.dtype)
        for p, field in enumerate(receptive_fields(pool, H, W)):
            for _, _, y, x in field:
                spread[:, :, y, x] += pooled[:, :, p]
        return {**layer, "in_channels": C * H * W, "weight": spread.reshape(len(weight), -1)}
    own, of_pool = pool_of(layer), pool_of(pool)
    kernel, stride, padding = (
        [(own["kernel"][axis] - 1) * of_pool["stride"][axis] + of_pool["kernel"][axis] for axis in (0, 1)],
        [own["stride"][axis] * of_pool["stride"][axis] for axis in (0, 1)],
        [own["padding"][axis] * of_pool["stride"][axis] + of_pool["padding"][axis] for axis in (0, 1)],
    )
    spread = np.zeros((*weight.shape[:2], *kernel), weight.dtype)
    for i in range(own["kernel"][0]):
        for j in range(own["kernel"][1]):
            for di in range(of_pool["kernel"][0]):
                for dj in range(of_pool["kernel"][1]):
                    y, x = i * of_pool["stride"][0] + di, j * of_pool["stride"][1] + dj
                    spread[:, :, y, x] += weight[:, :, i, j]
    sizes = {"in_height": H, "in_width": W, "kernel": kernel, "stride": stride, "padding": padding}
    return {**layer, **sizes, "weight": spread}


@dataclass
class Source:
    """Where some of a layer's spikes come from: a compute layer, None for the input, through max-pooling."""

    producer: int | None
    pools: list[Layer]  # from the consumer back to the producer


class Network:
    """Conv and linear layers in order, average pooling folded, and what each takes."""

    def __init__(self, layers: list[Layer]) -> None:
        self.by_name = {layer["name"]: layer for layer in layers}
        before = [INPUT, *(layer["name"] for layer in layers)]
        self.taken = {
            layer["name"]: list(layer.get("from", [before[index]])) for index, layer in enumerate(layers)
        }
        self.layers: list[dict[str, Any]] = []
        for layer in layers:
            if layer["kind"] not in ("conv", "linear"):
                continue
            one = dict(layer)
            sources = [self.by_name.get(name) for name in self.taken[layer["name"]]]
            if any(source is not None and source["kind"] == "avgpool" for source in sources):
                (pool,) = sources  # an average cannot be ORed with spikes
                assert pool is not None
                one = folded(pool, one)
                self.taken[layer["name"]] = self.taken[pool["name"]]
            self.layers.append(one)
        self.number = {layer["name"]: index for index, layer in enumerate(self.layers)}

    def sources(self, index: int) -> list[Source]:
        """Sources of a compute layer, in the order of its `from`."""

        def behind(name: str, pools: list[Layer]) -> list[Source]:
            out = []
            for one in self.taken[name]:
                if one == INPUT or one in self.number:
                    out.append(Source(self.number.get(one), pools))
                else:
                    out += behind(one, [*pools, self.by_name[one]])
            return out

        return behind(self.layers[index]["name"], [])

    def consumers(self, index: int) -> list[int]:
        """Compute layers that take this one's spikes, in order."""
        return [
            other
            for other in range(len(self.layers))
            if any(source.producer == index for source in self.sources(other))
        ]

    def entering(self, name: str, outputs: dict[str, Bools]) -> Bools:
        """Spikes that enter a layer: those of its sources, pooled and ORed in the global node (§1)."""
        total = None
        for one in self.taken[name]:
            if one in outputs:
                spikes = outputs[one]
            else:
                pool = self.by_name[one]
                size = (pool["in_channels"], pool["in_height"], pool["in_width"], -1)
                spikes = maxpool(pool, self.entering(one, outputs).reshape(size))
            total = spikes if total is None else total | spikes.reshape(total.shape)
        assert total is not None
        return total


def quantised(weight: NDArray[Any], bits: int) -> tuple[NDArray[np.int64], float]:
    """Integer weights of float ones, and their step ``Δ`` (head of the text).

    Reading: ``Δ`` is a float64; where all weights are 0 it is 0 and they stay 0.
    """
    largest = 2 ** (bits - 1) - 1
    step = float(np.abs(weight).max(initial=0.0)) / largest
    if step == 0:
        return np.zeros(weight.shape, np.int64), 0.0
    out = [
        max(-largest - 1, min(largest, math.floor(float(w) / step + 0.5))) for w in np.asarray(weight).ravel()
    ]
    return np.array(out, np.int64).reshape(weight.shape), step


class Synapses:
    """A compute layer's integer weights ``[M, K, C]``, its bias and neurons, sums in and spikes out."""

    def __init__(self, layer: Layer, config: Config) -> None:
        self.layer, self.shape = layer, Shape(layer)
        self.potential_bits, bits = int(config["potential_bits"]), int(config["weight_bits"])
        self.floating = layer["neuron"]["datapath"] == "float"
        weight, self.step = np.asarray(layer["weight"]), 1.0
        if self.floating:
            weight, self.step = quantised(weight, bits)
        if weight.size and (weight.min() < -(2 ** (bits - 1)) or weight.max() >= 2 ** (bits - 1)):
            raise ValueError(f"{layer['name']}: a weight beyond {bits} bits")
        self.w = self.shape.weights(weight.astype(np.int64))

    def sums(self, spikes: Bools) -> NDArray[np.int64]:
        """Exact integer sums ``[M, P, T]``, before bias."""
        taps = self.shape.taps(spikes)
        return np.einsum("mkc,pkct->mpt", self.w, taps.astype(np.int64))

    def fire(self, sums: NDArray[np.int64]) -> Bools:
        """Output spikes of integer sums: bias, then LIF as ever (model §1)."""
        M, P, T = sums.shape
        bias = self.layer.get("bias")
        bias = [0] * M if bias is None else np.asarray(bias).tolist()
        out = np.zeros(sums.shape, np.bool_)
        for m in range(M):
            if self.floating:
                currents = [np.float32(self.step) * sums[m, :, t].astype(np.float32) for t in range(T)]
                currents = [current + np.float32(bias[m]) for current in currents]
                out[m] = np.array(neurons_float(currents, self.layer["neuron"])).T
                continue
            for p in range(P):
                currents = [int(y) + int(bias[m]) for y in sums[m, p]]
                out[m, p] = neuron_int(currents, self.layer["neuron"], self.potential_bits)
        return out.reshape(M, self.shape.H_o, self.shape.W_o, T)


@dataclass
class Passed:
    """One compute layer of one sample."""

    spikes: Bools  # in
    sums: NDArray[np.int64]  # [M, P, T], before bias
    out: Bools


class Machine:
    """A network on crossbars: its layers, their weights and where they lie."""

    def __init__(self, layers: list[Layer], config: Config) -> None:
        self.config, self.net = config, Network(layers)
        self.synapses = [Synapses(layer, config) for layer in self.net.layers]
        self.mapped: list[Mapped] = map_network(self.net.layers, config)

    def software(self, sample: Bools) -> list[Passed]:
        """The ideal integer pass, every layer fed by those before it."""
        outputs = {INPUT: sample}
        passed = []
        for synapses in self.synapses:
            name = synapses.layer["name"]
            spikes = self.net.entering(name, outputs)
            sums = synapses.sums(spikes)
            outputs[name] = synapses.fire(sums)
            passed.append(Passed(spikes, sums, outputs[name]))
        return passed


def digest(spikes: Bools) -> str:
    """``output_sha256``: of packed spikes, time last."""
    return hashlib.sha256(np.packbits(spikes, axis=-1).tobytes()).hexdigest()


def sample_id(sample: Bools) -> int:
    """``sample`` of the random numbers: the first 24 bits of the SHA-256 of its packed input (§4)."""
    return int(digest(sample)[:6], 16)
