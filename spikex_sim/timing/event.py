"""The event engine: DRAM channel, GLB port, LBUF halves and PE array as SimPy processes and resources.

Nothing here computes a maximum: a transfer starts when its process has come to it in program order, the
data are there and a buffer half is free; SimPy's clock says when that is.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.timing.crossbar import ChipTimes
from spikex_sim.timing.engine import Durations, Ends

HALVES = 2
FETCH_AHEAD = 3
LOAD_AHEAD = 2


class EventEngine:
    """Simulates the memory hierarchy event by event."""

    def run(self, durations: Durations) -> Ends:
        """See :class:`spikex_sim.timing.engine.MemoryEngine`."""
        return _Hierarchy(durations).run()

    def run_chip(self, times: ChipTimes) -> NDArray[np.int64]:
        """See :class:`spikex_sim.timing.engine.MemoryEngine`."""
        from spikex_sim.timing.crossbar_event import CrossbarChip

        return CrossbarChip(times).run()


class _Halves:
    """Buffer halves that one process gives and one other takes; a SimPy event only where it has to wait.

    A :class:`simpy.Container` does the same with two events for each half that passes.
    """

    def __init__(self, env: Any, count: int) -> None:
        self.env, self.count = env, count
        self.awaited: Any = None

    def take(self) -> bool:
        """Take a half if there is one; else wait for what :meth:`given` returns."""
        if self.count == 0:
            return False
        self.count -= 1
        return True

    def given(self) -> Any:
        """Event of the next half, which then belongs to whom waits for it."""
        self.awaited = self.env.event()
        return self.awaited

    def give(self) -> None:
        """Hand a half on."""
        if self.awaited is None:
            self.count += 1
        else:
            awaited, self.awaited = self.awaited, None
            awaited.succeed()


class _DoubleBuffer:
    """Two halves: one is filled while the other is in use."""

    def __init__(self, env: Any) -> None:
        self.free = _Halves(env, HALVES)
        self.full = _Halves(env, 0)


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
        if source and not source.full.take():
            yield source.full.given()
        if target and not target.free.take():
            yield target.free.given()
        spent = self.durations[name][step]
        if spent:
            yield self.env.timeout(spent)
        self.ends[name][step] = int(self.env.now)
        if source:
            source.free.give()
        if target:
            target.full.give()

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
