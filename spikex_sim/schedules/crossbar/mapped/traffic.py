"""Packets on the mesh: which links each passes, and what a time point takes at least."""

from __future__ import annotations

import numpy as np

from spikex_sim.mapped.graph import Integers
from spikex_sim.mapped.homes import Homes
from spikex_sim.schedules.crossbar.mapped.kernels import Routes, ways


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
    links = ways(source, goal, homes.rows, homes.cols, start)
    senders = graph.nodes + homes.parts
    found = Routes(_starts(sender, senders), target, start, links, hops, number)
    return _together(found) if multicast else found


def _together(routes: Routes) -> Routes:
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
