"""Register-level model of a node of a graph on a dense array.

The array of `register_systolic`, with what ``networks.md`` adds:

- All synapses have their taps beside each other, those of own channels for every channel. The other columns
  find nothing in the filter there: they neither add nor multiply, unless the array adds zeros.
- Analog values are multiplied, in the map; currents come to the neurons beside the array.
- Of a population that takes itself, rows end with the run, for their operands are outputs of the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from register_graph import TapWeight
from register_graph_layer import Layer, States, Tap
from register_systolic import Counters, Machine, Pass, Row, runs

Sums = dict[int, int]


@dataclass
class DenseCounters(Counters):
    """Events of a node."""

    multiplications: int = 0
    psum_rf_accesses: int = 0  # a read and a write each
    current_words: int = 0
    sums_out: int = 0
    states_updated: int = 0

    def add(self, other: DenseCounters) -> None:
        """Count what another has counted."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


class Number(NamedTuple):
    """An analog value, and whether it lies in the map."""

    value: int
    inside: bool


NOTHING = TapWeight(0, 0, analog=False)
"""What stands in the filter where a tap is of another channel."""


@dataclass
class DenseResult:
    """What the array did in all parts."""

    counters: DenseCounters = field(default_factory=DenseCounters)
    fold_cycles: list[int] = field(default_factory=list)
    weight_bits: int = 8


class Part(Machine):
    """Output channels between boundaries of groups, on an array of their own time."""

    counters: DenseCounters

    def __init__(self, layer: Layer, channels: range, shape: tuple[int, int], *, zero_gating: bool) -> None:
        self.layer, self.part = layer, channels
        self.its_taps = layer.taps(channels)
        weights = [
            [
                TapWeight(layer.weight(m, tap), tap.synapse, layer.is_analog(tap))
                if m in tap.rows
                else NOTHING
                for tap in self.its_taps
            ]
            for m in channels
        ]
        operands: list[Any] = [[[None] * len(self.its_taps)] * layer.positions] * layer.times
        super().__init__(operands, weights, None, layer, shape, zero_gating=zero_gating, ann=False)
        self.counters = self.result.counters = DenseCounters()

    def see(self, times: range) -> None:
        """Fetch the operands of some time points."""
        for t in times:
            self.operands[t] = [
                [self._operand(tap, p, t) for tap in self.its_taps] for p in range(self.layer.positions)
            ]

    def _operand(self, tap: Tap, p: int, t: int) -> int | Number:
        value = self.layer.value(tap, p, t)
        return Number(value, self.layer.inside(tap, p)) if self.layer.is_analog(tap) else value

    def add(self, total: Any, operand: Any, weight: Any) -> Sums:
        """Spend a slot on the sum of a synapse: add, or multiply a number in the map."""
        self.counters.slots += 1
        found = dict(total or {})
        if isinstance(operand, Number):
            if weight is not NOTHING:
                self.counters.multiplications += operand.inside
                self.counters.psum_rf_accesses += operand.inside
                found[weight.synapse] = found.get(weight.synapse, 0) + weight.value * operand.value
            return found
        adds = not self.zero_gating or bool(operand and weight is not NOTHING)
        self.counters.accumulations += adds
        self.counters.psum_rf_accesses += adds
        if weight is not NOTHING:
            found[weight.synapse] = found.get(weight.synapse, 0) + weight.value * operand
        return found

    def sum_leaves(self, channel: int, row: Row, total: Any, *, complete: bool) -> None:
        """Take the sums; complete ones meet the words of currents and go to the neuron, or to the GLB."""
        time, position = row
        self.counters.ofmap_words += time == 0 or not self.word_per_neuron
        self.result.sums[channel, position, time] = total
        if complete:
            self.update(channel, row, dict(total or {}))

    def update(self, channel: int, row: Row, sums: Sums) -> None:
        """Take words of currents, then update a neuron, the time points of which must come in order."""
        (time, position), m, layer = row, self.part[channel], self.layer
        if self.updated.get((channel, position), 0) != time:
            raise RuntimeError("a time point does not follow the one before it")
        self.updated[channel, position] = time + 1
        window, point = divmod(time, layer.tws)
        for word in layer.current_words(m, position, window):
            if word.point in (-1, point):
                self.counters.current_words += word.point == point or point == 0
                sums[word.synapse] = layer.collected(word, sums.get(word.synapse))
        self.counters.multiplications += layer.scaled(m, sums, window, point)
        current = layer.total(m, sums)
        if layer.neurons is None:
            self.counters.sums_out += 1
            layer.outputs[m, position, time] = current
            return
        before = self.potentials.get((channel, position), States())
        fired, self.potentials[channel, position] = layer.neurons[m].update(before, current)
        layer.outputs[m, position, time] = fired
        self.counters.lif_updates += 1
        self.counters.states_updated += layer.states

    def run(self, times: range, dataflow: str, together: int) -> None:
        """Run the rows of some time points, so many time points a pass; without taps there is no pass."""
        self.see(times)
        if not self.its_taps:
            for t in times:
                for p in range(self.positions):
                    for channel in range(self.channels):
                        self.update(channel, (t, p), {})
            return
        passes: list[Pass] = [(range(self.positions), block) for block in runs(times, together)]
        if dataflow == "tick_batch":
            self.run_tick_batch()
        else:
            {"os": self.run_os, "ws": self.run_ws, "is": self.run_is}[dataflow](passes)


def run_layer(
    layer: Layer,
    *,
    dataflow: str,
    rows: int,
    cols: int,
    zero_gating: bool = False,
    together: int | None = None,
) -> DenseResult:
    """Run a layer on the register-level array.

    Parameters
    ----------
    layer : gets its outputs; its window is one time point, under ``tick_batch`` all of them
    dataflow, rows, cols, zero_gating : as in `register_systolic`
    together : time points of a pass at most; by default all of a run
    """
    found = DenseResult(weight_bits=layer.weight_bits)
    parts = [Part(layer, channels, (rows, cols), zero_gating=zero_gating) for channels in layer.parts]
    for run in layer.runs:
        times = range(layer.times)[run.start * layer.tws : run.stop * layer.tws]
        for part in parts:
            part.run(times, dataflow, together or len(times))
        layer.finished = times.stop
    for part in parts:
        found.fold_cycles += part.result.fold_cycles
        found.counters.add(part.counters)
    return found
