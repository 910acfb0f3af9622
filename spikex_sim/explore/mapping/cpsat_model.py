"""The pool form of Section 3, as CP-SAT takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.pool import Pool

MOST_ORDERED = 40
"""Neurons up to which copies of a type are ordered by their first neurons, not by use alone."""


@dataclass(frozen=True)
class Copies:
    """Crossbars of each type in a model.

    Attributes
    ----------
    each : tuple of int
        Of each type of the pool.
    complete : bool
        Whether no mapping that counts has more of a type.
    """

    each: tuple[int, ...]
    complete: bool


def copies_of(
    graph: NeuronGraph, pool: Pool, known: Mapping | None, area: int | None, *, complete: bool
) -> Copies:
    """Choose how many crossbars of each type a model has.

    Complete are ``min(count, floor(area / C))``, and one for each neuron. Otherwise, as many as the known
    mapping uses and half as many again, but at least two.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What is mapped, where to.
    known : Mapping or None
        In the same pool.
    area : int or None
        Largest area of mappings that count.
    complete : bool
        Whether to have them all.
    """
    most = [graph.neurons if one.count is None else min(one.count, graph.neurons) for one in pool.types]
    if area is not None:
        most = [min(m, area // one.cost) if one.cost else m for m, one in zip(most, pool.types, strict=True)]
    if known is None or complete:
        return Copies(tuple(most), complete=True)
    used = np.bincount(known.kinds, minlength=len(pool.types)).tolist()
    each = tuple(min(m, use + max(2, (use + 1) // 2)) for m, use in zip(most, used, strict=True))
    return Copies(each, complete=list(each) == most)


class Model:
    """Variables and constraints: ``x_ij`` (3), (4); ``s_kj`` (6), (7); ``y_j`` (8).

    Sources with the same targets share their ``s_kj``; one with a single target ``i`` has ``x_ij`` for it.

    Parameters
    ----------
    cp_model : module
        Of OR-Tools.
    graph, pool : NeuronGraph, Pool
        What is mapped, where to.
    copies : tuple of int
        Crossbars of each type.
    """

    def __init__(self, cp_model: Any, graph: NeuronGraph, pool: Pool, copies: tuple[int, ...]) -> None:
        self.model = cp_model.CpModel()
        self._graph, self._pool = graph, pool
        self._kinds = [kind for kind, number in enumerate(copies) for _ in range(number)]
        crossbars = range(len(self._kinds))
        self._x = [[self.model.new_bool_var("") for _ in crossbars] for _ in range(graph.neurons)]
        self._y = [self.model.new_bool_var("") for _ in crossbars]
        self._groups: dict[tuple[int, ...], list[int]] = {}
        for k in range(graph.nodes):
            targets = tuple(graph.targets.of(k).tolist())
            if targets:
                self._groups.setdefault(targets, []).append(k)
        self._g: list[tuple[int, tuple[int, ...], list[Any]]] = []
        self._s = {targets: self._axon(targets) for targets in self._groups}
        for row in self._x:
            self.model.add_exactly_one(row)
        for j in crossbars:
            self._crossbar(j)
        self._order()

    def _axon(self, targets: tuple[int, ...]) -> list[Any]:
        """``s_kj`` of the sources of some targets (6)."""
        if len(targets) == 1:
            return self._x[targets[0]]
        row = []
        for j in range(len(self._kinds)):
            s = self.model.new_bool_var("")
            for i in targets:
                self.model.add_implication(self._x[i][j], s)
            row.append(s)
        return row

    def _crossbar(self, j: int) -> None:
        """Room of a crossbar, in use or not: (4), (7)."""
        one, y = self._pool.types[self._kinds[j]], self._y[j]
        column = [row[j] for row in self._x]
        self.model.add(sum(column) <= one.outputs * y)
        self.model.add(sum(column) >= y)
        axons = sum(len(sources) * self._s[targets][j] for targets, sources in self._groups.items())
        self.model.add(axons <= one.inputs * y)

    def _order(self) -> None:
        """Of mappings that differ by an exchange of copies only, admit one."""
        ordered = self._graph.neurons <= MOST_ORDERED
        for j in range(1, len(self._kinds)):
            if self._kinds[j] != self._kinds[j - 1]:
                continue
            self.model.add_implication(self._y[j], self._y[j - 1])
            if ordered:
                before = [row[j - 1] for row in self._x]
                for i, row in enumerate(self._x):
                    self.model.add_bool_or([row[j].negated(), *before[:i]])

    @property
    def area(self) -> Any:
        """(8)."""
        return sum(self._pool.types[kind].cost * y for kind, y in zip(self._kinds, self._y, strict=True))

    def routes(self, weight: Integers) -> Any:
        """Global routes, weighted: (11), or (12) with spikes."""
        terms, fixed = [], 0
        for targets, sources in self._groups.items():
            row = self._s[targets]
            for k in sources:
                w = int(weight[k])
                if not w:
                    continue
                if k >= self._graph.neurons:
                    terms += [w * s for s in row] if len(targets) > 1 else []
                    fixed += w if len(targets) == 1 else 0
                elif targets != (k,):
                    global_ = [self.model.new_bool_var("") for _ in row]
                    for s, home, g in zip(row, self._x[k], global_, strict=True):
                        self.model.add_bool_or([s.negated(), home, g])  # (10): g >= s - x
                        terms.append(w * g)
                    self._g.append((k, targets, global_))
        return sum(terms) + fixed

    def hint(self, known: Mapping) -> None:
        """Start from a mapping in the same pool."""
        first = [int(known.neurons.of(j)[0]) for j in range(known.crossbars)]
        free: dict[int, list[int]] = {}
        for j, kind in reversed(list(enumerate(self._kinds))):
            free.setdefault(kind, []).append(j)
        home = np.full(known.crossbars, -1)
        for j in sorted(range(known.crossbars), key=first.__getitem__):
            places = free.get(int(known.kinds[j]), [])
            if not places:
                return
            home[j] = places.pop()
        homes = home[known.home].tolist()
        for i, row in enumerate(self._x):
            for j, x in enumerate(row):
                self.model.add_hint(x, homes[i] == j)
        used = set(home.tolist())
        for j, y in enumerate(self._y):
            self.model.add_hint(y, j in used)
        for targets, row in self._s.items():
            taking = {homes[i] for i in targets}
            for j, s in enumerate(row if len(targets) > 1 else ()):
                self.model.add_hint(s, j in taking)
        for k, targets, row in self._g:
            for j, g in enumerate(row):
                self.model.add_hint(g, homes[k] != j and any(homes[i] == j for i in targets))

    def mapping(self, solver: Any) -> Mapping:
        """Mapping of a solution; where types have no counts, each crossbar gets its cheapest."""
        home = np.array([next(j for j, x in enumerate(row) if solver.boolean_value(x)) for row in self._x])
        cheapest = Mapping.of(self._graph, self._pool, home)
        _, first, number = np.unique(home, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))
        kinds = np.array([self._kinds[int(home[i])] for i in np.sort(first)], np.int64)
        as_solved = Mapping(self._graph, self._pool, rank[number.reshape(-1)].astype(np.int64), kinds)
        return as_solved if cheapest is None or cheapest.area > as_solved.area else cheapest
