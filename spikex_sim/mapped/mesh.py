"""Crossbars on a mesh: where each is put, and how far packets go (Section 8).

A packet goes along its row first, then along its column. External axons enter at tile (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from math import ceil, isqrt, perm
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.jit import kernel
from spikex_sim.mapped.draws import ENTRIES, NEG_LOG
from spikex_sim.mapped.graph import Integers
from spikex_sim.mapped.mapping import EXTERNAL, Mapping
from spikex_sim.mapped.swaps import swap

STEPS_PER_CROSSBAR = 10_000
MOST_ORDERS = 362_880
"""Ways to place that are all tried: nine crossbars on nine tiles."""
LARGEST_SIDE = 1 << 12


@dataclass(frozen=True, eq=False)
class Placement:
    """Crossbars of a mapping on a mesh.

    Attributes
    ----------
    mapping : Mapping
        What is placed.
    rows, cols : int
        Tiles of the mesh.
    tile : int64 array ``[crossbars]``
        Tile of each crossbar, row by row.
    """

    mapping: Mapping
    rows: int
    cols: int
    tile: Integers

    @property
    def x(self) -> Integers:
        """Column of each crossbar."""
        return self.tile % self.cols

    @property
    def y(self) -> Integers:
        """Row of each crossbar."""
        return self.tile // self.cols

    @cached_property
    def hops(self) -> int:
        """Links that packets pass, each on its own: sum of packets times distance."""
        source, target, packets = flows(self.mapping)
        x, y = np.append(self.x, 0), np.append(self.y, 0)  # the last is tile (0, 0)
        far = np.abs(x[source] - x[target]) + np.abs(y[source] - y[target])
        return int((packets * far).sum())

    @cached_property
    def loads(self) -> tuple[Integers, Integers]:
        """Packets over each link: along rows ``[rows, cols - 1]`` and columns ``[rows - 1, cols]``.

        Both directions of a link together, each packet on its own.
        """
        source, target, packets = flows(self.mapping)
        x, y = np.append(self.x, 0), np.append(self.y, 0)
        along = np.zeros((self.rows, max(0, self.cols - 1)), np.int64)
        down = np.zeros((max(0, self.rows - 1), self.cols), np.int64)
        for a, b, number in zip(source.tolist(), target.tolist(), packets.tolist(), strict=True):
            first, last = sorted((int(x[a]), int(x[b])))
            along[y[a], first:last] += number
            first, last = sorted((int(y[a]), int(y[b])))
            down[first:last, x[b]] += number
        return along, down

    @cached_property
    def multicast_hops(self) -> int:
        """Links that packets pass if one for several crossbars passes each link of their paths once."""
        graph = self.mapping.graph
        node, crossbar = self.mapping.flows
        homes = np.concatenate([self.mapping.home, np.full(graph.external, self.mapping.crossbars)])
        x, y = np.append(self.x, 0), np.append(self.y, 0)
        order = np.argsort(node, kind="stable")
        start, end, packets = self.mapping.sums
        total = int((packets * (np.abs(x[start] - x[end]) + np.abs(y[start] - y[end]))).sum())
        links, before = set[tuple[int, int, int]](), -1
        for at in order.tolist():
            k, j = int(node[at]), int(crossbar[at])
            if k != before:
                total += len(links) * int(graph.spikes[before]) if before >= 0 else 0
                links, before = set(), k
            a = int(homes[k])
            first, last = sorted((int(x[a]), int(x[j])))
            links.update((0, int(y[a]), at_x) for at_x in range(first, last))
            first, last = sorted((int(y[a]), int(y[j])))
            links.update((1, at_y, int(x[j])) for at_y in range(first, last))
        return total + (len(links) * int(graph.spikes[before]) if before >= 0 else 0)

    @property
    def metrics(self) -> dict[str, Any]:
        """What results say of it."""
        along, down = self.loads
        return {
            "mesh": [self.rows, self.cols],
            "hops": self.hops,
            "hops_multicast": self.multicast_hops,
            "packets_busiest_link": int(max(along.max(initial=0), down.max(initial=0))),
        }


def flows(mapping: Mapping) -> tuple[Integers, Integers, Integers]:
    """Packets between crossbars: source, target and number; external axons come from ``crossbars``.

    Sums of parts of split neurons are packets, too.
    """
    graph, (node, crossbar) = mapping.graph, mapping.flows
    homes = np.concatenate([mapping.home, np.full(graph.external, EXTERNAL)])
    source = np.where(homes[node] == EXTERNAL, mapping.crossbars, homes[node])
    away = source != crossbar
    start, end, sums = mapping.sums
    key = np.concatenate([source[away], start]) * (mapping.crossbars + 1) + np.concatenate(
        [crossbar[away], end]
    )
    pair, place = np.unique(key, return_inverse=True)
    packets = np.zeros(len(pair), np.int64)
    np.add.at(packets, place.reshape(-1), np.concatenate([graph.spikes[node[away]], sums]))
    return pair // (mapping.crossbars + 1), pair % (mapping.crossbars + 1), packets


def mesh_of(crossbars: int, given: str = "auto") -> tuple[int, int]:
    """Rows and columns of a mesh.

    Raises
    ------
    ConfigError
        If the mesh is none, or too small.
    """
    if given == "auto":
        cols = isqrt(crossbars - 1) + 1
        return ceil(crossbars / cols), cols
    parts = given.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ConfigError(f"wants auto or ROWSxCOLS, not {given!r:.40}", field="--mesh")
    rows, cols = (int(part[:9]) for part in parts)
    if not 1 <= rows <= LARGEST_SIDE or not 1 <= cols <= LARGEST_SIDE:
        raise ConfigError(f"wants sides of 1 to {LARGEST_SIDE:,}", field="--mesh")
    if rows * cols < crossbars:
        raise ConfigError(f"{rows}x{cols} tiles are fewer than {crossbars:,} crossbars", field="--mesh")
    return rows, cols


def in_order(mapping: Mapping, rows: int, cols: int) -> Placement:
    """Crossbars row by row, in their order."""
    return Placement(mapping, rows, cols, np.arange(mapping.crossbars))


def place(mapping: Mapping, rows: int, cols: int, *, seed: int = 1) -> Placement:
    """Make the hops few: of few crossbars the least of all, else by swaps that are annealed.

    Parameters
    ----------
    mapping : Mapping
        What is placed.
    rows, cols : int
        Mesh.
    seed : int
        Of the swaps.
    """
    start = in_order(mapping, rows, cols)
    source, target, packets = flows(mapping)
    if perm(rows * cols, mapping.crossbars) <= MOST_ORDERS:
        orders = np.array(list(permutations(range(rows * cols), mapping.crossbars)), np.int64)
        best = _best_order(orders.reshape(-1, mapping.crossbars), source, target, packets, cols)
        return Placement(mapping, rows, cols, orders[best])
    # a rise takes a look at each neighbour, or at each row and column: whichever is less
    by_line = 2 * len(packets) > mapping.crossbars * (rows + cols)
    found = replace(start, tile=swapped(start, seed, by_line=by_line))
    return found if found.hops < start.hops else start


def swapped(start: Placement, seed: int, *, by_line: bool) -> Integers:
    """Tiles of the crossbars after annealed swaps, the same either way.

    Parameters
    ----------
    start : Placement
        Where they are before.
    seed : int
        Of the swaps.
    by_line : bool
        What a swap adds is summed over rows and columns of the mesh rather than over neighbours.
    """
    mapping = start.mapping
    source, target, packets = flows(mapping)
    both = np.concatenate([source, target]), np.concatenate([target, source])
    order = np.lexsort((both[1], both[0]))
    starts = np.concatenate([[0], np.cumsum(np.bincount(both[0], minlength=mapping.crossbars + 1))])
    first = max(1.0, 2.0 * float(packets.sum()) / mapping.crossbars)
    temperatures = np.array([round(first * 1000 ** (-at / (ENTRIES - 1)), 9) for at in range(ENTRIES)])
    return swap(
        start.tile, start.rows * start.cols, start.cols, starts.astype(np.int64), both[1][order],
        np.concatenate([packets, packets])[order], STEPS_PER_CROSSBAR * mapping.crossbars, temperatures,
        NEG_LOG, seed, by_line,
    )  # fmt: skip


@kernel
def _best_order(orders: Integers, source: Integers, target: Integers, packets: Integers, cols: int) -> int:
    """The first of the placements with the fewest hops."""
    best, least = 0, np.int64(-1)
    crossbars = orders.shape[1]
    for at in range(len(orders)):
        hops = np.int64(0)
        for flow in range(len(packets)):
            a = orders[at, source[flow]] if source[flow] < crossbars else 0
            b = orders[at, target[flow]]
            hops += packets[flow] * (abs(a % cols - b % cols) + abs(a // cols - b // cols))
        if least < 0 or hops < least:
            best, least = at, hops
    return best
