"""Packets on the mesh: which links each passes, and what a time point takes at least."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.explore.mapping.graph import Integers
from spikex_sim.explore.mapping.homes import Homes

Links = NDArray[np.int32]


class Routes(NamedTuple):
    """Routes of packets, those of the same sender next to each other.

    Attributes
    ----------
    first : int64 array ``[senders + 1]``
        First route of each sender: the nodes of the network, then the further parts of split neurons, which
        send partial sums.
    crossbar : int64 array ``[routes]``
        Crossbar that a packet goes to; under multicast the first of them.
    start : int64 array ``[routes + 1]``
        First link of each route.
    links : int32 array
        Links that a packet passes: those along rows first, row by row, then those along columns.
    farthest : int64 array ``[routes]``
        Most links to one crossbar.
    number : int
        Links of the mesh.
    """

    first: Integers
    crossbar: Integers
    start: Integers
    links: Links
    farthest: Integers
    number: int


class Moved(NamedTuple):
    """What moved, by crossbar that packets go to, and how long it took at least.

    Attributes
    ----------
    packets, hops : int64 array ``[crossbars]``
        Packets, and links that they passed.
    cycles : int64 array ``[crossbars]``
        Share in the cycles of the mesh: packets on the busiest link of a time point, and the longest way.
    """

    packets: Integers
    hops: Integers
    cycles: Integers


def routes_of(homes: Homes, *, multicast: bool) -> Routes:
    """Routes between tiles that differ; external axons come from tile 0, the corner.

    Parameters
    ----------
    homes : Homes
        The mapping, placed.
    multicast : bool
        A packet to several crossbars passes each link of its paths once.
    """
    graph, axons = homes.graph, homes.axons
    crossbar = np.repeat(np.arange(homes.crossbars), np.diff(axons.starts))
    tile_of = np.concatenate([homes.tile[homes.home[: graph.neurons]], np.zeros(graph.external, np.int64)])
    parts = np.arange(homes.parts)
    sender = np.concatenate([axons.items, graph.nodes + parts])
    target = np.concatenate([crossbar, homes.home[homes.neuron[graph.neurons :]]])
    source = np.concatenate([tile_of[axons.items], homes.tile[homes.home[graph.neurons :]]])
    goal = homes.tile[target]
    away = source != goal
    order = np.lexsort((target[away], sender[away]))
    sender, target, source, goal = (one[away][order] for one in (sender, target, source, goal))
    hops = abs(source % homes.cols - goal % homes.cols) + abs(source // homes.cols - goal // homes.cols)
    start = np.concatenate([[0], np.cumsum(hops)]).astype(np.int64)
    number = homes.rows * (homes.cols - 1) + (homes.rows - 1) * homes.cols
    links = _ways(source, goal, homes.rows, homes.cols, start)
    senders = graph.nodes + homes.parts
    found = Routes(_starts(sender, senders), target, start, links, hops, number)
    return _together(found, graph.nodes) if multicast else found


def _together(routes: Routes, nodes: int) -> Routes:
    """One route for each sender with all links of its paths; partial sums go to one crossbar anyway."""
    some = np.flatnonzero(np.diff(routes.first))
    sender = np.repeat(np.repeat(np.arange(len(routes.first) - 1), np.diff(routes.first)),
                       np.diff(routes.start))  # fmt: skip
    key = np.unique(sender * max(1, routes.number) + routes.links)
    sizes = np.bincount(key // max(1, routes.number), minlength=len(routes.first) - 1)[some]
    starts = routes.first[some]
    return Routes(
        _starts(some, len(routes.first) - 1), routes.crossbar[starts],
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        (key % max(1, routes.number)).astype(np.int32),
        np.maximum.reduceat(routes.farthest, starts) if len(starts) else routes.farthest, routes.number,
    )  # fmt: skip


def _starts(sender: Integers, senders: int) -> Integers:
    return np.concatenate([[0], np.cumsum(np.bincount(sender, minlength=senders))]).astype(np.int64)


@kernel
def _ways(source: Integers, goal: Integers, rows: int, cols: int, start: Integers) -> Links:
    """Links of every route: along the row of its source, then along the column of its goal."""
    links = np.empty(start[-1], np.int32)
    for route in range(len(source)):
        x, y = source[route] % cols, source[route] // cols
        to_x, to_y = goal[route] % cols, goal[route] // cols
        at = start[route]
        for step in range(min(x, to_x), max(x, to_x)):
            links[at] = y * (cols - 1) + step
            at += 1
        for step in range(min(y, to_y), max(y, to_y)):
            links[at] = rows * (cols - 1) + step * cols + to_x
            at += 1
    return links


@kernel
def move(routes: Routes, sends: NDArray[np.uint8], crossbars: int) -> Moved:
    """Send what was sent ``[senders, T]``.

    A time point takes as long as the packets of its busiest link, one a cycle, both ways together, and the
    longest way: a lower bound, as packets do not wait for each other. Of equal links and ways the first
    counts.
    """
    packets, hops, cycles = np.zeros((3, crossbars), np.int64)
    load = np.zeros(routes.number, np.int64)
    at_busiest = np.zeros(crossbars, np.int64)
    for t in range(sends.shape[1]):
        load[:] = 0
        longest, where = 0, 0
        for sender in range(len(sends)):
            if not sends[sender, t]:
                continue
            for route in range(routes.first[sender], routes.first[sender + 1]):
                target = routes.crossbar[route]
                packets[target] += 1
                hops[target] += routes.start[route + 1] - routes.start[route]
                if routes.farthest[route] > longest:
                    longest, where = routes.farthest[route], target
                for link in range(routes.start[route], routes.start[route + 1]):
                    load[routes.links[link]] += 1
        if longest == 0:
            continue
        cycles[where] += longest
        busiest = np.argmax(load)
        for sender in range(len(sends)):
            if not sends[sender, t]:
                continue
            for route in range(routes.first[sender], routes.first[sender + 1]):
                for link in range(routes.start[route], routes.start[route + 1]):
                    if routes.links[link] == busiest:
                        cycles[routes.crossbar[route]] += 1
    return Moved(packets, hops, cycles)
