"""Where the points of a sweep are run: in this process, in several, or on a Dask cluster.

Each gives outcomes as they arrive and takes the next point only when it can be started.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from spikex_sim.errors import ConfigError, SpikexError
from spikex_sim.simulator import as_traces
from spikex_sim.sweeps.work import Outcome, Point, one_line, run_elsewhere, run_point
from spikex_sim.trace.model import Trace

log = logging.getLogger("spikex_sim")

CLUSTER_POINTS = 500
"""Points that are on a cluster at a time."""
CONNECT_SECONDS = 15
"""How long to wait for a Dask scheduler's answer."""
ORPHAN_SECONDS = 0.5
"""How often a worker looks whether its sweep is still there."""


@dataclass(frozen=True)
class Spooled:
    """A trace that was made in memory and that this process wrote, pickled, for its workers.

    Attributes
    ----------
    path : Path
        In a folder that nobody else can write to.
    """

    path: Path

    def write(self, trace: Trace) -> None:
        """Write the trace as it is, with its hash and origin."""
        self.path.write_bytes(pickle.dumps([trace], protocol=pickle.HIGHEST_PROTOCOL))

    def read(self) -> list[Trace]:
        """Read it in another process."""
        found: list[Trace] = pickle.loads(self.path.read_bytes())
        return found


def in_process(points: Iterable[Point], traces: Sequence[Sequence[Trace]]) -> Iterator[Outcome]:
    """Run one point after the other here."""
    for point in points:
        yield run_point(point, traces[point.source])


def in_processes(points: Iterable[Point], files: Sequence[Path | Spooled], jobs: int) -> Iterator[Outcome]:
    """Run points in processes on this machine.

    Parameters
    ----------
    points : iterable of Point
        Taken one by one, from any thread.
    files : sequence of Path or Spooled
        Trace files or folders by ``Point.source``; each worker reads one when it first needs it.
    jobs : int
        Processes, at least 2.

    Notes
    -----
    A worker that is killed, by lack of memory say, takes the others with it. What was in flight is then run
    alone, one point after the other, so that the one that is to blame fails and no other does.
    """
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    waiting = iter(points)
    try:
        while True:
            flying: dict[str, Point] = {}
            try:
                for outcome in _workers(_noted(waiting, flying), files, jobs):
                    del flying[outcome.key]
                    yield outcome
            except TerminatedWorkerError:
                log.warning("a worker process was killed; going on without it")
            else:
                return
            for point in flying.values():
                try:
                    yield from _workers([point], files, jobs)
                except TerminatedWorkerError:
                    yield Outcome(point.key, error="its process was killed; did it need too much memory?")
    finally:
        # Workers that live on would keep traces, energy tables and the working folder of this sweep.
        get_reusable_executor(max_workers=jobs).shutdown(wait=True, kill_workers=True)


def on_cluster(points: Iterable[Point], traces: Sequence[Sequence[Trace]], address: str) -> Iterator[Outcome]:
    """Run points on the workers of a running Dask cluster, which need this package and its plug-ins.

    A trace is sent once and kept by the cluster; Dask runs what a lost worker had in flight on another.

    Raises
    ------
    ConfigError
        If Dask is not installed or no scheduler answers.
    SpikexError
        If the scheduler goes away.
    """
    try:
        from distributed import as_completed
    except ImportError as exc:
        raise ConfigError(
            f"needs Dask ({exc.name} is missing): pip install 'spikex_sim[distributed]'", where="--scheduler"
        ) from None
    with _connected(address) as client:
        waiting = iter(points)
        held: dict[int, Any] = {}

        def started(count: int) -> list[Any]:
            futures = []
            for point in islice(waiting, count):
                if point.source not in held:
                    held.clear()  # Dask keeps it for as long as a point in flight needs it
                    held[point.source] = _sent(client, traces[point.source])
                futures.append(
                    client.submit(run_elsewhere, point, held[point.source], key=f"spikex-{point.key}")
                )
            return futures

        arriving = as_completed(started(CLUSTER_POINTS), loop=client.loop)
        for future in arriving:
            yield _outcome(future, address)
            for following in started(1):
                arriving.add(following)


def _outcome(future: Any, address: str) -> Outcome:
    if future.cancelled() or future.status == "lost":
        raise SpikexError(
            "the scheduler went away; what is finished is kept, run the same command again", where=address
        )
    key = future.key.removeprefix("spikex-")
    error = future.exception()
    return Outcome(key, error=one_line(error)) if error is not None else future.result()


def _sent(client: Any, samples: Sequence[Trace]) -> Any:
    """A trace as a task of its own: unlike scattered data, Dask can make it again when its worker is lost."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the size of what is sent
        return client.submit(_itself, list(samples), pure=False)


def _itself(samples: list[Trace]) -> list[Trace]:
    return samples


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    from distributed import Client
    from distributed.comm import get_address_host

    try:
        get_address_host(address)  # a client of what is no address complains when it is thrown away
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as exc:
        raise ConfigError(f"no Dask scheduler answers: {exc}", where=f"--scheduler {address}") from None
    with client:
        if not client.nthreads():
            log.warning("the cluster at %s has no workers yet; waiting for some", address)
        yield client


def _noted(points: Iterator[Point], flying: dict[str, Point]) -> Iterator[Point]:
    for point in points:
        flying[point.key] = point
        yield point


def _workers(points: Iterable[Point], files: Sequence[Path | Spooled], jobs: int) -> Iterator[Outcome]:
    from joblib import Parallel, delayed

    run, parent = delayed(_run_from_file), os.getpid()
    pool = Parallel(jobs, backend="loky", batch_size=1, return_as="generator_unordered", max_nbytes=None)
    with _interrupts_ignored():  # by the workers, which start here
        arriving = pool(run(point, files[point.source], parent) for point in points)
    try:
        for outcome in arriving:  # noqa: UP028 ("yield from" would close it outside of what follows)
            yield outcome
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about what is given up
            arriving.close()


def _run_from_file(point: Point, file: Path | Spooled, parent: int) -> Outcome:
    _follow(parent)
    try:
        samples = _read(file)
    except Exception as exc:
        return Outcome(point.key, error=one_line(exc))
    return run_elsewhere(point, samples)


@lru_cache(maxsize=1)
def _read(file: Path | Spooled) -> list[Trace]:
    return file.read() if isinstance(file, Spooled) else as_traces(file)


@lru_cache(maxsize=1)
def _follow(parent: int) -> None:
    """Leave Ctrl-C to the process that runs the sweep, and end when that is gone, however it went."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes that start meanwhile ignore Ctrl-C for good; only the main thread can arrange that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
