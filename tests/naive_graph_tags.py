"""The slow oracle of graph networks: tags of currents (§8 `currents.tags: issued`). Follow `entering`.

Written from the text on networks (cited as "§n") alone, sharing no code with the package. Issued is what the
schedule issues: on `ptb` every NTWU. A tag holds for all time points of its window; a consumer makes its own
windows of these, later by its delay, as it does of spikes. All channels of a position go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from naive_graph_trace import Map, Synapse

#: A column: position, window.
Place = tuple[int, int]


class Issued(dict[str, NDArray[np.bool_]]):
    """Of every node whose currents have tags: where they were issued, ``[C, H, W, T]``."""


class Column(Protocol):
    """What is needed of a layer of `naive_graph_cost`."""

    channels: range
    positions: int
    windows: int
    tws: int
    words: Any
    tags: Any
    awake: set[Place]

    def is_active(self, column: Place) -> bool: ...


def entering(
    layer: Column, currents: list[Synapse], issued: Issued | dict[str, Any], T: int, *, once: bool
) -> None:
    """Note the words of currents that every column takes (§3), their tags, and where these wake it (§8)."""
    for synapse in currents:
        tagged = issued.get(synapse.source)
        for p in range(layer.positions):
            taps = list(synapse.window.inside(*divmod(p, synapse.out_size[1])))
            layer.tags[p] += len(taps) if tagged is not None else 0
            for w in range(layer.windows):
                if tagged is None:
                    layer.words[p, w] += len(taps) * (1 if synapse.taken.constant and once else layer.tws)
                    continue
                times = [t - synapse.delay for t in range(w * layer.tws, min(T, (w + 1) * layer.tws))]
                for _, _, y, x in taps:
                    if any(t >= 0 and tagged[m, y, x, t] for m in layer.channels for t in times):
                        layer.words[p, w] += layer.tws
                        if synapse.taken.values.any():
                            layer.awake.add((p, w))


def known_by_value(values: Map, T: int) -> NDArray[np.bool_]:
    """Where a recorded value is not zero it must have been issued, whatever the network computes."""
    found: NDArray[np.bool_] = values.values != 0
    return np.repeat(found[..., None], T, axis=-1) if values.constant else found.copy()


def issued_of_layers(layers: Sequence[Column], every: bool, values: Map, T: int) -> NDArray[np.bool_]:
    """Where the currents of a node were issued; ``every``: by a machine that issues all NTWUs."""
    found = known_by_value(values, T)
    width = found.shape[2]
    for layer in layers:
        for p in range(layer.positions):
            for w in range(layer.windows):
                if every or layer.is_active((p, w)):
                    y, x = divmod(p, width)
                    found[layer.channels, y, x, w * layer.tws : (w + 1) * layer.tws] = True
    return found


def issued_of_slices(
    layers: Sequence[Column], every: bool, values: Map, heads: int, *, rows: bool
) -> NDArray[np.bool_]:
    """Where products were issued: a slice for each time point and head, in this order.

    Its positions are rows of the result, which are channels, or columns, which are positions.
    """
    T = values.values.shape[-1]
    found = known_by_value(values, T)
    C, _, width, _ = found.shape
    for number, layer in enumerate(layers):
        t, head = divmod(number, heads)
        first = head * (C // heads)
        for p in range(layer.positions):
            if not (every or layer.is_active((p, 0))):
                continue
            if rows:
                found[first + p, :, :, t] = True
            else:
                y, x = divmod(p, width)
                found[first : first + C // heads, y, x, t] = True
    return found
