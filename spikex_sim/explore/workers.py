"""Worker processes: they leave Ctrl-C to the process that started them, and end with it, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import ModuleType, TracebackType
from typing import Any, Literal

from spikex_sim.core.errors import ConfigError, SpikexError
from spikex_sim.core.memory import Share, keep_to, share_of

MAX_JOBS = 256
"""Most processes at a time."""
ENDING = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
"""Signals that end a command."""
KILLED = "its process was killed; did it need too much memory?"
"""What can be said of work whose worker went away."""


def check_jobs(jobs: Any) -> None:
    """Raise :class:`ConfigError` unless it is a number of processes."""
    if isinstance(jobs, bool) or not isinstance(jobs, int) or not 1 <= jobs <= MAX_JOBS:
        raise ConfigError(f"must be a whole number from 1 to {MAX_JOBS}, not {jobs!r:.60}", field="jobs")


def check_places(jobs: int, scheduler: str | None) -> None:
    """Raise :class:`ConfigError` unless work can be done there: in so many processes, or on a cluster."""
    check_jobs(jobs)
    if scheduler is None:
        return
    if not isinstance(scheduler, str) or not scheduler.strip():
        raise ConfigError("must be the address of a Dask scheduler, tcp://host:8786", field="scheduler")
    if jobs != 1:
        raise ConfigError("is for this machine; a cluster has the workers that it has", field="jobs")


def can_fork() -> bool:
    """Whether workers may be forks of this process, which start at once and have all that it has."""
    return sys.platform == "linux" and threading.active_count() == 1


class Workers(ProcessPoolExecutor):
    """Worker processes on this machine.

    Parameters
    ----------
    jobs : int
        How many; each may take its part of the memory.
    forked : bool
        Whether they are forks of this process, or begin with an empty one.
    begin : callable, optional
        What each calls first, with ``given``.
    given : sequence
        Reaches forks as it is, and others pickled.
    """

    def __init__(
        self,
        jobs: int,
        *,
        forked: bool,
        begin: Callable[..., None] | None = None,
        given: tuple[Any, ...] = (),
    ) -> None:
        if not forked and os.name == "posix":
            with _held_back():
                resource_tracker.ensure_running()
        context = multiprocessing.get_context("fork" if forked else "spawn")
        super().__init__(jobs, context, _begin, (share_of(jobs), begin, given))

    def submit(self, *what: Any, **options: Any) -> Future[Any]:
        """Hand work over, to a worker that is started now if need be."""
        with _apart():
            return super().submit(*what, **options)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if kind is not None:
            for process in list(self._processes.values()):
                process.kill()
        self.shutdown(cancel_futures=True)
        return False


def in_order(
    work: Callable[..., Any], tasks: Iterable[Any], jobs: int, given: tuple[Any, ...] = ()
) -> Generator[Any, None, None]:
    """What work makes of each task, in the order of the tasks, in so many processes.

    Parameters
    ----------
    work : callable
        A function of a module; called with a task and ``given``.
    tasks : iterable
        Taken a few at a time, ahead of what is asked for.
    jobs : int
        Processes; 1 for this one.
    given : tuple
        The same for all tasks; handed to each process once.

    Raises
    ------
    SpikexError
        If a process is killed; and whatever ``work`` raises.
    """
    if jobs == 1:
        yield from (work(task, *given) for task in tasks)
        return
    flying: deque[Future[Any]] = deque()
    with Workers(jobs, forked=can_fork(), begin=_hold, given=given) as crew:
        try:
            for task in tasks:
                flying.append(crew.submit(_work, work, task))
                if len(flying) == 2 * jobs:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        except BrokenProcessPool:
            raise SpikexError(KILLED, where="--jobs") from None


_held: list[Any] = []
"""Of a worker process: what is the same for all tasks."""


def _hold(*given: Any) -> None:
    _held[:] = given


def _work(work: Callable[..., Any], task: Any) -> Any:
    return work(task, *_held)


def _begin(share: Share, begin: Callable[..., None] | None, given: Sequence[Any]) -> None:
    def watch() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
        os._exit(1)

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as by nohup
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    threading.Thread(target=watch, daemon=True).start()
    keep_to(share)
    if begin is not None:
        begin(*given)


@contextmanager
def _apart() -> Iterator[None]:
    """Hold signals back from processes that start meanwhile; nor do they run this program.

    Workers need nothing of the program that uses this package. So it may lack the usual
    ``if __name__ == "__main__"``.
    """
    program, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        with _held_back():
            yield
    finally:
        sys.modules["__main__"] = program


@contextmanager
def _held_back() -> Iterator[None]:
    """Hold signals back while processes start, which take them for this one's until they know better.

    Python loses what a signal raises while it forks.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
