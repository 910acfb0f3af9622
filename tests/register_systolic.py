"""Register-level model of the dense array: every PE's registers, stepped cycle by cycle.

An oracle for "What it issues when" of ``docs/accelerators/systolic.md`` and ``sata.md``. Nothing in it knows
their formulas: cycles are observed on the running array, counts are raised where the event happens.

How the array is built::

                 column lanes (c delay registers in front of column c)
                     |           |           |
     row lanes    +-----+     +-----+     +-----+     os, tick_batch: spikes go right, weights down, the sum
    (r delay  --->| 0,0 |---->| 0,1 |---->| 0,2 |     stays. ws, is: weights or spikes stay, the others go
    registers)    +-----+     +-----+     +-----+     right, sums go down; what stays has come in before, from
                     |           |           |        the top, a row of the array in a cycle.
                  +-----+     +-----+     +-----+
              --->| 1,0 |---->| 1,1 |---->| 1,2 |
                  +-----+     +-----+     +-----+

Every lane is fed, with bubbles where a fold uses less of the array. A fold is over when the PE in the far
corner has served the last token. Under ``tick_batch`` a token from the left is a word of `T` bits, and tokens
stay in a PE until all of them are served: only then do the neighbours see them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from register_dispatch import tap_words
from register_model import Neuron

Number: TypeAlias = Any  # int in the integer datapath, np.float32 in the float one
Row: TypeAlias = tuple[int, int]  # time point, position
Pass: TypeAlias = tuple[Sequence[int], Sequence[int]]  # positions, time points


@dataclass
class Counters:
    """Events of a layer, counted where they happen."""

    slots: int = 0  # cycles in which a PE has both of its operands
    accumulations: int = 0
    lif_updates: int = 0
    ifmap_words: int = 0  # over the array's edge
    filter_words: int = 0
    ofmap_words: int = 0
    filter_registers: int = 0  # weights written into them


@dataclass
class RegisterResult:
    """What the array did."""

    outputs: NDArray[np.bool_]  # [M, P, T]
    sums: dict[tuple[int, int, int], Number] = field(default_factory=dict)  # of (channel, position, time)
    fold_cycles: list[int] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True)
class Token:
    """Goes right through a row or down through a column; a value of `None` is a bubble."""

    value: Any
    last: bool  # nothing follows it


@dataclass(frozen=True, slots=True)
class Kept:
    """Takes the place of a weight that the PEs have in their scratchpads."""

    index: int


class PE:
    """One processing element: link registers, a register for what stays, accumulators, a scratchpad."""

    def __init__(self) -> None:
        self.right: Token | None = None  # link registers, as the neighbours see them
        self.down: Token | None = None
        self.from_left: Token | None = None  # tokens in work
        self.from_top: Token | None = None
        self.stationary: Number | None = None
        self.sums: list[Number] = []
        self.scratchpad: list[Number] = []

    def clear(self) -> None:
        """Forget the fold before; the scratchpad is kept."""
        self.right = self.down = self.from_left = self.from_top = self.stationary = None
        self.sums = []


#: What a PE does in cycle `n` of its tokens' stay; returns what goes down.
Work: TypeAlias = Callable[[PE, Token, Token, int], Token]


class Array:
    """The PEs, the lanes that skew what enters at the edges, and the clock."""

    def __init__(self, rows: int, cols: int) -> None:
        self.rows, self.cols = rows, cols
        self.pes = [[PE() for _ in range(cols)] for _ in range(rows)]

    def clear(self) -> None:
        """Empty the array for the next fold."""
        for row in self.pes:
            for pe in row:
                pe.clear()

    def load(self, values: list[list[Number | None]]) -> int:
        """Shift a matrix in from the top, its last row first, a row a cycle; return the cycles."""
        for entering in reversed(values):
            for r in range(self.rows - 1, 0, -1):
                for c in range(self.cols):
                    self.pes[r][c].stationary = self.pes[r - 1][c].stationary
            for c in range(self.cols):
                self.pes[0][c].stationary = entering[c]
        return len(values)

    def stream(
        self,
        left: list[list[Any]],
        top: list[list[Any]],
        work: Work,
        stay: int = 1,
        leaves: Callable[[int, Any], None] = lambda column, value: None,
    ) -> int:
        """Feed values into every row and column; return the cycles until the far corner is done.

        `leaves` is told what leaves at the bottom of a column, in the order in which it leaves.
        """
        row_lanes = [lane(values, delay) for delay, values in enumerate(left)]
        column_lanes = [lane(values, delay) for delay, values in enumerate(top)]
        corner, cycles = self.pes[-1][-1], 0
        while True:
            self._clock_edge(row_lanes, column_lanes)
            for served in range(stay):
                cycles += 1
                for row in self.pes:
                    for pe in row:
                        self._serve(pe, work, served)
            for c, pe in enumerate(self.pes[-1]):
                if pe.down is not None:
                    leaves(c, pe.down.value)
            if corner.from_left is not None and corner.from_left.last:
                return cycles

    def _clock_edge(
        self, row_lanes: list[deque[Token | None]], column_lanes: list[deque[Token | None]]
    ) -> None:
        """Move all links and lanes on by one; a PE takes what its neighbours have shown so far."""
        shown = [[(pe.right, pe.down) for pe in row] for row in self.pes]
        for r, row in enumerate(self.pes):
            for c, pe in enumerate(row):
                pe.from_left = shown[r][c - 1][0] if c else next_of(row_lanes[r])
                pe.from_top = shown[r - 1][c][1] if r else next_of(column_lanes[c])
                pe.right = pe.down = None

    @staticmethod
    def _serve(pe: PE, work: Work, served: int) -> None:
        """Work for a cycle on the tokens in work; the neighbours see them at the next clock edge."""
        left, top = pe.from_left, pe.from_top
        if left is None and top is None:
            return
        if left is None or top is None or left.last != top.last:
            raise RuntimeError("what comes from the left and what comes from the top do not meet")
        pe.right, pe.down = left, work(pe, left, top, served)


def lane(values: list[Any], delay: int) -> deque[Token | None]:
    """Put values into a lane with delay registers in front of the array."""
    empty: list[Token | None] = [None] * delay
    return deque(empty + [Token(value, i == len(values) - 1) for i, value in enumerate(values)])


def next_of(tokens: deque[Token | None]) -> Token | None:
    """Take what a lane shows."""
    return tokens.popleft() if tokens else None


class Machine:
    """A layer on the array: its two matrices, its neurons, and the order of its folds."""

    def __init__(
        self,
        operands: list[list[list[Any]]],
        weights: list[list[Number]],
        bias: list[Number] | None,
        neuron: Neuron,
        shape: tuple[int, int],
        *,
        zero_gating: bool,
        ann: bool,
    ) -> None:
        self.operands = operands  # [T][P][K]
        self.times, self.positions, self.taps = len(operands), len(operands[0]), len(operands[0][0])
        self.weights, self.bias, self.neuron = weights, bias, neuron  # weights: [M][K]
        self.channels = len(weights)
        self.zero_gating, self.ann = zero_gating, ann
        self.array = Array(*shape)
        self.potentials: dict[tuple[int, int], Number] = {}  # of (channel, position)
        self.updated: dict[tuple[int, int], int] = {}  # time points so far
        self.word_per_neuron = False  # an ofmap word holds all time points
        self.result = RegisterResult(np.zeros((self.channels, self.positions, self.times), np.bool_))
        self.counters = self.result.counters

    # ------------------------------------------------------------------ the edge of the array

    def spike(self, row: Row, tap: int) -> Any:
        """Read an ifmap word."""
        self.counters.ifmap_words += 1
        return self.operands[row[0]][row[1]][tap]

    def word(self, position: int, tap: int) -> list[Any]:
        """Read an ifmap word with all time points of an input."""
        self.counters.ifmap_words += 1
        return [self.operands[time][position][tap] for time in range(self.times)]

    def weight(self, channel: int, tap: int) -> Number:
        """Read a weight."""
        self.counters.filter_words += 1
        return self.weights[channel][tap]

    def sum_leaves(self, channel: int, row: Row, total: Number, *, complete: bool) -> None:
        """Take a sum; a complete one goes to its neuron, whose time points must come in order."""
        time, position = row
        self.counters.ofmap_words += time == 0 or not self.word_per_neuron
        self.result.sums[channel, position, time] = total
        if not complete or self.ann:
            return
        if self.updated.get((channel, position), 0) != time:
            raise RuntimeError("a time point does not follow the one before it")
        self.updated[channel, position] = time + 1
        if self.bias is not None:
            total = total + self.bias[channel]
        before = self.potentials.get((channel, position), self.neuron.zero)
        fired, self.potentials[channel, position] = self.neuron.update(before, total)
        self.result.outputs[channel, position, time] = fired
        self.counters.lif_updates += 1

    def sum_so_far(self, channel: int, row: Row, taps: list[int]) -> Number:
        """Return what earlier tap folds have added up."""
        return self.neuron.zero if taps[0] == 0 else self.result.sums[channel, row[1], row[0]]

    # ------------------------------------------------------------------ the work of a PE

    def add(self, total: Number, operand: Any, weight: Number) -> Number:
        """Spend a slot: add the weight where there is a spike, or its product with an activation."""
        self.counters.slots += 1
        if operand or not self.zero_gating:
            self.counters.accumulations += 1
        if self.ann:
            return total + self.neuron.number(operand) * weight
        return total + weight if operand else total

    def sum_stays(self, pe: PE, left: Token, top: Token, served: int) -> Token:
        """Serve one time point of a word of spikes (``os``: the only one)."""
        weight = top.value
        if isinstance(weight, Kept):
            weight = pe.scratchpad[weight.index]
        elif served == 0 and weight is not None:
            pe.scratchpad.append(weight)
        if left.value is None or weight is None:
            return top
        self.counters.filter_registers += served == 0
        pe.sums = pe.sums or [self.neuron.zero] * len(left.value)
        pe.sums[served] = self.add(pe.sums[served], left.value[served], weight)
        return top

    def weight_stays(self, pe: PE, left: Token, top: Token, _: int) -> Token:
        """Add to a sum that goes down; the spike goes right."""
        if left.value is None or top.value is None or pe.stationary is None:
            return top
        return Token(self.add(top.value, left.value, pe.stationary), top.last)

    def spike_stays(self, pe: PE, left: Token, top: Token, _: int) -> Token:
        """Add to a sum that goes down; the weight goes right."""
        if left.value is None or top.value is None or pe.stationary is None:
            return top
        self.counters.filter_registers += 1
        return Token(self.add(top.value, pe.stationary, left.value), top.last)

    # ------------------------------------------------------------------ folds

    def fold_of_words(self, words: list[list[tuple[Any, ...]]], weights: list[list[Any]]) -> None:
        """Run a fold in which sums stay, with words [row][tap] and weights [column][tap]."""
        array = self.array
        array.clear()
        bubbles = [None] * self.taps
        left = [*words, *([bubbles] * (array.rows - len(words)))]
        top = [*weights, *([bubbles] * (array.cols - len(weights)))]
        self.result.fold_cycles.append(array.stream(left, top, self.sum_stays, stay=len(words[0][0])))

    def fold_of_sums(
        self,
        work: Work,
        stays: list[list[Number]],
        moves: list[list[Any]],
        sums: list[list[Number]],
        leaves: Callable[[int, int, Number], None],
    ) -> None:
        """Run a fold in which sums go down.

        First `stays`, [tap][column], enters from the top; then `moves`, [tap][number], goes right and `sums`,
        [column][number], down; `leaves` is told column, number and sum.
        """
        array = self.array
        array.clear()
        unused_rows, unused_cols = array.rows - len(stays), array.cols - len(sums)
        matrix = [[*row, *([None] * unused_cols)] for row in stays]
        cycles = array.load(matrix + [[None] * array.cols] * unused_rows)
        numbers = [0] * array.cols

        def take(column: int, total: Number | None) -> None:
            if total is not None:
                leaves(column, numbers[column], total)
                numbers[column] += 1

        bubbles = [None] * len(sums[0])
        left, top = [*moves, *([bubbles] * unused_rows)], [*sums, *([bubbles] * unused_cols)]
        cycles += array.stream(left, top, work, leaves=take)
        self.result.fold_cycles.append(cycles)

    # ------------------------------------------------------------------ dataflows

    def groups(self) -> list[list[int]]:
        """Output channels side by side in the columns."""
        return runs(range(self.channels), self.array.cols)

    def run_os(self, passes: list[Pass]) -> None:
        """Channel group > pass > row fold."""
        for group in self.groups():
            for one in passes:
                for rows in runs(rows_of(one), self.array.rows):
                    words = [[(self.spike(row, k),) for k in range(self.taps)] for row in rows]
                    weights = [[self.weight(m, k) for k in range(self.taps)] for m in group]
                    self.fold_of_words(words, weights)
                    for r, row in enumerate(rows):
                        for c, m in enumerate(group):
                            self.sum_leaves(m, row, self.array.pes[r][c].sums[0], complete=True)

    def run_tick_batch(self) -> None:
        """Channel group > position fold; weights come in with the first and stay in the scratchpads."""
        self.word_per_neuron = True
        times = range(self.times)
        for group in self.groups():
            for pe_row in self.array.pes:
                for pe in pe_row:
                    pe.scratchpad = []
            weights: list[list[Any]] = [[self.weight(m, k) for k in range(self.taps)] for m in group]
            for positions in runs(range(self.positions), self.array.rows):
                words = [[tuple(self.word(p, k)) for k in range(self.taps)] for p in positions]
                self.fold_of_words(words, weights)
                weights = [[Kept(k) for k in range(self.taps)] for _ in group]
                for r, p in enumerate(positions):
                    for c, m in enumerate(group):
                        for t in times:
                            self.sum_leaves(m, (t, p), self.array.pes[r][c].sums[t], complete=True)

    def run_ws(self, passes: list[Pass]) -> None:
        """Channel group > pass > tap fold."""
        for group in self.groups():
            for rows in map(rows_of, passes):
                for taps in runs(range(self.taps), self.array.rows):
                    complete = taps[-1] == self.taps - 1

                    def leaves(column: int, number: int, total: Number) -> None:
                        self.sum_leaves(group[column], rows[number], total, complete=complete)

                    self.counters.filter_registers += len(taps) * len(group)
                    self.fold_of_sums(
                        self.weight_stays,
                        [[self.weight(m, k) for m in group] for k in taps],
                        [[self.spike(row, k) for row in rows] for k in taps],
                        [[self.sum_so_far(m, row, taps) for row in rows] for m in group],
                        leaves,
                    )

    def run_is(self, passes: list[Pass]) -> None:
        """Pass > row fold > tap fold."""
        channels = range(self.channels)
        for one in passes:
            for rows in runs(rows_of(one), self.array.cols):
                for taps in runs(range(self.taps), self.array.rows):
                    complete = taps[-1] == self.taps - 1

                    def leaves(column: int, number: int, total: Number) -> None:
                        self.sum_leaves(number, rows[column], total, complete=complete)

                    self.fold_of_sums(
                        self.spike_stays,
                        [[self.spike(row, k) for row in rows] for k in taps],
                        [[self.weight(m, k) for m in channels] for k in taps],
                        [[self.sum_so_far(m, row, taps) for m in channels] for row in rows],
                        leaves,
                    )


def runs(items: Sequence[Any], size: int) -> list[list[Any]]:
    """Cut into consecutive runs of at most so many."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def rows_of(one: Pass) -> list[Row]:
    """Rows of a pass: by time point, then position."""
    positions, times = one
    return [(t, p) for t in times for p in positions]


def run_layer(
    layer: Mapping[str, Any],
    values: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    *,
    dataflow: str,
    rows: int,
    cols: int,
    potential_bits: int = 16,
    zero_gating: bool = False,
    ann: bool = False,
    passes: list[Pass] | None = None,
) -> RegisterResult:
    """Run one layer on the register-level array.

    Parameters
    ----------
    layer : a layer of the trace file's `meta`
    values : spikes [C, H, W, T] (linear: [N, T]); for an ANN activations with T = 1
    weight : [M, C, E, E] (linear: [M, N])
    bias : [M], optional
    dataflow : "os", "ws", "is" or "tick_batch"
    rows, cols : size of the array
    potential_bits : width of the integer potential
    zero_gating : whether zeros are added
    ann : multiply, and leave the neurons out: `outputs` says nothing then
    passes : positions and time points of each, in order; one by default; ``tick_batch`` has one
    """
    neuron = Neuron(layer["neuron"], potential_bits)
    words, _ = tap_words(layer, values, weight.shape, 1)  # [K, P, T, 1]
    operands = words[..., 0].transpose(2, 1, 0).tolist()
    weights = [[neuron.number(w) for w in row] for row in weight.reshape(len(weight), -1)]
    biases = None if bias is None else [neuron.number(b) for b in bias]
    machine = Machine(operands, weights, biases, neuron, (rows, cols), zero_gating=zero_gating, ann=ann)
    if passes is None:
        passes = [(range(machine.positions), range(machine.times))]
    if dataflow == "tick_batch":
        machine.run_tick_batch()
    else:
        {"os": machine.run_os, "ws": machine.run_ws, "is": machine.run_is}[dataflow](passes)
    return machine.result
