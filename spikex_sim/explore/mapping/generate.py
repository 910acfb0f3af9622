"""Networks drawn by their properties: look-alikes of those of the ILP paper (Section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import NamedTuple

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of
from spikex_sim.core.memory import check_memory
from spikex_sim.explore.mapping.wire import wired_at_random
from spikex_sim.mapped.graph import MOST_EDGES, MOST_NODES, Integers, NeuronGraph

PREFIX = "gen:"
WHERE = "gen"
TOLERANCE = 0.002
"""Most that a Gini index may be off."""
WITHIN = 0.0004
"""What is aimed at; ranks are whole numbers, so that small networks may miss it."""
NONZERO_GINI = 0.33
"""Gini index among the degrees that are not 0, from which follows how many are: 0.31 to 0.36 in the
look-alikes' own files."""
MOST_TRIES = 400
"""Steps that did not help, for each node, before a sequence of degrees is given up."""
BYTES_AN_EDGE = 400


class Properties(NamedTuple):
    """What a network is drawn by.

    Attributes
    ----------
    nodes, edges, fanin : int
        Nodes, synapses and largest fan-in, all exact.
    gini_in, gini_out : float
        Gini indices of fan-in and fan-out, within :data:`TOLERANCE`.
    """

    nodes: int
    edges: int
    fanin: int
    gini_in: float
    gini_out: float


NETWORKS = {
    "A": Properties(229, 464, 11, 0.6889, 0.6764),
    "B": Properties(257, 464, 10, 0.6411, 0.6304),
    "C": Properties(148, 487, 15, 0.5744, 0.6067),
    "D": Properties(253, 499, 13, 0.6431, 0.6541),
    "E": Properties(150, 446, 11, 0.5876, 0.6229),
}
"""Table I of the ILP paper (heterogeneous crossbars); its sparsity index is the Gini index."""


def generated(source: str) -> NeuronGraph:
    """Draw the network that a text describes; the same text gives the same network.

    Parameters
    ----------
    source : str
        ``gen:A`` to ``gen:E``, ``gen:A:SEED``, or ``gen:`` with all of ``nodes=``, ``edges=``, ``fanin=``,
        ``gini_in=`` and ``gini_out=``, separated by commas, and ``seed=``. The seed is 1 where none is given.

    Raises
    ------
    ConfigError
        If the text is none of these, or no such network is found.
    """
    text = source.removeprefix(PREFIX)
    if "=" in text:
        wanted, seed = _stated(text)
        return draw(wanted, seed, f"gen-{wanted.nodes}-{wanted.edges}-{seed}")
    name, _, number = text.partition(":")
    if name not in NETWORKS:
        raise ConfigError(f"{one_of(name, NETWORKS)}; or state nodes=,edges=,fanin=,gini_in=,gini_out=",
                          where=WHERE)  # fmt: skip
    seed = _whole(number, "seed", 0, 1 << 32) if number or ":" in text else 1
    return draw(NETWORKS[name], seed, f"{name}-{seed}")


def draw(wanted: Properties, seed: int, name: str = "generated") -> NeuronGraph:
    """Draw a network without self-loops.

    Degrees are drawn first: some are 0, the others 1 and a share of the rest; single connections then move
    from node to node until the Gini index is as wanted. Ends are paired at random.

    Raises
    ------
    ConfigError
        If none is found, naming what comes nearest.
    """
    check_memory(BYTES_AN_EDGE * (wanted.edges + wanted.nodes), "the network", where=WHERE)
    nodes, edges, fanin = wanted.nodes, wanted.edges, wanted.fanin
    if not fanin <= edges <= nodes * fanin or fanin > nodes - 1:
        raise ConfigError(f"{nodes} nodes with up to {fanin} inputs from others cannot have {edges} edges",
                          where=WHERE, field="edges")  # fmt: skip
    rng = np.random.default_rng(seed)
    into = _degrees(nodes, edges, fanin, wanted.gini_in, rng, "gini_in", exact=True)
    out = _degrees(nodes, edges, min(nodes - 1, edges), wanted.gini_out, rng, "gini_out", exact=False)
    pairs = wired_at_random(rng.permutation(out), rng.permutation(into), rng)
    if pairs is None:
        raise ConfigError("no network has these degrees; another seed draws others", where=WHERE)
    return NeuronGraph.of(name, nodes, 0, pairs)


def gini(degrees: Integers) -> float:
    """Gini index of degrees: ``sum((2 i - n - 1) d_(i)) / (n sum(d))``, ``d_(i)`` ascending; 0 of nothing."""
    ordered = np.sort(degrees)
    total = int(ordered.sum())
    n = len(ordered)
    ranks = 2 * np.arange(1, n + 1) - n - 1
    return float((ranks * ordered).sum() / (n * total)) if total else 0.0


def _stated(text: str) -> tuple[Properties, int]:
    known = (*Properties._fields, "seed")
    given: dict[str, str] = {}
    for part in text.split(","):
        key, _, value = part.strip().partition("=")
        if key not in known:
            raise ConfigError(one_of(key, known), where=WHERE)
        if key in given:
            raise ConfigError("comes twice", where=WHERE, field=key)
        given[key] = value
    for key in Properties._fields:
        if key not in given:
            raise ConfigError("is missing", where=WHERE, field=key)
    nodes = _whole(given["nodes"], "nodes", 2, MOST_NODES)
    edges = _whole(given["edges"], "edges", 1, MOST_EDGES)
    fanin = _whole(given["fanin"], "fanin", 1, MOST_NODES)
    seed = _whole(given.get("seed", "1"), "seed", 0, 1 << 32)
    return Properties(
        nodes, edges, fanin, *(_share(given[key], key) for key in ("gini_in", "gini_out"))
    ), seed


def _whole(text: str, field: str, least: int, most: int) -> int:
    fits = text.isascii() and text.isdecimal() and len(text) < 20
    if not fits or not least <= int(text) <= most:
        raise ConfigError(f"wants a whole number from {least:,} to {most:,}, not {text!r:.40}",
                          where=WHERE, field=field)  # fmt: skip
    return int(text)


def _share(text: str, field: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = inf
    if not isfinite(value) or not 0 <= value < 1:
        raise ConfigError(f"wants a number from 0 up to 1, not {text!r:.40}", where=WHERE, field=field)
    return value


def _degrees(
    nodes: int, total: int, most: int, wanted: float, rng: np.random.Generator, field: str, *, exact: bool
) -> Integers:
    """Degrees of a sum and a Gini index, none above ``most``; where that is exact, one of them is it."""
    held = most if exact else 0  # that of one node, which takes no part in what moves
    first = _first_degrees(nodes - exact, total - held, most, wanted, rng)
    found = _Degrees(first, most, held if exact else None)
    tries = 0
    best = abs(found.gini - wanted)
    while best > WITHIN and tries < MOST_TRIES * min(nodes, 1 << 12):
        more = found.gini < wanted
        a, b = found.pick(rng), found.pick(rng)
        a, b = (min(a, b), max(a, b)) if more else (max(a, b), min(a, b))
        tries += 1
        if found.moves(a, b) and abs(found.after(a, b) - wanted) < best:
            found.move(a, b)
            best = abs(found.gini - wanted)
            tries = 0
    if best > TOLERANCE:
        raise ConfigError(f"no degrees of Gini index {wanted:g} are found; {found.gini:.4f} comes nearest",
                          where=WHERE, field=field)  # fmt: skip
    return found.sequence()


def _first_degrees(nodes: int, total: int, most: int, wanted: float, rng: np.random.Generator) -> Integers:
    """Degrees of a sum, about as unequal as wanted."""
    least = -(-total // most)
    share = max(0.0, (wanted - NONZERO_GINI) / (1 - NONZERO_GINI))
    some = int(np.clip(round(nodes * (1 - share)), least, min(nodes, total)))
    found = np.zeros(nodes, np.int64)
    found[:some] = 1
    left = total - some
    weights = rng.gamma(2.0, size=some)
    while left > 0:
        room = found[:some] < most
        found[:some] += rng.multinomial(left, np.where(room, weights, 0) / weights[room].sum())
        left = int(np.maximum(found - most, 0).sum())
        found = np.minimum(found, most)
    return found


class _Degrees:
    """How many nodes have each degree; their Gini index, kept while connections move."""

    def __init__(self, degrees: Integers, most: int, held: int | None) -> None:
        self.values = [*degrees.tolist()]
        self.most, self.held = most, held
        everyone = self.values if held is None else [*self.values, held]
        self.nodes: int = len(everyone)
        self.total: int = sum(everyone)
        self.count = np.bincount(np.array(everyone, np.int64), minlength=most + 2)
        self.places: dict[int, list[int]] = {}
        for place, value in enumerate(self.values):
            self.places.setdefault(value, []).append(place)
        ordered = np.sort(np.array(everyone, np.int64))
        self.spread: int = int(((2 * np.arange(1, self.nodes + 1) - self.nodes - 1) * ordered).sum())

    @property
    def gini(self) -> float:
        """Gini index now."""
        return self.spread / (self.nodes * self.total)

    def pick(self, rng: np.random.Generator) -> int:
        """Degree of some node."""
        found: int = self.values[int(rng.integers(len(self.values)))]
        return found

    def moves(self, a: int, b: int) -> bool:
        """Whether a node of degree ``a`` can give a connection to another of degree ``b``."""
        two = a != b or len(self.places[a]) > 1
        return two and a > 0 and b < self.most

    def after(self, a: int, b: int) -> float:
        """Gini index once it has: the differences to all other nodes grow or shrink by 1."""
        count = self.count
        down = int(count[a:].sum()) - 1 - int(count[:a].sum())
        count[a] -= 1
        count[a - 1] += 1
        up = int(count[: b + 1].sum()) - 1 - int(count[b + 1 :].sum())
        count[a] += 1
        count[a - 1] -= 1
        return (self.spread + down + up) / (self.nodes * self.total)

    def move(self, a: int, b: int) -> None:
        """Move a connection."""
        self.spread = round(self.after(a, b) * self.nodes * self.total)
        giver = self.places[a].pop()
        taker = self.places[b].pop()
        for place, old, new in ((giver, a, a - 1), (taker, b, b + 1)):
            self.values[place] = new
            self.places.setdefault(new, []).append(place)
            self.count[old] -= 1
            self.count[new] += 1

    def sequence(self) -> Integers:
        """All degrees."""
        last: Sequence[int] = () if self.held is None else (self.held,)
        return np.array([*self.values, *last], np.int64)
