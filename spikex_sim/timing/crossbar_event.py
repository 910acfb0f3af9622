"""A crossbar chip as SimPy processes: ports, tiles, buffers and LIF modules of all layers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from spikex_sim.timing.crossbar import COMPUTE, SPIKES_IN, SUMS_OUT, UPDATE, ChipTimes, Ints

SUM_ROWS, SPIKE_STEPS = 2, 2
"""Rows of sums that a tile's buffer holds, and time points of spikes that the spike buffer holds."""


class CrossbarChip:
    """Simulates what :func:`spikex_sim.timing.crossbar.ends_of_chip` computes, without any maximum."""

    def __init__(self, times: ChipTimes) -> None:
        import simpy

        self.env = simpy.Environment()
        self.times = times
        self.durations = times.durations.tolist()
        self.ends = np.zeros_like(times.durations)
        self.first, self.rows = times.first.tolist(), times.rows.tolist()
        layers = range(len(self.rows))
        self.fired = [self.env.event() for _ in range(self.first[-1])]
        self.entered, self.computed = (self._queues() for _ in range(2))
        self.summed = self._queues()
        self.input_rows = [simpy.Container(self.env, init=self.rows[layer]) for layer in layers]
        self.sum_rows = [simpy.Container(self.env, init=SUM_ROWS) for _ in layers]
        self.sources = [[one for one in times.sources.tolist() if one[0] == layer] for layer in layers]
        self.spike_steps = {
            (source, n): simpy.Container(self.env, init=SPIKE_STEPS)
            for n, (_, source, _) in enumerate(times.sources.tolist())
        }

    def _queues(self) -> list[Any]:
        import simpy

        return [simpy.Store(self.env) for _ in self.rows]

    def run(self) -> Ints:
        """Ends of all activities ``[4, units]``."""
        for layer in range(len(self.rows)):
            for process in (self.spikes_in, self.tiles, self.sums_out, self.lif):
                self.env.process(process(layer))
        self.env.run()
        return self.ends

    def _units(self, layer: int) -> range:
        return range(self.first[layer], self.first[layer + 1])

    def _spend(self, activity: int, unit: int) -> Generator[Any, Any, None]:
        if self.durations[activity][unit]:
            yield self.env.timeout(self.durations[activity][unit])
        self.ends[activity, unit] = int(self.env.now)

    def spikes_in(self, layer: int) -> Generator[Any, Any, None]:
        """Fetch the rows of a map that were not there: wait for their spikes, and for room."""
        rows = self.rows[layer]
        for unit in self._units(layer):
            step = unit - self.first[layer]
            yield self.input_rows[layer].get(1)
            for _, source, at in self.sources[layer]:
                if self.times.by_row:
                    yield self.fired[self.first[source + 1] - 1]
                else:
                    need = int(self.times.needs[at + step % rows])
                    yield self.fired[self.first[source] + step // rows * self.rows[source] + need]
            yield from self._spend(SPIKES_IN, unit)
            yield self.entered[layer].put(unit)
            if step % rows == rows - 1:
                for n, (consumer, source, _) in enumerate(self.times.sources.tolist()):
                    if consumer == layer:
                        yield self.spike_steps[source, n].put(1)

    def tiles(self, layer: int) -> Generator[Any, Any, None]:
        """Compute row after row into the buffer of sums."""
        for _ in self._units(layer):
            unit = yield self.entered[layer].get()
            yield self.sum_rows[layer].get(1)
            yield from self._spend(COMPUTE, unit)
            yield self.input_rows[layer].put(1)
            yield self.computed[layer].put(unit)

    def sums_out(self, layer: int) -> Generator[Any, Any, None]:
        """Send rows of sums to the global node."""
        for _ in self._units(layer):
            unit = yield self.computed[layer].get()
            yield from self._spend(SUMS_OUT, unit)
            yield self.sum_rows[layer].put(1)
            yield self.summed[layer].put(unit)

    def lif(self, layer: int) -> Generator[Any, Any, None]:
        """Update neurons where the spike buffer has room for another time point."""
        rooms = [room for (source, _), room in self.spike_steps.items() if source == layer]
        for _ in self._units(layer):
            unit = yield self.summed[layer].get()
            if not self.times.by_row and (unit - self.first[layer]) % self.rows[layer] == 0:
                for room in rooms:
                    yield room.get(1)
            yield from self._spend(UPDATE, unit)
            self.fired[unit].succeed()
