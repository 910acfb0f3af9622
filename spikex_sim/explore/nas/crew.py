"""Where networks are scored: in this process, in several, or on a Dask cluster (Section 4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Self

from spikex_sim.core.errors import SpikexError
from spikex_sim.explore.nas.costs import Costs
from spikex_sim.explore.nas.forms import Form
from spikex_sim.explore.nas.machine import Machine
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.explore.nas.scores import Score, Scorer
from spikex_sim.explore.sweeps import pools
from spikex_sim.explore.workers import KILLED, Workers, check_places
from spikex_sim.run.simulate import prepare
from spikex_sim.spec.arch import Accelerator

Scorers = Callable[[int], Scorer]
"""Scorer with the weights and mini-batches of a seed; reaches other processes pickled."""


@dataclass(frozen=True)
class Task:
    """A network to be scored.

    Attributes
    ----------
    a, b : Form
        Its cells.
    seed : int
        Of its weights and mini-batches.
    machines : tuple of int
        Those that replay its spikes, by number.
    """

    a: Form
    b: Form
    seed: int
    machines: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes
    ----------
    score : Score
        Of the network.
    costs : tuple of Costs or str
        On each machine of the task, or why it cannot run the network.
    """

    score: Score
    costs: tuple[Costs | str, ...]


class Bench:
    """Scores networks, one after the other.

    Parameters
    ----------
    scorers : callable
        Scorer of a seed.
    macro : Macro
        The network around the cells.
    machines : sequence of Machine
        By number.

    Attributes
    ----------
    replays : list of Accelerator
        Configurations of those whose costs follow from spikes.
    """

    def __init__(self, scorers: Scorers, macro: Macro, machines: Sequence[Machine]) -> None:
        self._scorers, self._macro, self._machines = scorers, macro, machines
        self.replays: list[Accelerator] = [one.arch for one in machines if one.script is None]
        self._made: dict[int, Scorer] = {}

    def run(self, task: Task) -> Outcome:
        """Score a network, and replay its spikes."""
        if task.seed not in self._made:
            self._made[task.seed] = self._scorers(task.seed)
        score, recorded = self._made[task.seed].score(task.a, task.b)

        def costs(number: int) -> Costs | str:
            try:
                return self._machines[number].of_spikes(self._macro, recorded)
            except SpikexError as exc:
                return str(exc)

        return Outcome(score, tuple(map(costs, task.machines)))


class Crew:
    """Workers that score networks until the search is over.

    Parameters
    ----------
    bench : Bench
        What each of them has.
    jobs : int
        Processes on this machine.
    scheduler : str, optional
        Address of a running Dask scheduler, whose workers score instead.

    Raises
    ------
    ConfigError
        If these are none, or no scheduler answers.
    """

    def __init__(self, bench: Bench, jobs: int = 1, scheduler: str | None = None) -> None:
        check_places(jobs, scheduler)
        self._bench, self._jobs, self._scheduler = bench, jobs, scheduler
        self._stack = ExitStack()
        self._submit: Callable[[Task], Any] | None = None
        self._most = 1

    def __enter__(self) -> Self:
        if self._scheduler is None and self._bench.replays:
            prepare(*self._bench.replays)  # here, so that workers find the kernels compiled
        if self._scheduler is not None:
            client = self._stack.enter_context(pools.connected(self._scheduler))
            held = pools.sent(client, self._bench)
            self._submit = lambda task: client.submit(_run_on, held, task, pure=False)
            self._most = pools.CLUSTER_POINTS
        elif self._jobs > 1:
            # A fork of a process in which PyTorch has computed waits for threads that it does not have.
            workers = Workers(self._jobs, forked=False, begin=_begin, given=(self._bench,))
            self._stack.enter_context(workers)
            self._submit = lambda task: workers.submit(_run, task)
            self._most = 2 * self._jobs
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Outcomes in the order of the tasks.

        Raises
        ------
        SpikexError
            If a worker is killed, the cluster goes away, or a network cannot be scored.
        """
        if self._submit is None:
            yield from map(self._bench.run, tasks)
            return
        waiting = iter(tasks)
        flying = deque(map(self._submit, islice(waiting, self._most)))
        while flying:
            yield self._landed(flying.popleft())
            flying.extend(map(self._submit, islice(waiting, 1)))

    def _landed(self, future: Any) -> Outcome:
        if self._scheduler is not None:
            found: Outcome = pools.result_of(future, self._scheduler)
            return found
        try:
            ours: Outcome = future.result()
        except BrokenProcessPool:
            raise SpikexError(f"{KILLED} What is scored is kept, run the same command again",
                              where="--jobs") from None  # fmt: skip
        return ours


_benches: list[Bench] = []
"""Of a worker process; set when it begins."""


def _begin(bench: Bench) -> None:
    _benches[:] = [bench]


def _run(task: Task) -> Outcome:
    return _benches[0].run(task)


def _run_on(bench: Bench, task: Task) -> Outcome:
    return bench.run(task)
