"""What a sweep or an exploration replays, and how points that its store does not have are run."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.progress import Progress
from spikex_sim.explore.sweeps import pools
from spikex_sim.explore.sweeps.store import SweepStore
from spikex_sim.explore.sweeps.table import Row
from spikex_sim.explore.sweeps.work import Outcome, Point
from spikex_sim.run.simulate import prepare
from spikex_sim.spec.arch import Accelerator
from spikex_sim.trace.together import AnyTrace, as_traces, describe

log = logging.getLogger("spikex_sim")

TraceLike = AnyTrace | str | Path


@dataclass(frozen=True, eq=False)
class Workload:
    """Traces, a point's by its ``source``.

    Attributes
    ----------
    traces : tuple
        As they were given: objects, files and folders.
    loaded : tuple of sequence of Trace
        Samples of each.
    names : tuple of str
        What tells them apart.
    """

    traces: tuple[TraceLike, ...]
    loaded: tuple[Sequence[AnyTrace], ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, traces: Sequence[TraceLike]) -> Workload:
        """Load traces."""
        loaded = tuple(as_traces(item) for item in traces)
        return cls(tuple(traces), loaded, tuple(_names(traces, [describe(samples) for samples in loaded])))


def run_missing(
    planned: Sequence[tuple[Row, Point]],
    workload: Workload,
    store: SweepStore,
    jobs: int,
    scheduler: str | None,
    progress: Progress,
) -> dict[str, str]:
    """Run what the store does not have; return the errors of points that failed, by key."""
    labels = {point.key: f"{shown['trace']} {shown['arch']}" for shown, point in planned}
    todo = {p.key: p for _, p in planned if store.find(p.key) is None}
    say_damaged(store)
    done = len(labels) - len(todo)
    errors: dict[str, str] = {}
    progress("sweep", done, len(labels))
    # Another sweep may have finished a point since.
    waiting = (point for point in todo.values() if not store.has(point.key))
    machines = [point.arch for point in todo.values()]
    workers = min(jobs, len(todo))
    with closing(_outcomes(waiting, machines, workload, workers, scheduler)) as outcomes:
        for outcome in outcomes if todo else ():
            if outcome.row is None:
                errors[outcome.key] = outcome.error
                store.add_failure(outcome.key, outcome.error)
            else:
                store.add(outcome.key, outcome.row)
            done += 1
            progress(labels[outcome.key], done, len(labels))
    progress("done", len(labels), len(labels))
    return errors


def _outcomes(
    waiting: Iterable[Point],
    machines: Iterable[Accelerator],
    workload: Workload,
    jobs: int,
    scheduler: str | None,
) -> Generator[Outcome, None, None]:
    """Outcomes of points from where they are to be run."""
    if scheduler is not None:
        yield from pools.on_cluster(waiting, workload.loaded, scheduler)
        return
    prepare(*machines)  # here, so that workers find the kernels compiled
    if jobs < 2:
        yield from pools.in_process(waiting, workload.loaded)
        return
    files = [None if isinstance(item, AnyTrace) else Path(item) for item in workload.traces]
    yield from pools.in_processes(waiting, workload.loaded, files, jobs)


def found_in(store: SweepStore, point: Point, errors: Mapping[str, str]) -> tuple[Row | None, str]:
    """What a point came to, and why it has not."""
    row = store.find(point.key)
    if row is not None:
        return row, ""
    return None, errors.get(point.key, "taken out of the store while the sweep ran; run it again")


def say_damaged(store: SweepStore) -> None:
    """Warn of what had to be taken out of a store."""
    if store.damaged:
        log.warning("%s: damaged points were taken out, to be run again: %d", store.where, store.damaged)


def listed(given: Any, what: str, kind: Any) -> list[Any]:
    """One or several of a kind, as a list."""
    items = [given] if isinstance(given, kind) else list(given) if isinstance(given, Iterable) else [None]
    if not all(isinstance(item, kind) for item in items):
        raise ConfigError(f"must be one or a list of names, paths or objects, not {given!r:.60}", field=what)
    return items


def _names(traces: Sequence[TraceLike], described: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of traces; of others with the same one the file, of those made in memory also the place."""
    names = [one["name"] for one in described]
    often = Counter(name for name, _ in {(one["name"], one["sha256"]) for one in described})
    files = Counter(Path(trace).name for trace in traces if not isinstance(trace, AnyTrace))

    def told_apart(place: int, trace: TraceLike, name: str) -> str:
        if often[name] == 1:
            return name
        if isinstance(trace, AnyTrace):
            return f"{name} ({place})"
        file = Path(trace).name
        return file if files[file] == 1 and file not in names else str(trace)

    return [told_apart(*one) for one in zip(range(len(names)), traces, names, strict=True)]
