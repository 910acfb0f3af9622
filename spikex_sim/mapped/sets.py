"""Maps whose elements stand for sets of nodes, and which of them synapses and windows take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.mapped.graph import Integers
from spikex_sim.spec.graph import Shape
from spikex_sim.spec.graph_parts import Windowed


@dataclass(frozen=True, eq=False)
class Sets:
    """Nodes behind each element of a map ``(C, H, W)``, elements in C order.

    Attributes
    ----------
    shape : tuple of int
        Of the map.
    first : int
        Node behind element 0, where every element is a node of its own; those of the others follow.
    starts, items : int64 array or None
        Otherwise the nodes of element ``a``: ``items[starts[a]:starts[a + 1]]``.
    adds : bool
        Whether an element is the sum of what its nodes give, and not their union.
    """

    shape: Shape
    first: int = 0
    starts: Integers | None = None
    items: Integers | None = None
    adds: bool = True

    @classmethod
    def of(cls, shape: Shape, element: Integers, node: Integers, nodes: int, *, adds: bool) -> Sets:
        """Collect pairs of an element and a node, of ``nodes``; equal ones count once."""
        key = distinct(element * nodes + node)
        counts = np.bincount(key // nodes, minlength=int(np.prod(shape)))
        return cls(shape, 0, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), key % nodes, adds)

    @property
    def depth(self) -> int:
        """Most nodes behind an element."""
        return 1 if self.starts is None else int(np.diff(self.starts).max(initial=0))

    def behind(self, elements: Integers) -> tuple[Integers | None, Integers]:
        """Nodes behind elements one after the other, and of each whose it is; None: one of each, in order."""
        if self.starts is None or self.items is None:
            return None, elements + self.first
        sizes = self.starts[elements + 1] - self.starts[elements]
        which = np.repeat(np.arange(len(elements)), sizes)
        before = np.cumsum(sizes) - sizes
        return which, self.items[self.starts[elements][which] + np.arange(len(which)) - before[which]]


def distinct(keys: Integers) -> Integers:
    """Different ones among numbers, ascending; the numbers are sorted where they are.

    NumPy's ``unique`` takes a table of hashes instead, in which our keys, products of sizes, collide: it was
    measured to be seven times as slow.
    """
    keys.sort()
    first = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return keys if first.all() else keys[first]


class Tap(NamedTuple):
    """A place ``(i, j)`` of a window, and the outputs and inputs that meet there, pixel by pixel."""

    i: int
    j: int
    outputs: Integers
    inputs: Integers


class Window(NamedTuple):
    """How a window lies over a map, axis by axis.

    Attributes
    ----------
    size : (int, int)
        Height and width of what it gives.
    width : int
        Of the map.
    first, last, start, stride
        For both axes: by place in the window the first output that has it inside the map and the one after
        the last, the input under output 0, and the stride.
    """

    size: tuple[int, int]
    width: int
    first: tuple[Integers, Integers]
    last: tuple[Integers, Integers]
    start: tuple[Integers, Integers]
    stride: tuple[int, int]

    @classmethod
    def over(cls, windowed: Windowed, shape: Shape) -> Window:
        """Lay a window over a map."""
        size = windowed.out_size(*shape[1:])
        first, last, start = list[Integers](), list[Integers](), list[Integers]()
        for axis in (0, 1):
            stride = windowed.stride[axis]
            at = np.arange(windowed.kernel[axis]) * windowed.dilation[axis] - windowed.padding[2 * axis]
            begin = np.maximum(0, -(at // stride))
            end = np.minimum(size[axis], (shape[1 + axis] - 1 - at) // stride + 1)
            first.append(begin)
            last.append(np.maximum(begin, end))
            start.append(at)
        return cls(size, shape[2], (first[0], first[1]), (last[0], last[1]), (start[0], start[1]),
                   windowed.stride)  # fmt: skip

    @property
    def times(self) -> tuple[Integers, Integers]:
        """Outputs that have each row and each column of the window inside the map."""
        return self.last[0] - self.first[0], self.last[1] - self.first[1]

    def taps(self) -> Iterator[Tap]:
        """Places of the window that lie inside the map for some output."""
        rows, columns = ([self._along(axis, at) for at in np.flatnonzero(times).tolist()]
                         for axis, times in enumerate(self.times))  # fmt: skip
        for i, y_out, y_in in rows:
            for j, x_out, x_in in columns:
                yield Tap(i, j, (y_out[:, None] * self.size[1] + x_out).ravel(),
                          (y_in[:, None] * self.width + x_in).ravel())  # fmt: skip

    def _along(self, axis: int, at: int) -> tuple[int, Integers, Integers]:
        outputs = np.arange(self.first[axis][at], self.last[axis][at])
        return at, outputs, outputs * self.stride[axis] + self.start[axis][at]


def sizes_of(shape: Shape) -> NDArray[np.int64]:
    """How many nodes are behind each element, where that is one: ``[1, H * W]``, of no memory."""
    return np.broadcast_to(np.int64(1), (1, shape[1] * shape[2]))


def are_single(sizes: NDArray[np.int64]) -> bool:
    """Whether sizes are those of :func:`sizes_of`."""
    return sizes.strides == (0, 0)
