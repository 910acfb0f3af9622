"""Places of sources in the windows of layers, at which sums may be cut (Section 1, split)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikex_sim.mapped.graph import Integers
from spikex_sim.mapped.sets import Sets, Window
from spikex_sim.spec.graph import Shape

_NOWHERE = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Taking:
    """What a synapse of a layer takes, whatever its weights.

    Attributes
    ----------
    sets : Sets
        Map that its windows lie over.
    window : Window or None
        None where every neuron takes the whole map.
    groups : int
        Groups of channels that see each other.
    cuts : bool
        Whether what a neuron takes is added, and not united.
    """

    sets: Sets
    window: Window | None
    groups: int
    cuts: bool

    @property
    def places(self) -> int:
        """Places of a window: its elements ``(c, a, b)`` in C order, inside the map or not.

        An element that is a sum has as many as the largest of its map; a union is never cut.
        """
        if not self.cuts:
            return 1
        channels, height, width = self.sets.shape
        kernel = height * width if self.window is None else prod(map(len, self.window.first))
        return channels // self.groups * kernel * self._depth

    @property
    def _depth(self) -> int:
        return self.sets.depth if self.sets.adds else 1

    def find(self, shape: Shape, neuron: Integers, source: Integers, nodes: int) -> Integers:
        """Place of each source in the window of a neuron; the first of several, a huge number for none.

        Parameters
        ----------
        shape : tuple of int
            Of the layer, ``(M, H, W)``.
        neuron, source : int64 array
            Neurons of the layer, numbered from 0, and nodes.
        nodes : int
            Of the network.
        """
        positions = shape[1] * shape[2]
        m, position = np.divmod(neuron, positions)
        view = m // (shape[0] // self.groups) * positions + position  # neurons of one view see the same
        seen = np.zeros(self.groups * positions, np.bool_)
        seen[view] = True
        keys, places = self._table(seen, positions, nodes)
        wanted = view * nodes + source
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, places[at], _NOWHERE)

    def _table(self, seen: NDArray[np.bool_], positions: int, nodes: int) -> tuple[Integers, Integers]:
        """Sources by view and number, ascending, and their first places."""
        keys, places = [np.full(1, -1)], [np.zeros(1, np.int64)]
        for views, elements, first in self._elements(positions):
            kept = seen[views]
            view, place = views[kept], first[kept]
            which, node = self.sets.behind(elements[kept])
            if which is not None:
                rank = np.arange(len(which)) - np.searchsorted(which, which)
                view, place = view[which], place[which] * self._depth + (rank if self.sets.adds else 0)
            keys.append(view * nodes + node)
            places.append(place if self.cuts else np.zeros(len(node), np.int64))
        key, place = np.concatenate(keys), np.concatenate(places)
        order = np.lexsort((place, key))
        key, place = key[order], place[order]
        is_first = np.concatenate([[True], key[1:] != key[:-1]])
        return key[is_first], place[is_first]

    def _elements(self, positions: int) -> Iterator[tuple[Integers, Integers, Integers]]:
        """Views, the elements in them and the places of these, place by place of the kernel."""
        channels, height, width = self.sets.shape
        if self.window is None:
            element = np.arange(channels * height * width)
            yield np.zeros_like(element), element, element
            return
        group, channel = np.divmod(np.arange(channels), channels // self.groups)
        rows, columns = map(len, self.window.first)
        for tap in self.window.taps():
            view = group[:, None] * positions + tap.outputs
            element = np.arange(channels)[:, None] * (height * width) + tap.inputs
            place = np.repeat((channel * rows + tap.i) * columns + tap.j, len(tap.outputs))
            yield view.ravel(), element.ravel(), place


def places_of(
    takings: Sequence[Taking], shape: Shape, neuron: Integers, source: Integers, nodes: int
) -> tuple[Integers, int]:
    """Place of each source in the windows of a layer's synapses, one behind the other, and their number.

    Of several places the first counts. See :meth:`Taking.find`.
    """
    found, before = np.full(len(neuron), _NOWHERE), 0
    for one in takings:
        place = one.find(shape, neuron, source, nodes)
        found = np.where((found == _NOWHERE) & (place < _NOWHERE), place + before, found)
        before += one.places
    assert (found < _NOWHERE).all()  # synapses come of these windows
    return found, before
