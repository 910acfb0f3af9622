"""Kernels of crossbars of a mapping; apart from what they are given by, so that they are seldom compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.events import Events
from spikex_sim.core.jit import kernel

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]


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
    links: Indices
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


@kernel
def integrate(
    events: Events,
    pixels: int,
    timesteps: int,
    first: Integers,
    column: Indices,
    place: Indices,
    weight: NDArray[Any],
    sums: NDArray[np.int32],
) -> int:
    """Add the weight of every cell in the row of a spike to its column."""
    additions = 0
    for pixel in range(pixels):
        for t in range(timesteps):
            word = pixel * timesteps + t
            for event in range(events.first[word], events.first[word + 1]):
                row = events.channel[event] * pixels + pixel
                for cell in range(first[row], first[row + 1]):
                    sums[t, column[cell]] += weight[place[cell]]
                additions += first[row + 1] - first[row]
    return additions


@kernel
def ways(source: Integers, goal: Integers, rows: int, cols: int, start: Integers) -> Indices:
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


@kernel
def active_of(starts: Integers, items: Integers, spikes: NDArray[np.uint8]) -> Integers:
    """Axons of each crossbar that spike ``[crossbars, T]``."""
    found = np.zeros((len(starts) - 1, spikes.shape[1]), np.int64)
    for j in range(len(starts) - 1):
        for at in range(starts[j], starts[j + 1]):
            for t in range(spikes.shape[1]):
                found[j, t] += spikes[items[at], t]
    return found


@kernel
def any_of(starts: Integers, items: Integers, spikes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Whether some of a list spikes ``[lists, T]``."""
    found = np.zeros((len(starts) - 1, spikes.shape[1]), np.uint8)
    for j in range(len(starts) - 1):
        for at in range(starts[j], starts[j + 1]):
            for t in range(spikes.shape[1]):
                found[j, t] |= spikes[items[at], t]
    return found
