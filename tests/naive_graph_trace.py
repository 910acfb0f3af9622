"""The slow oracle of graph networks: what a trace of format 2 holds, and how synapses lie over maps.

Written from the text on networks alone (cited as "§n"), independently of the package and sharing no code
with it. Loops over outputs and taps, clarity before speed. `naive_graph` computes values and spikes from it,
`naive_graph_cost` what they cost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Node = dict[str, Any]
Array = NDArray[Any]

#: A tap inside the map: (channel, i, j) of the synapse, (y, x) of the source, weight.
Tap = tuple[int, int, int, int, int, Any]

FLOAT = np.float32


@dataclass
class Trace:
    """What a file says: ``meta`` as it stands, every other array by its key."""

    meta: Node
    arrays: dict[str, Array]

    @property
    def timesteps(self) -> int:
        return int(self.meta["timesteps"])

    @property
    def samples(self) -> int:
        return int(self.meta.get("samples", 1))

    @property
    def nodes(self) -> list[Node]:
        return list(self.meta["nodes"])


def read(path: Path) -> Trace:
    """Read a trace of format 2 (§5)."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    meta = json.loads(str(arrays.pop("meta")))
    assert (meta["format"], meta["version"]) == ("spikex-trace", 2)
    return Trace(meta, arrays)


@dataclass
class Map:
    """What a node gives: ``[C, H, W, T]``, ``[C, H, W]`` if constant over time.

    ``carries`` is ``spikes``, ``analog`` or ``currents``; ``pool`` describes the average pooling that is
    still to be folded into whoever takes it.
    """

    carries: str
    values: Array
    scale: float = 1.0
    pool: Node | None = None

    @property
    def constant(self) -> bool:
        return self.values.ndim == 3

    def at(self, t: int) -> Array:
        """Values ``[C, H, W]`` at a time point; 0 before the start."""
        if self.constant:
            return self.values
        return self.values[..., t] if t >= 0 else np.zeros_like(self.values[..., 0])


def pair(value: int | list[int]) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, list) else (int(value), int(value))


def sides(value: int | list[int]) -> tuple[int, int, int, int]:
    """Padding as (top, bottom, left, right): of a number, of [height, width], or as it is (§1)."""
    if isinstance(value, list) and len(value) == 4:
        return int(value[0]), int(value[1]), int(value[2]), int(value[3])
    height, width = pair(value)
    return height, height, width, width


@dataclass
class Window:
    """How kernels are laid over a map."""

    map_size: tuple[int, int]
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    @classmethod
    def of(cls, described: Node, map_size: tuple[int, int]) -> Window:
        return cls(
            map_size,
            pair(described.get("kernel", 1)),
            pair(described.get("stride", 1)),
            sides(described.get("padding", 0)),
            pair(described.get("dilation", 1)),
        )

    @property
    def out_size(self) -> tuple[int, int]:
        spans = [self.dilation[k] * (self.kernel[k] - 1) + 1 for k in (0, 1)]
        top, bottom, left, right = self.padding
        rows = (self.map_size[0] + top + bottom - spans[0]) // self.stride[0] + 1
        cols = (self.map_size[1] + left + right - spans[1]) // self.stride[1] + 1
        assert rows > 0 and cols > 0, "a map is never empty"
        return rows, cols

    def inside(self, row: int, col: int) -> Iterator[tuple[int, int, int, int]]:
        """(i, j, y, x) of an output position's kernel, in ascending (i, j), where (y, x) lies in the map."""
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                y = row * self.stride[0] + i * self.dilation[0] - self.padding[0]
                x = col * self.stride[1] + j * self.dilation[1] - self.padding[2]
                if 0 <= y < self.map_size[0] and 0 <= x < self.map_size[1]:
                    yield i, j, y, x


@dataclass
class Synapse:
    """A synapse; a linear one is a convolution whose kernel is the map, and average pooling is folded in.

    ``weight`` is ``[M, C/groups, E_h, E_w]`` of a convolution, else ``[C]``: `own` channels.
    """

    kind: str
    source: str
    taken: Map
    window: Window
    out_size: tuple[int, int]
    weight: Array
    groups: int
    delay: int
    shift: int

    @property
    def own(self) -> bool:
        return self.kind != "conv"

    @property
    def carries(self) -> str:
        return self.taken.carries

    def group_of(self, m: int) -> int:
        return m * self.groups // len(self.weight)

    def channels_for(self, m: int) -> range:
        """Source channels that an output channel takes."""
        if self.own:
            return range(m, m + 1)
        count = self.weight.shape[1]
        return range(self.group_of(m) * count, (self.group_of(m) + 1) * count)

    def taps(self, m: int, row: int, col: int) -> list[Tap]:
        """Taps inside the map of one neuron, in ascending (channel, i, j)."""
        found = []
        for k, c in enumerate(self.channels_for(m)):
            for i, j, y, x in self.window.inside(row, col):
                w = self.weight[m] if self.own else self.weight[m, k, i, j]
                found.append((c, i, j, y, x, w.item() if w.dtype.kind == "i" else FLOAT(w)))
        return found


def folded(pool: Node, window: Window, size: tuple[int, int], weight: Array) -> tuple[Window, Array]:
    """Fold average pooling into the equivalent filter on unpooled spikes (`model.md` §1)."""
    outer = Window.of(pool, size)
    step = [window.dilation[k] * outer.stride[k] for k in (0, 1)]
    kernel = [(window.kernel[k] - 1) * step[k] + outer.kernel[k] for k in (0, 1)]
    assert outer.dilation == (1, 1)
    new = np.zeros((*weight.shape[:2], *kernel), weight.dtype)
    for i in range(window.kernel[0]):
        for j in range(window.kernel[1]):
            for a in range(outer.kernel[0]):
                for b in range(outer.kernel[1]):
                    new[:, :, i * step[0] + a, j * step[1] + b] += weight[:, :, i, j]
    stride = (window.stride[0] * outer.stride[0], window.stride[1] * outer.stride[1])
    strides = (outer.stride[0], outer.stride[0], outer.stride[1], outer.stride[1])
    padding = [window.padding[k] * strides[k] + outer.padding[k] for k in range(4)]
    top, bottom, left, right = padding
    return Window(size, (kernel[0], kernel[1]), stride, (top, bottom, left, right)), new


def over_map(weight: Array, window: Window) -> Array:
    """Weights of a filter that is laid once, for every pixel of the map: of those beside it 0."""
    found = np.zeros((*weight.shape[:2], *window.map_size), weight.dtype)
    for i, j, y, x in window.inside(0, 0):
        found[:, :, y, x] = weight[:, :, i, j]
    return found


def synapses_of(trace: Trace, node: Node, maps: dict[str, Map]) -> list[Synapse]:
    """Synapses of a population or of currents, in order; `maps` holds their sources, the node itself too."""
    found: list[Synapse] = []
    raw_weights: list[Array] = []
    M = int(node["channels"])
    for k, described in enumerate(node["synapses"]):
        kind, taken = described["kind"], maps[described["from"]]
        C, *rest = taken.values.shape[:3]
        size = (rest[0], rest[1])
        seen = Window.of(taken.pool, size).out_size if taken.pool else size
        if "weight_of" in described:
            weight = raw_weights[described["weight_of"]]
        elif f"{node['name']}/synapse-{k}/weight" in trace.arrays:
            weight = trace.arrays[f"{node['name']}/synapse-{k}/weight"]
        else:
            number = described.get("weight", 1)
            weight = np.full(M, number, np.int64 if isinstance(number, int) else FLOAT)
        raw_weights.append(weight)
        if kind == "linear":
            kind, window = "conv", Window(seen, seen)
            weight = weight.reshape(M, C, *seen)  # takes a map in C order
        else:
            window = Window.of(described, seen)
        if kind == "conv":
            assert taken.carries != "currents", "convolutions never take currents"
        out_size = window.out_size
        if taken.pool:
            assert kind == "conv", "average pooling is folded into conv and linear synapses"
            window, weight = folded(taken.pool, window, size, weight)
            if described["kind"] == "linear":
                window, weight = Window(size, size), over_map(weight, window)
        synapse = Synapse(
            kind, described["from"], taken, window, out_size, weight,
            int(described.get("groups", 1)), int(described.get("delay", 0)), int(described.get("shift", 0)),
        )  # fmt: skip
        assert not (taken.constant and synapse.delay), "no delay from constants"
        found.append(synapse)
    assert len({synapse.out_size for synapse in found}) == 1, "one output shape for all synapses of a node"
    return found


def recorded(trace: Trace, node: Node, sample: int) -> Map | None:
    """Arrays of a node in the file, None where there are none (§5)."""
    name, T = node["name"], trace.timesteps
    for key in ("spikes", "values"):
        array = trace.arrays.get(f"{name}/{key}")
        if array is None:
            continue
        if "samples" in trace.meta:
            array = array[sample]
        if key == "spikes":
            bits = np.unpackbits(array, axis=-1, count=T).astype(np.bool_)
            return Map("spikes", bits.reshape(len(bits), *(bits.shape[1:-1] or (1, 1)), T))
        described = node.get("values", {})
        if node["kind"] == "input" and len(node["shape"]) == 1:  # [N] is [N, 1, 1]
            array = array.reshape(len(array), 1, 1, *array.shape[1:])
        carries = "analog" if node["kind"] == "input" else "currents"
        return Map(
            carries, array.astype(FLOAT if array.dtype.kind == "f" else np.int64), described.get("scale", 1.0)
        )
    return None
