"""Costs of all pairs of cells of a space at once (Section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikex_sim.explore.nas.cells import Cell, Space
from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.costs import Costs, Integers, Script, closed_form
from spikex_sim.explore.nas.forms import distinct
from spikex_sim.explore.nas.macro import Macro

COLUMNS = ("cell_a", "cell_b", "form_a", "form_b", "convolutions_a", "convolutions_b", "parameters",
           "area_mm2", "latency_ms", "energy_uj", "feasible")  # fmt: skip
"""A form is named by the first of its cells."""
MOST_PAIRS = 10_000_000
"""Lines of a table."""


@dataclass(frozen=True)
class PairTable:
    """Costs of pairs, which depend on the number and the taps of their convolutions alone.

    Attributes
    ----------
    names : tuple of str
        Cells, in order; those in which nothing reaches the output are left out.
    forms : tuple of str
        Of each the first cell of the same form.
    kinds : int64 array ``[cells]``
        Kind of each: its convolutions and their taps.
    convolutions : int64 array ``[kinds]``
        Live convolutions of each kind.
    costs : Costs
        Arrays ``[kinds of cell A, kinds of cell B]``.
    """

    names: tuple[str, ...]
    forms: tuple[str, ...]
    kinds: Integers
    convolutions: Integers
    costs: Costs

    @classmethod
    def of(cls, space: Space, macro: Macro, script: Script, bits: int) -> PairTable:
        """Cost all pairs of a space.

        Parameters
        ----------
        space, macro, script, bits : Space, Macro, Script, int
            Cells, the network around them, the machine, and bits of a weight.
        """
        first = dict[Cell, str]()
        work = dict[Cell, tuple[int, int]]()
        for form, cells in distinct(space).items():
            if form.output:
                taps = sum(side**2 for side in form.kernels)
                first |= dict.fromkeys(cells, space.write(cells[0]))
                work |= dict.fromkeys(cells, (len(form.kernels), taps))
        there = [cell for cell in space.cells() if cell in first]
        kinds, kind_of = np.unique([work[cell] for cell in there], axis=0, return_inverse=True)
        number, taps = kinds.astype(np.int64).T
        return cls(
            tuple(map(space.write, there)), tuple(first[cell] for cell in there),
            kind_of.reshape(-1).astype(np.int64), number,
            closed_form(macro, script, bits, number[:, None], taps[:, None], number, taps),
        )  # fmt: skip

    def pairs(self, *, same: bool = False) -> Integers:
        """Number of pairs of each two kinds ``[kinds, kinds]``; with ``same`` of those with A = B."""
        each = np.bincount(self.kinds, minlength=len(self.convolutions))
        return np.diag(each) if same else np.outer(each, each)

    def nearest(self, constraints: Constraints, *, same: bool = False) -> tuple[str, str, Costs]:
        """Pair whose largest cost, as a part of its limit, is the smallest; of those alike the first.

        Parameters
        ----------
        constraints : Constraints
            Limits.
        same : bool
            Of pairs with A = B alone.

        Returns
        -------
        tuple
            Cell A, cell B, and their costs.
        """
        worst = np.where(self.pairs(same=same) > 0, constraints.worst(self.costs), np.inf)
        first = [int(np.argmax(self.kinds == kind)) for kind in range(len(self.convolutions))]
        a, b = min(np.argwhere(worst == worst.min()).tolist(), key=lambda at: [first[kind] for kind in at])
        return self.names[first[a]], self.names[first[b]], self.costs_of(a, b)

    def costs_of(self, a: int, b: int) -> Costs:
        """Costs of pairs of two kinds."""
        costs = self.costs
        return Costs(int(costs.parameters[a, b]), float(costs.area_mm2[a, b]), float(costs.latency_ms[a, b]),
                     float(costs.energy_uj[a, b]))  # fmt: skip

    def lines(self, constraints: Constraints, *, same: bool = False) -> Iterator[str]:
        """Text of a CSV file: a pair a line, cell A slowest, a cell A at a time.

        Parameters
        ----------
        constraints : Constraints
            Limits that ``feasible`` is about.
        same : bool
            Pairs with A = B alone.
        """
        yield f"{','.join(COLUMNS)}\n"
        ends = self._ends(constraints)
        every = list(zip(self.names, self.forms, self.kinds.tolist(), strict=True))
        for one in every:
            name, form, kind = one
            yield "".join(
                f"{name},{other},{form},{alike},{ends[kind][k]}"
                for other, alike, k in ([one] if same else every)
            )

    def _ends(self, constraints: Constraints) -> list[list[str]]:
        """What stands behind the cells of pairs of each two kinds."""
        kept, number = constraints.kept(self.costs), self.convolutions.tolist()
        return [
            [_end(number[a], number[b], self.costs_of(a, b), bool(kept[a, b])) for b in range(len(number))]
            for a in range(len(number))
        ]


def _end(a: int, b: int, costs: Costs, feasible: bool) -> str:
    told = (a, b, costs.parameters, costs.area_mm2, costs.latency_ms, costs.energy_uj)
    return f"{','.join(map(str, told))},{'yes' if feasible else 'no'}\n"
