"""Annealed swaps of crossbars on a mesh (Section 8)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.mapped.draws import first_state, next_state
from spikex_sim.mapped.graph import Integers


@kernel
def swap(
    given: Integers, tiles: int, cols: int, starts: Integers, others: Integers, packets: Integers, steps: int,
    temperatures: NDArray[np.float64], neg_log: NDArray[np.float64], seed: int, by_line: bool,
) -> Integers:  # fmt: skip
    """Anneal swaps of crossbars on a mesh, or moves to free tiles; tiles of the best state met.

    Parameters
    ----------
    given : int64 array ``[crossbars]``
        Tiles before; a flow of crossbar ``crossbars`` is one with tile 0.
    tiles, cols : int
        Size of the mesh.
    starts, others, packets : int64 array
        Flows of crossbar ``j`` are ``others[starts[j] : starts[j + 1]]``, in order, and their packets.
    steps : int
        Swaps proposed.
    temperatures, neg_log : float64 array
        One after the other over all steps; -ln u by the low bits of a draw.
    seed : int
        Of the draws.
    by_line : bool
        How a rise is computed; it changes none.
    """
    crossbars = len(given)
    rows = (tiles + cols - 1) // cols
    tile = np.append(given, np.int64(0))  # the last is where external axons enter
    held = np.full(tiles, -1, np.int64)
    for j in range(crossbars):
        held[tile[j]] = j
    lines = _lines(tile, rows, cols, starts, others, packets, by_line)
    best = tile.copy()
    change = lowest = np.int64(0)
    state = first_state(seed)
    for step in range(steps):
        state = next_state(state)
        a: Any = np.int64((state >> np.uint64(40)) % np.uint64(crossbars))
        to = np.int64((state >> np.uint64(12) & np.uint64(0xFFFFFFF)) % np.uint64(tiles))
        was = tile[a]
        if to == was:
            continue
        b = held[to]
        if by_line:
            rise = _rise_by_line(lines[a], was, to, cols)
            if b >= 0:  # each as if the other stayed, but their distance does
                between = _between(a, b, starts, others, packets)
                rise += _rise_by_line(lines[b], to, was, cols) + 2 * between * _distance(was, to, cols)
        else:
            rise = _rise(a, b, was, to, tile, cols, starts, others, packets)
            if b >= 0:
                rise += _rise(b, a, to, was, tile, cols, starts, others, packets)
        chance = neg_log[np.int64(state & np.uint64(4095))]
        if rise > 0 and rise > temperatures[step * len(temperatures) // steps] * chance:
            continue
        tile[a], held[to], held[was] = to, a, b
        if b >= 0:
            tile[b] = was
        _follow(lines, a, was, to, cols, starts, others, packets)
        if b >= 0:
            _follow(lines, b, to, was, cols, starts, others, packets)
        change += rise
        if change < lowest:
            lowest = change
            best[:] = tile
    return best[:crossbars]


@kernel
def _lines(
    tile: Integers, rows: int, cols: int, starts: Integers, others: Integers, packets: Integers, by_line: bool
) -> Integers:
    """What each crossbar exchanges with each column and each row of the mesh; nothing if not asked for."""
    crossbars = len(starts) - 2 if by_line else 0
    lines = np.zeros((crossbars, cols + rows), np.int64)
    for j in range(crossbars):
        for at in range(starts[j], starts[j + 1]):
            if others[at] != j:
                there = tile[others[at]]
                lines[j, there % cols] += packets[at]
                lines[j, cols + there // cols] += packets[at]
    return lines


@kernel
def _between(a: Any, b: Any, starts: Integers, others: Integers, packets: Integers) -> Any:
    """Packets that two crossbars exchange; neighbours are in order."""
    found: Any = np.int64(0)
    at = starts[a] + np.searchsorted(others[starts[a] : starts[a + 1]], b)
    while at < starts[a + 1] and others[at] == b:
        found += packets[at]
        at += 1
    return found


@kernel
def _distance(tile: Any, other: Any, cols: int) -> Any:
    return abs(tile % cols - other % cols) + abs(tile // cols - other // cols)


@kernel
def _rise(
    moved: Any, swapped: Any, was: Any, to: Any, tile: Integers, cols: int, starts: Integers,
    others: Integers, packets: Integers,
) -> Any:  # fmt: skip
    """Hops that a move adds, from every flow of the crossbar but that with the one it is swapped with."""
    rise: Any = np.int64(0)
    for at in range(starts[moved], starts[moved + 1]):
        other = others[at]
        if other not in (moved, swapped):
            rise += packets[at] * (_distance(to, tile[other], cols) - _distance(was, tile[other], cols))
    return rise


@kernel
def _rise_by_line(line: Integers, was: Any, to: Any, cols: int) -> Any:
    """Hops that a move adds, from what the crossbar exchanges with each column and row."""
    rise: Any = np.int64(0)
    to_x, was_x, to_y, was_y = to % cols, was % cols, to // cols, was // cols
    for x in range(cols):
        rise += line[x] * (abs(to_x - x) - abs(was_x - x))
    for y in range(len(line) - cols):
        rise += line[cols + y] * (abs(to_y - y) - abs(was_y - y))
    return rise


@kernel
def _follow(
    lines: Integers, moved: Any, was: Any, to: Any, cols: int, starts: Integers, others: Integers,
    packets: Integers,
) -> None:  # fmt: skip
    """Note at all neighbours where a crossbar went, if rises are counted by line."""
    if len(lines) == 0:
        return
    for at in range(starts[moved], starts[moved + 1]):
        other = others[at]
        if other not in (moved, len(lines)):
            lines[other, was % cols] -= packets[at]
            lines[other, to % cols] += packets[at]
            lines[other, cols + was // cols] -= packets[at]
            lines[other, cols + to // cols] += packets[at]
