"""Register-level model of a node of a graph on the array of SpikeX or PTB.

The array of `register_model`, with what ``networks.md`` adds:

- A tap of own channels comes in with a weight for one row alone; the PEs of other rows let it pass.
- An analog word is multiplied; the PE does not look at how large it is.
- The update of a window starts with the words of currents of its neurons, one a cycle for all rows, each
  added to the accumulator of its time point, or of all; then, for every time point, a cycle for each state.
- Currents have no neurons: in the update the sum leaves.
- Runs of windows of a population that takes itself follow each other; a spike word is made of outputs that
  the array has given, and it is an error to need one that it has not.

As there, cycles are observed on the running array and counts are raised where the event happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from register_dispatch import (
    IDLE,
    Batch,
    ColumnToken,
    Counters,
    Dispatcher,
    Kind,
    Load,
    LocalBuffer,
    RowToken,
    Sequencer,
    UpdateOp,
    Wavefront,
)
from register_graph_layer import CurrentWord, Layer, States, Tap
from register_model import PE, Array


@dataclass
class GraphCounters(Counters):
    """Events of a node; its spike bits are bits of input words."""

    multiplications: int = 0
    current_words_read: int = 0
    sums_out: int = 0


@dataclass
class Observed:
    """What the array did: counts, and of every part its mode and the array cycles of each run's steps."""

    counters: GraphCounters = field(default_factory=GraphCounters)
    modes: list[str | None] = field(default_factory=list)
    steps: list[list[list[int]]] = field(default_factory=list)
    weight_bits: int = 8

    @property
    def compute_cycles(self) -> int:
        return sum(sum(run) for part in self.steps for run in part)


class TapWeight(NamedTuple):
    """What a row takes in with a tap."""

    value: int
    synapse: int
    analog: bool


@dataclass(frozen=True, slots=True)
class GraphOp(UpdateOp):
    """One cycle of an update phase: a word of currents, or a state of a neuron, may fall into it."""

    word: int = -1
    state: int = -1


class NodeBuffer(LocalBuffer):
    """The LBUF, with words of currents, and potentials of several words."""

    counters: GraphCounters

    def __init__(self, layer: Layer, counters: GraphCounters) -> None:
        super().__init__([], np.zeros((0, 0, 0, 0), np.bool_), counters)
        self.layer = layer

    def read_input(self, tap: Tap, p: int, w: int) -> list[int | None] | None:
        """Return the word of a tap, or None where there is nothing to add; analog values have no tags."""
        word = self.layer.word(tap, p, w)
        self.counters.tag_bits_read += not self.layer.is_analog(tap)
        self.counters.spike_bits_read += 0 if word is None else len(word) * self.layer.bits(tap)
        return word

    def read_current(self, channel: int, p: int, w: int, index: int) -> CurrentWord:
        self.counters.current_words_read += 1
        return self.layer.current_words(channel, p, w)[index]

    def read_potential(self, channel: int, position: int) -> Any:
        self.counters.potential_lbuf_reads += self.layer.states - 1
        return super().read_potential(channel, position)

    def write_potential(self, channel: int, position: int, u: Any) -> None:
        self.counters.potential_lbuf_writes += self.layer.states - 1
        super().write_potential(channel, position, u)


class GraphSequencer(Sequencer):
    """Wavefronts of a row group of a node; notes the cycle in which the first of every batch is issued."""

    lbuf: NodeBuffer

    def __init__(
        self, array: Array, lbuf: NodeBuffer, channels: range, taps: list[Tap], catchup: int
    ) -> None:
        super().__init__(lbuf, channels, None, lbuf.layer.tws, 1, catchup)
        self.array, self.taps = array, taps
        self.issued: list[int] = []

    def batch(self, batch: Batch) -> Iterator[Wavefront]:
        self.issued.append(self.array.cycle)
        yield from super().batch(batch)

    def _tap(self, batch: Batch, slot: tuple[int, ...]) -> Wavefront:
        (index,) = slot
        tap, rows = self.taps[index], []
        for m in self.channels:
            weight: tuple[TapWeight, ...] = ()
            if m in tap.rows:
                self.lbuf.counters.weight_words_read += 1
                value = self.lbuf.layer.weight(m, tap)
                weight = (TapWeight(value, tap.synapse, self.lbuf.layer.is_analog(tap)),)
            rows.append(RowToken(Kind.TAP, len(batch.columns), weight))
        words: list[Any] = [self.lbuf.read_input(tap, p, w) for p, w in batch.columns]
        return Wavefront(tuple(rows), tuple(ColumnToken(Kind.TAP, word) for word in words))

    def _window(self, column: int, whole: UpdateOp) -> Iterator[tuple[int, UpdateOp]]:
        layer, p, w = self.lbuf.layer, whole.position, whole.window
        lengths = {len(layer.current_words(m, p, w)) for m in self.channels}
        (words,) = lengths
        for index in range(words):
            yield column, GraphOp(p, w, word=index)
        if layer.neurons is None:
            for j in range(layer.tws):
                yield column, GraphOp(p, w, point=j)
            return
        load, source, free = whole.load, whole.source, whole.leak_windows
        for j in range(layer.tws):
            for state in range(layer.states):
                point = j if state == layer.states - 1 else -1  # the last state needs all others
                store = whole.store and point == layer.tws - 1
                yield column, GraphOp(p, w, load, source, free, point, store, state=state)
                load, source, free = Load.KEEP, -1, 0


class GraphPE(PE):
    """A PE that keeps the sums of synapses apart, which are shifted before they are added."""

    def __init__(self, array: Array, row: int, col: int) -> None:
        super().__init__(array, row, col)
        self.layer = array.neuron
        self.potential = self.next_potential = States()
        self.parts: list[dict[int, int]] = [{} for _ in range(array.tws)]

    def _integrate(self, token: ColumnToken) -> None:
        counters, last = self.array.counters, min(self.served + self.array.accumulators, self.array.tws)
        first, self.served = self.served, last
        if not self.weights or token.word is None:
            return
        (weight,) = self.weights
        for j in range(first, last):
            value = token.word[j]
            if value or (weight.analog and value is not None):
                counters.psum_rf_reads += 1
                counters.psum_rf_writes += 1
                counters.multiplications += weight.analog
                counters.accumulations += not weight.analog
                its = self.parts[j]
                its[weight.synapse] = its.get(weight.synapse, 0) + weight.value * value

    def _read_out(self, op: UpdateOp) -> tuple[UpdateOp, Any]:
        if isinstance(op, GraphOp) and op.word >= 0:
            self._take_word(op)
            return IDLE, 0
        current = 0
        if op.point >= 0:
            counters, channel = self.array.counters, self.array.channels[self.row]
            counters.psum_rf_reads += 1
            its, self.parts[op.point] = self.parts[op.point], {}
            counters.multiplications += self.layer.scaled(channel, its, op.window, op.point)
            current = self.layer.total(channel, its)
        return op, current

    def _take_word(self, op: GraphOp) -> None:
        """Add a word of currents to the accumulator of its time point, or of all."""
        channel = self.array.channels[self.row]
        word = self.array.lbuf.read_current(channel, op.position, op.window, op.word)
        for j in range(self.array.tws) if word.point < 0 else (word.point,):
            its = self.parts[j]
            its[word.synapse] = self.layer.collected(word, its.get(word.synapse))

    def _lif(self, op: UpdateOp, current: Any) -> Any:
        array, counters, states = self.array, self.array.counters, self.take_up(op)
        channel, time = array.channels[self.row], op.window * array.tws + op.point
        if self.layer.neurons is None:
            if op.point >= 0:
                counters.sums_out += 1
                array.emit(channel, op.position, time, current)
            return states
        neuron = self.layer.neurons[channel]
        for _ in range(op.leak_windows * array.tws):
            states = neuron.leak(states)
        if isinstance(op, GraphOp) and op.state >= 0:
            counters.potential_rf_reads += 1
            counters.potential_rf_writes += 1
        if op.point >= 0:
            spike, states = neuron.update(states, current)
            counters.lif_updates += 1
            array.emit(channel, op.position, time, spike)
        if op.store:
            array.lbuf.write_potential(channel, op.position, states)
        return states

    def take_up(self, op: UpdateOp) -> Any:
        return States() if op.load is Load.REST else super().take_up(op)


def run_layer(
    layer: Layer,
    *,
    scheduler: str,
    rows: int,
    cols: int,
    accumulators_per_pe: int = 1,
    leak_catchup_cycles: int = 1,
) -> Observed:
    """Run a layer on the register-level array, a tile for each run and row group.

    Parameters
    ----------
    layer : gets its outputs
    scheduler : "spikex" or "ptb"
    rows, cols, accumulators_per_pe, leak_catchup_cycles : knobs of ``model.md`` 3 and 4
    """
    seen = Observed(weight_bits=layer.weight_bits)
    lbuf = NodeBuffer(layer, seen.counters)
    array = Array(
        rows, cols, layer.tws, accumulators_per_pe, layer, lbuf, layer.outputs, zero_gating=True, pe=GraphPE
    )
    parts = [Part(layer, channels, array, leak_catchup_cycles) for channels in layer.parts]
    for run in layer.runs:
        for part in parts:
            part.look_at(run)
            part.run(run, scheduler, cols)
        layer.finished = run.stop * layer.tws
    seen.modes = [part.mode for part in parts]
    seen.steps = [part.steps for part in parts]
    return seen


class Part:
    """Output channels between boundaries of groups: a layer of its own."""

    def __init__(self, layer: Layer, channels: range, array: Array, catchup: int) -> None:
        self.layer, self.channels, self.array = layer, channels, array
        self.taps, self.mode = layer.taps(channels), None
        self.steps: list[list[int]] = []
        self.groups, rows = [], len(array.pes)
        for first in range(channels.start, channels.stop, rows):
            its = range(first, min(first + rows, channels.stop))
            taps = [tap for tap in self.taps if set(tap.rows) & set(its)]
            self.groups.append(GraphSequencer(array, array.lbuf, its, taps, catchup))

    def look_at(self, run: range) -> None:
        """Find the tags of the windows of a run, [tap, position, window]."""
        layer = self.layer
        self.tags = {
            tap: np.array(
                [
                    [w in run and layer.word(tap, p, w) is not None for w in range(layer.windows)]
                    for p in range(layer.positions)
                ]
            )
            for tap in self.taps
        }
        shape = (layer.positions, layer.windows)
        self.active = np.zeros(shape, np.bool_)
        for tags in self.tags.values():
            self.active |= tags
        if layer.always_active:
            self.active[:, run.start : run.stop] = True

    def run(self, run: range, scheduler: str, cols: int) -> None:
        """Run the tiles of a run of windows; one without batches is a step that only sends tags."""
        layer, counters = self.layer, self.array.counters
        self.steps.append([])
        for group in self.groups:
            shape = (len(group.taps), layer.positions, layer.windows)
            tags = np.array([self.tags[tap] for tap in group.taps], np.bool_).reshape(shape)
            dispatcher = Dispatcher(tags, True, scheduler, "tap", cols, 1, False)
            dispatcher.active = self.active
            if scheduler == "spikex":
                busy = self.active.sum() / layer.positions
                dispatcher.mode = self.mode = "temporal" if layer.run is None and busy > cols else "spatial"
            batches = dispatcher.batches((range(layer.positions), run))
            counters.ntwus += len(group.channels) * int(self.active.sum())
            self.steps[-1] += self._tile(group, batches) if batches else [0]

    def _tile(self, group: GraphSequencer, batches: Sequence[Batch]) -> list[int]:
        """Run a tile; return the array cycles of its batches, the skew in the last."""
        group.issued = []
        width = max(len(batch.columns) for batch in batches)
        cycles = self.array.run(group.channels, width, group.program(batches, width))
        starts = [*group.issued, group.issued[0] + cycles]
        return [b - a for a, b in pairwise(starts)]
