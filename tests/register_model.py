"""Register-level model of the PE array: every PE, register and edge lane, stepped cycle by cycle.

An oracle for the sections of ``model.md`` that its comments cite. Nothing in it knows the cycle or count
formulas of Section 4: cycles are observed on the running array, counts are raised where the event happens.

How the array is built::

                 column lanes (c delay registers in front of column c)
                     |           |           |
     row lanes    +-----+     +-----+     +-----+     TAP     a weight meets a spike word: held until its
    (r delay  --->| 0,0 |---->| 0,1 |---->| 0,2 |             TWS bits are served, accumulators_per_pe a cycle
    registers)    +-----+     +-----+     +-----+     UPDATE  one cycle of the update phase: held one cycle
                     |           |           |        END     the tile is over: takes no cycle of its own
                  +-----+     +-----+     +-----+
              --->| 1,0 |---->| 1,1 |---->| 1,2 |     PE (r, c) sees every token r + c cycles after PE (0, 0).
                  +-----+     +-----+     +-----+

The sequencer issues a wavefront (a token per row and column in use) whenever PE (0, 0) is free at the next
clock edge. It knows no durations: an update phase lasts until each position's queue of operations is empty.

In the update phase a PE reads a partial sum per time point and hands it to its LIF unit through a deskew line
of ``columns of the tile - 1 - c`` registers, the usual output triangle of a systolic array. The LIF units of
a row thus work in step, and a potential that one column leaves behind can be taken up by any column of its
row in the next cycle, be it in this batch or the one after it: "bypassed without a bubble" (Section 4). The
last LIF update of a tile falls into the cycle before the end token reaches the last PE.

With ``skew: batch`` the array drains after every batch: the end token crosses the PEs that the batch uses
before the first token of the next batch enters. ``skew: none`` has no counterpart in registers: PEs that
start one after the other also end one after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from register_dispatch import (
    Bits,
    ColumnToken,
    Counters,
    Dispatcher,
    Kind,
    Load,
    LocalBuffer,
    Number,
    RowToken,
    Sequencer,
    Tile,
    UpdateOp,
    Wavefront,
    tap_words,
)


@dataclass(frozen=True)
class RegisterResult:
    """What the array did: outputs, observed cycles, the counts of `Counters` (LBUF potentials in words)."""

    outputs: Bits
    mode: str | None
    compute_cycles: int
    tile_cycles: list[int]
    batches: int
    ntwus: int
    streamed_taps: int
    accumulations: int
    spikes_added: int
    lif_updates: int
    weight_words_read: int
    spike_bits_read: int
    tag_bits_read: int
    psum_rf_reads: int
    psum_rf_writes: int
    potential_rf_reads: int
    potential_rf_writes: int
    weight_register_writes: int
    potential_lbuf_reads: int
    potential_lbuf_writes: int
    output_bits: int
    busy_pe_cycles: int


# --- Section 1: the neuron ------------------------------------------------------------------------


class Neuron:
    """Arithmetic of both datapaths; float operations are rounded to float32 one by one."""

    def __init__(self, spec: Mapping[str, Any], potential_bits: int) -> None:
        self.integer = spec.get("datapath", "int") == "int"
        self.soft_reset = spec.get("reset", "zero") == "subtract"
        self.number: Callable[[Any], Number] = int if self.integer else np.float32
        self.zero = self.number(0)
        self.threshold = spec["threshold"] if self.integer else np.float32(spec["threshold"])
        self.decay = int(spec["leak_shift"]) if self.integer else np.float32(spec["leak"])
        self.lowest, self.highest = -(1 << (potential_bits - 1)), (1 << (potential_bits - 1)) - 1

    def leak(self, u: Number) -> Number:
        """Return the potential after one time point of leaking."""
        return u - (u >> self.decay) if self.integer else self.decay * u

    def update(self, u: Number, current: Number) -> tuple[bool, Number]:
        """Return whether the neuron spikes at this time point, and the potential it leaves."""
        v = self.stored(self.leak(u) + current)
        if not v > self.threshold:
            return False, v
        return True, (self.stored(v - self.threshold) if self.soft_reset else self.zero)

    def stored(self, value: Number) -> Number:
        """Return what the potential register holds of a value."""
        return min(max(value, self.lowest), self.highest) if self.integer else value


# --- Section 4: the array -------------------------------------------------------------------------


class PE:
    """One processing element: link registers, accumulators, deskew line, LIF unit with a potential register.

    `evaluate` sees the link and potential registers of its neighbours as the last clock edge left them;
    whatever of its own they can see changes in `commit`.
    """

    def __init__(self, array: Array, row: int, col: int) -> None:
        self.array, self.row, self.col = array, row, col
        self.row_out: RowToken | None = None  # what the right neighbour sees
        self.column_out: ColumnToken | None = None  # what the neighbour below sees
        self.token: ColumnToken | None = None  # in work
        self.weights: tuple[Number, ...] = ()  # weight register; bias during the update
        self.served = 0  # time points of the spike word served
        self.sums = [array.neuron.zero] * array.tws
        self.deskew: deque[tuple[UpdateOp, Number] | None] = deque()
        self.potential = self.next_potential = array.neuron.zero
        self.arrived: tuple[RowToken, ColumnToken] | None = None
        self.ended = False

    def configure(self, depth: int) -> None:
        """Set the depth of the deskew line for a run; nothing may be left of the run before."""
        if self.token is not None or any(self.deskew) or self.row_out or self.column_out:
            raise RuntimeError("a run starts in an array that still works")
        self.deskew = deque([None] * depth)
        self.ended = False

    @property
    def ready(self) -> bool:
        """Whether the next clock edge may bring a new token."""
        if self.token is None or self.token.kind is Kind.UPDATE:
            return True
        return self.served + self.array.accumulators >= self.array.tws

    def evaluate(self, left: RowToken | None, top: ColumnToken | None) -> None:
        """Work for one cycle and take what the links show."""
        readout = None
        if self.token is not None:
            self.array.counters.busy_pe_cycles += 1
            if self.token.kind is Kind.TAP:
                self._integrate(self.token)
            else:
                readout = self._read_out(self.token.op)
        self.deskew.append(readout)
        due = self.deskew.popleft()
        self.next_potential = self._lif(*due) if due is not None else self.potential
        self.arrived = None
        if left is not None and top is not None and left.kind is top.kind:
            if self.token is not None and (self.token.kind is Kind.TAP and self.served < self.array.tws):
                raise RuntimeError(f"PE {self.row, self.col}: a token arrives while the PE is busy")
            self.arrived = left, top
        elif left is not None or top is not None:
            raise RuntimeError(f"PE {self.row, self.col}: weights and spikes do not meet")

    def commit(self) -> None:
        """Clock edge: the token that arrived becomes the token in work and is shown to the neighbours."""
        self.potential = self.next_potential
        self.row_out = self.column_out = None
        if self.arrived is None:
            if self.token is not None and (self.token.kind is Kind.UPDATE or self.served >= self.array.tws):
                self.token = None
            return
        left, top = self.arrived
        self.row_out = left if self.col + 1 < left.columns else None
        self.column_out = top if self.row + 1 < len(self.array.channels) else None
        self.weights, self.served = left.values, 0
        self.token = None if top.kind is Kind.END else top
        self.ended = top.kind is Kind.END
        if top.kind is Kind.TAP:
            self.array.counters.weight_register_writes += len(left.values)

    def _integrate(self, token: ColumnToken) -> None:
        """Serve the next time points of the spike word: one accumulator each.

        Without a gate a PE adds zero where there is no spike.
        """
        counters, last = self.array.counters, min(self.served + self.array.accumulators, self.array.tws)
        for j in range(self.served, last):
            spike = token.word is not None and token.word[j]
            if spike or not self.array.zero_gating:
                counters.psum_rf_reads += 1
                counters.accumulations += 1
                counters.psum_rf_writes += 1
                counters.spikes_added += spike
                addend = self.weights[token.select] if spike else self.array.neuron.zero
                self.sums[j] = self.array.held(self.sums[j] + addend)
        self.served = last

    def _read_out(self, op: UpdateOp) -> tuple[UpdateOp, Number]:
        """Send an operation, and the input current of the time point it updates, down the deskew line."""
        current = self.array.neuron.zero
        if op.point >= 0:
            self.array.counters.psum_rf_reads += 1
            current, self.sums[op.point] = self.sums[op.point], self.array.neuron.zero
            for bias in self.weights:
                current = current + bias
        return op, current

    def _lif(self, op: UpdateOp, current: Number) -> Number:
        """Carry out one operation of the update phase; return what the potential register holds next."""
        array, counters, u = self.array, self.array.counters, self.take_up(op)
        channel = array.channels[self.row]
        for _ in range(op.leak_windows * array.tws):
            u = array.neuron.leak(u)
        if op.point >= 0:
            counters.potential_rf_reads += 1
            spike, u = array.neuron.update(u, current)
            counters.lif_updates += 1
            counters.potential_rf_writes += 1
            array.emit(channel, op.position, op.window * array.tws + op.point, spike)
        if op.store:
            array.lbuf.write_potential(channel, op.position, u)
        return u

    def take_up(self, op: UpdateOp) -> Number:
        """Return the potential with which an operation starts."""
        if op.load is Load.REST:
            return self.array.neuron.zero
        if op.load is Load.LBUF:
            return self.array.lbuf.read_potential(self.array.channels[self.row], op.position)
        if op.load is Load.ROW:
            return self.array.pes[self.row][op.source].potential
        return self.potential


class Array:
    """The PEs, the lanes that skew what enters at the edges, and the clock."""

    def __init__(
        self,
        rows: int,
        cols: int,
        tws: int,
        accumulators: int,
        neuron: Neuron,
        lbuf: LocalBuffer,
        outputs: Bits,
        *,
        zero_gating: bool,
        psum_bits: int | None = None,
        pe: type[PE] = PE,
    ) -> None:
        self.tws, self.accumulators, self.neuron, self.lbuf = tws, accumulators, neuron, lbuf
        self.zero_gating = zero_gating
        self.sum_lowest = None if psum_bits is None else -(1 << (psum_bits - 1))
        self.counters, self.outputs = lbuf.counters, outputs  # outputs: [M, P, T]
        self.channels = range(0)
        self.pes = [[pe(self, r, c) for c in range(cols)] for r in range(rows)]
        self.row_lanes: list[deque[RowToken | None]] = [deque([None] * r) for r in range(rows)]
        self.column_lanes: list[deque[ColumnToken | None]] = [deque([None] * c) for c in range(cols)]
        self.cycle = 0

    def held(self, total: Number) -> Number:
        """Return what a register of partial sums holds of one: what does not fit wraps around."""
        lowest = self.sum_lowest
        if lowest is None or not self.neuron.integer:
            return total
        return total + 2 * lowest if total >= -lowest else total - 2 * lowest if total < lowest else total

    def emit(self, channel: int, position: int, time: int, spike: bool) -> None:
        """Take an output bit; padded time points are silent and have no place in the map."""
        self.counters.output_bits += 1
        if time < self.outputs.shape[2]:
            self.outputs[channel, position, time] = spike

    def run(self, channels: range, width: int, program: Iterator[Wavefront]) -> int:
        """Run a tile or a batch: cycles from the first token in PE (0, 0) to the end token in the last PE."""
        self.channels = channels
        for row in self.pes:
            for pe in row:
                pe.configure(max(width - 1 - pe.col, 0))
        first, last = self.pes[0][0], self.pes[len(channels) - 1][width - 1]
        started: int | None = None
        while not last.ended:
            self.clock(next(program, Wavefront()) if first.ready else Wavefront())
            if started is None and (first.token is not None or first.ended):
                started = self.cycle
        for row in self.pes:
            for pe in row:
                if pe.ended != (pe.row <= last.row and pe.col <= last.col):
                    raise RuntimeError("the end token did not cross the PEs in use")
        assert started is not None
        return self.cycle - started

    def clock(self, wave: Wavefront) -> None:
        """One cycle: lanes move, PEs compute from what the last edge left, then all registers change."""
        left: list[RowToken | None] = []
        for r, row_lane in enumerate(self.row_lanes):
            row_lane.append(wave.rows[r] if r < len(wave.rows) else None)
            left.append(row_lane.popleft())
        top: list[ColumnToken | None] = []
        for c, column_lane in enumerate(self.column_lanes):
            column_lane.append(wave.columns[c] if c < len(wave.columns) else None)
            top.append(column_lane.popleft())
        for r, row in enumerate(self.pes):
            for c, pe in enumerate(row):
                above = self.pes[r - 1][c].column_out if r else top[c]
                pe.evaluate(row[c - 1].row_out if c else left[r], above)
        for row in self.pes:
            for pe in row:
                pe.commit()
        self.lbuf.commit()
        self.cycle += 1


# --- A layer --------------------------------------------------------------------------------------


def run_layer(
    layer: Mapping[str, Any],
    spikes: Bits,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    *,
    scheduler: str = "spikex",
    tws: int,
    rows: int,
    cols: int,
    stream: str = "tap",
    accumulators_per_pe: int = 1,
    update_cycles: int = 1,
    leak_catchup_cycles: int = 1,
    skew: str = "tile",
    zero_gating: bool = True,
    potential_bits: int = 16,
    psum_bits: int | None = None,
    tiles: Sequence[Tile] | None = None,
    stsap: bool = False,
) -> RegisterResult:
    """Run one layer on the register-level array.

    Parameters
    ----------
    layer : a layer of the trace file's `meta`
    spikes : [C, H, W, T] (linear: [N, T])
    weight : [M, C, E, E] (linear: [M, N])
    bias : [M], optional
    scheduler : "spikex" (Section 3) or "ptb" (Section 7)
    tws, rows, cols, stream, accumulators_per_pe, update_cycles, leak_catchup_cycles, potential_bits : knobs
        of Sections 1-4
    psum_bits : width of the registers of partial sums; None: wide enough
    skew : "tile" or "batch", after which of them the array drains
    zero_gating : whether PEs add only where the spike bit is set
    tiles : positions and windows of each tile, in the order in which every row group runs them; windows of
        one position must come in ascending order. By default one tile per row group.
    stsap : PTB only; integer datapath only, for packing changes the order of additions

    Returns
    -------
    RegisterResult
        `tile_cycles` has an entry per row group and tile, row groups outermost.
    """
    neuron = Neuron(layer["neuron"], potential_bits)
    if scheduler not in {"spikex", "ptb"} or stream not in {"tap", "channel", "all"}:
        raise ValueError(f"unknown scheduler {scheduler!r} or stream {stream!r}")
    if skew not in {"tile", "batch"}:
        raise ValueError(f"registers know no skew {skew!r}")
    if stsap and (scheduler != "ptb" or not neuron.integer):
        raise ValueError("stsap needs the PTB scheduler and the integer datapath")
    spikes = np.asarray(spikes, dtype=np.bool_)
    words, side = tap_words(layer, spikes, weight.shape, tws)
    n_taps, n_positions, n_windows, _ = words.shape
    n_channels = len(weight)
    biased = bias is not None and bool(np.any(bias))
    silence_is_free = not neuron.soft_reset and not biased and bool(layer["neuron"]["threshold"] >= 0)

    counters = Counters()
    weights = [[neuron.number(w) for w in row] for row in weight.reshape(n_channels, n_taps)]
    lbuf = LocalBuffer(weights, words, counters)
    outputs = np.zeros((n_channels, n_positions, spikes.shape[-1]), dtype=np.bool_)
    array = Array(
        rows, cols, tws, accumulators_per_pe, neuron, lbuf, outputs,
        zero_gating=zero_gating, psum_bits=psum_bits,
    )  # fmt: skip
    dispatcher = Dispatcher(lbuf.tags, silence_is_free, scheduler, stream, cols, n_taps // len(spikes), stsap)
    biases = None if bias is None else [neuron.number(b) for b in bias]
    tile_cycles = []
    for first in range(0, n_channels, rows):  # row groups
        channels = range(first, min(first + rows, n_channels))
        sequencer = Sequencer(lbuf, channels, biases, tws, update_cycles, leak_catchup_cycles)
        for tile in [(range(n_positions), range(n_windows))] if tiles is None else tiles:
            batches = dispatcher.batches(tile)
            counters.ntwus += len(channels) * int(dispatcher.active[np.ix_(tile[0], tile[1])].sum())
            # an empty tile has nothing to run, not even an end token
            runs = [[batch] for batch in batches] if skew == "batch" else [batches] if batches else []
            tile_cycles.append(0)
            for run in runs:
                width = max(len(batch.columns) for batch in run)
                tile_cycles[-1] += array.run(channels, width, sequencer.program(run, width))
    outputs = outputs.reshape(n_channels, *side, spikes.shape[-1])
    return RegisterResult(outputs, dispatcher.mode, sum(tile_cycles), tile_cycles, **vars(counters))
