"""Pairs of cells that can be searched, and what shapes say of each before anything is scored (Section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spikex_sim.explore.nas.cells import Cell, Operation, Space
from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.costs import Costs, Integers
from spikex_sim.explore.nas.forms import Form, canonical
from spikex_sim.explore.nas.machine import Machine
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.explore.nas.table import PairTable

CellPair = tuple[int, int]
"""Cells A and B by number."""


@dataclass(frozen=True)
class Pairs:
    """Cells of a space, and limits.

    Attributes
    ----------
    space : Space
        Of the cells.
    table : PairTable
        Its cells, in order, and what pairs cost; on machines that replay spikes their parameters alone.
    cells : tuple of Cell
        Of ``table.names``.
    machine : Machine
        That limits refer to.
    macro : Macro
        The network around the cells.
    limits : Constraints
        All that are given.
    same : bool
        Whether A = B.
    """

    space: Space
    table: PairTable
    cells: tuple[Cell, ...]
    machine: Machine
    macro: Macro
    limits: Constraints
    same: bool = False

    @classmethod
    def of(
        cls, space: Space, macro: Macro, machine: Machine, limits: Constraints, *, same: bool = False
    ) -> Pairs:
        """Cost all pairs of a space by their shapes."""
        bits = machine.bits if machine.script is not None else 1
        table = PairTable.of(space, macro, machine.shapes, bits)
        return cls(space, table, tuple(map(space.parse, table.names)), machine, macro, limits, same)

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """Of each cell."""
        return tuple(canonical(cell).form for cell in self.cells)

    @cached_property
    def first(self) -> Integers:
        """Of each cell the first of the same form."""
        at = {name: number for number, name in enumerate(self.table.names)}
        return np.array([at[name] for name in self.table.forms], np.int64)

    @cached_property
    def firsts(self) -> Integers:
        """First cells of all forms."""
        return np.unique(self.first)

    @property
    def known(self) -> Constraints:
        """Limits that shapes decide."""
        return self.machine.known(self.limits)

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """Whether pairs of two kinds of cells keep what shapes decide ``[kinds, kinds]``."""
        return self.known.kept(self.table.costs)

    def keeps(self, pair: CellPair) -> bool:
        """Whether a pair keeps what shapes decide."""
        kinds = self.table.kinds
        return bool(self.kept[kinds[pair[0]], kinds[pair[1]]])

    def shape_costs(self, pair: CellPair) -> Costs:
        """Costs of a pair by its shapes; of machines that replay spikes its parameters alone count."""
        a, b = (int(self.table.kinds[cell]) for cell in pair)
        return self.table.costs_of(a, b)

    def convolutions(self, pair: CellPair) -> int:
        """Live convolutions of both cells."""
        kinds, number = self.table.kinds, self.table.convolutions
        return int(number[kinds[pair[0]]] + number[kinds[pair[1]]])

    def different(self, pair: CellPair) -> CellPair:
        """First pair of the same forms."""
        return int(self.first[pair[0]]), int(self.first[pair[1]])

    @cached_property
    def feasible(self) -> int:
        """Number of different pairs that keep what shapes decide."""
        return self.number(self.firsts)

    def number(self, cells: Integers) -> int:
        """How many pairs of some cells keep what shapes decide."""
        kinds = self.table.kinds[cells]
        each = np.bincount(kinds, minlength=len(self.table.convolutions))
        number = np.diag(each) if self.same else np.outer(each, each)
        return int(number[self.kept].sum())

    def listed(self, cells: Integers) -> Iterator[CellPair]:
        """Pairs of some cells that keep what shapes decide, in order."""
        for a in cells.tolist():
            for b in [a] if self.same else cells.tolist():
                if self.keeps((a, b)):
                    yield a, b

    def left(
        self, seen: set[CellPair], rng: np.random.Generator, count: int, cells: Integers
    ) -> list[CellPair]:
        """Pairs of first cells that keep what shapes decide and were not seen, drawn without replacement."""
        there = [pair for pair in self.listed(cells) if pair not in seen]
        chosen = rng.permutation(len(there))[:count]
        return [there[at] for at in chosen.tolist()]

    def nearest(self, limits: Constraints, among: Sequence[CellPair] | None = None) -> CellPair:
        """Pair whose largest cost, as a part of its limit, is the smallest; of those alike the first."""
        if among is None:
            a, b, _ = self.table.nearest(limits, same=self.same)
            at = self.table.names.index
            return at(a), at(b)
        worst = [float(limits.worst(self.shape_costs(pair))) for pair in among]
        return among[int(np.argmin(worst))]

    def names(self, pair: CellPair) -> tuple[str, str]:
        """Cells as they are written."""
        return self.table.names[pair[0]], self.table.names[pair[1]]


class Draws:
    """Draws pairs of cells, all that keep what shapes decide with the same chance.

    Cells of ``snasnet`` have ``c03`` other than ``zero``, as SNASNet draws them.

    Parameters
    ----------
    pairs : Pairs
        What is drawn from.
    rng : Generator
        Random numbers.

    Attributes
    ----------
    different : int64 array
        First cells of the forms that are drawn.
    """

    def __init__(self, pairs: Pairs, rng: np.random.Generator) -> None:
        self._rng, self._same = rng, pairs.same
        drawn = [n for n, cell in enumerate(pairs.cells) if cell.forward[2] is not Operation.ZERO]
        self.different = np.unique(pairs.first[drawn])
        kinds = pairs.table.kinds[drawn]
        self._of_kind = [np.array(drawn)[kinds == kind] for kind in range(len(pairs.table.convolutions))]
        each = np.array(list(map(len, self._of_kind)))
        number = np.diag(each) if self._same else np.outer(each, each)
        self._ways = (number * pairs.kept).astype(float)

    @property
    def any(self) -> bool:
        """Whether there is a pair to draw."""
        return bool(self._ways.any())

    def draw(self) -> CellPair:
        """A pair."""
        ways = self._ways.reshape(-1)
        at = int(self._rng.choice(len(ways), p=ways / ways.sum()))
        a, b = divmod(at, len(self._of_kind))
        one = int(self._rng.choice(self._of_kind[a]))
        return one, one if self._same else int(self._rng.choice(self._of_kind[b]))
