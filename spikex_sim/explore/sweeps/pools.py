"""Where the points of a sweep are run: in this process, in several, or on a Dask cluster.

Each gives outcomes as they arrive and takes the next point only when it can be started.
"""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spikex_sim.core.errors import ConfigError, SpikexError
from spikex_sim.core.files import write_files
from spikex_sim.core.origin import pip_install
from spikex_sim.explore.sweeps.work import Outcome, Point, run_elsewhere, run_point, told
from spikex_sim.explore.workers import KILLED, Workers, can_fork
from spikex_sim.trace.together import AnyTrace, as_traces

log = logging.getLogger("spikex_sim")

CLUSTER_POINTS = 500
"""Points that are on a cluster at a time."""
CONNECT_SECONDS = 15
"""How long to wait for a Dask scheduler's answer."""

Source = Sequence[AnyTrace] | Callable[[], Sequence[AnyTrace]]
"""Samples of a trace in memory that a worker has in common with us, or what reads them."""


def in_process(points: Iterable[Point], traces: Sequence[Sequence[AnyTrace]]) -> Iterator[Outcome]:
    """Run one point after the other here."""
    for point in points:
        yield run_point(point, traces[point.source])


def in_processes(
    points: Iterable[Point], traces: Sequence[Sequence[AnyTrace]], files: Sequence[Path | None], jobs: int
) -> Iterator[Outcome]:
    """Run points in processes on this machine.

    Parameters
    ----------
    points : iterable of Point
        Taken one by one.
    traces : sequence of sequence of Trace
        Loaded traces by ``Point.source``.
    files : sequence of Path or None
        Where they were loaded from, if from a file or folder.
    jobs : int
        Processes, at least 2.

    Notes
    -----
    Where that is safe, on Linux in a process without threads, workers are forks of this process, which have
    all modules and traces at once. Elsewhere they begin empty, and each reads a trace when it first needs it.

    A worker that is killed, by lack of memory say, takes the others with it. What was in flight is then run
    alone, one point after the other, so that the one that is to blame fails and no other does.
    """
    waiting, forked = iter(points), can_fork()
    with ExitStack() as stack:
        sources = traces if forked else stack.enter_context(_written(traces, files))
        crew = partial(Workers, jobs, forked=forked, begin=_begin, given=(sources,))
        while True:
            flying: dict[str, Point] = {}
            try:
                for outcome in _worked(_noted(waiting, flying), crew, 2 * jobs):
                    del flying[outcome.key]
                    yield outcome
            except BrokenProcessPool:
                log.warning("a worker process was killed; going on without it")
            else:
                return
            for point in flying.values():
                try:
                    yield from _worked([point], crew, 1)
                except BrokenProcessPool:
                    yield Outcome(point.key, error=KILLED)


def on_cluster(
    points: Iterable[Point], traces: Sequence[Sequence[AnyTrace]], address: str
) -> Iterator[Outcome]:
    """Run points on the workers of a running Dask cluster, which need this package and its plug-ins.

    A trace is sent once and kept by the cluster; Dask runs what a lost worker had in flight on another. What
    it gives up, after several workers, is run alone at the end, one point after the other, so that the one
    that is to blame fails and no other does.

    Raises
    ------
    ConfigError
        If Dask is not installed or no scheduler answers.
    SpikexError
        If the scheduler goes away.
    """
    with connected(address) as client:
        from distributed import as_completed

        waiting = iter(points)
        held: dict[int, Any] = {}

        def started(count: int) -> list[Any]:
            futures = []
            for point in islice(waiting, count):
                if point.source not in held:
                    held.clear()  # Dask keeps it for as long as a point in flight needs it
                    held[point.source] = sent(client, list(traces[point.source]))
                futures.append(
                    client.submit(run_elsewhere, point, held[point.source], key=f"spikex-{point.key}")
                )
            return futures

        arriving = as_completed(started(CLUSTER_POINTS), loop=client.loop)
        given_up = []
        for future in arriving:
            if _is_given_up(future):
                given_up.append(future)
            else:
                yield _outcome(future, address)
            for following in started(1):
                arriving.add(following)
        for future in given_up:
            future.retry()
            yield _outcome(next(as_completed([future], loop=client.loop)), address)


def _outcome(future: Any, address: str) -> Outcome:
    error = _error_of(future, address)
    key = future.key.removeprefix("spikex-")
    if _is_given_up(future):
        return Outcome(key, error=KILLED)
    return Outcome(key, error=told(error)) if error is not None else future.result()


def result_of(future: Any, address: str) -> Any:
    """Wait for what a cluster was asked for.

    Raises
    ------
    SpikexError
        If it fails there, loses all workers that it is tried on, or the scheduler goes away.
    """
    error = _error_of(future, address)
    if error is None:
        return future.result()
    if isinstance(error, SpikexError):
        raise error
    raise SpikexError(KILLED if _is_given_up(future) else told(error), where=address) from None


def _error_of(future: Any, address: str) -> BaseException | None:
    error: BaseException | None = future.exception()  # a result lost with its worker is computed again
    if future.cancelled():
        raise SpikexError(
            "the scheduler went away; what is finished is kept, run the same command again", where=address
        )
    return error


def _is_given_up(future: Any) -> bool:
    """Whether a point lost all workers that it was tried on."""
    from distributed import KilledWorker

    return isinstance(future.exception(), KilledWorker)


def sent(client: Any, whole: Any) -> Any:
    """Data as a task of its own: unlike scattered data, Dask can make it again when its worker is lost."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the size of what is sent
        return client.submit(_itself, whole, pure=False)


def _itself(whole: Any) -> Any:
    return whole


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of a running Dask scheduler.

    Raises
    ------
    ConfigError
        If Dask is not installed or no scheduler answers.
    """
    try:
        from distributed import Client
        from distributed.comm import get_address_host
    except ImportError as exc:
        raise ConfigError(
            f"needs Dask ({exc.name} is missing): {pip_install('distributed')}", where="--scheduler"
        ) from None
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


def _worked(points: Iterable[Point], crew: Callable[[], Workers], most: int) -> Iterator[Outcome]:
    """Outcomes as they arrive, with so many points on their way at a time."""
    with crew() as workers:
        flying: set[Future[Outcome]] = set()
        for point in points:
            flying.add(workers.submit(_run, point))
            if len(flying) == most:
                yield from _landed(flying)
        while flying:
            yield from _landed(flying)


def _landed(flying: set[Future[Outcome]]) -> Iterator[Outcome]:
    done, _ = wait(flying, return_when=FIRST_COMPLETED)
    flying -= done
    for future in done:
        yield future.result()


@contextmanager
def _written(traces: Sequence[Sequence[AnyTrace]], files: Sequence[Path | None]) -> Iterator[list[Source]]:
    """Where workers can read the traces; those that were made in memory are written, in a folder of ours."""
    with TemporaryDirectory(prefix="spikex-sweep-") as folder:
        found: list[Source] = []
        for number, (samples, file) in enumerate(zip(traces, files, strict=True)):
            if file is not None:
                found.append(partial(as_traces, file.absolute()))
                continue
            [path] = write_files(folder, {f"{number}": pickle.dumps(list(samples), pickle.HIGHEST_PROTOCOL)})
            found.append(partial(_unpickled, path))
        yield found


def _unpickled(path: Path) -> list[AnyTrace]:
    """Traces that the sweep's own process has written, with hash and origin."""
    found: list[AnyTrace] = pickle.loads(path.read_bytes())
    return found


_sources: list[Source] = []
"""Of a worker process; set when it begins."""


def _begin(sources: Sequence[Source]) -> None:
    _sources[:] = sources


def _run(point: Point) -> Outcome:
    try:
        samples = _samples(point.source)
    except Exception as exc:
        return Outcome(point.key, error=told(exc))
    return run_elsewhere(point, samples)


@lru_cache(maxsize=1)
def _samples(source: int) -> Sequence[AnyTrace]:
    found = _sources[source]
    return found() if callable(found) else found
