"""Clocked model of what moves around the array: the DRAM channel, the GLB's array port, the PE array.

Of Section 5 of ``model.md`` and of recurrence in ``networks.md`` 2. Nothing in it knows the formulas of ends:
each of the three serves what its program has next, a cycle at a time, as soon as what that needs is there.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Step(NamedTuple):
    """Cycles of the activities of a step; ``array`` is the PE array's share of ``compute``."""

    fetch: int
    load: int
    compute: int
    store: int
    writeback: int
    array: int


Job = tuple[str, int]  # activity, step


def dram_order(steps: int) -> Iterator[Job]:
    """Three fetches ahead of every write."""
    for i in range(steps + 3):
        if i < steps:
            yield "fetch", i
        if i >= 3:
            yield "writeback", i - 3


def port_order(steps: int) -> Iterator[Job]:
    """Two loads ahead of every store."""
    for i in range(steps + 2):
        if i < steps:
            yield "load", i
        if i >= 2:
            yield "store", i - 2


def needs_of(job: Job) -> list[Job]:
    """What must have ended before: what it moves, and what makes room for it in one of two halves."""
    activity, i = job
    return {
        "fetch": [("load", i - 2)],
        "load": [("fetch", i), ("compute", i - 2)],
        "compute": [("load", i), ("store", i - 2)],
        "store": [("compute", i), ("writeback", i - 2)],
        "writeback": [("store", i)],
    }[activity]


@dataclass
class Server:
    """Serves jobs in the order of its program."""

    jobs: deque[Job]
    left: int = 0  # cycles of the one in work
    busy: bool = False


@dataclass
class Timed:
    """Cycles of a layer, and those in which the array waits, by cause."""

    cycles: int = 0
    stalls: Counter[str] = field(default_factory=Counter)


def run(steps: Sequence[Step], lengths: Sequence[int]) -> Timed:
    """Run the steps of a layer; ``lengths`` are those of its runs, each of which waits for the one before."""
    timed, first = Timed(), 0
    assert sum(lengths) == len(steps)
    for length in lengths:
        its = steps[first : first + length]
        first += length
        _one_run(its, timed, "drain" if first == len(steps) else "recurrence")
        timed.stalls["lbuf"] += sum(step.compute - step.array for step in its)
    return timed


def _one_run(steps: Sequence[Step], timed: Timed, after_the_last: str) -> None:
    array = Server(deque(("compute", i) for i in range(len(steps))))
    servers = [Server(deque(dram_order(len(steps)))), Server(deque(port_order(len(steps)))), array]
    ended: set[Job] = set()

    def serve(server: Server) -> bool:
        """Begin or end a job at a clock edge; whether there was one."""
        if server.busy:
            if server.left:
                return False
            ended.add(server.jobs.popleft())
            server.busy = False
            return True
        if not server.jobs:
            return False
        activity, step = server.jobs[0]
        if any(i >= 0 and (one, i) not in ended for one, i in needs_of((activity, step))):
            return False
        server.left, server.busy = getattr(steps[step], activity), True
        return True

    while True:
        while any(serve(server) for server in servers):  # what takes no time may set off more
            pass
        if not any(server.jobs for server in servers):
            return
        timed.cycles += 1
        if not array.busy:
            timed.stalls[_cause(array, ended, after_the_last)] += 1
        for server in servers:
            server.left -= server.busy


def _cause(array: Server, ended: set[Job], after_the_last: str) -> str:
    """What the array waits for: its data first, then room for its outputs."""
    if not array.jobs:
        return after_the_last
    _, step = array.jobs[0]
    for activity, cause in (("fetch", "dram"), ("load", "glb")):
        if (activity, step) not in ended:
            return cause
    return "drain"
