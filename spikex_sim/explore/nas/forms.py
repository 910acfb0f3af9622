"""Canonical forms: what a cell computes, whatever its edges are called (Section 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.nas.cells import EDGES, NODES, Cell, Operation, Space

Term = tuple[int, int, int]
"""Source, 0 for the cell's input and ``k`` for the k-th convolution; averages it passes; multiplicity."""
Sum = tuple[Term, ...]
"""Terms in ascending order, none of the same source and averages."""
Written = tuple[int, Sum]
"""A convolution: side of its kernel, and what it reads."""


@dataclass(frozen=True, order=True)
class Instance:
    """A convolution with its LIF and batch norm.

    Attributes
    ----------
    kernel : int
        Side of its kernel.
    reads : tuple of Term
        Current that its neurons take; sources are convolutions before it.
    """

    kernel: int
    reads: Sum


@dataclass(frozen=True, order=True)
class Form:
    """What a cell computes.

    Attributes
    ----------
    convolutions : tuple of Instance
        Numbered from 1.
    output : tuple of Term
        Current of the output node; empty where nothing reaches it.
    """

    convolutions: tuple[Instance, ...]
    output: Sum

    @property
    def kernels(self) -> tuple[int, ...]:
        """Sides of the kernels, in order."""
        return tuple(one.kernel for one in self.convolutions)

    @property
    def text(self) -> str:
        """Formula: ``c1 = conv3x3(x); out = 2 x + avg(c1)``."""
        told = [f"c{k} = conv{one.kernel}x{one.kernel}({_sum_text(one.reads)})"
                for k, one in enumerate(self.convolutions, 1)]  # fmt: skip
        return "; ".join([*told, f"out = {_sum_text(self.output)}"])


@dataclass(frozen=True)
class Canonical:
    """A cell's form, and where in the cell it comes from.

    Attributes
    ----------
    form : Form
        What it computes.
    edges : tuple of int
        Index in :data:`~spikex_sim.explore.nas.cells.EDGES` of each convolution of the form.
    """

    form: Form
    edges: tuple[int, ...]


@lru_cache(maxsize=1 << 16)
def canonical(cell: Cell) -> Canonical:
    """Reduce a cell to its form.

    Raises
    ------
    ConfigError
        If it has backward edges, of which there are no forms.
    """
    if not cell.is_forward:
        raise ConfigError("has backward edges, and forms are of forward ones alone", where="cell")
    made, output = _expanded(cell)
    written, out, order = min(_orders(_live(made, output), output))
    form = Form(tuple(Instance(*one) for one in written), out)
    return Canonical(form, tuple(edge - 1 for edge in order))


def distinct(space: Space) -> dict[Form, list[Cell]]:
    """Forms of a space and the cells of each, both in the order of the cells."""
    found: dict[Form, list[Cell]] = {}
    for cell in space.cells():
        found.setdefault(canonical(cell).form, []).append(cell)
    return found


def _expanded(cell: Cell) -> tuple[dict[int, Written], Sum]:
    """Convolutions and the output, with sources numbered by edge, from 1."""
    values: list[dict[tuple[int, int], int]] = [{} for _ in range(NODES)]
    values[0] = {(0, 0): 1}
    made: dict[int, Written] = {}
    # In this order every edge into a node comes before those that leave it.
    for edge, ((i, j), op) in enumerate(zip(EDGES, cell.forward, strict=True), 1):
        if op is Operation.ZERO or not values[i]:
            continue
        if kernel := op.kernel:
            made[edge] = kernel, _terms(values[i])
            added = {(edge, 0): 1}
        else:
            more = int(op is Operation.AVERAGE)
            added = {(source, averages + more): m for (source, averages), m in values[i].items()}
        for term, m in added.items():
            values[j][term] = values[j].get(term, 0) + m
    return made, _terms(values[NODES - 1])


def _terms(value: Mapping[tuple[int, int], int]) -> Sum:
    return tuple(sorted((source, averages, m) for (source, averages), m in value.items()))


def _live(made: Mapping[int, Written], output: Sum) -> dict[int, Written]:
    """Convolutions that the output reaches."""
    found: set[int] = set()
    waiting = [output]
    while waiting:
        for source, _, _ in waiting.pop():
            if source and source not in found:
                found.add(source)
                waiting.append(made[source][1])
    return {edge: one for edge, one in made.items() if edge in found}


def _orders(
    live: Mapping[int, Written], output: Sum, order: tuple[int, ...] = (), written: tuple[Written, ...] = ()
) -> Iterator[tuple[tuple[Written, ...], Sum, tuple[int, ...]]]:
    """What is written in the orders of convolutions that can give the smallest form, and the edges in order.

    Of the convolutions that may come next, whose sources have numbers, the one that is written smallest comes
    first: nothing later makes up for it. Only those that are written alike are tried in turn.
    """
    number = {0: 0} | {edge: k for k, edge in enumerate(order, 1)}
    if len(order) == len(live):
        yield written, _renamed(output, number), order
        return
    ready = {
        edge: (kernel, _renamed(reads, number))
        for edge, (kernel, reads) in live.items()
        if edge not in number and all(source in number for source, _, _ in reads)
    }
    least = min(ready.values())
    for edge, one in ready.items():
        if one == least:
            yield from _orders(live, output, (*order, edge), (*written, one))


def _renamed(terms: Sum, number: Mapping[int, int]) -> Sum:
    return tuple(sorted((number[source], averages, m) for source, averages, m in terms))


def _sum_text(terms: Sum) -> str:
    return " + ".join(map(_term_text, terms)) or "nothing"


def _term_text(term: Term) -> str:
    source, averages, m = term
    name = f"c{source}" if source else "x"
    if averages:
        name = f"avg({name})" if averages == 1 else f"avg^{averages}({name})"
    return name if m == 1 else f"{m} {name}"
