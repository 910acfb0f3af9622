"""The event engine: DRAM channel, GLB port, LBUF halves and PE array as SimPy processes and resources.

Nothing here computes a maximum: a transfer starts when its process has come to it in program order, the
data are there and a buffer half is free; SimPy's clock says when that is.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from spikex_sim.memory.engine import Durations, Ends

HALVES = 2
FETCH_AHEAD = 3
LOAD_AHEAD = 2


class EventEngine:
    """Simulates the memory hierarchy event by event."""

    def run(self, durations: Durations) -> Ends:
        """See :class:`spikex_sim.memory.engine.MemoryEngine`."""
        return _Hierarchy(durations).run()


class _DoubleBuffer:
    """Two halves: one is filled while the other is in use."""

    def __init__(self, env: Any) -> None:
        import simpy

        self.free = simpy.Container(env, capacity=HALVES, init=HALVES)
        self.full = simpy.Container(env, capacity=HALVES, init=0)


class _Hierarchy:
    def __init__(self, durations: Durations) -> None:
        import simpy

        self.env = simpy.Environment()
        self.durations = {
            name: getattr(durations, name).tolist()
            for name in ("fetch", "load", "compute", "store", "writeback")
        }
        self.steps = len(durations.fetch)
        self.ends = {name: [0] * self.steps for name in self.durations}
        self.glb_in, self.lbuf_in, self.lbuf_out, self.glb_out = (_DoubleBuffer(self.env) for _ in range(4))

    def run(self) -> Ends:
        for process in (self.dram_channel(), self.glb_port(), self.pe_array()):
            self.env.process(process)
        self.env.run()
        return Ends(**{name: np.array(times, dtype=np.int64) for name, times in self.ends.items()})

    def activity(
        self, name: str, step: int, source: _DoubleBuffer | None, target: _DoubleBuffer | None
    ) -> Generator[Any, Any, None]:
        """Wait for data and for room, take the time it takes, hand the data on and free the source."""
        if source:
            yield source.full.get(1)
        if target:
            yield target.free.get(1)
        yield self.env.timeout(self.durations[name][step])
        self.ends[name][step] = int(self.env.now)
        if source:
            yield source.free.put(1)
        if target:
            yield target.full.put(1)

    def dram_channel(self) -> Generator[Any, Any, None]:
        """Serve ``..., F[i+3], W[i], F[i+4], ...``."""
        for step in range(-FETCH_AHEAD, self.steps):
            if step + FETCH_AHEAD < self.steps:
                yield from self.activity("fetch", step + FETCH_AHEAD, None, self.glb_in)
            if step >= 0:
                yield from self.activity("writeback", step, self.glb_out, None)

    def glb_port(self) -> Generator[Any, Any, None]:
        """Serve ``..., L[i+2], S[i], L[i+3], ...``."""
        for step in range(-LOAD_AHEAD, self.steps):
            if step + LOAD_AHEAD < self.steps:
                yield from self.activity("load", step + LOAD_AHEAD, self.glb_in, self.lbuf_in)
            if step >= 0:
                yield from self.activity("store", step, self.lbuf_out, self.glb_out)

    def pe_array(self) -> Generator[Any, Any, None]:
        """Compute step after step."""
        for step in range(self.steps):
            yield from self.activity("compute", step, self.lbuf_in, self.lbuf_out)
