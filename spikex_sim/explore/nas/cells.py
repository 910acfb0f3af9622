"""Cells: four nodes, an operation on each of six edges, and how they are written (Section 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.hints import one_of

NODES = 4
EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""Nodes that each edge joins, in the order that cells are written in: c01 c02 c03 c12 c13 c23."""


class Operation(StrEnum):
    """What an edge does with the current of the node that it leaves."""

    ZERO = "zero"
    SKIP = "skip"
    CONV1 = "conv1x1"
    CONV3 = "conv3x3"
    CONV5 = "conv5x5"
    CONV7 = "conv7x7"
    AVERAGE = "avgpool3x3"

    @property
    def kernel(self) -> int:
        """Side of a convolution's kernel; 0 of all else."""
        return int(self[-1]) if self.startswith("conv") else 0


FORWARD_ALONE = (Operation.ZERO,) * len(EDGES)


@dataclass(frozen=True)
class Cell:
    """A directed acyclic graph of four nodes, with backward edges if there are any.

    Attributes
    ----------
    forward : tuple of Operation, 6
        Of the edges of :data:`EDGES`.
    backward : tuple of Operation, 6
        Of the edges between the same nodes the other way round, used at the next time point; where one is not
        ``zero``, the forward edge is.
    """

    forward: tuple[Operation, ...]
    backward: tuple[Operation, ...] = FORWARD_ALONE

    @property
    def is_forward(self) -> bool:
        """Whether all edges lead forward."""
        return self.backward == FORWARD_ALONE

    @property
    def edges(self) -> tuple[tuple[int, int, Operation], ...]:
        """Edges that there are: the nodes they leave and lead to, and their operations, forward first."""
        every = (
            *((i, j, op) for (i, j), op in zip(EDGES, self.forward, strict=True)),
            *((j, i, op) for (i, j), op in zip(EDGES, self.backward, strict=True)),
        )
        return tuple(one for one in every if one[2] is not Operation.ZERO)

    @property
    def is_empty(self) -> bool:
        """Whether nothing reaches the output."""
        return NODES - 1 not in _reached(0, [(i, j) for i, j, _ in self.edges])

    @property
    def live_edges(self) -> tuple[tuple[int, int, Operation], ...]:
        """Of :attr:`edges` those that the input reaches and that reach the output.

        Backward edges count whatever the number of time points.
        """
        fed = _reached(0, [(i, j) for i, j, _ in self.edges])
        used = _reached(NODES - 1, [(j, i) for i, j, _ in self.edges])
        return tuple((i, j, op) for i, j, op in self.edges if i in fed and j in used)

    @property
    def live(self) -> tuple[int, ...]:
        """Sides of the kernels of the convolutions among :attr:`live_edges`, in their order."""
        return tuple(op.kernel for _, _, op in self.live_edges if op.kernel)


def _reached(start: int, edges: list[tuple[int, int]]) -> set[int]:
    """Nodes that can be come to from one."""
    found = {start}
    for _ in range(NODES):
        found |= {j for i, j in edges if i in found}
    return found


@dataclass(frozen=True)
class Space:
    """Cells that are searched.

    Attributes
    ----------
    name : str
        What the command line calls it.
    operations : tuple of Operation
        Of an edge, by number.
    """

    name: str
    operations: tuple[Operation, ...]

    @property
    def digits(self) -> Mapping[str, Operation]:
        """Digits of its operations, and of those that can be named in every space: 5 and 7."""
        return {str(number): op for number, op in enumerate(self.operations)} | {
            "5": Operation.CONV5, "7": Operation.CONV7
        }  # fmt: skip

    @property
    def has_zero(self) -> bool:
        """Whether an edge may be missing."""
        return Operation.ZERO in self.operations

    @property
    def pairs(self) -> int:
        """Number of pairs of cells."""
        number: int = len(self.operations) ** len(EDGES)
        return number * number

    def cells(self) -> Iterator[Cell]:
        """All cells without backward edges in lexicographic order, c01 slowest."""
        for chosen in product(self.operations, repeat=len(EDGES)):
            yield Cell(chosen)

    def parse(self, text: str, where: str = "cell") -> Cell:
        """Read a cell.

        Parameters
        ----------
        text : str
            Six digits in the order of :data:`EDGES`, or the four rows of SNASNet's matrix, whose entry in row
            ``i`` and column ``j`` is the edge from node ``i`` to ``j``.
        where : str
            What messages call it.

        Raises
        ------
        ConfigError
            If it is none, naming what is wrong.
        """
        told, word = "".join(text.split()), f"{text[:40]!r}"
        digits = self.digits
        wrong = next((one for one in told if one not in digits), None)
        if len(told) not in (len(EDGES), NODES * NODES) or (len(told) > len(EDGES) and not self.has_zero):
            matrix = ", or four rows of four" if self.has_zero else ""
            raise ConfigError(f"{word} is no cell: wants six digits{matrix}", where=where)
        if wrong is not None:
            known = ", ".join(f"{digit} {op}" for digit, op in digits.items())
            raise ConfigError(f"{word}: {wrong!r} is no operation; {self.name} has {known}", where=where)
        found = [digits[one] for one in told]
        return Cell(tuple(found)) if len(found) == len(EDGES) else _of_matrix(found, word, where)

    def write(self, cell: Cell) -> str:
        """Write a cell as :meth:`parse` reads it: six digits, or with backward edges four rows.

        Raises
        ------
        ConfigError
            If the space has no digit for one of its operations.
        """
        digit = {op: one for one, op in self.digits.items()}
        written = cell.forward if cell.is_forward else (*cell.forward, *cell.backward)
        missing = next((op for op in written if op not in digit), None)
        if missing is not None:
            raise ConfigError(f"space {self.name} has no {missing}", where="cell")
        if cell.is_forward:
            return "".join(digit[op] for op in cell.forward)
        rows = [[digit[Operation.ZERO]] * NODES for _ in range(NODES)]
        for (i, j), ahead, back in zip(EDGES, cell.forward, cell.backward, strict=True):
            rows[i][j], rows[j][i] = digit[ahead], digit[back]
        return " ".join("".join(row) for row in rows)


def _of_matrix(entries: list[Operation], word: str, where: str) -> Cell:
    def at(i: int, j: int) -> Operation:
        return entries[NODES * i + j]

    loop = next((i for i in range(NODES) if at(i, i) is not Operation.ZERO), None)
    if loop is not None:
        raise ConfigError(f"{word} joins node {loop} to itself", where=where)
    cell = Cell(tuple(at(i, j) for i, j in EDGES), tuple(at(j, i) for i, j in EDGES))
    for (i, j), ahead, back in zip(EDGES, cell.forward, cell.backward, strict=True):
        if Operation.ZERO not in (ahead, back):
            raise ConfigError(f"{word} joins nodes {i} and {j} forward and backward; one can be", where=where)
    return cell


SPACES: Mapping[str, Space] = FrozenMap({
    one.name: one
    for one in (
        Space("neuronas", (Operation.SKIP, Operation.CONV3, Operation.AVERAGE)),
        Space(
            "snasnet",
            (Operation.ZERO, Operation.SKIP, Operation.CONV1, Operation.CONV3, Operation.AVERAGE),
        ),
    )
})  # fmt: skip
"""Spaces by name."""


def space_of(name: str) -> Space:
    """Return a space by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in SPACES:
        raise ConfigError(one_of(name, SPACES), field="space")
    return SPACES[name]
